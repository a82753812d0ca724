//! The deployed function, asked by hand: which function that is, through which alias a word goes, and what an answer means.
//!
//! Decides the exit status of the command. It decides nothing about entries: that is the function's business, and an answer
//! that is not clear is never taken for a good one.

use serde_json::Value;

use crate::commands::argument;
use crate::model::{Home, Region};
use crate::outcome::{Delay, Doubt, Failure, Gone, Hold, Precedence};

pub mod record;

/// The name of the function if nobody gives another.
pub const FUNCTION: &str = "access-entry-guard";

/// Which function is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionNamed {
    /// Its account and partition.
    pub home: Home,
    /// Its Region.
    pub region: Region,
    /// Its name.
    pub name: String,
}

impl FunctionNamed {
    /// Reads a name or an ARN without an alias. A name is of the caller's account and, if no Region is given, of the Region
    /// of the partition's IAM events.
    ///
    /// # Errors
    /// A sentence for a person: it is no such name, or the Region is not the ARN's.
    pub fn parse(text: &str, region: Option<&str>, caller: &Home) -> Result<Self, String> {
        let region = region
            .map(|name| {
                Region::parse(name)
                    .ok_or_else(|| format!("{name:?} is not the name of a Region; give one such as us-east-1"))
            })
            .transpose()?;
        let problem = || {
            format!(
                "{text:?} is neither the name nor the ARN of a Lambda function; give it without a version or an alias, since \
                 the command chooses the alias"
            )
        };
        if is_function_name(text) {
            let region = region.unwrap_or_else(|| caller.region_of_iam_events());
            return Ok(Self { home: caller.clone(), region, name: text.to_owned() });
        }
        let ["arn", partition, "lambda", of_arn, account, "function", name] = text.split(':').collect::<Vec<_>>()[..]
        else {
            return Err(problem());
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let of_arn = Region::parse(of_arn).ok_or_else(problem)?;
        if !is_account || !partition.starts_with("aws") || !is_function_name(name) {
            return Err(problem());
        }
        if let Some(other) = region.filter(|region| *region != of_arn) {
            return Err(format!("the function {text} is in {of_arn}, not in {other}; leave --function-region out"));
        }
        let home = Home { partition: partition.to_owned(), account: account.to_owned() };
        Ok(Self { home, region: of_arn, name: name.to_owned() })
    }

    /// The function's ARN, without an alias.
    #[must_use]
    pub fn arn(&self) -> String {
        let (Home { partition, account }, Self { region, name, .. }) = (&self.home, self);
        format!("arn:{partition}:lambda:{region}:{account}:function:{name}")
    }

    /// For an entry of a report whose remedy is an approval or a restore: the command that shows role and entry and asks before
    /// it sends the remedy.
    #[must_use]
    pub fn asking_first(&self, entry: &Value) -> Option<String> {
        let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
        // The payload is JSON: inside a name the quotes would have backslashes.
        let remedy = text("remedy")?;
        let mut words = [Word::Approve, Word::Restore].map(Word::name).into_iter();
        let word = words.find(|word| remedy.contains(&format!(r#""command":"{word}""#)))?;
        let [cluster, region, role] = [text("clusterName")?, text("region")?, text("principalArn")?].map(argument);
        let is_default = self.name == FUNCTION && self.region == self.home.region_of_iam_events();
        let which = if is_default { String::new() } else { format!(" --function {}", argument(&self.arn())) };
        Some(format!("access-entry-guard {word} --cluster {cluster} --region {region} --role {role}{which}"))
    }
}

/// Whether Lambda takes this as a function's name (Lambda API Reference, `CreateFunction`).
fn is_function_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// What the function is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Look, and change nothing.
    Check,
    /// Read the ledger.
    Inventory,
    /// What an event about the role would do.
    Repair,
    /// Release what is held.
    Approve,
    /// Create a missing entry from the ledger.
    Restore,
    /// Delete a row of the ledger.
    Forget,
    /// Look at all entries.
    Sweep,
    /// Whatever a payload of the person's own asks for.
    Event,
}

impl Word {
    /// As the function knows it; of an event, what it is called here.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Inventory => "inventory",
            Self::Repair => "repair",
            Self::Approve => "approve",
            Self::Restore => "restore",
            Self::Forget => "forget",
            Self::Sweep => "sweep",
            Self::Event => "event",
        }
    }

    /// The alias through which it goes; `None` for the function's plain name.
    #[must_use]
    pub fn alias(self) -> Option<&'static str> {
        match self {
            Self::Approve | Self::Restore | Self::Forget => Some("approve"),
            Self::Check | Self::Inventory | Self::Repair | Self::Sweep | Self::Event => None,
        }
    }
}

/// What the function answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The answer to what was asked.
    Report(Value),
    /// The invocation failed.
    Failed(FunctionError),
    /// Something that this function never answers.
    Foreign,
}

/// Why an invocation failed, in the function's words, or in Lambda's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// Such as `RepairIncomplete`; empty if Lambda names none.
    pub kind: String,
    /// For a person.
    pub message: String,
}

