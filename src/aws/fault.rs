//! What a failed AWS call means: the one place where error codes, HTTP states and lost replies are read.
//!
//! Throttling and denial are not modelled on the access-entry operations, so the SDK hands them over as unhandled
//! errors; the code in the error's metadata is the only reliable sign (EKS API Reference, "Common Errors").

use aws_sdk_eks::config::http::HttpResponse;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};

/// A failed AWS call: what it means, and the words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {code}: {message}")]
pub struct Fault {
    /// What it means for us.
    pub kind: FaultKind,
    /// The API operation, such as `DescribeAccessEntry`.
    pub operation: &'static str,
    /// AWS's error code, or a word of ours where no reply came.
    pub code: String,
    /// AWS's text, as far as it is fit for a log (see [`fit_for_a_log`]); not contractual, for people only (but see
    /// [`Fault::says`]).
    pub message: String,
}

/// The meanings that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The cluster, the entry or the role does not exist.
    NotFound,
    /// The access entry exists already, or a change of it is under way.
    InUse,
    /// The state of the cluster does not allow it; [`Fault::is_about_authentication_mode`] says whether it has entries.
    InvalidRequest,
    /// A parameter was refused.
    InvalidParameter,
    /// A quota is used up.
    LimitExceeded,
    /// IAM, or a policy of the organization, refused.
    Denied {
        /// By an explicit deny in a service control policy.
        by_organization: bool,
    },
    /// Too many requests.
    Throttled,
    /// No reply in time.
    TimedOut,
    /// 5xx, a broken connection or an unreadable reply.
    ServerError,
    /// The endpoint's name does not resolve.
    Unresolvable,
    /// A DynamoDB condition did not hold.
    ConditionFailed,
    /// Any other refusal.
    Refused,
}

impl Fault {
    /// Reads an SDK error of any operation.
    pub(crate) fn of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
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
                Self { kind, operation, code, message }
            }
            SdkError::TimeoutError(_) => Self::without_reply(FaultKind::TimedOut, operation, "no reply in time"),
            SdkError::DispatchFailure(failure) => {
                let text = chain(failure.as_connector_error().map(|e| e as &dyn std::error::Error));
                let kind = if failure.is_timeout() {
                    FaultKind::TimedOut
                } else if text.contains("dns error") || text.contains("failed to lookup") {
                    FaultKind::Unresolvable
                } else {
                    FaultKind::ServerError
                };
                Self::without_reply(kind, operation, &text)
            }
            SdkError::ResponseError(_) => {
                Self::without_reply(FaultKind::ServerError, operation, "the reply could not be read")
            }
            // Nobody refused anything: what is not clear counts as what may pass.
            _ => Self::without_reply(FaultKind::ServerError, operation, "the request could not be built"),
        }
    }

    fn without_reply(kind: FaultKind, operation: &'static str, message: &str) -> Self {
        let code = match kind {
            FaultKind::TimedOut => "TimedOut",
            FaultKind::Unresolvable => "Unresolvable",
            _ => "NoReply",
        };
        Self { kind, operation, code: code.to_owned(), message: message.to_owned() }
    }

    /// A reply that lacks what the API promises.
    pub(crate) fn malformed(operation: &'static str, what: &str) -> Self {
        Self {
            kind: FaultKind::ServerError,
            operation,
            code: "MalformedReply".to_owned(),
            message: format!("the reply lacks {what}"),
        }
    }

    /// Not sent at all: too much else was under way.
    pub(crate) fn not_sent(operation: &'static str) -> Self {
        let message = "too many requests of ours were under way".to_owned();
        Self { kind: FaultKind::Throttled, operation, code: "NotSent".to_owned(), message }
    }

    /// No reply before a deadline of our own.
    pub(crate) fn timed_out(operation: &'static str, message: &str) -> Self {
        Self::without_reply(FaultKind::TimedOut, operation, message)
    }

    /// Whether the call may have taken effect all the same: no clear refusal came back.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self.kind, FaultKind::TimedOut | FaultKind::ServerError)
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, FaultKind::Throttled | FaultKind::TimedOut | FaultKind::ServerError)
    }

    /// Whether AWS answered clearly that it will not do it: the same call is refused again until somebody changes
    /// something.
    #[must_use]
    pub fn is_clear_refusal(&self) -> bool {
        match self.kind {
            FaultKind::InUse
            | FaultKind::InvalidRequest
            | FaultKind::InvalidParameter
            | FaultKind::LimitExceeded
            | FaultKind::Refused => true,
            FaultKind::NotFound
            | FaultKind::Denied { .. }
            | FaultKind::Throttled
            | FaultKind::TimedOut
            | FaultKind::ServerError
            | FaultKind::Unresolvable
            | FaultKind::ConditionFailed => false,
        }
    }

    /// Whether EKS says that the cluster has no access entries because of its authentication mode, as in "The cluster's
    /// authentication mode must be set to one of [`API`, `API_AND_CONFIG_MAP`] to perform this operation."
    /// (aws-ia/terraform-aws-eks-blueprints#1877, upbound/configuration-aws-eks PR#122). `InvalidRequestException` has other causes, which say nothing about entries.
    #[must_use]
    pub fn is_about_authentication_mode(&self) -> bool {
        self.kind == FaultKind::InvalidRequest && self.says("authentication mode")
    }

    /// Whether EKS says that it does not know the principal (yet).
    ///
    /// Text of hashicorp/terraform-provider-aws PR#35535; matched leniently, since messages are not contractual.
    #[must_use]
    pub fn is_unknown_principal(&self) -> bool {
        self.kind == FaultKind::InvalidParameter && self.says("principalarn") && self.says("invalid principal")
    }

    /// Whether EKS says that this entry's type has no policies (aws-controllers-k8s/community#2144).
    #[must_use]
    pub fn is_standard_only(&self) -> bool {
        matches!(self.kind, FaultKind::InvalidParameter | FaultKind::InvalidRequest) && self.says("standard")
    }

    fn says(&self, lower_case: &str) -> bool {
        self.message.to_ascii_lowercase().contains(lower_case)
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
