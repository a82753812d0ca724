//! The fault matrix: every call of every job × every way it can go wrong × once, for ten seconds, for good. Each cell ends
//! in a stated outcome, and when the fault is over the next invocation makes the world whole. `make fault-matrix` prints
//! all of it; without `EVERY=1` each call meets each fault in one of the three durations, turn about. Every single read of
//! every job is once answered by a replica that is one change behind.
//!
//! Which calls there are is taken from a run without faults, so none can be forgotten. `rules` says what each cell has to
//! be, `table` prints it.

mod rules;
mod table;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::cloud::{Action, Call, Phase};
use crate::jobs::{Ending, Job, Scene, is_everything_asked};
use crate::stage::{Stage, viewer};

/// The reads whose answers may be stale.
const READS_FROM_REPLICAS: [&str; 7] = [
    "DescribeAccessEntry",
    "DescribeCluster",
    "GetRole",
    "ListAccessEntries",
    "ListAssociatedAccessPolicies",
    "ListClusters",
    "ListRoles",
];

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Too many requests; no effect.
    Throttled,
    /// Internal server error; no effect.
    Fails,
    /// Access denied; no effect.
    Denied,
    /// Never answered; no effect.
    Hangs,
    /// It takes effect, and the connection breaks.
    ReplyLost,
    /// It takes effect, and is answered 200 with nonsense.
    Malformed,
    /// The connection breaks before it has an effect.
    Closed,
    /// A read shows what was before the last change of its object.
    Stale,
}

impl Fault {
    const ALL: [Self; 8] = [
        Self::Throttled,
        Self::Fails,
        Self::Denied,
        Self::Hangs,
        Self::ReplyLost,
        Self::Malformed,
        Self::Closed,
        Self::Stale,
    ];

    /// For how long a call can go wrong like this. A later read comes from another replica, and what the ledger shows is
    /// consistent.
    fn durations(self, operation: &str) -> &'static [Lasting] {
        match self {
            Self::Stale if READS_FROM_REPLICAS.contains(&operation) => &[Lasting::Once],
            Self::Stale => &[],
            _ => &Lasting::ALL,
        }
    }

    fn action(self) -> (Phase, Action) {
        match self {
            Self::Throttled => (Phase::Before, Action::Throttle),
            Self::Fails => (Phase::Before, Action::ServerError),
            Self::Denied => (Phase::Before, Action::Deny),
            Self::Hangs => (Phase::Before, Action::Hang),
            Self::ReplyLost => (Phase::Before, Action::LoseReply),
            Self::Malformed => (Phase::After, Action::Malformed),
            Self::Closed => (Phase::Before, Action::Close),
            Self::Stale => (Phase::Before, Action::Stale),
        }
    }
}

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    /// This one call.
    Once,
    /// Every call of the operation within ten seconds from then.
    TenSeconds,
    /// Every call of the operation from then on.
    ForGood,
}

impl Lasting {
    const ALL: [Self; 3] = [Self::Once, Self::TenSeconds, Self::ForGood];
}

/// Where in a job a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Before anything is written down.
    Look,
    /// The row is open, the old entry stands.
    Rehearse,
    /// The deletion is noted.
    Delete,
    /// The entry is gone.
    Create,
    /// It is created.
    Complete,
    /// It is recorded, or archived and deleted.
    Report,
}

/// A call of a job, told from the others by its step, its operation, and where it changes something by its turn.
#[derive(Debug, Clone)]
struct Position {
    step: Step,
    operation: String,
    /// Which one of this step's.
    turn: usize,
    /// Which one of all calls of the operation.
    nth: usize,
}

/// One cell.
#[derive(Debug, Clone)]
struct Cell {
    fault: Fault,
    lasting: Lasting,
    /// What the invocation told, in the words of the table.
    told: String,
    /// Whether the job was done all the same.
    is_done: bool,
    /// Whether the entry stood untouched afterwards.
    is_untouched: bool,
}

/// The positions of a job's calls that have a row, from a run without faults.
async fn positions(job: Job) -> Vec<Position> {
    let mut positions = every_position(job).await;
    let operations = |of: &[Position]| of.iter().map(|it| it.operation.clone()).collect::<BTreeSet<_>>();
    let made = operations(&positions);
    // A read that is only one of several of its step has the same answer and the same meaning; whatever decides or
    // changes something has its own row each time.
    let decides =
        |operation: &str| !["List", "Describe", "Query", "Scan"].iter().any(|verb| operation.starts_with(verb));
    positions.retain(|position| position.turn == 1 || decides(&position.operation));
    assert_eq!(operations(&positions), made, "every operation has a row");
    positions
}

