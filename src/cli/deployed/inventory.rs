//! `inventory`: the ledger's list, page by page to its end.

use std::fmt::Write as _;

use access_entry_guard::deployed::{Answer, Word, counted, meaning};
use access_entry_guard::model::Region;
use access_entry_guard::row::form::rfc3339;
use serde_json::Value;
use time::OffsetDateTime;

use super::arguments::Inventory;
use super::{Guard, Payload};
use crate::output::{Format, Page, Sheet, print, shown};
use crate::session::Session;
use crate::stop::Stop;

/// The columns of a spreadsheet. Others read them by name: none is renamed, and new ones come last.
const COLUMNS: [&str; 10] =
    ["principalArn", "region", "clusterName", "type", "grants", "state", "createdAt", "roleId", "verifiedAt", "known"];

/// The list as far as it was asked for.
struct List {
    /// The answer: the only page as it came, or the first with the rows of all.
    whole: Value,
    /// The only page, byte for byte.
    unchanged: Option<Vec<u8>>,
}

/// Reads the pages, prints the list, and gives the exit status.
pub(super) async fn run(session: &Session, arguments: Inventory) -> Result<u8, Stop> {
    let guard = Guard::find(session, &arguments.which)?;
    let principal = guard.role_if_named(arguments.role.as_deref()).await?;
    if let Some(region) = arguments.region.as_ref().filter(|region| Region::parse(region).is_none()) {
        return Err(Stop(format!("{region:?} is not the name of a Region; give one such as eu-west-1")));
    }
    let filter = [
        ("role", "principalArn", principal),
        ("cluster", "clusterName", arguments.cluster),
        ("Region", "region", arguments.region),
    ];
    let format = arguments.output.format();
    let list = read(&guard, &filter, arguments.next_token, arguments.limit).await?;
    let rows = list.whole["inventory"].as_array().map_or(&[][..], Vec::as_slice);
    match (format, &list.unchanged) {
        (Format::Json, Some(bytes)) => print(&String::from_utf8_lossy(bytes))?,
        (Format::Json, None) => print(&list.whole.to_string())?,
        (Format::Table, _) => print(&for_people(&list.whole, rows))?,
        (Format::Markdown, _) => print(&sheet(rows).markdown())?,
        (Format::Csv, _) => print(&sheet(rows).csv()?)?,
        (Format::Html, _) => print(&page(&list.whole, rows).html())?,
    }
    // Whoever misspells a cluster must not read that nobody has access to it.
    let named = filter.iter().filter_map(|(what, _, value)| Some(format!("{what} {}", shown(value.as_deref()?))));
    let named: Vec<String> = named.collect();
    if rows.is_empty() && !named.is_empty() {
        eprintln!(
            "access-entry-guard: the ledger has no row of {}. It does not know whether there is such a thing: check the name, \
             then ask access-entry-guard scan",
            named.join(", ")
        );
    }
    if format != Format::Json && format != Format::Table && list.whole["nextToken"].is_string() {
        let token = list.whole["nextToken"].as_str().unwrap_or_default();
        eprintln!("access-entry-guard: there are more rows; continue with --next-token '{}'", shown(token));
    }
    Ok(0)
}

