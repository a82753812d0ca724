//! The verbs with which a test sets its stage and looks at it afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::cloudwatch::Datum;
use super::dynamodb::{Table, plain_item, typed_item};
use super::entries::{Caller, Entry, NewEntry, Policy};
use super::stale::PastEntries;
use super::trust;
use super::users::{RoleUser, UserKind};
use super::world::{Cluster, Role, World};
use super::{Cloud, HOME_REGION};

/// An access entry as a test wants it.
#[derive(Debug, Clone, Default)]
pub struct EntrySpec {
    /// `STANDARD` where absent.
    pub kind: Option<String>,
    /// Generated where absent.
    pub username: Option<String>,
    /// Generated where absent.
    pub groups: Option<Vec<String>>,
    /// Any, for AWS.
    pub tags: BTreeMap<String, String>,
    /// To associate.
    pub policies: Vec<Policy>,
    /// Whether AWS made it, which may use reserved names, tags and policies.
    pub made_by_aws: bool,
}

impl EntrySpec {
    /// A `STANDARD` entry with nothing set.
    pub fn standard() -> Self {
        Self::default()
    }

    /// An entry of another type, such as `EC2_LINUX`.
    pub fn of_type(kind: &str) -> Self {
        Self { kind: Some(kind.to_owned()), ..Self::default() }
    }

    /// With this user name.
    #[must_use]
    pub fn username(mut self, name: &str) -> Self {
        self.username = Some(name.to_owned());
        self
    }

    /// With these groups.
    #[must_use]
    pub fn groups(mut self, groups: &[&str]) -> Self {
        self.groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
        self
    }

    /// With one more tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With one more access policy, for the whole cluster.
    #[must_use]
    pub fn policy(mut self, name: &str) -> Self {
        self.policies.push(Policy::cluster(name));
        self
    }

    /// With one more access policy, for namespaces.
    #[must_use]
    pub fn policy_in(mut self, name: &str, namespaces: &[&str]) -> Self {
        self.policies.push(Policy::namespaces(name, namespaces));
        self
    }

    /// Made when EKS had other rules for names than today.
    #[must_use]
    pub fn before_rules(self) -> Self {
        self.made_by_aws()
    }

    /// Made by AWS itself.
    #[must_use]
    pub fn made_by_aws(mut self) -> Self {
        self.made_by_aws = true;
        self
    }
}

impl Policy {
    /// A policy of partition `aws` for the whole cluster.
    pub fn cluster(name: &str) -> Self {
        Self { policy_arn: Self::arn(name), scope: "cluster".to_owned(), namespaces: Vec::new() }
    }

    /// A policy of partition `aws` for namespaces.
    pub fn namespaces(name: &str, namespaces: &[&str]) -> Self {
        let namespaces = namespaces.iter().map(|namespace| (*namespace).to_owned()).collect();
        Self { policy_arn: Self::arn(name), scope: "namespace".to_owned(), namespaces }
    }

    /// The ARN of an access policy in partition `aws`.
    pub fn arn(name: &str) -> String {
        format!("arn:aws:eks::aws:cluster-access-policy/{name}")
    }
}

impl World {
    /// Adds a cluster: active, with access entries and aws-auth, with a role of its own.
    pub fn add_cluster(&mut self, region: &str, name: &str) -> &mut Cluster {
        let cluster = Cluster {
            region: region.to_owned(),
            name: name.to_owned(),
            created_at: self.now_ms(),
            status: "ACTIVE".to_owned(),
            authentication_mode: Some("API_AND_CONFIG_MAP".to_owned()),
            role_arn: format!("arn:{}:iam::{}:role/cluster-{name}", self.partition, self.account),
            api_server: None,
            tags: BTreeMap::new(),
            node_role_arn: None,
            users: Vec::new(),
            connected: false,
            entries: BTreeMap::new(),
            deleted: Vec::new(),
            past: PastEntries::default(),
        };
        self.note_cluster(region, name);
        self.clusters.insert((region.to_owned(), name.to_owned()), cluster);
        self.cluster(region, name)
    }

    /// Adds an entry for a principal, bound to its present ID.
    ///
    /// # Panics
    /// If EKS would refuse it.
    pub fn add_entry(&mut self, region: &str, cluster: &str, principal_arn: &str, spec: &EntrySpec) -> Entry {
        let caller = if spec.made_by_aws { Caller::Aws } else { Caller::Other };
        let new = NewEntry {
            principal_arn: principal_arn.to_owned(),
            kind: spec.kind.clone(),
            username: spec.username.clone(),
            groups: spec.groups.clone(),
            tags: (!spec.tags.is_empty()).then(|| spec.tags.clone()),
        };
        let refused = |refusal| panic!("EKS refuses the entry of {principal_arn} in {cluster}: {refusal:?}");
        self.create_entry(region, cluster, &new, caller).unwrap_or_else(refused);
        for policy in &spec.policies {
            self.associate_policy(region, cluster, principal_arn, policy, caller).unwrap_or_else(|refusal| {
                panic!("EKS refuses {} for {principal_arn} in {cluster}: {refusal:?}", policy.policy_arn)
            });
        }
        self.cluster(region, cluster).entries[principal_arn].clone()
    }
}

