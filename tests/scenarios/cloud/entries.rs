//! Access entries: what becomes of them when somebody creates, changes or deletes one. The wire uses these verbs for the
//! caller under test; tests use them for other parties (an owner, Terraform, AWS itself).
//!
//! The heart is [`Entry::bound_to`]: the unique ID of the principal at creation, which no API shows.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::policies::Question;
use super::refusal::Refusal;
use super::rules::{self, Principal};
use super::services::Service;
use super::world::{Cluster, World};

/// An access entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The principal, exactly as the entry was created.
    pub principal_arn: String,
    /// Ends with a UUID that every creation has afresh. [AWS-6]
    pub arn: String,
    /// `STANDARD`, `EC2_LINUX` …
    pub kind: String,
    /// Given or generated.
    pub username: String,
    /// Given or generated.
    pub groups: Vec<String>,
    /// Including those of AWS (`aws:…`).
    pub tags: BTreeMap<String, String>,
    /// Access policies, in order of association.
    pub policies: Vec<Policy>,
    /// To the millisecond.
    pub created_at: OffsetDateTime,
    /// To the millisecond.
    pub modified_at: OffsetDateTime,
    /// The unique ID of the principal when the entry was created. Hidden from every API. [AWS-1]
    pub bound_to: String,
}

/// An access policy and its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "as EKS calls it")]
pub struct Policy {
    /// `arn:aws:eks::aws:cluster-access-policy/…`
    pub policy_arn: String,
    /// `cluster` or `namespace`.
    pub scope: String,
    /// For scope `namespace`; may hold wildcards.
    pub namespaces: Vec<String>,
}

/// The parameters of `CreateAccessEntry`.
#[derive(Debug, Clone, Default)]
pub struct NewEntry {
    /// The principal.
    pub principal_arn: String,
    /// `STANDARD` where absent.
    pub kind: Option<String>,
    /// Generated where absent.
    pub username: Option<String>,
    /// Generated where absent.
    pub groups: Option<Vec<String>>,
    /// None where absent.
    pub tags: Option<BTreeMap<String, String>>,
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The program under test, with the permissions that the world gives it.
    Guard,
    /// Somebody else with all permissions, under EKS's rules.
    Other,
    /// AWS itself, which may use reserved names, tags and policies.
    Aws,
}

const NO_ENTRY: &str = "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.";
const IN_USE: &str = "The specified access entry resource is already in use on this cluster.";
const NO_MODE: &str =
    "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
const STANDARD_ONLY: &str = r#"This operation can only be performed on Access Entries with a type of "STANDARD"."#;

impl World {
    /// `CreateAccessEntry`. [AWS-25] [AWS-31] [AWS-32] [AWS-42]
    pub fn create_entry(
        &mut self,
        region: &str,
        cluster: &str,
        new: &NewEntry,
        caller: Caller,
    ) -> Result<Entry, Refusal> {
        if caller == Caller::Guard && !self.habits.in_use_first {
            self.check_may_create(region, cluster, new)?;
        }
        self.with_entries(region, cluster)?;
        if self.habits.in_use_first {
            self.check_free(region, cluster, &new.principal_arn)?;
        }
        if caller == Caller::Guard {
            self.check_may_create(region, cluster, new)?;
        }
        let kind = new.kind.as_deref().unwrap_or("STANDARD");
        let principal = Principal::parse(&new.principal_arn)?;
        rules::check_type(kind)?;
        if caller != Caller::Aws {
            rules::check_naming(kind, new.username.as_deref(), new.groups.as_deref())?;
            new.tags.as_ref().map_or(Ok(()), rules::check_tags)?;
            if principal.is_service_linked() {
                let message = "Access entries do not support service linked roles";
                return Err(Refusal::invalid_parameter(message));
            }
        }
        if kind != "STANDARD" && (principal.kind != "role" || principal.account != self.account) {
            let message = format!("The principalArn must be a role of the cluster's account for type {kind}");
            return Err(Refusal::invalid_parameter(message));
        }
        let bound_to = self.resolve(&new.principal_arn, &principal)?;
        self.check_free(region, cluster, &new.principal_arn)?;
        if self.cluster(region, cluster).entries.len() >= self.habits.entries_per_cluster {
            let message = "You have reached the limit of access entries for this cluster";
            return Err(Refusal::new(400, "ResourceLimitExceededException", message));
        }
        let (account, at) = (&principal.account, self.now_ms());
        let arn = format!(
            "arn:{}:eks:{region}:{}:access-entry/{cluster}/{}/{account}/{}/{}",
            self.partition.clone(),
            self.account.clone(),
            principal.kind,
            principal.name,
            self.uuid()
        );
        let username = new.username.clone();
        let entry = Entry {
            principal_arn: new.principal_arn.clone(),
            arn,
            kind: kind.to_owned(),
            username: username.unwrap_or_else(|| rules::generated_username(kind, &self.partition, &principal)),
            groups: new.groups.clone().unwrap_or_else(|| rules::generated_groups(kind)),
            tags: new.tags.clone().unwrap_or_default(),
            policies: Vec::new(),
            created_at: at,
            modified_at: at,
            bound_to,
        };
        let cluster = self.cluster(region, cluster);
        cluster.past.note_coming_or_going(&new.principal_arn, None);
        cluster.entries.insert(new.principal_arn.clone(), entry.clone());
        Ok(entry)
    }

