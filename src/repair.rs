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
mod fixture;

use futures::stream::{self, StreamExt as _};

use crate::app::Run;
use crate::case::{Case, Purpose};
use crate::config::Mode;
use crate::outcome::{Delay, Doubt, Outcome};
use crate::record::{looked_at, record_fresh};
use crate::row::{NotWritten, Row};
use crate::verdict::Verdict;
use reconciler::Reconciler;

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
                case.outcome = Outcome::deferred(Delay::LedgerUnavailable { because: because.clone() });
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

/// Whether nothing is to be changed: there is no unfinished repair, and the entry is fresh or cannot be judged.
fn is_settled(case: &Case, purpose: &Purpose) -> bool {
    let settled = match (&case.verdict, purpose) {
        (Verdict::Undecided(Doubt::RecordContradictsDates), Purpose::Approve { .. }) => false,
        (verdict, _) => matches!(verdict, Verdict::Fresh(_) | Verdict::Undecided(_)),
    };
    settled && case.sighting.row.open().is_none()
}

/// Leaves an entry with the ignore tag alone. A repair that changed nothing before the tag was set does not stay open.
async fn ignore(run: &Run<'_>, mut case: Case) -> Case {
    case.outcome = case.ignore_tag().map_or(Outcome::None, Outcome::Held);
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
        case.note = Some(Delay::LedgerUnavailable { because }.explain());
    }
    case
}
