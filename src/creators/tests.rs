use serde_json::json;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::model::{AccessPolicy, AccessScope, NameSet, Region};

const NOW: OffsetDateTime = datetime!(2026-06-23 12:00:00 UTC);
const CREATE_ROLE: &str = include_str!("../../events/create-role-repairs-stale-entries.json");
const BY_TERRAFORM: &str = include_str!("../../events/create-role-by-terraform-repairs-where-trusted.json");
const BY_USER: &str = include_str!("../../events/create-role-by-iam-user-repairs-where-trusted.json");
const FAILED: &str = include_str!("../../events/create-role-failed-is-ignored.json");
const ACQUIRED: &str = include_str!("../../events/acquire-role-repairs-stale-entries.json");
const OF_ANOTHER: &str = include_str!("../../events/create-role-of-another-account-is-ignored.json");

fn home() -> Home {
    Home { partition: "aws".to_owned(), account: "111122223333".to_owned() }
}

fn record(event: &str) -> Value {
    serde_json::from_str::<Value>(event).expect("a sample")["detail"].clone()
}

fn minutes(minutes: i64) -> OffsetDateTime {
    NOW + Duration::minutes(minutes)
}

fn creator(name: &str) -> Creator {
    let unique_id = format!("AROA{}", name.to_uppercase());
    Creator { arn: format!("arn:aws:iam::111122223333:role/ci/{name}"), unique_id }
}

/// An account that is built up by what happens in it.
#[derive(Default)]
struct Account {
    creations: Vec<Creation>,
    roles: BTreeMap<RoleArn, Role>,
    entries: Vec<EntrySeen>,
    gone: Vec<String>,
}

impl Account {
    fn arn(name: &str) -> RoleArn {
        RoleArn::parse(&format!("arn:aws:iam::111122223333:role/{name}")).expect("a role")
    }

    fn create(&mut self, name: &str, by: Option<&Creator>, at: i64) -> &mut Self {
        let (arn, id) = (Self::arn(name), RoleId(format!("AROA{name}{at}").to_uppercase()));
        let creation = Creation { arn: arn.clone(), role_id: Some(id.clone()), at: Some(minutes(at)), by: by.cloned() };
        self.creations.insert(0, creation);
        let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
        let role = Role { arn: arn.clone(), id, created_at: minutes(at), trust_policy: Some(trust.to_owned()) };
        self.roles.insert(arn, role);
        self
    }

    fn enter(&mut self, name: &str, policy: &str, at: i64) -> &mut Self {
        let policy = AccessPolicy {
            policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{policy}"),
            access_scope: AccessScope { kind: "cluster".to_owned(), namespaces: NameSet::default() },
        };
        let snapshot = Snapshot {
            kind: EntryType::Standard,
            username: None,
            kubernetes_groups: NameSet::default(),
            tags: BTreeMap::new(),
            access_policies: vec![policy],
            created_at: minutes(at),
        };
        let at = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
        self.entries.push(EntrySeen { at, principal: Self::arn(name), snapshot, is_replacement: false });
        self
    }

    fn creators(&self) -> Creators {
        let roles = self.roles.values().cloned().collect();
        let known = Known { creations: &self.creations, roles: &roles, entries: &self.entries };
        let trails = known.trails();
        let exists = |trail: &Trail| {
            if self.gone.contains(&trail.creator.unique_id) {
                return Existence::Gone;
            }
            Existence::Role(Role {
                arn: RoleArn::parse(&trail.creator.arn).expect("a role"),
                id: RoleId(trail.creator.unique_id.clone()),
                created_at: minutes(-10_000),
                trust_policy: Some(
                    r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"}}}"#
                        .to_owned(),
                ),
            })
        };
        let existence = trails.iter().map(|(id, trail)| (id.clone(), exists(trail))).collect();
        Creators::of(known, trails, existence, &home(), minutes(-1_000))
    }
}

fn candidates(creators: &Creators) -> Vec<&str> {
    creators.candidates.iter().map(|candidate| candidate.creator.unique_id.as_str()).collect()
}

