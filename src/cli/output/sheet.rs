//! A list as a table, as Markdown and as CSV.

use comfy_table::{ContentArrangement, Table, presets};

use super::shown;
use crate::stop::Stop;

/// A list with named columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sheet {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Sheet {
    /// A table as wide as the terminal, if there is one.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        if let Some((_, width)) = console::Term::stdout().size_checked() {
            table.set_width(width);
        }
        table.set_header(self.columns.iter().map(|name| name.to_uppercase()));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| cell.split('\n').map(shown).collect::<Vec<_>>().join("\n")));
        }
        table.to_string()
    }

    /// A Markdown table.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.columns.iter().map(|&name| name.to_owned()).collect());
        text += &line(self.columns.iter().map(|_| "---".to_owned()).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| markdown_cell(cell)).collect());
        }
        text
    }

    /// CSV as RFC 4180 has it, safe to open in a spreadsheet.
    pub(crate) fn csv(&self) -> Result<String, Stop> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let problem = |error: &dyn std::fmt::Display| Stop::because(format!("the CSV could not be made: {error}"));
        writer.write_record(&self.columns).map_err(|error| problem(&error))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| csv_cell(cell))).map_err(|error| problem(&error))?;
        }
        let bytes = writer.into_inner().map_err(|error| problem(&error))?;
        String::from_utf8(bytes).map_err(|error| problem(&error))
    }
}

/// Markdown cells escape what would end the cell, begin code or begin HTML.
fn markdown_cell(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for line in cell.split('\n') {
        if !text.is_empty() {
            text.push_str("<br>");
        }
        for c in shown(line).chars() {
            match c {
                '|' | '`' | '<' => text.extend(['\\', c]),
                '\\' => text.push_str("\\\\"),
                c => text.push(c),
            }
        }
    }
    text
}

/// A spreadsheet takes these beginnings for a formula.
fn csv_cell(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}
