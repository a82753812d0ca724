//! `forget` deletes a ledger row, whatever is in it, and reports it whole; who an approver claims to be is shown and
//! kept, and decides nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{EntrySpec, Role};
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, command, command_for, everything, outcome};

const ANA: &str = "arn:aws:sts::111122223333:assumed-role/Admin/ana@example.com";

fn report_line(stage: &Stage) -> Value {
    stage.log_lines().into_iter().rev().find(|line| line["kind"] == "report").expect("a report in the log")
}

/// An entry that was deleted and could not be created again.
async fn with_an_open_row() -> (Stage, Role) {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.when("CreateAccessEntry").from(2).throttle();
    stage.deliver(stage.created(&role)).await.expect_err("an entry is left without its creation");
    stage.cloud.lift_faults();
    assert_eq!(stage.row(&role).unwrap()["state"], "repairing");
    (stage, role)
}

#[tokio::test(start_paused = true)]
async fn forget_deletes_a_row_in_every_mode_and_reports_it_whole_without_a_call_of_eks() {
    for mode in ["repair", "observe"] {
        let stage = Stage::set().with("MODE", mode);
        let role = stage.node("node").await;
        stage.sweep().await;
        let (row, entry) = (stage.row(&role).expect("a record"), stage.entry(&role));
        stage.cloud.clear_calls();
        let mut words = command("forget", &role);
        words["claimedBy"] = json!(ANA);

        let report = stage.invoke_as("approve", words).await.unwrap();

        assert_eq!(stage.row(&role), None);
        assert_eq!((&report["forgotten"], &report["claimedBy"]), (&row, &json!(ANA)), "{report:#}");
        assert_eq!((&report_line(&stage)["forgotten"], &report_line(&stage)["claimedBy"]), (&row, &json!(ANA)));
        assert_eq!(stage.entry(&role), entry);
        let calls: Vec<String> = stage.cloud.calls().into_iter().map(|call| call.operation).collect();
        assert_eq!(calls, ["GetItem", "DeleteItem"]);
    }
}

