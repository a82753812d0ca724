//! The refusals that are not ours, and whether they explain those of a round.

use tokio::time::Instant;

/// How much each earlier answer still weighs after the next one.
const FADING: f64 = 0.97;

/// A round with this much more refused than the background is still explained by it.
const SLACK: f64 = 0.1;

/// So is one that differs by chance: by up to so many standard deviations.
const DEVIATIONS: f64 = 2.5;

/// Refusals that are not ours: weighed counts of the answers that show them.
#[derive(Debug)]
pub(super) struct Background {
    refused: f64,
    answered: f64,
}

/// The answers to the requests that were sent since the last decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) number: u64,
    /// `None` until a first request is sent.
    pub(super) since: Option<Instant>,
    pub(super) sent: u32,
    pub(super) served: u32,
    pub(super) answered: u32,
}

impl Round {
    pub(super) fn new(number: u64, since: Option<Instant>) -> Self {
        Self { number, since, sent: 0, served: 0, answered: 0 }
    }
}

impl Background {
    /// Nothing is known: half is refused, by four answers.
    pub(super) fn unknown() -> Self {
        Self { refused: 2.0, answered: 4.0 }
    }

    /// The share of requests that is refused however little we ask.
    pub(super) fn share(&self) -> f64 {
        self.refused / self.answered
    }

    /// Adds the answer to a request that followed a silence.
    pub(super) fn add(&mut self, is_served: bool) {
        self.answered = self.answered * FADING + 1.0;
        self.refused = self.refused * FADING + f64::from(u8::from(!is_served));
    }

    /// Whether the background and chance explain the refusals of a round.
    pub(super) fn explains(&self, round: Round) -> bool {
        let answered = f64::from(round.answered);
        let refused = 1.0 - f64::from(round.served) / answered;
        let share = self.share();
        let deviation = (share * (1.0 - share) * (1.0 / answered + 1.0 / self.answered)).sqrt();
        refused <= share + SLACK.max(DEVIATIONS * deviation)
    }
}