impl Cloud {
    /// A role for instances, directly under `/`.
    pub fn add_role(&self, name: &str) -> Role {
        self.create_role("/", name, &trust::ec2())
    }

    /// `CreateRole`.
    pub fn create_role(&self, path: &str, name: &str, trust: &str) -> Role {
        self.with(|world| world.create_role(path, name, trust))
    }

    /// `DeleteRole`.
    pub fn delete_role(&self, name: &str) -> Role {
        self.with(|world| world.delete_role(name))
    }

    /// Deletes a role and creates it again: same ARN and trust policy, new ID.
    pub fn recreate_role(&self, name: &str) -> Role {
        self.with(|world| world.recreate_role(name))
    }

    /// The role of a name, as it is.
    ///
    /// # Panics
    /// If there is none.
    pub fn role(&self, name: &str) -> Role {
        self.with(|world| world.roles.get(&name.to_lowercase()).cloned().unwrap_or_else(|| panic!("no role {name}")))
    }

    /// Adds an IAM user, or a principal of another account, that EKS can resolve.
    pub fn add_principal(&self, arn: &str) {
        self.with(|world| {
            let id = world.unique_id(if arn.contains(":user/") { "AIDA" } else { "AROA" });
            world.other_principals.insert(arn.to_owned(), id);
        });
    }

    /// Adds an active cluster; what it returns changes it.
    pub fn add_cluster(&self, region: &str, name: &str) -> ClusterHandle {
        self.with(|world| {
            world.add_cluster(region, name);
        });
        self.cluster(region, name)
    }

    /// A handle on a cluster.
    pub fn cluster(&self, region: &str, name: &str) -> ClusterHandle {
        ClusterHandle { cloud: self.clone(), region: region.to_owned(), name: name.to_owned() }
    }

    /// Deletes a cluster with all its entries.
    pub fn delete_cluster(&self, region: &str, name: &str) {
        self.with(|world| world.delete_cluster(region, name));
    }

    /// Adds an entry for a principal, bound to its present ID. Panics if EKS would refuse it.
    #[expect(clippy::needless_pass_by_value, reason = "a specification is written where it is used")]
    pub fn add_entry(&self, region: &str, cluster: &str, principal_arn: &str, spec: EntrySpec) -> Entry {
        self.with(|world| world.add_entry(region, cluster, principal_arn, &spec))
    }

    /// Deletes an entry in another party's name.
    ///
    /// # Panics
    /// If there is none.
    pub fn delete_entry(&self, region: &str, cluster: &str, principal_arn: &str) -> Entry {
        self.with(|world| world.delete_entry(region, cluster, principal_arn)).expect("there is such an entry")
    }

    /// The entry of a principal, as it is.
    pub fn entry(&self, region: &str, cluster: &str, principal_arn: &str) -> Option<Entry> {
        self.with(|world| {
            let cluster = world.clusters.get(&(region.to_owned(), cluster.to_owned()))?;
            cluster.entries.get(principal_arn).cloned()
        })
    }

    /// Changes the opt status of a Region, such as to `ENABLED` or `DISABLED`.
    pub fn set_region(&self, region: &str, status: &str) {
        self.with(|world| world.regions.insert(region.to_owned(), status.to_owned()));
    }

    /// Adds the ledger's table in the home Region: partition key `principalArn`, sort key `cluster`.
    pub fn add_ledger(&self, name: &str) {
        self.add_table(HOME_REGION, name, "principalArn", Some("cluster"));
    }

    /// Adds a table whose keys are texts.
    pub fn add_table(&self, region: &str, name: &str, partition_key: &str, sort_key: Option<&str>) {
        let table = Table::new(partition_key, sort_key);
        self.with(|world| world.tables.insert((region.to_owned(), name.to_owned()), table));
    }

    /// All rows of a table of the home Region, as ordinary JSON objects in order of their keys.
    pub fn rows(&self, table: &str) -> Vec<Map<String, Value>> {
        self.with(|world| world.table(table).rows.values().map(plain_item).collect())
    }

