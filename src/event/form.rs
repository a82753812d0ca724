//! In what an event comes: by itself, in the record of a failed invocation, or as `CloudTrail`'s own record.
//!
//! Decides by its members which form a payload has, and whether only a person hands that form in. Such a form is taken
//! by direct invocation only, without the alias `events`: nothing that AWS delivers looks like it.

use serde_json::{Value, json};

use super::{BatchContent, Invocation, RoleEvent, Trigger, UnrecognizedPayload, envelope, text};

/// The form of a payload that is neither a command nor a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form<'a> {
    /// An `EventBridge` event, or anything else.
    Event(&'a Value),
    /// The record of a failed invocation around this payload (Lambda Developer Guide, "Capturing records of Lambda
    /// asynchronous invocations").
    Failure(&'a Value),
    /// The same record in the envelope that `EventBridge` puts around it.
    FailureByEventBridge(&'a Value),
    /// `CloudTrail`'s record without an envelope: what the console shows.
    Record(&'a Value),
    /// The output of `aws cloudtrail lookup-events`.
    LookedUp(&'a [Value]),
}

/// What makes an object a record of `CloudTrail`.
const OF_A_RECORD: [&str; 3] = ["eventSource", "eventName", "eventID"];

impl<'a> Form<'a> {
    pub(super) fn of(payload: &'a Value) -> Self {
        if let Some(inner) = payload.get("requestPayload") {
            return Self::Failure(inner);
        }
        if let Some(inner) = payload.pointer("/detail/requestPayload")
            && text(payload, "/source") == Some("lambda")
            && text(payload, "/detail-type").is_some_and(|kind| kind.ends_with("Failure"))
        {
            return Self::FailureByEventBridge(inner);
        }
        if let Some(Value::Array(events)) = payload.get("Events") {
            return Self::LookedUp(events);
        }
        if payload.get("detail-type").is_none() && OF_A_RECORD.iter().any(|name| payload.get(name).is_some()) {
            return Self::Record(payload);
        }
        Self::Event(payload)
    }

    /// Whether only a person hands it in.
    fn is_by_hand(self) -> bool {
        match self {
            Self::FailureByEventBridge(_) | Self::Record(_) | Self::LookedUp(_) => true,
            Self::Event(_) | Self::Failure(_) => false,
        }
    }

    /// Refuses what only a person sends.
    ///
    /// # Errors
    /// For such a form; the message says how it is sent.
    pub(super) fn refuse_by_hand(self) -> Result<(), UnrecognizedPayload> {
        if !self.is_by_hand() {
            return Ok(());
        }
        Err(UnrecognizedPayload::content(
            "a record of CloudTrail, the output of lookup-events and a failure record in an EventBridge event are taken \
             neither through the alias events nor out of a queue; invoke the function with it by its plain name or \
             through the alias approve"
                .to_owned(),
        ))
    }

    /// Reads what is asked for.
    ///
    /// # Errors
    /// If it is none of the accepted forms, or records a role's creation or deletion without telling which role.
    pub(super) fn read(self, invocation: &Invocation) -> Result<Trigger, UnrecognizedPayload> {
        let contents = match self {
            Self::Event(event) => vec![event_only(event, invocation)?],
            Self::Failure(inner) | Self::FailureByEventBridge(inner) => vec![failed(inner, invocation)?],
            Self::Record(record) => vec![recorded(record, invocation)?],
            Self::LookedUp(events) => events
                .iter()
                .map(|event| {
                    let record = event.get("CloudTrailEvent").and_then(Value::as_str).unwrap_or_default();
                    let record = serde_json::from_str(record).map_err(|_| {
                        UnrecognizedPayload::content(
                            "an item of Events has no CloudTrailEvent with a record of CloudTrail; send the whole \
                             output of lookup-events, without --query"
                                .to_owned(),
                        )
                    })?;
                    recorded(&record, invocation)
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(together(contents))
    }
}

/// What several contents ask for together.
fn together(contents: Vec<BatchContent>) -> Trigger {
    let looked_at = contents.len();
    let mut reasons = Vec::new();
    let mut events: Vec<RoleEvent> = Vec::new();
    for content in contents {
        match content {
            BatchContent::Role(event) => events.push(event),
            BatchContent::Ignored { reason } => reasons.push(reason),
        }
    }
    match (events.len(), reasons.len()) {
        (0, 1) => Trigger::Ignored { reason: reasons.remove(0) },
        (0, _) => {
            let why = reasons.first().map_or_else(String::new, |reason| format!("; of the first: {reason}"));
            let reason =
                format!("none of the {looked_at} records is of a role created or deleted in this account{why}");
            Trigger::Ignored { reason }
        }
        (1, _) => Trigger::Role(events.remove(0)),
        _ => Trigger::Roles(events),
    }
}

/// Reads an `EventBridge` event.
pub(super) fn event_only(event: &Value, invocation: &Invocation) -> Result<BatchContent, UnrecognizedPayload> {
    if event.get("command").is_some() || envelope::is_scheduled(event) {
        return Err(UnrecognizedPayload::content(
            "a command or a scheduled event is taken by direct invocation only, never out of a queue or out of the \
             record of a failed invocation; invoke the function with it"
                .to_owned(),
        ));
    }
    if event.get("Records").is_some() {
        return Err(UnrecognizedPayload::form("an event is taken out of one wrapper, not out of several"));
    }
    envelope::read(event, invocation)
}

/// Reads the payload of a failed invocation. One layer: a wrapper in a wrapper was not made by Lambda. Who sent the first
/// invocation is not known, and whoever redrives the record could have written it: its event has no creator.
pub(super) fn failed(inner: &Value, invocation: &Invocation) -> Result<BatchContent, UnrecognizedPayload> {
    let Form::Event(event) = Form::of(inner) else {
        return Err(UnrecognizedPayload::form("an event is taken out of one wrapper, not out of several"));
    };
    Ok(without_creator(event_only(event, invocation)?))
}

/// Reads `CloudTrail`'s record as if `EventBridge` had delivered it.
fn recorded(record: &Value, invocation: &Invocation) -> Result<BatchContent, UnrecognizedPayload> {
    if let Some(name) = OF_A_RECORD.iter().find(|name| text(record, &format!("/{name}")).is_none_or(str::is_empty)) {
        return Err(UnrecognizedPayload::form(&format!("a record of CloudTrail has no {name}")));
    }
    let event = json!({"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "detail": record});
    Ok(without_creator(envelope::read(&event, invocation)?))
}

fn without_creator(content: BatchContent) -> BatchContent {
    match content {
        BatchContent::Role(event) => BatchContent::Role(RoleEvent { creator: None, ..event }),
        ignored @ BatchContent::Ignored { .. } => ignored,
    }
}
