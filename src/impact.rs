//! What of a cluster uses a role: managed node groups, Fargate profiles, Auto Mode and capabilities. Pure.
//!
//! Decides which of them stand still with the role's entry, and what is left to do about each after the repair. It decides
//! nothing about the repair. Users that could not be read are left out, and [`Users::what_is_missing`] says so.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::fault::Fault;
use crate::model::{EntryType, RoleState};
use crate::sighting::Sighting;

/// The most calls with which the users of a cluster's roles are read.
pub const MOST_CALLS: usize = 40;

/// EKS gives a managed node group up when no node has joined for so long (terraform-aws-modules/terraform-aws-eks#1910, and
/// hashicorp/learn-terraform-provision-eks-cluster#86: 21 and 23 minutes until `CREATE_FAILED`). Nothing documents it.
const EKS_WAITS_FOR_NODES: Duration = Duration::minutes(20);

/// The kinds of resources that EKS lists with the role they use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserKind {
    /// A managed node group: its node role.
    Nodegroup,
    /// A Fargate profile: its pod execution role.
    FargateProfile,
    /// An EKS capability (Argo CD, ACK, kro): its capability role.
    Capability,
}

impl UserKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nodegroup, Self::FargateProfile, Self::Capability];

    /// Those whose role is one of nodes.
    pub const OF_NODES: [Self; 2] = [Self::Nodegroup, Self::FargateProfile];

    /// All of them in two groups: these, and the others.
    #[must_use]
    pub fn beginning_with(first: &[Self]) -> [Vec<Self>; 2] {
        let (first, others) = Self::ALL.into_iter().partition(|kind| first.contains(kind));
        [first, others]
    }

    fn label(self) -> &'static str {
        match self {
            Self::Nodegroup => "nodegroup",
            Self::FargateProfile => "fargateProfile",
            Self::Capability => "capability",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Nodegroup => "node groups",
            Self::FargateProfile => "Fargate profiles",
            Self::Capability => "capabilities",
        }
    }

    /// The kind that enters a cluster by an entry of this type. The other types are for what EKS does not list with a role:
    /// hybrid nodes, `HyperPod`, and Auto Mode, which `DescribeCluster` shows.
    #[must_use]
    pub fn entering_by(entry: &EntryType) -> Option<Self> {
        match entry {
            EntryType::Ec2Linux | EntryType::Ec2Windows => Some(Self::Nodegroup),
            EntryType::FargateLinux => Some(Self::FargateProfile),
            EntryType::Standard => Some(Self::Capability),
            EntryType::Ec2 | EntryType::HybridLinux | EntryType::HyperpodLinux | EntryType::Unknown(_) => None,
        }
    }
}

/// A resource of a cluster that uses a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What it is.
    pub kind: UserKind,
    /// Its name, unique among its kind in the cluster.
    pub name: String,
    /// The role that it uses.
    pub role_arn: String,
    /// As EKS shows it, such as `ACTIVE`.
    pub status: Option<String>,
    /// The codes of the issues that EKS found.
    pub health_issues: Vec<String>,
    /// When it was created.
    pub created_at: Option<OffsetDateTime>,
}

/// Why resources of a kind are not all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The work on the entries had ended before.
    NotInTime,
    /// There are more than [`MOST_CALLS`] calls can read.
    TooMany,
    /// AWS refused, or did not answer.
    Fault(Fault),
}

/// What was read of a cluster's resources that use roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    found: Vec<User>,
    unread: BTreeMap<UserKind, Unread>,
}

impl Default for Users {
    /// Nothing was read yet.
    fn default() -> Self {
        let unread = UserKind::ALL.into_iter().map(|kind| (kind, Unread::NotInTime)).collect();
        Self { found: Vec::new(), unread }
    }
}

impl Users {
    /// A resource was described.
    pub fn add(&mut self, user: User) {
        self.found.push(user);
    }

    /// All resources of the kind were asked about. What was given up stays so.
    pub fn end(&mut self, kind: UserKind) {
        if !self.has_given_up(kind) {
            self.unread.remove(&kind);
        }
    }

    /// Not every resource of the kind will be described. The first reason stays.
    pub fn give_up(&mut self, kind: UserKind, why: Unread) {
        if self.unread.get(&kind) == Some(&Unread::NotInTime) {
            self.unread.insert(kind, why);
        }
    }

    /// Whether resources of the kind were given up.
    #[must_use]
    pub fn has_given_up(&self, kind: UserKind) -> bool {
        self.unread.get(&kind).is_some_and(|why| *why != Unread::NotInTime)
    }

    /// The resource of these kinds that uses this role and comes first by name.
    #[must_use]
    pub fn of_role(&self, role_arn: &str, kinds: &[UserKind]) -> Option<&User> {
        let of_it = self.found.iter().filter(|user| user.role_arn == role_arn && kinds.contains(&user.kind));
        of_it.min_by_key(|user| (user.kind, &user.name))
    }

    /// Why resources of this kind are not all known, if so.
    #[must_use]
    pub fn unread(&self, kind: UserKind) -> Option<&Unread> {
        self.unread.get(&kind)
    }

