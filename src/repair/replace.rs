//! The two steps that replace an entry: its deletion and its creation, each with the reads directly before and after it.

use futures::future::{join, join3};
use time::OffsetDateTime;

use super::calls::{Calls, examined, look};
use super::compare::{is_as_wanted, review_again};
use super::perform::{Next, Work};
use super::step::{Associated, Cause, Creation, Deletion, Ending, Rules, World};
use crate::fault::{Fault, FaultKind};
use crate::guardrail;
use crate::limits::LEAST_FOR_ANOTHER_CREATION;
use crate::model::{Cluster, RoleState};
use crate::outcome::Delay;
use crate::row::Phase;
use crate::sighting::Examined;

/// Deletes the entry of the row. `DeleteAccessEntry` has no precondition: so the row is written, which proves that the
/// lease is still ours, and the entry and its policies are read directly before, in a turn of their own. What an owner
/// changes after that read was sent cannot be seen.
pub(super) async fn delete(work: &mut Work, rules: &Rules<'_>, calls: &impl Calls) -> Next {
    let is_first = work.repair.phase == Phase::Opened;
    if is_first {
        match calls.turn_to_delete().await {
            Ok(lease) => work.repair.lease = lease.or(work.repair.lease.take()),
            Err(not_now) => return Next::End(not_now.ending()),
        }
        work.repair.phase = Phase::DeletionSent { at: calls.now() };
        calls.hurry();
    }
    let (marked, cluster, role) = join3(work.write(calls), calls.cluster(), calls.role()).await;
    if let Err(problem) = marked {
        if is_first {
            work.repair.phase = Phase::Opened;
        }
        return Next::End(Ending::NotWritten(problem));
    }
    let cluster = match allows(work, rules, cluster, &role) {
        Ok(cluster) => cluster,
        Err(fault) => return do_not_delete(work, is_first, fault.as_ref(), calls).await,
    };
    let kind = work.repair.wanted.kind.clone();
    let seen = examined(calls, &kind).await;
    // That it is stale was decided for this role ID and this ARN, which cannot become fresh again.
    let is_the_entry =
        |entry: &Examined| entry.entry.arn == work.repair.target.arn() && is_as_wanted(&work.repair, rules, entry);
    if !seen.as_ref().is_ok_and(|entry| entry.as_ref().is_some_and(is_the_entry)) {
        return do_not_delete(work, is_first, seen.err().as_ref(), calls).await;
    }
    if calls.now() >= calls.ends() {
        return Next::End(Ending::Deferred(Delay::TooLittleTime));
    }
    // Another repair may have been let through meanwhile.
    if is_first && !calls.deletes() {
        return do_not_delete(work, is_first, None, calls).await;
    }
    // The old entry goes: what was associated with it goes with it.
    work.attempt.associated = Associated::default();
    let before = std::mem::replace(&mut work.attempt.deletion, Deletion::Unclear);
    match calls.delete(&work.attempt.permit).await {
        Ok(()) => {
            work.attempt.deletion = Deletion::Confirmed;
            // The next step need not read what we know.
            Next::Known(Box::new(World { cluster: Some(cluster), entry: None, role }))
        }
        Err(fault) => deletion_failed(work, is_first, before, &fault, calls).await,
    }
}

/// Whether cluster and role, read beside the mark, still allow the deletion.
fn allows(
    work: &Work,
    rules: &Rules<'_>,
    cluster: Result<Option<Cluster>, Fault>,
    role: &RoleState,
) -> Result<Cluster, Option<Fault>> {
    let cluster = cluster.map_err(Some)?.ok_or(None)?;
    let is_same = cluster.created_at == work.repair.cluster_created_at && cluster.is_workable;
    let is_tagged = guardrail::tags(&work.repair.wanted, &cluster).is_err();
    let role = role.role().filter(|_| work.is_permitted(role)).ok_or(None)?;
    let is_held = review_again(&work.repair, &work.attempt, rules, &cluster, role).is_some();
    if is_same && !is_tagged && !is_held { Ok(cluster) } else { Err(None) }
}

/// The world changed between the decision and the deletion: nothing is deleted, and it is looked at again.
async fn do_not_delete(work: &mut Work, is_first: bool, fault: Option<&Fault>, calls: &impl Calls) -> Next {
    if is_first && let Err(problem) = work.enter(Phase::Opened, calls).await {
        return Next::End(Ending::NotWritten(problem));
    }
    match fault {
        Some(fault) if !fault.may_pass() => Next::End(Ending::Failed(fault.clone())),
        Some(_) => Next::Wait(Cause::EksUnreadable),
        None if is_first => Next::Look,
        None => Next::Wait(Cause::LateRead),
    }
}

