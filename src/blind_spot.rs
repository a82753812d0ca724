//! A part of the account that could not be read, and why: reported, never taken for absent or healthy.

use crate::fault::{Fault, FaultKind};
use crate::model::Region;

/// A part of the account that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindSpot {
    /// The Region.
    pub region: Region,
    /// The cluster; `None` where the whole Region is concerned.
    pub cluster: Option<String>,
    /// Why.
    pub cause: FaultKind,
    /// AWS's words.
    pub detail: String,
}

impl BlindSpot {
    /// All labels, in the order of the reference's table.
    pub const LABELS: [&'static str; 7] =
        ["accessDenied", "deniedByOrganization", "throttled", "timedOut", "serverError", "unresolvable", "refused"];

    /// The blind spot that a failed read leaves; without a cluster it is the whole Region.
    #[must_use]
    pub fn of(region: &Region, cluster: Option<&str>, fault: &Fault) -> Self {
        Self {
            region: region.clone(),
            cluster: cluster.map(str::to_owned),
            cause: fault.kind,
            detail: fault.to_string(),
        }
    }

    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.cause {
            FaultKind::Denied { by_organization: true } => "deniedByOrganization",
            FaultKind::Throttled => "throttled",
            FaultKind::TimedOut => "timedOut",
            FaultKind::Unresolvable => "unresolvable",
            FaultKind::Denied { by_organization: false } => "accessDenied",
            FaultKind::ServerError => "serverError",
            FaultKind::NotFound
            | FaultKind::InUse
            | FaultKind::InvalidRequest
            | FaultKind::InvalidParameter
            | FaultKind::LimitExceeded
            | FaultKind::ConditionFailed
            | FaultKind::Refused => "refused",
        }
    }

    /// Whether it may pass by itself: a clear refusal is not retried.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.cause, FaultKind::Throttled | FaultKind::TimedOut | FaultKind::ServerError)
    }
}
