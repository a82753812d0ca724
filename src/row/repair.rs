//! An unfinished repair as the ledger keeps it: all that another invocation needs to continue after a cut.

use time::OffsetDateTime;

use super::{ARCHIVED_FOR, Archived, Recorded, Removal, SeenGood, State, more_of};
use crate::model::{RoleId, Snapshot};

/// An unfinished repair: everything that a run needs to continue it after a cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repair {
    /// The entry as its owner had it: what has to stand in the end.
    pub wanted: Snapshot,
    /// Tells the cluster from a later one of its name.
    pub cluster_created_at: OffsetDateTime,
    /// For which role ID the entry may be created.
    pub permitted: Permitted,
    /// What the row said before the repair was opened: put back if nothing comes of it.
    pub before: Before,
    /// The entry to delete.
    pub target: Target,
    /// How far the repair has come.
    pub phase: Phase,
    /// When the role was first seen to be gone during the repair.
    pub role_absent_since: Option<OffsetDateTime>,
    /// Who works on it.
    pub lease: Option<Lease>,
}

/// The only role ID that the entry may be created for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Permitted {
    /// The role's unique ID.
    pub role_id: RoleId,
    /// Why that was permitted, in words.
    pub grounds: String,
}

/// What the row said before the repair was opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Before {
    /// There was no row.
    Nothing,
    /// The entry had been seen good.
    Recorded(SeenGood),
    /// An entry of this principal was archived.
    Archived(Box<Archived>),
    /// A person asked for the archived entry. `None` in rows of a version that did not keep the archive.
    Restore(Option<Box<Archived>>),
}

/// The entry that the repair deletes before it creates another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The stale entry, as its owner had it.
    OfOwner(String),
    /// An entry that this repair created itself and that went stale again, perhaps without all of its policies.
    OfOurs(String),
    /// A restore deletes nothing. The ARN is that of the archived entry.
    None(String),
}

impl Target {
    /// The ARN that a read of the deleted entry shows.
    #[must_use]
    pub fn arn(&self) -> &str {
        match self {
            Self::OfOwner(arn) | Self::OfOurs(arn) | Self::None(arn) => arn,
        }
    }
}

/// How far a repair has come. A restore begins at `DeletionSent`: there is nothing to delete.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing is deleted.
    Opened,
    /// The deletion may have been sent: from here on the target may be gone.
    DeletionSent {
        /// When that was first written down; of a restore: when it was opened.
        at: OffsetDateTime,
    },
    /// A creation may have been sent: from here on an entry like the snapshot may be ours.
    CreationSent {
        /// See [`Phase::DeletionSent`].
        deletion_at: OffsetDateTime,
        /// When that was first written down.
        at: OffsetDateTime,
    },
    /// EKS confirmed our creation.
    Created {
        /// See [`Phase::DeletionSent`].
        deletion_at: OffsetDateTime,
        /// When the creation was first sent.
        at: OffsetDateTime,
        /// The entry that we created.
        arn: String,
    },
}

impl Phase {
    /// When the deletion was marked; `None` while nothing is deleted.
    #[must_use]
    pub fn deletion_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Opened => None,
            Self::DeletionSent { at } => Some(*at),
            Self::CreationSent { deletion_at, .. } | Self::Created { deletion_at, .. } => Some(*deletion_at),
        }
    }
}

/// Who works on a repair, and until when nobody else does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// A random value of the invocation.
    pub owner: String,
    /// Epoch seconds.
    pub until: i64,
}

impl Repair {
    pub(super) fn recorded_role_id(&self, entry_arn: &str, cluster_created_at: OffsetDateTime) -> Option<&RoleId> {
        match (&self.target, &self.before) {
            (Target::OfOwner(arn), Before::Recorded(good))
                if arn == entry_arn && self.cluster_created_at == cluster_created_at =>
            {
                Some(&good.role_id)
            }
            (_, Before::Archived(archived)) => archived.standing.as_ref()?.role_id_of(entry_arn, cluster_created_at),
            _ => None,
        }
    }

    /// Whether the row may hold more than what stands: a deletion was marked, or the target is our own creation, which
    /// may lack policies.
    #[must_use]
    pub fn holds_more(&self) -> bool {
        self.phase != Phase::Opened || self.is_of_ours()
    }

