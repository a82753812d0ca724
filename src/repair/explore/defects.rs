//! Defects that an earlier version had. The exploration is run with each to show that it finds them.

use super::world::{By, Entry, RoleIs, Truth};
use crate::repair::perform::Work;
use crate::repair::step::Origin;
use crate::row::Phase;

/// A defect that is put back, around the code and not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The row does not say that a creation was sent: after a cut our own creation counts as another party's.
    CreationIsNotMarked,
    /// An entry that EKS confirmed and that is gone is created again, although its owner deleted it.
    RecreatesWhatItsOwnerDeleted,
    /// An invocation that continues a row takes an entry that the rehearsal of an earlier one may have created for its
    /// owner's, and records it as good.
    RevivedIsCalledGood,
    /// The role is not read after the creation: an entry that is bound to a stranger's role stays.
    RoleIsNotReadAfterTheCreation,
}

impl Defect {
    /// What the invocation would have known with the defect.
    pub(super) fn apply(self, work: &mut Work, truth: &Truth) {
        match self {
            Self::RecreatesWhatItsOwnerDeleted => {
                if truth.entry.is.is_none()
                    && let Phase::Created { deletion_at, at, .. } = work.repair.phase.clone()
                {
                    work.repair.phase = Phase::CreationSent { deletion_at, at };
                }
            }
            Self::RevivedIsCalledGood => {
                if work.attempt.origin == Origin::Continued {
                    work.attempt.unclear_since = None;
                }
            }
            Self::CreationIsNotMarked | Self::RoleIsNotReadAfterTheCreation => {}
        }
    }
}

impl Truth {
    /// Whether the row says that EKS confirmed the creation.
    pub(super) fn is_created(&self) -> bool {
        let phase = self.row.as_ref().and_then(|row| row.repair()).map(|repair| &repair.phase);
        matches!(phase, Some(Phase::Created { .. }))
    }

    /// Whether an entry of ours, which its owner changed, is bound to a role that the row does not permit.
    pub(super) fn lets_in_an_unpermitted_role(&self) -> bool {
        let is_permitted = |entry: &Entry| self.permitted_role().is_some_and(|role| role.n == entry.bound);
        self.entry.is.as_ref().is_some_and(|it| it.by == By::Taken && !is_permitted(it))
    }

    /// The role that the open row permits, as if nobody had taken its name since.
    pub(super) fn permitted_role(&self) -> Option<RoleIs> {
        let permitted = self.row.as_ref().and_then(|row| row.repair()).map(|repair| repair.permitted.role_id.clone());
        let n = permitted.and_then(|id| id.0.strip_prefix('R').and_then(|n| n.parse().ok()));
        n.map(|n| RoleIs { n: super::world::N(n), is_stranger: false })
    }
}
