//! What people ask for, and with which right.

use serde_json::json;

use crate::stage::{CLUSTER, REGION, Stage, command, command_for, everything, outcome};

#[tokio::test(start_paused = true)]
async fn approval_needs_the_alias() {
    let stage = Stage::set();
    stage.role_with("admin", everything()).await;
    let role = stage.recreate("admin").await;
    for alias in ["", "events"] {
        let error = stage.invoke_as(alias, command_for("approve", &role)).await.unwrap_err();
        assert_eq!(error.name(), "NotPermitted");
    }
    assert!(!stage.admits("admin"));
    let report = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""));
    assert!(stage.admits("admin"));
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_for_the_role_id_that_the_person_looked_at() {
    let stage = Stage::set();
    stage.role_with("admin", everything()).await;
    let looked_at = stage.recreate("admin").await;
    stage.recreate("admin").await;
    let report = stage.invoke_as("approve", command_for("approve", &looked_at)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "roleChanged"));
    assert!(!stage.admits("admin"));
}

#[tokio::test(start_paused = true)]
async fn approval_does_not_override_mode_and_ignore_tag() {
    let stage = Stage::set().with("MODE", "observe");
    stage.role_with("admin", everything()).await;
    let role = stage.recreate("admin").await;
    let report = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("wouldRepair", ""));
    let stage = stage.with("MODE", "repair");
    stage.cloud.cluster(REGION, CLUSTER).tag("access-entry-guard", "ignore");
    let report = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "ignoreTag"));
}

#[tokio::test(start_paused = true)]
async fn repair_by_hand_obeys_every_guardrail() {
    let stage = Stage::set();
    stage.role_with("admin", everything()).await;
    stage.node("node").await;
    let (admin, node) = (stage.recreate("admin").await, stage.recreate("node").await);
    assert_eq!(outcome(&stage.invoke(command("repair", &admin)).await.unwrap()), ("held", "privileged"));
    assert_eq!(outcome(&stage.invoke(command("repair", &node)).await.unwrap()), ("repaired", ""));
}

#[tokio::test(start_paused = true)]
async fn a_check_looks_and_changes_nothing() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    let of_role = stage.invoke(json!({"command": "check", "principalArn": role.arn})).await.unwrap();
    let of_cluster = stage.invoke(json!({"command": "check", "clusterName": CLUSTER, "region": REGION})).await.unwrap();
    for report in [of_role, of_cluster] {
        assert_eq!(outcome(&report), ("none", ""));
        assert_eq!(report["entries"][0]["verdict"], "stale");
        assert_eq!(report["command"], "check");
    }
    let writes = ["CreateAccessEntry", "DeleteAccessEntry", "AssociateAccessPolicy", "PutItem", "DeleteItem"];
    assert!(writes.iter().all(|operation| stage.cloud.calls_of(operation).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_named_and_is_not_there_is_missing() {
    let stage = Stage::set();
    let role = stage.cloud.add_role("node");
    let report = stage.invoke(command("check", &role)).await.unwrap();
    assert_eq!(report["entries"][0]["verdict"], "missing");
    assert_eq!(outcome(&report), ("none", ""));
}

#[tokio::test(start_paused = true)]
async fn the_inventory_lists_the_ledger_page_by_page() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| habits.table_page_size = 2);
    for n in 0..5 {
        let role = stage.node(&format!("node-{n}")).await;
        stage.deliver(stage.created(&role)).await.unwrap();
    }
    let answer = stage.invoke(json!({"command": "inventory"})).await.unwrap();
    let items = answer["inventory"].as_array().unwrap();
    assert_eq!(items.len(), 5);
    assert_eq!(items[0]["type"], "EC2_LINUX");
    assert!(items.iter().all(|item| item["roleId"].is_string() && item["verifiedAt"].is_string()));
}

/// A repair that was refused after its deletion, in a cluster of its own, for a role that was then taken over.
async fn a_caught_entry(stage: &Stage) -> crate::cloud::Role {
    stage.cloud.habits(|habits| habits.in_use_first = true);
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.habits(|habits| habits.may_pass_roles = false);
    let error = stage.deliver(stage.created(&role)).await.unwrap_err();
    assert!(error.to_string().contains("recreationRefused"), "{error}");
    stage.cloud.habits(|habits| habits.may_pass_roles = true);
    role
}

#[tokio::test(start_paused = true)]
async fn an_approval_for_one_cluster_is_none_for_the_entry_that_was_caught_in_another() {
    let stage = Stage::set().with("HOLD", "all");
    stage.cloud.add_cluster(REGION, "other");
    let stage = stage.with("HOLD", "privileged");
    let role = a_caught_entry(&stage).await;
    stage.cloud.add_entry(REGION, "other", &role.arn, crate::cloud::EntrySpec::of_type("EC2_LINUX"));
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    let stage = stage.with("HOLD", "all");
    let taken = stage.recreate("node").await;
    let mut approval = command_for("approve", &taken);
    approval["clusterName"] = json!("other");
    let _ = stage.invoke_as("approve", approval).await;
    assert!(!stage.admits("node"), "nobody approved this one");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_repair_whose_entry_is_gone_can_be_restored() {
    let stage = Stage::set().with("MODE", "repair");
    let role = a_caught_entry(&stage).await;
    tokio::time::sleep(std::time::Duration::from_mins(3)).await;
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("restored", ""), "{report:#}");
    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn a_check_counts_no_ignored_entry() {
    let stage = Stage::set();
    stage.cloud.cluster(REGION, CLUSTER).tag("access-entry-guard", "ignore");
    stage.node("node").await;
    let role = stage.recreate("node").await;
    let report = stage.invoke(command("check", &role)).await.unwrap();
    assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 0);
}
