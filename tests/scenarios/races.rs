//! Another party acts between any two of our calls: its will stands, and no role that nobody permitted is let in.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cloud::{Action, Entry, EntrySpec, Phase, World, trust};
use crate::stage::{CLUSTER, REGION, Stage, command_for, outcome, viewer};

const ROLE: &str = "arn:aws:iam::111122223333:role/role";

/// Lets another party act just before the n-th call of the repair; `None` when it has fewer calls.
async fn interfere(n: usize, spec: EntrySpec, mut act: impl FnMut(&mut World) + Send + 'static) -> Option<Stage> {
    let stage = Stage::set().with("HOLD", "privileged");
    stage.role_with("role", spec).await;
    let role = stage.recreate("role").await;
    stage.cloud.clear_calls();
    let acted = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&acted);
    stage.cloud.intercept(move |call, phase, world| {
        if call.n == n && phase == Phase::Before {
            act(world);
            *flag.lock().unwrap() = true;
        }
        Action::Proceed
    });
    let _ = stage.deliver(stage.created(&role)).await;
    stage.cloud.lift_faults();
    let acted = *acted.lock().unwrap();
    acted.then_some(stage)
}

/// Whether the other party acted after the last read of the entry before its deletion. `DeleteAccessEntry` has no
/// precondition, so what is changed from then on goes with the entry.
fn is_after_the_last_look(stage: &Stage, at: &str) -> bool {
    let Some(deletion) = stage.cloud.calls_of("DeleteAccessEntry").first().map(|call| call.n) else { return false };
    let looks = stage.cloud.calls_of("DescribeAccessEntry");
    let look = looks.iter().map(|call| call.n).filter(|n| *n < deletion).max().unwrap_or(deletion);
    (look + 1..=deletion).any(|n| format!("before call {n}") == at)
}

async fn at_every_call<F>(spec: fn() -> EntrySpec, act: fn(&mut World), check: impl Fn(Stage, String) -> F)
where
    F: Future<Output = ()>,
{
    for n in 1.. {
        let Some(stage) = interfere(n, spec(), act).await else {
            assert!(n > 12, "the repair has only {n} calls");
            return;
        };
        check(stage, format!("before call {n}")).await;
    }
}

/// The role is taken by somebody who may assume it himself.
fn taken(world: &mut World) {
    world.delete_role("role");
    world.create_role("/", "role", &trust::aws("arn:aws:iam::111122223333:user/mallory"));
}