/// The positions of all of a job's calls.
async fn every_position(job: Job) -> Vec<Position> {
    let scene = job.due(viewer()).await;
    scene.begin().await.expect("nothing goes wrong");
    let mut step = Step::Look;
    let mut positions: Vec<Position> = Vec::new();
    let calls = scene.stage.cloud.calls();
    for (n, call) in calls.iter().enumerate() {
        let nth = calls[..=n].iter().filter(|other| other.operation == call.operation).count();
        let turn = 1 + positions.iter().filter(|p| p.step == step && p.operation == call.operation).count();
        positions.push(Position { step, operation: call.operation.clone(), turn, nth });
        step = after(job, step, call);
    }
    positions
}

fn after(job: Job, step: Step, call: &Call) -> Step {
    let item = &call.parameters["Item"];
    let has = |name: &str| item.get(name).is_some();
    match (call.operation.as_str(), item["state"]["S"].as_str()) {
        ("PutItem", Some("repairing")) if has("createdEntryArn") => Step::Complete,
        ("PutItem", Some("repairing")) if has("creationSentAt") || has("isRestore") => Step::Create,
        ("PutItem", Some("repairing")) if has("deletionSentAt") => Step::Delete,
        ("PutItem", Some("repairing")) => Step::Rehearse,
        ("PutItem", Some("archived")) => Step::Delete,
        ("PutItem", Some("recorded")) => Step::Report,
        ("DeleteAccessEntry", _) if job == Job::Removal => Step::Report,
        ("DeleteAccessEntry", _) => Step::Create,
        ("CreateAccessEntry", _) if step == Step::Create => Step::Complete,
        _ => step,
    }
}

/// Lets the fault meet the position, and whatever follows of its operation while the fault lasts.
fn inflict(stage: &Stage, position: &Position, fault: Fault, lasting: Lasting) {
    let (operation, nth) = (position.operation.clone(), position.nth);
    let (phase, action) = fault.action();
    let (mut seen, mut since) = (0, None);
    stage.cloud.intercept(move |call, now, _| {
        if now != phase || call.operation != operation {
            return Action::Proceed;
        }
        seen += 1;
        if seen == nth {
            since = Some(call.at);
        }
        let is_hit = match (lasting, since) {
            (_, None) => false,
            (Lasting::Once, Some(_)) => seen == nth,
            (Lasting::TenSeconds, Some(since)) => call.at - since < Duration::from_secs(10),
            (Lasting::ForGood, Some(_)) => true,
        };
        if is_hit { action.clone() } else { Action::Proceed }
    });
}

/// What the invocation told: its report, as it is in the log, or the error that it ended with before there was one.
fn told(stage: &Stage, answer: &Result<Value, access_entry_guard::error::Error>) -> String {
    let lines = stage.log_lines();
    let from = lines.iter().rposition(|line| line["kind"] == "report");
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let mut words = Vec::new();
    for line in from.map_or(&[][..], |from| &lines[from..]) {
        match line["kind"].as_str() {
            Some("entry") => {
                words.push(format!("{} {}", text(line, "outcome"), text(line, "reason")).trim().to_owned());
            }
            Some("blindSpot") => words.push(format!("blind {}", text(line, "reason"))),
            _ => {}
        }
    }
    words.dedup();
    match answer {
        Ok(_) => words.join(" + "),
        Err(error) if words.is_empty() => format!("error {}", error.name()),
        Err(_) => format!("{} !", words.join(" + ")),
    }
}

async fn cell(job: Job, done: &Ending, position: &Position, fault: Fault, lasting: Lasting) -> Cell {
    let scene = job.due(viewer()).await;
    let at = format!("{job:?}, {position:?}, {fault:?} {lasting:?}");
    let lines_before = scene.stage.log_lines().len();
    inflict(&scene.stage, position, fault, lasting);
    let answer = scene.begin().await;
    let told = if scene.stage.log_lines().len() > lines_before {
        told(&scene.stage, &answer)
    } else {
        answer.as_ref().err().map_or_else(String::new, |error| format!("error {}", error.name()))
    };
    // Only a stale answer can hide that there is anything to do.
    let is_hidden = fault == Fault::Stale && answer.is_ok() && told.is_empty();
    let told = if is_hidden { "nothing".to_owned() } else { told };
    let is_done = scene.ending() == *done;
    let entry = scene.stage.entry(&scene.role);
    let is_untouched = entry.as_ref() == Some(&scene.before);
    assert!(!told.is_empty(), "{at}: nothing was told: {answer:#?}");
    if !is_untouched && job != Job::Restoration {
        assert_nothing_lost(&scene, &at);
    }
    scene.stage.cloud.lift_faults();
    recover(job, &scene, lasting).await;
    assert_eq!(
        comparable(scene.ending(), fault),
        comparable(done.clone(), fault),
        "{at}: told {told}, and then not whole"
    );
    Cell { fault, lasting, told, is_done, is_untouched }
}

