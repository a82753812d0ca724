use serde_json::json;
use time::macros::datetime;

use super::*;

mod arbitrary;

const ARN: &str = "arn:aws:iam::111122223333:role/team/node";

fn invoked(qualifier: &str) -> Invocation {
    let arn = format!("arn:aws:lambda:us-east-1:111122223333:function:guard{qualifier}");
    Invocation::new(arn, "r").expect("an invocation")
}

fn create_role() -> Value {
    json!({
        "version": "0", "id": "envelope", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam",
        "account": "111122223333", "time": "2026-06-23T14:37:09Z", "region": "us-east-1", "resources": [],
        "detail": {
            "eventVersion": "1.08", "eventTime": "2026-06-23T14:37:08Z", "eventSource": "iam.amazonaws.com",
            "eventName": "CreateRole", "awsRegion": "us-east-1", "eventID": "cloudtrail", "readOnly": "False",
            "recipientAccountId": "111122223333", "sessionCredentialFromConsole": "true",
            "userIdentity": {
                "type": "AssumedRole", "principalId": "AROADEPLOY:session", "accountId": "111122223333",
                "arn": "arn:aws:sts::111122223333:assumed-role/deploy/session",
                "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROADEPLOY",
                    "arn": "arn:aws:iam::111122223333:role/deploy", "userName": "deploy"}},
            },
            "requestParameters": {"roleName": "node", "path": "/team/", "assumeRolePolicyDocument": "{}"},
            "responseElements": {"role": {"path": "/team/", "roleName": "node", "roleId": "AROANODE", "arn": ARN,
                "createDate": "Jun 23, 2026 2:37:08 PM"}},
        },
    })
}

fn delete_role() -> Value {
    let mut event = create_role();
    event["detail"]["eventName"] = json!("DeleteRole");
    event["detail"]["requestParameters"] = json!({"roleName": "node"});
    event["detail"]["responseElements"] = json!(null);
    event
}

fn approve() -> Value {
    json!({"command": "approve", "principalArn": ARN, "clusterName": "prod", "region": "eu-west-1", "roleId": "AROAX"})
}

fn with(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    event.pointer_mut(parent).expect("a parent")[name] = value;
    event
}

fn trigger(payload: &Value) -> Trigger {
    classify(payload, &invoked(":events")).unwrap_or_else(|error| panic!("{error}: {payload}"))
}

fn role_event(payload: &Value) -> RoleEvent {
    match trigger(payload) {
        Trigger::Role(event) => event,
        other => panic!("{other:?}: {payload}"),
    }
}

fn created(arn: &str, role_id: Option<&str>) -> RoleChange {
    let role_id = role_id.map(|id| RoleId(id.to_owned()));
    RoleChange::Created { arn: RoleArn::parse(arn).expect("a role"), role_id }
}

#[test]
fn a_created_role_is_known_by_arn_and_id() {
    let event = role_event(&create_role());
    assert_eq!(event.change, created(ARN, Some("AROANODE")));
    assert_eq!(event.event_id.as_deref(), Some("cloudtrail"));
    assert_eq!(event.event_time, Some(datetime!(2026-06-23 14:37:08 UTC)));
    assert_eq!(event.created_by.as_deref(), Some("arn:aws:iam::111122223333:role/deploy"));
}

#[test]
fn a_deleted_role_is_known_by_name_only() {
    let deleted = |name: &str| RoleChange::Deleted { role_name: name.to_owned() };
    assert_eq!(role_event(&delete_role()).change, deleted("node"));
    // A role may be called None.
    let none = with(delete_role(), "/detail/requestParameters/roleName", json!("None"));
    assert_eq!(role_event(&none).change, deleted("None"));
}

