//! Each cause by itself: the facts of a healthy role, changed in one thing.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::*;
use crate::explain::facts::NearMiss;
use crate::impact::{Unread, User, UserKind, Users};
use crate::model::{
    AccessPolicy, AccessScope, AuthenticationMode, Cluster, ClusterAccess, ClusterRef, EntryType, Region, Role,
    RoleArn, RoleId,
};

const DEPLOYER: &str = "arn:aws:iam::111122223333:role/team/deployer";
const PEOPLE: &str = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"}}}"#;
const EC2: &str = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}}]}"#;
const FARGATE: &str = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"eks-fargate-pods.amazonaws.com"}}]}"#;
const EC2_AND_PEOPLE: &str = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com",
    "AWS":"arn:aws:iam::111122223333:root"}}]}"#;

fn home() -> Home {
    Home { partition: "aws".to_owned(), account: "111122223333".to_owned() }
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap() + Duration::seconds(seconds)
}

fn arn(text: &str) -> RoleArn {
    RoleArn::parse(text).unwrap()
}

fn entry(principal: &str) -> AccessEntry {
    let name = principal.rsplit('/').next().unwrap();
    AccessEntry {
        principal_arn: principal.to_owned(),
        arn: format!("arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/{name}/1"),
        created_at: at(60),
        modified_at: None,
        kind: EntryType::Standard,
        username: Some(format!("arn:aws:sts::111122223333:assumed-role/{name}/{{{{SessionName}}}}")),
        groups: Vec::new().into(),
        tags: BTreeMap::new(),
    }
}

fn policy(name: &str, namespaces: &[&str]) -> AccessPolicy {
    AccessPolicy {
        policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{name}"),
        access_scope: AccessScope {
            kind: if namespaces.is_empty() { "cluster" } else { "namespace" }.to_owned(),
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        },
    }
}

fn role(principal: &str, trust_policy: &str) -> RoleState {
    RoleState::Present(Role {
        arn: arn(principal),
        id: RoleId("AROAPRESENT".to_owned()),
        created_at: at(0),
        trust_policy: Some(trust_policy.to_owned()),
    })
}

fn denied(operation: &'static str) -> Fault {
    Fault {
        kind: FaultKind::Denied { by_organization: false },
        operation,
        code: "AccessDeniedException".to_owned(),
        message: "no".to_owned(),
    }
}

/// A role for people with an entry that gives it everything.
fn healthy() -> Facts {
    let place = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
    let cluster = Cluster {
        at: place.clone(),
        created_at: at(-1000),
        is_workable: true,
        role_arn: String::new(),
        node_role_arn: None,
        tags: BTreeMap::new(),
    };
    let access = ClusterAccess { status: "ACTIVE".to_owned(), mode: Some(AuthenticationMode::ApiAndConfigMap) };
    Facts {
        at: place,
        cluster: Ok((cluster, access)),
        listed: Ok(Listed::Principals(vec![DEPLOYER.to_owned()])),
        name: "deployer".to_owned(),
        principal: Some(arn(DEPLOYER)),
        role: role(DEPLOYER, PEOPLE),
        role_read_at: at(100),
        entry: Ok(Some(entry(DEPLOYER))),
        policies: Ok(vec![policy("AmazonEKSClusterAdminPolicy", &[])]),
        near: Vec::new(),
        users: Users::default(),
        successors: Ok(Vec::new()),
    }
}

/// The same for instances, with an entry of this type and without policies.
fn on_instances(kind: EntryType, trust_policy: &str) -> Facts {
    let mut facts = healthy();
    facts.role = role(DEPLOYER, trust_policy);
    facts.entry = Ok(Some(AccessEntry { kind, ..entry(DEPLOYER) }));
    facts.policies = Ok(Vec::new());
    facts
}

/// The same without an entry, while those of these principals stand.
fn without_entry(others: &[&str]) -> Facts {
    let mut facts = healthy();
    facts.entry = Ok(None);
    facts.policies = Ok(Vec::new());
    facts.listed = Ok(Listed::Principals(others.iter().map(|&other| other.to_owned()).collect()));
    facts.near = others.iter().map(|other| NearMiss { principal: arn(other), entry: Some(entry(other)) }).collect();
    facts
}

