//! The model test: random worlds, random histories, and a reference that says what must hold.
//!
//! `world` and `history` are the data, the former drawn by `lot`, `acts` does what other parties do, `play` invokes the
//! whole function on the stage of the scenarios, in whatever trouble `plan` has for it; `witness` judges every single
//! call, `finale` the end; `reference` says who may enter, without the function's own guardrails.
//!
//! `MODEL_CASES=5000 cargo test --test scenarios model::` plays more cases than the default, `MODEL_SEED` others. A
//! case that fails is shrunk, printed, and kept in `regressions.txt`, which is replayed first; what it found gets a
//! scenario of its own.

mod acts;
mod cover;
mod finale;
mod history;
mod lot;
mod plan;
mod play;
mod reference;
mod sight;
mod witness;
mod world;

use std::sync::Mutex;

use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use cover::Coverage;

/// A quarter of a minute or so; the same ones every time, so that a failure is a change's and not chance's.
const CASES: u32 = 64;

fn number(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Futures in a development build are large, and those of a case are inside those of the function inside a runner's.
const STACK: usize = 16 << 20;

#[test]
fn whatever_happens_nobody_is_let_in_unpermitted_and_nothing_is_lost() {
    let run = std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap();
    if let Err(panic) = run.join() {
        std::panic::resume_unwind(panic);
    }
}

#[expect(clippy::print_stdout, reason = "what was covered is to be seen")]
fn run() {
    let config = Config {
        cases: number("MODEL_CASES", CASES),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/scenarios/model/regressions.txt"))),
        max_shrink_iters: number("MODEL_SHRINKS", 1500),
        ..Config::default()
    };
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number("MODEL_SEED", 1).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let all = Mutex::new(Coverage::default());
    let played = runner.run(&(lot::setups(), history::histories()), |(setup, history)| {
        let cover = play::play(&setup, &history).map_err(TestCaseError::fail)?;
        all.lock().unwrap().add(&cover);
        Ok(())
    });
    let cover = all.into_inner().unwrap();
    println!("model: {cover}");
    if let Err(failure) = played {
        panic!("{failure}");
    }
    let often = |what: &str, count: usize, per_hundred_cases: usize| {
        assert!(count * 100 >= per_hundred_cases * cover.cases, "of too little use: {count} {what}");
    };
    often("repaired", cover.of("repaired"), 30);
    often("held", cover.of("held"), 30);
    often("let in again at the end", cover.let_in_again, 15);
    often("kept out at the end", cover.kept_out, 10);
    often("cut", cover.cuts, 5);
    often("faults", cover.faults, 20);
    often("acts between calls", cover.acts_between_calls, 10);
    often("pairs", cover.pairs, 5);
    often("removed", cover.of("removed"), 1);
    let excused: usize = cover.excused.values().sum();
    assert!(excused * 10 <= cover.let_in + cover.kept_out, "too much is excused: {excused}");
}
