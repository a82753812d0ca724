//! Lambda: one function, invoked by a person who waits for its answer.
//!
//! An invocation is sent once. Whether it took effect cannot be told when the connection breaks, and the function is no place
//! to find out by asking again: so there are no retries here, and the time-out outlasts the function's own.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::Region as SdkRegion;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::ThrottleReason;

use super::fault::fault_of;
use super::http::kept_alive;
use super::{Authorities, UnusableBundle};
use crate::fault::Fault;
use crate::model::Region;

/// Longer than Lambda lets any function run (15 minutes: AWS Lambda Developer Guide, "Lambda quotas").
const LONGEST: Duration = Duration::from_mins(16);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// When an idle connection is first probed, and how often after that at most every 75 seconds.
const PROBE_AFTER: Duration = Duration::from_mins(1);

/// A function that can be invoked.
#[derive(Debug, Clone)]
pub struct Function {
    client: aws_sdk_lambda::Client,
    name: String,
}

/// What came back from the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its answer, or its error.
    pub payload: Vec<u8>,
    /// Whether it is an error.
    pub is_error: bool,
}

/// Why Lambda did not answer for the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotInvoked {
    /// What Lambda said.
    pub fault: Fault,
    /// Whether the function's own reserved concurrency is used up, as it always is if that is 0.
    pub is_reserved_concurrency: bool,
}

impl Function {
    /// The function of this name or ARN in a Region; no call is made.
    ///
    /// # Errors
    /// [`UnusableBundle`].
    pub fn new(
        config: &aws_config::SdkConfig,
        authorities: &Authorities,
        region: &Region,
        name: &str,
    ) -> Result<Self, UnusableBundle> {
        let times = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(LONGEST).build();
        let config = aws_sdk_lambda::config::Builder::from(config)
            .http_client(kept_alive(authorities, PROBE_AFTER)?)
            .region(SdkRegion::new(region.0.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(times)
            // Nothing comes while the function works, and that is no stalled stream.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Ok(Self { client: aws_sdk_lambda::Client::from_conf(config), name: name.to_owned() })
    }

    /// Invokes it through an alias, or by its plain name, and waits for the answer.
    ///
    /// # Errors
    /// [`NotInvoked`]. A function that answers with an error was invoked.
    pub async fn invoke(&self, alias: Option<&str>, payload: Vec<u8>) -> Result<Reply, NotInvoked> {
        let request = self.client.invoke().function_name(&self.name).set_qualifier(alias.map(str::to_owned));
        let reply = request.payload(Blob::new(payload)).send().await.map_err(|error| NotInvoked {
            fault: fault_of("Invoke", &error),
            is_reserved_concurrency: is_reserved_concurrency(&error),
        })?;
        let payload = reply.payload.map(Blob::into_inner).unwrap_or_default();
        Ok(Reply { payload, is_error: reply.function_error.is_some() })
    }
}

/// Lambda API Reference, `Invoke`: the reason of a `TooManyRequestsException` names the limit.
fn is_reserved_concurrency<R>(error: &SdkError<InvokeError, R>) -> bool {
    match error.as_service_error() {
        Some(InvokeError::TooManyRequestsException(why)) => {
            why.reason() == Some(&ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded)
        }
        _ => false,
    }
}
