//! What AWS refuses to show: a clear refusal is reported and never retried, a cluster that the settings exclude is not
//! read at all, and a cluster that does not exist is said not to exist.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::EntrySpec;
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, command, command_for, outcome, viewer};

/// Region, cluster and reason of each blind spot.
fn blind_spots(report: &Value) -> Vec<(&str, &str, &str)> {
    let spots = report["blindSpots"].as_array().expect("blind spots");
    spots
        .iter()
        .map(|spot| {
            let text = |name: &str| spot[name].as_str().unwrap_or_default();
            (text("region"), text("clusterName"), text("reason"))
        })
        .collect()
}

/// A local cluster on Outposts answers so (turbot/steampipe-plugin-aws#2771). [AWS-83]
fn add_local_cluster(stage: &Stage, name: &str) {
    stage.cloud.add_cluster(REGION, name);
    for operation in ["ListAccessEntries", "DescribeAccessEntry", "ListAssociatedAccessPolicies"] {
        let refused = stage.cloud.when(operation).on_cluster(name);
        refused.reply(400, "ClientException", "This operation is not supported for local EKS clusters");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_refuses_reads_for_good_is_a_blind_spot_and_fails_no_event() {
    let stage = Stage::set();
    stage.node("node").await;
    add_local_cluster(&stage, "outpost");
    let role = stage.recreate("node").await;
    let event = stage.created(&role);

    let report = stage.deliver(event.clone()).await.expect("nothing that a retry could help");

    assert!(stage.admits("node"));
    assert_eq!(blind_spots(&report), [(REGION, "outpost", "refused")]);
    assert!(report["blindSpots"][0]["detail"].as_str().unwrap().contains("local EKS clusters"), "{report:#}");
    assert_eq!(report["metrics"]["BlindSpots"], 1);
    let asked = stage.cloud.calls_of("DescribeAccessEntry");
    assert_eq!(asked.iter().filter(|call| call.cluster.as_deref() == Some("outpost")).count(), 1, "asked once");

    let record = json!({"messageId": "m", "eventSource": "aws:sqs", "body": event.to_string(),
        "attributes": {"ApproximateReceiveCount": "1"}});
    let report = stage.deliver(json!({"Records": [record]})).await.unwrap();
    assert_eq!((&report["batchItemFailures"], blind_spots(&report)[0].2), (&json!([]), "refused"));
    let report = stage.sweep().await;
    assert_eq!(blind_spots(&report), [(REGION, "outpost", "refused")]);
    let report = stage.invoke(json!({"command": "check", "clusterName": "outpost"})).await.unwrap();
    assert_eq!(blind_spots(&report)[0].2, "refused");
}

#[tokio::test(start_paused = true)]
async fn any_clear_refusal_of_a_read_is_reported_and_not_retried() {
    for (code, status) in [("ClientException", 400), ("InvalidParameterException", 400), ("NewException", 403)] {
        for operation in ["DescribeAccessEntry", "DescribeCluster", "ListAssociatedAccessPolicies"] {
            let stage = Stage::set();
            stage.role_with("viewer", viewer()).await;
            let role = stage.recreate("viewer").await;
            stage.cloud.when(operation).reply(status, code, "No.");
            let report = stage.deliver(stage.created(&role)).await;
            let report = report.unwrap_or_else(|error| panic!("{code} of {operation}: {error}"));
            assert_eq!(blind_spots(&report), [(REGION, CLUSTER, "refused")], "{code} of {operation}");
            assert_eq!(report["entries"], json!([]), "not taken for absent");
            assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_refusal_about_the_authentication_mode_says_that_a_cluster_has_no_entries() {
    let texts = [
        ("The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP].", false),
        ("THE CLUSTER'S AUTHENTICATION MODE DOES NOT ALLOW THIS.", false),
        ("The cluster is being migrated.", true),
        ("This operation is not available for this platform version.", true),
    ];
    for (text, is_blind) in texts {
        let stage = Stage::set();
        stage.cloud.add_cluster(REGION, "second");
        stage.node("node").await;
        let role = stage.recreate("node").await;
        for operation in ["DescribeAccessEntry", "ListAccessEntries"] {
            stage.cloud.when(operation).on_cluster(CLUSTER).reply(400, "InvalidRequestException", text);
        }
        let reports = [
            stage.deliver(stage.created(&role)).await.expect("no retry helps"),
            stage.sweep().await,
            stage.invoke(command("check", &role)).await.expect("no retry helps"),
        ];
        for report in reports {
            let expected: &[(&str, &str, &str)] = if is_blind { &[(REGION, CLUSTER, "refused")] } else { &[] };
            assert_eq!(blind_spots(&report), expected, "{text}");
        }
    }
}

/// A record of what was seen good must survive a refusal that says nothing about it.
#[tokio::test(start_paused = true)]
async fn a_refused_list_makes_the_ledger_forget_nothing() {
    let stage = Stage::set();
    stage.cloud.add_cluster(REGION, "second");
    let role = stage.node("node").await;
    stage.sweep().await;
    let row = stage.row(&role).expect("a record");
    let list = stage.cloud.when("ListAccessEntries").on_cluster(CLUSTER);
    list.reply(400, "InvalidRequestException", "The cluster is being migrated.");
    tokio::time::sleep(Duration::from_hours(12)).await;
    stage.sweep().await;
    assert_eq!(stage.row(&role), Some(row));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_created_or_deleted_or_connected_has_nothing_to_see_and_is_no_blind_spot() {
    for status in ["CREATING", "DELETING", "FAILED", "PENDING"] {
        let stage = Stage::set();
        stage.node("node").await;
        stage.cloud.add_cluster(REGION, "other").status(status);
        stage.cloud.add_cluster(REGION, "connected").connected();
        let role = stage.recreate("node").await;
        let reports = [
            stage.deliver(stage.created(&role)).await.unwrap(),
            stage.sweep().await,
            stage.invoke(json!({"command": "check", "clusterName": "connected", "region": REGION})).await.unwrap(),
        ];
        for report in reports {
            assert_eq!(blind_spots(&report), [], "{status}: {report:#}");
        }
        assert!(stage.admits("node"));
    }
}

/// A node role with stale entries in `prod` and in `excluded`, which `CLUSTER_PATTERNS` excludes.
async fn with_an_excluded_cluster() -> (Stage, crate::cloud::Role) {
    let stage = Stage::set().with("CLUSTER_PATTERNS", "!excluded");
    let role = stage.node("node").await;
    stage.cloud.add_cluster(REGION, "excluded");
    stage.cloud.add_entry(REGION, "excluded", &role.arn, EntrySpec::of_type("EC2_LINUX"));
    tokio::time::sleep(Duration::from_hours(1)).await;
    let role = stage.recreate("node").await;
    (stage, role)
}

fn calls_to_excluded(stage: &Stage) -> usize {
    let names = |call: &crate::cloud::Call| {
        call.cluster.as_deref() == Some("excluded") || call.parameters["name"] == "excluded"
    };
    stage.cloud.calls().iter().filter(|call| names(call)).count()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_the_patterns_exclude_is_counted_as_such_and_not_read() {
    for way in ["event", "batch", "sweep", "check"] {
        let (stage, role) = with_an_excluded_cluster().await;
        stage.cloud.clear_calls();
        let event = stage.created(&role);
        let record = json!({"messageId": "m", "eventSource": "aws:sqs", "body": event.to_string(),
            "attributes": {"ApproximateReceiveCount": "1"}});
        let report = match way {
            "event" => stage.deliver(event).await,
            "batch" => stage.deliver(json!({"Records": [record.clone(), record]})).await,
            "sweep" => stage.deliver(json!({"command": "sweep"})).await,
            _ => stage.invoke(json!({"command": "check", "principalArn": role.arn})).await,
        };
        let report = report.unwrap();
        assert_eq!(calls_to_excluded(&stage), 0, "{way}");
        assert_eq!((&report["clusters"], &report["clustersExcluded"]), (&json!(1), &json!(1)), "{way}: {report:#}");
        assert_eq!(report["entries"].as_array().unwrap().len(), 1, "{way}: {report:#}");
        assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 1, "{way}");
        assert_eq!(blind_spots(&report), [], "{way}");
        assert!(!stage.cloud.admits(REGION, "excluded", "node"), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_ledgers_rows_of_an_excluded_cluster_are_neither_renewed_nor_deleted() {
    let stage = Stage::set();
    let kept = stage.node("kept").await;
    let gone = stage.node("gone").await;
    stage.sweep().await;
    let rows = (stage.row(&kept).expect("a record"), stage.row(&gone).expect("a record"));
    stage.cloud.delete_entry(REGION, CLUSTER, &gone.arn);
    tokio::time::sleep(Duration::from_hours(12)).await;
    let stage = stage.with("CLUSTER_PATTERNS", "!prod");
    let report = stage.sweep().await;
    assert_eq!((&report["clusters"], &report["clustersExcluded"]), (&json!(0), &json!(1)), "{report:#}");
    assert_eq!((stage.row(&kept).unwrap(), stage.row(&gone).unwrap()), rows);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_names_an_excluded_cluster_reads_it_and_its_stale_entries_are_held() {
    let (stage, role) = with_an_excluded_cluster().await;
    for words in [
        json!({"command": "repair", "principalArn": role.arn, "clusterName": "excluded"}),
        json!({"command": "sweep", "clusterName": "excluded"}),
    ] {
        let report = stage.invoke(words.clone()).await.unwrap();
        assert_eq!(outcome(&report), ("held", "clusterPattern"), "{words}");
        assert_eq!((&report["clusters"], &report["clustersExcluded"]), (&json!(1), &json!(0)), "{report:#}");
    }
    let mut approval = command_for("approve", &role);
    approval["clusterName"] = json!("excluded");
    stage.invoke_as("approve", approval).await.unwrap();
    assert!(stage.cloud.admits(REGION, "excluded", "node"));
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_repair_in_an_excluded_cluster_is_finished_by_an_event_and_by_a_sweep() {
    for way in ["event", "sweep"] {
        let stage = Stage::set();
        stage.node("node").await;
        let role = stage.recreate("node").await;
        // The first invocation deletes the entry and cannot create it again.
        stage.cloud.when("CreateAccessEntry").from(2).throttle();
        stage.deliver(stage.created(&role)).await.expect_err("an entry is left without its creation");
        assert_eq!((stage.entry(&role), &stage.row(&role).unwrap()["state"]), (None, &json!("repairing")));
        stage.cloud.lift_faults();
        tokio::time::sleep(Duration::from_mins(10)).await;

        let stage = stage.with("CLUSTER_PATTERNS", "!prod");
        let report = match way {
            "event" => stage.deliver(stage.created(&role)).await.unwrap(),
            _ => stage.sweep().await,
        };
        assert!(stage.admits("node"), "{way}: {report:#}");
        assert_eq!(report["clustersExcluded"], 1, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_entry_that_stops_all_others_is_tried_first_in_an_excluded_cluster_too() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| habits.in_use_first = true);
    stage.node("node").await;
    stage.node("other").await;
    stage.cloud.add_cluster(REGION, "second");
    let role = stage.recreate("node").await;
    stage.cloud.habits(|habits| habits.may_pass_roles = false);
    stage.deliver(stage.created(&role)).await.expect_err("the re-creation is refused");
    assert!(stage.cloud.row(LEDGER, "#breaker", "#breaker").is_some());
    stage.cloud.habits(|habits| habits.may_pass_roles = true);
    let other = stage.cloud.role("other");
    stage.cloud.add_entry(REGION, "second", &other.arn, EntrySpec::of_type("EC2_LINUX"));
    tokio::time::sleep(Duration::from_mins(10)).await;
    let other = stage.recreate("other").await;

    let stage = stage.with("CLUSTER_PATTERNS", "second");
    stage.deliver(stage.created(&other)).await.unwrap();

    assert!(stage.admits("node"), "the entry that stopped the others");
    assert!(stage.cloud.admits(REGION, "second", "other"));
    assert!(!stage.admits("other"), "its cluster is excluded");
    assert!(stage.cloud.row(LEDGER, "#breaker", "#breaker").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_command_for_a_cluster_that_does_not_exist_counts_nothing_and_says_so() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    for region in [Some(REGION), None] {
        for name in ["check", "repair", "approve", "restore", "sweep"] {
            let mut words = if name == "sweep" { json!({"command": name}) } else { command(name, &role) };
            words["clusterName"] = json!("nowhere");
            words["region"] = json!(region);
            let alias = if matches!(name, "approve" | "restore") { "approve" } else { "" };
            if !alias.is_empty() {
                words["region"] = json!(REGION);
                words["roleId"] = json!(role.id);
            }
            let report = stage.invoke_as(alias, words).await.unwrap();
            assert_eq!((&report["clusters"], &report["entries"]), (&json!(0), &json!([])), "{name}: {report:#}");
            assert!(report["reason"].as_str().is_some_and(|text| text.contains("nowhere")), "{name}: {report:#}");
            assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 0, "{name}");
        }
    }
    assert_eq!(stage.cloud.metric_sum("AccessEntryValidationErrors", &[]), Some(0.0));
    let report = stage.invoke(command("check", &stage.cloud.add_role("stranger"))).await.unwrap();
    assert_eq!((&report["clusters"], &report["reason"]), (&json!(1), &Value::Null), "{report:#}");
    assert_eq!(report["entries"][0]["verdict"], "missing", "there is a cluster without such an entry");
}

#[tokio::test(start_paused = true)]
async fn of_a_cluster_that_could_not_be_asked_for_nobody_says_that_it_does_not_exist() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.deny("DescribeCluster");
    let mut words = command("check", &role);
    words["clusterName"] = json!("nowhere");
    let report = stage.invoke(words).await.unwrap();
    assert_eq!(report["reason"], Value::Null);
    assert_eq!(blind_spots(&report), [(REGION, "nowhere", "accessDenied")]);
}
