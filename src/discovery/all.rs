//! The survey of everything: every entry of every cluster in scope, for a sweep or the check of a cluster.
//!
//! Roles are listed once and the ledger is read once. Only entries whose role's present ID is not the recorded one
//! are described: a role that still has the recorded ID was not recreated, so whatever entry stands there is bound to
//! it. Clusters verified longest ago come first, so what the deadline cuts off is first next time.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::{FutureExt as _, join, join_all};
use futures::stream::{self, StreamExt as _};

use super::clusters::{clusters_of, out_of_time};
use super::known::{Known, NotKnown, Note, RecordSeen};
use super::{Scope, Sightings, Survey, examine, examine_entry, hand_over};
use crate::app::Run;
use crate::aws::Priority;
use crate::aws::eks::{Eks, Entries};
use crate::blind_spot::BlindSpot;
use crate::error::Error;
use crate::fault::Fault;
use crate::model::{Cluster, ClusterRef, Home, Principal, Region};
use crate::row::RowRead;
use crate::sighting::{Examined, Sighting};

/// Entries of one cluster looked at side by side.
const ENTRIES_AT_ONCE: usize = 8;

/// A cluster after every look at its entries, for whoever records what was seen.
#[derive(Debug)]
pub struct SeenCluster {
    /// Region and name.
    pub cluster: ClusterRef,
    /// The principals of all its entries.
    pub listed: BTreeSet<String>,
    /// The principals whose entries the ledger knows to be good, without another look.
    pub known_fresh: Vec<String>,
    /// The ledger's rows of entries that were seen good.
    pub recorded: Vec<RecordSeen>,
    /// What was looked at.
    pub sightings: Vec<Sighting>,
    /// When all looking ends.
    pub ends: tokio::time::Instant,
}

/// Looks at every entry in scope; `trust_records` spares those that the ledger knows. Each cluster is handed to `keep` as
/// soon as it was looked at, which gives back what needs attention; that goes to `sightings` at once.
///
/// # Errors
/// Where the Regions or the ledger are not to be had; everything else is a blind spot.
pub async fn survey_all(
    run: &Run<'_>,
    scope: &Scope,
    trust_records: bool,
    keep: impl AsyncFn(SeenCluster) -> Vec<Sighting>,
    sightings: &Sightings,
) -> Result<Survey, Error> {
    let regions = scope.regions(run).await?;
    let ends = tokio::time::Instant::now() + run.until(run.survey_ends());
    let sweeper = &Sweeper { run, scope, trust_records, keep: &keep, sightings, ends };
    // Roles and rows are read beside the lists of clusters, once for all Regions.
    let known = Known::read(run, scope).shared();
    let looks = regions.iter().map(|region| sweeper.region(region, known.clone()));
    let (seen, known) = join(join_all(looks), known.clone()).await;
    let known = match known {
        Ok(known) => known,
        Err(NotKnown::Ledger(why)) => return Err(Error::LedgerUnavailable(why)),
        Err(NotKnown::Roles(why)) => {
            return Ok(Survey { regions: regions.len(), roles_unlisted: Some(why), ..Survey::default() });
        }
    };
    let mut survey = Survey { regions: regions.len(), ..Survey::default() };
    let mut met = BTreeSet::new();
    for region in seen {
        survey.take_in(region.survey);
        met.extend(region.met);
    }
    survey.roles_created_lately = known.roles_created_lately(run.now());
    // Rows of Regions that are not asked any more.
    let left = sweeper.unfinished(&known, &met, |at| !survey.is_blind_to(at) && !regions.contains(&at.region)).await;
    survey.take_in(left);
    Ok(survey)
}

/// A look at everything.
struct Sweeper<'a, K> {
    run: &'a Run<'a>,
    scope: &'a Scope,
    trust_records: bool,
    keep: &'a K,
    sightings: &'a Sightings,
    ends: tokio::time::Instant,
}

/// What was seen of one Region.
#[derive(Default)]
struct RegionSeen {
    survey: Survey,
    /// The entries that were handed over.
    met: BTreeSet<(ClusterRef, String)>,
}