fn with_entry(change: impl FnOnce(&mut AccessEntry)) -> Facts {
    let mut facts = healthy();
    let mut changed = entry(DEPLOYER);
    change(&mut changed);
    facts.entry = Ok(Some(changed));
    facts
}

fn cause(facts: &Facts, kind: Kind) -> Cause {
    let causes = causes(facts, &home());
    assert_eq!(causes.iter().map(|cause| cause.kind).collect::<Vec<_>>(), Kind::ALL, "all causes, in their order");
    for cause in &causes {
        assert_eq!(cause.next.is_none(), cause.verdict == Verdict::No, "what to do about {cause:?}");
        assert!(!cause.detail.is_empty() && !cause.detail.contains('\n'), "{cause:?}");
    }
    causes.into_iter().find(|cause| cause.kind == kind).unwrap()
}

/// The causes that are the case.
fn found(facts: &Facts) -> Vec<Kind> {
    let found = causes(facts, &home()).into_iter().filter(|cause| cause.verdict == Verdict::Yes);
    found.map(|cause| cause.kind).collect()
}

fn unknown(facts: &Facts) -> Vec<(Kind, Gap)> {
    let unknown = causes(facts, &home()).into_iter().filter_map(|cause| match cause.verdict {
        Verdict::Unknown(gap) => Some((cause.kind, gap)),
        Verdict::No | Verdict::Yes => None,
    });
    unknown.collect()
}

#[test]
fn of_a_healthy_role_nothing_is_found_and_only_the_inside_of_the_cluster_is_unknown() {
    let facts = healthy();
    assert_eq!(found(&facts), []);
    assert_eq!(unknown(&facts), [(Kind::AwsAuthOnly, Gap::OutsideAws)]);
    let node = on_instances(EntryType::Ec2Linux, EC2);
    assert_eq!((found(&node), unknown(&node)), (vec![], vec![(Kind::AwsAuthOnly, Gap::OutsideAws)]));
}

#[test]
fn a_cluster_that_is_not_active_is_the_cause_and_hides_the_others() {
    for status in ["CREATING", "DELETING", "FAILED", "PENDING"] {
        let mut facts = without_entry(&[]);
        let (cluster, access) = facts.cluster.as_mut().unwrap();
        (cluster.is_workable, access.status) = (false, status.to_owned());
        facts.listed = Ok(Listed::Unsupported);
        assert_eq!(found(&facts), [Kind::ClusterNotActive], "{status}");
        assert!(cause(&facts, Kind::ClusterNotActive).detail.contains(status));
        assert!(unknown(&facts).contains(&(Kind::NoEntry, Gap::NotTold)), "{status}");
    }
}

#[test]
fn a_cluster_that_looks_at_aws_auth_alone_is_told_by_its_mode_or_by_what_eks_answers() {
    let mut facts = without_entry(&[]);
    facts.listed = Ok(Listed::Unsupported);
    for mode in [Some(AuthenticationMode::ConfigMap), None] {
        facts.cluster.as_mut().unwrap().1.mode = mode;
        assert_eq!(found(&facts), [Kind::ConfigMapMode, Kind::NoEntry]);
        let next = cause(&facts, Kind::ConfigMapMode).next.unwrap();
        assert!(
            next.contains("update-cluster-config --region eu-west-1") && next.contains("cannot be undone"),
            "{next}"
        );
        assert_eq!(cause(&facts, Kind::AwsAuthOnly).verdict, Verdict::Unknown(Gap::OutsideAws));
    }
    facts.cluster = Err(denied("DescribeCluster"));
    assert_eq!(cause(&facts, Kind::ConfigMapMode).verdict, Verdict::Yes);
    let mut listed = healthy();
    listed.cluster = Err(denied("DescribeCluster"));
    assert_eq!(cause(&listed, Kind::ConfigMapMode).verdict, Verdict::No);
}

