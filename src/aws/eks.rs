//! The EKS calls, their paging and the conversion to the model. One Region's client each, made when first needed.
//! [`sending`] tells when they are sent, and which of them again.

mod sending;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eks::config::timeout::TimeoutConfig;
use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types;
use time::OffsetDateTime;

use super::fault::{Fault, FaultKind};
use super::turns::{Priority, Turns};
use crate::model::{AccessEntry, AccessPolicy, AccessScope, Cluster, ClusterRef, EntryType, Region, RoleArn, Snapshot};

/// The largest page that EKS gives (EKS API Reference: `maxResults` 1 to 100).
const PAGE: i32 = 100;

/// How long one attempt of a change may take before its outcome counts as unknown.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// EKS in one Region, for one user of it.
#[derive(Debug, Clone)]
pub struct Eks {
    region: Region,
    client: aws_sdk_eks::Client,
    turns: Arc<Turns>,
    most_at_once: usize,
    priority: Priority,
}

/// What access-entry calls say of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entries<T> {
    /// The answer.
    Known(T),
    /// The cluster has no access entries: its authentication mode or its state does not allow any.
    Unsupported,
}

impl Eks {
    /// The names of all clusters of the Region, connected (external) ones left out: they have no access entries.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn list_clusters(&self) -> Result<Vec<ClusterRef>, Fault> {
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.list_clusters().max_results(PAGE).set_next_token(token);
            let page = self.read("ListClusters", || request.clone().send()).await?;
            names.extend(
                page.clusters
                    .unwrap_or_default()
                    .into_iter()
                    .map(|name| ClusterRef { region: self.region.clone(), name }),
            );
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// One cluster; `None` where it does not exist, or is a connected (external) one.
    ///
    /// # Errors
    /// Any [`Fault`] but "not found".
    pub async fn describe_cluster(&self, name: &str) -> Result<Option<Cluster>, Fault> {
        const OPERATION: &str = "DescribeCluster";
        let request = self.client.describe_cluster().name(name);
        let reply = match self.read(OPERATION, || request.clone().send()).await {
            Ok(reply) => reply,
            Err(fault) => return absent(fault),
        };
        let cluster = reply.cluster.ok_or_else(|| Fault::malformed(OPERATION, "cluster"))?;
        if cluster.connector_config.is_some() {
            return Ok(None);
        }
        Ok(Some(Cluster {
            at: ClusterRef { region: self.region.clone(), name: name.to_owned() },
            created_at: time_of(OPERATION, "createdAt", cluster.created_at)?,
            is_workable: matches!(cluster.status, Some(types::ClusterStatus::Active | types::ClusterStatus::Updating)),
            role_arn: cluster.role_arn.unwrap_or_default(),
            tags: cluster.tags.unwrap_or_default().into_iter().collect(),
        }))
    }

