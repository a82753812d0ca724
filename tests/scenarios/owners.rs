//! Another party acts on the entry or the role between any two calls of a job: its will stands, and no role that nobody
//! permitted is let in.
//!
//! Three gaps are EKS's own, and nothing but these is excepted here. `DeleteAccessEntry` has no precondition, so what is
//! changed or created between the last look at the entry and the deletion goes with it. `AssociateAccessPolicy` sets the
//! scope whatever it was, so a scope that is changed between the look and it is set back. And from our deletion or
//! creation on, nobody can tell an owner's deletion from a read that is late.

#![expect(clippy::print_stdout, reason = "the closing line tells how many moments there were")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cloud::{Action, Call, Caller, Entry, EntrySpec, Phase, Policy, World, trust};
use crate::impact::READS_OF_IMPACT;
use crate::jobs::{Job, ROLE, ROLE_ARN, Scene, node, owned};
use crate::stage::{CLUSTER, REGION, Stage, viewer};

/// What another party does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Takes the name of the role for one that he may assume himself.
    TakesTheRole,
    /// Deletes the entry.
    DeletesIt,
    /// Deletes the entry, if there is one, and creates one of his own, with the role where that is missing.
    ReplacesIt,
    /// The same, with the policies that the entry had before.
    ReplacesItAlike,
    /// Gives the entry other groups.
    ChangesGroups,
    /// Associates one more policy.
    AddsAPolicy,
    /// Narrows the policy that the entry has to a namespace.
    NarrowsTheScope,
}

impl Act {
    const CHANGES: [Self; 3] = [Self::ChangesGroups, Self::AddsAPolicy, Self::NarrowsTheScope];

    /// Does it; tells whether there was anything to do it to.
    fn happens(self, world: &mut World) -> bool {
        let view = |policy: Policy| (REGION, CLUSTER, ROLE_ARN, policy);
        match self {
            Self::TakesTheRole => {
                world.take_role(ROLE, &trust::aws("arn:aws:iam::111122223333:user/mallory"));
                true
            }
            Self::DeletesIt => world.delete_entry(REGION, CLUSTER, ROLE_ARN).is_ok(),
            Self::ReplacesIt | Self::ReplacesItAlike => {
                let _ = world.delete_entry(REGION, CLUSTER, ROLE_ARN);
                if !world.roles.contains_key(ROLE) {
                    world.create_role("/", ROLE, &trust::ec2());
                }
                let spec = if self == Self::ReplacesIt { EntrySpec::standard() } else { viewer() };
                world.add_entry(REGION, CLUSTER, ROLE_ARN, &spec.groups(&["by-terraform"]));
                true
            }
            Self::ChangesGroups => {
                let groups = ["by-hand".to_owned()];
                world.update_entry(REGION, CLUSTER, ROLE_ARN, None, Some(&groups)).is_ok()
            }
            Self::AddsAPolicy => {
                let (region, cluster, arn, policy) = view(Policy::namespaces("AmazonEKSEditPolicy", &["by-hand"]));
                world.associate_policy(region, cluster, arn, &policy, Caller::Other).is_ok()
            }
            Self::NarrowsTheScope => {
                let (region, cluster, arn, policy) = view(Policy::namespaces("AmazonEKSViewPolicy", &["by-hand"]));
                world.associate_policy(region, cluster, arn, &policy, Caller::Other).is_ok()
            }
        }
    }

    /// The call that shows it.
    fn shows_in(self) -> &'static str {
        if self == Self::ChangesGroups { "DescribeAccessEntry" } else { "ListAssociatedAccessPolicies" }
    }

    /// Whether the owner's change is in what an entry, or the ledger, has.
    fn is_in(self, told: &str) -> bool {
        let others_gone = self != Self::NarrowsTheScope || !told.contains("\"cluster\"");
        told.contains("by-hand") && others_gone
    }
}

/// A job during which another party acted just before the n-th call.
struct Disturbed {
    scene: Scene,
    n: usize,
    /// The entry as the other party left it.
    left: Option<Entry>,
    at: String,
}

/// `None` where the job has fewer calls, or there was nothing to do it to.
async fn disturbed(job: Job, hold: &str, act: Act, n: usize) -> Result<Option<Disturbed>, ()> {
    // A node's entry is privileged: a stranger's role waits for a person, while the rightful one is repaired.
    let spec = if hold == "privileged" { node() } else { viewer() };
    let scene = job.due_on(Stage::set().with("HOLD", hold), spec).await;
    let left = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&left);
    scene.stage.cloud.intercept(move |call, phase, world| {
        if call.n == n && phase == Phase::Before {
            // Whoever acts before a read beside the work acts before the next call of the work.
            let acted = !READS_OF_IMPACT.contains(&call.operation.as_str()) && act.happens(world);
            *seen.lock().unwrap() = Some((acted, world.cluster(REGION, CLUSTER).entries.get(ROLE_ARN).cloned()));
        }
        Action::Proceed
    });
    let _ = scene.begin().await;
    scene.stage.cloud.lift_faults();
    let left = left.lock().unwrap().take();
    let (acted, left) = left.ok_or(())?;
    let at = format!("{act:?} before call {n} of {job:?}");
    Ok(acted.then_some(Disturbed { scene, n, left, at }))
}