    /// `UpdateAccessEntry`: replaces user name and groups where given. The binding stays as it is. [AWS-3] [AWS-48]
    pub fn update_entry(
        &mut self,
        region: &str,
        cluster: &str,
        principal_arn: &str,
        username: Option<&str>,
        groups: Option<&[String]>,
    ) -> Result<Entry, Refusal> {
        let rebind = if self.habits.update_rebinds {
            self.with_entries(region, cluster)?;
            Principal::parse(principal_arn).and_then(|principal| self.resolve(principal_arn, &principal)).ok()
        } else {
            None
        };
        self.change_entry(region, cluster, principal_arn, |entry| {
            let reserved = if entry.kind == "STANDARD" { &rules::RESERVED_PREFIXES[..] } else { &["system:"] };
            rules::check_names(username, groups.unwrap_or_default(), reserved)?;
            if let Some(username) = username {
                username.clone_into(&mut entry.username);
            }
            if let Some(groups) = groups {
                entry.groups = groups.to_vec();
            }
            if let Some(id) = rebind {
                entry.bound_to = id;
            }
            Ok(())
        })
    }

    /// `TagResource` on an entry. [AWS-38] [AWS-40]
    pub fn tag_entry(
        &mut self,
        region: &str,
        cluster: &str,
        principal_arn: &str,
        tags: &BTreeMap<String, String>,
        caller: Caller,
    ) -> Result<Entry, Refusal> {
        if caller != Caller::Aws {
            rules::check_tags(tags)?;
        }
        self.change_entry(region, cluster, principal_arn, |entry| {
            entry.tags.extend(tags.clone());
            Ok(())
        })
    }

    /// `DeleteAccessEntry`: the entry and its associations go; the name stays taken while the deletion settles. [AWS-44]
    pub fn delete_entry(&mut self, region: &str, cluster: &str, principal_arn: &str) -> Result<Entry, Refusal> {
        self.with_entries(region, cluster)?;
        let now = self.now;
        let cluster = self.cluster(region, cluster);
        let entry = cluster.entries.remove(principal_arn).ok_or_else(|| Refusal::not_found(NO_ENTRY))?;
        cluster.past.note_coming_or_going(principal_arn, Some(&entry));
        cluster.deleted.push((now, entry.clone()));
        let name = cluster.name.clone();
        self.record_deleted_entry(region, &name, principal_arn);
        Ok(entry)
    }

    /// `AssociateAccessPolicy`: an upsert of the scope. [AWS-11] [AWS-35]
    pub fn associate_policy(
        &mut self,
        region: &str,
        cluster: &str,
        principal_arn: &str,
        policy: &Policy,
        caller: Caller,
    ) -> Result<(), Refusal> {
        let is_view = policy.policy_arn.ends_with(":cluster-access-policy/AmazonEKSViewPolicy");
        if caller == Caller::Guard && self.habits.privileged_grants_refused && !is_view {
            return Err(self.denied_by_identity_policy(Service::Eks, "eks:AssociateAccessPolicy"));
        }
        self.with_entries(region, cluster)?;
        if caller == Caller::Guard {
            let young = self.now - self.habits.association_refused_for;
            let entry = self.cluster(region, cluster).entries.get(principal_arn);
            if entry.is_some_and(|entry| entry.created_at > young) {
                return Err(Refusal::not_found(NO_ENTRY));
            }
        }
        let partition = self.partition.clone();
        let ec2_too = self.habits.ec2_entries_have_policies;
        self.change_entry(region, cluster, principal_arn, |entry| {
            check_has_policies(entry, ec2_too)?;
            if caller != Caller::Aws {
                rules::check_policy(&partition, policy)?;
            }
            match entry.policies.iter_mut().find(|present| present.policy_arn == policy.policy_arn) {
                Some(present) => *present = policy.clone(),
                None => entry.policies.push(policy.clone()),
            }
            Ok(())
        })
        .map(drop)
    }

