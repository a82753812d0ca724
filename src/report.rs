//! What the function answers and logs: one report, its entries worst first, and the sentences for a person.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::blind_spot::BlindSpot;
use crate::case::Case;
use crate::config::Mode;
use crate::event::Invocation;
use crate::impact::{self, Impact};
use crate::model::Datum;
use crate::model::{AccessPolicy, ClusterRef, Region};
use crate::outcome::{Hold, Outcome};
use crate::row::Row;
use crate::row::form::rfc3339;
use crate::verdict::Verdict;

mod remedy;

/// The most entries that one report carries.
const MOST_ENTRIES: usize = 5000;

/// The most bytes that any answer has: Lambda's may be 6 MB at most.
pub const MOST_BYTES: usize = 5_000_000;

/// The function's answer.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    version: &'static str,
    account_id: String,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    trigger: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'static str>,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten: Option<Value>,
    regions: usize,
    clusters: usize,
    clusters_excluded: usize,
    entries_examined: usize,
    entries_not_reached: usize,
    entries: Vec<Entry>,
    entries_omitted: usize,
    blind_spots: Vec<Blind>,
    batch_item_failures: Vec<Value>,
    metrics: Map<String, Value>,
    duration_ms: u64,
    /// How many entries the answer has; the log has all of `entries`.
    #[serde(skip)]
    answered: Option<Answered>,
}

/// How much of the lists fits into the answer.
#[derive(Debug, Clone, Copy)]
struct Answered {
    entries: usize,
    blind_spots: usize,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Regions asked.
    pub regions: usize,
    /// Clusters found.
    pub clusters: usize,
    /// Clusters that the settings keep from being read.
    pub clusters_excluded: usize,
    /// Entries examined.
    pub entries: usize,
    /// Entries that the deadline cut off.
    pub not_reached: usize,
}

/// One entry of the report.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    region: String,
    cluster_name: String,
    principal_arn: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'static str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_role_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_entry_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_access_entry_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    kubernetes_groups: Vec<String>,
    access_policies: Vec<AccessPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_out_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    impact: Vec<Impact>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blind {
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<String>,
    reason: &'static str,
    detail: String,
}

impl Report {
    /// An empty report of this invocation.
    #[must_use]
    pub fn new(invocation: &Invocation, trigger: &'static str, mode: &'static str) -> Self {
        Self {
            version: "1",
            account_id: invocation.home.account.clone(),
            request_id: invocation.request_id.clone(),
            trigger,
            mode,
            ..Self::default()
        }
    }

