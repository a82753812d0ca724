//! The causes, in order: is this one what keeps the role out? Each is decided from the [`Facts`] alone.

mod binding;
mod cluster;
mod near;
mod rights;
#[cfg(test)]
mod tests;

use super::facts::{Facts, Listed};
use super::uses::Users;
use crate::commands::argument;
use crate::fault::{Fault, FaultKind};
use crate::model::{AccessEntry, Home, RoleState};
use crate::row::form::rfc3339;

/// What may keep a role out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The cluster cannot answer.
    ClusterNotActive,
    /// The cluster does not look at access entries.
    ConfigMapMode,
    /// The role has no entry.
    NoEntry,
    /// The entry is for a role of the same name under another path.
    OtherPath,
    /// The entry is for another role of the same permission set of IAM Identity Center.
    OtherSuffix,
    /// The entry's type is not the one that the role's users need.
    WrongType,
    /// The entry is bound to an earlier role of this ARN.
    Stale,
    /// The role does not exist.
    Orphaned,
    /// Role and entry are of different accounts, or the role's account is not the one that is asked.
    OtherAccount,
    /// 403, not 401: the entry gives no rights.
    NoRights,
    /// 403, not 401: the entry gives rights in some namespaces only.
    NamespaceOnly,
    /// Only the `aws-auth` `ConfigMap` could let the role in.
    AwsAuthOnly,
}

impl Kind {
    /// All of them, in the order in which they are gone through.
    pub const ALL: [Self; 12] = [
        Self::ClusterNotActive,
        Self::ConfigMapMode,
        Self::NoEntry,
        Self::OtherPath,
        Self::OtherSuffix,
        Self::WrongType,
        Self::Stale,
        Self::Orphaned,
        Self::OtherAccount,
        Self::NoRights,
        Self::NamespaceOnly,
        Self::AwsAuthOnly,
    ];

    /// The word for machines.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ClusterNotActive => "clusterNotActive",
            Self::ConfigMapMode => "configMapMode",
            Self::NoEntry => "noEntry",
            Self::OtherPath => "otherPath",
            Self::OtherSuffix => "otherSuffix",
            Self::WrongType => "wrongType",
            Self::Stale => "stale",
            Self::Orphaned => "orphaned",
            Self::OtherAccount => "otherAccount",
            Self::NoRights => "noRights",
            Self::NamespaceOnly => "namespaceOnly",
            Self::AwsAuthOnly => "awsAuthOnly",
        }
    }
}

/// Whether a cause is the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not.
    No,
    /// It is.
    Yes,
    /// It cannot be told.
    Unknown(Gap),
}

/// Why a cause cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// AWS would show it, but not to this caller, or not now.
    NotTold,
    /// AWS shows it to nobody: it is inside the cluster, or a matter of what the role is for.
    OutsideAws,
}

impl Verdict {
    /// The word for machines.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// A cause with its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Which.
    pub kind: Kind,
    /// Whether it is the case.
    pub verdict: Verdict,
    /// What AWS shows.
    pub detail: String,
    /// What to do; `None` if there is nothing to do.
    pub next: Option<String>,
}

/// Goes through all causes.
pub(super) fn causes(facts: &Facts, home: &Home) -> Vec<Cause> {
    let view = View { facts, home };
    let cause = |kind| {
        let Answer { verdict, detail, next } = view.answer(kind);
        Cause { kind, verdict, detail, next }
    };
    Kind::ALL.into_iter().map(cause).collect()
}

struct Answer {
    verdict: Verdict,
    detail: String,
    next: Option<String>,
}

impl Answer {
    fn no(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::No, detail: detail.into(), next: None }
    }

    fn yes(detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Yes, detail: detail.into(), next: Some(next.into()) }
    }

    fn outside_aws(detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown(Gap::OutsideAws), detail: detail.into(), next: Some(next.into()) }
    }

    fn not_told(detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown(Gap::NotTold), detail: detail.into(), next: Some(next.into()) }
    }

    /// What a read that failed leaves.
    fn unread(fault: &Fault) -> Self {
        Self::not_told(format!("AWS did not show what is needed to check this ({fault})."), remedy(fault))
    }
}

/// What to do about a read that failed.
fn remedy(fault: &Fault) -> String {
    let service = if fault.operation.contains("Role") { "iam" } else { "eks" };
    match fault.kind {
        FaultKind::Denied { .. } => {
            format!("Allow {service}:{} for these credentials, then run explain again.", fault.operation)
        }
        _ if fault.may_pass() => "Run explain again in a minute.".to_owned(),
        FaultKind::Unresolvable => "Check the network and the Region's name, then run explain again.".to_owned(),
        _ => "Find out why AWS refuses the call, then run explain again.".to_owned(),
    }
}

