//! Every `remedy` does what it is printed for: it is run as it stands, and the role is let in.

use serde_json::{Value, json};

use crate::cloud::Role;
use crate::stage::{CLUSTER, REGION, Stage, command, command_for, everything, outcome, viewer};

/// Runs the remedy of the report's only entry, without its remarks.
async fn run(stage: &Stage, report: &Value) -> Value {
    let remedy = report["entries"][0]["remedy"].as_str().unwrap_or_else(|| panic!("no remedy: {report:#}"));
    let command = remedy.lines().find(|line| !line.starts_with('#')).expect("a command");
    let after = |option: &str| command.split(option).nth(1).unwrap_or_default().trim_start();
    let function = after("--function-name").split(' ').next().unwrap_or_default();
    let alias = function.split(':').nth(7).unwrap_or_default();
    let payload = after("--payload").trim_start_matches('\'').split('\'').next().unwrap_or_default();
    let payload = serde_json::from_str(payload).unwrap_or_else(|error| panic!("{error}: {payload}"));
    stage.invoke_as(alias, payload).await.unwrap_or_else(|error| panic!("{remedy}: {error}"))
}

async fn stale(stage: &Stage, name: &str) -> Role {
    stage.role_with(name, everything()).await;
    stage.recreate(name).await
}

#[tokio::test(start_paused = true)]
async fn the_remedy_of_what_waits_for_a_decision_releases_it() {
    for (setting, value, reason) in
        [("HOLD", "privileged", "privileged"), ("HOLD", "all", "holdAll"), ("ROLE_PATTERNS", "other-*", "rolePattern")]
    {
        let stage = Stage::set().with(setting, value);
        let role = stale(&stage, "admin").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", reason));
        assert_eq!(outcome(&run(&stage, &report).await).0, "repaired", "{reason}");
        assert!(stage.admits("admin"), "{reason}");
    }
    let stage = Stage::set().with("CLUSTER_PATTERNS", "other-*").with("HOLD", "none");
    let role = stale(&stage, "admin").await;
    let report = stage.invoke(command("repair", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "clusterPattern"));
    run(&stage, &report).await;
    assert!(stage.admits("admin"));
}

#[tokio::test(start_paused = true)]
async fn the_remedy_for_another_role_id_names_the_present_one() {
    let stage = Stage::set();
    let role = stale(&stage, "admin").await;
    let present = stage.recreate("admin").await;
    let report = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "roleChanged"));
    run(&stage, &report).await;
    assert!(stage.admits("admin"), "{}", present.id);
}

#[tokio::test(start_paused = true)]
async fn the_remedy_of_a_restore_for_another_role_id_restores() {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    let role = stage.role_with("admin", everything()).await;
    stage.cloud.with(|world| world.delete_role("admin"));
    stage.settle().await;
    stage.deliver(stage.deleted("admin")).await.unwrap();
    assert!(stage.entry(&role).is_none(), "archived and removed");
    stage.cloud.add_role("admin");
    stage.settle().await;
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "roleChanged"), "{report:#}");
    assert_eq!(outcome(&run(&stage, &report).await).0, "restored");
    assert!(stage.admits("admin"));
}

#[tokio::test(start_paused = true)]
async fn the_remedy_of_a_refused_rehearsal_repairs_once_the_refusal_is_gone() {
    let stage = Stage::set();
    stage.role_with("viewer", viewer()).await;
    let role = stage.recreate("viewer").await;
    stage.cloud.deny("AssociateAccessPolicy");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "rehearsalRefused"));
    stage.cloud.allow("AssociateAccessPolicy");
    run(&stage, &report).await;
    assert!(stage.admits("viewer"));
}

#[tokio::test(start_paused = true)]
async fn the_remedy_of_what_a_sweep_had_no_place_for_repairs_it() {
    let stage = Stage::set().with("MAX_REPAIRS", "0");
    stage.role_with("viewer", viewer()).await;
    stage.recreate("viewer").await;
    let report = stage.sweep().await;
    assert_eq!(outcome(&report), ("held", "repairBudget"));
    run(&stage, &report).await;
    assert!(stage.admits("viewer"));
}

