//! What a person has in hand: CloudTrail's record as the console shows it, the output of `lookup-events`, the record of
//! a failed invocation. Each is taken by the function's plain name, and none says anything about who made a role.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::Role;
use crate::stage::{Stage, everything, outcome, viewer};

const PIPELINE: &str = "AROAPIPELINE000000001";

/// CloudTrail's record of a role's creation, as the console shows it.
fn record(stage: &Stage, role: &Role) -> Value {
    stage.created(role)["detail"].clone()
}

/// The output of `aws cloudtrail lookup-events`.
fn looked_up(records: &[Value]) -> Value {
    let events = records.iter().map(|record| {
        json!({"EventId": record["eventID"], "EventName": record["eventName"], "ReadOnly": "false",
            "EventTime": 1_768_478_400.0, "EventSource": record["eventSource"], "Username": "session",
            "Resources": [], "CloudTrailEvent": record.to_string()})
    });
    json!({"Events": events.collect::<Vec<_>>()})
}

/// The record of a failed asynchronous invocation, as Lambda sends it to a queue.
fn failed(event: &Value) -> Value {
    json!({"version": "1.0", "timestamp": "2026-01-15T12:00:00Z",
        "requestContext": {"requestId": "r", "functionArn": "arn:aws:lambda:us-east-1:111122223333:function:guard:events",
            "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": event, "responseContext": {"statusCode": 200, "functionError": "Unhandled"}})
}

/// The same as Lambda sends it to an event bus.
fn failed_by_event_bridge(event: &Value) -> Value {
    json!({"version": "0", "id": "1", "detail-type": "Lambda Function Invocation Result - Failure", "source": "lambda",
        "account": "111122223333", "time": "2026-01-15T12:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:111122223333:event-bus/default"], "detail": failed(event)})
}

