//! What EKS accepts in an access entry and what it generates: types, user names, groups, tags, policies, principals.
//! Pure functions with EKS's own texts; the state they judge is in `entries`.

use std::collections::BTreeMap;

use super::entries::Policy;
use super::refusal::Refusal;

/// The types an access entry can have. [AWS-30]
pub const TYPES: [&str; 7] =
    ["STANDARD", "FARGATE_LINUX", "EC2_LINUX", "EC2_WINDOWS", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"];

/// How a user name or group of a `STANDARD` entry must not begin. [AWS-27]
pub const RESERVED_PREFIXES: [&str; 5] = ["system:", "eks:", "aws:", "amazon:", "iam:"];

/// Access policies that may be associated by anybody who may associate.
pub const POLICIES: [&str; 20] = [
    "AIDevOpsAgentAccessPolicy",
    "AWSBackupFullAccessPolicyForBackup",
    "AWSBackupFullAccessPolicyForRestore",
    "AmazonAIOpsAssistantPolicy",
    "AmazonARCRegionSwitchScalingPolicy",
    "AmazonEMRJobPolicy",
    "AmazonEKSACKPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSArgoCDClusterPolicy",
    "AmazonEKSArgoCDPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSKROPolicy",
    "AmazonEKSSecretReaderPolicy",
    "AmazonEKSViewPolicy",
    "AmazonSagemakerHyperpodClusterPolicy",
    "AmazonSagemakerHyperpodControllerPolicy",
    "AmazonSagemakerHyperpodInferenceMonitoringPolicy",
];

/// Access policies that only AWS associates. [AWS-33]
pub const SERVICE_ONLY_POLICIES: [&str; 8] = [
    "AmazonEKSBlockStorageClusterPolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterInsightsPolicy",
    "AmazonEKSComputeClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSEventPolicy",
    "AmazonEKSHybridPolicy",
    "AmazonEKSPodIdentityPolicy",
];

/// An IAM role or user, or an account's root, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The account it belongs to.
    pub account: String,
    /// `role`, `user` or `root`.
    pub kind: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// Without the path.
    pub name: String,
}

impl Principal {
    /// Reads the ARN of a role or user, or of an account's root, which EKS accepts and never matches [AWS-82]. Nothing
    /// else can hold an access entry. [AWS-7]
    pub fn parse(arn: &str) -> Result<Self, Refusal> {
        Self::try_parse(arn).ok_or_else(|| Refusal::invalid_parameter("The principalArn parameter format is not valid"))
    }

    fn try_parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else { return None };
        let (kind, rest) = if resource == "root" { ("root", "root") } else { resource.split_once('/')? };
        let (path, name) =
            rest.rsplit_once('/').map_or(("/".to_owned(), rest), |(path, name)| (format!("/{path}/"), name));
        let account_ok = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let well_formed = partition.starts_with("aws")
            && account_ok
            && ["role", "user", "root"].contains(&kind)
            && (kind != "root" || resource == "root");
        let name_ok = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
        (well_formed && name_ok).then(|| Self {
            account: account.to_owned(),
            kind: kind.to_owned(),
            path,
            name: name.to_owned(),
        })
    }

    /// Whether it is a service-linked role, for which nobody can create an entry. [AWS-32]
    pub fn is_service_linked(&self) -> bool {
        self.kind == "role" && self.path.starts_with("/aws-service-role/")
    }
}

/// The user name that EKS gives an entry of this type if the caller gives none. [AWS-29]
pub fn generated_username(kind: &str, partition: &str, principal: &Principal) -> String {
    match kind {
        "STANDARD" if principal.kind == "user" => {
            format!("arn:{partition}:iam::{}:user{}{}", principal.account, principal.path, principal.name)
        }
        "STANDARD" if principal.kind == "root" => format!("arn:{partition}:iam::{}:root", principal.account),
        "STANDARD" => {
            format!("arn:{partition}:sts::{}:assumed-role/{}/{{{{SessionName}}}}", principal.account, principal.name)
        }
        "EC2_LINUX" | "EC2_WINDOWS" | "EC2" => "system:node:{{EC2PrivateDNSName}}".to_owned(),
        _ => "system:node:{{SessionName}}".to_owned(),
    }
}

