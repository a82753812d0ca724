//! Takes one step: one change of EKS or of the row, with the reads directly before it that allow it, and directly after it
//! that confirm it. What an unclear answer means is found out by reading the world again.
//!
//! Holds nothing across steps: all that is known is in [`Work`].

use futures::future::join;

use super::calls::{Calls, examined};
use super::replace::{create, delete};
use super::step::{Associated, Attempt, Cause, Deletion, Ending, Origin, Rehearsal, Rules, Step, World};
use crate::fault::{Fault, FaultKind};
use crate::guardrail::Permit;
use crate::model::{AccessPolicy, ClusterRef, RoleArn, RoleState};
use crate::outcome::{Delay, Hold};
use crate::row::{NotWritten, Permitted, Phase, Repair, Row, State, Target};
use crate::sighting::Examined;

/// How often a rehearsal may fail in a way that may pass.
const REHEARSALS: u32 = 6;

/// How often EKS may not know the role while the old entry stands.
const UNKNOWN_PRINCIPALS: u32 = 8;

/// A repair at work: the row as it was last written, and what was observed since. Plain data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Work {
    pub(super) principal: RoleArn,
    pub(super) cluster: ClusterRef,
    pub(super) version: u64,
    pub(super) repair: Repair,
    pub(super) attempt: Attempt,
}

/// What comes after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Read the world.
    Look,
    /// The world is known from the step's own reads.
    Known(Box<World>),
    /// Pause, then read the world.
    Wait(Cause),
    /// The repair ends for now.
    End(Ending),
}

/// Takes a step that changes something. `world` is what the step was decided from.
pub(super) async fn perform(work: &mut Work, step: Step, world: World, rules: &Rules<'_>, calls: &impl Calls) -> Next {
    let next = match step {
        Step::Rehearse => rehearse(work, world, calls).await,
        Step::Delete => delete(work, rules, calls).await,
        Step::Create => create(work, calls).await,
        Step::Withdraw(arn) => withdraw(work, &arn, calls).await,
        Step::Adopt(arn) => adopt(work, arn, calls).await,
        Step::Associate(policies) => associate(work, &policies, calls).await,
        Step::TakeBack => take_back(work, calls).await,
        Step::NoteAbsentRole => {
            work.repair.role_absent_since = Some(calls.now());
            written(work.write(calls).await, Next::Wait(Cause::RoleAbsent))
        }
        Step::PermitNewRole(permit) => {
            work.permit(permit);
            written(work.write(calls).await, Next::Look)
        }
        Step::StartOver(arn, permit) => {
            work.permit(permit);
            work.start_over(arn);
            written(work.write(calls).await, Next::Look)
        }
        Step::Record => record(work, world, calls).await,
        Step::Wait(cause) => Next::Wait(cause),
        Step::WaitForAge(_) => Next::Look,
        Step::End(ending) => Next::End(ending),
    };
    if !matches!(next, Next::Wait(_)) {
        work.attempt.stepped();
    }
    next
}

fn written(result: Result<(), NotWritten>, next: Next) -> Next {
    match result {
        Ok(()) => next,
        Err(problem) => Next::End(Ending::NotWritten(problem)),
    }
}

impl Work {
    /// The row for the ledger.
    pub(super) fn row(&self) -> Row {
        let state = State::Repairing(Box::new(self.repair.clone()));
        Row::new(&self.principal, &self.cluster, self.version, state)
    }

    /// Writes the row. It is still ours: the write is conditional on its version.
    pub(super) async fn write(&mut self, calls: &impl Calls) -> Result<(), NotWritten> {
        let mut row = self.row();
        calls.write(&mut row).await?;
        self.version = row.version;
        Ok(())
    }

    /// Goes back to an earlier phase, or on to the next one.
    pub(super) async fn enter(&mut self, phase: Phase, calls: &impl Calls) -> Result<(), NotWritten> {
        let before = std::mem::replace(&mut self.repair.phase, phase);
        let result = self.write(calls).await;
        if result.is_err() {
            self.repair.phase = before;
        }
        result
    }

    fn permit(&mut self, permit: Permit) {
        self.repair.permitted = Permitted { role_id: permit.role_id().clone(), grounds: permit.grounds().to_owned() };
        self.attempt.permit = permit;
    }

    fn start_over(&mut self, arn: String) {
        self.repair.target = Target::OfOurs(arn);
        self.repair.phase = Phase::Opened;
        self.attempt.origin = Origin::Continued;
        self.attempt.rehearsal = Rehearsal::NotYet;
        self.attempt.unclear_since = None;
        self.attempt.deletion = Deletion::NotSent;
        self.attempt.creation = None;
    }

    /// Wants what the owner changed on our creation from now on; whether there was any such change.
    pub(super) fn takes_over_changes_of(&mut self, creation: &Examined) -> bool {
        let is_nobodys = self.repair.phase == Phase::Opened && !self.repair.is_of_ours();
        let changed = creation.snapshot();
        if is_nobodys || changed.is_recreation_of(&self.repair.wanted, &self.principal) {
            return false;
        }
        let wanted = changed.completed_by(&self.repair.wanted);
        let before = std::mem::replace(&mut self.repair.wanted, wanted);
        before != self.repair.wanted
    }