impl Disturbed {
    fn entry(&self) -> Option<Entry> {
        self.scene.stage.entry(&self.scene.role)
    }

    /// The number of a call that succeeded: the first of its operation.
    fn first(&self, operation: &str) -> Option<usize> {
        let calls = self.scene.stage.cloud.calls_of(operation);
        calls.iter().find(|call| call.status == Some(200)).map(|call| call.n)
    }

    /// The numbers of all calls of an operation.
    fn all(&self, operation: &str) -> Vec<usize> {
        self.scene.stage.cloud.calls_of(operation).into_iter().map(|call| call.n).collect()
    }

    /// Whether they acted between the last call that could have shown it and this one. The look before a deletion is the
    /// turn directly before it, so that they acted with the deletion itself or with a call of that look.
    fn is_between_the_last(&self, look: &str, operation: &str) -> bool {
        let calls = self.scene.stage.cloud.calls();
        calls.iter().filter(|call| call.operation == operation && call.status == Some(200)).any(|change| {
            let is_look = |call: &&Call| call.n < change.n && call.operation == look;
            let Some(looked) = calls.iter().filter(is_look).max_by_key(|call| call.n) else { return false };
            let is_between = |call: &Call| call.at > looked.at && call.at < change.at;
            let is_direct = operation != "DeleteAccessEntry" || !calls.iter().any(is_between);
            assert!(is_direct, "{}: calls between the look and the deletion: {calls:#?}", self.at);
            looked.n < self.n && self.n <= change.n
        })
    }
}

