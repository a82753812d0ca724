//! What stands still with the entries of an invocation: read beside the work on them, and never in its way.
//!
//! Which resources use a role is told by `impact`. Here is decided when they are read: while the entries are worked on. When
//! the work ends, what was not read is left out. An invocation that changes nothing has no work that anybody waits for, so
//! it may wait a little for this.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use futures::future::{Either, join, maybe_done, select};
use futures::stream::{FuturesUnordered, StreamExt as _};

use crate::app::Run;
use crate::case::{Case, Purpose};
use crate::impact::{UserKind, Users};
use crate::limits::LONGEST_FOR_IMPACT;
use crate::model::{ClusterRef, EntryType};
use crate::outcome::Outcome;
use crate::repair::attend;

/// The users of roles in some clusters, as far as they were read.
#[derive(Default)]
struct Affected(BTreeMap<ClusterRef, (BTreeSet<EntryType>, Mutex<Users>)>);

/// Works on all cases, and shows of each what stands still with it, as far as that is known when the work ends.
pub(crate) async fn attend_and_show(run: &Run<'_>, cases: Vec<Case>, purpose: &Purpose) -> Vec<Case> {
    let at_first = Affected::of(cases.iter().filter(|case| is_due(case, run)));
    let mut read = pin!(maybe_done(at_first.read(run)));
    let work = pin!(Box::pin(attend(run, cases, purpose)));
    let mut cases = match select(work, read.as_mut()).await {
        Either::Left((cases, _)) => cases,
        Either::Right(((), work)) => work.await,
    };
    let unseen = |case: &&Case| is_due(case, run) && !at_first.0.contains_key(&case.sighting.at);
    let later = Affected::of(cases.iter().filter(unseen));
    if cases.iter().all(|case| changes_nothing(&case.outcome)) {
        let time = run.until(run.deadline).min(LONGEST_FOR_IMPACT);
        // What was not read until then is left out.
        let _ = tokio::time::timeout(time, join(read.as_mut(), later.read(run))).await;
    }
    for case in cases.iter_mut().filter(|case| is_due(case, run)) {
        let read = at_first.0.get(&case.sighting.at).or_else(|| later.0.get(&case.sighting.at));
        if let Some((_, users)) = read {
            let users = users.lock().unwrap_or_else(PoisonError::into_inner);
            case.show_impact(&users, run.now());
        }
    }
    cases
}

/// Whether what stands still with an entry is to be read. A sweep lists archived entries without a call more.
fn is_due(case: &Case, run: &Run<'_>) -> bool {
    case.has_impact() && case.sighting.cluster.is_some() && !(run.is_sweep && case.sighting.is_archived())
}

/// Whether nothing was changed, and nothing waits for a change.
fn changes_nothing(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::None
        | Outcome::Undecided(_)
        | Outcome::Preceded(_)
        | Outcome::WouldRepair
        | Outcome::Held(_)
        | Outcome::WouldRemove
        | Outcome::Reported => true,
        Outcome::Repaired | Outcome::Removed(_) | Outcome::Restored | Outcome::Deferred { .. } | Outcome::Failed(_) => {
            false
        }
    }
}

impl Affected {
    fn of<'a>(cases: impl Iterator<Item = &'a Case>) -> Self {
        let mut affected = Self::default();
        for case in cases {
            let (kinds, _) = affected.0.entry(case.sighting.at.clone()).or_default();
            kinds.extend(case.sighting.snapshot().map(|snapshot| snapshot.kind));
        }
        affected
    }

    /// Reads them all, for as long as it is waited for.
    async fn read(&self, run: &Run<'_>) {
        let reads = FuturesUnordered::new();
        for (at, (kinds, users)) in &self.0 {
            let first: Vec<UserKind> = kinds.iter().filter_map(UserKind::entering_by).collect();
            reads.push(async move { run.eks_aside(&at.region).read_users(&at.name, &first, users).await });
        }
        reads.collect::<()>().await;
    }
}