    /// The same, and the row has it before the creation goes; whether it was written.
    pub(super) async fn keep_changes_of(
        &mut self,
        creation: &Examined,
        calls: &impl Calls,
    ) -> Result<bool, NotWritten> {
        let before = self.repair.wanted.clone();
        if !self.takes_over_changes_of(creation) {
            return Ok(false);
        }
        let result = self.write(calls).await;
        if result.is_err() {
            // Not written, it is to be written again before the creation goes.
            self.repair.wanted = before;
        }
        result.map(|()| true)
    }

    /// Whether the entry is neither the one of the row nor our creation.
    pub(super) fn is_of_another(&self, entry: &Examined) -> bool {
        let arn = &entry.entry.arn;
        let is_created = matches!(&self.repair.phase, Phase::Created { arn: created, .. } if created == arn);
        !is_created && self.repair.target.arn() != arn && !self.attempt.withdrawn.contains(arn)
    }

    pub(super) fn is_permitted(&self, role: &RoleState) -> bool {
        role.role().is_some_and(|role| role.id == self.repair.permitted.role_id)
    }
}

/// Sends the creation while the old entry stands: "in use" is the wanted answer. Then every association with its present
/// scope, which changes nothing and proves the permission.
async fn rehearse(work: &mut Work, world: World, calls: &impl Calls) -> Next {
    let permit = work.attempt.permit.clone();
    let wanted = work.repair.wanted.clone();
    let list =
        async { if wanted.access_policies.is_empty() { Ok(Vec::new()) } else { calls.policies(&wanted.kind).await } };
    let (created, listed) = join(calls.create(&permit, &wanted), list).await;
    match created {
        Ok(entry) => {
            // The owner had deleted the entry meanwhile.
            work.attempt.rehearsal = Rehearsal::Made(entry.arn);
            return Next::Look;
        }
        Err(fault) if fault.kind == FaultKind::InUse => {}
        Err(fault) => {
            if fault.may_have_happened() {
                work.attempt.unclear_since = Some(calls.now());
            }
            return rehearsal_failed(work, &fault);
        }
    }
    let listed = match listed {
        Ok(listed) => listed,
        Err(fault) => return rehearsal_failed(work, &fault),
    };
    // An association sets the scope, so it must be the owner's present one.
    let is_as_wanted = work.repair.is_of_ours() || wanted.has_policies(&listed);
    if !is_as_wanted {
        return Next::Wait(Cause::LateRead);
    }
    for policy in &wanted.access_policies {
        if let Err(fault) = send_association(work, policy, &listed, calls).await {
            return rehearsal_failed(work, &fault);
        }
    }
    work.attempt.rehearsal = Rehearsal::Passed;
    Next::Known(Box::new(world))
}

/// Associates a policy, and notes what may have been done: after a lost reply, too. An association is ours only if the list
/// that was read directly before did not have it; of several such lists, if any of them did not.
async fn send_association(
    work: &mut Work,
    policy: &AccessPolicy,
    listed: &[AccessPolicy],
    calls: &impl Calls,
) -> Result<(), Fault> {
    let sent = calls.associate(&work.attempt.permit, policy).await;
    if sent.as_ref().is_err_and(|fault| !fault.may_have_happened()) {
        return sent;
    }
    let association = work.attempt.permit.association(policy);
    let Associated { ours, listed: others } = &mut work.attempt.associated;
    let is_ours = ours.contains(&association) || !listed.iter().any(|there| there.policy_arn == policy.policy_arn);
    others.retain(|there| *there != policy.policy_arn);
    if !is_ours {
        others.push(policy.policy_arn.clone());
    } else if !ours.contains(&association) {
        ours.push(association);
    }
    sent
}

fn rehearsal_failed(work: &mut Work, fault: &Fault) -> Next {
    if fault.is_unknown_principal() {
        let is_enough = work.attempt.waited(Cause::UnknownPrincipal) >= UNKNOWN_PRINCIPALS;
        return if is_enough {
            Next::End(Ending::DeferredClosed(Delay::PrincipalNotYetValid))
        } else {
            Next::Wait(Cause::UnknownPrincipal)
        };
    }
    if fault.kind == FaultKind::Throttled {
        return Next::Wait(Cause::Throttled);
    }
    if fault.may_pass() {
        let is_enough = work.attempt.waited(Cause::Rehearsal) >= REHEARSALS;
        return if is_enough { Next::End(Ending::Failed(fault.clone())) } else { Next::Wait(Cause::Rehearsal) };
    }
    // The cluster or the entry is gone: the next read shows it.
    if fault.kind == FaultKind::NotFound {
        return Next::Wait(Cause::LateRead);
    }
    Next::End(Ending::HeldClosed(Hold::RehearsalRefused(fault.clone())))
}

