//! What is permitted, what waits, and for which reason where several apply.

use std::collections::BTreeMap;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::model::{AccessPolicy, AccessScope, ClusterRef, Region};

const ROLE: &str = "arn:aws:iam::111122223333:role/team/role";
const NODES: &str =
    r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn config(settings: &[(&str, &str)]) -> Config {
    let settings: BTreeMap<&str, &str> =
        [("LEDGER_TABLE", "ledger")].into_iter().chain(settings.iter().copied()).collect();
    Config::from_lookup(|name| settings.get(name).map(|value| (*value).to_owned())).unwrap()
}

fn snapshot(kind: &str, username: Option<&str>, groups: &[&str], policies: &[&str]) -> Snapshot {
    let policy = |name: &&str| AccessPolicy {
        policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{name}"),
        access_scope: AccessScope { kind: "cluster".to_owned(), namespaces: Vec::new().into() },
    };
    Snapshot {
        kind: EntryType::from(kind.to_owned()),
        username: username.map(str::to_owned),
        kubernetes_groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        tags: BTreeMap::new(),
        access_policies: policies.iter().map(policy).collect(),
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}

fn decide(config: &Config, snapshot: &Snapshot, asked: &Asked) -> Result<Permit, Refusal> {
    let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
    let principal = RoleArn::parse(ROLE).unwrap();
    let role = Role {
        arn: principal.clone(),
        id: RoleId("AROANEW0000000000001".to_owned()),
        created_at: OffsetDateTime::UNIX_EPOCH,
        trust_policy: Some(NODES.to_owned()),
    };
    let cluster = Cluster {
        at: ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() },
        created_at: OffsetDateTime::UNIX_EPOCH,
        is_workable: true,
        role_arn: "arn:aws:iam::111122223333:role/cluster".to_owned(),
        node_role_arn: None,
        tags: BTreeMap::new(),
    };
    review(Request { config, home: &home, principal: &principal, snapshot, cluster: &cluster, role: &role, asked })
}

fn label(decision: &Result<Permit, Refusal>) -> &'static str {
    match decision {
        Ok(_) => "permit",
        Err(Refusal::Observed) => "observed",
        Err(Refusal::Hold(reason)) => reason.label(),
    }
}

#[test]
fn an_unattended_repair_is_permitted_for_what_gives_little_and_held_for_the_rest() {
    let generated = "arn:aws:sts::111122223333:assumed-role/role/{{SessionName}}";
    let cases = [
        (snapshot("EC2_LINUX", Some("system:node:{{EC2PrivateDNSName}}"), &["system:nodes"], &[]), "permit"),
        (snapshot("EC2", None, &[], &["AmazonEKSAutoNodePolicy"]), "permit"),
        (snapshot("EC2", None, &[], &["AmazonEKSClusterAdminPolicy"]), "privileged"),
        (snapshot("FARGATE_LINUX", None, &[], &[]), "privileged"),
        (snapshot("STANDARD", Some(generated), &[], &["AmazonEKSViewPolicy"]), "permit"),
        (snapshot("STANDARD", Some(generated), &[], &["AmazonEKSAdminViewPolicy"]), "privileged"),
        (snapshot("STANDARD", Some(generated), &["viewers"], &["AmazonEKSViewPolicy"]), "privileged"),
        (snapshot("STANDARD", Some("me"), &[], &["AmazonEKSViewPolicy"]), "privileged"),
        (snapshot("STANDARD", Some(generated), &[], &[]), "privileged"),
        (snapshot("STANDARD", Some("System:admin"), &[], &[]), "cannotRecreate"),
        (snapshot("STANDARD", None, &["eks:managed"], &[]), "cannotRecreate"),
        (snapshot("STANDARD", None, &[], &["AmazonEKSComputePolicy"]), "cannotRecreate"),
        (snapshot("EC2_LINUX", None, &["mine"], &[]), "cannotRecreate"),
        (snapshot("EC2_LINUX", None, &[], &["AmazonEKSViewPolicy"]), "cannotRecreate"),
        (snapshot("SOMETHING_NEW", None, &[], &[]), "cannotRecreate"),
    ];
    for (snapshot, expected) in cases {
        assert_eq!(label(&decide(&config(&[]), &snapshot, &Asked::automatically())), expected, "{snapshot:?}");
    }
}

#[test]
fn an_approval_passes_holds_and_patterns_but_not_what_could_not_be_created_again() {
    let approver = Asked::ByApprover { role_id: RoleId("AROANEW0000000000001".to_owned()) };
    let other = Asked::ByApprover { role_id: RoleId("AROAOLD0000000000001".to_owned()) };
    let admin = snapshot("STANDARD", Some("me"), &["admins"], &[]);
    let strict = config(&[("HOLD", "all"), ("ROLE_PATTERNS", "!role"), ("CLUSTER_PATTERNS", "!prod")]);
    assert_eq!(label(&decide(&strict, &admin, &approver)), "permit");
    assert_eq!(label(&decide(&strict, &admin, &other)), "roleChanged");
    assert_eq!(
        label(&decide(&strict, &snapshot("STANDARD", None, &["system:masters"], &[]), &approver)),
        "cannotRecreate"
    );
    assert_eq!(label(&decide(&config(&[("MODE", "observe")]), &admin, &approver)), "observed");
    assert_eq!(label(&decide(&config(&[("LEDGER_TABLE", "")]), &admin, &approver)), "noLedger");
}

#[test]
fn a_permit_is_for_the_role_that_exists() {
    let permit = decide(&config(&[]), &snapshot("EC2_LINUX", None, &[], &[]), &Asked::automatically()).unwrap();
    assert_eq!(permit.role_id().0, "AROANEW0000000000001");
}

proptest! {
    #[test]
    fn nothing_with_groups_is_ever_permitted_unattended(
        groups in proptest::collection::vec("[a-z:]{1,12}", 1..4), kind in "STANDARD|EC2_LINUX|EC2|HYBRID_LINUX",
    ) {
        let groups: Vec<&str> = groups.iter().map(String::as_str).filter(|group| *group != "system:nodes").collect();
        let is_reserved = |group: &&str| RESERVED_PREFIXES.iter().any(|prefix| group.starts_with(prefix));
        // EKS gives node entries groups of its own.
        let are_eks_own = kind != "STANDARD" && groups.iter().all(is_reserved);
        prop_assume!(!groups.is_empty());
        prop_assume!(!are_eks_own);
        let decision = decide(&config(&[]), &snapshot(&kind, None, &groups, &[]), &Asked::automatically());
        prop_assert!(decision.is_err());
    }
}
