//! Looks for whom to trust: every role, every entry, and `CloudTrail`'s event history. Only reads.
//!
//! The event history costs one request for 50 events and half a second for each. It is read in the Region of IAM's events for
//! `CreateRole`, and in each Region with entries that may be evidence for `DeleteAccessEntry`. Besides: one call for each
//! creator, and what a scan costs with the policies of every entry. [`creators`](crate::creators) judges.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join;
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use time::OffsetDateTime;

use crate::aws::Reads;
use crate::aws::cloudtrail::{EventHistory, Lookup, PACE, PAGE};
use crate::blind_spot::BlindSpot;
use crate::creators::{Creation, Creators, Deletion, EntrySeen, Existence, Known, Trail};
use crate::fault::Fault;
use crate::model::{ClusterRef, Creator, Home, Region, RoleArn, RoleState, Roles};
use crate::scan::{self, Scan, Scope, patiently, scan};
use crate::sighting::Examined;

/// Creators read at once, and histories.
const AT_ONCE: usize = 8;

/// Hears how far the search has come.
pub trait Progress: scan::Progress {
    /// Before the history is read: how many of the account's roles were created in its time, and how long reading it takes at
    /// least. Roles that are gone and attempts that failed come on top.
    fn begins(&self, roles: usize, at_least: Duration);
    /// A part of the role history was read; the rest is older than this.
    fn history(&self, events: usize, back_to: OffsetDateTime);
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Whom to trust.
    pub creators: Creators,
    /// How many role creations the history has.
    pub creations: usize,
    /// When the history that was read begins.
    pub since: Option<OffsetDateTime>,
    /// How many Regions were asked for entries.
    pub regions: usize,
    /// How many clusters were found.
    pub clusters: usize,
    /// How many entries were examined.
    pub entries_examined: usize,
    /// The parts of the account that could not be read.
    pub blind_spots: Vec<BlindSpot>,
    /// Whether an entry could not be judged.
    pub is_unsure: bool,
}

/// Why there is nothing to conclude from.
#[derive(Debug)]
pub enum NothingSeen {
    /// The account's roles could not be listed.
    Roles(Fault),
    /// The event history could not be read.
    History(Fault),
}

struct Searcher<'a> {
    reads: &'a Reads,
    home: &'a Home,
    progress: &'a dyn Progress,
    until: OffsetDateTime,
}

/// Searches these Regions' entries and the history of so long a time for creators.
///
/// # Errors
/// [`NothingSeen`]. Anything else that cannot be read is a blind spot.
pub async fn search<P: Progress>(
    reads: &Reads,
    home: &Home,
    regions: Vec<Region>,
    time: Duration,
    progress: &P,
    now: &(dyn Fn() -> OffsetDateTime + Sync),
) -> Result<Found, NothingSeen> {
    let searcher = Searcher { reads, home, progress, until: now() };
    let since = searcher.until - time;
    let roles = reads.list_roles().await.map_err(NothingSeen::Roles)?;
    let recent = roles.iter().filter(|role| role.created_at >= since).count();
    let pages = u32::try_from(recent.div_ceil(PAGE).max(1)).unwrap_or(u32::MAX);
    progress.begins(recent, PACE.saturating_mul(pages - 1));

    let mut histories = BTreeMap::new();
    let iam = home.region_of_iam_events();
    let history = histories.entry(iam.clone()).or_insert_with(|| reads.event_history(&iam));
    let scope = Scope { regions, with_all_policies: true, ..Scope::default() };
    let (scanned, (creations, fault)) =
        join(scan(reads, home, &scope, progress, now), searcher.creations(history, since)).await;
    let scanned = scanned.map_err(NothingSeen::Roles)?;
    if creations.is_empty()
        && let Some(fault) = fault
    {
        return Err(NothingSeen::History(fault));
    }
    let mut found = Found {
        creations: creations.len(),
        since: Some(since),
        regions: scanned.regions,
        clusters: scanned.clusters,
        entries_examined: scanned.entries_examined,
        is_unsure: scanned.is_unsure(),
        blind_spots: fault.iter().map(|fault| BlindSpot::of(&iam, None, fault)).collect(),
        ..Found::default()
    };
    let mut entries = entries_of(&scanned, home);
    found.blind_spots.extend(scanned.blind_spots);

    let trails = Known { creations: &creations, roles: &roles, entries: &entries }.trails();
    found.blind_spots.extend(searcher.mark_replacements(&mut histories, &trails, &roles, &mut entries).await);
    let known = Known { creations: &creations, roles: &roles, entries: &entries };
    let trails = known.trails();
    let existence = searcher.existence(&trails).await;
    found.creators = Creators::of(known, trails, existence, home, since);
    Ok(found)
}