#[test]
fn without_an_entry_aws_auth_is_all_that_could_let_the_role_in_if_the_cluster_looks_at_it() {
    let mut facts = without_entry(&[]);
    assert_eq!(found(&facts), [Kind::NoEntry, Kind::AwsAuthOnly]);
    let next = cause(&facts, Kind::NoEntry).next.unwrap();
    assert!(next.contains("aws eks create-access-entry --region eu-west-1") && next.contains(DEPLOYER), "{next}");
    facts.cluster.as_mut().unwrap().1.mode = Some(AuthenticationMode::Api);
    assert_eq!(found(&facts), [Kind::NoEntry]);
    assert_eq!(cause(&facts, Kind::AwsAuthOnly).verdict, Verdict::Unknown(Gap::OutsideAws));
}

#[test]
fn the_creation_of_a_missing_entry_has_the_type_of_the_nodes_that_use_the_role() {
    for (trust, kind) in [(EC2, "EC2_LINUX"), (FARGATE, "FARGATE_LINUX"), (PEOPLE, "STANDARD")] {
        let mut facts = without_entry(&[]);
        facts.role = role(DEPLOYER, trust);
        let next = cause(&facts, Kind::NoEntry).next.unwrap();
        assert!(next.contains(&format!("\"type\":\"{kind}\"")), "{next}");
    }
}

#[test]
fn an_entry_for_another_path_is_named_with_its_arn_and_date() {
    let other = "arn:aws:iam::111122223333:role/deployer";
    let facts = without_entry(&[other]);
    assert_eq!(found(&facts), [Kind::NoEntry, Kind::OtherPath, Kind::AwsAuthOnly]);
    let cause = cause(&facts, Kind::OtherPath);
    for part in [other, DEPLOYER, entry(other).arn.as_str(), "2023-11-14T22:14:20Z"] {
        assert!(cause.detail.contains(part), "{part}: {}", cause.detail);
    }
    let next = cause.next.unwrap();
    assert!(next.contains("access-entry-guard scan --region eu-west-1 --cluster prod --role arn:"), "{next}");
}

#[test]
fn an_entry_for_another_path_stands_in_nobodys_way_if_the_role_has_its_own() {
    let mut facts = healthy();
    facts.near = without_entry(&["arn:aws:iam::111122223333:role/deployer"]).near;
    assert_eq!(found(&facts), []);
}

#[test]
fn an_entry_for_another_suffix_of_the_permission_set_is_named() {
    let base = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-2/AWSReservedSSO_";
    let (old, new) = (format!("{base}Admin_1234567890abcdef"), format!("{base}Admin_fedcba0987654321"));
    let mut facts = without_entry(&[&old]);
    facts.name = arn(&new).name().to_owned();
    facts.principal = Some(arn(&new));
    facts.role = role(&new, PEOPLE);
    assert_eq!(found(&facts), [Kind::NoEntry, Kind::OtherSuffix, Kind::AwsAuthOnly]);
    let detail = cause(&facts, Kind::OtherSuffix).detail;
    assert!(detail.contains(&old) && detail.contains("permission set Admin."), "{detail}");
    facts.near = without_entry(&[&format!("{base}Other_1234567890abcdef")]).near;
    assert_eq!(found(&facts), [Kind::NoEntry, Kind::AwsAuthOnly], "another permission set is not near");
}

#[test]
fn an_entry_of_a_permission_sets_earlier_role_names_the_present_one() {
    let base = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_";
    let (old, new) = (format!("{base}1234567890abcdef"), format!("{base}fedcba0987654321"));
    let mut facts = healthy();
    facts.name = arn(&old).name().to_owned();
    facts.principal = Some(arn(&old));
    facts.entry = Ok(Some(entry(&old)));
    facts.role = RoleState::Absent;
    assert_eq!(found(&facts), [Kind::Orphaned]);
    facts.successors = Ok(vec![arn(&new)]);
    assert_eq!(found(&facts), [Kind::OtherSuffix, Kind::Orphaned]);
    assert!(cause(&facts, Kind::OtherSuffix).detail.contains(&new));
    facts.successors = Err(denied("ListRoles"));
    assert_eq!(cause(&facts, Kind::OtherSuffix).verdict, Verdict::Unknown(Gap::NotTold));
}