#[tokio::test(start_paused = true)]
async fn in_observe_the_remedy_says_first_that_the_mode_has_to_be_changed() {
    let stage = Stage::set().with("MODE", "observe");
    let role = stale(&stage, "admin").await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "privileged"));
    let approved = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
    assert_eq!(outcome(&approved), ("wouldRepair", ""));
    for report in [report, approved] {
        let remedy = report["entries"][0]["remedy"].as_str().unwrap();
        assert!(remedy.starts_with("# First deploy with Mode=repair"), "{remedy}");
        let stage = stage.clone().with("MODE", "repair");
        let recreated = run(&stage, &report).await;
        assert_eq!(recreated["trigger"], "command");
        assert!(stage.admits("admin"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_command_cures_has_no_remedy() {
    let stage = Stage::set().with("LEDGER_TABLE", "");
    stage.role_with("viewer", viewer()).await;
    let role = stage.recreate("viewer").await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "noLedger"));
    assert_eq!(report["entries"][0].get("remedy"), None);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_cannot_be_done_says_what_is_missing() {
    let stage = Stage::set();
    let role = stage.role_with("viewer", viewer()).await;
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    let detail = |report: &Value| report["entries"][0]["detail"].as_str().unwrap_or_default().to_owned();
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert!(detail(&report).contains("neither an archived entry nor an unfinished repair"), "{report:#}");

    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    let role = stage.role_with("viewer", viewer()).await;
    stage.cloud.with(|world| world.delete_role("viewer"));
    stage.settle().await;
    stage.deliver(stage.deleted("viewer")).await.unwrap();
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert!(detail(&report).contains("The role does not exist"), "{report:#}");
}

#[tokio::test(start_paused = true)]
async fn a_restore_beside_an_entry_says_what_that_one_lacks_and_how_to_bring_it_back() {
    let stage = Stage::set().with("ON_ROLE_DELETED", "remove");
    stage.role_with("admin", everything()).await;
    stage.cloud.with(|world| world.delete_role("admin"));
    stage.settle().await;
    stage.deliver(stage.deleted("admin")).await.unwrap();
    let role = stage.cloud.add_role("admin");
    stage.settle().await;
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, viewer());
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("none", ""), "{report:#}");
    let detail = report["entries"][0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("AmazonEKSClusterAdminPolicy") && detail.contains("delete the entry, then restore"),
        "{detail}"
    );
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report).0, "restored", "{report:#}");
    assert_eq!(stage.entry(&role).unwrap().policies.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_that_makes_an_entry_wait_is_named_cluster_administration_first() {
    let stage = Stage::set();
    let role = stale(&stage, "admin").await;
    let report = stage.invoke(command("repair", &role)).await.unwrap();
    let detail = report["entries"][0]["detail"].as_str().unwrap();
    let places =
        ["AmazonEKSClusterAdminPolicy for cluster", "Kubernetes groups", "user name"].map(|it| detail.find(it));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn the_inventory_tells_whose_role_was_recreated_or_is_gone() {
    let stage = Stage::set();
    for name in ["good", "recreated", "gone"] {
        let role = stage.role_with(name, everything()).await;
        stage.deliver(stage.created(&role)).await.unwrap();
    }
    stage.recreate("recreated").await;
    stage.cloud.with(|world| world.delete_role("gone"));
    let answer = stage.invoke(json!({"command": "inventory"})).await.unwrap();
    let known = |name: &str| {
        let items = answer["inventory"].as_array().unwrap();
        let item = items.iter().find(|item| item["principalArn"].as_str().unwrap().ends_with(&format!("/{name}")));
        item.unwrap()["known"].as_str().unwrap().to_owned()
    };
    assert_eq!(["good", "recreated", "gone"].map(known), ["good", "roleRecreated", "roleGone"]);
    assert!(answer["note"].as_str().unwrap().contains("access-entry-guard scan"));
}
