//! Whom to trust: who creates the roles for which somebody then makes an access entry.
//!
//! Decides what `CloudTrail`'s event history and the present entries are evidence of. A setting made of it releases
//! privileged entries unattended, so every doubt is against the creator:
//!
//! - Evidence is an entry that is younger than the role, and only for the creator of that very role, by its ID: somebody with
//!   rights in EKS looked at a role that was there. An entry that took the place of one which was deleted after the role had
//!   been created is no evidence: that is what a repair looks like, by this function, by hand or by whomever.
//! - Whoever created a role under the name of an older entry would, if trusted, have been handed that entry's access. That
//!   may be a pipeline's every-day work, or somebody who takes freed names: nothing in the records tells them apart. So they
//!   are never candidates, however much evidence there is for them besides.
//! - Only roles and users of this account count that still exist with the ID that created: nobody can get that ID again. The
//!   judgement of `userIdentity` is the function's own ([`event`]).

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{self, RoleChange};
use crate::fault::Fault;
use crate::guardrail;
use crate::model::{ClusterRef, Creator, EntryType, Home, Role, RoleArn, RoleId, Roles, Snapshot, VIEW_POLICY};

/// A role's creation, as `CloudTrail` recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The created role.
    pub arn: RoleArn,
    /// Its unique ID; `None` if the record was cut off.
    pub role_id: Option<RoleId>,
    /// When it was.
    pub at: Option<OffsetDateTime>,
    /// Who made the role; `None` for whoever cannot be trusted at all: the account's root, an AWS service, somebody of
    /// another account.
    pub by: Option<Creator>,
}

impl Creation {
    /// Reads a record; `None` for whatever created no role of this account.
    #[must_use]
    pub fn read(record: &Value, home: &Home) -> Option<Self> {
        if record.get("eventName").and_then(Value::as_str) != Some("CreateRole") {
            return None;
        }
        let event = event::read_recorded(record, home)?;
        let RoleChange::Created { arn, role_id } = event.change else { return None };
        let by = event.creator.filter(|creator| !is_service(creator) && !is_forwarded_by_identity_center(record));
        Some(Self { arn, role_id, at: event.event_time, by })
    }
}

/// A service-linked role: what it does, an AWS service does.
fn is_service(creator: &Creator) -> bool {
    RoleArn::parse(&creator.arn).is_some_and(|role| role.is_service_linked())
}

/// Whether IAM Identity Center made the call with a person's credentials. The person assigned a permission set and did not
/// choose the role.
fn is_forwarded_by_identity_center(record: &Value) -> bool {
    record.pointer("/userIdentity/invokedBy").and_then(Value::as_str) == Some("sso.amazonaws.com")
}

/// An access entry's deletion, as `CloudTrail` recorded it. What the record does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The cluster's name.
    pub cluster: Option<String>,
    /// The entry's principal.
    pub principal: Option<String>,
    /// When it was.
    pub at: Option<OffsetDateTime>,
}

impl Deletion {
    /// Reads a record; `None` for whatever deleted no entry. The parameters are called as in the request's path, and those of
    /// the path are percent-encoded (DataDog/stratus-red-team#542).
    #[must_use]
    pub fn read(record: &Value) -> Option<Self> {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let is_success = record.get("errorCode").is_none_or(Value::is_null);
        if text("/eventSource") != Some("eks.amazonaws.com") || text("/eventName") != Some("DeleteAccessEntry") {
            return None;
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        is_success.then(|| Self {
            cluster: text("/requestParameters/name").and_then(plain),
            principal: text("/requestParameters/principalArn").and_then(plain),
            at: text("/eventTime").and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok()),
        })
    }

    /// Whether the entry may have taken the place of the deleted one, after the role had been created. What the record does
    /// not tell may be.
    #[must_use]
    pub fn may_precede(&self, entry: &EntrySeen, role_created_at: OffsetDateTime) -> bool {
        let is_between = self.at.is_none_or(|at| {
            at.unix_timestamp() >= role_created_at.unix_timestamp()
                && at.unix_timestamp() <= entry.snapshot.created_at.unix_timestamp()
        });
        is_between
            && self.cluster.as_ref().is_none_or(|name| *name == entry.at.name)
            && self.principal.as_ref().is_none_or(|principal| principal == entry.principal.as_str())
    }
}

