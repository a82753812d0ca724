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

use clap::{CommandFactory as _, Parser as _};

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
        Command::Completions { shell } => print_completions(shell),
        Command::Man => print_manual(),
        Command::Deployed(command) => deployed::run(&Session::begin().await?, command).await,
    }
}

fn print_completions(shell: clap_complete::Shell) -> Result<u8, Stop> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "access-entry-guard", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

/// The page of the command, and after it those of its subcommands.
fn print_manual() -> Result<u8, Stop> {
    let mut text = Vec::new();
    let mut all = Arguments::command().disable_help_subcommand(true);
    all.build();
    clap_mangen::Man::new(all.clone()).render(&mut text)?;
    for subcommand in all.get_subcommands() {
        clap_mangen::Man::new(subcommand.clone()).render(&mut text)?;
    }
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