    /// Why nothing was looked at, if so.
    #[must_use]
    pub fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }

    /// CloudTrail's ID of the event.
    #[must_use]
    pub fn of_event(mut self, id: Option<String>) -> Self {
        self.event_id = id;
        self
    }

    /// The command's name.
    #[must_use]
    pub fn of_command(mut self, name: &'static str) -> Self {
        self.command = Some(name);
        self
    }

    /// How much was looked at.
    #[must_use]
    pub fn having_seen(mut self, seen: Seen) -> Self {
        self.regions = seen.regions;
        self.clusters = seen.clusters;
        self.clusters_excluded = seen.clusters_excluded;
        self.entries_examined = seen.entries;
        self.entries_not_reached = seen.not_reached;
        self
    }

    /// The cases, worst first.
    #[must_use]
    pub fn with_cases(mut self, mut cases: Vec<Case>, invocation: &Invocation, creator: &Creators<'_>) -> Self {
        sort(&mut cases);
        let context =
            remedy::Context { invocation, command: self.command, observes: self.mode == Mode::Observe.as_str() };
        let entry = |case: &Case| Entry { remedy: remedy::of(case, context), ..Entry::of(case, creator) };
        self.entries = cases.iter().take(MOST_ENTRIES).map(entry).collect();
        self.entries_omitted = cases.len() - self.entries.len();
        self
    }

    /// Who the person behind the command claims to be, on the entry that the command names. The entry that stops all
    /// others may be here too, and nobody asked for it.
    #[must_use]
    pub fn with_claim(mut self, is_named: &dyn Fn(&ClusterRef, &str) -> bool, claimed_by: Option<&str>) -> Self {
        for entry in &mut self.entries {
            let at = ClusterRef { region: Region(entry.region.clone()), name: entry.cluster_name.clone() };
            entry.claimed_by = claimed_by.filter(|_| is_named(&at, &entry.principal_arn)).map(str::to_owned);
        }
        self
    }

    /// Who the person behind a command without entries claims to be.
    #[must_use]
    pub fn claimed_by(mut self, claimed_by: Option<String>) -> Self {
        self.claimed_by = claimed_by;
        self
    }

    /// The row that was taken out of the ledger.
    #[must_use]
    pub fn having_forgotten(mut self, row: Value) -> Self {
        self.forgotten = Some(row);
        self
    }

    /// An entry whose row could not be worked on; nothing else was looked at.
    #[must_use]
    pub fn having_left(mut self, principal: &str, cluster: &ClusterRef, outcome: &Outcome) -> Self {
        self.entries.push(Entry {
            region: cluster.region.to_string(),
            cluster_name: cluster.name.clone(),
            principal_arn: principal.to_owned(),
            verdict: "undecided",
            outcome: outcome.label(),
            reason: outcome.reason(),
            detail: outcome.explain(),
            claimed_by: self.claimed_by.clone(),
            ..Entry::default()
        });
        self
    }

    /// The parts of the account that could not be read.
    #[must_use]
    pub fn with_blind_spots(mut self, spots: &[BlindSpot]) -> Self {
        self.blind_spots = spots
            .iter()
            .map(|spot| Blind {
                region: spot.region.to_string(),
                cluster_name: spot.cluster.clone(),
                reason: spot.label(),
                detail: spot.detail.clone(),
            })
            .collect();
        self
    }

    /// The records that are to be delivered again.
    #[must_use]
    pub fn with_batch_item_failures(mut self, message_ids: Vec<String>) -> Self {
        self.batch_item_failures = message_ids.into_iter().map(|id| json!({"itemIdentifier": id})).collect();
        self
    }

    /// The counts, those without dimensions.
    #[must_use]
    pub fn with_metrics(mut self, data: &[Datum]) -> Self {
        let totals = data.iter().filter(|datum| datum.dimensions.is_empty());
        #[expect(clippy::cast_possible_truncation, reason = "counts")]
        let totals = totals.map(|datum| (datum.name.to_owned(), json!(datum.value as i64)));
        self.metrics = totals.collect();
        self
    }

    /// How long it all took.
    #[must_use]
    pub fn having_taken(mut self, millis: u64) -> Self {
        self.duration_ms = millis;
        self
    }

    /// Keeps the whole answer, serialized, below so many bytes: with the worst entries, and at most half of what is left
    /// for blind spots. The log still has all of both. The records to deliver again are never cut: whoever reads them
    /// would take a record for done.
    #[must_use]
    pub fn within(mut self, most_bytes: usize) -> Self {
        let total = self.entries.len() + self.entries_omitted;
        let (entries, blind_spots) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.blind_spots));
        self.entries_omitted = total;
        let mut left = most_bytes.saturating_sub(bytes_of(&self));
        let (spots_kept, spots_bytes) = fitting(&blind_spots, left / 2);
        left -= spots_bytes;
        let (entries_kept, _) = fitting(&entries, left);
        self.entries_omitted = total - entries_kept;
        self.answered = Some(Answered { entries: entries_kept, blind_spots: spots_kept });
        Self { entries, blind_spots, ..self }
    }

    /// The answer.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(answered) = self.answered {
            for (name, kept) in [("entries", answered.entries), ("blindSpots", answered.blind_spots)] {
                if let Some(list) = value[name].as_array_mut() {
                    list.truncate(kept);
                }
            }
        }
        value
    }

    /// The log lines: the report, then each entry and blind spot, so that filters and queries reach them.
    #[must_use]
    pub fn log_lines(&self) -> Vec<Value> {
        let line = |kind: &str, value: Value| {
            let mut line = Map::new();
            line.insert("kind".to_owned(), json!(kind));
            // Lambda's log level filter drops by this member.
            line.insert("level".to_owned(), json!("INFO"));
            line.insert("requestId".to_owned(), json!(self.request_id));
            if let Value::Object(value) = value {
                line.extend(value);
            }
            Value::Object(line)
        };
        let mut whole = self.to_value();
        if let Some(whole) = whole.as_object_mut() {
            whole.remove("entries");
            whole.remove("blindSpots");
        }
        let entries = self.entries.iter().map(|entry| line("entry", json!(entry)));
        let spots = self.blind_spots.iter().map(|spot| line("blindSpot", json!(spot)));
        std::iter::once(line("report", whole)).chain(entries).chain(spots).collect()
    }
}

