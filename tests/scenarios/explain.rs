//! `explain` against the whole AWS: a role that is let in is let off, and one that is not is told why.

use std::time::Duration;

use access_entry_guard::aws::Reads;
use access_entry_guard::explain::{Explanation, Kind, NotThere, RoleAsked, Verdict, explain};
use access_entry_guard::model::{ClusterRef, Home, Region};
use access_entry_guard::outcome::Outcome;

use crate::cloud::{EntrySpec, UserKind, trust};
use crate::stage::{CLUSTER, REGION, Stage, viewer};

const PEOPLE: &str = "arn:aws:iam::111122223333:root";

async fn ask(stage: &Stage, role: &str) -> Result<Explanation, NotThere> {
    ask_in(stage, CLUSTER, role).await
}

async fn ask_in(stage: &Stage, cluster: &str, role: &str) -> Result<Explanation, NotThere> {
    let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
    let at = ClusterRef { region: Region(REGION.to_owned()), name: cluster.to_owned() };
    let asked = RoleAsked::parse(role, &home).expect("the name or the ARN of a role");
    stage.cloud.clear_calls();
    let reads = Reads::new(&stage.cloud.sdk_config());
    let explanation = explain(&reads, &home, &at, &asked, stage.cloud.now()).await;
    let calls: Vec<String> = stage.cloud.calls().into_iter().map(|call| call.operation).collect();
    let is_read = |call: &String| ["Describe", "List", "Get"].iter().any(|verb| call.starts_with(verb));
    assert!(calls.iter().all(is_read), "nothing is changed: {calls:?}");
    explanation
}

fn cause(explanation: &Explanation) -> Option<Kind> {
    explanation.cause().map(|cause| cause.kind)
}

fn verdict(explanation: &Explanation, kind: Kind) -> &'static str {
    explanation.causes.iter().find(|cause| cause.kind == kind).expect("every cause").verdict.label()
}

#[tokio::test(start_paused = true)]
async fn of_a_role_that_is_let_in_nothing_stands_in_the_way() {
    let stage = Stage::set();
    stage.node("node").await;
    let people = stage.cloud.create_role("/team/", "people", &trust::aws(PEOPLE));
    stage.cloud.add_entry(REGION, CLUSTER, &people.arn, viewer());
    for name in ["node", "people", people.arn.as_str()] {
        let explanation = ask(&stage, name).await.unwrap();
        assert_eq!((cause(&explanation), explanation.is_unsure()), (None, false), "{name}: {:#?}", explanation.causes);
    }
    assert!(stage.admits("node") && stage.admits("people"));
}

#[tokio::test(start_paused = true)]
async fn a_node_group_of_the_cluster_says_that_a_standard_entry_is_of_the_wrong_type() {
    let stage = Stage::set();
    let role = stage.cloud.create_role("/", "node", &trust::ec2_and_aws(PEOPLE));
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, viewer());
    let verdict_now = async || verdict(&ask(&stage, "node").await.unwrap(), Kind::WrongType);
    assert_eq!(verdict_now().await, "unknown");
    let cluster = stage.cloud.cluster(REGION, CLUSTER);
    cluster.user(UserKind::Nodegroup, "blue", &role.arn, "ACTIVE", Duration::from_hours(1));
    assert_eq!(verdict_now().await, "yes");
    stage.cloud.deny("ListNodegroups");
    assert_eq!(verdict_now().await, "unknown");
}

