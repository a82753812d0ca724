//! Histories that the exploration of the repair (`src/repair/explore.rs`) found, over the wire.

use std::time::Duration;

use crate::cloud::{Action, EntrySpec, Phase, World};
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, outcome, viewer};

const ROLE: &str = "arn:aws:iam::111122223333:role/role";

/// What others do just before or after the n-th call of an operation.
type Interference = (&'static str, usize, Phase, fn(&mut World) -> Action);

/// A stale entry, and what others do to it.
async fn interfered(acts: impl IntoIterator<Item = Interference>) -> (Stage, Option<serde_json::Value>) {
    interfered_with(viewer().groups(&["viewers"]), acts).await
}

/// The same with this entry.
async fn interfered_with(
    spec: EntrySpec,
    acts: impl IntoIterator<Item = Interference>,
) -> (Stage, Option<serde_json::Value>) {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("role", spec).await;
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

fn change_by_hand(world: &mut World) -> Action {
    let groups = ["viewers".to_owned(), "by-hand".to_owned()];
    world.update_entry(REGION, CLUSTER, ROLE, None, Some(&groups)).unwrap();
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
    let (stage, report) = interfered([
        ("CreateAccessEntry", 2, Phase::Before, recreated as fn(&mut World) -> Action),
        ("CreateAccessEntry", 2, Phase::After, change_by_hand),
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

/// Nobody is told what came of our creation, and another party's entry stands, with fewer policies than the old one had.
/// Ours has none before its ARN is in the ledger, so this one is not ours.
#[tokio::test(start_paused = true)]
async fn another_partys_entry_with_policies_is_never_taken_for_an_unclear_creation_and_given_more() {
    let another = |world: &mut World| {
        world.add_entry(REGION, CLUSTER, ROLE, &viewer().groups(&["viewers"]));
        Action::LoseReply
    };
    let (stage, report) = interfered_with(
        viewer().groups(&["viewers"]).policy("AmazonEKSEditPolicy"),
        [("CreateAccessEntry", 2, Phase::Before, another as fn(&mut World) -> Action)],
    )
    .await;
    let policies = stage.cloud.entry(REGION, CLUSTER, ROLE).unwrap().policies;
    assert_eq!(policies.len(), 1, "{policies:?}, {report:#?}");
    assert_eq!(outcome(&report.unwrap()), ("none", "replacedByOther"));
}

/// The rehearsal meets the owner's deletion, its reply is lost, and the role goes.
#[tokio::test(start_paused = true)]
async fn what_a_rehearsal_may_have_created_is_held_even_if_the_role_is_gone() {
    let role_goes = |world: &mut World| {
        world.delete_role("role");
        Action::LoseReply
    };
    let (_, report) = interfered([
        ("CreateAccessEntry", 1, Phase::Before, owner_deletes as fn(&mut World) -> Action),
        ("CreateAccessEntry", 1, Phase::After, role_goes),
    ])
    .await;
    assert_eq!(outcome(&report.unwrap()), ("held", "changedMeanwhile"));
}

/// The role is recreated before our creation has its policies, and deleted before the repair has started over.
#[tokio::test(start_paused = true)]
async fn a_creation_without_its_policies_does_not_stay_when_its_role_is_recreated_and_deleted() {
    let fails = |_: &mut World| Action::ServerError;
    let recreated = |world: &mut World| {
        world.recreate_role("role");
        Action::ServerError
    };
    let deleted = |world: &mut World| {
        world.delete_role("role");
        Action::Proceed
    };
    let (stage, report) = interfered([
        ("AssociateAccessPolicy", 2, Phase::Before, fails as fn(&mut World) -> Action),
        ("AssociateAccessPolicy", 3, Phase::Before, fails),
        ("AssociateAccessPolicy", 4, Phase::Before, recreated),
        ("PutItem", 5, Phase::After, deleted),
    ])
    .await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_mins(5)).await;
        stage.sweep().await;
    }
    assert_eq!(stage.cloud.entry(REGION, CLUSTER, ROLE), None, "{report:#?}");
    let rows = stage.cloud.rows(LEDGER);
    let row = rows.iter().find(|row| row["principalArn"] == ROLE).expect("a row");
    assert_eq!((&row["state"], &row["archivedBecause"]), (&"archived".into(), &"roleGone".into()), "{row:#?}");
    assert_eq!(row["snapshot"]["accessPolicies"].as_array().map(Vec::len), Some(1), "{row:#?}");
}

/// The ledger does not say whether it noted our creation, and the cluster cannot be read beside it. The role can: it is the
/// permitted one.
#[tokio::test(start_paused = true)]
async fn what_its_owner_changes_on_a_creation_stays_if_neither_ledger_nor_cluster_answer() {
    let lost = |_: &mut World| Action::LoseReply;
    let denied = |_: &mut World| Action::Deny;
    let mut acts: Vec<Interference> =
        vec![("CreateAccessEntry", 2, Phase::After, change_by_hand), ("DescribeCluster", 4, Phase::Before, denied)];
    acts.extend((4..8).map(|nth| ("PutItem", nth, Phase::Before, lost as fn(&mut World) -> Action)));
    let (stage, report) = interfered(acts).await;
    let groups = stage.cloud.entry(REGION, CLUSTER, ROLE).expect("the creation").groups;
    assert!(groups.contains(&"by-hand".to_owned()), "{groups:?}, {report:#?}");
}

/// The cluster is replaced by one of the same name directly before our creation, whose reply is lost.
#[tokio::test(start_paused = true)]
async fn what_may_be_our_creation_in_a_later_cluster_is_held() {
    let replaced = |world: &mut World| {
        world.delete_cluster(REGION, CLUSTER);
        world.add_cluster(REGION, CLUSTER);
        Action::LoseReply
    };
    let (stage, report) =
        interfered([("CreateAccessEntry", 2, Phase::Before, replaced as fn(&mut World) -> Action)]).await;
    assert_eq!(outcome(&report.unwrap()), ("held", "changedMeanwhile"));
    let role = stage.cloud.role("role");
    tokio::time::sleep(Duration::from_mins(5)).await;
    let again = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&again), ("held", "changedMeanwhile"));
}
