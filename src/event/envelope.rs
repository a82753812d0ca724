//! One `EventBridge` event.
//!
//! Decides whether it records a role created or deleted in this account, and which. It reads leniently what it does not
//! need, since published samples have texts for booleans and `"None"` for null; it takes nothing on trust that could
//! point at another account's role.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::creator;
use super::{BatchContent, Invocation, InvokedAs, RoleChange, RoleEvent, UnrecognizedPayload, mistake, quoted, text};
use crate::model::{Home, RoleArn, RoleId, is_role_name};

/// Reads an event; what concerns something else is ignored.
///
/// # Errors
///
/// Where the payload is no `EventBridge` event, or records a role's creation or deletion without telling which role.
pub(super) fn read(payload: &Value, invocation: &Invocation) -> Result<BatchContent, UnrecognizedPayload> {
    let home = &invocation.home;
    let (Some(source), Some(detail_type)) = (text(payload, "/source"), text(payload, "/detail-type")) else {
        return Err(UnrecognizedPayload::form(&mistake::of(payload)));
    };
    if let Some(reason) = other_event(source, detail_type).or_else(|| other_account(payload, home)) {
        return Ok(BatchContent::Ignored { reason });
    }
    let Some(detail) = payload.get("detail").filter(|detail| detail.is_object()) else {
        return Err(UnrecognizedPayload::form("the event has no detail"));
    };
    let event_name = text(detail, "/eventName").unwrap_or_default();
    if let Some(reason) = other_call(detail, event_name) {
        return Ok(BatchContent::Ignored { reason });
    }
    let change = match event_name {
        "DeleteRole" => deleted(detail)?,
        _ => match created(detail, home) {
            Some(change) => change,
            None if event_name == "AcquireRole" => {
                let reason = "the record of this AcquireRole carries no role".to_owned();
                return Ok(BatchContent::Ignored { reason });
            }
            None => {
                return Err(UnrecognizedPayload::content(
                    "the event records a CreateRole, but neither responseElements.role nor requestParameters.roleName \
                     tells which role"
                        .to_owned(),
                ));
            }
        },
    };
    if let Some(reason) = other_role(&change, home) {
        return Ok(BatchContent::Ignored { reason });
    }
    // "If a role that matches the template already exists in the account, AcquireRole returns that role" (IAM User Guide,
    // "Manage access to role manager"): its caller need not have made the role, and the record does not say.
    let identity = match event_name {
        "AcquireRole" => &Value::Null,
        _ => detail.get("userIdentity").unwrap_or(&Value::Null),
    };
    Ok(BatchContent::Role(RoleEvent {
        change,
        event_id: said(detail, "/eventID").map(str::to_owned),
        event_time: [said(detail, "/eventTime"), said(payload, "/time")]
            .into_iter()
            .flatten()
            .find_map(|time| OffsetDateTime::parse(time, &Rfc3339).ok()),
        // Anybody who may invoke the function can write a userIdentity; the rule and the queue pass on CloudTrail's.
        creator: match invocation.invoked_as {
            InvokedAs::Events => creator::read(identity, home),
            InvokedAs::Approve | InvokedAs::Plain => None,
        },
        created_by: creator::shown(identity),
    }))
}

/// Why the event does not come from IAM through `CloudTrail`, if so.
fn other_event(source: &str, detail_type: &str) -> Option<String> {
    if source != "aws.iam" {
        return Some(format!("the event's source is {}, not \"aws.iam\"", quoted(source)));
    }
    // China's documentation prints "Amazon API Call via CloudTrail".
    (!detail_type.ends_with("API Call via CloudTrail"))
        .then(|| format!("the event's detail type is {}, not an API call via CloudTrail", quoted(detail_type)))
}

/// Why the recorded call created or deleted no role, if so. `CloudTrail` records failed calls too.
fn other_call(detail: &Value, event_name: &str) -> Option<String> {
    let event_source = text(detail, "/eventSource").unwrap_or_default();
    if event_source != "iam.amazonaws.com" {
        return Some(format!("the API call was made to {}, not to iam.amazonaws.com", quoted(event_source)));
    }
    if !matches!(event_name, "CreateRole" | "DeleteRole" | "AcquireRole") {
        return Some(format!("{} neither creates nor deletes a role", quoted(event_name)));
    }
    let code = match detail.get("errorCode")? {
        Value::Null => return None,
        Value::String(code) if matches!(code.as_str(), "" | "None") => return None,
        Value::String(code) => code.clone(),
        other => other.to_string(),
    };
    Some(format!("{event_name} failed with {}, so no role changed", quoted(&code)))
}

/// Why the role can have no entry that concerns this function, if so.
fn other_role(change: &RoleChange, home: &Home) -> Option<String> {
    let RoleChange::Created { arn, .. } = change else { return None };
    if !arn.is_of(home) {
        return Some(format!("{arn} is not a role of account {} in partition {}", home.account, home.partition));
    }
    arn.is_service_linked().then(|| format!("{arn} is a service-linked role, which access entries do not support"))
}

/// Whether this is a schedule's event: of an `EventBridge` rule, of `EventBridge` Scheduler, or written by a person who
/// left the source out.
pub(super) fn is_scheduled(payload: &Value) -> bool {
    text(payload, "/detail-type") == Some("Scheduled Event")
        && payload.get("source").is_none_or(|source| source == "aws.events" || source == "aws.scheduler")
}

/// Why the event is another account's, if it is. An account that is not named counts as the own one: the event is only
/// a reason to look, and what is looked at is the own account's.
pub(super) fn other_account(payload: &Value, home: &Home) -> Option<String> {
    ["/account", "/detail/recipientAccountId"]
        .iter()
        .filter_map(|pointer| said(payload, pointer))
        .find(|account| *account != home.account)
        .map(|account| format!("the event is of account {}, not of {}", quoted(account), home.account))
}

/// The created role by the response or, where `CloudTrail` cut that off (above 100 KB), by the request.
fn created(detail: &Value, home: &Home) -> Option<RoleChange> {
    let from_response = text(detail, "/responseElements/role/arn").and_then(RoleArn::parse);
    let arn = from_response.or_else(|| {
        let name = text(detail, "/requestParameters/roleName").filter(|name| is_role_name(name))?;
        let path = said(detail, "/requestParameters/path").unwrap_or("/");
        let whole_path = path.starts_with('/') && path.ends_with('/');
        let arn = format!("arn:{}:iam::{}:role{path}{name}", home.partition, home.account);
        RoleArn::parse(&arn).filter(|_| whole_path)
    })?;
    let role_id = text(detail, "/responseElements/role/roleId").filter(|id| is_role_id(id));
    Some(RoleChange::Created { arn, role_id: role_id.map(|id| RoleId(id.to_owned())) })
}

fn deleted(detail: &Value) -> Result<RoleChange, UnrecognizedPayload> {
    match text(detail, "/requestParameters/roleName").filter(|name| is_role_name(name)) {
        Some(name) => Ok(RoleChange::Deleted { role_name: name.to_owned() }),
        None => Err(UnrecognizedPayload::content(
            "the event records a DeleteRole, but requestParameters.roleName is not a role's name".to_owned(),
        )),
    }
}

/// Whether a text has the form of a unique ID (IAM API Reference: `\w`, at most 128).
pub(super) fn is_role_id(text: &str) -> bool {
    (5..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text != "None"
}

/// A text that says something: neither empty nor the `"None"` of some samples.
fn said<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    text(value, pointer).filter(|text| !matches!(*text, "" | "None"))
}