#[tokio::test(start_paused = true)]
async fn each_form_that_a_person_has_in_hand_repairs_by_the_plain_name_and_by_approve() {
    for alias in ["", "approve"] {
        for form in ["record", "lookup-events", "failure", "failure by EventBridge"] {
            let stage = Stage::set();
            stage.node("node").await;
            let role = stage.recreate("node").await;
            let payload = match form {
                "record" => record(&stage, &role),
                "lookup-events" => looked_up(&[record(&stage, &role)]),
                "failure" => failed(&stage.created(&role)),
                _ => failed_by_event_bridge(&stage.created(&role)),
            };
            let report = stage.invoke_as(alias, payload).await.unwrap_or_else(|error| panic!("{form}: {error}"));
            assert!(stage.admits("node"), "{form}");
            assert_eq!(report["trigger"], "roleCreated", "{form}");
            assert_eq!(report["eventId"], "8d2c1b7e-0000-4000-8000-000000000001", "{form}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_in_by_hand_is_taken_neither_through_events_nor_out_of_a_queue() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.clear_calls();
    let event = stage.created(&role);
    for payload in [record(&stage, &role), looked_up(&[record(&stage, &role)]), failed_by_event_bridge(&event)] {
        let error = stage.deliver(payload.clone()).await.expect_err("by hand only");
        assert_eq!(error.name(), "UnrecognizedPayload");
        assert!(error.to_string().contains("plain name"), "{error}");
        for alias in ["", "events"] {
            let message = json!({"messageId": "m", "eventSource": "aws:sqs", "body": payload.to_string()});
            let report = stage.invoke_as(alias, json!({"Records": [message]})).await.unwrap();
            assert_eq!(report["batchItemFailures"], json!([{"itemIdentifier": "m"}]), "{payload:#}");
        }
    }
    assert!(!stage.admits("node"));
    assert!(stage.cloud.calls_of("DescribeAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_event_out_of_a_failure_record_has_a_creator_whatever_brought_it() {
    let message =
        |body: &Value| json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": body.to_string()}]});
    for form in ["plain", "queued", "failed", "failed and queued"] {
        let stage = Stage::set().with("TRUSTED_CREATORS", PIPELINE);
        stage.role_with("admin", everything()).await;
        let role = stage.recreate("admin").await;
        let event = stage.created(&role);
        let (payload, is_believed) = match form {
            "plain" => (event, true),
            "queued" => (message(&event), true),
            "failed" => (failed(&event), false),
            _ => (message(&failed(&event)), false),
        };
        let report = stage.deliver(payload).await.unwrap();
        let expected = if is_believed { ("repaired", "") } else { ("held", "privileged") };
        assert_eq!(outcome(&report), expected, "{form}");
        assert_eq!(stage.admits("admin"), is_believed, "{form}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_success_is_ignored() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.clear_calls();
    let mut success = failed_by_event_bridge(&stage.created(&role));
    success["detail-type"] = json!("Lambda Function Invocation Result - Success");
    for alias in ["", "events"] {
        let report = stage.invoke_as(alias, success.clone()).await.unwrap();
        assert_eq!(report["trigger"], "ignored");
    }
    assert!(stage.cloud.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn several_records_are_one_pass_that_fails_as_a_whole() {
    let stage = Stage::set();
    stage.role_with("viewer", viewer()).await;
    stage.node("node").await;
    let roles = [stage.cloud.recreate_role("viewer"), stage.cloud.recreate_role("node")];
    stage.settle().await;
    let mut records: Vec<Value> = roles.iter().map(|role| record(&stage, role)).collect();
    let mut foreign = records[0].clone();
    foreign["recipientAccountId"] = json!("999999999999");
    let mut tagged = records[0].clone();
    tagged["eventName"] = json!("TagRole");
    records.extend([foreign, tagged]);

    stage.cloud.clear_calls();
    stage.cloud.when("DescribeAccessEntry").for_role("node").times(100).fail();
    stage.invoke(looked_up(&records)).await.expect_err("one of them is left to do");
    stage.cloud.lift_faults();
    tokio::time::sleep(Duration::from_mins(10)).await;
    stage.cloud.clear_calls();
    let report = stage.invoke(looked_up(&records)).await.unwrap();

    assert_eq!((&report["trigger"], &report["batchItemFailures"]), (&json!("batch"), &json!([])), "{report:#}");
    assert_eq!(report["entries"].as_array().unwrap().len(), 2);
    assert!(stage.admits("viewer") && stage.admits("node"));
    assert_eq!(stage.cloud.calls_of("ListAccessEntries").len(), 1, "one pass over the clusters");
}

#[tokio::test(start_paused = true)]
async fn records_of_which_none_is_for_this_account_are_ignored() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.clear_calls();
    let mut foreign = record(&stage, &role);
    foreign["recipientAccountId"] = json!("999999999999");
    let mut denied = record(&stage, &role);
    denied["errorCode"] = json!("AccessDenied");
    for payload in [foreign.clone(), looked_up(&[foreign, denied]), looked_up(&[])] {
        let report = stage.invoke(payload).await.unwrap();
        assert_eq!(report["trigger"], "ignored", "{report:#}");
        assert!(report["reason"].is_string());
    }
    assert!(stage.cloud.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_without_what_makes_it_one_is_an_error() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    for member in ["eventSource", "eventName", "eventID"] {
        let mut record = record(&stage, &role);
        record.as_object_mut().unwrap().remove(member);
        assert_eq!(stage.invoke(record.clone()).await.unwrap_err().name(), "UnrecognizedPayload", "{member}");
        let error = stage.invoke(looked_up(&[record])).await.unwrap_err().to_string();
        assert!(error.contains(member), "{error}");
    }
}

/// SNS: "Amazon SNS message and JSON formats"; Lambda: "Invoking Lambda functions with Amazon SNS notifications"; Step
/// Functions: "Invoke an AWS Lambda function with Step Functions"; Pipes: "Amazon EventBridge Pipes batching".
#[tokio::test(start_paused = true)]
async fn other_wrappers_are_errors_that_name_the_mistake() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.clear_calls();
    let event = stage.created(&role);
    let notification = json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:1:t",
        "Message": event.to_string(), "Timestamp": "2026-01-15T12:00:00Z", "SignatureVersion": "1"});
    let sns = json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:us-east-1:1:t:s", "Sns": notification}]});
    let message = json!({"messageId": "m", "eventSource": "aws:sqs", "body": event.to_string()});
    let result = json!({"ExecutedVersion": "$LATEST", "StatusCode": 200, "Payload": event, "SdkHttpMetadata": {}});
    let task = json!({"TaskToken": "t", "Input": event});
    for (payload, mistake) in [
        (notification.clone(), "SNS"),
        (sns, "SNS"),
        (result, "Payload"),
        (task, "Input"),
        (json!([message]), "Pipes"),
        (json!([event]), "Pipes"),
    ] {
        for alias in ["", "events", "approve"] {
            let error = stage.invoke_as(alias, payload.clone()).await.unwrap_err();
            assert_eq!(error.name(), "UnrecognizedPayload");
            assert!(error.to_string().contains(mistake), "{mistake}: {error}");
        }
    }
    let queued = json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": notification.to_string()}]});
    let report = stage.deliver(queued).await.unwrap();
    assert_eq!(report["batchItemFailures"], json!([{"itemIdentifier": "m"}]));
    assert!(stage.cloud.calls_of("DescribeAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_caller_of_acquire_role_is_nobodys_creator_and_is_not_shown_as_one() {
    let stage = Stage::set().with("TRUSTED_CREATORS", PIPELINE);
    stage.role_with("admin", everything()).await;
    let role = stage.recreate("admin").await;
    let entry = stage.entry(&role);
    let mut event = stage.created(&role);
    event["detail"]["eventName"] = json!("AcquireRole");

    let report = stage.deliver(event).await.unwrap();

    assert_eq!(outcome(&report), ("held", "privileged"));
    assert_eq!(report["entries"][0]["roleCreatedBy"], Value::Null, "{report:#}");
    assert_eq!(stage.entry(&role), entry);

    // Its creator's own event releases it.
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""));
}

/// IAM still shows the role of before: judged by it, the stale entry would look good.
#[tokio::test(start_paused = true)]
async fn an_event_whose_time_cannot_be_read_waits_for_iam_to_show_its_role() {
    for time in [json!("yesterday"), json!(7), Value::Null] {
        let stage = Stage::set();
        stage.node("node").await;
        stage.cloud.habits(|habits| habits.iam_lags_by = Duration::from_secs(30));
        let role = stage.cloud.recreate_role("node");
        let mut event = stage.created(&role);
        event["time"] = time.clone();
        event["detail"]["eventTime"] = time.clone();
        stage.deliver(event).await.unwrap();
        assert!(stage.admits("node"), "{time}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_time_about_a_role_that_was_replaced_since_ends_and_repairs_for_the_present_role() {
    let stage = Stage::set();
    stage.node("node").await;
    let before = stage.cloud.recreate_role("node");
    let mut event = stage.created(&before);
    event["time"] = Value::Null;
    event["detail"]["eventTime"] = Value::Null;
    stage.recreate("node").await;
    stage.deliver(event).await.unwrap();
    assert!(stage.admits("node"));
}

#[tokio::test(start_paused = true)]
async fn events_without_a_time_wait_side_by_side() {
    let stage = Stage::set().within(Duration::from_mins(5));
    let names: Vec<String> = (0..12).map(|n| format!("node-{n}")).collect();
    let mut records = Vec::new();
    for name in &names {
        stage.node(name).await;
        let mut event = stage.created(&stage.cloud.recreate_role(name));
        event["time"] = Value::Null;
        event["detail"]["eventTime"] = Value::Null;
        records.push(json!({"messageId": name, "eventSource": "aws:sqs", "body": event.to_string(),
            "attributes": {"ApproximateReceiveCount": "1"}}));
        stage.recreate(name).await;
    }
    let report = stage.deliver(json!({"Records": records})).await.unwrap();
    assert_eq!(report["batchItemFailures"], json!([]), "{report:#}");
    assert!(names.iter().all(|name| stage.admits(name)));
}

#[tokio::test(start_paused = true)]
async fn only_events_that_came_through_events_count_as_received() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.invoke(stage.created(&role)).await.unwrap();
    stage.invoke(looked_up(&[record(&stage, &role)])).await.unwrap();
    assert_eq!(stage.cloud.metric_sum("RoleEventsReceived", &[]), Some(0.0));
    stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(stage.cloud.metric_sum("RoleEventsReceived", &[]), Some(1.0));
}
