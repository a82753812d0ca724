//! The EKS calls, their paging and the conversion to the model. One Region's client each, made when first needed.
//!
//! Every attempt waits for its [turn](Turns). Reads are repeated here, not by the SDK, whose budget of retries is too
//! small for a Region that throttles a whole survey. Changes of who may enter are not repeated after an unclear answer:
//! the SDK would repeat a deletion after a lost reply, and delete what somebody else created in between; `repair` decides
//! what to repeat. A change that was throttled was not carried out: it is sent again at once, at the Region's pace. A
//! deletion is the exception: the caller must look at the entry again before it sends another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eks::config::http::HttpResponse;
use aws_sdk_eks::config::retry::RetryConfig;
use aws_sdk_eks::config::timeout::TimeoutConfig;
use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::fault::{Fault, FaultKind};
use super::limiter::Answer;
use super::turns::{Place, Priority, Turn, Turns};
use super::{ATTEMPTS, LONGEST_WAIT};
use crate::model::{AccessEntry, AccessPolicy, AccessScope, Cluster, ClusterRef, EntryType, Region, RoleArn, Snapshot};

/// The largest page that EKS gives (EKS API Reference: `maxResults` 1 to 100).
const PAGE: i32 = 100;

/// How long a change may wait for its turns, those after a refusal included. It has not been carried out then. With
/// [`CHANGE_TIMEOUT`] it is less than what a lease outlasts the work by.
const TURN_TIMEOUT: Duration = Duration::from_secs(4);

/// How long one attempt of a change may take before its outcome counts as unknown.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a read is repeated, from when it was first sent.
const PATIENCE: Duration = Duration::from_secs(50);

/// The first wait after an error that may pass; each more is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

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
    pub(super) fn new(region: Region, config: &aws_config::SdkConfig) -> Self {
        let config = aws_sdk_eks::config::Builder::from(config)
            .region(aws_sdk_eks::config::Region::new(region.0.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        let client = aws_sdk_eks::Client::from_conf(config);
        Self { region, client, turns: Arc::new(Turns::new()), most_at_once: 1, priority: Priority::Repair }
    }

    pub(super) fn with_most_at_once(&self, most_at_once: usize) -> Self {
        Self { most_at_once, ..self.clone() }
    }

    /// The same, for requests of this priority; without it they are those of a repair.
    #[must_use]
    pub fn at(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    async fn turn(&self, place: Place) -> Turn<'_> {
        self.turns.turn(place, self.most_at_once).await
    }

    /// What an answer means, for the limiter too. A request without an answer says nothing about the Region's limits.
    fn heard<T, E>(
        operation: &'static str,
        turn: Turn<'_>,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata,
    {
        let is_answered = matches!(answer, Ok(_) | Err(SdkError::ServiceError(_)));
        let answer = answer.map_err(|error| Fault::of(operation, &error));
        match &answer {
            Err(fault) if fault.kind == FaultKind::Throttled => turn.answered(Answer::Refused),
            _ if is_answered => turn.answered(Answer::Served),
            _ => drop(turn),
        }
        answer
    }

    /// Sends a read, and again while it fails in a way that may pass.
    async fn read<T, E, F>(&self, operation: &'static str, send: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        let place = self.turns.line_up(self.priority);
        let mut turn = self.turn(place).await;
        let gives_up = Instant::now() + PATIENCE;
        let mut failures = 0;
        loop {
            let fault = match Self::heard(operation, turn, Box::pin(send()).await) {
                Err(fault) if fault.may_pass() => fault,
                answer => return answer,
            };
            if fault.kind != FaultKind::Throttled {
                failures += 1;
                let wait = (FIRST_WAIT * (1 << failures)).min(LONGEST_WAIT).mul_f64(fastrand::f64());
                tokio::time::sleep(wait).await;
            }
            if failures == ATTEMPTS || Instant::now() >= gives_up {
                return Err(fault);
            }
            turn = self.turn(place).await;
        }
    }

    /// Sends a change, and again while it is throttled. Every other answer, and none, is the caller's to judge. One that
    /// waits too long for its turns is given up, so that nothing is sent after its lease has ended.
    async fn change<T, E, F>(&self, operation: &'static str, send: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        let place = self.turns.line_up(self.priority);
        let gives_up = Instant::now() + TURN_TIMEOUT;
        let mut refusal = None;
        while Instant::now() < gives_up
            && let Ok(turn) = tokio::time::timeout_at(gives_up, self.turn(place)).await
        {
            match Self::heard(operation, turn, Box::pin(send()).await) {
                Err(fault) if fault.kind == FaultKind::Throttled => refusal = Some(fault),
                answer => return answer,
            }
        }
        Err(refusal.unwrap_or_else(|| Fault::not_sent(operation)))
    }

    /// Sends a change once, throttled or not.
    async fn change_once<T, E, F>(&self, operation: &'static str, send: impl FnOnce() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.turn(self.turns.line_up(self.priority))).await;
        let turn = turn.map_err(|_| Fault::not_sent(operation))?;
        Self::heard(operation, turn, Box::pin(send()).await)
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
