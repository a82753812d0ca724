//! `access-entry-guard`, the command: for a person or a pipeline, with the caller's own AWS credentials.
//!
//! Results go to standard output; progress to standard error, if that is a terminal; an error is one line there, which says
//! what to do. What an exit status means stands with each subcommand; 2 is always "it could not be told".

mod arguments;
mod creators;
mod deployed;
mod event;
mod explain;
mod output;
mod redrive;
mod scan;
mod session;
mod stop;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use session::Session;
use stop::Stop;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match Box::pin(run(arguments)).await {
        Ok(status) => ExitCode::from(status),
        Err(Stop(why)) => {
            eprintln!("access-entry-guard: {}", output::shown(&why));
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<u8, Stop> {
    match arguments.command {
        Command::Scan(arguments) => scan::run(&Session::begin().await?, arguments).await,
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Creators(arguments) => creators::run(&Session::begin().await?, arguments).await,
        Command::Event(arguments) => event::run(&Session::begin().await?, arguments).await,
        Command::Deployed(command) => deployed::run(&Session::begin().await?, command).await,
    }
}
