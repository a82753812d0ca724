//! What is done first, for each row, verdict and purpose.

use std::collections::BTreeMap;

use super::*;
use crate::model::{Cluster, Principal, RoleState};
use crate::repair::decide::tests::worlds::rows;
use crate::repair::fixture;
use crate::row::{Archived, Row, State};
use crate::verdict::Evidence;

const STALE: Verdict = Verdict::Stale(Evidence::Dates);

fn sighting(row: RowRead) -> Sighting {
    Sighting {
        at: fixture::at(),
        cluster: Some(Cluster { tags: BTreeMap::new(), ..fixture::cluster(0) }),
        principal: Principal::Role(fixture::principal()),
        entry: Some(fixture::entry(1, &["viewers"], &[])),
        row,
        role: RoleState::Present(fixture::role(3)),
        role_read_at: fixture::now(),
    }
}

fn row(state: State) -> RowRead {
    RowRead::Row(Box::new(Row::new(&fixture::principal(), &fixture::at(), 1, state)))
}

fn archived(because: &str, created: Option<&str>) -> RowRead {
    row(State::Archived(Box::new(Archived {
        wanted: fixture::entry(1, &["viewers"], &[]).snapshot(),
        entry_arn: fixture::arn(1),
        cluster_created_at: fixture::born(0),
        because: because.to_owned(),
        at: None,
        expires_at: None,
        created: created.map(str::to_owned),
        removal: None,
        good: None,
        standing: None,
    })))
}

fn purposes() -> [Purpose; 3] {
    let role_id = fixture::role_id(3);
    [Purpose::Act { creators: Vec::new() }, Purpose::Approve { role_id: role_id.clone() }, Purpose::Restore { role_id }]
}

fn label(first: &First) -> String {
    match first {
        First::Report(outcome) => format!("{} {}", outcome.label(), outcome.reason().unwrap_or_default()),
        First::Restore(..) => "restore".to_owned(),
        First::Resume(..) => "resume".to_owned(),
        First::Open(_) => "open".to_owned(),
        First::Record => "record".to_owned(),
        First::Orphaned(_) => "orphaned".to_owned(),
    }
}

/// What is first for an act, an approval and a restore.
fn firsts(sighting: &Sighting, verdict: &Verdict) -> [String; 3] {
    purposes().map(|purpose| label(&first(sighting, verdict, &purpose, false)))
}

#[test]
fn a_row_that_cannot_be_trusted_comes_first_and_only_a_restore_reads_one_that_does_not_fit() {
    let invalid = sighting(RowRead::Invalid("x".to_owned()));
    assert_eq!(firsts(&invalid, &STALE), ["held ledgerRowInvalid"; 3]);
    let RowRead::Row(kept) = archived("roleGone", None) else { panic!("a row") };
    let unfit = sighting(RowRead::Unfit(kept, "x".to_owned()));
    assert_eq!(firsts(&unfit, &STALE), ["held ledgerRowInvalid", "held ledgerRowInvalid", "restore"]);
}

#[test]
fn an_unfinished_repair_goes_on_before_its_entry_is_judged() {
    let open = sighting(row(State::Repairing(Box::new(rows().remove(0)))));
    assert_eq!(firsts(&open, &Verdict::Fresh(Evidence::Dates)), ["resume", "resume", "restore"]);
}

#[test]
fn an_entry_that_nobody_may_have_wished_waits_until_a_person_approves_it() {
    let arn = fixture::arn(1);
    let revived = sighting(archived(Hold::PerhapsRevived.label(), Some(&arn)));
    assert_eq!(firsts(&revived, &STALE), ["held changedMeanwhile", "open", "restore"]);
    let other = sighting(archived(Hold::PerhapsRevived.label(), Some(&fixture::arn(2))));
    assert_eq!(firsts(&other, &STALE), ["open", "open", "restore"]);
}

#[test]
fn only_a_person_opens_the_repair_of_an_entry_whose_record_contradicts_the_dates() {
    let verdict = Verdict::Undecided(Doubt::RecordContradictsDates);
    assert_eq!(firsts(&sighting(RowRead::Absent), &verdict), ["record", "open", "restore"]);
    let doubt = Verdict::Undecided(Doubt::IamUser);
    assert_eq!(firsts(&sighting(RowRead::Absent), &doubt), ["record", "record", "restore"]);
}

#[test]
fn an_archived_entry_whose_role_came_back_is_held_if_its_cluster_was_seen_or_a_sweep_looked() {
    let act = &purposes()[0];
    let gone = Sighting { entry: None, ..sighting(archived("roleGone", None)) };
    assert_eq!(label(&first(&gone, &Verdict::Missing, act, false)), "held archived");
    let unseen = Sighting { cluster: None, ..gone };
    assert_eq!(label(&first(&unseen, &Verdict::Missing, act, false)), "none ");
    assert_eq!(label(&first(&unseen, &Verdict::Missing, act, true)), "held archived");
    let without = Sighting { row: RowRead::Absent, ..unseen };
    assert_eq!(label(&first(&without, &Verdict::Missing, act, true)), "none ");
}

#[test]
fn the_verdict_decides_the_rest() {
    let plain = sighting(RowRead::Absent);
    assert_eq!(firsts(&plain, &STALE)[0], "open");
    assert_eq!(firsts(&plain, &Verdict::Fresh(Evidence::Dates))[0], "record");
    assert_eq!(firsts(&plain, &Verdict::Orphaned)[0], "orphaned");
}
