//! Groups and namespaces are sets: EKS promises no order, and another order is no change by anybody.

use std::time::Duration;

use crate::cloud::{Caller, EntrySpec, Policy};
use crate::jobs::{Job, is_same_to_its_owner};
use crate::stage::{CLUSTER, REGION, Stage, command_for, outcome};

/// An entry with two sets of five.
fn with_sets() -> EntrySpec {
    EntrySpec::standard()
        .groups(&["e", "b", "d", "a", "c"])
        .policy_in("AmazonEKSEditPolicy", &["five", "three-*", "one", "two", "four"])
        .policy("AmazonEKSViewPolicy")
}

#[tokio::test(start_paused = true)]
async fn every_job_is_done_if_each_reply_gives_groups_and_namespaces_in_another_order() {
    for job in [Job::Repair, Job::Approval, Job::Sweep, Job::Removal, Job::Restoration] {
        let stage = Stage::set().with("HOLD", if matches!(job, Job::Repair | Job::Sweep) { "none" } else { "all" });
        stage.cloud.habits(|habits| habits.sets_in_any_order = true);
        let scene = job.due_on(stage, with_sets()).await;
        let report = scene.begin().await.unwrap();
        let expected = match job {
            Job::Removal => "removed",
            Job::Restoration => "restored",
            Job::Repair | Job::Approval | Job::Sweep => "repaired",
        };
        assert_eq!(outcome(&report).0, expected, "{job:?}: {report:#}");
        if job != Job::Removal {
            let entry = scene.stage.entry(&scene.role).unwrap();
            assert!(is_same_to_its_owner(&entry, &scene.before), "{job:?}: {entry:#?}");
        }
    }
}

/// What is sent is what the ledger keeps, in the order in which EKS gave it.
#[tokio::test(start_paused = true)]
async fn what_is_created_again_is_sent_in_the_order_in_which_it_was_read() {
    let scene = Job::Repair.due(with_sets()).await;
    scene.begin().await.unwrap();
    let entry = scene.stage.entry(&scene.role).unwrap();
    assert_eq!((&entry.groups, &entry.policies), (&scene.before.groups, &scene.before.policies));
}

/// A group or a namespace more is a change still, also where the count is the same as before.
#[tokio::test(start_paused = true)]
async fn another_group_or_namespace_is_a_change_in_whatever_order() {
    for is_group in [true, false] {
        let stage = Stage::set().with("HOLD", "none");
        stage.cloud.habits(|habits| habits.sets_in_any_order = true);
        stage.role_with("role", with_sets()).await;
        let role = stage.recreate("role").await;
        let arn = role.arn.clone();
        stage.cloud.when("CreateAccessEntry").nth(1).act_before(move |world| {
            if is_group {
                let groups = ["a", "b", "c", "d", "by-hand"].map(str::to_owned);
                world.update_entry(REGION, CLUSTER, &arn, None, Some(&groups)).unwrap();
            } else {
                let policy = Policy::namespaces("AmazonEKSEditPolicy", &["one", "two", "four", "five", "by-hand"]);
                world.associate_policy(REGION, CLUSTER, &arn, &policy, Caller::Other).unwrap();
            }
        });
        let _ = stage.deliver(stage.created(&role)).await;
        tokio::time::sleep(Duration::from_mins(3)).await;
        stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
        assert!(stage.admits("role"));
        let told = format!("{:?}", stage.entry(&role).unwrap());
        assert!(told.contains("by-hand"), "{told}");
    }
}
