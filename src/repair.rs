//! From verdicts to outcomes: which entries are changed in this invocation, in which order, and when none is.
//!
//! All repairs are prepared side by side, as many as the Regions' requests allow, each as soon as its own entry was read. The
//! first one that is ready deletes its entry alone, and runs to its end; once one has succeeded, the others delete side by side.
//! So whoever hangs before its deletion delays nobody. A repair that is past it does, for two minutes at most, since until it has
//! ended nobody knows whether creations succeed. A refusal for good after a deletion trips the breaker: nothing else is deleted, in this invocation or a
//! later one, until that entry is back, so at most one is ever caught.
//!
//! # How one entry is repaired
//!
//! `converge` reads the world, `decide` says what the next step is, and `perform` takes it, until nothing is left to do. What
//! happens in which case is one table, printed from the code: `decide/table.md`.
//!
//! A turn is a set of calls that are sent side by side. These are the turns of a repair with nothing to wait for, and what each
//! of them buys. `budgets.rs` counts them.
//!
//! | node entry | `STANDARD`, two policies | calls of the turn | what it buys |
//! |---|---|---|---|
//! | 1 | 1 | `ListRegions` (cold only) | where to look |
//! | 2 | 2 | `ListClusters`, `GetRole`, `Query` | the clusters; the role as IAM has it; the version of the ledger's row |
//! | 3 | 3 | `DescribeAccessEntry` | is it stale? One call for each cluster, for everybody: nothing is added here |
//! | 4 | 4 | `DescribeCluster`, `ListAssociatedAccessPolicies`, `GetItem` (breaker) | tags and roles of the cluster; the whole entry; is another entry caught? |
//! | 5 | 5 | `PutItem` (opened), and cluster, entry, policies, role | nothing is touched before it can be put back; one owner; an owner's change since turn 3 is seen |
//! | 6 | 6 | `CreateAccessEntry` (rehearsal), policies | the creation is allowed, and an entry stands; which policies are there directly before the associations |
//! | | 7, 8 | `AssociateAccessPolicy` (rehearsal), one after another | each grant is allowed |
//! | 7 | 9 | `PutItem` (deletion marked), cluster, role | after a cut the next run knows that the entry may be gone; the lease is still ours; trust policy, role ID and ignore tag once more |
//! | 8 | 10 | entry, policies, and nothing else | the owner's last will |
//! | 9 | 11 | `DeleteAccessEntry` | |
//! | 10 | 12 | `PutItem` (creation marked), role | after a cut, whose an entry like the snapshot is; the role directly before the creation |
//! | 11 | 13 | `CreateAccessEntry` | |
//! | 12 | 14 | `PutItem` (created ARN), cluster, entry, policies, role | the role directly after the creation; an owner's deletion can be told from a lost reply; it shows |
//! | | 15, 16 | `AssociateAccessPolicy`, one after another | |
//! | | 17 | cluster, entry, policies, role | whole, and bound to the permitted role |
//! | 13 | 18 | `PutItem` (recorded) | |
//! | 14 | 19 | `PutMetricData` | the report uses what was read |
//!
//! Never merged, whatever it would gain: the opening of the row with the mark of the deletion; the mark of the deletion with the
//! mark of the creation; the look before the deletion with anything else; the role's read after the creation with the one before
//! it. Associations go one after another, since no document says what two changes of one entry at once do. The rehearsed
//! creation never goes beside a change of the same entry, since its "in use" must mean the entry.
//!
//! # What EKS gives no means to see
//!
//! These five gaps are EKS's own. The tests except them; `explore/judge.rs` says what each of them takes in.
//!
//! 1. What an owner changes in the turn of the deletion, or in the turn of the look before it.
//! 2. A scope that an owner changes, or an entry that another party replaces, between our list of its policies and our association.
//! 3. A rehearsed creation that meets an owner's deletion creates an entry. It is withdrawn. If the invocation is cut first, the
//!    next one holds that entry and archives the row: it never calls the entry good. The same holds if somebody changes it, or if
//!    a role takes the name that nobody lets in.
//! 4. A role that is recreated between its last read and the creation: the entry stands until it is withdrawn. If IAM shows the
//!    role before it to every later read, it is recorded, and the next run finds the contradiction. What an owner changes on that
//!    entry goes with it if the ledger cannot be written: whom nobody permitted comes first.
//! 5. What becomes of a deletion or creation of which nobody was told: an owner's deletion after it; another party's entry that
//!    is exactly what we sent, with no policy yet, which is taken for ours; our own entry that its owner changed, which is taken
//!    for another party's (held, if the role is one that nobody lets in; a later archive may take the place of the one that has
//!    the rest); and a creation that met a later cluster of the name,
//!    which is held.

