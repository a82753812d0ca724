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
    /// Shows the role, who may assume it and what the entry grants, and asks for confirmation. Afterwards the role
    /// has that access, so first find out who created the role. Invokes the function through its alias approve.
    ///
    /// Exit status: 0 if the entry is good afterwards. 1 if the entry is still held, failed or deferred, you said no,
    /// or the invocation failed. 2 if there is no such role or cluster, the role has another ID than --role-id, or
    /// the function rejected the command or could not be reached.
    Approve(Release),
    /// Create an entry again from the deployed function's ledger, for the role that exists
    ///
    /// For an entry that the function archived when its role was deleted, or whose repair is unfinished. Shows the
    /// role, who may assume it and what the ledger's row grants, and asks for confirmation. Afterwards the role has
    /// that access, so first find out who created the role. Invokes the function through its alias approve.
    ///
    /// Exit status: 0 if the entry is good afterwards. 1 if the entry is still held, failed or deferred, you said no,
    /// or the invocation failed. 2 if there is no such role or cluster, the role has another ID than --role-id, or
    /// the function rejected the command or could not be reached.
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
/// Exit status: 1 if an entry is stale, orphaned or missing. Otherwise 2 if the answer is not known: there is no such
/// cluster or no entry, an entry is undecided for a reason that --accept does not name, something could not be read,
/// or the function failed or could not be reached. 0 if the function looked at one entry or more, and every one is
/// fresh or accepted.
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

/// Print, from the deployed function's ledger, who has access to which cluster, which access, and since when
///
/// The ledger has an entry only after the function has found it good; scan shows the others.
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
    /// Stop after the page on which this number of rows is reached [default: read every page]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Continue where an earlier answer with --limit ended
    #[arg(long, value_name = "TOKEN")]
    pub(super) next_token: Option<String>,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Let the deployed function do what an event about the role would do, under all of its guardrails
///
/// Exit status: 0 if nothing failed; a held entry is not a failure. 1 if an entry is failed or deferred, or the
/// invocation failed. 2 if there is no such cluster, or the function rejected the command or could not be reached.
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
    /// The unique ID of the role that you checked (AROA…) [default on a terminal: the ID of the present role, which the
    /// command shows]
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
/// Exit status: 0 if the row was deleted. 1 if it was not deleted: there is no such row, an invocation works on it,
/// or it belongs to an unfinished repair and --even-open is missing. 2 if the function rejected the command or could
/// not be reached.
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
    /// Delete the row even if it belongs to an unfinished repair
    #[arg(long)]
    pub(super) even_open: bool,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Let the deployed function look at all entries and repair what it may
///
/// Exit status: 0 if nothing failed; a held entry is not a failure. 1 if an entry is failed or deferred, or the
/// invocation failed. 2 if there is no such cluster, or the function rejected the command or could not be reached.
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

/// Send an event to the deployed function
///
/// Invokes the function without an alias, under all guardrails, so the function ignores the creator that the event
/// names. Accepts what the function accepts: an event, a CloudTrail record, the output of lookup-events, or the
/// record of a failed invocation.
///
/// Exit status: 0 if nothing failed, even if the function ignored the event. 1 if an entry is failed or deferred, or
/// the invocation failed. 2 if the function rejected the event or could not be reached.
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
