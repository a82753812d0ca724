//! What is planned for one invocation: at which of its calls the world stops, AWS fails, or another party acts.

use std::collections::BTreeMap;

use super::history::{Act, Fault, FaultKind, Trouble, When};
use crate::cloud::{Action, Call, World};

/// The trouble that awaits the calls of an invocation, and how much of it has happened.
#[derive(Debug, Default)]
pub struct Plan {
    stop: Option<(When, bool)>,
    fault: Option<Fault>,
    meanwhile: Option<(When, Act)>,
    calls: usize,
    by_operation: BTreeMap<String, usize>,
    faulty: usize,
    pub was_cut: bool,
    pub faults: usize,
    pub acts: usize,
}

impl Plan {
    pub fn of(trouble: &Trouble) -> Self {
        Self {
            stop: trouble.stop.clone(),
            fault: trouble.fault.clone(),
            meanwhile: trouble.meanwhile.clone(),
            ..Self::default()
        }
    }

    /// Counts a call that has arrived.
    pub fn count(&mut self, call: &Call) {
        self.calls += 1;
        *self.by_operation.entry(call.operation.clone()).or_default() += 1;
    }

    fn is_due(&self, when: &When, call: &Call) -> bool {
        match when {
            When::Call(n) => self.calls == *n,
            When::Of(operation, n) => call.operation == *operation && self.by_operation[&call.operation] == *n,
        }
    }

    /// What another party does before this call.
    pub fn act_before(&mut self, call: &Call) -> Option<Act> {
        let (when, _) = self.meanwhile.as_ref()?;
        if !self.is_due(when, call) {
            return None;
        }
        self.acts += 1;
        self.meanwhile.take().map(|(_, act)| act)
    }

    /// Whether the world stops at this call, before or after it takes effect.
    pub fn stops(&mut self, call: &Call, after: bool) -> bool {
        let stops = self.stop.as_ref().is_some_and(|(when, at)| *at == after && self.is_due(when, call));
        self.was_cut |= stops;
        stops
    }

    /// What becomes of this call.
    pub fn fault(&mut self, call: &Call, world: &mut World) -> Option<Action> {
        let fault = self.fault.as_ref()?;
        if fault.operation.is_some_and(|operation| operation != call.operation) {
            return None;
        }
        self.faulty += 1;
        if self.faulty < fault.from || self.faulty - fault.from >= fault.times {
            return None;
        }
        self.faults += 1;
        Some(match fault.kind {
            FaultKind::Throttle => Action::Throttle,
            FaultKind::ServerError => Action::ServerError,
            FaultKind::Close => Action::Close,
            FaultKind::LoseReply => Action::LoseReply,
            FaultKind::Deny if world.denials.is_empty() => {
                world.denials.push(crate::cloud::services::Denial {
                    operation: Some(call.operation.clone()),
                    region: None,
                    by_organization: false,
                });
                Action::Proceed
            }
            FaultKind::Deny => Action::Proceed,
        })
    }
}
