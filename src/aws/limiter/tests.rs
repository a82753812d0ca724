//! The limiter against a simulated Region: a token bucket that others use, too, refusals by chance, or both. Simulated
//! time, fixed seeds.

use std::collections::VecDeque;

use super::*;

const WORKERS: usize = 8;
const SEEDS: std::ops::Range<u64> = 1..11;

/// A Region, and who asks it.
#[derive(Clone, Copy)]
struct Region {
    /// Tokens per second, and how many the bucket holds.
    bucket: Option<(f64, f64)>,
    /// The share of the bucket that a competitor asks for, one request after another at the same distance.
    competitor: f64,
    /// The share of requests that is refused by chance.
    chance: f64,
    latency: Duration,
}

impl Region {
    fn bucket(per_second: f64, burst: f64) -> Self {
        Self { bucket: Some((per_second, burst)), competitor: 0.0, chance: 0.0, latency: Duration::from_millis(20) }
    }

    fn refusing(chance: f64) -> Self {
        Self { bucket: None, competitor: 0.0, chance, latency: Duration::from_millis(20) }
    }

    fn with_competitor(self, competitor: f64) -> Self {
        Self { competitor, ..self }
    }

    fn at_latency(self, millis: u64) -> Self {
        Self { latency: Duration::from_millis(millis), ..self }
    }

    /// The shortest time, in seconds, in which so many requests can be served.
    fn ideal(&self, wanted: f64) -> f64 {
        let by_workers = wanted * self.latency.as_secs_f64() / f64::from(u32::try_from(WORKERS).unwrap());
        let by_bucket = self.bucket.map_or(0.0, |(rate, burst)| (wanted - burst) / (rate * (1.0 - self.competitor)));
        by_workers.max(by_bucket) / (1.0 - self.chance)
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Played {
    /// The ideal time by the time that was needed.
    speed: f64,
    /// Attempts by those that a client needs which is refused by chance only.
    attempts: f64,
    /// The share of the competitor's requests that was refused.
    competitor_refused: f64,
}

/// The Region's side of a game.
struct Play {
    region: Region,
    tokens: f64,
    filled_at: Instant,
    random: fastrand::Rng,
    competitor_at: Option<Instant>,
    competitor: (u32, u32),
}

impl Play {
    fn new(region: Region, seed: u64, start: Instant) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let tokens = region.bucket.map_or(0.0, |(_, burst)| burst);
        let mut play =
            Self { region, tokens, filled_at: start, competitor_at: None, competitor: (0, 0), random: random.fork() };
        play.competitor_at = play.distance().map(|distance| start + distance.mul_f64(random.f64()));
        play
    }

    /// Between two requests of the competitor.
    fn distance(&self) -> Option<Duration> {
        let (rate, _) = self.region.bucket?;
        (self.region.competitor > 0.0).then(|| Duration::from_secs_f64(1.0 / (rate * self.region.competitor)))
    }

    fn take(&mut self, now: Instant) -> bool {
        let Some((rate, burst)) = self.region.bucket else { return true };
        self.tokens = (self.tokens + (now - self.filled_at).as_secs_f64() * rate).min(burst);
        self.filled_at = now;
        let is_served = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(is_served));
        is_served
    }

    /// A request of ours arrives, after those that the competitor sent before.
    fn serves(&mut self, now: Instant) -> bool {
        while let (Some(at), Some(distance)) = (self.competitor_at, self.distance())
            && at <= now
        {
            self.competitor.0 += 1;
            self.competitor.1 += u32::from(!self.take(at));
            self.competitor_at = Some(at + distance);
        }
        self.take(now) && self.random.f64() >= self.region.chance
    }
}

fn answer(is_served: bool) -> Answer {
    if is_served { Answer::Served } else { Answer::Refused }
}

