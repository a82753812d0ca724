//! What an invocation that was cut left behind, after the owner of the entry acted: his will stands, and no row is stuck.

use std::time::Duration;

use serde_json::Value;

use crate::cloud::{Action, Caller, EntrySpec, Policy, Role};
use crate::stage::{CLUSTER, REGION, Stage, command, command_for, deliver_until_cut, outcome};

/// The owner deletes the entry just before the rehearsal, which so creates one, and the invocation is cut.
async fn revived_by_a_rehearsal(spec: EntrySpec) -> (Stage, Role) {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("role", spec).await;
    let role = stage.recreate("role").await;
    let arn = role.arn.clone();
    stage.cloud.when("CreateAccessEntry").nth(1).act_before(move |world| world.delete_entry(REGION, CLUSTER, &arn));
    stage.cloud.when("CreateAccessEntry").nth(1).after(Action::Stop);
    deliver_until_cut(&stage, &role).await;
    assert!(stage.admits("role"), "the rehearsal created an entry");
    (stage, role)
}

fn archived_because(stage: &Stage, role: &Role) -> Option<String> {
    let row = stage.row(role)?;
    (row["state"] == "archived").then(|| row["archivedBecause"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_a_cut_rehearsal_revived_is_held_and_never_recorded_as_good() {
    for spec in [EntrySpec::of_type("EC2_LINUX"), crate::stage::viewer(), crate::stage::everything()] {
        let (stage, role) = revived_by_a_rehearsal(spec).await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "changedMeanwhile"), "{report:#}");
        assert_eq!(archived_because(&stage, &role).as_deref(), Some("changedMeanwhile"));
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_hours(24)).await;
            let report = stage.sweep().await;
            assert_eq!(outcome(&report), ("held", "changedMeanwhile"), "{report:#}");
            let report = stage.invoke(command("repair", &role)).await.unwrap();
            assert_eq!(outcome(&report), ("held", "changedMeanwhile"), "{report:#}");
            assert_eq!(archived_because(&stage, &role).as_deref(), Some("changedMeanwhile"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_a_cut_rehearsal_revived_and_a_sweep_finds_first_is_held() {
    let (stage, role) = revived_by_a_rehearsal(EntrySpec::of_type("EC2_LINUX")).await;
    let report = stage.sweep().await;
    assert_eq!(outcome(&report), ("held", "changedMeanwhile"), "{report:#}");
    assert_eq!(archived_because(&stage, &role).as_deref(), Some("changedMeanwhile"));
}

/// The reply to the rehearsal is lost, and reads do not show at first what it created.
#[tokio::test(start_paused = true)]
async fn an_entry_that_a_rehearsal_without_an_answer_revived_is_never_recorded_as_good() {
    for hidden_for in [0, 2, 20] {
        let stage = Stage::set();
        stage.cloud.habits(|habits| habits.created_entry_hidden_for = Duration::from_secs(hidden_for));
        stage.node("node").await;
        let role = stage.recreate("node").await;
        let arn = role.arn.clone();
        stage.cloud.when("CreateAccessEntry").nth(1).act_before(move |world| world.delete_entry(REGION, CLUSTER, &arn));
        stage.cloud.lose_reply("CreateAccessEntry", 1);
        let _ = stage.deliver(stage.created(&role)).await;
        tokio::time::sleep(Duration::from_mins(3)).await;
        stage.sweep().await;
        let recorded = stage.row(&role).is_some_and(|row| row["state"] == "recorded");
        assert!(!(stage.admits("node") && recorded), "hidden for {hidden_for} s: {:#?}", stage.row(&role));
    }
}

/// The owner changes the entry just before the deletion: after it was noted as sent, and before it is.
async fn changed_before_a_noted_deletion(hold: &str, spec: EntrySpec) -> (Stage, Role, Value) {
    let stage = Stage::set().with("HOLD", hold);
    stage.role_with("role", spec).await;
    let role = stage.recreate("role").await;
    let arn = role.arn.clone();
    // The row is opened, and then notes the deletion.
    stage.cloud.when("PutItem").nth(2).act_after(move |world| {
        let groups = ["by-hand".to_owned()];
        world.update_entry(REGION, CLUSTER, &arn, None, Some(&groups)).unwrap();
        let policy = Policy::namespaces("AmazonEKSEditPolicy", &["by-hand"]);
        world.associate_policy(REGION, CLUSTER, &arn, &policy, Caller::Other).unwrap();
    });
    stage.cloud.when("PutItem").nth(2).after(Action::Stop);
    deliver_until_cut(&stage, &role).await;
    let row = stage.row(&role).unwrap();
    assert!(row["deletionSentAt"].is_string() && row["state"] == "repairing", "{row:#}");
    (stage, role, row)
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_changed_and_not_deleted_is_judged_anew_after_a_minute_whoever_comes() {
    for (command_name, alias) in [("repair", ""), ("approve", "approve"), ("sweep", "events"), ("event", "events")] {
        let (stage, role, _) = changed_before_a_noted_deletion("none", crate::stage::viewer()).await;
        let payload = match command_name {
            "repair" => command("repair", &role),
            "approve" => command_for("approve", &role),
            "sweep" => serde_json::json!({"command": "sweep"}),
            _ => stage.created(&role),
        };
        let report = stage.invoke_as(alias, payload).await.unwrap();
        assert_eq!(outcome(&report), ("repaired", ""), "{command_name}: {report:#}");
        assert!(stage.admits("role"), "{command_name}");
        let entry = stage.entry(&role).unwrap();
        assert_eq!((entry.groups.len(), entry.policies.len()), (1, 2), "{command_name}: all of the owner's settings");
        assert_eq!(stage.row(&role).unwrap()["state"], "recorded");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_changed_and_not_deleted_obeys_the_guardrails_as_it_is_now() {
    // Without its groups it gave little; with them a person has to look at it.
    let (stage, role, _) = changed_before_a_noted_deletion("privileged", crate::stage::viewer()).await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "privileged"), "{report:#}");
    assert!(!stage.admits("role"));
    assert_eq!(stage.row(&role), None, "no repair is open");
    let report = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""), "{report:#}");
}

/// A repair whose role was recreated after its creation, and before its policies were back: it starts over with its own
/// unfinished entry, of which only the row knows the rest. It is cut while that entry stands.
async fn started_over_with_its_own_entry() -> (Stage, Role) {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("role", crate::stage::everything()).await;
    let role = stage.recreate("role").await;
    // The second creation follows the rehearsal.
    stage.cloud.when("CreateAccessEntry").nth(2).after(Action::Stop);
    deliver_until_cut(&stage, &role).await;
    let role = stage.recreate("role").await;
    // Lease, start over, and no more.
    stage.cloud.when("PutItem").nth(2).after(Action::Stop);
    deliver_until_cut(&stage, &role).await;
    let row = stage.row(&role).unwrap();
    assert!(row["isOwnEntry"] == true && row["deletionSentAt"].is_null(), "{row:#}");
    assert_eq!(stage.entry(&role).unwrap().policies.len(), 0, "the entry lacks what the row has");
    (stage, role)
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_entry_of_ours_that_its_owner_deletes_is_archived_with_all_its_settings() {
    let (stage, role) = started_over_with_its_own_entry().await;
    let snapshot = stage.row(&role).unwrap()["snapshot"].clone();
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("none", "deletedByOwner"), "{report:#}");
    assert_eq!(archived_because(&stage, &role).as_deref(), Some("deletedByOwner"));
    assert_eq!(stage.row(&role).unwrap()["snapshot"], snapshot);
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("restored", ""), "{report:#}");
    assert_eq!(stage.entry(&role).unwrap().policies.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_entry_of_ours_that_late_reads_do_not_show_for_half_a_minute_is_repaired() {
    let (stage, role) = started_over_with_its_own_entry().await;
    // Every read of it for half a minute.
    let ends = stage.cloud.now() + Duration::from_secs(30);
    stage.cloud.intercept(move |call, phase, world| {
        let is_late = call.operation == "DescribeAccessEntry" && phase == crate::cloud::Phase::Before;
        if is_late && world.now() < ends {
            let message = "The specified principalArn could not be found.".to_owned();
            return Action::Reply(404, "ResourceNotFoundException".to_owned(), message);
        }
        Action::Proceed
    });
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""), "{report:#}");
    assert_eq!(stage.entry(&role).unwrap().policies.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_ignore_tag_set_before_the_deletion_closes_the_row_of_a_repair_that_changed_nothing() {
    for (on_cluster, is_recorded) in [(false, false), (false, true), (true, false), (true, true)] {
        let stage = Stage::set().with("HOLD", "none");
        stage.role_with("role", crate::stage::everything()).await;
        if is_recorded {
            stage.sweep().await;
        }
        let role = stage.recreate("role").await;
        let arn = role.arn.clone();
        // The row is opened; the tag comes before the deletion is noted.
        stage.cloud.when("CreateAccessEntry").nth(1).act_after(move |world| {
            let tag = ("access-entry-guard".to_owned(), "ignore".to_owned());
            let cluster = world.cluster(REGION, CLUSTER);
            let tags = if on_cluster { &mut cluster.tags } else { &mut cluster.entries.get_mut(&arn).unwrap().tags };
            tags.extend([tag]);
        });
        let entry = stage.entry(&role).unwrap().arn;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "ignoreTag"), "{report:#}");
        let left = stage.row(&role).map(|row| row["state"].clone());
        assert_eq!(left, is_recorded.then(|| "recorded".into()), "on the cluster: {on_cluster}");
        assert_eq!(stage.entry(&role).unwrap().arn, entry);
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignore_tag_closes_the_row_of_a_cut_repair_that_changed_nothing() {
    for on_cluster in [false, true] {
        for comes in ["event", "sweep"] {
            let stage = Stage::set().with("HOLD", "none");
            stage.node("node").await;
            let role = stage.recreate("node").await;
            stage.cloud.when("CreateAccessEntry").nth(1).after(Action::Stop);
            deliver_until_cut(&stage, &role).await;
            assert_eq!(stage.row(&role).unwrap()["state"], "repairing");
            let arn = role.arn.clone();
            stage.cloud.with(|world| {
                let tag = ("access-entry-guard".to_owned(), "ignore".to_owned());
                let cluster = world.cluster(REGION, CLUSTER);
                let tags =
                    if on_cluster { &mut cluster.tags } else { &mut cluster.entries.get_mut(&arn).unwrap().tags };
                tags.extend([tag]);
            });
            let report =
                if comes == "sweep" { stage.sweep().await } else { stage.deliver(stage.created(&role)).await.unwrap() };
            assert_eq!(outcome(&report), ("held", "ignoreTag"), "{report:#}");
            assert_eq!(stage.row(&role), None, "{comes}, on the cluster: {on_cluster}");
        }
    }
}

/// What was deleted already is all in the row: that stays open, whatever the tag.
#[tokio::test(start_paused = true)]
async fn an_ignore_tag_leaves_the_row_of_a_repair_that_deleted_the_entry_open() {
    let stage = Stage::set().with("HOLD", "none");
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.when("DeleteAccessEntry").nth(1).after(Action::Stop);
    deliver_until_cut(&stage, &role).await;
    stage.cloud.cluster(REGION, CLUSTER).tag("access-entry-guard", "ignore");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "ignoreTag"), "{report:#}");
    assert_eq!(stage.row(&role).unwrap()["state"], "repairing");
}
