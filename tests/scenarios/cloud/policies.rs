//! IAM policies, as far as this world needs them: who may do what to which resource, under which conditions. Whatever
//! is not understood here allows nothing.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is asked of a policy.
#[derive(Debug, Clone, Default)]
pub(super) struct Question<'a> {
    /// Such as `eks:CreateAccessEntry`.
    pub action: &'a str,
    /// An ARN; in a trust policy nothing is asked.
    pub resource: Option<&'a str>,
    /// In a trust policy: the ARNs and IDs under which the caller may be named.
    pub principals: &'a [String],
    /// Values of condition keys, by lower-case name.
    pub context: BTreeMap<&'a str, String>,
}

/// Whether the policy documents allow what is asked: one statement must, and none may deny it.
pub(super) fn allow<'a>(documents: impl IntoIterator<Item = &'a String>, question: &Question<'_>) -> bool {
    let parsed: Vec<Value> = documents.into_iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let statements = parsed.iter().flat_map(|document| each(&document["Statement"]));
    let applicable: Vec<&Value> = statements.filter(|statement| applies(statement, question)).collect();
    applicable.iter().any(|statement| statement["Effect"] == "Allow")
        && !applicable.iter().any(|statement| statement["Effect"] == "Deny")
}

/// Whether a text is a policy document at all.
pub(super) fn is_document(text: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return false };
    let effects = ["Allow", "Deny"].map(Value::from);
    let statements: Vec<&Value> = each(&document["Statement"]).collect();
    document["Version"] == "2012-10-17"
        && !statements.is_empty()
        && statements.iter().all(|one| effects.contains(&one["Effect"]) && each(&one["Action"]).count() > 0)
}

fn applies(statement: &Value, question: &Question<'_>) -> bool {
    let action = each(&statement["Action"]).any(|pattern| like(pattern, &question.action.to_lowercase(), true));
    let resource = question.resource.is_none_or(|arn| each(&statement["Resource"]).any(|one| like(one, arn, false)));
    let named = |one: &Value| one.as_str().is_some_and(|one| question.principals.iter().any(|name| name == one));
    let principal = question.principals.is_empty() || each(&statement["Principal"]["AWS"]).any(named);
    action && resource && principal && conditions_hold(&statement["Condition"], question)
}

/// `StringEquals` and `StringLike` are understood; every condition must hold.
fn conditions_hold(conditions: &Value, question: &Question<'_>) -> bool {
    let Some(operators) = conditions.as_object() else { return conditions.is_null() };
    operators.iter().all(|(operator, keys)| {
        let Some(keys) = keys.as_object() else { return false };
        keys.iter().all(|(key, wanted)| {
            let Some(present) = question.context.get(key.to_lowercase().as_str()) else { return false };
            match operator.as_str() {
                "StringEquals" => each(wanted).any(|one| one == present.as_str()),
                "StringLike" => each(wanted).any(|one| like(one, present, false)),
                _ => false,
            }
        })
    })
}

/// A value that may stand alone or in a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Null => [].iter(),
        Value::Array(list) => list.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn like(pattern: &Value, text: &str, lower: bool) -> bool {
    let Some(pattern) = pattern.as_str() else { return false };
    let pattern = if lower { pattern.to_lowercase() } else { pattern.to_owned() };
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
