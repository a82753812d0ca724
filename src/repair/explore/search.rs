//! The search: by the number of deviations, each state once.
//!
//! What has no deviation left is gone on from at once, so that only the states before the last deviation are kept whole.
//! Of all others a few dozen bytes stay: how each was reached, to print its history, and where it leads.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::calls::{Kind, Made};
use super::defects::Defect;
use super::invocation::{Invocation, Stepped};
use super::world::{ACTS, Act, Deviation, Truth, What};
use super::{canon, judge};

const NAMES: [&str; 2] = ["A", "B"];

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) deviations: usize,
    pub(super) invocations: usize,
}

/// A state that was reached: how, and where it leads without deviations.
struct Node {
    parent: u32,
    /// Where it leads without deviations: to itself while that is not known.
    next: u32,
    /// The fewest deviations that lead here.
    level: u8,
    how: How,
    problem: Option<&'static str>,
}

/// What led to a state.
enum How {
    /// The search begins here.
    Start,
    /// Others acted between two steps.
    Act(Act),
    /// The next run began.
    NextRun,
    /// Who took which step, and the deviations in it, each with the call that it was at.
    Step(&'static str, &'static str, Box<[(Deviation, &'static str)]>),
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
    known: HashMap<u128, u32>,
    nodes: Vec<Node>,
    /// States in which nobody works: the world's name, and what is wrong with it.
    at_rest: HashMap<usize, (u128, Option<&'static str>)>,
    /// States to go on from, by how many deviations led to them.
    due: Vec<VecDeque<(usize, State)>>,
    transitions: usize,
}

/// Goes through every history of this depth.
pub(super) fn search(depth: Depth, defect: Option<Defect>) -> Found {
    let began = Instant::now();
    let start = State { truth: Truth::new(), invocations: vec![Invocation::Idle; depth.invocations] };
    let due = vec![VecDeque::new(); depth.deviations + 1];
    let (known, at_rest) = (HashMap::new(), HashMap::new());
    let mut search = Search { depth, defect, known, nodes: Vec::new(), at_rest, due, transitions: 0 };
    search.reach(0, How::Start, start, 0);
    for level in 0..=depth.deviations {
        while let Some((at, state)) = search.due[level].pop_front() {
            search.go_on(at, &state, level);
            while let Some((at, state)) = search.due[depth.deviations].pop_front() {
                search.go_on(at, &state, depth.deviations);
            }
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
    fn reach(&mut self, parent: usize, how: How, state: State, level: usize) -> usize {
        self.transitions += 1;
        let (from, fewest) = (number(parent), u8::try_from(level).expect("few deviations"));
        let name = canon::name(&state.truth, &state.invocations);
        if let Some(at) = self.known.get(&name).copied() {
            let at = at as usize;
            // A script of several deviations may have come here before fewer did: those leave more for what follows.
            let node = &mut self.nodes[at];
            if fewest < node.level {
                (node.parent, node.how, node.level) = (from, how, fewest);
                self.due[level].push_back((at, state));
            }
            return at;
        }
        let at = self.nodes.len();
        self.known.insert(name, number(at));
        if let Invocation::Ended(report) = &state.invocations[0]
            && state.invocations.iter().all(Invocation::is_over)
        {
            self.at_rest.insert(at, (canon::name_of_world(&state.truth), judge::at_rest(&state.truth, report)));
        }
        let problem = judge::at_any_time(&state.truth);
        self.nodes.push(Node { parent: from, next: number(at), level: fewest, how, problem });
        self.due[level].push_back((at, state));
        at
    }

    /// Goes on from a state, unless it was reached with fewer deviations meanwhile: then from there.
    fn go_on(&mut self, at: usize, state: &State, level: usize) {
        if usize::from(self.nodes[at].level) == level {
            self.expand(at, state, level);
        }
    }

    fn expand(&mut self, at: usize, state: &State, level: usize) {
        let (truth, invocations) = (&state.truth, &state.invocations);
        // Between two steps others act, too.
        if level < self.depth.deviations {
            for act in ACTS {
                let mut next = state.clone();
                if next.truth.act(act) {
                    self.reach(at, How::Act(act), next, level + 1);
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
            let place = self.reach(at, How::NextRun, again, level);
            next = next.or(Some(place));
        }
        self.nodes[at].next = number(next.unwrap_or(at));
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
        let call = |it: &Deviation| made.get(it.at).map_or("?", |made| made.0);
        let deviations_of_it = script.iter().map(|it| (*it, call(it))).collect();
        let how = How::Step(NAMES[who], invocation.name(), deviations_of_it);
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
                let next = self.nodes[at].next as usize;
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
        let mut rests = circle.iter().filter_map(|at| self.at_rest.get(at));
        let Some((first, problem)) = rests.next() else { return Some("it never comes to an end") };
        if rests.any(|(world, _)| world != first) {
            return Some("it never comes to rest");
        }
        *problem
    }

    fn problems(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut shortest: Vec<(&'static str, usize)> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(problem) = node.problem else { continue };
            match shortest.iter_mut().find(|(there, _)| *there == problem) {
                Some((_, least)) if node.level < self.nodes[*least].level => *least = at,
                Some(_) => {}
                None => shortest.push((problem, at)),
            }
        }
        shortest.into_iter().map(|(problem, at)| (problem, self.history(at))).collect()
    }

    fn history(&self, mut at: usize) -> Vec<String> {
        let mut history = Vec::new();
        while at != 0 {
            history.push(self.nodes[at].how.to_string());
            at = self.nodes[at].parent as usize;
        }
        history.reverse();
        history
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).expect("fewer than four thousand million states")
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Act(act) => write!(f, "{act:?}"),
            Self::NextRun => f.write_str("next run"),
            Self::Step(who, step, deviations) => {
                write!(f, "{who} {step}")?;
                for (deviation, call) in deviations {
                    write!(f, " [{:?} at call {}, {call}]", deviation.what, deviation.at + 1)?;
                }
                Ok(())
            }
        }
    }
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
