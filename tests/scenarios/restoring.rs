//! A restore that cannot be done yet: it waits, and that is no failed repair, since it followed no deletion of ours.

use std::time::Duration;

use crate::cloud::trust;
use crate::jobs::{Job, ROLE, Scene};
use crate::stage::{CLUSTER, REGION, Stage, command_for, outcome, viewer};

async fn due_within(time: Duration) -> Scene {
    let mut scene = Job::Restoration.due(viewer()).await;
    scene.stage = scene.stage.within(time);
    scene
}

fn repair_failures(scene: &Scene) -> f64 {
    scene.stage.cloud.metric_sum("AccessEntryRepairFailures", &[]).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_waits_until_eks_knows_the_role_is_no_repair_failure_whoever_goes_on_with_it() {
    let scene = due_within(Duration::from_mins(1)).await;
    scene.stage.cloud.habits(|habits| habits.role_unknown_to_eks_for = Duration::from_hours(1000));
    let error = scene.begin().await.unwrap_err();
    assert!(error.to_string().contains("principalNotYetValid"), "{error}");
    assert_eq!(scene.stage.row(&scene.role).unwrap()["state"], "repairing");
    assert!(scene.stage.cloud.metric_sum("AccessEntryRepairFailures", &[]).is_some(), "it was published");
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_mins(5)).await;
        let _ = scene.stage.deliver(scene.stage.created(&scene.role)).await;
        let _ = scene.begin().await;
        tokio::time::sleep(Duration::from_mins(5)).await;
        scene.stage.sweep().await;
    }
    assert_eq!(repair_failures(&scene).to_string(), "0");
    scene.stage.cloud.habits(|habits| habits.role_unknown_to_eks_for = Duration::ZERO);
    tokio::time::sleep(Duration::from_mins(5)).await;
    scene.stage.sweep().await;
    assert!(scene.is_whole());
}

/// EKS may bind the entry of a younger role to the role before.
#[tokio::test(start_paused = true)]
async fn a_restore_waits_until_the_role_is_old_enough_or_says_that_it_is_not() {
    for (time, expected) in [(Duration::from_mins(15), "restored"), (Duration::from_secs(30), "deferred")] {
        let scene = due_within(time).await;
        let role = scene.stage.cloud.recreate_role(ROLE);
        let report = scene.stage.invoke_as("approve", command_for("restore", &role)).await;
        match (report, scene.stage.entry(&role)) {
            (Ok(report), Some(entry)) => {
                assert_eq!((outcome(&report).0, expected), ("restored", "restored"));
                assert!(entry.created_at >= role.created_at + Duration::from_mins(1), "{entry:#?}, {role:#?}");
                assert!(scene.stage.admits(ROLE));
                let row = scene.stage.row(&role).unwrap();
                assert!(row["grounds"].as_str().unwrap().contains("approve"), "{row:#}");
            }
            (Err(error), None) => {
                assert!(expected == "deferred" && error.to_string().contains("roleTooYoung"), "{error}");
            }
            (report, entry) => panic!("{report:?}, {entry:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_of_a_row_that_another_invocation_works_on_is_no_repair_failure() {
    let scene = due_within(Duration::from_mins(15)).await;
    scene.stage.cloud.when("CreateAccessEntry").hang_after();
    let _ = tokio::time::timeout(Duration::from_secs(5), scene.begin()).await;
    scene.stage.cloud.lift_faults();
    let error = scene.begin().await.unwrap_err();
    assert!(error.to_string().contains("leaseTaken"), "{error}");
    assert_eq!(repair_failures(&scene).to_string(), "0");
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_held_is_no_repair_failure() {
    let scene = due_within(Duration::from_mins(15)).await;
    scene.stage.cloud.with(|world| world.take_role(ROLE, &trust::ec2()));
    let report = scene.begin().await.unwrap();
    assert_eq!(crate::stage::outcome(&report), ("held", "roleChanged"), "{report:#}");
    assert_eq!(repair_failures(&scene).to_string(), "0");
}

/// A repair whose entry was deleted still counts, as long as the entry is not back.
#[tokio::test(start_paused = true)]
async fn a_repair_that_waits_after_its_deletion_is_a_repair_failure_still() {
    let stage = Stage::set().within(Duration::from_mins(1));
    stage.node(ROLE).await;
    let role = stage.recreate(ROLE).await;
    stage.cloud.when("CreateAccessEntry").from(2).reply(
        400,
        "InvalidParameterException",
        "The specified principalArn is invalid: invalid principal.",
    );
    let error = stage.deliver(stage.created(&role)).await.unwrap_err();
    assert!(error.to_string().contains("principalNotYetValid"), "{error}");
    assert_eq!(stage.cloud.entry(REGION, CLUSTER, &role.arn), None);
    assert_eq!(stage.cloud.metric_sum("AccessEntryRepairFailures", &[]).map(|sum| sum.to_string()), Some("1".into()));
}
