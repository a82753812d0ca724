//! The search: breadth first by the number of deviations, each state once.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::calls::{Kind, Made};
use super::defects::Defect;
use super::invocation::{Invocation, Stepped};
use super::world::{ACTS, Deviation, Truth, What};
use super::{canon, judge};

const NAMES: [&str; 2] = ["A", "B"];

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    pub(super) deviations: usize,
    pub(super) invocations: usize,
}

/// A state that was reached: how, and where it leads without deviations.
struct Node {
    parent: usize,
    /// What led here: who stepped, and with which script.
    how: String,
    next: Option<usize>,
    /// What the last run reported, in a state in which nobody works.
    at_rest: Option<(u128, Option<&'static str>)>,
    problem: Option<&'static str>,
}

#[derive(Clone)]
struct State {
    truth: Truth,
    invocations: Vec<Invocation>,
}

/// What a search found.
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) transitions: usize,
    pub(super) time: Duration,
    /// Each problem once, with its shortest history.
    pub(super) problems: Vec<(&'static str, Vec<String>)>,
}

struct Search {
    depth: Depth,
    defect: Option<Defect>,
    known: HashMap<u128, usize>,
    nodes: Vec<Node>,
    /// States to go on from, by how many deviations led to them.
    due: Vec<VecDeque<(usize, State)>>,
    transitions: usize,
}

/// Goes through every history of this depth.
pub(super) fn search(depth: Depth, defect: Option<Defect>) -> Found {
    let began = Instant::now();
    let start = State { truth: Truth::new(), invocations: vec![Invocation::Idle; depth.invocations] };
    let due = vec![VecDeque::new(); depth.deviations + 1];
    let mut search = Search { depth, defect, known: HashMap::new(), nodes: Vec::new(), due, transitions: 0 };
    search.reach(0, String::new(), start, 0);
    for level in 0..=depth.deviations {
        while let Some((at, state)) = search.due[level].pop_front() {
            search.expand(at, &state, level);
        }
    }
    search.where_paths_end();
    Found {
        states: search.nodes.len(),
        transitions: search.transitions,
        time: began.elapsed(),
        problems: search.problems(),
    }
}

impl Search {
    /// Takes in a state; gives its place.
    fn reach(&mut self, parent: usize, how: String, state: State, level: usize) -> usize {
        self.transitions += 1;
        let name = canon::name(&state.truth, &state.invocations);
        if let Some(at) = self.known.get(&name) {
            return *at;
        }
        let at = self.nodes.len();
        self.known.insert(name, at);
        let at_rest = match &state.invocations[0] {
            Invocation::Ended(report) if state.invocations.iter().all(Invocation::is_over) => {
                Some((canon::name_of_world(&state.truth), judge::at_rest(&state.truth, report)))
            }
            _ => None,
        };
        let problem = judge::at_any_time(&state.truth);
        self.nodes.push(Node { parent, how, next: None, at_rest, problem });
        self.due[level].push_back((at, state));
        at
    }

    fn expand(&mut self, at: usize, state: &State, level: usize) {
        let (truth, invocations) = (&state.truth, &state.invocations);
        // Between two steps others act, too.
        if level < self.depth.deviations {
            for act in ACTS {
                let mut next = state.clone();
                if next.truth.act(act) {
                    self.reach(at, format!("{act:?}"), next, level + 1);
                }
            }
        }
        let mut next = None;
        for (who, _) in invocations.iter().enumerate().filter(|(_, invocation)| !invocation.is_over()) {
            let place = self.step(at, state, who, &[], level);
            next = next.or(Some(place));
        }
        if invocations[0].is_over() {
            let (truth, invocation) = Invocation::next_run(truth);
            let mut again = State { truth, invocations: invocations.clone() };
            again.invocations[0] = invocation;
            let place = self.reach(at, "next run".to_owned(), again, level);
            next = next.or(Some(place));
        }
        self.nodes[at].next = next;
    }