#[test]
fn a_standard_entry_that_gives_nothing_is_of_the_wrong_type_for_a_role_of_instances_alone() {
    let facts = on_instances(EntryType::Standard, EC2);
    assert_eq!(found(&facts), [Kind::WrongType, Kind::NoRights]);
    let cause = cause(&facts, Kind::WrongType);
    assert!(cause.detail.contains("STANDARD") && cause.next.unwrap().contains("EC2_LINUX"));
    let fargate = on_instances(EntryType::Standard, FARGATE);
    assert!(super::causes(&fargate, &home())[5].next.as_ref().unwrap().contains("FARGATE_LINUX"));
}

/// A node group or a Fargate profile of the cluster says plainly what type the entry of its role needs.
#[test]
fn what_uses_the_role_in_the_cluster_says_which_type_its_entry_needs() {
    let used_by = |kind, user_kind, role_arn: &str| {
        let mut facts = on_instances(kind, EC2_AND_PEOPLE);
        facts.users.add(User {
            kind: user_kind,
            name: "blue".to_owned(),
            role_arn: role_arn.to_owned(),
            status: None,
            health_issues: Vec::new(),
            created_at: None,
        });
        facts
    };
    for (kind, user, needed) in [
        (EntryType::Standard, UserKind::Nodegroup, Some("EC2_LINUX")),
        (EntryType::Ec2, UserKind::Nodegroup, Some("EC2_LINUX")),
        (EntryType::Ec2Windows, UserKind::Nodegroup, None),
        (EntryType::Ec2Linux, UserKind::FargateProfile, Some("FARGATE_LINUX")),
    ] {
        let cause = cause(&used_by(kind, user, DEPLOYER), Kind::WrongType);
        assert!(cause.detail.contains("blue"), "{cause:?}");
        assert_eq!(needed.is_some(), cause.verdict == Verdict::Yes, "{cause:?}");
        assert!(needed.is_none_or(|needed| cause.next.as_ref().unwrap().contains(needed)), "{cause:?}");
    }
    let of_another = used_by(EntryType::Standard, UserKind::Nodegroup, "arn:aws:iam::111122223333:role/node");
    let cause = cause(&of_another, Kind::WrongType);
    assert_eq!(cause.verdict, Verdict::Unknown(Gap::OutsideAws), "{cause:?}");
    let mut denied_to_list = on_instances(EntryType::Standard, EC2_AND_PEOPLE);
    denied_to_list.users.give_up(UserKind::Nodegroup, Unread::Fault(denied("ListNodegroups")));
    assert!(super::causes(&denied_to_list, &home())[5].detail.contains("ListNodegroups"));
}

#[test]
fn a_standard_entry_with_rights_may_be_meant_for_a_program_on_an_instance() {
    let with_policy = || {
        let mut facts = on_instances(EntryType::Standard, EC2);
        facts.policies = Ok(vec![policy("AmazonEKSViewPolicy", &[])]);
        facts
    };
    let with_group = || {
        let mut facts = on_instances(EntryType::Standard, EC2);
        facts.entry = Ok(Some(AccessEntry { groups: vec!["deployers".to_owned()].into(), ..entry(DEPLOYER) }));
        facts
    };
    for facts in [with_policy(), with_group(), on_instances(EntryType::Standard, EC2_AND_PEOPLE)] {
        assert_eq!(cause(&facts, Kind::WrongType).verdict, Verdict::Unknown(Gap::OutsideAws));
    }
    let mut auto = with_policy();
    auto.policies = Ok(vec![policy("AmazonEKSAutoNodePolicy", &[])]);
    assert_eq!(found(&auto), [Kind::WrongType], "that policy is for nodes alone");
}

#[test]
fn a_node_type_is_wrong_for_a_role_that_no_such_nodes_can_use() {
    for (kind, trust, verdict) in [
        (EntryType::Ec2Linux, PEOPLE, Verdict::Yes),
        (EntryType::Ec2Linux, FARGATE, Verdict::Yes),
        (EntryType::FargateLinux, EC2, Verdict::Yes),
        (EntryType::Ec2Linux, EC2_AND_PEOPLE, Verdict::No),
        (EntryType::Ec2Windows, EC2, Verdict::No),
        (EntryType::FargateLinux, FARGATE, Verdict::No),
        (EntryType::Ec2Linux, "not understood", Verdict::Unknown(Gap::OutsideAws)),
        (EntryType::Unknown("NEW".to_owned()), EC2, Verdict::Unknown(Gap::NotTold)),
    ] {
        let facts = on_instances(kind.clone(), trust);
        assert_eq!(cause(&facts, Kind::WrongType).verdict, verdict, "{kind:?}, {trust}");
    }
}

