//! From verdicts to outcomes: which entries are changed in this invocation, in which order, and when none is.
//!
//! The first repair runs alone to its end; only when one has succeeded do the others run side by side. A refusal for
//! good after a deletion trips the breaker: nothing else is deleted, in this invocation or a later one, until that
//! entry is back, so at most one is ever caught. How one entry is changed is `converge`'s business.

mod after;
mod before;
mod breaker;
mod converge;
mod crew;
mod removal;
mod restore;
mod steps;

use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use crate::app::Run;
use crate::config::Mode;
use crate::discovery::Sighting;
use crate::event::Creator;
use crate::guardrail::{self, Refusal};
use crate::ledger::{NotWritten, Row, RowRead};
use crate::model::{RoleId, RoleState};
use crate::outcome::{Outcome, Reason};
use crate::verdict::{Verdict, judge};
use crew::Crew;

/// An invocation works on one entry for at most so long.
const LONGEST: Duration = Duration::from_mins(2);

/// No deletion is begun with less than this left: a new role can take half a minute until EKS knows it
/// (hashicorp/terraform-provider-aws PR#35535), and the entry has to be back by then.
const LEAST_FOR_A_DELETION: Duration = Duration::from_secs(20);

/// How far IAM's replicas may be behind when an entry is recorded. A record that was made too early is harmless: it
/// contradicts the dates later, and waits for a person.
const REPLICAS_LAG: Duration = Duration::from_secs(2);

/// How often an entry is looked at anew when it changes under our hands.
const LOOKS: u32 = 3;

/// Entries changed side by side.
const AT_ONCE: usize = 8;

/// One entry on its way through an invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is known.
    pub sighting: Sighting,
    /// What that means.
    pub verdict: Verdict,
    /// What became of it.
    pub outcome: Outcome,
    /// The role ID that the ledger had recorded, where it is another than the present.
    pub previous_role_id: Option<RoleId>,
    /// The entry's ARN before the repair.
    pub previous_entry_arn: Option<String>,
    /// From the role's creation to the repair.
    pub locked_out: Option<Duration>,
    /// Whether this invocation sent a deletion.
    pub was_deletion_sent: bool,
    /// More for a person.
    pub note: Option<String>,
}

impl Case {
    /// A judged sighting, with nothing done yet.
    #[must_use]
    pub fn new(sighting: Sighting, verdict: Verdict) -> Self {
        let present = sighting.role.role().map(|role| &role.id);
        let previous = sighting.row.row().and_then(|row| row.role_id.clone()).filter(|id| Some(id) != present);
        Self {
            sighting,
            verdict,
            outcome: Outcome::nothing(),
            previous_role_id: previous,
            previous_entry_arn: None,
            locked_out: None,
            was_deletion_sent: false,
            note: None,
        }
    }

    /// Of a held entry: which service stops working with it.
    fn name_who_waits(&mut self) {
        if !matches!(self.outcome, Outcome::Held(_)) {
            return;
        }
        let snapshot = self.sighting.snapshot();
        if let Some(services) = snapshot.and_then(|it| guardrail::services_that_use(&it.access_policies)) {
            self.note = Some(self.note.take().map_or_else(|| services.clone(), |note| format!("{note} {services}")));
        }
    }

