//! What a row says of its entry, state by state.

use super::*;
use crate::model::Region;

const ENTRY: &str = "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/node/";

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_711_000_000).unwrap() + Duration::seconds(seconds)
}

fn snapshot(groups: &[&str]) -> Snapshot {
    serde_json::from_value(serde_json::json!({
        "type": "STANDARD", "kubernetesGroups": groups, "createdAt": form::rfc3339(at(0)),
    }))
    .unwrap()
}

fn good(id: &str) -> SeenGood {
    SeenGood { role_id: RoleId(id.to_owned()), verified_at: Some(at(0)) }
}

fn recorded(entry: &str, id: &str) -> Recorded {
    Recorded {
        entry_arn: format!("{ENTRY}{entry}"),
        cluster_created_at: at(0),
        snapshot: snapshot(&["viewers"]),
        good: Some(good(id)),
        grounds: None,
    }
}

fn archived(because: &str) -> Archived {
    Archived {
        wanted: snapshot(&["admins", "viewers"]),
        entry_arn: format!("{ENTRY}1"),
        cluster_created_at: at(0),
        because: because.to_owned(),
        at: Some(at(0)),
        expires_at: Some(at(100).unix_timestamp()),
        created: None,
        removal: None,
        good: Some(good("AROAARCHIVED")),
        standing: None,
    }
}

fn repair() -> Repair {
    Repair {
        wanted: snapshot(&["viewers"]),
        cluster_created_at: at(0),
        permitted: Permitted { role_id: RoleId("AROANEW".to_owned()), grounds: "HOLD=none".to_owned() },
        before: Before::Recorded(good("AROAOLD")),
        target: Target::OfOwner(format!("{ENTRY}1")),
        phase: Phase::Opened,
        role_absent_since: None,
        lease: None,
    }
}

fn row(state: State) -> Row {
    let principal = RoleArn::parse("arn:aws:iam::111122223333:role/node").unwrap();
    let cluster = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
    Row::new(&principal, &cluster, 7, state)
}

fn states() -> [State; 3] {
    [
        State::Recorded(Box::new(recorded("1", "AROAOLD"))),
        State::Repairing(Box::new(repair())),
        State::Archived(Box::new(archived("roleGone"))),
    ]
}

#[test]
fn a_row_is_written_over_by_its_version_and_only_an_unfinished_repair_is_open() {
    for (state, is_open) in states().into_iter().zip([false, true, false]) {
        let read = RowRead::Row(Box::new(row(state.clone())));
        assert_eq!((read.version(), read.open().is_some()), (7, is_open), "{state:?}");
    }
    let unfit = RowRead::Unfit(Box::new(row(states()[2].clone())), String::new());
    assert_eq!((unfit.version(), unfit.open()), (7, None));
    assert_eq!((RowRead::Expired(5).version(), RowRead::Absent.version()), (5, 0));
}

#[test]
fn a_row_is_named_by_its_role_and_its_cluster_and_the_breakers_by_its_key() {
    let cluster = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
    let key = RowKey::Entry { principal: "arn".to_owned(), cluster: cluster.clone() };
    assert_eq!(key.to_string(), format!("arn in {cluster}"));
    assert_eq!(RowKey::Breaker.to_string(), "#breaker");
}

#[test]
fn only_the_archive_of_a_deleted_role_is_one_that_went_with_its_role() {
    for (because, expected) in [("roleDeleted", true), ("roleGone", true), ("replacedByOther", false), ("", false)] {
        assert_eq!(
            row(State::Archived(Box::new(archived(because)))).is_archived_with_its_role(),
            expected,
            "{because}"
        );
    }
    assert!(!row(states()[0].clone()).is_archived_with_its_role());
}

#[test]
fn the_role_id_that_was_last_seen_good_is_that_of_the_entry_that_stands() {
    let last = |state: State| row(state).last_good().map(|good| good.role_id.0.clone());
    let [recorded_state, repairing, archived_state] = states();
    assert_eq!(last(recorded_state).as_deref(), Some("AROAOLD"));
    assert_eq!(last(repairing).as_deref(), Some("AROAOLD"));
    assert_eq!(last(archived_state).as_deref(), Some("AROAARCHIVED"));
    let standing = Some(Box::new(recorded("2", "AROASTANDING")));
    let beside = Archived { standing, ..archived("replacedByOther") };
    assert_eq!(last(State::Archived(Box::new(beside))).as_deref(), Some("AROASTANDING"));
}

#[test]
fn an_archive_expires_at_its_second_and_counts_as_absent_from_then_on() {
    let archived = archived("roleGone");
    assert_eq!([99, 100, 101].map(|now| archived.is_expired(at(now))), [false, true, true]);
    assert!(!Archived { expires_at: None, ..archived }.is_expired(at(1_000)));
}

