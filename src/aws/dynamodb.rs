//! DynamoDB: the ledger's table as rows of JSON, read consistently and written under a condition on the version.
//!
//! Rows travel as `serde_json` objects; `ledger` gives them their meaning.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};

use super::Aws;
use crate::aws::fault::fault_of;
use crate::fault::{Fault, FaultKind};

/// A row as JSON.
pub type Item = Map<String, Value>;

/// Where a paged read goes on; opaque to callers.
pub type PageKey = HashMap<String, AttributeValue>;

impl Aws {
    /// One row, strongly consistent.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn get_item(&self, table: &str, principal_arn: &str, cluster: &str) -> Result<Option<Item>, Fault> {
        let get = self.dynamodb.get_item().table_name(table).set_key(Some(key(principal_arn, cluster)));
        let reply = self.in_turn(get.consistent_read(true).send()).await;
        reply.map(|reply| reply.item.map(item_of)).map_err(|e| fault_of("GetItem", &e))
    }

    /// All rows of a principal, strongly consistent.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn query(&self, table: &str, principal_arn: &str) -> Result<Vec<Item>, Fault> {
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(table)
                .consistent_read(true)
                .key_condition_expression("principalArn = :p")
                .expression_attribute_values(":p", AttributeValue::S(principal_arn.to_owned()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|e| fault_of("Query", &e))?;
            rows.extend(page.items.unwrap_or_default().into_iter().map(item_of));
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(rows);
            }
        }
    }

    /// One page of the whole table, strongly consistent, and where the next begins.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn scan_page(&self, table: &str, start: Option<PageKey>) -> Result<(Vec<Item>, Option<PageKey>), Fault> {
        let page = self
            .dynamodb
            .scan()
            .table_name(table)
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|e| fault_of("Scan", &e))?;
        let rows = page.items.unwrap_or_default().into_iter().map(item_of).collect();
        Ok((rows, page.last_evaluated_key.filter(|key| !key.is_empty())))
    }

    /// Writes a whole row, if the version there is still the one that was read (`None`: if there is no row).
    ///
    /// The SDK repeats it after a lost reply; the repetition then fails on its own write's version, which is told
    /// from a stranger's by reading the row back.
    ///
    /// # Errors
    /// [`FaultKind::ConditionFailed`] where somebody else wrote first, or any other [`Fault`].
    pub async fn put_item(&self, table: &str, item: &Item, version_read: Option<u64>) -> Result<(), Fault> {
        const OPERATION: &str = "PutItem";
        let put = self.dynamodb.put_item().table_name(table).set_item(Some(attributes_of(item)));
        let put = match version_read {
            None => put.condition_expression("attribute_not_exists(principalArn)"),
            Some(version) => put
                .condition_expression("version = :v")
                .expression_attribute_values(":v", AttributeValue::N(version.to_string())),
        };
        match self.in_turn(put.send()).await.map_err(|e| fault_of(OPERATION, &e)) {
            Ok(_) => Ok(()),
            Err(fault) if fault.kind == FaultKind::ConditionFailed => {
                let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
                let there = self.get_item(table, text("principalArn"), text("cluster")).await?;
                if there.as_ref() == Some(item) { Ok(()) } else { Err(fault) }
            }
            Err(fault) => Err(fault),
        }
    }

    /// Sets one attribute of a row, if the version there is still the one that was read; the version goes up by one.
    /// Repeated after a lost reply, it fails on its own write.
    ///
    /// # Errors
    /// [`FaultKind::ConditionFailed`] where the version is another one, or any other [`Fault`].
    pub async fn set_item(
        &self,
        table: &str,
        principal_arn: &str,
        cluster: &str,
        version_read: u64,
        (name, text): (&str, &str),
    ) -> Result<(), Fault> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let update = self
            .dynamodb
            .update_item()
            .table_name(table)
            .set_key(Some(key(principal_arn, cluster)))
            .update_expression("SET #name = :text, version = :next")
            .condition_expression("version = :v")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":text", AttributeValue::S(text.to_owned()))
            .expression_attribute_values(":v", number(version_read))
            .expression_attribute_values(":next", number(version_read + 1));
        self.in_turn(update.send()).await.map(drop).map_err(|e| fault_of("UpdateItem", &e))
    }

    /// Deletes a row, if the version there is still the one that was read.
    ///
    /// # Errors
    /// [`FaultKind::ConditionFailed`] where somebody else wrote first, or any other [`Fault`].
    pub async fn delete_item(
        &self,
        table: &str,
        principal_arn: &str,
        cluster: &str,
        version_read: u64,
    ) -> Result<(), Fault> {
        let delete = self
            .dynamodb
            .delete_item()
            .table_name(table)
            .set_key(Some(key(principal_arn, cluster)))
            .condition_expression("version = :v")
            .expression_attribute_values(":v", AttributeValue::N(version_read.to_string()));
        match self.in_turn(delete.send()).await.map_err(|e| fault_of("DeleteItem", &e)) {
            Ok(_) => Ok(()),
            // Repeated after a lost reply, it fails on its own deletion.
            Err(fault) if fault.kind == FaultKind::ConditionFailed => {
                let there = self.get_item(table, principal_arn, cluster).await?;
                if there.is_none() { Ok(()) } else { Err(fault) }
            }
            Err(fault) => Err(fault),
        }
    }
}

/// The key of a row as a page key: where a paged read that stopped at this row goes on.
#[must_use]
pub fn key(principal_arn: &str, cluster: &str) -> PageKey {
    HashMap::from([
        ("principalArn".to_owned(), AttributeValue::S(principal_arn.to_owned())),
        ("cluster".to_owned(), AttributeValue::S(cluster.to_owned())),
    ])
}

fn item_of(attributes: HashMap<String, AttributeValue>) -> Item {
    attributes.into_iter().map(|(name, value)| (name, value_of(value))).collect()
}

pub(super) fn value_of(attribute: AttributeValue) -> Value {
    match attribute {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(number) => number.parse::<Number>().map_or(Value::Null, Value::Number),
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::L(list) => Value::Array(list.into_iter().map(value_of).collect()),
        AttributeValue::M(map) => Value::Object(item_of(map)),
        AttributeValue::Ss(set) => Value::Array(set.into_iter().map(Value::String).collect()),
        // No other kind of attribute is ever written; a row with one is a stranger's and fails its checks.
        _ => Value::Null,
    }
}

fn attributes_of(item: &Item) -> HashMap<String, AttributeValue> {
    item.iter().map(|(name, value)| (name.clone(), attribute_of(value))).collect()
}

fn attribute_of(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(attribute_of).collect()),
        Value::Object(map) => AttributeValue::M(attributes_of(map)),
    }
}
