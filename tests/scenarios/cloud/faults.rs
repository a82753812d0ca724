//! Faults in the words of a test, all built on [`Cloud::intercept`]: which calls are meant, and what becomes of them.
//!
//! ```ignore
//! cloud.when("DescribeAccessEntry").in_region("eu-west-1").times(2).throttle();
//! cloud.when("DeleteAccessEntry").nth(1).lose_reply();
//! cloud.when("CreateAccessEntry").act_before(|world| world.recreate_role("node"));
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Cloud;
use super::calls::{Action, Call, Phase};
use super::services::{Denial, Service};
use super::world::World;

impl Cloud {
    /// Begins a fault of the calls of one operation.
    pub fn when(&self, operation: &str) -> When {
        let mut when = When::any(self);
        when.which.operation = Some(operation.to_owned());
        when
    }

    /// Begins a fault of all EKS calls.
    pub fn when_eks(&self) -> When {
        let mut when = When::any(self);
        when.which.service = Some(Service::Eks);
        when
    }

    /// Begins a fault of all calls of whatever service.
    pub fn when_any(&self) -> When {
        When::any(self)
    }

    /// The first so many calls of an operation are throttled.
    pub fn throttle(&self, operation: &str, times: usize) {
        self.when(operation).times(times).throttle();
    }

    /// EKS serves so many requests a second in each Region, and so many at once after a while of silence: a token bucket
    /// each (AWS Support in hashicorp/terraform-provider-aws#44853).
    pub fn limit_eks(&self, per_second: f64, burst: f64) {
        self.share_eks(per_second, burst, 0.0);
    }

    /// The same, and a competitor asks for this share of each bucket, one request after another at the same distance.
    pub fn share_eks(&self, per_second: f64, burst: f64, share: f64) -> Arc<Competitor> {
        let competitor = Arc::new(Competitor::default());
        let counts = Arc::clone(&competitor);
        let mut buckets: BTreeMap<String, Bucket> = BTreeMap::new();
        self.intercept(move |call, phase, _| {
            if call.service != Service::Eks || phase != Phase::Before {
                return Action::Proceed;
            }
            let now = Instant::now();
            let bucket = buckets.entry(call.region.clone()).or_insert_with(|| Bucket {
                tokens: burst,
                filled_at: now,
                competitor_at: now,
            });
            while share > 0.0 && bucket.competitor_at <= now {
                let at = bucket.competitor_at;
                counts.asked.fetch_add(1, Ordering::Relaxed);
                if !bucket.take(at, per_second, burst) {
                    counts.refused.fetch_add(1, Ordering::Relaxed);
                }
                bucket.competitor_at = at + Duration::from_secs_f64(1.0 / (share * per_second));
            }
            if bucket.take(now, per_second, burst) { Action::Proceed } else { Action::Throttle }
        });
        competitor
    }

    /// EKS refuses this share of all requests, in whatever Region, as it does while others use up its buckets.
    pub fn refuse_eks(&self, share: f64, seed: u64) {
        let mut state = seed;
        self.intercept(move |call, phase, _| {
            let is_refused = call.service == Service::Eks && phase == Phase::Before && random(&mut state) < share;
            if is_refused { Action::Throttle } else { Action::Proceed }
        });
    }

    /// The caller may not do this.
    pub fn deny(&self, operation: &str) {
        self.denial(Some(operation), None, false);
    }

    /// A service control policy forbids this.
    pub fn deny_by_organization(&self, operation: &str) {
        self.denial(Some(operation), None, true);
    }

    /// The caller may do this again.
    pub fn allow(&self, operation: &str) {
        self.with(|world| world.denials.retain(|denial| denial.operation.as_deref() != Some(operation)));
    }

    /// A service control policy forbids EKS in a Region.
    pub fn deny_region(&self, region: &str) {
        self.denial(None, Some(region), true);
    }

    /// The `nth` call of an operation (from 1) takes effect, but its reply is lost.
    pub fn lose_reply(&self, operation: &str, nth: usize) {
        self.when(operation).nth(nth).lose_reply();
    }

    /// Connections to EKS in a Region break.
    pub fn unreachable_region(&self, region: &str) {
        self.when_eks().in_region(region).close();
    }

    /// The name of EKS's endpoint in a Region does not resolve.
    pub fn unresolvable_region(&self, region: &str) {
        self.when_eks().in_region(region).before(Action::Unresolvable);
    }

    /// EKS in a Region never answers.
    pub fn silent_region(&self, region: &str) {
        self.when_eks().in_region(region).hang();
    }

    /// The world stops at the `n`th call, before or after it takes effect; see [`Cloud::stopped`].
    pub fn stop_at(&self, n: usize, phase: Phase) {
        self.intercept(move |call, now, _| if call.n == n && now == phase { Action::Stop } else { Action::Proceed });
    }

    fn denial(&self, operation: Option<&str>, region: Option<&str>, by_organization: bool) {
        let denial =
            Denial { operation: operation.map(str::to_owned), region: region.map(str::to_owned), by_organization };
        self.with(|world| world.denials.push(denial));
    }
}

/// A number from 0 to 1, by `SplitMix64` (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators").
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
}