/// An access entry of a role of this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySeen {
    /// The cluster that it is in.
    pub at: ClusterRef,
    /// Whose entry it is.
    pub principal: RoleArn,
    /// What its owner set, and when it was created.
    pub snapshot: Snapshot,
    /// Whether it took, or may have taken, the place of one that was deleted after the role had been created.
    pub is_replacement: bool,
}

impl EntrySeen {
    /// Whether it was made before a role that was created then: see [`crate::verdict::is_older`].
    fn is_older_than(&self, created_at: OffsetDateTime) -> bool {
        self.snapshot.created_at.unix_timestamp() < created_at.unix_timestamp()
    }
}

/// All that is known.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The recorded creations.
    pub creations: &'a [Creation],
    /// The roles that exist.
    pub roles: &'a Roles,
    /// The entries.
    pub entries: &'a [EntrySeen],
}

/// What a creator's roles and the entries say of the creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// The creator.
    pub creator: Creator,
    /// The entries that were made for roles which the creator had created: indices of [`Known::entries`].
    pub good: BTreeSet<usize>,
    /// The entries that were there before a role of their name which the creator created.
    pub taken: BTreeSet<usize>,
}

impl Known<'_> {
    /// Follows every creator to the entries of their roles, by the creator's unique ID.
    #[must_use]
    pub fn trails(&self) -> BTreeMap<String, Trail> {
        let mut of_role: BTreeMap<&RoleArn, Vec<usize>> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            of_role.entry(&entry.principal).or_default().push(index);
        }
        let mut trails: BTreeMap<String, Trail> = BTreeMap::new();
        for creation in self.creations {
            let (Some(creator), Some(entries)) = (&creation.by, of_role.get(&creation.arn)) else { continue };
            let made = self.role_made_by(creation);
            let created_at = made.map(|role| role.created_at).or(creation.at);
            let trail = trails.entry(creator.unique_id.clone()).or_insert_with(|| Trail {
                creator: creator.clone(),
                good: BTreeSet::new(),
                taken: BTreeSet::new(),
            });
            for &index in entries {
                let entry = &self.entries[index];
                if created_at.is_none_or(|at| entry.is_older_than(at)) {
                    trail.taken.insert(index);
                } else if made.is_some() && !entry.is_replacement {
                    trail.good.insert(index);
                }
            }
        }
        trails.retain(|_, trail| !trail.good.is_empty() || !trail.taken.is_empty());
        trails
    }

    /// The role that exists, if it is the one that was created.
    fn role_made_by(&self, creation: &Creation) -> Option<&Role> {
        self.roles.get(creation.arn.as_str()).filter(|role| creation.role_id.as_ref() == Some(&role.id))
    }
}

/// Whether a creator still exists with the ID that created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence {
    /// As a role.
    Role(Role),
    /// As a user.
    User,
    /// Not any more.
    Gone,
    /// It could not be read.
    Unknown(Fault),
}

/// A creator that there is evidence for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The creator; its unique ID is the value for `TRUSTED_CREATORS`.
    pub creator: Creator,
    /// The roles that it created and for which somebody then made an entry.
    pub roles: BTreeSet<RoleArn>,
    /// How many entries those are.
    pub entries: usize,
    /// Which of them would wait for a person without trust, if the role were created again: strongest first.
    pub could_release: Vec<Release>,
    /// Who may become the creator.
    pub assumed_by: AssumedBy,
}

/// Who may become a creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssumedBy {
    /// It is a user: whoever has its password or access key.
    User,
    /// It is a role: the principals that its trust policy allows, in words.
    Principals(Vec<String>),
    /// It is a role whose trust policy could not be read.
    Unreadable,
}

