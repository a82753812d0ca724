//! The work on single cases: what is asked of the guardrails, what is waited for, and who takes the row.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use super::{Case, LEAST_FOR_A_DELETION, LONGEST, LOOKS, Purpose, is_perhaps_revived, looked_at, settle};
use crate::app::Run;
use crate::config::{Mode, OnRoleDeleted};
use crate::discovery::{Examined, Sighting, examine};
use crate::guardrail::{self, Asked, Permit, Refusal, Request};
use crate::ledger::{Row, RowRead, State};
use crate::model::{Cluster, Role, RoleArn, RoleState, Snapshot};
use crate::outcome::{Outcome, Reason};
use crate::verdict::{Verdict, judge};

/// What the cases of one invocation share.
pub(super) struct Crew<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) purpose: &'a Purpose,
    pub(super) halted: AtomicBool,
    pub(super) begun: AtomicU32,
}

impl Crew<'_> {
    /// Works on one case until its outcome is known; looks anew where it changed under our hands.
    pub(super) async fn attend(&self, case: Case) -> Case {
        let is_restore = matches!(self.purpose, Purpose::Restore { .. })
            || case.sighting.row.open().is_some_and(|row| row.is_restore);
        let mut case = Box::pin(self.attend_until_known(case)).await;
        // Nobody lost access by a restore that waits: it is no failure of a repair.
        if let (Outcome::Deferred { deletion_sent, .. }, true) = (&mut case.outcome, is_restore) {
            *deletion_sent = false;
        }
        case
    }

    async fn attend_until_known(&self, mut case: Case) -> Case {
        for _ in 0..LOOKS {
            if Box::pin(self.step(&mut case)).await {
                return case;
            }
            let Some(arn) = RoleArn::parse(&case.sighting.principal_arn) else { break };
            if let Err(outcome) = Box::pin(self.refresh(&mut case.sighting, &arn)).await {
                case.outcome = outcome;
                return case;
            }
            let is_readable = !matches!(case.sighting.row, RowRead::Invalid(_) | RowRead::Unavailable(_));
            if case.sighting.entry.is_none() && is_readable && case.sighting.row.open().is_none() {
                case.outcome = Outcome::None(Some(Reason::DeletedByOwner));
                return case;
            }
            case.verdict = judge(&case.sighting, &self.run.invocation.home);
        }
        case.outcome = Outcome::Held(Reason::ChangedMeanwhile { what: "again and again".to_owned() });
        case
    }

    /// One try; `false` asks for another look.
    pub(super) async fn step(&self, case: &mut Case) -> bool {
        let run = self.run;
        match &case.sighting.row {
            RowRead::Invalid(because) => {
                case.outcome = Outcome::Held(Reason::LedgerRowInvalid { because: because.clone() });
                return true;
            }
            RowRead::Unavailable(because) => {
                case.outcome = Outcome::deferred(Reason::LedgerUnavailable { because: because.clone() });
                return true;
            }
            RowRead::Absent | RowRead::Expired(_) | RowRead::Row(_) => {}
        }
        let Some(principal) = RoleArn::parse(&case.sighting.principal_arn) else {
            *case = looked_at(case.clone());
            return true;
        };
        if let Purpose::Restore { role_id } = self.purpose {
            return Box::pin(self.restore(case, &principal, role_id)).await;
        }
        if let Some(row) = case.sighting.row.open().cloned() {
            return Box::pin(self.go_on(case, &principal, row)).await;
        }
        if is_perhaps_revived(&case.sighting) && matches!(self.purpose, Purpose::Act { .. }) {
            case.outcome = Outcome::Held(Reason::PerhapsRevived);
            return true;
        }
        match &case.verdict {
            // Never changed unattended; a person may know better.
            Verdict::Undecided(Reason::RecordContradictsDates) if matches!(self.purpose, Purpose::Approve { .. }) => {
                Box::pin(self.stale(case, &principal)).await
            }
            Verdict::Fresh(_) | Verdict::Undecided(_) => {
                *case = settle(run, case.clone()).await;
                true
            }
            Verdict::Missing if case.sighting.is_archived() && (run.is_sweep || case.sighting.cluster.is_some()) => {
                let grants = case.sighting.snapshot().map(|snapshot| snapshot.grants()).unwrap_or_default();
                case.outcome = Outcome::Held(Reason::Archived { grants });
                true
            }
            Verdict::Missing => {
                case.outcome = Outcome::nothing();
                true
            }
            Verdict::Orphaned => Box::pin(self.orphaned(case, &principal)).await,
            Verdict::Stale(_) => Box::pin(self.stale(case, &principal)).await,
        }
    }

    pub(super) async fn stale(&self, case: &mut Case, principal: &RoleArn) -> bool {
        let run = self.run;
        let sighting = case.sighting.clone();
        let (Some(cluster), Some(examined), RoleState::Present(role)) =
            (&sighting.cluster, &sighting.entry, &sighting.role)
        else {
            return true;
        };
        let permit = match self.review(principal, examined, cluster, role) {
            Ok(permit) => permit,
            Err(Refusal::Hold(reason)) => {
                case.outcome = Outcome::Held(reason);
                return true;
            }
            Err(Refusal::Observed) => {
                case.outcome = Outcome::WouldRepair;
                return true;
            }
        };
        match self.wait_for(role.created_at + run.config().settle, role.created_at).await {
            Wait::Over => {}
            // Much may have happened meanwhile.
            Wait::Waited => return false,
            Wait::TooLong(reason) => {
                case.outcome = Outcome::deferred(reason);
                return true;
            }
        }
        if let Some(outcome) = self.may_not_begin() {
            case.outcome = outcome;
            return true;
        }
        let mut row =
            Row::recorded(principal, &sighting.at, cluster.created_at, &examined.entry.arn, examined.snapshot());
        row.version = sighting.row.version();
        if let Some(before) = sighting.row.row() {
            row.role_id = before.recorded_role_id(&examined.entry.arn, cluster.created_at).cloned();
            row.verified_at = row.role_id.is_some().then_some(before.verified_at).flatten();
        }
        let archived = sighting.row.row().filter(|row| row.state == State::Archived);
        row.superseded = archived.map(|row| Box::new(row.clone()));
        // Our own creation of an earlier repair, put away before its policies were back: what was put away counts.
        if let Some(before) = archived
            && before.created_entry_arn.as_ref() == Some(&examined.entry.arn)
            && examined.snapshot().is_recreation_of(&before.snapshot, principal)
        {
            row.snapshot = before.snapshot.clone();
            row.is_own_entry = true;
        }
        open(&mut row, &permit);
        let ends = match self.take(&mut row, false).await {
            Ok(ends) => ends,
            Err(outcome) => {
                self.begun.fetch_sub(1, Ordering::SeqCst);
                case.outcome = outcome;
                return true;
            }
        };
        let is_done = Box::pin(self.converge(case, principal, row, ends, Some(examined))).await;
        if !case.was_deletion_sent {
            self.begun.fetch_sub(1, Ordering::SeqCst);
        }
        is_done
    }

    /// Goes on with an unfinished repair.
    pub(super) async fn go_on(&self, case: &mut Case, principal: &RoleArn, mut row: Row) -> bool {
        let run = self.run;
        let sent = row.deletion_sent_at.is_some();
        if row.is_leased_to_other(&run.owner, run.now()) {
            case.outcome = Outcome::Deferred { reason: Reason::LeaseTaken, deletion_sent: sent };
            return true;
        }
        if let (Purpose::Approve { role_id }, RoleState::Present(role)) = (self.purpose, &case.sighting.role)
            && *role_id != role.id
        {
            let (expected, present) = (role_id.to_string(), role.id.to_string());
            case.outcome = Outcome::Held(Reason::RoleChanged { expected, present });
            return true;
        }
        if let Some(cluster) = &case.sighting.cluster {
            if let Err(reason) = guardrail::resume(run.config(), &row, principal, cluster) {
                case.outcome = Outcome::Held(reason);
                return true;
            }
            // What another party has put in its place needs nothing from us but to be seen.
            let is_replaced =
                case.sighting.entry.as_ref().is_some_and(|examined| examined.entry.arn != row.access_entry_arn);
            if !is_replaced
                && matches!(case.sighting.role, RoleState::Present(_))
                && let Err(Refusal::Hold(reason)) = guardrail::grants(run.config(), principal, &row.snapshot)
            {
                case.outcome = Outcome::Held(reason);
                return true;
            }
            if !cluster.is_workable {
                let what = "the cluster is being created or deleted".to_owned();
                case.outcome = Outcome::Held(Reason::ChangedMeanwhile { what });
                return true;
            }
        } else if run.config().mode == Mode::Observe {
            case.outcome = Outcome::Held(Reason::Observing);
            return true;
        }
        if !sent && let Some(outcome) = self.halt() {
            case.outcome = outcome;
            return true;
        }
        if run.until(run.deadline) < LEAST_FOR_A_DELETION {
            case.outcome = Outcome::Deferred { reason: Reason::TooLittleTime, deletion_sent: sent };
            return true;
        }
        match self.take(&mut row, sent).await {
            Ok(ends) => Box::pin(self.converge(case, principal, row, ends, None)).await,
            Err(outcome) => {
                case.outcome = outcome;
                true
            }
        }
    }

    pub(super) async fn orphaned(&self, case: &mut Case, principal: &RoleArn) -> bool {
        if self.run.config().on_role_deleted == OnRoleDeleted::Remove && matches!(self.purpose, Purpose::Act { .. }) {
            return Box::pin(self.remove(case, principal)).await;
        }
        case.outcome = Outcome::Reported;
        if let (Some(snapshot), Some(cluster)) = (case.sighting.snapshot(), &case.sighting.cluster)
            && let Err(Refusal::Hold(reason)) = guardrail::tags(&snapshot, cluster)
        {
            case.outcome = Outcome::Held(reason);
        }
        true
    }

    pub(super) fn review(
        &self,
        principal: &RoleArn,
        examined: &Examined,
        cluster: &Cluster,
        role: &Role,
    ) -> Result<Permit, Refusal> {
        self.review_for(principal, &examined.snapshot(), cluster, role, &self.asked(role))
    }

    pub(super) fn review_for(
        &self,
        principal: &RoleArn,
        snapshot: &Snapshot,
        cluster: &Cluster,
        role: &Role,
        asked: &Asked,
    ) -> Result<Permit, Refusal> {
        let (config, home) = (self.run.config(), &self.run.invocation.home);
        let permit = guardrail::review(Request { config, home, principal, snapshot, cluster, role, asked })?;
        let claimed_by = self.run.claimed_by.as_deref().filter(|_| matches!(asked, Asked::ByApprover { .. }));
        Ok(permit.claimed_by(claimed_by))
    }

    /// Who asks for a change that concerns this role.
    pub(super) fn asked(&self, role: &Role) -> Asked {
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

    /// What becomes of an entry whose deletion the breaker forbids, while it stands.
    pub(super) fn halt(&self) -> Option<Outcome> {
        let by = || "see the entry that is missing".to_owned();
        self.halted.load(Ordering::SeqCst).then(|| Outcome::Held(Reason::RecreationRefused { by: by() }))
    }

    /// Why no deletion may be begun now, if so.
    pub(super) fn may_not_begin(&self) -> Option<Outcome> {
        let run = self.run;
        if let Some(outcome) = self.halt() {
            return Some(outcome);
        }
        if run.until(run.deadline) < LEAST_FOR_A_DELETION {
            return Some(Outcome::deferred(Reason::TooLittleTime));
        }
        let limit = run.config().max_repairs;
        if self.begun.fetch_add(1, Ordering::SeqCst) >= limit && run.is_sweep {
            self.begun.fetch_sub(1, Ordering::SeqCst);
            return Some(Outcome::Held(Reason::RepairBudget { limit }));
        }
        None
    }

    /// Waits until a role is old enough, where that leaves time to work.
    pub(super) async fn wait_for(&self, moment: OffsetDateTime, role_created_at: OffsetDateTime) -> Wait {
        let run = self.run;
        let wait = run.until(moment);
        if wait.is_zero() {
            return Wait::Over;
        }
        if run.until(run.deadline) < wait + LEAST_FOR_A_DELETION {
            let age = Duration::try_from(run.now() - role_created_at).unwrap_or_default();
            return Wait::TooLong(Reason::RoleTooYoung { age, settle: run.config().settle });
        }
        tokio::time::sleep(wait).await;
        Wait::Waited
    }

    /// Takes the row for this invocation.
    ///
    /// Tells when the work ends at the latest: 15 s before the lease, which outlast whatever was sent before.
    pub(super) async fn take(&self, row: &mut Row, deletion_sent: bool) -> Result<OffsetDateTime, Outcome> {
        let run = self.run;
        let ends = run.deadline.min(run.now() + LONGEST);
        row.lease(&run.owner, ends + Duration::from_secs(15));
        let written = run.ledger().write(row).await;
        written.map(|()| ends).map_err(|problem| Outcome::Deferred { reason: problem.reason(), deletion_sent })
    }

    /// Reads everything about a sighting anew.
    pub(super) async fn refresh(&self, sighting: &mut Sighting, principal: &RoleArn) -> Result<(), Outcome> {
        let run = self.run;
        sighting.role_read_at = run.now();
        let (seen, role, row) = Box::pin(futures::future::join3(
            examine(run, &sighting.at, principal.as_str()),
            run.app.aws.get_role(principal.name()),
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
            Err(fault) => Err(Outcome::Failed(Reason::AwsError { because: fault.to_string() })),
        }
    }
}

/// Opens a row under a permit: for its role ID and no other.
pub(super) fn open(row: &mut Row, permit: &Permit) {
    row.state = State::Repairing;
    row.permitted_role_id = Some(permit.role_id().clone());
    row.grounds = Some(permit.grounds().to_owned());
}

pub(super) fn held(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::Hold(reason) => Outcome::Held(reason),
        Refusal::Observed => Outcome::Held(Reason::Observing),
    }
}

/// What waiting for a role's age came to.
pub(super) enum Wait {
    Over,
    Waited,
    TooLong(Reason),
}
