//! What stands still with an entry: shown beside it, read in nobody's way.

use std::time::Duration;

use access_entry_guard::report::Entry as ReportEntry;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cloud::{Call, EntrySpec, Role, UserKind};
use crate::stage::{CLUSTER, REGION, Stage};

/// The calls that read what uses which role.
pub const READS_OF_IMPACT: [&str; 6] = [
    "ListNodegroups",
    "DescribeNodegroup",
    "ListFargateProfiles",
    "DescribeFargateProfile",
    "ListCapabilities",
    "DescribeCapability",
];

/// Those that were made.
fn reads(stage: &Stage) -> Vec<Call> {
    stage.cloud.calls().into_iter().filter(|call| READS_OF_IMPACT.contains(&call.operation.as_str())).collect()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// A stale entry of this type; nothing in the cluster uses its role yet.
async fn stale(stage: &Stage, name: &str, kind: &str) -> Role {
    stage.role_with(name, EntrySpec::of_type(kind)).await;
    let role = stage.recreate(name).await;
    stage.cloud.clear_calls();
    role
}

/// A resource of `prod` that uses the role.
fn add(stage: &Stage, kind: UserKind, name: &str, role: &Role, status: &str) {
    stage.cloud.cluster(REGION, CLUSTER).user(kind, name, &role.arn, status, minutes(8));
}

/// The only entry of a report.
fn only(report: &Value) -> &Value {
    assert_eq!(report["entries"].as_array().map(Vec::len), Some(1), "{report:#}");
    &report["entries"][0]
}

fn names(entry: &Value) -> Vec<&str> {
    entry["impact"].as_array().map(|it| it.iter().filter_map(|one| one["name"].as_str()).collect()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_repaired_node_entry_shows_the_node_group_that_waits_for_it_and_how_long_eks_will() {
    let stage = Stage::set();
    let role = stale(&stage, "node", "EC2_LINUX").await;
    add(&stage, UserKind::Nodegroup, "workers", &role, "CREATING");
    stage.cloud.cluster(REGION, CLUSTER).issue("AccessDenied");
    add(&stage, UserKind::Nodegroup, "others", &stage.cloud.add_role("other"), "CREATING");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    let entry = only(&report);
    assert_eq!(entry["outcome"], "repaired");
    assert_eq!(
        entry["impact"],
        json!([{"kind": "nodegroup", "name": "workers", "status": "CREATING", "healthIssues": ["AccessDenied"],
            "minutesLeft": 11, "next": "joinsByItself"}])
    );
    let line = stage.log_lines().into_iter().find(|line| line["kind"] == "entry").unwrap();
    assert_eq!((&line["impact"], &line["detail"]), (&entry["impact"], &entry["detail"]));
    assert!(!entry["detail"].as_str().unwrap().contains("impact"), "everything was read");
}

#[tokio::test(start_paused = true)]
async fn a_node_group_that_eks_gave_up_has_to_be_made_again() {
    let stage = Stage::set();
    let role = stale(&stage, "node", "EC2_LINUX").await;
    add(&stage, UserKind::Nodegroup, "workers", &role, "CREATE_FAILED");
    stage.cloud.cluster(REGION, CLUSTER).issue("NodeCreationFailure");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(
        only(&report)["impact"],
        json!([{"kind": "nodegroup", "name": "workers", "status": "CREATE_FAILED",
            "healthIssues": ["NodeCreationFailure"], "next": "recreate"}])
    );
}

#[tokio::test(start_paused = true)]
async fn fargate_profiles_auto_mode_and_capabilities_are_shown_by_their_role() {
    for (kind, entry_type, label) in [
        (Some(UserKind::FargateProfile), "FARGATE_LINUX", "fargateProfile"),
        (Some(UserKind::Capability), "STANDARD", "capability"),
        (None, "EC2", "autoMode"),
    ] {
        let stage = Stage::set();
        let role = stale(&stage, "it", entry_type).await;
        match kind {
            Some(kind) => add(&stage, kind, "user", &role, "ACTIVE"),
            None => drop(stage.cloud.cluster(REGION, CLUSTER).auto_mode(&role.arn)),
        }
        let payload = json!({"command": "check", "principalArn": role.arn});
        let report = stage.invoke(payload).await.unwrap();
        let impact = &only(&report)["impact"];
        assert_eq!((&impact[0]["kind"], &impact[0]["next"]), (&json!(label), &json!("joinsByItself")), "{report:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_entry_shows_what_waits_for_the_person() {
    let stage = Stage::set().with("HOLD", "all");
    let role = stale(&stage, "node", "EC2_LINUX").await;
    add(&stage, UserKind::Nodegroup, "workers", &role, "CREATING");
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!((&only(&report)["outcome"], names(only(&report))), (&json!("held"), vec!["workers"]));
    // It is waited for, but not for ever.
    stage.cloud.when("DescribeNodegroup").hang();
    let start = Instant::now();
    let report = stage.sweep().await;
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    let entry = only(&report);
    assert!(entry.get("impact").is_none() && entry["detail"].as_str().unwrap().contains("may lack some node groups"));
}

/// What a repair takes, and its report, where this was done to AWS.
async fn repair(at_once: &str, groups: u32, disturb: impl Fn(&Stage)) -> (Duration, Value) {
    let stage = Stage::set().with("MAX_CONCURRENCY_PER_REGION", at_once);
    let role = stale(&stage, "node", "EC2_LINUX").await;
    (0..groups).for_each(|n| add(&stage, UserKind::Nodegroup, &format!("ng-{n:02}"), &role, "CREATING"));
    disturb(&stage);
    let start = Instant::now();
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    let took = start.elapsed();
    assert!(stage.admits("node"));
    assert_eq!((&only(&report)["outcome"], &report["blindSpots"]), (&json!("repaired"), &json!([])));
    (took, report)
}

#[tokio::test(start_paused = true)]
async fn a_repair_takes_as_long_whatever_becomes_of_these_reads() {
    for (at_once, least) in [("8", 16), ("2", 0), ("1", 0)] {
        // Nothing but the repair's own requests.
        let (alone, _) =
            repair(at_once, 0, |stage| READS_OF_IMPACT.iter().for_each(|it| stage.cloud.when(it).hang())).await;
        let (with_groups, report) = repair(at_once, 30, |_| ()).await;
        assert_eq!(with_groups, alone, "at most {at_once} at once");
        let shown = names(only(&report)).len();
        assert!(shown >= least, "{shown} of 30, at most {at_once} at once");
        let (denied, report) =
            repair(at_once, 3, |stage| READS_OF_IMPACT.iter().for_each(|it| stage.cloud.deny(it))).await;
        assert_eq!(denied, alone, "denied, at most {at_once} at once");
        let entry = only(&report);
        assert!(entry.get("impact").is_none() && entry["detail"].as_str().unwrap().contains("ListNodegroups"));
        let (failing, _) =
            repair(at_once, 3, |stage| READS_OF_IMPACT.iter().for_each(|it| stage.cloud.when(it).fail())).await;
        assert_eq!(failing, alone, "failing, at most {at_once} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_when_the_work_ends_is_left_out_and_the_detail_says_so() {
    let (_, report) = repair("8", 3, |stage| stage.cloud.when("DescribeNodegroup").nth(2).hang()).await;
    let entry = only(&report);
    assert_eq!(names(entry).len(), 2, "{entry:#}");
    assert!(entry["detail"].as_str().unwrap().contains("`impact` may lack some node groups"), "{entry:#}");
}

#[tokio::test(start_paused = true)]
async fn no_cluster_is_asked_more_than_forty_times_and_the_detail_says_so() {
    let stage = Stage::set();
    let role = stale(&stage, "node", "EC2_LINUX").await;
    (0..50).for_each(|n| add(&stage, UserKind::Nodegroup, &format!("ng-{n:02}"), &role, "ACTIVE"));
    let report = stage.invoke(json!({"command": "check", "principalArn": role.arn})).await.unwrap();
    assert_eq!(reads(&stage).len(), 40);
    let entry = only(&report);
    assert_eq!(names(entry).len(), 39, "one list, and a call for each");
    assert!(entry["detail"].as_str().unwrap().contains("more node groups than 40 calls can read"), "{entry:#}");
    // The rest of the lists counts too.
    stage.cloud.habits(|habits| habits.page_size = Some(1));
    stage.cloud.clear_calls();
    stage.invoke(json!({"command": "check", "principalArn": role.arn})).await.unwrap();
    assert_eq!(reads(&stage).len(), 40);
}

#[tokio::test(start_paused = true)]
async fn what_the_entry_is_for_is_read_first() {
    let stage = Stage::set();
    let role = stale(&stage, "it", "STANDARD").await;
    (0..50).for_each(|n| add(&stage, UserKind::Nodegroup, &format!("ng-{n:02}"), &role, "ACTIVE"));
    add(&stage, UserKind::Capability, "argo", &role, "ACTIVE");
    let report = stage.invoke(json!({"command": "check", "principalArn": role.arn})).await.unwrap();
    let entry = only(&report);
    assert!(names(entry).contains(&"argo"), "{entry:#}");
    assert!(entry.get("detail").is_none(), "capabilities enter by such entries, and all were read: {entry:#}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_read_once_however_many_of_its_entries_are_stale_and_not_at_all_if_none_is() {
    let stage = Stage::set();
    let first = stale(&stage, "first", "EC2_LINUX").await;
    stale(&stage, "second", "EC2_LINUX").await;
    add(&stage, UserKind::Nodegroup, "workers", &first, "ACTIVE");
    stage.sweep().await;
    let mut operations: Vec<String> = reads(&stage).into_iter().map(|call| call.operation).collect();
    operations.sort();
    assert_eq!(operations, ["DescribeNodegroup", "ListCapabilities", "ListFargateProfiles", "ListNodegroups"]);
    stage.cloud.clear_calls();
    stage.sweep().await;
    stage.deliver(stage.created(&first)).await.unwrap();
    assert_eq!(reads(&stage), []);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_while_the_region_refuses_requests() {
    let stage = Stage::set();
    let role = stale(&stage, "node", "EC2_LINUX").await;
    for n in 0..60 {
        stage.cloud.add_cluster(REGION, &format!("more-{n:02}"));
    }
    stage.cloud.limit_eks(5.0, 5.0);
    stage.deliver(stage.created(&role)).await.unwrap();
    assert!(stage.admits("node"));
    assert_eq!(reads(&stage), []);
}

/// Two stale entries, and what uses the one whose name comes last.
async fn two_stale_entries() -> Stage {
    let stage = Stage::set().with("HOLD", "all");
    for name in ["a", "b", "z"] {
        stage.role_with(name, EntrySpec::of_type("EC2_LINUX")).await;
    }
    for name in ["a", "b", "z"] {
        stage.recreate(name).await;
    }
    add(&stage, UserKind::Nodegroup, "well", &stage.cloud.role("b"), "ACTIVE");
    add(&stage, UserKind::Nodegroup, "waits", &stage.cloud.role("z"), "CREATING");
    stage
}

fn roles(entries: &[Value]) -> Vec<&str> {
    let name = |entry: &'_ Value| entry["principalArn"].as_str().and_then(|arn| arn.rsplit('/').next().map(str::len));
    assert!(entries.iter().all(|entry| name(entry) == Some(1)));
    entries.iter().map(|entry| entry["principalArn"].as_str().unwrap().rsplit('/').next().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn among_entries_alike_the_one_that_stops_something_comes_first_in_report_and_log() {
    let stage = two_stale_entries().await;
    let report = stage.sweep().await;
    assert_eq!(roles(report["entries"].as_array().unwrap()), ["z", "b", "a"]);
    let lines: Vec<Value> = stage.log_lines().into_iter().filter(|line| line["kind"] == "entry").collect();
    assert_eq!(roles(&lines), ["z", "b", "a"]);
}

/// A scan of the account by somebody without a deployment.
async fn scanned(stage: &Stage) -> Vec<Value> {
    let seen = stage.scan(&[REGION]).await;
    assert!(seen.blind_spots.is_empty(), "{:?}", seen.blind_spots);
    seen.cases.iter().map(|case| json!(ReportEntry::of(case, &[]))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_scan_shows_the_same_in_the_same_order_and_waits_for_it() {
    let stage = two_stale_entries().await;
    let by_function = stage.sweep().await;
    let by_scan = scanned(&stage).await;
    assert_eq!(roles(&by_scan), ["z", "b", "a"]);
    for (one, other) in by_scan.iter().zip(by_function["entries"].as_array().unwrap()) {
        assert_eq!(one.get("impact"), other.get("impact"));
    }
    stage.cloud.clear_calls();
    for operation in READS_OF_IMPACT {
        stage.cloud.deny(operation);
    }
    let denied = scanned(&stage).await;
    assert_eq!(roles(&denied), ["a", "b", "z"]);
    assert!(denied[0]["detail"].as_str().unwrap().contains("ListNodegroups"), "{denied:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_orphaned_entry_that_something_still_uses_is_seen_by_a_scan() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    add(&stage, UserKind::Nodegroup, "workers", &role, "DEGRADED");
    stage.cloud.delete_role("node");
    stage.settle().await;
    let entries = scanned(&stage).await;
    assert_eq!(entries[0]["verdict"], "orphaned");
    assert_eq!(
        entries[0]["impact"],
        json!([{"kind": "nodegroup", "name": "workers", "status": "DEGRADED", "healthIssues": []}])
    );
}
