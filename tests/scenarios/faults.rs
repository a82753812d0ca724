//! AWS denies, throttles, breaks or says nothing: what was not seen is told, and at most one entry is ever caught.

use std::time::Duration;

use serde_json::json;

use crate::cloud::EntrySpec;
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, command, outcome, viewer};

fn blind_spots(report: &serde_json::Value) -> Vec<(String, String)> {
    let text = |spot: &serde_json::Value, name: &str| spot[name].as_str().unwrap_or_default().to_owned();
    report["blindSpots"].as_array().unwrap().iter().map(|spot| (text(spot, "region"), text(spot, "reason"))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_region_that_an_organization_denies_is_a_blind_spot_and_stops_nothing() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.deny_region("us-east-1");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert!(stage.admits("node"));
    assert_eq!(blind_spots(&report), [("us-east-1".to_owned(), "deniedByOrganization".to_owned())]);
    assert_eq!(report["metrics"]["BlindSpots"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_denied_call_is_a_blind_spot() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.deny("DescribeAccessEntry");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(blind_spots(&report), [(REGION.to_owned(), "accessDenied".to_owned())]);
    assert_eq!(report["entries"], json!([]), "not taken for absent: told as unseen");
}

#[tokio::test(start_paused = true)]
async fn an_unresolvable_region_is_told_and_not_retried() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.unresolvable_region("us-east-1");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(blind_spots(&report), [("us-east-1".to_owned(), "unresolvable".to_owned())]);
    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn a_region_that_never_answers_fails_the_invocation_after_the_others_were_repaired() {
    for silent in [true, false] {
        let stage = Stage::set();
        stage.node("node").await;
        let role = stage.recreate("node").await;
        if silent {
            stage.cloud.silent_region("us-east-1");
        } else {
            stage.cloud.unreachable_region("us-east-1");
        }
        let error = stage.deliver(stage.created(&role)).await.unwrap_err();
        assert_eq!(error.name(), "RepairIncomplete");
        assert!(stage.admits("node"));
        assert_eq!(stage.cloud.metric_sum("BlindSpots", &[]), Some(1.0));
        assert_eq!(stage.cloud.metric_sum("AccessEntriesRepaired", &[]), Some(1.0));
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_outlasted_and_never_more_than_the_limit_is_under_way() {
    let stage = Stage::set().with("MAX_CONCURRENCY_PER_REGION", "3");
    let role = stage.node("node").await;
    for n in 0..40 {
        let cluster = format!("cluster-{n}");
        stage.cloud.add_cluster(REGION, &cluster);
        stage.cloud.add_entry(REGION, &cluster, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    let role = stage.recreate("node").await;
    stage.cloud.throttle("DescribeAccessEntry", 20);
    stage.cloud.throttle("CreateAccessEntry", 3);
    stage.cloud.throttle("DeleteAccessEntry", 2);

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(report["metrics"]["AccessEntriesRepaired"], 41, "{report:#}");
    assert!((0..40).all(|n| stage.cloud.admits(REGION, &format!("cluster-{n}"), "node")));
    assert!(stage.cloud.peak_in_flight(REGION) <= 3, "{} under way", stage.cloud.peak_in_flight(REGION));
}

#[tokio::test(start_paused = true)]
async fn a_denied_rehearsal_deletes_nothing() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    let entry = stage.entry(&role);
    stage.cloud.habits(|habits| habits.may_pass_roles = false);

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(outcome(&report), ("held", "rehearsalRefused"));
    assert!(report["entries"][0]["detail"].as_str().unwrap().contains("AccessDenied"), "{report:#}");
    assert!(report["entries"][0]["remedy"].as_str().unwrap().contains("\"repair\""));
    assert_eq!(stage.entry(&role), entry);
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());

    stage.cloud.habits(|habits| habits.may_pass_roles = true);
    let report = stage.invoke(command("repair", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""));
}

#[tokio::test(start_paused = true)]
async fn a_denied_association_is_found_while_the_old_entry_still_stands() {
    let stage = Stage::set();
    stage.role_with("viewer", viewer()).await;
    let role = stage.recreate("viewer").await;
    stage.cloud.deny("AssociateAccessPolicy");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "rehearsalRefused"));
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

/// EKS answers "in use" before it checks permissions: the rehearsal proves nothing.
#[tokio::test(start_paused = true)]
async fn where_the_rehearsal_proves_nothing_one_entry_is_caught_and_none_follows() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| habits.in_use_first = true);
    let role = stage.node("node").await;
    for n in 0..4 {
        let cluster = format!("cluster-{n}");
        stage.cloud.add_cluster(REGION, &cluster);
        stage.cloud.add_entry(REGION, &cluster, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    }
    stage.node("other").await;
    let role = stage.recreate("node").await;
    let other = stage.recreate("other").await;
    stage.cloud.habits(|habits| habits.may_pass_roles = false);

    let error = stage.deliver(stage.created(&role)).await.unwrap_err();
    assert!(error.to_string().contains("recreationRefused"), "{error}");
    assert_eq!(stage.cloud.calls_of("DeleteAccessEntry").len(), 1);
    assert_eq!(stage.cloud.metric_sum("AccessEntryRepairFailures", &[]), Some(1.0));
    assert_eq!(stage.cloud.metric_sum("AccessEntriesHeld", &[]), Some(4.0));

    // Nor in a later invocation, for another role; the caught entry is tried first.
    let _ = stage.deliver(stage.created(&other)).await;
    assert_eq!(stage.cloud.calls_of("DeleteAccessEntry").len(), 1);

    // The cause is mended: the next run brings the entry back, and goes on with the others.
    stage.cloud.habits(|habits| habits.may_pass_roles = true);
    stage.deliver(stage.created(&role)).await.unwrap();
    assert!(stage.admits("node"));
    assert!((0..4).all(|n| stage.cloud.admits(REGION, &format!("cluster-{n}"), "node")));
    assert!(stage.cloud.rows(LEDGER).iter().all(|row| row["state"] == "recorded"));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_reached_defers_and_deletes_nothing() {
    for operation in ["PutItem", "Query", "GetItem"] {
        let stage = Stage::set();
        stage.node("node").await;
        let role = stage.recreate("node").await;
        stage.cloud.deny(operation);
        let error = stage.deliver(stage.created(&role)).await.unwrap_err();
        assert!(error.to_string().contains("ledgerUnavailable"), "{operation}: {error}");
        assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty(), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_that_cannot_be_sent_go_out_in_the_log() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.deny("PutMetricData");
    stage.deliver(stage.created(&role)).await.unwrap();
    let lines = stage.log_lines();
    let embedded: Vec<_> = lines.iter().filter(|line| line.get("_aws").is_some()).collect();
    let total = embedded.iter().find(|line| line.get("AccessEntriesRepaired").is_some()).expect("the totals");
    assert_eq!(total["AccessEntryValidationErrors"], 1.0);
    assert_eq!(total["_aws"]["CloudWatchMetrics"][0]["Namespace"], "AccessEntryGuard");
    assert!(embedded.iter().any(|line| line["ClusterName"] == CLUSTER));
}

#[tokio::test(start_paused = true)]
async fn regions_that_cannot_be_listed_fail_with_a_line_that_names_the_setting() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.deny("ListRegions");
    let error = stage.deliver(stage.created(&role)).await.unwrap_err();
    assert!(error.to_string().contains("REGIONS"), "{error}");
    let stage = stage.with("REGIONS", REGION);
    stage.deliver(stage.created(&role)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_role_that_cannot_be_read_is_undecided_and_not_taken_for_gone() {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    stage.node("node").await;
    stage.cloud.deny("GetRole");
    let report = stage.deliver(stage.deleted("node")).await.unwrap();
    assert_eq!(report["entries"][0]["verdict"], "undecided");
    assert_eq!(outcome(&report), ("none", "roleUnreadable"));
}