impl std::fmt::Display for FunctionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        match self.kind.as_str() {
            "" => f.write_str(&message),
            kind => write!(f, "{kind}: {message}"),
        }
    }
}

impl FunctionError {
    fn read(payload: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            kind: text("errorType").unwrap_or_default(),
            message: text("errorMessage").unwrap_or_else(|| "the invocation failed without a message".to_owned()),
        }
    }

    /// Whether the function did not take what was asked: nothing was done, and sending it again does not help.
    fn is_refusal(&self) -> bool {
        matches!(self.kind.as_str(), "UnrecognizedPayload" | "NotPermitted")
    }
}

impl Answer {
    /// Reads the payload of an answer to a word.
    #[must_use]
    pub fn read(word: Word, payload: &[u8], is_error: bool) -> Self {
        if is_error {
            return Self::Failed(FunctionError::read(payload));
        }
        let Ok(answer) = serde_json::from_slice::<Value>(payload) else { return Self::Foreign };
        let has = |list: &str| answer[list].as_array().is_some_and(|items| items.iter().all(Value::is_object));
        let is_of_word = answer["command"] == word.name();
        let is_expected = match word {
            Word::Inventory => is_of_word && has("inventory"),
            Word::Event => answer["trigger"].is_string() && (has("entries") || has("inventory")),
            _ => is_of_word && has("entries") && has("blindSpots"),
        };
        if is_expected { Self::Report(answer) } else { Self::Foreign }
    }
}

/// What an answer means for whoever asked: the exit status and the sentence that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// 0: as it should be. 1: something is wrong or was not done. 2: it could not be told, or was not asked.
    pub status: u8,
    /// For a person.
    pub summary: String,
}

impl Meaning {
    fn new(status: u8, summary: impl Into<String>) -> Self {
        Self { status, summary: summary.into() }
    }
}

/// What the answer to a word means. For `check`, an entry may be undecided for the accepted reasons.
#[must_use]
pub fn meaning(word: Word, answer: &Answer, accepted: &[String]) -> Meaning {
    let report = match answer {
        Answer::Report(report) => report,
        Answer::Failed(error) => {
            let is_told = !matches!(word, Word::Check | Word::Inventory) && !error.is_refusal();
            return Meaning::new(if is_told { 1 } else { 2 }, error.to_string());
        }
        Answer::Foreign => {
            let of = if word == Word::Event { "a report".to_owned() } else { format!("the report of {}", word.name()) };
            return Meaning::new(2, format!("the function did not answer with {of}; is it Access Entry Guard?"));
        }
    };
    match word {
        Word::Check => of_check(report, accepted),
        Word::Inventory => Meaning::new(0, ""),
        Word::Forget => of_forget(report),
        Word::Approve => of_release(report, "repaired"),
        Word::Restore => of_release(report, "restored"),
        Word::Repair | Word::Sweep | Word::Event => of_work(report),
    }
}

