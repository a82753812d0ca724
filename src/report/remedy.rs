//! The command to copy, for what waits for a person or failed.
//!
//! Decides which command helps and writes it so that a shell runs it as it stands, whatever an entry's names are made
//! of: everything foreign is inside JSON inside single quotes, which no character of it can end.

use serde_json::json;

use crate::case::Case;
use crate::commands::{EntrySeen, quoted};
use crate::event::Invocation;
use crate::model::RoleState;
use crate::outcome::{Hold, Outcome};

/// What was asked for, as far as a remedy depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) invocation: &'a Invocation,
    /// The command that this answers, if it is one.
    pub(super) command: Option<&'static str>,
    /// Whether the mode keeps everything as it is.
    pub(super) observes: bool,
}

/// The remedy of a case; `None` if nobody has to do anything, or no command would cure it.
pub(super) fn of(case: &Case, context: Context<'_>) -> Option<String> {
    let Context { invocation, observes, .. } = context;
    let command = match &case.outcome {
        Outcome::WouldRepair if context.command == Some("approve") => "approve",
        Outcome::Held(reason) => match reason {
            Hold::GrantsRefused => return by_hand(case),
            Hold::RoleChanged { .. } if context.command == Some("restore") => "restore",
            Hold::Privileged { .. }
            | Hold::HoldAll
            | Hold::RolePattern
            | Hold::ClusterPattern
            | Hold::RoleChanged { .. } => "approve",
            Hold::PerhapsRevived => "forget",
            Hold::Archived { .. } => "restore",
            Hold::RehearsalRefused { .. }
            | Hold::ChangedMeanwhile { .. }
            | Hold::RecreationRefused
            | Hold::RepairBudget { .. }
            | Hold::Observing => "repair",
            // A setting, a tag or a row has to be changed first, and `detail` says how.
            Hold::NoLedger | Hold::IgnoreTag { .. } | Hold::CannotRecreate { .. } | Hold::LedgerRowInvalid { .. } => {
                return None;
            }
        },
        Outcome::Failed(_) => "repair",
        _ => return None,
    };
    let invoked = invoke(command, case, invocation);
    // In this mode every command that changes something would answer what it would do.
    let changes = !matches!(command, "forget" | "check");
    Some(if observes && changes { format!("{SET_THE_MODE_FIRST}\n{invoked}") } else { invoked })
}

/// What a shell takes for a remark.
const SET_THE_MODE_FIRST: &str =
    "# First deploy with Mode=repair: in MODE=observe nothing is changed, whatever the command.";

/// The function, invoked with a command about this entry.
fn invoke(command: &str, case: &Case, invocation: &Invocation) -> String {
    let sighting = &case.sighting;
    let mut payload = json!({
        "command": command, "principalArn": sighting.principal.as_str(),
        "clusterName": sighting.at.name, "region": sighting.at.region,
    });
    let needs_right = matches!(command, "approve" | "restore" | "forget");
    if matches!(command, "approve" | "restore") {
        payload["roleId"] = match &sighting.role {
            RoleState::Present(role) => json!(role.id.to_string()),
            RoleState::Absent | RoleState::Unreadable(_) => json!("ID-OF-THE-ROLE"),
        };
    }
    let function = if needs_right { invocation.qualified("approve") } else { invocation.unqualified() };
    let region = function.split(':').nth(3).unwrap_or_default();
    format!(
        "report=$(mktemp) && aws lambda invoke --region {region} --function-name {function} --cli-read-timeout 0 \
         --cli-binary-format raw-in-base64-out --payload {} \"$report\" && cat \"$report\"",
        quoted(&payload)
    )
}

/// What the function would do, as commands for a person whose own rights reach so far.
fn by_hand(case: &Case) -> Option<String> {
    let sighting = &case.sighting;
    let (principal, role) = (sighting.principal.role()?, sighting.role.role()?);
    // Of an unfinished repair the row has it all; the entry may be our own, without all of its policies.
    let of_repair = sighting.row.open().map(|row| row.snapshot().clone());
    let snapshot = of_repair.or_else(|| sighting.snapshot())?;
    let entry_arn = sighting.entry.as_ref().map(|examined| examined.entry.arn.as_str());
    let seen = EntrySeen { cluster: &sighting.at, principal, entry_arn };
    Some(seen.replace(&snapshot, &role.id).join("\n"))
}
