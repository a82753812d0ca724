//! `src/docs/reference.md` is held to the code: its tables of reasons are the closed lists.

use access_entry_guard::blind_spot::BlindSpot;
use access_entry_guard::outcome::{Delay, Doubt, Failure, Gone, Hold, Precedence};

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/reference.md"));

fn first_column(heading: &str) -> Vec<String> {
    let (_, chapter) = REFERENCE.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let chapter = chapter.split("\n#").next().unwrap();
    chapter
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(label, _)| label.to_owned())
        .collect()
}

#[test]
fn the_reference_lists_every_reason() {
    let kinds: [&[&str]; 6] =
        [&Hold::LABELS, &Delay::LABELS, &Failure::LABELS, &Doubt::LABELS, &Precedence::LABELS, &Gone::LABELS];
    assert_eq!(first_column("Reasons"), kinds.concat());
}

#[test]
fn the_reference_lists_every_kind_of_blind_spot() {
    assert_eq!(first_column("Blind spots"), BlindSpot::LABELS);
}
