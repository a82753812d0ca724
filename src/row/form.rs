//! A row as it is stored: its attributes, and which stored rows are refused.
//!
//! Whoever writes the table grants access, so a row is input. Refused is what could grant: a repair without a permit, a
//! row of another account or cluster, a service-linked role. An open row whose parts do not fit is not refused, since it
//! may be all that is left of an entry: it is read as archived, for a person.
//!
//! The attributes are those of schema 1. Earlier versions of this function read what this one writes, and the reverse.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{
    Archived, Before, Lease, Permitted, Phase, Recorded, Removal, Repair, Row, RowRead, SeenGood, State, Target,
};
use crate::model::{ClusterRef, Home, RoleArn, RoleId, Snapshot};

/// A row's attributes as JSON.
type Item = Map<String, Value>;

/// The version of the row's form; a row of a newer one is left alone.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredState {
    Recorded,
    Repairing,
    Archived,
}

/// The attributes of a row, as the table has them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    principal_arn: String,
    /// `REGION#CLUSTER_NAME`.
    cluster: String,
    schema: u32,
    version: u64,
    #[serde(flatten)]
    body: Body,
}

/// What a row says, without its key. An archive that a repair was opened over is stored in the same form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    state: StoredState,
    #[serde(with = "time::serde::rfc3339")]
    cluster_created_at: OffsetDateTime,
    access_entry_arn: String,
    snapshot: Snapshot,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role_id: Option<RoleId>,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    verified_at: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permitted_role_id: Option<RoleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grounds: Option<String>,
    /// Of a restore: when it was opened. Earlier versions would close and delete the row without it.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    deletion_sent_at: Option<OffsetDateTime>,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    creation_sent_at: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_entry_arn: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_own_entry: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_restore: bool,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    role_absent_since: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archived_because: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    archived_at: Option<OffsetDateTime>,
    /// DynamoDB's time to live: epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// The archive that a repair was opened over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Box<Body>>,
    /// Of an archive: the entry that a repair left in its place. Earlier versions read past it, and judge by dates alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    standing: Option<Box<Body>>,
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
        let stored: Stored = match serde_json::from_value(Value::Object(item)) {
            Ok(stored) => stored,
            Err(error) => return RowRead::Invalid(error.to_string()),
        };
        let body = &stored.body;
        if body.expires_at.is_some_and(|at| body.state == StoredState::Archived && at <= now.unix_timestamp()) {
            return RowRead::Expired(stored.version);
        }
        stored.checked(home).unwrap_or_else(RowRead::Invalid)
    }

    /// The row for the table.
    #[must_use]
    pub fn to_item(&self) -> Item {
        let stored = Stored {
            principal_arn: self.principal.as_str().to_owned(),
            cluster: self.cluster.to_string(),
            schema: SCHEMA,
            version: self.version,
            body: Body::of(&self.state),
        };
        match serde_json::to_value(stored) {
            Ok(Value::Object(item)) => item,
            // A struct of strings, numbers and times always serializes to an object.
            _ => Item::new(),
        }
    }
}

impl Stored {
    /// The row, or what is wrong with it.
    fn checked(self, home: &Home) -> Result<RowRead, String> {
        let principal = RoleArn::parse(&self.principal_arn).ok_or("principalArn is not the ARN of a role")?;
        if !principal.is_of(home) || principal.is_service_linked() {
            return Err("principalArn is not a role that this function may look after".to_owned());
        }
        let cluster = ClusterRef::parse(&self.cluster).ok_or("cluster is not REGION#CLUSTER_NAME")?;
        let expected =
            format!("arn:{}:eks:{}:{}:access-entry/{}/", home.partition, cluster.region, home.account, cluster.name);
        if let Some(arn) = self.body.arns().into_iter().find(|arn| !arn.starts_with(&expected)) {
            return Err(format!("{arn} is not an access entry of this account and cluster"));
        }
        if self.schema != SCHEMA || self.version == 0 {
            return Err("schema or version is not one that this function writes".to_owned());
        }
        let row = |state| {
            Box::new(Row { principal: principal.clone(), cluster: cluster.clone(), version: self.version, state })
        };
        match self.body.state {
            StoredState::Recorded => Ok(RowRead::Row(row(State::Recorded(Box::new(self.body.recorded()))))),
            StoredState::Archived => Ok(RowRead::Row(row(State::Archived(Box::new(self.body.archived()))))),
            StoredState::Repairing => match self.body.clone().repair()? {
                Ok(repair) => Ok(RowRead::Row(row(State::Repairing(Box::new(repair))))),
                Err(problem) => {
                    let row = row(State::Archived(Box::new(self.body.archived())));
                    Ok(RowRead::Unfit(row, problem.to_owned()))
                }
            },
        }
    }
}

impl Body {
    /// The ARNs of all entries that it names.
    fn arns(&self) -> Vec<&str> {
        let own = std::iter::once(&self.access_entry_arn).chain(&self.created_entry_arn).map(String::as_str);
        let inside = self.before.iter().chain(&self.standing).flat_map(|body| body.arns());
        own.chain(inside).collect()
    }

    fn good(&self) -> Option<SeenGood> {
        let role_id = self.role_id.clone()?;
        Some(SeenGood { role_id, verified_at: self.verified_at })
    }

    fn recorded(self) -> Recorded {
        let good = self.good();
        Recorded {
            entry_arn: self.access_entry_arn,
            cluster_created_at: self.cluster_created_at,
            snapshot: self.snapshot,
            good,
            grounds: self.grounds,
        }
    }

