//! The searches that `cargo test` and `make explore` run.

use super::defects::Defect;
use super::search::{Depth, Found, search};

fn go(depth: Depth, defect: Option<Defect>) -> Found {
    let found = search(depth, defect);
    let Depth { deviations, invocations } = depth;
    let Found { states, transitions, time, problems } = &found;
    #[expect(clippy::print_stdout, reason = "the counts stand in the documents")]
    {
        let seconds = time.as_secs_f32();
        println!(
            "{invocations} invocations, {deviations} deviations: {states} states, {transitions} transitions, {seconds:.1} s"
        );
        for (problem, history) in problems {
            println!("  {problem}:\n    {}", history.join("\n    "));
        }
    }
    found
}

#[test]
fn try_it() {
    let read = |name: &str| std::env::var(name).ok().and_then(|it| it.parse().ok());
    let found =
        go(Depth { deviations: read("EXPLORE").unwrap_or(1), invocations: read("INVOCATIONS").unwrap_or(1) }, None);
    assert!(found.problems.is_empty());
}
