//! What becomes of a repair if EKS refuses one of its calls for good: how it ends, and what of the row is left.

use super::invocation::Invocation;
use super::world::{Deviation, Truth, What};
use crate::fault::FaultKind;
use crate::repair::fixture::phase_in_words;
use crate::row::State;

const DENIED: FaultKind = FaultKind::Denied { by_organization: false };

/// More steps than a repair with a refusal takes.
const STEPS: usize = 100;

/// A call by its name and its number among those of this name, and how it is refused. At most one of a step.
type Refused = (&'static str, usize, FaultKind);

/// How a repair ended, whether an entry stands, and the row that is left.
type Left = (&'static str, bool, &'static str);

const REPAIRED: Left = ("repaired ", true, "recorded");

/// Runs a repair of a stale entry to its end, with these refusals.
#[track_caller]
fn ends(refused: &[Refused], left: Left) {
    let (mut truth, mut invocation) = (Truth::new(), Invocation::Idle);
    let mut made: Vec<&str> = Vec::new();
    for _ in 0..STEPS {
        if let Invocation::Ended(label) = &invocation {
            assert_eq!((label.as_str(), truth.entry.is.is_some(), row(&truth)), left, "{refused:?}");
            return;
        }
        let as_it_goes = invocation.step(&truth, "A", &[], None, None);
        let before = made.len();
        made.extend(as_it_goes.made.iter().map(|(name, _)| *name));
        let due = (before..made.len()).find_map(|at| {
            let number = made[..=at].iter().filter(|name| **name == made[at]).count();
            let is_it = |(name, n, _): &&Refused| (*name, *n) == (made[at], number);
            let (.., kind) = refused.iter().find(is_it)?;
            Some(Deviation { at: at - before, what: What::Refused(*kind) })
        });
        let stepped = match due {
            // The calls after it are others.
            Some(refusal) => {
                let stepped = invocation.step(&truth, "A", &[refusal], None, None);
                made.truncate(before);
                made.extend(stepped.made.iter().map(|(name, _)| *name));
                stepped
            }
            None => as_it_goes,
        };
        (truth, invocation) = (stepped.truth, stepped.invocation);
    }
    panic!("after {STEPS} steps the repair goes on");
}

fn row(truth: &Truth) -> &'static str {
    match truth.row.as_ref().map(|row| &row.state) {
        None => "no row",
        Some(State::Repairing(repair)) => phase_in_words(&repair.phase),
        Some(State::Recorded(_)) => "recorded",
        Some(State::Archived(_)) => "archived",
    }
}

#[test]
fn without_a_refusal_the_entry_is_repaired() {
    ends(&[], REPAIRED);
}

#[test]
fn a_deletion_that_is_denied_leaves_the_entry_and_no_row() {
    ends(&[("DeleteAccessEntry", 1, DENIED)], ("failed awsError", true, "no row"));
}

#[test]
fn a_deletion_that_is_denied_after_one_of_which_nobody_knows_keeps_the_row() {
    let refused = [("DeleteAccessEntry", 1, FaultKind::TimedOut), ("DeleteAccessEntry", 2, DENIED)];
    ends(&refused, ("failed awsError", true, "deletion sent"));
}

#[test]
fn a_look_that_is_denied_directly_before_the_deletion_deletes_nothing() {
    // The first is the survey's, the second that of the opening.
    ends(&[("DescribeAccessEntry", 3, DENIED)], ("failed awsError", true, "opened"));
}

#[test]
fn a_creation_that_is_denied_keeps_the_row_and_says_so() {
    ends(&[("CreateAccessEntry", 2, DENIED)], ("failed recreationRefused", false, "deletion sent"));
}

#[test]
fn a_creation_that_the_state_of_the_cluster_forbids_is_no_sign_for_other_entries() {
    ends(&[("CreateAccessEntry", 2, FaultKind::InvalidRequest)], ("failed awsError", false, "deletion sent"));
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
        ends(&[(name, n, kind)], REPAIRED);
    }
}
