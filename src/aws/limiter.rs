//! How fast to ask one Region for more, by what it served and refused. Pure: the caller passes the time.
//!
//! EKS limits requests with token buckets of unpublished sizes. The buckets belong to the account and Region, and other
//! tools use them, too. So a refusal has one of two causes: we ask for more than is left, or the others emptied the
//! bucket and it would have met any request. In the first case we must slow down, in the second just send again. The
//! refusals alone do not show the cause. It shows in whether *asking less is refused less*:
//!
//! - Nothing is held back until the first refusal. Five seconds without a request or an answer forget everything.
//! - While requests are refused, one in eleven follows a silence. A bucket fills during a silence, so if the request after
//!   it is refused all the same, the refusal is not ours. The share refused of these requests is the [`Background`].
//! - After each round of answers a new rate is set. If the background explains the refusals of the round, the rate
//!   grows. Else it is cut to what was served.
//!
//! AIMD and the SDK's adaptive retry mode take every refusal for their own limit: they fall to a few requests a second
//! when others use up the bucket. Exponential backoff of each request asks about twice for each answer, and waits for
//! seconds.
//!
//! The parameters were chosen by simulation; `tests` holds the cases, and others that they were not chosen on. Shorter
//! rounds or silences let an unlucky estimate of the background slow down one run in forty for minutes; longer silences
//! slow down every run.

mod background;

use std::time::Duration;

use tokio::time::Instant;

use background::{Background, Round};

/// The answers of a round.
const ROUND: u32 = 24;

/// The answers of a round that lasts at least [`LONG_ROUND`].
const SHORT_ROUND: u32 = 12;

/// See [`SHORT_ROUND`].
const LONG_ROUND: Duration = Duration::from_secs(1);

/// After so long without a request and an answer, everything is forgotten.
const IDLE: Duration = Duration::from_secs(5);

/// The least rate, in requests per second.
const SLOWEST: f64 = 1.0;

/// No rate is measured as higher than this, in requests per second.
const FASTEST: f64 = 1000.0;

/// The rate at the first answer served after nothing was, in requests per second.
const FIRST_AFTER_OUTAGE: f64 = 4.0;

/// The rate is cut to no less than this part of what it was.
const DEEPEST_CUT: f64 = 1.0 / 8.0;

/// So many requests leave between two silences.
const BETWEEN_SILENCES: u32 = 10;

/// A silence lasts as long as this many requests took to be served in the last round.
const SILENCE_IN_REQUESTS: f64 = 2.5;

/// The longest silence, in seconds.
const LONGEST_SILENCE: f64 = 1.0;

/// What is known of a Region's limit.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Requests per second; `None` while nothing was refused.
    rate: Option<f64>,
    /// The rate before the last cut. Below it the rate doubles, above it it grows by a tenth.
    ceiling: f64,
    sent_at: Option<Instant>,
    answered_at: Option<Instant>,
    /// How long a silence lasts; `None` while nothing is refused.
    silence: Option<Duration>,
    /// How many requests may leave before a silence is due.
    until_silence: u32,
    background: Background,
    /// Nothing was served at the least rate.
    is_outage: bool,
    round: Round,
}

/// Goes with a request, and comes back with its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    round: u64,
    is_after_silence: bool,
}

/// What a Region makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was let in, whatever came of it then.
    Served,
    /// There were too many requests.
    Refused,
}