#[tokio::test(start_paused = true)]
async fn a_role_taken_by_a_stranger_between_any_two_calls_gets_nothing() {
    let node = || EntrySpec::of_type("EC2_LINUX");
    at_every_call(node, taken, |stage, at| async move {
        assert!(!stage.admits("role"), "{at}");
        stage.settle().await;
        stage.sweep().await;
        assert!(!stage.admits("role"), "{at}, after a sweep");
        // And the rightful owner loses nothing for good: a person can still give it back.
        let role = stage.cloud.role("role");
        let report = stage.invoke_as("approve", crate::stage::command_for("approve", &role)).await.unwrap();
        assert!(stage.admits("role"), "{at}: {report:#}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_deleted_by_its_owner_between_any_two_calls_stays_deleted_or_was_repaired_before() {
    fn delete(world: &mut World) {
        let _ = world.delete_entry(REGION, CLUSTER, ROLE);
    }
    // From the deletion on nobody can tell the owner's from ours; before it, the owner's will is known.
    for n in 1..40 {
        let Some(stage) = interfere(n, viewer(), delete).await else { return };
        let sent = stage.cloud.calls_of("DeleteAccessEntry").first().map_or(usize::MAX, |call| call.n);
        if n <= sent {
            assert_eq!(stage.cloud.entry(REGION, CLUSTER, ROLE), None, "before call {n}: revived");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_replaced_by_another_party_between_any_two_calls_is_left_as_that_party_made_it() {
    fn replace(world: &mut World) {
        let _ = world.delete_entry(REGION, CLUSTER, ROLE);
        world.add_entry(REGION, CLUSTER, ROLE, &EntrySpec::standard().groups(&["by-terraform"]));
    }
    at_every_call(viewer, replace, |stage, at| async move {
        if is_after_the_last_look(&stage, &at) {
            return;
        }
        let entry: Entry = stage.cloud.entry(REGION, CLUSTER, ROLE).unwrap_or_else(|| panic!("{at}: gone"));
        assert_eq!(entry.groups, ["by-terraform"], "{at}");
        // Nor has AssociateAccessPolicy: the list read directly before it was of the entry before, and nothing tells
        // whether the new one's owner had given it the same policy. The report asks a person to look.
        let rehearsed =
            stage.cloud.calls_of("AssociateAccessPolicy").first().map(|call| format!("before call {}", call.n));
        if rehearsed.as_ref() == Some(&at) {
            let told = stage.log_lines().iter().any(|line| line["detail"].to_string().contains("AmazonEKSViewPolicy"));
            assert!(told, "{at}: {:#?}", stage.log_lines());
        } else {
            assert!(entry.policies.is_empty(), "{at}: given what its owner did not give");
        }
        assert!(stage.admits("role"), "{at}");
    })
    .await;
}

/// EKS documents no date that would tell a new association from one that was there: the list read directly before does.
#[tokio::test(start_paused = true)]
async fn a_policy_that_another_party_gave_its_own_entry_is_not_taken_for_ours() {
    fn replace(world: &mut World) {
        let _ = world.delete_entry(REGION, CLUSTER, ROLE);
        world.add_entry(REGION, CLUSTER, ROLE, &viewer().groups(&["by-terraform"]));
    }
    at_every_call(viewer, replace, |stage, at| async move {
        if is_after_the_last_look(&stage, &at) {
            return;
        }
        let entry: Entry = stage.cloud.entry(REGION, CLUSTER, ROLE).unwrap_or_else(|| panic!("{at}: gone"));
        // Of our own creation the list did not have the policy: an owner who replaces it between that list and the next
        // look may have to give the policy again, which grants nobody anything.
        let numbers = |operation| stage.cloud.calls_of(operation).into_iter().map(|call| call.n).collect::<Vec<_>>();
        let (lists, looks) = (numbers("ListAssociatedAccessPolicies"), numbers("DescribeAccessEntry"));
        let list_before = |n| lists.iter().copied().filter(|list| *list < n).max().unwrap_or_default();
        let look_after = |n| looks.iter().copied().find(|look| *look > n).unwrap_or(n);
        let associated = numbers("AssociateAccessPolicy").into_iter().skip(1);
        let is_gap =
            associated.flat_map(|n| list_before(n) + 1..=look_after(n)).any(|n| format!("before call {n}") == at);
        assert_eq!(entry.groups.len(), 1, "{at}: {entry:#?}");
        assert!(is_gap || entry.policies.len() == 1, "{at}: {entry:#?}");
        assert!(stage.admits("role"), "{at}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_the_deletion_never_deletes_what_another_party_created_in_the_gap() {
    let stage = Stage::set();
    stage.role_with("role", viewer()).await;
    let role = stage.recreate("role").await;
    stage.cloud.when("DeleteAccessEntry").nth(1).after(Action::Close);
    stage.cloud.when("DeleteAccessEntry").nth(1).act_after(|_| {});
    let created = Arc::new(Mutex::new(false));
    stage.cloud.intercept(move |call, phase, world| {
        let mut created = created.lock().unwrap();
        let deleted = !world.cluster(REGION, CLUSTER).entries.contains_key(ROLE);
        if phase == Phase::Before && deleted && !*created && call.operation != "DeleteAccessEntry" {
            *created = true;
            world.add_entry(REGION, CLUSTER, ROLE, &EntrySpec::standard().groups(&["by-terraform"]));
        }
        Action::Proceed
    });

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(outcome(&report), ("none", "replacedByOther"));
    assert_eq!(stage.entry(&role).unwrap().groups, ["by-terraform"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_whose_reply_is_lost_is_finished() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.lose_reply("DeleteAccessEntry", 1);
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""));
    assert!(stage.admits("node"));
}

/// The role is read directly before and directly after the creation: a stranger is let in only if they take the role
/// between the two, and then for the turns of that read, of a look and of the deletion. A turn is what is sent at once.
#[tokio::test(start_paused = true)]
async fn a_stranger_who_takes_the_role_is_not_let_in_even_for_a_moment_unless_he_hits_the_creation_itself() {
    let mut exposures = Vec::new();
    for n in 1.. {
        let stage = Stage::set();
        stage.role_with("role", EntrySpec::of_type("EC2_LINUX")).await;
        let role = stage.recreate("role").await;
        stage.cloud.clear_calls();
        stage.cloud.habits(|habits| habits.request_delay = Duration::from_millis(100));
        let exposed = Arc::new(Mutex::new((false, BTreeSet::new(), String::new())));
        let seen = Arc::clone(&exposed);
        stage.cloud.intercept(move |call, phase, world| {
            let mut seen = seen.lock().unwrap();
            if call.n == n && phase == Phase::Before {
                taken(world);
                (seen.0, seen.2) = (true, call.operation.clone());
            }
            let id = world.roles.get("role").map(|role| role.id.clone());
            let bound = world.cluster(REGION, CLUSTER).entries.get(ROLE).map(|entry| entry.bound_to.clone());
            if seen.0 && phase == Phase::Before && id == bound {
                seen.1.insert(call.at);
            }
            Action::Proceed
        });
        let _ = stage.deliver(stage.created(&role)).await;
        let (acted, turns, operation) = exposed.lock().unwrap().clone();
        if !acted {
            break;
        }
        if !turns.is_empty() {
            exposures.push((n, operation, turns.len()));
        }
    }
    assert!(
        exposures.iter().all(|(_, operation, turns)| operation == "CreateAccessEntry" && *turns <= 3),
        "{exposures:?}"
    );
}

/// The function must not leave what it created for a role that nobody permitted, and EKS may not show it at once.
#[tokio::test(start_paused = true)]
async fn a_creation_for_a_stranger_that_reads_do_not_show_yet_is_deleted_all_the_same() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| habits.created_entry_hidden_for = Duration::from_secs(2));
    stage.role_with("role", EntrySpec::of_type("EC2_LINUX")).await;
    let role = stage.recreate("role").await;
    // The first creation is the rehearsal.
    stage.cloud.when("CreateAccessEntry").nth(2).act_before(taken);
    let _ = stage.deliver(stage.created(&role)).await;
    assert!(!stage.admits("role"));
    assert_eq!(stage.row(&role).unwrap()["state"], "repairing", "the row keeps the entry for its owner");
    let present = stage.cloud.role("role");
    stage.settle().await;
    stage.invoke_as("approve", crate::stage::command_for("approve", &present)).await.unwrap();
    assert!(stage.admits("role"));
}

/// What the function created and deleted again may still show: it is nobody else's, and no reason to forget the entry.
#[tokio::test(start_paused = true)]
async fn a_late_read_of_what_was_created_and_deleted_again_loses_nothing() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| habits.deleted_entry_visible_for = Duration::from_secs(2));
    stage.role_with("role", EntrySpec::of_type("EC2_LINUX")).await;
    let role = stage.recreate("role").await;
    stage.cloud.when("CreateAccessEntry").nth(2).act_before(taken);
    let _ = stage.deliver(stage.created(&role)).await;
    assert!(!stage.admits("role"));
    let present = stage.cloud.role("role");
    stage.settle().await;
    let report = stage.invoke_as("approve", crate::stage::command_for("approve", &present)).await.unwrap();
    assert!(stage.admits("role"), "{report:#}");
}

/// EKS answers from replicas; one may be behind when an event is delivered a second time.
#[tokio::test(start_paused = true)]
async fn a_read_that_still_shows_the_deleted_entry_after_the_repair_undoes_nothing() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    let event = stage.created(&role);
    let report = stage.deliver(event.clone()).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""));
    let repaired = stage.entry(&role);
    stage.cloud.habits(|habits| {
        habits.created_entry_hidden_for = Duration::from_hours(1);
        habits.deleted_entry_visible_for = Duration::from_hours(1);
    });

    let report = stage.deliver(event).await.unwrap();

    assert_eq!(outcome(&report), ("none", "recordContradictsDates"), "{report:#}");
    assert_eq!(stage.entry(&role), repaired);
    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_hits_a_later_cluster_of_the_name_is_taken_back() {
    let stage = Stage::set();
    stage.role_with("role", EntrySpec::of_type("EC2_LINUX")).await;
    let role = stage.recreate("role").await;
    let mut creations = 0;
    stage.cloud.intercept(move |call, phase, world| {
        if call.operation == "CreateAccessEntry" && phase == Phase::Before {
            creations += 1;
            // The first is the rehearsal.
            if creations == 2 {
                world.delete_cluster(REGION, CLUSTER);
                world.add_cluster(REGION, CLUSTER);
            }
        }
        Action::Proceed
    });

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(outcome(&report), ("removed", "clusterGone"));
    assert_eq!(stage.entry(&role), None);
    assert_eq!(stage.row(&role).unwrap()["state"], "archived");
}

#[tokio::test(start_paused = true)]
async fn what_its_owner_deletes_after_an_acknowledged_creation_is_archived_and_not_created_again() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    // Cut as soon as the row has been told what was created: it is opened, notes the deletion, the creation, its ARN.
    stage.cloud.when("PutItem").nth(4).after(Action::Stop);
    tokio::select! {
        _ = stage.deliver(stage.created(&role)) => panic!("not cut"),
        () = stage.cloud.stopped() => {}
    }
    stage.cloud.lift_faults();
    stage.cloud.restart();
    let created = stage.entry(&role).unwrap().arn;
    assert_eq!(stage.row(&role).unwrap()["createdEntryArn"], created);
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("none", "deletedByOwner"));
    assert!(!stage.admits("node"));
    let row = stage.row(&role).unwrap();
    assert_eq!((&row["state"], &row["archivedBecause"]), (&"archived".into(), &"deletedByOwner".into()));
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("restored", ""));
    assert!(stage.admits("node"));
}
