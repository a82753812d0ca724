//! What is permitted, what waits, and for which reason where several apply.

use std::collections::BTreeMap;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::model::{AccessPolicy, AccessScope, ClusterRef, Region};
use crate::row::{Before, Phase, Target};

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
    Case { config: config.clone(), snapshot: snapshot.clone(), asked: asked.clone(), ..Case::permitted() }.review()
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
fn a_preview_says_what_a_review_would_say() {
    let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
    for (held, expected) in [("none", "permit"), ("all", "holdAll")] {
        let case = Case { config: config(&[("HOLD", held)]), ..Case::permitted() };
        let Case { config, principal, snapshot, cluster, role, asked } = &case;
        let preview = preview(Request { config, home: &home, principal, snapshot, cluster, role, asked });
        assert_eq!(preview.is_ok(), label(&case.review()) == "permit");
        assert_eq!(label(&case.review()), expected);
    }
}

#[test]
fn of_several_policies_cluster_administration_is_named_first_and_the_harmless_one_not_at_all() {
    let all = ["AmazonEKSEditPolicy", "AmazonEKSAdminPolicy", "AmazonEKSViewPolicy", "AmazonEKSClusterAdminPolicy"];
    let snapshot = snapshot("STANDARD", None, &[], &all);
    let Err(Refusal::Hold(hold)) = decide(&config(&[]), &snapshot, &Asked::automatically()) else { panic!("held") };
    let told = hold.explain();
    let at = |name: &str| told.find(name).unwrap_or_else(|| panic!("{name} in {told}"));
    assert!(at("AmazonEKSClusterAdminPolicy") < at("AmazonEKSAdminPolicy"), "{told}");
    assert!(at("AmazonEKSAdminPolicy") < at("AmazonEKSEditPolicy"), "{told}");
    assert!(!told.contains("AmazonEKSViewPolicy"), "{told}");
}

#[test]
fn a_permit_is_for_the_role_that_exists() {
    let permit = decide(&config(&[]), &snapshot("EC2_LINUX", None, &[], &[]), &Asked::automatically()).unwrap();
    assert_eq!(permit.role_id().0, "AROANEW0000000000001");
}

/// One request, to be changed in one thing.
struct Case {
    config: Config,
    principal: RoleArn,
    snapshot: Snapshot,
    cluster: Cluster,
    role: Role,
    asked: Asked,
}

impl Case {
    /// An entry that is permitted without anybody being asked.
    fn permitted() -> Self {
        let principal = RoleArn::parse(ROLE).unwrap();
        Self {
            config: config(&[]),
            snapshot: snapshot("EC2_LINUX", None, &[], &[]),
            cluster: Cluster {
                at: ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() },
                created_at: OffsetDateTime::UNIX_EPOCH,
                is_workable: true,
                role_arn: "arn:aws:iam::111122223333:role/cluster".to_owned(),
                node_role_arn: Some("arn:aws:iam::111122223333:role/auto".to_owned()),
                tags: BTreeMap::new(),
            },
            role: Role {
                arn: principal.clone(),
                id: RoleId("AROANEW0000000000001".to_owned()),
                created_at: OffsetDateTime::UNIX_EPOCH,
                trust_policy: Some(NODES.to_owned()),
            },
            principal,
            asked: Asked::automatically(),
        }
    }

    fn review(&self) -> Result<Permit, Refusal> {
        let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
        let Self { config, principal, snapshot, cluster, role, asked } = self;
        review(Request { config, home: &home, principal, snapshot, cluster, role, asked })
    }

    fn removal(&self) -> Result<RemovalPermit, Refusal> {
        review_removal(&self.config, &self.principal, &self.snapshot, &self.cluster)
    }

    fn resume(&self) -> Result<Permit, Hold> {
        let permitted = Permitted { role_id: RoleId("AROAPERMITTED".to_owned()), grounds: "once".to_owned() };
        let repair = Repair {
            wanted: self.snapshot.clone(),
            cluster_created_at: self.cluster.created_at,
            permitted,
            before: Before::Nothing,
            target: Target::OfOwner("arn".to_owned()),
            phase: Phase::Opened,
            role_absent_since: None,
            lease: None,
        };
        resume(&self.config, &repair, &self.principal, &self.cluster)
    }
}

