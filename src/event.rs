//! What a payload asks for: a look at the role of an event, at those of a batch, a command, or nothing.
//!
//! Decides what the payload says, whether it is meant for this account, and whose word its sender's identity is. It
//! deliberately decides nothing about entries: an event wakes the function up, the truth is read from IAM and EKS.
//! Input about something else is ignored with a reason; only what is no known form at all is an error.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::{Creator, Home, RoleArn, RoleId};

mod batch;
mod command;
mod creator;
mod envelope;
mod form;
mod invocation;
mod mistake;

pub use batch::{BatchContent, BatchRecord};
pub use command::{Authorized, Claim, Command, NotPermitted, authorize};
use form::Form;
pub use invocation::{Invocation, InvokedAs, NotAFunction};

/// What a payload asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// Nothing that concerns this function.
    Ignored {
        /// A sentence that says why.
        reason: String,
    },
    /// A look at the entries of one role.
    Role(RoleEvent),
    /// A look at the entries of several roles, sent by a person: it succeeds or fails as a whole.
    Roles(Vec<RoleEvent>),
    /// A look at the entries of many roles; each record succeeds or fails by itself.
    Batch(Vec<BatchRecord>),
    /// What a person, a pipeline or the schedule asks for.
    Command(Command),
}

/// That a role was created or deleted, as `CloudTrail` recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleEvent {
    /// What happened to which role.
    pub change: RoleChange,
    /// `CloudTrail`'s ID of the event.
    pub event_id: Option<String>,
    /// When it happened.
    pub event_time: Option<OffsetDateTime>,
    /// Who did it, if that can be believed: only in an invocation that the rule, the queue or the schedule made, and not
    /// out of the record of a failed one. The caller of `AcquireRole` is nobody's creator.
    pub creator: Option<Creator>,
    /// Who did it by the event's own account, as an ARN: for people to read, never to decide by. Not the caller of
    /// `AcquireRole`.
    pub created_by: Option<String>,
}

/// What happened to a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleChange {
    /// It was created.
    Created {
        /// Its ARN, of this account. Where the record of the creation was cut off, put together from the request.
        arn: RoleArn,
        /// Its unique ID; `None` where the record of the creation was cut off.
        role_id: Option<RoleId>,
    },
    /// It was deleted.
    Deleted {
        /// Its name, in the spelling of the request. The record has neither path nor ARN.
        role_name: String,
    },
}

/// The payload is none of the accepted forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnrecognizedPayload(String);

impl UnrecognizedPayload {
    /// A payload of no known form; the message names the known ones.
    fn form(problem: &str) -> Self {
        Self(format!(
            "{problem}; accepted are: an EventBridge event of source aws.iam with detail type \"AWS API Call via \
             CloudTrail\"; an SQS batch of such events (Records); a record of a failed invocation with such an event \
             (requestPayload); a scheduled event; a command, such as {{\"command\": \"check\", \"clusterName\": \"…\"}}; by \
             hand, a record of CloudTrail or the output of lookup-events (Events)"
        ))
    }

    /// A known form with something wrong inside.
    fn content(problem: String) -> Self {
        Self(problem)
    }
}

/// Sorts a payload.
///
/// # Errors
///
/// Where it is none of the accepted forms, or a command with wrong arguments.
pub fn classify(payload: &Value, invocation: &Invocation) -> Result<Trigger, UnrecognizedPayload> {
    let Some(members) = payload.as_object() else {
        return Err(UnrecognizedPayload::form(&mistake::of(payload)));
    };
    if members.contains_key("command") {
        return command::read(members, &invocation.home).map(Trigger::Command);
    }
    if members.contains_key("Records") {
        return batch::read(payload, invocation).map(Trigger::Batch);
    }
    if envelope::is_scheduled(payload) {
        return Ok(match envelope::other_account(payload, &invocation.home) {
            Some(reason) => Trigger::Ignored { reason },
            None => Trigger::Command(Command::Sweep { cluster_name: None, region: None }),
        });
    }
    let form = Form::of(payload);
    if invocation.invoked_as == InvokedAs::Events {
        form.refuse_by_hand()?;
    }
    form.read(invocation)
}

/// Reads a record that `CloudTrail` itself gave, as if the rule had delivered it: with the creator that this function would
/// see. `None` for whatever tells of no role of this account.
#[must_use]
pub fn read_recorded(record: &Value, home: &Home) -> Option<RoleEvent> {
    let event = json!({"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "detail": record});
    let by_the_rule = Invocation {
        home: home.clone(),
        invoked_as: InvokedAs::Events,
        function_arn: String::new(),
        request_id: String::new(),
    };
    match envelope::read(&event, &by_the_rule) {
        Ok(BatchContent::Role(event)) => Some(event),
        Ok(BatchContent::Ignored { .. }) | Err(_) => None,
    }
}

/// The text at a place in a payload.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// A foreign text for a sentence: quoted, escaped, and cut where it is long.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests;
