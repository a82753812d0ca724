//! Is an access entry bound to the role that exists now? Decided from dates and from what the ledger remembers; what
//! is then done about it is `guardrail`'s and `repair`'s business.
//!
//! EKS keeps the role's ID with the entry and never shows it (EKS User Guide, "Create access entries"). Two signs
//! remain: an entry that is older than its role cannot be bound to it; and an entry that was once seen good with an
//! ID is bound to that ID for as long as it exists. `modifiedAt` says nothing (aws/containers-roadmap#2441).

use time::OffsetDateTime;

use crate::model::{AccessEntry, Home, Principal, Role, RoleState};
use crate::outcome::Doubt;
use crate::row::RowRead;
use crate::sighting::Sighting;

/// What an entry is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Bound to the role that exists.
    Fresh(Evidence),
    /// Bound to a role that no longer exists, while another of its name does.
    Stale(Evidence),
    /// Not there, though an unfinished repair or a person says that it should be.
    Missing,
    /// For a role that no longer exists.
    Orphaned,
    /// Cannot be told.
    Undecided(Doubt),
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The creation dates of entry and role.
    Dates,
    /// The role ID that the ledger recorded for this very entry.
    RoleId,
}

impl Verdict {
    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Fresh(_) => "fresh",
            Self::Stale(_) => "stale",
            Self::Missing => "missing",
            Self::Orphaned => "orphaned",
            Self::Undecided(_) => "undecided",
        }
    }

    /// What it rests on, where it says so.
    #[must_use]
    pub fn evidence(&self) -> Option<&'static str> {
        match self {
            Self::Fresh(evidence) | Self::Stale(evidence) => Some(match evidence {
                Evidence::Dates => "dates",
                Evidence::RoleId => "roleId",
            }),
            Self::Missing | Self::Orphaned | Self::Undecided(_) => None,
        }
    }

    /// Whether it counts in `AccessEntryValidationErrors`.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Stale(_) | Self::Missing | Self::Undecided(Doubt::RecordContradictsDates))
    }

    /// The order of a report: worst first.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::Stale(_) => 1,
            Self::Undecided(Doubt::RecordContradictsDates) => 2,
            Self::Orphaned => 3,
            Self::Undecided(_) => 4,
            Self::Fresh(_) => 5,
        }
    }
}

/// Judges one sighting.
#[must_use]
pub fn judge(sighting: &Sighting, home: &Home) -> Verdict {
    let Some(examined) = &sighting.entry else { return Verdict::Missing };
    match &sighting.principal {
        Principal::User { account, .. } if *account == home.account => Verdict::Undecided(Doubt::IamUser),
        Principal::User { .. } => Verdict::Undecided(Doubt::OtherAccount),
        Principal::Role(arn) if !arn.is_of(home) => Verdict::Undecided(Doubt::OtherAccount),
        Principal::Role(arn) if arn.is_service_linked() => {
            let is_stale = sighting.role.role().is_some_and(|role| is_older(&examined.entry, role.created_at));
            Verdict::Undecided(Doubt::ServiceLinkedRole { is_stale })
        }
        Principal::Role(_) => match &sighting.role {
            RoleState::Present(role) => against(role, &examined.entry, sighting),
            RoleState::Absent => Verdict::Orphaned,
            RoleState::Unreadable(fault) => Verdict::Undecided(Doubt::RoleUnreadable(fault.clone())),
        },
        Principal::Other { account: Some(account), .. } if *account != home.account => {
            Verdict::Undecided(Doubt::OtherAccount)
        }
        Principal::Other { .. } => Verdict::Undecided(Doubt::NotAPrincipal),
    }
}

fn against(role: &Role, entry: &AccessEntry, sighting: &Sighting) -> Verdict {
    let dated = if is_older(entry, role.created_at) {
        Verdict::Stale(Evidence::Dates)
    } else {
        Verdict::Fresh(Evidence::Dates)
    };
    let recorded = match (&sighting.row, &sighting.cluster) {
        (RowRead::Row(row), Some(cluster)) => row.recorded_role_id(&entry.arn, cluster.created_at),
        _ => None,
    };
    match (recorded, dated) {
        (None, Verdict::Stale(_)) if is_late_read(role, entry, sighting) => {
            Verdict::Undecided(Doubt::RecordContradictsDates)
        }
        (None, _) if is_of_earlier_cluster(entry, sighting) => Verdict::Undecided(Doubt::RecordContradictsDates),
        (None, dated) => dated,
        (Some(id), _) if *id == role.id => Verdict::Fresh(Evidence::RoleId),
        (Some(_), Verdict::Stale(_)) => Verdict::Stale(Evidence::RoleId),
        (Some(_), _) => Verdict::Undecided(Doubt::RecordContradictsDates),
    }
}

/// Whether the ledger saw another entry good with the ID that the role still has. That entry is younger than the role, and
/// whatever took its place is younger yet: an older one is what EKS shows of an entry that was deleted.
fn is_late_read(role: &Role, entry: &AccessEntry, sighting: &Sighting) -> bool {
    let (Some(recorded), Some(cluster)) = (sighting.row.recorded(), &sighting.cluster) else { return false };
    recorded.good.as_ref().is_some_and(|good| good.role_id == role.id)
        && recorded.cluster_created_at == cluster.created_at
        && recorded.entry_arn != entry.arn
}

/// Whether the ledger saw this very entry in an earlier cluster of the name. No entry outlives its cluster, so whoever
/// recorded it was shown the earlier cluster when it was gone.
fn is_of_earlier_cluster(entry: &AccessEntry, sighting: &Sighting) -> bool {
    let (Some(recorded), Some(cluster)) = (sighting.row.recorded(), &sighting.cluster) else { return false };
    recorded.entry_arn == entry.arn && recorded.cluster_created_at < cluster.created_at
}

/// Whether the entry was made before the role. IAM shows whole seconds and EKS milliseconds: an entry of the role's
/// own second is not older, since its creation needs a role that exists.
#[must_use]
pub fn is_older(entry: &AccessEntry, role_created_at: OffsetDateTime) -> bool {
    entry.created_at.unix_timestamp() < role_created_at.unix_timestamp()
}

#[cfg(test)]
mod tests;
