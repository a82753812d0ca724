//! Another party's entry stands where ours was deleted, or where one was archived: its owner's word counts, and the only
//! list of what the earlier entry had is kept until that entry has it all, or a person ends the matter.

use std::time::Duration;

use serde_json::Value;

use crate::cloud::{Action, Caller, EntrySpec, Phase, Policy, Role};
use crate::stage::{CLUSTER, REGION, Stage, command, command_for, deliver_until_cut, everything, outcome};

/// Our deletion took effect, and then Terraform created an entry of its own.
async fn replaced_by(spec: EntrySpec) -> (Stage, Role, Value) {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("role", everything()).await;
    let role = stage.recreate("role").await;
    stage.cloud.when("DeleteAccessEntry").nth(1).after(Action::Stop);
    deliver_until_cut(&stage, &role).await;
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, spec);
    stage.settle().await;
    let snapshot = stage.row(&role).unwrap()["snapshot"].clone();
    (stage, role, snapshot)
}

fn archived(stage: &Stage, role: &Role) -> Option<(String, Value)> {
    let row = stage.row(role)?;
    let because = row["archivedBecause"].as_str()?.to_owned();
    (row["state"] == "archived").then(|| (because, row["snapshot"].clone()))
}

#[tokio::test(start_paused = true)]
async fn the_list_of_what_another_partys_entry_lacks_is_archived_and_stays_so_over_two_sweeps() {
    for spec in [
        everything_but(|spec| spec.policies.truncate(1)),
        everything_but(|spec| spec.policies[1].namespaces.truncate(1)),
        everything_but(|spec| spec.groups = Some(vec!["deployers".to_owned()])),
        everything_but(|spec| spec.username = None),
        everything_but(|spec| drop(spec.tags.remove("team"))),
        EntrySpec::standard(),
    ] {
        let told = format!("{spec:?}");
        let (stage, role, snapshot) = replaced_by(spec).await;
        let entry = stage.entry(&role);
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("none", "replacedByOther"), "{told}: {report:#}");
        let detail = report["entries"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("It lacks what the entry had before"), "{told}: {detail}");
        for _ in 0..2 {
            assert_eq!(archived(&stage, &role), Some(("replacedByOther".to_owned(), snapshot.clone())), "{told}");
            tokio::time::sleep(Duration::from_hours(24)).await;
            stage.sweep().await;
        }
        assert_eq!(archived(&stage, &role), Some(("replacedByOther".to_owned(), snapshot)), "{told}");
        assert_eq!(stage.entry(&role), entry, "{told}: it is the owner's");
    }
}

fn everything_but(change: impl FnOnce(&mut EntrySpec)) -> EntrySpec {
    let mut spec = everything();
    change(&mut spec);
    spec
}

