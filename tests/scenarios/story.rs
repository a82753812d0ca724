//! Act two of `make demo`: the story on an AWS that binds role IDs, told step by step.

#![expect(clippy::print_stdout, reason = "a story is told")]

use crate::stage::{CLUSTER, Stage};

#[tokio::test(start_paused = true)]
async fn a_node_is_refused_and_let_in_again() {
    let say = |line: &str| println!("  {line}");
    let stage = Stage::set();
    let role = stage.node("node").await;
    say(&format!("The role node ({}) has an access entry in {CLUSTER}.", role.id));
    assert!(stage.admits("node"));
    say("A node presents the role to the cluster: 200, let in.");
    let role = stage.recreate("node").await;
    say(&format!("The role is deleted and created again: same ARN, new ID {}.", role.id));
    let entry = stage.entry(&role).unwrap();
    say(&format!("The entry looks healthy: {}, created {}.", entry.kind, entry.created_at));
    let refusal = stage.cloud.authenticate(crate::stage::REGION, CLUSTER, "node").unwrap_err();
    say(&format!("The node presents the new role: 401. {refusal:?}"));
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    let told = &report["entries"][0];
    say(&format!(
        "The event arrives. The function finds the entry {} and answers: {}.",
        told["verdict"], told["outcome"]
    ));
    let identity = stage.cloud.authenticate(crate::stage::REGION, CLUSTER, "node").expect("let in");
    say(&format!("The node presents the role again: 200, let in as {}.", identity.username));
    say(&format!("AccessEntryValidationErrors = {}", report["metrics"]["AccessEntryValidationErrors"]));
}
