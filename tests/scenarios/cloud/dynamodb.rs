//! DynamoDB: tables of items, read and written one by one under conditions. Items are kept in the wire's own form
//! (`{"S": "…"}`); [`plain`] and [`typed`] translate to and from ordinary JSON.

mod expression;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::world::World;
use expression::Condition;

/// An item in the wire's form.
pub type Item = Map<String, Value>;

/// The largest item, in bytes. [AWS-67]
const LARGEST_ITEM: usize = 400 * 1024;

/// The longest name of an attribute.
const LONGEST_NAME: usize = 65_535;

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The name of the partition key, of type S.
    pub partition_key: String,
    /// The name of the sort key, of type S, where there is one.
    pub sort_key: Option<String>,
    /// The rows, by partition and sort key.
    pub rows: BTreeMap<(String, String), Item>,
    /// What was there before each write, oldest first: what a stale read shows.
    past: Vec<Before>,
}

/// What a row was until a moment.
#[derive(Debug, Clone)]
struct Before {
    until: OffsetDateTime,
    key: (String, String),
    row: Option<Item>,
}

impl Table {
    /// An empty table.
    pub fn new(partition_key: &str, sort_key: Option<&str>) -> Self {
        Self { partition_key: partition_key.to_owned(), sort_key: sort_key.map(str::to_owned), ..Self::default() }
    }

    /// Puts an item, or deletes the row of a key.
    pub fn write(&mut self, at: OffsetDateTime, key: (String, String), item: Option<Item>) {
        let row = match item {
            Some(item) => self.rows.insert(key.clone(), item),
            None => self.rows.remove(&key),
        };
        self.past.push(Before { until: at, key, row });
    }

    /// The rows as they were at a moment.
    fn as_of(&self, moment: OffsetDateTime) -> Cow<'_, BTreeMap<(String, String), Item>> {
        let mut rows = Cow::Borrowed(&self.rows);
        for before in self.past.iter().rev().take_while(|before| before.until > moment) {
            match &before.row {
                Some(row) => rows.to_mut().insert(before.key.clone(), row.clone()),
                None => rows.to_mut().remove(&before.key),
            };
        }
        rows
    }

    /// The key of an item, which has to hold all of it as non-empty texts.
    pub fn key_of(&self, item: &Item) -> Result<(String, String), Refusal> {
        let part = |name: &str| match item.get(name).and_then(|value| value.get("S")).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            Some(_) => Err(Refusal::validation(format!(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: {name}"
            ))),
            None if item.contains_key(name) => Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Type mismatch for key {name} expected: S"
            ))),
            None => Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Missing the key {name} in the item"
            ))),
        };
        let sort = self.sort_key.as_deref().map_or(Ok(String::new()), part)?;
        Ok((part(&self.partition_key)?, sort))
    }

    /// A key given by itself: exactly the key attributes.
    fn exact_key(&self, key: &Item) -> Result<(String, String), Refusal> {
        if key.len() != 1 + usize::from(self.sort_key.is_some()) {
            return Err(Refusal::validation("The provided key element does not match the schema"));
        }
        self.key_of(key).map_err(|_| Refusal::validation("The provided key element does not match the schema"))
    }

    fn key_item(&self, item: &Item) -> Item {
        let names = [Some(&self.partition_key), self.sort_key.as_ref()];
        names.into_iter().flatten().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect()
    }
}

/// The operations that this DynamoDB knows.
const OPERATIONS: [&str; 6] = ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"];

