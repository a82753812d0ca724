//! IAM, Account Management, DynamoDB and CloudWatch, each in its own protocol.

use std::time::Duration;

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, Statistic};
use aws_sdk_dynamodb::types::AttributeValue;

use super::{eks_once, minutes, refusal, stale_node};
use crate::cloud::{Cloud, EPOCH, trust};

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u32) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

#[tokio::test(start_paused = true)]
async fn iam_shows_roles_with_their_trust_policy_and_may_lag() {
    let cloud = stale_node();
    let client = aws_sdk_iam::Client::new(&cloud.sdk_config());
    let get = |name: &str| client.get_role().role_name(name).send();
    let role = get("NODE").await.expect("names know no case").role.expect("a role");
    let present = cloud.role("node");
    assert_eq!((role.role_id(), role.create_date().secs()), (present.id.as_str(), present.created_at.unix_timestamp()));
    assert!(role.assume_role_policy_document().expect("a policy").starts_with("%7B%22Version%22%3A"));
    cloud.habits(|habits| habits.iam_lags_by = minutes(6));
    assert_ne!(get("node").await.expect("the old one").role.expect("a role").role_id(), present.id);
    cloud.habits(|habits| habits.iam_lags_by = Duration::ZERO);
    let (status, code, _) = refusal(get("nobody").await);
    assert_eq!((status, code.as_str()), (404, "NoSuchEntity"));

    cloud.create_role("/team/", "admin", &trust::ssm());
    cloud.habits(|habits| habits.page_size = Some(1));
    let mut marker = None;
    let mut names = Vec::new();
    loop {
        let page = client.list_roles().max_items(1000).set_marker(marker).send().await.expect("a page");
        names.extend(page.roles().iter().map(|role| role.arn().to_owned()));
        if !page.is_truncated() {
            break;
        }
        marker = page.marker;
    }
    assert_eq!(names, ["arn:aws:iam::111122223333:role/team/admin", "arn:aws:iam::111122223333:role/node"]);
}

#[tokio::test(start_paused = true)]
async fn regions_are_listed_by_opt_status_and_disabled_ones_refuse_their_callers() {
    use aws_sdk_account::types::RegionOptStatus::{Enabled, EnabledByDefault};
    let cloud = Cloud::new();
    let client = aws_sdk_account::Client::new(&cloud.sdk_config());
    assert_eq!(client.list_regions().send().await.expect("all").regions().len(), 5);
    let enabled =
        client.list_regions().region_opt_status_contains(Enabled).region_opt_status_contains(EnabledByDefault);
    let enabled = enabled.send().await.expect("the enabled ones");
    let names: Vec<_> = enabled.regions().iter().filter_map(aws_sdk_account::types::Region::region_name).collect();
    assert_eq!(names, ["eu-west-1", "us-east-1"]);
    let (status, code, _) = refusal(eks_once(&cloud, "ap-east-1").list_clusters().send().await);
    assert_eq!((status, code.as_str()), (403, "UnrecognizedClientException"));
}

#[tokio::test(start_paused = true)]
async fn metrics_are_kept_and_summed() {
    let cloud = Cloud::new();
    let client = aws_sdk_cloudwatch::Client::new(&cloud.sdk_config());
    let datum = |region: Option<String>, value: f64| {
        let dimensions = region.map(|region| vec![Dimension::builder().name("Region").value(region).build()]);
        let datum = MetricDatum::builder().metric_name("Errors").set_dimensions(dimensions).value(value);
        datum.unit(StandardUnit::Count).build()
    };
    // Enough to be compressed on the way.
    let data = (0..500).map(|n| datum(Some(format!("r-{n}")), 1.0)).chain([datum(None, 2.0), datum(None, 3.0)]);
    client.put_metric_data().namespace("Guard").set_metric_data(Some(data.collect())).send().await.expect("kept");
    assert_eq!(cloud.metrics().len(), 502);
    assert_eq!(cloud.metric_sum("Errors", &[]), Some(5.0));
    assert_eq!(cloud.metric_sum("Errors", &[("Region", "r-7")]), Some(1.0));
    assert_eq!(cloud.metric_sum("Other", &[]), None);

    let at = |time: time::OffsetDateTime| aws_sdk_cloudwatch::primitives::DateTime::from_secs(time.unix_timestamp());
    let (from, to) = (at(EPOCH - minutes(60)), at(EPOCH + minutes(60)));
    let asked = client.get_metric_statistics().namespace("Guard").metric_name("Errors").period(3600);
    let asked = asked.statistics(Statistic::Sum).start_time(from).end_time(to).send().await.expect("a sum");
    assert_eq!(
        asked.datapoints().iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::sum).collect::<Vec<_>>(),
        [5.0]
    );

    let refused = client.put_metric_data().namespace("AWS/EKS").metric_data(datum(None, 1.0)).send().await;
    assert_eq!(refusal(refused).1, "InvalidParameterValue");
    let refused = client.put_metric_data().namespace("Guard").metric_data(datum(None, f64::NAN)).send().await;
    assert_eq!(refusal(refused).0, 400);
}