#[tokio::test(start_paused = true)]
async fn forget_is_for_those_who_may_approve() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.sweep().await;
    for alias in ["", "events"] {
        let error = stage.invoke_as(alias, command("forget", &role)).await.unwrap_err();
        assert_eq!(error.name(), "NotPermitted");
    }
    assert!(stage.row(&role).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_open_row_is_kept_unless_it_is_meant() {
    let (stage, role) = with_an_open_row().await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    let row = stage.row(&role).unwrap();
    let mut words = command("forget", &role);
    for even_open in [Value::Null, json!(false)] {
        words["evenOpen"] = even_open;
        let report = stage.invoke_as("approve", words.clone()).await.unwrap();
        assert_eq!((&report["forgotten"], stage.row(&role)), (&Value::Null, Some(row.clone())));
        assert!(report["reason"].as_str().unwrap().contains("evenOpen"), "{report:#}");
    }
    words["evenOpen"] = json!(true);
    let report = stage.invoke_as("approve", words).await.unwrap();
    assert_eq!((&report["forgotten"], stage.row(&role)), (&row, None));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_an_invocation_works_on_is_not_forgotten() {
    let (stage, role) = with_an_open_row().await;
    let mut row = stage.row(&role).unwrap();
    row["leaseOwner"] = json!("another");
    row["leaseUntil"] = json!((stage.cloud.now() + Duration::from_mins(2)).unix_timestamp());
    stage.cloud.put_row(LEDGER, &row);
    let mut words = command("forget", &role);
    words["evenOpen"] = json!(true);
    let error = stage.invoke_as("approve", words.clone()).await.unwrap_err();
    assert!(error.to_string().contains("leaseTaken"), "{error}");
    assert_eq!(stage.row(&role), Some(row.clone()));
    let entry = stage.log_lines().into_iter().rev().find(|line| line["kind"] == "entry").unwrap();
    assert_eq!((&entry["outcome"], &entry["reason"]), (&json!("deferred"), &json!("leaseTaken")));

    // A lease until the year 2100 was written by nobody who works on the row.
    row["leaseUntil"] = json!(4_102_444_800_i64);
    stage.cloud.put_row(LEDGER, &row);
    let report = stage.invoke_as("approve", words).await.unwrap();
    assert_eq!((&report["forgotten"], stage.row(&role)), (&row, None));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_written_between_reading_and_deleting_stays() {
    let (stage, role) = with_an_open_row().await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    let mut newer = stage.row(&role).unwrap();
    newer["version"] = json!(newer["version"].as_u64().unwrap() + 1);
    let written = newer.clone();
    stage.cloud.when("DeleteItem").act_before(move |world| world.put_row(LEDGER, &written));
    let mut words = command("forget", &role);
    words["evenOpen"] = json!(true);
    let error = stage.invoke_as("approve", words).await.unwrap_err();
    assert!(error.to_string().contains("leaseTaken"), "{error}");
    assert_eq!(stage.row(&role), Some(newer));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_the_deletion_is_no_failure() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.sweep().await;
    let row = stage.row(&role).unwrap();
    stage.cloud.lose_reply("DeleteItem", 1);
    let report = stage.invoke_as("approve", command("forget", &role)).await.unwrap();
    assert_eq!((&report["forgotten"], stage.row(&role)), (&row, None));
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_not_in_order_are_forgotten_too() {
    let principal = "arn:aws:iam::999999999999:role/of-another account";
    let cluster = format!("{REGION}#{CLUSTER}");
    for row in [
        json!({"principalArn": principal, "cluster": cluster}),
        json!({"principalArn": principal, "cluster": cluster, "schema": 99, "version": "one", "state": ["repairing"]}),
        json!({"principalArn": principal, "cluster": cluster, "version": {"a": [1, null, true]}, "state": "recorded"}),
    ] {
        let stage = Stage::set();
        stage.cloud.put_row(LEDGER, &row);
        let words = json!({"command": "forget", "principalArn": principal, "clusterName": CLUSTER, "region": REGION});
        let report = stage.invoke_as("approve", words).await.unwrap();
        assert_eq!(report["forgotten"], row);
        assert!(stage.cloud.rows(LEDGER).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_breakers_row_is_forgotten_by_its_name_alone() {
    let stage = Stage::set();
    let breaker = json!({"principalArn": "#breaker", "cluster": "#breaker", "state": "breaker", "schema": 1, "version": 1,
        "trippedByPrincipal": "arn:aws:iam::111122223333:role/node", "trippedByCluster": "not a cluster", "because": "x"});
    stage.cloud.put_row(LEDGER, &breaker);
    for superfluous in ["clusterName", "region"] {
        let mut words = json!({"command": "forget", "principalArn": "#breaker"});
        words[superfluous] = json!(REGION);
        assert_eq!(stage.invoke_as("approve", words).await.unwrap_err().name(), "UnrecognizedPayload");
    }
    let words = json!({"command": "forget", "principalArn": "#breaker"});
    let report = stage.invoke_as("approve", words.clone()).await.unwrap();
    assert_eq!(report["forgotten"], breaker);
    assert!(stage.cloud.rows(LEDGER).is_empty());
    let report = stage.invoke_as("approve", words).await.unwrap();
    assert_eq!(report["forgotten"], Value::Null);
    assert!(report["reason"].as_str().unwrap().contains("no row"), "{report:#}");
}

#[tokio::test(start_paused = true)]
async fn what_an_approver_claims_to_be_is_shown_and_kept_and_decides_nothing() {
    let stage = Stage::set().with("TRUSTED_CREATORS", "arn:aws:iam::111122223333:role/pipeline");
    stage.role_with("admin", everything()).await;
    let role = stage.recreate("admin").await;
    let mut words = command_for("approve", &role);
    words["claimedBy"] = json!(ANA);
    // The first try ends before the row is closed.
    stage.cloud.when("CreateAccessEntry").from(2).throttle();
    stage.invoke_as("approve", words.clone()).await.expect_err("cut off");
    stage.cloud.lift_faults();
    let grounds = stage.row(&role).unwrap()["grounds"].as_str().unwrap().to_owned();
    assert!(grounds.ends_with(&format!("claims to be {ANA}")), "{grounds}");

    tokio::time::sleep(Duration::from_mins(10)).await;
    let report = stage.invoke_as("approve", words).await.unwrap();
    assert!(stage.admits("admin"));
    assert_eq!(report["entries"][0]["claimedBy"], ANA);
    let entry = stage.log_lines().into_iter().rev().find(|line| line["kind"] == "entry").unwrap();
    assert_eq!(entry["claimedBy"], ANA);

    // A trusted creator's name in it releases nothing where approving does not.
    let stage = Stage::set().with("TRUSTED_CREATORS", "arn:aws:iam::111122223333:role/pipeline");
    stage.role_with("admin", everything()).await;
    let role = stage.recreate("admin").await;
    let mut words = command_for("approve", &role);
    words["roleId"] = json!("AROAANOTHER");
    words["claimedBy"] = json!("arn:aws:iam::111122223333:role/pipeline");
    let report = stage.invoke_as("approve", words.clone()).await.unwrap();
    assert_eq!(outcome(&report), ("held", "roleChanged"));
    let mut words = command("repair", &role);
    words["claimedBy"] = json!(ANA);
    assert_eq!(stage.invoke_as("approve", words).await.unwrap_err().name(), "UnrecognizedPayload");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_no_arn_is_an_error() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    for claim in
        ["ana".to_owned(), "arn:a\nb".to_owned(), format!("arn:{}", "x".repeat(2048)), "arn:\u{202e}x".to_owned()]
    {
        let mut words = command_for("restore", &role);
        words["claimedBy"] = json!(claim);
        let error = stage.invoke_as("approve", words).await.unwrap_err().to_string();
        assert!(error.contains("claimedBy must be an ARN"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn through_events_the_whole_answer_stays_under_its_limit_and_the_log_has_the_rest() {
    let stage = Stage::set().with("HOLD", "all").with("MAX_REPORT_KB", "50");
    for n in 0..120 {
        let role = stage.cloud.add_role(&format!("role-{n:03}"));
        let entry = EntrySpec::standard().username(&format!("ö-{n}")).groups(&["deployers", "viewers"]);
        stage.cloud.add_entry(REGION, CLUSTER, &role.arn, entry);
        let cluster = format!("blind-{n:03}");
        stage.cloud.add_cluster(REGION, &cluster);
        let refused = stage.cloud.when("ListAccessEntries").on_cluster(&cluster);
        refused.reply(400, "ClientException", &"no ".repeat(300));
    }
    tokio::time::sleep(Duration::from_hours(1)).await;
    for n in 0..120 {
        stage.cloud.recreate_role(&format!("role-{n:03}"));
    }
    stage.settle().await;

    let report = stage.deliver(json!({"command": "sweep"})).await.unwrap();
    let bytes = report.to_string().len();
    assert!(bytes <= 50_000, "{bytes} bytes");
    let shown = report["entries"].as_array().unwrap().len();
    assert!(shown >= 10, "{shown} entries in {bytes} bytes");
    assert_eq!(report["entriesOmitted"], 120 - shown);
    assert!(!report["blindSpots"].as_array().unwrap().is_empty());
    let of_kind = |kind: &str| stage.log_lines().iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((of_kind("entry"), of_kind("blindSpot")), (120, 120));

    let report = stage.invoke(json!({"command": "check", "clusterName": CLUSTER})).await.unwrap();
    assert_eq!((report["entries"].as_array().unwrap().len(), &report["entriesOmitted"]), (120, &json!(0)));
}