fn askers(creators: &Creators) -> Vec<(&str, usize)> {
    creators.askers.iter().map(|asker| (asker.name.as_str(), asker.taken.len())).collect()
}

#[test]
fn whoever_creates_roles_for_which_somebody_then_makes_an_entry_is_a_candidate() {
    let (pipeline, other) = (creator("pipeline"), creator("other"));
    let mut account = Account::default();
    account.create("a", Some(&pipeline), 0).enter("a", "AmazonEKSClusterAdminPolicy", 5);
    account.create("b", Some(&pipeline), 0).enter("b", "AmazonEKSViewPolicy", 5);
    account.create("c", Some(&other), 0).enter("c", "AmazonEKSEditPolicy", 5);
    // A role without an entry says nothing.
    account.create("d", Some(&creator("nobody")), 0);

    let found = account.creators();

    assert_eq!(candidates(&found), ["AROAPIPELINE", "AROAOTHER"]);
    let first = &found.candidates[0];
    let released: Vec<&str> = first.could_release.iter().map(|it| it.grants.as_str()).collect();
    assert_eq!(released, ["type STANDARD; AmazonEKSClusterAdminPolicy for cluster"], "a view entry waits for nobody");
    assert_eq!((first.roles.len(), first.entries), (2, 2));
    assert_eq!(first.assumed_by, AssumedBy::Principals(vec!["AWS arn:aws:iam::111122223333:root".to_owned()]));
    assert_eq!(found.askers, []);
}

#[test]
fn whoever_recreates_forty_freed_names_is_no_candidate_with_whatever_evidence_besides() {
    let (mallory, pipeline) = (creator("mallory"), creator("pipeline"));
    let mut account = Account::default();
    account.create("app", Some(&pipeline), 0).enter("app", "AmazonEKSEditPolicy", 5);
    for n in 0..40 {
        let name = format!("freed{n}");
        account.create(&name, None, -100).enter(&name, "AmazonEKSClusterAdminPolicy", -90);
        account.create(&name, Some(&mallory), 10);
    }
    for n in 0..60 {
        let name = format!("own{n}");
        account.create(&name, Some(&mallory), 20).enter(&name, "AmazonEKSViewPolicy", 25);
    }

    let found = account.creators();

    assert_eq!(candidates(&found), ["AROAPIPELINE"]);
    assert_eq!(askers(&found), [("role/ci/mallory", 40)]);
    assert_eq!(found.askers[0].good_entries, 60);
    // What is shown of them is no value for the setting.
    assert!(!found.askers[0].name.contains("arn:") && !found.askers[0].name.contains("AROA"));
}

#[test]
fn whoever_took_a_freed_name_is_remembered_after_the_role_is_gone_or_somebody_elses() {
    let (mallory, pipeline) = (creator("mallory"), creator("pipeline"));
    let mut account = Account::default();
    account.create("own", Some(&mallory), 0).enter("own", "AmazonEKSViewPolicy", 5);
    account.enter("freed", "AmazonEKSClusterAdminPolicy", -90).create("freed", Some(&mallory), 10);
    account.roles.remove(&Account::arn("freed"));
    assert_eq!(askers(&account.creators()), [("role/ci/mallory", 1)]);

    account.create("freed", Some(&pipeline), 20);
    assert_eq!(askers(&account.creators()), [("role/ci/mallory", 1), ("role/ci/pipeline", 1)]);
}

#[test]
fn an_entry_that_was_repaired_is_no_evidence_for_whoever_took_the_name() {
    let mallory = creator("mallory");
    let mut account = Account::default();
    account.create("freed", Some(&mallory), 10).enter("freed", "AmazonEKSViewPolicy", 15);
    assert_eq!(candidates(&account.creators()), ["AROAMALLORY"], "it is the deletion before that tells them apart");

    account.entries[0].is_replacement = true;
    let found = account.creators();
    assert_eq!((candidates(&found), askers(&found)), (vec![], vec![]));
}

