//! Histories that the exploration of the repair (`src/repair/explore.rs`) found, over the wire.

use std::time::Duration;

use crate::cloud::{Action, Phase, World};
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, outcome, viewer};

const ROLE: &str = "arn:aws:iam::111122223333:role/role";

/// A stale entry, and what others do just before or after the n-th call of an operation.
async fn interfered(
    acts: impl IntoIterator<Item = (&'static str, usize, Phase, fn(&mut World) -> Action)>,
) -> (Stage, Option<serde_json::Value>) {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("role", viewer().groups(&["viewers"])).await;
    let role = stage.recreate("role").await;
    let mut due: Vec<_> = acts.into_iter().collect();
    stage.cloud.clear_calls();
    let mut seen: Vec<String> = Vec::new();
    stage.cloud.intercept(move |call, phase, world| {
        if phase == Phase::Before {
            seen.push(call.operation.clone());
        }
        let n = seen.iter().filter(|operation| **operation == call.operation).count();
        let Some(at) =
            due.iter().position(|(name, nth, when, _)| call.operation == *name && n == *nth && phase == *when)
        else {
            return Action::Proceed;
        };
        (due.remove(at).3)(world)
    });
    let report = stage.deliver(stage.created(&role)).await.ok();
    stage.cloud.lift_faults();
    (stage, report)
}

fn owner_deletes(world: &mut World) -> Action {
    world.delete_entry(REGION, CLUSTER, ROLE).unwrap();
    Action::Proceed
}

/// A throttled deletion was not carried out: if the entry is gone after it, its owner deleted it.
#[tokio::test(start_paused = true)]
async fn what_its_owner_deletes_after_a_throttled_deletion_is_not_created() {
    let throttled = |world: &mut World| {
        let _ = owner_deletes(world);
        Action::Throttle
    };
    let (stage, report) =
        interfered([("DeleteAccessEntry", 1, Phase::Before, throttled as fn(&mut World) -> Action)]).await;
    assert_eq!(stage.cloud.entry(REGION, CLUSTER, ROLE), None, "{report:#?}");
    assert_eq!(outcome(&report.unwrap()), ("none", "deletedByOwner"));
}

/// The rehearsal meets the owner's deletion, and directly after it the role goes, too.
#[tokio::test(start_paused = true)]
async fn what_a_rehearsal_created_is_withdrawn_even_if_the_role_is_gone() {
    let role_goes = |world: &mut World| {
        world.delete_role("role");
        Action::Proceed
    };
    let (stage, _) = interfered([
        ("CreateAccessEntry", 1, Phase::Before, owner_deletes as fn(&mut World) -> Action),
        ("CreateAccessEntry", 1, Phase::After, role_goes),
    ])
    .await;
    assert_eq!(stage.cloud.entry(REGION, CLUSTER, ROLE), None);
}

/// The role is recreated just before our creation, which must go then. What its owner changed on it meanwhile stays.
#[tokio::test(start_paused = true)]
async fn what_its_owner_changes_on_a_creation_that_must_go_is_in_the_next_one() {
    let recreated = |world: &mut World| {
        world.recreate_role("role");
        Action::Proceed
    };
    let changed = |world: &mut World| {
        let groups = ["viewers".to_owned(), "by-hand".to_owned()];
        world.update_entry(REGION, CLUSTER, ROLE, None, Some(&groups)).unwrap();
        Action::Proceed
    };
    let (stage, report) = interfered([
        ("CreateAccessEntry", 2, Phase::Before, recreated as fn(&mut World) -> Action),
        ("CreateAccessEntry", 2, Phase::After, changed),
    ])
    .await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    let _ = stage.deliver(stage.created(&stage.cloud.role("role"))).await;
    let groups = stage.cloud.entry(REGION, CLUSTER, ROLE).unwrap().groups;
    assert!(groups.contains(&"by-hand".to_owned()), "{groups:?}, {report:#?}");
    assert!(stage.admits("role"));
}

/// Whoever read a row, and writes after it was deleted and another opened, must not write over that one: its versions are
/// others.
#[tokio::test(start_paused = true)]
async fn a_row_that_was_deleted_never_lends_its_versions_to_the_next_one() {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("role", viewer()).await;
    let mut versions = Vec::new();
    for _ in 0..2 {
        let role = stage.recreate("role").await;
        stage.deliver(stage.created(&role)).await.unwrap();
        versions.push(stage.row(&role).unwrap()["version"].as_u64().unwrap());
        stage.cloud.delete_row(LEDGER, &role.arn, &format!("{REGION}#{CLUSTER}"));
    }
    // A repair writes its row fewer times than that.
    assert!(versions[0].abs_diff(versions[1]) > 100, "{versions:?}");
}
