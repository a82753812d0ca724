//! Every setting, read once, when the process starts.
//!
//! Decides what the settings mean and refuses, in one line, what they do not: a guard that runs with a misread setting
//! protects something else than its owner believes. It does not read the environment itself; the caller passes the
//! lookup in.

use std::time::Duration;

use crate::model::{Creator, Region};
use crate::pattern::{CreatorPattern, Patterns};

mod regions;

pub use regions::RegionSelection;

/// All settings; each field is one environment variable. An empty variable counts as unset.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `REGIONS`, `all`: where clusters are looked for.
    pub regions: RegionSelection,
    /// `MODE`, `repair`: whether anything is changed in EKS.
    pub mode: Mode,
    /// `HOLD`, `privileged`: which stale entries wait for a person or a trusted creator.
    pub hold: HoldSetting,
    /// `TRUSTED_CREATORS`, empty: whose `CreateRole` releases what `HOLD` would hold.
    pub trusted_creators: Vec<CreatorPattern>,
    /// `ALLOW_PRIVILEGED_GRANTS`, `true`: whether IAM lets this function grant more than the view policy. It changes
    /// nothing in IAM: it tells the function what it will be refused, so that nothing is deleted for it.
    pub allow_privileged_grants: bool,
    /// `ON_ROLE_DELETED`, `report`: what happens to an entry whose role is gone.
    pub on_role_deleted: OnRoleDeleted,
    /// `ROLE_PATTERNS`, everything: the roles whose entries may be changed.
    pub role_patterns: Patterns,
    /// `CLUSTER_PATTERNS`, everything: the clusters in which entries may be changed.
    pub cluster_patterns: Patterns,
    /// `MAX_REPAIRS`, 20: most deletions begun by one sweep; 0 begins none.
    pub max_repairs: u32,
    /// `SETTLE_SECONDS`, 60: youngest age of a role at which its entries are changed.
    pub settle: Duration,
    /// `LEDGER_TABLE`, unset: name or ARN of the ledger's table; without one nothing is deleted.
    pub ledger_table: Option<String>,
    /// `METRIC_NAMESPACE`, `AccessEntryGuard`: `CloudWatch` namespace of the metrics.
    pub metric_namespace: String,
    /// `MAX_REPORT_KB`, 5000: most bytes of the answer of an invocation through the alias `events`, the only one whose
    /// answer may go on to a destination with a limit of its own.
    pub max_report_bytes: usize,
    /// `MAX_CONCURRENCY_PER_REGION`, 8: most EKS requests under way at once in one Region.
    pub max_concurrency_per_region: usize,
}

impl Config {
    /// Reads all settings through `lookup`, which gives a variable's value, or `None` where it is unset.
    ///
    /// # Errors
    ///
    /// The first setting that does not parse.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let settings = Settings(lookup);
        Ok(Self {
            regions: settings.read("REGIONS", RegionSelection::ACCEPTED, RegionSelection::parse)?.unwrap_or_default(),
            mode: settings.word("MODE", [Mode::Repair, Mode::Observe], Mode::as_str)?,
            hold: settings.word(
                "HOLD",
                [HoldSetting::Privileged, HoldSetting::All, HoldSetting::None],
                HoldSetting::as_str,
            )?,
            trusted_creators: settings
                .read("TRUSTED_CREATORS", CREATORS_ACCEPTED, CreatorPattern::parse_list)?
                .unwrap_or_default(),
            allow_privileged_grants: settings
                .word("ALLOW_PRIVILEGED_GRANTS", [true, false], |allowed| if allowed { "true" } else { "false" })?,
            on_role_deleted: settings.word(
                "ON_ROLE_DELETED",
                [OnRoleDeleted::Report, OnRoleDeleted::Remove],
                OnRoleDeleted::as_str,
            )?,
            role_patterns: settings.read("ROLE_PATTERNS", PATTERNS_ACCEPTED, Patterns::parse)?.unwrap_or_default(),
            cluster_patterns: settings
                .read("CLUSTER_PATTERNS", PATTERNS_ACCEPTED, Patterns::parse)?
                .unwrap_or_default(),
            max_repairs: settings.number("MAX_REPAIRS", 20, 0, u32::MAX)?,
            settle: Duration::from_secs(settings.number("SETTLE_SECONDS", 60, 0, 600)?.into()),
            ledger_table: settings.read("LEDGER_TABLE", TABLE_ACCEPTED, table)?,
            metric_namespace: settings
                .read("METRIC_NAMESPACE", NAMESPACE_ACCEPTED, namespace)?
                .unwrap_or_else(|| "AccessEntryGuard".to_owned()),
            // A kilobyte of 1,000 bytes stays below a limit that means 1,024.
            max_report_bytes: settings.number("MAX_REPORT_KB", 5000, 50, 5000)? as usize * 1000,
            max_concurrency_per_region: settings.number("MAX_CONCURRENCY_PER_REGION", 8, 1, 100)? as usize,
        })
    }

    /// What the function works with if nothing is set but a ledger.
    ///
    /// # Panics
    /// Never: the defaults parse.
    #[must_use]
    pub fn by_default() -> Self {
        let ledger = |name: &str| (name == "LEDGER_TABLE").then(|| "ledger".to_owned());
        Self::from_lookup(ledger).expect("the defaults parse")
    }

    /// Most EKS requests that a sweep has under way at once in one Region: a quarter, at least one, so that the
    /// account's API limits are left to others.
    #[must_use]
    pub fn sweep_concurrency_per_region(&self) -> usize {
        (self.max_concurrency_per_region / 4).max(1)
    }

    /// Whether `TRUSTED_CREATORS` names this creator.
    #[must_use]
    pub fn trusts(&self, creator: &Creator) -> bool {
        self.trusted_creators.iter().any(|pattern| pattern.matches(creator))
    }
}

