//! What is not for us costs nothing, what cannot be read says so, and the samples do what their names say.

use serde_json::{Value, json};

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn what_is_not_for_us_is_ignored_without_a_call() {
    let stage = Stage::set();
    let role = stage.cloud.add_role("node");
    let changes: [fn(&mut Value); 5] = [
        |event| event["detail"]["errorCode"] = json!("EntityAlreadyExists"),
        |event| event["detail"]["eventName"] = json!("UpdateAssumeRolePolicy"),
        |event| event["source"] = json!("aws.s3"),
        |event| event["account"] = json!("999999999999"),
        |event| event["detail-type"] = json!("AWS Service Event via CloudTrail"),
    ];
    for change in changes {
        let mut event = stage.created(&role);
        change(&mut event);
        let report = stage.deliver(event.clone()).await.unwrap();
        assert_eq!(report["trigger"], "ignored", "{event:#}");
        assert!(report["reason"].is_string());
    }
    assert!(stage.cloud.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recognized_is_an_error_that_names_the_forms_and_makes_no_call() {
    let stage = Stage::set();
    for payload in [
        json!({}),
        json!([]),
        json!(null),
        json!("x"),
        json!(7),
        json!({"hello": "world"}),
        json!({"command": "destroy"}),
    ] {
        let error = stage.invoke(payload.clone()).await.unwrap_err();
        assert_eq!(error.name(), "UnrecognizedPayload", "{payload}");
        assert!(!error.to_string().contains("::"), "no Rust paths: {error}");
    }
    assert!(stage.cloud.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_event_body_and_no_credential_is_in_the_log() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    let mut event = stage.created(&role);
    event["detail"]["userIdentity"]["accessKeyId"] = json!("ASIASECRETSECRET");
    event["detail"]["sourceIPAddress"] = json!("203.0.113.7");
    stage.deliver(event).await.unwrap();
    let lines = stage.log_lines();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, ["report", "entry"]);
    assert!(lines.iter().all(|line| line["requestId"] == "request"));
    assert!(lines[0].get("entries").is_none());
    let text = format!("{lines:?}");
    assert!(!text.contains("ASIASECRET") && !text.contains("203.0.113.7"));
}

/// Each file of `events/` says in its name what must happen to it.
#[tokio::test(start_paused = true)]
async fn the_samples_do_what_their_names_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let payload: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let stage = if name.contains("china") { Stage::in_china() } else { Stage::set() };
        let alias = match name.as_str() {
            name if ["approve", "restore", "forget"].iter().any(|word| name.contains(word)) => "approve",
            name if name.starts_with("by-hand") => "",
            _ => "events",
        };
        let answer = stage.invoke_as(alias, payload).await;
        seen += 1;
        if name.contains("ignored") && !name.starts_with("sqs") {
            assert_eq!(answer.unwrap()["trigger"], "ignored", "{name}");
        } else if name.contains("rejected") || name.contains("refused") || name.contains("error") {
            assert!(
                answer.is_err()
                    || answer.is_ok_and(|report| !report["batchItemFailures"].as_array().unwrap().is_empty()),
                "{name}"
            );
        } else {
            let report = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected = if name.starts_with("sqs") || name.ends_with("batch") {
                "batch"
            } else if name.contains("sweep") {
                "sweep"
            } else if name.starts_with("command") {
                "command"
            } else if name.starts_with("delete") {
                "roleDeleted"
            } else {
                "roleCreated"
            };
            assert_eq!(report["trigger"], expected, "{name}");
        }
    }
    assert!(seen > 10);
}