    /// Takes a step with this script, and with every longer one that the depth allows; the place that the script leads to.
    fn step(&mut self, at: usize, state: &State, who: usize, script: &[Deviation], level: usize) -> usize {
        let invocation = &state.invocations[who];
        let others = std::cell::RefCell::new(state.invocations.clone());
        let defect = self.defect;
        let other = |truth: &mut Truth| {
            let mut others = others.borrow_mut();
            let Some(index) = (0..others.len()).find(|index| *index != who && !others[*index].is_over()) else {
                return;
            };
            let stepped = others[index].step(truth, NAMES[index], &[], None, defect);
            *truth = stepped.truth;
            others[index] = stepped.invocation;
        };
        let Stepped { truth, invocation: next, made } =
            invocation.step(&state.truth, NAMES[who], script, Some(&other), defect);
        let mut invocations = others.into_inner();
        invocations[who] = next;
        let said: Vec<String> = script.iter().map(|it| say(*it, &made)).collect();
        let how = format!("{} {} {}", NAMES[who], invocation.name(), said.join(", ")).trim_end().to_owned();
        let place = self.reach(at, how, State { truth, invocations }, level);
        if level < self.depth.deviations {
            for deviation in deviations(script, &made, state.invocations.len() > 1) {
                let mut longer = script.to_vec();
                longer.push(deviation);
                self.step(at, state, who, &longer, level + 1);
            }
        }
        place
    }

    /// A path without deviations must end in a world in which nothing happens any more, and that world must be right.
    fn where_paths_end(&mut self) {
        let mut ends: Vec<Option<Option<&'static str>>> = vec![None; self.nodes.len()];
        for from in 0..self.nodes.len() {
            let mut path = vec![from];
            let end = loop {
                let at = path[path.len() - 1];
                if let Some(end) = ends[at] {
                    break end;
                }
                let Some(next) = self.nodes[at].next else { break None };
                if let Some(start) = path.iter().position(|seen| *seen == next) {
                    break self.of_circle(&path[start..]);
                }
                path.push(next);
            };
            for at in path {
                ends[at] = Some(end);
            }
        }
        for (node, end) in self.nodes.iter_mut().zip(ends) {
            node.problem = node.problem.or(end.flatten());
        }
    }

    fn of_circle(&self, circle: &[usize]) -> Option<&'static str> {
        let mut rests = circle.iter().filter_map(|at| self.nodes[*at].at_rest);
        let Some((first, problem)) = rests.next() else { return Some("it never comes to an end") };
        if rests.any(|(world, _)| world != first) {
            return Some("it never comes to rest");
        }
        problem
    }

    fn problems(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut problems: Vec<(&'static str, Vec<String>)> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(problem) = node.problem else { continue };
            if problems.iter().any(|(there, _)| *there == problem) {
                continue;
            }
            problems.push((problem, self.history(at)));
        }
        problems
    }

    fn history(&self, mut at: usize) -> Vec<String> {
        let mut history = Vec::new();
        while at != 0 {
            history.push(self.nodes[at].how.clone());
            at = self.nodes[at].parent;
        }
        history.reverse();
        history
    }
}

fn say(deviation: Deviation, made: &[Made]) -> String {
    let call = made.get(deviation.at).map_or("?", |made| made.0);
    format!("[{:?} at call {}, {call}]", deviation.what, deviation.at + 1)
}

/// What can still deviate after this script: every later call, and what others do before it.
fn deviations(script: &[Deviation], made: &[Made], has_other: bool) -> Vec<Deviation> {
    let last = script.last();
    // Nothing of the step comes after a cut.
    if last.is_some_and(|last| matches!(last.what, What::CutBefore | What::CutAfter)) {
        return Vec::new();
    }
    let is_act = |what: What| matches!(what, What::Act(_) | What::OtherInvocation);
    let mut found = Vec::new();
    for (at, (name, kind)) in made.iter().enumerate() {
        // Before a call others act once; how a call goes is decided after that.
        let (may_act, may_go) = match last {
            Some(last) if at < last.at => (false, false),
            Some(last) if at == last.at => (false, is_act(last.what)),
            _ => (true, true),
        };
        let mut whats = Vec::new();
        // Before the first call is between two steps.
        if may_act && at > 0 {
            whats.extend(ACTS.map(What::Act));
            whats.extend(has_other.then_some(What::OtherInvocation));
        }
        if may_go {
            match kind {
                Kind::Read => whats.push(What::NotArrived),
                Kind::LateRead => whats.extend([What::NotArrived, What::Late]),
                Kind::Change => whats.extend([What::CutBefore, What::CutAfter, What::ReplyLost, What::NotArrived]),
            }
            // Throttled, a change was not carried out, and the caller knows.
            whats.extend((*kind == Kind::Change && name.ends_with("AccessEntry")).then_some(What::Throttled));
        }
        found.extend(whats.into_iter().map(|what| Deviation { at, what }));
    }
    found
}
