//! What a failed AWS call means: the one place where error codes, HTTP states and lost replies are read.
//!
//! Throttling and denial are not modelled on the access-entry operations, so the SDK hands them over as unhandled
//! errors; the code in the error's metadata is the only reliable sign (EKS API Reference, "Common Errors").

use aws_sdk_eks::config::http::HttpResponse;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};

use crate::fault::{Fault, FaultKind};

/// Reads an SDK error of any operation.
pub(crate) fn fault_of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(context) => {
            let meta = context.err().meta();
            let code = meta.code().unwrap_or("Unknown").to_owned();
            let message = meta.message().unwrap_or("no message");
            let kind = match (kind_of_code(&code, message), context.raw().status().as_u16()) {
                // A code that nobody listed: the HTTP status tells whose trouble it is.
                (None | Some(FaultKind::Refused), 500..) => FaultKind::ServerError,
                (None | Some(FaultKind::Refused), 429) => FaultKind::Throttled,
                (kind, _) => kind.unwrap_or(FaultKind::ServerError),
            };
            let message = fit_for_a_log(&code, message);
            Fault { kind, operation, code, message }
        }
        SdkError::TimeoutError(_) => Fault::without_reply(FaultKind::TimedOut, operation, "no reply in time"),
        SdkError::DispatchFailure(failure) => {
            let text = chain(failure.as_connector_error().map(|e| e as &dyn std::error::Error));
            let kind = if failure.is_timeout() {
                FaultKind::TimedOut
            } else if text.contains("dns error") || text.contains("failed to lookup") {
                FaultKind::Unresolvable
            } else {
                FaultKind::ServerError
            };
            Fault::without_reply(kind, operation, &text)
        }
        SdkError::ResponseError(_) => {
            Fault::without_reply(FaultKind::ServerError, operation, "the reply could not be read")
        }
        // Nobody refused anything: what is not clear counts as what may pass.
        _ => Fault::without_reply(FaultKind::ServerError, operation, "the request could not be built"),
    }
}

/// What may be told of AWS's text. It ends up in reports and logs, and about a signature AWS repeats the request: its
/// canonical form with the session token in it, from the second line on, or the whole `Authorization` header.
fn fit_for_a_log(code: &str, message: &str) -> String {
    let is_about_credentials =
        ["Signature", "Token", "AccessKey", "Authentication", "AuthFailure", "UnrecognizedClient"];
    if is_about_credentials.iter().any(|word| code.contains(word)) {
        return "the request's credentials were not accepted; a Region that is not enabled answers like this, too"
            .to_owned();
    }
    message.lines().next().unwrap_or_default().to_owned()
}

fn kind_of_code(code: &str, message: &str) -> Option<FaultKind> {
    let kind = match code {
        "ResourceNotFoundException" | "NotFoundException" | "NoSuchEntity" | "NoSuchEntityException" => {
            FaultKind::NotFound
        }
        "ResourceInUseException" | "ConflictException" => FaultKind::InUse,
        "InvalidRequestException" => FaultKind::InvalidRequest,
        "InvalidParameterException" | "ValidationException" | "ValidationError" | "InvalidParameterValue" => {
            FaultKind::InvalidParameter
        }
        "ResourceLimitExceededException" | "LimitExceededException" => FaultKind::LimitExceeded,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => {
            FaultKind::Denied { by_organization: message.contains("service control policy") }
        }
        // What a Region that is not enabled for the account answers, and credentials that are not (or no longer) good.
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "OptInRequired"
        | "MissingAuthenticationTokenException" => FaultKind::Denied { by_organization: false },
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ProvisionedThroughputExceededException"
        | "LimitExceeded"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => FaultKind::Throttled,
        "ConditionalCheckFailedException" => FaultKind::ConditionFailed,
        "ServerException"
        | "InternalServerError"
        | "InternalServerException"
        | "InternalFailure"
        | "InternalServiceFault"
        | "InternalServiceException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "ServiceFailure"
        | "ServiceFailureException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "Unknown" => FaultKind::ServerError,
        _ => return refused(code),
    };
    Some(kind)
}

/// Codes that nobody listed: a refusal for good, unless the name says that it is the server's own trouble.
fn refused(code: &str) -> Option<FaultKind> {
    let server = code.contains("Internal") || code.contains("Unavailable");
    (!server).then_some(FaultKind::Refused)
}

fn chain(error: Option<&dyn std::error::Error>) -> String {
    let mut text = String::new();
    let mut next = error;
    while let Some(error) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
