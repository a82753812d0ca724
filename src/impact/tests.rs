//! Which resources stand still with an entry, and what is left to do about each.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::fault::FaultKind;
use crate::model::{AccessEntry, Cluster, ClusterRef, Principal, Region, Role, RoleArn, RoleId};
use crate::row::RowRead;
use crate::sighting::Examined;

const ROLE: &str = "arn:aws:iam::111122223333:role/team/node";

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

/// An entry of this type for the role, in a cluster whose Auto Mode uses this one.
fn entry(kind: &str, node_role: Option<&str>) -> Sighting {
    let at = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
    let entry = AccessEntry {
        principal_arn: ROLE.to_owned(),
        arn: String::new(),
        created_at: now(),
        modified_at: None,
        kind: EntryType::from(kind.to_owned()),
        username: None,
        groups: Vec::new().into(),
        tags: BTreeMap::new(),
    };
    let role = Role {
        arn: RoleArn::parse(ROLE).unwrap(),
        id: RoleId("AROA".to_owned()),
        created_at: now(),
        trust_policy: None,
    };
    Sighting {
        at: at.clone(),
        cluster: Some(Cluster {
            at,
            created_at: now(),
            is_workable: true,
            role_arn: String::new(),
            node_role_arn: node_role.map(str::to_owned),
            tags: BTreeMap::new(),
        }),
        principal: Principal::parse(ROLE),
        entry: Some(Examined { entry, policies: Vec::new() }),
        row: RowRead::Absent,
        role: RoleState::Present(role),
        role_read_at: now(),
    }
}

fn user(kind: UserKind, name: &str, status: &str) -> User {
    User {
        kind,
        name: name.to_owned(),
        role_arn: ROLE.to_owned(),
        status: Some(status.to_owned()),
        health_issues: Vec::new(),
        created_at: Some(now()),
    }
}

fn users(found: impl IntoIterator<Item = User>) -> Users {
    let mut users = Users::default();
    found.into_iter().for_each(|user| users.add(user));
    for kind in UserKind::ALL {
        users.end(kind);
    }
    users
}

/// What is left to do about the only resource.
fn next(sighting: &Sighting, user: User) -> Option<Next> {
    let impact = of(sighting, &users([user]), now());
    assert_eq!(impact.len(), 1);
    impact[0].next
}

#[test]
fn only_what_uses_exactly_this_role_stands_still_with_its_entry() {
    let elsewhere = User { role_arn: ROLE.replace("/team", ""), ..user(UserKind::Nodegroup, "other", "CREATING") };
    let impact = of(&entry("EC2_LINUX", None), &users([elsewhere, user(UserKind::Nodegroup, "ng", "ACTIVE")]), now());
    assert_eq!(impact.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["ng"]);
}

#[test]
fn a_node_group_joins_by_itself_unless_its_creation_has_failed() {
    let node = entry("EC2_LINUX", None);
    for status in ["CREATING", "ACTIVE", "UPDATING", "DEGRADED", "DELETING"] {
        assert_eq!(next(&node, user(UserKind::Nodegroup, "ng", status)), Some(Next::JoinsByItself), "{status}");
    }
    assert_eq!(next(&node, user(UserKind::Nodegroup, "ng", "CREATE_FAILED")), Some(Next::Recreate));
    let profile = |status| user(UserKind::FargateProfile, "fp", status);
    assert_eq!(next(&entry("FARGATE_LINUX", None), profile("ACTIVE")), Some(Next::JoinsByItself));
    assert_eq!(next(&entry("FARGATE_LINUX", None), profile("CREATE_FAILED")), Some(Next::Recreate));
    assert_eq!(
        next(&entry("STANDARD", None), user(UserKind::Capability, "argo", "DEGRADED")),
        Some(Next::JoinsByItself)
    );
}

