//! What of a cluster uses which role: its managed node groups, Fargate profiles and capabilities, listed and described.
//!
//! Reads only, and never more than [`MOST_CALLS`]. One failed read ends the reading of its kind: whoever may not describe one
//! resource may not describe the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use time::OffsetDateTime;

use super::{Eks, PAGE};
use crate::fault::{Fault, FaultKind};
use crate::impact::{MOST_CALLS, Unread, User, UserKind, Users};
use crate::lock::lock;

/// Resources of a cluster described side by side.
const AT_ONCE: usize = 8;

/// The reading of one cluster.
struct Reader<'a> {
    eks: &'a Eks,
    cluster: &'a str,
    seen: &'a Mutex<Users>,
    calls: AtomicUsize,
}

impl Eks {
    /// Reads what of a cluster uses which role, into `seen`: whoever stops waiting finds there what was read until then. The
    /// kinds of a group are read side by side, and one group after another, since time and calls may not suffice for all.
    pub async fn read_users(&self, cluster: &str, groups: &[Vec<UserKind>], seen: &Mutex<Users>) {
        let reader = Reader { eks: self, cluster, seen, calls: AtomicUsize::new(0) };
        for kinds in groups {
            join_all(kinds.iter().map(|kind| reader.read(*kind))).await;
        }
    }

    /// The same, for whoever waits until all is read.
    pub async fn users(&self, cluster: &str, groups: &[Vec<UserKind>]) -> Users {
        let users = Mutex::new(Users::default());
        self.read_users(cluster, groups, &users).await;
        users.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page of the names of a cluster's resources of a kind, and where the next begins.
    async fn list_users(
        &self,
        cluster: &str,
        kind: UserKind,
        token: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Fault> {
        match kind {
            UserKind::Nodegroup => {
                let request =
                    self.client.list_nodegroups().cluster_name(cluster).max_results(PAGE).set_next_token(token);
                let page = self.read("ListNodegroups", || request.clone().send()).await?;
                Ok((page.nodegroups.unwrap_or_default(), page.next_token))
            }
            UserKind::FargateProfile => {
                let request =
                    self.client.list_fargate_profiles().cluster_name(cluster).max_results(PAGE).set_next_token(token);
                let page = self.read("ListFargateProfiles", || request.clone().send()).await?;
                Ok((page.fargate_profile_names.unwrap_or_default(), page.next_token))
            }
            UserKind::Capability => {
                let request =
                    self.client.list_capabilities().cluster_name(cluster).max_results(PAGE).set_next_token(token);
                let page = self.read("ListCapabilities", || request.clone().send()).await?;
                let names = page.capabilities.unwrap_or_default().into_iter().filter_map(|it| it.capability_name);
                Ok((names.collect(), page.next_token))
            }
        }
    }

    /// One of a cluster's resources; `None` if EKS shows no role of it.
    async fn describe_user(&self, cluster: &str, kind: UserKind, name: &str) -> Result<Option<User>, Fault> {
        let user = |role_arn: Option<String>| {
            let name = name.to_owned();
            role_arn.map(|role_arn| User {
                kind,
                name,
                role_arn,
                status: None,
                health_issues: Vec::new(),
                created_at: None,
            })
        };
        match kind {
            UserKind::Nodegroup => {
                const OPERATION: &str = "DescribeNodegroup";
                let request = self.client.describe_nodegroup().cluster_name(cluster).nodegroup_name(name);
                let reply = self.read(OPERATION, || request.clone().send()).await?;
                let group = reply.nodegroup.ok_or_else(|| Fault::malformed(OPERATION, "nodegroup"))?;
                let issues = group.health.and_then(|health| health.issues).unwrap_or_default();
                Ok(user(group.node_role).map(|user| User {
                    status: group.status.map(|status| status.as_str().to_owned()),
                    health_issues: issues.into_iter().filter_map(|it| Some(it.code?.as_str().to_owned())).collect(),
                    created_at: group
                        .created_at
                        .and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok()),
                    ..user
                }))
            }
            UserKind::FargateProfile => {
                const OPERATION: &str = "DescribeFargateProfile";
                let request = self.client.describe_fargate_profile().cluster_name(cluster).fargate_profile_name(name);
                let reply = self.read(OPERATION, || request.clone().send()).await?;
                let profile = reply.fargate_profile.ok_or_else(|| Fault::malformed(OPERATION, "fargateProfile"))?;
                let issues = profile.health.and_then(|health| health.issues).unwrap_or_default();
                Ok(user(profile.pod_execution_role_arn).map(|user| User {
                    status: profile.status.map(|status| status.as_str().to_owned()),
                    health_issues: issues.into_iter().filter_map(|it| Some(it.code?.as_str().to_owned())).collect(),
                    ..user
                }))
            }
            UserKind::Capability => {
                const OPERATION: &str = "DescribeCapability";
                let request = self.client.describe_capability().cluster_name(cluster).capability_name(name);
                let reply = self.read(OPERATION, || request.clone().send()).await?;
                let capability = reply.capability.ok_or_else(|| Fault::malformed(OPERATION, "capability"))?;
                let issues = capability.health.and_then(|health| health.issues).unwrap_or_default();
                Ok(user(capability.role_arn).map(|user| User {
                    status: capability.status.map(|status| status.as_str().to_owned()),
                    health_issues: issues.into_iter().filter_map(|it| Some(it.code?.as_str().to_owned())).collect(),
                    ..user
                }))
            }
        }
    }
}

impl Reader<'_> {
    /// Lists the resources of a kind and describes each.
    async fn read(&self, kind: UserKind) {
        let names = self.list(kind).await;
        let describe = |name: String| async move { self.describe(kind, &name).await };
        stream::iter(names).map(describe).buffer_unordered(AT_ONCE).collect::<()>().await;
        self.with(|users| users.end(kind));
    }

