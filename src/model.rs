//! The nouns: roles, Regions, clusters, access entries. Parsed once at the door and carried as types from there.
//!
//! Nothing here decides anything and nothing here knows the AWS SDK; `aws/` converts to these types, everything else
//! speaks them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The account and partition that this function belongs to: those of the invoked function's ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// Twelve digits.
    pub account: String,
}

/// An AWS Region's name, such as `eu-west-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Region(pub String);

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The unique ID of an IAM role (`AROA…`): what an access entry is really bound to.
///
/// IAM User Guide, "IAM identifiers": unique IDs are never used again, names and ARNs are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleId(pub String);

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ARN of an IAM role, taken apart: `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
///
/// Two roles of one name but different paths are different principals to EKS, so ARNs compare exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    text: String,
    account_at: (usize, usize),
    name_at: usize,
}

impl RoleArn {
    /// Reads a role's ARN; `None` for anything else (users, STS sessions, malformed text).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let principal = Principal::parse(text);
        match principal {
            Principal::Role(arn) => Some(arn),
            Principal::User { .. } | Principal::Other => None,
        }
    }

    fn new(text: &str, partition: &str, account: &str, resource: &str) -> Option<Self> {
        let path_and_name = resource.strip_prefix("role/")?;
        let name = path_and_name.rsplit('/').next()?;
        if !is_role_name(name) {
            return None;
        }
        let account_start = "arn:".len() + partition.len() + ":iam::".len();
        Some(Self {
            text: text.to_owned(),
            account_at: (account_start, account_start + account.len()),
            name_at: text.len() - name.len(),
        })
    }

    /// The ARN that a role of this name has where it was created without a path.
    #[must_use]
    pub fn without_path(home: &Home, name: &str) -> Option<Self> {
        Self::parse(&format!("arn:{}:iam::{}:role/{name}", home.partition, home.account))
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The role's name, without its path: what `GetRole` takes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.name_at..]
    }

    /// The account that the role lives in.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.text[self.account_at.0..self.account_at.1]
    }

    /// The partition, such as `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.text["arn:".len()..self.account_at.0 - ":iam::".len()]
    }

    /// The path with both slashes, `/` where the role has none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.account_at.1 + ":role".len()..self.name_at]
    }

    /// A role that only an AWS service may use and EKS lets nobody else give entries to (EKS User Guide, "Create
    /// access entries": `role/aws-service-role/` is not supported).
    #[must_use]
    pub fn is_service_linked(&self) -> bool {
        self.path().starts_with("/aws-service-role/")
    }

    /// Whether the role belongs to this account and partition.
    #[must_use]
    pub fn is_of(&self, home: &Home) -> bool {
        self.partition() == home.partition && self.account() == home.account
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether IAM takes this as a role's name: `[\w+=,.@-]{1,64}` (IAM API Reference, `CreateRole`).
#[must_use]
pub fn is_role_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

/// Whom an access entry is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// An IAM role, of this account or another.
    Role(RoleArn),
    /// An IAM user. Its entries break in the same way, but are not this function's job.
    User {
        /// The account that the user lives in.
        account: String,
    },
    /// Anything else: not a principal that EKS documents.
    Other,
}

impl Principal {
    /// Sorts a principal's ARN.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
        let plausible = arn == "arn"
            && partition.starts_with("aws")
            && service == "iam"
            && region.is_empty()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && resource.bytes().all(|b| b.is_ascii_graphic());
        if !plausible {
            return Self::Other;
        }
        if resource.starts_with("user/") {
            return Self::User { account: account.to_owned() };
        }
        RoleArn::new(text, partition, account, resource).map_or(Self::Other, Self::Role)
    }
}

/// An IAM role as `GetRole` or `ListRoles` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN, with the path.
    pub arn: RoleArn,
    /// Its unique ID.
    pub id: RoleId,
    /// IAM's `CreateDate`: whole seconds.
    pub created_at: OffsetDateTime,
    /// The trust policy's JSON text; `None` where IAM did not give one or it could not be decoded.
    pub trust_policy: Option<String>,
}

/// What is known of a role at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleState {
    /// IAM showed it.
    Present(Role),
    /// IAM answered that no role has that name.
    Absent,
    /// IAM could not be asked; the text says why.
    Unreadable(String),
}

