//! The access entry: its type, its policies, and the snapshot of all that its owner set.
//!
//! Knows what EKS takes on creation and what it makes up itself; decides nothing about whether an entry is good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{NameSet, RoleArn};

/// The type of an access entry (EKS API Reference, `CreateAccessEntry`); decides what may be set on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EntryType {
    /// For people and pipelines: user name, groups and access policies are the owner's.
    Standard,
    /// Self-managed or managed Linux nodes.
    Ec2Linux,
    /// Windows nodes.
    Ec2Windows,
    /// Auto Mode nodes; the only node type with access policies.
    Ec2,
    /// Fargate pods.
    FargateLinux,
    /// Hybrid nodes.
    HybridLinux,
    /// SageMaker `HyperPod` nodes.
    HyperpodLinux,
    /// A type newer than this code.
    Unknown(String),
}

impl From<String> for EntryType {
    fn from(text: String) -> Self {
        // The EKS User Guide writes EC2_Windows in places.
        match text.to_ascii_uppercase().as_str() {
            "STANDARD" => Self::Standard,
            "EC2_LINUX" => Self::Ec2Linux,
            "EC2_WINDOWS" => Self::Ec2Windows,
            "EC2" => Self::Ec2,
            "FARGATE_LINUX" => Self::FargateLinux,
            "HYBRID_LINUX" => Self::HybridLinux,
            "HYPERPOD_LINUX" => Self::HyperpodLinux,
            _ => Self::Unknown(text),
        }
    }
}

impl From<EntryType> for String {
    fn from(kind: EntryType) -> Self {
        kind.as_str().to_owned()
    }
}

impl EntryType {
    /// The name that the API uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Standard => "STANDARD",
            Self::Ec2Linux => "EC2_LINUX",
            Self::Ec2Windows => "EC2_WINDOWS",
            Self::Ec2 => "EC2",
            Self::FargateLinux => "FARGATE_LINUX",
            Self::HybridLinux => "HYBRID_LINUX",
            Self::HyperpodLinux => "HYPERPOD_LINUX",
            Self::Unknown(text) => text,
        }
    }

    /// Whether access policies can be associated: `STANDARD` and, by the user guide's Auto Mode pages, `EC2`.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        matches!(self, Self::Standard | Self::Ec2)
    }

    /// Whether user name and groups are EKS's own, and refused on creation.
    #[must_use]
    pub fn is_node(&self) -> bool {
        !matches!(self, Self::Standard | Self::Unknown(_))
    }
}

/// An access policy with the scope it is associated with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicy {
    /// `arn:aws:eks::aws:cluster-access-policy/…`.
    pub policy_arn: String,
    /// Where the policy applies, byte for byte as EKS gave it.
    pub access_scope: AccessScope,
}

impl AccessPolicy {
    /// The policy's name: the last part of its ARN.
    #[must_use]
    pub fn name(&self) -> &str {
        self.policy_arn.rsplit('/').next().unwrap_or_default()
    }

    /// Its name and scope, for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        let scope = match self.access_scope.namespaces.join(", ") {
            none if none.is_empty() => self.access_scope.kind.clone(),
            namespaces => format!("{} {namespaces}", self.access_scope.kind),
        };
        format!("{} for {scope}", self.name())
    }
}

/// The scope of an associated access policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessScope {
    /// `cluster` or `namespace`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Namespaces, possibly with wildcards; empty for `cluster`.
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    pub namespaces: NameSet,
}

/// An access entry as EKS describes it, without its policies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccessEntry {
    /// Whom it is for.
    pub principal_arn: String,
    /// Its own ARN: ends in a value that is new with every creation, so it tells one creation from the next.
    pub arn: String,
    /// Milliseconds. The only date that says what the entry is bound to.
    pub created_at: OffsetDateTime,
    /// Moves with every change by its owner.
    pub modified_at: Option<OffsetDateTime>,
    /// What may be set on it.
    pub kind: EntryType,
    /// As described: generated where the owner set none.
    pub username: Option<String>,
    /// As described: EKS's own for node types.
    pub groups: NameSet,
    /// With the `aws:` tags that only AWS may set.
    pub tags: BTreeMap<String, String>,
}

/// The entry as its owner had it: all that a re-creation has to bring back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The entry's type.
    #[serde(rename = "type")]
    pub kind: EntryType,
    /// As described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// As described, in EKS's order.
    #[serde(default)]
    pub kubernetes_groups: NameSet,
    /// As described, `aws:` tags among them: they tell a person which stack owned the entry.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Every associated policy.
    #[serde(default)]
    pub access_policies: Vec<AccessPolicy>,
    /// When the entry was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The only access policy that gives little to whoever has it.
pub const VIEW_POLICY: &str = "AmazonEKSViewPolicy";

impl Snapshot {
    /// Takes what the owner set from a described entry and its policies.
    #[must_use]
    pub fn of(entry: &AccessEntry, mut policies: Vec<AccessPolicy>) -> Self {
        policies.sort();
        Self {
            kind: entry.kind.clone(),
            username: entry.username.clone(),
            kubernetes_groups: entry.groups.clone(),
            tags: entry.tags.clone(),
            access_policies: policies,
            created_at: entry.created_at,
        }
    }

    /// The user name to send on creation: none for node types, and none where it is the one that EKS generates for
    /// this role (EKS User Guide, "Create access entries"), so that it stays generated.
    #[must_use]
    pub fn creation_username(&self, role: &RoleArn) -> Option<&str> {
        (self.kind == EntryType::Standard)
            .then_some(self.username.as_deref())
            .flatten()
            .filter(|username| !is_generated_username(username, role))
    }