impl<K: AsyncFn(SeenCluster) -> Vec<Sighting>> Sweeper<'_, K> {
    /// Looks into the clusters of a Region, those that were verified longest ago first, then for unfinished repairs in them
    /// that no entry showed.
    async fn region(&self, region: &Region, known: impl Future<Output = Result<Arc<Known>, NotKnown>>) -> RegionSeen {
        let run = self.run;
        let (list, known) = join(clusters_of(run, region, self.scope, self.ends), known).await;
        let mut seen = RegionSeen::default();
        let Ok(known) = known else { return seen };
        let known = &*known;
        let mut clusters = match list {
            Ok(list) => {
                seen.survey.clusters_excluded = list.excluded;
                list.to_read
            }
            Err(fault) => {
                seen.survey.blind_spots.push(BlindSpot::of(region, self.scope.cluster.as_deref(), &fault));
                Vec::new()
            }
        };
        seen.survey.clusters = clusters.len();
        clusters.sort_by_key(|at| known.last_verified(at));
        // As many clusters as the Region takes requests: one is finished before the next begins, so that what the deadline
        // cuts was either looked at or not begun.
        let mut views =
            stream::iter(clusters).map(|at| self.cluster(at, known)).buffer_unordered(run.requests_at_once());
        while let Some((at, view)) = views.next().await {
            self.take_in(&mut seen, known, &at, view);
        }
        drop(views);
        let is_here = |at: &ClusterRef| at.region == *region && !seen.survey.is_blind_to(at);
        let left = self.unfinished(known, &seen.met, is_here).await;
        seen.survey.take_in(left);
        seen
    }

    /// Looks into a cluster, and hands what was seen to whoever records it.
    async fn cluster(&self, at: ClusterRef, known: &Known) -> (ClusterRef, Result<View, Fault>) {
        let look = cluster(self.run, &at, known, self.trust_records);
        let mut view = tokio::time::timeout_at(self.ends, look).await.unwrap_or_else(|_| Err(out_of_time()));
        if let Ok(view) = &mut view {
            let sightings = std::mem::take(&mut view.sightings);
            let count = sightings.len();
            let seen = SeenCluster {
                cluster: at.clone(),
                listed: view.listed.clone(),
                known_fresh: view.fresh.clone(),
                recorded: known.recorded(&at),
                sightings,
                ends: self.ends,
            };
            view.sightings = (self.keep)(seen).await;
            view.dropped = count - view.sightings.len();
        }
        (at, view)
    }

    fn take_in(&self, seen: &mut RegionSeen, known: &Known, at: &ClusterRef, view: Result<View, Fault>) {
        let survey = &mut seen.survey;
        match view {
            Ok(view) => {
                survey.clusters_seen += 1;
                let archived = archived(known, at, &view, &self.run.invocation.home);
                let fresh = view.fresh.len() + view.dropped;
                survey.known_fresh += fresh;
                if fresh > 0 {
                    survey.known_fresh_in.insert(at.clone());
                }
                survey
                    .blind_spots
                    .extend(view.blind.into_iter().map(|f| BlindSpot::of(&at.region, Some(&at.name), &f)));
                for sighting in archived.into_iter().chain(view.sightings) {
                    seen.met.insert((at.clone(), sighting.principal.as_str().to_owned()));
                    survey.found += 1;
                    hand_over(self.sightings, sighting);
                }
            }
            // The deadline's doing is no blind spot: it is counted, and first next time.
            Err(fault) if fault == out_of_time() => {
                survey.not_reached += known.rows.get(at).map_or(1, |rows| rows.len().max(1));
            }
            Err(fault) => survey.blind_spots.push(BlindSpot::of(&at.region, Some(&at.name), &fault)),
        }
    }

    /// The unfinished repairs whose entries were not met, those in excluded clusters among them; and the rows that are not
    /// in order, without those.
    async fn unfinished(
        &self,
        known: &Known,
        met: &BTreeSet<(ClusterRef, String)>,
        is_here: impl Fn(&ClusterRef) -> bool,
    ) -> Survey {
        let run = self.run;
        let left =
            known.rows.iter().flat_map(|(at, notes)| notes.iter().map(move |(principal, note)| (at, principal, note)));
        let left: Vec<_> = left
            .filter_map(|(at, principal, note)| match note {
                Note::Whole(read)
                    if (read.open().is_some() || !self.scope.excludes(run, at))
                        && is_here(at)
                        && !met.contains(&(at.clone(), principal.to_string())) =>
                {
                    Some((at, principal, read))
                }
                _ => None,
            })
            .collect();
        let mut survey = Survey::default();
        let mut looks = stream::iter(left)
            .map(|(at, principal, read)| async move {
                let seen = tokio::time::timeout_at(self.ends, examine(run, at, principal)).await;
                (at, principal, read, seen.unwrap_or_else(|_| Err(out_of_time())))
            })
            .buffer_unordered(ENTRIES_AT_ONCE);
        while let Some((at, principal, read, seen)) = looks.next().await {
            match seen {
                Ok((cluster, entry)) => {
                    survey.found += 1;
                    let principal = Principal::parse(principal);
                    let sighting = Sighting {
                        at: at.clone(),
                        cluster,
                        role: known.role_of(&principal, &run.invocation.home),
                        principal,
                        entry,
                        row: read.clone(),
                        role_read_at: known.roles_read_at,
                    };
                    hand_over(self.sightings, sighting);
                }
                Err(fault) if fault == out_of_time() => survey.not_reached += 1,
                Err(fault) => survey.blind_spots.push(BlindSpot::of(&at.region, Some(&at.name), &fault)),
            }
        }
        survey
    }
}