#[test]
fn the_creator_counts_only_in_what_the_rule_or_the_queue_delivers() {
    let batch =
        |body: &Value| json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": body.to_string()}]});
    let failed = json!({"requestPayload": create_role()});
    for (qualifier, is_of_events) in [(":events", true), ("", false), (":approve", false), (":$LATEST", false)] {
        for (payload, believed) in [
            (create_role(), is_of_events),
            (batch(&create_role()), is_of_events),
            // Nobody knows who sent the invocation that failed.
            (failed.clone(), false),
            (batch(&failed), false),
            (with(create_role(), "/detail/eventName", json!("AcquireRole")), false),
        ] {
            let is_acquired = payload["detail"]["eventName"] == "AcquireRole";
            let event = match classify(&payload, &invoked(qualifier)).expect("a trigger") {
                Trigger::Role(event) => event,
                Trigger::Batch(mut records) => match records.remove(0).content {
                    Ok(BatchContent::Role(event)) => event,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            };
            assert_eq!(event.creator.map(|creator| creator.unique_id).as_deref(), believed.then_some("AROADEPLOY"));
            let shown = (!is_acquired).then_some("arn:aws:iam::111122223333:role/deploy");
            assert_eq!(event.created_by.as_deref(), shown);
        }
    }
}

fn looked_up(events: &[Value]) -> Value {
    let items = events.iter().map(|event| json!({"CloudTrailEvent": event["detail"].to_string()}));
    json!({"Events": items.collect::<Vec<_>>()})
}

#[test]
fn what_a_person_has_in_hand_is_read_without_a_creator() {
    let failure = json!({"source": "lambda", "detail-type": "Lambda Function Invocation Result - Failure",
        "detail": {"requestPayload": create_role()}});
    for payload in [create_role()["detail"].clone(), looked_up(&[create_role()]), failure] {
        for qualifier in ["", ":approve"] {
            let Ok(Trigger::Role(event)) = classify(&payload, &invoked(qualifier)) else { panic!("{payload}") };
            assert_eq!((event.change, event.creator), (created(ARN, Some("AROANODE")), None));
            assert_eq!(event.created_by.as_deref(), Some("arn:aws:iam::111122223333:role/deploy"));
        }
        let error = classify(&payload, &invoked(":events")).expect_err("by hand only").to_string();
        assert!(error.contains("plain name"), "{error}");
    }
    let Ok(Trigger::Roles(events)) = classify(&looked_up(&[create_role(), delete_role()]), &invoked("")) else {
        panic!("two events");
    };
    assert_eq!(events.len(), 2);
}

#[test]
fn a_time_that_cannot_be_read_is_looked_for_in_the_envelope() {
    let event = with(create_role(), "/detail/eventTime", json!("yesterday"));
    assert_eq!(role_event(&event).event_time, Some(datetime!(2026-06-23 14:37:09 UTC)));
    assert_eq!(role_event(&with(event, "/time", json!("today"))).event_time, None);
}

#[test]
fn an_event_about_something_else_is_ignored_with_the_reason() {
    let arn = "/detail/responseElements/role/arn";
    for (event, reason) in [
        (with(create_role(), "/source", json!("aws.ec2")), "aws.ec2"),
        (with(create_role(), "/source", json!("my.iam")), "my.iam"),
        (with(create_role(), "/detail-type", json!("AWS Console Sign In via CloudTrail")), "Sign In"),
        (with(create_role(), "/account", json!("444455556666")), "444455556666"),
        (with(create_role(), "/detail/recipientAccountId", json!("444455556666")), "444455556666"),
        (with(delete_role(), "/account", json!("444455556666")), "444455556666"),
        (with(create_role(), "/detail/eventSource", json!("ec2.amazonaws.com")), "ec2.amazonaws.com"),
        (with(create_role(), "/detail/eventName", json!("TagRole")), "TagRole"),
        (with(create_role(), "/detail/eventName", json!("CreateServiceLinkedRole")), "CreateServiceLinkedRole"),
        (with(create_role(), "/detail/errorCode", json!("EntityAlreadyExistsException")), "EntityAlreadyExists"),
        (with(delete_role(), "/detail/errorCode", json!("DeleteConflictException")), "DeleteConflict"),
        (with(create_role(), "/detail/errorCode", json!(403)), "403"),
        (with(create_role(), arn, json!("arn:aws:iam::444455556666:role/node")), "arn:aws:iam::444455556666:role/node"),
        (with(create_role(), arn, json!("arn:aws-cn:iam::111122223333:role/node")), "partition aws"),
        (
            with(create_role(), arn, json!("arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/X")),
            "service-linked",
        ),
        (
            with(create_role(), "/detail", json!({"eventSource": "iam.amazonaws.com", "eventName": "AcquireRole"})),
            "carries no role",
        ),
        (json!({"source": "aws.s3", "detail-type": "Object Created"}), "aws.s3"),
        (json!({"source": "my.app", "detail-type": "Scheduled Event"}), "my.app"),
        (json!({"source": "aws.events", "detail-type": "Scheduled Event", "account": "444455556666"}), "444455556666"),
    ] {
        match trigger(&event) {
            Trigger::Ignored { reason: said } => assert!(said.contains(reason), "{said}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_samples_write_in_place_of_null_is_read_as_nothing() {
    for code in [json!(null), json!(""), json!("None")] {
        assert_eq!(role_event(&with(create_role(), "/detail/errorCode", code)).change, created(ARN, Some("AROANODE")));
    }
    let event = with(delete_role(), "/detail/responseElements", json!("None"));
    assert!(matches!(role_event(&event).change, RoleChange::Deleted { .. }));
    let event = with(with(create_role(), "/detail/eventTime", json!("None")), "/detail/userIdentity", json!("None"));
    let event = role_event(&event);
    assert_eq!((event.creator, event.created_by), (None, None));
    assert_eq!(event.event_time, Some(datetime!(2026-06-23 14:37:09 UTC)));
    assert!(matches!(trigger(&with(create_role(), "/account", json!(null))), Trigger::Role(_)));
}

#[test]
fn chinas_wording_of_the_detail_type_is_accepted() {
    let event = with(create_role(), "/detail-type", json!("Amazon API Call via CloudTrail"));
    assert!(matches!(trigger(&event), Trigger::Role(_)));
}

#[test]
fn a_role_made_from_a_template_is_a_created_role() {
    let event = with(create_role(), "/detail/eventName", json!("AcquireRole"));
    assert_eq!(role_event(&event).change, created(ARN, Some("AROANODE")));
}

#[test]
fn a_creation_whose_response_was_cut_off_is_put_together_from_the_request() {
    let without = |response: Value| with(create_role(), "/detail/responseElements", response);
    for response in
        [json!(null), json!("None"), json!({}), json!({"role": {}}), json!({"role": {"arn": "None", "roleId": "None"}})]
    {
        assert_eq!(role_event(&without(response)).change, created(ARN, None));
    }
    let plain = "arn:aws:iam::111122223333:role/node";
    for request in [
        json!({"roleName": "node"}),
        json!({"roleName": "node", "path": "None"}),
        json!({"roleName": "node", "path": "/"}),
    ] {
        let event = with(without(json!(null)), "/detail/requestParameters", request);
        assert_eq!(role_event(&event).change, created(plain, None));
    }
    for request in [
        json!(null),
        json!({}),
        json!({"roleName": ""}),
        json!({"roleName": "no/de"}),
        json!({"roleName": "no de"}),
        json!({"roleName": ["node"]}),
        json!({"roleName": "node", "path": "team"}),
        json!({"roleName": "node", "path": "/team"}),
        json!({"roleName": "node", "path": "/a b/"}),
    ] {
        let event = with(without(json!(null)), "/detail/requestParameters", request);
        let error = classify(&event, &invoked(":events")).expect_err("an error").to_string();
        assert!(error.contains("CreateRole"), "{error}");
    }
}

#[test]
fn a_deletion_without_a_name_is_an_error() {
    for request in [json!(null), json!("None"), json!({"roleName": "x".repeat(65)}), json!({"roleName": ARN})] {
        let event = with(delete_role(), "/detail/requestParameters", request);
        assert!(classify(&event, &invoked(":events")).is_err());
    }
}

#[test]
fn a_schedules_event_is_a_sweep() {
    for payload in [
        json!({"detail-type": "Scheduled Event", "source": "aws.events", "account": "111122223333", "detail": {}}),
        json!({"detail-type": "Scheduled Event", "source": "aws.scheduler", "account": "111122223333", "detail": "{}"}),
        json!({"detail-type": "Scheduled Event"}),
    ] {
        assert_eq!(trigger(&payload), Trigger::Command(Command::Sweep { cluster_name: None, region: None }));
    }
}

#[test]
fn what_is_of_no_known_form_is_an_error_that_names_the_known_ones() {
    for payload in [
        json!(null),
        json!(7),
        json!("sweep"),
        json!([create_role()]),
        json!({}),
        json!({"detail": {}}),
        json!({"source": "aws.iam"}),
        json!({"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail"}),
        json!({"Records": {}}),
        json!({"Records": [{"eventSource": "aws:s3", "s3": {}}]}),
        json!({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}),
        json!({"Records": ["x"]}),
        json!({"requestPayload": null}),
        json!({"requestPayload": "x"}),
        json!({"requestPayload": {"requestPayload": create_role()}}),
        json!({"requestPayload": {"Records": []}}),
    ] {
        let error = classify(&payload, &invoked(":events")).expect_err("an error").to_string();
        for form in ["EventBridge", "SQS", "requestPayload", "command"] {
            assert!(error.contains(form), "{error}");
        }
    }
}

fn message(id: &str, body: &str) -> Value {
    json!({"messageId": id, "receiptHandle": "h", "eventSource": "aws:sqs", "awsRegion": "us-east-1", "body": body,
        "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:events", "md5OfBody": "m", "messageAttributes": {},
        "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1"}})
}

#[test]
fn each_record_of_a_batch_is_read_by_itself() {
    let wrapped =
        json!({"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": delete_role()});
    let other = with(create_role(), "/source", json!("aws.ec2"));
    let mut broken = message("broken", "{}");
    broken["attributes"] = json!({"ApproximateReceiveCount": 3});
    let payload = json!({"Records": [
        message("created", &create_role().to_string()),
        message("wrapped", &wrapped.to_string()),
        message("other", &other.to_string()),
        message("garbage", "{"),
        message("empty", ""),
        broken,
        {"messageId": "bare", "eventSource": "aws:sqs", "body": delete_role().to_string()},
    ]});
    let Trigger::Batch(records) = trigger(&payload) else { panic!("no batch") };
    let summary: Vec<_> = records
        .iter()
        .map(|record| {
            let content = match &record.content {
                Ok(BatchContent::Role(event)) if matches!(event.change, RoleChange::Created { .. }) => "created",
                Ok(BatchContent::Role(_)) => "deleted",
                Ok(BatchContent::Ignored { .. }) => "ignored",
                Err(_) => "error",
            };
            (record.message_id.as_str(), record.receive_count, content)
        })
        .collect();
    assert_eq!(
        summary,
        [
            ("created", 2, "created"),
            ("wrapped", 2, "deleted"),
            ("other", 2, "ignored"),
            ("garbage", 2, "error"),
            ("empty", 2, "error"),
            ("broken", 1, "error"),
            ("bare", 1, "deleted"),
        ]
    );
}

#[test]
fn a_command_is_taken_neither_out_of_a_queue_nor_out_of_a_wrapper() {
    for command in [
        json!({"command": "sweep"}),
        approve(),
        json!({"detail-type": "Scheduled Event", "source": "aws.events"}),
        json!({"command": null}),
    ] {
        let wrapped = json!({"requestPayload": command});
        let error = classify(&wrapped, &invoked(":approve")).expect_err("an error").to_string();
        assert!(error.contains("direct invocation"), "{error}");
        let batch = json!({"Records": [message("a", &command.to_string()), message("b", &wrapped.to_string())]});
        let Trigger::Batch(records) = trigger(&batch) else { panic!("no batch") };
        for record in records {
            let error = record.content.expect_err("an error");
            assert!(error.contains("direct invocation"), "{error}");
        }
    }
}

#[test]
fn a_foreign_text_is_quoted_and_cut_in_a_reason() {
    let event = with(create_role(), "/source", json!(format!("evil\n{}", "é".repeat(5_000))));
    let Trigger::Ignored { reason } = trigger(&event) else { panic!("not ignored") };
    assert!(!reason.contains('\n') && reason.chars().count() < 200, "{reason}");
}
