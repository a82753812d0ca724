//! An AWS inside the test process, strict enough to believe: it keeps state, binds access entries to role IDs as EKS
//! does, and refuses what EKS refuses.
//!
//! Whatever carries a request hands it to [`Cloud::handle`]: in the scenarios a connector without a socket, under the
//! product's real SDK clients and tokio's paused time, which makes waiting free; in `tests/local_aws` a local HTTP
//! server. Nothing is scripted. A test builds a [`World`] with the verbs of [`builders`], lets AWS be
//! as slow or contradictory as it is allowed to be ([`Habits`]), adds faults ([`faults`]), and afterwards asks who may
//! really enter ([`Cloud::authenticate`]) and which calls were made ([`Cloud::calls`]).
//!
//! The path of a request: [`Cloud::handle`] in [`exchange`] → `wire` (decode) → [`services`] →
//! `eks`, `iam`, `sts`, `account`, `dynamodb`, `cloudwatch`, `logs`, `cloudtrail`, each a function of the [`World`] → `wire` (encode).

#![allow(unreachable_pub, reason = "a module of a test binary: its `pub` marks what scenarios use")]
#![allow(unused_imports, reason = "the names that scenarios use, in one place")]

pub mod account;
pub mod builders;
pub mod calls;
pub mod cloudtrail;
pub mod cloudwatch;
pub mod dynamodb;
pub mod eks;
pub mod entries;
pub mod exchange;
pub mod faults;
pub mod iam;
pub mod judge;
pub mod logs;
pub mod paging;
pub mod parameters;
pub mod policies;
mod recording;
pub mod refusal;
pub mod rules;
pub mod services;
pub mod stale;
pub mod sts;
pub mod trust;
pub mod users;
pub mod wire;
pub mod world;

#[cfg(test)]
mod self_tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::watch;

pub use builders::EntrySpec;
pub use calls::{Action, Call, Phase};
pub use cloudwatch::Datum;
pub use entries::{Caller, Entry, NewEntry, Policy};
pub use exchange::{Door, Reply};
pub use judge::{Identity, Unauthorized};
pub use refusal::Refusal;
pub use services::Service;
pub use sts::Session;
pub use users::{RoleUser, UserKind};
pub use world::{Cluster, Habits, Role, World};

/// The moment at which every cloud's clock starts.
pub const EPOCH: OffsetDateTime = datetime!(2026-01-15 12:00:00 UTC);

/// The Region of global services, and of the configuration that [`Cloud::sdk_config`] hands out.
pub const HOME_REGION: &str = "us-east-1";

/// A handle on one AWS; clones share it.
#[derive(Clone)]
pub struct Cloud(Arc<Shared>);

struct Shared {
    started: tokio::time::Instant,
    shifted_ms: AtomicU64,
    world: Mutex<World>,
    log: Mutex<Vec<Call>>,
    interceptors: Mutex<Vec<calls::Interceptor>>,
    in_flight: Mutex<BTreeMap<String, InFlight>>,
    stopped: watch::Sender<bool>,
}

/// How many EKS requests of a Region are, and at most were, under way at once.
#[derive(Debug, Clone, Copy, Default)]
struct InFlight {
    now: usize,
    peak: usize,
}

impl Cloud {
    /// Account 111122223333 in partition `aws`, with `us-east-1` and `eu-west-1` enabled and a few Regions disabled;
    /// no role, cluster, table or metric.
    pub fn new() -> Self {
        Self::holding(World::new("aws", "111122223333"))
    }

    /// A cloud around a world made elsewhere, such as one of another partition.
    pub fn holding(world: World) -> Self {
        Self(Arc::new(Shared {
            started: tokio::time::Instant::now(),
            shifted_ms: AtomicU64::new(0),
            world: Mutex::new(world),
            log: Mutex::default(),
            interceptors: Mutex::default(),
            in_flight: Mutex::default(),
            stopped: watch::Sender::new(false),
        }))
    }

    /// The present moment of this cloud: [`EPOCH`], plus tokio's time since it was made, plus what was
    /// [`Cloud::pass`]ed.
    pub fn now(&self) -> OffsetDateTime {
        EPOCH + self.0.started.elapsed() + Duration::from_millis(self.0.shifted_ms.load(Ordering::SeqCst))
    }

    /// [`Cloud::now`] as a value that the product's clock can be made of.
    pub fn clock(&self) -> Arc<dyn Fn() -> OffsetDateTime + Send + Sync> {
        let cloud = self.clone();
        Arc::new(move || cloud.now())
    }

    /// Lets time pass for this cloud (and its clock) at once, whether or not tokio's time is paused. Timers of tokio
    /// do not notice.
    pub fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).expect("a test's time fits");
        self.0.shifted_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets this cloud's clock to a moment after [`EPOCH`], also an earlier one than its present.
    #[allow(dead_code, reason = "tests/local_aws uses it")]
    pub fn set_clock(&self, to: OffsetDateTime) {
        let since_epoch = (to - EPOCH - self.0.started.elapsed()).whole_milliseconds();
        let ms = u64::try_from(since_epoch).expect("a moment after the epoch");
        self.0.shifted_ms.store(ms, Ordering::SeqCst);
    }

    /// Reads or changes the world directly: the door for whatever has no verb of its own.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        act(&mut self.world())
    }

    /// Changes what AWS leaves open: delays, page sizes, the order of its checks.
    pub fn habits(&self, change: impl FnOnce(&mut Habits)) {
        self.with(|world| change(&mut world.habits));
    }

    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.0.world);
        world.now = self.now();
        world
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
