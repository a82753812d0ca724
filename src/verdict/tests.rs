//! Tables of dates and records, and the properties that hold for any.

use std::collections::BTreeMap;

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::fault::Fault;
use crate::model::{Cluster, ClusterRef, EntryType, Region, RoleArn, RoleId};
use crate::row::{Archived, Recorded, Row, SeenGood, State};
use crate::sighting::Examined;

const ROLE: &str = "arn:aws:iam::111122223333:role/node";
const ENTRY: &str = "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/node/1";

fn home() -> Home {
    Home { partition: "aws".to_owned(), account: "111122223333".to_owned() }
}

fn at(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap() + Duration::milliseconds(millis)
}

fn sighting(principal: &str, entry_created: OffsetDateTime, role_created: OffsetDateTime) -> Sighting {
    let cluster_ref = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
    let entry = AccessEntry {
        principal_arn: principal.to_owned(),
        arn: ENTRY.to_owned(),
        created_at: entry_created,
        modified_at: None,
        kind: EntryType::Ec2Linux,
        username: None,
        groups: Vec::new().into(),
        tags: BTreeMap::new(),
    };
    let role = RoleArn::parse(ROLE).unwrap();
    Sighting {
        at: cluster_ref.clone(),
        cluster: Some(Cluster {
            at: cluster_ref,
            created_at: at(-1_000_000),
            is_workable: true,
            role_arn: String::new(),
            node_role_arn: None,
            tags: BTreeMap::new(),
        }),
        principal: Principal::parse(principal),
        entry: Some(Examined { entry, policies: Vec::new() }),
        row: RowRead::Absent,
        role: RoleState::Present(Role {
            arn: role,
            id: RoleId("AROANEW".to_owned()),
            created_at: role_created,
            trust_policy: None,
        }),
        role_read_at: at(0),
    }
}

fn recorded(sighting: &mut Sighting, id: &str, entry_arn: &str, cluster_created: OffsetDateTime) {
    let snapshot = sighting.snapshot().unwrap();
    let role = RoleArn::parse(ROLE).unwrap();
    let state = State::Recorded(Box::new(Recorded {
        entry_arn: entry_arn.to_owned(),
        cluster_created_at: cluster_created,
        snapshot,
        good: Some(SeenGood { role_id: RoleId(id.to_owned()), verified_at: Some(at(0)) }),
        grounds: None,
    }));
    sighting.row = RowRead::Row(Box::new(Row::new(&role, &sighting.at, 1, state)));
}

#[test]
fn an_entry_of_the_roles_own_second_is_fresh_since_iam_shows_whole_seconds() {
    for (entry, role, expected) in
        [(999, 1000, "stale"), (1000, 1000, "fresh"), (1400, 1000, "fresh"), (0, 90_000, "stale")]
    {
        assert_eq!(judge(&sighting(ROLE, at(entry), at(role)), &home()).label(), expected, "{entry} ms, {role} ms");
    }
}

#[test]
fn a_record_counts_for_the_very_entry_in_the_very_cluster_only() {
    let cluster_created = at(-1_000_000);
    let cases = [
        ("AROANEW", ENTRY, cluster_created, 0, 90_000, "fresh", Some("roleId")),
        ("AROAOLD", ENTRY, cluster_created, 0, 90_000, "stale", Some("roleId")),
        ("AROAOLD", ENTRY, cluster_created, 90_000, 0, "undecided", None),
        ("AROAOLD", "arn:of:another", cluster_created, 90_000, 0, "fresh", Some("dates")),
        // Older than an entry that was seen good with the present role: a late read of one that is gone.
        ("AROANEW", "arn:of:another", cluster_created, 0, 90_000, "undecided", None),
        ("AROAOLD", "arn:of:another", cluster_created, 0, 90_000, "stale", Some("dates")),
        ("AROANEW", ENTRY, at(-5), 0, 90_000, "stale", Some("dates")),
        ("AROANEW", "arn:of:another", at(-5), 0, 90_000, "stale", Some("dates")),
    ];
    for (id, entry_arn, cluster, entry, role, expected, evidence) in cases {
        let mut sighting = sighting(ROLE, at(entry), at(role));
        recorded(&mut sighting, id, entry_arn, cluster);
        let verdict = judge(&sighting, &home());
        assert_eq!((verdict.label(), verdict.evidence()), (expected, evidence), "{id} {entry_arn}");
    }
}

