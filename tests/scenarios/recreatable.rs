//! What EKS would not take back is found before anything is deleted; and a held entry says whose work stops with it.

use crate::cloud::EntrySpec;
use crate::stage::{CLUSTER, REGION, Stage, command_for, outcome};

/// A stale entry whose repair a person asks for; the detail of why it is held.
async fn refused(stage: &Stage, spec: EntrySpec) -> String {
    stage.role_with("role", spec).await;
    let before = stage.entry(&stage.cloud.role("role"));
    let role = stage.recreate("role").await;
    let mut detail = String::new();
    for (alias, payload) in [("events", stage.created(&role)), ("approve", command_for("approve", &role))] {
        let report = stage.invoke_as(alias, payload).await.unwrap();
        assert_eq!(outcome(&report), ("held", "cannotRecreate"), "{report:#}");
        report["entries"][0]["detail"].as_str().unwrap().clone_into(&mut detail);
    }
    assert_eq!(stage.entry(&role), before, "nothing was deleted");
    assert_eq!(stage.row(&role), None);
    for call in ["CreateAccessEntry", "DeleteAccessEntry"] {
        assert!(stage.cloud.calls_of(call).is_empty(), "not even a rehearsal");
    }
    detail
}

#[tokio::test(start_paused = true)]
async fn a_session_name_without_a_colon_before_it_is_found_before_anything_is_deleted() {
    for username in ["{{SessionName}}", "team-{{SessionNameRaw}}", "a{{SessionName}}:b"] {
        let stage = Stage::set().with("HOLD", "none");
        // It was set when EKS still took it.
        let detail =
            refused(&stage, EntrySpec::standard().username(username).policy("AmazonEKSViewPolicy").before_rules())
                .await;
        assert!(detail.contains(username), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_name_with_a_colon_before_it_is_created_again() {
    for username in ["team:{{SessionName}}", "a:b-{{SessionNameRaw}}", "no-template"] {
        let stage = Stage::set().with("HOLD", "none");
        stage.role_with("role", EntrySpec::standard().username(username).policy("AmazonEKSViewPolicy")).await;
        let role = stage.recreate("role").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("repaired", ""), "{username}: {report:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_a_service_made_is_never_replaced_by_one_of_ours() {
    for (key, value) in [("aws:eks:managed", "capability/argocd"), ("aws:eks:something-new", "1"), ("AWS:EKS:x", "y")] {
        let stage = Stage::set().with("HOLD", "none");
        let detail = refused(&stage, EntrySpec::of_type("EC2_LINUX").tag(key, value).made_by_aws()).await;
        assert!(detail.contains(key) && detail.contains(value), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_a_stack_made_is_repaired_as_ever() {
    let stage = Stage::set().with("HOLD", "none");
    let spec = EntrySpec::of_type("EC2_LINUX").tag("aws:cloudformation:stack-name", "access").made_by_aws();
    stage.role_with("role", spec).await;
    let role = stage.recreate("role").await;
    assert_eq!(outcome(&stage.deliver(stage.created(&role)).await.unwrap()), ("repaired", ""));
}

#[tokio::test(start_paused = true)]
async fn the_entry_of_auto_modes_node_role_is_left_to_eks() {
    let stage = Stage::set().with("HOLD", "none");
    stage.cloud.cluster(REGION, CLUSTER).auto_mode("arn:aws:iam::111122223333:role/role");
    let spec = EntrySpec::of_type("EC2").policy("AmazonEKSAutoNodePolicy").made_by_aws();
    let detail = refused(&stage, spec).await;
    assert!(detail.contains("Auto Mode"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn another_role_than_auto_modes_is_repaired_in_its_cluster() {
    let stage = Stage::set();
    stage.cloud.cluster(REGION, CLUSTER).auto_mode("arn:aws:iam::111122223333:role/auto");
    stage.role_with("role", EntrySpec::of_type("EC2").policy("AmazonEKSAutoNodePolicy")).await;
    let role = stage.recreate("role").await;
    assert_eq!(outcome(&stage.deliver(stage.created(&role)).await.unwrap()), ("repaired", ""));
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_pod_identity_is_one_that_only_aws_may_attach() {
    let stage = Stage::set().with("HOLD", "none");
    let detail = refused(&stage, EntrySpec::standard().policy("AmazonEKSPodIdentityPolicy").made_by_aws()).await;
    assert!(detail.contains("AmazonEKSPodIdentityPolicy"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_held_entry_says_which_service_uses_its_policies() {
    for (policy, service) in [
        ("AmazonEKSArgoCDPolicy", "Argo CD"),
        ("AmazonEKSArgoCDClusterPolicy", "Argo CD"),
        ("AmazonEKSACKPolicy", "ACK"),
        ("AmazonEKSKROPolicy", "KRO"),
        ("AWSBackupFullAccessPolicyForBackup", "AWS Backup"),
        ("AWSBackupFullAccessPolicyForRestore", "AWS Backup"),
        ("AmazonEMRJobPolicy", "EMR"),
        ("AmazonSagemakerHyperpodClusterPolicy", "HyperPod"),
        ("AmazonAIOpsAssistantPolicy", "AIOps"),
        ("AIDevOpsAgentAccessPolicy", "DevOps Agent"),
        ("AmazonARCRegionSwitchScalingPolicy", "Region switch"),
    ] {
        let stage = Stage::set();
        stage.role_with("role", EntrySpec::standard().policy(policy)).await;
        let role = stage.recreate("role").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "privileged"), "{report:#}");
        let detail = report["entries"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(service) && detail.contains(policy), "{detail}");
    }
    let stage = Stage::set();
    stage.role_with("role", EntrySpec::standard().policy("AmazonEKSClusterAdminPolicy")).await;
    let role = stage.recreate("role").await;
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    let detail = report["entries"][0]["detail"].as_str().unwrap();
    assert!(!detail.contains("does not work in the cluster"), "{detail}");
}