    /// Whether a deletion of this repair may have taken the owner's entry away. A restore takes none.
    #[must_use]
    pub fn may_have_deleted(&self) -> bool {
        self.phase != Phase::Opened && !self.is_restore()
    }

    /// Whether the target is our own creation, which may lack policies.
    #[must_use]
    pub fn is_of_ours(&self) -> bool {
        matches!(self.target, Target::OfOurs(_))
    }

    /// Whether an entry of our making may stand.
    #[must_use]
    pub fn may_have_created(&self) -> bool {
        self.is_of_ours() || matches!(self.phase, Phase::CreationSent { .. } | Phase::Created { .. })
    }

    /// Whether a person asked for the entry out of the archive.
    #[must_use]
    pub fn is_restore(&self) -> bool {
        matches!(self.before, Before::Restore(_))
    }

    /// Whether another invocation works on it at this moment.
    #[must_use]
    pub fn is_leased_to_other(&self, owner: &str, now: OffsetDateTime) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.owner != owner && lease.until >= now.unix_timestamp())
    }

    /// The state after all was seen good, under the permitted role ID. What was archived before and is more than the entry
    /// has stays archived, with the entry that stands in its place.
    #[must_use]
    pub fn recorded(&self, entry_arn: &str, snapshot: Snapshot, now: OffsetDateTime) -> State {
        let recorded = Box::new(Recorded {
            entry_arn: entry_arn.to_owned(),
            cluster_created_at: self.cluster_created_at,
            snapshot,
            good: Some(SeenGood { role_id: self.permitted.role_id.clone(), verified_at: Some(now) }),
            grounds: Some(self.permitted.grounds.clone()),
        });
        match &self.before {
            Before::Archived(archived)
                if !archived.is_expired(now) && !recorded.snapshot.missing_of(&archived.wanted).is_empty() =>
            {
                State::Archived(Box::new(Archived { standing: Some(recorded), ..archived.as_ref().clone() }))
            }
            _ => State::Recorded(recorded),
        }
    }

    /// The archive that keeps the wanted entry for a person, for 90 days. What was archived before and has all of it is
    /// kept instead.
    #[must_use]
    pub fn archive(&self, because: &str, now: OffsetDateTime) -> Archived {
        let created = match &self.phase {
            Phase::Created { arn, .. } => Some(arn.clone()),
            Phase::Opened | Phase::DeletionSent { .. } | Phase::CreationSent { .. } => None,
        };
        let good = match &self.before {
            Before::Recorded(good) => Some(good.clone()),
            Before::Archived(archived) | Before::Restore(Some(archived)) => archived.good.clone(),
            Before::Nothing | Before::Restore(None) => None,
        };
        let before = match &self.before {
            Before::Archived(archived) => Some(archived.as_ref()),
            _ => None,
        };
        Archived {
            wanted: more_of(&self.wanted, before),
            entry_arn: self.target.arn().to_owned(),
            cluster_created_at: self.cluster_created_at,
            because: because.to_owned(),
            at: Some(now),
            expires_at: Some((now + ARCHIVED_FOR).unix_timestamp()),
            created,
            removal: self.phase.deletion_at().map(|at| Removal { at, by: None }),
            good,
            standing: None,
        }
    }

    /// What the row said of the entry before the repair was opened; `None` if there was no row. Only right while the row
    /// does not hold more than what stands, or a restore has created nothing.
    #[must_use]
    pub fn put_back(&self, now: OffsetDateTime) -> Option<State> {
        match &self.before {
            Before::Nothing => None,
            Before::Restore(None) => Some(State::Archived(Box::new(self.archive("roleDeleted", now)))),
            Before::Recorded(good) => Some(State::Recorded(Box::new(Recorded {
                entry_arn: self.target.arn().to_owned(),
                cluster_created_at: self.cluster_created_at,
                snapshot: self.wanted.clone(),
                good: Some(good.clone()),
                grounds: None,
            }))),
            Before::Archived(archived) | Before::Restore(Some(archived)) => {
                (!archived.is_expired(now)).then(|| State::Archived(archived.clone()))
            }
        }
    }
}
