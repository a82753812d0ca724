//! The AWS SDK behind the model's words: nothing outside this folder names one of its types.
//!
//! One shared configuration and [HTTP client](Http) serve all services and Regions. EKS is regional: its clients are made
//! when a Region is first asked.

pub mod account;
mod authorities;
#[cfg(feature = "cli")]
pub mod cloudtrail;
pub mod cloudwatch;
pub mod dynamodb;
pub mod eks;
pub mod fault;
mod http;
pub mod iam;
#[cfg(feature = "cli")]
mod iam_user;
#[cfg(feature = "cli")]
pub mod lambda;
mod limiter;
#[cfg(feature = "cli")]
pub mod sqs;
pub mod stored;
#[cfg(feature = "cli")]
pub mod sts;
mod turns;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_iam::config::retry::{RetryPartition, TokenBucket};
use tokio::sync::Semaphore;

use crate::lock::lock;
use crate::model::Region;
pub use authorities::{Authorities, UnusableBundle};
use eks::{Eks, EksChanges};
pub use http::Http;
pub use turns::Priority;

/// Attempts of the SDK at a read, a ledger write or a metric, at most [`LONGEST_WAIT`] apart: enough to outlast a burst
/// of throttling, few enough to give up within an invocation.
const ATTEMPTS: u32 = 12;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The most requests of single ledger rows that are under way at once: each may be a connection, with its handshake.
const LEDGER_REQUESTS: usize = 64;

/// The clients that only read: whoever has nothing but these cannot change anything in AWS.
#[derive(Debug)]
pub struct Reads {
    config: aws_config::SdkConfig,
    iam: aws_sdk_iam::Client,
    account: aws_sdk_account::Client,
    eks: Mutex<BTreeMap<Region, Eks>>,
}

/// All clients of one process of the function.
#[derive(Debug)]
pub struct Aws {
    /// Those that only read.
    pub reads: Reads,
    dynamodb: aws_sdk_dynamodb::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    ledger_gate: Semaphore,
}

macro_rules! client {
    ($sdk:ident, $config:expr) => {
        $sdk::Client::from_conf($sdk::config::Builder::from($config).retry_partition(retries()).build())
    };
}

impl Reads {
    /// Makes the clients from a loaded configuration; no call is made, no connection opened.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        let config = patient(config);
        Self {
            iam: client!(aws_sdk_iam, &config),
            account: client!(aws_sdk_account, &config),
            config,
            eks: Mutex::default(),
        }
    }

    /// EKS in a Region, for a user that has at most `most_at_once` requests in flight there. All users of a Region share
    /// what they learn of its limits.
    #[must_use]
    pub fn eks(&self, region: &Region, most_at_once: usize) -> Eks {
        let mut clients = lock(&self.eks);
        let client = clients.entry(region.clone()).or_insert_with(|| Eks::new(region.clone(), &self.config));
        client.with_most_at_once(most_at_once)
    }
}

impl Aws {
    /// Makes the clients from a loaded configuration; no call is made, no connection opened.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        let reads = Reads::new(config);
        Self {
            dynamodb: client!(aws_sdk_dynamodb, &reads.config),
            cloudwatch: client!(aws_sdk_cloudwatch, &reads.config),
            ledger_gate: Semaphore::new(LEDGER_REQUESTS),
            reads,
        }
    }

    /// EKS in a Region for changes, too: each of them wants a permit. They share turns and limits with the reads.
    #[must_use]
    pub fn eks_changes(&self, region: &Region, most_at_once: usize) -> EksChanges {
        EksChanges::of(self.reads.eks(region, most_at_once))
    }

    /// Sends a request of a single ledger row when it is its turn. The gate is never closed; without a permit the request
    /// would merely go unbounded.
    async fn in_turn<T>(&self, request: impl Future<Output = T>) -> T {
        let _permit = self.ledger_gate.acquire().await;
        request.await
    }
}

/// The same configuration with this crate's retries and time-outs.
fn patient(config: &aws_config::SdkConfig) -> aws_config::SdkConfig {
    config
        .to_builder()
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(LONGEST_WAIT))
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(10))
                .operation_timeout(Duration::from_secs(50))
                .build(),
        )
        .build()
}

/// Retries limited by their number and their time alone. The SDK's own budget is one for the whole process and is refilled
/// by successes only: after an outage a warm process would not repeat anything any more.
fn retries() -> RetryPartition {
    RetryPartition::custom("access-entry-guard").token_bucket(TokenBucket::unlimited()).build()
}

/// The same for a person, who may have no Region set: then that of IAM, from which all others can be named.
#[cfg(feature = "cli")]
pub async fn load_config_of_person(http: &Http) -> aws_config::SdkConfig {
    use aws_config::meta::region::RegionProviderChain;
    let region = RegionProviderChain::default_provider().or_else("us-east-1");
    aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http.client()).region(region).load().await
}

/// The SDK's configuration from the environment, with one HTTP client for everything.
pub async fn load_config(http: &Http) -> aws_config::SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http.client()).load().await
}