/// Another tool of the account that uses EKS; what became of its requests.
#[derive(Debug, Default)]
pub struct Competitor {
    asked: AtomicU32,
    refused: AtomicU32,
}

impl Competitor {
    /// The share of its requests that was refused.
    pub fn refused(&self) -> f64 {
        f64::from(self.refused.load(Ordering::Relaxed)) / f64::from(self.asked.load(Ordering::Relaxed))
    }
}

/// A Region's token bucket.
struct Bucket {
    tokens: f64,
    filled_at: Instant,
    competitor_at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant, per_second: f64, burst: f64) -> bool {
        self.tokens = (self.tokens + (now - self.filled_at).as_secs_f64() * per_second).min(burst);
        self.filled_at = now;
        let is_served = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(is_served));
        is_served
    }
}

/// The calls a fault concerns; every method narrows or, at last, says what becomes of them.
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing until it is told what becomes of the calls"]
pub struct When {
    cloud: Cloud,
    which: Which,
}

/// Which calls.
#[derive(Debug, Clone)]
struct Which {
    service: Option<Service>,
    operation: Option<String>,
    region: Option<String>,
    cluster: Option<String>,
    role_name: Option<String>,
    from: usize,
    times: usize,
}

impl When {
    fn any(cloud: &Cloud) -> Self {
        Self {
            cloud: cloud.clone(),
            which: Which {
                service: None,
                operation: None,
                region: None,
                cluster: None,
                role_name: None,
                from: 1,
                times: usize::MAX,
            },
        }
    }

    /// Only in this Region.
    pub fn in_region(mut self, region: &str) -> Self {
        self.which.region = Some(region.to_owned());
        self
    }

    /// Only on this cluster.
    pub fn on_cluster(mut self, cluster: &str) -> Self {
        self.which.cluster = Some(cluster.to_owned());
        self
    }

    /// Only about this role.
    pub fn for_role(mut self, name: &str) -> Self {
        self.which.role_name = Some(name.to_owned());
        self
    }

    /// Only the `n`th of them, from 1.
    pub fn nth(mut self, n: usize) -> Self {
        (self.which.from, self.which.times) = (n, 1);
        self
    }

    /// Only the first so many of them, or so many from [`When::from`] on.
    pub fn times(mut self, times: usize) -> Self {
        self.which.times = times;
        self
    }

    /// Only from the `n`th of them on.
    pub fn from(mut self, n: usize) -> Self {
        self.which.from = n;
        self
    }

    /// They are throttled.
    pub fn throttle(self) {
        self.before(Action::Throttle);
    }

    /// They are answered "internal server error" and have no effect.
    pub fn fail(self) {
        self.before(Action::ServerError);
    }

    /// They are answered this error and have no effect.
    pub fn reply(self, status: u16, code: &str, message: &str) {
        self.before(Action::Reply(status, code.to_owned(), message.to_owned()));
    }

    /// The connection breaks before they have an effect.
    pub fn close(self) {
        self.before(Action::Close);
    }

    /// They take effect, but the reply is lost.
    pub fn lose_reply(self) {
        self.before(Action::LoseReply);
    }

    /// They are never answered and have no effect.
    pub fn hang(self) {
        self.before(Action::Hang);
    }

    /// They take effect, but are never answered.
    pub fn hang_after(self) {
        self.after(Action::Hang);
    }

    /// They take effect, but the answer is garbage.
    pub fn answer_garbage(self) {
        self.after(Action::Malformed);
    }

    /// They take so much longer to have an effect.
    pub fn delay(self, time: Duration) {
        self.before(Action::Delay(time));
    }

    /// Another party acts just before them; they proceed.
    pub fn act_before<R>(self, mut act: impl FnMut(&mut World) -> R + Send + 'static) {
        self.at(Phase::Before, move |world| {
            act(world);
            Action::Proceed
        });
    }

    /// Another party acts just after they took effect; they proceed.
    pub fn act_after<R>(self, mut act: impl FnMut(&mut World) -> R + Send + 'static) {
        self.at(Phase::After, move |world| {
            act(world);
            Action::Proceed
        });
    }

    /// This becomes of them before they take effect.
    pub fn before(self, action: Action) {
        self.at(Phase::Before, move |_| action.clone());
    }

    /// This becomes of them after they took effect.
    pub fn after(self, action: Action) {
        self.at(Phase::After, move |_| action.clone());
    }

    fn at(self, phase: Phase, mut decide: impl FnMut(&mut World) -> Action + Send + 'static) {
        let (which, mut seen) = (self.which, 0);
        self.cloud.intercept(move |call, now, world| {
            if now != phase || !which.concerns(call) {
                return Action::Proceed;
            }
            seen += 1;
            if seen < which.from || seen - which.from >= which.times { Action::Proceed } else { decide(world) }
        });
    }
}

impl Which {
    fn concerns(&self, call: &Call) -> bool {
        self.service.is_none_or(|service| call.service == service)
            && self.operation.as_ref().is_none_or(|operation| call.operation == *operation)
            && self.region.as_ref().is_none_or(|region| call.region == *region)
            && self.cluster.as_ref().is_none_or(|cluster| call.cluster.as_ref() == Some(cluster))
            && self.role_name.as_ref().is_none_or(|name| call.role_name.as_ref() == Some(name))
    }
}
