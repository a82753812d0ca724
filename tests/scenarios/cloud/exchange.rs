//! One request from arrival to reply: the delays, the interceptors, the moment at which it takes effect. Independent of
//! what carries it: the scenarios' connector, or a local HTTP server.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::calls::{Action, Call, Phase};
use super::recording;
use super::refusal::Refusal;
use super::services::{self, Service};
use super::wire::{self, Incoming, Response};
use super::{Cloud, InFlight, lock};

/// What the caller gets to see.
#[derive(Debug)]
pub enum Reply {
    /// A response.
    Response(Response),
    /// The connection breaks.
    Closed,
    /// The host's name does not resolve.
    Unresolvable,
}

/// What every request of one caller waits for before it goes out, given its operation: so that a test can hold up one
/// of several callers and let another go first. A caller's own timeouts run on meanwhile.
pub type Door = Arc<dyn Fn(&str) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Cloud {
    /// Takes a request to its reply. A request that is never answered never returns; dropping it is what a client's
    /// timeout does.
    pub async fn handle(&self, request: http::Request<Vec<u8>>) -> Reply {
        self.handle_through(None, request).await
    }

    /// The same for a caller that has a door.
    pub async fn handle_through(&self, door: Option<&Door>, request: http::Request<Vec<u8>>) -> Reply {
        let Some(incoming) = wire::decode(&request) else {
            let text = format!("no service of this world: {} {}", request.method(), request.uri());
            let response = http::Response::builder().status(400).body(text.into_bytes());
            return Reply::Response(response.expect("a status and a text make a response"));
        };
        if let Some(door) = door {
            door(&incoming.operation).await;
        }
        let _counted = self.count_in(&incoming);
        let half = self.with(|world| world.habits.request_delay) / 2;
        let arrived = tokio::time::Instant::now();
        self.wait(half).await;
        let mut call = self.log_call(&incoming);
        let (lost, stale) = match self.consult(&call, Phase::Before) {
            Action::Proceed => (false, false),
            Action::LoseReply => (true, false),
            Action::Stale => (false, true),
            other => return self.faulty(other, &call, half).await,
        };
        let answer = self.with(|world| {
            world.is_stale = stale;
            let answer = take_effect(world, &incoming);
            world.is_stale = false;
            answer
        });
        call.status = Some(answer.as_ref().err().map_or(200, |refusal| refusal.status));
        call.error = answer.as_ref().err().map(|refusal| refusal.code.clone());
        self.log_answer(&call);
        match self.consult(&call, Phase::After) {
            Action::Proceed if lost => self.faulty(Action::Close, &call, half).await,
            Action::Proceed => {
                // Real timers are late; what the first half took too long, the second makes up for.
                self.wait((half * 2).saturating_sub(arrived.elapsed())).await;
                answered(&call, &answer)
            }
            Action::LoseReply => self.faulty(Action::Close, &call, half).await,
            other => self.faulty(other, &call, half).await,
        }
    }

    /// Resolves when the world has stopped, so that a test can drop the invocation that ran into it.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.0.stopped.subscribe();
        async move {
            // The sender lives in the cloud that the invocation under test holds too; without it nothing runs any more.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    }

    /// Lets a stopped world go on. What hung, hangs for ever.
    pub fn restart(&self) {
        self.0.stopped.send_replace(false);
    }

    /// Whether the world has stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.stopped.borrow()
    }

    /// The most EKS requests that were under way at once in a Region.
    pub fn peak_in_flight(&self, region: &str) -> usize {
        lock(&self.0.in_flight).get(region).map_or(0, |count| count.peak)
    }

    /// Waits; for ever, if the world has stopped.
    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        if self.is_stopped() {
            std::future::pending::<()>().await;
        }
    }

    async fn faulty(&self, action: Action, call: &Call, half: Duration) -> Reply {
        let error = |refusal: Refusal| answered(call, &Err(refusal));
        if action == Action::Stop {
            self.0.stopped.send_replace(true);
        }
        if matches!(action, Action::Stop | Action::Hang) {
            std::future::pending::<()>().await;
        }
        self.wait(half).await;
        match action {
            Action::Reply(status, code, message) => error(Refusal::new(status, &code, message)),
            Action::Throttle => error(Refusal::throttled(call.service)),
            Action::ServerError => error(Refusal::server_error(call.service)),
            Action::Deny => {
                let what = format!("not authorized to perform: {}:{}", call.service, call.operation);
                error(Refusal::denied(call.service, what))
            }
            Action::Malformed => Reply::Response(wire::garbage(&request_id(call))),
            Action::Unresolvable => Reply::Unresolvable,
            _ => Reply::Closed,
        }
    }

    fn count_in(&self, incoming: &Incoming) -> Option<Counted> {
        (incoming.service == Service::Eks).then(|| {
            let mut counts = lock(&self.0.in_flight);
            let count: &mut InFlight = counts.entry(incoming.region.clone()).or_default();
            count.now += 1;
            count.peak = count.peak.max(count.now);
            Counted { cloud: self.clone(), region: incoming.region.clone() }
        })
    }
}

/// A request under way; dropping it, answered or not, ends that.
struct Counted {
    cloud: Cloud,
    region: String,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.cloud.0.in_flight).get_mut(&self.region) {
            count.now -= 1;
        }
    }
}

fn take_effect(world: &mut super::World, incoming: &Incoming) -> Result<serde_json::Value, Refusal> {
    if let Some(why) = &incoming.unreadable {
        return Err(Refusal::new(400, "SerializationException", why.clone()));
    }
    services::answer(
        world,
        incoming.service,
        &incoming.region,
        &incoming.operation,
        &incoming.parameters,
        &incoming.access_key,
    )
}

/// The reply with an answer in it.
fn answered(call: &Call, answer: &Result<serde_json::Value, Refusal>) -> Reply {
    let response = wire::encode(call.service, &call.operation, answer, &request_id(call));
    recording::record(call, &response);
    Reply::Response(response)
}

fn request_id(call: &Call) -> String {
    format!("00000000-0000-4000-8000-{:012}", call.n)
}
