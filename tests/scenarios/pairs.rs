//! Two invocations at once, interleaved at every call: one owner, one result. The second starts when the first is about to
//! make its n-th call, and goes as far as it can before the first goes on, for every n; and the two take turns call by
//! call.

#![expect(clippy::print_stdout, reason = "the closing line tells how many interleavings there were")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access_entry_guard::error::Error;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::cloud::Door;
use crate::jobs::{Ending, Job, ROLE, Scene};
use crate::stage::{LEDGER, Stage, command_for, viewer};

/// For how long the first is held up at most: less than the SDK waits for an answer. A second that needs longer is
/// waiting for something, such as a role's age.
const HELD_UP: Duration = Duration::from_secs(8);

/// For how long one waits for the other's turn; one that makes no call meanwhile is waiting for something.
const A_TURN: Duration = Duration::from_millis(200);

/// Who comes second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    /// The same event or command, delivered twice.
    Same,
    Sweep,
    Approve,
    Restore,
    /// The role is created (again), and the event of it arrives.
    RoleComesBack,
}

impl Other {
    async fn comes(self, scene: &Scene, stage: &Stage) -> Result<Value, Error> {
        match self {
            Self::Same => scene.begin_on(stage).await,
            Self::Sweep => stage.deliver(json!({"command": "sweep"})).await,
            Self::Approve => stage.invoke_as("approve", command_for("approve", &scene.role)).await,
            Self::Restore => stage.invoke_as("approve", command_for("restore", &scene.role)).await,
            Self::RoleComesBack => {
                let role = stage.cloud.add_role(ROLE);
                stage.deliver(stage.created(&role)).await
            }
        }
    }
}

/// Two at once.
#[derive(Debug, Clone, Copy)]
struct Pair {
    first: Job,
    other: Other,
}

impl Pair {
    async fn due(self) -> Scene {
        // A role that comes back during a removal is permitted, so that both have something to do.
        let hold = if self.first == Job::Approval { "all" } else { "none" };
        self.first.due_on(Stage::set().with("HOLD", hold), viewer()).await
    }

    /// The second starts when the first is about to make its n-th call.
    async fn held_up_at(self, n: usize) -> Scene {
        let scene = self.due().await;
        let (reach, mut reached) = watch::channel(false);
        let (go, may_go) = watch::channel(false);
        let (reach, count) = (Arc::new(reach), Arc::new(AtomicUsize::new(0)));
        let door: Door = Arc::new(move |_| {
            let is_held = count.fetch_add(1, Ordering::SeqCst) + 1 >= n;
            let (reach, mut may_go) = (Arc::clone(&reach), may_go.clone());
            Box::pin(async move {
                if is_held {
                    reach.send_replace(true);
                    let _ = may_go.wait_for(|may| *may).await;
                }
            })
        });
        let held = scene.stage.through(door);
        let first = scene.begin_on(&held);
        let second = async {
            reached.wait_for(|reached| *reached).await.expect("the first has so many calls");
            let second = self.other.comes(&scene, &scene.stage);
            tokio::pin!(second);
            let in_time = tokio::time::timeout(HELD_UP, &mut second).await;
            go.send_replace(true);
            match in_time {
                Ok(answer) => answer,
                Err(_) => second.await,
            }
        };
        let answers = tokio::join!(Box::pin(first), Box::pin(second));
        self.check_answers(answers, n);
        scene
    }

    /// The two take turns call by call; `who` begins.
    async fn in_turns(self, who: usize) -> Scene {
        let scene = self.due().await;
        let (turn, passed) = (Arc::new(Mutex::new(who)), Arc::new(Notify::new()));
        let door_of = |me: usize| -> Door {
            let (turn, passed) = (Arc::clone(&turn), Arc::clone(&passed));
            Arc::new(move |_| {
                let (turn, passed) = (Arc::clone(&turn), Arc::clone(&passed));
                Box::pin(async move {
                    let mine = async {
                        loop {
                            let next = passed.notified();
                            if *turn.lock().unwrap() == me {
                                break;
                            }
                            next.await;
                        }
                    };
                    let _ = tokio::time::timeout(A_TURN, mine).await;
                    *turn.lock().unwrap() = 1 - me;
                    passed.notify_waiters();
                })
            })
        };
        let (one, two) = (scene.stage.through(door_of(0)), scene.stage.through(door_of(1)));
        let answers = tokio::join!(Box::pin(scene.begin_on(&one)), Box::pin(self.other.comes(&scene, &two)));
        self.check_answers(answers, 0);
        scene
    }

