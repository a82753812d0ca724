//! A role that comes back after its entry was archived with it: nothing is created unattended, and somebody is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{EntrySpec, Role};
use crate::stage::{CLUSTER, REGION, Stage, command, command_for, everything, outcome, viewer};

/// The entry was removed with its role, and a role of the name exists again.
async fn come_back(spec: EntrySpec) -> (Stage, Role) {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove").with("HOLD", "none");
    stage.role_with("role", spec).await;
    stage.cloud.delete_role("role");
    stage.deliver(stage.deleted("role")).await.unwrap();
    let role = stage.cloud.add_role("role");
    assert_eq!(stage.entry(&role), None);
    stage.settle().await;
    stage.cloud.with(|world| world.metrics.clear());
    (stage, role)
}

fn detail(report: &Value) -> &str {
    report["entries"][0]["detail"].as_str().unwrap_or_default()
}

fn count(report: &Value, metric: &str) -> i64 {
    report["metrics"][metric].as_i64().unwrap_or(-1)
}

#[tokio::test(start_paused = true)]
async fn a_role_that_comes_back_after_its_entry_was_removed_is_held_and_a_person_is_told_all_of_it() {
    let (stage, role) = come_back(everything()).await;
    for (alias, payload) in [
        ("events", stage.created(&role)),
        ("", command("repair", &role)),
        ("", json!({"command": "repair", "principalArn": role.arn})),
        ("approve", command_for("approve", &role)),
    ] {
        let report = stage.invoke_as(alias, payload.clone()).await.unwrap();
        assert_eq!(outcome(&report), ("held", "archived"), "{payload}: {report:#}");
        let entry = &report["entries"][0];
        assert_eq!(entry["verdict"], "missing");
        assert_eq!((count(&report, "AccessEntryValidationErrors"), count(&report, "AccessEntriesHeld")), (1, 1));
        for told in ["AmazonEKSClusterAdminPolicy", "deployers", "Nobody has checked the role", "forget"] {
            assert!(detail(&report).contains(told), "{told} in {}", detail(&report));
        }
        let remedy = entry["remedy"].as_str().unwrap();
        assert!(remedy.contains("\"restore\"") && remedy.contains(&role.id), "{remedy}");
        assert_eq!(stage.entry(&role), None, "nothing is created");
    }
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert!(detail(&report).contains("arn:aws:iam::111122223333:role/pipeline"), "{}", detail(&report));
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("restored", ""), "{report:#}");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_lists_a_role_that_came_back_and_counts_it_as_waiting_only_without_a_call_more() {
    let (stage, role) = come_back(viewer()).await;
    stage.cloud.clear_calls();
    let report = stage.sweep().await;
    assert_eq!(outcome(&report), ("held", "archived"), "{report:#}");
    let counts = ["AccessEntryValidationErrors", "AccessEntriesHeld", "AccessEntriesUnresolved"];
    assert_eq!(counts.map(|metric| count(&report, metric)), [0, 0, 0]);
    assert_eq!(count(&report, "AccessEntriesWaiting"), 1);
    let calls: Vec<String> = stage.cloud.calls().into_iter().map(|call| call.operation).collect();
    let (other, _) = come_back(viewer()).await;
    other.cloud.delete_role("role");
    other.cloud.add_role("another");
    other.settle().await;
    other.cloud.clear_calls();
    let report = other.sweep().await;
    assert_eq!((report["entries"].as_array().map(Vec::len), count(&report, "AccessEntriesWaiting")), (Some(0), 0));
    let fewest: Vec<String> = other.cloud.calls().into_iter().map(|call| call.operation).collect();
    let without_the_role_itself = calls.iter().filter(|call| *call != "GetRole").count();
    assert!(without_the_role_itself <= fewest.len(), "{calls:?}\nand {fewest:?}");
    assert_eq!(stage.entry(&role), None);
}

#[tokio::test(start_paused = true)]
async fn a_removed_entry_is_no_matter_without_its_role_or_in_a_later_cluster_or_past_its_time() {
    let (stage, role) = come_back(viewer()).await;
    stage.cloud.delete_role("role");
    stage.settle().await;
    let report = stage.deliver(stage.deleted("role")).await.unwrap();
    assert_eq!(report["entries"], json!([]), "no role");

    let (stage, _) = come_back(viewer()).await;
    stage.cloud.delete_cluster(REGION, CLUSTER);
    stage.cloud.add_cluster(REGION, CLUSTER);
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(report["entries"], json!([]), "a later cluster");

    let (stage, role) = come_back(viewer()).await;
    tokio::time::sleep(Duration::from_hours(24 * 91)).await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(report["entries"], json!([]), "past its time");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_its_owner_makes_for_the_role_that_came_back_ends_the_matter() {
    let (stage, role) = come_back(viewer()).await;
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, viewer());
    stage.settle().await;
    let report = stage.sweep().await;
    assert_eq!(report["entries"], json!([]), "{report:#}");
    assert_eq!(stage.row(&role).unwrap()["state"], "recorded");
}
