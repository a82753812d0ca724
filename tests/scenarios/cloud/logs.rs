//! CloudWatch Logs, as far as somebody reads what the function wrote: lines with their moments, by log group.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::paging;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::world::World;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written, to the millisecond.
    pub at: OffsetDateTime,
    /// Without the line break.
    pub text: String,
}

impl World {
    /// Writes a line into a log group of a Region.
    #[allow(dead_code, reason = "tests/local_aws uses it")]
    pub fn log(&mut self, region: &str, group: &str, text: &str) {
        let line = Line { at: self.now_ms(), text: text.to_owned() };
        self.logs.entry((region.to_owned(), group.to_owned())).or_default().push(line);
    }
}

/// Answers an operation of CloudWatch Logs.
pub(super) fn answer(
    world: &mut World,
    region: &str,
    operation: &str,
    parameters: &Parameters,
) -> Result<Value, Refusal> {
    match operation {
        "FilterLogEvents" => filter(world, region, parameters),
        _ => Err(Refusal::unknown_operation(operation)),
    }
}

fn filter(world: &World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["logGroupName", "filterPattern", "startTime", "endTime", "limit", "nextToken"])?;
    let group = parameters.text("logGroupName")?;
    let lines = world.logs.get(&(region.to_owned(), group.to_owned()));
    let lines = lines
        .ok_or_else(|| Refusal::new(400, "ResourceNotFoundException", "The specified log group does not exist."))?;
    let wanted = equalities(parameters.optional_text("filterPattern")?.unwrap_or_default())?;
    let moment = |name: &str| parameters.get(name).and_then(Value::as_u64).map(Duration::from_millis);
    let since_epoch = |line: &Line| (line.at - OffsetDateTime::UNIX_EPOCH).unsigned_abs();
    let found: Vec<(String, Value)> = lines
        .iter()
        .filter(|line| moment("startTime").is_none_or(|from| since_epoch(line) >= from))
        .filter(|line| moment("endTime").is_none_or(|to| since_epoch(line) <= to))
        .filter(|line| {
            let Ok(members) = serde_json::from_str::<Value>(&line.text) else { return wanted.is_empty() };
            wanted.iter().all(|(name, value)| members[name] == value.as_str())
        })
        .enumerate()
        .map(|(n, line)| {
            let ms = u64::try_from(since_epoch(line).as_millis()).expect("a date of this century");
            (format!("{n:08}"), json!({ "timestamp": ms, "ingestionTime": ms, "message": line.text }))
        })
        .collect();
    let size = parameters.number("limit", 1, 10_000)?.unwrap_or(10_000);
    let token = parameters.optional_text("nextToken")?;
    let page = paging::page(&world.habits, &format!("FilterLogEvents/{group}"), &found, size, token)?;
    let mut reply = json!({ "events": page.items, "searchedLogStreams": [] });
    if let Some(token) = page.token {
        reply["nextToken"] = token.into();
    }
    Ok(reply)
}

/// `{ $.a = "x" && $.b = "y" }` as pairs. Other patterns are refused, since this world would misread them.
fn equalities(pattern: &str) -> Result<Vec<(String, String)>, Refusal> {
    if pattern.is_empty() {
        return Ok(Vec::new());
    }
    let read = || -> Option<Vec<(String, String)>> {
        let inner = pattern.strip_prefix('{')?.strip_suffix('}')?;
        let pairs = inner.split("&&").map(|term| {
            let (name, value) = term.split_once('=')?;
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            Some((name.trim().strip_prefix("$.")?.to_owned(), value.to_owned()))
        });
        pairs.collect()
    };
    read().ok_or_else(|| Refusal::new(400, "InvalidParameterException", format!("Invalid filter pattern: {pattern}")))
}