/// Eight workers repeat their requests until so many were served. When that was, and when each attempt was made.
fn work(
    start: Instant,
    latency: Duration,
    wanted: u32,
    mut admits: impl FnMut(Instant) -> bool,
) -> (Instant, Vec<Instant>) {
    let mut limiter = Limiter::new();
    let (mut now, mut idle, mut served, mut attempts) = (start, WORKERS, 0, Vec::new());
    let mut answers: VecDeque<(Instant, Ticket, bool)> = VecDeque::new();
    while served < wanted {
        assert!(now - start < Duration::from_hours(1), "no end");
        let leaves = (idle > 0).then(|| limiter.next(now));
        if let Some(&(at, ticket, is_served)) = answers.front()
            && leaves.is_none_or(|leaves| at <= leaves)
        {
            answers.pop_front();
            (now, idle) = (at, idle + 1);
            served += u32::from(is_served);
            limiter.answered(ticket, now, answer(is_served));
        } else if let Some(leaves) = leaves {
            (now, idle) = (leaves, idle - 1);
            attempts.push(now);
            answers.push_back((now + latency, limiter.sent(now), admits(now)));
        }
    }
    (now, attempts)
}

fn play(region: Region, wanted: u32, seed: u64) -> Played {
    let start = Instant::now();
    let mut play = Play::new(region, seed, start);
    let (end, attempts) = work(start, region.latency, wanted, |now| play.serves(now));
    let wanted = f64::from(wanted);
    Played {
        speed: region.ideal(wanted) / (end - start).as_secs_f64(),
        attempts: f64::from(u32::try_from(attempts.len()).unwrap()) / wanted * (1.0 - region.chance),
        competitor_refused: f64::from(play.competitor.1) / f64::from(play.competitor.0.max(1)),
    }
}

/// The means of ten games.
fn mean(region: Region, wanted: u32) -> Played {
    let mut sum = Played::default();
    let part = 1.0 / f64::from(u32::try_from(SEEDS.count()).unwrap());
    for seed in SEEDS {
        let played = play(region, wanted, seed);
        sum.speed += played.speed * part;
        sum.attempts += played.attempts * part;
        sum.competitor_refused += played.competitor_refused * part;
    }
    sum
}

/// The attempts while everything is refused for so long, and the seconds after it until a bucket of 20/s has served 200.
fn outage(lasts: Duration) -> (usize, f64) {
    let start = Instant::now();
    let ends = start + lasts;
    let mut play = Play::new(Region::bucket(20.0, 20.0), 1, ends);
    play.tokens = 0.0;
    let (end, attempts) = work(start, play.region.latency, 200, |now| now >= ends && play.serves(now));
    (attempts.iter().filter(|at| **at < ends).count(), (end - ends).as_secs_f64())
}

/// Tokens per second, as many in the bucket, and the competitor's share; at least two a second are left.
const BUCKETS: [(f64, f64); 8] =
    [(20.0, 0.0), (20.0, 0.5), (20.0, 0.9), (10.0, 0.0), (10.0, 0.5), (50.0, 0.0), (50.0, 0.5), (50.0, 0.9)];

#[test]
fn nothing_is_held_back_while_nothing_is_refused() {
    let played = play(Region::refusing(0.0), 800, 1);
    assert!((played.speed - 1.0).abs() < 1e-9 && (played.attempts - 1.0).abs() < 1e-9, "{played:?}");
}

#[test]
fn what_others_leave_of_a_bucket_is_used_and_they_are_served_too() {
    for (rate, competitor) in BUCKETS {
        let played = mean(Region::bucket(rate, rate).with_competitor(competitor), 1500);
        let is_good = played.speed >= 0.9 && played.attempts <= 1.3 && played.competitor_refused <= 0.3;
        assert!(is_good, "{rate}/s, competitor {competitor}: {played:?}");
    }
}