#[tokio::test(start_paused = true)]
async fn the_detail_names_all_that_another_partys_entry_lacks() {
    let (stage, role, _) = replaced_by(EntrySpec::standard()).await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    let detail = report["entries"][0]["detail"].as_str().unwrap();
    for lacking in [
        "pipelines:",
        "deployers",
        "viewers",
        "AmazonEKSClusterAdminPolicy",
        "AmazonEKSEditPolicy",
        "team-*",
        "team=platform",
    ] {
        assert!(detail.contains(lacking), "{lacking} in {detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_partys_entry_that_has_everything_is_recorded() {
    let (stage, role, _) = replaced_by(everything()).await;
    // By another party one like ours is ours, as far as anybody can tell; with more it is not.
    let policy = Policy::cluster("AmazonEKSViewPolicy");
    stage.cloud.with(|world| world.associate_policy(REGION, CLUSTER, &role.arn, &policy, Caller::Other).unwrap());
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("none", "replacedByOther"), "{report:#}");
    stage.sweep().await;
    assert_eq!(stage.row(&role).unwrap()["state"], "recorded");
}

#[tokio::test(start_paused = true)]
async fn what_is_archived_is_recorded_again_as_soon_as_the_good_entry_has_it_all() {
    let (stage, role, _) = replaced_by(everything_but(|spec| spec.policies.truncate(1))).await;
    stage.deliver(stage.created(&role)).await.unwrap();
    let policy = Policy::namespaces("AmazonEKSEditPolicy", &["default", "team-*"]);
    stage.cloud.with(|world| world.associate_policy(REGION, CLUSTER, &role.arn, &policy, Caller::Other).unwrap());
    stage.sweep().await;
    let row = stage.row(&role).unwrap();
    assert_eq!((&row["state"], &row["roleId"]), (&"recorded".into(), &role.id.clone().into()), "{row:#}");
    assert!(row["archivedBecause"].is_null() && row["expiresAt"].is_null(), "{row:#}");
}

/// The entry with less goes stale and is repaired as it is; the archive outlasts that, also a cut at any call.
#[tokio::test(start_paused = true)]
async fn the_archive_outlasts_the_repair_of_an_entry_that_has_less() {
    let cuts = [
        None,
        Some(("PutItem", 1)),
        Some(("CreateAccessEntry", 1)),
        Some(("DeleteAccessEntry", 1)),
        Some(("PutItem", 3)),
    ];
    for cut in cuts {
        let (stage, role, snapshot) = replaced_by(EntrySpec::standard().policy("AmazonEKSViewPolicy")).await;
        stage.deliver(stage.created(&role)).await.unwrap();
        let role = stage.recreate("role").await;
        if let Some((operation, nth)) = cut {
            stage.cloud.when(operation).nth(nth).after(Action::Stop);
            deliver_until_cut(&stage, &role).await;
        }
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("repaired", ""), "{cut:?}: {report:#}");
        stage.sweep().await;
        assert!(stage.admits("role"));
        assert_eq!(archived(&stage, &role), Some(("replacedByOther".to_owned(), snapshot)), "{cut:?}");
        assert_eq!(stage.entry(&role).unwrap().policies.len(), 1, "{cut:?}: as its owner had it");
    }
}

/// Restored at a person's word, after the owner of the other entry deleted it.
#[tokio::test(start_paused = true)]
async fn what_was_archived_of_a_replaced_entry_can_be_restored() {
    let (stage, role, _) = replaced_by(EntrySpec::standard()).await;
    stage.deliver(stage.created(&role)).await.unwrap();
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    let _ = stage.invoke(command("repair", &role)).await.unwrap();
    assert_eq!(stage.entry(&role), None);
    let report = stage.invoke_as("approve", command_for("restore", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("restored", ""), "{report:#}");
    assert_eq!(stage.entry(&role).unwrap().policies.len(), 2);
}

/// The next repair's creation meets one more recreation of the role, which IAM shows late: the archive says for which role
/// the entry beside it was made.
#[tokio::test(start_paused = true)]
async fn a_role_that_iam_showed_late_contradicts_the_ledger_beside_an_archive_too() {
    let (stage, role, _) = replaced_by(EntrySpec::standard()).await;
    stage.deliver(stage.created(&role)).await.unwrap();
    let role = stage.recreate(&role.name).await;
    assert_eq!(stage.row(&role).unwrap()["state"], "archived");
    let (mut creations, name) = (0, role.name.clone());
    stage.cloud.intercept(move |call, phase, world| match (call.operation.as_str(), phase) {
        ("CreateAccessEntry", Phase::Before) => {
            creations += 1;
            // The first one is the rehearsal.
            if creations == 2 {
                world.recreate_role(&name);
            }
            Action::Proceed
        }
        ("GetRole", Phase::Before) if creations == 2 => Action::Stale,
        _ => Action::Proceed,
    });
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""), "{report:#}");
    stage.cloud.lift_faults();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let report = stage.deliver(stage.created(&stage.cloud.role(&role.name))).await.unwrap();
    assert_eq!(outcome(&report), ("none", "recordContradictsDates"), "{report:#}");
    assert_eq!(stage.row(&role).unwrap()["state"], "archived");
}