/// Reads the list, page by page. The filter: what it is called, its member of the payload, and its value.
async fn read(
    guard: &Guard<'_>,
    filter: &[(&str, &str, Option<String>)],
    mut token: Option<String>,
    limit: Option<u32>,
) -> Result<List, Stop> {
    let mut list: Option<List> = None;
    loop {
        let mut payload = Payload::of(Word::Inventory);
        for (_, name, value) in filter {
            payload.set(name, value.clone());
        }
        payload.set("nextToken", token.take());
        let reply = guard.send(Word::Inventory, payload.bytes()).await?;
        let answer = Answer::read(Word::Inventory, &reply.payload, reply.is_error);
        let Answer::Report(page) = answer else { return Err(Stop(meaning(Word::Inventory, &answer, &[]).summary)) };
        token = page["nextToken"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        let so_far = match list.take() {
            None => List { whole: page, unchanged: Some(reply.payload) },
            Some(before) => List { whole: together(before.whole, page), unchanged: None },
        };
        let rows = so_far.whole["inventory"].as_array().map_or(0, Vec::len);
        if token.is_none() || limit.is_some_and(|limit| rows >= limit as usize) {
            return Ok(so_far);
        }
        list = Some(so_far);
    }
}

/// One answer out of two that follow each other: the first, with the rows of both, and the place where the second ended.
fn together(mut first: Value, mut second: Value) -> Value {
    let more = second["inventory"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if let Some(rows) = first["inventory"].as_array_mut() {
        rows.extend(more);
    }
    if let Some(members) = first.as_object_mut() {
        match second["nextToken"].take() {
            Value::Null => members.remove("nextToken"),
            token => members.insert("nextToken".to_owned(), token),
        };
    }
    first
}

/// A row's member as a cell: a text as it is, nothing for what is not there.
fn cell(row: &Value, column: &str) -> String {
    match &row[column] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn sheet(rows: &[Value]) -> Sheet {
    let row = |row: &Value| {
        let of = |&column: &&str| if column == "grants" { grants(row) } else { cell(row, column) };
        COLUMNS.iter().map(of).collect()
    };
    Sheet { columns: COLUMNS.to_vec(), rows: rows.iter().map(row).collect() }
}

fn for_people(whole: &Value, rows: &[Value]) -> String {
    let row = |row: &Value| {
        let known = match cell(row, "known") {
            none if none.is_empty() => cell(row, "state"),
            known => known,
        };
        let cells = ["principalArn", "clusterName", "region", "type"].map(|column| cell(row, column));
        cells.into_iter().chain([grants(row), known, cell(row, "verifiedAt")]).collect()
    };
    let columns = vec!["principal", "cluster", "region", "type", "grants", "known", "verified"];
    let mut out = String::new();
    if !rows.is_empty() {
        let _ = writeln!(out, "{}\n", Sheet { columns, rows: rows.iter().map(row).collect() }.table());
    }
    let _ = writeln!(
        out,
        "{}. An entry that the function has never found good is not in its ledger; access-entry-guard scan \
         shows it.",
        counted(rows.len(), "row", "rows")
    );
    if let Some(token) = whole["nextToken"].as_str() {
        let _ = writeln!(out, "There are more rows. Continue with --next-token '{}'", shown(token));
    }
    out
}

/// The list as a page.
fn page(whole: &Value, rows: &[Value]) -> Page {
    let with_known = |row: &Value| {
        let mut row = row.clone();
        if row["known"].is_null() {
            row["known"] = row["state"].clone();
        }
        row
    };
    let is = |word: &str| rows.iter().filter(|row| row["known"] == word).count();
    let mut scope = vec![
        "From the ledger of the deployed function. An entry that the function has never found good is not in the \
         ledger; access-entry-guard scan shows it."
            .to_owned(),
    ];
    if whole["nextToken"].is_string() {
        scope.push("This is a part of the list.".to_owned());
    }
    Page {
        title: "Who has access, according to the ledger",
        account: whole["accountId"].as_str().unwrap_or_default().to_owned(),
        made_at: rfc3339(OffsetDateTime::now_utc()),
        scope,
        counts: vec![("rows", rows.len()), ("role recreated", is("roleRecreated")), ("role gone", is("roleGone"))],
        findings: Vec::new(),
        access: rows.iter().map(with_known).collect(),
        blind_spots: None,
    }
}

/// Groups and access policies with their scopes, in a few words.
pub(super) fn grants(row: &Value) -> String {
    let none = Vec::new();
    let list = |name: &str| row[name].as_array().unwrap_or(&none);
    let groups = list("kubernetesGroups").iter().filter_map(Value::as_str).map(|group| format!("group {group}"));
    let policies = list("accessPolicies").iter().map(|policy| {
        let name = policy["policyArn"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        let scope = &policy["accessScope"];
        let namespaces: Vec<&str> =
            scope["namespaces"].as_array().unwrap_or(&none).iter().filter_map(Value::as_str).collect();
        let place = if namespaces.is_empty() {
            scope["type"].as_str().unwrap_or_default().to_owned()
        } else {
            namespaces.join(",")
        };
        format!("{name} ({place})")
    });
    groups.chain(policies).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{sheet, together};

    fn row() -> Value {
        json!({
            "region": "eu-west-1", "clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/team/node",
            "state": "recorded", "type": "STANDARD", "username": null, "kubernetesGroups": ["ops"],
            "accessPolicies": [{
                "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                "accessScope": {"type": "namespace", "namespaces": ["a", "b"]},
            }],
            "createdAt": "2026-06-01T08:00:00Z", "roleId": "AROANODE", "verifiedAt": "2026-06-24T04:30:00Z",
        })
    }

    #[test]
    fn a_spreadsheet_has_the_columns_that_others_read() {
        let broken = json!({"region": "eu-west-1", "clusterName": "dev", "principalArn": "p", "state": "invalid", "detail": "no form"});
        let csv = sheet(&[row(), broken]).csv().expect("a text");
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "principalArn,region,clusterName,type,grants,state,createdAt,roleId,verifiedAt,known");
        assert_eq!(
            lines[1],
            "arn:aws:iam::111122223333:role/team/node,eu-west-1,prod,STANDARD,\"group ops; AmazonEKSViewPolicy (a,b)\",recorded,\
             2026-06-01T08:00:00Z,AROANODE,2026-06-24T04:30:00Z,"
        );
        assert_eq!(lines[2], "p,eu-west-1,dev,,,invalid,,,,");
    }

    #[test]
    fn pages_become_one_answer_without_a_next_one() {
        let page = |name: &str, token: Value| json!({"command": "inventory", "inventory": [{"principalArn": name}], "nextToken": token});
        let both = together(page("a", json!("1")), json!({"inventory": [{"principalArn": "b"}]}));
        assert_eq!(both, json!({"command": "inventory", "inventory": [{"principalArn": "a"}, {"principalArn": "b"}]}));
        let more = together(page("a", json!("1")), page("b", json!("2")));
        assert_eq!(more["nextToken"], "2");
    }
}
