//! What there is to be seen of one entry, and of the call that is about it: the plain looks that `witness` and `finale`
//! judge by.

use serde_json::{Map, Value};

use super::reference::{Kept, Key};
use crate::cloud::dynamodb::plain_item;
use crate::cloud::{Call, Entry, Policy, World};
use crate::stage::LEDGER;

/// The calls that change who may enter.
pub const CHANGES: [&str; 4] =
    ["CreateAccessEntry", "DeleteAccessEntry", "AssociateAccessPolicy", "DisassociateAccessPolicy"];

/// Whether whoever is let in by the entry may be.
pub fn is_let_in_rightly(kept: &Kept, entry: &Entry) -> bool {
    kept.others.contains(&entry.arn) || kept.good.contains(&entry.arn)
}

/// The ID of the role that has this ARN now.
pub fn present_role(world: &World, key: &Key) -> Option<String> {
    world.roles.values().find(|role| role.arn == key.2).map(|role| role.id.clone())
}

/// The entry of a principal, where cluster and entry are.
pub fn entry_at<'a>(world: &'a World, key: &Key) -> Option<&'a Entry> {
    world.clusters.get(&(key.0.clone(), key.1.clone()))?.entries.get(&key.2)
}

/// The ledger's row of an entry.
pub fn row_at(world: &mut World, key: &Key) -> Option<Map<String, Value>> {
    let row = (key.2.clone(), format!("{}#{}", key.0, key.1));
    world.table(LEDGER).rows.get(&row).map(plain_item)
}

/// The entry that a call of EKS is about.
pub fn key_of(call: &Call) -> Option<Key> {
    let principal = call.principal.clone()?;
    Some((call.region.clone(), call.cluster.clone()?, principal))
}

/// Whether the open row says that this is what the repair itself created.
pub fn is_under_way(row: Option<&Map<String, Value>>, entry: &Entry) -> bool {
    row.is_some_and(|row| {
        let is_own = row.get("isOwnEntry").is_some_and(|own| own == true);
        row["state"] == "repairing" && (row["accessEntryArn"] != entry.arn.as_str() || is_own)
    })
}

/// In whatever order.
pub fn same_policies(one: &[Policy], other: &[Policy]) -> bool {
    let sorted = |policies: &[Policy]| {
        let mut policies: Vec<String> = policies.iter().map(|policy| format!("{policy:?}")).collect();
        policies.sort();
        policies
    };
    sorted(one) == sorted(other)
}
