//! The parameters of a request as one JSON object, whatever the protocol, read strictly: a member that the operation
//! does not have, a missing one or one of the wrong type is refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The members of a request.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    members: Map<String, Value>,
}

impl Parameters {
    /// Wraps the members of a request.
    pub fn new(members: Map<String, Value>) -> Self {
        Self { members }
    }

    /// Refuses members that the operation does not have.
    pub fn allow(&self, names: &[&str]) -> Result<(), Refusal> {
        match self.members.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(stranger) => Err(invalid(format!("unknown member: {stranger}"))),
        }
    }

    /// Any member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A text that must be there and not be empty.
    pub fn text(&self, name: &str) -> Result<&str, Refusal> {
        match self.optional_text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(invalid(format!("missing required member: {name}"))),
        }
    }

    /// A text that may be absent.
    pub fn optional_text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A text of so many characters that may be absent.
    pub fn text_within(&self, name: &str, from: usize, to: usize) -> Result<Option<&str>, Refusal> {
        let text = self.optional_text(name)?;
        if text.is_some_and(|text| !(from..=to).contains(&text.chars().count())) {
            return Err(invalid(format!("{name} must have between {from} and {to} characters")));
        }
        Ok(text)
    }

    /// One of these texts, which may be absent.
    pub fn one_of(&self, name: &str, values: &[&str]) -> Result<Option<&str>, Refusal> {
        let text = self.optional_text(name)?;
        match text.filter(|text| !values.contains(text)) {
            None => Ok(text),
            Some(stranger) => Err(invalid(format!("{name} must be one of {values:?}, not {stranger}"))),
        }
    }

    /// A flag that may be absent: then false.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.typed(name, "a boolean", Value::as_bool)?.unwrap_or(false))
    }

    /// A whole number within bounds; `None` where it is absent.
    pub fn number(&self, name: &str, from: usize, to: usize) -> Result<Option<usize>, Refusal> {
        // Query strings and forms carry numbers as text.
        let whole = |value: &Value| match value {
            Value::String(digits) => digits.parse().ok(),
            other => other.as_u64(),
        };
        let Some(number) = self.typed(name, "a whole number", whole)? else { return Ok(None) };
        match usize::try_from(number) {
            Ok(number) if (from..=to).contains(&number) => Ok(Some(number)),
            _ => Err(invalid(format!("{name} must be between {from} and {to}"))),
        }
    }

    /// A list of texts that may be absent.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let texts = |value: &Value| {
            value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        self.typed(name, "a list of strings", texts)
    }

    /// A map of texts that may be absent.
    pub fn text_map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let map = |value: &Value| {
            let pairs = value.as_object()?.iter();
            pairs.map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect::<Option<_>>()
        };
        self.typed(name, "a map of strings", map)
    }

    /// An object that may be absent.
    pub fn object(&self, name: &str) -> Result<Option<Parameters>, Refusal> {
        self.typed(name, "an object", |value| value.as_object().cloned().map(Self::new))
    }

    /// A list of objects; empty where it is absent.
    pub fn objects(&self, name: &str) -> Result<Vec<Parameters>, Refusal> {
        let objects = |value: &Value| {
            value.as_array()?.iter().map(|one| one.as_object().cloned().map(Self::new)).collect::<Option<Vec<_>>>()
        };
        Ok(self.typed(name, "a list of objects", objects)?.unwrap_or_default())
    }

    /// The members as they came.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.members
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| invalid(format!("{name} must be {kind}"))),
        }
    }
}

/// A request that does not fit the API's model. The code is EKS's; callers for whom it matters map it.
fn invalid(message: String) -> Refusal {
    Refusal::invalid_parameter(message)
}
