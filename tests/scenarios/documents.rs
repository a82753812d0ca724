//! The README is held to the code: its tables of reasons are the closed lists.

use access_entry_guard::discovery::BlindSpot;
use access_entry_guard::outcome::Reason;

const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));

fn first_column(heading: &str) -> Vec<String> {
    let (_, chapter) = README.split_once(&format!("\n### {heading}\n")).expect("the heading");
    let chapter = chapter.split("\n#").next().unwrap();
    chapter
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(label, _)| label.to_owned())
        .collect()
}

#[test]
fn the_readme_lists_every_reason() {
    assert_eq!(first_column("Reasons"), Reason::LABELS);
}

#[test]
fn the_readme_lists_every_kind_of_blind_spot() {
    assert_eq!(first_column("Blind spots"), BlindSpot::LABELS);
}
