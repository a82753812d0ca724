//! The world stops at the n-th call, before or after it takes effect, for every n of every job: whoever comes next
//! finishes the work, nothing is lost and nothing is granted to anybody else. What a cut run and its second end with is
//! compared with what the same two end with where nothing was cut.
//!
//! A call that only reads is cut before its reply arrives, which is all there is to cut; one that changes something is
//! cut before it takes effect, and again after it took effect but before its reply. Every cut is followed by another
//! recreation of the role and by one of the other seconds, turn about; with `EVERY=1` (`make crash-sweep`) by each of them.

#![expect(clippy::print_stdout, reason = "the closing line tells how many cuts there were")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cloud::{Door, EntrySpec, Habits, Phase};
use crate::jobs::{Ending, Job, ROLE, Scene, is_everything_asked, node};
use crate::stage::{LEDGER, Stage, everything};

/// What woke the function up the second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Second {
    /// The same event or command again.
    Same,
    /// The sweep.
    Sweep,
    /// A sweep that had looked at everything before the same event came once more and finished the work, and that acts
    /// on what it saw only then.
    SweepThatLookedBefore,
    /// The same event finishes the work, and a sweep follows at once, whose reads of entries and roles are half a
    /// minute behind.
    SweepWithLateReads,
    /// The role is deleted (where there is one) and created once more, and the event of it arrives.
    AnotherRecreation,
}

impl Second {
    const ALL: [Self; 5] =
        [Self::Same, Self::Sweep, Self::SweepThatLookedBefore, Self::SweepWithLateReads, Self::AnotherRecreation];

    async fn happens(self, scene: &mut Scene) {
        let stage = scene.stage.clone();
        match self {
            Self::Same => drop(scene.begin().await),
            Self::Sweep => drop(stage.sweep().await),
            Self::SweepThatLookedBefore => sweep_that_looked_before(scene).await,
            Self::SweepWithLateReads => {
                let _ = scene.begin().await;
                stage.cloud.habits(|habits| {
                    habits.created_entry_hidden_for = Duration::from_secs(30);
                    habits.deleted_entry_visible_for = Duration::from_secs(30);
                    habits.iam_lags_by = Duration::from_secs(30);
                });
                stage.sweep().await;
                stage.cloud.habits(|habits| *habits = Habits::default());
                // A record is a memory, not a truth: one that a late list makes the sweep forget is soon made again.
                stage.settle().await;
                stage.sweep().await;
            }
            Self::AnotherRecreation => {
                stage.cloud.with(|world| drop(world.roles.contains_key(ROLE).then(|| world.delete_role(ROLE))));
                scene.role = stage.cloud.add_role(ROLE);
                stage.settle().await;
                let _ = stage.deliver(stage.created(&scene.role)).await;
            }
        }
    }
}

/// A sweep gets through its survey, and is held up until the same event has finished the work.
async fn sweep_that_looked_before(scene: &Scene) {
    const SURVEY: [&str; 8] = [
        "ListRegions",
        "ListClusters",
        "ListRoles",
        "Scan",
        "ListAccessEntries",
        "DescribeAccessEntry",
        "DescribeCluster",
        "ListAssociatedAccessPolicies",
    ];
    let (has_looked, looked) = watch::channel(false);
    let (may_act, act) = watch::channel(false);
    let has_looked = Arc::new(has_looked);
    let door: Door = Arc::new(move |operation| {
        let is_survey = SURVEY.contains(&operation);
        let (has_looked, mut act) = (Arc::clone(&has_looked), act.clone());
        Box::pin(async move {
            if !is_survey {
                has_looked.send_replace(true);
                let _ = act.wait_for(|may| *may).await;
            }
        })
    });
    let late = scene.stage.through(door);
    let event = async {
        let mut looked = looked;
        let _ = looked.wait_for(|has| *has).await;
        let _ = scene.begin().await;
        may_act.send_replace(true);
    };
    tokio::join!(Box::pin(late.sweep()), Box::pin(event));
}

/// A job that is to be cut, and what comes after it.
#[derive(Debug, Clone, Copy)]
struct Case {
    job: Job,
    spec: fn() -> EntrySpec,
    second: Second,
}

/// How a world ended, and how often it was told that an entry was repaired.
#[derive(Debug, PartialEq)]
struct Told {
    ending: Ending,
    repaired: f64,
}

impl Case {
    /// Begins, and comes to the end, or to the n-th call where it is to be cut. Tells whether the ledger or the entry
    /// was touched by then.
    async fn begun(self, cut: Option<(usize, Phase)>) -> (Scene, bool) {
        let scene = self.job.due((self.spec)()).await;
        let untouched = scene.ending();
        if let Some((n, phase)) = cut {
            scene.stage.cloud.stop_at(n, phase);
        }
        tokio::select! {
            _ = scene.begin() => assert_eq!(cut, None, "{self:?} has fewer calls"),
            () = scene.stage.cloud.stopped() => {}
        }
        scene.stage.cloud.lift_faults();
        scene.stage.cloud.restart();
        let is_touched = scene.ending() != untouched;
        (scene, is_touched)
    }