mod breaker;
mod calls;
mod compare;
mod converge;
mod decide;
mod first;
mod gate;
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

use std::pin::pin;

use futures::stream::{self, Stream, StreamExt as _};
use tokio::sync::Semaphore;

use crate::app::Run;
use crate::case::{Case, Purpose, looked_at};
use crate::config::Mode;
use crate::outcome::{Delay, Doubt, Outcome};
use crate::record::record_fresh;
use crate::row::{NotWritten, Row};
use crate::verdict::Verdict;
use reconciler::Reconciler;

/// How often an entry is looked at again when it changes under our hands.
const LOOKS: u32 = 3;

/// Records written side by side.
const RECORDS_AT_ONCE: usize = 8;

/// Works on all cases as they come; each ends with its outcome.
pub async fn attend(run: &Run<'_>, cases: impl Stream<Item = Case>, purpose: &Purpose) -> Vec<Case> {
    if *purpose == Purpose::Check {
        let look = |mut case: Case| {
            case.outcome = looked_at(&case.verdict);
            case
        };
        return cases.map(look).collect().await;
    }
    let mut done = Box::pin(work(run, cases, purpose)).await;
    done.iter_mut().for_each(Case::name_who_waits);
    done
}

/// Each case is begun when it comes, whatever the look at other Regions is waiting for. How many changes are under way is the
/// Regions' business, and who deletes first the [`gate`]'s.
async fn work(run: &Run<'_>, cases: impl Stream<Item = Case>, purpose: &Purpose) -> Vec<Case> {
    let reconciler = &Reconciler::new(run, purpose);
    let records = &Semaphore::new(RECORDS_AT_ONCE);
    let one = |case: Case| async move {
        if case.ignore_tag().is_some() {
            return Some(ignore(run, case).await);
        }
        if is_settled(&case, purpose) {
            // Never closed; without a permit the record would merely go unbounded.
            let _permit = records.acquire().await;
            return Some(record_fresh(run, case).await);
        }
        reconciler.work_on(case).await
    };
    let (mut done, mut under_way) = (Vec::new(), stream::FuturesUnordered::new());
    let mut cases = pin!(cases);
    loop {
        tokio::select! {
            next = cases.next() => match next {
                Some(case) => under_way.push(one(case)),
                None => break,
            },
            Some(case) = under_way.next() => done.extend(case),
        }
    }
    done.extend(under_way.filter_map(std::future::ready).collect::<Vec<_>>().await);
    // A sweep finishes what stopped the others, if nothing else did.
    if run.is_sweep {
        // A breaker that cannot be read stops nothing that is not there.
        let _ = reconciler.finish_what_tripped(None).await;
    }
    done.extend(reconciler.tripped());
    done
}

/// Whether nothing is to be changed: there is no unfinished repair, and the entry is fresh or cannot be judged.
fn is_settled(case: &Case, purpose: &Purpose) -> bool {
    let settled = match (&case.verdict, purpose) {
        // Of a restore beside a good entry it is told why nothing was done.
        (Verdict::Undecided(Doubt::RecordContradictsDates), Purpose::Approve { .. })
        | (Verdict::Fresh(_), Purpose::Restore { .. }) => false,
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
    if let Err(NotWritten::Unavailable(fault)) = closed {
        case.note = Some(Delay::LedgerUnavailable(fault).explain());
    }
    case
}
