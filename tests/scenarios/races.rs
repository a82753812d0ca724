//! Another party acts between two certain calls, or a read is late just then: its will stands, and no role that nobody
//! permitted is let in. `owners` lets it act between any two.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cloud::{Action, EntrySpec, Phase, World, trust};
use crate::stage::{CLUSTER, REGION, Stage, command_for, outcome, viewer};

const ROLE: &str = "arn:aws:iam::111122223333:role/role";

/// The role is taken by somebody who may assume it himself.
fn taken(world: &mut World) {
    world.delete_role("role");
    world.create_role("/", "role", &trust::aws("arn:aws:iam::111122223333:user/mallory"));
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
    let detail = report["entries"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("had created the entry") && detail.contains("restore creates it"), "{detail}");
    assert!(!stage.admits("node"));
    let row = stage.row(&role).unwrap();
    assert_eq!((&row["state"], &row["archivedBecause"]), (&"archived".into(), &"deletedByOwner".into()));
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("restored", ""));
    assert!(stage.admits("node"));
}
