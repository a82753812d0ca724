//! Who may delete while nobody knows yet whether creations succeed: one repair at a time.
//!
//! All repairs of an invocation are prepared side by side, and wait here directly before they mark their deletion. One goes on
//! to its end; if that is a good one, the others follow side by side. Whoever is let through and has not come to its deletion
//! within [`GIVES_WAY_AFTER`] lets the next one pass: a Region that stops answering holds nobody up elsewhere before it has a
//! deletion under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;
use crate::outcome::Outcome;

/// So long the first repair may take from its turn to its deletion.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(5);

/// The gate of one invocation.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// A repair has come to a good end: creations succeed.
    is_open: bool,
    /// Repairs whose deletion was sent and whose end is not known.
    under_way: usize,
    /// Whose turn it is, and since when.
    turn: Option<(u64, Instant)>,
    next: u64,
}

/// One repair at the gate. Dropped, it is past it, or has given up.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    gate: &'a Gate,
    number: u64,
    is_under_way: AtomicBool,
}

/// Why it is not this repair's turn.
enum Busy {
    /// Another one has so long to come to its deletion.
    Until(Instant),
    /// Another one's deletion is under way.
    Deleting,
}

impl Gate {
    /// A repair that will come to the gate.
    pub(super) fn passage(&self) -> Passage<'_> {
        let mut state = self.state();
        state.next += 1;
        Passage { gate: self, number: state.next, is_under_way: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Passage<'_> {
    /// Waits until it is this repair's turn to delete.
    pub(super) async fn turn(&self) {
        loop {
            let changed = self.gate.changed.notified();
            match self.take_turn() {
                Ok(()) => return,
                Err(Busy::Until(at)) => {
                    let _ = tokio::time::timeout_at(at, changed).await;
                }
                Err(Busy::Deleting) => changed.await,
            }
        }
    }

    fn take_turn(&self) -> Result<(), Busy> {
        let mut state = self.gate.state();
        if state.is_open || self.is_under_way() {
            return Ok(());
        }
        if state.under_way > 0 {
            return Err(Busy::Deleting);
        }
        match state.turn {
            Some((number, since)) if number != self.number && since.elapsed() < GIVES_WAY_AFTER => {
                Err(Busy::Until(since + GIVES_WAY_AFTER))
            }
            _ => {
                state.turn = Some((self.number, Instant::now()));
                Ok(())
            }
        }
    }

    /// The deletion is sent now, if it still is this repair's turn.
    pub(super) fn deletes(&self) -> bool {
        if self.is_under_way() {
            return true;
        }
        let mut state = self.gate.state();
        let is_its_turn = state.under_way == 0 && state.turn.is_some_and(|(number, _)| number == self.number);
        if !state.is_open && !is_its_turn {
            return false;
        }
        if is_its_turn {
            state.turn = None;
        }
        state.under_way += 1;
        self.is_under_way.store(true, Ordering::Relaxed);
        true
    }

    /// The entry may be gone already: this repair waits for nobody, and the others wait for it.
    pub(super) fn is_past(&self) {
        if !self.is_under_way.swap(true, Ordering::Relaxed) {
            self.gate.state().under_way += 1;
        }
    }

    /// The repair has ended; a good end lets all others pass.
    pub(super) fn ended(&self, outcome: Option<&Outcome>) {
        if outcome == Some(&Outcome::Repaired) {
            self.succeeded();
        }
    }

    fn succeeded(&self) {
        self.gate.state().is_open = true;
        self.gate.changed.notify_waiters();
    }

    fn is_under_way(&self) -> bool {
        self.is_under_way.load(Ordering::Relaxed)
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        {
            let mut state = self.gate.state();
            if self.is_under_way() {
                state.under_way -= 1;
            }
            if state.turn.is_some_and(|(number, _)| number == self.number) {
                state.turn = None;
            }
        }
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_let_through(passage: &Passage<'_>, within: Duration) -> bool {
        tokio::time::timeout(within, passage.turn()).await.is_ok()
    }

    const SOON: Duration = Duration::from_secs(1);
    const LATER: Duration = Duration::from_mins(5);

    #[tokio::test(start_paused = true)]
    async fn while_one_deletion_is_under_way_nobody_else_is_let_through() {
        let gate = Gate::default();
        let (first, second) = (gate.passage(), gate.passage());
        first.turn().await;
        assert!(first.deletes());
        assert!(!is_let_through(&second, LATER).await);
        drop(first);
        assert!(is_let_through(&second, SOON).await, "the first came to no good end, so the next one is alone again");
    }

    #[tokio::test(start_paused = true)]
    async fn after_one_good_end_everybody_is_let_through() {
        let gate = Gate::default();
        let (first, second, third) = (gate.passage(), gate.passage(), gate.passage());
        first.turn().await;
        assert!(first.deletes());
        first.succeeded();
        second.turn().await;
        third.turn().await;
        assert!(second.deletes() && third.deletes());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_come_to_its_deletion_in_time_gives_way_and_does_not_delete() {
        let gate = Gate::default();
        let (first, second) = (gate.passage(), gate.passage());
        first.turn().await;
        assert!(!is_let_through(&second, SOON).await);
        assert!(is_let_through(&second, GIVES_WAY_AFTER).await);
        assert!(!first.deletes(), "its turn is over");
        assert!(second.deletes());
    }

    #[tokio::test(start_paused = true)]
    async fn a_repair_that_is_past_its_deletion_already_is_waited_for() {
        let gate = Gate::default();
        let (cut, first) = (gate.passage(), gate.passage());
        first.turn().await;
        cut.is_past();
        assert!(!first.deletes(), "nobody knows yet whether the cut one's creation succeeds");
        assert!(!is_let_through(&first, LATER).await);
        cut.succeeded();
        assert!(is_let_through(&first, SOON).await && first.deletes());
    }
}
