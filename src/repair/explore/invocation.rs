//! One invocation as plain data between two steps: look, begin, then one turn of the loop after another, and the ending.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join;
use time::Duration as Span;

use super::calls::{Made, Other, Sim};
use super::defects::Defect;
use super::world::{Deviation, Truth};
use crate::case::{Purpose, looked_at};
use crate::guardrail::{self, Asked, Permit, Refusal, Request};
use crate::model::{Cluster, Role, RoleState, Snapshot};
use crate::outcome::{Delay, Hold, Outcome};
use crate::record::row_of_fresh;
use crate::repair::calls::{Calls, examined, look};
use crate::repair::converge::{Turn, finish, turn};
use crate::repair::first::{First, first};
use crate::repair::fixture;
use crate::repair::open::opened;
use crate::repair::perform::Work;
use crate::repair::step::{Attempt, Cause, Ending, Origin, Rules, World};
use crate::row::{Lease, RowRead, State};
use crate::sighting::Sighting;
use crate::verdict::judge;

/// A pause lasts so long: three of them are more than a read may be late.
const PAUSE: Span = Span::seconds(25);

/// Before the next run, the leases and the late reads of the one before are over.
const UNTIL_THE_NEXT_RUN: Span = Span::hours(2);

/// An invocation between two steps.
#[derive(Debug, Clone)]
pub(super) enum Invocation {
    /// Not begun.
    Idle,
    /// It has read everything about the entry.
    Surveyed(Box<Sighting>),
    /// It works on the row.
    Working(Box<Work>, Option<Box<World>>),
    /// The work is over; the row is not put in order yet.
    Finishing(Box<Work>, Ending),
    /// It has ended, and this is what it reported.
    Ended(String),
    /// It was cut.
    Cut,
}

/// What a step led to.
pub(super) struct Stepped {
    pub(super) truth: Truth,
    pub(super) invocation: Invocation,
    pub(super) made: Vec<Made>,
}

impl Invocation {
    /// Whether it takes no more steps.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Cut)
    }

    /// The step in a word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Idle => "look",
            Self::Surveyed(_) => "begin",
            Self::Working(..) => "turn",
            Self::Finishing(..) => "finish",
            Self::Ended(_) | Self::Cut => "over",
        }
    }

    /// Takes the next step, as the script has it.
    pub(super) fn step(
        &self,
        truth: &Truth,
        who: &'static str,
        script: &[Deviation],
        other: Option<Other<'_>>,
        defect: Option<Defect>,
    ) -> Stepped {
        let sim = Sim::new(truth.clone(), script, other, defect);
        let next = match self.clone() {
            Self::Idle => survey(&sim).now_or_never(),
            Self::Surveyed(sighting) => begin(*sighting, who, &sim).now_or_never(),
            Self::Working(mut work, known) => {
                if let Some(defect) = defect {
                    defect.apply(&mut work, truth);
                }
                go_on(*work, known, &sim).now_or_never()
            }
            Self::Finishing(mut work, ending) => {
                let finished = async { Self::Ended(label(&finish(&mut work, ending, &sim).await)) };
                finished.now_or_never()
            }
            over => Some(over),
        };
        let made = sim.made.take();
        let mut truth = sim.truth.into_inner();
        let invocation = next.unwrap_or(Self::Cut);
        if matches!(invocation, Self::Cut) {
            truth.cut();
        }
        if invocation.is_over() {
            truth.leave();
            // Its lease ends before the next run.
            if let Some(row) = &mut truth.row
                && let State::Repairing(repair) = &mut row.state
            {
                repair.lease.take_if(|lease| lease.owner == who);
            }
        }
        Stepped { truth, invocation, made }
    }

    /// The run after this one.
    pub(super) fn next_run(truth: &Truth) -> (Truth, Self) {
        (Truth { now: truth.now + UNTIL_THE_NEXT_RUN, ..truth.clone() }, Self::Idle)
    }
}

fn label(outcome: &Outcome) -> String {
    let reason = outcome.reason().unwrap_or_default();
    format!("{} {reason}", outcome.label())
}

async fn survey(sim: &Sim<'_>) -> Invocation {
    let (role, row) = join(sim.role(), sim.row()).await;
    let kind = crate::model::EntryType::Standard;
    let (entry, cluster) = join(examined(sim, &kind), sim.cluster()).await;
    let (Ok(row), Ok(entry), Ok(cluster)) = (row, entry, cluster) else {
        return Invocation::Ended("failed awsError".to_owned());
    };
    let row = row.map_or(RowRead::Absent, |row| RowRead::Row(Box::new(row)));
    Invocation::Surveyed(Box::new(Sighting {
        at: fixture::at(),
        cluster,
        principal: crate::model::Principal::Role(fixture::principal()),
        entry,
        row,
        role,
        role_read_at: sim.now(),
    }))
}

