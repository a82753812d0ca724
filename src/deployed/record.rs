//! A message of the queue of failed invocations: what of it may be sent again, and what a person has to decide.
//!
//! Whoever may send to the queue could write a record, and whoever redrives has more rights than they. So only what does the
//! same by the function's plain name is sent: an event, which has no creator there, and a sweep. A record of a command
//! that releases, restores or forgets is shown and left.

use std::fmt;

use serde_json::Value;

use super::FunctionNamed;

/// A message, sorted.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What the failed invocation was about, for a person.
    pub about: String,
    /// Why Lambda gave it up, such as `RetriesExhausted`; empty if the record does not say.
    pub condition: String,
    /// What the function answered at last; empty if the record does not say.
    pub error: String,
    /// What is sent, or why nothing is.
    pub to_send: Result<Value, Left>,
}

/// Why a record is left where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It is no record of a failed invocation.
    NoRecord,
    /// It does not say which function failed, or names another one.
    OtherFunction(String),
    /// It is of a command, by this word, which a person has to ask for.
    Command(String),
    /// Its payload is neither an event nor a sweep.
    OtherPayload,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str("it is not Lambda's record of a failed invocation"),
            Self::OtherFunction(arn) if arn.is_empty() => f.write_str("it does not say which function failed"),
            Self::OtherFunction(arn) => write!(f, "it belongs to another function ({arn})"),
            Self::Command(word) => {
                write!(
                    f,
                    "it is for the command {word}, which redrive never sends; run it yourself if it is still wanted"
                )
            }
            Self::OtherPayload => f.write_str("its requestPayload is neither an event nor a sweep"),
        }
    }
}

impl Record {
    /// Sorts the body of a message (Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations").
    #[must_use]
    pub fn read(body: &str, function: &FunctionNamed) -> Self {
        let record: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            about: about(&record["requestPayload"]),
            condition: text("/requestContext/condition"),
            error: text("/responsePayload/errorMessage"),
            to_send: to_send(&record, function),
        }
    }
}

/// What of a record is sent, or why nothing is.
fn to_send(record: &Value, function: &FunctionNamed) -> Result<Value, Left> {
    let (payload, context) = (&record["requestPayload"], &record["requestContext"]);
    if !payload.is_object() || !context.is_object() {
        return Err(Left::NoRecord);
    }
    let failed = context["functionArn"].as_str().unwrap_or_default();
    if !is_same_function(failed, function) {
        return Err(Left::OtherFunction(failed.to_owned()));
    }
    match (payload.get("command"), payload["detail-type"].as_str()) {
        // The function takes no command out of a record: it is asked for as it was.
        (Some(Value::String(word)), _) if word == "sweep" => Ok(payload.clone()),
        (Some(word), _) => Err(Left::Command(word.as_str().unwrap_or_default().to_owned())),
        (None, Some("Scheduled Event")) => Ok(payload.clone()),
        // Of a record the function takes the event without its creator.
        (None, Some(_)) if payload.get("Records").is_none() => Ok(record.clone()),
        _ => Err(Left::OtherPayload),
    }
}

/// Whether this is the function's ARN, whatever its alias or version.
fn is_same_function(arn: &str, function: &FunctionNamed) -> bool {
    let own = function.arn();
    arn.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || (rest.starts_with(':') && !rest[1..].contains(':')))
}

fn about(payload: &Value) -> String {
    let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(command) = text("/command") {
        let names = ["/principalArn", "/clusterName", "/region"].into_iter().filter_map(text);
        return [command].into_iter().chain(names).collect::<Vec<_>>().join(" ");
    }
    let event = text("/detail/eventName").or_else(|| text("/detail-type")).unwrap_or("something else");
    let role = text("/detail/requestParameters/roleName").or_else(|| text("/detail/responseElements/role/roleName"));
    [event].into_iter().chain(role).chain(text("/detail/eventTime")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Left, Record};
    use crate::deployed::FunctionNamed;
    use crate::model::Home;

    const ARN: &str = "arn:aws:lambda:us-east-1:111122223333:function:access-entry-guard";

    fn read(record: &Value) -> Record {
        let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
        let function = FunctionNamed::parse("access-entry-guard", None, &home).expect("a name");
        Record::read(&record.to_string(), &function)
    }

    fn record(payload: &Value) -> Value {
        json!({
            "version": "1.0",
            "requestContext": {"functionArn": format!("{ARN}:events"), "condition": "RetriesExhausted"},
            "requestPayload": payload,
        })
    }

    fn event() -> Value {
        json!({
            "source": "aws.iam", "detail-type": "AWS API Call via CloudTrail",
            "detail": {"eventName": "CreateRole", "requestParameters": {"roleName": "node"}},
        })
    }

    #[test]
    fn the_record_of_an_event_is_handed_in_whole_so_that_its_creator_counts_for_nothing() {
        let record = record(&event());
        let read = read(&record);
        assert_eq!(read.to_send, Ok(record));
        assert_eq!((read.about.as_str(), read.condition.as_str()), ("CreateRole node", "RetriesExhausted"));
    }

    #[test]
    fn a_sweep_is_asked_for_as_it_was() {
        for payload in [
            json!({"command": "sweep", "region": "eu-west-1"}),
            json!({"source": "aws.scheduler", "detail-type": "Scheduled Event"}),
        ] {
            assert_eq!(read(&record(&payload)).to_send, Ok(payload));
        }
    }

    #[test]
    fn no_other_command_is_handed_in_whatever_stands_beside_it() {
        for word in ["approve", "restore", "forget", "repair", "check", "Sweep", ""] {
            let mut payload = event();
            payload["command"] = json!(word);
            assert_eq!(read(&record(&payload)).to_send, Err(Left::Command(word.to_owned())), "{word}");
        }
        let mut payload = event();
        payload["command"] = json!(["sweep"]);
        assert_eq!(read(&record(&payload)).to_send, Err(Left::Command(String::new())));
    }

    #[test]
    fn a_record_of_another_function_is_left() {
        for arn in [
            "",
            "arn:aws:lambda:us-east-1:111122223333:function:access-entry-guard-2",
            "arn:aws:lambda:us-east-1:111122223333:function:access-entry-guard:events:x",
            "arn:aws:lambda:eu-west-1:111122223333:function:access-entry-guard",
            "arn:aws:lambda:us-east-1:444455556666:function:access-entry-guard:events",
        ] {
            let mut record = record(&event());
            record["requestContext"]["functionArn"] = json!(arn);
            assert_eq!(read(&record).to_send, Err(Left::OtherFunction(arn.to_owned())), "{arn}");
        }
    }

    #[test]
    fn what_is_no_record_is_left() {
        for (body, why) in [
            (json!("text"), Left::NoRecord),
            (event(), Left::NoRecord),
            (json!({"requestPayload": event()}), Left::NoRecord),
            (record(&json!("{}")), Left::NoRecord),
            (record(&json!({"Records": []})), Left::OtherPayload),
            (record(&json!({"detail-type": "x", "Records": []})), Left::OtherPayload),
            (record(&record(&event())), Left::OtherPayload),
        ] {
            assert_eq!(read(&body).to_send, Err(why), "{body}");
        }
    }
}
