//! The stage of a scenario: an AWS, the function's settings, its log, and the ways to wake it up.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access_entry_guard::app::App;
use access_entry_guard::aws::Reads;
use access_entry_guard::config::Config;
use access_entry_guard::error::Error;
use access_entry_guard::handler::{Call, handle};
use access_entry_guard::model::{Home, Region};
use access_entry_guard::scan::{Progress, Scan, Scope, scan};
use serde_json::{Value, json};

use crate::cloud::{Cloud, Door, Entry, EntrySpec, Role, World};

/// The Region and the cluster of most scenarios.
pub const REGION: &str = "eu-west-1";
/// See [`REGION`].
pub const CLUSTER: &str = "prod";
/// The ledger's table.
pub const LEDGER: &str = "ledger";

/// A cloud with a function in it.
#[derive(Clone)]
pub struct Stage {
    pub cloud: Cloud,
    settings: BTreeMap<String, String>,
    log: Log,
    time_limit: Duration,
    function_arn: &'static str,
    door: Option<Door>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Nobody hears how far a scan has come.
struct Unheard;

impl Progress for Unheard {
    fn region(&self, _clusters: usize) {}
    fn cluster(&self, _entries: usize) {}
    fn entry(&self) {}
    fn throttled(&self, _region: &Region) {}
}

impl Stage {
    /// A cluster `prod` in `eu-west-1`, a ledger, and a function that has a quarter of an hour for every invocation.
    pub fn set() -> Self {
        let cloud = Cloud::new();
        cloud.add_cluster(REGION, CLUSTER);
        cloud.add_ledger(LEDGER);
        let settings = BTreeMap::from([("LEDGER_TABLE".to_owned(), LEDGER.to_owned())]);
        let function_arn = "arn:aws:lambda:us-east-1:111122223333:function:access-entry-guard";
        Self { cloud, settings, log: Log::default(), time_limit: Duration::from_mins(15), function_arn, door: None }
    }

    /// A function in the Beijing Region, with no cluster.
    pub fn in_china() -> Self {
        let function_arn = "arn:aws-cn:lambda:cn-north-1:111122223333:function:access-entry-guard";
        let cloud = Cloud::holding(World::new("aws-cn", "111122223333"));
        cloud.set_region("cn-north-1", "ENABLED_BY_DEFAULT");
        let settings = BTreeMap::from([("REGIONS".to_owned(), "cn-north-1".to_owned())]);
        Self { cloud, settings, log: Log::default(), time_limit: Duration::from_mins(15), function_arn, door: None }
    }

    /// With a setting; an empty value unsets it.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With so much time for an invocation.
    pub fn within(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// The same stage for one of several invocations at once: all its calls go through this door.
    pub fn through(&self, door: Door) -> Self {
        Self { door: Some(door), ..self.clone() }
    }

    /// A role for nodes with its `EC2_LINUX` entry in `prod`, an hour old.
    pub async fn node(&self, name: &str) -> Role {
        self.role_with(name, EntrySpec::of_type("EC2_LINUX")).await
    }

    /// A role with an entry in `prod`, an hour old.
    pub async fn role_with(&self, name: &str, spec: EntrySpec) -> Role {
        let role = self.cloud.add_role(name);
        tokio::time::sleep(Duration::from_mins(1)).await;
        self.cloud.add_entry(REGION, CLUSTER, &role.arn, spec);
        tokio::time::sleep(Duration::from_hours(1)).await;
        role
    }

    /// Deletes the role and creates it again; `SETTLE_SECONDS` pass.
    pub async fn recreate(&self, name: &str) -> Role {
        let role = self.cloud.recreate_role(name);
        self.settle().await;
        role
    }

    /// Lets a role grow old enough to be looked after.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(90)).await;
    }

    /// Whether the role is let into `prod`.
    pub fn admits(&self, name: &str) -> bool {
        self.cloud.admits(REGION, CLUSTER, name)
    }

    /// The role's entry in `prod`.
    pub fn entry(&self, role: &Role) -> Option<Entry> {
        self.cloud.entry(REGION, CLUSTER, &role.arn)
    }

    /// The ledger's row of the role in `prod`.
    pub fn row(&self, role: &Role) -> Option<Value> {
        self.cloud.row(LEDGER, &role.arn, &format!("{REGION}#{CLUSTER}")).map(Value::Object)
    }

    /// Invokes the function by its plain name.
    pub async fn invoke(&self, payload: Value) -> Result<Value, Error> {
        self.invoke_as("", payload).await
    }

    /// Delivers an event as the rule does: through the alias `events`.
    pub async fn deliver(&self, event: Value) -> Result<Value, Error> {
        self.invoke_as("events", event).await
    }

    /// Invokes the function by an alias.
    pub async fn invoke_as(&self, alias: &str, payload: Value) -> Result<Value, Error> {
        let app = self.app();
        let qualifier = if alias.is_empty() { String::new() } else { format!(":{alias}") };
        let call = Call {
            function_arn: format!("{}{qualifier}", self.function_arn),
            request_id: "request".to_owned(),
            deadline: self.cloud.now() + self.time_limit,
        };
        // Lambda ends the process at the deadline, whatever it is doing.
        let answer = handle(&app, &payload, call);
        tokio::time::timeout(self.time_limit, answer).await.expect("the function ends before Lambda ends it")
    }

