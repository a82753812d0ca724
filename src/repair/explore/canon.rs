//! When are two states the same? If they differ in names only: numbers of entries, roles and clusters are renamed by their
//! order, versions likewise, and a moment counts by how many pauses it is ago.
//!
//! The state is printed as `Debug` prints it, which no new field escapes, and renamed in the text.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::invocation::Invocation;
use super::world::Truth;

/// What is renamed: what stands before the number, and whether numbers of this kind count by their order or by their age.
const MARKS: [(&str, Kind); 7] = [
    ("viewer/E", Kind::Number),
    ("\"R", Kind::Number),
    ("N(", Kind::Number),
    ("2000-01-01 0:00:", Kind::Number),
    ("version: ", Kind::Version),
    ("2020-01-", Kind::Moment),
    ("expires_at: Some(", Kind::Constant),
];

/// A pause lasts 25 s; after three of them a moment is long ago.
const PAUSE: i64 = 25;
const LONG_AGO: i64 = 3;

/// The clock begins here, and never leaves the month.
const FIRST_OF_JANUARY: i64 = 1_577_836_800;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Version,
    Moment,
    Constant,
}

struct Found {
    from: usize,
    to: usize,
    kind: Kind,
    value: i64,
}

/// The state's name: equal for states that differ in names only.
pub(super) fn name(truth: &Truth, invocations: &[Invocation]) -> u128 {
    let mut text = String::with_capacity(8_192);
    let _ = write!(
        text,
        "{:?}{:?}{:?}{:?}{:?}{}{}",
        truth.entry, truth.role, truth.cluster, truth.row, truth.will, truth.is_unclear, truth.is_taken_for_others
    );
    for invocation in invocations {
        let _ = write!(text, "{invocation:?}");
    }
    hash(&text, truth.now.unix_timestamp())
}

/// The name of what is, without who is at work.
pub(super) fn name_of_world(truth: &Truth) -> u128 {
    let mut text = String::with_capacity(4_096);
    let _ = write!(text, "{:?}{:?}{:?}{:?}", truth.entry.is, truth.role.is, truth.cluster.is, truth.row);
    hash(&text, truth.now.unix_timestamp())
}

fn hash(text: &str, now: i64) -> u128 {
    let found = find(text);
    let order = |kind: Kind| {
        let mut values: Vec<i64> = found.iter().filter(|it| it.kind == kind).map(|it| it.value).collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    let (numbers, versions) = (order(Kind::Number), order(Kind::Version));
    let now = now - FIRST_OF_JANUARY;
    let mut hashers = [DefaultHasher::new(), DefaultHasher::new()];
    hashers[1].write_u8(1);
    let mut from = 0;
    for it in &found {
        let value = match it.kind {
            Kind::Number => numbers.binary_search(&it.value).map_or(-1, place),
            Kind::Version => versions.binary_search(&it.value).map_or(-1, place),
            Kind::Moment => ((now + 86_400 - it.value) / PAUSE).min(LONG_AGO),
            Kind::Constant => 0,
        };
        for hasher in &mut hashers {
            hasher.write(&text.as_bytes()[from..it.from]);
            value.hash(hasher);
        }
        from = it.to;
    }
    for hasher in &mut hashers {
        hasher.write(&text.as_bytes()[from..]);
    }
    let [low, high] = hashers.map(|hasher| u128::from(hasher.finish()));
    high << 64 | low
}

fn place(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn find(text: &str) -> Vec<Found> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mark = match bytes[at] {
            b'v' | b'"' | b'N' | b'2' | b'e' => MARKS.iter().find(|(mark, _)| bytes[at..].starts_with(mark.as_bytes())),
            _ => None,
        };
        let Some((mark, kind)) = mark else {
            at += 1;
            continue;
        };
        let from = at + mark.len();
        let mut to = from;
        let mut value = 0;
        let mut part = 0;
        // "D H:MM:SS" is a number of seconds.
        while let Some(byte) = bytes.get(to) {
            match byte {
                b'0'..=b'9' => part = part * 10 + i64::from(byte - b'0'),
                b' ' | b':' if *kind == Kind::Moment && bytes.get(to + 1).is_some_and(u8::is_ascii_digit) => {
                    value = (value + part) * if *byte == b' ' { 24 } else { 60 };
                    part = 0;
                }
                _ => break,
            }
            to += 1;
        }
        if to > from {
            found.push(Found { from, to, kind: *kind, value: value + part });
        }
        at = to;
    }
    found
}