#[test]
fn a_removal_archives_the_entry_for_90_days_or_what_was_archived_before_if_that_has_all_of_it() {
    let of = |groups: &[&str], before: &Row| {
        let now = at(10);
        let removed = Archived::of_removal(&snapshot(groups), ENTRY, at(0), Some(before), "roleDeleted", "run", now);
        assert_eq!(removed.expires_at, Some((now + Duration::days(90)).unix_timestamp()));
        assert_eq!(removed.good, Some(good("AROAARCHIVED")));
        removed.wanted
    };
    let before = row(states()[2].clone());
    assert_eq!(of(&["viewers"], &before), snapshot(&["admins", "viewers"]));
    assert_eq!(of(&["viewers", "ops"], &before), snapshot(&["viewers", "ops"]));
}

fn over(archived: Archived) -> Repair {
    Repair { before: Before::Archived(Box::new(archived)), ..repair() }
}

fn beside_a_standing_entry() -> Archived {
    Archived { standing: Some(Box::new(recorded("2", "AROASTANDING"))), ..archived("replacedByOther") }
}

#[test]
fn an_unfinished_repair_says_which_role_id_its_own_target_was_seen_good_with_and_no_other_entry() {
    let id = |repair: Repair, entry: &str, born: OffsetDateTime| {
        let row = row(State::Repairing(Box::new(repair)));
        row.recorded_role_id(&format!("{ENTRY}{entry}"), born).map(|id| id.0.clone())
    };
    assert_eq!(id(repair(), "1", at(0)).as_deref(), Some("AROAOLD"));
    assert_eq!((id(repair(), "2", at(0)), id(repair(), "1", at(1))), (None, None));
    let ours = Repair { target: Target::OfOurs(format!("{ENTRY}1")), ..repair() };
    assert_eq!(id(ours, "1", at(0)), None);
    assert_eq!(id(over(beside_a_standing_entry()), "2", at(0)).as_deref(), Some("AROASTANDING"));
    assert_eq!(id(over(beside_a_standing_entry()), "1", at(0)), None);
    assert_eq!(id(over(archived("replacedByOther")), "1", at(0)), None);
}

#[test]
fn only_a_repair_that_marked_a_deletion_of_its_own_may_have_taken_the_owners_entry_away() {
    let sent = Phase::DeletionSent { at: at(0) };
    assert!(!repair().may_have_deleted());
    assert!(Repair { phase: sent.clone(), ..repair() }.may_have_deleted());
    assert!(!Repair { phase: sent, before: Before::Restore(None), ..repair() }.may_have_deleted());
}

#[test]
fn a_lease_keeps_others_away_until_its_last_second_and_never_its_owner() {
    let leased = Repair { lease: Some(Lease { owner: "A".to_owned(), until: at(10).unix_timestamp() }), ..repair() };
    let is_others = |who, now| leased.is_leased_to_other(who, at(now));
    assert_eq!([is_others("B", 9), is_others("B", 10), is_others("B", 11)], [true, true, false]);
    assert!(!is_others("A", 9) && !repair().is_leased_to_other("B", at(9)));
}

#[test]
fn after_a_repair_what_was_archived_and_has_more_stays_archived_with_the_entry_that_stands() {
    let entry = format!("{ENTRY}2");
    let after = |repair: Repair, groups: &[&str], now| repair.recorded(&entry, snapshot(groups), at(now));
    let State::Recorded(plain) = after(repair(), &["viewers"], 1) else { panic!("recorded") };
    assert_eq!(plain.good, Some(SeenGood { role_id: RoleId("AROANEW".to_owned()), verified_at: Some(at(1)) }));
    assert_eq!(plain.grounds.as_deref(), Some("HOLD=none"));
    let State::Archived(kept) = after(over(archived("replacedByOther")), &["viewers"], 1) else { panic!("archived") };
    assert_eq!(kept.standing, Some(plain));
    assert_eq!(Archived { standing: None, ..*kept }, archived("replacedByOther"));
    let has_all = after(over(archived("replacedByOther")), &["admins", "viewers"], 1);
    let is_over = after(over(archived("replacedByOther")), &["viewers"], 100);
    assert!(matches!((has_all, is_over), (State::Recorded(_), State::Recorded(_))));
}

#[test]
fn an_archive_of_a_repair_keeps_for_90_days_which_role_id_was_good_before() {
    let archive = over(archived("replacedByOther")).archive("roleGone", at(5));
    assert_eq!(archive.expires_at, Some((at(5) + Duration::days(90)).unix_timestamp()));
    assert_eq!(archive.good, Some(good("AROAARCHIVED")));
    assert_eq!(repair().archive("roleGone", at(5)).good, Some(good("AROAOLD")));
}

#[test]
fn an_archive_of_a_repair_keeps_what_was_archived_before_if_that_has_all_of_it() {
    let kept = over(archived("replacedByOther")).archive("roleGone", at(1));
    assert_eq!(kept.wanted, snapshot(&["admins", "viewers"]));
    assert_eq!(repair().archive("roleGone", at(1)).wanted, snapshot(&["viewers"]));
}

#[test]
fn what_was_archived_before_is_put_back_unless_its_time_is_over() {
    let repair = over(archived("replacedByOther"));
    assert_eq!(repair.put_back(at(99)), Some(State::Archived(Box::new(archived("replacedByOther")))));
    assert_eq!(repair.put_back(at(100)), None);
}
