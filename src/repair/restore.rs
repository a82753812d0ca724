//! Restoring: an archived entry, or one whose repair is not finished, is created because a person asked for it, for the
//! role ID that they named.

use super::reconciler::{Reconciler, held, state_of};
use crate::case::Case;
use crate::model::{RoleArn, RoleId, RoleState};
use crate::outcome::{Delay, Doubt, Outcome};
use crate::row::{Before, Permitted, Phase, Repair, State, Target};

impl Reconciler<'_> {
    /// Creates a missing entry from the ledger; `None` asks to read and judge again.
    pub(super) async fn restore(&self, case: &mut Case, principal: &RoleArn, role_id: &RoleId) -> Option<Outcome> {
        let run = self.run;
        if case.sighting.entry.is_some() && case.sighting.row.open().is_none() {
            case.note = Some("There is an entry; nothing was restored. If it is stale, approve its repair.".to_owned());
            return Some(Outcome::None);
        }
        if let RoleState::Unreadable { because, may_pass } = &case.sighting.role {
            return Some(Outcome::Undecided(Doubt::RoleUnreadable { because: because.clone(), may_pass: *may_pass }));
        }
        let state = state_of(&case.sighting).filter(|state| !matches!(state, State::Recorded(_)));
        let (Some(state), Some(cluster), RoleState::Present(role)) =
            (state.cloned(), case.sighting.cluster.clone(), case.sighting.role.clone())
        else {
            case.note =
                Some("There is no archived or unfinished row, no cluster or no role to restore it for.".to_owned());
            return Some(Outcome::None);
        };
        let mut repair = match state {
            State::Repairing(repair) if repair.is_leased_to_other(&run.owner, run.now()) => {
                return Some(Outcome::Deferred { delay: Delay::LeaseTaken, deletion_sent: repair.may_have_deleted() });
            }
            State::Repairing(repair) => *repair,
            State::Archived(archived) => Repair {
                wanted: archived.wanted.clone(),
                cluster_created_at: cluster.created_at,
                permitted: Permitted { role_id: role_id.clone(), grounds: String::new() },
                target: Target::None(archived.entry_arn.clone()),
                before: Before::Restore(Some(archived)),
                phase: Phase::DeletionSent { at: run.now() },
                role_absent_since: None,
                lease: None,
            },
            State::Recorded(_) => return Some(Outcome::None),
        };
        let permit = match self.review_for(principal, &repair.wanted, &cluster, &role) {
            Ok(permit) => permit,
            Err(refusal) => return Some(held(refusal)),
        };
        repair.permitted = Permitted { role_id: permit.role_id().clone(), grounds: permit.grounds().to_owned() };
        if repair.phase == Phase::Opened && case.sighting.entry.is_none() {
            // There is nothing to rehearse against, and nothing to delete.
            repair.target = Target::None(repair.target.arn().to_owned());
            repair.before = Before::Restore(None);
            repair.phase = Phase::DeletionSent { at: run.now() };
        }
        repair.role_absent_since = None;
        let deletion_sent = repair.may_have_deleted();
        match Box::pin(self.take(case, principal, repair, permit)).await? {
            Ok(Outcome::Repaired) => Some(Outcome::Restored),
            Ok(outcome) => Some(outcome),
            Err(problem) => Some(Outcome::Deferred { delay: problem.reason(), deletion_sent }),
        }
    }
}
