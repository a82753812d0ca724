//! Every row that this version can write: it reads what it wrote, and the version before reads it too, with the same
//! meaning.

use time::Duration;

use super::{earlier, home, now};
use crate::model::{ClusterRef, Region, RoleArn, RoleId, Snapshot};
use crate::row::form::rfc3339;
use crate::row::{
    Archived, Before, Lease, Permitted, Phase, Recorded, Removal, Repair, Row, RowRead, SeenGood, State, Target,
};

const ENTRY: &str = "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/viewer/";

fn snapshot() -> Snapshot {
    let created_at = rfc3339(now());
    serde_json::from_value(serde_json::json!({ "type": "STANDARD", "createdAt": created_at })).unwrap()
}

fn archives() -> Vec<Archived> {
    let good = SeenGood { role_id: RoleId("AROAOLD".to_owned()), verified_at: Some(now()) };
    let standing = Recorded {
        entry_arn: format!("{ENTRY}e3"),
        cluster_created_at: now(),
        snapshot: snapshot(),
        good: Some(good.clone()),
        grounds: Some("approved".to_owned()),
    };
    let mut archives = Vec::new();
    for created in [None, Some(format!("{ENTRY}e2"))] {
        for by in [None, Some(None), Some(Some("0a1b".to_owned()))] {
            for (good, standing) in [(None, None), (Some(good.clone()), None), (None, Some(Box::new(standing.clone())))]
            {
                archives.push(Archived {
                    wanted: snapshot(),
                    entry_arn: format!("{ENTRY}e1"),
                    cluster_created_at: now(),
                    because: "roleGone".to_owned(),
                    at: Some(now()),
                    expires_at: Some((now() + Duration::days(90)).unix_timestamp()),
                    created: created.clone(),
                    removal: by.clone().map(|by| Removal { at: now(), by }),
                    good,
                    standing,
                });
            }
        }
    }
    archives
}

fn repairs() -> Vec<Repair> {
    let good = SeenGood { role_id: RoleId("AROAOLD".to_owned()), verified_at: None };
    let archives = archives();
    let over = |make: fn(Box<Archived>) -> Before| archives.iter().map(move |it| make(Box::new(it.clone())));
    let ordinary = [Before::Nothing, Before::Recorded(good)].into_iter().chain(over(Before::Archived));
    let restores = [Before::Restore(None)].into_iter().chain(over(|archived| Before::Restore(Some(archived))));
    let befores: Vec<Before> = ordinary.chain(restores).collect();
    let at = now();
    let phases = [
        Phase::Opened,
        Phase::DeletionSent { at },
        Phase::CreationSent { deletion_at: at, at },
        Phase::Created { deletion_at: at, at, arn: format!("{ENTRY}e2") },
    ];
    let mut repairs = Vec::new();
    for before in befores {
        for phase in &phases {
            for target in [Target::OfOwner, Target::OfOurs, Target::None].map(|make| make(format!("{ENTRY}e1"))) {
                // A restore deletes nothing but its own creation, and only a restore deletes nothing.
                let is_restore = matches!(before, Before::Restore(_));
                let fits = match target {
                    Target::OfOurs(_) => true,
                    Target::OfOwner(_) => !is_restore,
                    Target::None(_) => is_restore && *phase != Phase::Opened,
                };
                for lease in [None, Some(Lease { owner: "0a1b".to_owned(), until: 1_711_000_000 })] {
                    for role_absent_since in [None, Some(now())].into_iter().filter(|_| fits) {
                        repairs.push(Repair {
                            wanted: snapshot(),
                            cluster_created_at: now(),
                            permitted: Permitted { role_id: RoleId("AROANEW".to_owned()), grounds: "a".to_owned() },
                            before: before.clone(),
                            target: target.clone(),
                            phase: phase.clone(),
                            role_absent_since,
                            lease: lease.clone(),
                        });
                    }
                }
            }
        }
    }
    repairs
}

fn rows() -> Vec<Row> {
    let good = SeenGood { role_id: RoleId("AROAOLD".to_owned()), verified_at: Some(now()) };
    let recorded = [None, Some(good)].map(|good| {
        let (entry_arn, snapshot) = (format!("{ENTRY}e1"), snapshot());
        State::Recorded(Box::new(Recorded { entry_arn, cluster_created_at: now(), snapshot, good, grounds: None }))
    });
    let archived = archives().into_iter().map(|archived| State::Archived(Box::new(archived)));
    let repairing = repairs().into_iter().map(|repair| State::Repairing(Box::new(repair)));
    let principal = RoleArn::parse("arn:aws:iam::111122223333:role/viewer").unwrap();
    let cluster = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
    let states = recorded.into_iter().chain(archived).chain(repairing);
    states.map(|state| Row::new(&principal, &cluster, 1, state)).collect()
}

#[test]
fn every_row_is_read_as_it_was_written() {
    let rows = rows();
    assert!(rows.len() > 800, "{} rows", rows.len());
    for row in rows {
        assert_eq!(Row::read(row.to_item(), &home(), now()), RowRead::Row(Box::new(row)));
    }
}

#[test]
fn the_version_before_reads_every_row_with_the_same_meaning() {
    for row in rows() {
        let old = earlier::Row::read(row.to_item(), &home()).unwrap_or_else(|problem| panic!("{problem}: {row:?}"));
        assert_eq!((old.access_entry_arn.as_str(), &old.snapshot), (row.entry_arn(), row.snapshot()));
        assert_eq!(old.cluster_created_at, now());
        match &row.state {
            State::Recorded(it) => {
                assert_eq!(old.state, earlier::State::Recorded);
                assert_eq!(old.role_id.as_ref(), it.good.as_ref().map(|good| &good.role_id));
                assert_eq!(old.verified_at, it.good.as_ref().and_then(|good| good.verified_at));
            }
            State::Archived(it) => {
                assert_eq!(old.state, earlier::State::Archived);
                assert_eq!(old.archived_because.as_deref(), Some(it.because.as_str()));
                assert_eq!((old.archived_at, old.expires_at), (it.at, it.expires_at));
                assert_eq!(old.created_entry_arn, it.created);
            }
            State::Repairing(it) => {
                assert_eq!(old.state, earlier::State::Repairing);
                assert_eq!((old.permitted_role_id, old.grounds.is_some()), (Some(it.permitted.role_id.clone()), true));
                assert_eq!(old.deletion_sent_at, it.phase.deletion_at());
                assert_eq!(old.creation_sent_at.is_some() || old.is_own_entry, it.may_have_created());
                assert_eq!((old.is_own_entry, old.is_restore), (it.is_of_ours(), it.is_restore()));
                assert_eq!(old.role_absent_since, it.role_absent_since);
                let lease = it.lease.as_ref().map(|lease| (lease.owner.clone(), lease.until));
                assert_eq!(old.lease_owner.zip(old.lease_until), lease);
                assert!(!earlier::Row::read(row.to_item(), &home()).unwrap().would_drop_a_restore());
            }
        }
    }
}