#[test]
fn a_deletion_between_role_and_entry_makes_the_entry_a_replacement() {
    let mut account = Account::default();
    account.create("freed", None, 10).enter("freed", "AmazonEKSViewPolicy", 15);
    let entry = &account.entries[0];
    let encoded = "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Ffreed";
    let deletion = |at: i64, cluster: &str, principal: &str| {
        json!({"eventSource": "eks.amazonaws.com", "eventName": "DeleteAccessEntry",
            "eventTime": minutes(at).format(&Rfc3339).expect("a date"),
            "requestParameters": {"name": cluster, "principalArn": principal}})
    };
    let precedes = |record: &Value| Deletion::read(record).is_some_and(|it| it.may_precede(entry, minutes(10)));
    assert!(precedes(&deletion(14, "prod", encoded)));
    assert!(precedes(&deletion(14, "prod", "arn:aws:iam::111122223333:role/freed")));
    // Terraform's replacement of role and entry deletes the entry first.
    assert!(!precedes(&deletion(9, "prod", encoded)));
    assert!(!precedes(&deletion(16, "prod", encoded)));
    assert!(!precedes(&deletion(14, "dev", encoded)));
    assert!(!precedes(&deletion(14, "prod", "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fother")));
    // What is not told may be.
    let mut untold = deletion(14, "prod", encoded);
    untold["requestParameters"] = Value::Null;
    assert!(precedes(&untold));
    let mut failed = deletion(14, "prod", encoded);
    failed["errorCode"] = json!("ResourceNotFoundException");
    assert!(!precedes(&failed));
}

#[test]
fn only_the_creator_of_the_very_role_that_exists_has_evidence() {
    let (first, second) = (creator("first"), creator("second"));
    let mut account = Account::default();
    account.create("app", Some(&first), 0).create("app", Some(&second), 10).enter("app", "AmazonEKSEditPolicy", 15);
    assert_eq!(candidates(&account.creators()), ["AROASECOND"]);

    // A record that was cut off names no ID: that it is the role's is not known.
    account.creations[0].role_id = None;
    assert_eq!(candidates(&account.creators()), [""; 0]);
    // But it is held against its creator.
    account.entries[0].snapshot.created_at = minutes(5);
    assert_eq!(askers(&account.creators()), [("role/ci/second", 1)]);
    account.creations[0].at = None;
    assert_eq!(askers(&account.creators()), [("role/ci/second", 1)]);
}

#[test]
fn an_entry_of_the_roles_own_second_is_not_older() {
    let mut account = Account::default();
    account.create("app", Some(&creator("pipeline")), 0).enter("app", "AmazonEKSEditPolicy", 0);
    account.entries[0].snapshot.created_at += Duration::milliseconds(300);
    assert_eq!(candidates(&account.creators()), ["AROAPIPELINE"]);
    account.entries[0].snapshot.created_at -= Duration::seconds(1);
    assert_eq!(askers(&account.creators()), [("role/ci/pipeline", 1)]);
}

#[test]
fn a_creator_that_is_gone_or_has_another_id_now_is_not_shown_as_a_value() {
    let mut account = Account::default();
    account.create("app", Some(&creator("pipeline")), 0).enter("app", "AmazonEKSEditPolicy", 5);
    account.gone.push("AROAPIPELINE".to_owned());
    let found = account.creators();
    assert_eq!((candidates(&found), found.gone.as_slice()), (vec![], &["role/ci/pipeline".to_owned()][..]));
}

#[test]
fn the_strongest_grant_comes_first() {
    let pipeline = creator("pipeline");
    let mut account = Account::default();
    let policies = ["AmazonEKSEditPolicy", "AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy", "AmazonEKSNewPolicy"];
    for (n, policy) in policies.iter().enumerate() {
        let name = format!("app{n}");
        account.create(&name, Some(&pipeline), 0).enter(&name, policy, 5);
    }
    account.entries[0].snapshot.access_policies[0].access_scope =
        AccessScope { kind: "namespace".to_owned(), namespaces: ["a".to_owned()].into_iter().collect() };
    let found = account.creators();
    let order: Vec<&str> = found.candidates[0].could_release.iter().map(|it| it.principal.name()).collect();
    assert_eq!(order, ["app1", "app3", "app2", "app0"]);
}

