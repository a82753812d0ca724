//! What other services put around an event, so that the error names the mistake and says what to do.
//!
//! Decides nothing about the event inside: it is not taken out, since nobody checked who may send there.

use serde_json::Value;

use super::text;

/// Members in which other services and their users put a payload: Step Functions a result in `Payload`, callers of its
/// tasks an input in `Input`.
const WRAPPERS: [&str; 6] = ["Payload", "payload", "Input", "input", "Event", "event"];

/// What is wrong with a payload of no known form.
pub(super) fn of(payload: &Value) -> String {
    // EventBridge User Guide, "Amazon EventBridge Pipes batching": a target gets a list.
    if payload.is_array() {
        return "the payload is a list, as EventBridge Pipes sends it: connect the queue to the function by an event \
                source mapping, or send a single event"
            .to_owned();
    }
    if !payload.is_object() {
        return "the payload is not a JSON object".to_owned();
    }
    // SNS Developer Guide, "Parsing Amazon SNS message formats"; Lambda Developer Guide, "Invoking Lambda functions with
    // Amazon SNS notifications".
    let is_notification = text(payload, "/Type") == Some("Notification") && payload.get("Message").is_some();
    if is_notification || text(payload, "/Records/0/EventSource") == Some("aws:sns") {
        return "this is an SNS notification, and an event is not taken out of it: let the EventBridge rule send to the \
                queue directly, or turn on raw message delivery in the queue's subscription"
            .to_owned();
    }
    // Step Functions Developer Guide, "Invoke an AWS Lambda function with Step Functions".
    let is_inside = |name: &&&str| {
        payload.get(**name).is_some_and(|inner| {
            ["detail-type", "command", "Records", "requestPayload"].iter().any(|member| inner.get(member).is_some())
        })
    };
    match WRAPPERS.iter().find(is_inside) {
        Some(name) => format!(
            "the payload is inside {name:?}, as a Step Functions state wraps it: send what {name:?} holds, for example \
             with \"Payload.$\": \"$.{name}\""
        ),
        None => "the payload is of no known form".to_owned(),
    }
}
