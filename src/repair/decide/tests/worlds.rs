//! The parts that the worlds are put together from: rows, what a read can show, and what can have been observed.
//!
//! Number 1 is the entry to delete, 5 the one that the repair created, 6 another party's; 4 is the permitted role.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::fault::Fault;
use crate::guardrail::{self, IGNORE_KEY, IGNORE_VALUE, Permit, Refusal};
use crate::model::{Cluster, Role, RoleState, Snapshot};
use crate::outcome::{Gone, Hold};
use crate::repair::fixture::{arn, born, cluster, entry, now, permit, policy, principal, role, role_id};
use crate::repair::step::{Associated, Attempt, Cause, Creation, Deletion, Origin, Rehearsal, World};
use crate::row::{Archived, Before, Permitted, Phase, Repair, SeenGood, Target};
use crate::sighting::Examined;

/// The role that the row permits.
pub(in crate::repair) const PERMITTED: u32 = 4;
/// A later role that the guardrails let in.
pub(super) const LATER: u32 = 7;
/// A role that the guardrails hold.
pub(super) const REFUSED: u32 = 9;
const OBSERVED: u32 = 8;
const YOUNG: u32 = 10;

/// Long enough for any read to show what was changed.
pub(super) const LONG: Duration = Duration::minutes(2);

/// What the guardrails say of each role.
pub(super) fn review(snapshot: &Snapshot, cluster: &Cluster, role: &Role) -> Result<Permit, Refusal> {
    guardrail::tags(snapshot, cluster)?;
    if role.id == role_id(REFUSED) || role.trust_policy.is_some() {
        return Err(Refusal::Hold(Hold::HoldAll));
    }
    if role.id == role_id(OBSERVED) {
        return Err(Refusal::Observed);
    }
    Ok(permit(role, snapshot))
}

/// The entry as its owner had it.
pub(super) fn wanted() -> Examined {
    entry(1, &["viewers"], &["A", "B"])
}

pub(super) fn recreated(policies: &[&str]) -> Examined {
    entry(5, &["viewers"], policies)
}

fn archived() -> Archived {
    Archived {
        wanted: wanted().snapshot(),
        entry_arn: arn(1),
        cluster_created_at: born(0),
        because: Gone::RoleGone.label().to_owned(),
        at: Some(now()),
        expires_at: Some((now() + Duration::days(90)).unix_timestamp()),
        created: None,
        removal: None,
        good: None,
        standing: None,
    }
}

fn seen_good() -> SeenGood {
    SeenGood { role_id: role_id(1), verified_at: None }
}

/// A row in this state.
pub(super) fn repair(target: Target, before: Before, phase: Phase) -> Repair {
    Repair {
        wanted: wanted().snapshot(),
        cluster_created_at: born(0),
        permitted: Permitted { role_id: role_id(PERMITTED), grounds: "HOLD=none".to_owned() },
        before,
        target,
        phase,
        role_absent_since: None,
        lease: None,
    }
}

/// Every phase, with marks of that age.
pub(super) fn phases(age: Duration) -> [Phase; 4] {
    let at: OffsetDateTime = now() - age;
    [
        Phase::Opened,
        Phase::DeletionSent { at },
        Phase::CreationSent { deletion_at: at, at },
        Phase::Created { deletion_at: at, at, arn: arn(5) },
    ]
}

/// Every row that the ledger can hold: target, what was before, phase, the age of its marks, since when the role is gone.
pub(in crate::repair) fn rows() -> Vec<Repair> {
    let mut rows = Vec::new();
    let before = Box::new(archived());
    let pairs = [
        (Target::OfOwner(arn(1)), Before::Nothing),
        (Target::OfOwner(arn(1)), Before::Recorded(seen_good())),
        (Target::OfOwner(arn(1)), Before::Archived(before.clone())),
        (Target::OfOurs(arn(1)), Before::Nothing),
        (Target::OfOurs(arn(1)), Before::Archived(before.clone())),
        (Target::OfOurs(arn(1)), Before::Restore(None)),
        (Target::OfOurs(arn(1)), Before::Restore(Some(before.clone()))),
        (Target::None(arn(1)), Before::Restore(None)),
        (Target::None(arn(1)), Before::Restore(Some(before))),
    ];
    for (target, before) in pairs {
        for age in [Duration::ZERO, LONG] {
            for phase in phases(age) {
                let is_opened = phase == Phase::Opened;
                if is_opened && (matches!(target, Target::None(_)) || age == LONG) {
                    continue;
                }
                let row = repair(target.clone(), before.clone(), phase);
                for since in [None, Some(now()), Some(now() - LONG)] {
                    rows.push(Repair { role_absent_since: since, ..row.clone() });
                }
            }
        }
    }
    rows
}

