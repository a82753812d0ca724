//! Faults: what was throttled, denied, lost, stopped or done by others in between.

use std::time::Duration;

use aws_sdk_cloudwatch::types::MetricDatum;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};

use super::{REGION, eks, eks_once, minutes, refusal, stale_node};
use crate::cloud::{Caller, EntrySpec, Phase, Policy};

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_repeated_by_the_sdk() {
    let cloud = stale_node();
    cloud.throttle("ListClusters", 2);
    cloud.throttle("GetRole", 2);
    cloud.when("ListRegions").nth(1).fail();
    cloud.when("PutMetricData").nth(1).throttle();
    cloud.when("ListRoles").nth(1).close();
    eks(&cloud).list_clusters().send().await.expect("at the third time");
    let iam = aws_sdk_iam::Client::new(&cloud.sdk_config());
    iam.get_role().role_name("node").send().await.expect("at the third time");
    iam.list_roles().send().await.expect("at the second time");
    aws_sdk_account::Client::new(&cloud.sdk_config()).list_regions().send().await.expect("at the second time");
    let datum = MetricDatum::builder().metric_name("n").value(1.0).build();
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&cloud.sdk_config());
    cloudwatch.put_metric_data().namespace("N").metric_data(datum).send().await.expect("at the second time");
    let made =
        ["ListClusters", "GetRole", "ListRoles", "ListRegions", "PutMetricData"].map(|it| cloud.calls_of(it).len());
    assert_eq!(made, [3, 3, 2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn denials_come_in_each_services_own_form() {
    let cloud = stale_node();
    for operation in ["ListClusters", "ListRegions", "PutMetricData"] {
        cloud.deny(operation);
    }
    cloud.deny_by_organization("GetRole");
    cloud.deny_region("eu-west-1");
    let eks = eks_once(&cloud, REGION).list_clusters().send().await;
    assert_eq!(refusal(eks).1, "AccessDeniedException");
    let elsewhere = eks_once(&cloud, "eu-west-1").describe_cluster().name("prod").send().await;
    assert!(refusal(elsewhere).2.contains("with an explicit deny in a service control policy"));
    let iam = aws_sdk_iam::Client::new(&cloud.sdk_config()).get_role().role_name("node").send().await;
    assert_eq!(refusal(iam).1, "AccessDenied");
    let account = aws_sdk_account::Client::new(&cloud.sdk_config()).list_regions().send().await;
    assert_eq!(refusal(account).0, 403);
    let datum = MetricDatum::builder().metric_name("n").value(1.0).build();
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&cloud.sdk_config());
    let denied = cloudwatch.put_metric_data().namespace("N").metric_data(datum).send().await;
    assert_eq!(refusal(denied).1, "AccessDenied");
}

#[tokio::test(start_paused = true)]
async fn replies_are_lost_after_the_effect_and_connections_break_before_it() {
    let cloud = stale_node();
    let node = cloud.role("node").arn;
    cloud.lose_reply("DeleteAccessEntry", 1);
    cloud.unresolvable_region("eu-west-1");
    cloud.when("ListAccessEntries").answer_garbage();
    let client = eks_once(&cloud, REGION);
    let delete = || client.delete_access_entry().cluster_name("prod").principal_arn(&node).send();
    assert!(matches!(delete().await, Err(SdkError::DispatchFailure(failure)) if failure.is_io()));
    assert_eq!(cloud.entry(REGION, "prod", &node), None);
    assert_eq!(refusal(delete().await).0, 404);
    let elsewhere = eks_once(&cloud, "eu-west-1").list_clusters().send().await.expect_err("no such name");
    let SdkError::DispatchFailure(failure) = elsewhere else { panic!("{elsewhere:?}") };
    assert!(format!("{:?}", failure.as_connector_error()).contains("dns error"));
    let garbage = client.list_access_entries().cluster_name("prod").send().await;
    assert!(garbage.is_err_and(|error| error.as_service_error().is_none_or(|error| error.code().is_none())));
}

#[tokio::test(start_paused = true)]
async fn another_party_can_act_between_two_calls() {
    let cloud = stale_node();
    let node = cloud.role("node").arn;
    let arn = node.clone();
    cloud.when("DeleteAccessEntry").nth(1).act_after(move |world| {
        world.add_entry(REGION, "prod", &arn, &EntrySpec::standard().username("theirs"));
    });
    let client = eks_once(&cloud, REGION);
    client.delete_access_entry().cluster_name("prod").principal_arn(&node).send().await.expect("deleted");
    let create = client.create_access_entry().cluster_name("prod").principal_arn(&node).send().await;
    assert_eq!(refusal(create).0, 409);
    assert_eq!(cloud.authenticate(REGION, "prod", "node").map(|who| who.username), Ok("theirs".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_world_answers_nobody_and_goes_on_after_a_restart() {
    for (phase, there) in [(Phase::Before, true), (Phase::After, false)] {
        let cloud = stale_node();
        let node = cloud.role("node").arn;
        let client = eks(&cloud);
        cloud.stop_at(2, phase);
        let run = async {
            client.list_clusters().send().await.expect("the first call");
            let delete = client.delete_access_entry().cluster_name("prod").principal_arn(&node);
            delete.send().await.expect("never answered");
        };
        tokio::select! {
            () = run => panic!("the world did not stop"),
            () = cloud.stopped() => {}
        }
        assert_eq!(cloud.entry(REGION, "prod", &node).is_some(), there);
        cloud.restart();
        client.list_clusters().send().await.expect("it goes on");
        assert_eq!(cloud.calls().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_counted_per_region_and_take_their_time() {
    let cloud = stale_node();
    let began = cloud.now();
    let client = eks(&cloud);
    let call = || client.list_clusters().send();
    let (one, two, three) = tokio::join!(call(), call(), call());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!((cloud.peak_in_flight(REGION), cloud.peak_in_flight("eu-west-1")), (3, 0));
    assert_eq!((cloud.now() - began).whole_milliseconds(), 20);
    cloud.when("ListClusters").hang();
    let waiting = tokio::time::timeout(Duration::from_secs(3), call()).await;
    assert!(waiting.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_shows_each_object_as_it_was_before_its_last_change() {
    let cloud = stale_node();
    let role = cloud.role("node");
    let (client, iam) = (eks(&cloud), aws_sdk_iam::Client::new(&cloud.sdk_config()));
    let entry = || client.describe_access_entry().cluster_name("prod").principal_arn(&role.arn).send();
    let policies = || client.list_associated_access_policies().cluster_name("prod").principal_arn(&role.arn).send();
    let first = cloud.delete_entry(REGION, "prod", &role.arn);
    cloud.pass(minutes(1));
    cloud.add_entry(REGION, "prod", &role.arn, EntrySpec::standard());
    cloud.pass(minutes(1));
    let view = Policy::cluster("AmazonEKSViewPolicy");
    cloud.with(|world| world.associate_policy(REGION, "prod", &role.arn, &view, Caller::Other)).expect("associated");

    for operation in ["DescribeAccessEntry", "ListAssociatedAccessPolicies", "GetRole", "ListAccessEntries"] {
        cloud.when(operation).nth(1).stale();
    }
    assert_eq!(refusal(entry().await).1, "ResourceNotFoundException", "before its creation");
    assert_eq!(policies().await.expect("an entry").associated_access_policies().len(), 0, "before the association");
    let before = iam.get_role().role_name("node").send().await.expect("a role").role.expect("a role");
    assert_ne!(before.role_id(), role.id, "before it was recreated");
    assert!(
        client.list_access_entries().cluster_name("prod").send().await.expect("a list").access_entries().is_empty()
    );

    let present = entry().await.expect("the next answer is not stale").access_entry.expect("an entry");
    assert_eq!(policies().await.expect("an entry").associated_access_policies().len(), 1);
    let now = iam.get_role().role_name("node").send().await.expect("a role").role.expect("a role");
    assert_eq!(now.role_id(), role.id);

    cloud.delete_entry(REGION, "prod", &role.arn);
    cloud.lift_faults();
    cloud.when("DescribeAccessEntry").stale();
    let deleted = entry().await.expect("before its deletion").access_entry.expect("an entry");
    assert_eq!(deleted.access_entry_arn(), present.access_entry_arn());
    assert_ne!(deleted.access_entry_arn(), Some(first.arn.as_str()));

    cloud.cluster(REGION, "prod").tag("a", "b");
    cloud.when("DescribeCluster").nth(1).stale();
    let cluster = || client.describe_cluster().name("prod").send();
    let tags = |shown: aws_sdk_eks::operation::describe_cluster::DescribeClusterOutput| {
        shown.cluster.and_then(|cluster| cluster.tags).unwrap_or_default().len()
    };
    assert_eq!((tags(cluster().await.expect("a cluster")), tags(cluster().await.expect("a cluster"))), (0, 1));
}