/// Answers a DynamoDB operation in a Region.
pub(super) fn answer(
    world: &mut World,
    region: &str,
    operation: &str,
    parameters: &Parameters,
) -> Result<Value, Refusal> {
    if !OPERATIONS.contains(&operation) {
        return Err(Refusal::unknown_operation(operation));
    }
    check_members(parameters).map_err(in_validation_terms)?;
    let name = parameters.text("TableName").map_err(in_validation_terms)?;
    let (now, lag, page) = (world.now, world.habits.inconsistent_reads_lag_by, world.habits.table_page_size);
    let table = world.tables.get_mut(&(region.to_owned(), name.to_owned()));
    let table = table.ok_or_else(|| Refusal::new(400, "ResourceNotFoundException", "Requested resource not found"))?;
    match operation {
        "GetItem" => get_item(table, now, lag, parameters),
        "PutItem" => put_item(table, now, parameters),
        "UpdateItem" => update_item(table, now, parameters),
        "DeleteItem" => delete_item(table, now, parameters),
        "Query" => read_page(table, now, lag, page, parameters, true),
        _ => read_page(table, now, lag, page, parameters, false),
    }
    .map_err(in_validation_terms)
}

fn get_item(table: &Table, now: OffsetDateTime, lag: Duration, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["TableName", "Key", "ConsistentRead"])?;
    let key = table.exact_key(member(parameters, "Key")?.as_map())?;
    let row = if parameters.flag("ConsistentRead")? {
        table.rows.get(&key).cloned()
    } else {
        table.as_of(now - lag).get(&key).cloned()
    };
    Ok(row.map_or_else(|| json!({}), |item| json!({ "Item": item })))
}

const WRITE: [&str; 3] = ["TableName", "ConditionExpression", "ExpressionAttributeValues"];

fn put_item(table: &mut Table, now: OffsetDateTime, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&[&WRITE[..], &["Item"]].concat())?;
    let item = member(parameters, "Item")?.as_map().clone();
    let key = table.key_of(&item)?;
    if item.iter().map(|(name, value)| name.len() + value.to_string().len()).sum::<usize>() > LARGEST_ITEM {
        return Err(Refusal::validation("Item size has exceeded the maximum allowed size"));
    }
    check_condition(table, &key, parameters)?;
    table.write(now, key, Some(item));
    Ok(json!({}))
}

fn delete_item(table: &mut Table, now: OffsetDateTime, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&[&WRITE[..], &["Key", "ExpressionAttributeNames"]].concat())?;
    let key = table.exact_key(member(parameters, "Key")?.as_map())?;
    check_condition(table, &key, parameters)?;
    if table.rows.contains_key(&key) {
        table.write(now, key, None);
    }
    Ok(json!({}))
}

fn update_item(table: &mut Table, now: OffsetDateTime, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&[&WRITE[..], &["Key", "UpdateExpression", "ExpressionAttributeNames"]].concat())?;
    let key_item = member(parameters, "Key")?.as_map().clone();
    let key = table.exact_key(&key_item)?;
    check_condition(table, &key, parameters)?;
    let mut item = table.rows.get(&key).cloned().unwrap_or(key_item);
    expression::update(parameters, &mut item)?;
    if table.key_of(&item)? != key {
        return Err(Refusal::validation("Cannot update attribute. This attribute is part of the key"));
    }
    table.write(now, key, Some(item));
    Ok(json!({}))
}

fn check_condition(table: &Table, key: &(String, String), parameters: &Parameters) -> Result<(), Refusal> {
    expression::check_placeholders(parameters)?;
    let condition = Condition::of_write(parameters)?;
    let empty = Item::new();
    let row = table.rows.get(key).unwrap_or(&empty);
    if condition.is_none_or(|condition| condition.holds(row)) {
        return Ok(());
    }
    Err(Refusal::new(400, "ConditionalCheckFailedException", "The conditional request failed"))
}

/// A page of `Query` or `Scan`. If the page is full, a key to go on from is given even if nothing follows.
fn read_page(
    table: &Table,
    now: OffsetDateTime,
    lag: Duration,
    size: usize,
    parameters: &Parameters,
    query: bool,
) -> Result<Value, Refusal> {
    let own: &[&str] = if query { &["KeyConditionExpression", "ExpressionAttributeValues"] } else { &[] };
    parameters.allow(&[&["TableName", "ConsistentRead", "ExclusiveStartKey"][..], own].concat())?;
    expression::check_placeholders(parameters)?;
    let condition = query.then(|| Condition::of_query(parameters)).transpose()?;
    let after = match parameters.object("ExclusiveStartKey")? {
        None => None,
        Some(key) => Some(table.exact_key(key.as_map())?),
    };
    let rows = if parameters.flag("ConsistentRead")? { Cow::Borrowed(&table.rows) } else { table.as_of(now - lag) };
    let items: Vec<&Item> = rows
        .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
        .map(|(_, item)| item)
        .filter(|item| condition.as_ref().is_none_or(|it| it.holds(item)))
        .take(size)
        .collect();
    let mut reply = json!({ "Items": items, "Count": items.len(), "ScannedCount": items.len() });
    if let Some(last) = items.last().filter(|_| items.len() == size) {
        reply["LastEvaluatedKey"] = Value::Object(table.key_item(last));
    }
    Ok(reply)
}