/// Every reason that an entry can have: the closed list of the documents.
#[must_use]
pub fn reasons() -> Vec<&'static str> {
    let lists: [&[&'static str]; 6] =
        [&Doubt::LABELS, &Hold::LABELS, &Delay::LABELS, &Failure::LABELS, &Precedence::LABELS, &Gone::LABELS];
    let mut reasons: Vec<&str> = Vec::new();
    for label in lists.concat() {
        if !reasons.contains(&label) {
            reasons.push(label);
        }
    }
    reasons
}

fn entries(report: &Value) -> &[Value] {
    report["entries"].as_array().map_or(&[], Vec::as_slice)
}

fn count(report: &Value, name: &str) -> usize {
    report[name].as_u64().map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// The verdicts of entries that do not let their role in, and what to do about each.
const LOCKED_OUT: [(&str, &str); 3] = [
    ("stale", "A sweep repairs stale ones, or says why they wait: access-entry-guard sweep."),
    ("orphaned", "The role of an orphaned one is gone: delete the entry, if nobody creates the role again."),
    (
        "missing",
        "A missing one stays missing, unless a repair of it is unfinished; access-entry-guard inventory shows whether the \
         ledger has one to restore.",
    ),
];

fn of_check(report: &Value, accepted: &[String]) -> Meaning {
    let entries = entries(report);
    let with_verdict = |of: &str| entries.iter().filter(|entry| entry["verdict"] == of).count();
    let bad: usize = LOCKED_OUT.iter().map(|(verdict, _)| with_verdict(verdict)).sum();
    if bad > 0 {
        let advice = LOCKED_OUT.iter().filter(|(verdict, _)| with_verdict(verdict) > 0).map(|(_, advice)| *advice);
        let advice = advice.collect::<Vec<_>>().join(" ");
        let all = entries.len();
        let which = if all == 1 {
            "The entry does not let its role in.".to_owned()
        } else if bad == 1 {
            format!("1 of {all} entries does not let its role in.")
        } else {
            format!("{bad} of {all} entries do not let their role in.")
        };
        return Meaning::new(1, format!("{which} {advice}"));
    }
    if let Some(reason) = report["reason"].as_str() {
        return Meaning::new(2, format!("Nothing was looked at: {reason}."));
    }
    let spots = report["blindSpots"].as_array().map_or(0, Vec::len);
    let unseen = count(report, "entriesNotReached") + count(report, "entriesOmitted");
    if spots > 0 || unseen > 0 {
        let spots =
            if spots > 0 { format!("; clusters or Regions that could not be read: {spots}") } else { String::new() };
        let unseen = if unseen > 0 { format!("; entries that are not in the report: {unseen}") } else { String::new() };
        return Meaning::new(2, format!("Not everything was seen{spots}{unseen}."));
    }
    let is_accepted = |entry: &Value| {
        let reason = entry["reason"].as_str().unwrap_or_default();
        accepted.iter().any(|label| label == reason)
    };
    let open: Vec<&Value> = entries.iter().filter(|entry| entry["verdict"] != "fresh" && !is_accepted(entry)).collect();
    if let Some(first) = open.first() {
        let reason = first["reason"].as_str().unwrap_or("no reason given");
        let line = format!(
            "{} of {} entries could not be judged ({reason}); to accept a reason, use --accept.",
            open.len(),
            entries.len()
        );
        return Meaning::new(2, line);
    }
    match entries.len() {
        0 => Meaning::new(2, "There is no entry to look at; check the role, the cluster and the Region."),
        all => {
            let fresh = entries.iter().filter(|entry| entry["verdict"] == "fresh").count();
            let rest = if fresh < all { format!(", {} accepted by reason", all - fresh) } else { String::new() };
            Meaning::new(0, format!("{} looked at: {fresh} fresh{rest}.", counted(all, "entry", "entries")))
        }
    }
}

fn of_forget(report: &Value) -> Meaning {
    if report["forgotten"].is_object() {
        return Meaning::new(0, "The row was deleted from the ledger. This answer contains the whole row: keep it.");
    }
    let reason = report["reason"].as_str().unwrap_or("the function gave no reason");
    Meaning::new(1, format!("Nothing was deleted: {reason}."))
}

/// A person asked for exactly this entry: whatever else it is, it is not released.
fn of_release(report: &Value, done: &str) -> Meaning {
    // An approval of an entry that is good already has nothing left to do; a restore has brought nothing back.
    let is_done = |entry: &Value| entry["outcome"] == done || (done == "repaired" && entry["verdict"] == "fresh");
    match of_work(report) {
        Meaning { status: 0, summary } if !entries(report).iter().all(is_done) => Meaning::new(1, summary),
        meaning => meaning,
    }
}

fn of_work(report: &Value) -> Meaning {
    if let Some(reason) = report["reason"].as_str() {
        let status = if report["trigger"] == "ignored" { 0 } else { 2 };
        let what = if status == 0 { "Ignored" } else { "Nothing was done" };
        return Meaning::new(status, format!("{what}: {reason}."));
    }
    let left = has_outcome(report, "failed") + has_outcome(report, "deferred");
    let records = report["batchItemFailures"].as_array().map_or(0, Vec::len);
    Meaning::new(u8::from(left > 0 || records > 0), summary(report))
}

/// How many entries ended so. Those that a tag keeps from being touched wait for nobody.
fn has_outcome(report: &Value, outcome: &str) -> usize {
    let is_ignored = |entry: &&Value| entry["reason"] == "ignoreTag";
    entries(report).iter().filter(|entry| !is_ignored(entry) && entry["outcome"] == outcome).count()
}

/// A number with its noun, such as "1 entry".
#[must_use]
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What was looked at and what became of it, in one line.
#[must_use]
pub fn summary(report: &Value) -> String {
    const WORDS: [(&str, &str); 9] = [
        ("failed", "failed"),
        ("deferred", "deferred"),
        ("held", "held: waiting for a person"),
        ("repaired", "repaired"),
        ("restored", "restored"),
        ("removed", "removed"),
        ("reported", "reported"),
        ("wouldRepair", "would be repaired (MODE=observe)"),
        ("wouldRemove", "would be removed (MODE=observe)"),
    ];
    let mut parts = vec![format!(
        "{} examined in {} of {}",
        counted(count(report, "entriesExamined"), "entry", "entries"),
        counted(count(report, "clusters"), "cluster", "clusters"),
        counted(count(report, "regions"), "Region", "Regions")
    )];
    let of = |(outcome, words): &(&str, &str)| match has_outcome(report, outcome) {
        0 => None,
        number => Some(format!("{number} {words}")),
    };
    parts.extend(WORDS.iter().filter_map(of));
    let listed = |name: &str| report[name].as_array().map_or(0, Vec::len);
    let unseen = [
        (count(report, "entriesNotReached"), "entry", "entries", "not reached"),
        (count(report, "entriesOmitted"), "entry", "entries", "only in the log"),
        (count(report, "clustersExcluded"), "cluster", "clusters", "excluded by CLUSTER_PATTERNS"),
        (listed("blindSpots"), "cluster or Region", "clusters or Regions", "not read"),
        (listed("batchItemFailures"), "record", "records", "failed"),
    ];
    parts.extend(
        unseen
            .iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, one, many, what)| format!("{} {what}", counted(*number, one, many))),
    );
    format!("{}.", parts.join("; "))
}

#[cfg(test)]
mod tests;
