//! One deviation of a repair, over the wire, and two: every fault, cut, or role that comes or goes, at each call from the
//! first write of the row to the last, and every pair of them. However it goes, nobody is let in that nobody permitted, and
//! entry or ledger has everything.
//!
//! What owners change in the middle is in `owners.rs`, with one deviation, and in the exploration in memory
//! (`src/repair/explore`), with more. `make test` takes a sample of the pairs; `make deviation-pairs` takes
//! all, which takes hours.

#![expect(clippy::print_stdout, reason = "the closing line tells how many pairs there were")]

use std::time::Duration;

use serde_json::Value;

use crate::cloud::{Action, Call, EntrySpec, Phase, Role, World, trust};
use crate::impact::READS_OF_IMPACT;
use crate::jobs::{Job, ROLE, Scene, is_everything_asked, node, owned};
use crate::stage::{LEDGER, Stage, viewer};

/// Without `EVERY=1`, every 997th pair is taken.
const SAMPLE: usize = 997;

const STRANGER: &str = "arn:aws:iam::111122223333:user/mallory";

/// What happens at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deviation {
    Throttled,
    Fails,
    ReplyLost,
    NotArrived,
    Stale,
    CutBefore,
    CutAfter,
    StrangerTakesTheRole,
    RoleIsRecreated,
    RoleIsDeleted,
}

impl Deviation {
    const ALL: [Self; 10] = [
        Self::Throttled,
        Self::Fails,
        Self::ReplyLost,
        Self::NotArrived,
        Self::Stale,
        Self::CutBefore,
        Self::CutAfter,
        Self::StrangerTakesTheRole,
        Self::RoleIsRecreated,
        Self::RoleIsDeleted,
    ];

    /// Whether it happens before the call or after it.
    fn phase(self) -> Phase {
        if self == Self::CutAfter { Phase::After } else { Phase::Before }
    }

    /// It happens; what becomes of the call.
    fn happens(self, world: &mut World) -> Action {
        match self {
            Self::Throttled => Action::Throttle,
            Self::Fails => Action::ServerError,
            Self::ReplyLost => Action::LoseReply,
            Self::NotArrived => Action::Close,
            Self::Stale => Action::Stale,
            Self::CutBefore | Self::CutAfter => Action::Stop,
            Self::StrangerTakesTheRole => {
                world.take_role(ROLE, &trust::aws(STRANGER));
                Action::Proceed
            }
            Self::RoleIsRecreated => {
                world.take_role(ROLE, &trust::ec2());
                Action::Proceed
            }
            Self::RoleIsDeleted => {
                if world.roles.contains_key(ROLE) {
                    world.delete_role(ROLE);
                }
                Action::Proceed
            }
        }
    }
}

/// At the call of this number.
type At = (usize, Deviation);

/// Whether a call belongs to the repair, and not to what is shown beside it.
fn is_of_the_repair(call: &Call) -> bool {
    !READS_OF_IMPACT.contains(&call.operation.as_str()) && call.operation != "PutMetricData"
}

/// The repair that deviates.
#[derive(Debug, Clone, Copy)]
struct Case {
    spec: fn() -> EntrySpec,
    hold: &'static str,
}

/// It waits for a person if a stranger has taken its role.
const NODE: Case = Case { spec: node, hold: "privileged" };
/// Every role is let in.
const WITH_POLICIES: Case = Case { spec: with_policies, hold: "none" };

fn with_policies() -> EntrySpec {
    viewer().groups(&["viewers"]).policy("AmazonEKSEditPolicy")
}

/// How a repair went that deviated.
struct Deviated {
    scene: Scene,
    /// The numbers of its calls, from the first write of the row on.
    calls: Vec<usize>,
    is_stopped: bool,
    holds_strangers: bool,
}

impl Case {
    async fn deviates(self, pair: &[At]) -> Deviated {
        let scene = Job::Repair.due_on(Stage::set().with("HOLD", self.hold), (self.spec)()).await;
        for (at, deviation) in pair.iter().copied() {
            scene.stage.cloud.intercept(move |call: &Call, phase, world| {
                let is_due = call.n == at && phase == deviation.phase() && is_of_the_repair(call);
                if is_due { deviation.happens(world) } else { Action::Proceed }
            });
        }
        let is_stopped = tokio::select! {
            _ = scene.begin() => false,
            () = scene.stage.cloud.stopped() => true,
        };
        scene.stage.cloud.lift_faults();
        scene.stage.cloud.restart();
        let calls = scene.stage.cloud.calls();
        let opening = calls.iter().position(|call| call.operation == "PutItem").expect("the row is opened");
        let calls = calls[opening..].iter().filter(|call| is_of_the_repair(call)).map(|call| call.n).collect();
        Deviated { scene, calls, is_stopped, holds_strangers: self.hold != "none" }
    }
}

