//! The counts that dashboards and alarms stand on, derived from the cases of an invocation.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::case::Case;
use crate::model::{ClusterRef, Datum};
use crate::outcome::{Hold, Outcome, Precedence};

/// The metric that says how many entries do not let their role in.
pub const VALIDATION_ERRORS: &str = "AccessEntryValidationErrors";
/// The metric that counts the events that arrived.
pub const EVENTS_RECEIVED: &str = "RoleEventsReceived";

/// What every invocation that examined clusters publishes, zeros included. Ignored entries are in no count.
#[must_use]
pub fn of_invocation(cases: &[Case], blind_spots: usize, events: usize, is_sweep: bool) -> Vec<Datum> {
    // Of an archived entry every sweep would tell again: it waits, and counts as an error when its role is named.
    let is_counted = |case: &&Case| !(is_ignored(case) || is_sweep && is_archived(case));
    let counted: Vec<&Case> = cases.iter().filter(is_counted).collect();
    let count = |test: &dyn Fn(&Case) -> bool| counted.iter().filter(|case| test(case)).count();
    let mut data = vec![
        Datum::total(VALIDATION_ERRORS, count(&|case| case.verdict.is_error())),
        Datum::total("AccessEntriesOrphaned", count(&|case| case.verdict.label() == "orphaned")),
        Datum::total(
            "AccessEntriesRepaired",
            count(&|case| matches!(case.outcome, Outcome::Repaired | Outcome::Restored)),
        ),
        Datum::total("AccessEntriesHeld", count(&|case| matches!(case.outcome, Outcome::Held(_)))),
        Datum::total(
            "AccessEntryRepairFailures",
            count(&|case| matches!(case.outcome, Outcome::Failed(_) | Outcome::Deferred { deletion_sent: true, .. })),
        ),
        Datum::total("BlindSpots", blind_spots),
        Datum::total(EVENTS_RECEIVED, events),
    ];
    let mut by_cluster: BTreeMap<&ClusterRef, usize> = BTreeMap::new();
    for case in counted {
        *by_cluster.entry(&case.sighting.at).or_default() += usize::from(case.verdict.is_error());
    }
    data.extend(by_cluster.into_iter().map(|(at, errors)| of_cluster(at, errors)));
    data
}

/// The validation errors of one cluster.
#[must_use]
pub fn of_cluster(at: &ClusterRef, errors: usize) -> Datum {
    let dimensions = vec![("Region", at.region.to_string()), ("ClusterName", at.name.clone())];
    Datum { dimensions, ..Datum::total(VALIDATION_ERRORS, errors) }
}

/// What a sweep of everything saw besides its cases.
#[derive(Debug, Clone, Copy)]
pub struct Swept {
    /// Entries that the deadline cut off.
    pub not_reached: usize,
    /// Blind spots that do not pass by themselves.
    pub lasting_blind_spots: usize,
    /// Whether nothing was left out: no deadline, and no blind spot that may pass.
    pub saw_everything: bool,
    /// Whether nothing at all could be examined.
    pub saw_nothing: bool,
    /// Whether roles were created and no event of it arrived, if that is known.
    pub is_event_path_silent: Option<bool>,
}

/// What sweeps of everything publish besides. A sweep that did not see everything can switch an alarm on, not off.
#[must_use]
pub fn of_sweep(cases: &[Case], swept: Swept) -> Vec<Datum> {
    let unresolved = cases
        .iter()
        .filter(|case| !is_ignored(case) && !is_archived(case) && case.verdict.is_error())
        .filter(|case| {
            let dealt_with = matches!(
                case.outcome,
                Outcome::Repaired
                    | Outcome::Restored
                    | Outcome::Removed(_)
                    | Outcome::Preceded(Precedence::ReplacedByOther { .. } | Precedence::DeletedByOwner { .. })
            );
            !dealt_with
        })
        .count();
    let mut data = vec![
        Datum::total("EntriesNotReached", swept.not_reached),
        Datum::total("BlindSpotsLasting", swept.lasting_blind_spots),
    ];
    if swept.saw_everything || unresolved > 0 {
        data.push(Datum::total("AccessEntriesUnresolved", unresolved));
    }
    if !swept.saw_nothing {
        data.push(Datum::total("SweepsCompleted", 1));
    }
    data.extend(swept.is_event_path_silent.map(|is| Datum::total("EventPathSilent", usize::from(is))));
    data
}

/// How many entries wait for a person: all that are held, but those that the next sweep goes on with.
#[must_use]
pub fn waiting(cases: &[Case]) -> usize {
    let waits = |case: &&Case| {
        matches!(&case.outcome, Outcome::Held(reason) if !matches!(reason, Hold::RepairBudget { .. }))
            && !is_ignored(case)
    };
    cases.iter().filter(waits).count()
}

/// The metric of [`waiting`].
#[must_use]
pub fn of_waiting(count: usize) -> Datum {
    Datum::total("AccessEntriesWaiting", count)
}

fn is_archived(case: &Case) -> bool {
    matches!(case.outcome, Outcome::Held(Hold::Archived { .. }))
}

fn is_ignored(case: &Case) -> bool {
    matches!(case.outcome, Outcome::Held(Hold::IgnoreTag { .. })) || case.ignore_tag().is_some()
}

/// The same data as one log line in CloudWatch's embedded metric format, for when they cannot be sent
/// (CloudWatch User Guide, "Specification: Embedded metric format").
#[must_use]
pub fn embedded(namespace: &str, at: OffsetDateTime, data: &[Datum]) -> Vec<Value> {
    let mut by_dimensions: BTreeMap<&[(&'static str, String)], Vec<&Datum>> = BTreeMap::new();
    for datum in data {
        by_dimensions.entry(&datum.dimensions).or_default().push(datum);
    }
    let line = |(dimensions, data): (&[(&'static str, String)], Vec<&Datum>)| {
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let metrics: Vec<Value> = data.iter().map(|datum| json!({"Name": datum.name, "Unit": "Count"})).collect();
        let millis = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({"Timestamp": millis, "CloudWatchMetrics": [
                {"Namespace": namespace, "Dimensions": [names], "Metrics": metrics}]}),
        );
        line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        line.extend(data.iter().map(|datum| (datum.name.to_owned(), json!(datum.value))));
        Value::Object(line)
    };
    by_dimensions.into_iter().map(line).collect()
}
