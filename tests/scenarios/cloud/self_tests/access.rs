//! Roles, clusters and access entries: the binding, the refusals, the delays.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_eks::types::{AccessConfigResponse, AccessScope, AccessScopeType, AuthenticationMode};

use super::{REGION, eks, eks_once, minutes, refusal, stale_node};
use crate::cloud::{Cloud, EPOCH, EntrySpec, Policy, Reply, Unauthorized, trust};

#[tokio::test(start_paused = true)]
async fn a_recreated_role_is_locked_out_until_its_entry_is_created_again() {
    let cloud = stale_node();
    let (arn, client) = (cloud.role("node").arn, eks(&cloud));
    assert!(matches!(cloud.authenticate(REGION, "prod", "node"), Err(Unauthorized::BoundToAnother { .. })));

    let seen =
        client.describe_access_entry().cluster_name("prod").principal_arn(&arn).send().await.expect("it is there");
    let entry = seen.access_entry.expect("with the entry");
    assert_eq!(entry.username(), Some("system:node:{{EC2PrivateDNSName}}"));
    assert_eq!(entry.kubernetes_groups(), ["system:nodes"]);
    assert_eq!(entry.tags().map(HashMap::len), Some(1));
    assert_eq!(entry.created_at().map(aws_sdk_eks::primitives::DateTime::secs), Some(EPOCH.unix_timestamp()));

    client.delete_access_entry().cluster_name("prod").principal_arn(&arn).send().await.expect("deleted");
    assert_eq!(cloud.authenticate(REGION, "prod", "node"), Err(Unauthorized::NoEntry));
    client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&arn)
        .r#type("EC2_LINUX")
        .send()
        .await
        .expect("created");
    assert_eq!(cloud.authenticate(REGION, "prod", "node").map(|who| who.groups), Ok(vec!["system:nodes".to_owned()]));
    let new = cloud.entry(REGION, "prod", &arn).expect("it is there");
    assert_ne!(Some(new.arn.as_str()), entry.access_entry_arn());
    let calls: Vec<_> = cloud.calls().into_iter().map(|call| (call.n, call.operation, call.role_name)).collect();
    let node = Some("node".to_owned());
    assert_eq!(calls[1], (2, "DeleteAccessEntry".to_owned(), node.clone()));
    assert_eq!(calls[2], (3, "CreateAccessEntry".to_owned(), node));
}

