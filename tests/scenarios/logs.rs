//! The log tells what was done, in documented fields, and nothing that a reader of logs should not have: no credential,
//! and of an event only what says which role it is about and who made it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Cloud, EntrySpec, UserKind};
use crate::stage::{CLUSTER, REGION, Stage, command, command_for, everything, viewer};

/// What no log line and no error may contain.
const SECRET: &str = "S3CR3T";

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/reference.md"));

/// What of an event is told: which role, who created it, when, and why it is none of our business.
const TOLD: [&str; 18] = [
    "/source",
    "/detail-type",
    "/account",
    "/time",
    "/detail/eventSource",
    "/detail/eventName",
    "/detail/eventID",
    "/detail/eventTime",
    "/detail/errorCode",
    "/detail/recipientAccountId",
    "/detail/requestParameters/roleName",
    "/detail/requestParameters/path",
    "/detail/responseElements/role/arn",
    "/detail/responseElements/role/roleId",
    "/detail/userIdentity/type",
    "/detail/userIdentity/sessionContext/sessionIssuer/type",
    "/detail/userIdentity/sessionContext/sessionIssuer/arn",
    "/detail/userIdentity/sessionContext/sessionIssuer/principalId",
];

/// What is wrong with an AWS.
type Trouble = fn(&Cloud);

/// Puts the secret into every text that is not told on purpose, and beside every member.
fn laden(value: &Value, at: &str) -> Value {
    match value {
        Value::Object(members) => {
            let mut laden: serde_json::Map<String, Value> = members
                .iter()
                .map(|(name, member)| (name.clone(), self::laden(member, &format!("{at}/{name}"))))
                .collect();
            laden.insert(format!("{SECRET}-name"), json!(format!("{SECRET}-value")));
            Value::Object(laden)
        }
        Value::Array(items) => items.iter().map(|item| self::laden(item, &format!("{at}/*"))).collect(),
        Value::String(text) if !TOLD.contains(&at) => json!(format!("{text}{SECRET}")),
        other => other.clone(),
    }
}

/// An event as `CloudTrail` writes it, with everything around the role that a caller or a machine may have put there.
fn event_full_of_secrets(event: &Value) -> Value {
    let mut event = event.clone();
    let detail = &mut event["detail"];
    for name in ["sourceIPAddress", "userAgent", "requestID", "sharedEventID", "vpcEndpointId", "errorMessage"] {
        detail[name] = json!("x");
    }
    detail["tlsDetails"] = json!({"clientProvidedHostHeader": "iam.amazonaws.com"});
    detail["additionalEventData"] = json!({"note": "x"});
    if detail["requestParameters"].is_object() {
        detail["requestParameters"]["assumeRolePolicyDocument"] = json!("{}");
        detail["requestParameters"]["description"] = json!("x");
        detail["requestParameters"]["tags"] = json!([{"key": "x", "value": "y"}]);
    }
    if detail["userIdentity"].is_object() {
        detail["userIdentity"]["accessKeyId"] = json!("ASIA");
        detail["userIdentity"]["userName"] = json!("x");
        detail["userIdentity"]["sessionContext"]["attributes"] = json!({"creationDate": "x"});
    }
    laden(&event, "")
}

fn silent_about_secrets(stage: &Stage, answer: &Result<Value, access_entry_guard::error::Error>, at: &str) {
    let lines = stage.log_lines();
    assert!(!lines.is_empty() || answer.is_err(), "{at}: something is told");
    for line in lines {
        assert!(!line.to_string().contains(SECRET), "{at}: {line:#}");
    }
    match answer {
        Ok(report) => assert!(!report.to_string().contains(SECRET), "{at}: {report:#}"),
        // Lambda writes an error into the log.
        Err(error) => assert!(!error.to_string().contains(SECRET), "{at}: {error}"),
    }
}

