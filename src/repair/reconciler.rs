//! What the entries of one invocation share (the budget, the breaker), and what is tried for each of them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::LOOKS;
use super::calls::Live;
use super::first::{First, first};
use super::gate::Gate;
use super::step::{NotNow, World};
use crate::app::Run;
use crate::case::{Case, Purpose};
use crate::config::OnRoleDeleted;
use crate::discovery::examine;
use crate::fault::Fault;
use crate::guardrail::{self, Asked, Permit, Refusal, Request};
use crate::limits::{LEASE_AFTER_WORK, LEAST_FOR_A_DELETION, LONGEST_WORK};
use crate::model::{Cluster, Role, RoleArn, RoleState, Snapshot};
use crate::outcome::{Delay, Failure, Hold, Outcome, Precedence};
use crate::record::record_fresh;
use crate::row::{Lease, RowRead, State};
use crate::sighting::Sighting;
use crate::verdict::judge;

/// What the entries of one invocation share.
pub(super) struct Reconciler<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) purpose: &'a Purpose,
    pub(super) halted: AtomicBool,
    pub(super) begun: AtomicU32,
    /// Who may delete while nobody knows yet whether creations succeed.
    pub(super) gate: Gate,
    /// The entry that tripped the breaker, worked on.
    pub(super) tripped: OnceCell<Result<Option<Box<Case>>, Fault>>,
}

/// A place in the budget of deletions, given back unless a deletion was sent.
pub(super) struct Place<'a> {
    begun: &'a AtomicU32,
    is_used: bool,
}

