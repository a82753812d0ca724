//! The commands: what a person, a pipeline or the schedule asks for.
//!
//! Decides whether a command's arguments are complete, well formed and of this account, and whether it may be used in
//! the right in which the function was invoked. What it then may change is for the guardrails.

use serde_json::{Map, Value};

use super::envelope::is_role_id;
use super::{Invocation, InvokedAs, UnrecognizedPayload, quoted};
use crate::model::{ClusterRef, Home, Region, RoleArn, RoleId};
use crate::row::RowKey;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Look, and change nothing. Principal or cluster is there.
    Check {
        /// Whose entries.
        principal: Option<RoleArn>,
        /// In which cluster only.
        cluster_name: Option<String>,
        /// In which Region only.
        region: Option<Region>,
    },
    /// What an event about the role would do, without a known creator.
    Repair {
        /// Whose entries.
        principal: RoleArn,
        /// In which cluster only.
        cluster_name: Option<String>,
        /// In which Region only.
        region: Option<Region>,
    },
    /// Release what is held, for the role that a person looked at.
    Approve {
        /// Whose entry.
        principal: RoleArn,
        /// In which cluster.
        cluster: ClusterRef,
        /// The role's ID that the person saw.
        role_id: RoleId,
        /// Who the person claims to be.
        claimed_by: Option<Claim>,
    },
    /// Create a missing entry again, from the ledger.
    Restore {
        /// Whose entry.
        principal: RoleArn,
        /// In which cluster.
        cluster: ClusterRef,
        /// The role's ID that the person saw.
        role_id: RoleId,
        /// Who the person claims to be.
        claimed_by: Option<Claim>,
    },
    /// Take a row out of the ledger.
    Forget {
        /// Which row.
        key: RowKey,
        /// Whether it may be of an unfinished repair.
        even_open: bool,
        /// Who the person claims to be.
        claimed_by: Option<Claim>,
    },
    /// Look at all entries.
    Sweep {
        /// In which clusters only.
        cluster_name: Option<String>,
        /// In which Region only.
        region: Option<Region>,
    },
    /// Read the ledger.
    Inventory {
        /// Whose entries only.
        principal: Option<RoleArn>,
        /// In which cluster only.
        cluster_name: Option<String>,
        /// In which Region only.
        region: Option<Region>,
        /// Where the page before ended.
        next_token: Option<String>,
    },
}

impl Command {
    /// The word that asks for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Check { .. } => "check",
            Self::Repair { .. } => "repair",
            Self::Approve { .. } => "approve",
            Self::Restore { .. } => "restore",
            Self::Forget { .. } => "forget",
            Self::Sweep { .. } => "sweep",
            Self::Inventory { .. } => "inventory",
        }
    }

    /// Who the person behind it claims to be.
    #[must_use]
    pub fn claimed_by(&self) -> Option<&Claim> {
        match self {
            Self::Approve { claimed_by, .. } | Self::Restore { claimed_by, .. } | Self::Forget { claimed_by, .. } => {
                claimed_by.as_ref()
            }
            Self::Check { .. } | Self::Repair { .. } | Self::Sweep { .. } | Self::Inventory { .. } => None,
        }
    }
}

/// The ARN that a person gives as their own. Lambda does not tell a function who invoked it, so nobody checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim(String);

impl Claim {
    fn parse(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        (text.starts_with("arn:") && text.len() <= 2048 && printable).then(|| Self(text.to_owned()))
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A command that needs another right than the one in which the function was invoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{command} is accepted only through the alias approve: invoke {function_arn}")]
pub struct NotPermitted {
    /// The command's word.
    pub command: &'static str,
    /// The qualified ARN to invoke.
    pub function_arn: String,
}

/// A command that may be used in this invocation. Only [`authorize`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized(Command);

impl Authorized {
    /// The command.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.0
    }

    /// Whether it is a sweep.
    #[must_use]
    pub fn is_sweep(&self) -> bool {
        matches!(self.0, Command::Sweep { .. })
    }

    /// Who the person behind it claims to be: an ARN.
    #[must_use]
    pub fn claimed_by(&self) -> Option<String> {
        self.0.claimed_by().map(|claim| claim.as_str().to_owned())
    }
}

/// Checks that the command may be used in this invocation.
///
/// # Errors
///
/// For `approve`, `restore` and `forget`, if the function was not invoked through the alias `approve`.
pub fn authorize(command: Command, invocation: &Invocation) -> Result<Authorized, NotPermitted> {
    match (&command, invocation.invoked_as) {
        (
            Command::Approve { .. } | Command::Restore { .. } | Command::Forget { .. },
            InvokedAs::Events | InvokedAs::Plain,
        ) => Err(NotPermitted { command: command.name(), function_arn: invocation.qualified("approve") }),
        _ => Ok(Authorized(command)),
    }
}

/// A command's row: which arguments it takes.
struct Row {
    name: &'static str,
    required: &'static [&'static str],
    /// Of these, at least one.
    either: &'static [&'static str],
    optional: &'static [&'static str],
}

