//! EKS throttles: what its limits allow is used, little is asked for in vain, and refusals that others cause do not slow
//! a repair down.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cloud::{EntrySpec, HOME_REGION};
use crate::impact::READS_OF_IMPACT;
use crate::stage::{REGION, Stage};

/// An event over so many clusters of a Region that serves `per_second`; the seconds it took, and the refusals.
async fn event_under_a_limit(clusters: u16, per_second: f64, burst: f64) -> (f64, usize) {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    for n in 1..clusters {
        stage.cloud.add_cluster(REGION, &format!("more-{n:03}"));
    }
    stage.cloud.clear_calls();
    stage.cloud.limit_eks(per_second, burst);
    let start = Instant::now();

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    let took = start.elapsed().as_secs_f64();
    assert_eq!(report["clusters"], clusters);
    assert_eq!(report["blindSpots"], json!([]), "{per_second}/s");
    assert!(stage.admits("node"));
    (took, refusals(&stage))
}

fn refusals(stage: &Stage) -> usize {
    stage.cloud.calls().iter().filter(|call| call.status.is_none()).count()
}

#[tokio::test(start_paused = true)]
async fn an_event_sees_every_cluster_of_a_region_that_throttles_and_uses_nine_tenths_of_what_it_allows() {
    // What is left has to be found out first: that costs a larger part of few requests than of many.
    for (clusters, per_second, burst, most) in [(200, 10.0, 10.0, 0.8), (400, 20.0, 20.0, 0.6), (900, 50.0, 100.0, 0.3)]
    {
        let (took, refused) = event_under_a_limit(clusters, per_second, burst).await;
        let unlimited = event_under_a_limit(1, 1e9, 1e9).await.0;
        let ideal = (f64::from(clusters) - burst) / per_second;
        assert!(ideal / (took - unlimited) >= 0.9, "{clusters} at {per_second}/s: {took} s, ideal {ideal} s");
        let part = f64::from(u32::try_from(refused).unwrap()) / f64::from(clusters);
        assert!(part <= most, "{clusters} at {per_second}/s: {refused} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_in_one_region_slows_down_no_other() {
    let stage = Stage::set();
    for n in 0..100 {
        stage.cloud.add_cluster(REGION, &format!("more-{n:03}"));
        stage.cloud.add_cluster(HOME_REGION, &format!("more-{n:03}"));
    }
    let role = stage.node("node").await;
    stage.cloud.clear_calls();
    stage.cloud.when_eks().in_region(REGION).times(30).throttle();
    stage.deliver(stage.created(&role)).await.unwrap();
    let last = |region: &str| {
        stage.cloud.calls().iter().rfind(|call| call.region == region && call.cluster.is_some()).unwrap().at
    };
    let first = stage.cloud.calls()[0].at;
    assert!((last(HOME_REGION) - first) * 2 < last(REGION) - first);
}

#[tokio::test(start_paused = true)]
async fn what_a_competitor_leaves_is_used_and_most_of_its_requests_are_served() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    for n in 1..600 {
        stage.cloud.add_cluster(REGION, &format!("more-{n:03}"));
    }
    let competitor = stage.cloud.share_eks(40.0, 40.0, 0.5);
    let start = Instant::now();
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    let took = start.elapsed().as_secs_f64();
    assert_eq!((&report["clusters"], &report["blindSpots"]), (&json!(600), &json!([])));
    assert!(took <= 600.0 / 20.0 / 0.9, "{took} s");
    // More than in the long run, since what is left has to be found out first.
    assert!(competitor.refused() <= 0.5, "{}", competitor.refused());
}

/// Twelve clusters, each with a stale entry of the same role; and the event of the role's creation.
async fn twelve_stale_entries() -> (Stage, Value) {
    let stage = Stage::set();
    let role = stage.node("node").await;
    for cluster in more_clusters() {
        stage.cloud.add_cluster(REGION, &cluster);
        stage.cloud.add_entry(REGION, &cluster, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    }
    tokio::time::sleep(Duration::from_hours(1)).await;
    let role = stage.recreate("node").await;
    stage.cloud.clear_calls();
    let event = stage.created(&role);
    (stage, event)
}

fn more_clusters() -> impl Iterator<Item = String> {
    (1..12).map(|n| format!("more-{n:02}"))
}

/// The seconds until all twelve are repaired.
async fn twelve_repairs(chance: f64, seed: u64) -> f64 {
    let (stage, event) = twelve_stale_entries().await;
    stage.cloud.refuse_eks(chance, seed);
    let start = Instant::now();
    let report = stage.deliver(event).await.unwrap();
    let took = start.elapsed().as_secs_f64();
    let entries = report["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["outcome"] == "repaired"), "{report:#}");
    assert!(stage.admits("node") && more_clusters().all(|it| stage.cloud.admits(REGION, &it, "node")));
    took
}

#[tokio::test(start_paused = true)]
async fn twelve_entries_are_repaired_while_others_cause_up_to_half_of_all_requests_to_be_refused() {
    let unhindered = twelve_repairs(0.0, 0).await;
    for (chance, most) in [(0.05, 1.5), (0.25, 2.5), (0.5, 5.0)] {
        let mut took = Vec::new();
        for seed in 1..4 {
            took.push(twelve_repairs(chance, seed).await / unhindered);
        }
        took.sort_by(f64::total_cmp);
        assert!(took[1] <= most, "{chance} refused: {took:?} times the time of a run without refusals");
    }
}

#[tokio::test(start_paused = true)]
async fn while_everything_is_refused_two_attempts_a_second_are_made_on_average_at_most() {
    let (stage, event) = twelve_stale_entries().await;
    stage.cloud.refuse_eks(1.0, 1);
    let start = Instant::now();
    stage.deliver(event).await.expect_err("nothing could be seen");
    let attempts = stage.cloud.calls().iter().filter(|call| call.region == REGION && call.status.is_none()).count();
    assert!(attempts > 0 && Duration::from_millis(500) * u32::try_from(attempts).unwrap() <= start.elapsed());
}

/// A stale entry, and the event that has it repaired.
async fn one_stale_entry() -> (Stage, Value) {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.clear_calls();
    let event = stage.created(&role);
    (stage, event)
}

#[tokio::test(start_paused = true)]
async fn a_throttled_creation_is_sent_again_without_a_pause() {
    let (stage, event) = one_stale_entry().await;
    stage.cloud.when("CreateAccessEntry").times(3).throttle();
    stage.deliver(event).await.unwrap();
    assert!(stage.admits("node"));
    let sent = stage.cloud.calls_of("CreateAccessEntry");
    assert!(sent[3].at - sent[0].at < Duration::from_millis(200), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_deletion_is_sent_again_only_after_another_look_at_the_entry() {
    let (stage, event) = one_stale_entry().await;
    stage.cloud.when("DeleteAccessEntry").times(3).throttle();
    stage.deliver(event).await.unwrap();
    assert!(stage.admits("node"));
    let order: Vec<String> = stage.cloud.calls().into_iter().map(|call| call.operation).collect();
    let deletions: Vec<usize> = (0..order.len()).filter(|n| order[*n] == "DeleteAccessEntry").collect();
    assert_eq!(deletions.len(), 4);
    assert!(deletions.iter().all(|n| order[n - 1] == "DescribeAccessEntry"), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_throttled_for_ever_is_given_up_before_its_lease_ends() {
    let (stage, event) = one_stale_entry().await;
    stage.cloud.when("CreateAccessEntry").throttle();
    stage.deliver(event).await.expect_err("the repair has to be repeated");
    // Each time it is sent for as long as a change may wait for its turn. Between two times the repair reads again.
    let mut calls = stage.cloud.calls();
    calls.retain(|call| !READS_OF_IMPACT.contains(&call.operation.as_str()));
    for times in calls.split(|call| call.operation != "CreateAccessEntry") {
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            assert!(times.len() > 1 && last.at - first.at <= Duration::from_secs(4), "{times:?}");
        }
    }
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}
