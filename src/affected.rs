//! What stands still with the entries of an invocation: read beside the work on them, and never in its way.
//!
//! Which resources use a role is told by `impact`. Here is decided when they are read: while the entries are worked on. When
//! the work ends, what was not read is left out. An invocation that changes nothing has no work that anybody waits for, so
//! it may wait a little for this.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::stream::{Stream, StreamExt as _};

use crate::app::Run;
use crate::case::{Case, Purpose};
use crate::impact::{UserKind, Users};
use crate::limits::LONGEST_FOR_IMPACT;
use crate::lock::lock;
use crate::model::ClusterRef;
use crate::outcome::Outcome;
use crate::repair::attend;

/// A cluster whose users of roles are to be read, those of `first` before the others.
struct Due {
    at: ClusterRef,
    first: Option<UserKind>,
    users: Arc<Mutex<Users>>,
}

/// The users of roles in the clusters that were asked about, as far as they were read.
struct Affected<'a> {
    run: &'a Run<'a>,
    asked: mpsc::UnboundedSender<Due>,
    clusters: Mutex<BTreeMap<ClusterRef, Arc<Mutex<Users>>>>,
}

/// Works on all cases as they come, and shows of each what stands still with it, as far as that is known when the work ends.
pub(crate) async fn attend_and_show(run: &Run<'_>, cases: impl Stream<Item = Case>, purpose: &Purpose) -> Vec<Case> {
    let (asked, due) = mpsc::unbounded();
    let affected = Affected { run, asked, clusters: Mutex::default() };
    let mut reads = pin!(due.for_each_concurrent(None, |due: Due| async move {
        let first: Vec<UserKind> = due.first.into_iter().collect();
        run.eks_aside(&due.at.region).read_users(&due.at.name, &UserKind::beginning_with(&first), &due.users).await;
    }));
    let work = pin!(Box::pin(attend(run, cases.inspect(|case| affected.ask_about(case)), purpose)));
    let mut cases = match select(work, reads.as_mut()).await {
        Either::Left((cases, _)) => cases,
        Either::Right(((), work)) => work.await,
    };
    if cases.iter().all(|case| changes_nothing(&case.outcome)) {
        for case in &cases {
            affected.ask_about(case);
        }
        affected.asked.close_channel();
        // What was not read until then is left out.
        let _ = tokio::time::timeout(run.until(run.deadline).min(LONGEST_FOR_IMPACT), reads).await;
    }
    for case in &mut cases {
        affected.show(case);
    }
    cases
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

impl Affected<'_> {
    /// Whether what stands still with an entry is to be shown. A sweep lists archived entries without a call more.
    fn is_due(&self, case: &Case) -> bool {
        let sighting = &case.sighting;
        case.has_impact() && sighting.cluster.is_some() && !(self.run.is_sweep && sighting.is_archived())
    }

    /// Has the case's cluster read, once.
    fn ask_about(&self, case: &Case) {
        let sighting = &case.sighting;
        if !self.is_due(case) {
            return;
        }
        let mut clusters = lock(&self.clusters);
        if clusters.contains_key(&sighting.at) {
            return;
        }
        let users = Arc::clone(clusters.entry(sighting.at.clone()).or_default());
        let first = sighting.snapshot().and_then(|snapshot| UserKind::entering_by(&snapshot.kind));
        // Nobody listens any more: what is not read is left out.
        let _ = self.asked.unbounded_send(Due { at: sighting.at.clone(), first, users });
    }

    fn show(&self, case: &mut Case) {
        if self.is_due(case) {
            let clusters = lock(&self.clusters);
            let users = clusters.get(&case.sighting.at).cloned().unwrap_or_default();
            case.show_impact(&lock(&users), self.run.now());
        }
    }
}
