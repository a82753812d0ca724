//! What becomes of a repair if EKS refuses one of its calls for good: every ending, and what of the row is left.

use super::invocation::Invocation;
use super::world::{Deviation, Truth, What};
use crate::fault::FaultKind;
use crate::row::{Phase, State};

const DENIED: FaultKind = FaultKind::Denied { by_organization: false };

/// More steps than a repair with a refusal takes.
const STEPS: usize = 100;

/// Runs a repair of a stale entry. The calls with these names and numbers, counted over the whole repair, are refused. Gives
/// how it ended, whether an entry stands, and the row that is left.
fn ends(refused: &[(&str, usize, FaultKind)]) -> (String, bool, &'static str) {
    let (mut truth, mut invocation) = (Truth::new(), Invocation::Idle);
    let mut made: Vec<&str> = Vec::new();
    for _ in 0..STEPS {
        if let Invocation::Ended(label) = &invocation {
            return (label.clone(), truth.entry.is.is_some(), row(&truth));
        }
        let mut script = Vec::new();
        // A refusal may change which calls follow in the same step: the script is made call by call.
        loop {
            let stepped = invocation.step(&truth, "A", &script, None, None);
            let number = |at: usize| {
                let name = stepped.made[at].0;
                made.iter()
                    .chain(stepped.made[..=at].iter().map(|(name, _)| name))
                    .filter(|other| **other == name)
                    .count()
            };
            let next = (script.len()..stepped.made.len()).find_map(|at| {
                let is_it = |(name, n, _): &&(&str, usize, FaultKind)| stepped.made[at].0 == *name && number(at) == *n;
                let &(.., kind) = refused.iter().find(is_it)?;
                let is_new = script.iter().all(|deviation: &Deviation| deviation.at != at);
                is_new.then_some(Deviation { at, what: What::Refused(kind) })
            });
            if let Some(deviation) = next {
                script.push(deviation);
                continue;
            }
            made.extend(stepped.made.iter().map(|(name, _)| *name));
            (truth, invocation) = (stepped.truth, stepped.invocation);
            break;
        }
    }
    panic!("after {STEPS} steps the repair goes on");
}

fn row(truth: &Truth) -> &'static str {
    match truth.row.as_ref().map(|row| &row.state) {
        None => "no row",
        Some(State::Repairing(repair)) => match repair.phase {
            Phase::Opened => "opened",
            Phase::DeletionSent { .. } => "deletion sent",
            Phase::CreationSent { .. } => "creation sent",
            Phase::Created { .. } => "created",
        },
        Some(State::Recorded(_)) => "recorded",
        Some(State::Archived(_)) => "archived",
    }
}

#[track_caller]
fn is(refused: &[(&str, usize, FaultKind)], label: &str, stands: bool, row: &'static str) {
    assert_eq!(ends(refused), (label.to_owned(), stands, row), "{refused:?}");
}

const REPAIRED: (&str, bool, &str) = ("repaired ", true, "recorded");

#[test]
fn without_a_refusal_the_entry_is_repaired() {
    is(&[], REPAIRED.0, REPAIRED.1, REPAIRED.2);
}

#[test]
fn a_deletion_that_is_denied_leaves_the_entry_and_no_row() {
    is(&[("DeleteAccessEntry", 1, DENIED)], "failed awsError", true, "no row");
}

#[test]
fn a_deletion_that_is_denied_after_one_of_which_nobody_knows_keeps_the_row() {
    let refused = [("DeleteAccessEntry", 1, FaultKind::TimedOut), ("DeleteAccessEntry", 2, DENIED)];
    is(&refused, "failed awsError", true, "deletion sent");
}

#[test]
fn a_look_that_is_denied_directly_before_the_deletion_deletes_nothing() {
    // The first is the survey's, the second that of the opening.
    is(&[("DescribeAccessEntry", 3, DENIED)], "failed awsError", true, "opened");
}

#[test]
fn a_creation_that_is_denied_keeps_the_row_and_says_so() {
    is(&[("CreateAccessEntry", 2, DENIED)], "failed recreationRefused", false, "deletion sent");
}

#[test]
fn a_creation_that_the_state_of_the_cluster_forbids_is_no_sign_for_other_entries() {
    is(&[("CreateAccessEntry", 2, FaultKind::InvalidRequest)], "failed awsError", false, "deletion sent");
}

#[test]
fn what_may_pass_is_tried_again() {
    let passing = [
        ("CreateAccessEntry", FaultKind::InvalidParameter),
        ("CreateAccessEntry", FaultKind::InUse),
        ("CreateAccessEntry", FaultKind::NotFound),
        ("CreateAccessEntry", FaultKind::ServerError),
        ("DeleteAccessEntry", FaultKind::InUse),
        ("DeleteAccessEntry", FaultKind::ServerError),
    ];
    for (name, kind) in passing {
        // The rehearsal sends the creation once before.
        let n = if name == "CreateAccessEntry" { 2 } else { 1 };
        is(&[(name, n, kind)], REPAIRED.0, REPAIRED.1, REPAIRED.2);
    }
}