const ROWS: [Row; 7] = {
    const ONE_ENTRY: &[&str] = &["principalArn", "clusterName", "region", "roleId"];
    [
        Row { name: "check", required: &[], either: &["principalArn", "clusterName"], optional: &["region"] },
        Row { name: "repair", required: &["principalArn"], either: &[], optional: &["clusterName", "region"] },
        Row { name: "approve", required: ONE_ENTRY, either: &[], optional: &["claimedBy"] },
        Row { name: "restore", required: ONE_ENTRY, either: &[], optional: &["claimedBy"] },
        Row {
            name: "forget",
            required: &["principalArn", "clusterName", "region"],
            either: &[],
            optional: &["evenOpen", "claimedBy"],
        },
        Row { name: "sweep", required: &[], either: &[], optional: &["clusterName", "region"] },
        Row {
            name: "inventory",
            required: &[],
            either: &[],
            optional: &["principalArn", "clusterName", "region", "nextToken"],
        },
    ]
};

impl Row {
    fn takes(&self, argument: &str) -> bool {
        [self.required, self.either, self.optional].iter().any(|arguments| arguments.contains(&argument))
    }

    fn refuse(&self, problem: &str) -> UnrecognizedPayload {
        let mut takes = Vec::new();
        if !self.either.is_empty() {
            takes.push(format!("{} (at least one)", self.either.join(" or ")));
        }
        if !self.required.is_empty() {
            takes.push(format!("{} (required)", self.required.join(", ")));
        }
        if !self.optional.is_empty() {
            takes.push(format!("{} (optional)", self.optional.join(", ")));
        }
        UnrecognizedPayload::content(format!("{}: {problem}; it takes {}", self.name, takes.join(", ")))
    }
}

/// Reads a command.
///
/// # Errors
///
/// For an unknown command, and for a missing, malformed or superfluous argument; the message shows the command's row.
pub(super) fn read(members: &Map<String, Value>, home: &Home) -> Result<Command, UnrecognizedPayload> {
    let word = members.get("command").and_then(Value::as_str).unwrap_or_default();
    let Some(row) = ROWS.iter().find(|row| row.name == word) else {
        let names = ROWS.map(|row| row.name).join(", ");
        return Err(UnrecognizedPayload::content(format!("{} is no command; the commands are {names}", quoted(word))));
    };
    // A null is an argument that was left out: what jq makes of an unset variable.
    let given = |name: &str| members.get(name).filter(|value| !value.is_null());
    if let Some(name) = members.keys().find(|name| *name != "command" && !row.takes(name) && given(name).is_some()) {
        return Err(row.refuse(&format!("{} is superfluous", quoted(name))));
    }
    if word == "forget" && given("principalArn").and_then(Value::as_str) == Some(BREAKER) {
        return forget_the_breaker(row, given);
    }
    if let Some(name) = row.required.iter().find(|name| given(name).is_none()) {
        return Err(row.refuse(&format!("{name} is missing")));
    }
    if !row.either.is_empty() && row.either.iter().all(|name| given(name).is_none()) {
        return Err(row.refuse(&format!("{} is missing", row.either.join(" or "))));
    }
    if word == "forget" {
        return forget_a_row(row, given);
    }
    let arguments = Arguments {
        principal: argument(row, given("principalArn"), &principal_form(home), |text| {
            RoleArn::parse(text).filter(|arn| arn.is_of(home))
        })?,
        cluster_name: argument(row, given("clusterName"), "clusterName must be an EKS cluster's name", |text| {
            is_cluster_name(text).then(|| text.to_owned())
        })?,
        region: argument(row, given("region"), "region must be a Region, such as eu-west-1", Region::parse)?,
        role_id: argument(row, given("roleId"), "roleId must be a role's unique ID, such as AROA…", |text| {
            is_role_id(text).then(|| RoleId(text.to_owned()))
        })?,
        next_token: argument(
            row,
            given("nextToken"),
            "nextToken must be the text that the page before gave",
            |text| (!text.is_empty()).then(|| text.to_owned()),
        )?,
        claimed_by: claim(row, given("claimedBy"))?,
    };
    arguments.into_command(word).ok_or_else(|| row.refuse("an argument is missing"))
}

