//! The expressions that the product sends: a row that is not there yet, the version that was read, a row that is still as it
//! was read, the rows of a principal, and an update of one attribute. Any other is refused; that DynamoDB itself takes
//! these, the deployed tests show.

use serde_json::Value;

use super::{Item, Parameters, Refusal};

const IS_NEW: &str = "attribute_not_exists(principalArn)";
const IS_OF_VERSION: &str = "version = :v";
const IS_OF_PRINCIPAL: &str = "principalArn = :p";
const SET_ONE: &str = "SET #name = :text, version = :next";

/// A condition with its values.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// There is no such row.
    IsNew,
    /// An attribute of the row has this value.
    Equals(&'static str, Value),
    /// Each of these attributes has this value, or is not there: what `forget` asks of a row that it read.
    AsRead(Vec<(String, Option<Value>)>),
}

impl Condition {
    /// The condition of a write, where it has one.
    pub(super) fn of_write(parameters: &Parameters) -> Result<Option<Self>, Refusal> {
        match parameters.optional_text("ConditionExpression")? {
            None => Ok(None),
            Some(IS_NEW) => Ok(Some(Self::IsNew)),
            Some(IS_OF_VERSION) => Ok(Some(Self::Equals("version", value(parameters, ":v")?))),
            Some(other) => Self::as_read(parameters, other).map(Some),
        }
    }

    /// `#a = :a AND attribute_not_exists(#b) AND …`
    fn as_read(parameters: &Parameters, text: &str) -> Result<Self, Refusal> {
        let names = parameters.text_map("ExpressionAttributeNames")?.unwrap_or_default();
        let name = |word: &str| names.get(word).cloned().ok_or_else(|| undefined("name", word));
        let parts = text.split(" AND ").map(|part| {
            if let Some(absent) = part.strip_prefix("attribute_not_exists(").and_then(|rest| rest.strip_suffix(')')) {
                return Ok((name(absent)?, None));
            }
            let (left, right) = part.split_once(" = ").ok_or_else(|| unknown(text))?;
            Ok((name(left)?, Some(value(parameters, right)?)))
        });
        parts.collect::<Result<_, _>>().map(Self::AsRead)
    }

    /// The condition on the key that a query has.
    pub(super) fn of_query(parameters: &Parameters) -> Result<Self, Refusal> {
        match parameters.text("KeyConditionExpression")? {
            IS_OF_PRINCIPAL => Ok(Self::Equals("principalArn", value(parameters, ":p")?)),
            other => Err(unknown(other)),
        }
    }

    /// Whether it holds for a row; for one that does not exist, an empty item.
    pub(super) fn holds(&self, row: &Item) -> bool {
        match self {
            Self::IsNew => !row.contains_key("principalArn"),
            Self::Equals(attribute, value) => row.get(*attribute) == Some(value),
            Self::AsRead(attributes) => attributes.iter().all(|(name, value)| row.get(name) == value.as_ref()),
        }
    }
}

/// Applies an update to an item.
pub(super) fn update(parameters: &Parameters, item: &mut Item) -> Result<(), Refusal> {
    match parameters.text("UpdateExpression")? {
        SET_ONE => {
            let names = parameters.text_map("ExpressionAttributeNames")?.unwrap_or_default();
            let name = names.get("#name").ok_or_else(|| undefined("name", "#name"))?;
            item.insert(name.clone(), value(parameters, ":text")?);
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
