//! The entry whose re-creation was refused after its deletion: tried first by every run, and while it is not back,
//! nothing else is deleted.

use std::sync::atomic::Ordering;

use super::reconciler::Reconciler;
use crate::case::{Case, Purpose};
use crate::fault::Fault;
use crate::ledger::Breaker;
use crate::model::{Principal, RoleState};
use crate::outcome::{Delay, Outcome};
use crate::row::RowRead;
use crate::sighting::Sighting;
use crate::verdict::judge;

impl Reconciler<'_> {
    /// Works on a case after the entry that stopped all others, if there is one. `None` if the case is of that entry and was
    /// worked on already.
    pub(super) async fn work_on(&self, mut case: Case) -> Option<Case> {
        match Box::pin(self.finish_what_tripped(Some(&case))).await {
            Err(fault) => case.outcome = Outcome::deferred(Delay::LedgerUnavailable(fault)),
            Ok(Some(done)) if is_same(&done.sighting, &case.sighting) => return None,
            Ok(_) => case = Box::pin(self.reconcile(case)).await,
        }
        Some(case)
    }

    /// Tries the entry that tripped the breaker before everything else: `case`, if it is of that entry. While it is not back,
    /// nothing else is deleted. Done once; whoever comes meanwhile waits for it.
    ///
    /// # Errors
    /// If the breaker could not be read.
    pub(super) async fn finish_what_tripped(&self, case: Option<&Case>) -> Result<Option<&Case>, Fault> {
        let tripped = self.tripped.get_or_init(|| async {
            let Some(breaker) = self.run.breaker().await? else { return Ok(None) };
            let done = Box::pin(self.try_again(&breaker, case)).await;
            let is_back = done
                .as_ref()
                .is_none_or(|case| !case.outcome.is_incomplete() && !matches!(case.outcome, Outcome::Held(_)));
            if !is_back || self.run.ledger().reset(&breaker).await.is_err() {
                self.halted.store(true, Ordering::SeqCst);
            }
            Ok(done.map(Box::new))
        });
        Box::pin(tripped).await.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// The entry that tripped the breaker, worked on.
    pub(super) fn tripped(&self) -> Option<Case> {
        self.tripped.get()?.as_ref().ok()?.as_deref().cloned()
    }

    async fn try_again(&self, breaker: &Breaker, case: Option<&Case>) -> Option<Case> {
        let is_it = |case: &&Case| {
            case.sighting.principal.role() == Some(&breaker.principal) && case.sighting.at == breaker.cluster
        };
        if let Some(case) = case.filter(is_it) {
            return Some(Box::pin(self.reconcile(case.clone())).await);
        }
        let case = Box::pin(self.look_at(breaker)).await?;
        if matches!(self.purpose, Purpose::Act { .. }) {
            return Some(Box::pin(self.reconcile(case)).await);
        }
        // What a person asked for was asked for another entry.
        let plain = Purpose::Act { creators: Vec::new() };
        let alone = Reconciler::new(self.run, &plain);
        Some(Box::pin(alone.reconcile(case)).await)
    }

    async fn look_at(&self, breaker: &Breaker) -> Option<Case> {
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

fn is_same(one: &Sighting, other: &Sighting) -> bool {
    one.at == other.at && one.principal == other.principal
}
