//! Removal of an entry whose role is gone: the first half of a repair, with the ledger's archive for an end.
//!
//! A removal cannot be rehearsed, so what could not be created again is never removed; and the role has to stay away
//! for `SETTLE_SECONDS`, by reads made after the entry was read.

use super::Case;
use super::crew::{Crew, Wait, held};
use std::sync::atomic::Ordering;

use crate::aws::fault::FaultKind;
use crate::discovery::{Examined, Sighting};
use crate::guardrail::{self, Refusal};
use crate::ledger::{Row, State};
use crate::model::{Cluster, RoleArn, RoleState};
use crate::outcome::{Outcome, Reason};

impl Crew<'_> {
    /// Archives and deletes an orphaned entry; `false` asks to judge anew.
    pub(super) async fn remove(&self, case: &mut Case, principal: &RoleArn) -> bool {
        let run = self.run;
        let before = case.sighting.clone();
        let (Some(cluster), Some(examined)) = (&before.cluster, &before.entry) else { return true };
        match guardrail::review_removal(run.config(), principal, &examined.snapshot(), cluster) {
            Ok(()) => {}
            Err(Refusal::Observed) => {
                case.outcome = Outcome::WouldRemove;
                return true;
            }
            Err(refusal) => {
                case.outcome = held(refusal);
                return true;
            }
        }
        if let Some(outcome) = self.may_not_begin() {
            case.outcome = outcome;
            return true;
        }
        let is_done = Box::pin(self.archive_and_delete(case, principal, &before, examined, cluster)).await;
        if !matches!(case.outcome, Outcome::Removed(_) | Outcome::Failed(_)) {
            self.begun.fetch_sub(1, Ordering::SeqCst);
        }
        is_done
    }

    async fn archive_and_delete(
        &self,
        case: &mut Case,
        principal: &RoleArn,
        before: &Sighting,
        examined: &Examined,
        cluster: &Cluster,
    ) -> bool {
        let run = self.run;
        // IAM answers eventually: one "no such role" may be a replica that lags.
        if let Wait::TooLong(_) = self.wait_for(before.role_read_at + run.config().settle, run.now()).await {
            case.outcome = Outcome::deferred(Reason::TooLittleTime);
            return true;
        }
        let mut sighting = before.clone();
        if let Err(outcome) = Box::pin(self.refresh(&mut sighting, principal)).await {
            case.outcome = outcome;
            return true;
        }
        if !is_unchanged(before, &sighting) {
            return false;
        }
        let snapshot = examined.snapshot();
        let mut row = Row::recorded(principal, &before.at, cluster.created_at, &examined.entry.arn, snapshot);
        row.version = sighting.row.version();
        let was_archived = sighting.row.row().is_some_and(|there| {
            there.state == State::Archived
                && there.access_entry_arn == examined.entry.arn
                && there.deletion_sent_at.is_some()
        });
        let archived = sighting.row.row().filter(|there| there.state == State::Archived);
        row.superseded = archived.map(|there| Box::new(there.clone()));
        let before_it = archived.cloned();
        if let Some(there) = sighting.row.row() {
            row.role_id = there.role_id.clone();
            row.verified_at = there.verified_at;
        }
        row.archive(Reason::RoleDeleted.label(), run.now());
        row.deletion_sent_at = Some(run.now());
        // Tells this row from one that another invocation writes at the same moment: only its own may it forget.
        row.lease_owner = Some(run.owner.clone());
        if let Err(problem) = run.ledger().write(&mut row).await {
            case.outcome = Outcome::deferred(problem.reason());
            return true;
        }
        // Read once more: the role must be absent after the entry was last seen.
        let role = run.app.aws.get_role(principal.name()).await;
        if role.of(principal) != RoleState::Absent {
            let before_it = before_it.map(|before| Row { version: row.version, ..before });
            let _ = run.ledger().replace(&mut row, before_it).await;
            return false;
        }
        case.outcome = match run.eks(&before.at.region).delete_access_entry(&before.at.name, principal.as_str()).await {
            Ok(()) => Outcome::Removed(Reason::RoleDeleted),
            // Our own deletion of an earlier try has arrived.
            Err(fault) if fault.kind == FaultKind::NotFound && was_archived => Outcome::Removed(Reason::RoleDeleted),
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let before_it = before_it.map(|before| Row { version: row.version, ..before });
                let _ = run.ledger().replace(&mut row, before_it).await;
                Outcome::None(Some(Reason::DeletedByOwner))
            }
            Err(fault) => Outcome::Failed(Reason::AwsError { because: fault.to_string() }),
        };
        true
    }
}

fn is_unchanged(before: &Sighting, now: &Sighting) -> bool {
    let same_cluster = match (&before.cluster, &now.cluster) {
        (Some(before), Some(now)) => before.created_at == now.created_at && before.tags == now.tags,
        _ => false,
    };
    same_cluster && now.role == RoleState::Absent && before.entry == now.entry && before.row == now.row
}
