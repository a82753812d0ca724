//! A report of the function, for people and spreadsheets. It came over the wire, so every text in it is foreign.

use std::fmt::Write as _;

use access_entry_guard::deployed::FunctionNamed;
use serde_json::Value;

use crate::output::{Format, Sheet, shown, shown_lines};
use crate::stop::Stop;

/// A report in another form than JSON.
pub(super) fn as_text(report: &Value, summary: &str, format: Format, function: &FunctionNamed) -> Result<String, Stop> {
    let entries = report["entries"].as_array().map_or(&[][..], Vec::as_slice);
    match format {
        Format::Markdown => Ok(whole(entries).markdown()),
        Format::Csv => whole(entries).csv(),
        Format::Table | Format::Json | Format::Html => Ok(for_people(report, entries, summary, function)),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Everything about each entry, in one row.
fn whole(entries: &[Value]) -> Sheet {
    const COLUMNS: [&str; 10] =
        ["verdict", "outcome", "reason", "principalArn", "clusterName", "region", "type", "roleId", "detail", "remedy"];
    let row = |entry: &Value| COLUMNS.iter().map(|column| text(entry, column).to_owned()).collect();
    Sheet { columns: COLUMNS.to_vec(), rows: entries.iter().map(row).collect() }
}

/// The entries, worst first as the function sent them; what to do about each; what was not seen; and one line about it all.
fn for_people(report: &Value, entries: &[Value], summary: &str, function: &FunctionNamed) -> String {
    let mut out = String::new();
    if !entries.is_empty() {
        let row = |entry: &Value| {
            let outcome = match (text(entry, "outcome"), text(entry, "reason")) {
                ("none", reason) => reason.to_owned(),
                (outcome, "") => outcome.to_owned(),
                (outcome, reason) => format!("{outcome}: {reason}"),
            };
            let columns = ["verdict", "principalArn", "clusterName", "region", "type"];
            columns.iter().map(|column| text(entry, column).to_owned()).chain([outcome]).collect()
        };
        let columns = vec!["entry", "principal", "cluster", "region", "type", "outcome"];
        let sheet = Sheet { columns, rows: entries.iter().map(row).collect() };
        let _ = writeln!(out, "{}", sheet.table());
    }
    for entry in entries {
        describe(&mut out, entry, function);
    }
    let spots = report["blindSpots"].as_array().map_or(&[][..], Vec::as_slice);
    if !spots.is_empty() {
        let _ = writeln!(out, "\nNot seen:");
    }
    for spot in spots {
        let place = match text(spot, "clusterName") {
            "" => text(spot, "region").to_owned(),
            cluster => format!("{}, cluster {cluster}", text(spot, "region")),
        };
        let _ = writeln!(out, "  {}: {} ({})", shown(&place), shown(text(spot, "reason")), shown(text(spot, "detail")));
    }
    if report["forgotten"].is_object() {
        let row = serde_json::to_string_pretty(&report["forgotten"]).unwrap_or_default();
        let _ = writeln!(out, "The row as it was stored:\n{}", shown_lines(&row));
    }
    let gap = if out.is_empty() { "" } else { "\n" };
    let _ = writeln!(out, "{gap}{}", shown(summary));
    out
}

fn describe(out: &mut String, entry: &Value, function: &FunctionNamed) {
    if text(entry, "detail").is_empty() && text(entry, "remedy").is_empty() {
        return;
    }
    let place = format!("{} in {}, {}", text(entry, "principalArn"), text(entry, "clusterName"), text(entry, "region"));
    let _ = writeln!(out, "\n{}", shown(&place));
    if !text(entry, "detail").is_empty() {
        let _ = writeln!(out, "  {}", shown(text(entry, "detail")));
    }
    if !text(entry, "roleCreatedBy").is_empty() {
        let creator = shown(text(entry, "roleCreatedBy"));
        let _ = writeln!(
            out,
            "  The event names as the role's creator: {creator}. If a person sends an event, this does not count."
        );
    }
    if !text(entry, "claimedBy").is_empty() {
        let _ = writeln!(out, "  Asked for by someone who claims to be {}", shown(text(entry, "claimedBy")));
    }
    if !text(entry, "remedy").is_empty() {
        let remedy = shown_lines(text(entry, "remedy"));
        let Some(asking) = function.asking_first(entry) else {
            let _ = writeln!(out, "  The remedy:\n\n{remedy}");
            return;
        };
        let asking = shown(&asking);
        let _ = writeln!(
            out,
            "  The remedy, which shows the role and the entry and asks first:\n\n{asking}\n\n  The same at once, with the AWS CLI \
             alone:\n\n{remedy}"
        );
    }
}

#[cfg(test)]
mod tests {
    use access_entry_guard::deployed::FunctionNamed;
    use access_entry_guard::model::Home;
    use serde_json::json;

    use super::as_text;
    use crate::output::Format;

    fn function() -> FunctionNamed {
        let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
        FunctionNamed::parse("access-entry-guard", None, &home).expect("a name")
    }

    #[test]
    fn what_comes_from_an_account_moves_no_cursor() {
        let evil = "x\u{1b}[2Jy\u{202e}z";
        let report = json!({
            "entries": [{
                "verdict": "stale", "outcome": "held", "reason": evil, "principalArn": evil, "clusterName": evil, "region": evil,
                "type": evil, "detail": evil, "remedy": evil, "roleCreatedBy": evil, "claimedBy": evil,
            }],
            "blindSpots": [{"region": evil, "clusterName": evil, "reason": evil, "detail": evil}],
            "forgotten": {"note": evil},
        });
        for format in [Format::Table, Format::Markdown] {
            let text = as_text(&report, evil, format, &function()).expect("a text");
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        }
    }

    #[test]
    fn a_remedy_of_two_lines_is_two_lines() {
        let entry = json!({"verdict": "stale", "outcome": "held", "remedy": "# First deploy.\naws lambda invoke"});
        let text = as_text(&json!({"entries": [entry]}), "1 held.", Format::Table, &function()).expect("a text");
        assert!(text.lines().any(|line| line == "aws lambda invoke"), "{text}");
    }

    #[test]
    fn a_table_says_what_to_do_and_ends_with_one_line() {
        let report = json!({
            "entries": [
                {"verdict": "stale", "outcome": "held", "reason": "privileged", "principalArn": "arn:aws:iam::111122223333:role/node",
                 "clusterName": "prod", "region": "eu-west-1", "detail": "Look at it.", "remedy": "aws lambda invoke …"},
                {"verdict": "fresh", "outcome": "none", "principalArn": "arn:aws:iam::111122223333:role/ci"},
            ],
            "blindSpots": [{"region": "eu-west-2", "reason": "accessDenied", "detail": "ListClusters"}],
        });
        let text = as_text(&report, "1 held.", Format::Table, &function()).expect("a text");
        let order = [
            "held: privileged",
            "Look at it.",
            "aws lambda invoke …",
            "Not seen:",
            "eu-west-2: accessDenied",
            "1 held.",
        ];
        let places: Vec<usize> = order.iter().map(|words| text.find(words).expect(words)).collect();
        assert!(places.is_sorted() && text.ends_with("\n1 held.\n"), "{text}");
    }
}
