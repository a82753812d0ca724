//! From a decoded request to the service that answers it, past the checks that all services share: is the Region
//! enabled, may the caller do this.

use std::fmt;

use serde_json::Value;

use super::parameters::Parameters;
use super::policies::Question;
use super::refusal::Refusal;
use super::world::World;
use super::{account, cloudtrail, cloudwatch, dynamodb, eks, iam, logs, sts};

/// The services there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon EKS.
    Eks,
    /// IAM.
    Iam,
    /// AWS STS.
    Sts,
    /// AWS Account Management.
    Account,
    /// Amazon DynamoDB.
    DynamoDb,
    /// Amazon CloudWatch.
    CloudWatch,
    /// Amazon CloudWatch Logs.
    Logs,
    /// AWS CloudTrail.
    CloudTrail,
}

impl Service {
    /// By the name that requests are signed for.
    pub fn by_signing_name(name: &str) -> Option<Self> {
        Some(match name {
            "eks" => Self::Eks,
            "iam" => Self::Iam,
            "sts" => Self::Sts,
            "account" => Self::Account,
            "dynamodb" => Self::DynamoDb,
            "monitoring" => Self::CloudWatch,
            "logs" => Self::Logs,
            "cloudtrail" => Self::CloudTrail,
            _ => return None,
        })
    }

    /// The name that requests are signed for.
    pub fn signing_name(self) -> &'static str {
        if self == Self::CloudWatch { "monitoring" } else { self.prefix() }
    }

    /// How IAM policies call it.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Eks => "eks",
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Account => "account",
            Self::DynamoDb => "dynamodb",
            Self::CloudWatch => "cloudwatch",
            Self::Logs => "logs",
            Self::CloudTrail => "cloudtrail",
        }
    }

    fn is_regional(self) -> bool {
        matches!(self, Self::Eks | Self::DynamoDb | Self::CloudWatch | Self::Logs | Self::CloudTrail)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix())
    }
}

/// Something that the caller may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// One operation; all of EKS where absent.
    pub operation: Option<String>,
    /// One Region; everywhere where absent.
    pub region: Option<String>,
    /// Whether a service control policy says so.
    pub by_organization: bool,
}

/// Does what a request asks for.
pub(super) fn answer(
    world: &mut World,
    service: Service,
    region: &str,
    operation: &str,
    parameters: &Parameters,
    access_key: &str,
) -> Result<Value, Refusal> {
    world.check_key(service, access_key)?;
    access_key.clone_into(&mut world.calling);
    if service.is_regional() && !world.is_enabled(region) {
        return Err(Refusal::region_not_enabled(service));
    }
    // An entry's creation asks for its permission itself: in which order is one of the world's habits. Who one is may be
    // asked by everybody, and a role is assumed with its own permission.
    if !["CreateAccessEntry", "GetCallerIdentity", "AssumeRole"].contains(&operation) {
        world.check_permission(service, operation, region)?;
    }
    match service {
        Service::Eks => eks::answer(world, region, operation, parameters),
        Service::Iam => iam::answer(world, operation, parameters),
        Service::Sts => sts::answer(world, operation, parameters),
        Service::Account => account::answer(world, operation, parameters),
        Service::DynamoDb => dynamodb::answer(world, region, operation, parameters),
        Service::CloudWatch => cloudwatch::answer(world, region, operation, parameters),
        Service::Logs => logs::answer(world, region, operation, parameters),
        Service::CloudTrail => cloudtrail::answer(world, region, operation, parameters),
    }
}

impl World {
    pub(super) fn check_permission(&self, service: Service, operation: &str, region: &str) -> Result<(), Refusal> {
        let action = format!("{service}:{operation}");
        self.check_session(service, &Question { action: &action, resource: Some("*"), ..Question::default() })?;
        self.check_denials(service, operation, region)
    }

    /// Refuses what the policies of the calling session do not allow.
    pub(super) fn check_session(&self, service: Service, question: &Question<'_>) -> Result<(), Refusal> {
        if self.caller_may(question) {
            return Ok(());
        }
        Err(self.no_permission(service, question.action, question.resource.unwrap_or("*")))
    }

    /// Refuses what the test denies to everybody.
    pub(super) fn check_denials(&self, service: Service, operation: &str, region: &str) -> Result<(), Refusal> {
        let concerned = |denial: &&Denial| {
            denial.operation.as_deref().map_or(service == Service::Eks, |denied| denied == operation)
                && denial.region.as_deref().is_none_or(|denied| denied == region)
        };
        let Some(denial) = self.denials.iter().find(concerned) else { return Ok(()) };
        let action = format!("{service}:{operation}");
        if denial.by_organization {
            let message = format!(
                "User: {} is not authorized to perform: {action} with an explicit deny in a service control policy",
                self.caller()
            );
            return Err(Refusal::denied(service, message));
        }
        Err(self.no_permission(service, &action, "*"))
    }

    pub(super) fn no_permission(&self, service: Service, action: &str, resource: &str) -> Refusal {
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action",
            self.caller()
        );
        Refusal::denied(service, message)
    }

    pub(super) fn denied_by_identity_policy(&self, service: Service, action: &str) -> Refusal {
        let message = format!(
            "User: {} is not authorized to perform: {action} with an explicit deny in an identity-based policy",
            self.caller()
        );
        Refusal::denied(service, message)
    }

    fn caller(&self) -> String {
        if self.sessions.contains_key(&self.calling) {
            return self.identity(&self.calling).0;
        }
        format!("arn:{}:sts::{}:assumed-role/guard/guard", self.partition, self.account)
    }
}
