//! The Lambda function's process: logging, settings, clients, then one invocation after the other.

use std::process::ExitCode;
use std::sync::Arc;

use access_entry_guard::app::App;
use access_entry_guard::aws::{Authorities, Http, load_config};
use access_entry_guard::config::Config;
use access_entry_guard::error::Error;
use access_entry_guard::handler::{Call, handle};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use time::OffsetDateTime;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What `cargo lambda watch` gives in place of the function's ARN. Lambda itself always gives an ARN.
const NO_ARN: &str = "function-arn";
/// Where the runtime logs errors.
const RUNTIME_PANICS: &str = "lambda_runtime::layers::panic";
/// The variable that says which ARN to go by then: its account, partition and alias.
const LOCAL_FUNCTION_ARN: &str = "LOCAL_FUNCTION_ARN";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // The runtime logs every error of an invocation as one of its layer for panics. It is logged here instead.
    let levels = Targets::new().with_default(LevelFilter::WARN).with_target(RUNTIME_PANICS, LevelFilter::OFF);
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
    let config = match Config::from_lookup(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return stop(&error),
    };
    let http = Http::start(Authorities::from_lookup(|name| std::env::var(name).ok()));
    let sdk = load_config(&http).await;
    let app = App::new(config, &sdk, Arc::new(OffsetDateTime::now_utc), Box::new(std::io::stdout()));
    tokio::select! {
        biased;
        unusable = http.failed() => stop(&unusable),
        ended = lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| answer(&app, event))) => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => stop(&error),
        },
    }
}

/// Ends the process with one line that says why.
fn stop(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("access-entry-guard stops: {why}");
    ExitCode::FAILURE
}

async fn answer(app: &App, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let context = event.context;
    let deadline = i128::from(context.deadline) * 1_000_000;
    let mut deadline = OffsetDateTime::from_unix_timestamp_nanos(deadline).unwrap_or_else(|_| app.now());
    let mut function_arn = context.invoked_function_arn;
    if function_arn == NO_ARN {
        function_arn = std::env::var(LOCAL_FUNCTION_ARN).unwrap_or(function_arn);
        // Nor is there a deadline: it gives a time in 1970.
        deadline = app.now() + time::Duration::minutes(15);
    }
    let call = Call { function_arn, request_id: context.request_id, deadline };
    let answer = handle(app, &event.payload, call).await;
    if let Err(error) = &answer {
        tracing::error!(%error, "{}", error.name());
    }
    answer
}
