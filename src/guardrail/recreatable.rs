//! Whether EKS would take an entry back: asked before anything is deleted, since afterwards it is too late.

use super::Refusal;
use crate::model::{AccessPolicy, Cluster, EntryType, RoleArn, Snapshot};
use crate::outcome::Hold;

pub(super) const RESERVED_PREFIXES: [&str; 5] = ["system:", "eks:", "aws:", "amazon:", "iam:"];

/// Tags with which a service marks the entries that it made. Only the service can set them, and it may manage only the
/// entries that have them (aws/containers-roadmap#185: `aws:eks:managed`).
const SERVICE_TAGS: &str = "aws:eks:";

/// Policies that only AWS may attach (EKS User Guide, "Review access policy permissions").
const SERVICE_POLICIES: [&str; 12] = [
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSBlockStorageClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSComputeClusterPolicy",
    "AmazonEKSHybridPolicy",
    "AmazonEKSClusterInsightsPolicy",
    "AmazonEKSEventPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSNetworkingClusterPolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSLoadBalancingClusterPolicy",
    "AmazonEKSPodIdentityPolicy",
];

/// Who uses a policy, by how its name begins (EKS User Guide, "Review access policy permissions" and "EKS Capabilities").
const USED_BY: [(&str, &str); 9] = [
    ("AmazonEKSArgoCD", "Argo CD (EKS Capabilities)"),
    ("AmazonEKSACKPolicy", "ACK (EKS Capabilities)"),
    ("AmazonEKSKROPolicy", "KRO (EKS Capabilities)"),
    ("AWSBackupFullAccessPolicyFor", "AWS Backup"),
    ("AmazonEMRJobPolicy", "Amazon EMR on EKS"),
    ("AmazonSagemakerHyperpod", "Amazon SageMaker HyperPod"),
    ("AmazonAIOpsAssistantPolicy", "CloudWatch investigations (AIOps)"),
    ("AIDevOpsAgentAccessPolicy", "AWS DevOps Agent"),
    ("AmazonARCRegionSwitchScalingPolicy", "Region switch of Amazon Application Recovery Controller"),
];

/// Which services use the policies of an entry, in words for a person; `None` if none of them belongs to a known one.
#[must_use]
pub fn services_that_use(policies: &[AccessPolicy]) -> Option<String> {
    let used = policies.iter().filter_map(|policy| {
        let (_, service) = USED_BY.iter().find(|(prefix, _)| policy.name().starts_with(prefix))?;
        Some(format!("{service} uses {}", policy.name()))
    });
    let used: Vec<String> = used.collect();
    (!used.is_empty())
        .then(|| format!("{}. While the entry is stale, this does not work in the cluster.", used.join(", ")))
}

/// Whether EKS would take the entry back.
pub(super) fn recreatable(principal: &RoleArn, snapshot: &Snapshot, cluster: &Cluster) -> Result<(), Refusal> {
    match obstacle(principal, snapshot, cluster) {
        Some(because) => Err(Refusal::Hold(Hold::CannotRecreate { because })),
        None => Ok(()),
    }
}

fn obstacle(principal: &RoleArn, snapshot: &Snapshot, cluster: &Cluster) -> Option<String> {
    if principal.is_service_linked() {
        return Some("its principal is a service-linked role".to_owned());
    }
    if cluster.role_arn == principal.as_str() {
        return Some("its principal is the cluster's own role".to_owned());
    }
    // EKS User Guide, "Auto Mode": such entries can be viewed, but not modified.
    if cluster.node_role_arn.as_deref() == Some(principal.as_str()) {
        return Some(
            "its principal is the node role of the cluster's Auto Mode: EKS itself creates that entry".to_owned(),
        );
    }
    if let Some((key, value)) = snapshot.tags.iter().find(|(key, _)| is_service_tag(key)) {
        return Some(format!("a service made it and marked it with the tag {key}={value}, which nobody else can set"));
    }
    let names = || snapshot.username.iter().chain(snapshot.kubernetes_groups.iter());
    match &snapshot.kind {
        EntryType::Unknown(kind) => return Some(format!("type {kind} is unknown to this version")),
        EntryType::Standard => {
            if let Some(name) = names().find(|name| is_reserved(name)) {
                return Some(format!("{name} has a prefix that EKS reserves"));
            }
            if let Some(name) = snapshot.username.as_ref().filter(|name| has_template_without_colon(name)) {
                return Some(format!(
                    "its user name {name} has no colon before {{{{SessionName}}}}, which EKS refuses"
                ));
            }
        }
        node => {
            if let Some(name) = names().find(|name| !name.is_empty() && !is_reserved(name)) {
                return Some(format!("its owner set the user name or group {name} on a {} entry", node.as_str()));
            }
            if !node.has_policies() && !snapshot.access_policies.is_empty() {
                return Some(format!("it has access policies, which {} entries cannot have", node.as_str()));
            }
        }
    }
    let mut service_only = snapshot.access_policies.iter().map(AccessPolicy::name);
    let service_only = service_only.find(|name| SERVICE_POLICIES.contains(name));
    service_only.map(|name| format!("only AWS may attach {name}"))
}

fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_service_tag(key: &str) -> bool {
    key.get(..SERVICE_TAGS.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(SERVICE_TAGS))
}

/// EKS User Guide, "Create access entries": the user name must have a colon before `{{SessionName}}` or
/// `{{SessionNameRaw}}`.
fn has_template_without_colon(username: &str) -> bool {
    username.find("{{SessionName").is_some_and(|at| !username[..at].contains(':'))
}
