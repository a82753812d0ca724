//! The Lambda function's process: logging, settings, clients, then one invocation after the other.

use std::sync::Arc;

use access_entry_guard::app::App;
use access_entry_guard::config::Config;
use access_entry_guard::error::Error;
use access_entry_guard::handler::{Call, handle};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use time::OffsetDateTime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::WARN)
        .with_current_span(false)
        .with_span_list(false)
        .init();
    let config = Config::from_lookup(|name| std::env::var(name).ok())?;
    let sdk = access_entry_guard::aws::load_config().await;
    let app = App::new(config, &sdk, Arc::new(OffsetDateTime::now_utc), Box::new(std::io::stdout()));
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| answer(&app, event))).await
}

async fn answer(app: &App, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let context = event.context;
    let deadline = i128::from(context.deadline) * 1_000_000;
    let deadline = OffsetDateTime::from_unix_timestamp_nanos(deadline).unwrap_or_else(|_| app.now());
    let call = Call { function_arn: context.invoked_function_arn, request_id: context.request_id, deadline };
    handle(app, &event.payload, call).await
}