/// Every form in which an event may arrive.
fn forms(event: &Value) -> Vec<(&'static str, Value)> {
    let record = json!({
        "messageId": "m", "receiptHandle": SECRET, "body": event.to_string(), "eventSource": "aws:sqs",
        "attributes": {"ApproximateReceiveCount": "1", "SenderId": SECRET}, "messageAttributes": {}, "md5OfBody": "x",
    });
    let unreadable = json!({
        "messageId": "u", "eventSource": "aws:sqs", "body": format!("{{\"x\": \"{SECRET}\""), "attributes": SECRET,
    });
    vec![
        ("alone", event.clone()),
        (
            "out of the record of a failed invocation",
            json!({"requestPayload": event, "responsePayload": {"x": SECRET}}),
        ),
        ("out of a queue", json!({"Records": [record, unreadable]})),
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_an_event_its_body_is_in_no_log_line_and_in_no_error() {
    let worlds: [(&str, Trouble); 6] = [
        ("all is well", |_| {}),
        ("nothing may be read", |cloud| cloud.deny("DescribeAccessEntry")),
        ("the role cannot be read", |cloud| cloud.deny("GetRole")),
        ("the ledger is away", |cloud| cloud.deny("Query")),
        ("metrics cannot be sent", |cloud| cloud.deny("PutMetricData")),
        ("the entry may not be created", |cloud| cloud.deny("CreateAccessEntry")),
    ];
    for (world, change) in worlds {
        for spec in [EntrySpec::of_type("EC2_LINUX"), everything()] {
            for deleted in [false, true] {
                let event = |stage: &Stage, role: &_| if deleted { stage.deleted("node") } else { stage.created(role) };
                for n in 0..3 {
                    let stage = Stage::set();
                    stage.role_with("node", spec.clone()).await;
                    let role = stage.recreate("node").await;
                    change(&stage.cloud);
                    let (form, payload) = forms(&event_full_of_secrets(&event(&stage, &role))).swap_remove(n);
                    let answer = stage.deliver(payload).await;
                    silent_about_secrets(&stage, &answer, &format!("{world}, {form}"));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_what_is_ignored_or_not_recognized_the_body_is_not_told_either() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    let changes: [fn(&mut Value); 8] = [
        |event| event["source"] = json!("aws.s3"),
        |event| event["detail-type"] = json!("Object Created"),
        |event| event["account"] = json!("999999999999"),
        |event| event["detail"]["eventName"] = json!("TagRole"),
        |event| event["detail"]["errorCode"] = json!("AccessDenied"),
        |event| event["detail"]["requestParameters"] = json!("S3CR3T"),
        |event| event["detail"] = json!("S3CR3T"),
        |event| event["Records"] = json!([{"S3CR3T": "S3CR3T"}]),
    ];
    for change in changes {
        let mut event = event_full_of_secrets(&stage.created(&role));
        change(&mut event);
        for (form, payload) in forms(&event) {
            let answer = stage.deliver(payload).await;
            silent_about_secrets(&stage, &answer, form);
        }
    }
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events")).unwrap() {
        let path = file.unwrap().path();
        let sample: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if sample["detail"].is_object() {
            let mut payload = event_full_of_secrets(&sample);
            // Of an IAM user the user is told, as the role is behind a session.
            for member in ["arn", "principalId"] {
                payload["detail"]["userIdentity"][member] = sample["detail"]["userIdentity"][member].clone();
            }
            let answer = Stage::set().deliver(payload).await;
            silent_about_secrets(&stage, &answer, &path.display().to_string());
        }
    }
}

/// What AWS says about a bad signature repeats the request: its canonical form, with the session token in it, or its
/// whole `Authorization` header.
#[tokio::test(start_paused = true)]
async fn what_aws_repeats_of_a_request_is_not_told() {
    let texts = [
        (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for \
             this request should have been\n'GET\n/clusters\n\nhost:eks.amazonaws.com\nx-amz-security-token:S3CR3T",
        ),
        (
            "SignatureDoesNotMatch",
            "The Canonical String for this request should have been 'POST x-amz-security-token:S3CR3T'",
        ),
        (
            "IncompleteSignature",
            "'S3CR3T' not a valid key=value pair in Authorization header: 'AWS4-HMAC-SHA256 Credential=S3CR3T/20260115'",
        ),
        ("InvalidClientTokenId", "The security token S3CR3T included in the request is invalid."),
        ("AccessDeniedException", "User is not authorized.\nAuthorization: AWS4-HMAC-SHA256 Credential=S3CR3T"),
    ];
    let operations = [
        "ListRegions",
        "ListClusters",
        "DescribeCluster",
        "DescribeAccessEntry",
        "ListAccessEntries",
        "ListAssociatedAccessPolicies",
        "CreateAccessEntry",
        "AssociateAccessPolicy",
        "DeleteAccessEntry",
        "GetRole",
        "ListRoles",
        "Query",
        "Scan",
        "GetItem",
        "PutItem",
        "PutMetricData",
        "GetMetricStatistics",
    ];
    for (code, text) in texts {
        for operation in operations {
            let stage = Stage::set();
            stage.role_with("viewer", viewer()).await;
            let role = stage.recreate("viewer").await;
            stage.cloud.when(operation).reply(403, code, text);
            for payload in [stage.created(&role), json!({"command": "sweep"})] {
                let answer = stage.deliver(payload).await;
                silent_about_secrets(&stage, &answer, &format!("{code} of {operation}"));
            }
        }
    }
}

/// The words in backticks of the first column of the table that follows a line.
fn documented(after: &str) -> BTreeSet<String> {
    let (_, rest) = REFERENCE.split_once(after).unwrap_or_else(|| panic!("REFERENCE: {after}"));
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).flat_map(|row| words_in_backticks(row.split('|').nth(1).unwrap())).collect()
}

fn words_in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields that a row of the log's table names.
fn fields_of(kind: &str) -> BTreeSet<String> {
    let row = REFERENCE.lines().find(|line| line.starts_with(&format!("| `{kind}` |"))).expect("a row");
    words_in_backticks(row.split('|').nth(2).unwrap()).into_iter().collect()
}

/// Invocations that between them tell everything that there is to tell.
async fn everything_that_is_told() -> (Vec<Value>, Vec<Value>) {
    let stage = Stage::set();
    stage.role_with("viewer", viewer()).await;
    stage.node("node").await;
    let mut reports = vec![stage.sweep().await];
    let role = stage.recreate("viewer").await;
    reports.push(stage.deliver(stage.created(&role)).await.unwrap());
    let admin = stage.role_with("admin", everything()).await;
    let admin = stage.cloud.recreate_role(&admin.name);
    let cluster = stage.cloud.cluster(REGION, CLUSTER);
    cluster.user(UserKind::Capability, "argo", &admin.arn, "DEGRADED", Duration::from_hours(1));
    stage.settle().await;
    reports.push(stage.deliver(stage.created(&admin)).await.unwrap());
    let claimed = |mut command: Value| {
        command["claimedBy"] = json!("arn:aws:iam::111122223333:user/ana");
        command
    };
    reports.push(stage.invoke_as("approve", claimed(command_for("approve", &admin))).await.unwrap());
    reports.push(stage.invoke_as("approve", claimed(command("forget", &admin))).await.unwrap());
    let mut ignored = stage.created(&role);
    ignored["source"] = json!("aws.s3");
    reports.push(stage.deliver(ignored).await.unwrap());
    stage.cloud.deny("DescribeAccessEntry");
    reports.push(stage.invoke(command("check", &role)).await.unwrap());
    stage.cloud.allow("DescribeAccessEntry");
    (reports, stage.log_lines())
}

fn members<'a>(values: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    values.into_iter().flat_map(|value| value.as_object().unwrap().keys().cloned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_reference_has_every_member_of_the_report_and_no_other() {
    let (reports, _) = everything_that_is_told().await;
    assert_eq!(members(&reports), documented("The function's answer is one report."));
    let entries = reports.iter().flat_map(|report| report["entries"].as_array().unwrap());
    assert_eq!(members(entries), documented("Of each entry:"));
}

#[tokio::test(start_paused = true)]
async fn the_reference_has_every_field_of_a_log_line_and_no_other() {
    let (_, lines) = everything_that_is_told().await;
    let of_kind = |kind: &str| members(lines.iter().filter(|line| line["kind"] == kind));
    let common = ["kind", "level", "requestId"].map(str::to_owned).into();
    let with_common = |fields: BTreeSet<String>| &fields | &common;

    let mut of_report = documented("The function's answer is one report.");
    of_report.retain(|field| field != "entries" && field != "blindSpots");
    assert_eq!(of_kind("report"), with_common(of_report));
    assert_eq!(of_kind("entry"), with_common(documented("Of each entry:")));
    assert_eq!(of_kind("blindSpot"), with_common(fields_of("blindSpot")));
    let kinds: BTreeSet<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["report", "entry", "blindSpot"]));
}
