//! What the ledger remembers of entries that were seen good: written when they are seen, renewed by sweeps, forgotten when
//! the entry is gone. A record is a memory, not a truth: one that cannot be written costs another look.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use time::OffsetDateTime;

use crate::app::Run;
use crate::case::{Case, looked_at};
use crate::discovery::SeenCluster;
use crate::model::RoleState;
use crate::outcome::{Delay, Hold, Outcome};
use crate::row::{NotWritten, Recorded, Row, RowRead, SeenGood, State};
use crate::sighting::Sighting;
use crate::verdict::{Verdict, judge};

/// Rows written side by side.
const AT_ONCE: usize = 8;

/// A row is written again for a new date of verification only when the old one is this old.
const VERIFIED_LATELY: time::Duration = time::Duration::hours(6);

/// How far IAM's replicas may be behind when an entry is recorded. A record that was made too early is harmless: it
/// contradicts the dates later, and waits for a person.
const REPLICAS_LAG: Duration = Duration::from_secs(2);

/// What is left to do about a cluster's entries after the good ones are recorded: a hundred thousand good entries are
/// counted, not held in memory. Without trust in the records (a check) all entries are kept.
pub async fn keep_what_needs_attention(run: &Run<'_>, seen: SeenCluster, trust_records: bool) -> Vec<Sighting> {
    let renewed = renew(run, &seen);
    let _ = tokio::time::timeout_at(seen.ends, renewed).await;
    if trust_records { record_and_drop(run, seen.sightings).await } else { seen.sightings }
}

/// Writes down that known entries were seen again, and forgets those that are gone. A row that was written since it was
/// read is another invocation's work, which the list of entries may be older than: it is left.
async fn renew(run: &Run<'_>, seen: &SeenCluster) {
    let now = run.now();
    let fresh: BTreeSet<&str> = seen.known_fresh.iter().map(String::as_str).collect();
    let work = seen.recorded.iter().filter_map(|record| {
        let is_gone = !seen.listed.contains(&*record.principal);
        let is_due = record.verified_at.is_none_or(|at| now - at > VERIFIED_LATELY);
        (is_gone || (is_due && fresh.contains(&*record.principal))).then_some((record, is_gone))
    });
    stream::iter(work)
        .for_each_concurrent(AT_ONCE, |(record, is_gone)| async move {
            let _ = if is_gone {
                run.ledger().forget_version(&record.principal, &seen.cluster, record.version).await
            } else {
                run.ledger().verified(&record.principal, &seen.cluster, record.version, now).await
            };
        })
        .await;
}

/// Records the fresh entries among these, and gives back the others.
async fn record_and_drop(run: &Run<'_>, sightings: Vec<Sighting>) -> Vec<Sighting> {
    let (fresh, others): (Vec<Case>, Vec<Case>) = sightings
        .into_iter()
        .map(|sighting| {
            let verdict = judge(&sighting, &run.invocation.home);
            Case::new(sighting, verdict)
        })
        .partition(|case| {
            let is_fresh = matches!(case.verdict, Verdict::Fresh(_)) && case.sighting.row.open().is_none();
            is_fresh && case.ignore_tag().is_none() && !case.sighting.is_perhaps_revived()
        });
    stream::iter(fresh).for_each_concurrent(AT_ONCE, |case| async move { drop(record_fresh(run, case).await) }).await;
    others.into_iter().map(|case| case.sighting).collect()
}

/// Writes down that a fresh entry was seen good with its role's ID.
pub(crate) async fn record_fresh(run: &Run<'_>, mut case: Case) -> Case {
    case.outcome = looked_at(&case.verdict);
    if case.sighting.is_perhaps_revived() {
        case.outcome = Outcome::Held(Hold::PerhapsRevived);
        return case;
    }
    let mut row = match row_of_fresh(&case.sighting, &case.verdict, run.config().settle, run.now()) {
        Ok(Some(row)) => row,
        Ok(None) => return case,
        Err(because) => {
            case.note = Some(because);
            return case;
        }
    };
    if run.ledger().is_kept()
        && let Err(NotWritten::Unavailable(fault)) = run.ledger().write(&mut row).await
    {
        case.note = Some(Delay::LedgerUnavailable(fault).explain());
    }
    case
}

/// The row that says that an entry was seen good, if it may be written.
///
/// # Errors
/// Why the present row cannot be written over, for a person.
pub(crate) fn row_of_fresh(
    sighting: &Sighting,
    verdict: &Verdict,
    settle: Duration,
    now: OffsetDateTime,
) -> Result<Option<Row>, String> {
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
            return Err(Hold::LedgerRowInvalid { because: because.clone() }.explain());
        }
        RowRead::Unavailable(fault) => return Err(Delay::LedgerUnavailable(fault.clone()).explain()),
    }
    let before = sighting.row.recorded().filter(|before| before.is_of(&examined.entry.arn, cluster.created_at));
    let grounds = before.and_then(|before| before.grounds.clone());
    let state = State::Recorded(Box::new(Recorded {
        entry_arn: examined.entry.arn.clone(),
        cluster_created_at: cluster.created_at,
        snapshot: examined.snapshot(),
        good: Some(SeenGood { role_id: role.id.clone(), verified_at: Some(now) }),
        grounds,
    }));
    Ok(Some(Row::new(&role.arn, &cluster.at, sighting.row.version(), state)))
}