    /// Whether a creation grants more than the view policy, in a way that IAM can tell: by a group or a user name of
    /// its own, to which RBAC may give anything, or by any other policy.
    #[must_use]
    pub fn is_privileged_grant(&self, role: &RoleArn) -> bool {
        let view = format!("arn:{}:eks::aws:cluster-access-policy/{VIEW_POLICY}", role.partition());
        self.creation_username(role).is_some()
            || !self.creation_groups().is_empty()
            || self.access_policies.iter().any(|policy| policy.policy_arn != view)
    }

    /// The groups to send on creation: none for node types.
    #[must_use]
    pub fn creation_groups(&self) -> NameSet {
        if self.kind == EntryType::Standard { self.kubernetes_groups.clone() } else { NameSet::default() }
    }

    /// The tags to send on creation: all but those whose key begins with `aws:` in any spelling, which nobody but
    /// AWS may set (EKS User Guide, "Tag basics").
    #[must_use]
    pub fn creation_tags(&self) -> BTreeMap<String, String> {
        self.tags.iter().filter(|(key, _)| !is_aws_tag(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The policies of this snapshot that are not associated, whatever their scope is now: a scope that somebody changed
    /// stays.
    #[must_use]
    pub fn policies_missing_in(&self, present: &[AccessPolicy]) -> Vec<AccessPolicy> {
        let is_there = |policy: &AccessPolicy| present.iter().any(|there| there.policy_arn == policy.policy_arn);
        self.access_policies.iter().filter(|policy| !is_there(policy)).cloned().collect()
    }

    /// This snapshot of a re-creation that its owner changed, with what the re-creation lacked yet of the original: its
    /// policies, and the tags that nobody but AWS may set.
    #[must_use]
    pub fn completed_by(mut self, original: &Snapshot) -> Self {
        self.access_policies.extend(original.policies_missing_in(&self.access_policies));
        self.access_policies.sort();
        let of_aws = original.tags.iter().filter(|(key, _)| is_aws_tag(key));
        self.tags.extend(of_aws.map(|(key, value)| (key.clone(), value.clone())));
        self.created_at = original.created_at;
        self
    }

    /// Whether these are the policies of this snapshot, with their scopes.
    #[must_use]
    pub fn has_policies(&self, present: &[AccessPolicy]) -> bool {
        let mut present = present.to_vec();
        present.sort();
        present == self.access_policies
    }

    /// Whether this entry could be the re-creation of that snapshot: what is sent on creation is the same, and its
    /// policies are among the snapshot's.
    #[must_use]
    pub fn is_recreation_of(&self, original: &Snapshot, role: &RoleArn) -> bool {
        self.kind == original.kind
            && self.creation_username(role) == original.creation_username(role)
            && self.creation_groups() == original.creation_groups()
            && self.creation_tags() == original.creation_tags()
            && self.access_policies.iter().all(|policy| original.access_policies.contains(policy))
    }
}

impl Snapshot {
    /// All that the entry gives to its role, in words for a person.
    #[must_use]
    pub fn grants(&self) -> String {
        let nothing = Self {
            kind: EntryType::Unknown(String::new()),
            username: None,
            kubernetes_groups: NameSet::default(),
            tags: BTreeMap::new(),
            access_policies: Vec::new(),
            created_at: self.created_at,
        };
        nothing.missing_of(&Self { tags: BTreeMap::new(), ..self.clone() }).join("; ")
    }

    /// What the other has and this lacks, in words for a person; empty if this has everything. A user name or a type of
    /// its own counts, and so does a policy with another scope, since only its owner knows which one is wider.
    #[must_use]
    pub fn missing_of(&self, other: &Snapshot) -> Vec<String> {
        let mut missing = Vec::new();
        if self.kind != other.kind {
            missing.push(format!("type {}", other.kind.as_str()));
        }
        if other.kind == EntryType::Standard
            && let Some(username) = other.username.as_ref().filter(|_| self.username != other.username)
        {
            missing.push(format!("user name {username}"));
        }
        let (groups, other_groups) = (self.creation_groups(), other.creation_groups());
        missing.extend(other_groups.missing_from(&groups).map(|group| format!("group {group}")));
        let lacks = |policy: &&AccessPolicy| !self.access_policies.contains(policy);
        missing.extend(other.access_policies.iter().filter(lacks).map(AccessPolicy::in_words));
        let tags = self.creation_tags();
        let lacks = |(key, value): &(String, String)| tags.get(key) != Some(value);
        missing
            .extend(other.creation_tags().into_iter().filter(lacks).map(|(key, value)| format!("tag {key}={value}")));
        missing
    }
}

/// Whether a tag's key is one that only AWS may set.
#[must_use]
pub fn is_aws_tag(key: &str) -> bool {
    key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
}

/// Whether EKS made this user name up for a `STANDARD` entry of the role: the ARN of its sessions, without path.
#[must_use]
pub fn is_generated_username(username: &str, role: &RoleArn) -> bool {
    username
        == format!("arn:{}:sts::{}:assumed-role/{}/{{{{SessionName}}}}", role.partition(), role.account(), role.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_aws_are_never_sent_whatever_their_spelling() {
        assert!(is_aws_tag("aws:cloudformation:stack-name") && is_aws_tag("AWS:x") && is_aws_tag("aWs:x"));
        assert!(!is_aws_tag("awsome") && !is_aws_tag("aws") && !is_aws_tag("ä"));
    }
}
