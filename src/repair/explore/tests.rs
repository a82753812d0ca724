//! The searches that `cargo test` and `make explore` run.

use super::canon;
use super::defects::Defect;
use super::invocation::Invocation;
use super::search::{Depth, Found, search};
use super::world::{By, Content, Entry, N, RoleIs, Truth};
use crate::repair::decide::tests::worlds::{PERMITTED, rows};
use crate::repair::fixture;
use crate::row::{Phase, Row, State};

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

/// States and transitions of this depth, in which there must be no error.
fn holds(depth: Depth) -> (usize, usize) {
    let Found { states, transitions, problems, .. } = go(depth, None);
    let problems: Vec<&str> = problems.iter().map(|(problem, _)| *problem).collect();
    assert!(problems.is_empty(), "{problems:?}");
    (states, transitions)
}

/// The same numbers in the table of `tests/README.md`, if it has this depth. They are compared so that no change of a step
/// goes unnoticed.
fn documented(depth: Depth) -> Option<(usize, usize)> {
    let number = |cell: &str| cell.trim().replace(',', "").parse().ok();
    include_str!("../../../tests/README.md").lines().find_map(|line| {
        let cells: Vec<usize> = line.split('|').skip(1).map_while(number).collect();
        let [invocations, deviations, states, transitions] = cells[..] else { return None };
        (depth == Depth { deviations, invocations }).then_some((states, transitions))
    })
}

#[test]
fn no_two_deviations_break_what_one_invocation_promises() {
    assert_eq!(documented(ALONE), Some(holds(ALONE)));
}

#[test]
fn no_deviation_breaks_what_two_invocations_promise() {
    assert_eq!(documented(TOGETHER), Some(holds(TOGETHER)));
}

/// More steps than any path without deviations takes until nothing happens any more.
const STEPS: usize = 200;

/// Runs one invocation after another until one leaves the world as it found it.
fn comes_to_rest(mut truth: Truth) -> bool {
    let (mut invocation, mut last) = (Invocation::Idle, None);
    for _ in 0..STEPS {
        if invocation.is_over() {
            let world = Some(canon::name_of_world(&truth));
            if last == world {
                return true;
            }
            last = world;
            (truth, invocation) = Invocation::next_run(&truth);
        }
        let stepped = invocation.step(&truth, "A", &[], None, None);
        (truth, invocation) = (stepped.truth, stepped.invocation);
    }
    false
}

#[test]
fn from_every_row_and_world_a_path_without_deviations_comes_to_rest() {
    let whole = Content::of(&["viewers"], &["A", "B"]);
    let bare = Content::of(&["viewers"], &[]);
    let entry = |n, by, content: &Content| Some(Entry::new(N(n), N(1), by, content.clone()));
    let entries = [
        None,
        entry(1, By::Owner, &whole),
        entry(1, By::Owner, &bare),
        entry(5, By::Us, &whole),
        entry(5, By::Us, &bare),
        entry(6, By::Other, &whole),
        entry(6, By::Other, &Content::of(&[], &[])),
    ];
    let role = |n, is_stranger| Some(RoleIs { n: N(n), is_stranger });
    for repair in rows() {
        let state = State::Repairing(Box::new(repair));
        let row = Row::new(&fixture::principal(), &fixture::at(), 1, state);
        // An entry that EKS confirmed cannot have come while the one before still stood.
        let is_created = row.repair().is_some_and(|repair| matches!(repair.phase, Phase::Created { .. }));
        for entry in entries.iter().filter(|entry| !is_created || entry.as_ref().is_none_or(|entry| entry.n != N(1))) {
            for role in [None, role(PERMITTED, false), role(7, false), role(8, true)] {
                for cluster in [N(0), N(20)] {
                    let truth = Truth::of(entry.clone(), role, cluster, row.clone());
                    assert!(comes_to_rest(truth.clone()), "{truth:#?}");
                }
            }
        }
    }
}

/// `make explore` names the depths: `EXPLORE=deviations×invocations,…`.
#[test]
fn the_depths_that_are_asked_for_hold() {
    let asked = std::env::var("EXPLORE").unwrap_or_default();
    for depth in asked.split(',').filter(|depth| !depth.is_empty()) {
        let (deviations, invocations) = depth.split_once('x').expect("EXPLORE=3x2,4x1");
        let number = |text: &str| text.parse().expect("a number");
        let depth = Depth { deviations: number(deviations), invocations: number(invocations) };
        let found = holds(depth);
        assert_eq!(documented(depth).unwrap_or(found), found);
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