/// A role's deletion that a stale answer hides lets its entry be recorded once more: the archive then has the role's ID.
fn comparable(mut ending: Ending, fault: Fault) -> Ending {
    let archived = ending.rows.iter_mut().filter(|row| fault == Fault::Stale && row["state"] == "archived");
    archived.filter_map(Value::as_object_mut).for_each(|row| drop(row.remove("roleId")));
    ending
}

/// Where the owner's entry no longer stands, the ledger has all of it until it is back, or archived.
fn assert_nothing_lost(scene: &Scene, at: &str) {
    let row = scene.stage.row(&scene.role).unwrap_or_else(|| panic!("{at}: the entry is gone, and so is its row"));
    let snapshot = &row["snapshot"];
    assert_eq!(snapshot["username"], scene.before.username, "{at}");
    assert_eq!(snapshot["accessPolicies"].as_array().map(Vec::len), Some(scene.before.policies.len()), "{at}");
}

/// The fault is over, the lease runs out, and the same event comes again, or a sweep where that does.
async fn recover(job: Job, scene: &Scene, lasting: Lasting) {
    tokio::time::sleep(Duration::from_mins(3)).await;
    if lasting == Lasting::TenSeconds && job != Job::Restoration {
        let _ = scene.stage.sweep().await;
    } else {
        let _ = scene.begin().await;
    }
}

/// All cells of a job's positions; those of `steps` only.
async fn matrix(job: Job, steps: &[Step]) -> Vec<(Position, Vec<Cell>)> {
    let is_all = is_everything_asked();
    let unhurt = job.due(viewer()).await;
    unhurt.begin().await.expect("nothing goes wrong");
    let done = unhurt.ending();
    let mut rows = Vec::new();
    for (at, position) in positions(job).await.into_iter().filter(|p| steps.contains(&p.step)).enumerate() {
        let mut cells = Vec::new();
        for (column, fault) in Fault::ALL.into_iter().enumerate() {
            let durations = fault.durations(&position.operation);
            for (turn, lasting) in durations.iter().enumerate() {
                if is_all || (at + column) % durations.len() == turn {
                    cells.push(cell(job, &done, &position, fault, *lasting).await);
                }
            }
        }
        rows.push((position, cells));
    }
    let cells_of = |position: &Position| -> usize {
        let durations = Fault::ALL.iter().map(|fault| fault.durations(&position.operation).len());
        durations.map(|count| if is_all { count } else { count.min(1) }).sum()
    };
    assert!(rows.iter().all(|(position, cells)| cells.len() == cells_of(position)));
    table::print(job, &rows);
    for (position, cells) in &rows {
        for cell in cells {
            rules::check(job, position, cell);
        }
    }
    rows
}

const EVERY_STEP: [Step; 6] = [Step::Look, Step::Rehearse, Step::Delete, Step::Create, Step::Complete, Step::Report];

#[tokio::test(start_paused = true)]
async fn whatever_fails_in_a_repair_is_told_and_mended() {
    let rows = matrix(Job::Repair, &EVERY_STEP).await;
    assert!(rows.len() >= 30, "only {} calls", rows.len());
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_in_a_removal_is_told_and_mended() {
    let rows = matrix(Job::Removal, &EVERY_STEP).await;
    assert!(rows.len() >= 14, "only {} calls", rows.len());
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_in_a_restoration_is_told_and_mended() {
    let rows = matrix(Job::Restoration, &EVERY_STEP).await;
    assert!(rows.len() >= 18, "only {} calls", rows.len());
}

/// What it does after its survey is what a repair does.
#[tokio::test(start_paused = true)]
async fn whatever_fails_in_the_survey_of_a_sweep_is_told_and_mended() {
    let rows = matrix(Job::Sweep, &[Step::Look, Step::Report]).await;
    assert!(rows.len() >= 12, "only {} calls", rows.len());
}

/// A read that is one change behind may hide that there is anything to do; it never loses an entry, and the next
/// invocation makes the world whole.
#[tokio::test(start_paused = true)]
async fn whatever_single_read_of_a_job_is_stale_nothing_is_lost() {
    let mut reads = 0;
    for job in [Job::Repair, Job::Approval, Job::Sweep, Job::Removal, Job::Restoration] {
        let unhurt = job.due(viewer()).await;
        unhurt.begin().await.expect("nothing goes wrong");
        let done = unhurt.ending();
        for position in
            every_position(job).await.into_iter().filter(|it| !Fault::Stale.durations(&it.operation).is_empty())
        {
            let cell = cell(job, &done, &position, Fault::Stale, Lasting::Once).await;
            rules::check(job, &position, &cell);
            reads += 1;
        }
    }
    assert!(reads >= 50, "only {reads} reads");
}
