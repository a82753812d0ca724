//! The expressions that the product sends: conditions of equal and of absent attributes, the rows of a principal, and an
//! update of one attribute. Any other is refused; that DynamoDB itself takes these, the deployed tests show.

use serde_json::Value;

use super::{Item, Parameters, Refusal};

const IS_OF_PRINCIPAL: &str = "principalArn = :p";
const SET_ONE: &str = "SET #name = :text, version = :next";

/// A condition with its names and values: all of these hold.
#[derive(Debug, Clone)]
pub(super) struct Condition(Vec<Term>);

#[derive(Debug, Clone)]
enum Term {
    /// `attribute_not_exists(name)`
    Lacks(String),
    /// `name = :value`
    Equals(String, Value),
}

impl Condition {
    /// The condition of a write, where it has one.
    pub(super) fn of_write(parameters: &Parameters) -> Result<Option<Self>, Refusal> {
        parameters.optional_text("ConditionExpression")?.map(|text| Self::parse(text, parameters)).transpose()
    }

    /// The condition on the key that a query has.
    pub(super) fn of_query(parameters: &Parameters) -> Result<Self, Refusal> {
        match parameters.text("KeyConditionExpression")? {
            IS_OF_PRINCIPAL => Self::parse(IS_OF_PRINCIPAL, parameters),
            other => Err(unknown(other)),
        }
    }

    fn parse(text: &str, parameters: &Parameters) -> Result<Self, Refusal> {
        let term = |term: &str| {
            let lacks = term.strip_prefix("attribute_not_exists(").and_then(|rest| rest.strip_suffix(')'));
            match (lacks, term.split_once(" = ")) {
                (Some(of), _) => Ok(Term::Lacks(name(parameters, of)?)),
                (None, Some((of, is))) if is.starts_with(':') => {
                    Ok(Term::Equals(name(parameters, of)?, value(parameters, is)?))
                }
                _ => Err(unknown(text)),
            }
        };
        text.split(" AND ").map(term).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it holds for a row; for one that does not exist, an empty item.
    pub(super) fn holds(&self, row: &Item) -> bool {
        self.0.iter().all(|term| match term {
            Term::Lacks(name) => !row.contains_key(name),
            Term::Equals(name, value) => row.get(name) == Some(value),
        })
    }
}

/// Applies an update to an item.
pub(super) fn update(parameters: &Parameters, item: &mut Item) -> Result<(), Refusal> {
    match parameters.text("UpdateExpression")? {
        SET_ONE => {
            item.insert(name(parameters, "#name")?, value(parameters, ":text")?);
            item.insert("version".to_owned(), value(parameters, ":next")?);
            Ok(())
        }
        other => Err(unknown(other)),
    }
}

/// Refuses names and values that no expression of the request uses.
pub(super) fn check_placeholders(parameters: &Parameters) -> Result<(), Refusal> {
    let expressions = ["ConditionExpression", "KeyConditionExpression", "UpdateExpression"];
    let used: Vec<&str> =
        expressions.into_iter().filter_map(|member| parameters.get(member).and_then(Value::as_str)).collect();
    for member in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        let Some(defined) = parameters.object(member)? else { continue };
        let is_used = |name: &str| used.iter().any(|text| text.split([' ', ',', '(', ')']).any(|word| word == name));
        if let Some(idle) = defined.as_map().keys().find(|name| !is_used(name)) {
            let message = format!("Value provided in {member} unused in expressions: keys: {{{idle}}}");
            return Err(Refusal::validation(message));
        }
    }
    Ok(())
}

/// The name of an attribute: spelt out in letters, or by its placeholder.
fn name(parameters: &Parameters, text: &str) -> Result<String, Refusal> {
    if text.starts_with('#') {
        let names = parameters.text_map("ExpressionAttributeNames")?.unwrap_or_default();
        return names.get(text).cloned().ok_or_else(|| undefined("name", text));
    }
    if ["principalArn", "version"].contains(&text) { Ok(text.to_owned()) } else { Err(unknown(text)) }
}

fn value(parameters: &Parameters, placeholder: &str) -> Result<Value, Refusal> {
    let values = parameters.object("ExpressionAttributeValues")?.unwrap_or_default();
    values.get(placeholder).cloned().ok_or_else(|| undefined("value", placeholder))
}

fn undefined(what: &str, placeholder: &str) -> Refusal {
    let message = format!("An expression attribute {what} used in expression is not defined; {placeholder}");
    Refusal::validation(format!("Invalid expression: {message}"))
}

fn unknown(expression: &str) -> Refusal {
    Refusal::validation(format!("Invalid expression: the product does not send \"{expression}\""))
}
