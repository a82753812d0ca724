//! What must hold for every input, whoever made it up: shared by the fuzz targets, which look for an input that breaks
//! it, and by the ordinary tests, which replay the corpus that was found. Each function panics where something does not
//! hold, and tells whether the input was of the kind that its reader is given at all.

#![allow(clippy::pedantic, clippy::unwrap_used, dead_code, reason = "each target uses one of the oracles")]

use access_entry_guard::config::Config;
use access_entry_guard::event::{
    BatchContent, Command, Invocation, RoleChange, RoleEvent, Trigger, authorize, classify,
};
use access_entry_guard::model::{EntryType, Home, RoleArn};
use access_entry_guard::pattern::{CreatorPattern, Patterns};
use access_entry_guard::row::{Phase, Row, RowRead};
use access_entry_guard::trust;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const ACCOUNT: &str = "111122223333";
const NOW: OffsetDateTime = datetime!(2026-01-15 12:00:00 UTC);

/// The most that a sentence about an input may say: the input itself is never repeated at length.
const LONGEST_SENTENCE: usize = 4000;

fn invoked(account: &str, qualifier: &str) -> Invocation {
    let arn = format!("arn:aws:lambda:us-east-1:{account}:function:guard{qualifier}");
    Invocation::new(arn, "request").unwrap()
}

fn home() -> Home {
    Home { partition: "aws".to_owned(), account: ACCOUNT.to_owned() }
}

/// A payload: only JSON, as the runtime hands over nothing else.
pub fn payload(data: &[u8]) -> bool {
    let Ok(payload) = serde_json::from_slice::<Value>(data) else { return false };
    for qualifier in ["", ":approve", ":events"] {
        for account in [ACCOUNT, "444455556666"] {
            let invocation = invoked(account, qualifier);
            let trigger = classify(&payload, &invocation);
            assert_eq!(trigger, classify(&payload, &invocation), "the same payload is read the same way");
            match &trigger {
                Ok(trigger) => check_trigger(trigger, &payload, &invocation),
                Err(error) => check_sentence(&error.to_string()),
            }
        }
    }
    the_right_changes_only_who_is_believed(&payload);
    nothing_but_an_event_comes_out_of_a_wrapper_or_a_queue(&payload);
    true
}

fn check_trigger(trigger: &Trigger, payload: &Value, invocation: &Invocation) {
    match trigger {
        Trigger::Ignored { reason } => check_sentence(reason),
        Trigger::Role(event) => check_event(event, payload, invocation),
        Trigger::Roles(events) => {
            assert!(events.len() > 1 && payload["Events"].as_array().unwrap().len() >= events.len());
            events.iter().for_each(|event| check_event(event, payload, invocation));
        }
        Trigger::Batch(records) => {
            let given = payload["Records"].as_array().unwrap();
            assert_eq!(records.len(), given.len(), "every record has its answer");
            for (record, given) in records.iter().zip(given) {
                assert_eq!(given["messageId"], record.message_id.as_str());
                match &record.content {
                    Ok(BatchContent::Ignored { reason }) => check_sentence(reason),
                    Ok(BatchContent::Role(event)) => {
                        let body = serde_json::from_str(given["body"].as_str().unwrap()).unwrap();
                        check_event(event, &body, invocation);
                    }
                    Err(problem) => check_sentence(problem),
                }
            }
        }
        Trigger::Command(command) => check_command(command, payload, invocation),
    }
}

