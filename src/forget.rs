//! The command `forget`: deletes a ledger row when a person asks for it, whatever is in it, and reports it whole.
//!
//! Decides when that is refused: while an invocation works on the row, and for the row of an unfinished repair, which may
//! be all that is left of an entry, unless the person says that it is meant. It never calls EKS, so it works in every mode.

use serde_json::Value;

use crate::app::Run;
use crate::error::Error;
use crate::fault::Fault;
use crate::outcome::{Delay, Outcome};
use crate::report::Report;
use crate::row::NotWritten;
use crate::row::RowKey;

/// Deletes the row, if need be although it is of an unfinished repair, and answers with a report that has it as `forgotten`.
///
/// # Errors
/// [`Error::LedgerUnavailable`]; [`Error::RepairIncomplete`] while an invocation is at work on the row.
pub async fn forget(run: &Run<'_>, key: &RowKey, even_open: bool, report: Report) -> Result<Value, Error> {
    let ledger = run.ledger();
    if !ledger.is_kept() {
        return Err(Error::LedgerUnavailable("LEDGER_TABLE is unset: there is no row to forget.".to_owned()));
    }
    let unavailable = |because: Fault| {
        Error::LedgerUnavailable(format!("The ledger could not be reached ({because}). Run the command again."))
    };
    let stored = ledger.stored(key).await.map_err(unavailable)?;
    let Some(row) = stored else {
        return Ok(answer(run, &report.because(Some(format!("the ledger has no row for {key}")))));
    };
    if row.is_leased(run.now()) {
        return Err(at_work(run, key, report));
    }
    if row.is_open() && !even_open {
        let reason = format!(
            "the row of {key} is of an unfinished repair and may be all that is left of the entry, so it was kept; copy its \
             snapshot (command inventory), then pass \"evenOpen\": true to delete it"
        );
        return Ok(answer(run, &report.because(Some(reason))));
    }
    match ledger.delete_stored(&row).await {
        Ok(()) => Ok(answer(run, &report.having_forgotten(row.to_value()))),
        Err(NotWritten::Overtaken) => Err(at_work(run, key, report)),
        Err(NotWritten::Unavailable(because)) => Err(unavailable(because)),
    }
}

fn answer(run: &Run<'_>, report: &Report) -> Value {
    report.log_lines().iter().for_each(|line| run.app.log_line(line));
    report.to_value()
}

/// Somebody writes the row: it was not deleted, and may be in a minute or two.
fn at_work(run: &Run<'_>, key: &RowKey, report: Report) -> Error {
    let reason = Delay::LeaseTaken;
    let problem =
        format!("{key}: deferred ({}): an invocation is at work on the row; run the command again", reason.label());
    let report = match key {
        RowKey::Entry { principal, cluster } => report.having_left(principal, cluster, &Outcome::deferred(reason)),
        RowKey::Breaker => report.because(Some(problem.clone())),
    };
    answer(run, &report);
    Error::RepairIncomplete(problem)
}
