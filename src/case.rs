//! One entry on its way through an invocation, and what the invocation may do.

use std::time::Duration;

use time::OffsetDateTime;

use crate::guardrail::{self, Refusal};
use crate::impact::{self, Impact, Users};
use crate::model::Creator;
use crate::model::RoleId;
use crate::outcome::{Hold, Outcome};
use crate::sighting::Sighting;
use crate::verdict::Verdict;

/// One entry on its way through an invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is known.
    pub sighting: Sighting,
    /// What that means.
    pub verdict: Verdict,
    /// What became of it.
    pub outcome: Outcome,
    /// The role ID that the ledger had recorded, if it is another than the present.
    pub previous_role_id: Option<RoleId>,
    /// The entry's ARN before the repair.
    pub previous_entry_arn: Option<String>,
    /// From the role's creation to the repair.
    pub locked_out: Option<Duration>,
    /// What of the cluster stands still with it, as far as it was read.
    pub impact: Vec<Impact>,
    /// More for a person.
    pub note: Option<String>,
}

impl Case {
    /// A judged sighting, with nothing done yet.
    #[must_use]
    pub fn new(sighting: Sighting, verdict: Verdict) -> Self {
        let present = sighting.role.role().map(|role| &role.id);
        let recorded = sighting.row.row().and_then(|row| row.last_good()).map(|good| good.role_id.clone());
        let previous = recorded.filter(|id| Some(id) != present);
        Self {
            sighting,
            verdict,
            outcome: Outcome::None,
            previous_role_id: previous,
            previous_entry_arn: None,
            locked_out: None,
            impact: Vec::new(),
            note: None,
        }
    }

    fn add_note(&mut self, more: String) {
        self.note = Some(match self.note.take() {
            Some(note) => format!("{note} {more}"),
            None => more,
        });
    }

    /// Whether something may stand still with the entry: it is stale or missing, or waits, or its repair failed.
    #[must_use]
    pub fn has_impact(&self) -> bool {
        match self.verdict {
            Verdict::Stale(_) | Verdict::Missing => true,
            Verdict::Orphaned | Verdict::Undecided(_) => matches!(self.outcome, Outcome::Held(_) | Outcome::Failed(_)),
            Verdict::Fresh(_) => false,
        }
    }

    /// Shows what stands still with the entry, and says if that may not be all.
    pub fn show_impact(&mut self, users: &Users, now: OffsetDateTime) {
        self.impact = impact::of(&self.sighting, users, now);
        if let Some(missing) = self.sighting.snapshot().and_then(|it| users.what_is_missing(&it.kind)) {
            self.add_note(missing);
        }
    }

    /// Of a held entry: which service stops working with it.
    pub fn name_who_waits(&mut self) {
        if !matches!(self.outcome, Outcome::Held(_)) {
            return;
        }
        let snapshot = self.sighting.snapshot();
        if let Some(services) = snapshot.and_then(|it| guardrail::services_that_use(&it.access_policies)) {
            self.add_note(services);
        }
    }

    /// The ignore tag, if entry or cluster has it.
    #[must_use]
    pub fn ignore_tag(&self) -> Option<Hold> {
        match guardrail::tags(&self.sighting.snapshot()?, self.sighting.cluster.as_ref()?) {
            Err(Refusal::Hold(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// The outcome of an entry that is only looked at.
#[must_use]
pub(crate) fn looked_at(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Undecided(doubt) => Outcome::Undecided(doubt.clone()),
        _ => Outcome::None,
    }
}

/// What the invocation may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Look only.
    Check,
    /// Repair and remove, as the guardrails allow; creators that events told of, with the IDs of their roles.
    Act {
        /// Believable creators.
        creators: Vec<(Creator, RoleId)>,
    },
    /// A person approved this role ID.
    Approve {
        /// The ID that the person looked at.
        role_id: RoleId,
    },
    /// A person asks for the entry of the ledger, for this role ID.
    Restore {
        /// The ID that the person looked at.
        role_id: RoleId,
    },
}