    /// What comes after it, and how that ends. Where a role came that nobody permitted, a person gives it the entry.
    async fn ended(self, mut scene: Scene, at: &str) -> (Scene, Told) {
        // The lease of the invocation that was cut has to end first.
        tokio::time::sleep(Duration::from_mins(3)).await;
        self.second.happens(&mut scene).await;
        if self.second == Second::AnotherRecreation && self.job != Job::Repair {
            assert!(!scene.stage.admits(ROLE), "{at}: a role that nobody permitted is let in");
            let answer = scene.release().await;
            assert!(scene.stage.admits(ROLE), "{at}: not even a person can give it back: {answer:?}");
        }
        let repaired = scene.stage.cloud.metric_sum("AccessEntriesRepaired", &[]).unwrap_or_default();
        let told = Told { ending: scene.ending(), repaired };
        (scene, told)
    }

    /// Whether this cut's turn has come.
    fn is_due(self, n: usize, phase: Phase) -> bool {
        let turn = n + usize::from(phase == Phase::After);
        let others = Second::ALL.len() - 1;
        is_everything_asked()
            || Second::ALL.iter().position(|it| *it == self.second).is_none_or(|at| at == others || at == turn % others)
    }

    async fn cut_everywhere(self) -> usize {
        let (uncut, _) = self.begun(None).await;
        let calls: Vec<String> = uncut.stage.cloud.calls().into_iter().map(|call| call.operation).collect();
        let (_, uncut) = self.ended(uncut, &format!("{self:?}, not cut")).await;
        let never_begun = self.job.due((self.spec)()).await;
        let (_, never_begun) = self.ended(never_begun, &format!("{self:?}, never begun")).await;
        let mut cuts = 0;
        for (n, operation) in (1..).zip(&calls) {
            let reads = ["List", "Describe", "Get", "Query", "Scan"].iter().any(|verb| operation.starts_with(verb));
            let phases: &[Phase] = if reads { &[Phase::Before] } else { &[Phase::Before, Phase::After] };
            for &phase in phases.iter().filter(|phase| self.is_due(n, **phase)) {
                let (scene, is_touched) = self.begun(Some((n, phase))).await;
                cuts += 1;
                let at = format!("{:?} cut at call {n}, {phase:?} {operation}, then {:?}", self.job, self.second);
                let (scene, told) = self.ended(scene, &at).await;
                // What only a person begins, only a person begins again; what was begun is finished by anybody.
                let is_as_it_should = told.ending == uncut.ending || (!is_touched && told.ending == never_begun.ending);
                assert!(is_as_it_should, "{at}: {:#?}\nand not {:#?}", told.ending, uncut.ending);
                // One that was cut after the work was done may not have told of it.
                let most = uncut.repaired.max(never_begun.repaired);
                let is_plausible = told.repaired <= most && told.repaired >= uncut.repaired - 1.0;
                assert!(
                    is_plausible,
                    "{at}: {} repairs were told, {} where it was not cut",
                    told.repaired, uncut.repaired
                );
                // Once more changes nothing, or does what only a person begins.
                let _ = scene.begin().await;
                assert_eq!(scene.ending(), uncut.ending, "{at}, and then once more");
            }
        }
        cuts
    }
}

/// Cuts a job everywhere, on a node's entry and on one with everything, whatever comes second.
async fn cut_everywhere(job: Job) {
    let mut cuts: BTreeMap<Second, [usize; 2]> = BTreeMap::new();
    for second in Second::ALL {
        for (kind, spec) in [node as fn() -> EntrySpec, everything].into_iter().enumerate() {
            let so_many = Case { job, spec, second }.cut_everywhere().await;
            assert!(so_many >= if is_everything_asked() { 20 } else { 3 }, "only {so_many} cuts");
            cuts.entry(second).or_default()[kind] = so_many;
        }
    }
    let all: usize = cuts.values().flatten().sum();
    let by_second: Vec<_> = cuts.iter().map(|(second, [node, full])| format!("{second:?} {node} + {full}")).collect();
    println!("{job:?}: {all} cuts (node + full entry): {}", by_second.join(", "));
}

#[tokio::test(start_paused = true)]
async fn a_repair_cut_anywhere_is_finished_by_whoever_comes_next() {
    cut_everywhere(Job::Repair).await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_cut_anywhere_is_finished_by_whoever_comes_next() {
    cut_everywhere(Job::Removal).await;
}

#[tokio::test(start_paused = true)]
async fn a_restoration_cut_anywhere_is_finished_by_whoever_comes_next() {
    cut_everywhere(Job::Restoration).await;
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_was_cut_keeps_its_lease_for_a_while() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.when("DeleteAccessEntry").hang_after();
    let event = stage.created(&role);
    let _ = tokio::time::timeout(Duration::from_secs(5), stage.deliver(event.clone())).await;
    stage.cloud.lift_faults();

    let error = stage.deliver(event).await.unwrap_err();

    assert!(error.to_string().contains("leaseTaken"), "{error}");
    assert!(!stage.admits("node"));
    tokio::time::sleep(Duration::from_mins(3)).await;
    stage.sweep().await;
    assert!(stage.admits("node"));
    assert_eq!(stage.cloud.rows(LEDGER).len(), 1);
}