    /// The principals of all of a cluster's access entries; a cluster that does not exist has none.
    ///
    /// # Errors
    /// Any other [`Fault`].
    pub async fn list_access_entries(&self, cluster: &str) -> Result<Entries<Vec<String>>, Fault> {
        let mut principals = Vec::new();
        let mut token = None;
        loop {
            let request =
                self.client.list_access_entries().cluster_name(cluster).max_results(PAGE).set_next_token(token);
            let page = match self.read("ListAccessEntries", || request.clone().send()).await {
                Ok(page) => page,
                Err(fault) => return unsupported(fault, Vec::new()),
            };
            principals.extend(page.access_entries.unwrap_or_default());
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(Entries::Known(principals));
            }
        }
    }

    /// The entry of a principal; `None` where the cluster or the entry does not exist.
    ///
    /// # Errors
    /// Any other [`Fault`].
    pub async fn describe_access_entry(
        &self,
        cluster: &str,
        principal_arn: &str,
    ) -> Result<Entries<Option<AccessEntry>>, Fault> {
        const OPERATION: &str = "DescribeAccessEntry";
        let request = self.client.describe_access_entry().cluster_name(cluster).principal_arn(principal_arn);
        match self.read(OPERATION, || request.clone().send()).await {
            Ok(reply) => {
                let entry = reply.access_entry.ok_or_else(|| Fault::malformed(OPERATION, "accessEntry"))?;
                entry_of(OPERATION, entry).map(|entry| Entries::Known(Some(entry)))
            }
            Err(fault) => unsupported(fault, None),
        }
    }

    /// The policies associated with an entry. Not asked for types that have none.
    ///
    /// # Errors
    /// Any [`Fault`]; "not found" among them, since the entry was just seen.
    pub async fn list_associated_access_policies(
        &self,
        cluster: &str,
        principal_arn: &str,
        kind: &EntryType,
    ) -> Result<Vec<AccessPolicy>, Fault> {
        const OPERATION: &str = "ListAssociatedAccessPolicies";
        let mut policies = Vec::new();
        let mut token = None;
        if !kind.has_policies() {
            return Ok(policies);
        }
        loop {
            let request = self
                .client
                .list_associated_access_policies()
                .cluster_name(cluster)
                .principal_arn(principal_arn)
                .max_results(PAGE)
                .set_next_token(token);
            let page = match self.read(OPERATION, || request.clone().send()).await {
                Ok(page) => page,
                // EC2 entries: the user guide associates a policy with them, other texts deny that they have any.
                Err(fault) if *kind != EntryType::Standard && fault.is_standard_only() => return Ok(policies),
                Err(fault) => return Err(fault),
            };
            for policy in page.associated_access_policies.unwrap_or_default() {
                policies.push(policy_of(OPERATION, policy)?);
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                policies.sort();
                return Ok(policies);
            }
        }
    }

    /// Creates an entry as the snapshot has it, with less than was described: what EKS generates, and what only AWS
    /// may set, is left out. Sent again only if it was throttled.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn create_access_entry(
        &self,
        cluster: &str,
        principal: &RoleArn,
        snapshot: &Snapshot,
    ) -> Result<AccessEntry, Fault> {
        const OPERATION: &str = "CreateAccessEntry";
        let groups = snapshot.creation_groups();
        let tags = snapshot.creation_tags();
        let request = self
            .client
            .create_access_entry()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .r#type(snapshot.kind.as_str())
            .set_username(snapshot.creation_username(principal).map(str::to_owned))
            .set_kubernetes_groups((!groups.is_empty()).then(|| groups.to_vec()))
            .set_tags((!tags.is_empty()).then(|| tags.into_iter().collect()));
        let send = || request.clone().customize().config_override(in_time()).send();
        let reply = self.change(OPERATION, send).await?;
        let entry = reply.access_entry.ok_or_else(|| Fault::malformed(OPERATION, "accessEntry"))?;
        entry_of(OPERATION, entry)
    }

    /// Deletes an entry, and with it its associations. There is no precondition to give. Sent once, also if it is
    /// throttled: look at the entry again, then send it again; no pause is needed in between.
    ///
    /// # Errors
    /// Any [`Fault`]; "not found" if somebody else was first.
    pub async fn delete_access_entry(&self, cluster: &str, principal_arn: &str) -> Result<(), Fault> {
        let request = self
            .client
            .delete_access_entry()
            .cluster_name(cluster)
            .principal_arn(principal_arn)
            .customize()
            .config_override(in_time());
        self.change_once("DeleteAccessEntry", || request.send()).await.map(drop)
    }

    /// Associates a policy, or sets the scope of an associated one: an upsert (EKS User Guide, "Associate access
    /// policies"). Tells whether the association is new: one that was there keeps its date. Sent again only if it was
    /// throttled, for no longer than it may wait for its turn: the scope must be the one that was just read.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn associate_access_policy(
        &self,
        cluster: &str,
        principal_arn: &str,
        policy: &AccessPolicy,
    ) -> Result<bool, Fault> {
        let namespaces = &policy.access_scope.namespaces;
        let scope = types::AccessScope::builder()
            .r#type(types::AccessScopeType::from(policy.access_scope.kind.as_str()))
            .set_namespaces((!namespaces.is_empty()).then(|| namespaces.clone()))
            .build();
        let request = self
            .client
            .associate_access_policy()
            .cluster_name(cluster)
            .principal_arn(principal_arn)
            .policy_arn(&policy.policy_arn)
            .access_scope(scope);
        let send = || request.clone().customize().config_override(in_time()).send();
        let reply = self.change("AssociateAccessPolicy", send).await?;
        let policy = reply.associated_access_policy;
        Ok(policy.is_some_and(|policy| policy.associated_at.is_some() && policy.associated_at == policy.modified_at))
    }

    /// Takes an association back.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn disassociate_access_policy(
        &self,
        cluster: &str,
        principal_arn: &str,
        policy_arn: &str,
    ) -> Result<(), Fault> {
        let request = self
            .client
            .disassociate_access_policy()
            .cluster_name(cluster)
            .principal_arn(principal_arn)
            .policy_arn(policy_arn);
        self.read("DisassociateAccessPolicy", || request.clone().send()).await.map(drop)
    }
}

fn in_time() -> aws_sdk_eks::config::Builder {
    aws_sdk_eks::Config::builder().timeout_config(TimeoutConfig::builder().operation_timeout(CHANGE_TIMEOUT).build())
}

fn absent<T>(fault: Fault) -> Result<Option<T>, Fault> {
    if fault.kind == FaultKind::NotFound { Ok(None) } else { Err(fault) }
}

fn unsupported<T>(fault: Fault, none: T) -> Result<Entries<T>, Fault> {
    match fault.kind {
        FaultKind::NotFound => Ok(Entries::Known(none)),
        FaultKind::InvalidRequest => Ok(Entries::Unsupported),
        _ => Err(fault),
    }
}

fn time_of(operation: &'static str, what: &str, time: Option<DateTime>) -> Result<OffsetDateTime, Fault> {
    time.and_then(|time| OffsetDateTime::from_unix_timestamp_nanos(time.as_nanos()).ok())
        .ok_or_else(|| Fault::malformed(operation, what))
}

fn entry_of(operation: &'static str, entry: types::AccessEntry) -> Result<AccessEntry, Fault> {
    let modified_at = entry.modified_at.and_then(|t| OffsetDateTime::from_unix_timestamp_nanos(t.as_nanos()).ok());
    Ok(AccessEntry {
        principal_arn: entry.principal_arn.ok_or_else(|| Fault::malformed(operation, "principalArn"))?,
        arn: entry.access_entry_arn.ok_or_else(|| Fault::malformed(operation, "accessEntryArn"))?,
        created_at: time_of(operation, "createdAt", entry.created_at)?,
        modified_at,
        kind: EntryType::from(entry.r#type.ok_or_else(|| Fault::malformed(operation, "type"))?),
        username: entry.username,
        groups: entry.kubernetes_groups.unwrap_or_default(),
        tags: entry.tags.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
    })
}

fn policy_of(operation: &'static str, policy: types::AssociatedAccessPolicy) -> Result<AccessPolicy, Fault> {
    let scope = policy.access_scope.ok_or_else(|| Fault::malformed(operation, "accessScope"))?;
    Ok(AccessPolicy {
        policy_arn: policy.policy_arn.ok_or_else(|| Fault::malformed(operation, "policyArn"))?,
        access_scope: AccessScope {
            kind: scope.r#type.ok_or_else(|| Fault::malformed(operation, "accessScope.type"))?.as_str().to_owned(),
            namespaces: scope.namespaces.unwrap_or_default(),
        },
    })
}
