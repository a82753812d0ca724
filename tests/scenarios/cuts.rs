//! The world stops at the n-th call, before or after it takes effect, for every n: whoever comes next finishes the
//! work, nothing is lost and nothing is granted to anybody else.

use std::time::Duration;

use serde_json::json;

use crate::cloud::{Entry, EntrySpec, Phase, Role};
use crate::stage::{LEDGER, Stage, everything, outcome};

/// What woke the function up the second time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Second {
    SameEvent,
    Sweep,
    AnotherRecreation,
}

async fn cut_at(n: usize, phase: Phase, spec: EntrySpec, second: Second) -> Option<(Stage, Entry, Role)> {
    let stage = Stage::set().with("HOLD", "none");
    let role = stage.role_with("role", spec).await;
    let before = stage.entry(&role).unwrap();
    let mut role = stage.recreate("role").await;
    stage.cloud.clear_calls();
    stage.cloud.stop_at(n, phase);
    let event = stage.created(&role);
    tokio::select! {
        _ = stage.deliver(event.clone()) => return None,
        () = stage.cloud.stopped() => {}
    }
    stage.cloud.lift_faults();
    stage.cloud.restart();
    // The lease of the invocation that was cut has to end first.
    tokio::time::sleep(Duration::from_mins(3)).await;
    match second {
        Second::SameEvent => drop(stage.deliver(event).await.unwrap()),
        Second::Sweep => drop(stage.sweep().await),
        Second::AnotherRecreation => {
            role = stage.recreate("role").await;
            stage.deliver(stage.created(&role)).await.unwrap();
        }
    }
    Some((stage, before, role))
}

fn owned(entry: &Entry) -> String {
    let mut policies: Vec<_> = entry.policies.iter().map(|p| (&p.policy_arn, &p.scope, &p.namespaces)).collect();
    policies.sort();
    let tags: Vec<_> = entry.tags.iter().filter(|(key, _)| !key.starts_with("aws:")).collect();
    format!("{:?}", (&entry.kind, &entry.username, &entry.groups, tags, policies))
}

async fn cut_everywhere(spec: fn() -> EntrySpec, second: Second) {
    let mut cuts = 0;
    for phase in [Phase::Before, Phase::After] {
        for n in 1.. {
            let Some((stage, before, role)) = cut_at(n, phase, spec(), second).await else { break };
            cuts += 1;
            let at = format!("cut at call {n}, {phase:?}, then {second:?}");
            assert!(stage.admits("role"), "{at}: the role is not let in");
            assert_eq!(owned(&stage.entry(&role).unwrap()), owned(&before), "{at}");
            let row = stage.row(&role).unwrap();
            assert_eq!(row["state"], "recorded", "{at}: {row:#}");
            assert_eq!(row["roleId"], json!(role.id), "{at}");
            assert_eq!(stage.cloud.rows(LEDGER).len(), 1, "{at}: a breaker?");
            // Once more changes nothing.
            let entry = stage.entry(&role);
            let report = stage.deliver(stage.created(&role)).await.unwrap();
            assert_eq!(outcome(&report), ("none", ""), "{at}");
            assert_eq!(stage.entry(&role), entry, "{at}");
        }
    }
    assert!(cuts >= 30, "only {cuts} cuts");
}

#[tokio::test(start_paused = true)]
async fn a_node_repair_cut_anywhere_is_finished_by_the_same_event() {
    cut_everywhere(|| EntrySpec::of_type("EC2_LINUX").tag("a", "b"), Second::SameEvent).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_repair_cut_anywhere_is_finished_by_a_sweep() {
    cut_everywhere(|| EntrySpec::of_type("EC2_LINUX"), Second::Sweep).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_repair_cut_anywhere_is_finished_by_the_same_event() {
    cut_everywhere(everything, Second::SameEvent).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_repair_cut_anywhere_is_finished_by_a_sweep() {
    cut_everywhere(everything, Second::Sweep).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_repair_cut_anywhere_is_finished_for_a_role_recreated_once_more() {
    cut_everywhere(everything, Second::AnotherRecreation).await;
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_was_cut_keeps_its_lease_for_a_while() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.when("DeleteAccessEntry").hang_after();
    let event = stage.created(&role);
    let _ = tokio::time::timeout(Duration::from_secs(5), stage.deliver(event.clone())).await;
    stage.cloud.lift_faults();

    let error = stage.deliver(event).await.unwrap_err();

    assert!(error.to_string().contains("leaseTaken"), "{error}");
    assert!(!stage.admits("node"));
    tokio::time::sleep(Duration::from_mins(3)).await;
    stage.sweep().await;
    assert!(stage.admits("node"));
}