    /// Runs a sweep as the schedule does.
    pub async fn sweep(&self) -> Value {
        self.deliver(json!({"command": "sweep"})).await.expect("a sweep that could examine something")
    }

    /// Scans these Regions, as somebody without a deployment does.
    pub async fn scan(&self, regions: &[&str]) -> Scan {
        let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
        let regions = regions.iter().map(|name| Region((*name).to_owned())).collect();
        let scope = Scope { regions, ..Scope::default() };
        let (reads, clock) = (Reads::new(&self.cloud.sdk_config()), self.cloud.clock());
        scan(&reads, &home, &scope, &Unheard, &*clock).await.expect("the roles are listed")
    }

    fn app(&self) -> App {
        let config = Config::from_lookup(|name| self.settings.get(name).cloned()).expect("good settings");
        let sdk = match &self.door {
            Some(door) => self.cloud.sdk_config_through(Door::clone(door)),
            None => self.cloud.sdk_config(),
        };
        App::new(config, &sdk, self.cloud.clock(), Box::new(self.log.clone()))
    }

    /// What was logged.
    pub fn log_lines(&self) -> Vec<Value> {
        let bytes = self.log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
    }

    /// The event of a role's creation, by a pipeline.
    pub fn created(&self, role: &Role) -> Value {
        self.created_by(role, "AROAPIPELINE000000001", "arn:aws:iam::111122223333:role/pipeline")
    }

    /// The event of a role's creation, by a session of this role.
    #[expect(clippy::unused_self, reason = "the stage tells what happened on it")]
    pub fn created_by(&self, role: &Role, creator_id: &str, creator_arn: &str) -> Value {
        let mut event = Self::event("CreateRole", role.created_at);
        event["detail"]["requestParameters"] = json!({"roleName": role.name, "path": role.path});
        event["detail"]["responseElements"] = json!({"role": {
            "roleName": role.name, "path": role.path, "arn": role.arn, "roleId": role.id,
            "createDate": "Jan 15, 2026 1:01:00 PM"}});
        event["detail"]["userIdentity"] = json!({
            "type": "AssumedRole", "principalId": format!("{creator_id}:session"), "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/some/session",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": creator_id, "arn": creator_arn,
                "accountId": "111122223333", "userName": "some"}}});
        event
    }

    /// The event of a role's deletion.
    pub fn deleted(&self, name: &str) -> Value {
        let mut event = Self::event("DeleteRole", self.cloud.now());
        event["detail"]["requestParameters"] = json!({"roleName": name});
        event["detail"]["responseElements"] = Value::Null;
        event
    }

    fn event(name: &str, at: time::OffsetDateTime) -> Value {
        let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
        json!({
            "version": "0", "id": "1", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam",
            "account": "111122223333", "time": at, "region": "us-east-1", "resources": [],
            "detail": {"eventVersion": "1.09", "eventTime": at, "eventSource": "iam.amazonaws.com", "eventName": name,
                "awsRegion": "us-east-1", "eventID": "8d2c1b7e-0000-4000-8000-000000000001", "readOnly": false,
                "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333",
                "eventCategory": "Management"}
        })
    }
}

/// A command about a role's entry in `prod`.
pub fn command(name: &str, role: &Role) -> Value {
    json!({"command": name, "principalArn": role.arn, "clusterName": CLUSTER, "region": REGION})
}

/// The same with the role ID that a person looked at.
pub fn command_for(name: &str, role: &Role) -> Value {
    let mut command = command(name, role);
    command["roleId"] = json!(role.id);
    command
}

/// Delivers the event of the role's creation until the world stops, as a fault makes it; then its lease ends.
pub async fn deliver_until_cut(stage: &Stage, role: &Role) {
    tokio::select! {
        answer = stage.deliver(stage.created(role)) => panic!("not cut: {answer:?}"),
        () = stage.cloud.stopped() => {}
    }
    stage.cloud.lift_faults();
    stage.cloud.restart();
    tokio::time::sleep(Duration::from_mins(3)).await;
}

/// Outcome and reason of the report's only entry.
pub fn outcome(report: &Value) -> (&str, &str) {
    let entries = report["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 1, "one entry in {report:#}");
    let text = |name: &str| entries[0][name].as_str().unwrap_or_default();
    (text("outcome"), text("reason"))
}

/// A `STANDARD` entry with everything that an owner can set.
pub fn everything() -> EntrySpec {
    EntrySpec::standard()
        .username("pipelines:{{SessionName}}")
        .groups(&["deployers", "viewers"])
        .tag("team", "platform")
        .tag("aws:cloudformation:stack-name", "access")
        .policy("AmazonEKSClusterAdminPolicy")
        .policy_in("AmazonEKSEditPolicy", &["team-*", "default"])
        .made_by_aws()
}

/// The only kind of `STANDARD` entry that is not privileged.
pub fn viewer() -> EntrySpec {
    EntrySpec::standard().policy("AmazonEKSViewPolicy")
}