/// Whether anything is changed in EKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Stale entries are repaired.
    Repair,
    /// What would be done is reported.
    Observe,
}

impl Mode {
    /// The word of the setting and of the report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repair => "repair",
            Self::Observe => "observe",
        }
    }
}

/// Which stale entries wait for a person or a trusted creator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldSetting {
    /// Those that give more than a viewer's access, or could.
    Privileged,
    /// Every one.
    All,
    /// Not one.
    None,
}

impl HoldSetting {
    /// The word of the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

/// What happens to an entry whose role is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRoleDeleted {
    /// It stays and is reported.
    Report,
    /// It is archived in the ledger, then deleted.
    Remove,
}

impl OnRoleDeleted {
    /// The word of the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Remove => "remove",
        }
    }
}

/// A setting whose value means nothing. One line: the variable, the value, what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?} is not accepted ({problem}); accepted: {accepted}")]
pub struct ConfigError {
    /// The environment variable.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub accepted: String,
}

const PATTERNS_ACCEPTED: &str = "a comma list of patterns for names, or for ARNs if a pattern starts with arn:, \
    with * and ?; a leading ! excludes";
const CREATORS_ACCEPTED: &str = "a comma list of unique IDs (AROA… of roles, AIDA… of users) and ARNs of IAM roles or \
    users with the account spelled out, in which * and ? match within one part";
const TABLE_ACCEPTED: &str = "a DynamoDB table's name (3 to 255 of a-z, A-Z, 0-9, _, - and .), or its ARN";
const NAMESPACE_ACCEPTED: &str = "1 to 255 printable ASCII characters, neither starting with : nor with AWS/";

struct Settings<F>(F);

impl<F: Fn(&str) -> Option<String>> Settings<F> {
    fn read<T>(
        &self,
        variable: &'static str,
        accepted: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = (self.0)(variable).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        match parse(&value) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(problem) => Err(ConfigError { variable, value, problem, accepted: accepted.to_owned() }),
        }
    }

    /// One of a few words; the first is the default.
    fn word<T: Copy, const N: usize>(
        &self,
        variable: &'static str,
        words: [T; N],
        text: fn(T) -> &'static str,
    ) -> Result<T, ConfigError> {
        let parse =
            |value: &str| words.into_iter().find(|&word| text(word) == value).ok_or_else(|| "no such word".to_owned());
        let accepted = words.map(text).join(", ");
        Ok(self.read(variable, &accepted, parse)?.unwrap_or(words[0]))
    }

    fn number(&self, variable: &'static str, default: u32, least: u32, most: u32) -> Result<u32, ConfigError> {
        let parse = |value: &str| {
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            let number = value.parse().ok().filter(|number| digits && (least..=most).contains(number));
            number.ok_or_else(|| "not a whole number in the accepted range".to_owned())
        };
        let accepted = format!("a whole number from {least} to {most}");
        Ok(self.read(variable, &accepted, parse)?.unwrap_or(default))
    }
}

fn table(text: &str) -> Result<String, String> {
    let name = if text.starts_with("arn:") {
        match text.splitn(6, ':').collect::<Vec<_>>()[..] {
            [_, _, "dynamodb", region, account, resource]
                if Region::parse(region).is_some()
                    && account.len() == 12
                    && account.bytes().all(|b| b.is_ascii_digit()) =>
            {
                resource.strip_prefix("table/").ok_or("not the ARN of a table")?
            }
            _ => return Err("not the ARN of a DynamoDB table".to_owned()),
        }
    } else {
        text
    };
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if allowed && (3..=255).contains(&name.len()) { Ok(text.to_owned()) } else { Err("not a table's name".to_owned()) }
}

fn namespace(text: &str) -> Result<String, String> {
    let printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if printable && text.len() <= 255 && !text.trim().is_empty() && !text.starts_with(':') && !text.starts_with("AWS/")
    {
        Ok(text.to_owned())
    } else {
        Err("CloudWatch would refuse it".to_owned())
    }
}

#[cfg(test)]
mod tests;