/// An event that is followed is IAM's, of the own account, of a call that succeeded, and about a role of the own
/// account; its creator is one of the own account, and believed in the right `events` only.
fn check_event(event: &RoleEvent, payload: &Value, invocation: &Invocation) {
    let home = &invocation.home;
    let envelopes = envelopes(payload);
    let is_its = |envelope: &&Value| match classify(envelope, invocation) {
        Ok(Trigger::Role(read)) => (read.change, read.event_id) == (event.change.clone(), event.event_id.clone()),
        _ => false,
    };
    let envelope = envelopes.iter().find(is_its).expect("the event that was read");
    let detail = &envelope["detail"];
    assert_eq!(envelope["source"], "aws.iam");
    assert_eq!(detail["eventSource"], "iam.amazonaws.com");
    for account in [&envelope["account"], &detail["recipientAccountId"]] {
        assert!(account.as_str().is_none_or(|account| ["", "None", &home.account].contains(&account)), "{account}");
    }
    let error = &detail["errorCode"];
    assert!(error.is_null() || *error == "" || *error == "None", "{error}");
    match &event.change {
        RoleChange::Created { arn, role_id } => {
            assert_ne!(detail["eventName"], "DeleteRole");
            assert!(arn.is_of(home) && !arn.is_service_linked(), "{arn}");
            assert_eq!(RoleArn::parse(arn.as_str()).as_ref(), Some(arn));
            if let Some(id) = role_id {
                assert_eq!(detail["responseElements"]["role"]["roleId"], id.0.as_str());
                assert!(id.0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            }
        }
        RoleChange::Deleted { role_name } => {
            assert_eq!(detail["eventName"], "DeleteRole");
            assert!(RoleArn::without_path(home, role_name).is_some_and(|arn| arn.name() == role_name));
        }
    }
    if let Some(creator) = &event.creator {
        assert!(invocation.function_arn.ends_with(":events"), "{creator:?}");
        assert_eq!(envelope, payload, "nobody knows who sent a failed invocation or wrote a record");
        assert_ne!(detail["eventName"], "AcquireRole");
        assert_eq!(creator.arn.split(':').nth(4), Some(home.account.as_str()));
        assert!(creator.unique_id.starts_with("AROA") || creator.unique_id.starts_with("AIDA"));
        assert!(creator.unique_id.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
    assert!(event.created_by.as_deref().is_none_or(|arn| arn.bytes().all(|b| b.is_ascii_graphic())));
}

/// The events that a payload may hold, each in its envelope.
fn envelopes(payload: &Value) -> Vec<Value> {
    let enveloped =
        |record: Value| json!({"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "detail": record});
    if let Some(inner) = payload.get("requestPayload") {
        return vec![inner.clone()];
    }
    if payload["source"] == "lambda"
        && let Some(inner) = payload.pointer("/detail/requestPayload")
    {
        return vec![inner.clone()];
    }
    if let Some(events) = payload["Events"].as_array() {
        let records = events.iter().filter_map(|event| serde_json::from_str(event["CloudTrailEvent"].as_str()?).ok());
        return records.map(enveloped).collect();
    }
    if payload.get("detail-type").is_none() {
        return vec![enveloped(payload.clone())];
    }
    vec![payload.clone()]
}

/// Whether only a person sends a payload of this form.
fn is_by_hand(payload: &Value) -> bool {
    payload.get("requestPayload").is_none()
        && (payload["source"] == "lambda" || payload["Events"].is_array() || payload.get("detail-type").is_none())
}

/// A command is one that was asked for by its name, about roles of the own account; releasing needs its right.
fn check_command(command: &Command, payload: &Value, invocation: &Invocation) {
    let asked = payload.get("command").and_then(Value::as_str);
    assert!(asked == Some(command.name()) || (asked.is_none() && payload["detail-type"] == "Scheduled Event"));
    let (principal, releases) = match command {
        Command::Check { principal, .. } | Command::Inventory { principal, .. } => (principal.as_ref(), false),
        Command::Repair { principal, .. } => (Some(principal), false),
        Command::Approve { principal, .. } | Command::Restore { principal, .. } => (Some(principal), true),
        // Of a row that a stranger wrote the key may be anything.
        Command::Forget { .. } => (None, true),
        Command::Sweep { .. } => (None, false),
    };
    assert!(principal.is_none_or(|arn| arn.is_of(&invocation.home)), "{principal:?}");
    assert_eq!(
        authorize(command.clone(), invocation).is_ok(),
        !releases || invocation.function_arn.ends_with(":approve")
    );
}

/// The right in which the function was invoked changes nothing but whether the creator is believed, and whether what only
/// a person sends is taken.
fn the_right_changes_only_who_is_believed(payload: &Value) {
    let plain = classify(payload, &invoked(ACCOUNT, ""));
    let mut events = classify(payload, &invoked(ACCOUNT, ":events"));
    match &mut events {
        Ok(Trigger::Role(event)) => event.creator = None,
        Ok(Trigger::Batch(records)) => records.iter_mut().for_each(|record| {
            if let Ok(BatchContent::Role(event)) = &mut record.content {
                event.creator = None;
            }
        }),
        Err(error) if error.to_string().contains("plain name") => {
            assert!(is_by_hand(payload));
            return;
        }
        _ => {}
    }
    assert_eq!(plain, events);
}

/// What a payload asks for when it is sent directly, and what it asks for out of a wrapper or a queue: the same
/// where it is an event, without its creator out of a wrapper, and nothing where it is anything else.
fn nothing_but_an_event_comes_out_of_a_wrapper_or_a_queue(payload: &Value) {
    let invocation = invoked(ACCOUNT, ":events");
    let mut direct = classify(payload, &invocation);
    let batch = json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": payload.to_string()}]});
    let Ok(Trigger::Batch(records)) = classify(&batch, &invocation) else { panic!("a batch of one record") };
    match (&direct, &records[0].content) {
        (Ok(Trigger::Role(event)), content) => assert_eq!(*content, Ok(BatchContent::Role(event.clone()))),
        (_, Ok(BatchContent::Role(event))) => panic!("{event:?} out of a queue only"),
        (Ok(Trigger::Command(_) | Trigger::Batch(_) | Trigger::Roles(_)) | Err(_), content) => {
            assert!(content.is_err(), "{content:?}");
        }
        _ => {}
    }
    if let Ok(Trigger::Role(event)) = &mut direct {
        event.creator = None;
    }
    let is_wrapper = payload.get("requestPayload").is_some();
    let wrapped = classify(&json!({"requestPayload": payload}), &invocation);
    match (&direct, &wrapped) {
        (_, Ok(Trigger::Command(_) | Trigger::Batch(_) | Trigger::Roles(_))) => panic!("{wrapped:?} out of a wrapper"),
        (Ok(Trigger::Role(_)), wrapped) if !is_wrapper => assert_eq!(*wrapped, direct),
        (Ok(Trigger::Command(_) | Trigger::Batch(_)), wrapped) => assert!(wrapped.is_err(), "{wrapped:?}"),
        (_, wrapped) if is_wrapper => assert!(wrapped.is_err(), "{wrapped:?}"),
        _ => {}
    }
}

/// A sentence for the report and the log: short, and one line.
fn check_sentence(text: &str) {
    assert!(!text.is_empty() && text.len() <= LONGEST_SENTENCE, "{} bytes: {text}", text.len());
    assert!(!text.contains(['\n', '\r', '\0', '\u{1b}']), "{text:?}");
}

/// A row of the ledger: an object, as every row is.
pub fn row(data: &[u8]) -> bool {
    let Ok(Value::Object(item)) = serde_json::from_slice(data) else { return false };
    let read = Row::read(item.clone(), &home(), NOW);
    assert_eq!(read, Row::read(item.clone(), &home(), NOW), "the same row is read the same way");
    match read {
        RowRead::Row(row) => {
            let role = &row.principal;
            assert!(role.is_of(&home()) && !role.is_service_linked());
            let of_this_cluster =
                format!("arn:aws:eks:{}:{ACCOUNT}:access-entry/{}/", row.cluster.region, row.cluster.name);
            assert!(row.entry_arn().starts_with(&of_this_cluster));
            if let Some(Phase::Created { arn, .. }) = row.repair().map(|repair| &repair.phase) {
                assert!(arn.starts_with(&of_this_cluster));
            }
            let again = Row::read(row.to_item(), &home(), NOW);
            assert_eq!(again, RowRead::Row(row), "a row that is written is the row that was read");
        }
        RowRead::Unfit(row, problem) => {
            assert!(item["state"] == "repairing" && row.archived().is_some() && !problem.is_empty());
        }
        RowRead::Expired(_) => assert_eq!(item["state"], "archived"),
        RowRead::Invalid(problem) => assert!(!problem.is_empty()),
        RowRead::Absent | RowRead::Unavailable(_) => panic!("it is there"),
    }
    true
}

/// A trust policy. Where it is found harmless, a plain reading of it must find no other principal, and any further
/// `Allow` must spoil it.
pub fn trust(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(policy) = serde_json::from_str::<Value>(text) else { return false };
    let kinds = ["STANDARD", "EC2_LINUX", "EC2", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX", "NEW"];
    for kind in kinds.map(|kind| EntryType::from(kind.to_owned())) {
        if !trust::admits_only_the_service_of(&kind, Some(text)) {
            continue;
        }
        assert!(!matches!(kind, EntryType::Standard | EntryType::Unknown(_)));
        let statements = policy["Statement"].as_array().cloned().unwrap_or_else(|| vec![policy["Statement"].clone()]);
        let allows: Vec<_> = statements.iter().filter(|statement| statement["Effect"] != "Deny").collect();
        assert!(!allows.is_empty());
        for statement in allows {
            assert_eq!(statement["Effect"], "Allow");
            let principal = statement["Principal"].to_string();
            assert!(principal.starts_with(r#"{"Service":"#), "{principal}");
            assert_eq!(principal.matches(".amazonaws.com").count(), 1, "{principal}");
            assert!(!principal.contains('*'), "{principal}");
        }
        for more in [json!("*"), json!({"AWS": "*"}), json!({"Service": "lambda.amazonaws.com"})] {
            let mut spoilt = policy.clone();
            let mut statements = statements.clone();
            statements.push(json!({"Effect": "Allow", "Principal": more, "Action": "sts:AssumeRole"}));
            spoilt["Statement"] = Value::Array(statements);
            assert!(!trust::admits_only_the_service_of(&kind, Some(&spoilt.to_string())));
        }
    }
    if let Some(decoded) = trust::decode(text) {
        assert!(decoded.trim_start().starts_with('{'));
    }
    true
}

/// The settings, each with the same text: one is refused in one line that names it, or taken.
pub fn settings(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if text.len() > 1000 || text.chars().any(char::is_control) {
        return false;
    }
    for name in [
        "REGIONS",
        "MODE",
        "HOLD",
        "TRUSTED_CREATORS",
        "ALLOW_PRIVILEGED_GRANTS",
        "ON_ROLE_DELETED",
        "ROLE_PATTERNS",
        "CLUSTER_PATTERNS",
        "MAX_REPAIRS",
        "SETTLE_SECONDS",
        "LEDGER_TABLE",
        "METRIC_NAMESPACE",
        "MAX_REPORT_KB",
        "MAX_CONCURRENCY_PER_REGION",
    ] {
        let read = || Config::from_lookup(|asked| (asked == name).then(|| text.to_owned()));
        let config = read();
        assert_eq!(config, read(), "the same value is read the same way");
        match config {
            Ok(config) => {
                assert!(config.settle.as_secs() <= 600);
                assert!((1..=100).contains(&config.max_concurrency_per_region));
                assert!((50_000..=5_000_000).contains(&config.max_report_bytes));
            }
            Err(error) => {
                let line = error.to_string();
                assert!(line.starts_with(name) && line.contains("accepted") && !line.contains('\n'), "{line}");
            }
        }
    }
    let arn = "arn:aws:iam::111122223333:role/team/node";
    if let Ok(patterns) = Patterns::parse(text) {
        let without_node = Patterns::parse(&format!("{text},!node")).expect("one more exclusion");
        assert!(!without_node.admits("node", arn), "exclusions win");
        let with_node = Patterns::parse(&format!("{text},node")).expect("one more inclusion");
        if patterns.admits("node", arn) {
            assert!(with_node.admits("node", arn), "naming what is admitted takes nothing away");
        }
        assert!(!Patterns::parse(&format!("{text},!*")).expect("an exclusion").admits("node", arn));
    }
    for creator in text.split(',') {
        if let Ok(CreatorPattern::Arn(_)) = CreatorPattern::parse(creator) {
            assert_eq!(creator.split(':').nth(2), Some("iam"), "a session's name is its caller's");
            assert_eq!(creator.split(':').nth(4).map(str::len), Some(12), "the account is spelled out");
        }
    }
    true
}
