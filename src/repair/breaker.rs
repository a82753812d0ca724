//! The entry whose re-creation was refused after its deletion: tried first by every run, and while it is not back,
//! nothing else is deleted.

use std::sync::atomic::Ordering;

use super::reconciler::Reconciler;
use crate::case::{Case, Purpose};
use crate::ledger::Breaker;
use crate::model::{Principal, RoleState};
use crate::outcome::Outcome;
use crate::row::RowRead;
use crate::sighting::Sighting;
use crate::verdict::judge;

impl Reconciler<'_> {
    /// Tries the entry that tripped the breaker first. While it is not back, nothing else is deleted.
    pub(super) async fn finish_what_tripped(&self, breaker: Option<Breaker>, due: Vec<Case>) -> (Vec<Case>, Vec<Case>) {
        let Some(breaker) = breaker else { return (Vec::new(), due) };
        let is_it = |case: &Case| {
            case.sighting.principal.role() == Some(&breaker.principal) && case.sighting.at == breaker.cluster
        };
        let (its, rest): (Vec<Case>, Vec<Case>) = due.into_iter().partition(is_it);
        let mut done = Vec::new();
        if its.is_empty() {
            // Whatever a person asked for was asked for another entry.
            let plain = Purpose::Act { creators: Vec::new() };
            let alone = Reconciler::new(self.run, &plain);
            if let Some(case) = Box::pin(alone.look_at(&breaker)).await {
                done.push(Box::pin(alone.reconcile(case)).await);
            }
        }
        for case in its {
            done.push(Box::pin(self.reconcile(case)).await);
        }
        let is_open = done.iter().any(|case| case.outcome.is_incomplete() || matches!(case.outcome, Outcome::Held(_)));
        if !is_open && self.run.ledger().reset(&breaker).await.is_ok() {
            return (done, rest);
        }
        self.halted.store(true, Ordering::SeqCst);
        (done, rest)
    }

    pub(super) async fn look_at(&self, breaker: &Breaker) -> Option<Case> {
        let run = self.run;
        let row = run.ledger().row(breaker.principal.as_str(), &breaker.cluster, run.now()).await;
        // Whoever closed the row has dealt with it; a row that cannot be read or followed is not closed.
        let is_closed = match &row {
            RowRead::Absent | RowRead::Expired(_) => true,
            RowRead::Row(row) => row.repair().is_none(),
            RowRead::Unfit(..) | RowRead::Invalid(_) | RowRead::Unavailable(_) => false,
        };
        if is_closed {
            return None;
        }
        let mut sighting = Sighting {
            at: breaker.cluster.clone(),
            cluster: None,
            principal: Principal::Role(breaker.principal.clone()),
            entry: None,
            row,
            role: RoleState::unread("it was not asked for"),
            role_read_at: run.now(),
        };
        Box::pin(self.refresh(&mut sighting, &breaker.principal)).await.ok();
        let verdict = judge(&sighting, &run.invocation.home);
        Some(Case::new(sighting, verdict))
    }
}