    /// The ignore tag, where entry or cluster has it.
    #[must_use]
    pub fn ignore_tag(&self) -> Option<Reason> {
        match guardrail::tags(&self.sighting.snapshot()?, self.sighting.cluster.as_ref()?) {
            Err(Refusal::Hold(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// What the invocation may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Look only.
    Check,
    /// Repair and remove, as the guardrails allow; creators that events told of, with the IDs of their roles.
    Act {
        /// Believable creators.
        creators: Vec<(Creator, RoleId)>,
    },
    /// A person approved this role ID.
    Approve {
        /// The ID that the person looked at.
        role_id: RoleId,
    },
    /// A person asks for the entry of the ledger, for this role ID.
    Restore {
        /// The ID that the person looked at.
        role_id: RoleId,
    },
}

/// Works on all cases; each ends with its outcome.
pub async fn attend(run: &Run<'_>, cases: Vec<Case>, purpose: &Purpose) -> Vec<Case> {
    if *purpose == Purpose::Check {
        return cases.into_iter().map(looked_at).collect();
    }
    let mut done = Box::pin(work(run, cases, purpose)).await;
    done.iter_mut().for_each(Case::name_who_waits);
    done
}

async fn work(run: &Run<'_>, cases: Vec<Case>, purpose: &Purpose) -> Vec<Case> {
    let (ignored, cases): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.ignore_tag().is_some());
    let (mut done, due): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| is_settled(case, purpose));
    done = stream::iter(done).map(|case| settle(run, case)).buffer_unordered(AT_ONCE).collect().await;
    done.extend(
        stream::iter(ignored).map(|case| ignore(run, case)).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await,
    );
    if due.is_empty() && !run.is_sweep {
        return done;
    }
    let crew = Crew { run, purpose, halted: AtomicBool::new(false), begun: AtomicU32::new(0) };
    let breaker = match run.ledger().breaker().await {
        Ok(breaker) => breaker,
        Err(because) => {
            let because = |mut case: Case| {
                case.outcome = Outcome::deferred(Reason::LedgerUnavailable { because: because.clone() });
                case
            };
            done.extend(due.into_iter().map(because));
            return done;
        }
    };
    let (first, mut rest) = Box::pin(crew.finish_what_tripped(breaker, due)).await;
    done.extend(first);
    // One by one until one has come to a good end, then side by side.
    rest.reverse();
    while let Some(case) = rest.pop() {
        let case = Box::pin(crew.attend(case)).await;
        let succeeded = case.outcome == Outcome::Repaired;
        done.push(case);
        if succeeded {
            break;
        }
    }
    rest.reverse();
    let others: Vec<Case> = stream::iter(rest).map(|case| crew.attend(case)).buffer_unordered(AT_ONCE).collect().await;
    done.extend(others);
    done
}

/// Records the fresh entries among these, and gives back the others.
pub async fn settle_fresh(run: &Run<'_>, sightings: Vec<Sighting>) -> Vec<Sighting> {
    let (fresh, others): (Vec<Case>, Vec<Case>) = sightings
        .into_iter()
        .map(|sighting| {
            let verdict = judge(&sighting, &run.invocation.home);
            Case::new(sighting, verdict)
        })
        .partition(|case| {
            let is_fresh = matches!(case.verdict, Verdict::Fresh(_)) && case.sighting.row.open().is_none();
            is_fresh && case.ignore_tag().is_none() && !is_perhaps_revived(&case.sighting)
        });
    stream::iter(fresh).for_each_concurrent(AT_ONCE, |case| async move { drop(settle(run, case).await) }).await;
    others.into_iter().map(|case| case.sighting).collect()
}

/// Whether nothing is to be changed: there is no unfinished repair, and the entry is fresh or cannot be judged.
fn is_settled(case: &Case, purpose: &Purpose) -> bool {
    let settled = match (&case.verdict, purpose) {
        (Verdict::Undecided(Reason::RecordContradictsDates), Purpose::Approve { .. }) => false,
        (verdict, _) => matches!(verdict, Verdict::Fresh(_) | Verdict::Undecided(_)),
    };
    settled && case.sighting.row.open().is_none()
}

/// Leaves an entry with the ignore tag alone. A repair that changed nothing before the tag was set does not stay open.
async fn ignore(run: &Run<'_>, mut case: Case) -> Case {
    case.outcome = case.ignore_tag().map_or_else(Outcome::nothing, Outcome::Held);
    let Some(row) = case.sighting.row.open() else { return case };
    let stands = case.sighting.entry.as_ref().is_some_and(|examined| examined.entry.arn == row.access_entry_arn);
    let is_untouched = stands && row.deletion_sent_at.is_none() && !row.is_own_entry;
    let is_free = !row.is_leased_to_other(&run.owner, run.now());
    if is_untouched
        && is_free
        && run.config().mode == Mode::Repair
        && let Err(NotWritten::Unavailable(because)) = run.ledger().close(&mut row.clone(), run.now()).await
    {
        case.note = Some(Reason::LedgerUnavailable { because }.explain());
    }
    case
}

/// Whether a rehearsal may have created this entry after its owner had deleted the one before. It is nobody's wish, so
/// it is held until a person ends the matter, and never recorded as good.
fn is_perhaps_revived(sighting: &Sighting) -> bool {
    let (Some(row), Some(cluster), Some(examined)) = (sighting.row.row(), &sighting.cluster, &sighting.entry) else {
        return false;
    };
    row.state == crate::ledger::State::Archived
        && row.archived_because.as_deref() == Some(Reason::PerhapsRevived.label())
        && row.cluster_created_at == cluster.created_at
        && row.created_entry_arn.as_ref() == Some(&examined.entry.arn)
}

fn looked_at(mut case: Case) -> Case {
    case.outcome = match &case.verdict {
        Verdict::Undecided(reason) => Outcome::None(Some(reason.clone())),
        _ => Outcome::nothing(),
    };
    case
}

/// Remembers what is fresh, under the role ID that it was seen good with.
async fn settle(run: &Run<'_>, case: Case) -> Case {
    let mut case = looked_at(case);
    if is_perhaps_revived(&case.sighting) {
        case.outcome = Outcome::Held(Reason::PerhapsRevived);
        return case;
    }
    let Sighting { entry: Some(examined), cluster: Some(cluster), role: RoleState::Present(role), .. } = &case.sighting
    else {
        return case;
    };
    // A role read before the entry was made may be an earlier one than the entry is bound to; so may one read while
    // IAM's replicas were catching up.
    let is_read_too_early =
        examined.entry.created_at + run.config().settle.min(REPLICAS_LAG) >= case.sighting.role_read_at;
    if !matches!(case.verdict, Verdict::Fresh(_)) || is_read_too_early {
        return case;
    }
    let snapshot = examined.snapshot();
    let mut row = match &case.sighting.row {
        RowRead::Absent | RowRead::Expired(_) => {
            Row::recorded(&role.arn, &cluster.at, cluster.created_at, &examined.entry.arn, snapshot.clone())
        }
        RowRead::Row(row) if row.state == crate::ledger::State::Recorded => (**row).clone(),
        // What is archived stays so unless the entry has all of it; meanwhile the entry is judged by its dates.
        RowRead::Row(row) if row.state == crate::ledger::State::Archived => {
            if !snapshot.missing_of(&row.snapshot).is_empty() {
                return case;
            }
            Row::recorded(&role.arn, &cluster.at, cluster.created_at, &examined.entry.arn, snapshot.clone())
        }
        RowRead::Row(_) => return case,
        RowRead::Invalid(because) => {
            case.note = Some(Reason::LedgerRowInvalid { because: because.clone() }.explain());
            return case;
        }
        RowRead::Unavailable(because) => {
            case.note = Some(Reason::LedgerUnavailable { because: because.clone() }.explain());
            return case;
        }
    };
    row.version = case.sighting.row.version();
    row = row.verified(&examined.entry.arn, snapshot, role.id.clone(), run.now());
    row.cluster_created_at = cluster.created_at;
    if run.ledger().is_kept()
        && let Err(NotWritten::Unavailable(because)) = run.ledger().write(&mut row).await
    {
        case.note = Some(Reason::LedgerUnavailable { because }.explain());
    }
    case
}
