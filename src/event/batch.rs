//! An SQS batch.
//!
//! Decides what each record asks for, one by one: a record that cannot be read fails alone. Commands are not taken out
//! of a queue or a wrapper: who may send there is not who may command.

use aws_lambda_events::event::sqs::SqsMessage;
use serde::Deserialize;
use serde_json::Value;

use super::form::{self, Form};
use super::{Invocation, RoleEvent, UnrecognizedPayload, mistake};

/// One record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    /// SQS's ID of the message: what `batchItemFailures` names.
    pub message_id: String,
    /// How often the message was delivered, this time included.
    pub receive_count: u32,
    /// What it asks for, or why it cannot be read.
    pub content: Result<BatchContent, String>,
}

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchContent {
    /// Nothing that concerns this function.
    Ignored {
        /// A sentence that says why.
        reason: String,
    },
    /// A look at the entries of one role.
    Role(RoleEvent),
}

const OTHER_RECORDS: &str = "the records are not those of an SQS queue";

/// Reads `Records`.
///
/// # Errors
///
/// Where these are no records of SQS, or one has no ID by which it could be reported as failed.
pub(super) fn read(payload: &Value, invocation: &Invocation) -> Result<Vec<BatchRecord>, UnrecognizedPayload> {
    let Some(records) = payload.get("Records").and_then(Value::as_array) else {
        return Err(UnrecognizedPayload::form("Records is not a list"));
    };
    records
        .iter()
        .map(|record| {
            let text = |name: &str| record.get(name).and_then(Value::as_str);
            if text("eventSource") != Some("aws:sqs") {
                let mistake =
                    if text("EventSource").is_some() { mistake::of(payload) } else { OTHER_RECORDS.to_owned() };
                return Err(UnrecognizedPayload::form(&mistake));
            }
            match text("messageId").filter(|id| !id.is_empty()) {
                Some(message_id) => Ok(record_of(message_id, record, invocation)),
                None => Err(UnrecognizedPayload::form("a record has no messageId")),
            }
        })
        .collect()
}

fn record_of(message_id: &str, record: &Value, invocation: &Invocation) -> BatchRecord {
    let (receive_count, content) = match SqsMessage::deserialize(record) {
        Ok(message) => (
            message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()),
            content_of(message.body.as_deref().unwrap_or_default(), invocation),
        ),
        Err(error) => (None, Err(format!("the record is not an SQS message: {error}"))),
    };
    BatchRecord { message_id: message_id.to_owned(), receive_count: receive_count.unwrap_or(1), content }
}

fn content_of(body: &str, invocation: &Invocation) -> Result<BatchContent, String> {
    let payload: Value = serde_json::from_str(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let form = Form::of(&payload);
    let read = form.refuse_by_hand().and_then(|()| match form {
        Form::Failure(inner) => form::failed(inner, invocation),
        _ => form::event_only(&payload, invocation),
    });
    read.map_err(|error| error.to_string())
}
