//! Where is an access entry for these roles, and what is known about it? Looks at all Regions and clusters side by
//! side; decides nothing about what it finds.
//!
//! What was seen of an entry is handed over at once, whatever the rest of the look is waiting for: a Region that does not
//! answer delays nothing elsewhere.
//!
//! A part that could not be read becomes a [`BlindSpot`], never "absent". A cluster without access entries (its
//! authentication mode is `CONFIG_MAP`, or it is being created or deleted) is neither: there is nothing to see.
//! Unfinished repairs are sightings too, with or without an entry: the ledger may be all that is left of one.

mod all;
mod clusters;
mod known;
mod named;
mod roles;

use std::collections::BTreeSet;

use futures::channel::mpsc::UnboundedSender;
use time::OffsetDateTime;

use crate::app::Run;
use crate::aws::eks::{Eks, Entries};
use crate::error::Error;
use crate::fault::{Fault, FaultKind};
use crate::model::{AccessEntry, Cluster, ClusterRef, Region, RoleArn, RoleId};

use crate::blind_spot::BlindSpot;
use crate::sighting::{Examined, Sighting};
pub use all::{SeenCluster, reread_role, survey_all};
pub use known::RecordSeen;
pub use named::{named_but_not_found, survey};

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only in this Region.
    pub region: Option<Region>,
    /// Only in clusters of this name.
    pub cluster: Option<String>,
}

impl Scope {
    /// The Regions to look at: the named one, or those of the settings.
    async fn regions(&self, run: &Run<'_>) -> Result<Vec<Region>, Error> {
        match &self.region {
            Some(region) => Ok(vec![region.clone()]),
            None => run.app.regions().await,
        }
    }

    /// Whether the settings keep the cluster from being read: `CLUSTER_PATTERNS` excludes it and nobody named it.
    fn excludes(&self, run: &Run<'_>, cluster: &ClusterRef) -> bool {
        let arn = || cluster.arn(&run.invocation.home);
        self.cluster.is_none() && !run.config().cluster_patterns.admits(&cluster.name, &arn())
    }

    /// Whether the cluster is in it.
    #[must_use]
    pub fn admits(&self, cluster: &ClusterRef) -> bool {
        self.region.as_ref().is_none_or(|region| *region == cluster.region)
            && self.cluster.as_ref().is_none_or(|name| *name == cluster.name)
    }
}

/// A role to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name; compared without regard to case, as IAM does.
    pub name: String,
    /// Its ARN, where it is known: `DeleteRole` events tell only the name.
    pub arn: Option<RoleArn>,
    /// What an event of its creation told.
    pub created: Option<Creation>,
}

/// What an event told of a role's creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The ID that it was given, where the event was not cut off.
    pub role_id: Option<RoleId>,
    /// When.
    pub at: Option<OffsetDateTime>,
}

impl Subject {
    fn is_for(&self, principal: &RoleArn) -> bool {
        match &self.arn {
            Some(arn) => arn == principal,
            None => self.name.eq_ignore_ascii_case(principal.name()),
        }
    }
}

/// Where what was found goes: to whoever judges it and works on it, beside the look.
pub type Sightings = UnboundedSender<Sighting>;

/// Hands a sighting over. Nobody takes it if the invocation is ending.
fn hand_over(sightings: &Sightings, sighting: Sighting) {
    let _ = sightings.unbounded_send(sighting);
}

/// What a look at the clusters gave, besides the sightings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// How many Regions were asked.
    pub regions: usize,
    /// How many clusters were found, without the excluded ones.
    pub clusters: usize,
    /// How many clusters `CLUSTER_PATTERNS` kept from being read.
    pub clusters_excluded: usize,
    /// How many sightings were handed over.
    pub found: usize,
    /// How many entries a sweep found to be bound to their recorded roles, without another look.
    pub known_fresh: usize,
    /// The clusters in which such entries are.
    pub known_fresh_in: BTreeSet<ClusterRef>,
    /// The parts of the account that could not be read.
    pub blind_spots: Vec<BlindSpot>,
    /// How many clusters were seen into.
    pub clusters_seen: usize,
    /// Why rows of the ledger could not be read, where that is so: an unfinished repair may be among them.
    pub ledger_unread: Option<Fault>,
    /// Why the account's roles could not be listed, where that is so: then nothing can be judged.
    pub roles_unlisted: Option<String>,
    /// How many entries the deadline cut off.
    pub not_reached: usize,
    /// How many roles IAM shows created within the day before the last quarter of an hour (sweeps only).
    pub roles_created_lately: usize,
}

impl Survey {
    /// Adds what was seen elsewhere.
    fn take_in(&mut self, other: Self) {
        self.clusters += other.clusters;
        self.clusters_excluded += other.clusters_excluded;
        self.found += other.found;
        self.known_fresh += other.known_fresh;
        self.known_fresh_in.extend(other.known_fresh_in);
        self.blind_spots.extend(other.blind_spots);
        self.clusters_seen += other.clusters_seen;
        self.not_reached += other.not_reached;
    }

    fn is_blind_to(&self, cluster: &ClusterRef) -> bool {
        self.blind_spots
            .iter()
            .any(|spot| spot.region == cluster.region && spot.cluster.as_ref().is_none_or(|name| *name == cluster.name))
    }
}

/// Looks at one principal in one cluster directly: cluster, entry and policies as they are now.
///
/// # Errors
/// Any [`Fault`]: nothing is taken for absent that was not answered so.
pub async fn examine(
    run: &Run<'_>,
    at: &ClusterRef,
    principal_arn: &str,
) -> Result<(Option<Cluster>, Option<Examined>), Fault> {
    let eks = run.eks(&at.region);
    let (cluster, entry) =
        futures::future::join(eks.describe_cluster(&at.name), eks.describe_access_entry(&at.name, principal_arn)).await;
    let Some(cluster) = cluster? else { return Ok((None, None)) };
    let Entries::Known(Some(entry)) = entry? else { return Ok((Some(cluster), None)) };
    Ok((Some(cluster), with_policies(&eks, &at.name, entry).await?))
}

/// An entry of a cluster that is known already, with its policies; `None` where there is none.
async fn examine_entry(eks: &Eks, cluster: &str, principal_arn: &str) -> Result<Option<Examined>, Fault> {
    match eks.describe_access_entry(cluster, principal_arn).await? {
        Entries::Known(Some(entry)) => with_policies(eks, cluster, entry).await,
        _ => Ok(None),
    }
}

async fn with_policies(eks: &Eks, cluster: &str, entry: AccessEntry) -> Result<Option<Examined>, Fault> {
    match eks.list_associated_access_policies(cluster, &entry.principal_arn, &entry.kind).await {
        Ok(policies) => Ok(Some(Examined { entry, policies })),
        // Deleted between the two calls.
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}