/// An entry that trust would release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The cluster that it is in.
    pub at: ClusterRef,
    /// Whose entry it is.
    pub principal: RoleArn,
    /// Its type.
    pub kind: EntryType,
    /// All that it gives, in words.
    pub grants: String,
    /// Why it would wait for a person.
    pub because: String,
    strength: u8,
}

/// A creator of roles under the names of older entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Kind, path and name, such as `role/ci/deploy`: for people to know it by, and no value for `TRUSTED_CREATORS`.
    pub name: String,
    /// The entries that were there before the role: cluster and principal.
    pub taken: Vec<(ClusterRef, RoleArn)>,
    /// How many entries somebody made for other roles of this creator.
    pub good_entries: usize,
}

/// Whom to trust, and what cannot be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Creators {
    /// Candidates for `TRUSTED_CREATORS`, those with most roles first.
    pub candidates: Vec<Candidate>,
    /// Those that would ask for trust, those with most entries first.
    pub askers: Vec<Asker>,
    /// Creators that do not exist any more with the ID that created: kind, path and name.
    pub gone: Vec<String>,
    /// Creators that could not be read.
    pub unknown: Vec<(String, Fault)>,
    /// Roles with entries that were created before the history begins.
    pub older_roles: BTreeSet<RoleArn>,
    /// Roles with entries of which the history has no record although it should.
    pub unrecorded_roles: BTreeSet<RoleArn>,
    /// Roles with entries that were created by nobody who can be trusted.
    pub untrustable_roles: BTreeSet<RoleArn>,
}

impl Creators {
    /// Concludes whom to trust, from the trails and from which of the creators still exist. What `existence` does not have
    /// counts as gone.
    #[must_use]
    pub fn of(
        known: Known<'_>,
        trails: BTreeMap<String, Trail>,
        mut existence: BTreeMap<String, Existence>,
        home: &Home,
        since: OffsetDateTime,
    ) -> Self {
        let mut creators = Self::default();
        creators.sort_roles(known, since);
        for (unique_id, trail) in trails {
            let name = name_of(&trail.creator.arn).to_owned();
            let assumed_by = match existence.remove(&unique_id).unwrap_or(Existence::Gone) {
                Existence::Gone => {
                    creators.gone.push(name);
                    continue;
                }
                Existence::Unknown(fault) => {
                    creators.unknown.push((name, fault));
                    continue;
                }
                Existence::User => AssumedBy::User,
                Existence::Role(role) => assumed_by(&role),
            };
            if trail.taken.is_empty() {
                creators.candidates.push(candidate(known, trail, assumed_by, home));
            } else {
                let taken = trail.taken.iter().map(|&index| &known.entries[index]);
                creators.askers.push(Asker {
                    name,
                    taken: taken.map(|entry| (entry.at.clone(), entry.principal.clone())).collect(),
                    good_entries: trail.good.len(),
                });
            }
        }
        creators
            .candidates
            .sort_by_key(|candidate| (usize::MAX - candidate.roles.len(), candidate.creator.arn.clone()));
        creators.askers.sort_by_key(|asker| (usize::MAX - asker.taken.len(), asker.name.clone()));
        creators
    }

    /// Says of which roles with entries the creator is not known, and why.
    fn sort_roles(&mut self, known: Known<'_>, since: OffsetDateTime) {
        let with_entries: BTreeSet<&RoleArn> = known.entries.iter().map(|entry| &entry.principal).collect();
        for role in with_entries.into_iter().filter_map(|arn| known.roles.get(arn.as_str())) {
            let mut records = known.creations.iter().filter(|creation| creation.role_id.as_ref() == Some(&role.id));
            let roles = match records.next() {
                Some(creation) if creation.by.is_some() => continue,
                Some(_) => &mut self.untrustable_roles,
                None if role.created_at < since => &mut self.older_roles,
                None => &mut self.unrecorded_roles,
            };
            roles.insert(role.arn.clone());
        }
    }
}

