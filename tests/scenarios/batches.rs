//! Batches out of the queue, and records of failed invocations.

use serde_json::{Value, json};

use crate::cloud::EntrySpec;
use crate::stage::{CLUSTER, REGION, Stage, everything};

fn batch(records: &[(&str, u32, Value)]) -> Value {
    let record = |(id, received, body): &(&str, u32, Value)| {
        let body = if let Value::String(text) = body { text.clone() } else { body.to_string() };
        json!({"messageId": id, "receiptHandle": "h", "body": body, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "attributes": {"ApproximateReceiveCount": received.to_string()}, "messageAttributes": {},
            "md5OfBody": "0", "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:q"})
    };
    json!({"Records": records.iter().map(record).collect::<Vec<_>>()})
}

fn failures(report: &Value) -> Vec<&str> {
    report["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["itemIdentifier"].as_str().unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_repairs_the_entries_of_each_role_in_one_pass() {
    let stage = Stage::set();
    for n in 0..6 {
        stage.node(&format!("node-{n}")).await;
    }
    let mut events = Vec::new();
    for n in 0..6 {
        events.push(stage.created(&stage.recreate(&format!("node-{n}")).await));
    }
    let ids = ["m0", "m1", "m2", "m3", "m4", "m5"];
    let records: Vec<_> = ids.into_iter().zip(events).map(|(id, event)| (id, 1, event)).collect();
    let report = stage.deliver(batch(&records)).await.unwrap();
    assert_eq!(report["trigger"], "batch");
    assert!(failures(&report).is_empty());
    assert!((0..6).all(|n| stage.admits(&format!("node-{n}"))));
    assert_eq!(stage.cloud.calls_of("ListClusters").len(), 2, "one pass");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_no_cluster_knows_costs_as_much_as_one_role() {
    let count = |stage: &Stage| {
        let of = |op: &str| stage.cloud.calls_of(op).len();
        (of("ListClusters"), of("ListAccessEntries") + of("DescribeAccessEntry"), of("GetRole"), of("PutMetricData"))
    };
    let mut counts = Vec::new();
    for roles in [2, 50] {
        let stage = Stage::set();
        let names: Vec<String> = (0..roles).map(|n| format!("m{n}")).collect();
        let records: Vec<_> =
            names.iter().map(|name| (name.as_str(), 1, stage.created(&stage.cloud.add_role(name)))).collect();
        stage.settle().await;
        stage.deliver(batch(&records)).await.unwrap();
        assert_eq!(stage.cloud.calls_of("Query").len(), roles);
        counts.push(count(&stage));
    }
    assert_eq!(counts[0], (2, 1, 0, 1));
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test(start_paused = true)]
async fn only_the_records_whose_role_did_not_end_well_are_delivered_again() {
    let stage = Stage::set();
    stage.node("good").await;
    stage.node("bad").await;
    stage.role_with("held", everything()).await;
    let (good, bad, held) = (stage.recreate("good").await, stage.recreate("bad").await, stage.recreate("held").await);
    stage.cloud.when("DeleteAccessEntry").for_role("bad").reply(403, "AccessDeniedException", "no");
    let records = [
        ("good", 1, stage.created(&good)),
        ("bad", 1, stage.created(&bad)),
        ("held", 1, stage.created(&held)),
        ("unreadable", 1, json!("not JSON")),
        ("command", 1, json!({"command": "sweep"})),
    ];
    let report = stage.deliver(batch(&records)).await.unwrap();
    let mut failed = failures(&report);
    failed.sort_unstable();
    assert_eq!(failed, ["bad", "command", "unreadable"]);
    assert!(stage.admits("good"));
}

#[tokio::test(start_paused = true)]
async fn a_passing_blind_spot_fails_every_record_up_to_its_third_delivery() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.unreachable_region("us-east-1");
    let event = stage.created(&role);
    let report = stage.deliver(batch(&[("third", 3, event.clone()), ("fourth", 4, event)])).await.unwrap();
    assert_eq!(failures(&report), ["third"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_failed_invocation_is_unwrapped_one_layer() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    let wrap = |payload: Value| {
        json!({"version": "1.0", "timestamp": "2026-01-15T14:00:00Z",
            "requestContext": {"requestId": "r", "functionArn": "arn:aws:lambda:us-east-1:111122223333:function:f:events",
                "condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": payload, "responseContext": {"statusCode": 200}, "responsePayload": {}})
    };
    let report = stage.invoke(wrap(stage.created(&role))).await.unwrap();
    assert_eq!(report["metrics"]["AccessEntriesRepaired"], 1);
    assert!(stage.admits("node"));
    let error = stage.invoke(wrap(json!({"command": "sweep"}))).await.unwrap_err();
    assert_eq!(error.name(), "UnrecognizedPayload");
}

#[tokio::test(start_paused = true)]
async fn entries_of_another_roles_name_are_not_mixed_up() {
    let stage = Stage::set();
    let a = stage.node("node").await;
    let b = stage.node("node-2").await;
    stage.cloud.add_entry(REGION, CLUSTER, &stage.cloud.add_role("other").arn, EntrySpec::of_type("EC2_LINUX"));
    let report = stage.deliver(batch(&[("a", 1, stage.created(&a)), ("b", 1, stage.created(&b))])).await.unwrap();
    assert_eq!(report["entries"].as_array().unwrap().len(), 2);
}
