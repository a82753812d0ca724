//! DynamoDB: a single row as it is stored, for reading and deleting one that nothing else can make sense of.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use super::Aws;
use super::dynamodb::{key, value_of};
use crate::aws::fault::fault_of;
use crate::fault::{Fault, FaultKind};

/// A row with attributes of any kind.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredItem(HashMap<String, AttributeValue>);

/// What of a row changes with every write of this function, and what a stranger would change to have it followed. A row
/// has at most 400 KB, a condition far fewer operators than a row may have attributes.
const AS_READ: [&str; 4] = ["version", "state", "leaseOwner", "leaseUntil"];

impl StoredItem {
    /// All attributes as JSON: bytes in hexadecimal, and a number that JSON readers cannot hold as text.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, value)| (name.clone(), whole(value))).collect())
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn whole(attribute: &AttributeValue) -> Value {
    let hex = |bytes: &aws_sdk_dynamodb::primitives::Blob| hexadecimal(bytes.as_ref());
    let number = |text: &String| text.parse().map_or_else(|_| Value::String(text.clone()), Value::Number);
    match attribute {
        AttributeValue::N(text) => number(text),
        AttributeValue::Ns(texts) => texts.iter().map(number).collect(),
        AttributeValue::B(bytes) => Value::String(hex(bytes)),
        AttributeValue::Bs(list) => list.iter().map(hex).collect(),
        AttributeValue::L(list) => list.iter().map(whole).collect(),
        AttributeValue::M(map) => {
            Value::Object(map.iter().map(|(name, value)| (name.clone(), whole(value))).collect::<Map<_, _>>())
        }
        other => value_of(other.clone()),
    }
}

impl Aws {
    /// One row as it is stored, strongly consistent.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn get_stored(
        &self,
        table: &str,
        principal_arn: &str,
        cluster: &str,
    ) -> Result<Option<StoredItem>, Fault> {
        let get = self.dynamodb.get_item().table_name(table).set_key(Some(key(principal_arn, cluster)));
        let reply = self.in_turn(get.consistent_read(true).send()).await;
        reply.map(|reply| reply.item.map(StoredItem)).map_err(|e| fault_of("GetItem", &e))
    }

    /// Deletes a row if it is still as it was read, as far as `AS_READ` tells.
    ///
    /// # Errors
    /// [`FaultKind::ConditionFailed`] if somebody else wrote first, or any other [`Fault`].
    pub async fn delete_stored(&self, table: &str, read: &StoredItem) -> Result<(), Fault> {
        let (principal_arn, cluster) = (read.text("principalArn"), read.text("cluster"));
        let mut delete = self.dynamodb.delete_item().table_name(table).set_key(Some(key(principal_arn, cluster)));
        let mut conditions = Vec::new();
        for name in AS_READ {
            delete = delete.expression_attribute_names(format!("#{name}"), name);
            match read.0.get(name) {
                Some(value) => {
                    delete = delete.expression_attribute_values(format!(":{name}"), value.clone());
                    conditions.push(format!("#{name} = :{name}"));
                }
                None => conditions.push(format!("attribute_not_exists(#{name})")),
            }
        }
        let delete = delete.condition_expression(conditions.join(" AND "));
        match self.in_turn(delete.send()).await.map_err(|e| fault_of("DeleteItem", &e)) {
            Ok(_) => Ok(()),
            // Repeated after a lost reply, it fails on its own deletion.
            Err(fault) if fault.kind == FaultKind::ConditionFailed => {
                let there = self.get_stored(table, principal_arn, cluster).await?;
                if there.is_none() { Ok(()) } else { Err(fault) }
            }
            Err(fault) => Err(fault),
        }
    }
}