#[test]
fn the_node_role_of_auto_mode_needs_its_own_type() {
    for (kind, verdict) in [(EntryType::Ec2, Verdict::No), (EntryType::Ec2Linux, Verdict::Yes)] {
        let mut facts = on_instances(kind, EC2);
        facts.cluster.as_mut().unwrap().0.node_role_arn = Some(DEPLOYER.to_owned());
        assert_eq!(cause(&facts, Kind::WrongType).verdict, verdict);
    }
}

#[test]
fn a_stale_entry_is_named_with_its_arn_and_both_dates() {
    let facts = with_entry(|entry| entry.created_at = at(-1));
    assert_eq!(found(&facts), [Kind::Stale]);
    let cause = cause(&facts, Kind::Stale);
    for part in [entry(DEPLOYER).arn.as_str(), "AROAPRESENT", "2023-11-14T22:13:19Z", "2023-11-14T22:13:20Z"] {
        assert!(cause.detail.contains(part), "{part}: {}", cause.detail);
    }
    let next = cause.next.unwrap();
    assert!(next.contains(&format!("scan --region eu-west-1 --cluster prod --role {DEPLOYER}")), "{next}");
}

#[test]
fn an_entry_without_a_role_is_orphaned_even_if_only_the_list_shows_it() {
    let mut facts = healthy();
    facts.role = RoleState::Absent;
    assert_eq!(found(&facts), [Kind::Orphaned]);
    assert!(cause(&facts, Kind::Orphaned).next.unwrap().contains("access-entry-guard scan"));
    facts.entry = Err(denied("DescribeAccessEntry"));
    facts.policies = Err(denied("DescribeAccessEntry"));
    assert_eq!(found(&facts), [Kind::Orphaned]);
}

#[test]
fn of_a_role_of_another_account_it_cannot_be_told_whether_the_entry_is_bound_to_it() {
    let foreign = "arn:aws:iam::999999999999:role/deployer";
    let mut facts = healthy();
    facts.principal = Some(arn(foreign));
    facts.entry = Ok(Some(entry(foreign)));
    facts.role = RoleState::unread("a role of another account");
    assert_eq!(found(&facts), []);
    for kind in [Kind::Stale, Kind::Orphaned, Kind::OtherAccount] {
        assert!(unknown(&facts).contains(&(kind, Gap::NotTold)), "{kind:?}");
    }
    assert!(cause(&facts, Kind::OtherAccount).next.unwrap().contains("With credentials of account 999999999999"));
    facts.entry = Ok(Some(AccessEntry { kind: EntryType::Ec2Linux, ..entry(foreign) }));
    assert_eq!(cause(&facts, Kind::WrongType).verdict, Verdict::Yes, "nodes are of the cluster's account");
}

#[test]
fn an_entry_for_the_role_of_this_name_in_another_account_is_named() {
    let other = "arn:aws:iam::999999999999:role/deployer";
    let facts = without_entry(&[other]);
    assert_eq!(found(&facts), [Kind::NoEntry, Kind::OtherAccount, Kind::AwsAuthOnly]);
    assert!(cause(&facts, Kind::OtherAccount).detail.contains(other));
}

#[test]
fn an_entry_without_policies_groups_and_user_name_gives_no_rights() {
    let mut facts = healthy();
    facts.policies = Ok(Vec::new());
    assert_eq!(found(&facts), [Kind::NoRights]);
    let detail = cause(&facts, Kind::NoRights).detail;
    assert!(detail.contains("403, not 401") && detail.contains("explain does not see RBAC"), "{detail}");
}

