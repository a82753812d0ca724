//! The searches that `cargo test` and `make explore` run.

use super::defects::Defect;
use super::search::{Depth, Found, search};

/// One invocation, and how many deviations `cargo test` gives it.
const ALONE: Depth = Depth { deviations: 2, invocations: 1 };
/// The same for two that work at once.
const TOGETHER: Depth = Depth { deviations: 1, invocations: 2 };

fn go(depth: Depth, defect: Option<Defect>) -> Found {
    let found = search(depth, defect);
    let Depth { deviations, invocations } = depth;
    let Found { states, transitions, time, problems } = &found;
    #[expect(clippy::print_stdout, reason = "the counts and the histories stand in the documents")]
    {
        let with = defect.map(|defect| format!(", with {defect:?}")).unwrap_or_default();
        let seconds = time.as_secs_f32();
        println!(
            "{invocations} invocation(s), {deviations} deviation(s){with}: {states} states, {transitions} transitions, \
             {seconds:.1} s"
        );
        for (problem, history) in problems {
            println!("  {problem}:\n    {}", history.join("\n    "));
        }
    }
    found
}

fn holds(depth: Depth) {
    let problems: Vec<&str> = go(depth, None).problems.iter().map(|(problem, _)| *problem).collect();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn no_two_deviations_break_what_one_invocation_promises() {
    holds(ALONE);
}

#[test]
fn no_deviation_breaks_what_two_invocations_promise() {
    holds(TOGETHER);
}

/// `make explore` names the depths: `EXPLORE=deviations×invocations,…`.
#[test]
fn the_depths_that_are_asked_for_hold() {
    let asked = std::env::var("EXPLORE").unwrap_or_default();
    for depth in asked.split(',').filter(|depth| !depth.is_empty()) {
        let (deviations, invocations) = depth.split_once('x').expect("EXPLORE=3x2,4x1");
        let number = |text: &str| text.parse().expect("a number");
        holds(Depth { deviations: number(deviations), invocations: number(invocations) });
    }
}

/// Each defect that an earlier version had is found, and its shortest history has so many deviations.
#[test]
fn a_defect_that_is_put_back_is_found() {
    for (defect, deviations, expected) in [
        (Defect::CreationIsNotMarked, 1, "our own creation is left without what its owner wants"),
        (Defect::RecreatesWhatItsOwnerDeleted, 1, "what its owner deleted is there again"),
        (Defect::RevivedIsCalledGood, 2, "what its owner deleted is there again"),
        (Defect::RoleIsNotReadAfterTheCreation, 1, "a stranger is let in"),
    ] {
        let shallower = search(Depth { deviations: deviations - 1, invocations: 1 }, Some(defect));
        assert!(shallower.problems.is_empty(), "{defect:?} is found with fewer than {deviations} deviations");
        let found = go(Depth { deviations, invocations: 1 }, Some(defect));
        assert!(found.problems.iter().any(|(problem, _)| *problem == expected), "{defect:?} is not found");
    }
}