#[test]
fn nobody_stays_in_step_with_a_competitor_so_that_it_goes_short() {
    for (rate, competitor) in BUCKETS {
        let region = Region::bucket(rate, rate).with_competitor(competitor);
        let worst = (1..41).map(|seed| play(region, 1500, seed).competitor_refused).fold(0.0, f64::max);
        assert!(worst <= 0.4, "{rate}/s, competitor {competitor}: {worst} of its requests refused");
    }
}

#[test]
fn finding_out_what_is_left_takes_four_attempts_for_five_of_the_first_requests_at_most() {
    for (rate, competitor) in BUCKETS {
        let played = mean(Region::bucket(rate, rate).with_competitor(competitor), 300);
        assert!(played.speed >= 0.9 && played.attempts <= 1.8, "{rate}/s, competitor {competitor}: {played:?}");
    }
}

#[test]
fn refusals_by_chance_hardly_slow_down() {
    for (chance, least) in [(0.05, 0.75), (0.25, 0.75), (0.5, 0.6)] {
        for wanted in [300, 1500] {
            let played = mean(Region::refusing(chance), wanted);
            assert!(played.speed >= least && played.attempts <= 1.1, "{chance} of {wanted}: {played:?}");
        }
    }
}

#[test]
fn a_bucket_that_also_refuses_by_chance_is_used() {
    let region = Region { chance: 0.25, ..Region::bucket(20.0, 20.0) };
    let played = mean(region, 1500);
    assert!(played.speed >= 0.9 && played.attempts <= 1.3, "{played:?}");
}

#[test]
fn what_the_parameters_were_not_chosen_on_is_served_as_well() {
    for millis in [20, 80, 200] {
        for (rate, burst) in [(15.0, 30.0), (30.0, 60.0), (8.0, 8.0)] {
            for competitor in [0.0, 0.3, 0.7] {
                let region = Region::bucket(rate, burst).with_competitor(competitor).at_latency(millis);
                let played = mean(region, 1500);
                let is_good = played.speed >= 0.9 && played.attempts <= 1.3 && played.competitor_refused <= 0.3;
                assert!(is_good, "{rate}/s, burst {burst}, {millis} ms, competitor {competitor}: {played:?}");
            }
        }
        for (chance, least) in [(0.1, 0.75), (0.25, 0.75), (0.4, 0.75), (0.5, 0.6)] {
            let played = mean(Region::refusing(chance).at_latency(millis), 1500);
            assert!(played.speed >= least && played.attempts <= 1.1, "{chance}, {millis} ms: {played:?}");
        }
    }
}

#[test]
fn none_of_four_hundred_runs_falls_to_a_crawl_while_half_is_refused_by_chance() {
    // About as many requests as twelve repairs send.
    let slowest = (1..401).map(|seed| play(Region::refusing(0.5), 250, seed).speed).fold(1.0, f64::min);
    assert!(slowest >= 0.1, "{slowest} of the speed of an unlimited client");
}

#[test]
fn while_everything_is_refused_two_attempts_a_second_are_made_on_average_at_most() {
    let (attempts, _) = outage(Duration::from_mins(1));
    assert!((60..=120).contains(&attempts), "{attempts}");
}

#[test]
fn after_an_outage_the_limit_is_soon_found() {
    let (_, seconds) = outage(Duration::from_mins(1));
    assert!(seconds <= 15.0, "200 requests at 20/s took {seconds} s");
}

#[test]
fn five_seconds_without_a_request_forget_everything() {
    let start = Instant::now();
    let mut limiter = Limiter::new();
    for _ in 0..100 {
        let ticket = limiter.sent(start);
        limiter.answered(ticket, start, Answer::Refused);
    }
    assert!(limiter.next(start) > start, "held back: {limiter:?}");
    let late = limiter.sent(start);
    let later = start + Duration::from_secs(6);
    assert_eq!(limiter.next(later), later);
    limiter.sent(later);
    assert_eq!(limiter.next(later), later, "nothing is known");
    limiter.answered(late, later, Answer::Refused);
    assert_eq!(limiter.next(later), later, "an answer from before says nothing");
}
