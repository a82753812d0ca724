//! An error reply, before a protocol gives it its shape: HTTP status, error code, message. Codes and statuses that differ
//! from service to service (throttling, denial) are chosen here.

use super::services::Service;

/// An error as a service answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// AWS's error code.
    pub code: String,
    /// Text for people.
    pub message: String,
}

impl Refusal {
    /// Any error.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// EKS: a parameter is refused.
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterException", message)
    }

    /// EKS: the state of the cluster does not allow it.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequestException", message)
    }

    /// EKS: no such cluster, or no such entry.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "ResourceNotFoundException", message)
    }

    /// DynamoDB, Account Management: a request that does not fit the API.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationException", message)
    }

    /// Too many requests. [AWS-21]
    pub fn throttled(service: Service) -> Self {
        let (status, code) = match service {
            Service::Eks => (429, "ThrottlingException"),
            Service::Account => (429, "TooManyRequestsException"),
            Service::DynamoDb | Service::Logs | Service::CloudTrail => (400, "ThrottlingException"),
            Service::Iam | Service::Sts | Service::CloudWatch => (400, "Throttling"),
        };
        Self::new(status, code, "Rate exceeded")
    }

    /// The caller may not do this. [AWS-21]
    pub fn denied(service: Service, message: impl Into<String>) -> Self {
        let (status, code) = match service {
            Service::Eks | Service::Account => (403, "AccessDeniedException"),
            Service::DynamoDb | Service::Logs | Service::CloudTrail => (400, "AccessDeniedException"),
            Service::Iam | Service::Sts | Service::CloudWatch => (403, "AccessDenied"),
        };
        Self::new(status, code, message)
    }

    /// The service has trouble of its own.
    pub fn server_error(service: Service) -> Self {
        let (status, code) = match service {
            Service::Eks => (500, "ServerException"),
            Service::Account => (500, "InternalServerException"),
            Service::DynamoDb => (500, "InternalServerError"),
            Service::Logs => (500, "ServiceUnavailableException"),
            Service::CloudTrail => (500, "InternalFailure"),
            Service::Iam | Service::Sts => (500, "ServiceFailure"),
            Service::CloudWatch => (500, "InternalServiceError"),
        };
        Self::new(status, code, "Internal server error")
    }

    /// What a Region that is not enabled for the account answers to its credentials. [AWS-70]
    pub fn region_not_enabled(service: Service) -> Self {
        let code = if service == Service::CloudWatch { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
        let status = if matches!(service, Service::DynamoDb | Service::Logs | Service::CloudTrail) { 400 } else { 403 };
        Self::new(status, code, "The security token included in the request is invalid.")
    }

    /// The service has no such operation, or this AWS does not know it.
    pub fn unknown_operation(operation: &str) -> Self {
        Self::new(400, "UnknownOperationException", format!("unknown operation: {operation}"))
    }
}
