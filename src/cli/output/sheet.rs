//! A list as a table, as Markdown and as CSV.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{shown, shown_lines};
use crate::stop::Stop;

/// The columns of a sentence in a table that is printed to no terminal.
const WIDEST_PROSE: u16 = 80;

/// A list with named columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sheet {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Sheet {
    /// A table as wide as the terminal. In a file or a pipe, sentences are wrapped, and no word is broken: names can be
    /// searched for.
    pub(crate) fn table(&self) -> String {
        self.table_for(console::Term::stdout().size_checked().map(|(_, width)| width))
    }

    fn table_for(&self, terminal: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(self.columns.iter().map(|name| name.to_uppercase()));
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| shown_lines(cell)).collect()).collect();
        if let Some(width) = terminal {
            table.set_width(width);
        } else {
            // Wider than all columns together, so that only their own limits count.
            table.set_width(u16::MAX);
            for (index, column) in table.column_iter_mut().enumerate() {
                let words = rows.iter().filter_map(|row| row.get(index)).flat_map(|cell| cell.split_whitespace());
                let longest = words.map(console::measure_text_width).max().unwrap_or_default();
                let width = u16::try_from(longest).unwrap_or(u16::MAX).max(WIDEST_PROSE);
                // The padding of a cell counts as its width.
                column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width.saturating_add(2))));
            }
        }
        table.add_rows(rows);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_sentences_are_wrapped_and_no_name_is_broken() {
        let arn = format!("arn:aws:iam::111122223333:role/{}", "long-".repeat(20));
        let sentence = "The entry belongs to the role that was deleted. ".repeat(9);
        let sheet = Sheet { columns: vec!["role", "detail"], rows: vec![vec![arn.clone(), sentence]] };
        let table = sheet.table_for(None);
        assert!(table.contains(&arn), "{table}");
        let widest = table.lines().map(console::measure_text_width).max().unwrap_or_default();
        assert!(widest <= arn.len() + usize::from(WIDEST_PROSE) + 8, "{widest}: {table}");
        assert!(table.lines().count() > 6, "{table}");
    }
}
