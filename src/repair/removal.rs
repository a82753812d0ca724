//! Removal of an entry whose role is gone: the first half of a repair, with the ledger's archive for an end.
//!
//! A removal cannot be rehearsed, so what could not be created again is never removed; and the role has to stay away
//! for `SETTLE_SECONDS`, by reads made after the entry was read.

use super::calls::{Calls as _, examined};
use super::reconciler::{Reconciler, Wait, held};
use crate::case::Case;
use crate::fault::FaultKind;
use crate::guardrail::{self, Refusal, RemovalPermit};
use crate::model::{Cluster, RoleArn, RoleState};
use crate::outcome::{Delay, Failure, Gone, Outcome, Precedence};
use crate::row::{Archived, Row, State};
use crate::sighting::{Examined, Sighting};

impl Reconciler<'_> {
    /// Archives and deletes an orphaned entry; `None` asks to read and judge again.
    pub(super) async fn remove(&self, case: &mut Case, principal: &RoleArn) -> Option<Outcome> {
        let run = self.run;
        let before = case.sighting.clone();
        let (Some(cluster), Some(examined)) = (&before.cluster, &before.entry) else {
            return Some(case.outcome.clone());
        };
        let permit = match guardrail::review_removal(run.config(), principal, &examined.snapshot(), cluster) {
            Ok(permit) => permit,
            Err(Refusal::Observed) => return Some(Outcome::WouldRemove),
            Err(refusal) => return Some(held(refusal)),
        };
        let place = match self.begin() {
            Ok(place) => place,
            Err(outcome) => return Some(outcome),
        };
        let outcome = Box::pin(self.archive_and_delete(&permit, principal, &before, examined, cluster)).await;
        if matches!(outcome, Some(Outcome::Removed(_) | Outcome::Failed(_))) {
            place.use_up();
        }
        outcome
    }

    async fn archive_and_delete(
        &self,
        permit: &RemovalPermit,
        principal: &RoleArn,
        before: &Sighting,
        entry: &Examined,
        cluster: &Cluster,
    ) -> Option<Outcome> {
        let run = self.run;
        // IAM answers eventually: one "no such role" may be a replica that lags.
        if let Wait::TooLong(_) = self.wait_for(before.role_read_at + run.config().settle, run.now()).await {
            return Some(Outcome::deferred(Delay::TooLittleTime));
        }
        let mut sighting = before.clone();
        if let Err(outcome) = Box::pin(self.refresh(&mut sighting, principal)).await {
            return Some(outcome);
        }
        if !is_unchanged(before, &sighting) {
            return None;
        }
        let there = sighting.row.row();
        let was_sent_before = there
            .and_then(|row| row.archived())
            .is_some_and(|archived| archived.entry_arn == entry.entry.arn && archived.removal.is_some());
        let archived = Archived::of_removal(
            &entry.snapshot(),
            &entry.entry.arn,
            cluster.created_at,
            there,
            Gone::RoleDeleted.label(),
            &run.owner,
            run.now(),
        );
        let state = State::Archived(Box::new(archived));
        let mut row = Row::new(principal, &before.at, sighting.row.version(), state);
        let live = self.live(principal, before);
        // Beside the write, that it is still the same cluster; after it, the entry and the role once more, in a turn of
        // their own.
        let (written, now) = futures::future::join(run.ledger().write(&mut row), live.cluster()).await;
        if let Err(problem) = written {
            return Some(Outcome::deferred(problem.reason()));
        }
        let kind = entry.entry.kind.clone();
        let (seen, role) = futures::future::join(examined(&live, &kind), live.role()).await;
        let is_same_cluster = now.as_ref().is_ok_and(|now| {
            now.as_ref().is_some_and(|now| now.created_at == cluster.created_at && now.tags == cluster.tags)
        });
        let is_same = is_same_cluster && seen.as_ref().is_ok_and(|seen| seen.as_ref() == Some(entry));
        if !is_same || role != RoleState::Absent {
            let _ = self.give_up(&row, there).await;
            let fault = now.err().or(seen.err());
            return fault.map(|fault| Outcome::Failed(Failure::AwsError(fault)));
        }
        Some(match run.eks_changes(&before.at.region).remove_access_entry(permit).await {
            Ok(()) => Outcome::Removed(Gone::RoleDeleted),
            // Our own deletion of an earlier try has arrived.
            Err(fault) if fault.kind == FaultKind::NotFound && was_sent_before => Outcome::Removed(Gone::RoleDeleted),
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let _ = self.give_up(&row, there.filter(|row| row.archived().is_some())).await;
                Outcome::Preceded(Precedence::DeletedByOwner { was_ours: false })
            }
            Err(fault) => Outcome::Failed(Failure::AwsError(fault)),
        })
    }

    /// Nothing is deleted: the ledger says again what it said before.
    async fn give_up(&self, row: &Row, before: Option<&Row>) -> Result<(), crate::row::NotWritten> {
        match before {
            Some(before) => self.run.ledger().write(&mut Row { version: row.version, ..before.clone() }).await,
            None => self.run.ledger().forget(row).await,
        }
    }
}

fn is_unchanged(before: &Sighting, now: &Sighting) -> bool {
    let same_cluster = match (&before.cluster, &now.cluster) {
        (Some(before), Some(now)) => before.created_at == now.created_at && before.tags == now.tags,
        _ => false,
    };
    same_cluster && now.role == RoleState::Absent && before.entry == now.entry && before.row == now.row
}
