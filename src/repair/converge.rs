//! One entry's repair: read the world, decide the next step, perform it, and again, until row, cluster, role and entry
//! agree or somebody else has to act.
//!
//! What is decided stands in [`decide`](super::decide), as one function; what a step does to AWS in
//! [`perform`](super::perform). Every step can be repeated, so continuing after a cut is the same code run again.

use std::time::Duration;

use futures::future::join;
use time::OffsetDateTime;

use super::calls::{Calls, examined, look};
use super::decide::decide;
use super::perform::{Next, Work, perform, take_back};
use super::reconciler::{Reconciler, take_in};
use super::step::{Cause, Deletion, Ending, RowAfter, Rules, Step, World};
use crate::case::Case;
use crate::model::{Cluster, Role, RoleState, Snapshot};
use crate::outcome::{Delay, Outcome};
use crate::row::{NotWritten, Phase, Row};
use crate::verdict::is_older;

/// The longest that is added to a pause, so that invocations which began together do not stay together.
const LONGEST_JITTER: u64 = 250;

/// A repair that is finished so long after its deletion says so: the owner may have deleted the entry since.
const LONG_AGO: time::Duration = time::Duration::hours(1);

/// How many times an entry that must not stay is looked for at the end, and the pause between two looks.
const LAST_LOOKS: (u32, Duration) = (6, Duration::from_millis(300));

/// What one turn of the loop leads to.
pub(super) enum Turn {
    /// Read, or use what is known.
    Go(Option<Box<World>>),
    /// Pause, then read.
    Pause(Duration),
    /// The repair ends for now.
    End(Ending),
}

/// One turn: decides from the world and performs the step.
pub(super) async fn turn(
    work: &mut Work,
    known: Option<Box<World>>,
    seen: &mut Option<World>,
    rules: &Rules<'_>,
    calls: &impl Calls,
) -> Turn {
    let kind = work.repair.wanted.kind.clone();
    let world = match known {
        Some(world) => Ok(*world),
        None => look(calls, &kind).await,
    };
    let world = match world {
        Ok(world) => world,
        Err(fault) if fault.may_pass() => return Turn::Pause(work.attempt.wait(Cause::EksUnreadable, calls.now())),
        Err(fault) => return Turn::End(Ending::Failed(fault)),
    };
    work.attempt.observe(&world);
    *seen = Some(world.clone());
    if !matches!(world.role, RoleState::Absent) {
        work.repair.role_absent_since = None;
    }
    let step = decide(&work.repair, &world, &work.attempt, rules, calls.now());
    if let Step::WaitForAge(role) = &step {
        return wait_for_age(role.created_at, rules, calls);
    }
    match perform(work, step, world, rules, calls).await {
        Next::Look => Turn::Go(None),
        Next::Known(world) => Turn::Go(Some(world)),
        Next::Wait(cause) => Turn::Pause(work.attempt.wait(cause, calls.now())),
        Next::End(ending) => Turn::End(ending),
    }
}

/// Waits until a role is old enough, if the invocation lasts so long.
fn wait_for_age(created_at: OffsetDateTime, rules: &Rules<'_>, calls: &impl Calls) -> Turn {
    let now = calls.now();
    let wait = Duration::try_from(created_at + rules.settle - now).unwrap_or_default();
    if now + wait < calls.ends() {
        return Turn::Pause(wait);
    }
    let age = Duration::try_from(now - created_at).unwrap_or_default();
    Turn::End(Ending::Deferred(Delay::RoleTooYoung { age, settle: rules.settle }))
}

/// Applies an ending to the row; tells what is reported.
pub(super) async fn finish(work: &mut Work, ending: Ending, calls: &impl Calls) -> Outcome {
    if ending != Ending::Repaired {
        withdraw_what_is_unverified(work, calls).await;
        take_back_from_another(work, &ending, calls).await;
    }
    if let Ending::Refused(by) = &ending
        && !work.repair.is_restore()
        && let Err(NotWritten::Unavailable(fault)) = calls.trip(&work.row(), &by.to_string()).await
    {
        work.attempt.note = Some(format!("The ledger row that stops all deletions could not be written ({fault})."));
    }
    let outcome = ending.outcome(&work.repair);
    let written = match ending.row_after(&work.repair, calls.now()) {
        RowAfter::AsItIs => return outcome,
        RowAfter::Deleted => calls.forget(&work.row()).await,
        RowAfter::Becomes(state) => {
            let mut row = Row { state: *state, ..work.row() };
            calls.write(&mut row).await
        }
        RowAfter::Open => {
            work.repair.lease = None;
            // A lease that is not given back ends by itself.
            let _ = work.write(calls).await;
            return outcome;
        }
    };
    match written {
        Ok(()) => outcome,
        Err(problem) => Outcome::Deferred { delay: problem.reason(), deletion_sent: work.repair.may_have_deleted() },
    }
}

