//! How EKS requests are sent: in turn, and which of them are sent again.
//!
//! Every attempt waits for its [turn](Turns). Reads are repeated here, not by the SDK, whose budget of retries is too
//! small for a Region that throttles a whole survey. Changes of who may enter are not repeated after an unclear answer:
//! the SDK would repeat a deletion after a lost reply, and delete what somebody else created in between; `repair` decides
//! what to repeat. A change that was throttled was not carried out: it is sent again at the Region's pace, without a
//! pause. A deletion is the exception: the caller must look at the entry again before it sends another one.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eks::config::http::HttpResponse;
use aws_sdk_eks::config::retry::RetryConfig;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use futures::future::{Either, select};
use tokio::time::Instant;

use super::Eks;
use crate::aws::fault::fault_of;
use crate::aws::limiter::Answer;
use crate::aws::turns::{Place, Priority, Turn, Turns};
use crate::aws::{ATTEMPTS, LONGEST_WAIT};
use crate::fault::{Fault, FaultKind};
use crate::limits::TURN_TIMEOUT;
use crate::model::Region;

/// How long a read is repeated, from when it was first sent.
const PATIENCE: Duration = Duration::from_secs(50);

/// How long the lowest priority waits before it looks again whether the Region refuses requests.
const ASIDE: Duration = Duration::from_secs(1);

/// The first wait after an error that may pass; each more is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

impl Eks {
    pub(in crate::aws) fn new(region: Region, config: &aws_config::SdkConfig) -> Self {
        let config = aws_sdk_eks::config::Builder::from(config)
            .region(aws_sdk_eks::config::Region::new(region.0.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        let client = aws_sdk_eks::Client::from_conf(config);
        Self { region, client, turns: Arc::new(Turns::new()), most_at_once: 1, priority: Priority::Repair }
    }

    pub(in crate::aws) fn with_most_at_once(&self, most_at_once: usize) -> Self {
        Self { most_at_once, ..self.clone() }
    }

    /// The same, for requests of this priority; without it they are those of a repair.
    #[must_use]
    pub fn at(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    async fn turn(&self, place: Place) -> Turn<'_> {
        self.turns.turn(place, self.most_at_once).await
    }

    /// What an answer means, for the limiter too. A request without an answer says nothing about the Region's limits.
    fn heard<T, E>(
        operation: &'static str,
        turn: Turn<'_>,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata,
    {
        let is_answered = matches!(answer, Ok(_) | Err(SdkError::ServiceError(_)));
        let answer = answer.map_err(|error| fault_of(operation, &error));
        match &answer {
            Err(fault) if fault.kind == FaultKind::Throttled => turn.answered(Answer::Refused),
            _ if is_answered => turn.answered(Answer::Served),
            _ => drop(turn),
        }
        answer
    }

    /// Sends a read, and again while it fails in a way that may pass.
    pub(super) async fn read<T, E, F>(&self, operation: &'static str, send: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        if self.priority == Priority::Impact {
            return self.read_aside(operation, send).await;
        }
        let place = self.turns.line_up(self.priority);
        let mut turn = self.turn(place).await;
        let gives_up = Instant::now() + PATIENCE;
        let mut failures = 0;
        loop {
            let fault = match Self::heard(operation, turn, Box::pin(send()).await) {
                Err(fault) if fault.may_pass() => fault,
                answer => return answer,
            };
            if fault.kind != FaultKind::Throttled {
                failures += 1;
                let wait = (FIRST_WAIT * (1 << failures)).min(LONGEST_WAIT).mul_f64(fastrand::f64());
                tokio::time::sleep(wait).await;
            }
            if failures == ATTEMPTS || Instant::now() >= gives_up {
                return Err(fault);
            }
            turn = self.turn(place).await;
        }
    }

    /// Sends a read once, in nobody's way: it waits while the Region refuses requests, and it is given up if a more urgent
    /// request has no room.
    async fn read_aside<T, E, F>(&self, operation: &'static str, send: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        while self.turns.holds_back() {
            tokio::time::sleep(ASIDE).await;
        }
        let turn = self.turn(self.turns.line_up(self.priority)).await;
        match select(Box::pin(send()), Box::pin(self.turns.needed())).await {
            Either::Left((answer, _)) => Self::heard(operation, turn, answer),
            Either::Right(_) => Err(Fault::not_sent(operation)),
        }
    }

    /// Sends a change, and again while it is throttled. Every other answer, and none, is the caller's to judge. One that
    /// waits too long for its turns is given up, so that nothing is sent after its lease has ended.
    pub(super) async fn change<T, E, F>(&self, operation: &'static str, send: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        let place = self.turns.line_up(self.priority);
        let gives_up = Instant::now() + TURN_TIMEOUT;
        let mut refusal = None;
        while Instant::now() < gives_up
            && let Ok(turn) = tokio::time::timeout_at(gives_up, self.turn(place)).await
        {
            match Self::heard(operation, turn, Box::pin(send()).await) {
                Err(fault) if fault.kind == FaultKind::Throttled => refusal = Some(fault),
                answer => return answer,
            }
        }
        Err(refusal.unwrap_or_else(|| Fault::not_sent(operation)))
    }

    /// Sends a change once, throttled or not.
    pub(super) async fn change_once<T, E, F>(
        &self,
        operation: &'static str,
        send: impl FnOnce() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.turn(self.turns.line_up(self.priority))).await;
        let turn = turn.map_err(|_| Fault::not_sent(operation))?;
        Self::heard(operation, turn, Box::pin(send()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Reads;

    #[test]
    fn all_users_of_a_region_share_what_they_learn_of_its_limits() {
        let config = aws_config::SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest());
        let aws = Reads::new(&config.build());
        let (event, sweep) = (aws.eks(&Region("eu-west-1".to_owned()), 8), aws.eks(&Region("eu-west-1".to_owned()), 2));
        assert!(Arc::ptr_eq(&event.turns, &sweep.turns));
        assert_eq!((event.most_at_once, sweep.most_at_once), (8, 2));
        assert!(!Arc::ptr_eq(&event.turns, &aws.eks(&Region("eu-west-2".to_owned()), 8).turns));
    }
}
