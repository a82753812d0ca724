//! The reader of the version before the typed row, as it was: a roll-back must be able to read what this version wrote.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::super::{Item, SCHEMA};
use crate::model::{ClusterRef, Home, RoleArn, RoleId, Snapshot};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Recorded,
    Repairing,
    Archived,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    principal_arn: String,
    cluster: String,
    pub(super) state: State,
    schema: u32,
    version: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) cluster_created_at: OffsetDateTime,
    pub(super) access_entry_arn: String,
    pub(super) snapshot: Snapshot,
    #[serde(default)]
    pub(super) role_id: Option<RoleId>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) verified_at: Option<OffsetDateTime>,
    #[serde(default)]
    pub(super) permitted_role_id: Option<RoleId>,
    #[serde(default)]
    pub(super) grounds: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) deletion_sent_at: Option<OffsetDateTime>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) creation_sent_at: Option<OffsetDateTime>,
    #[serde(default)]
    pub(super) created_entry_arn: Option<String>,
    #[serde(default)]
    pub(super) is_own_entry: bool,
    #[serde(default)]
    pub(super) is_restore: bool,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) role_absent_since: Option<OffsetDateTime>,
    #[serde(default)]
    pub(super) lease_owner: Option<String>,
    #[serde(default)]
    pub(super) lease_until: Option<i64>,
    #[serde(default)]
    pub(super) archived_because: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) archived_at: Option<OffsetDateTime>,
    #[serde(default)]
    pub(super) expires_at: Option<i64>,
}

impl Row {
    /// The row as that version had read it, or why it had refused it.
    pub(super) fn read(item: Item, home: &Home) -> Result<Self, String> {
        if item.get("schema").and_then(Value::as_u64).is_some_and(|schema| schema > u64::from(SCHEMA)) {
            return Err("a newer schema".to_owned());
        }
        let row: Self = serde_json::from_value(Value::Object(item)).map_err(|error| error.to_string())?;
        match row.problem(home) {
            Some(problem) => Err(problem),
            None => Ok(row),
        }
    }

    fn problem(&self, home: &Home) -> Option<String> {
        let Some(role) = RoleArn::parse(&self.principal_arn) else {
            return Some("principalArn is not the ARN of a role".to_owned());
        };
        let Some(cluster) = ClusterRef::parse(&self.cluster) else {
            return Some("cluster is not REGION#CLUSTER_NAME".to_owned());
        };
        if !role.is_of(home) || role.is_service_linked() {
            return Some("principalArn is not a role that this function may look after".to_owned());
        }
        let expected =
            format!("arn:{}:eks:{}:{}:access-entry/{}/", home.partition, cluster.region, home.account, cluster.name);
        for arn in [Some(&self.access_entry_arn), self.created_entry_arn.as_ref()].into_iter().flatten() {
            if !arn.starts_with(&expected) {
                return Some(format!("{arn} is not an access entry of this account and cluster"));
            }
        }
        if self.schema != SCHEMA || self.version == 0 {
            return Some("schema or version is not one that this function writes".to_owned());
        }
        if self.state == State::Repairing && (self.permitted_role_id.is_none() || self.grounds.is_none()) {
            return Some("a repair without permittedRoleId and grounds".to_owned());
        }
        None
    }

    /// Whether that version had closed and deleted the row of a restore: it took one without a deletion for nothing begun.
    pub(super) fn would_drop_a_restore(&self) -> bool {
        self.is_restore && !self.is_own_entry && self.deletion_sent_at.is_none()
    }
}
