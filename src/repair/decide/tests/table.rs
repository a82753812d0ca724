//! The transition table of the documents, printed from the decision itself.
//!
//! `TABLE=write cargo test --lib decide` writes it again.

use std::fmt::Write as _;
use std::time::Duration;

use super::worlds::{LONG, REFUSED, attempt, entries, late, phases, repair, review, whose};
use crate::model::{RoleState, Snapshot};
use crate::repair::decide::decide;
use crate::repair::fixture::{arn, cluster, now, role};
use crate::repair::step::{Attempt, Ending, Origin, Rehearsal, RowAfter, Rules, Step, World};
use crate::row::{Before, Phase, Repair, State, Target};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/repair/decide/table.md");

const HEAD: &str = "\
# What is the next step

A column is a row of the ledger, a line is what EKS and IAM show, and a cell is the step that `decide` takes. \"wait, then
X\" means that the read may be late: X follows if later reads, over a minute, say the same. In every line the cluster is the
same and nothing has the ignore tag. A test prints these tables from the code and compares them.

";

/// The rows of the ledger that have a column.
fn columns() -> Vec<(&'static str, Repair)> {
    let [opened, deletion_sent, creation_sent, created] = phases(LONG);
    let of_owner = |phase: Phase| repair(Target::OfOwner(arn(1)), Before::Nothing, phase);
    let restore = repair(Target::None(arn(1)), Before::Restore(None), deletion_sent.clone());
    vec![
        ("opened", of_owner(opened.clone())),
        ("deletion sent", of_owner(deletion_sent)),
        ("creation sent", of_owner(creation_sent)),
        ("created", of_owner(created)),
        ("opened over our own creation", repair(Target::OfOurs(arn(1)), Before::Nothing, opened)),
        ("restore", restore),
    ]
}

fn ending(ending: &Ending, repair: &Repair) -> String {
    let outcome = ending.outcome(repair);
    let reason = outcome.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let row = match ending.row_after(repair, now()) {
        RowAfter::Open => "row stays open",
        RowAfter::Becomes(state) if matches!(*state, State::Archived(_)) => "row is archived",
        RowAfter::Becomes(state) if matches!(*state, State::Repairing(_)) => "row is opened again",
        RowAfter::Becomes(_) | RowAfter::Deleted => "row is closed",
        RowAfter::AsItIs => "row as it is",
    };
    if *ending == Ending::JudgeAgain {
        return format!("judge again, {row}");
    }
    format!("**{}**{reason}, {row}", outcome.label())
}

/// A step in words.
pub(super) fn words(step: &Step, repair: &Repair) -> String {
    match step {
        Step::Wait(_) => "wait".to_owned(),
        Step::WaitForAge(_) => "wait for the role's age".to_owned(),
        Step::Rehearse => "rehearse".to_owned(),
        Step::Delete => "delete".to_owned(),
        Step::Create => "create".to_owned(),
        Step::Withdraw(_) => "withdraw it".to_owned(),
        Step::Adopt(_) => "write down that it is ours".to_owned(),
        Step::Associate(_) => "associate".to_owned(),
        Step::TakeBack => "take associations back".to_owned(),
        Step::NoteAbsentRole => "write down since when".to_owned(),
        Step::PermitNewRole(_) => "permit the new role".to_owned(),
        Step::StartOver(..) => "start over".to_owned(),
        Step::Record => "record".to_owned(),
        Step::End(end) => ending(end, repair),
    }
}

fn cell(repair: &Repair, world: &World, rules: &Rules<'_>) -> String {
    let say = |repair: &Repair, attempt: &Attempt| decide(repair, world, attempt, rules, now());
    let fresh = attempt(repair, Origin::OpenedHere);
    let first = say(repair, &fresh);
    let then = match &first {
        Step::Wait(_) => say(repair, &late(&fresh)),
        Step::Rehearse => say(repair, &Attempt { rehearsal: Rehearsal::Passed, ..fresh }),
        Step::NoteAbsentRole => say(&Repair { role_absent_since: Some(now() - LONG), ..repair.clone() }, &late(&fresh)),
        _ => return words(&first, repair),
    };
    if matches!(then, Step::Wait(_)) {
        return words(&first, repair);
    }
    format!("{}, then {}", words(&first, repair), words(&then, repair))
}

fn print() -> String {
    let principal = whose();
    let rules = Rules { principal: &principal, settle: Duration::from_mins(1), is_unattended: true, review: &review };
    let later = super::worlds::LATER;
    let mut refused = role(REFUSED);
    refused.created_at = role(later).created_at;
    let states = [
        ("The permitted role is there", RoleState::Present(role(super::worlds::PERMITTED))),
        ("A later role is there, and the guardrails let it in", RoleState::Present(role(later))),
        ("A later role is there, and the guardrails hold it", RoleState::Present(refused)),
        ("IAM shows no role", RoleState::Absent),
    ];
    let columns = columns();
    let mut text = HEAD.to_owned();
    for (title, role) in states {
        let _ = write!(text, "## {title}\n\n| what stands |");
        for (name, _) in &columns {
            let _ = write!(text, " {name} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---|".repeat(columns.len()));
        for (name, entry) in entries() {
            let is_tagged = entry.as_ref().is_some_and(|entry| !Snapshot::creation_tags(&entry.snapshot()).is_empty());
            let is_old = name.contains("older") && title.contains("later");
            if is_tagged || is_old {
                continue;
            }
            let world = World { cluster: Some(cluster(0)), entry, role: role.clone() };
            let _ = write!(text, "| {name} |");
            for (_, repair) in &columns {
                let _ = write!(text, " {} |", cell(repair, &world, &rules));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[test]
fn the_transition_table_in_the_documents_is_what_the_code_decides() {
    let printed = print();
    if std::env::var_os("TABLE").is_some_and(|value| value == "write") {
        std::fs::write(FILE, &printed).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(kept == printed, "src/repair/decide/table.md is not what the code decides; see `TABLE=write` in table.rs");
}
