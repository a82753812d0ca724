//! Worlds by the numbers.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::cloud::{Cloud, EntrySpec, HOME_REGION, UserKind, World};

/// The Regions that worlds are made of, the home Region first.
pub const REGIONS: [&str; 20] = [
    HOME_REGION,
    "eu-west-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-central-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "eu-south-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "me-central-1",
    "af-south-1",
];

/// The ledger's table.
pub const LEDGER: &str = "ledger";

/// The role that a world's matching entries are for.
pub const NODE: &str = "node";

/// How many of what a world has.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Enabled Regions, at most [`REGIONS`].
    pub regions: usize,
    /// Clusters, spread over the Regions.
    pub clusters: usize,
    /// Entries of each cluster, for roles that other clusters know too.
    pub entries: usize,
    /// Clusters that hold an entry for [`NODE`], spread over the Regions.
    pub matches: usize,
}

impl Size {
    /// As the control channel tells it; what is absent is nothing, but one Region.
    pub fn of(command: &Value) -> Self {
        let number = |name: &str| command[name].as_u64().and_then(|number| usize::try_from(number).ok());
        Self {
            regions: number("regions").unwrap_or(1).clamp(1, REGIONS.len()),
            clusters: number("clusters").unwrap_or_default(),
            entries: number("entries").unwrap_or_default(),
            matches: number("matches").unwrap_or_default(),
        }
    }
}

/// makes a new world: roles two hours old, clusters and entries one hour, and the present time the machine's.
pub fn set(cloud: &Cloud, size: Size, delay: Duration) {
    cloud.set_clock(OffsetDateTime::from(SystemTime::now()) - Duration::from_secs(7200));
    cloud.clear_calls();
    cloud.lift_faults();
    cloud.with(|world| {
        let now = world.now();
        let mut fresh = World::new("aws", "111122223333");
        fresh.regions = REGIONS[..size.regions].iter().map(|name| ((*name).to_owned(), "ENABLED".to_owned())).collect();
        fresh.habits.request_delay = delay;
        // A page of DynamoDB is a megabyte.
        fresh.habits.table_page_size = 1000;
        *world = fresh;
        world.set_now(now);
    });
    cloud.add_ledger(LEDGER);
    let roles: Vec<String> = (0..size.entries).map(|n| cloud.add_role(&format!("role-{n:04}")).arn).collect();
    let node = cloud.add_role(NODE).arn;
    cloud.pass(Duration::from_secs(3600));
    for n in 0..size.clusters {
        let (region, name) = (REGIONS[n % size.regions], format!("cluster-{n:04}"));
        cloud.add_cluster(region, &name);
        for role in &roles {
            cloud.add_entry(region, &name, role, EntrySpec::of_type("EC2_LINUX"));
        }
        if n < size.matches {
            cloud.add_entry(region, &name, &node, EntrySpec::of_type("EC2_LINUX"));
        }
    }
    cloud.pass(Duration::from_secs(3600));
}

/// In how many clusters a role is let in.
pub fn admitted(cloud: &Cloud, role: &str) -> usize {
    let clusters: Vec<(String, String)> = cloud.with(|world| world.clusters.keys().cloned().collect());
    clusters.iter().filter(|(region, name)| cloud.admits(region, name, role)).count()
}

/// A role, as the control channel shows it.
pub fn shown(cloud: &Cloud, name: &str) -> Value {
    let role = cloud.role(name);
    json!({"arn": role.arn, "roleId": role.id, "roleName": role.name, "path": role.path})
}

/// Adds what uses a role to a cluster.
pub fn add_user(cloud: &Cloud, command: &Value) -> Value {
    let text = |name: &str| command[name].as_str().unwrap_or_default();
    let kind = match text("kind") {
        "nodegroup" => UserKind::Nodegroup,
        "fargateProfile" => UserKind::FargateProfile,
        "capability" => UserKind::Capability,
        other => return json!({"error": format!("unknown kind {other:?}")}),
    };
    let age = Duration::from_secs(command["ageSeconds"].as_u64().unwrap_or_default());
    let status = command["status"].as_str().unwrap_or("ACTIVE");
    let cluster = cloud.cluster(text("region"), text("cluster"));
    cluster.user(kind, text("name"), text("role"), status, age);
    for issue in command["issues"].as_array().into_iter().flatten() {
        cluster.issue(issue.as_str().unwrap_or_default());
    }
    json!({})
}
