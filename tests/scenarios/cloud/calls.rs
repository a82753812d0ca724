//! The log of calls, and interception: the one primitive that all faults are built on.

use serde_json::Value;
use time::OffsetDateTime;

use super::rules::Principal;
use super::services::Service;
use super::wire::Incoming;
use super::world::World;
use super::{Cloud, lock};

/// A request that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// From 1, in order of arrival, over the whole cloud.
    pub n: usize,
    /// When it arrived.
    pub at: OffsetDateTime,
    /// Whom it was for.
    pub service: Service,
    /// Such as `DeleteAccessEntry`.
    pub operation: String,
    /// The Region it was signed for.
    pub region: String,
    /// EKS: the cluster it names.
    pub cluster: Option<String>,
    /// EKS: the principal it names; `DynamoDB`: the partition key, where it is one.
    pub principal: Option<String>,
    /// The role it names, by `RoleName` or in the principal.
    pub role_name: Option<String>,
    /// EKS: the access policy it names.
    pub policy: Option<String>,
    /// `DynamoDB`: the table.
    pub table: Option<String>,
    /// All its parameters, as JSON.
    pub parameters: Value,
    /// The HTTP status that the service answered; none while it has not.
    pub status: Option<u16>,
    /// The error code that the service answered.
    pub error: Option<String>,
}

/// Before or after a call takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has arrived and done nothing yet.
    Before,
    /// It has been answered; the reply is not yet on its way.
    After,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing unusual.
    Proceed,
    /// It is answered with this error: status, code, message. Before: it has no effect. After: it had.
    Reply(u16, String, String),
    /// It is answered "too many requests", as its service does.
    Throttle,
    /// It is answered "internal server error", as its service does.
    ServerError,
    /// It is answered "access denied", as its service does.
    Deny,
    /// The connection breaks. Before: it has no effect. After: it had.
    Close,
    /// It takes effect, then the connection breaks: in either phase.
    LoseReply,
    /// The host's name does not resolve.
    Unresolvable,
    /// It is never answered.
    Hang,
    /// It is answered 200 and nonsense.
    Malformed,
    /// A read shows what was before the last change of its object ([`super::stale`]). Anything else proceeds.
    Stale,
    /// The world stops: this call and every later one hangs until [`Cloud::restart`].
    Stop,
}

/// A function that sees every call twice and may act on the world in between.
pub type Interceptor = Box<dyn FnMut(&Call, Phase, &mut World) -> Action + Send>;

impl Cloud {
    /// Lets `interceptor` see every call before and after it takes effect, act on the world like another party would,
    /// and decide what becomes of the call. It must not use a [`Cloud`]: the world is locked while it runs.
    ///
    /// Several take turns in the order in which they came; the first that does not let the call proceed decides.
    pub fn intercept(&self, interceptor: impl FnMut(&Call, Phase, &mut World) -> Action + Send + 'static) {
        lock(&self.0.interceptors).push(Box::new(interceptor));
    }

    /// Removes all interceptors, ready faults and denials: the world is well again.
    pub fn lift_faults(&self) {
        lock(&self.0.interceptors).clear();
        self.with(|world| world.denials.clear());
    }

    /// All calls that arrived, in order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.log).clone()
    }

    /// The calls of one operation.
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        lock(&self.0.log).iter().filter(|call| call.operation == operation).cloned().collect()
    }

    /// Forgets the calls so far; the next is number 1.
    pub fn clear_calls(&self) {
        lock(&self.0.log).clear();
    }

    pub(super) fn log_call(&self, incoming: &Incoming) -> Call {
        let at = self.now();
        let mut log = lock(&self.0.log);
        let call = Call::of(log.len() + 1, at, incoming);
        log.push(call.clone());
        call
    }

    pub(super) fn log_answer(&self, call: &Call) {
        let mut log = lock(&self.0.log);
        // The log may have been forgotten meanwhile.
        if let Some(entry) = log.get_mut(call.n - 1).filter(|entry| entry.at == call.at) {
            entry.status = call.status;
            entry.error.clone_from(&call.error);
        }
    }

    /// Asks the interceptors what becomes of the call.
    pub(super) fn consult(&self, call: &Call, phase: Phase) -> Action {
        let mut interceptors = lock(&self.0.interceptors);
        let mut world = self.world();
        for interceptor in interceptors.iter_mut() {
            match interceptor(call, phase, &mut world) {
                Action::Proceed => {}
                decided => return decided,
            }
        }
        Action::Proceed
    }
}

impl Call {
    fn of(n: usize, at: OffsetDateTime, incoming: &Incoming) -> Self {
        let text = |name: &str| incoming.parameters.get(name).and_then(Value::as_str).map(str::to_owned);
        let key = ["Key", "Item"].iter().find_map(|member| {
            let key = incoming.parameters.get(member)?.get("principalArn")?.get("S")?;
            key.as_str().map(str::to_owned)
        });
        let principal = text("principalArn").or(key);
        let named = principal.as_deref().and_then(|arn| Principal::parse(arn).ok());
        Self {
            n,
            at,
            service: incoming.service,
            operation: incoming.operation.clone(),
            region: incoming.region.clone(),
            cluster: text("clusterName").or_else(|| text("name")),
            role_name: text("RoleName").or_else(|| named.map(|principal| principal.name)),
            principal,
            policy: text("policyArn"),
            table: text("TableName"),
            parameters: Value::Object(incoming.parameters.as_map().clone()),
            status: None,
            error: None,
        }
    }
}