#[tokio::test(start_paused = true)]
async fn updating_an_entry_does_not_rebind_it() {
    let cloud = stale_node();
    let arn = cloud.role("node").arn;
    let update = eks(&cloud).update_access_entry().cluster_name("prod").principal_arn(&arn).kubernetes_groups("own");
    update.send().await.expect("updated");
    assert!(!cloud.admits(REGION, "prod", "node"));
    assert_eq!(cloud.entry(REGION, "prod", &arn).map(|entry| entry.groups), Some(vec!["own".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn create_access_entry_refuses_what_eks_refuses() {
    let cloud = stale_node();
    let (node, other) = (cloud.role("node").arn, cloud.add_role("other").arn);
    cloud.add_cluster(REGION, "old").mode("CONFIG_MAP");
    cloud.add_cluster(REGION, "older").without_access_config();
    cloud.add_cluster(REGION, "new").status("CREATING");
    let client = eks_once(&cloud, REGION);
    let create = |cluster: &str, arn: &str| client.create_access_entry().cluster_name(cluster).principal_arn(arn);

    let cases = [
        (create("prod", &node), 409, "ResourceInUseException", "already in use on this cluster"),
        (create("gone", &node), 404, "ResourceNotFoundException", "No cluster found for name: gone."),
        (create("old", &node), 400, "InvalidRequestException", "authentication mode must be set to one of"),
        (create("older", &node), 400, "InvalidRequestException", "authentication mode must be set to one of"),
        (create("new", &node), 400, "InvalidRequestException", "CREATING"),
        (create("prod", "arn:aws:sts::1:x"), 400, "InvalidParameterException", "format is not valid"),
        (
            create("prod", "arn:aws:iam::111122223333:role/none"),
            400,
            "InvalidParameterException",
            "The specified principalArn is invalid: invalid principal.",
        ),
        (create("prod", &other).r#type("EC2_BSD"), 400, "InvalidParameterException", "type EC2_BSD is not valid"),
        (
            create("prod", &other).r#type("EC2_LINUX").kubernetes_groups("system:nodes"),
            400,
            "InvalidParameterException",
            "kubernetesGroups",
        ),
        (create("prod", &other).r#type("EC2").username("system:node:x"), 400, "InvalidParameterException", "username"),
        (
            create("prod", &other).kubernetes_groups("system:masters"),
            400,
            "InvalidParameterException",
            "The kubernetes group name system:masters is invalid, it cannot start with system:",
        ),
        (
            create("prod", &other).username("system:x"),
            400,
            "InvalidParameterException",
            "The username must not begin with system:",
        ),
        (create("prod", &other).tags("AWS:x", "y"), 400, "InvalidParameterException", "aws:"),
        (create("prod", &other).set_tags(Some(HashMap::new())), 400, "InvalidParameterException", "between 1 and 50"),
    ];
    for (request, status, code, words) in cases {
        let (got, named, message) = refusal(request.send().await);
        assert_eq!((got, named.as_str()), (status, code), "{message}");
        assert!(message.contains(words), "{message} does not say {words}");
    }
    assert_eq!(cloud.entry(REGION, "prod", &other), None);
}

#[tokio::test(start_paused = true)]
async fn policies_are_upserted_listed_in_pages_and_dropped_with_the_entry() {
    let cloud = Cloud::new();
    let admin = cloud.create_role("/team/", "admin", &trust::aws("arn:aws:iam::111122223333:root")).arn;
    cloud.add_cluster(REGION, "prod");
    let spec = EntrySpec::standard().policy("AmazonEKSViewPolicy").policy_in("AmazonEKSEditPolicy", &["a", "b-*"]);
    cloud.add_entry(REGION, "prod", &admin, spec);
    cloud.habits(|habits| (habits.page_size, habits.empty_page_first) = (Some(1), true));
    let client = eks_once(&cloud, REGION);
    let associate = |name: &str, scope: AccessScope| {
        let call = client.associate_access_policy().cluster_name("prod").principal_arn(&admin);
        call.policy_arn(Policy::arn(name)).access_scope(scope).send()
    };
    let cluster = || AccessScope::builder().r#type(AccessScopeType::Cluster).build();
    associate("AmazonEKSEditPolicy", cluster()).await.expect("an upsert");
    let (_, code, _) = refusal(associate("AmazonEKSComputePolicy", cluster()).await);
    assert_eq!(code, "InvalidParameterException");
    let nowhere = AccessScope::builder().r#type(AccessScopeType::Namespace).build();
    assert_eq!(refusal(associate("AmazonEKSViewPolicy", nowhere).await).0, 400);

    let pages = client.list_associated_access_policies().cluster_name("prod").principal_arn(&admin);
    let (mut names, mut count, mut token) = (Vec::new(), 0, None);
    loop {
        let page = pages.clone().set_next_token(token).send().await.expect("a page");
        names.extend(page.associated_access_policies().iter().filter_map(|it| it.policy_arn().map(str::to_owned)));
        (count, token) = (count + 1, page.next_token);
        if token.is_none() {
            break;
        }
    }
    assert_eq!((count, names), (3, vec![Policy::arn("AmazonEKSEditPolicy"), Policy::arn("AmazonEKSViewPolicy")]));
    let scopes = cloud.authenticate(REGION, "prod", "admin").map(|who| who.policies.len());
    assert_eq!(scopes, Ok(2));
    assert_eq!(
        cloud.entry(REGION, "prod", &admin).map(|it| it.username).as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/admin/{{SessionName}}")
    );
    let stranger = client.list_access_entries().cluster_name("prod").next_token("made-up").send().await;
    assert_eq!(refusal(stranger).1, "InvalidParameterException");
}

#[tokio::test(start_paused = true)]
async fn node_entries_have_no_policies_but_auto_mode_ones_do() {
    let cloud = stale_node();
    let auto = cloud.add_role("auto").arn;
    cloud.add_entry(REGION, "prod", &auto, EntrySpec::of_type("EC2").policy("AmazonEKSAutoNodePolicy"));
    let client = eks_once(&cloud, REGION);
    let list = |arn: &str| client.list_associated_access_policies().cluster_name("prod").principal_arn(arn).send();
    let (_, code, message) = refusal(list(&cloud.role("node").arn).await);
    assert_eq!(code, "InvalidParameterException");
    assert!(message.contains(r#"type of "STANDARD""#));
    assert_eq!(list(&auto).await.expect("policies").associated_access_policies().len(), 1);
    cloud.habits(|habits| habits.ec2_entries_have_policies = false);
    assert_eq!(refusal(list(&auto).await).0, 400);
}

#[tokio::test(start_paused = true)]
async fn eks_takes_its_time_where_it_may() {
    let cloud = stale_node();
    let node = cloud.role("node").arn;
    cloud.habits(|habits| {
        habits.deletion_settles_for = Duration::from_secs(10);
        habits.deleted_entry_visible_for = Duration::from_secs(5);
        habits.role_unknown_to_eks_for = minutes(6);
        habits.association_refused_for = Duration::from_secs(10);
    });
    let client = eks_once(&cloud, REGION);
    let create = || client.create_access_entry().cluster_name("prod").principal_arn(&node).send();
    let describe = || client.describe_access_entry().cluster_name("prod").principal_arn(&node).send();
    client.delete_access_entry().cluster_name("prod").principal_arn(&node).send().await.expect("deleted");
    describe().await.expect("a late read");
    assert!(refusal(create().await).2.contains("invalid principal"), "the role is five minutes old");
    cloud.habits(|habits| habits.role_unknown_to_eks_for = Duration::ZERO);
    assert_eq!(refusal(create().await).0, 409);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (status, _, message) = refusal(describe().await);
    assert_eq!(status, 404);
    assert!(message.contains("list-access-entries"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    create().await.expect("the deletion has settled");
    let view = Policy::arn("AmazonEKSViewPolicy");
    let scope = AccessScope::builder().r#type(AccessScopeType::Cluster).build();
    let associate = client.associate_access_policy().cluster_name("prod").principal_arn(&node);
    let associate = associate.policy_arn(view).access_scope(scope);
    assert_eq!(refusal(associate.clone().send().await).0, 404);
    tokio::time::sleep(Duration::from_secs(10)).await;
    associate.send().await.expect("by now it is known");
}

#[tokio::test(start_paused = true)]
async fn a_lagging_eks_binds_the_old_role() {
    let cloud = stale_node();
    cloud.habits(|habits| habits.eks_binds_as_of = minutes(10));
    let node = cloud.role("node").arn;
    cloud.delete_entry(REGION, "prod", &node);
    cloud.add_entry(REGION, "prod", &node, EntrySpec::standard());
    assert!(!cloud.admits(REGION, "prod", "node"));
}

#[tokio::test(start_paused = true)]
async fn the_order_of_checks_is_a_habit() {
    let cloud = stale_node();
    let node = cloud.role("node").arn;
    cloud.habits(|habits| habits.may_pass_roles = false);
    let client = eks_once(&cloud, REGION);
    let create = || client.create_access_entry().cluster_name("prod").principal_arn(&node).r#type("EC2_LINUX").send();
    let (status, code, message) = refusal(create().await);
    assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));
    assert!(message.contains("iam:PassRole"));
    cloud.habits(|habits| habits.in_use_first = true);
    assert_eq!(refusal(create().await).0, 409);
    cloud.delete_entry(REGION, "prod", &node);
    assert_eq!(refusal(create().await).0, 403);
}

#[tokio::test(start_paused = true)]
async fn clusters_are_described_and_listed_without_the_connected_ones() {
    let cloud = Cloud::new();
    cloud.add_cluster(REGION, "prod").tag("a", "b").mode("API").auto_mode("arn:aws:iam::111122223333:role/auto");
    cloud.add_cluster(REGION, "elsewhere").connected();
    let client = eks(&cloud);
    assert_eq!(client.list_clusters().send().await.expect("a list").clusters(), ["prod"]);
    assert_eq!(client.list_clusters().include("all").send().await.expect("a list").clusters(), ["elsewhere", "prod"]);
    let shown = client.describe_cluster().name("prod").send().await.expect("shown").cluster.expect("a cluster");
    let mode = shown.access_config().and_then(AccessConfigResponse::authentication_mode);
    assert_eq!(mode, Some(&AuthenticationMode::Api));
    assert_eq!(shown.role_arn(), Some("arn:aws:iam::111122223333:role/cluster-prod"));
    assert!(shown.compute_config().is_some());
    let connected = client.describe_cluster().name("elsewhere").send().await.expect("shown").cluster;
    assert!(connected.is_some_and(|cluster| cluster.connector_config().is_some() && cluster.access_config().is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_same_name_under_another_path_is_another_principal() {
    let cloud = stale_node();
    let old = cloud.delete_role("node");
    let new = cloud.create_role("/team/", "node", &old.trust);
    assert_eq!(cloud.authenticate(REGION, "prod", "node"), Err(Unauthorized::NoEntry));
    let entry = cloud.add_entry(REGION, "prod", &new.arn, EntrySpec::standard());
    assert!(entry.arn.contains(":access-entry/prod/role/111122223333/node/"));
    assert_eq!(entry.username, "arn:aws:sts::111122223333:assumed-role/node/{{SessionName}}");
    assert!(cloud.admits(REGION, "prod", "node") && cloud.entry(REGION, "prod", &old.arn).is_some());
}

#[tokio::test(start_paused = true)]
async fn aws_itself_may_use_what_nobody_else_may() {
    let cloud = Cloud::new();
    let role = cloud.create_role("/aws-service-role/eks.amazonaws.com/", "AWSServiceRoleForAmazonEKS", &trust::ec2());
    cloud.add_cluster(REGION, "prod");
    let spec = EntrySpec::standard().groups(&["eks:managed"]).policy("AmazonEKSComputePolicy");
    let spec = spec.tag("aws:cloudformation:stack-name", "s").made_by_aws();
    cloud.add_entry(REGION, "prod", &role.arn, spec);
    let client = eks_once(&cloud, REGION);
    client.delete_access_entry().cluster_name("prod").principal_arn(&role.arn).send().await.expect("deleted");
    let create = client.create_access_entry().cluster_name("prod").principal_arn(&role.arn).send().await;
    assert!(refusal(create).2.contains("service linked roles"));
}

#[tokio::test(start_paused = true)]
async fn members_that_an_operation_does_not_have_are_refused() {
    let cloud = stale_node();
    let post = |body: &str| {
        let request = http::Request::post("https://eks.us-east-1.amazonaws.com/clusters/prod/access-entries");
        cloud.handle(request.body(body.as_bytes().to_vec()).expect("a request"))
    };
    let principal = r#""principalArn":"arn:aws:iam::111122223333:role/node""#;
    for (body, words) in [
        (format!(r#"{{{principal},"roleId":"AROA"}}"#), "unknown member: roleId"),
        (r#"{"type":"EC2"}"#.to_owned(), "missing required member: principalArn"),
        (format!(r#"{{{principal},"kubernetesGroups":"one"}}"#), "kubernetesGroups must be a list of strings"),
        ("{".to_owned(), "EOF"),
    ] {
        let Reply::Response(response) = post(&body).await else { panic!("no response to {body}") };
        assert_eq!(response.status(), 400);
        assert!(String::from_utf8_lossy(response.body()).contains(words), "{response:?}");
    }
}