impl RoleState {
    /// The role, where IAM showed one.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        match self {
            Self::Present(role) => Some(role),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// A cluster by Region and name: the address of every EKS call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterRef {
    /// The Region that the cluster runs in.
    pub region: Region,
    /// The cluster's name, unique in its Region.
    pub name: String,
}

impl fmt::Display for ClusterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.region, self.name)
    }
}

impl ClusterRef {
    /// Reads the form that [`fmt::Display`] writes, the ledger's sort key: `REGION#CLUSTER_NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (region, name) = text.split_once('#')?;
        (!region.is_empty() && !name.is_empty())
            .then(|| Self { region: Region(region.to_owned()), name: name.to_owned() })
    }
}

/// What `DescribeCluster` says of a cluster that holds a matching entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Region and name.
    pub at: ClusterRef,
    /// When it was created: tells a cluster from a later one of its name.
    pub created_at: OffsetDateTime,
    /// `ACTIVE` or `UPDATING`: what access-entry calls do in any other status is not documented.
    pub is_workable: bool,
    /// The role that the cluster itself uses; its entry is managed by AWS in Auto Mode.
    pub role_arn: String,
    /// Tags set by the owner or by AWS.
    pub tags: BTreeMap<String, String>,
}

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
}

/// The scope of an associated access policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessScope {
    /// `cluster` or `namespace`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Namespaces, possibly with wildcards; empty for `cluster`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

/// An access entry as EKS describes it, without its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub groups: Vec<String>,
    /// With the `aws:` tags that only AWS may set.
    pub tags: BTreeMap<String, String>,
}

/// The entry as its owner had it: all that a re-creation has to bring back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub kubernetes_groups: Vec<String>,
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

    /// The groups to send on creation: none for node types.
    #[must_use]
    pub fn creation_groups(&self) -> &[String] {
        if self.kind == EntryType::Standard { &self.kubernetes_groups } else { &[] }
    }

    /// The tags to send on creation: all but those whose key begins with `aws:` in any spelling, which nobody but
    /// AWS may set (EKS User Guide, "Tag basics").
    #[must_use]
    pub fn creation_tags(&self) -> BTreeMap<String, String> {
        self.tags.iter().filter(|(key, _)| !is_aws_tag(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Whether this entry could be the re-creation of that snapshot: what is sent on creation is the same, and its
    /// policies are among the snapshot's.
    #[must_use]
    pub fn is_recreation_of(&self, original: &Snapshot, role: &RoleArn) -> bool {
        let groups = |snapshot: &Snapshot| {
            let mut groups = snapshot.creation_groups().to_vec();
            groups.sort();
            groups
        };
        self.kind == original.kind
            && self.creation_username(role) == original.creation_username(role)
            && groups(self) == groups(original)
            && self.creation_tags() == original.creation_tags()
            && self.access_policies.iter().all(|policy| original.access_policies.contains(policy))
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
    fn a_role_arn_is_taken_apart_with_its_path() {
        let arn = RoleArn::parse("arn:aws-cn:iam::111122223333:role/team/a/node").expect("a role");
        assert_eq!(
            (arn.partition(), arn.account(), arn.path(), arn.name()),
            ("aws-cn", "111122223333", "/team/a/", "node")
        );
        let plain = RoleArn::parse("arn:aws:iam::111122223333:role/node").expect("a role");
        assert_eq!((plain.path(), plain.name()), ("/", "node"));
    }

    #[test]
    fn what_is_not_a_role_is_not_taken_for_one() {
        for text in [
            "",
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:sts::111122223333:assumed-role/node/session",
            "arn:aws:iam::11112222333:role/short-account",
            "arn:aws:iam:us-east-1:111122223333:role/node",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/team/",
            "arn:aws:iam::111122223333:role/no de",
            "ARN:aws:iam::111122223333:role/node",
        ] {
            assert_eq!(RoleArn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tags_of_aws_are_never_sent_whatever_their_spelling() {
        assert!(is_aws_tag("aws:cloudformation:stack-name") && is_aws_tag("AWS:x") && is_aws_tag("aWs:x"));
        assert!(!is_aws_tag("awsome") && !is_aws_tag("aws") && !is_aws_tag("ä"));
    }
}