#[test]
fn nothing_is_promised_of_a_repair_that_would_not_help() {
    assert_eq!(next(&entry("STANDARD", None), user(UserKind::Nodegroup, "ng", "ACTIVE")), None);
    let gone = Sighting { role: RoleState::Absent, ..entry("EC2_LINUX", None) };
    assert_eq!(next(&gone, user(UserKind::Nodegroup, "ng", "ACTIVE")), None);
}

#[test]
fn the_minutes_are_those_of_a_node_group_that_is_being_created_and_never_below_nought() {
    let minutes = |kind, status, age| {
        let created_at = Some(now() - Duration::seconds(age));
        of(&entry("EC2_LINUX", None), &users([User { created_at, ..user(kind, "it", status) }]), now())[0].minutes_left
    };
    assert_eq!(minutes(UserKind::Nodegroup, "CREATING", 0), Some(20));
    assert_eq!(minutes(UserKind::Nodegroup, "CREATING", 7 * 60 + 30), Some(12));
    assert_eq!(minutes(UserKind::Nodegroup, "CREATING", 3 * 60 * 60), Some(0));
    assert_eq!(minutes(UserKind::Nodegroup, "ACTIVE", 60), None);
    assert_eq!(minutes(UserKind::FargateProfile, "CREATING", 60), None);
}

#[test]
fn auto_mode_is_told_by_the_cluster_alone() {
    let impact = of(&entry("EC2", Some(ROLE)), &Users::default(), now());
    assert_eq!(
        json!(impact),
        json!([{"kind": "autoMode", "name": "prod", "healthIssues": [], "next": "joinsByItself"}])
    );
    assert!(of(&entry("EC2", Some("arn:aws:iam::111122223333:role/other")), &Users::default(), now()).is_empty());
}

#[test]
fn what_stands_still_comes_first_and_of_that_what_has_the_least_time() {
    let group = |name: &str, status: &str, minutes| User {
        created_at: Some(now() - Duration::minutes(minutes)),
        ..user(UserKind::Nodegroup, name, status)
    };
    let sick = User { health_issues: vec!["AccessDenied".to_owned()], ..group("sick", "ACTIVE", 60) };
    let all = [group("a-well", "ACTIVE", 60), sick, group("young", "CREATING", 1), group("old", "CREATING", 15)];
    let impact = of(&entry("EC2_LINUX", None), &users(all), now());
    assert_eq!(impact.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["old", "young", "sick", "a-well"]);
    assert_eq!((rank(&impact), rank(&impact[3..]), rank(&[])), (0, 1, 2));
}

#[test]
fn a_person_is_told_only_of_what_may_be_missing_for_an_entry_of_the_type() {
    let fault = Fault {
        kind: FaultKind::Denied { by_organization: false },
        operation: "ListNodegroups",
        code: "AccessDeniedException".to_owned(),
        message: "no".to_owned(),
    };
    let mut seen = Users::default();
    seen.give_up(UserKind::Nodegroup, Unread::Fault(fault));
    seen.give_up(UserKind::Nodegroup, Unread::TooMany);
    for kind in UserKind::ALL {
        seen.end(kind);
    }
    let told = seen.what_is_missing(&EntryType::Ec2Linux).expect("node groups may be missing");
    assert!(told.contains("ListNodegroups: AccessDeniedException"), "{told}");
    assert_eq!(seen.what_is_missing(&EntryType::Standard), None);
    assert_eq!(seen.what_is_missing(&EntryType::Ec2), None);
    assert!(Users::default().what_is_missing(&EntryType::FargateLinux).is_some(), "nothing was read");
}

#[test]
fn a_line_for_a_person_says_what_happens_next() {
    let mut group = user(UserKind::Nodegroup, "workers", "CREATING");
    group.health_issues = vec!["AccessDenied".to_owned()];
    let impact = of(&entry("EC2_LINUX", None), &users([group]), now());
    assert_eq!(
        impact[0].to_string(),
        "nodegroup workers CREATING (AccessDenied), EKS gives up in about 20 minutes: joins by itself"
    );
}