/// The groups that EKS gives an entry of this type. [AWS-29]
pub fn generated_groups(kind: &str) -> Vec<String> {
    let groups: &[&str] = match kind {
        "STANDARD" => &[],
        "FARGATE_LINUX" => &["system:bootstrappers", "system:node-proxier", "system:nodes"],
        _ => &["system:nodes"],
    };
    groups.iter().map(|group| (*group).to_owned()).collect()
}

/// Refuses types that do not exist. [AWS-30]
pub fn check_type(kind: &str) -> Result<(), Refusal> {
    if TYPES.contains(&kind) {
        return Ok(());
    }
    Err(Refusal::invalid_parameter(format!("The type {kind} is not valid. Valid types are: [{}]", TYPES.join(", "))))
}

/// Refuses a user name or groups that the type does not allow at creation. [AWS-28]
pub fn check_naming(kind: &str, username: Option<&str>, groups: Option<&[String]>) -> Result<(), Refusal> {
    if kind == "STANDARD" {
        check_names(username, groups.unwrap_or_default(), &RESERVED_PREFIXES)
    } else if groups.is_some() {
        let message = format!("The kubernetesGroups parameter cannot be specified for access entries of type {kind}");
        Err(Refusal::invalid_parameter(message))
    } else if username.is_some() {
        let message = format!("The username parameter cannot be specified for access entries of type {kind}");
        Err(Refusal::invalid_parameter(message))
    } else {
        Ok(())
    }
}

/// Refuses a user name or groups that begin in a reserved way, and templates without the colon they need. [AWS-27]
pub fn check_names(username: Option<&str>, groups: &[String], reserved: &[&str]) -> Result<(), Refusal> {
    if let Some(name) = username {
        if name.is_empty() {
            return Err(Refusal::invalid_parameter("The username must not be empty"));
        }
        if let Some(prefix) = reserved.iter().find(|prefix| name.starts_with(**prefix)) {
            return Err(Refusal::invalid_parameter(format!("The username must not begin with {prefix}")));
        }
        if let Some(at) = name.find("{{SessionName").filter(|at| !name[..*at].contains(':')) {
            let message = format!("The username must contain a colon before the template at {at}");
            return Err(Refusal::invalid_parameter(message));
        }
    }
    for group in groups {
        if let Some(prefix) = reserved.iter().find(|prefix| group.starts_with(**prefix)) {
            let message = format!("The kubernetes group name {group} is invalid, it cannot start with {prefix}");
            return Err(Refusal::invalid_parameter(message));
        }
    }
    Ok(())
}

/// Refuses tag maps that are empty, too large, or use the prefix reserved for AWS. [AWS-38]
pub fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if tags.is_empty() || tags.len() > 50 {
        return Err(Refusal::invalid_parameter("The tags parameter must hold between 1 and 50 tags"));
    }
    for (key, value) in tags {
        if key.to_lowercase().starts_with("aws:") {
            let message = format!("The tag key {key} is invalid: the prefix aws: is reserved for AWS use");
            return Err(Refusal::invalid_parameter(message));
        }
        if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            return Err(Refusal::invalid_parameter(format!("The tag {key} is too long")));
        }
    }
    Ok(())
}

/// Refuses policies that do not exist, are AWS's own, or whose scope is not one. [AWS-33] [AWS-45]
pub fn check_policy(partition: &str, policy: &Policy) -> Result<(), Refusal> {
    let prefix = format!("arn:{partition}:eks::aws:cluster-access-policy/");
    let Some(name) = policy.policy_arn.strip_prefix(&prefix) else {
        return Err(Refusal::invalid_parameter("The policyArn parameter format is not valid"));
    };
    if SERVICE_ONLY_POLICIES.contains(&name) {
        let message = format!("The policy {name} can be associated with service-linked roles only");
        return Err(Refusal::invalid_parameter(message));
    }
    if !POLICIES.contains(&name) {
        return Err(Refusal::invalid_parameter(format!("The policy {name} does not exist")));
    }
    match (policy.scope.as_str(), policy.namespaces.is_empty()) {
        ("cluster", true) | ("namespace", false) => Ok(()),
        ("namespace", true) => {
            Err(Refusal::invalid_parameter("The accessScope parameter needs namespaces when its type is namespace"))
        }
        ("cluster", false) => {
            Err(Refusal::invalid_parameter("The accessScope parameter takes no namespaces when its type is cluster"))
        }
        (other, _) => Err(Refusal::invalid_parameter(format!("The access scope type {other} is not valid"))),
    }
}