    /// `DisassociateAccessPolicy`. [AWS-47]
    pub fn disassociate_policy(
        &mut self,
        region: &str,
        cluster: &str,
        principal_arn: &str,
        policy_arn: &str,
    ) -> Result<(), Refusal> {
        self.change_entry(region, cluster, principal_arn, |entry| {
            let before = entry.policies.len();
            entry.policies.retain(|policy| policy.policy_arn != policy_arn);
            if entry.policies.len() == before {
                return Err(Refusal::not_found("The specified policyArn could not be found."));
            }
            Ok(())
        })
        .map(drop)
    }

    /// The entry of a principal as reads show it, which may be late. [AWS-11] [AWS-15] [AWS-20]
    pub fn read_entry(&mut self, region: &str, cluster: &str, principal_arn: &str) -> Result<&Entry, Refusal> {
        if self.is_stale && self.with_entries(region, cluster)?.has_past(principal_arn) {
            let before = self.cluster(region, cluster).entry_before(principal_arn);
            return before.ok_or_else(|| Refusal::not_found(NO_ENTRY));
        }
        self.read_late(region, cluster, principal_arn)
    }

    /// The entry of a principal as lists show it.
    pub(super) fn read_listed(&mut self, region: &str, cluster: &str, principal_arn: &str) -> Result<&Entry, Refusal> {
        let is_last = self.with_entries(region, cluster)?.last_member() == Some(principal_arn);
        if is_last {
            self.read_entry(region, cluster, principal_arn)
        } else {
            self.read_late(region, cluster, principal_arn)
        }
    }

    /// The entry of a principal as the habits show it. [AWS-11] [AWS-15]
    fn read_late(&mut self, region: &str, cluster: &str, principal_arn: &str) -> Result<&Entry, Refusal> {
        self.with_entries(region, cluster)?;
        let (now, habits) = (self.now, self.habits.clone());
        let cluster = self.cluster(region, cluster);
        let present = cluster.entries.get(principal_arn);
        let hidden = |entry: &&Entry| entry.created_at > now - habits.created_entry_hidden_for;
        let deleted = cluster.deleted.iter().rev().find(|(_, entry)| entry.principal_arn == principal_arn);
        let ghost = deleted.filter(|(at, _)| *at > now - habits.deleted_entry_visible_for).map(|(_, entry)| entry);
        present.filter(|entry| !hidden(entry)).or(ghost).ok_or_else(|| Refusal::not_found(NO_ENTRY))
    }

    /// The entry of a principal with its policies as reads of the policies show them. [AWS-11] [AWS-15]
    pub fn read_policies(&mut self, region: &str, cluster: &str, principal_arn: &str) -> Result<&Entry, Refusal> {
        let ec2_too = self.habits.ec2_entries_have_policies;
        let entry = if self.is_stale && self.with_entries(region, cluster)?.has_past(principal_arn) {
            let before = self.cluster(region, cluster).policies_before(principal_arn);
            before.ok_or_else(|| Refusal::not_found(NO_ENTRY))?
        } else {
            self.read_late(region, cluster, principal_arn)?
        };
        check_has_policies(entry, ec2_too)?;
        Ok(entry)
    }

    /// A cluster that exists and can have access entries. [AWS-16] [AWS-18] [AWS-19] [AWS-20]
    pub(super) fn with_entries(&mut self, region: &str, name: &str) -> Result<&mut Cluster, Refusal> {
        let cluster = self
            .clusters
            .get_mut(&(region.to_owned(), name.to_owned()))
            .ok_or_else(|| Refusal::not_found(format!("No cluster found for name: {name}.")))?;
        if cluster.connected {
            return Err(Refusal::invalid_request("This operation is not supported for connected clusters."));
        }
        if !["ACTIVE", "UPDATING"].contains(&cluster.status.as_str()) {
            let message = format!("The cluster {name} cannot be used while its status is {}.", cluster.status);
            return Err(Refusal::invalid_request(message));
        }
        match cluster.authentication_mode.as_deref() {
            Some("API" | "API_AND_CONFIG_MAP") => Ok(cluster),
            _ => Err(Refusal::invalid_request(NO_MODE)),
        }
    }

