//! What can be asked of the deployed function on the command line.

use access_entry_guard::deployed::{FUNCTION, reasons};
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Subcommand};

use crate::output::Output;
use crate::redrive;

/// The commands that need a deployed function.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Check),
    Inventory(Inventory),
    Repair(Repair),
    /// Release an entry that the deployed function holds, for the role that exists
    ///
    /// Shows the role, who may assume it and what the entry grants, and asks. The role has that access afterwards: find out
    /// first who created it. Invokes the function through its alias approve.
    ///
    /// Exit status: 0 if the entry is good afterwards. 1 if it still waits, failed or is deferred, you said no, or the
    /// invocation failed. 2 if there is no such role or cluster, the role has another ID than --role-id, or the function did
    /// not take the command or was not reached.
    Approve(Release),
    /// Create an entry again from the deployed function's ledger, for the role that exists
    ///
    /// For an entry that was archived with its role, or whose repair is unfinished. Shows the role, who may assume it and what
    /// the ledger's row grants, and asks. The role has that access afterwards: find out first who created it. Goes through the
    /// function's alias approve.
    ///
    /// Exit status: 0 if the entry is good afterwards. 1 if it still waits, failed or is deferred, you said no, or the
    /// invocation failed. 2 if there is no such role or cluster, the role has another ID than --role-id, or the function did
    /// not take the command or was not reached.
    Restore(Release),
    Forget(Forget),
    Sweep(Sweep),
    Invoke(Invoke),
    Redrive(redrive::Arguments),
}

/// Which function is asked.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The deployed function, without an alias
    #[arg(long, value_name = "NAME_OR_ARN", default_value = FUNCTION)]
    pub(super) function: String,
    /// The function's Region [default: the ARN's, or the Region of the partition's IAM events, such as us-east-1]
    #[arg(long, value_name = "REGION")]
    pub(super) function_region: Option<String>,
}

/// Ask the deployed function whether access entries are good; it changes nothing
///
/// Exit status: 1 if an entry is stale, orphaned or missing. Else 2 if it could not be told: there is no such cluster or no
/// entry, an entry is undecided for a reason that --accept does not name, something was not seen, or the function failed or
/// was not reached. 0 if at least one entry was looked at and every one is fresh or accepted.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).multiple(true).args(["role", "cluster"]))]
pub(crate) struct Check {
    /// Entries of this role
    #[arg(long, value_name = "NAME_OR_ARN")]
    pub(super) role: Option<String>,
    /// Entries of clusters of this name; without --role all of them
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Only in this Region
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// Accept entries that are undecided for this reason, such as serviceLinkedRole; may be repeated
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = PossibleValuesParser::new(reasons()), hide_possible_values = true)]
    pub(super) accept: Vec<String>,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Print who has access to which cluster, as what and since when, from the deployed function's ledger
///
/// The ledger knows an entry once the function saw it good; scan shows the others.
///
/// Exit status: 0 if the ledger was read, else 2.
#[derive(Debug, Args)]
pub(crate) struct Inventory {
    /// Only entries of this role
    #[arg(long, value_name = "NAME_OR_ARN")]
    pub(super) role: Option<String>,
    /// Only in clusters of this name
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Only in this Region
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// Ask for no further page once so many rows are there [default: every page]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Go on where an answer with --limit ended
    #[arg(long, value_name = "TOKEN")]
    pub(super) next_token: Option<String>,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Let the deployed function do what an event about the role would do, under all of its guardrails
///
/// Exit status: 0 if nothing failed; what is held for a person is no failure. 1 if an entry is failed or deferred, or the
/// invocation failed. 2 if there is no such cluster, or the function did not take the command or was not reached.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// Entries of this role
    #[arg(long, value_name = "NAME_OR_ARN")]
    pub(super) role: String,
    /// Only in clusters of this name
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Only in this Region
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Which entry is released or restored, and for which role.
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The entry's role
    #[arg(long, value_name = "NAME_OR_ARN")]
    pub(super) role: String,
    /// The entry's cluster
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: String,
    /// The cluster's Region
    #[arg(long, value_name = "REGION")]
    pub(super) region: String,
    /// The unique ID of the role that you checked (AROA…) [default on a terminal: the present one, which is shown]
    #[arg(long, value_name = "ID")]
    pub(super) role_id: Option<String>,
    /// Do not ask; needs --role-id
    #[arg(long, requires = "role_id")]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Delete a row of the deployed function's ledger, and print it whole
///
/// Invokes the function through its alias approve. Keep what is printed: the row may be all that is left of an entry.
///
/// Exit status: 0 if the row was deleted. 1 if it was not: there is none, an invocation is at work on it, or it is of an
/// unfinished repair and --even-open is missing. 2 if the function did not take the command or was not reached.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("row").required(true).args(["role", "principal"]))]
pub(crate) struct Forget {
    /// The row's role
    #[arg(long, value_name = "NAME_OR_ARN")]
    pub(super) role: Option<String>,
    /// The row's principal as the ledger has it, whether or not it exists; or #breaker, for the row that stops all deletions
    #[arg(long, value_name = "ARN|#breaker")]
    pub(super) principal: Option<String>,
    /// The row's cluster
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// The cluster's Region
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// Delete the row also if it is of an unfinished repair
    #[arg(long)]
    pub(super) even_open: bool,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Let the deployed function look at all entries and repair what it may
///
/// Exit status: 0 if nothing failed; what is held for a person is no failure. 1 if an entry is failed or deferred, or the
/// invocation failed. 2 if there is no such cluster, or the function did not take the command or was not reached.
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Only clusters of this name
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Only this Region
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Hand an event to the deployed function
///
/// Goes by the function's plain name, under all guardrails: the event's creator counts for nothing. Takes what the function
/// takes: an event, a record of CloudTrail, the output of lookup-events, the record of a failed invocation.
///
/// Exit status: 0 if nothing failed, also if the event was ignored. 1 if an entry is failed or deferred, or the invocation
/// failed. 2 if the function did not take the event or was not reached.
#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// A file of JSON; - for standard input
    #[arg(value_name = "FILE")]
    pub(super) file: String,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}