    /// Whoever does not do the work says so, and why: the other has it.
    fn check_answers(self, (first, second): (Result<Value, Error>, Result<Value, Error>), n: usize) {
        for answer in [first, second] {
            if let Err(error) = answer {
                assert!(error.to_string().contains("leaseTaken"), "{self:?} at {n}: {error}");
            }
        }
    }

    /// What must hold when both have ended, and after a later sweep.
    async fn check(self, scene: &Scene, alone: &Ending, at: &str) {
        let succeeded = |operation: &str| {
            let calls = scene.stage.cloud.calls_of(operation);
            calls.iter().filter(|call| call.status == Some(200)).count()
        };
        let (deleted, created) = (succeeded("DeleteAccessEntry"), succeeded("CreateAccessEntry"));
        let told = scene.stage.cloud.metric_sum("AccessEntriesRepaired", &[]);
        if self.other == Other::RoleComesBack {
            assert!(deleted <= 1 && created <= 1, "{at}: {deleted} deletions, {created} creations");
            if !scene.stage.admits(ROLE) {
                assert_eq!(scene.stage.row(&scene.role).unwrap()["state"], "archived", "{at}: neither there nor kept");
                scene.release().await.unwrap();
            }
            assert!(scene.is_whole(), "{at}: {:#?}", scene.ending());
        } else {
            let due = match self.first {
                Job::Repair | Job::Approval | Job::Sweep => (1, 1),
                Job::Removal => (1, 0),
                Job::Restoration => (0, 1),
            };
            assert_eq!((deleted, created), due, "{at}: deletions and creations");
            assert_eq!(told, Some(f64::from(u8::from(due.1 == 1))), "{at}: repairs that were told");
            assert_eq!(scene.ending(), *alone, "{at}");
        }
        assert_eq!(scene.stage.cloud.rows(LEDGER).len(), 1, "{at}: one row");
        let ending = scene.ending();
        tokio::time::sleep(Duration::from_mins(3)).await;
        scene.stage.sweep().await;
        assert_eq!(scene.ending(), ending, "{at}: a sweep finds nothing to do");
    }

    async fn interleaved_everywhere(self) {
        let scene = self.due().await;
        scene.begin().await.expect("alone, it succeeds");
        let (alone, calls) = (scene.ending(), scene.stage.cloud.calls().len());
        for n in 1..=calls {
            let scene = self.held_up_at(n).await;
            self.check(&scene, &alone, &format!("{self:?}, the first held up at call {n}")).await;
        }
        for who in [0, 1] {
            let scene = self.in_turns(who).await;
            self.check(&scene, &alone, &format!("{self:?}, in turns, {who} first")).await;
        }
        println!("{self:?}: {} interleavings", calls + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_arrives_twice_makes_one_repair() {
    Pair { first: Job::Repair, other: Other::Same }.interleaved_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_and_a_sweep_make_one_repair() {
    Pair { first: Job::Repair, other: Other::Sweep }.interleaved_everywhere().await;
    Pair { first: Job::Sweep, other: Other::Same }.interleaved_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_and_an_approval_make_one_repair() {
    Pair { first: Job::Repair, other: Other::Approve }.interleaved_everywhere().await;
    Pair { first: Job::Approval, other: Other::Restore }.interleaved_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn two_people_who_ask_for_the_same_entry_get_it_once() {
    Pair { first: Job::Restoration, other: Other::Same }.interleaved_everywhere().await;
    Pair { first: Job::Restoration, other: Other::Approve }.interleaved_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_removed_once_whoever_else_comes() {
    Pair { first: Job::Removal, other: Other::Same }.interleaved_everywhere().await;
    Pair { first: Job::Removal, other: Other::Sweep }.interleaved_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn a_role_that_comes_back_during_a_removal_has_its_entry_or_finds_it_kept() {
    Pair { first: Job::Removal, other: Other::RoleComesBack }.interleaved_everywhere().await;
}