/// Our creation may be bound to a role that nobody permitted, since the role was not read after it. It goes, and the row
/// keeps it with what its owner changed on it. If that cannot be written, it goes only if it lets in another role: else the
/// next run sees to it.
async fn withdraw_what_is_unverified(work: &mut Work, calls: &impl Calls) {
    let Some(creation) = work.attempt.creation.clone().filter(|creation| !creation.is_role_known) else { return };
    let kind = work.repair.wanted.kind.clone();
    let (looks, pause) = LAST_LOOKS;
    for _ in 0..looks {
        let (entry, role) = join(examined(calls, &kind), calls.role()).await;
        if work.is_permitted(&role) {
            work.attempt.creation = None;
            return;
        }
        if let Some(entry) = entry.ok().flatten().filter(|entry| entry.entry.arn == creation.arn) {
            // Also if nothing seems to have changed: whatever ended the repair, nobody may know what the row holds.
            work.takes_over_changes_of(&entry);
            let is_kept = work.write(calls).await.is_ok();
            let lets_in = role.role().is_some_and(|role| !is_older(&entry.entry, role.created_at));
            if (is_kept || lets_in) && calls.delete(&work.attempt.permit).await.is_ok() {
                work.attempt.creation = None;
                if let Some(at) = work.repair.phase.deletion_at() {
                    work.repair.phase = Phase::DeletionSent { at };
                }
                return;
            }
        }
        calls.pause(pause).await;
    }
    work.attempt.note =
        Some(format!("{} was created, but the role could not be read after it. Check whose role it is.", creation.arn));
}

/// What was associated may have met an entry that another party had just created, and the repair ends before it looked
/// again. A row that another invocation wrote is that one's, and so may be the entry.
async fn take_back_from_another(work: &mut Work, ending: &Ending, calls: &impl Calls) {
    let is_seen = matches!(ending, Ending::Repaired | Ending::NotWritten(NotWritten::Overtaken));
    if is_seen || work.attempt.associated.is_empty() {
        return;
    }
    let kind = work.repair.wanted.kind.clone();
    let (looks, pause) = LAST_LOOKS;
    for _ in 0..looks {
        match examined(calls, &kind).await {
            Ok(Some(entry)) if work.is_of_another(&entry) => {
                take_back(work, calls).await;
                return;
            }
            Ok(_) => return,
            Err(_) => calls.pause(pause).await,
        }
    }
    work.attempt.note = Some(
        "The function associated policies with this entry, and has not been able to read the entry since. If another \
         party replaced it, compare the policies of the new entry with what its owner gave it."
            .to_owned(),
    );
}

impl Reconciler<'_> {
    /// Works on a row that this invocation has taken, until its outcome is known; without one, the entry is to be judged
    /// again. Also tells whether a deletion was sent.
    pub(super) async fn converge(
        &self,
        case: &mut Case,
        mut work: Work,
        mut known: Option<Box<World>>,
        calls: &impl Calls,
    ) -> (Option<Outcome>, bool) {
        let run = self.run;
        let principal = work.principal.clone();
        let review =
            |snapshot: &Snapshot, cluster: &Cluster, role: &Role| self.review_for(&principal, snapshot, cluster, role);
        let settle = run.config().settle;
        let rules = Rules { principal: &principal, settle, is_unattended: self.is_unattended(), review: &review };
        let before = work.repair.target.arn().to_owned();
        let deletion_at_first = work.repair.phase.deletion_at().filter(|_| work.repair.may_have_deleted());
        let mut seen = None;
        if work.repair.phase != Phase::Opened {
            calls.hurry();
        }
        let ending = loop {
            if run.now() >= calls.ends() {
                break Ending::Deferred(Delay::TooLittleTime);
            }
            match Box::pin(turn(&mut work, known.take(), &mut seen, &rules, calls)).await {
                Turn::Go(world) => known = world,
                Turn::Pause(pause) => {
                    let jitter = Duration::from_millis(fastrand::u64(0..LONGEST_JITTER));
                    let pause = if pause.is_zero() { pause } else { pause + jitter };
                    tokio::time::sleep(pause.min(run.until(calls.ends()))).await;
                }
                Turn::End(ending) => break ending,
            }
        };
        let outcome = finish(&mut work, ending.clone(), calls).await;
        let was_deletion_sent = matches!(work.attempt.deletion, Deletion::Confirmed | Deletion::Unclear);
        case.note = work.attempt.note.take();
        if ending == Ending::JudgeAgain && outcome == Outcome::None {
            return (None, was_deletion_sent);
        }
        if let Some(role) = work.attempt.role.take() {
            case.sighting.role = RoleState::Present(role);
        }
        if outcome == Outcome::Repaired {
            if let Some(world) = seen {
                take_in(&mut case.sighting, world);
            }
            case.previous_entry_arn = Some(before);
            if let RoleState::Present(role) = &case.sighting.role {
                case.locked_out = Duration::try_from(run.now() - role.created_at).ok();
            }
            if deletion_at_first.is_some_and(|at| run.now() - at > LONG_AGO) {
                case.note = Some(
                    "The deletion was sent more than an hour ago. If the owner deleted the entry on purpose since then, \
                     delete it again."
                        .to_owned(),
                );
            }
        }
        (Some(outcome), was_deletion_sent)
    }
}