#[tokio::test(start_paused = true)]
async fn tables_take_conditional_writes_and_page_their_reads() {
    let cloud = Cloud::new();
    cloud.add_ledger("ledger");
    cloud.habits(|habits| habits.table_page_size = 2);
    let client = aws_sdk_dynamodb::Client::new(&cloud.sdk_config());
    let put = |cluster: &str, version: u32| {
        let put = client.put_item().table_name("ledger").item("principalArn", text("a"));
        put.item("cluster", text(cluster)).item("version", number(version))
    };
    for cluster in ["c", "d", "e"] {
        put(cluster, 1).condition_expression("attribute_not_exists(principalArn)").send().await.expect("new");
    }
    let again = put("c", 1).condition_expression("attribute_not_exists(principalArn)");
    assert_eq!(refusal(again.send().await).1, "ConditionalCheckFailedException");
    let guarded = |version: u32, read: u32| {
        put("c", version).condition_expression("version = :v").expression_attribute_values(":v", number(read))
    };
    guarded(2, 1).send().await.expect("the condition holds");
    assert_eq!(refusal(guarded(3, 1).send().await).1, "ConditionalCheckFailedException");
    assert_eq!(cloud.row("ledger", "a", "c").and_then(|row| row["version"].as_u64()), Some(2));

    let query = client.query().table_name("ledger").key_condition_expression("principalArn = :p");
    let query = query.expression_attribute_values(":p", text("a")).consistent_read(true);
    let first = query.clone().send().await.expect("a page");
    assert_eq!((first.count(), first.last_evaluated_key().is_some()), (2, true));
    let second = query.set_exclusive_start_key(first.last_evaluated_key).send().await.expect("the rest");
    assert_eq!((second.count(), second.last_evaluated_key()), (1, None));

    let other = put("c", 3).condition_expression("version < :v").expression_attribute_values(":v", number(9));
    assert!(refusal(other.send().await).2.contains("does not send"));
    let idle = guarded(3, 2).expression_attribute_values(":w", number(2));
    assert!(refusal(idle.send().await).2.contains("unused in expressions"));
    let nowhere = client.scan().table_name("other").send().await;
    assert_eq!(refusal(nowhere).1, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn reads_that_do_not_ask_for_consistency_may_be_stale() {
    let cloud = Cloud::new();
    cloud.add_ledger("ledger");
    cloud.put_row("ledger", &serde_json::json!({ "principalArn": "a", "cluster": "c", "version": 1 }));
    cloud.pass(minutes(1));
    let client = aws_sdk_dynamodb::Client::new(&cloud.sdk_config());
    let update = client.update_item().table_name("ledger").key("principalArn", text("a")).key("cluster", text("c"));
    let update = update
        .update_expression("SET #name = :text, version = :next")
        .expression_attribute_names("#name", "note")
        .expression_attribute_values(":text", text("x"));
    update.expression_attribute_values(":next", number(2)).send().await.expect("updated");
    assert_eq!(cloud.row("ledger", "a", "c").map(|row| row["note"].clone()), Some("x".into()));
    cloud.habits(|habits| habits.inconsistent_reads_lag_by = Duration::from_secs(30));
    let get = client.get_item().table_name("ledger").key("principalArn", text("a")).key("cluster", text("c"));
    let stale = get.clone().send().await.expect("a row");
    assert_eq!(stale.item().and_then(|item| item.get("version")), Some(&number(1)));
    let fresh = get.consistent_read(true).send().await.expect("a row");
    assert_eq!(fresh.item().and_then(|item| item.get("version")), Some(&number(2)));
    client
        .delete_item()
        .table_name("ledger")
        .key("principalArn", text("a"))
        .key("cluster", text("c"))
        .send()
        .await
        .expect("gone");
    assert!(cloud.rows("ledger").is_empty());
}