fn member(parameters: &Parameters, name: &str) -> Result<Parameters, Refusal> {
    parameters.object(name)?.ok_or_else(|| Refusal::validation(format!("missing required member: {name}")))
}

fn in_validation_terms(refusal: Refusal) -> Refusal {
    if refusal.code == "InvalidParameterException" { Refusal::validation(refusal.message) } else { refusal }
}

/// Refuses what no operation takes, whichever has it: values of attributes that are none, enumerations' other values.
fn check_members(parameters: &Parameters) -> Result<(), Refusal> {
    for member in ["Key", "Item", "ExclusiveStartKey", "ExpressionAttributeValues"] {
        let Some(attributes) = parameters.object(member)? else { continue };
        if let Some((name, _)) = attributes.as_map().iter().find(|(_, value)| !is_attribute(value)) {
            return Err(Refusal::validation(format!("Supplied AttributeValue of {name} is not valid")));
        }
    }
    let names = parameters.text_map("ExpressionAttributeNames")?.unwrap_or_default();
    if names.values().any(|name| !(1..=LONGEST_NAME).contains(&name.len())) {
        return Err(Refusal::validation("ExpressionAttributeNames must have between 1 and 65535 characters"));
    }
    Ok(())
}

fn is_attribute(value: &Value) -> bool {
    let is_number = |value: &Value| value.as_str().is_some_and(|digits| digits.parse::<f64>().is_ok());
    let is_set = |value: &Value, of: fn(&Value) -> bool| {
        value.as_array().is_some_and(|set| !set.is_empty() && set.iter().all(of))
    };
    let Some(value) = value.as_object().filter(|value| value.len() == 1) else { return false };
    value.iter().all(|(kind, inner)| match kind.as_str() {
        "S" | "B" => inner.is_string(),
        "N" => is_number(inner),
        "BOOL" => inner.is_boolean(),
        "NULL" => inner == &Value::Bool(true),
        "M" => inner
            .as_object()
            .is_some_and(|map| map.iter().all(|(name, value)| name.len() <= LONGEST_NAME && is_attribute(value))),
        "L" => inner.as_array().is_some_and(|list| list.iter().all(is_attribute)),
        "SS" | "BS" => is_set(inner, Value::is_string),
        "NS" => is_set(inner, is_number),
        _ => false,
    })
}

/// A value of the wire as ordinary JSON.
pub fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|value| value.iter().next()) else { return Value::Null };
    match (kind.as_str(), inner) {
        ("N", Value::String(digits)) => digits.parse().map_or(Value::Null, Value::Number),
        ("M", Value::Object(map)) => Value::Object(plain_item(map)),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        ("NULL", _) => Value::Null,
        (_, inner) => inner.clone(),
    }
}

/// An item of the wire as ordinary JSON.
pub fn plain_item(item: &Item) -> Map<String, Value> {
    item.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
}

/// Ordinary JSON as a value of the wire.
pub fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(flag) => json!({ "BOOL": flag }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(list) => json!({ "L": list.iter().map(typed).collect::<Vec<_>>() }),
        Value::Object(map) => json!({ "M": typed_item(map) }),
    }
}

/// Ordinary JSON as an item of the wire.
pub fn typed_item(map: &Map<String, Value>) -> Item {
    map.iter().map(|(name, value)| (name.clone(), typed(value))).collect()
}