#[test]
fn roles_without_a_known_creator_are_told_apart_by_the_reason() {
    let mut account = Account::default();
    for name in ["old", "lost", "roots"] {
        account.create(name, None, if name == "old" { -2_000 } else { 0 }).enter(name, "AmazonEKSEditPolicy", 5);
    }
    account.creations.retain(|creation| creation.arn.name() == "roots");
    let found = account.creators();
    let only = |name: &str| BTreeSet::from([Account::arn(name)]);
    assert_eq!(found.older_roles, only("old"));
    assert_eq!(found.unrecorded_roles, only("lost"));
    assert_eq!(found.untrustable_roles, only("roots"));
}

#[test]
fn a_records_creator_is_the_one_that_the_function_sees() {
    let by = |event: &str| Creation::read(&record(event), &home()).and_then(|creation| creation.by);
    assert_eq!(
        by(BY_TERRAFORM).map(|it| it.arn).as_deref(),
        Some("arn:aws:iam::111122223333:role/ci/terraform-deployer")
    );
    assert!(by(BY_USER).is_some_and(|it| it.unique_id.starts_with("AIDA") && it.arn.contains(":user/")));
    for ignored in [FAILED, ACQUIRED, OF_ANOTHER] {
        assert_eq!(Creation::read(&record(ignored), &home()), None);
    }
}

#[test]
fn root_services_other_accounts_and_identity_center_are_nobody() {
    let issuer = |arn: &str| {
        json!({"type": "AssumedRole", "principalId": "AROAX:s", "arn": "arn:aws:sts::111122223333:assumed-role/x/s",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROAX", "arn": arn}}})
    };
    let mut forwarded = issuer("arn:aws:iam::111122223333:role/admin");
    forwarded["invokedBy"] = json!("sso.amazonaws.com");
    let identities = [
        json!({"type": "Root", "principalId": "111122223333", "arn": "arn:aws:iam::111122223333:root"}),
        json!({"type": "AWSService", "invokedBy": "eks.amazonaws.com"}),
        json!({"type": "AWSAccount", "principalId": "AROAX:s", "accountId": "444455556666"}),
        issuer("arn:aws:iam::444455556666:role/admin"),
        issuer("arn:aws:iam::111122223333:role/aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO"),
        forwarded,
    ];
    for identity in identities {
        let mut record = record(CREATE_ROLE);
        record["userIdentity"] = identity;
        let creation = Creation::read(&record, &home()).expect("a role was created");
        assert_eq!(creation.by, None, "{record}");
    }
}

#[test]
fn a_trust_policy_is_told_by_its_principals() {
    let told = |path: &str, policy: Option<&str>| {
        let arn = RoleArn::parse(&format!("arn:aws:iam::111122223333:role{path}deploy")).expect("a role");
        let trust_policy = policy.map(str::to_owned);
        match assumed_by(&Role { arn, id: RoleId("AROAX".to_owned()), created_at: NOW, trust_policy }) {
            AssumedBy::Principals(principals) => principals.join("; "),
            other => format!("{other:?}"),
        }
    };
    let several = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":["a","b"]}},
        {"Effect":"Allow","Principal":{"Federated":"f"},"Condition":{"StringEquals":{}}},
        {"Effect":"Deny","Principal":"*"}]}"#;
    let (everybody, others) = (
        r#"{"Statement":{"Effect":"Allow","Principal":"*"}}"#,
        r#"{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"a"}}}"#,
    );
    assert_eq!(told("/", Some(several)), "AWS a; AWS b; Federated f, under conditions");
    assert_eq!(told("/", Some(everybody)), "*");
    assert_eq!(told("/", Some(others)), "everybody who is not excluded");
    assert!(told("/aws-reserved/sso.amazonaws.com/", Some(everybody)).contains("permission set"));
    assert_eq!((told("/", Some("nonsense")), told("/", None)), ("Unreadable".to_owned(), "Unreadable".to_owned()));
}