#[derive(Default)]
struct View {
    /// Whether its entries could be listed.
    is_listed: bool,
    /// As described, if any of its entries needed a look.
    cluster: Option<Cluster>,
    listed: BTreeSet<String>,
    fresh: Vec<String>,
    sightings: Vec<Sighting>,
    dropped: usize,
    blind: Vec<Fault>,
}

async fn cluster(run: &Run<'_>, at: &ClusterRef, known: &Known, trust_records: bool) -> Result<View, Fault> {
    let eks = run.eks(&at.region).at(Priority::Survey);
    let Entries::Known(principals) = eks.list_access_entries(&at.name).await? else {
        return Ok(View::default());
    };
    let (fresh, unknown): (Vec<String>, Vec<String>) =
        principals.iter().cloned().partition(|p| trust_records && known.has_recorded_role(at, p));
    let mut view = View { is_listed: true, listed: principals.into_iter().collect(), fresh, ..View::default() };
    if unknown.is_empty() {
        return Ok(view);
    }
    let Some(cluster) = eks.describe_cluster(&at.name).await?.filter(|cluster| cluster.is_workable) else {
        return Ok(view);
    };
    view.cluster = Some(cluster.clone());
    let eks = &eks;
    let mut looks = stream::iter(unknown)
        .map(|principal| async move { (look(run, eks, at, known, &principal).await, principal) })
        .buffer_unordered(ENTRIES_AT_ONCE);
    while let Some((seen, principal)) = looks.next().await {
        match seen {
            Ok(Some((entry, row))) => {
                let principal = Principal::parse(&principal);
                let role = known.role_of(&principal, &run.invocation.home);
                let role_read_at = known.roles_read_at;
                view.sightings.push(Sighting {
                    at: at.clone(),
                    cluster: Some(cluster.clone()),
                    principal,
                    entry: Some(entry),
                    row,
                    role,
                    role_read_at,
                });
            }
            Ok(None) => {}
            Err(fault) => view.blind.push(fault),
        }
    }
    Ok(view)
}

/// The entry of a principal, with its row. The row is read first: written since then, it cannot be written over.
async fn look(
    run: &Run<'_>,
    eks: &Eks,
    at: &ClusterRef,
    known: &Known,
    principal: &str,
) -> Result<Option<(Examined, RowRead)>, Fault> {
    let row = known.row(run, at, principal).await?;
    let entry = examine_entry(eks, &at.name, principal).await?;
    Ok(entry.map(|entry| (entry, row)))
}

/// The entries that were archived with their roles and do not stand, while a role of the name exists again.
fn archived(known: &Known, at: &ClusterRef, view: &View, home: &Home) -> Vec<Sighting> {
    let notes = known.rows.get(at).into_iter().flatten().filter(|_| view.is_listed);
    let gone = notes.filter_map(|(name, note)| match note {
        Note::ArchivedWithItsRole(row) if !view.listed.contains(&**name) => {
            let principal = Principal::parse(name);
            Some(Sighting {
                at: at.clone(),
                cluster: view.cluster.clone(),
                role: known.role_of(&principal, home),
                principal,
                entry: None,
                row: RowRead::Row(row.clone()),
                role_read_at: known.roles_read_at,
            })
        }
        _ => None,
    });
    gone.filter(Sighting::is_archived).collect()
}

/// Reads a case's role by itself: a list may be older than the change it is to justify.
pub async fn reread_role(run: &Run<'_>, sighting: &mut Sighting) {
    let Some(arn) = sighting.principal.role().filter(|arn| arn.is_of(&run.invocation.home)) else {
        return;
    };
    sighting.role_read_at = run.now();
    sighting.role = run.app.aws.reads.get_role(arn.name()).await.of(arn);
}
