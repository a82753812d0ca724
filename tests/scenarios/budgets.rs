//! What an invocation costs in calls of AWS, exactly: a call more is a decision, and is made here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Cloud, EntrySpec, HOME_REGION, Role};
use crate::stage::{REGION, Stage, everything};

/// The calls since the last time, by operation.
fn spent(cloud: &Cloud) -> BTreeMap<String, usize> {
    let mut spent = BTreeMap::new();
    for call in cloud.calls() {
        *spent.entry(call.operation).or_default() += 1;
    }
    cloud.clear_calls();
    spent
}

fn budget(calls: &[(&str, usize)]) -> BTreeMap<String, usize> {
    calls.iter().map(|(operation, times)| ((*operation).to_owned(), *times)).collect()
}

/// Twenty clusters in two Regions, one of which (`prod`) is the stage's own.
fn twenty_clusters() -> Stage {
    let stage = Stage::set();
    for n in 1..20 {
        stage.cloud.add_cluster(if n % 2 == 0 { REGION } else { HOME_REGION }, &format!("cluster-{n:02}"));
    }
    stage
}

/// Events of new roles that no cluster knows, in one delivery.
fn batch(stage: &Stage, roles: &[Role]) -> Value {
    let record = |(n, role): (usize, &Role)| {
        json!({"messageId": format!("m{n}"), "receiptHandle": "r", "body": stage.created(role).to_string(),
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "md5OfBody": "",
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:q", "awsRegion": "us-east-1"})
    };
    json!({"Records": roles.iter().enumerate().map(record).collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn an_event_that_no_cluster_knows_costs_a_call_per_region_and_cluster_and_five_more() {
    let stage = twenty_clusters();
    let role = stage.cloud.add_role("new");
    stage.settle().await;
    stage.deliver(stage.created(&role)).await.unwrap();
    let expected = [
        ("ListRegions", 1),
        ("ListClusters", 2),
        ("DescribeAccessEntry", 20),
        ("GetRole", 1),
        ("Query", 1),
        ("PutMetricData", 1),
    ];
    assert_eq!(spent(&stage.cloud), budget(&expected));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_roles_in_a_batch_cost_the_eks_calls_of_one_and_none_of_iam() {
    let stage = twenty_clusters();
    let roles: Vec<Role> = (0..100).map(|n| stage.cloud.add_role(&format!("new-{n}"))).collect();
    stage.settle().await;
    stage.deliver(batch(&stage, &roles)).await.unwrap();
    let expected =
        [("ListRegions", 1), ("ListClusters", 2), ("ListAccessEntries", 20), ("Query", 100), ("PutMetricData", 1)];
    assert_eq!(spent(&stage.cloud), budget(&expected));
}

/// What a repair sends, and beside it the three lists of what uses a role: these take no turn.
#[tokio::test(start_paused = true)]
async fn a_repair_costs_what_it_costs() {
    let node: fn() -> EntrySpec = || EntrySpec::of_type("EC2_LINUX");
    let of_a_node = [
        ("ListRegions", 1),
        ("ListClusters", 2),
        ("DescribeAccessEntry", 4),
        ("DescribeCluster", 4),
        ("GetRole", 5),
        ("CreateAccessEntry", 2),
        ("DeleteAccessEntry", 1),
        ("Query", 1),
        ("GetItem", 1),
        ("PutItem", 5),
        ("PutMetricData", 1),
        ("ListNodegroups", 1),
        ("ListFargateProfiles", 1),
        ("ListCapabilities", 1),
    ];
    let of_everything = [
        ("ListRegions", 1),
        ("ListClusters", 2),
        ("DescribeAccessEntry", 5),
        ("DescribeCluster", 5),
        ("ListAssociatedAccessPolicies", 6),
        ("GetRole", 6),
        ("CreateAccessEntry", 2),
        ("AssociateAccessPolicy", 4),
        ("DeleteAccessEntry", 1),
        ("Query", 1),
        ("GetItem", 1),
        ("PutItem", 5),
        ("PutMetricData", 1),
        ("ListNodegroups", 1),
        ("ListFargateProfiles", 1),
        ("ListCapabilities", 1),
    ];
    for (spec, expected) in [(node, &of_a_node[..]), (everything, &of_everything[..])] {
        let stage = repaired(spec()).await;
        assert_eq!(spent(&stage.cloud), budget(expected));
    }
}

/// A stage after one event repaired one role's entry; its calls are those of the repair.
async fn repaired(spec: EntrySpec) -> Stage {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("role", spec).await;
    let role = stage.recreate("role").await;
    stage.cloud.clear_calls();
    stage.deliver(stage.created(&role)).await.unwrap();
    assert!(stage.admits("role"));
    stage
}

/// How many turns an invocation took: the moments at which something was sent. Every request takes as long as any other,
/// so what is sent at once is answered at once.
fn turns(cloud: &Cloud) -> usize {
    cloud.calls().into_iter().map(|call| call.at).collect::<BTreeSet<_>>().len()
}

#[tokio::test(start_paused = true)]
async fn a_repair_takes_fourteen_turns_for_a_node_and_nineteen_for_a_standard_entry_with_two_policies() {
    let node: fn() -> EntrySpec = || EntrySpec::of_type("EC2_LINUX");
    for (spec, expected) in [(node, 14), (everything, 19)] {
        let stage = repaired(spec()).await;
        assert_eq!(turns(&stage.cloud), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_node_entries_of_one_role_in_one_region_take_at_most_thirty_turns() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    for n in 1..10 {
        let name = format!("cluster-{n}");
        stage.cloud.add_cluster(REGION, &name);
        stage.cloud.add_entry(REGION, &name, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    let role = stage.recreate("node").await;
    stage.cloud.clear_calls();
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(report["metrics"]["AccessEntriesRepaired"], 10);
    assert!(turns(&stage.cloud) <= 30, "{} turns", turns(&stage.cloud));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_describes_an_entry_once_and_never_again_while_its_role_stays() {
    let stage = Stage::set();
    for n in 0..10 {
        stage.role_with(&format!("node-{n}"), EntrySpec::of_type("EC2_LINUX")).await;
    }
    stage.cloud.clear_calls();
    stage.sweep().await;
    let first = [
        ("ListRegions", 1),
        ("ListClusters", 2),
        ("ListAccessEntries", 1),
        ("DescribeCluster", 1),
        ("DescribeAccessEntry", 10),
        ("ListRoles", 1),
        ("Scan", 1),
        ("PutItem", 10),
        ("GetItem", 1),
        ("GetMetricStatistics", 1),
        ("PutMetricData", 1),
    ];
    assert_eq!(spent(&stage.cloud), budget(&first));
    stage.sweep().await;
    let next = [
        ("ListRegions", 1),
        ("ListClusters", 2),
        ("ListAccessEntries", 1),
        ("ListRoles", 1),
        ("Scan", 1),
        ("GetItem", 1),
        ("GetMetricStatistics", 1),
        ("PutMetricData", 1),
    ];
    assert_eq!(spent(&stage.cloud), budget(&next));
    // A date of verification is renewed when it is some hours old.
    tokio::time::sleep(Duration::from_hours(12)).await;
    stage.sweep().await;
    assert_eq!(spent(&stage.cloud), budget(&[&next[..], &[("UpdateItem", 10)]].concat()));
}