fn candidate(known: Known<'_>, trail: Trail, assumed_by: AssumedBy, home: &Home) -> Candidate {
    let entries = || trail.good.iter().map(|&index| &known.entries[index]);
    let mut could_release: Vec<Release> = entries()
        .filter_map(|entry| {
            let role = known.roles.get(entry.principal.as_str())?;
            let because = guardrail::privilege(home, &entry.snapshot, role)?;
            Some(Release {
                at: entry.at.clone(),
                principal: entry.principal.clone(),
                kind: entry.snapshot.kind.clone(),
                grants: entry.snapshot.grants(),
                because,
                strength: strength(&entry.snapshot, &entry.principal),
            })
        })
        .collect();
    could_release.sort_by(|one, other| {
        let key = |it: &Release| (u8::MAX - it.strength, it.principal.clone(), it.at.clone());
        key(one).cmp(&key(other))
    });
    Candidate {
        roles: entries().map(|entry| entry.principal.clone()).collect(),
        entries: trail.good.len(),
        could_release,
        assumed_by,
        creator: trail.creator,
    }
}

/// How much an entry gives. What only RBAC knows, and what is not known here, may be anything.
fn strength(snapshot: &Snapshot, principal: &RoleArn) -> u8 {
    let by_policy = snapshot.access_policies.iter().map(|policy| {
        let is_whole = policy.access_scope.kind == "cluster";
        match policy.name() {
            "AmazonEKSClusterAdminPolicy" if is_whole => 6,
            "AmazonEKSClusterAdminPolicy" | "AmazonEKSAdminPolicy" => 4,
            "AmazonEKSEditPolicy" | "AmazonEKSAdminViewPolicy" | "AmazonEKSSecretReaderPolicy" => 3,
            VIEW_POLICY => 1,
            "AmazonEKSAutoNodePolicy" if snapshot.kind.is_node() => 2,
            _ => 5,
        }
    });
    let by_kind = match &snapshot.kind {
        EntryType::Unknown(_) => 5,
        EntryType::Standard => {
            let is_up_to_rbac = snapshot.creation_username(principal).is_some()
                || !snapshot.kubernetes_groups.is_empty()
                || snapshot.access_policies.is_empty();
            if is_up_to_rbac { 5 } else { 0 }
        }
        _ => 2,
    };
    by_policy.chain([by_kind]).max().unwrap_or(0)
}

/// Kind, path and name of a role or a user: the last part of its ARN.
#[must_use]
pub fn name_of(arn: &str) -> &str {
    arn.splitn(6, ':').last().unwrap_or_default()
}

/// Whom a role's trust policy allows, in words. `Deny` only ever takes away, so it is left out.
fn assumed_by(role: &Role) -> AssumedBy {
    let policy: Option<Value> = role.trust_policy.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let Some(policy) = policy else { return AssumedBy::Unreadable };
    let mut principals = Vec::new();
    if role.arn.path().starts_with("/aws-reserved/sso.amazonaws.com/") {
        principals.push("whoever is assigned to this permission set of IAM Identity Center".to_owned());
    }
    for statement in each(policy.get("Statement")) {
        if statement.get("Effect").and_then(Value::as_str) == Some("Deny") {
            continue;
        }
        let condition = if statement.get("Condition").is_some() { ", under conditions" } else { "" };
        let Some(named) = statement.get("Principal") else {
            principals.push(format!("everybody who is not excluded{condition}"));
            continue;
        };
        match named {
            Value::Object(kinds) => {
                for (kind, names) in kinds {
                    principals.extend(each(Some(names)).map(|name| format!("{kind} {}{condition}", plain(name))));
                }
            }
            other => principals.push(format!("{}{condition}", plain(other))),
        }
    }
    principals.sort();
    principals.dedup();
    AssumedBy::Principals(principals)
}

/// A value that may stand alone or in a list.
fn each(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    match value {
        None => [].iter(),
        Some(Value::Array(list)) => list.iter(),
        Some(one) => std::slice::from_ref(one).iter(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