/// What stands in the entry's place, by name.
pub(super) fn entries() -> Vec<(&'static str, Option<Examined>)> {
    let mut older = recreated(&["A"]);
    older.entry.created_at = born(3);
    let mut ignored = wanted();
    ignored.entry.tags = BTreeMap::from([(IGNORE_KEY.to_owned(), IGNORE_VALUE.to_owned())]);
    vec![
        ("nothing", None),
        ("the entry to delete, as it was", Some(wanted())),
        ("the entry to delete, changed by its owner", Some(entry(1, &["viewers", "more"], &["A", "B"]))),
        ("our creation, whole", Some(recreated(&["A", "B"]))),
        ("our creation, without all policies", Some(recreated(&["A"]))),
        ("our creation, without any policy", Some(recreated(&[]))),
        ("our creation, older than the role", Some(older)),
        ("another party's entry, with less", Some(entry(6, &[], &[]))),
        ("another party's entry, just like the row", Some(entry(6, &["viewers"], &["A", "B"]))),
        ("the entry to delete, with the ignore tag", Some(ignored)),
    ]
}

/// What IAM can show.
pub(super) fn roles() -> Vec<RoleState> {
    let mut refused = role(REFUSED);
    refused.created_at = born(PERMITTED);
    let mut young = role(YOUNG);
    young.created_at = now();
    let unreadable = RoleState::Unreadable(Fault::timed_out("GetRole", "no answer"));
    // The permitted role, which has been given a trust policy since that the guardrails hold.
    let mut opened_to_others = role(PERMITTED);
    opened_to_others.trust_policy = Some("others".to_owned());
    let present =
        [role(PERMITTED), role(LATER), refused, role(OBSERVED), young, opened_to_others].map(RoleState::Present);
    present.into_iter().chain([RoleState::Absent, unreadable]).collect()
}

/// What EKS can show of the cluster.
pub(super) fn clusters() -> Vec<Option<Cluster>> {
    let mut busy = cluster(0);
    busy.is_workable = false;
    let mut ignored = cluster(0);
    ignored.tags = BTreeMap::from([(IGNORE_KEY.to_owned(), IGNORE_VALUE.to_owned())]);
    vec![Some(cluster(0)), Some(cluster(20)), Some(busy), Some(ignored), None]
}

/// Every world.
pub(super) fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for (_, entry) in entries() {
        for role in roles() {
            for cluster in clusters() {
                worlds.push(World { cluster, entry: entry.clone(), role: role.clone() });
            }
        }
    }
    worlds
}

/// What an invocation that observed nothing yet knows.
pub(in crate::repair) fn attempt(repair: &Repair, origin: Origin) -> Attempt {
    let permit = permit(&role(PERMITTED), &repair.wanted);
    Attempt { unclear_since: None, ..Attempt::new(permit, origin, repair, now()) }
}

/// The same after reads contradicted what is known, for long and often.
pub(super) fn late(attempt: &Attempt) -> Attempt {
    let mut attempt = attempt.clone();
    attempt.late_since = Some(now() - LONG);
    for cause in [Cause::LateRead, Cause::RoleUnreadable] {
        attempt.waits.insert(cause, 8);
    }
    attempt
}

/// Everything that can have been observed of this row.
pub(super) fn attempts(repair: &Repair) -> Vec<Attempt> {
    let mut observed = Vec::new();
    let fresh = |origin| attempt(repair, origin);
    if repair.phase == Phase::Opened {
        let rehearsals = [
            Rehearsal::NotYet,
            Rehearsal::Passed,
            Rehearsal::Made(arn(5)),
            Rehearsal::Made(arn(6)),
            Rehearsal::Withdrawn,
        ];
        for origin in [Origin::OpenedHere, Origin::Continued] {
            for rehearsal in &rehearsals {
                for unclear_since in [None, Some(now()), Some(now() - LONG)] {
                    observed.push(Attempt { rehearsal: rehearsal.clone(), unclear_since, ..fresh(origin) });
                }
            }
        }
    } else {
        for deletion in [Deletion::NotSent, Deletion::Confirmed, Deletion::Earlier, Deletion::Unclear] {
            for withdrawn in [vec![], vec![arn(5)]] {
                let is_created = matches!(repair.phase, Phase::Created { .. });
                let creations = [None, Some(Creation { arn: arn(5), is_role_known: false })];
                for creation in creations.into_iter().take(if is_created { 2 } else { 1 }) {
                    let withdrawn = withdrawn.clone();
                    observed.push(Attempt { deletion, creation, withdrawn, ..fresh(Origin::OpenedHere) });
                }
            }
        }
    }
    let is_rehearsed = |attempt: &Attempt| {
        let association = attempt.permit.association(&policy("A"));
        Attempt { associated: Associated { ours: vec![association], listed: Vec::new() }, ..attempt.clone() }
    };
    observed = observed.iter().flat_map(|attempt| [attempt.clone(), is_rehearsed(attempt)]).collect();
    observed.iter().flat_map(|attempt| [attempt.clone(), late(attempt)]).collect()
}

/// Whose entry it is, for the rules.
pub(super) fn whose() -> crate::model::RoleArn {
    principal()
}
