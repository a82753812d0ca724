//! The in-process AWS, tried with the real SDK clients: it must refuse, lag, page and fail as it claims to.

mod access;
mod faults;
mod other_services;

use std::time::Duration;

use aws_sdk_eks::config::retry::RetryConfig;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Cloud, EntrySpec};

const REGION: &str = "us-east-1";

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn eks(cloud: &Cloud) -> aws_sdk_eks::Client {
    aws_sdk_eks::Client::new(&cloud.sdk_config())
}

/// EKS without the SDK's retries, so that every answer is seen.
fn eks_once(cloud: &Cloud, region: &'static str) -> aws_sdk_eks::Client {
    let config = aws_sdk_eks::config::Builder::from(&cloud.sdk_config())
        .region(aws_sdk_eks::config::Region::from_static(region))
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_eks::Client::from_conf(config)
}

/// Status, code and message of an error reply.
fn refusal<E, T>(reply: Result<T, SdkError<E, HttpResponse>>) -> (u16, String, String)
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    T: std::fmt::Debug,
{
    match reply {
        Err(SdkError::ServiceError(context)) => (
            context.raw().status().as_u16(),
            context.err().code().unwrap_or_default().to_owned(),
            context.err().message().unwrap_or_default().to_owned(),
        ),
        other => panic!("not an error reply: {other:?}"),
    }
}

/// A cloud with cluster `prod`, role `node`, and an entry of the role that was made before it was recreated.
fn stale_node() -> Cloud {
    let cloud = Cloud::new();
    let role = cloud.add_role("node");
    cloud.add_cluster(REGION, "prod");
    cloud.add_entry(REGION, "prod", &role.arn, EntrySpec::of_type("EC2_LINUX").tag("team", "infra"));
    cloud.pass(minutes(60));
    cloud.recreate_role("node");
    cloud.pass(minutes(5));
    cloud
}