/// A repair left an entry with less than the archive has. It was made for one role ID, which IAM may have shown late.
#[test]
fn an_entry_that_stands_in_the_place_of_an_archived_one_is_compared_with_the_role_that_it_was_made_for() {
    for (id, cluster_created, expected) in [
        ("AROANEW", at(-1_000_000), Verdict::Fresh(Evidence::RoleId)),
        ("AROAOLD", at(-1_000_000), Verdict::Undecided(Doubt::RecordContradictsDates)),
        ("AROANEW", at(-2_000_000), Verdict::Undecided(Doubt::RecordContradictsDates)),
    ] {
        let mut sighting = sighting(ROLE, at(90_000), at(0));
        recorded(&mut sighting, id, ENTRY, cluster_created);
        let RowRead::Row(row) = &mut sighting.row else { panic!("just recorded") };
        let standing = row.recorded().cloned().map(Box::new);
        row.state = State::Archived(Box::new(Archived {
            wanted: row.snapshot().clone(),
            entry_arn: format!("{ENTRY}0"),
            cluster_created_at: at(-1_000_000),
            because: "replacedByOther".to_owned(),
            at: None,
            expires_at: None,
            created: None,
            removal: None,
            good: None,
            standing,
        }));
        assert_eq!(judge(&sighting, &home()), expected, "{id}, {cluster_created}");
    }
}

#[test]
fn what_cannot_be_judged_says_why() {
    let cases = [
        ("arn:aws:iam::999999999999:role/node", "otherAccount"),
        ("arn:aws-cn:iam::111122223333:role/node", "otherAccount"),
        ("arn:aws:iam::111122223333:user/alice", "iamUser"),
        ("arn:aws:iam::999999999999:user/alice", "otherAccount"),
        ("arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForX", "serviceLinkedRole"),
        ("arn:aws:sts::111122223333:assumed-role/node/x", "notAPrincipal"),
        ("arn:aws:sts::999999999999:assumed-role/node/x", "otherAccount"),
        ("arn:aws:iam::111122223333:root", "notAPrincipal"),
        ("arn:aws:iam::999999999999:root", "otherAccount"),
        ("111122223333", "notAPrincipal"),
    ];
    for (principal, expected) in cases {
        match judge(&sighting(principal, at(0), at(90_000)), &home()) {
            Verdict::Undecided(reason) => assert_eq!(reason.label(), expected),
            other => panic!("{principal}: {other:?}"),
        }
    }
}

#[test]
fn a_service_linked_role_is_told_to_be_stale_by_the_dates() {
    let principal = "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForX";
    for (entry, is_stale) in [(0, true), (90_000, false)] {
        let verdict = judge(&sighting(principal, at(entry), at(90_000)), &home());
        assert_eq!(verdict, Verdict::Undecided(Doubt::ServiceLinkedRole { is_stale }));
    }
}

#[test]
fn every_verdict_has_its_word_its_evidence_and_its_place_in_a_report() {
    let unreadable = Doubt::RoleUnreadable(Fault::timed_out("GetRole", ""));
    let worst_first = [
        (Verdict::Missing, "missing", None, true),
        (Verdict::Stale(Evidence::Dates), "stale", Some("dates"), true),
        (Verdict::Undecided(Doubt::RecordContradictsDates), "undecided", None, true),
        (Verdict::Orphaned, "orphaned", None, false),
        (Verdict::Undecided(unreadable), "undecided", None, false),
        (Verdict::Fresh(Evidence::RoleId), "fresh", Some("roleId"), false),
    ];
    for (rank, (verdict, label, evidence, is_error)) in (0..).zip(&worst_first) {
        assert_eq!((verdict.label(), verdict.evidence(), verdict.is_error()), (*label, *evidence, *is_error));
        assert_eq!(verdict.rank(), rank, "{verdict:?}");
    }
}

proptest! {
    #[test]
    fn without_a_record_an_entry_is_stale_exactly_where_its_second_is_before_the_roles(
        entry in -100_000i64..100_000, role in -100i64..100,
    ) {
        let verdict = judge(&sighting(ROLE, at(entry), at(role * 1000)), &home());
        let is_before = at(entry).unix_timestamp() < at(role * 1000).unix_timestamp();
        prop_assert_eq!(verdict.label() == "stale", is_before);
    }

    #[test]
    fn a_record_never_makes_an_entry_stale_that_the_dates_call_fresh(id in "AROA(NEW|OLD)", entry in 0i64..100_000) {
        let mut sighting = sighting(ROLE, at(entry), at(0));
        recorded(&mut sighting, &id, ENTRY, at(-1_000_000));
        prop_assert_ne!(judge(&sighting, &home()).label(), "stale");
    }
}