/// Where the entry of the role is.
enum Standing<'a> {
    /// Described.
    Seen(&'a AccessEntry),
    /// Listed, but not described.
    Listed(&'a Fault),
    /// Not there.
    None,
    /// The cluster's authentication mode allows no entries.
    NoEntries,
    /// EKS shows no entries while the cluster is created or deleted.
    NotActive,
    /// Not known.
    NotTold(&'a Fault),
}

struct View<'a> {
    facts: &'a Facts,
    home: &'a Home,
}

impl View<'_> {
    fn answer(&self, kind: Kind) -> Answer {
        match kind {
            Kind::ClusterNotActive => self.cluster_not_active(),
            Kind::ConfigMapMode => self.config_map_mode(),
            Kind::NoEntry => self.no_entry(),
            Kind::OtherPath => self.other_path(),
            Kind::OtherSuffix => self.other_suffix(),
            Kind::WrongType => self.wrong_type(),
            Kind::Stale => self.stale(),
            Kind::Orphaned => self.orphaned(),
            Kind::OtherAccount => self.other_account(),
            Kind::NoRights => self.no_rights(),
            Kind::NamespaceOnly => self.namespace_only(),
            Kind::AwsAuthOnly => self.aws_auth_only(),
        }
    }

    fn standing(&self) -> Standing<'_> {
        let facts = self.facts;
        match (&facts.entry, &facts.listed) {
            (Ok(Some(entry)), _) => Standing::Seen(entry),
            (_, Ok(Listed::Unsupported)) if self.is_not_active() => Standing::NotActive,
            (_, Ok(Listed::Unsupported)) => Standing::NoEntries,
            (Ok(None), _) => Standing::None,
            (Err(fault), Ok(Listed::Principals(principals))) => match &facts.principal {
                Some(principal) if principals.iter().any(|listed| listed == principal.as_str()) => {
                    Standing::Listed(fault)
                }
                None if self.of_this_name().next().is_some() => Standing::NotTold(fault),
                _ => Standing::None,
            },
            (Err(fault), Err(_)) => Standing::NotTold(fault),
        }
    }

    /// The answer of a cause that is about an entry, if there is none that could be looked at.
    fn without_entry(&self, standing: &Standing<'_>) -> Option<Answer> {
        match standing {
            Standing::Seen(_) => None,
            Standing::None => Some(Answer::no("The role has no entry in this cluster.")),
            Standing::NoEntries => Some(Answer::no("The cluster has no access entries.")),
            Standing::NotActive => Some(self.entries_hidden()),
            Standing::Listed(fault) | Standing::NotTold(fault) => Some(Answer::unread(fault)),
        }
    }

    fn entries_hidden(&self) -> Answer {
        let status = self.facts.cluster.as_ref().map_or("unknown", |(_, access)| access.status.as_str());
        Answer::not_told(
            format!("EKS shows no entries while the cluster's status is {status}."),
            "Run explain again when the cluster is ACTIVE.",
        )
    }

    fn is_not_active(&self) -> bool {
        self.facts.cluster.as_ref().is_ok_and(|(cluster, _)| !cluster.is_workable)
    }

    fn is_of_other_account(&self) -> bool {
        self.facts.is_of_other_account(self.home)
    }

    /// Why IAM did not show the role of this account, if so.
    fn role_unread(&self) -> Option<&Fault> {
        match &self.facts.role {
            RoleState::Unreadable(fault) if !self.is_of_other_account() => Some(fault),
            _ => None,
        }
    }

    /// The role's ARN, or its name if that is all that is known.
    fn role_in_words(&self) -> &str {
        self.facts.principal.as_ref().map_or(&self.facts.name, |principal| principal.as_str())
    }

    /// Who may become the role, if its trust policy was read and is understood.
    fn users(&self) -> Option<Users> {
        Users::of_role(self.facts.role.role()?)
    }

    /// The command line that shows how an entry is repaired or deleted.
    fn scan(&self, principal: &str) -> String {
        let at = &self.facts.at;
        format!(
            "access-entry-guard scan --region {} --cluster {} --role {}",
            at.region,
            argument(&at.name),
            argument(principal)
        )
    }
}

/// What tells one creation of an entry from the next.
fn made(entry: &AccessEntry) -> String {
    format!("{}, type {}, made {}", entry.arn, entry.kind.as_str(), rfc3339(entry.created_at))
}
