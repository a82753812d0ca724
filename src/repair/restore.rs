//! Restoring: what was put away, or never came back, is created at a person's word for the role ID that he names.

use super::Case;
use super::crew::{Crew, held, open};
use crate::guardrail::Asked;
use crate::ledger::State;
use crate::model::{RoleArn, RoleId, RoleState};
use crate::outcome::{Outcome, Reason};

impl Crew<'_> {
    /// Creates a missing entry from the ledger, at a person's word.
    pub(super) async fn restore(&self, case: &mut Case, principal: &RoleArn, role_id: &RoleId) -> bool {
        let run = self.run;
        if case.sighting.entry.is_some() && case.sighting.row.open().is_none() {
            case.note = Some("There is an entry; nothing was restored. If it is stale, approve its repair.".to_owned());
            case.outcome = Outcome::nothing();
            return true;
        }
        if let RoleState::Unreadable { because, may_pass } = &case.sighting.role {
            case.outcome =
                Outcome::None(Some(Reason::RoleUnreadable { because: because.clone(), may_pass: *may_pass }));
            return true;
        }
        let row = case.sighting.row.row().filter(|row| row.state != State::Recorded).cloned();
        let (Some(mut row), Some(cluster), RoleState::Present(role)) =
            (row, case.sighting.cluster.clone(), case.sighting.role.clone())
        else {
            case.note =
                Some("There is no archived or unfinished row, no cluster or no role to restore it for.".to_owned());
            case.outcome = Outcome::nothing();
            return true;
        };
        if row.state == State::Repairing && row.is_leased_to_other(&run.owner, run.now()) {
            case.outcome = Outcome::Deferred { reason: Reason::LeaseTaken, deletion_sent: true };
            return true;
        }
        let asked = Asked::ByApprover { role_id: role_id.clone() };
        let permit = match self.review_for(principal, &row.snapshot, &cluster, &role, &asked) {
            Ok(permit) => permit,
            Err(refusal) => {
                case.outcome = held(refusal);
                return true;
            }
        };
        if row.state == State::Archived {
            row.forget_progress();
            row.is_restore = true;
            row.is_own_entry = false;
            row.cluster_created_at = cluster.created_at;
            row.archived_at = None;
            row.archived_because = None;
            row.expires_at = None;
        }
        if case.sighting.entry.is_none() {
            // There is nothing to rehearse against, and nothing to delete.
            row.deletion_sent_at.get_or_insert(run.now());
        }
        row.role_absent_since = None;
        open(&mut row, &permit);
        let ends = match self.take(&mut row, true).await {
            Ok(ends) => ends,
            Err(outcome) => {
                case.outcome = outcome;
                return true;
            }
        };
        let ended = Box::pin(self.converge(case, principal, row, ends, None)).await;
        if case.outcome == Outcome::Repaired {
            case.outcome = Outcome::Restored;
        }
        ended
    }
}
