//! `ON_ROLE_DELETED=remove`: orphaned entries are archived, then deleted, and come back at a person's word only.

use std::time::Duration;

use serde_json::json;

use crate::cloud::EntrySpec;
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, command_for, everything, outcome};

#[tokio::test(start_paused = true)]
async fn an_orphaned_entry_is_archived_and_removed_and_restored_by_a_person() {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    let role = stage.role_with("admin", everything()).await;
    let before = stage.entry(&role).unwrap();
    stage.cloud.delete_role("admin");

    let report = stage.deliver(stage.deleted("admin")).await.unwrap();

    assert_eq!(outcome(&report), ("removed", "roleDeleted"));
    assert_eq!(stage.entry(&role), None);
    let row = stage.row(&role).unwrap();
    assert_eq!(row["state"], "archived");
    assert!(row["expiresAt"].is_i64());

    // A role of the name comes back: nothing is restored unattended.
    let role = stage.cloud.add_role("admin");
    stage.settle().await;
    stage.deliver(stage.created(&role)).await.unwrap();
    stage.sweep().await;
    assert!(!stage.admits("admin"));

    assert_eq!(stage.invoke(command_for("restore", &role)).await.unwrap_err().name(), "NotPermitted");
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("restored", ""), "{report:#}");
    assert!(stage.admits("admin"));
    assert_eq!(stage.entry(&role).unwrap().policies.len(), before.policies.len());
}

#[tokio::test(start_paused = true)]
async fn by_default_an_orphaned_entry_is_only_reported() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.delete_role("node");
    let report = stage.deliver(stage.deleted("node")).await.unwrap();
    assert_eq!(outcome(&report), ("reported", ""));
    assert!(stage.entry(&role).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_comes_back_while_it_is_waited_for_keeps_its_entry_repaired() {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    stage.node("node").await;
    stage.cloud.delete_role("node");
    let event = stage.deleted("node");
    let owner = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        stage.cloud.add_role("node");
    };
    let (report, ()) = tokio::join!(stage.deliver(event), owner);
    assert_eq!(outcome(&report.unwrap()), ("repaired", ""));
    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn removal_obeys_mode_ledger_and_tag_and_what_could_not_be_created_again() {
    let cases = [
        ("MODE", "observe", "wouldRemove", ""),
        ("LEDGER_TABLE", "", "held", "noLedger"),
        ("ROLE_PATTERNS", "!node", "held", "rolePattern"),
    ];
    for (name, value, what, why) in cases {
        let stage = Stage::set().with("ON_ROLE_DELETED", "remove").with(name, value);
        stage.node("node").await;
        stage.cloud.delete_role("node");
        let report = stage.deliver(stage.deleted("node")).await.unwrap();
        assert_eq!(outcome(&report), (what, why), "{name}={value}");
    }
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    let spec = EntrySpec::standard().groups(&["eks:managed"]).made_by_aws();
    let role = stage.role_with("special", spec).await;
    stage.cloud.delete_role("special");
    let report = stage.deliver(stage.deleted("special")).await.unwrap();
    assert_eq!(outcome(&report), ("held", "cannotRecreate"));
    assert!(stage.cloud.entry(REGION, CLUSTER, &role.arn).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_archived_entry_past_its_time_counts_as_absent() {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    stage.node("node").await;
    stage.cloud.delete_role("node");
    stage.deliver(stage.deleted("node")).await.unwrap();
    tokio::time::sleep(Duration::from_hours(24 * 91)).await;
    let role = stage.cloud.add_role("node");
    stage.settle().await;
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("none", ""));
    assert!(!stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_gone_leaves_an_unfinished_repair_to_a_person() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.when("CreateAccessEntry").from(2).throttle();
    let _ = stage.deliver(stage.created(&role)).await;
    stage.cloud.lift_faults();
    stage.cloud.delete_cluster(REGION, CLUSTER);
    tokio::time::sleep(Duration::from_mins(3)).await;
    stage.cloud.add_cluster(REGION, CLUSTER);
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("removed", "clusterGone"));
    assert!(!stage.admits("node"), "never restored in a later cluster of the name");
    assert_eq!(stage.row(&role).unwrap()["state"], "archived");
}

#[tokio::test(start_paused = true)]
async fn an_archived_row_past_its_time_does_not_stand_in_the_way_of_a_repair() {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    stage.node("node").await;
    stage.cloud.delete_role("node");
    stage.deliver(stage.deleted("node")).await.unwrap();
    tokio::time::sleep(Duration::from_hours(24 * 91)).await;
    let role = stage.node("node").await;
    stage.deliver(stage.created(&role)).await.unwrap();
    let role = stage.recreate("node").await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""), "{report:#}");
    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn what_was_archived_stays_archived_where_the_entry_goes_before_its_repair_has_begun() {
    for gone_at in ["PutItem", "CreateAccessEntry", "DeleteAccessEntry"] {
        let stage = Stage::set();
        stage.node("node").await;
        stage.sweep().await;
        let role = stage.recreate("node").await;
        // A removal that is under way elsewhere: it has written the archive, and its deletion comes late.
        let mut row = stage.row(&role).unwrap();
        row["state"] = json!("archived");
        row["archivedBecause"] = json!("roleDeleted");
        row["expiresAt"] = json!(stage.cloud.now().unix_timestamp() + 86400 * 90);
        stage.cloud.put_row(LEDGER, &row);
        let arn = role.arn.clone();
        stage.cloud.when(gone_at).act_before(move |world| world.delete_entry(REGION, CLUSTER, &arn));
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("none", "deletedByOwner"), "{gone_at}");
        let mut left = stage.row(&role).expect("the archive");
        assert!(left["version"].as_u64() > row["version"].as_u64(), "{gone_at}: it was taken");
        left["version"] = row["version"].clone();
        assert_eq!(left, row, "{gone_at}");
    }
}
