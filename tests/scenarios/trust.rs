//! Who gets access without a person's word: nobody who merely took a freed name.

use serde_json::{Value, json};

use crate::cloud::{Action, EntrySpec, Phase, trust};
use crate::stage::{CLUSTER, LEDGER, REGION, Stage, everything, outcome, viewer};

const CREATOR: &str = "AROAPIPELINE000000001";
const CREATOR_ARN: &str = "arn:aws:iam::111122223333:role/pipeline";

async fn recreated_admin(stage: &Stage) -> crate::cloud::Role {
    stage.role_with("admin", everything()).await;
    stage.recreate("admin").await
}

#[tokio::test(start_paused = true)]
async fn a_privileged_entry_waits_and_says_what_to_do() {
    let stage = Stage::set();
    let role = recreated_admin(&stage).await;

    let report = stage.deliver(stage.created(&role)).await.unwrap();

    assert_eq!(outcome(&report), ("held", "privileged"));
    let remedy = report["entries"][0]["remedy"].as_str().unwrap();
    assert!(remedy.contains(":approve") && remedy.contains(&role.id), "{remedy}");
    assert!(!stage.admits("admin"));
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
    assert_eq!(stage.cloud.metric_sum("AccessEntryValidationErrors", &[]), Some(1.0));
    assert_eq!(stage.cloud.metric_sum("AccessEntriesHeld", &[]), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn only_a_plain_view_entry_is_unprivileged_among_standard_ones() {
    let privileged = [
        EntrySpec::standard(),
        viewer().groups(&["viewers"]),
        viewer().username("somebody"),
        EntrySpec::standard().policy("AmazonEKSEditPolicy"),
        viewer().policy("AmazonEKSSecretReaderPolicy"),
    ];
    for spec in privileged {
        let stage = Stage::set();
        stage.role_with("role", spec.clone()).await;
        let role = stage.recreate("role").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "privileged"), "{spec:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_role_recreated_with_a_foreign_principal_in_its_trust_policy_waits() {
    let mallory = "arn:aws:iam::111122223333:user/mallory";
    for document in [trust::aws(mallory), trust::ec2_and_aws(mallory), trust::fargate(), "{}".to_owned()] {
        let stage = Stage::set();
        stage.node("node").await;
        stage.cloud.delete_role("node");
        let role = stage.cloud.create_role("/", "node", &document);
        stage.settle().await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "privileged"), "{document}");
        assert!(!stage.admits("node"), "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_changed_while_the_repair_is_under_way_stops_it() {
    let stage = Stage::set();
    stage.node("node").await;
    let role = stage.recreate("node").await;
    stage.cloud.when("CreateAccessEntry").nth(1).act_before(|world| {
        world.set_trust("node", &trust::aws("arn:aws:iam::111122223333:user/mallory"));
    });
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "privileged"));
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_trusted_creator_needs_no_person() {
    for trusted in [CREATOR, CREATOR_ARN, "arn:aws:iam::111122223333:role/pipe*"] {
        for hold in ["privileged", "all"] {
            let stage = Stage::set().with("TRUSTED_CREATORS", trusted).with("HOLD", hold);
            let role = recreated_admin(&stage).await;
            let report = stage.deliver(stage.created_by(&role, CREATOR, CREATOR_ARN)).await.unwrap();
            assert_eq!(outcome(&report), ("repaired", ""), "{trusted}");
            assert!(stage.admits("admin"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn forged_or_doubtful_creators_are_not_believed() {
    let stage = || Stage::set().with("TRUSTED_CREATORS", CREATOR);
    let held = |report: &Value| assert_eq!(outcome(report), ("held", "privileged"), "{report:#}");

    // Handed in by whoever may invoke the function, without the alias.
    let this = stage();
    let role = recreated_admin(&this).await;
    held(&this.invoke(this.created_by(&role, CREATOR, CREATOR_ARN)).await.unwrap());
    held(&this.invoke_as("approve", this.created_by(&role, CREATOR, CREATOR_ARN)).await.unwrap());

    // Another role of the trusted one's name: the ID is what counts.
    held(&this.deliver(this.created_by(&role, "AROASOMEBODYELSE00001", CREATOR_ARN)).await.unwrap());

    // A session name, and a session's ARN, chosen to look trusted.
    let mut event = this.created_by(&role, "AROASOMEBODYELSE00001", "arn:aws:iam::111122223333:role/other");
    event["detail"]["userIdentity"]["principalId"] = json!(format!("AROASOMEBODYELSE00001:{CREATOR}"));
    event["detail"]["userIdentity"]["arn"] = json!(format!("arn:aws:sts::111122223333:assumed-role/other/{CREATOR}"));
    held(&this.deliver(event).await.unwrap());

    // An event about another role ID than the one that exists.
    let mut event = this.created_by(&role, CREATOR, CREATOR_ARN);
    event["detail"]["responseElements"]["role"]["roleId"] = json!("AROAANOTHERROLE000001");
    held(&this.deliver(event).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_role_recreated_by_a_stranger_while_a_trusted_repair_waits_gets_nothing() {
    let stage = Stage::set().with("TRUSTED_CREATORS", CREATOR);
    stage.role_with("admin", everything()).await;
    let role = stage.cloud.recreate_role("admin");
    let event = stage.created_by(&role, CREATOR, CREATOR_ARN);
    let stranger = async {
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        stage.cloud.recreate_role("admin");
    };
    let (answer, ()) = tokio::join!(stage.deliver(event), stranger);
    assert_eq!(outcome(&answer.unwrap()), ("held", "privileged"));
    assert!(!stage.admits("admin"));
}

#[tokio::test(start_paused = true)]
async fn a_role_recreated_by_a_stranger_between_a_crash_and_its_retry_gets_nothing() {
    let stage = Stage::set().with("TRUSTED_CREATORS", CREATOR);
    let role = recreated_admin(&stage).await;
    stage.cloud.clear_calls();
    let stop = |call: &crate::cloud::Call, phase, _: &mut crate::cloud::World| {
        let deleted = call.operation == "DeleteAccessEntry" && phase == Phase::After;
        if deleted { Action::Stop } else { Action::Proceed }
    };
    stage.cloud.intercept(stop);
    let event = stage.created_by(&role, CREATOR, CREATOR_ARN);
    tokio::select! {
        _ = stage.deliver(event.clone()) => panic!("it was to be cut"),
        () = stage.cloud.stopped() => {}
    }
    stage.cloud.lift_faults();
    stage.cloud.restart();
    stage.recreate("admin").await;
    stage.settle().await;

    let report = stage.deliver(event).await.unwrap();

    assert_eq!(outcome(&report), ("held", "roleChanged"));
    assert!(!stage.admits("admin"));
    assert_eq!(stage.row(&role).unwrap()["state"], "repairing", "the ledger keeps the entry");
    let present = stage.cloud.role("admin");
    assert!(report["entries"][0]["remedy"].as_str().unwrap().contains(&present.id));
    let report = stage.invoke_as("approve", crate::stage::command_for("approve", &present)).await.unwrap();
    assert_eq!(outcome(&report), ("repaired", ""), "{report:#}");
    assert!(stage.admits("admin"));
}

/// What is wrong with a row, and how to make it so.
type Forgery = (&'static str, fn(&mut Value));

#[tokio::test(start_paused = true)]
async fn rows_written_by_a_stranger_grant_nothing() {
    let good = {
        let stage = Stage::set();
        let role = recreated_admin(&stage).await;
        stage.invoke_as("approve", crate::stage::command_for("approve", &role)).await.unwrap();
        stage.row(&role).unwrap()
    };
    let forge = |change: fn(&mut Value)| {
        let mut row = good.clone();
        row["state"] = json!("repairing");
        row["grounds"] = json!("because I say so");
        row["deletionSentAt"] = json!("2026-01-15T13:00:00Z");
        change(&mut row);
        row
    };
    let forgeries: [Forgery; 7] = [
        ("system:masters", |row| row["snapshot"]["kubernetesGroups"] = json!(["system:masters"])),
        ("another account's entry", |row| {
            row["accessEntryArn"] = json!("arn:aws:eks:eu-west-1:999999999999:access-entry/prod/role/999999999999/a/b");
        }),
        ("another partition's", |row| {
            row["accessEntryArn"] = json!("arn:aws-cn:eks:eu-west-1:111122223333:access-entry/prod/role/1/a/b");
        }),
        ("an unknown type", |row| row["snapshot"]["type"] = json!("SUPERUSER")),
        ("a newer schema", |row| row["schema"] = json!(2)),
        ("no grounds", |row| drop(row.as_object_mut().unwrap().remove("grounds"))),
        ("a node type with groups", |row| row["snapshot"]["type"] = json!("EC2_LINUX")),
    ];
    for (what, change) in forgeries {
        let stage = Stage::set().with("HOLD", "none");
        let role = stage.cloud.add_role("admin");
        stage.settle().await;
        let mut row = forge(change);
        row["permittedRoleId"] = json!(role.id);
        row["clusterCreatedAt"] = json!("2026-01-15T12:00:00Z");
        stage.cloud.put_row(LEDGER, &row);
        let _ = stage.deliver(stage.created(&role)).await;
        assert_eq!(stage.cloud.entry(REGION, CLUSTER, &role.arn), None, "{what}");
        assert!(stage.cloud.calls_of("CreateAccessEntry").is_empty(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn patterns_tags_and_modes_hold() {
    let cases: [(&str, &str, &str, &str); 4] = [
        ("ROLE_PATTERNS", "web-*", "held", "rolePattern"),
        ("ROLE_PATTERNS", "!node", "held", "rolePattern"),
        ("HOLD", "all", "held", "holdAll"),
        ("MODE", "observe", "wouldRepair", ""),
    ];
    for (name, value, what, why) in cases {
        let stage = Stage::set().with(name, value);
        stage.node("node").await;
        let role = stage.recreate("node").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), (what, why), "{name}={value}");
        assert!(stage.cloud.calls_of("CreateAccessEntry").is_empty(), "{name}={value}: not even a rehearsal");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignored_entry_is_in_the_report_and_in_no_metric() {
    for on_cluster in [true, false] {
        let stage = Stage::set();
        let mut spec = EntrySpec::of_type("EC2_LINUX");
        if on_cluster {
            stage.cloud.cluster(REGION, CLUSTER).tag("access-entry-guard", "ignore");
        } else {
            spec = spec.tag("access-entry-guard", "ignore");
        }
        stage.role_with("node", spec).await;
        let role = stage.recreate("node").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "ignoreTag"));
        assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 0);
        assert_eq!(report["metrics"]["AccessEntriesHeld"], 0);
    }
}
