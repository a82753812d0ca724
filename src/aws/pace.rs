//! How fast a Region lets us ask. EKS limits requests by token buckets of unpublished sizes, which the account's other
//! tools use too: whoever only waits after a refusal either storms or idles.
//!
//! Nothing is held back until the first refusal. From then on requests leave one by one, at the rate that was served
//! while others were refused, which is the limit itself; every second without a refusal raises it a little, the longer
//! the more. A pause ends the matter: the buckets fill up again.

use std::time::Duration;

use tokio::time::Instant;

/// What was served and refused is counted over so long.
const WINDOW: Duration = Duration::from_secs(1);

/// After so long without a request nothing is known any more.
const IDLE: Duration = Duration::from_secs(5);

/// Requests per second that are always tried.
const SLOWEST: f64 = 1.0;

/// A rate that no limit needs to be assumed for.
const FASTEST: f64 = 1000.0;

/// By which part the rate grows after the first second without a refusal; it doubles with each more, up to all of it.
const FIRST_GROWTH: f64 = 0.1;

/// What is known of a Region's limit.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Requests per second; none while nothing was refused.
    rate: Option<f64>,
    /// When the last request left.
    sent: Option<Instant>,
    growth: f64,
    window: Option<Window>,
    /// Served per second in the window before.
    served_before: f64,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    served: u32,
    refused: u32,
}

impl Pace {
    /// When the next request may leave.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        self.window(now);
        match (self.rate, self.sent) {
            (Some(rate), Some(sent)) => now.max(sent + Duration::from_secs_f64(1.0 / rate)),
            _ => now,
        }
    }

    /// A request leaves.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }

    /// A request was answered.
    pub(super) fn served(&mut self, now: Instant) {
        self.window(now).served += 1;
    }

    /// A request was refused because there were too many.
    pub(super) fn refused(&mut self, now: Instant) {
        let window = self.window(now);
        window.refused += 1;
        let served = f64::from(window.served) / WINDOW.as_secs_f64();
        if self.rate.is_none() {
            self.rate = Some(served.max(self.served_before).max(SLOWEST));
            self.growth = FIRST_GROWTH;
            self.window = Some(Window { since: now, served: 0, refused: 0 });
        }
    }

    /// The window that a moment belongs to; learns from the one before.
    fn window(&mut self, now: Instant) -> &mut Window {
        if let Some(window) = self.window.take_if(|window| now - window.since >= WINDOW) {
            let lasted = now - window.since;
            if lasted > IDLE {
                *self = Self::default();
            } else {
                self.learn(&window, f64::from(window.served) / lasted.as_secs_f64());
            }
        }
        self.window.get_or_insert(Window { since: now, served: 0, refused: 0 })
    }

    fn learn(&mut self, window: &Window, served: f64) {
        self.served_before = served;
        let Some(rate) = self.rate else { return };
        let rate = if window.refused > 0 {
            self.growth = FIRST_GROWTH;
            served.clamp(rate / 4.0, rate).max(SLOWEST)
        } else if window.served > 0 {
            let raised = rate * (1.0 + self.growth);
            self.growth = (self.growth * 2.0).min(1.0);
            raised
        } else {
            rate
        };
        self.rate = (rate < FASTEST).then_some(rate);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Requests of so many workers against a token bucket, until as many were served; how long it took and how many were
    /// refused.
    fn play(limit: f64, burst: f64, workers: u32, wanted: u32) -> (Duration, u32) {
        let start = Instant::now();
        let mut pace = Pace::default();
        let (mut tokens, mut filled_at) = (burst, start);
        let (mut served, mut refused) = (0, 0);
        let (mut now, mut idle) = (start, workers);
        let mut answers: VecDeque<(Instant, bool)> = VecDeque::new();
        loop {
            let leaves = (idle > 0).then(|| pace.next(now));
            if let Some(&(at, is_served)) = answers.front()
                && leaves.is_none_or(|leaves| at <= leaves)
            {
                answers.pop_front();
                now = at;
                idle += 1;
                if is_served {
                    served += 1;
                    pace.served(now);
                } else {
                    refused += 1;
                    pace.refused(now);
                }
                if served == wanted {
                    return (now - start, refused);
                }
                continue;
            }
            now = leaves.unwrap();
            pace.sent(now);
            idle -= 1;
            tokens = (tokens + (now - filled_at).as_secs_f64() * limit).min(burst);
            filled_at = now;
            let is_served = tokens >= 1.0;
            tokens -= f64::from(u8::from(is_served));
            answers.push_back((now + Duration::from_millis(20), is_served));
        }
    }

    #[test]
    fn nothing_is_held_back_while_nothing_is_refused() {
        let (took, refused) = play(10_000.0, 10_000.0, 8, 800);
        assert_eq!((took, refused), (Duration::from_secs(2), 0));
    }

    #[test]
    fn a_limit_is_used_to_nine_tenths_and_little_is_asked_for_in_vain() {
        for (limit, burst) in [(5.0, 5.0), (10.0, 10.0), (20.0, 20.0), (20.0, 100.0), (50.0, 50.0), (100.0, 500.0)] {
            for workers in [2, 8, 32] {
                let wanted = 1500;
                let (took, refused) = play(limit, burst, workers, wanted);
                let ideal = (f64::from(wanted) - burst) / limit;
                // What so few workers can ask for at all is no fault of the pace.
                let ideal = ideal.max(f64::from(wanted) * 0.02 / f64::from(workers));
                let at = format!("{limit}/s, burst {burst}, {workers} workers: {took:?}, {refused} refused");
                assert!(ideal / took.as_secs_f64() >= 0.9, "{at}: ideal {ideal} s");
                assert!(f64::from(refused) <= f64::from(wanted) * 0.2 + burst, "{at}");
            }
        }
    }

    #[test]
    fn a_limit_that_is_lifted_is_soon_forgotten() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.refused(start);
        let mut now = start;
        for _ in 0..200 {
            now = pace.next(now);
            pace.sent(now);
            pace.served(now);
        }
        assert!(now - start < Duration::from_secs(12), "{:?}", now - start);
        assert_eq!(pace.next(now + Duration::from_mins(1)), now + Duration::from_mins(1));
        assert!(pace.rate.is_none(), "{pace:?}");
    }

    #[test]
    fn while_everything_is_refused_one_request_a_second_is_tried() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut now = start;
        let mut tried = 0;
        while now - start < Duration::from_mins(1) {
            now = pace.next(now);
            pace.sent(now);
            pace.refused(now);
            tried += 1;
        }
        assert!((55..70).contains(&tried), "{tried}");
    }
}
