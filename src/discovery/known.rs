//! What a survey of everything reads once for all Regions: the account's roles and the ledger's rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join;
use time::OffsetDateTime;

use super::Scope;
use crate::app::Run;
use crate::fault::Fault;
use crate::model::{ClusterRef, Home, Principal, Role, RoleState, Roles};
use crate::row::{Row, RowRead, State};

/// The roles and the rows.
#[derive(Debug)]
pub(super) struct Known {
    roles: Roles,
    pub(super) roles_read_at: OffsetDateTime,
    pub(super) rows: BTreeMap<ClusterRef, Notes>,
}

/// The rows of a cluster, by principal.
pub(super) type Notes = BTreeMap<Box<str>, Note>;

/// What is kept of a row: enough to tell whether its entry needs a look. A hundred thousand rows with their snapshots
/// would be most of the function's memory, so a row that turns out to matter is read again.
#[derive(Debug)]
pub(super) enum Note {
    /// Last seen good.
    Recorded { role_id: Option<Box<str>>, verified_at: Option<OffsetDateTime>, version: u64 },
    /// An unfinished repair, or a row that is not in order: these are reported and worked on, and are few.
    Whole(RowRead),
    /// Archived because its role was deleted: the role may have come back.
    ArchivedWithItsRole(Box<Row>),
    /// Archived, perhaps past its time: no word on an entry that is there.
    Archived,
}

impl Note {
    fn of(read: RowRead) -> Self {
        match read {
            RowRead::Row(row) => match row.state {
                State::Recorded(recorded) => Self::Recorded {
                    verified_at: recorded.good.as_ref().and_then(|good| good.verified_at),
                    role_id: recorded.good.map(|good| good.role_id.0.into_boxed_str()),
                    version: row.version,
                },
                State::Repairing(_) => Self::Whole(RowRead::Row(row)),
                State::Archived(_) if row.is_archived_with_its_role() => Self::ArchivedWithItsRole(row),
                State::Archived(_) => Self::Archived,
            },
            RowRead::Invalid(_) | RowRead::Unfit(..) => Self::Whole(read),
            RowRead::Absent | RowRead::Expired(_) | RowRead::Unavailable(_) => Self::Archived,
        }
    }
}

/// What a survey keeps of a row of an entry that was seen good.
#[derive(Debug)]
pub struct RecordSeen {
    /// Whose entry it is.
    pub principal: Box<str>,
    /// When it was last seen good.
    pub verified_at: Option<OffsetDateTime>,
    /// The row's version.
    pub version: u64,
}

/// Why nothing can be judged.
#[derive(Debug, Clone)]
pub(super) enum NotKnown {
    /// The ledger could not be read.
    Ledger(String),
    /// The roles could not be listed.
    Roles(String),
}

impl Known {
    /// Reads both.
    pub(super) async fn read(run: &Run<'_>, scope: &Scope) -> Result<Arc<Self>, NotKnown> {
        let roles_read_at = run.now();
        let (roles, rows) = join(run.app.aws.reads.list_roles(), all_rows(run, scope)).await;
        let roles = roles.map_err(|fault| {
            NotKnown::Roles(format!("The account's roles could not be listed ({fault}): nothing can be judged."))
        })?;
        let rows = rows.map_err(|because| {
            NotKnown::Ledger(format!("The ledger could not be read ({because}), and this invocation needs it."))
        })?;
        Ok(Arc::new(Self { roles, roles_read_at, rows }))
    }

    /// When the entry of the cluster that was looked at longest ago was last seen good.
    pub(super) fn last_verified(&self, at: &ClusterRef) -> Option<OffsetDateTime> {
        let dates = self.rows.get(at)?.values().filter_map(|note| match note {
            Note::Recorded { verified_at, .. } => *verified_at,
            Note::Whole(read) => read.row()?.last_good()?.verified_at,
            Note::ArchivedWithItsRole(_) | Note::Archived => None,
        });
        dates.min()
    }

    /// The rows of a cluster's entries that were seen good.
    pub(super) fn recorded(&self, at: &ClusterRef) -> Vec<RecordSeen> {
        let notes = self.rows.get(at).into_iter().flatten();
        let recorded = notes.filter_map(|(principal, note)| match note {
            Note::Recorded { verified_at, version, .. } => {
                Some(RecordSeen { principal: principal.clone(), verified_at: *verified_at, version: *version })
            }
            _ => None,
        });
        recorded.collect()
    }

    /// The role of an entry's principal, as the list shows it.
    pub(super) fn role_of(&self, principal: &Principal, home: &Home) -> RoleState {
        self.roles.state_of(principal, home)
    }

    fn note(&self, at: &ClusterRef, principal: &str) -> Option<&Note> {
        self.rows.get(at)?.get(principal)
    }

    /// Whether the ledger saw an entry of this principal good with the ID that its role still has.
    pub(super) fn has_recorded_role(&self, at: &ClusterRef, principal: &str) -> bool {
        let recorded = match self.note(at, principal) {
            Some(Note::Recorded { role_id, .. }) => role_id.as_deref(),
            _ => None,
        };
        recorded.is_some() && recorded == self.roles.get(principal).map(|role| role.id.0.as_str())
    }

    /// The row of an entry that needs a look, in full.
    pub(super) async fn row(&self, run: &Run<'_>, at: &ClusterRef, principal: &str) -> Result<RowRead, Fault> {
        match self.note(at, principal) {
            None => Ok(RowRead::Absent),
            Some(Note::Whole(read)) => Ok(read.clone()),
            Some(Note::Recorded { .. } | Note::ArchivedWithItsRole(_) | Note::Archived) => {
                run.ledger().read(principal, at, run.now()).await
            }
        }
    }

    /// How many roles were created within the day before the last quarter of an hour: their events should have arrived.
    /// Service-linked roles come by another call than `CreateRole`.
    pub(super) fn roles_created_lately(&self, now: OffsetDateTime) -> usize {
        let (from, to) = (now - time::Duration::days(1), now - time::Duration::minutes(15));
        let is_due = |role: &&Role| !role.arn.is_service_linked() && role.created_at >= from && role.created_at <= to;
        self.roles.iter().filter(is_due).count()
    }
}

async fn all_rows(run: &Run<'_>, scope: &Scope) -> Result<BTreeMap<ClusterRef, Notes>, Fault> {
    let mut rows: BTreeMap<ClusterRef, Notes> = BTreeMap::new();
    let mut start = None;
    loop {
        let (page, next) = run.ledger().page(start, run.now()).await?;
        for (principal, at, read) in page {
            if scope.admits(&at) {
                rows.entry(at).or_default().insert(principal.into_boxed_str(), Note::of(read));
            }
        }
        if next.is_none() {
            return Ok(rows);
        }
        start = next;
    }
}
