//! Whose turn it is to send a request to a Region: the most urgent first, at the [`Limiter`]'s pace, and no more at once
//! than the in-flight limit.
//!
//! All users of a Region share one [`Turns`], so what one learned of the Region's limits serves the next. The in-flight
//! limit belongs to the user and comes with each request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;

use super::limiter::{Answer, Limiter, Ticket};

/// What a request is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// To bring back an entry whose deletion was sent: its role has no access until then.
    Restoration,
    /// To repair an entry that still stands.
    Repair,
    /// To find entries.
    Survey,
    /// To show what an entry stops. Never in anybody's way: such a request leaves only while the Region refuses nothing, and
    /// is given up if a more urgent one has no room.
    Impact,
}

/// The requests of one Region: those that wait, and how many are in flight.
#[derive(Debug)]
pub(super) struct Turns {
    line: Mutex<Line>,
    /// Told when a request is first in line and has no room.
    needed: Notify,
}

#[derive(Debug)]
struct Line {
    limiter: Limiter,
    in_flight: usize,
    places: u64,
    waiting: BTreeMap<Place, Arc<Notify>>,
}

/// A request's place in the line. It keeps its place when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    priority: Priority,
    number: u64,
}

/// A request in flight. Dropped without an answer, it makes room and teaches nothing.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    ticket: Ticket,
}

/// What the one who waits has to do.
enum Step {
    Leave(Ticket),
    WaitUntil(Instant),
    /// It is first in line, but as many as may be are in flight.
    WaitForRoom,
    WaitToBeWoken,
}

/// One that waits; dropped, it leaves the line.
struct Waiting<'a> {
    turns: &'a Turns,
    place: Place,
    woken: Arc<Notify>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let line = Line { limiter: Limiter::new(), in_flight: 0, places: 0, waiting: BTreeMap::new() };
        Self { line: Mutex::new(line), needed: Notify::new() }
    }

    /// The place of a new request: behind those of its priority, before those of lower priorities.
    pub(super) fn line_up(&self, priority: Priority) -> Place {
        self.with(|line| {
            line.places += 1;
            Place { priority, number: line.places }
        })
    }

    /// Waits until the request may leave. At most `most_at_once` are in flight then, this one included.
    ///
    /// The first in line holds up all others until it is polled. So whoever waits must be polled until it has its turn, or
    /// be dropped.
    pub(super) async fn turn(&self, place: Place, most_at_once: usize) -> Turn<'_> {
        let waiting = self.wait(place);
        loop {
            match self.with(|line| line.step(place, most_at_once.max(1), Instant::now())) {
                Step::Leave(ticket) => return Turn { turns: self, ticket },
                // Woken before: an answer may have changed the pace, or a more urgent request came.
                Step::WaitUntil(at) => {
                    let _ = tokio::time::timeout_at(at, waiting.woken.notified()).await;
                }
                Step::WaitForRoom => {
                    if place.priority < Priority::Impact {
                        self.needed.notify_waiters();
                    }
                    waiting.woken.notified().await;
                }
                Step::WaitToBeWoken => waiting.woken.notified().await,
            }
        }
    }

    /// Waits until a request that is more urgent than [`Priority::Impact`] has no room.
    pub(super) async fn needed(&self) {
        self.needed.notified().await;
    }

    /// Whether the Region refuses requests, so that each one that leaves makes the next wait.
    pub(super) fn holds_back(&self) -> bool {
        self.with(|line| line.limiter.holds_back(Instant::now()))
    }

    fn wait(&self, place: Place) -> Waiting<'_> {
        let woken = Arc::new(Notify::new());
        self.with(|line| line.waiting.insert(place, Arc::clone(&woken)));
        Waiting { turns: self, place, woken }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Line) -> T) -> T {
        act(&mut lock(&self.line))
    }
}

impl Line {
    fn step(&mut self, place: Place, most_at_once: usize, now: Instant) -> Step {
        let is_first = self.waiting.first_key_value().is_some_and(|(first, _)| *first == place);
        if !is_first {
            return Step::WaitToBeWoken;
        }
        if self.in_flight >= most_at_once {
            return Step::WaitForRoom;
        }
        let next = self.limiter.next(now);
        if next > now {
            return Step::WaitUntil(next);
        }
        self.waiting.remove(&place);
        self.in_flight += 1;
        Step::Leave(self.limiter.sent(now))
    }

    /// Only the first in line can leave, so nobody else needs to be woken.
    fn wake_first(&self) {
        if let Some(first) = self.waiting.values().next() {
            first.notify_one();
        }
    }
}

impl Turn<'_> {
    /// The Region answered.
    pub(super) fn answered(self, answer: Answer) {
        self.turns.with(|line| line.limiter.answered(self.ticket, Instant::now(), answer));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.with(|line| {
            line.in_flight -= 1;
            line.wake_first();
        });
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turns.with(|line| {
            line.waiting.remove(&self.place);
            line.wake_first();
        });
    }
}

#[cfg(test)]
mod tests;
