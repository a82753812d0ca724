//! What was called, and how many calls had to wait for one another.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Call, Cloud};

/// The calls since the last time they were forgotten: how many of each operation, how many were throttled, and the
/// longest chain. `delay` is how long each was under way.
pub fn tally(cloud: &Cloud, delay: Duration) -> Value {
    let calls = cloud.calls();
    let mut by_operation: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        *by_operation.entry(&call.operation).or_default() += 1;
    }
    let throttled = calls.iter().filter(|call| call.status.is_none()).count();
    json!({"calls": calls.len(), "byOperation": by_operation, "notAnswered": throttled, "chain": chain(&calls, delay)})
}

/// The most calls of which each began after the one before had ended: dependent calls, and calls that waited for a turn.
fn chain(calls: &[Call], delay: Duration) -> usize {
    let mut arrivals: Vec<_> = calls.iter().map(|call| call.at).collect();
    arrivals.sort();
    let mut ended = None;
    let mut length = 0;
    for at in arrivals {
        if ended.is_none_or(|ended| at >= ended) {
            length += 1;
            ended = Some(at + delay);
        }
    }
    length
}