/// Disturbs a job before every one of its calls; tells how often there was something to do.
async fn before_every_call<F>(job: Job, hold: &str, act: Act, check: impl Fn(Disturbed) -> F)
where
    F: Future<Output = ()>,
{
    let mut moments = 0;
    for n in 1.. {
        match disturbed(job, hold, act, n).await {
            Err(()) => break,
            Ok(None) => {}
            Ok(Some(disturbed)) => {
                moments += 1;
                check(disturbed).await;
            }
        }
    }
    assert!(moments >= 5, "{act:?} during {job:?}: only {moments} moments");
    println!("{act:?} during {job:?}: {moments} moments");
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_taken_between_any_two_calls_gets_nothing_and_the_owner_loses_nothing() {
    for (job, hold) in [(Job::Repair, "privileged"), (Job::Removal, "all"), (Job::Restoration, "all")] {
        before_every_call(job, hold, Act::TakesTheRole, |it| async move {
            let (stage, at) = (&it.scene.stage, &it.at);
            assert!(!stage.admits(ROLE), "{at}");
            stage.settle().await;
            tokio::time::sleep(Duration::from_mins(3)).await;
            let _ = stage.deliver(stage.created(&stage.cloud.role(ROLE))).await;
            stage.sweep().await;
            assert!(!stage.admits(ROLE), "{at}, after its event and a sweep");
            let answer = it.scene.release().await;
            assert!(it.scene.is_whole(), "{at}: a person cannot give it back: {answer:#?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_its_owner_replaces_during_a_removal_or_a_restoration_is_left_as_he_made_it() {
    for job in [Job::Removal, Job::Restoration] {
        before_every_call(job, "all", Act::ReplacesIt, |it| async move {
            if it.first("DeleteAccessEntry") == Some(it.n) {
                return;
            }
            let entry = it.entry().unwrap_or_else(|| panic!("{}: gone", it.at));
            assert_eq!(Some(&entry.arn), it.left.as_ref().map(|left| &left.arn), "{}", it.at);
            assert_eq!(
                (entry.groups.as_slice(), entry.policies.as_slice()),
                (&["by-terraform".to_owned()][..], &[][..]),
                "{}",
                it.at
            );
            it.scene.stage.settle().await;
            it.scene.stage.sweep().await;
            assert_eq!(it.entry(), Some(entry), "{}, after a sweep", it.at);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_its_owner_replaces_during_a_repair_is_left_as_they_made_it() {
    before_every_call(Job::Repair, "none", Act::ReplacesIt, |it| async move {
        if it.is_between_the_last("DescribeAccessEntry", "DeleteAccessEntry") {
            return;
        }
        let (entry, at) = (it.entry().unwrap_or_else(|| panic!("{}: gone", it.at)), &it.at);
        assert_eq!(entry.groups, ["by-terraform"], "{at}");
        // The list read directly before the rehearsal was of the entry before, and nothing tells whether the new one's
        // owner had given it the same policy. The report asks a person to look.
        if it.first("AssociateAccessPolicy") == Some(it.n) {
            let lines = it.scene.stage.log_lines();
            let is_told = lines.iter().any(|line| line["detail"].to_string().contains("AmazonEKSViewPolicy"));
            assert!(is_told, "{at}: {lines:#?}");
        } else {
            assert!(entry.policies.is_empty(), "{at}: given what its owner did not give");
        }
        assert!(it.scene.stage.admits(ROLE), "{at}");
    })
    .await;
}

/// EKS documents no date that would tell a new association from one that was there: the list read directly before does.
#[tokio::test(start_paused = true)]
async fn a_policy_that_another_party_gave_its_own_entry_is_not_taken_for_ours() {
    before_every_call(Job::Repair, "none", Act::ReplacesItAlike, |it| async move {
        if it.is_between_the_last("DescribeAccessEntry", "DeleteAccessEntry") {
            return;
        }
        let (entry, at) = (it.entry().unwrap_or_else(|| panic!("{}: gone", it.at)), &it.at);
        // Of our own creation the list did not have the policy: an owner who replaces it between that list and the next
        // look may have to give the policy again, which grants nobody anything.
        let (lists, looks) = (it.all("ListAssociatedAccessPolicies"), it.all("DescribeAccessEntry"));
        let list_before = |n| lists.iter().copied().filter(|list| *list < n).max().unwrap_or_default();
        let look_after = |n| looks.iter().copied().find(|look| *look > n).unwrap_or(n);
        let mut associated = it.all("AssociateAccessPolicy").into_iter().skip(1);
        let is_gap = associated.any(|n| (list_before(n) + 1..=look_after(n)).contains(&it.n));
        assert_eq!(entry.groups, ["by-terraform"], "{at}");
        assert!(is_gap || entry.policies.len() == 1, "{at}: {entry:#?}");
        assert!(it.scene.stage.admits(ROLE), "{at}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_its_owner_deletes_during_a_repair_stays_deleted_or_was_deleted_before() {
    before_every_call(Job::Repair, "none", Act::DeletesIt, |it| async move {
        // From our deletion on, nobody can tell theirs.
        if it.first("DeleteAccessEntry").is_none_or(|ours| it.n <= ours) {
            assert_eq!(it.entry(), None, "{}: revived", it.at);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_its_owner_deletes_during_a_removal_stays_deleted() {
    before_every_call(Job::Removal, "none", Act::DeletesIt, |it| async move {
        assert_eq!(it.entry(), None, "{}", it.at);
        it.scene.stage.cloud.add_role(ROLE);
        it.scene.stage.settle().await;
        it.scene.stage.sweep().await;
        assert_eq!(it.entry(), None, "{}: revived", it.at);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_its_owner_deletes_during_a_restoration_is_gone_or_whole() {
    before_every_call(Job::Restoration, "none", Act::DeletesIt, |it| async move {
        // By then it was created: nobody can tell his deletion from a late read.
        assert!(it.first("CreateAccessEntry").is_some_and(|created| created < it.n), "{}", it.at);
        assert!(it.entry().is_none() || it.scene.is_whole(), "{}: {:#?}", it.at, it.entry());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_changes_during_a_removal_is_in_the_archive_with_the_rest() {
    for act in Act::CHANGES {
        before_every_call(Job::Removal, "none", act, |it| async move {
            if it.is_between_the_last(act.shows_in(), "DeleteAccessEntry") {
                return;
            }
            let kept = it.scene.stage.row(&it.scene.role).map(|row| row["snapshot"].to_string());
            let has = it.entry().map(|entry| owned(&entry)).or(kept).unwrap_or_default();
            assert!(act.is_in(&has), "{}: {has}", it.at);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_changes_during_a_repair_or_a_restoration_stands() {
    for (job, act) in [Job::Repair, Job::Restoration].into_iter().flat_map(|job| Act::CHANGES.map(|act| (job, act))) {
        before_every_call(job, "none", act, |it| async move {
            let is_lost = it.is_between_the_last(act.shows_in(), "DeleteAccessEntry");
            let is_set_back =
                act == Act::NarrowsTheScope && it.is_between_the_last(act.shows_in(), "AssociateAccessPolicy");
            if is_lost || is_set_back {
                return;
            }
            let settled = |entry: Option<Entry>| entry.map(|entry| owned(&entry)).unwrap_or_default();
            assert!(act.is_in(&settled(it.entry())), "{}: {}", it.at, settled(it.entry()));
            tokio::time::sleep(Duration::from_mins(3)).await;
            it.scene.stage.sweep().await;
            assert!(act.is_in(&settled(it.entry())), "{}, after a sweep: {}", it.at, settled(it.entry()));
        })
        .await;
    }
}
