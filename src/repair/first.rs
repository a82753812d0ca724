//! What is done first about an entry? Pure: what was seen and judged, and what the invocation is for, in; a [`First`] out.

use crate::case::{Purpose, looked_at};
use crate::model::{RoleArn, RoleId};
use crate::outcome::{Delay, Doubt, Hold, Outcome};
use crate::row::{Repair, RowRead};
use crate::sighting::Sighting;
use crate::verdict::Verdict;

/// The first step for an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum First {
    /// None: this is reported.
    Report(Outcome),
    /// A person asked for the entry of the ledger, for this role ID.
    Restore(RoleArn, RoleId),
    /// An unfinished repair goes on.
    Resume(RoleArn, Box<Repair>),
    /// A repair is opened, if the guardrails let it.
    Open(RoleArn),
    /// The entry is good, or cannot be judged: a good one is recorded.
    Record,
    /// The role is gone: its entry is removed or reported.
    Orphaned(RoleArn),
}

/// The order of the questions is the order of the rules: can the row be trusted, did a person ask for it, is a repair
/// unfinished, may the entry be one that nobody wished, and then the verdict.
pub(super) fn first(sighting: &Sighting, verdict: &Verdict, purpose: &Purpose, is_sweep: bool) -> First {
    match &sighting.row {
        RowRead::Invalid(because) => {
            return First::Report(Outcome::Held(Hold::LedgerRowInvalid { because: because.clone() }));
        }
        RowRead::Unfit(_, because) if !matches!(purpose, Purpose::Restore { .. }) => {
            return First::Report(Outcome::Held(Hold::LedgerRowInvalid { because: because.clone() }));
        }
        RowRead::Unavailable(fault) => {
            return First::Report(Outcome::deferred(Delay::LedgerUnavailable(fault.clone())));
        }
        RowRead::Absent | RowRead::Expired(_) | RowRead::Row(_) | RowRead::Unfit(..) => {}
    }
    let Some(principal) = sighting.principal.role().cloned() else { return First::Report(looked_at(verdict)) };
    if let Purpose::Restore { role_id } = purpose {
        return First::Restore(principal, role_id.clone());
    }
    if let Some(repair) = sighting.row.open().and_then(|row| row.repair()) {
        return First::Resume(principal, Box::new(repair.clone()));
    }
    if sighting.is_perhaps_revived() && matches!(purpose, Purpose::Act { .. }) {
        return First::Report(Outcome::Held(Hold::PerhapsRevived));
    }
    match verdict {
        // Never changed unattended; a person may know better.
        Verdict::Undecided(Doubt::RecordContradictsDates) if matches!(purpose, Purpose::Approve { .. }) => {
            First::Open(principal)
        }
        Verdict::Fresh(_) | Verdict::Undecided(_) => First::Record,
        Verdict::Missing if sighting.is_archived() && (is_sweep || sighting.cluster.is_some()) => {
            let grants = sighting.snapshot().map(|snapshot| snapshot.grants()).unwrap_or_default();
            First::Report(Outcome::Held(Hold::Archived { grants }))
        }
        Verdict::Missing => First::Report(Outcome::None),
        Verdict::Orphaned => First::Orphaned(principal),
        Verdict::Stale(_) => First::Open(principal),
    }
}

#[cfg(test)]
mod tests;