/// What a change of the request makes of a repair, of its continuation and of a removal.
fn labels(change: impl FnOnce(&mut Case)) -> [&'static str; 3] {
    let mut case = Case::permitted();
    change(&mut case);
    let removal = match case.removal() {
        Ok(_) => "permit",
        Err(Refusal::Observed) => "observed",
        Err(Refusal::Hold(reason)) => reason.label(),
    };
    [label(&case.review()), case.resume().map_or_else(|reason| reason.label(), |_| "permit"), removal]
}

#[test]
fn each_guardrail_holds_what_it_is_there_for() {
    let ignored = || (IGNORE_KEY.to_owned(), IGNORE_VALUE.to_owned());
    assert_eq!(labels(|_| {}), ["permit"; 3]);
    assert_eq!(labels(|it| it.snapshot.tags.extend([ignored()])), ["ignoreTag"; 3]);
    assert_eq!(labels(|it| it.cluster.tags.extend([ignored()])), ["ignoreTag"; 3]);
    assert_eq!(labels(|it| drop(it.cluster.tags.insert(IGNORE_KEY.to_owned(), "other".to_owned()))), ["permit"; 3]);
    assert_eq!(labels(|it| it.config = config(&[("MODE", "observe")])), ["observed", "observing", "observed"]);
    assert_eq!(labels(|it| it.config = config(&[("LEDGER_TABLE", "")])), ["noLedger", "permit", "noLedger"]);
    for (setting, pattern, word) in [
        ("ROLE_PATTERNS", "!role", "rolePattern"),
        ("ROLE_PATTERNS", "arn:aws:iam::111122223333:role/other", "rolePattern"),
        ("CLUSTER_PATTERNS", "!prod", "clusterPattern"),
        ("CLUSTER_PATTERNS", "arn:aws:eks:eu-west-1:111122223333:cluster/test", "clusterPattern"),
        ("CLUSTER_PATTERNS", "arn:aws:eks:eu-west-1:111122223333:cluster/prod", "permit"),
    ] {
        assert_eq!(labels(|it| it.config = config(&[(setting, pattern)])), [word, "permit", word], "{pattern}");
    }
    let elsewhere = || RoleArn::parse("arn:aws:iam::444455556666:role/role").unwrap();
    assert_eq!(labels(|it| it.role.arn = elsewhere()), ["cannotRecreate", "permit", "permit"]);
    let both = |it: &mut Case| (it.role.arn, it.principal) = (elsewhere(), elsewhere());
    assert_eq!(labels(both), ["cannotRecreate", "permit", "permit"]);
}

#[test]
fn what_could_not_be_created_again_is_neither_repaired_nor_continued_nor_removed() {
    let role = |name: &str| RoleArn::parse(&format!("arn:aws:iam::111122223333:role/{name}")).unwrap();
    let refused = ["cannotRecreate", "ledgerRowInvalid", "cannotRecreate"];
    for name in ["cluster", "auto", "aws-service-role/eks.amazonaws.com/AWSServiceRoleForX"] {
        assert_eq!(labels(|it| (it.principal, it.role.arn) = (role(name), role(name))), refused, "{name}");
    }
    let tagged = |key: &str| labels(|it| drop(it.snapshot.tags.insert(key.to_owned(), "true".to_owned())));
    assert_eq!((tagged("aws:eks:managed"), tagged("AWS:EKS:managed")), (refused, refused));
    assert_eq!((tagged("aws:other"), tagged("a")), (["permit"; 3], ["permit"; 3]));
    let of = |entry: Snapshot| labels(|it| it.snapshot = entry);
    for name in ["x-{{SessionName}}", "{{SessionNameRaw}}"] {
        assert_eq!(of(snapshot("STANDARD", Some(name), &[], &[])), refused, "{name}");
    }
    let held = ["privileged", "permit", "permit"];
    assert_eq!(of(snapshot("STANDARD", Some("x:{{SessionName}}"), &[], &[])), held);
    assert_eq!(of(snapshot("EC2_LINUX", Some(""), &["system:nodes"], &[])), ["permit"; 3]);
    assert_eq!(of(snapshot("EC2", None, &[], &["AmazonEKSComputePolicy"])), refused);
}

