//! One row of the ledger as it is meant: an entry last seen good, an unfinished repair, or an archived entry.
//!
//! Pure data with its transitions. How a row is stored, and which stored rows are refused, is in [`form`]; reading and
//! writing the table is [`crate::ledger`]'s.

use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::fault::Fault;
use crate::model::{ClusterRef, RoleArn, RoleId, Snapshot};
use crate::outcome::{Delay, Gone};

pub mod form;
mod repair;

pub use repair::{Before, Lease, Permitted, Phase, Repair, Target};

/// What a read of one row gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RowRead {
    /// There is none.
    Absent,
    /// An archived one past its time, which counts as absent; its version, for writing over it.
    Expired(u64),
    /// A row in order.
    Row(Box<Row>),
    /// An open row whose parts do not fit, read as archived, and what does not fit. It may be all that is left of an
    /// entry: only a person restores from it.
    Unfit(Box<Row>, String),
    /// A row that this function did not write, or that a later version of it wrote: left alone and reported.
    Invalid(String),
    /// The ledger could not be read.
    Unavailable(Fault),
}

impl RowRead {
    /// The row, if there is one in order.
    #[must_use]
    pub fn row(&self) -> Option<&Row> {
        match self {
            Self::Row(row) => Some(row),
            Self::Absent | Self::Expired(_) | Self::Unfit(..) | Self::Invalid(_) | Self::Unavailable(_) => None,
        }
    }

    /// The version to write over; 0 if there is nothing.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Row(row) | Self::Unfit(row, _) => row.version,
            Self::Expired(version) => *version,
            Self::Absent | Self::Invalid(_) | Self::Unavailable(_) => 0,
        }
    }

    /// What was seen good, if the row says so.
    #[must_use]
    pub fn recorded(&self) -> Option<&Recorded> {
        self.row().and_then(Row::recorded)
    }

    /// The row, if it is of an unfinished repair.
    #[must_use]
    pub fn open(&self) -> Option<&Row> {
        self.row().filter(|row| row.repair().is_some())
    }
}

/// How long an archived entry can be restored.
const ARCHIVED_FOR: Duration = Duration::days(90);

/// The key of the breaker's row, both its parts.
pub const BREAKER_KEY: &str = "#breaker";

/// The key of a row, in order or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowKey {
    /// The breaker's.
    Breaker,
    /// An entry's; the principal is whatever the row's writer put there.
    Entry {
        /// The partition key.
        principal: String,
        /// The sort key.
        cluster: ClusterRef,
    },
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breaker => f.write_str(BREAKER_KEY),
            Self::Entry { principal, cluster } => write!(f, "{principal} in {cluster}"),
        }
    }
}

/// Why a write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NotWritten {
    /// Somebody else wrote the row first.
    Overtaken,
    /// DynamoDB refused or did not answer.
    Unavailable(Fault),
}

impl NotWritten {
    /// Why the entry waits.
    #[must_use]
    pub fn reason(self) -> Delay {
        match self {
            Self::Overtaken => Delay::LeaseTaken,
            Self::Unavailable(fault) => Delay::LedgerUnavailable(fault),
        }
    }
}

/// One entry's row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// Whose entry it is: the partition key.
    pub principal: RoleArn,
    /// The cluster that the entry is in: the sort key.
    pub cluster: ClusterRef,
    /// Counts the writes; 0 before the first.
    pub version: u64,
    /// What the row says about the entry.
    pub state: State,
}

/// What a row says about its entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// Last seen good.
    Recorded(Box<Recorded>),
    /// A repair that is not finished.
    Repairing(Box<Repair>),
    /// Kept for a person: removed on purpose, or it could not be brought back without a person's decision.
    Archived(Box<Archived>),
}

/// An entry that was seen good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// The entry.
    pub entry_arn: String,
    /// Tells the cluster from a later one of its name.
    pub cluster_created_at: OffsetDateTime,
    /// The entry as its owner had it.
    pub snapshot: Snapshot,
    /// With which role ID it was last seen good, and when.
    pub good: Option<SeenGood>,
    /// Why this function created it, if it did: who approved that, as far as they said it.
    pub grounds: Option<String>,
}

/// With which role ID an entry was seen good, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeenGood {
    /// The role's unique ID.
    pub role_id: RoleId,
    /// When that was; absent in rows that another writer made.
    pub verified_at: Option<OffsetDateTime>,
}

/// An entry that is kept for a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Archived {
    /// The entry as its owner had it.
    pub wanted: Snapshot,
    /// The entry's ARN.
    pub entry_arn: String,
    /// Tells the cluster from a later one of its name.
    pub cluster_created_at: OffsetDateTime,
    /// Why it was archived: a label of `Delay`.
    pub because: String,
    /// When it was archived.
    pub at: Option<OffsetDateTime>,
    /// When the row expires: epoch seconds.
    pub expires_at: Option<i64>,
    /// The entry that an unfinished repair had created: one that lacks what is archived is still ours.
    pub created: Option<String>,
    /// The deletion that may have been sent.
    pub removal: Option<Removal>,
    /// With which role ID the entry was last seen good.
    pub good: Option<SeenGood>,
    /// The entry that stands in its place, with less, and that a repair made. The archive says nothing about that one.
    pub standing: Option<Box<Recorded>>,
}

