//! rpc-v2-cbor: CBOR in and out, with moments as tagged epoch seconds.

use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

/// The CBOR tag of epoch seconds.
const EPOCH_SECONDS: u64 = 1;

/// The members of a request.
pub(super) fn decode(body: &[u8]) -> Result<Map<String, Value>, String> {
    let value: Cbor = ciborium::from_reader(body).map_err(|error| error.to_string())?;
    match json_of(value) {
        Value::Object(members) => Ok(members),
        _ => Err("the body is not a map".to_owned()),
    }
}

/// The CBOR of a reply: numbers are doubles, members named as moments are tagged.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&cbor_of(value), &mut bytes).expect("writing to memory does not fail");
    bytes
}

fn json_of(value: Cbor) -> Value {
    match value {
        Cbor::Bool(flag) => flag.into(),
        Cbor::Text(text) => text.into(),
        // JSON has no NaN and no infinity: their names fail as numbers later, as they should.
        Cbor::Float(number) => Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number),
        Cbor::Integer(number) => i64::try_from(number).map_or(Value::Null, Value::from),
        Cbor::Tag(_, inner) => json_of(*inner),
        Cbor::Array(list) => list.into_iter().map(json_of).collect(),
        Cbor::Map(pairs) => {
            let pairs = pairs.into_iter().filter_map(|(key, value)| Some((key.into_text().ok()?, json_of(value))));
            Value::Object(pairs.collect())
        }
        _ => Value::Null,
    }
}

fn cbor_of(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(*flag),
        Value::Number(number) => Cbor::Float(number.as_f64().expect("a JSON number is a double")),
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(list) => Cbor::Array(list.iter().map(cbor_of).collect()),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let plain = cbor_of(value);
                let shaped = if name.starts_with("Timestamp") { as_moments(plain) } else { plain };
                (Cbor::Text(name.clone()), shaped)
            };
            Cbor::Map(members.iter().map(member).collect())
        }
    }
}

fn as_moments(value: Cbor) -> Cbor {
    match value {
        Cbor::Array(list) => Cbor::Array(list.into_iter().map(as_moments).collect()),
        seconds => Cbor::Tag(EPOCH_SECONDS, Box::new(seconds)),
    }
}