/// The entries of roles of this account, whatever their verdict.
fn entries_of(scan: &Scan, home: &Home) -> Vec<EntrySeen> {
    let seen = |at: &ClusterRef, examined: &Examined| {
        let principal = RoleArn::parse(&examined.entry.principal_arn).filter(|arn| arn.is_of(home))?;
        Some(EntrySeen { at: at.clone(), principal, snapshot: examined.snapshot(), is_replacement: false })
    };
    let fresh = scan.fresh.iter().filter_map(|(at, examined)| seen(at, examined));
    let others = scan.cases.iter().filter_map(|case| seen(&case.sighting.at, case.sighting.entry.as_ref()?));
    fresh.chain(others).collect()
}

impl Searcher<'_> {
    /// All recorded creations of roles since then. With the fault, if there is one, they are not all.
    async fn creations(&self, history: &EventHistory, since: OffsetDateTime) -> (Vec<Creation>, Option<Fault>) {
        let mut creations = Vec::new();
        let mut events = 0;
        let lookup = Lookup { event_name: "CreateRole", since, until: self.until };
        let read = self.read(history, lookup, |record, back_to| {
            events += 1;
            creations.extend(Creation::read(record, self.home));
            self.progress.history(events, back_to.unwrap_or(self.until));
        });
        let fault = read.await.err();
        (creations, fault)
    }

    /// Hands every record to `each`, with the moment that its page goes back to.
    async fn read(
        &self,
        history: &EventHistory,
        lookup: Lookup<'_>,
        mut each: impl FnMut(&Value, Option<OffsetDateTime>),
    ) -> Result<(), Fault> {
        let mut token: Option<String> = None;
        loop {
            let look = async || history.look_up(lookup, token.as_deref()).await;
            let page = patiently(self.progress, history.region(), look).await?;
            for text in &page.records {
                let record = serde_json::from_str(text)
                    .map_err(|_| Fault::malformed("LookupEvents", "a readable CloudTrailEvent"))?;
                each(&record, page.back_to);
            }
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// Marks the entries that took the place of one which was deleted after the role had been created. In a Region whose
    /// history cannot be read, every entry may have.
    async fn mark_replacements(
        &self,
        histories: &mut BTreeMap<Region, EventHistory>,
        trails: &BTreeMap<String, Trail>,
        roles: &Roles,
        entries: &mut [EntrySeen],
    ) -> Vec<BlindSpot> {
        let mut since: BTreeMap<Region, OffsetDateTime> = BTreeMap::new();
        for index in trails.values().flat_map(|trail| &trail.good) {
            let entry = &entries[*index];
            let Some(role) = roles.get(entry.principal.as_str()) else { continue };
            let earliest = since.entry(entry.at.region.clone()).or_insert(role.created_at);
            *earliest = role.created_at.min(*earliest);
        }
        for region in since.keys() {
            histories.entry(region.clone()).or_insert_with(|| self.reads.event_history(region));
        }
        let histories = &*histories;
        let looks = stream::iter(&since).map(|(region, &since)| async move {
            let mut deletions = Vec::new();
            let lookup = Lookup { event_name: "DeleteAccessEntry", since, until: self.until };
            let read = self.read(&histories[region], lookup, |record, _| deletions.extend(Deletion::read(record)));
            let fault = read.await.err();
            (region, deletions, fault)
        });
        let looks: Vec<(&Region, Vec<Deletion>, Option<Fault>)> = looks.buffer_unordered(AT_ONCE).collect().await;
        let mut blind_spots = Vec::new();
        for (region, deletions, fault) in looks {
            for entry in entries.iter_mut().filter(|entry| entry.at.region == *region) {
                let Some(role) = roles.get(entry.principal.as_str()) else { continue };
                let precedes = |deletion: &Deletion| deletion.may_precede(entry, role.created_at);
                entry.is_replacement = fault.is_some() || deletions.iter().any(precedes);
            }
            blind_spots.extend(fault.map(|fault| BlindSpot::of(region, None, &fault)));
        }
        blind_spots
    }

    /// Reads which creators still exist with their ID.
    async fn existence(&self, trails: &BTreeMap<String, Trail>) -> BTreeMap<String, Existence> {
        let looks =
            stream::iter(trails).map(|(id, trail)| async move { (id.clone(), self.exists(&trail.creator).await) });
        looks.buffer_unordered(AT_ONCE).collect().await
    }

    async fn exists(&self, creator: &Creator) -> Existence {
        if let Some(arn) = RoleArn::parse(&creator.arn) {
            return match self.reads.get_role(arn.name()).await.of(&arn) {
                RoleState::Present(role) if role.id.0 == creator.unique_id => Existence::Role(role),
                RoleState::Present(_) | RoleState::Absent => Existence::Gone,
                RoleState::Unreadable(fault) => Existence::Unknown(fault),
            };
        }
        let name = creator.arn.rsplit('/').next().unwrap_or_default();
        match self.reads.get_user(name).await {
            Ok(Some(user)) if user == *creator => Existence::User,
            Ok(_) => Existence::Gone,
            Err(fault) => Existence::Unknown(fault),
        }
    }
}
