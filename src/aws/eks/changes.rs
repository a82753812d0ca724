//! The calls that change who may enter. Each wants the leave that `guardrail` gave: for this entry and no other.
//!
//! After an unclear answer nothing is sent again here: `repair` decides that, after it looked. A creation or an association
//! that was throttled was not carried out, so it is sent again; before a deletion is sent again the entry must be read.

use aws_sdk_eks::config::timeout::TimeoutConfig;
use aws_sdk_eks::types;

use super::{Eks, entry_of};
use crate::aws::Priority;
use crate::fault::Fault;
use crate::guardrail::{Association, Permit, RemovalPermit};
use crate::limits::CHANGE_TIMEOUT;
use crate::model::{AccessEntry, AccessPolicy, ClusterRef, RoleArn, Snapshot};

/// EKS in one Region, for one user of it: what changes who may enter.
#[derive(Debug, Clone)]
pub struct EksChanges(Eks);

impl EksChanges {
    pub(in crate::aws) fn of(eks: Eks) -> Self {
        Self(eks)
    }

    /// The same, for requests of this priority; without it they are those of a repair.
    #[must_use]
    pub fn at(self, priority: Priority) -> Self {
        Self(self.0.at(priority))
    }

    /// Creates an entry as the snapshot has it, with less than was described: what EKS generates, and what only AWS
    /// may set, is left out. Sent once.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn create_access_entry(&self, permit: &Permit, snapshot: &Snapshot) -> Result<AccessEntry, Fault> {
        const OPERATION: &str = "CreateAccessEntry";
        let principal = permit.principal();
        let groups = snapshot.creation_groups();
        let tags = snapshot.creation_tags();
        let request = self
            .0
            .client
            .create_access_entry()
            .cluster_name(&permit.cluster().name)
            .principal_arn(principal.as_str())
            .r#type(snapshot.kind.as_str())
            .set_username(snapshot.creation_username(principal).map(str::to_owned))
            .set_kubernetes_groups((!groups.is_empty()).then(|| groups.to_vec()))
            .set_tags((!tags.is_empty()).then(|| tags.into_iter().collect()));
        let send = || request.clone().customize().config_override(in_time()).send();
        let reply = self.0.change(OPERATION, send).await?;
        let entry = reply.access_entry.ok_or_else(|| Fault::malformed(OPERATION, "accessEntry"))?;
        entry_of(OPERATION, entry)
    }

    /// Deletes an entry, and with it its associations. There is no precondition to give. Sent once.
    ///
    /// # Errors
    /// Any [`Fault`]; "not found" if somebody else was first.
    pub async fn delete_access_entry(&self, permit: &Permit) -> Result<(), Fault> {
        self.delete(permit.cluster(), permit.principal()).await
    }

    /// Deletes an entry whose role is gone. Sent once.
    ///
    /// # Errors
    /// Any [`Fault`]; "not found" if somebody else was first.
    pub async fn remove_access_entry(&self, permit: &RemovalPermit) -> Result<(), Fault> {
        self.delete(permit.cluster(), permit.principal()).await
    }

    async fn delete(&self, cluster: &ClusterRef, principal: &RoleArn) -> Result<(), Fault> {
        let request = self
            .0
            .client
            .delete_access_entry()
            .cluster_name(&cluster.name)
            .principal_arn(principal.as_str())
            .customize()
            .config_override(in_time());
        self.0.change_once("DeleteAccessEntry", || request.send()).await.map(drop)
    }

    /// Associates a policy, or sets the scope of an associated one: an upsert (EKS User Guide, "Associate access
    /// policies"). Sent once.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn associate_access_policy(&self, permit: &Permit, policy: &AccessPolicy) -> Result<(), Fault> {
        let namespaces = &policy.access_scope.namespaces;
        let scope = types::AccessScope::builder()
            .r#type(types::AccessScopeType::from(policy.access_scope.kind.as_str()))
            .set_namespaces((!namespaces.is_empty()).then(|| namespaces.to_vec()))
            .build();
        let request = self
            .0
            .client
            .associate_access_policy()
            .cluster_name(&permit.cluster().name)
            .principal_arn(permit.principal().as_str())
            .policy_arn(&policy.policy_arn)
            .access_scope(scope);
        let send = || request.clone().customize().config_override(in_time()).send();
        self.0.change("AssociateAccessPolicy", send).await.map(drop)
    }

    /// Takes an association back.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn disassociate_access_policy(&self, association: &Association) -> Result<(), Fault> {
        let request = self
            .0
            .client
            .disassociate_access_policy()
            .cluster_name(&association.cluster().name)
            .principal_arn(association.principal().as_str())
            .policy_arn(association.policy_arn());
        self.0.read("DisassociateAccessPolicy", || request.clone().send()).await.map(drop)
    }
}

fn in_time() -> aws_sdk_eks::config::Builder {
    aws_sdk_eks::Config::builder().timeout_config(TimeoutConfig::builder().operation_timeout(CHANGE_TIMEOUT).build())
}
