//! The matrix as a table for people: a row for each call, a column for each fault, one table for each duration.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

use super::{Cell, Fault, Lasting, Position};
use crate::jobs::Job;

const LEGEND: &str = "done: as if nothing had failed. !: the invocation fails, and is retried. blind: a blind spot. error: no report but \
                      an error of this name. Anything else is outcome and reason of the entry in the report.";

/// Prints a job's matrix.
pub(super) fn print(job: Job, rows: &[(Position, Vec<Cell>)]) {
    let cells: usize = rows.iter().map(|(_, cells)| cells.len()).sum();
    let mut lines = vec![format!("\n{job:?}: {} calls, {cells} cells. {LEGEND}", rows.len())];
    for lasting in Lasting::ALL {
        let columns = Fault::ALL.map(|fault| column(rows, fault, lasting));
        let wide = |cells: &Vec<String>| cells.iter().map(String::len).max().unwrap_or_default().max(9);
        let widths: Vec<usize> = columns.iter().map(wide).collect();
        let line = |cells: Vec<String>| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:<width$}"));
            padded.collect::<String>()
        };
        let faults = Fault::ALL.iter().map(|fault| format!("{fault:?}")).collect();
        lines.push(format!("\n{:<40}{}", format!("{job:?}, {}", name(lasting)), line(faults)));
        for (at, (position, _)) in rows.iter().enumerate() {
            let turn = if position.turn > 1 { format!(" {}", position.turn) } else { String::new() };
            let call = format!("{}{turn}", position.operation);
            let cells = columns.iter().map(|column| column[at].clone()).collect();
            lines.push(format!("{:<9} {call:<30}{}", format!("{:?}", position.step), line(cells)));
        }
    }
    println!("{}\n", lines.join("\n"));
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
