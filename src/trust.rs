//! What a role's trust policy says about who may become the role: only the AWS service that a node type needs, or
//! somebody else too.
//!
//! Whoever recreates a role writes its trust policy. One that lets him in would let him choose a session name, and with
//! a node-type entry any node's identity. So the reading is a list of what is known to be harmless: whatever is written
//! in any other way is not. It does not evaluate policies: conditions, actions and `Deny` statements only ever take
//! away, so they are left out.

use std::collections::HashSet;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::model::EntryType;

/// Whether every `Allow` of the policy names, as its only principal, the service of this type of entry; `false` for
/// types without one, and wherever the policy is missing or not understood.
#[must_use]
pub fn admits_only_the_service_of(kind: &EntryType, trust_policy: Option<&str>) -> bool {
    let Some(Strict(Value::Object(policy))) = trust_policy.and_then(|text| serde_json::from_str(text).ok()) else {
        return false;
    };
    if !only_has(&policy, &["Version", "Id", "Statement"]) {
        return false;
    }
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return false,
    };
    let mut allows = 0;
    for statement in statements {
        match effect(statement) {
            Some(Effect::Allow(principal)) if is_only_a_service_of(kind, principal) => allows += 1,
            Some(Effect::Deny) => {}
            Some(Effect::Allow(_)) | None => return false,
        }
    }
    allows > 0
}

/// The JSON text of a policy document as IAM returns it: percent-encoded (RFC 3986), or plain, as some emulators do.
/// `None` for what is neither.
#[must_use]
pub fn decode(document: &str) -> Option<String> {
    // An encoded document cannot begin with a brace, and a plain one is no policy without.
    if document.trim_start().starts_with('{') {
        return Some(document.to_owned());
    }
    let well_formed = document
        .split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    let decoded = percent_decode_str(document).decode_utf8().ok()?;
    (well_formed && decoded.trim_start().starts_with('{')).then(|| decoded.into_owned())
}

enum Effect<'a> {
    Allow(&'a Value),
    Deny,
}

/// Reads a statement, if all of its members are known by their exact names: IAM's reading of `principal` or `effect` in
/// another case is not documented, so such a statement is not understood.
fn effect(statement: &Value) -> Option<Effect<'_>> {
    let statement = statement.as_object()?;
    let known = ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition"];
    if !only_has(statement, &known) {
        return None;
    }
    match statement.get("Effect")?.as_str()? {
        "Allow" if !statement.contains_key("NotPrincipal") => statement.get("Principal").map(Effect::Allow),
        "Deny" => Some(Effect::Deny),
        _ => None,
    }
}

fn only_has(object: &Map<String, Value>, known: &[&str]) -> bool {
    object.keys().all(|key| known.contains(&key.as_str()))
}

fn is_only_a_service_of(kind: &EntryType, principal: &Value) -> bool {
    let services: &[&str] = match kind {
        EntryType::Ec2Linux | EntryType::Ec2Windows | EntryType::Ec2 => &["ec2"],
        EntryType::FargateLinux => &["eks-fargate-pods"],
        EntryType::HybridLinux => &["ssm", "rolesanywhere"],
        EntryType::HyperpodLinux => &["sagemaker"],
        EntryType::Standard | EntryType::Unknown(_) => &[],
    };
    let service = principal.as_object().filter(|kinds| kinds.len() == 1).and_then(|kinds| kinds.get("Service"));
    let name = match service {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => match names.as_slice() {
            [Value::String(name)] => name,
            _ => return false,
        },
        _ => return false,
    };
    name.strip_suffix(".amazonaws.com")
        .or_else(|| name.strip_suffix(".amazonaws.com.cn"))
        .is_some_and(|service| services.contains(&service))
}

/// JSON in which no object has a key twice, in whatever case. `serde_json` would keep the last of two `Principal`s, and
/// nothing says which one IAM keeps.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (mut object, mut seen) = (Map::new(), HashSet::new());
        while let Some((key, Strict(value))) = members.next_entry::<String, Strict>()? {
            if !seen.insert(key.to_lowercase()) {
                return Err(A::Error::custom(format!("the key {key:?} occurs twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests;