fn bytes_of(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

/// How many of the first items fit, each with its comma, and the bytes that they take.
fn fitting(items: &[impl Serialize], most_bytes: usize) -> (usize, usize) {
    let mut bytes = 0;
    for (count, item) in items.iter().enumerate() {
        let more = bytes + bytes_of(item) + 1;
        if more > most_bytes {
            return (count, bytes);
        }
        bytes = more;
    }
    (items.len(), bytes)
}

/// Worst first; among those alike, first what makes something stand still.
pub fn sort(cases: &mut [Case]) {
    cases.sort_by(|a, b| order(a).cmp(&order(b)));
}

fn order(case: &Case) -> (u8, u8, &str, &str, &str) {
    let at = &case.sighting.at;
    let rank = impact::rank(&case.impact);
    (case.verdict.rank(), rank, &at.region.0, &at.name, case.sighting.principal.as_str())
}

/// Who created which role, by the events' own account: role ID and ARN.
pub type Creators<'a> = [(&'a str, &'a str)];

impl Entry {
    /// What is known of a case; without a remedy, which is a matter of who reads it.
    #[must_use]
    pub fn of(case: &Case, creators: &Creators<'_>) -> Self {
        let sighting = &case.sighting;
        let role = sighting.role.role();
        let snapshot = sighting.snapshot();
        let entry = sighting.entry.as_ref().map(|examined| &examined.entry);
        let created_by = role.and_then(|role| creators.iter().find(|(id, _)| *id == role.id.0));
        Self {
            region: sighting.at.region.to_string(),
            cluster_name: sighting.at.name.clone(),
            principal_arn: sighting.principal.as_str().to_owned(),
            kind: snapshot.as_ref().map(|snapshot| snapshot.kind.as_str().to_owned()),
            verdict: case.verdict.label(),
            evidence: case.verdict.evidence(),
            outcome: case.outcome.label(),
            reason: case.outcome.reason(),
            detail: detail(case, created_by.map(|(_, arn)| *arn)),
            remedy: None,
            claimed_by: None,
            role_id: role.map(|role| role.id.to_string()),
            previous_role_id: case.previous_role_id.as_ref().map(ToString::to_string),
            role_created_at: role.map(|role| rfc3339(role.created_at)),
            role_created_by: created_by.map(|(_, arn)| (*arn).to_owned()),
            created_at: entry.map(|entry| rfc3339(entry.created_at)),
            access_entry_arn: entry.map(|entry| entry.arn.clone()),
            previous_access_entry_arn: case.previous_entry_arn.clone(),
            username: snapshot.as_ref().and_then(|snapshot| snapshot.username.clone()),
            kubernetes_groups: snapshot
                .as_ref()
                .map(|snapshot| snapshot.kubernetes_groups.to_vec())
                .unwrap_or_default(),
            access_policies: snapshot.map(|snapshot| snapshot.access_policies).unwrap_or_default(),
            locked_out_seconds: case.locked_out.map(|time| time.as_secs()),
            impact: case.impact.clone(),
        }
    }
}

fn detail(case: &Case, created_by: Option<&str>) -> Option<String> {
    let sentence = match (&case.outcome, &case.verdict) {
        (Outcome::Held(reason @ Hold::Archived { .. }), _) => Some(match created_by {
            Some(creator) => format!("{} The role was created by {creator}.", reason.explain()),
            None => reason.explain(),
        }),
        (outcome, _) if outcome.reason().is_some() => outcome.explain(),
        (Outcome::Repaired, _) => Some("The entry was deleted and created again for the role that exists.".to_owned()),
        (Outcome::Restored, _) => Some("The entry was created from the ledger.".to_owned()),
        (Outcome::WouldRepair, _) => Some("MODE=observe: MODE=repair would repair this entry.".to_owned()),
        (Outcome::WouldRemove, _) => Some("MODE=observe: MODE=repair would remove this entry.".to_owned()),
        (Outcome::Reported, _) => Some(
            "The role no longer exists. If nobody will create it again, delete the entry; ON_ROLE_DELETED=remove \
             does that."
                .to_owned(),
        ),
        (Outcome::None, Verdict::Missing) if case.sighting.row.row().and_then(Row::archived).is_some() => Some(
            "There is no such entry in this cluster. The ledger has an archived one: the command restore creates it again."
                .to_owned(),
        ),
        (Outcome::None, Verdict::Missing) => {
            Some("There is no such entry in this cluster, and no unfinished repair of one.".to_owned())
        }
        _ => None,
    };
    match (sentence, &case.note) {
        (Some(sentence), Some(note)) => Some(format!("{sentence} {note}")),
        (sentence, note) => sentence.or_else(|| note.clone()),
    }
}
