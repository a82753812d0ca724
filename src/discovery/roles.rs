//! The roles behind the names, read from IAM as they are now, with patience where IAM is visibly behind an event.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Creation, Subject};
use crate::app::Run;
use crate::model::RoleState;

/// How long between two looks at a role that IAM does not show yet.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3);

/// A role, and the moment it was asked for.
pub(super) type RoleSeen = (RoleState, OffsetDateTime);

/// Reads one role.
pub(super) async fn read(run: &Run<'_>, name: &str) -> RoleSeen {
    let asked_at = run.now();
    (run.app.aws.reads.get_role(name).await, asked_at)
}

/// Reads a role again while IAM shows less than the event of its creation told: nothing, or an older role. After
/// `SETTLE_SECONDS` what IAM shows is what is judged: the event is a wake-up, not the truth.
pub(super) async fn catch_up(run: &Run<'_>, subject: &Subject, seen: RoleSeen) -> RoleSeen {
    let Some(creation) = &subject.created else { return seen };
    let patience = run.config().settle;
    let longest = run.now() + patience;
    // Without a time the event may be of just now.
    let give_up = creation.at.map_or(longest, |at| longest.min(at + patience)).min(run.survey_ends());
    let mut seen = seen;
    while is_behind(&seen.0, creation) {
        if run.now() + BETWEEN_LOOKS > give_up {
            return seen;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        seen = read(run, &subject.name).await;
    }
    seen
}

/// Whether IAM shows an older state than the event's: the ID is another, and the role may have been there before.
fn is_behind(state: &RoleState, creation: &Creation) -> bool {
    match state {
        RoleState::Present(role) => {
            creation.role_id.as_ref().is_some_and(|id| *id != role.id)
                && creation.at.is_none_or(|at| role.created_at.unix_timestamp() < at.unix_timestamp())
        }
        RoleState::Absent => true,
        RoleState::Unreadable(_) => false,
    }
}
