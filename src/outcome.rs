//! What became of an entry, and why: the closed lists of words that report, log lines, metrics and documents share.
//!
//! Each kind of outcome takes reasons of its own kind: `Held` a [`Hold`], `Deferred` a [`Delay`], and so on.

mod reasons;

pub use reasons::{Delay, Doubt, Failure, Gone, Hold, Precedence};

/// What was done about an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing, and nothing was due.
    None,
    /// Nothing: the entry cannot be judged.
    Undecided(Doubt),
    /// Nothing more: another party was first.
    Preceded(Precedence),
    /// Deleted and created again, with everything that its owner had set.
    Repaired,
    /// Would have been repaired if the mode allowed it.
    WouldRepair,
    /// Waits for a person, a setting or a trusted creator.
    Held(Hold),
    /// Archived in the ledger, and no longer in the cluster.
    Removed(Gone),
    /// Would have been removed if the mode allowed it.
    WouldRemove,
    /// Kept and reported.
    Reported,
    /// Created from the ledger because a person asked for it.
    Restored,
    /// Waits for time to pass: a retry or the next sweep continues.
    Deferred {
        /// Why.
        delay: Delay,
        /// Whether the entry may be deleted already.
        deletion_sent: bool,
    },
    /// AWS refused, or did not answer.
    Failed(Failure),
}

impl Outcome {
    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::None | Self::Undecided(_) | Self::Preceded(_) => "none",
            Self::Repaired => "repaired",
            Self::WouldRepair => "wouldRepair",
            Self::Held(_) => "held",
            Self::Removed(_) => "removed",
            Self::WouldRemove => "wouldRemove",
            Self::Reported => "reported",
            Self::Restored => "restored",
            Self::Deferred { .. } => "deferred",
            Self::Failed(_) => "failed",
        }
    }

    /// The reason's word for machines, if there is more to say than the outcome itself.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Undecided(doubt) => Some(doubt.label()),
            Self::Preceded(precedence) => Some(precedence.label()),
            Self::Held(hold) => Some(hold.label()),
            Self::Removed(gone) => Some(gone.label()),
            Self::Deferred { delay, .. } => Some(delay.label()),
            Self::Failed(failure) => Some(failure.label()),
            Self::None | Self::Repaired | Self::WouldRepair | Self::WouldRemove | Self::Reported | Self::Restored => {
                None
            }
        }
    }

    /// The reason for a person: what happened, why, and what to do next.
    #[must_use]
    pub fn explain(&self) -> Option<String> {
        match self {
            Self::Undecided(doubt) => Some(doubt.explain()),
            Self::Preceded(precedence) => Some(precedence.explain()),
            Self::Held(hold) => Some(hold.explain()),
            Self::Removed(gone) => Some(gone.explain()),
            Self::Deferred { delay, .. } => Some(delay.explain()),
            Self::Failed(failure) => Some(failure.explain()),
            Self::None | Self::Repaired | Self::WouldRepair | Self::WouldRemove | Self::Reported | Self::Restored => {
                None
            }
        }
    }

    /// Whether a retry of the invocation may help: the invocation then fails, so that it is retried.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(
            self,
            Self::Deferred { .. } | Self::Failed(_) | Self::Undecided(Doubt::RoleUnreadable { may_pass: true, .. })
        )
    }

    /// Waits, with the entry still in place.
    #[must_use]
    pub fn deferred(delay: Delay) -> Self {
        Self::Deferred { delay, deletion_sent: false }
    }
}
