//! A failed AWS call, in the model's words: what it means for us. Pure data; [`crate::aws`] reads errors into it.

/// A failed AWS call: what it means, and the words for a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{operation}: {code}: {message}")]
pub struct Fault {
    /// What it means for us.
    pub kind: FaultKind,
    /// The API operation, such as `DescribeAccessEntry`.
    pub operation: &'static str,
    /// AWS's error code, or a word of ours where no reply came.
    pub code: String,
    /// AWS's text, as far as it is fit for a log (see `fit_for_a_log`); not contractual, for people only (but see
    /// `Fault::says`).
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
    /// No reply came, or nothing was sent.
    pub(crate) fn without_reply(kind: FaultKind, operation: &'static str, message: &str) -> Self {
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

    /// Not asked at all: asking again tells no more.
    pub(crate) fn not_asked(operation: &'static str, why: &str) -> Self {
        Self { kind: FaultKind::Refused, operation, code: "NotAsked".to_owned(), message: why.to_owned() }
    }

    /// Not sent at all: too much else was under way.
    pub(crate) fn not_sent(operation: &'static str) -> Self {
        let message = "too many requests of ours were under way".to_owned();
        Self { kind: FaultKind::Throttled, operation, code: "NotSent".to_owned(), message }
    }

    /// Whether it is one of those that were not sent, or given up for a more urgent one.
    pub(crate) fn is_not_sent(&self) -> bool {
        self.code == "NotSent"
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
