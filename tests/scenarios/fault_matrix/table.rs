//! The matrix as a table for people: a row for each call, a column for each fault, one table for each duration.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

use super::{Cell, Fault, Lasting, Position};
use crate::jobs::Job;

const LEGEND: &str = "done: as if nothing had failed. !: the invocation fails, and is retried. blind: a blind spot. error: no report but \
                      an error of this name. Anything else is outcome and reason of the entry in the report.";

/// Prints a job's matrix.
pub(super) fn print(job: Job, rows: &[(Position, Vec<Cell>)]) {
    let cells: usize = rows.iter().map(|(_, cells)| cells.len()).sum();
    let mut text = format!("\n{job:?}: {} calls, {cells} cells. {LEGEND}\n", rows.len());
    for lasting in Lasting::ALL {
        text += &format!("\n{:<40}", format!("{job:?}, {}", name(lasting)));
        let columns: Vec<Vec<String>> = Fault::ALL.iter().map(|fault| column(rows, *fault, lasting)).collect();
        let widths: Vec<usize> =
            columns.iter().map(|cells| cells.iter().map(String::len).max().unwrap_or_default()).collect();
        for (fault, width) in Fault::ALL.iter().zip(&widths) {
            text += &format!("  {:<width$}", format!("{fault:?}"), width = (*width).max(9));
        }
        for (at, (position, _)) in rows.iter().enumerate() {
            let turn = if position.turn > 1 { format!(" {}", position.turn) } else { String::new() };
            text += &format!("\n{:<9} {:<30}", format!("{:?}", position.step), format!("{}{turn}", position.operation));
            for (column, width) in columns.iter().zip(&widths) {
                text += &format!("  {:<width$}", column[at], width = (*width).max(9));
            }
        }
        text += "\n";
    }
    println!("{text}");
}

fn name(lasting: Lasting) -> &'static str {
    match lasting {
        Lasting::Once => "once",
        Lasting::TenSeconds => "for ten seconds",
        Lasting::ForGood => "for good",
    }
}

fn column(rows: &[(Position, Vec<Cell>)], fault: Fault, lasting: Lasting) -> Vec<String> {
    let of = |cells: &[Cell]| {
        let cell = cells.iter().find(|cell| cell.fault == fault && cell.lasting == lasting);
        cell.map_or_else(|| "·".to_owned(), short)
    };
    rows.iter().map(|(_, cells)| of(cells)).collect()
}

/// The job's own word is `done`; nothing is said twice.
fn short(cell: &Cell) -> String {
    let mut told = cell.told.clone();
    for (word, done) in [("repaired", "done"), ("restored", "done"), ("removed roleDeleted", "done")] {
        told = told.replace(word, done);
    }
    told
}