impl Limiter {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self::starting_with(0)
    }

    fn starting_with(round: u64) -> Self {
        Self {
            rate: None,
            ceiling: f64::INFINITY,
            sent_at: None,
            answered_at: None,
            silence: None,
            until_silence: 0,
            background: Background::unknown(),
            is_outage: false,
            round: Round::new(round, None),
        }
    }

    /// When the next request may leave.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let is_idle = |at: Option<Instant>| at.is_none_or(|at| now - at > IDLE);
        if is_idle(self.sent_at) && is_idle(self.answered_at) {
            *self = Self::starting_with(self.round.number + 1);
        }
        let Some(sent) = self.sent_at else { return now };
        let mut next = now;
        if let Some(rate) = self.rate {
            next = next.max(sent + Duration::from_secs_f64(self.unevenness() / rate));
        }
        if let Some(silence) = self.silence
            && self.until_silence == 0
        {
            next = next.max(sent + silence);
        }
        next
    }

    /// Whether requests are held back, since the Region refused some lately.
    pub(super) fn holds_back(&mut self, now: Instant) -> bool {
        self.next(now);
        self.rate.is_some()
    }

    /// Requests leave at uneven distances, up to twice the mean. At even ones they can fall into step with a
    /// competitor's, and then it is the same party that always finds the bucket empty. Multiples of the golden ratio are
    /// spread evenly, so the mean is kept without random numbers.
    fn unevenness(&self) -> f64 {
        const GOLDEN_RATIO: f64 = 0.618_034;
        2.0 * (f64::from(self.round.sent) * GOLDEN_RATIO).fract()
    }

    /// A request leaves.
    pub(super) fn sent(&mut self, now: Instant) -> Ticket {
        let is_after_silence =
            self.silence.zip(self.sent_at).is_some_and(|(silence, sent)| now - sent >= silence.mul_f64(0.999));
        self.until_silence = if is_after_silence { BETWEEN_SILENCES } else { self.until_silence.saturating_sub(1) };
        self.sent_at = Some(now);
        self.round.since.get_or_insert(now);
        self.round.sent += 1;
        Ticket { round: self.round.number, is_after_silence }
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, ticket: Ticket, now: Instant, answer: Answer) {
        let is_served = answer == Answer::Served;
        self.answered_at = Some(now);
        if ticket.is_after_silence {
            self.background.add(is_served);
        }
        if self.is_outage && is_served {
            self.is_outage = false;
            (self.rate, self.ceiling) = (Some(FIRST_AFTER_OUTAGE), f64::INFINITY);
            self.background = Background::unknown();
            self.begin_round(now);
        } else if ticket.round == self.round.number {
            self.round.answered += 1;
            self.round.served += u32::from(is_served);
            let lasted = self.round.since.map_or(Duration::ZERO, |since| now - since);
            if self.round.answered >= ROUND || (self.round.answered >= SHORT_ROUND && lasted >= LONG_ROUND) {
                self.learn(self.round, lasted.as_secs_f64().max(f64::from(self.round.sent) / FASTEST));
                self.begin_round(now);
            }
        }
    }

    fn begin_round(&mut self, now: Instant) {
        self.round = Round::new(self.round.number + 1, Some(now));
    }

    /// Learns from a round that lasted so many seconds.
    fn learn(&mut self, round: Round, lasted: f64) {
        let served = f64::from(round.served) / lasted;
        let asked = f64::from(round.sent) / lasted;
        let used = self.rate.map_or(asked, |rate| rate.min(asked));
        if round.served == 0 {
            let rate = (used * DEEPEST_CUT).max(SLOWEST);
            self.is_outage = rate <= SLOWEST;
            (self.rate, self.ceiling) = (Some(rate), used);
        } else if self.background.explains(round) {
            self.raise(asked);
        } else {
            let rate = served / (1.0 - self.background.share()).max(0.1);
            let least = (used * DEEPEST_CUT).max(SLOWEST);
            (self.rate, self.ceiling) = (Some(rate.max(least)), used);
        }
        let silence = (SILENCE_IN_REQUESTS / served.max(SLOWEST)).min(LONGEST_SILENCE);
        self.silence = (round.served < round.answered).then(|| Duration::from_secs_f64(silence));
    }

    /// Raises the rate, but never above twice what was asked: what was not tried is not known.
    fn raise(&mut self, asked: f64) {
        if let Some(rate) = &mut self.rate {
            let doubled = *rate * 2.0;
            let raised = if doubled <= self.ceiling { doubled } else { *rate * 1.1 };
            *rate = raised.min((2.0 * asked).max(*rate)).max(SLOWEST);
            self.ceiling = self.ceiling.max(*rate);
        }
    }
}

#[cfg(test)]
mod tests;
