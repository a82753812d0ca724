//! The main job: a recreated role's entries are found and repaired, with everything their owners had set.

use std::time::Duration;

use serde_json::json;

use crate::cloud::{Entry, EntrySpec, trust};
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, everything, outcome, viewer};

/// What the owner of an entry sees: all but its ARN and its dates.
fn as_owned(entry: &Entry) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut tags = entry.tags.clone();
    tags.retain(|key, _| !key.to_ascii_lowercase().starts_with("aws:"));
    let mut policies: Vec<_> = entry
        .policies
        .iter()
        .map(|policy| (policy.policy_arn.clone(), policy.scope.clone(), policy.namespaces.clone()))
        .collect();
    policies.sort();
    (entry.kind.clone(), entry.username.clone(), entry.groups.clone(), tags, policies)
}

#[tokio::test(start_paused = true)]
async fn a_recreated_node_role_is_let_in_again() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    assert!(!stage.admits("node"), "the fault");

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert!(stage.admits("node"));
    assert_eq!(outcome(&report), ("repaired", ""));
    let entry = &report["entries"][0];
    assert_eq!(entry["verdict"], "stale");
    assert_eq!(entry["evidence"], "dates");
    assert_eq!(entry["roleId"], json!(role.id));
    assert_eq!(entry["roleCreatedBy"], "arn:aws:iam::111122223333:role/pipeline");
    assert_ne!(entry["accessEntryArn"], entry["previousAccessEntryArn"]);
    assert!(entry["lockedOutSeconds"].as_u64().unwrap() >= 90);
    assert_eq!(stage.row(&role).unwrap()["state"], "recorded");
    assert_eq!(stage.row(&role).unwrap()["roleId"], json!(role.id));
    assert_eq!(stage.cloud.metric_sum("AccessEntryValidationErrors", &[]), Some(1.0));
    assert_eq!(stage.cloud.metric_sum("AccessEntriesRepaired", &[]), Some(1.0));
    assert_eq!(stage.cloud.metric_sum("AccessEntriesHeld", &[]), Some(0.0));
    let of_cluster = [("Region", REGION), ("ClusterName", CLUSTER)];
    assert_eq!(stage.cloud.metric_sum("AccessEntryValidationErrors", &of_cluster), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn every_type_of_entry_comes_back_as_its_owner_had_it() {
    let kinds = [
        ("EC2_LINUX", trust::ec2()),
        ("EC2_WINDOWS", trust::ec2()),
        ("EC2", trust::ec2()),
        ("FARGATE_LINUX", trust::fargate()),
        ("HYBRID_LINUX", trust::ssm()),
        ("HYPERPOD_LINUX", trust::sagemaker()),
    ];
    for (kind, trust) in kinds {
        let stage = Stage::set();
        let role = stage.cloud.create_role("/nodes/", "node", &trust);
        tokio::time::sleep(Duration::from_mins(1)).await;
        let mut spec = EntrySpec::of_type(kind).tag("owner", "nodes");
        if kind == "EC2" {
            spec = spec.policy("AmazonEKSAutoNodePolicy");
        }
        let before = stage.cloud.add_entry(REGION, CLUSTER, &role.arn, spec);
        tokio::time::sleep(Duration::from_mins(1)).await;
        let role = stage.recreate("node").await;

        let report = stage.deliver(stage.created(&role)).await.unwrap();

        assert_eq!(outcome(&report), ("repaired", ""), "{kind}: {report:#}");
        assert!(stage.admits("node"), "{kind}");
        assert_eq!(as_owned(&stage.entry(&role).unwrap()), as_owned(&before), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_standard_entry_with_everything_comes_back_with_everything() {
    let stage = Stage::set().with("HOLD", "none");
    let role = stage.role_with("admin", everything()).await;
    let before = stage.entry(&role).unwrap();
    let role = stage.recreate("admin").await;

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(outcome(&report), ("repaired", ""));
    assert!(stage.admits("admin"));
    let after = stage.entry(&role).unwrap();
    assert_eq!(as_owned(&after), as_owned(&before));
    assert!(!after.tags.contains_key("aws:cloudformation:stack-name"), "nobody may set it");
}

#[tokio::test(start_paused = true)]
async fn a_generated_user_name_stays_generated() {
    let stage = Stage::set();
    let role = stage.role_with("viewer", viewer()).await;
    let before = stage.entry(&role).unwrap();
    let role = stage.recreate("viewer").await;

    stage.deliver(stage.created(&role)).await.unwrap();

    assert!(stage.admits("viewer"));
    assert_eq!(as_owned(&stage.entry(&role).unwrap()), as_owned(&before));
    let creation = stage.cloud.calls_of("CreateAccessEntry").pop().unwrap();
    assert!(creation.parameters.get("username").is_none(), "sent, it would be pinned");
}

#[tokio::test(start_paused = true)]
async fn entries_in_every_region_and_cluster_are_found_page_by_page() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| {
        habits.page_size = Some(3);
        habits.empty_page_first = true;
        habits.table_page_size = 2;
    });
    let role = stage.node("node").await;
    for n in 0..8 {
        let cluster = format!("cluster-{n}");
        stage.cloud.add_cluster("us-east-1", &cluster);
        stage.cloud.add_entry("us-east-1", &cluster, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    let role = stage.recreate("node").await;

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(report["clusters"], 9);
    assert_eq!(report["metrics"]["AccessEntriesRepaired"], 9);
    assert!(stage.admits("node"));
    assert!((0..8).all(|n| stage.cloud.admits("us-east-1", &format!("cluster-{n}"), "node")));
    assert_eq!(stage.cloud.rows(LEDGER).len(), 9);
}

#[tokio::test(start_paused = true)]
async fn policies_are_carried_over_page_by_page() {
    let stage = Stage::set().with("HOLD", "none");
    stage.cloud.habits(|habits| habits.page_size = Some(1));
    let role = stage.role_with("admin", everything()).await;
    let before = stage.entry(&role).unwrap();
    let role = stage.recreate("admin").await;
    stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(as_owned(&stage.entry(&role).unwrap()), as_owned(&before));
}

#[tokio::test(start_paused = true)]
async fn clusters_without_access_entries_are_neither_errors_nor_blind_spots() {
    let stage = Stage::set();
    stage.cloud.add_cluster(REGION, "old").mode("CONFIG_MAP");
    stage.cloud.add_cluster(REGION, "older").without_access_config();
    stage.cloud.add_cluster(REGION, "coming").status("CREATING");
    stage.cloud.add_cluster(REGION, "going").status("DELETING");
    stage.node("node").await;
    let role = stage.recreate("node").await;

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(report["blindSpots"], json!([]));
    assert_eq!(report["clusters"], 5);
    assert_eq!(outcome(&report), ("repaired", ""));
}

#[tokio::test(start_paused = true)]
async fn the_same_name_under_another_path_is_another_principal() {
    let stage = Stage::set();
    let old = stage.cloud.create_role("/old/", "node", &trust::ec2());
    tokio::time::sleep(Duration::from_mins(1)).await;
    let before = stage.cloud.add_entry(REGION, CLUSTER, &old.arn, EntrySpec::of_type("EC2_LINUX"));
    stage.cloud.delete_role("node");
    let deletion = stage.deleted("node");
    tokio::time::sleep(Duration::from_mins(1)).await;
    let new = stage.cloud.create_role("/new/", "node", &trust::ec2());
    stage.settle().await;

    let report = stage.deliver(stage.created(&new)).await.unwrap();
    assert_eq!(report["entries"], json!([]), "nothing is for the new role");

    let report = stage.deliver(deletion).await.unwrap();
    assert_eq!(outcome(&report), ("reported", ""));
    assert_eq!(report["entries"][0]["verdict"], "orphaned");
    assert_eq!(report["metrics"]["AccessEntriesOrphaned"], 1);
    assert_eq!(stage.entry(&old), Some(before), "left as it was");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_role_with_a_path_is_found_by_its_name_alone() {
    let stage = Stage::set();
    let role = stage.cloud.create_role("/team/a/", "node", &trust::ec2());
    tokio::time::sleep(Duration::from_mins(1)).await;
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    stage.cloud.delete_role("node");

    let report = stage.deliver(stage.deleted("NODE")).await.unwrap();

    assert_eq!(report["trigger"], "roleDeleted");
    assert_eq!(report["entries"][0]["principalArn"], json!(role.arn));
    assert_eq!(outcome(&report), ("reported", ""));
}

#[tokio::test(start_paused = true)]
async fn a_late_deletion_event_does_not_harm_the_new_role() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.deliver(stage.created(&role)).await.unwrap();
    let entry = stage.entry(&role);

    let report = stage.deliver(stage.deleted("node")).await.unwrap();

    assert_eq!(report["entries"][0]["verdict"], "fresh");
    assert_eq!(report["entries"][0]["evidence"], "roleId");
    assert_eq!(stage.entry(&role), entry);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_event_that_finds_a_new_role_repairs_for_it() {
    let stage = Stage::set();
    stage.node("node").await;
    stage.recreate("node").await;
    stage.deliver(stage.deleted("node")).await.unwrap();
    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn an_event_delivered_twice_changes_nothing_the_second_time() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.deliver(stage.created(&role)).await.unwrap();
    let entry = stage.entry(&role);

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(outcome(&report), ("none", ""));
    assert_eq!(stage.entry(&role), entry);
    assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_role_younger_than_the_settle_time_is_waited_for() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.cloud.recreate_role("node");

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert!(stage.admits("node"));
    assert!(report["entries"][0]["lockedOutSeconds"].as_u64().unwrap() >= 60);
    let deletion = stage.cloud.calls_of("DeleteAccessEntry").pop().unwrap();
    assert!(deletion.at - role.created_at >= Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_role_too_young_for_the_time_left_is_deferred_and_the_invocation_retried() {
    let stage = Stage::set().within(Duration::from_secs(40));
    stage.node("node").await;
    let role = stage.cloud.recreate_role("node");

    let error = stage.deliver(stage.created(&role)).await.unwrap_err();

    assert_eq!(error.name(), "RepairIncomplete");
    assert!(error.to_string().contains("roleTooYoung"), "{error}");
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_when_too_little_time_is_left_to_create_again() {
    let stage = Stage::set().within(Duration::from_secs(12));
    stage.node("node").await;
    let role = stage.recreate("node").await;
    let entry = stage.entry(&role);

    let error = stage.deliver(stage.created(&role)).await.unwrap_err();

    assert!(error.to_string().contains("tooLittleTime"), "{error}");
    assert_eq!(stage.entry(&role), entry);
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_the_roles_own_second_is_fresh() {
    let stage = Stage::set();
    let role = stage.cloud.add_role("node");
    tokio::time::sleep(Duration::from_millis(40)).await;
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    stage.settle().await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(report["entries"][0]["verdict"], "fresh");
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_eks_does_not_know_yet_is_waited_for() {
    let stage = Stage::set().with("SETTLE_SECONDS", "0");
    stage.node("node").await;
    let role = stage.cloud.recreate_role("node");
    stage.cloud.habits(|habits| habits.role_unknown_to_eks_for = Duration::from_secs(25));

    stage.deliver(stage.created(&role)).await.unwrap();

    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn policies_that_answer_not_found_for_a_while_are_associated_in_the_end() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| {
        habits.created_entry_hidden_for = Duration::from_secs(3);
        habits.association_refused_for = Duration::from_secs(8);
        habits.deleted_entry_visible_for = Duration::from_secs(2);
        habits.deletion_settles_for = Duration::from_secs(4);
    });
    let role = stage.role_with("viewer", viewer()).await;
    let before = stage.entry(&role).unwrap();
    let role = stage.recreate("viewer").await;

    stage.deliver(stage.created(&role)).await.unwrap();

    assert!(stage.admits("viewer"));
    assert_eq!(as_owned(&stage.entry(&role).unwrap()), as_owned(&before));
}

#[tokio::test(start_paused = true)]
async fn a_role_deleted_again_before_the_event_is_read_is_an_orphans() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.delete_role("node");

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(report["entries"][0]["verdict"], "orphaned");
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_iam_that_still_shows_the_old_role_is_asked_again() {
    let stage = Stage::set();
    stage.node("node").await;
    stage.cloud.habits(|habits| habits.iam_lags_by = Duration::from_secs(20));
    let role = stage.cloud.recreate_role("node");
    tokio::time::sleep(Duration::from_secs(2)).await;

    stage.deliver(stage.created(&role)).await.unwrap();

    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn without_a_ledger_nothing_is_deleted() {
    let stage = Stage::set().with("LEDGER_TABLE", "");
    stage.node("node").await;
    let role = stage.recreate("node").await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "noLedger"));
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_ledger_there_is_no_list_not_even_an_empty_one_and_a_good_entry_is_no_failure() {
    let stage = Stage::set().with("LEDGER_TABLE", "");
    stage.node("node").await;
    assert!(stage.invoke(json!({"command": "inventory"})).await.is_err());
    assert_eq!(stage.sweep().await["entries"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_created_again_is_never_deleted() {
    let spec = |kind: &str| EntrySpec::of_type(kind).made_by_aws();
    let cases = [
        (spec("STANDARD").username("eks:node-manager"), "a reserved user name"),
        (spec("STANDARD").groups(&["system:masters"]), "a reserved group"),
        (spec("STANDARD").policy("AmazonEKSComputePolicy"), "a policy that only AWS may attach"),
        (spec("EC2_LINUX").groups(&["my-nodes"]), "a node entry with a group of its owner's"),
    ];
    for (spec, what) in cases {
        let stage = Stage::set().with("HOLD", "none");
        stage.role_with("special", spec).await;
        let role = stage.recreate("special").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "cannotRecreate"), "{what}");
        assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_clusters_own_role_is_never_touched() {
    let stage = Stage::set().with("HOLD", "none");
    let role = stage.role_with("own", viewer()).await;
    stage.cloud.cluster(REGION, CLUSTER).role(&role.arn);
    let role = stage.recreate("own").await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "cannotRecreate"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_entry_that_shows_for_long_is_not_taken_for_its_owners_deletion() {
    let stage = Stage::set().with("HOLD", "none").with("SETTLE_SECONDS", "0");
    stage.cloud.habits(|habits| {
        habits.deleted_entry_visible_for = Duration::from_secs(25);
        habits.role_unknown_to_eks_for = Duration::from_secs(6);
    });
    let role = stage.role_with("admin", everything()).await;
    let before = stage.entry(&role).unwrap();
    let role = stage.cloud.recreate_role("admin");
    let _ = stage.deliver(stage.created(&role)).await;
    stage.settle().await;
    stage.settle().await;
    let _ = stage.deliver(stage.created(&role)).await;
    assert!(stage.admits("admin"));
    assert_eq!(as_owned(&stage.entry(&role).unwrap()), as_owned(&before));
}

#[tokio::test(start_paused = true)]
async fn a_good_entry_is_recorded_for_later() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(report["entries"][0]["evidence"], "dates");
    let row = stage.row(&role).unwrap();
    assert_eq!((&row["state"], &row["roleId"], &row["schema"]), (&json!("recorded"), &json!(role.id), &json!(1)));
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(report["entries"][0]["evidence"], "roleId");
    let new = stage.recreate("node").await;
    let report = stage.deliver(stage.created(&new)).await.unwrap();
    assert_eq!(report["entries"][0]["previousRoleId"], json!(role.id));
    assert_eq!(report["entries"][0]["evidence"], "roleId");
}
