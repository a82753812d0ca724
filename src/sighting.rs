//! What is known about one principal in one cluster, put together: entry, policies, cluster, role and ledger row.
//!
//! Decides nothing; `discovery` fills it in, `verdict` judges it.

use time::OffsetDateTime;

use crate::model::{AccessEntry, AccessPolicy, Cluster, ClusterRef, Principal, RoleState, Snapshot};
use crate::outcome::Hold;
use crate::row::{Row, RowRead};

/// An entry with its policies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Examined {
    /// As described.
    pub entry: AccessEntry,
    /// As listed, sorted.
    pub policies: Vec<AccessPolicy>,
}

impl Examined {
    /// What its owner set.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.entry, self.policies.clone())
    }
}

/// Everything known about one principal in one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Where.
    pub at: ClusterRef,
    /// The cluster; `None` where it does not exist (any more).
    pub cluster: Option<Cluster>,
    /// For whom.
    pub principal: Principal,
    /// The entry, where there is one.
    pub entry: Option<Examined>,
    /// What the ledger holds.
    pub row: RowRead,
    /// The role of exactly this ARN.
    pub role: RoleState,
    /// When the role was asked for: an entry created later may be bound to a later role.
    pub role_read_at: OffsetDateTime,
}

impl Sighting {
    /// Whether the role exists while its entry does not, and the entry was archived because an earlier role of the name
    /// was deleted. A sweep does not always describe the cluster; a later one of the name is none of the row's.
    #[must_use]
    pub fn is_archived(&self) -> bool {
        let Some(row) = self.row.row().filter(|row| row.is_archived_with_its_role()) else { return false };
        let created_at = row.archived().map(|archived| archived.cluster_created_at);
        let is_same_cluster = self.cluster.as_ref().is_none_or(|cluster| Some(cluster.created_at) == created_at);
        self.entry.is_none() && is_same_cluster && self.role.role().is_some()
    }

    /// Whether this function may have created this entry although nobody wished it: a rehearsal that met the owner's deletion,
    /// or a creation that met a later cluster of the name. It is held until a person ends the matter, and never recorded as
    /// good. No two entries have the same ARN, whichever cluster they are in.
    #[must_use]
    pub fn is_perhaps_revived(&self) -> bool {
        let (Some(archived), Some(examined)) = (self.row.row().and_then(Row::archived), &self.entry) else {
            return false;
        };
        archived.because == Hold::PerhapsRevived.label() && archived.created.as_ref() == Some(&examined.entry.arn)
    }

    /// The entry's owner's settings: of the entry, or of the row where the entry is gone.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let of_row = || self.row.row().map(|row| row.snapshot().clone());
        self.entry.as_ref().map(Examined::snapshot).or_else(of_row)
    }
}