#[test]
fn what_rbac_gives_to_groups_and_to_a_user_name_of_its_own_is_unknown() {
    let with_group = with_entry(|entry| entry.groups = vec!["deployers".to_owned()].into());
    let with_name = with_entry(|entry| entry.username = Some("pipeline".to_owned()));
    for mut facts in [with_group, with_name] {
        facts.policies = Ok(Vec::new());
        assert_eq!(cause(&facts, Kind::NoRights).verdict, Verdict::Unknown(Gap::OutsideAws));
        facts.policies = Ok(vec![policy("AmazonEKSEditPolicy", &["team"])]);
        assert_eq!(cause(&facts, Kind::NamespaceOnly).verdict, Verdict::Unknown(Gap::OutsideAws));
    }
}

#[test]
fn rights_in_namespaces_only_are_named_with_the_namespaces() {
    let mut facts = healthy();
    facts.policies = Ok(vec![policy("AmazonEKSEditPolicy", &["team-*", "default"])]);
    assert_eq!(found(&facts), [Kind::NamespaceOnly]);
    let detail = cause(&facts, Kind::NamespaceOnly).detail;
    assert!(detail.contains("AmazonEKSEditPolicy in team-*, default") && detail.contains("RBAC"), "{detail}");
    facts.policies = Ok(vec![policy("AmazonEKSEditPolicy", &["team"]), policy("AmazonEKSViewPolicy", &[])]);
    assert_eq!(found(&facts), []);
}

#[test]
fn what_was_not_read_makes_the_causes_that_need_it_unknown_and_never_no() {
    let not_told = |facts: &Facts| {
        let told = unknown(facts).into_iter().filter(|(_, gap)| *gap == Gap::NotTold);
        told.map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    let mut facts = healthy();
    facts.cluster = Err(denied("DescribeCluster"));
    assert_eq!(not_told(&facts), [Kind::ClusterNotActive]);

    let mut facts = healthy();
    facts.listed = Err(denied("ListAccessEntries"));
    assert_eq!(not_told(&facts), [], "the entry itself was seen");
    facts.entry = Ok(None);
    assert_eq!(not_told(&facts), [Kind::OtherPath, Kind::OtherAccount]);
    assert_eq!(found(&facts), [Kind::NoEntry, Kind::AwsAuthOnly]);
    facts.entry = Err(denied("DescribeAccessEntry"));
    let all_of_the_entry = [
        Kind::NoEntry,
        Kind::OtherPath,
        Kind::WrongType,
        Kind::Stale,
        Kind::Orphaned,
        Kind::OtherAccount,
        Kind::NoRights,
        Kind::NamespaceOnly,
    ];
    facts.policies = Err(denied("DescribeAccessEntry"));
    assert_eq!(not_told(&facts), all_of_the_entry);

    let mut facts = healthy();
    facts.role = RoleState::Unreadable(denied("GetRole"));
    assert_eq!(not_told(&facts), [Kind::OtherPath, Kind::WrongType, Kind::Stale, Kind::Orphaned]);
    assert!(cause(&facts, Kind::Stale).next.unwrap().contains("Allow iam:GetRole"));

    let mut facts = healthy();
    facts.policies = Err(denied("ListAssociatedAccessPolicies"));
    assert_eq!(not_told(&facts), [Kind::NoRights, Kind::NamespaceOnly]);
    assert!(cause(&facts, Kind::NoRights).next.unwrap().contains("Allow eks:ListAssociatedAccessPolicies"));
}

#[test]
fn with_only_a_name_an_entry_of_that_name_may_or_may_not_be_the_roles() {
    let mut facts = without_entry(&["arn:aws:iam::111122223333:role/deployer"]);
    facts.principal = None;
    facts.role = RoleState::Unreadable(denied("GetRole"));
    facts.entry = Err(denied("GetRole"));
    assert_eq!(found(&facts), []);
    for kind in [Kind::NoEntry, Kind::OtherPath, Kind::Stale] {
        assert!(unknown(&facts).contains(&(kind, Gap::NotTold)), "{kind:?}");
    }
    facts.near.clear();
    facts.listed = Ok(Listed::Principals(vec!["arn:aws:iam::111122223333:role/other".to_owned()]));
    assert_eq!(found(&facts), [Kind::NoEntry, Kind::AwsAuthOnly], "no role of that name has one");
}
