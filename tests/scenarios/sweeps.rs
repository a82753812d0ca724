//! The sweep: what events missed, what is unfinished, what cannot be judged, and what was left as it was.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::EntrySpec;
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, everything, viewer};

fn verdicts(report: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> =
        report["entries"].as_array().unwrap().iter().map(|e| (text(e, "verdict"), text(e, "reason"))).collect();
    all.sort();
    all
}

/// IAM bound the entry to an earlier ID than its dates say: seen good with one ID, now there is another.
fn contradict_the_dates(stage: &Stage, role: &str) {
    let id = "AROAANOTHERID00000001".to_owned();
    stage.cloud.with(|world| world.roles.get_mut(role).expect("the role").id = id);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_repairs_what_no_event_told() {
    let stage = Stage::set();
    stage.node("node").await;
    stage.recreate("node").await;
    let report = stage.sweep().await;
    assert_eq!(report["trigger"], "sweep");
    assert!(stage.admits("node"));
    for (metric, value) in [("SweepsCompleted", 1.0), ("AccessEntriesUnresolved", 0.0), ("EntriesNotReached", 0.0)] {
        assert_eq!(stage.cloud.metric_sum(metric, &[]), Some(value), "{metric}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_stays_counted_by_every_later_sweep() {
    let stage = Stage::set();
    stage.role_with("admin", everything()).await;
    stage.recreate("admin").await;
    for n in 1..=3 {
        stage.sweep().await;
        assert_eq!(stage.cloud.metric_sum("AccessEntriesUnresolved", &[]), Some(f64::from(n)));
        tokio::time::sleep(Duration::from_hours(24)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_judged_is_told_and_never_touched() {
    let stage = Stage::set().with("HOLD", "none").with("ON_ROLE_DELETED", "remove");
    let strangers = [
        ("arn:aws:iam::999999999999:role/foreign", "otherAccount"),
        ("arn:aws:iam::111122223333:user/alice", "iamUser"),
    ];
    for (arn, _) in strangers {
        stage.cloud.add_principal(arn);
        stage.cloud.add_entry(REGION, CLUSTER, arn, EntrySpec::standard());
    }
    let report = stage.sweep().await;
    assert_eq!(
        verdicts(&report),
        [("undecided".to_owned(), "iamUser".to_owned()), ("undecided".to_owned(), "otherAccount".to_owned())]
    );
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn good_entries_are_recorded_and_not_described_again() {
    let stage = Stage::set();
    for n in 0..10 {
        stage.node(&format!("node-{n}")).await;
    }
    let report = stage.sweep().await;
    assert_eq!(report["entriesExamined"], 10);
    assert_eq!(report["entries"], json!([]), "fresh ones are not listed");
    stage.cloud.clear_calls();
    let report = stage.sweep().await;
    assert_eq!(report["entriesExamined"], 10);
    assert!(stage.cloud.calls_of("DescribeAccessEntry").is_empty());
    assert!(stage.cloud.calls_of("GetRole").is_empty());
    assert_eq!(stage.cloud.calls_of("ListRoles").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_daily_sweep_says_when_an_entry_was_last_seen_good_and_one_within_hours_writes_nothing() {
    async fn last_seen(stage: &Stage) -> String {
        let answer = stage.invoke(json!({"command": "inventory"})).await.unwrap();
        answer["inventory"][0]["verifiedAt"].as_str().unwrap().to_owned()
    }
    let stage = Stage::set();
    stage.node("node").await;
    stage.sweep().await;
    let first = last_seen(&stage).await;

    tokio::time::sleep(Duration::from_hours(5)).await;
    stage.sweep().await;
    assert_eq!(last_seen(&stage).await, first);

    tokio::time::sleep(Duration::from_hours(19)).await;
    stage.sweep().await;
    assert!(last_seen(&stage).await > first);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_contradicts_the_dates_is_counted_and_never_changed_unattended() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.sweep().await;
    contradict_the_dates(&stage, "node");
    let entry = stage.entry(&role);
    let report = stage.sweep().await;
    assert_eq!(verdicts(&report), [("undecided".to_owned(), "recordContradictsDates".to_owned())]);
    assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 1);
    assert_eq!(report["metrics"]["AccessEntriesUnresolved"], 1);
    assert_eq!(stage.entry(&role), entry);
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_record_could_not_be_read_again_is_a_blind_spot_and_not_good() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.sweep().await;
    contradict_the_dates(&stage, "node");
    stage.cloud.when("GetItem").for_role(&role.name).reply(400, "AccessDeniedException", "no");
    let report = stage.sweep().await;
    assert_eq!(report["entriesExamined"], 0, "by its dates it would look good");
    assert_eq!(report["blindSpots"][0]["clusterName"], CLUSTER, "{report:#}");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_begins_no_more_than_so_many_deletions() {
    let stage = Stage::set().with("MAX_REPAIRS", "3");
    for n in 0..5 {
        stage.node(&format!("node-{n}")).await;
    }
    for n in 0..5 {
        stage.recreate(&format!("node-{n}")).await;
    }
    let report = stage.sweep().await;
    assert_eq!(report["metrics"]["AccessEntriesRepaired"], 3);
    let held = verdicts(&report).into_iter().filter(|(_, reason)| reason == "repairBudget").count();
    assert_eq!(held, 2);
    stage.sweep().await;
    assert!((0..5).all(|n| stage.admits(&format!("node-{n}"))));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_leaves_most_of_the_limit_to_others() {
    let stage = Stage::set();
    for n in 0..30 {
        stage.cloud.add_cluster(REGION, &format!("cluster-{n}"));
    }
    stage.sweep().await;
    assert!(stage.cloud.peak_in_flight(REGION) <= 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_cuts_is_counted_and_first_next_time() {
    let stage = Stage::set().within(Duration::from_secs(30));
    for n in 0..20 {
        let role = stage.node(&format!("node-{n}")).await;
        let cluster = format!("cluster-{n:02}");
        stage.cloud.add_cluster("us-east-1", &cluster);
        stage.cloud.add_entry("us-east-1", &cluster, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    }
    stage.cloud.habits(|habits| habits.request_delay = Duration::from_millis(700));
    let report = stage.sweep().await;
    let not_reached = report["entriesNotReached"].as_u64().unwrap();
    assert!(not_reached > 0, "{report:#}");
    assert_eq!(report["metrics"]["EntriesNotReached"], not_reached);
    let mut left = not_reached;
    for _ in 0..6 {
        left = stage.sweep().await["entriesNotReached"].as_u64().unwrap();
    }
    assert!(left < not_reached, "it goes on where it stopped");
}

#[tokio::test(start_paused = true)]
async fn a_silent_event_path_is_noticed() {
    let stage = Stage::set();
    stage.cloud.add_role("new");
    tokio::time::sleep(Duration::from_hours(1)).await;
    stage.sweep().await;
    assert_eq!(stage.cloud.metric_sum("EventPathSilent", &[]), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn an_event_path_that_works_is_not_called_silent() {
    let stage = Stage::set();
    let role = stage.cloud.add_role("new");
    stage.settle().await;
    stage.deliver(stage.created(&role)).await.unwrap();
    tokio::time::sleep(Duration::from_hours(1)).await;
    stage.sweep().await;
    assert_eq!(stage.cloud.metric_sum("EventPathSilent", &[]), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_could_see_nothing_fails() {
    for operation in ["ListClusters", "ListRoles"] {
        let stage = Stage::set();
        stage.node("node").await;
        stage.cloud.deny(operation);
        let error = stage.deliver(json!({"command": "sweep"})).await.unwrap_err();
        assert_eq!(error.name(), "RepairIncomplete", "{operation}");
        assert_eq!(stage.cloud.metric_sum("SweepsCompleted", &[]), None, "{operation}");
        assert!(stage.log_lines().iter().any(|line| line["kind"] == "report"), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_entries_that_are_gone_are_forgotten() {
    let stage = Stage::set();
    let role = stage.role_with("viewer", viewer()).await;
    stage.sweep().await;
    assert!(stage.row(&role).is_some());
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    stage.sweep().await;
    assert_eq!(stage.row(&role), None);
}

#[tokio::test(start_paused = true)]
async fn a_record_written_after_the_list_of_entries_outlives_that_list() {
    let stage = Stage::set();
    let role = stage.role_with("viewer", viewer()).await;
    stage.sweep().await;
    // Deleted when the sweep lists, and put back and recorded by somebody else before it looks at its records.
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    let mut newer = stage.row(&role).unwrap();
    newer["version"] = json!(newer["version"].as_u64().unwrap() + 2);
    let row = newer.clone();
    stage.cloud.when("ListAccessEntries").act_after(move |world| world.put_row(LEDGER, &row));
    stage.sweep().await;
    assert_eq!(stage.row(&role), Some(newer));
}