#[test]
fn without_the_right_to_grant_privileges_only_the_view_policy_is_granted_whoever_asks() {
    let approver = Asked::ByApprover { role_id: RoleId("AROANEW0000000000001".to_owned()) };
    let denied = config(&[("ALLOW_PRIVILEGED_GRANTS", "false")]);
    let view = snapshot("STANDARD", None, &[], &["AmazonEKSViewPolicy"]);
    let edit = snapshot("STANDARD", None, &[], &["AmazonEKSEditPolicy"]);
    assert_eq!(label(&decide(&denied, &view, &approver)), "permit");
    assert_eq!(decide(&denied, &edit, &approver), Err(Refusal::Hold(Hold::GrantsRefused)));
    assert_eq!(label(&decide(&config(&[]), &edit, &approver)), "permit");
}

#[test]
fn trust_in_a_creator_counts_for_the_role_that_it_created() {
    let creator = Creator {
        arn: "arn:aws:iam::111122223333:role/terraform".to_owned(),
        unique_id: "AROATERRAFORM00000001".to_owned(),
    };
    let created = |id: &str| Asked::Automatically { creator: Some((creator.clone(), RoleId(id.to_owned()))) };
    let all = |trusted: &str| config(&[("HOLD", "all"), ("TRUSTED_CREATORS", trusted)]);
    let node = snapshot("EC2_LINUX", None, &[], &[]);
    let permit = decide(&all("AROATERRAFORM00000001"), &node, &created("AROANEW0000000000001")).unwrap();
    assert_eq!(
        permit.grounds(),
        "created by the trusted arn:aws:iam::111122223333:role/terraform (AROATERRAFORM00000001)"
    );
    for (trusted, id) in [("AROATERRAFORM00000001", "AROAOLD0000000000001"), ("", "AROANEW0000000000001")] {
        assert_eq!(label(&decide(&all(trusted), &node, &created(id))), "holdAll");
    }
    let admin = snapshot("STANDARD", Some("me"), &["admins"], &[]);
    assert_eq!(label(&decide(&config(&[("HOLD", "none")]), &admin, &Asked::automatically())), "permit");
}

#[test]
fn permits_and_receipts_say_what_they_are_for() {
    let case = Case::permitted();
    let permit = case.review().unwrap();
    assert_eq!((permit.principal(), permit.cluster()), (&case.principal, &case.cluster.at));
    let policy = &snapshot("EC2", None, &[], &["AmazonEKSAutoNodePolicy"]).access_policies[0];
    let receipt = permit.association(policy);
    assert_eq!((receipt.principal(), receipt.cluster()), (&case.principal, &case.cluster.at));
    assert_eq!(receipt.policy_arn(), policy.policy_arn);
    let removal = case.removal().unwrap();
    assert_eq!((removal.principal(), removal.cluster()), (&case.principal, &case.cluster.at));
    let resumed = case.resume().unwrap();
    assert_eq!((resumed.role_id().0.as_str(), resumed.grounds()), ("AROAPERMITTED", "once"));
    assert_eq!(resumed.clone().claimed_by(None), resumed);
    assert_eq!(resumed.claimed_by(Some("arn")).grounds(), "once; the person claims to be arn");
}

#[test]
fn a_service_whose_policy_an_entry_has_is_named() {
    let policies = |names: &[&str]| snapshot("STANDARD", None, &[], names).access_policies;
    assert_eq!(services_that_use(&policies(&["AmazonEKSViewPolicy"])), None);
    let named = services_that_use(&policies(&["AmazonEKSViewPolicy", "AmazonEKSKROPolicy"])).unwrap();
    assert!(named.starts_with("KRO (EKS Capabilities) uses AmazonEKSKROPolicy. "), "{named}");
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
