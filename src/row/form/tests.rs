//! Rows that this version and the earlier ones stored, one file each in `stored/`, with what they must be read as; and what
//! this version writes, by the reader of the version before.

mod earlier;
mod written;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::*;

/// A stored row, and what it is read as.
#[derive(Deserialize)]
struct File {
    reads: String,
    row: Map<String, Value>,
}

fn home() -> Home {
    Home { partition: "aws".to_owned(), account: "111122223333".to_owned() }
}

/// A moment before any archive of the files expires that has not expired yet.
fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_711_000_000).unwrap()
}

fn files() -> Vec<(String, File)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/row/form/stored");
    let read = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

/// A row in the words of the files.
fn words(read: &RowRead) -> String {
    let row = match read {
        RowRead::Absent => return "absent".to_owned(),
        RowRead::Expired(_) => return "expired".to_owned(),
        RowRead::Unfit(row, because) => {
            assert!(row.archived().is_some(), "what does not fit is read as archived");
            return format!("unfit: {because}");
        }
        RowRead::Invalid(because) => return format!("invalid: {because}"),
        RowRead::Unavailable(fault) => return format!("invalid: {fault}"),
        RowRead::Row(row) => row,
    };
    let mut words = Vec::new();
    match &row.state {
        State::Recorded(recorded) => {
            words.push("recorded".to_owned());
            words.extend(recorded.good.as_ref().map(|_| "good".to_owned()));
        }
        State::Archived(archived) => {
            words.push(format!("archived {}", archived.because).trim_end().to_owned());
            words.extend(archived.good.as_ref().map(|_| "good".to_owned()));
            words.extend(archived.created.as_ref().map(|_| "created".to_owned()));
            let by = |removal: &Removal| removal.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            words.extend(archived.removal.as_ref().map(|removal| format!("removal{}", by(removal))));
            words.extend(archived.standing.as_ref().map(|_| "standing".to_owned()));
        }
        State::Repairing(repair) => {
            let target = match &repair.target {
                Target::OfOwner(_) => "OfOwner",
                Target::OfOurs(_) => "OfOurs",
                Target::None(_) => "None",
            };
            let phase = match &repair.phase {
                Phase::Opened => "Opened",
                Phase::DeletionSent { .. } => "DeletionSent",
                Phase::CreationSent { .. } => "CreationSent",
                Phase::Created { .. } => "Created",
            };
            let before = match &repair.before {
                Before::Nothing => "Nothing",
                Before::Recorded(_) => "Recorded",
                Before::Archived(_) => "Archived",
                Before::Restore(None) => "Restore",
                Before::Restore(Some(_)) => "Restore of an archive",
            };
            words.extend([format!("repairing {target}"), phase.to_owned(), format!("before {before}")]);
            words.extend(repair.lease.as_ref().map(|_| "leased".to_owned()));
            words.extend(repair.role_absent_since.map(|_| "role absent".to_owned()));
        }
    }
    words.join(", ")
}

#[test]
fn every_stored_form_is_read_as_it_is_meant() {
    let files = files();
    assert!(files.len() >= 37, "{} stored rows", files.len());
    for (name, file) in files {
        assert_eq!(words(&Row::read(file.row, &home(), now())), file.reads, "{name}");
    }
}

#[test]
fn a_row_in_order_is_written_as_it_was_read_and_is_the_same_row() {
    for (name, file) in files() {
        let RowRead::Row(row) = Row::read(file.row, &home(), now()) else { continue };
        let again = Row::read(row.to_item(), &home(), now());
        assert_eq!(again, RowRead::Row(row), "{name}");
    }
}

#[test]
fn what_could_grant_is_refused_whatever_else_fits() {
    for (name, file) in files() {
        for attribute in ["permittedRoleId", "grounds", "snapshot", "accessEntryArn", "clusterCreatedAt"] {
            let mut item = file.row.clone();
            if item.get("state") != Some(&Value::from("repairing")) || item.remove(attribute).is_none() {
                continue;
            }
            let read = Row::read(item, &home(), now());
            assert!(matches!(read, RowRead::Invalid(_)), "{name} without {attribute}");
        }
    }
}