/// Deletes an entry that we created and must not leave: its own ARN is read directly before. What its owner changed on it
/// is wanted from now on, and is in the row before the entry goes.
async fn withdraw(work: &mut Work, arn: &str, calls: &impl Calls) -> Next {
    let kind = work.repair.wanted.kind.clone();
    let entry = match examined(calls, &kind).await {
        Ok(Some(entry)) if entry.entry.arn == arn => entry,
        Ok(_) => return Next::Wait(Cause::LateRead),
        Err(fault) if fault.may_pass() => return Next::Wait(Cause::EksUnreadable),
        Err(fault) => return Next::End(Ending::Failed(fault.clone())),
    };
    match work.keep_changes_of(&entry, calls).await {
        Ok(false) => {}
        Ok(true) => return Next::Look,
        Err(problem) => return Next::End(Ending::NotWritten(problem)),
    }
    let is_rehearsed = matches!(work.attempt.rehearsal, Rehearsal::Made(_));
    if work.repair.phase == Phase::Opened && !is_rehearsed {
        // Marked before it is sent: after a cut, an entry that is gone was not deleted by its owner.
        return written(work.enter(Phase::DeletionSent { at: calls.now() }, calls).await, Next::Look);
    }
    match calls.delete(&work.attempt.permit).await {
        Ok(()) => {}
        Err(fault) if fault.kind == FaultKind::NotFound => {}
        Err(fault) if fault.kind == FaultKind::Throttled => return Next::Wait(Cause::Throttled),
        Err(fault) if fault.may_pass() => return Next::Wait(Cause::Settling),
        Err(fault) => return Next::End(Ending::Failed(fault.clone())),
    }
    work.attempt.withdrawn.push(arn.to_owned());
    work.attempt.creation = None;
    if arn == work.repair.target.arn() {
        work.attempt.deletion = Deletion::Confirmed;
    }
    let Some(at) = work.repair.phase.deletion_at() else {
        work.attempt.rehearsal = Rehearsal::Withdrawn;
        return Next::Look;
    };
    written(work.enter(Phase::DeletionSent { at }, calls).await, Next::Look)
}

/// Nobody was told what came of our creation, and an entry as it was sent stands: it is ours from here on. It is read once
/// more, since its policies were listed beside it: that answer may be about an entry before.
async fn adopt(work: &mut Work, arn: String, calls: &impl Calls) -> Next {
    let Phase::CreationSent { deletion_at, at } = work.repair.phase else { return Next::Look };
    let kind = work.repair.wanted.kind.clone();
    let is_as_sent = |entry: &Examined| entry.entry.arn == arn && entry.policies.is_empty();
    if !examined(calls, &kind).await.ok().flatten().as_ref().is_some_and(is_as_sent) {
        return Next::Wait(Cause::LateRead);
    }
    written(work.enter(Phase::Created { deletion_at, at, arn }, calls).await, Next::Look)
}

/// Associates what is missing. The world was read directly before.
async fn associate(work: &mut Work, policies: &[AccessPolicy], calls: &impl Calls) -> Next {
    let mut refusal = None;
    for policy in policies {
        match send_association(work, policy, &[], calls).await {
            Ok(()) => {}
            // 404: EKS does not show its own creation everywhere yet.
            Err(fault) if fault.kind == FaultKind::Throttled => return Next::Wait(Cause::Throttled),
            Err(fault) if fault.may_pass() || fault.kind == FaultKind::NotFound => return Next::Wait(Cause::Settling),
            Err(fault) => refusal = refusal.or(Some(fault)),
        }
    }
    match refusal {
        Some(fault) => Next::End(Ending::Refused(fault)),
        None => Next::Look,
    }
}

/// Takes back what was associated with an entry that another party created between our read and our call. Only those are
/// ours that the list read directly before did not have. Of the others nobody can tell whose they are: the owner of the
/// new entry may have given it the same policy. A person is asked to look.
pub(super) async fn take_back(work: &mut Work, calls: &impl Calls) -> Next {
    let Associated { ours, listed } = std::mem::take(&mut work.attempt.associated);
    if !listed.is_empty() {
        work.attempt.note = Some(format!(
            "Another party replaced the entry during the rehearsal, so the rehearsal may have associated policies \
             with the new entry ({}). Compare the new entry's policies with those that its owner gave it, and \
             disassociate the others.",
            listed.join(", ")
        ));
    }
    for association in ours {
        if let Err(fault) = calls.disassociate(&association).await
            && fault.kind != FaultKind::NotFound
        {
            let policy = association.policy_arn();
            work.attempt.note = Some(format!(
                "{policy} was associated with an entry that another party had just created, and could not be \
                 disassociated ({fault}). Disassociate it if the entry is not to have it."
            ));
        }
    }
    Next::Look
}

/// All is there, and the role that was read with it is the permitted one.
async fn record(work: &mut Work, world: World, calls: &impl Calls) -> Next {
    let Some(entry) = &world.entry else { return Next::Look };
    let state = work.repair.recorded(&entry.entry.arn, entry.snapshot(), calls.now());
    let mut row = Row::new(&work.principal, &work.cluster, work.version, state);
    match calls.write(&mut row).await {
        Ok(()) => {
            work.version = row.version;
            Next::End(Ending::Repaired)
        }
        Err(problem) => Next::End(Ending::NotWritten(problem)),
    }
}