async fn deletion_failed(work: &mut Work, is_first: bool, before: Deletion, fault: &Fault, calls: &impl Calls) -> Next {
    match fault.kind {
        // The owner was first.
        FaultKind::NotFound if before == Deletion::NotSent => Next::End(Ending::target_deleted_by_owner(&work.repair)),
        // Not carried out: it is sent again as soon as the entry was read once more.
        FaultKind::Throttled => {
            work.attempt.deletion = before;
            Next::Wait(Cause::Throttled)
        }
        FaultKind::NotFound | FaultKind::InUse => Next::Wait(Cause::Settling),
        _ if fault.may_have_happened() => Next::Wait(Cause::Settling),
        // A clear refusal: the entry stands as it was.
        _ if is_first => match work.enter(Phase::Opened, calls).await {
            Ok(()) => Next::End(Ending::FailedClosed(fault.clone())),
            Err(problem) => Next::End(Ending::NotWritten(problem)),
        },
        _ => Next::End(Ending::Failed(fault.clone())),
    }
}

/// Creates the entry, for the permitted role only: the role is read directly before and directly after.
pub(super) async fn create(work: &mut Work, calls: &impl Calls) -> Next {
    let before = work.repair.phase.clone();
    let deletion_at = before.deletion_at().unwrap_or_else(|| calls.now());
    let role = if matches!(before, Phase::CreationSent { .. }) {
        calls.role().await
    } else {
        // Marked before it is sent: after a cut, an entry like the snapshot may be this creation.
        work.repair.phase = Phase::CreationSent { deletion_at, at: calls.now() };
        let (marked, role) = join(work.write(calls), calls.role()).await;
        if let Err(problem) = marked {
            work.repair.phase = before;
            return Next::End(Ending::NotWritten(problem));
        }
        role
    };
    if !work.is_permitted(&role) {
        return not_created(work, before, None, calls).await;
    }
    if calls.now() >= calls.ends() {
        return Next::End(Ending::Deferred(Delay::TooLittleTime));
    }
    match calls.create(&work.attempt.permit, &work.repair.wanted).await {
        Ok(created) => confirm(work, created.arn, deletion_at, calls).await,
        Err(fault) => not_created(work, before, Some(&fault), calls).await,
    }
}

/// EKS confirmed the creation: writes that down, and reads the role directly after it.
async fn confirm(work: &mut Work, arn: String, deletion_at: OffsetDateTime, calls: &impl Calls) -> Next {
    let at = match work.repair.phase {
        Phase::CreationSent { at, .. } => at,
        _ => calls.now(),
    };
    work.attempt.creation = Some(Creation { arn: arn.clone(), is_role_known: false });
    work.repair.phase = Phase::Created { deletion_at, at, arn };
    let kind = work.repair.wanted.kind.clone();
    let (noted, world) = join(work.write(calls), look(calls, &kind)).await;
    if let Err(problem) = noted {
        if world.as_ref().is_ok_and(|world| work.is_permitted(&world.role)) {
            work.attempt.creation = None;
        }
        return Next::End(Ending::NotWritten(problem));
    }
    match world {
        Ok(world) => Next::Known(Box::new(world)),
        Err(_) => Next::Look,
    }
}

/// The creation was not sent, or refused, or its answer was lost.
async fn not_created(work: &mut Work, before: Phase, fault: Option<&Fault>, calls: &impl Calls) -> Next {
    // Clearly refused, an entry like the snapshot that turns up now is not from this try.
    let is_clear = fault.is_none_or(|fault| !fault.may_have_happened());
    if is_clear
        && !matches!(before, Phase::CreationSent { .. })
        && let Err(problem) = work.enter(before, calls).await
    {
        return Next::End(Ending::NotWritten(problem));
    }
    let Some(fault) = fault else { return Next::Look };
    if fault.is_unknown_principal() {
        return if calls.ends() - calls.now() < LEAST_FOR_ANOTHER_CREATION {
            Next::End(Ending::Deferred(Delay::PrincipalNotYetValid))
        } else {
            Next::Wait(Cause::UnknownPrincipal)
        };
    }
    if fault.kind == FaultKind::Throttled {
        return Next::Wait(Cause::Throttled);
    }
    if fault.may_pass() || matches!(fault.kind, FaultKind::InUse | FaultKind::NotFound) {
        return Next::Wait(Cause::Settling);
    }
    // The state of the cluster: not ours to mend, and no sign for other entries.
    if fault.kind == FaultKind::InvalidRequest {
        return Next::End(Ending::Failed(fault.clone()));
    }
    Next::End(Ending::Refused(fault.clone()))
}