impl Deviated {
    fn role(&self) -> Option<Role> {
        self.scene.stage.cloud.with(|world| world.roles.get(ROLE).cloned())
    }

    /// Events and sweeps come until nothing is left to do; the last report.
    async fn comes_to_rest(&self) -> Option<Value> {
        let stage = &self.scene.stage;
        let mut report = None;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_mins(10)).await;
            let event = match self.role() {
                Some(role) => stage.created(&role),
                None => stage.deleted(ROLE),
            };
            report = stage.deliver(event).await.ok();
        }
        report
    }

    /// What is wrong in the end.
    fn wrong(&self, report: Option<&Value>) -> Option<&'static str> {
        let stage = &self.scene.stage;
        let told = report.map(Value::to_string).unwrap_or_default();
        // A role of the very second in which the entry before was recorded contradicts the record: a person is asked.
        let is_asked = ["\"held\"", "recordContradictsDates"].iter().any(|word| told.contains(word));
        let role = self.role();
        let is_strangers = role.as_ref().is_some_and(|role| role.trust.contains(STRANGER));
        // The stranger hit the creation itself, and the only read after it was late: a person is asked.
        if self.holds_strangers && is_strangers && stage.admits(ROLE) && !told.contains("recordContradictsDates") {
            return Some("a stranger is let in");
        }
        let entry = stage.entry(&self.scene.role);
        let is_whole = entry.is_some_and(|entry| owned(&entry) == owned(&self.scene.before));
        let rows = stage.cloud.rows(LEDGER);
        let policies = self.scene.before.policies.len();
        let is_kept = rows.iter().any(|row| {
            row["state"] != "recorded" && row["snapshot"]["accessPolicies"].as_array().map_or(0, Vec::len) == policies
        });
        // What is archived was told to a person once, and waits for one.
        let is_archived = rows.iter().any(|row| row["state"] == "archived");
        let may_stay_out = is_asked || (self.holds_strangers && is_strangers);
        match (is_whole, is_kept, role) {
            (false, false, _) => Some("neither entry nor ledger has everything"),
            (false, true, Some(_)) if !is_asked && !is_archived => Some("the entry is missing, and nobody is asked"),
            (true, _, Some(_)) if !may_stay_out && !stage.admits(ROLE) => {
                Some("the entry is stale, and nobody is asked")
            }
            _ => None,
        }
    }
}

async fn every_pair(case: Case) {
    let calls = case.deviates(&[]).await.calls;
    let (mut pairs, mut number) = (0, 0);
    let mut wrong = Vec::new();
    for first in calls {
        for one in Deviation::ALL {
            let after = case.deviates(&[(first, one)]).await;
            if let Some(what) = after.wrong(after.comes_to_rest().await.as_ref()) {
                wrong.push(format!("{what}: {one:?} at call {first}"));
            }
            if after.is_stopped {
                continue;
            }
            for &second in after.calls.iter().filter(|second| **second >= first) {
                for other in Deviation::ALL {
                    number += 1;
                    if !is_everything_asked() && number % SAMPLE != 0 {
                        continue;
                    }
                    pairs += 1;
                    let deviated = case.deviates(&[(first, one), (second, other)]).await;
                    let report = deviated.comes_to_rest().await;
                    if let Some(what) = deviated.wrong(report.as_ref()) {
                        wrong.push(format!("{what}: {one:?} at call {first}, {other:?} at call {second}"));
                    }
                }
            }
        }
    }
    println!("{pairs} of {number} pairs of deviations, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(40)]);
}

#[tokio::test(start_paused = true)]
async fn one_or_two_deviations_of_a_nodes_repair_let_no_stranger_in_and_lose_nothing() {
    every_pair(NODE).await;
}

#[tokio::test(start_paused = true)]
async fn one_or_two_deviations_of_a_repair_with_policies_lose_nothing() {
    every_pair(WITH_POLICIES).await;
}
