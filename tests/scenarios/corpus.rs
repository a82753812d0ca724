//! The inputs that fuzzing found worth keeping (`tests/fuzz/corpus`, made by `make fuzz`), held to the same oracle as
//! there: whoever changes a parser sees at once what it once took a fuzzer to find.

#[path = "../fuzz/oracle.rs"]
mod oracle;

use std::path::Path;

/// How many inputs of a kind are kept, at least and at most.
const KEPT: std::ops::RangeInclusive<usize> = 10..=60;

fn replay(kind: &str, holds: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(kind);
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        assert!(holds(&input), "{} is not of the kind that is read at all", path.display());
        seen += 1;
    }
    assert!(KEPT.contains(&seen), "{seen} inputs of {kind}");
}

#[test]
fn payloads_that_fuzzing_kept_are_read_as_they_must_be() {
    replay("payload", oracle::payload);
}

#[test]
fn the_sample_events_are_read_as_they_must_be() {
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events")).unwrap() {
        assert!(oracle::payload(&std::fs::read(file.unwrap().path()).unwrap()));
    }
}

#[test]
fn ledger_rows_that_fuzzing_kept_are_read_as_they_must_be() {
    replay("row", oracle::row);
}

#[test]
fn trust_policies_that_fuzzing_kept_are_read_as_they_must_be() {
    replay("trust", oracle::trust);
}

#[test]
fn settings_that_fuzzing_kept_are_read_as_they_must_be() {
    replay("settings", oracle::settings);
}