    /// One row, as an ordinary JSON object.
    pub fn row(&self, table: &str, partition: &str, sort: &str) -> Option<Map<String, Value>> {
        let key = (partition.to_owned(), sort.to_owned());
        self.with(|world| world.table(table).rows.get(&key).map(plain_item))
    }

    /// Writes a row given as an ordinary JSON object, whatever is there.
    pub fn put_row(&self, table: &str, row: &Value) {
        self.with(|world| world.put_row(table, row));
    }

    /// Deletes a row.
    pub fn delete_row(&self, table: &str, partition: &str, sort: &str) {
        let key = (partition.to_owned(), sort.to_owned());
        self.with(|world| {
            let now = world.now;
            world.table(table).write(now, key, None);
        });
    }

    /// All metric data ever received.
    pub fn metrics(&self) -> Vec<Datum> {
        self.with(|world| world.metrics.clone())
    }

    /// The sum of a metric with exactly these dimensions, in whatever namespace; `None` where no datum came.
    pub fn metric_sum(&self, name: &str, dimensions: &[(&str, &str)]) -> Option<f64> {
        let dimensions: BTreeMap<String, String> =
            dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let data = self.metrics();
        let mut data = data.iter().filter(|datum| datum.name == name && datum.dimensions == dimensions).peekable();
        data.peek()?;
        Some(data.map(|datum| datum.value).sum())
    }
}

impl World {
    /// A table of the home Region.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn table(&mut self, name: &str) -> &mut Table {
        let key = (HOME_REGION.to_owned(), name.to_owned());
        self.tables.get_mut(&key).unwrap_or_else(|| panic!("no table {name}"))
    }

    /// Writes a row of a table of the home Region, given as an ordinary JSON object.
    ///
    /// # Panics
    /// If it is no object or lacks its key.
    pub fn put_row(&mut self, table: &str, row: &Value) {
        let now = self.now;
        let item = typed_item(row.as_object().expect("a row is an object"));
        let table = self.table(table);
        let key = table.key_of(&item).expect("a row has its key");
        table.write(now, key, Some(item));
    }
}

/// A cluster to change; each call takes effect at once.
#[derive(Debug, Clone)]
pub struct ClusterHandle {
    cloud: Cloud,
    region: String,
    name: String,
}

impl ClusterHandle {
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub fn mode(&self, mode: &str) -> &Self {
        self.change(|cluster| cluster.authentication_mode = Some(mode.to_owned()))
    }

    /// No `accessConfig` at all.
    pub fn without_access_config(&self) -> &Self {
        self.change(|cluster| cluster.authentication_mode = None)
    }

    /// `ACTIVE`, `CREATING`, `DELETING` …
    pub fn status(&self, status: &str) -> &Self {
        self.change(|cluster| status.clone_into(&mut cluster.status))
    }

    /// One more tag.
    pub fn tag(&self, key: &str, value: &str) -> &Self {
        self.change(|cluster| drop(cluster.tags.insert(key.to_owned(), value.to_owned())))
    }

    /// The cluster's own role.
    pub fn role(&self, arn: &str) -> &Self {
        self.change(|cluster| arn.clone_into(&mut cluster.role_arn))
    }

    /// Where its API server listens, and its authority's certificate in Base64.
    #[allow(dead_code, reason = "tests/local_aws uses it")]
    pub fn api_server(&self, endpoint: &str, authority: &str) -> &Self {
        self.change(|cluster| cluster.api_server = Some((endpoint.to_owned(), authority.to_owned())))
    }

    /// Auto Mode, with this node role.
    pub fn auto_mode(&self, node_role_arn: &str) -> &Self {
        self.change(|cluster| cluster.node_role_arn = Some(node_role_arn.to_owned()))
    }

    /// One more resource that uses a role, made so long ago.
    pub fn user(&self, kind: UserKind, name: &str, role_arn: &str, status: &str, age: Duration) -> &Self {
        let created_at = self.cloud.with(|world| world.now_ms()) - age;
        let (name, role_arn, status) = (name.to_owned(), role_arn.to_owned(), status.to_owned());
        let user = RoleUser { kind, name, role_arn, status, issues: Vec::new(), created_at };
        self.change(|cluster| cluster.users.push(user))
    }

    /// An issue that EKS found with the resource that was added last.
    pub fn issue(&self, code: &str) -> &Self {
        self.change(|cluster| cluster.users.last_mut().expect("a resource").issues.push(code.to_owned()))
    }

    /// An external cluster.
    pub fn connected(&self) -> &Self {
        self.change(|cluster| cluster.connected = true)
    }

    fn change(&self, change: impl FnOnce(&mut Cluster)) -> &Self {
        self.cloud.with(|world| {
            world.note_cluster(&self.region, &self.name);
            change(world.cluster(&self.region, &self.name));
        });
        self
    }
}
