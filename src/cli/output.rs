//! How results are printed. What comes from AWS accounts (names, groups, tags) is data in every format: nothing of it can
//! move a cursor, start a formula or end a string.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;

use crate::stop::Stop;

mod page;
mod sheet;
mod text;

pub(crate) use page::Page;
pub(crate) use sheet::Sheet;
pub(crate) use text::{shown, shown_lines};

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: the default on a terminal.
    Table,
    /// For programs: the default everywhere else.
    Json,
    /// A table for a ticket or a wiki.
    Markdown,
    /// For a spreadsheet.
    Csv,
    /// One self-contained page.
    Html,
}

/// The option that chooses the form.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Output {
    /// Output format [default: table on a terminal, json otherwise]
    #[arg(long, value_enum)]
    output: Option<Format>,
}

impl Output {
    pub(crate) fn format(self) -> Format {
        let default = || if std::io::stdout().is_terminal() { Format::Table } else { Format::Json };
        self.output.unwrap_or_else(default)
    }
}

/// Writes a result to standard output. Whoever reads it may stop reading.
pub(crate) fn print(text: &str) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    let written =
        out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes JSON as people read it.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Stop> {
    print(&serde_json::to_string_pretty(value).unwrap_or_default())
}