/// Instead of a principal: the row of the entry that stops all others.
const BREAKER: &str = "#breaker";

fn claim(row: &Row, value: Option<&Value>) -> Result<Option<Claim>, UnrecognizedPayload> {
    argument(row, value, "claimedBy must be an ARN of at most 2,048 printable characters", Claim::parse)
}

fn forget_the_breaker<'a>(
    row: &Row,
    given: impl Fn(&str) -> Option<&'a Value>,
) -> Result<Command, UnrecognizedPayload> {
    if let Some(name) = ["clusterName", "region", "evenOpen"].into_iter().find(|name| given(name).is_some()) {
        return Err(row.refuse(&format!("{name} is superfluous beside \"{BREAKER}\"")));
    }
    Ok(Command::Forget { key: RowKey::Breaker, even_open: false, claimed_by: claim(row, given("claimedBy"))? })
}

/// The key of a row that a stranger wrote may be anything, so its parts are not held to the form of an ARN and of names.
fn forget_a_row<'a>(row: &Row, given: impl Fn(&str) -> Option<&'a Value>) -> Result<Command, UnrecognizedPayload> {
    let part = |name: &str, most: usize| {
        let is_key = |text: &str| !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
        let form = format!("{name} must be a part of the row's key, at most {most} bytes, as inventory shows it");
        let read = argument(row, given(name), &form, |text| is_key(text).then(|| text.to_owned()))?;
        read.ok_or_else(|| row.refuse(&format!("{name} is missing")))
    };
    let principal = part("principalArn", 2048)?;
    let cluster = ClusterRef { region: Region(part("region", 512)?), name: part("clusterName", 512)? };
    if cluster.region.0.contains('#') {
        return Err(row.refuse("region must not contain #"));
    }
    let even_open = match given("evenOpen") {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(_) => return Err(row.refuse("evenOpen must be true or false")),
    };
    let key = RowKey::Entry { principal, cluster };
    Ok(Command::Forget { key, even_open, claimed_by: claim(row, given("claimedBy"))? })
}

fn principal_form(home: &Home) -> String {
    format!("principalArn must be a role's ARN of this account, arn:{}:iam::{}:role/…", home.partition, home.account)
}

fn argument<T>(
    row: &Row,
    value: Option<&Value>,
    form: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, UnrecognizedPayload> {
    let Some(value) = value else { return Ok(None) };
    match value.as_str().and_then(parse) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(row.refuse(&format!("{form}, not {}", quoted(value.as_str().unwrap_or(&value.to_string()))))),
    }
}

/// The arguments, read but not yet tied to a command.
struct Arguments {
    principal: Option<RoleArn>,
    cluster_name: Option<String>,
    region: Option<Region>,
    role_id: Option<RoleId>,
    next_token: Option<String>,
    claimed_by: Option<Claim>,
}

impl Arguments {
    fn into_command(self, word: &str) -> Option<Command> {
        let Self { principal, cluster_name, region, role_id, next_token, claimed_by } = self;
        Some(match word {
            "check" => Command::Check { principal, cluster_name, region },
            "repair" => Command::Repair { principal: principal?, cluster_name, region },
            "sweep" => Command::Sweep { cluster_name, region },
            "inventory" => Command::Inventory { principal, cluster_name, region, next_token },
            _ => {
                let (principal, role_id) = (principal?, role_id?);
                let cluster = ClusterRef { region: region?, name: cluster_name? };
                match word {
                    "approve" => Command::Approve { principal, cluster, role_id, claimed_by },
                    "restore" => Command::Restore { principal, cluster, role_id, claimed_by },
                    _ => return None,
                }
            }
        })
    }
}

/// Whether EKS takes this as a cluster's name: `[0-9A-Za-z][A-Za-z0-9_-]{0,99}` (EKS API Reference, `CreateCluster`).
fn is_cluster_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

#[cfg(test)]
mod tests;