impl Place<'_> {
    /// A deletion was sent.
    pub(super) fn use_up(mut self) {
        self.is_used = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.begun.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl<'a> Reconciler<'a> {
    pub(super) fn new(run: &'a Run<'a>, purpose: &'a Purpose) -> Self {
        Self {
            run,
            purpose,
            halted: AtomicBool::new(false),
            begun: AtomicU32::new(0),
            gate: Gate::default(),
            tripped: OnceCell::new(),
        }
    }

    /// Works on one case until its outcome is known; reads and judges it again if it changed during the work.
    pub(super) async fn reconcile(&self, mut case: Case) -> Case {
        for _ in 0..LOOKS {
            if let Some(outcome) = Box::pin(self.try_once(&mut case)).await {
                case.outcome = outcome;
                return case;
            }
            let Some(arn) = case.sighting.principal.role().cloned() else { break };
            if let Err(outcome) = Box::pin(self.refresh(&mut case.sighting, &arn)).await {
                case.outcome = outcome;
                return case;
            }
            let is_readable =
                !matches!(case.sighting.row, RowRead::Invalid(_) | RowRead::Unfit(..) | RowRead::Unavailable(_));
            if case.sighting.entry.is_none() && is_readable && case.sighting.row.open().is_none() {
                case.outcome = Outcome::Preceded(Precedence::DeletedByOwner { was_ours: false });
                return case;
            }
            case.verdict = judge(&case.sighting, &self.run.invocation.home);
        }
        let what = "the entry kept changing during the repair, so nothing was changed".to_owned();
        case.outcome = Outcome::Held(Hold::ChangedMeanwhile { what });
        case
    }

    /// One try; `None` asks to read and judge again.
    async fn try_once(&self, case: &mut Case) -> Option<Outcome> {
        match first(&case.sighting, &case.verdict, self.purpose, self.run.is_sweep) {
            First::Report(outcome) => Some(outcome),
            First::Restore(principal, role_id) => Box::pin(self.restore(case, &principal, &role_id)).await,
            First::Resume(principal, repair) => Box::pin(self.resume(case, &principal, *repair)).await,
            First::Open(principal) => Box::pin(self.open(case, &principal)).await,
            First::Record => {
                *case = record_fresh(self.run, case.clone()).await;
                Some(case.outcome.clone())
            }
            First::Orphaned(principal) => Box::pin(self.orphaned(case, &principal)).await,
        }
    }

    async fn orphaned(&self, case: &mut Case, principal: &RoleArn) -> Option<Outcome> {
        if self.run.config().on_role_deleted == OnRoleDeleted::Remove && matches!(self.purpose, Purpose::Act { .. }) {
            return Box::pin(self.remove(case, principal)).await;
        }
        if let (Some(snapshot), Some(cluster)) = (case.sighting.snapshot(), &case.sighting.cluster)
            && let Err(Refusal::Hold(reason)) = guardrail::tags(&snapshot, cluster)
        {
            return Some(Outcome::Held(reason));
        }
        Some(Outcome::Reported)
    }

    pub(super) fn review_for(
        &self,
        principal: &RoleArn,
        snapshot: &Snapshot,
        cluster: &Cluster,
        role: &Role,
    ) -> Result<Permit, Refusal> {
        let (config, home) = (self.run.config(), &self.run.invocation.home);
        let asked = self.asked(role);
        let permit = guardrail::review(Request { config, home, principal, snapshot, cluster, role, asked: &asked })?;
        let claimed_by = self.run.claimed_by.as_deref().filter(|_| matches!(asked, Asked::ByApprover { .. }));
        Ok(permit.claimed_by(claimed_by))
    }

    /// Who asks for a change that concerns this role.
    fn asked(&self, role: &Role) -> Asked {
        match self.purpose {
            Purpose::Approve { role_id } | Purpose::Restore { role_id } => {
                Asked::ByApprover { role_id: role_id.clone() }
            }
            Purpose::Act { creators } => {
                Asked::Automatically { creator: creators.iter().find(|(_, id)| *id == role.id).cloned() }
            }
            Purpose::Check => Asked::automatically(),
        }
    }

    /// Whether no person named a role ID in this invocation.
    pub(super) fn is_unattended(&self) -> bool {
        matches!(self.purpose, Purpose::Act { .. } | Purpose::Check)
    }

    /// Whether the breaker forbids every deletion.
    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// Why no deletion may be sent now, if so.
    pub(super) fn may_not_delete(&self, ends: OffsetDateTime) -> Option<NotNow> {
        let too_late = self.run.until(self.run.deadline.min(ends)) < LEAST_FOR_A_DELETION;
        let halted = self.is_halted().then_some(NotNow::Halted);
        halted.or_else(|| too_late.then_some(NotNow::TooLittleTime))
    }

    /// A place in the budget of deletions, or why there is none.
    pub(super) fn begin(&self) -> Result<Place<'_>, Outcome> {
        if let Some(not_now) = self.may_not_delete(self.run.deadline) {
            return Err(not_now.outcome());
        }
        let limit = self.run.config().max_repairs;
        let before = self.begun.fetch_add(1, Ordering::SeqCst);
        let place = Place { begun: &self.begun, is_used: false };
        if before >= limit && self.run.is_sweep { Err(Outcome::Held(Hold::RepairBudget { limit })) } else { Ok(place) }
    }

    /// Waits until a role is old enough, if that leaves time to work.
    pub(super) async fn wait_for(&self, moment: OffsetDateTime, role_created_at: OffsetDateTime) -> Wait {
        let run = self.run;
        let wait = run.until(moment);
        if wait.is_zero() {
            return Wait::Over;
        }
        if run.until(run.deadline) < wait + LEAST_FOR_A_DELETION {
            let age = Duration::try_from(run.now() - role_created_at).unwrap_or_default();
            return Wait::TooLong(Delay::RoleTooYoung { age, settle: run.config().settle });
        }
        tokio::time::sleep(wait).await;
        Wait::Waited
    }

    /// The calls about one entry, until the work on it ends: after two minutes, and never beyond the deadline.
    pub(super) fn live<'b>(&'b self, principal: &'b RoleArn, sighting: &Sighting) -> Live<'b> {
        let ends = self.run.deadline.min(self.run.now() + LONGEST_WORK);
        Live::new(self, principal, &sighting.at, ends)
    }

    pub(super) fn lease(&self, ends: OffsetDateTime) -> Lease {
        Lease { owner: self.run.owner.clone(), until: (ends + LEASE_AFTER_WORK).unix_timestamp() }
    }

    /// Reads everything about a sighting again.
    pub(super) async fn refresh(&self, sighting: &mut Sighting, principal: &RoleArn) -> Result<(), Outcome> {
        let run = self.run;
        sighting.role_read_at = run.now();
        let (seen, role, row) = Box::pin(futures::future::join3(
            examine(run, &sighting.at, principal.as_str()),
            run.app.aws.reads.get_role(principal.name()),
            run.ledger().row(principal.as_str(), &sighting.at, run.now()),
        ))
        .await;
        sighting.role = role.of(principal);
        sighting.row = row;
        match seen {
            Ok((cluster, entry)) => {
                sighting.cluster = cluster;
                sighting.entry = entry;
                Ok(())
            }
            Err(fault) => Err(Outcome::Failed(Failure::AwsError(fault))),
        }
    }
}

/// The state of a row, as a sighting has it.
pub(super) fn state_of(sighting: &Sighting) -> Option<&State> {
    match &sighting.row {
        RowRead::Row(row) | RowRead::Unfit(row, _) => Some(&row.state),
        RowRead::Absent | RowRead::Expired(_) | RowRead::Invalid(_) | RowRead::Unavailable(_) => None,
    }
}

/// Takes in what a repair read last, for the report.
pub(super) fn take_in(sighting: &mut Sighting, world: World) {
    sighting.cluster = world.cluster.or(sighting.cluster.take());
    sighting.entry = world.entry;
    if matches!(world.role, RoleState::Present(_)) {
        sighting.role = world.role;
    }
}

pub(super) fn held(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::Hold(reason) => Outcome::Held(reason),
        Refusal::Observed => Outcome::Held(Hold::Observing),
    }
}

/// What waiting for a role's age came to.
pub(super) enum Wait {
    Over,
    Waited,
    TooLong(Delay),
}
