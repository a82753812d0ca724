//! What a run of the model has covered, so that one that proves nothing shows.

use std::collections::BTreeMap;
use std::fmt;

/// Counts over one or all cases.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    pub cases: usize,
    pub steps: usize,
    pub invocations: usize,
    /// Entries by what became of them.
    pub outcomes: BTreeMap<String, usize>,
    pub cuts: usize,
    pub faults: usize,
    pub acts_between_calls: usize,
    pub pairs: usize,
    /// Creations just after the role was taken.
    pub hits: usize,
    /// Entries whose owner's will could not be known, by why.
    pub excused: BTreeMap<&'static str, usize>,
    /// At the end: entries that had to let their role in, and did.
    pub let_in: usize,
    /// Of these, the ones that the function had created.
    pub let_in_again: usize,
    /// At the end: stale entries that nobody permitted, and that let nobody in.
    pub kept_out: usize,
    /// At the end: entries in the archive.
    pub archived: usize,
    /// At the end: entries whose dates deceive.
    pub deceived: usize,
}

impl Coverage {
    /// Adds those of another case.
    pub fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.steps += other.steps;
        self.invocations += other.invocations;
        self.cuts += other.cuts;
        self.faults += other.faults;
        self.acts_between_calls += other.acts_between_calls;
        self.pairs += other.pairs;
        self.hits += other.hits;
        self.let_in += other.let_in;
        self.let_in_again += other.let_in_again;
        self.kept_out += other.kept_out;
        self.archived += other.archived;
        self.deceived += other.deceived;
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += count;
        }
        for (why, count) in &other.excused {
            *self.excused.entry(why).or_default() += count;
        }
    }

    /// How many entries ended so.
    pub fn of(&self, outcome: &str) -> usize {
        self.outcomes.get(outcome).copied().unwrap_or_default()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |counts: Vec<String>| counts.join(", ");
        write!(
            f,
            "{} cases, {} steps, {} invocations ({} cut, {} faults, {} acts of others between calls, {} pairs); \
             entries: {}; at the end: {} let in ({} by a repair), {} kept out, {} archived, {} deceive by their dates; \
             {} hits of the creation itself; excused: {}; lost entries: 0",
            self.cases,
            self.steps,
            self.invocations,
            self.cuts,
            self.faults,
            self.acts_between_calls,
            self.pairs,
            all(self.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect()),
            self.let_in,
            self.let_in_again,
            self.kept_out,
            self.archived,
            self.deceived,
            self.hits,
            all(self.excused.iter().map(|(why, count)| format!("{count} {why}")).collect()),
        )
    }
}