/// The guardrails of this world: a stranger's role is held, and nothing else.
fn review(snapshot: &Snapshot, cluster: &Cluster, role: &Role) -> Result<Permit, Refusal> {
    if role.trust_policy.is_some() {
        return Err(Refusal::Hold(Hold::HoldAll));
    }
    let (config, home, principal, asked) =
        (fixture::config(0), fixture::home(), fixture::principal(), Asked::automatically());
    let (config, home, principal, asked) = (&config, &home, &principal, &asked);
    guardrail::review(Request { config, home, principal, snapshot, cluster, role, asked })
}

fn lease(who: &str) -> Lease {
    Lease { owner: who.to_owned(), until: i64::MAX }
}

async fn begin(sighting: Sighting, who: &str, sim: &Sim<'_>) -> Invocation {
    let principal = fixture::principal();
    let end = |outcome: Outcome| Invocation::Ended(label(&outcome));
    let work = |repair, permit, origin, sim: &Sim<'_>| {
        let attempt = Attempt::new(permit, origin, &repair, sim.now());
        let version = sighting.row.version();
        let mut work = Work { principal: principal.clone(), cluster: sighting.at.clone(), version, repair, attempt };
        work.repair.lease = Some(lease(who));
        work
    };
    let verdict = judge(&sighting, &fixture::home());
    match first(&sighting, &verdict, &Purpose::Act { creators: Vec::new() }, false) {
        First::Report(outcome) => end(outcome),
        First::Orphaned(_) => end(Outcome::Reported),
        First::Record => {
            if let Ok(Some(mut row)) = row_of_fresh(&sighting, &verdict, Duration::ZERO, sim.now()) {
                let _ = sim.write(&mut row).await;
            }
            end(looked_at(&verdict))
        }
        First::Restore(..) => unreachable!("nobody asked for it"),
        First::Resume(_, repair) => {
            if repair.is_leased_to_other(who, sim.now()) {
                return end(Outcome::deferred(Delay::LeaseTaken));
            }
            let permit = match &sighting.cluster {
                Some(cluster) => guardrail::resume(&fixture::config(0), &repair, &principal, cluster),
                None => Ok(guardrail::continued(&repair, &principal, &sighting.at)),
            };
            let mut work = match permit {
                Ok(permit) => work(*repair, permit, Origin::Continued, sim),
                Err(reason) => return end(Outcome::Held(reason)),
            };
            match work.write(sim).await {
                Ok(()) => Invocation::Working(Box::new(work), None),
                Err(problem) => end(Outcome::deferred(problem.reason())),
            }
        }
        First::Open(_) => {
            let (Some(cluster), Some(seen), RoleState::Present(role)) =
                (&sighting.cluster, &sighting.entry, &sighting.role)
            else {
                return end(Outcome::None);
            };
            let permit = match review(&seen.snapshot(), cluster, role) {
                Ok(permit) => permit,
                Err(Refusal::Hold(reason)) => return end(Outcome::Held(reason)),
                Err(Refusal::Observed) => return end(Outcome::WouldRepair),
            };
            let repair = opened(&sighting, seen, cluster, &principal, &permit);
            let mut work = work(repair, permit, Origin::OpenedHere, sim);
            let kind = work.repair.wanted.kind.clone();
            let (written, world) = join(work.write(sim), look(sim, &kind)).await;
            match written {
                Ok(()) => Invocation::Working(Box::new(work), world.ok().map(Box::new)),
                Err(problem) => end(Outcome::deferred(problem.reason())),
            }
        }
    }
}

async fn go_on(mut work: Work, known: Option<Box<World>>, sim: &Sim<'_>) -> Invocation {
    let principal = fixture::principal();
    let rules = Rules { principal: &principal, settle: Duration::ZERO, is_unattended: true, review: &review };
    let next = turn(&mut work, known, &mut None, &rules, sim).await;
    // Nothing is decided by these.
    work.attempt.waits.retain(|cause, _| !matches!(cause, Cause::EksUnreadable | Cause::Throttled | Cause::Settling));
    (work.attempt.role, work.attempt.note) = (None, None);
    match next {
        Turn::Go(known) => Invocation::Working(Box::new(work), known),
        Turn::Pause(pause) => {
            if !pause.is_zero() {
                sim.truth.borrow_mut().now += PAUSE;
            }
            Invocation::Working(Box::new(work), None)
        }
        Turn::End(ending) => Invocation::Finishing(Box::new(work), ending),
    }
}