    /// The names of all resources of a kind.
    async fn list(&self, kind: UserKind) -> Vec<String> {
        let (mut names, mut token) = (Vec::new(), None);
        loop {
            let page = self.ask(async || self.eks.list_users(self.cluster, kind, token.clone()).await).await;
            let next = match page {
                Ok((more, next)) => {
                    names.extend(more);
                    next
                }
                // The cluster was deleted meanwhile; or capabilities are not known where the cluster is.
                Err(Unread::Fault(fault)) if is_none(kind, &fault) => return names,
                Err(why) => {
                    self.with(|users| users.give_up(kind, why));
                    return names;
                }
            };
            token = next.filter(|token| !token.is_empty());
            if token.is_none() {
                return names;
            }
        }
    }

    async fn describe(&self, kind: UserKind, name: &str) {
        if self.with(|users| users.has_given_up(kind)) {
            return;
        }
        match self.ask(async || self.eks.describe_user(self.cluster, kind, name).await).await {
            Ok(user) => self.with(|users| user.into_iter().for_each(|user| users.add(user))),
            // Deleted meanwhile.
            Err(Unread::Fault(fault)) if fault.kind == FaultKind::NotFound => {}
            Err(why) => self.with(|users| users.give_up(kind, why)),
        }
    }

    /// Sends a read, and again if it gave its place up to a more urgent request.
    async fn ask<T>(&self, read: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Unread> {
        loop {
            if self.calls.fetch_add(1, Ordering::Relaxed) >= MOST_CALLS {
                return Err(Unread::TooMany);
            }
            match read().await {
                Err(fault) if fault.is_not_sent() => {}
                answer => return answer.map_err(Unread::Fault),
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Users) -> T) -> T {
        act(&mut lock(self.seen))
    }
}

/// Whether a refused list means that there is nothing to list.
fn is_none(kind: UserKind, fault: &Fault) -> bool {
    fault.kind == FaultKind::NotFound || (kind == UserKind::Capability && fault.is_clear_refusal())
}
