//! `local-aws`: the strict in-process AWS of the scenarios as a program on loopback ports, for whoever comes over HTTP:
//! the packaged function, boto3, the AWS CLI.
//!
//! Whoever starts it speaks to it in lines of JSON ([`control`]): a command per line on standard input, an answer per
//! line on standard output, the first of which tells the addresses. When standard input ends, so does the program: it
//! never outlives the process that started it.
//!
//! - [`server`]: connections, plain or with TLS under a certificate authority of this process alone;
//! - [`runtime_api`]: Lambda's Runtime API, behind which a function polls for invocations;
//! - [`kubernetes`], [`token`]: the API servers of clusters, and whom they let in;
//! - [`event_bridge`]: events of roles that come and go, on their way to the function;
//! - [`interference`]: what a test changes while somebody is at work;
//! - [`sqs`]: queues, for whoever redrives;
//! - [`setting`]: worlds by the number of Regions, clusters and entries, and limits like those of EKS;
//! - [`tally`]: what was called, and how many calls had to wait for one another.

#[allow(dead_code, reason = "the scenarios use the rest")]
#[path = "../../scenarios/cloud/mod.rs"]
mod cloud;
mod control;
mod event_bridge;
mod interference;
mod kubernetes;
mod runtime_api;
mod server;
mod setting;
mod sqs;
mod tally;
mod token;

#[tokio::main(worker_threads = 2)]
async fn main() {
    if let Err(why) = control::serve().await {
        eprintln!("local-aws stops: {why}");
        std::process::exit(1);
    }
}
