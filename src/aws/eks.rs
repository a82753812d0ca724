//! The EKS calls, their paging and the conversion to the model. One Region's client each, made when first needed.
//! `sending` tells when they are sent, and which of them again.

mod changes;
mod sending;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types;
use time::OffsetDateTime;

use super::turns::{Priority, Turns};
use crate::fault::{Fault, FaultKind};
use crate::model::{AccessEntry, AccessPolicy, AccessScope, Cluster, ClusterAccess, ClusterRef, EntryType, Region};
pub use changes::EksChanges;

/// The largest page that EKS gives (EKS API Reference: `maxResults` 1 to 100).
const PAGE: i32 = 100;

/// EKS in one Region, for one user of it: its reads.
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
    /// The Region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

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
        Ok(self.describe_cluster_and_access(name).await?.map(|(cluster, _)| cluster))
    }

    /// The same, with its status and how it lets principals in.
    ///
    /// # Errors
    /// Any [`Fault`] but "not found".
    pub async fn describe_cluster_and_access(&self, name: &str) -> Result<Option<(Cluster, ClusterAccess)>, Fault> {
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
        let access = ClusterAccess {
            status: cluster.status.as_ref().map(|status| status.as_str().to_owned()).unwrap_or_default(),
            mode: cluster.access_config.and_then(|config| config.authentication_mode).map(|mode| mode.as_str().into()),
        };
        let cluster = Cluster {
            at: ClusterRef { region: self.region.clone(), name: name.to_owned() },
            created_at: time_of(OPERATION, "createdAt", cluster.created_at)?,
            is_workable: matches!(cluster.status, Some(types::ClusterStatus::Active | types::ClusterStatus::Updating)),
            role_arn: cluster.role_arn.unwrap_or_default(),
            node_role_arn: cluster.compute_config.and_then(|compute| compute.node_role_arn),
            tags: cluster.tags.unwrap_or_default().into_iter().collect(),
        };
        Ok(Some((cluster, access)))
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
                Err(fault) => return self.without_entries(cluster, fault, Vec::new()).await,
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
            Err(fault) => self.without_entries(cluster, fault, None).await,
        }
    }

    /// What a failed read of entries says about the cluster.
    ///
    /// A cluster that is being created or deleted, or is connected, refuses with a text that nobody documents. So its
    /// status is read rather than the text: one call more, only after a clear refusal.
    async fn without_entries<T>(&self, cluster: &str, fault: Fault, none: T) -> Result<Entries<T>, Fault> {
        if fault.kind == FaultKind::NotFound {
            return Ok(Entries::Known(none));
        }
        if fault.is_about_authentication_mode() {
            return Ok(Entries::Unsupported);
        }
        if !fault.is_clear_refusal() {
            return Err(fault);
        }
        match Box::pin(self.describe_cluster(cluster)).await {
            Ok(Some(cluster)) if cluster.is_workable => Err(fault),
            Ok(_) => Ok(Entries::Unsupported),
            Err(_) => Err(fault),
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
}

fn absent<T>(fault: Fault) -> Result<Option<T>, Fault> {
    if fault.kind == FaultKind::NotFound { Ok(None) } else { Err(fault) }
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
        groups: entry.kubernetes_groups.unwrap_or_default().into(),
        tags: entry.tags.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
    })
}

fn policy_of(operation: &'static str, policy: types::AssociatedAccessPolicy) -> Result<AccessPolicy, Fault> {
    let scope = policy.access_scope.ok_or_else(|| Fault::malformed(operation, "accessScope"))?;
    Ok(AccessPolicy {
        policy_arn: policy.policy_arn.ok_or_else(|| Fault::malformed(operation, "policyArn"))?,
        access_scope: AccessScope {
            kind: scope.r#type.ok_or_else(|| Fault::malformed(operation, "accessScope.type"))?.as_str().to_owned(),
            namespaces: scope.namespaces.unwrap_or_default().into(),
        },
    })
}