    fn archived(self) -> Archived {
        let good = self.good();
        Archived {
            wanted: self.snapshot,
            entry_arn: self.access_entry_arn,
            cluster_created_at: self.cluster_created_at,
            because: self.archived_because.unwrap_or_default(),
            at: self.archived_at,
            expires_at: self.expires_at,
            created: self.created_entry_arn,
            removal: self.deletion_sent_at.map(|at| Removal { at, by: self.lease_owner }),
            good,
            standing: self.standing.map(|body| Box::new(body.recorded())),
        }
    }

    /// The repair; inside, what does not fit.
    fn repair(self) -> Result<Result<Repair, &'static str>, String> {
        let good = self.good();
        let (Some(role_id), Some(grounds)) = (self.permitted_role_id, self.grounds) else {
            return Err("a repair without permittedRoleId and grounds".to_owned());
        };
        let phase = match (self.deletion_sent_at, self.creation_sent_at, self.created_entry_arn) {
            (None, None, None) => Phase::Opened,
            (Some(at), None, None) => Phase::DeletionSent { at },
            (Some(deletion_at), Some(at), None) => Phase::CreationSent { deletion_at, at },
            (Some(deletion_at), Some(at), Some(arn)) => Phase::Created { deletion_at, at, arn },
            _ => return Ok(Err("a creation before its deletion")),
        };
        let target = match (self.is_own_entry, self.is_restore) {
            (true, _) => Target::OfOurs(self.access_entry_arn),
            (false, true) if phase == Phase::Opened => return Ok(Err("a restore that is not opened")),
            (false, true) => Target::None(self.access_entry_arn),
            (false, false) => Target::OfOwner(self.access_entry_arn),
        };
        let archived = match self.before {
            Some(body) if body.state == StoredState::Archived => Some(Box::new(body.archived())),
            Some(_) => return Ok(Err("a repair over something that was not archived")),
            None => None,
        };
        let before = match (self.is_restore, archived, good) {
            (true, archived, _) => Before::Restore(archived),
            (false, Some(archived), _) => Before::Archived(archived),
            (false, None, Some(good)) => Before::Recorded(good),
            (false, None, None) => Before::Nothing,
        };
        let lease = self.lease_owner.zip(self.lease_until).map(|(owner, until)| Lease { owner, until });
        Ok(Ok(Repair {
            wanted: self.snapshot,
            cluster_created_at: self.cluster_created_at,
            permitted: Permitted { role_id, grounds },
            before,
            target,
            phase,
            role_absent_since: self.role_absent_since,
            lease,
        }))
    }

    fn new(state: StoredState, cluster_created_at: OffsetDateTime, entry_arn: &str, snapshot: &Snapshot) -> Self {
        Self {
            state,
            cluster_created_at,
            access_entry_arn: entry_arn.to_owned(),
            snapshot: snapshot.clone(),
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
            expires_at: None,
            before: None,
            standing: None,
        }
    }

    fn seen_good(mut self, good: Option<&SeenGood>) -> Self {
        self.role_id = good.map(|good| good.role_id.clone());
        self.verified_at = good.and_then(|good| good.verified_at);
        self
    }

    fn of(state: &State) -> Self {
        match state {
            State::Recorded(it) => Self::of_recorded(it),
            State::Archived(it) => Self::of_archived(it),
            State::Repairing(it) => Self::of_repair(it),
        }
    }

    fn of_recorded(it: &Recorded) -> Self {
        Self {
            grounds: it.grounds.clone(),
            ..Self::new(StoredState::Recorded, it.cluster_created_at, &it.entry_arn, &it.snapshot)
        }
        .seen_good(it.good.as_ref())
    }

    fn of_archived(it: &Archived) -> Self {
        Self {
            deletion_sent_at: it.removal.as_ref().map(|removal| removal.at),
            // Without a time: it tells this row from one that another invocation writes at the same moment.
            lease_owner: it.removal.as_ref().and_then(|removal| removal.by.clone()),
            created_entry_arn: it.created.clone(),
            archived_because: (!it.because.is_empty()).then(|| it.because.clone()),
            archived_at: it.at,
            expires_at: it.expires_at,
            standing: it.standing.as_deref().map(|standing| Box::new(Self::of_recorded(standing))),
            ..Self::new(StoredState::Archived, it.cluster_created_at, &it.entry_arn, &it.wanted)
        }
        .seen_good(it.good.as_ref())
    }

    fn of_repair(it: &Repair) -> Self {
        let (creation_sent_at, created_entry_arn) = match &it.phase {
            Phase::Opened | Phase::DeletionSent { .. } => (None, None),
            Phase::CreationSent { at, .. } => (Some(*at), None),
            Phase::Created { at, arn, .. } => (Some(*at), Some(arn.clone())),
        };
        let (good, before) = match &it.before {
            Before::Nothing | Before::Restore(None) => (None, None),
            Before::Recorded(good) => (Some(good), None),
            Before::Archived(archived) | Before::Restore(Some(archived)) => {
                (None, Some(Box::new(Self::of_archived(archived))))
            }
        };
        Self {
            permitted_role_id: Some(it.permitted.role_id.clone()),
            grounds: Some(it.permitted.grounds.clone()),
            deletion_sent_at: it.phase.deletion_at(),
            creation_sent_at,
            created_entry_arn,
            is_own_entry: matches!(it.target, Target::OfOurs(_)),
            is_restore: it.is_restore(),
            role_absent_since: it.role_absent_since,
            lease_owner: it.lease.as_ref().map(|lease| lease.owner.clone()),
            lease_until: it.lease.as_ref().map(|lease| lease.until),
            before,
            ..Self::new(StoredState::Repairing, it.cluster_created_at, it.target.arn(), &it.wanted)
        }
        .seen_good(good)
    }
}

/// A moment as the ledger, the report and the log write it.
#[must_use]
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
