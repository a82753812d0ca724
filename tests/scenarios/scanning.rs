//! `scan` and the function judge by the same code: over accounts made by chance, entry by entry. And a scan only reads.

use std::collections::BTreeMap;

use access_entry_guard::report::Entry;
use serde_json::{Value, json};

use crate::cloud::EntrySpec;
use crate::stage::{CLUSTER, REGION, Stage};

/// What is said of each entry that is not fresh: verdict, outcome and reason.
type Said = BTreeMap<(String, String), [String; 3]>;

fn said<'a>(entries: impl IntoIterator<Item = &'a Value>) -> Said {
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
    let entries = entries.into_iter().filter(|entry| entry["verdict"] != "fresh");
    entries
        .map(|entry| {
            let key = (text(entry, "clusterName"), text(entry, "principalArn"));
            (key, ["verdict", "outcome", "reason"].map(|member| text(entry, member)))
        })
        .collect()
}

fn spec(random: &mut fastrand::Rng) -> EntrySpec {
    let kinds = ["STANDARD", "STANDARD", "STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX"];
    let kind = *random.choice(&kinds).unwrap();
    let mut spec = EntrySpec::of_type(kind);
    if random.u8(..8) == 0 {
        spec = spec.tag("access-entry-guard", "ignore");
    }
    if kind == "STANDARD" {
        if random.bool() {
            spec = spec.policy("AmazonEKSViewPolicy");
        }
        if random.u8(..4) == 0 {
            spec = spec.policy("AmazonEKSClusterAdminPolicy");
        }
        if random.u8(..4) == 0 {
            spec = spec.groups(&["ops"]);
        }
        if random.u8(..4) == 0 {
            spec = spec.username("people:{{SessionName}}");
        }
    }
    spec
}

/// Some clusters with entries, of which some have become stale and some lost their role.
async fn by_chance(seed: u64) -> Stage {
    let mut random = fastrand::Rng::with_seed(seed);
    let stage = Stage::set().with("MODE", "observe");
    stage.cloud.add_cluster(REGION, "other");
    stage.cloud.add_principal("arn:aws:iam::111122223333:user/ana");
    stage.cloud.add_entry(REGION, CLUSTER, "arn:aws:iam::111122223333:user/ana", EntrySpec::standard());
    if random.bool() {
        stage.cloud.cluster(REGION, "other").tag("access-entry-guard", "ignore");
    }
    for n in 0..random.u8(2..12) {
        let role = stage.role_with(&format!("role-{n}"), spec(&mut random)).await;
        if random.bool() {
            stage.cloud.add_entry(REGION, "other", &role.arn, spec(&mut random));
        }
        match random.u8(..4) {
            0 => drop(stage.cloud.delete_role(&role.name)),
            1 | 2 => drop(stage.recreate(&role.name).await),
            _ => {}
        }
    }
    stage.settle().await;
    stage
}

#[tokio::test(start_paused = true)]
async fn what_scan_calls_stale_is_what_the_function_would_repair_or_hold_entry_by_entry() {
    let mut seen: BTreeMap<[String; 3], usize> = BTreeMap::new();
    for seed in 0..40 {
        let stage = by_chance(seed).await;
        stage.cloud.clear_calls();
        let scanned = stage.scan(&[REGION, "us-east-1"]).await;
        let calls = stage.cloud.calls();
        assert!(
            calls.iter().all(|call| ["List", "Describe", "Get"].iter().any(|verb| call.operation.starts_with(verb))),
            "a scan only reads"
        );
        let by_scan: Vec<Value> = scanned.cases.iter().map(|case| json!(Entry::of(case, &[]))).collect();

        let report = stage.sweep().await;

        let (by_scan, by_function) = (said(&by_scan), said(report["entries"].as_array().unwrap()));
        assert_eq!(by_scan, by_function, "seed {seed}");
        for said in by_scan.into_values() {
            *seen.entry(said).or_default() += 1;
        }
    }
    let outcomes: Vec<&str> = seen.keys().map(|said| said[1].as_str()).collect();
    assert!(["wouldRepair", "held", "reported"].iter().all(|it| outcomes.contains(it)), "{seen:#?}");
    assert!(seen.len() > 5, "{seen:#?}");
}
