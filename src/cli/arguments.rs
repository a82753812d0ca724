//! What can be asked for on the command line.

use clap::{Parser, Subcommand};

use crate::{creators, deployed, event, explain, scan};

/// Finds EKS access entries that are bound to a deleted IAM role although a new role of the same name exists, and says how to
/// repair them
#[derive(Debug, Parser)]
#[command(name = "access-entry-guard", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Scan(scan::Arguments),
    Explain(explain::Arguments),
    Creators(creators::Arguments),
    Event(event::Arguments),
    #[command(flatten)]
    Deployed(deployed::Command),
    /// Print the completions for a shell
    ///
    /// For bash: access-entry-guard completions bash > ~/.local/share/bash-completion/completions/access-entry-guard
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page, in roff
    ///
    /// To read it: access-entry-guard man | man -l -
    Man,
}
