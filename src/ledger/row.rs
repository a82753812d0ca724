//! One row of the ledger: its form, the checks on reading it, and the changes it goes through.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::RowRead;
use crate::aws::dynamodb::Item;
use crate::model::{ClusterRef, Home, RoleArn, RoleId, Snapshot};
use crate::outcome::Reason;

/// The version of the row's form; a row of a newer one is left alone.
pub const SCHEMA: u32 = 1;

/// How long an archived entry can be restored.
const ARCHIVED_FOR: Duration = Duration::days(90);

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Last seen good.
    Recorded,
    /// A repair that is not finished.
    Repairing,
    /// Removed on purpose, or its role, its cluster or what the repair had created went away during it: restored by a
    /// person only.
    Archived,
}

/// One entry's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Whose entry it is: the partition key.
    pub principal_arn: String,
    /// Region and name: the sort key, `REGION#CLUSTER_NAME`.
    #[serde(with = "cluster_key")]
    pub cluster: ClusterRef,
    /// What the row is about.
    pub state: State,
    /// [`SCHEMA`].
    pub schema: u32,
    /// Counts the writes; 0 before the first.
    pub version: u64,
    /// Tells the cluster from a later one of its name.
    #[serde(with = "time::serde::rfc3339")]
    pub cluster_created_at: OffsetDateTime,
    /// The entry that the row is about; of a repair: the one to delete.
    pub access_entry_arn: String,
    /// The entry as its owner had it.
    pub snapshot: Snapshot,
    /// The role ID that the entry was last seen good with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<RoleId>,
    /// When that was.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<OffsetDateTime>,
    /// The only role ID that the entry may be created for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted_role_id: Option<RoleId>,
    /// Why that was permitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<String>,
    /// When the deletion was first sent: from here on the entry may be gone.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub deletion_sent_at: Option<OffsetDateTime>,
    /// When a creation was first sent: from here on an entry like the snapshot may be our own.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub creation_sent_at: Option<OffsetDateTime>,
    /// The entry that we created, once the reply was had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_entry_arn: Option<String>,
    /// The entry to delete is one that this repair had created itself, perhaps without all of its policies.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_own_entry: bool,
    /// A person asked for it to be created from the archive: no deletion of ours came before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_restore: bool,
    /// When the role was first seen to be gone during the repair.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub role_absent_since: Option<OffsetDateTime>,
    /// Who works on it: a random value of the invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_owner: Option<String>,
    /// Until when nobody else does: epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<i64>,
    /// Why it was archived: a label of `Reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_because: Option<String>,
    /// When it was archived.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<OffsetDateTime>,
    /// The archived row that this repair was opened over: it comes back unless the entry ends with all that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded: Option<Box<Row>>,
    /// DynamoDB's time to live: epoch seconds; a row past it counts as absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl Row {
    /// Reads a row as input: whatever is not as this function writes it makes it invalid.
    #[must_use]
    pub fn read(item: Item, home: &Home, now: OffsetDateTime) -> RowRead {
        if let Some(schema) = item.get("schema").and_then(Value::as_u64)
            && schema > u64::from(SCHEMA)
        {
            return RowRead::Invalid(format!("schema {schema} is newer than this version's {SCHEMA}"));
        }
        let row: Self = match serde_json::from_value(Value::Object(item)) {
            Ok(row) => row,
            Err(error) => return RowRead::Invalid(error.to_string()),
        };
        if row.expires_at.is_some_and(|at| row.state == State::Archived && at <= now.unix_timestamp()) {
            return RowRead::Expired(row.version);
        }
        match row.problem(home) {
            Some(problem) => RowRead::Invalid(problem),
            None => RowRead::Row(Box::new(row)),
        }
    }

    fn problem(&self, home: &Home) -> Option<String> {
        let Some(role) = RoleArn::parse(&self.principal_arn) else {
            return Some("principalArn is not the ARN of a role".to_owned());
        };
        if !role.is_of(home) || role.is_service_linked() {
            return Some("principalArn is not a role that this function may look after".to_owned());
        }
        let expected = format!(
            "arn:{}:eks:{}:{}:access-entry/{}/",
            home.partition, self.cluster.region, home.account, self.cluster.name
        );
        for arn in [Some(&self.access_entry_arn), self.created_entry_arn.as_ref()].into_iter().flatten() {
            if !arn.starts_with(&expected) {
                return Some(format!("{arn} is not an access entry of this account and cluster"));
            }
        }
        if self.schema != SCHEMA || self.version == 0 {
            return Some("schema or version is not one that this function writes".to_owned());
        }
        if let Some(archived) = &self.superseded {
            let is_of_this = archived.principal_arn == self.principal_arn && archived.cluster == self.cluster;
            if !is_of_this || archived.state != State::Archived || archived.superseded.is_some() {
                return Some("superseded is not the archived row of this entry".to_owned());
            }
        }
        if self.state == State::Repairing && (self.permitted_role_id.is_none() || self.grounds.is_none()) {
            return Some("a repair without permittedRoleId and grounds".to_owned());
        }
        None
    }

    /// The row of an entry seen good with this role ID.
    #[must_use]
    pub fn recorded(
        role: &RoleArn,
        cluster: &ClusterRef,
        cluster_created_at: OffsetDateTime,
        entry_arn: &str,
        snapshot: Snapshot,
    ) -> Self {
        Self {
            principal_arn: role.as_str().to_owned(),
            cluster: cluster.clone(),
            state: State::Recorded,
            schema: SCHEMA,
            version: 0,
            cluster_created_at,
            access_entry_arn: entry_arn.to_owned(),
            snapshot,
            role_id: None,
            verified_at: None,
            permitted_role_id: None,
            grounds: None,
            deletion_sent_at: None,
            creation_sent_at: None,
            created_entry_arn: None,
            is_own_entry: false,
            is_restore: false,
            role_absent_since: None,
            lease_owner: None,
            lease_until: None,
            archived_because: None,
            archived_at: None,
            superseded: None,
            expires_at: None,
        }
    }

    /// The role ID recorded for this very entry: the row counts for no other, nor for a later cluster of the name.
    #[must_use]
    pub fn recorded_role_id(&self, entry_arn: &str, cluster_created_at: OffsetDateTime) -> Option<&RoleId> {
        let is_this = self.access_entry_arn == entry_arn && self.cluster_created_at == cluster_created_at;
        self.role_id.as_ref().filter(|_| is_this && self.state != State::Archived && !self.is_own_entry)
    }

    /// The row after everything was seen good. What was archived before and is more than the entry has stays archived.
    #[must_use]
    pub fn verified(&self, entry_arn: &str, snapshot: Snapshot, role_id: RoleId, now: OffsetDateTime) -> Self {
        if let Some(archived) = self.archive_below(now)
            && !snapshot.missing_of(&archived.snapshot).is_empty()
        {
            return archived;
        }
        let mut row = Self { version: self.version, role_id: Some(role_id), verified_at: Some(now), ..self.clone() };
        row.become_recorded();
        entry_arn.clone_into(&mut row.access_entry_arn);
        row.snapshot = snapshot;
        row
    }

    /// The archived row that this one was opened over, as it is to be written back; `None` past its time.
    #[must_use]
    pub fn archive_below(&self, now: OffsetDateTime) -> Option<Self> {
        let archived =
            self.superseded.as_ref().filter(|row| row.expires_at.is_none_or(|at| at > now.unix_timestamp()))?;
        Some(Self { version: self.version, ..(**archived).clone() })
    }

    /// The row as it was before a repair was opened that changed nothing: recorded, archived, or none.
    #[must_use]
    pub fn as_before_the_repair(&self, now: OffsetDateTime) -> Option<Self> {
        if self.role_id.is_none() {
            return self.archive_below(now);
        }
        let mut recorded = self.clone();
        recorded.become_recorded();
        Some(recorded)
    }

    /// Drops all that belongs to a repair.
    pub fn become_recorded(&mut self) {
        self.state = State::Recorded;
        self.permitted_role_id = None;
        self.grounds = None;
        self.forget_progress();
        self.is_own_entry = false;
        self.is_restore = false;
        self.role_absent_since = None;
        self.superseded = None;
        self.give_back();
    }

    /// Whether an entry of our making may stand, perhaps without all of its policies.
    #[must_use]
    pub fn may_have_created(&self) -> bool {
        self.creation_sent_at.is_some() || self.created_entry_arn.is_some()
    }

    /// Drops what was sent so far: the repair starts over.
    pub fn forget_progress(&mut self) {
        self.deletion_sent_at = None;
        self.creation_sent_at = None;
        self.created_entry_arn = None;
    }

    /// Archives the entry for a person: it expires after 90 days. What was archived before and has all of this, and
    /// perhaps more, is kept instead.
    pub fn archive(&mut self, because: &str, now: OffsetDateTime) {
        if let Some(before) = self.superseded.take()
            && before.snapshot.missing_of(&self.snapshot).is_empty()
        {
            self.snapshot = before.snapshot;
        }
        self.state = State::Archived;
        self.archived_because = Some(because.to_owned());
        self.archived_at = Some(now);
        self.expires_at = Some((now + ARCHIVED_FOR).unix_timestamp());
        self.give_back();
    }

    /// Whether it was archived because its role was deleted.
    #[must_use]
    pub fn is_archived_with_its_role(&self) -> bool {
        let because = [Reason::RoleDeleted.label(), Reason::RoleGone.label()];
        self.state == State::Archived && self.archived_because.as_deref().is_some_and(|it| because.contains(&it))
    }

    /// Takes the row for an invocation.
    pub fn lease(&mut self, owner: &str, until: OffsetDateTime) {
        self.lease_owner = Some(owner.to_owned());
        self.lease_until = Some(until.unix_timestamp());
    }

    /// Gives the row back.
    pub fn give_back(&mut self) {
        self.lease_owner = None;
        self.lease_until = None;
    }

    /// Whether another invocation works on it at this moment.
    #[must_use]
    pub fn is_leased_to_other(&self, owner: &str, now: OffsetDateTime) -> bool {
        self.lease_owner.as_deref().is_some_and(|holder| holder != owner)
            && self.lease_until.is_some_and(|until| until >= now.unix_timestamp())
    }

    /// The row for the table.
    #[must_use]
    pub fn to_item(&self) -> Item {
        match serde_json::to_value(self) {
            Ok(Value::Object(item)) => item,
            // A struct of strings, numbers and times always serializes to an object.
            _ => Item::new(),
        }
    }
}

/// A moment as the ledger, the report and the log write it.
#[must_use]
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

mod cluster_key {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::model::ClusterRef;

    pub(super) fn serialize<S: Serializer>(cluster: &ClusterRef, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(cluster)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClusterRef, D::Error> {
        let text = String::deserialize(deserializer)?;
        ClusterRef::parse(&text).ok_or_else(|| D::Error::custom("cluster is not REGION#CLUSTER_NAME"))
    }
}
