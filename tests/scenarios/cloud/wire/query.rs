//! awsQuery: a form in, XML out. Members of objects become elements, list members `<member>`.

use serde_json::{Map, Value};

use super::percent_decoded;
use crate::cloud::refusal::Refusal;
use crate::cloud::services::Service;

fn namespace(service: Service) -> &'static str {
    match service {
        Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        _ => "https://iam.amazonaws.com/doc/2010-05-08/",
    }
}

/// The `Action` of a form and its other fields.
pub(super) fn decode(body: &[u8]) -> (String, Result<Map<String, Value>, String>) {
    let mut fields = Map::new();
    for pair in String::from_utf8_lossy(body).split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| percent_decoded(&text.replace('+', " "));
        fields.insert(plain(name), plain(value).into());
    }
    fields.remove("Version");
    let operation = fields.remove("Action");
    (operation.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(), Ok(fields))
}

/// The XML of a result or an error.
pub(super) fn encode(service: Service, operation: &str, answer: &Result<Value, Refusal>, request_id: &str) -> String {
    let namespace = namespace(service);
    match answer {
        Ok(result) => format!(
            "<{operation}Response xmlns=\"{namespace}\"><{operation}Result>{}</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>",
            elements(result)
        ),
        Err(refusal) => format!(
            "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
            if refusal.status < 500 { "Sender" } else { "Receiver" },
            escaped(&refusal.code),
            escaped(&refusal.message)
        ),
    }
}

fn elements(value: &Value) -> String {
    let element = |name: &str, inner: &Value| format!("<{name}>{}</{name}>", elements(inner));
    match value {
        Value::Null => String::new(),
        Value::String(text) => escaped(text),
        Value::Array(list) => list.iter().map(|one| element("member", one)).collect::<Vec<_>>().concat(),
        Value::Object(members) => members.iter().map(|(name, value)| element(name, value)).collect::<Vec<_>>().concat(),
        other => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
