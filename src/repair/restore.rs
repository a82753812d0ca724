//! Restoring: an archived entry, or one whose repair is not finished, is created because a person asked for it, for the
//! role ID that they named.

use super::reconciler::{Reconciler, Wait, held, state_of};
use crate::case::Case;
use crate::model::{RoleArn, RoleId, RoleState};
use crate::outcome::{Delay, Doubt, Outcome};
use crate::row::{Before, Permitted, Phase, Repair, Row, State, Target};

impl Reconciler<'_> {
    /// Creates a missing entry from the ledger; `None` asks to read and judge again.
    pub(super) async fn restore(&self, case: &mut Case, principal: &RoleArn, role_id: &RoleId) -> Option<Outcome> {
        let run = self.run;
        if case.sighting.entry.is_some() && case.sighting.row.open().is_none() {
            case.note = Some(why_nothing_is_restored(case));
            return Some(Outcome::None);
        }
        if let RoleState::Unreadable(fault) = &case.sighting.role {
            return Some(Outcome::Undecided(Doubt::RoleUnreadable(fault.clone())));
        }
        let state = state_of(&case.sighting).filter(|state| !matches!(state, State::Recorded(_)));
        let (state, cluster, role) = match (state.cloned(), case.sighting.cluster.clone(), case.sighting.role.clone()) {
            (Some(state), Some(cluster), RoleState::Present(role)) => (state, cluster, role),
            (_, None, _) => {
                case.note = Some("There is no such cluster any more, so nothing was restored.".to_owned());
                return Some(Outcome::None);
            }
            (None, ..) => {
                case.note = Some(
                    "The ledger has neither an archived entry nor an unfinished repair for this role in this cluster, \
                         so there is nothing to restore from. Create the entry by hand."
                        .to_owned(),
                );
                return Some(Outcome::None);
            }
            (Some(_), Some(_), _) => {
                case.note = Some(
                    "The role does not exist, so nothing was restored. Create the role first, then restore the \
                         entry for the role's new ID."
                        .to_owned(),
                );
                return Some(Outcome::None);
            }
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
        // Younger, EKS may still bind the entry to the role before. What changes meanwhile is seen by the first look after it.
        if let Wait::TooLong(reason) = self.wait_for(role.created_at + run.config().settle, role.created_at).await {
            return Some(Outcome::deferred(reason));
        }
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

/// There is an entry already: what the archive has besides, and how to get it.
fn why_nothing_is_restored(case: &Case) -> String {
    let archived = case.sighting.row.row().and_then(Row::archived);
    let missing = case.sighting.entry.as_ref().zip(archived);
    let missing = missing.map(|(entry, archived)| entry.snapshot().missing_of(&archived.wanted)).unwrap_or_default();
    let stale = "There is an entry, so nothing was restored. If it is stale, approve its repair.";
    if missing.is_empty() {
        return stale.to_owned();
    }
    format!(
        "{stale} The entry lacks what the archived entry had: {}. To get that back, delete the entry, then restore.",
        missing.join(", ")
    )
}