#[tokio::test(start_paused = true)]
async fn a_recreated_role_is_told_that_its_entry_is_stale_and_what_would_repair_it() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    assert!(!stage.admits("node"));
    let explanation = ask(&stage, "NODE").await.unwrap();
    assert_eq!(cause(&explanation), Some(Kind::Stale));
    let found = explanation.entry.expect("the entry");
    assert!(found.is_whole && found.case.outcome == Outcome::WouldRepair);
    assert_eq!(found.case.sighting.role.role().map(|role| role.id.0.as_str()), Some(role.id.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_role_of_another_path_is_named_as_the_near_miss_whichever_arn_is_given() {
    let stage = Stage::set();
    let before = stage.node("node").await;
    stage.cloud.delete_role("node");
    let role = stage.cloud.create_role("/team/", "node", &trust::ec2());
    stage.settle().await;
    assert!(!stage.admits("node"));
    for name in ["node", before.arn.as_str(), role.arn.as_str()] {
        let explanation = ask(&stage, name).await.unwrap();
        assert_eq!(cause(&explanation), Some(Kind::OtherPath), "{name}: {:#?}", explanation.causes);
        let found = explanation.cause().unwrap();
        let entry = stage.entry(&before).unwrap();
        assert!(found.detail.contains(&entry.arn) && found.detail.contains(&role.arn), "{}", found.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permission_set_that_was_assigned_anew_is_told_of_its_old_entry_and_its_new_role() {
    let stage = Stage::set();
    let path = "/aws-reserved/sso.amazonaws.com/eu-west-2/";
    let create =
        |suffix: &str| stage.cloud.create_role(path, &format!("AWSReservedSSO_Admin_{suffix}"), &trust::aws(PEOPLE));
    let old = create("1234567890abcdef");
    stage.cloud.add_entry(REGION, CLUSTER, &old.arn, viewer());
    stage.cloud.delete_role(&old.name);
    let gone = ask(&stage, &old.name).await.unwrap();
    assert_eq!(cause(&gone), Some(Kind::Orphaned));
    let new = create("fedcba0987654321");
    assert!(!stage.admits(&new.name));
    let explanation = ask(&stage, &new.name).await.unwrap();
    assert_eq!(cause(&explanation), Some(Kind::OtherSuffix), "{:#?}", explanation.causes);
    assert!(explanation.cause().unwrap().detail.contains(&old.arn));
    let gone = ask(&stage, &old.name).await.unwrap();
    assert_eq!((cause(&gone), verdict(&gone, Kind::Orphaned)), (Some(Kind::OtherSuffix), "yes"));
    assert!(gone.cause().unwrap().detail.contains(&new.arn));
    // The old role has neither role nor entry any more: the present one is named instead.
    stage.cloud.delete_entry(REGION, CLUSTER, &old.arn);
    let nothing = ask(&stage, &old.name).await.unwrap_err().to_string();
    assert!(nothing.contains(&new.arn), "{nothing}");
}

#[tokio::test(start_paused = true)]
async fn nodes_with_a_standard_entry_are_told_the_type_that_they_need() {
    let stage = Stage::set();
    stage.role_with("node", EntrySpec::standard()).await;
    let explanation = ask(&stage, "node").await.unwrap();
    assert_eq!(cause(&explanation), Some(Kind::WrongType));
    assert!(explanation.cause().unwrap().next.as_ref().unwrap().contains("EC2_LINUX"));
    assert!(explanation.cause().unwrap().detail.contains("STANDARD"));
}

#[tokio::test(start_paused = true)]
async fn a_denied_read_leaves_it_untold_and_never_lets_the_role_off() {
    for (operation, untold) in [
        ("GetRole", Kind::Stale),
        ("DescribeAccessEntry", Kind::Stale),
        ("ListAssociatedAccessPolicies", Kind::NoRights),
        ("DescribeCluster", Kind::ClusterNotActive),
    ] {
        let stage = Stage::set();
        let role = stage.cloud.create_role("/team/", "people", &trust::aws(PEOPLE));
        stage.cloud.add_entry(REGION, CLUSTER, &role.arn, viewer());
        stage.cloud.deny(operation);
        let explanation = ask(&stage, &role.arn).await.unwrap();
        assert_eq!((cause(&explanation), explanation.is_unsure()), (None, true), "{operation}");
        assert_eq!(verdict(&explanation, untold), "unknown", "{operation}");
        if operation != "GetRole" && operation != "DescribeAccessEntry" {
            let found = explanation.entry.expect("the entry");
            assert!(!found.is_whole, "{operation}: nobody could create it again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_entry_is_found_without_the_list_and_without_its_policies() {
    let stage = Stage::set();
    stage.role_with("people", viewer()).await;
    stage.recreate("people").await;
    for operation in ["ListAccessEntries", "ListAssociatedAccessPolicies", "DescribeCluster"] {
        stage.cloud.deny(operation);
        let explanation = ask(&stage, "people").await.unwrap();
        assert_eq!(cause(&explanation), Some(Kind::Stale), "{operation}");
        stage.cloud.allow(operation);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_another_mode_or_status_is_the_cause_itself() {
    let stage = Stage::set();
    stage.node("node").await;
    stage.cloud.cluster(REGION, CLUSTER).mode("CONFIG_MAP");
    assert_eq!(cause(&ask(&stage, "node").await.unwrap()), Some(Kind::ConfigMapMode));
    stage.cloud.cluster(REGION, CLUSTER).without_access_config();
    assert_eq!(cause(&ask(&stage, "node").await.unwrap()), Some(Kind::ConfigMapMode));
    stage.cloud.deny("DescribeCluster");
    assert_eq!(cause(&ask(&stage, "node").await.unwrap()), Some(Kind::ConfigMapMode), "EKS says so by itself");
    stage.cloud.allow("DescribeCluster");
    stage.cloud.cluster(REGION, CLUSTER).mode("API").status("UPDATING");
    assert_eq!(cause(&ask(&stage, "node").await.unwrap()), None);
    for status in ["CREATING", "DELETING", "FAILED"] {
        stage.cloud.cluster(REGION, CLUSTER).status(status);
        let explanation = ask(&stage, "node").await.unwrap();
        assert_eq!(cause(&explanation), Some(Kind::ClusterNotActive), "{status}");
        assert_eq!(verdict(&explanation, Kind::NoEntry), "unknown", "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_without_an_entry_is_told_so_and_that_aws_auth_is_all_that_is_left() {
    let stage = Stage::set();
    stage.cloud.add_role("node");
    let explanation = ask(&stage, "node").await.unwrap();
    assert_eq!(cause(&explanation), Some(Kind::NoEntry));
    assert_eq!(verdict(&explanation, Kind::AwsAuthOnly), "yes");
    stage.cloud.cluster(REGION, CLUSTER).mode("API");
    assert_eq!(verdict(&ask(&stage, "node").await.unwrap(), Kind::AwsAuthOnly), "unknown");
}

#[tokio::test(start_paused = true)]
async fn a_role_of_another_account_is_a_legal_principal_whose_binding_cannot_be_told() {
    let stage = Stage::set();
    let foreign = "arn:aws:iam::999999999999:role/people";
    stage.cloud.add_principal(foreign);
    stage.cloud.add_entry(REGION, CLUSTER, foreign, viewer());
    let explanation = ask(&stage, foreign).await.unwrap();
    assert_eq!((cause(&explanation), explanation.is_unsure()), (None, true));
    assert_eq!(verdict(&explanation, Kind::OtherAccount), "unknown");
    assert!(stage.cloud.calls_of("GetRole").is_empty(), "a role of this account is another one");
    stage.cloud.create_role("/", "people", &trust::aws(PEOPLE));
    let explanation = ask(&stage, "people").await.unwrap();
    assert_eq!(cause(&explanation), Some(Kind::OtherAccount), "the entry is for the other account's role");
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_role_is_gone_is_orphaned_and_without_both_there_is_nothing_to_explain() {
    let stage = Stage::set();
    let role = stage.node("node").await;
    stage.cloud.delete_role("node");
    for name in ["node", role.arn.as_str()] {
        let explanation = ask(&stage, name).await.unwrap();
        assert_eq!(cause(&explanation), Some(Kind::Orphaned));
    }
    stage.cloud.delete_entry(REGION, CLUSTER, &role.arn);
    assert!(matches!(ask(&stage, "node").await, Err(NotThere::Role { .. })));
    assert!(matches!(ask_in(&stage, "absent", "node").await, Err(NotThere::Cluster(_))));
}

#[tokio::test(start_paused = true)]
async fn without_a_look_at_the_cluster_an_empty_list_says_nothing_about_the_role() {
    let stage = Stage::set();
    stage.cloud.add_role("node");
    stage.cloud.deny("DescribeCluster");
    let explanation = ask_in(&stage, "absent", "node").await.unwrap();
    assert_eq!((cause(&explanation), explanation.is_unsure()), (None, true), "{:#?}", explanation.causes);
    assert!(explanation.causes.iter().all(|cause| cause.verdict != Verdict::No || !cause.detail.contains("entry")));
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_for_and_a_long_list_is_read_to_its_end() {
    let stage = Stage::set();
    stage.cloud.habits(|habits| habits.page_size = Some(1));
    for name in ["a", "b", "c"] {
        stage.node(name).await;
    }
    stage.cloud.delete_role("c");
    stage.cloud.create_role("/team/", "c", &trust::ec2());
    for operation in ["ListAccessEntries", "DescribeAccessEntry", "DescribeCluster"] {
        stage.cloud.throttle(operation, 2);
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(cause(&ask(&stage, "c").await.unwrap()), Some(Kind::OtherPath));
}
