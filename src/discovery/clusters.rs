//! The pass over Regions and clusters for named roles: one `ListClusters` per Region, one EKS call per cluster, and
//! the rest only for clusters that hold a match.

use futures::future::join_all;

use super::{Scope, Subject, Survey};
use crate::app::Run;
use crate::aws::Priority;
use crate::aws::eks::{Eks, Entries};
use crate::blind_spot::BlindSpot;
use crate::fault::{Fault, FaultKind};
use crate::model::{AccessEntry, Cluster, ClusterRef, Region, RoleArn};
use crate::sighting::Examined;

/// A matching entry.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) cluster: Cluster,
    pub(super) examined: Examined,
}

/// Looks through the clusters of a Region until `ends`. Each entry is handed to `keep` as soon as its cluster was read,
/// whatever the others do.
pub(super) async fn look_in_region(
    run: &Run<'_>,
    region: &Region,
    scope: &Scope,
    subjects: &[Subject],
    ends: tokio::time::Instant,
    keep: &impl AsyncFn(Found),
) -> Survey {
    let clusters = match clusters_of(run, region, scope, ends).await {
        Ok(clusters) => clusters,
        Err(fault) => {
            let blind_spots = vec![BlindSpot::of(region, scope.cluster.as_deref(), &fault)];
            return Survey { blind_spots, ..Survey::default() };
        }
    };
    let looks = clusters.to_read.iter().map(|cluster| async move {
        let look = look_in_cluster(run, cluster, subjects);
        let seen = tokio::time::timeout_at(ends, look).await.unwrap_or_else(|_| Err(out_of_time()));
        match seen {
            Ok(found) => {
                if !found.is_empty() {
                    Box::pin(join_all(found.into_iter().map(|found| keep(found)))).await;
                }
                None
            }
            Err(fault) => Some(BlindSpot::of(region, Some(&cluster.name), &fault)),
        }
    });
    let blind_spots = join_all(looks).await.into_iter().flatten().collect();
    let (clusters, clusters_excluded) = (clusters.to_read.len(), clusters.excluded);
    Survey { clusters, clusters_excluded, blind_spots, ..Survey::default() }
}

/// The clusters of a Region.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    pub(super) to_read: Vec<ClusterRef>,
    /// How many more `CLUSTER_PATTERNS` keeps from being read.
    pub(super) excluded: usize,
}

/// The clusters of a Region that are asked for. A named one is looked up: whether it exists is not told by the calls
/// about its entries, whose "not found" may mean the entry.
pub(super) async fn clusters_of(
    run: &Run<'_>,
    region: &Region,
    scope: &Scope,
    ends: tokio::time::Instant,
) -> Result<Clusters, Fault> {
    let eks = run.eks(region).at(Priority::Survey);
    let list = async {
        match &scope.cluster {
            Some(name) => Ok(eks.describe_cluster(name).await?.into_iter().map(|cluster| cluster.at).collect()),
            None => eks.list_clusters().await,
        }
    };
    let all = tokio::time::timeout_at(ends, list).await.unwrap_or_else(|_| Err(out_of_time()))?;
    let (excluded, to_read): (Vec<_>, Vec<_>) = all.into_iter().partition(|cluster| scope.excludes(run, cluster));
    Ok(Clusters { to_read, excluded: excluded.len() })
}

pub(super) fn out_of_time() -> Fault {
    Fault::timed_out("survey", "no answer before the survey's deadline")
}

/// The matching entries of a cluster, with all that is needed to judge them. Of many clusters few have any, while all
/// others wait for their turn at once: so what comes after the first answer is boxed, and a wait takes little memory.
async fn look_in_cluster(run: &Run<'_>, at: &ClusterRef, subjects: &[Subject]) -> Result<Vec<Found>, Fault> {
    let eks = run.eks(&at.region).at(Priority::Survey);
    let entries = if let [Subject { arn: Some(arn), .. }] = subjects {
        match eks.describe_access_entry(&at.name, arn.as_str()).await? {
            Entries::Known(entry) => entry.into_iter().collect(),
            Entries::Unsupported => Vec::new(),
        }
    } else {
        let Entries::Known(principals) = eks.list_access_entries(&at.name).await? else { return Ok(Vec::new()) };
        let is_one_of_them = |principal: &String| {
            RoleArn::parse(principal).is_some_and(|arn| subjects.iter().any(|subject| subject.is_for(&arn)))
        };
        let matching: Vec<String> = principals.into_iter().filter(is_one_of_them).collect();
        if matching.is_empty() {
            return Ok(Vec::new());
        }
        Box::pin(described(&eks, at, &matching)).await?
    };
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    Box::pin(examined(run, &eks, at, entries)).await
}

/// The entries of these principals, those that still exist.
async fn described(eks: &Eks, at: &ClusterRef, principals: &[String]) -> Result<Vec<AccessEntry>, Fault> {
    let described = principals.iter().map(|principal| eks.describe_access_entry(&at.name, principal));
    let mut entries = Vec::new();
    for entry in join_all(described).await {
        if let Entries::Known(Some(entry)) = entry? {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The entries with their policies and their cluster.
async fn examined(run: &Run<'_>, eks: &Eks, at: &ClusterRef, entries: Vec<AccessEntry>) -> Result<Vec<Found>, Fault> {
    let policies = join_all(entries.into_iter().map(|entry| async {
        let listed = eks.list_associated_access_policies(&at.name, &entry.principal_arn, &entry.kind).await;
        (entry, listed)
    }));
    let (cluster, entries, ()) =
        futures::future::join3(eks.describe_cluster(&at.name), policies, run.read_breaker()).await;
    // What access-entry calls do while a cluster is created or deleted is not documented: nothing is judged then.
    let Some(cluster) = cluster?.filter(|cluster| cluster.is_workable) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (entry, policies) in entries {
        match policies {
            Ok(policies) => {
                found.push(Found { cluster: cluster.clone(), examined: Examined { entry, policies } });
            }
            // Deleted between the two calls.
            Err(fault) if fault.kind == FaultKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}