/// A deletion that belongs to an archived row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Removal {
    /// When it was marked as sent.
    pub at: OffsetDateTime,
    /// The invocation that removes the entry; `None` if the deletion was a repair's.
    pub by: Option<String>,
}

impl Row {
    /// A row that is not written yet, over whatever has this version.
    #[must_use]
    pub fn new(principal: &RoleArn, cluster: &ClusterRef, version: u64, state: State) -> Self {
        Self { principal: principal.clone(), cluster: cluster.clone(), version, state }
    }

    /// The entry as its owner had it.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        match &self.state {
            State::Recorded(recorded) => &recorded.snapshot,
            State::Repairing(repair) => &repair.wanted,
            State::Archived(archived) => &archived.wanted,
        }
    }

    /// The entry that the row is about; of a repair: the one to delete.
    #[must_use]
    pub fn entry_arn(&self) -> &str {
        match &self.state {
            State::Recorded(recorded) => &recorded.entry_arn,
            State::Repairing(repair) => repair.target.arn(),
            State::Archived(archived) => &archived.entry_arn,
        }
    }

    /// The unfinished repair, if this is one.
    #[must_use]
    pub fn repair(&self) -> Option<&Repair> {
        match &self.state {
            State::Repairing(repair) => Some(repair),
            State::Recorded(_) | State::Archived(_) => None,
        }
    }

    /// The archived entry, if this is one.
    #[must_use]
    pub fn archived(&self) -> Option<&Archived> {
        match &self.state {
            State::Archived(archived) => Some(archived),
            State::Recorded(_) | State::Repairing(_) => None,
        }
    }

    /// Whether the entry was archived because its role was deleted.
    #[must_use]
    pub fn is_archived_with_its_role(&self) -> bool {
        let because = [Gone::RoleDeleted.label(), Gone::RoleGone.label()];
        self.archived().is_some_and(|archived| because.contains(&archived.because.as_str()))
    }

    /// What was seen good: the entry of the row, or the one that replaced an archived entry.
    #[must_use]
    pub fn recorded(&self) -> Option<&Recorded> {
        match &self.state {
            State::Recorded(recorded) => Some(recorded),
            State::Archived(archived) => archived.standing.as_deref(),
            State::Repairing(_) => None,
        }
    }

    /// With which role ID an entry of this principal was last seen good.
    #[must_use]
    pub fn last_good(&self) -> Option<&SeenGood> {
        match &self.state {
            State::Recorded(recorded) => recorded.good.as_ref(),
            State::Repairing(repair) => match &repair.before {
                Before::Recorded(good) => Some(good),
                Before::Archived(archived) => archived.good.as_ref(),
                Before::Restore(archived) => archived.as_ref().and_then(|archived| archived.good.as_ref()),
                Before::Nothing => None,
            },
            State::Archived(archived) => {
                archived.standing.as_ref().and_then(|standing| standing.good.as_ref()).or(archived.good.as_ref())
            }
        }
    }

    /// The role ID that this very entry was seen good with. The row says nothing about another entry, nor about a later
    /// cluster of the name.
    #[must_use]
    pub fn recorded_role_id(&self, entry_arn: &str, cluster_created_at: OffsetDateTime) -> Option<&RoleId> {
        match &self.state {
            State::Recorded(recorded) => recorded.role_id_of(entry_arn, cluster_created_at),
            State::Repairing(repair) => repair.recorded_role_id(entry_arn, cluster_created_at),
            State::Archived(archived) => archived.standing.as_ref()?.role_id_of(entry_arn, cluster_created_at),
        }
    }
}

impl Recorded {
    /// The role ID that this very entry was seen good with.
    fn role_id_of(&self, entry_arn: &str, cluster_created_at: OffsetDateTime) -> Option<&RoleId> {
        self.good.as_ref().filter(|_| self.is_of(entry_arn, cluster_created_at)).map(|good| &good.role_id)
    }

    /// Whether it is about this very entry.
    pub(crate) fn is_of(&self, entry_arn: &str, cluster_created_at: OffsetDateTime) -> bool {
        self.entry_arn == entry_arn && self.cluster_created_at == cluster_created_at
    }
}

/// What is to be archived: the wanted entry, or what was archived before if that has all of it.
fn more_of(wanted: &Snapshot, before: Option<&Archived>) -> Snapshot {
    match before {
        Some(before) if before.wanted.missing_of(wanted).is_empty() => before.wanted.clone(),
        _ => wanted.clone(),
    }
}

impl Archived {
    /// Whether the row counts as absent.
    #[must_use]
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now.unix_timestamp())
    }

    /// The archive of an entry that is removed because its role is gone.
    #[must_use]
    pub fn of_removal(
        snapshot: &Snapshot,
        entry_arn: &str,
        cluster_created_at: OffsetDateTime,
        before: Option<&Row>,
        because: &str,
        by: &str,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            wanted: more_of(snapshot, before.and_then(Row::archived)),
            entry_arn: entry_arn.to_owned(),
            cluster_created_at,
            because: because.to_owned(),
            at: Some(now),
            expires_at: Some((now + ARCHIVED_FOR).unix_timestamp()),
            created: None,
            removal: Some(Removal { at: now, by: Some(by.to_owned()) }),
            good: before.and_then(Row::last_good).cloned(),
            standing: None,
        }
    }
}

#[cfg(test)]
mod tests;
