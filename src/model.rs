//! The nouns: roles, Regions, clusters, access entries. Parsed once at the door and carried as types from there.
//!
//! Nothing here decides anything and nothing here knows the AWS SDK; `aws/` converts to these types, everything else
//! speaks them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::fault::Fault;

mod access;
mod entry;
mod name_set;
mod roles;

pub use access::{AuthenticationMode, ClusterAccess};
pub use entry::{
    AccessEntry, AccessPolicy, AccessScope, EntryType, Snapshot, VIEW_POLICY, is_aws_tag, is_generated_username,
};
pub use name_set::NameSet;
pub use roles::Roles;

/// The account and partition that this function belongs to: those of the invoked function's ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// Twelve digits.
    pub account: String,
}

impl Home {
    /// The Region in which this account's IAM events are recorded.
    #[must_use]
    pub fn region_of_iam_events(&self) -> Region {
        Region::of_iam_events(&self.partition)
    }
}

/// An AWS Region's name, such as `eu-west-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Region(pub String);

impl Region {
    /// The Region in which a partition's IAM events are recorded (`CloudTrail` User Guide, "Viewing global service events"; for
    /// the other partitions the Region of IAM's endpoint, AWS General Reference, "IAM endpoints and quotas").
    #[must_use]
    pub fn of_iam_events(partition: &str) -> Self {
        let name = match partition {
            "aws-cn" => "cn-north-1",
            "aws-us-gov" => "us-gov-west-1",
            _ => "us-east-1",
        };
        Self(name.to_owned())
    }

    /// A Region's name by its form, such as `eu-west-1` or `us-gov-west-1`. It becomes part of a host name, so nothing but
    /// lower-case letters, digits and dashes passes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (place, number) = text.rsplit_once('-')?;
        let parts: Vec<&str> = place.split('-').collect();
        let is_place = parts.len() >= 2
            && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()));
        let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        (text.len() <= 32 && is_place && is_number).then(|| Self(text.to_owned()))
    }
}

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
            Principal::User { .. } | Principal::Other { .. } => None,
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
        /// The user's ARN.
        arn: String,
        /// The account that the user lives in.
        account: String,
    },
    /// Neither: the account's root, a session, or no ARN at all. EKS takes some of these and never matches them
    /// (kubernetes-sigs/aws-iam-authenticator#797).
    Other {
        /// As EKS shows it.
        text: String,
        /// The account that the ARN names, if it names one.
        account: Option<String>,
    },
}

impl Principal {
    /// Sorts a principal's ARN.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if arn != "arn" || !partition.starts_with("aws") || !is_account {
            return Self::Other { text: text.to_owned(), account: None };
        }
        let is_of_iam = service == "iam" && region.is_empty() && resource.bytes().all(|b| b.is_ascii_graphic());
        if is_of_iam && resource.starts_with("user/") {
            return Self::User { arn: text.to_owned(), account: account.to_owned() };
        }
        let role = is_of_iam.then(|| RoleArn::new(text, partition, account, resource)).flatten();
        let other = || Self::Other { text: text.to_owned(), account: Some(account.to_owned()) };
        role.map_or_else(other, Self::Role)
    }

    /// As EKS shows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Role(arn) => arn.as_str(),
            Self::User { arn, .. } => arn,
            Self::Other { text, .. } => text,
        }
    }

    /// The role, if it is one.
    #[must_use]
    pub fn role(&self) -> Option<&RoleArn> {
        match self {
            Self::Role(arn) => Some(arn),
            Self::User { .. } | Self::Other { .. } => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An IAM role as `GetRole` or `ListRoles` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

impl Role {
    /// The trust policy as one line, however its author broke it; for a person.
    #[must_use]
    pub fn trust_in_one_line(&self) -> String {
        match &self.trust_policy {
            Some(policy) => policy.split_whitespace().collect::<Vec<_>>().join(" "),
            None => "the trust policy could not be read".to_owned(),
        }
    }
}

/// What is known of a role at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RoleState {
    /// IAM showed it.
    Present(Role),
    /// IAM answered that no role has that name.
    Absent,
    /// IAM could not be asked.
    Unreadable(Fault),
}

impl RoleState {
    /// A role that was not asked for, or is none of this account: asking again tells no more.
    #[must_use]
    pub fn unread(because: &str) -> Self {
        Self::Unreadable(Fault::not_asked("GetRole", because))
    }

    /// The state of the role of exactly this ARN: a role of the name under another path is another principal.
    #[must_use]
    pub fn of(self, arn: &RoleArn) -> Self {
        match self {
            Self::Present(role) if role.arn != *arn => Self::Absent,
            state => state,
        }
    }

    /// The role, where IAM showed one.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        match self {
            Self::Present(role) => Some(role),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// The role or user that created a role: whoever's credentials made the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creator {
    /// The ARN of the IAM role behind the session, or of the IAM user.
    pub arn: String,
    /// Its unique ID: `AROA…` or `AIDA…`.
    pub unique_id: String,
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
    /// The cluster's ARN.
    #[must_use]
    pub fn arn(&self, home: &Home) -> String {
        format!("arn:{}:eks:{}:{}:cluster/{}", home.partition, self.region, home.account, self.name)
    }

    /// Reads the form that [`fmt::Display`] writes, the ledger's sort key: `REGION#CLUSTER_NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (region, name) = text.split_once('#')?;
        (!region.is_empty() && !name.is_empty())
            .then(|| Self { region: Region(region.to_owned()), name: name.to_owned() })
    }
}

/// What `DescribeCluster` says of a cluster that holds a matching entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Region and name.
    pub at: ClusterRef,
    /// When it was created: tells a cluster from a later one of its name.
    pub created_at: OffsetDateTime,
    /// `ACTIVE` or `UPDATING`: what access-entry calls do in any other status is not documented.
    pub is_workable: bool,
    /// The role that the cluster itself uses; its entry is managed by AWS in Auto Mode.
    pub role_arn: String,
    /// The role of Auto Mode's nodes, whose entry EKS makes itself; `None` without Auto Mode.
    pub node_role_arn: Option<String>,
    /// Tags set by the owner or by AWS.
    pub tags: BTreeMap<String, String>,
}

/// One count to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The metric's name.
    pub name: &'static str,
    /// Names and values of its dimensions.
    pub dimensions: Vec<(&'static str, String)>,
    /// The count.
    pub value: f64,
}

impl Datum {
    /// A count without dimensions.
    #[must_use]
    pub fn total(name: &'static str, count: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts of entries are far below 2^52")]
        Self { name, dimensions: Vec::new(), value: count as f64 }
    }
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
}