    /// Changes an entry that is there; `modified_at` moves if anything has changed. [AWS-4] [AWS-20]
    fn change_entry(
        &mut self,
        region: &str,
        cluster: &str,
        principal_arn: &str,
        change: impl FnOnce(&mut Entry) -> Result<(), Refusal>,
    ) -> Result<Entry, Refusal> {
        let at = self.now_ms();
        let cluster = self.with_entries(region, cluster)?;
        let entry = cluster.entries.get_mut(principal_arn).ok_or_else(|| Refusal::not_found(NO_ENTRY))?;
        let before = entry.clone();
        change(entry)?;
        if *entry != before {
            entry.modified_at = at;
        }
        let after = entry.clone();
        cluster.past.note_change(&before, &after);
        Ok(after)
    }

    /// The permissions that a creation needs: its own, that to tag, that to pass a node's role. [AWS-24] [AWS-38]
    fn check_may_create(&self, region: &str, cluster: &str, new: &NewEntry) -> Result<(), Refusal> {
        let arn = format!("arn:{}:eks:{region}:{}:cluster/{cluster}", self.partition, self.account);
        let kind = new.kind.as_deref().unwrap_or("STANDARD");
        let create = Question {
            action: "eks:CreateAccessEntry",
            resource: Some(&arn),
            context: [("eks:accessentrytype", kind.to_owned())].into(),
            ..Question::default()
        };
        self.check_session(Service::Eks, &create)?;
        self.check_denials(Service::Eks, "CreateAccessEntry", region)?;
        if new.tags.is_some() {
            self.check_permission(Service::Eks, "TagResource", region)?;
        }
        let is_privileged = new.username.is_some() || new.groups.as_ref().is_some_and(|groups| !groups.is_empty());
        if self.habits.privileged_grants_refused && is_privileged {
            return Err(self.denied_by_identity_policy(Service::Eks, "eks:CreateAccessEntry"));
        }
        // [AWS-23]
        let pass = Question {
            action: "iam:PassRole",
            resource: Some(&new.principal_arn),
            context: [("iam:passedtoservice", "ec2.amazonaws.com".to_owned())].into(),
            ..Question::default()
        };
        if kind != "STANDARD" && !(self.habits.may_pass_roles && self.caller_may(&pass)) {
            return Err(self.no_permission(Service::Eks, "iam:PassRole", &new.principal_arn));
        }
        Ok(())
    }

    /// Whether an entry can be created for a principal. [AWS-13] [AWS-26]
    fn check_free(&mut self, region: &str, cluster: &str, principal_arn: &str) -> Result<(), Refusal> {
        let settled = self.now - self.habits.deletion_settles_for;
        let cluster = self.cluster(region, cluster);
        let unsettled = |(at, entry): &(OffsetDateTime, Entry)| entry.principal_arn == principal_arn && *at > settled;
        if cluster.entries.contains_key(principal_arn) || cluster.deleted.iter().any(unsettled) {
            return Err(Refusal::new(409, "ResourceInUseException", IN_USE));
        }
        Ok(())
    }

    /// The unique ID of a principal, as EKS has learnt of it. [AWS-8] [AWS-12] [AWS-14]
    fn resolve(&self, arn: &str, principal: &Principal) -> Result<String, Refusal> {
        let unknown =
            || Refusal::invalid_parameter("The specified principalArn is invalid: invalid principal.".to_owned());
        if principal.kind != "role" || principal.account != self.account {
            return self.other_principals.get(arn).cloned().ok_or_else(unknown);
        }
        let role = self.role_ago(&principal.name, self.habits.eks_binds_as_of).filter(|role| role.arn == arn);
        let role = role.ok_or_else(unknown)?;
        if self.role_known_since(role) > self.now - self.habits.role_unknown_to_eks_for {
            return Err(unknown());
        }
        Ok(role.id.clone())
    }
}

/// Refuses access policies of entries that have none. [AWS-34]
fn check_has_policies(entry: &Entry, ec2_too: bool) -> Result<(), Refusal> {
    match entry.kind.as_str() {
        "STANDARD" => Ok(()),
        "EC2" if ec2_too => Ok(()),
        _ => Err(Refusal::invalid_parameter(STANDARD_ONLY)),
    }
}
