//! What stands still with the entries of an invocation: read beside the work on them, and never in its way.
//!
//! Which resources use a role is told by `impact`. Here is decided when they are read: while the entries are worked on. When
//! the work ends, what was not read is left out. An invocation that changes nothing has no work that anybody waits for, so
//! it may wait a little for this.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc;
use futures::future::{Either, join, maybe_done, select};
use futures::stream::{FuturesUnordered, Stream, StreamExt as _};

use crate::app::Run;
use crate::case::{Case, Purpose};
use crate::impact::{UserKind, Users};
use crate::limits::LONGEST_FOR_IMPACT;
use crate::model::ClusterRef;
use crate::outcome::Outcome;
use crate::repair::attend;

/// The users of roles in some clusters, as far as they were read.
#[derive(Default)]
struct Affected(Mutex<BTreeMap<ClusterRef, Arc<Mutex<Users>>>>);

/// A cluster that is to be read: the kind that the entry met first is for, and where what is read goes.
type Due = (ClusterRef, Vec<UserKind>, Arc<Mutex<Users>>);

/// Works on all cases as they come, and shows of each what stands still with it, as far as that is known when the work ends.
pub(crate) async fn attend_and_show(run: &Run<'_>, cases: impl Stream<Item = Case>, purpose: &Purpose) -> Vec<Case> {
    let affected = Affected::default();
    let (due, clusters) = mpsc::unbounded();
    let met = |case: &Case| {
        // Nobody reads any more if the work has ended.
        let _ = affected.meets(case, run).map(|cluster| due.unbounded_send(cluster));
    };
    // The channel ends with the cases.
    let work = async move { attend(run, cases.inspect(met), purpose).await };
    let read = clusters.for_each_concurrent(None, |cluster| read(run, cluster));
    let mut read = pin!(maybe_done(read));
    let mut cases = match select(pin!(Box::pin(work)), read.as_mut()).await {
        Either::Left((cases, _)) => cases,
        Either::Right(((), work)) => work.await,
    };
    let later: FuturesUnordered<_> =
        cases.iter().filter_map(|case| affected.meets(case, run)).map(|cluster| self::read(run, cluster)).collect();
    if cases.iter().all(|case| changes_nothing(&case.outcome)) {
        let time = run.until(run.deadline).min(LONGEST_FOR_IMPACT);
        // What was not read until then is left out.
        let _ = tokio::time::timeout(time, join(read.as_mut(), later.collect::<()>())).await;
    }
    for case in cases.iter_mut().filter(|case| is_due(case, run)) {
        let users = lock(&affected.0).get(&case.sighting.at).cloned();
        if let Some(users) = users {
            case.show_impact(&lock(&users), run.now());
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
    /// The case's cluster, if it is to be read and was not met before.
    fn meets(&self, case: &Case, run: &Run<'_>) -> Option<Due> {
        let at = &case.sighting.at;
        if !is_due(case, run) || lock(&self.0).contains_key(at) {
            return None;
        }
        let users = Arc::new(Mutex::new(Users::default()));
        lock(&self.0).insert(at.clone(), Arc::clone(&users));
        let first = case.sighting.snapshot().and_then(|snapshot| UserKind::entering_by(&snapshot.kind));
        Some((at.clone(), first.into_iter().collect(), users))
    }
}

/// Reads a cluster, for as long as it is waited for.
async fn read(run: &Run<'_>, (at, first, users): Due) {
    run.eks_aside(&at.region).read_users(&at.name, &first, &users).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
