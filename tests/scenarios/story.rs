//! Act two of `make demo`: the story on an AWS that binds role IDs, told step by step.

#![expect(clippy::print_stdout, reason = "a story is told")]

use access_entry_guard::row::form::rfc3339;

use crate::cloud::Unauthorized;
use crate::stage::{CLUSTER, REGION, Stage};

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
    say(&format!("The entry looks healthy: {}, created {}.", entry.kind, rfc3339(entry.created_at)));
    let refusal = stage.cloud.authenticate(REGION, CLUSTER, "node").unwrap_err();
    let Unauthorized::BoundToAnother { bound_to, role_id } = refusal else { panic!("{refusal:?}") };
    say(&format!("The node presents the new role: 401. The entry is bound to {bound_to}, and the role is {role_id}."));
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    let told = |name: &str| report["entries"][0][name].as_str().unwrap_or_default();
    say(&format!("The event arrives. The function finds the entry {}: {}.", told("verdict"), told("outcome")));
    let identity = stage.cloud.authenticate(REGION, CLUSTER, "node").expect("let in");
    say(&format!("The node presents the role again: 200, let in as {}.", identity.username));
    say(&format!("AccessEntryValidationErrors = {}", report["metrics"]["AccessEntryValidationErrors"]));
}
