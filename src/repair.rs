//! From verdicts to outcomes: which entries are changed in this invocation, in which order, and when none is.
//!
//! The first repair runs alone to its end; only when one has succeeded do the others run side by side. A refusal for
//! good after a deletion trips the breaker: nothing else is deleted, in this invocation or a later one, until that
//! entry is back, so at most one is ever caught. How one entry is changed is `converge`'s business.

mod breaker;
mod calls;
mod compare;
mod converge;
mod decide;
mod open;
mod perform;
mod reconciler;
mod removal;
mod replace;
mod restore;
mod step;

#[cfg(test)]
mod explore;
#[cfg(test)]
mod fixture;

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use time::OffsetDateTime;

use crate::app::Run;
use crate::case::{Case, Purpose};
use crate::config::Mode;
use crate::model::RoleState;
use crate::outcome::{Outcome, Reason};
use crate::row::{NotWritten, Recorded, Row, RowRead, SeenGood, State};
use crate::sighting::Sighting;
use crate::verdict::{Verdict, judge};
use reconciler::Reconciler;

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

/// Works on all cases; each ends with its outcome.
pub async fn attend(run: &Run<'_>, cases: Vec<Case>, purpose: &Purpose) -> Vec<Case> {
    if *purpose == Purpose::Check {
        let look = |mut case: Case| {
            case.outcome = looked_at(&case.verdict);
            case
        };
        return cases.into_iter().map(look).collect();
    }
    let mut done = Box::pin(work(run, cases, purpose)).await;
    done.iter_mut().for_each(Case::name_who_waits);
    done
}

async fn work(run: &Run<'_>, cases: Vec<Case>, purpose: &Purpose) -> Vec<Case> {
    let (ignored, cases): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.ignore_tag().is_some());
    let (mut done, due): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| is_settled(case, purpose));
    done = stream::iter(done).map(|case| record_fresh(run, case)).buffer_unordered(AT_ONCE).collect().await;
    done.extend(
        stream::iter(ignored).map(|case| ignore(run, case)).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await,
    );
    if due.is_empty() && !run.is_sweep {
        return done;
    }
    let reconciler = Reconciler::new(run, purpose);
    let breaker = match run.breaker().await {
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
    let (first, mut rest) = Box::pin(reconciler.finish_what_tripped(breaker, due)).await;
    done.extend(first);
    // One by one until one has come to a good end, then side by side.
    rest.reverse();
    while let Some(case) = rest.pop() {
        let case = Box::pin(reconciler.reconcile(case)).await;
        let succeeded = case.outcome == Outcome::Repaired;
        done.push(case);
        if succeeded {
            break;
        }
    }
    rest.reverse();
    // As many as the Regions' requests allow.
    let mut others: stream::FuturesUnordered<_> = rest.into_iter().map(|case| reconciler.reconcile(case)).collect();
    while let Some(case) = others.next().await {
        done.push(case);
    }
    done
}

/// Records the fresh entries among these, and gives back the others.
pub async fn record_and_drop(run: &Run<'_>, sightings: Vec<Sighting>) -> Vec<Sighting> {
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
    stream::iter(fresh).for_each_concurrent(AT_ONCE, |case| async move { drop(record_fresh(run, case).await) }).await;
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
    let Some(repair) = row.repair() else { return case };
    let stands = case.sighting.entry.as_ref().is_some_and(|examined| examined.entry.arn == row.entry_arn());
    let is_free = !repair.is_leased_to_other(&run.owner, run.now());
    if !stands || repair.holds_more() || !is_free || run.config().mode == Mode::Observe {
        return case;
    }
    let closed = match repair.put_back(run.now()) {
        Some(state) => run.ledger().write(&mut Row { state, ..row.clone() }).await,
        None => run.ledger().forget(row).await,
    };
    if let Err(NotWritten::Unavailable(because)) = closed {
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
    row.archived().is_some_and(|archived| {
        archived.because == Reason::PerhapsRevived.label()
            && archived.cluster_created_at == cluster.created_at
            && archived.created.as_ref() == Some(&examined.entry.arn)
    })
}

/// The outcome of an entry that is only looked at.
fn looked_at(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Undecided(reason) => Outcome::None(Some(reason.clone())),
        _ => Outcome::nothing(),
    }
}

/// Writes down that a fresh entry was seen good with its role's ID.
async fn record_fresh(run: &Run<'_>, mut case: Case) -> Case {
    case.outcome = looked_at(&case.verdict);
    if is_perhaps_revived(&case.sighting) {
        case.outcome = Outcome::Held(Reason::PerhapsRevived);
        return case;
    }
    let mut row = match row_of_fresh(&case.sighting, &case.verdict, run.config().settle, run.now()) {
        Ok(Some(row)) => row,
        Ok(None) => return case,
        Err(reason) => {
            case.note = Some(reason.explain());
            return case;
        }
    };
    if run.ledger().is_kept()
        && let Err(NotWritten::Unavailable(because)) = run.ledger().write(&mut row).await
    {
        case.note = Some(Reason::LedgerUnavailable { because }.explain());
    }
    case
}

/// The row that says that an entry was seen good, if it may be written.
///
/// # Errors
/// Why the present row cannot be written over.
fn row_of_fresh(
    sighting: &Sighting,
    verdict: &Verdict,
    settle: Duration,
    now: OffsetDateTime,
) -> Result<Option<Row>, Reason> {
    let Sighting { entry: Some(examined), cluster: Some(cluster), role: RoleState::Present(role), .. } = sighting
    else {
        return Ok(None);
    };
    // A role read before the entry was made may be an earlier one than the entry is bound to; so may one read while
    // IAM's replicas were catching up.
    let is_read_too_early = examined.entry.created_at + settle.min(REPLICAS_LAG) >= sighting.role_read_at;
    if !matches!(verdict, Verdict::Fresh(_)) || is_read_too_early {
        return Ok(None);
    }
    match &sighting.row {
        RowRead::Absent | RowRead::Expired(_) => {}
        RowRead::Row(row) => match &row.state {
            State::Recorded(_) => {}
            // What is archived stays so unless the entry has all of it; meanwhile the entry is judged by its dates.
            State::Archived(archived) if examined.snapshot().missing_of(&archived.wanted).is_empty() => {}
            State::Archived(_) | State::Repairing(_) => return Ok(None),
        },
        RowRead::Unfit(_, because) | RowRead::Invalid(because) => {
            return Err(Reason::LedgerRowInvalid { because: because.clone() });
        }
        RowRead::Unavailable(because) => return Err(Reason::LedgerUnavailable { because: because.clone() }),
    }
    let state = State::Recorded(Box::new(Recorded {
        entry_arn: examined.entry.arn.clone(),
        cluster_created_at: cluster.created_at,
        snapshot: examined.snapshot(),
        good: Some(SeenGood { role_id: role.id.clone(), verified_at: Some(now) }),
    }));
    Ok(Some(Row::new(&role.arn, &cluster.at, sighting.row.version(), state)))
}
