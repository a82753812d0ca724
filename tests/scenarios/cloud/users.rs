//! What of a cluster uses a role, as EKS shows it: managed node groups, Fargate profiles and capabilities. They are listed and
//! described; tests make them, and nothing here starts a node.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::eks::{epoch_seconds, listed};
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::world::{Cluster, World};

/// The kinds of such resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// A managed node group.
    Nodegroup,
    /// A Fargate profile.
    FargateProfile,
    /// A capability; Argo CD's.
    Capability,
}

/// A resource that uses a role.
#[derive(Debug, Clone)]
pub struct RoleUser {
    /// What it is.
    pub kind: UserKind,
    /// Unique among its kind in the cluster.
    pub name: String,
    /// Its node role, pod execution role or capability role.
    pub role_arn: String,
    /// Such as `ACTIVE`.
    pub status: String,
    /// Codes of the issues that EKS found.
    pub issues: Vec<String>,
    /// To the millisecond.
    pub created_at: OffsetDateTime,
}

/// Answers an operation on them.
pub(super) fn answer(
    world: &World,
    region: &str,
    operation: &str,
    parameters: &Parameters,
) -> Option<Result<Value, Refusal>> {
    Some(match operation {
        "ListNodegroups" => list(world, region, UserKind::Nodegroup, parameters),
        "ListFargateProfiles" => list(world, region, UserKind::FargateProfile, parameters),
        "ListCapabilities" => list(world, region, UserKind::Capability, parameters),
        "DescribeNodegroup" => describe(world, region, UserKind::Nodegroup, parameters),
        "DescribeFargateProfile" => describe(world, region, UserKind::FargateProfile, parameters),
        "DescribeCapability" => describe(world, region, UserKind::Capability, parameters),
        _ => return None,
    })
}

impl UserKind {
    /// The member of a description's request that names it.
    fn name_member(self) -> &'static str {
        match self {
            Self::Nodegroup => "nodegroupName",
            Self::FargateProfile => "fargateProfileName",
            Self::Capability => "capabilityName",
        }
    }
}

fn list(world: &World, region: &str, kind: UserKind, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "maxResults", "nextToken"])?;
    let name = parameters.text("clusterName")?;
    let cluster = cluster(world, region, name).ok_or_else(|| {
        let message = format!("No cluster found for name: {name}.");
        // The model of ListCapabilities has no other error of the caller's.
        if kind == UserKind::Capability { Refusal::invalid_parameter(message) } else { Refusal::not_found(message) }
    })?;
    let mut users: Vec<(String, Value)> = (cluster.users.iter().filter(|user| user.kind == kind))
        .map(|user| {
            (
                user.name.clone(),
                if kind == UserKind::Capability { summary(world, cluster, user) } else { user.name.clone().into() },
            )
        })
        .collect();
    users.sort_by(|one, other| one.0.cmp(&other.0));
    let member = match kind {
        UserKind::Nodegroup => "nodegroups",
        UserKind::FargateProfile => "fargateProfileNames",
        UserKind::Capability => "capabilities",
    };
    listed(world, member, &format!("{member}/{name}"), &users, parameters)
}

fn describe(world: &World, region: &str, kind: UserKind, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", kind.name_member()])?;
    let (name, user) = (parameters.text("clusterName")?, parameters.text(kind.name_member())?);
    let cluster = cluster(world, region, name)
        .ok_or_else(|| Refusal::not_found(format!("No cluster found for name: {name}.")))?;
    let found = cluster.users.iter().find(|it| it.kind == kind && it.name == user);
    let user = found.ok_or_else(|| Refusal::not_found(format!("No {kind:?} found for name: {user}.")))?;
    Ok(match kind {
        UserKind::Nodegroup => json!({ "nodegroup": nodegroup(world, cluster, user) }),
        UserKind::FargateProfile => json!({ "fargateProfile": fargate_profile(world, cluster, user) }),
        UserKind::Capability => json!({ "capability": capability(world, cluster, user) }),
    })
}

fn cluster<'a>(world: &'a World, region: &str, name: &str) -> Option<&'a Cluster> {
    world.clusters.get(&(region.to_owned(), name.to_owned()))
}

fn arn(world: &World, cluster: &Cluster, what: &str, name: &str) -> String {
    let (partition, account) = (&world.partition, &world.account);
    format!("arn:{partition}:eks:{}:{account}:{what}/{}/{name}/0ac8f0c1", cluster.region, cluster.name)
}

fn issues(user: &RoleUser) -> Vec<Value> {
    user.issues.iter().map(|code| json!({ "code": code, "message": format!("{code} it is") })).collect()
}

fn nodegroup(world: &World, cluster: &Cluster, user: &RoleUser) -> Value {
    json!({
        "nodegroupName": user.name,
        "nodegroupArn": arn(world, cluster, "nodegroup", &user.name),
        "clusterName": cluster.name,
        "version": "1.34",
        "releaseVersion": "1.34.1-20260101",
        "createdAt": epoch_seconds(user.created_at),
        "modifiedAt": epoch_seconds(user.created_at),
        "status": user.status,
        "capacityType": "ON_DEMAND",
        "scalingConfig": { "minSize": 1, "maxSize": 2, "desiredSize": 2 },
        "instanceTypes": ["m7i.large"],
        "subnets": ["subnet-0123456789abcdef0"],
        "amiType": "AL2023_x86_64_STANDARD",
        "nodeRole": user.role_arn,
        "diskSize": 20,
        "health": { "issues": issues(user) },
        "updateConfig": { "maxUnavailable": 1 },
    })
}

fn fargate_profile(world: &World, cluster: &Cluster, user: &RoleUser) -> Value {
    json!({
        "fargateProfileName": user.name,
        "fargateProfileArn": arn(world, cluster, "fargateprofile", &user.name),
        "clusterName": cluster.name,
        "createdAt": epoch_seconds(user.created_at),
        "podExecutionRoleArn": user.role_arn,
        "subnets": ["subnet-0123456789abcdef0"],
        "selectors": [{ "namespace": "default" }],
        "status": user.status,
        "health": { "issues": issues(user) },
    })
}

fn summary(world: &World, cluster: &Cluster, user: &RoleUser) -> Value {
    json!({
        "capabilityName": user.name,
        "arn": arn(world, cluster, "capability", &format!("argocd/{}", user.name)),
        "type": "ARGOCD",
        "status": user.status,
        "version": "3.1.8",
        "createdAt": epoch_seconds(user.created_at),
        "modifiedAt": epoch_seconds(user.created_at),
    })
}

fn capability(world: &World, cluster: &Cluster, user: &RoleUser) -> Value {
    let mut shown = summary(world, cluster, user);
    shown["clusterName"] = cluster.name.clone().into();
    shown["roleArn"] = user.role_arn.clone().into();
    shown["health"] = json!({ "issues": issues(user) });
    shown["deletePropagationPolicy"] = "RETAIN".into();
    shown
}
