//! Nobody waits for a Region that hangs: what is elsewhere is repaired as soon as it was read. Only whoever may have made an
//! entry disappear is waited for, since until it is back nobody knows whether creations succeed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Action, EntrySpec, HOME_REGION, Role};
use crate::stage::{CLUSTER, REGION, Stage, deliver_until_cut};

/// A Region in which there is a cluster, beside that of the stage.
const ELSEWHERE: &str = HOME_REGION;

/// Roles with an entry in `prod` and in a cluster of another Region, both stale.
async fn stale_in_two_regions(names: &[&str]) -> (Stage, Vec<Role>) {
    let stage = Stage::set();
    stage.cloud.add_cluster(ELSEWHERE, "far");
    for name in names {
        let role = stage.node(name).await;
        stage.cloud.add_entry(ELSEWHERE, "far", &role.arn, EntrySpec::of_type("EC2_LINUX"));
    }
    tokio::time::sleep(Duration::from_hours(1)).await;
    let roles: Vec<Role> = names.iter().map(|name| stage.cloud.recreate_role(name)).collect();
    stage.settle().await;
    stage.cloud.clear_calls();
    (stage, roles)
}

/// How long after the first call the entries of `prod` were back.
fn back_after(stage: &Stage) -> Vec<Duration> {
    let first = stage.cloud.calls()[0].at;
    let rehearsals_and_creations = stage.cloud.calls_of("CreateAccessEntry");
    let creations = rehearsals_and_creations
        .iter()
        .filter(|call| call.cluster.as_deref() == Some(CLUSTER) && call.status == Some(200));
    creations.map(|call| Duration::try_from(call.at - first).unwrap()).collect()
}

const AT_ONCE: Duration = Duration::from_secs(10);

fn events_of(stage: &Stage, roles: &[Role]) -> Value {
    let record = |(n, role): (usize, &Role)| {
        json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "body": stage.created(role).to_string(),
            "attributes": {"ApproximateReceiveCount": "1"}})
    };
    json!({"Records": roles.iter().enumerate().map(record).collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn an_event_repairs_an_entry_at_once_while_another_region_never_answers() {
    let (stage, roles) = stale_in_two_regions(&["node"]).await;
    stage.cloud.silent_region(ELSEWHERE);
    let error = stage.deliver(stage.created(&roles[0])).await.unwrap_err();
    assert!(error.to_string().contains("timedOut"), "the blind spot is told all the same: {error}");
    assert!(stage.admits("node"));
    assert!(back_after(&stage).iter().all(|after| *after < AT_ONCE), "{:?}", back_after(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_batch_repairs_all_entries_at_once_while_another_region_never_answers() {
    let (stage, roles) = stale_in_two_regions(&["one", "two", "three"]).await;
    stage.cloud.silent_region(ELSEWHERE);
    stage.deliver(events_of(&stage, &roles)).await.unwrap();
    assert!(["one", "two", "three"].iter().all(|name| stage.admits(name)));
    assert_eq!(back_after(&stage).len(), 3);
    assert!(back_after(&stage).iter().all(|after| *after < AT_ONCE), "{:?}", back_after(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_repairs_all_entries_at_once_while_another_region_never_answers() {
    let (stage, _) = stale_in_two_regions(&["one", "two", "three"]).await;
    stage.cloud.silent_region(ELSEWHERE);
    let report = stage.sweep().await;
    assert_eq!(report["blindSpots"][0]["region"], ELSEWHERE);
    assert_eq!(back_after(&stage).len(), 3);
    assert!(back_after(&stage).iter().all(|after| *after < AT_ONCE), "{:?}", back_after(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_never_answers_delays_no_other_cluster_of_its_region() {
    let (stage, roles) = stale_in_two_regions(&["node"]).await;
    stage.cloud.add_cluster(REGION, "mute");
    stage.cloud.when_eks().on_cluster("mute").hang();
    stage.deliver(stage.created(&roles[0])).await.unwrap_err();
    assert!(back_after(&stage).iter().all(|after| *after < AT_ONCE), "{:?}", back_after(&stage));
    assert!(stage.admits("node"));
}

/// The unfinished repair is all that is left of the entry: the ledger says where it belongs.
#[tokio::test(start_paused = true)]
async fn an_unfinished_repair_is_finished_at_once_while_another_region_never_answers() {
    let (stage, roles) = stale_in_two_regions(&["node"]).await;
    stage.cloud.when("DeleteAccessEntry").on_cluster(CLUSTER).after(Action::Stop);
    deliver_until_cut(&stage, &roles[0]).await;
    assert!(stage.entry(&roles[0]).is_none(), "cut in between");
    stage.cloud.clear_calls();
    stage.cloud.silent_region(ELSEWHERE);
    stage.deliver(stage.created(&roles[0])).await.unwrap_err();
    assert!(stage.admits("node"));
    assert!(back_after(&stage).iter().all(|after| *after < AT_ONCE), "{:?}", back_after(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_hangs_before_its_deletion_gives_way_to_the_next_one() {
    // The third look is the one directly before the deletion.
    for look in 1..=3 {
        let (stage, roles) = stale_in_two_regions(&["node"]).await;
        stage.cloud.when("DescribeAccessEntry").in_region(ELSEWHERE).from(look).hang();
        stage.deliver(stage.created(&roles[0])).await.unwrap_err();
        assert!(stage.admits("node"));
        let deleted_elsewhere = stage.cloud.calls_of("DeleteAccessEntry").iter().any(|call| call.region == ELSEWHERE);
        let most = if deleted_elsewhere { Duration::from_mins(3) } else { AT_ONCE };
        assert!(back_after(&stage).iter().all(|after| *after < most), "from look {look}: {:?}", back_after(&stage));
    }
}

/// The documented exception: until the first entry is back nobody knows whether a second one would come back.
#[tokio::test(start_paused = true)]
async fn while_the_first_entry_is_gone_no_other_is_deleted() {
    let (stage, roles) = stale_in_two_regions(&["one", "two", "three"]).await;
    stage.cloud.when("CreateAccessEntry").from(7).hang();
    let _ = stage.deliver(events_of(&stage, &roles)).await;
    let deletions = stage.cloud.calls_of("DeleteAccessEntry");
    let first = deletions[0].at;
    let others = deletions.iter().skip(1).filter(|call| call.at - first < Duration::from_secs(90));
    assert_eq!(others.count(), 0, "{deletions:#?}");
}
