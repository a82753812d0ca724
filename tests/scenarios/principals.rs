//! Entries of principals that are no role of this account: told apart, never changed, never counted.

use std::time::Duration;

use serde_json::json;

use crate::cloud::{EntrySpec, Role};
use crate::stage::{CLUSTER, REGION, Stage, command};

#[tokio::test(start_paused = true)]
async fn an_entry_of_what_is_neither_role_nor_user_says_so_and_whose_it_is() {
    let principals = [
        ("arn:aws:iam::111122223333:root", "notAPrincipal"),
        ("arn:aws:iam::999999999999:root", "otherAccount"),
        ("arn:aws:iam::111122223333:user/bob", "iamUser"),
        ("arn:aws:iam::999999999999:user/bob", "otherAccount"),
        ("arn:aws:iam::999999999999:role/node", "otherAccount"),
    ];
    let stage = Stage::set();
    for (arn, _) in principals {
        stage.cloud.add_principal(arn);
        stage.cloud.add_entry(REGION, CLUSTER, arn, EntrySpec::standard());
    }
    tokio::time::sleep(Duration::from_hours(1)).await;
    let sweep = stage.sweep().await;
    let check = stage.invoke(json!({"command": "check", "clusterName": CLUSTER})).await.unwrap();
    for report in [sweep, check] {
        for (arn, reason) in principals {
            let entries = report["entries"].as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["principalArn"] == arn).expect("an entry");
            assert_eq!((&entry["verdict"], &entry["reason"]), (&json!("undecided"), &json!(reason)), "{arn}");
            let detail = entry["detail"].as_str().unwrap();
            assert!(!detail.contains("GetRole") && !detail.contains("IAM ("), "no wrong advice: {detail}");
        }
        assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 0);
        assert_eq!(report["metrics"]["AccessEntriesHeld"], 0);
    }
    assert!(stage.cloud.calls_of("GetRole").is_empty());
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

/// A service made the role and its entry, and replaced the role.
async fn with_a_service_linked_role(is_recreated: bool) -> (Stage, Role) {
    let stage = Stage::set();
    let path = "/aws-service-role/example.amazonaws.com/";
    let role = stage.cloud.create_role(path, "AWSServiceRoleForExample", "{}");
    tokio::time::sleep(Duration::from_mins(1)).await;
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, EntrySpec::standard().made_by_aws());
    tokio::time::sleep(Duration::from_hours(1)).await;
    let role = if is_recreated { stage.recreate(&role.name).await } else { role };
    (stage, role)
}

#[tokio::test(start_paused = true)]
async fn a_stale_entry_of_a_service_linked_role_stays_undecided_and_its_detail_says_that_it_is_stale() {
    for is_recreated in [true, false] {
        let (stage, role) = with_a_service_linked_role(is_recreated).await;
        let entry = stage.entry(&role);
        let reports = [
            stage.sweep().await,
            stage.invoke(json!({"command": "check", "clusterName": CLUSTER})).await.unwrap(),
            stage.invoke(command("check", &role)).await.unwrap(),
        ];
        for report in reports {
            let shown = &report["entries"][0];
            assert_eq!((&shown["verdict"], &shown["reason"]), (&json!("undecided"), &json!("serviceLinkedRole")));
            let detail = shown["detail"].as_str().unwrap();
            assert_eq!(detail.contains("earlier role"), is_recreated, "{detail}");
            assert_eq!(detail.contains("Only the service"), is_recreated, "{detail}");
            assert_eq!(report["metrics"]["AccessEntryValidationErrors"], 0);
        }
        assert_eq!(stage.entry(&role), entry);
    }
}