    /// For a person: what uses the role and may be missing, if entries of this type are for something that was not read
    /// whole.
    #[must_use]
    pub fn what_is_missing(&self, entry: &EntryType) -> Option<String> {
        let kind = UserKind::entering_by(entry)?;
        let what = kind.plural();
        let why = match self.unread.get(&kind)? {
            Unread::NotInTime => {
                format!(
                    "`impact` may lack some {what}: the work on the entries ended before all of the cluster's were looked \
                     at."
                )
            }
            Unread::TooMany => format!(
                "The cluster has more {what} than {MOST_CALLS} calls can read. Those that were not read are missing \
                 in `impact`."
            ),
            Unread::Fault(fault) => format!("Some {what} that use the role are missing in `impact` ({fault})."),
        };
        Some(why)
    }
}

/// A resource that uses the role of an entry, as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// `nodegroup`, `fargateProfile`, `autoMode` or `capability`.
    pub kind: &'static str,
    /// The resource's name; of Auto Mode, the cluster's.
    pub name: String,
    /// As EKS shows it; Auto Mode has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The codes of the issues that EKS found.
    pub health_issues: Vec<String>,
    /// Whole minutes until EKS is expected to give a node group up that is being created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes_left: Option<u64>,
    /// What is left to do after the repair. Left out if a repair would not help: the role is gone, or the entry's type is
    /// not the one that lets such a resource in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// What is left to do about a resource when its role's entry is repaired.
///
/// - The nodes of a node group join by themselves: a kubelet repeats its registration until it is let in, at least every
///   seven seconds (kubernetes/kubernetes, `pkg/kubelet/kubelet_node_status.go`, `registerWithAPIServer`).
/// - A Fargate profile only says which pods run on Fargate. Nothing of it has to be made again: the kubelet of each new pod
///   registers with the pod execution role (EKS API Reference, `CreateFargateProfile`).
/// - Auto Mode is built on Karpenter, which replaces nodes that have not registered after 15 minutes
///   (aws/karpenter-provider-aws, `liveness.go`).
/// - A capability's controllers are run by EKS outside of the cluster (EKS API Reference, `CreateCapability`). They keep their
///   role, and all that it lacks is the entry.
///
/// EKS has no operation that continues a failed creation: whatever is `CREATE_FAILED` has to be deleted and made again. What
/// is being deleted needs nothing. Health issues with other causes than the entry, such as `IamInstanceProfileNotFound`, are
/// shown as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Next {
    /// Nothing.
    JoinsByItself,
    /// It has to be made again.
    Recreate,
}

impl Impact {
    /// Whether EKS itself shows that something is wrong, or waits.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        let goes_on = |status: &str| matches!(status, "ACTIVE" | "UPDATING" | "DELETING");
        !self.health_issues.is_empty() || self.status.as_deref().is_some_and(|status| !goes_on(status))
    }
}

/// For a person: one line.
impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        if let Some(status) = &self.status {
            write!(f, " {status}")?;
        }
        if !self.health_issues.is_empty() {
            write!(f, " ({})", self.health_issues.join(", "))?;
        }
        if let Some(minutes) = self.minutes_left {
            write!(f, ", EKS gives up in about {minutes} minutes")?;
        }
        match self.next {
            Some(Next::JoinsByItself) => write!(f, ": joins by itself"),
            Some(Next::Recreate) => write!(f, ": has to be made again"),
            None => Ok(()),
        }
    }
}

/// The order of entries that are alike otherwise: first those that stop what EKS shows to stand still, then those that
/// something uses.
#[must_use]
pub fn rank(impact: &[Impact]) -> u8 {
    match impact {
        [] => 2,
        some if some.iter().any(Impact::stands_still) => 0,
        _ => 1,
    }
}

/// What of its cluster uses the role of an entry: what stands still first.
#[must_use]
pub fn of(sighting: &Sighting, users: &Users, now: OffsetDateTime) -> Vec<Impact> {
    let principal = sighting.principal.as_str();
    let entry = sighting.snapshot().map(|snapshot| snapshot.kind);
    let has_role = matches!(sighting.role, RoleState::Present(_));
    let next = |lets_in: bool, status: Option<&str>| {
        let next = if status == Some("CREATE_FAILED") { Next::Recreate } else { Next::JoinsByItself };
        (has_role && lets_in).then_some(next)
    };
    let node_role = sighting.cluster.as_ref().and_then(|cluster| cluster.node_role_arn.as_deref());
    let auto_mode = (node_role == Some(principal)).then(|| Impact {
        kind: "autoMode",
        name: sighting.at.name.clone(),
        status: None,
        health_issues: Vec::new(),
        minutes_left: None,
        next: next(entry == Some(EntryType::Ec2), None),
    });
    let listed = users.found.iter().filter(|user| user.role_arn == principal).map(|user| Impact {
        kind: user.kind.label(),
        name: user.name.clone(),
        status: user.status.clone(),
        health_issues: user.health_issues.clone(),
        minutes_left: minutes_left(user, now),
        next: next(entry.as_ref().and_then(UserKind::entering_by) == Some(user.kind), user.status.as_deref()),
    });
    let mut impact: Vec<Impact> = listed.chain(auto_mode).collect();
    impact.sort_by(|a, b| {
        let order = |it: &Impact| (!it.stands_still(), it.minutes_left.is_none(), it.minutes_left);
        order(a).cmp(&order(b)).then_with(|| (a.kind, &a.name).cmp(&(b.kind, &b.name)))
    });
    impact
}

/// Until EKS is expected to give up, of a node group that is being created.
fn minutes_left(user: &User, now: OffsetDateTime) -> Option<u64> {
    if user.kind != UserKind::Nodegroup || user.status.as_deref() != Some("CREATING") {
        return None;
    }
    let left = user.created_at? + EKS_WAITS_FOR_NODES - now;
    Some(u64::try_from(left.whole_minutes()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
