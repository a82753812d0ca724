//! A look at every access entry of an account from outside: no ledger, no function, and clients that cannot change anything.
//!
//! The judgement is the function's own (`verdict`, `guardrail`), so that the two can never disagree. It costs one call for each
//! Region, cluster, entry and page of roles, and at most four more for each entry that is not bound to its role. What stands
//! still with such entries costs at most [`impact::MOST_CALLS`](crate::impact::MOST_CALLS) calls in each of their clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join;
use futures::stream::{self, StreamExt as _};
use time::OffsetDateTime;

use crate::aws::eks::{Eks, Entries};
use crate::aws::{Priority, Reads};
use crate::blind_spot::BlindSpot;
use crate::case::Case;
use crate::config::Config;
use crate::fault::{Fault, FaultKind};
use crate::guardrail::{self, Asked, Refusal, Request};
use crate::impact::UserKind;
use crate::model::{AccessEntry, Cluster, ClusterRef, Home, Principal, Region, RoleArn, RoleState, Roles};
use crate::outcome::{Doubt, Outcome};
use crate::report;
use crate::row::RowRead;
use crate::sighting::{Examined, Sighting};
use crate::verdict::{Verdict, judge};

/// Requests under way at once in a Region.
const AT_ONCE: usize = 8;

/// How long a Region that throttles is waited for between two tries.
const PAUSE: Duration = Duration::from_secs(10);

/// So often a Region that throttles is tried again; each try has its own patience besides.
const TRIES: u32 = 10;

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// In these Regions.
    pub regions: Vec<Region>,
    /// In clusters of these names only; all of them if there is none.
    pub clusters: Vec<String>,
    /// Entries of these roles only; all of them if there is none.
    pub roles: Vec<RoleNamed>,
    /// Also the policies of the entries that are neither stale nor orphaned: a call more for each.
    pub with_all_policies: bool,
}

/// A role as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleNamed {
    /// Its name; compared without regard to case, as IAM does.
    pub name: String,
    /// If the ARN was given.
    pub arn: Option<RoleArn>,
}

/// Hears how far a scan has come.
pub trait Progress: Sync {
    /// A Region's clusters are known.
    fn region(&self, clusters: usize);
    /// A cluster's entries are known.
    fn cluster(&self, entries: usize);
    /// An entry was looked at.
    fn entry(&self);
    /// AWS refuses requests in this Region for a while, since there are too many of them; it is waited for.
    fn throttled(&self, region: &Region);
}

/// What a scan saw.
#[derive(Debug, Default)]
pub struct Scan {
    /// How many Regions were asked.
    pub regions: usize,
    /// How many clusters were found.
    pub clusters: usize,
    /// How many entries were judged.
    pub entries_examined: usize,
    /// All but the fresh entries, with what the function would do by its default settings and with an empty ledger.
    pub cases: Vec<Case>,
    /// The entries that are bound to their roles; their policies only if they were asked for.
    pub fresh: Vec<(ClusterRef, Examined)>,
    /// The entries, by cluster and principal, whose policies were asked for and could not be read: they are not without any.
    pub policies_not_read: BTreeSet<(ClusterRef, String)>,
    /// The parts of the account that could not be read.
    pub blind_spots: Vec<BlindSpot>,
}

impl Scan {
    /// Whether an entry is stale or orphaned.
    #[must_use]
    pub fn has_findings(&self) -> bool {
        self.cases.iter().any(|case| matches!(case.verdict, Verdict::Stale(_) | Verdict::Orphaned))
    }

    /// Whether something could not be told. Principals that cannot become stale in this way count as told.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        let is_unsure = |case: &Case| match &case.verdict {
            Verdict::Undecided(doubt) => !is_told(doubt),
            _ => false,
        };
        !self.blind_spots.is_empty() || self.cases.iter().any(is_unsure)
    }
}

/// Whether nothing more could be told of such a principal.
#[must_use]
pub fn is_told(doubt: &Doubt) -> bool {
    matches!(doubt, Doubt::IamUser | Doubt::OtherAccount | Doubt::ServiceLinkedRole { .. } | Doubt::NotAPrincipal)
}

struct Scanner<'a> {
    reads: &'a Reads,
    home: &'a Home,
    scope: &'a Scope,
    progress: &'a dyn Progress,
    now: &'a (dyn Fn() -> OffsetDateTime + Sync),
}

/// What was seen in a Region.
#[derive(Default)]
struct Seen {
    clusters: usize,
    entries: Vec<(ClusterRef, AccessEntry)>,
    blind_spots: Vec<BlindSpot>,
}

/// Looks at every entry in scope and judges it.
///
/// # Errors
/// Only if the account's roles could not be listed: then nothing can be judged.
pub async fn scan(
    reads: &Reads,
    home: &Home,
    scope: &Scope,
    progress: &dyn Progress,
    now: &(dyn Fn() -> OffsetDateTime + Sync),
) -> Result<Scan, Fault> {
    let scanner = Scanner { reads, home, scope, progress, now };
    let regions = stream::iter(&scope.regions).map(|region| scanner.region(region)).buffer_unordered(usize::MAX);
    let roles_read_at = now();
    let (regions, roles) = join(regions.collect::<Vec<Seen>>(), reads.list_roles()).await;
    let roles = roles?;
    let mut scan = Scan { regions: scope.regions.len(), ..Scan::default() };
    let mut findings: BTreeMap<ClusterRef, Vec<AccessEntry>> = BTreeMap::new();
    for seen in regions {
        scan.clusters += seen.clusters;
        scan.entries_examined += seen.entries.len();
        scan.blind_spots.extend(seen.blind_spots);
        for (at, entry) in seen.entries {
            let sighting = first_sight(&at, entry.clone(), &roles, home, roles_read_at);
            match judge(&sighting, home) {
                Verdict::Fresh(_) => scan.fresh.push((at, Examined { entry, policies: Vec::new() })),
                Verdict::Undecided(doubt) => {
                    let outcome = Outcome::Undecided(doubt.clone());
                    scan.cases.push(Case { outcome, ..Case::new(sighting, Verdict::Undecided(doubt)) });
                }
                _ => findings.entry(at).or_default().push(entry),
            }
        }
    }
    let mut looks = stream::iter(findings).map(|(at, entries)| scanner.findings(at, entries)).buffer_unordered(AT_ONCE);
    while let Some((cases, blind_spots)) = looks.next().await {
        scan.blind_spots.extend(blind_spots);
        for case in cases {
            match (&case.verdict, case.sighting.entry) {
                (Verdict::Fresh(_), Some(entry)) => scan.fresh.push((case.sighting.at, entry)),
                (_, entry) => scan.cases.push(Case { sighting: Sighting { entry, ..case.sighting }, ..case }),
            }
        }
    }
    drop(looks);
    report::sort(&mut scan.cases);
    if scope.with_all_policies {
        scanner.add_policies(&mut scan).await;
    }
    Ok(scan)
}

/// An entry as the lists show it.
fn first_sight(
    at: &ClusterRef,
    entry: AccessEntry,
    roles: &Roles,
    home: &Home,
    role_read_at: OffsetDateTime,
) -> Sighting {
    let principal = Principal::parse(&entry.principal_arn);
    let role = roles.state_of(&principal, home);
    let entry = Some(Examined { entry, policies: Vec::new() });
    Sighting { at: at.clone(), cluster: None, principal, entry, row: RowRead::Absent, role, role_read_at }
}

/// Sends a read until the Region does not refuse it for the number of requests any more.
pub(crate) async fn patiently<T>(
    progress: &dyn Progress,
    region: &Region,
    read: impl AsyncFn() -> Result<T, Fault>,
) -> Result<T, Fault> {
    for _ in 0..TRIES {
        match read().await {
            Err(fault) if fault.kind == FaultKind::Throttled => progress.throttled(region),
            answer => return answer,
        }
        tokio::time::sleep(PAUSE).await;
    }
    read().await
}

impl Scanner<'_> {
    fn eks(&self, region: &Region) -> Eks {
        self.reads.eks(region, AT_ONCE).at(Priority::Survey)
    }

    async fn patiently<T>(&self, region: &Region, read: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
        patiently(self.progress, region, read).await
    }

    async fn region(&self, region: &Region) -> Seen {
        let eks = self.eks(region);
        let mut seen = Seen::default();
        let clusters = match self.clusters(&eks, region).await {
            Ok(clusters) => clusters,
            Err(fault) => {
                seen.blind_spots.push(BlindSpot::of(region, None, &fault));
                self.progress.region(0);
                return seen;
            }
        };
        seen.clusters = clusters.len();
        self.progress.region(clusters.len());
        let mut looks = stream::iter(clusters).map(|at| self.cluster(&eks, at)).buffer_unordered(AT_ONCE);
        while let Some((at, entries, faults)) = looks.next().await {
            seen.blind_spots.extend(faults.iter().map(|fault| BlindSpot::of(region, Some(&at.name), fault)));
            seen.entries.extend(entries.into_iter().map(|entry| (at.clone(), entry)));
        }
        seen
    }

    /// The clusters of a Region that are asked for.
    async fn clusters(&self, eks: &Eks, region: &Region) -> Result<Vec<ClusterRef>, Fault> {
        if self.scope.clusters.is_empty() {
            return self.patiently(region, async || eks.list_clusters().await).await;
        }
        let mut clusters = Vec::new();
        for name in &self.scope.clusters {
            let cluster = self.patiently(region, async || eks.describe_cluster(name).await).await?;
            clusters.extend(cluster.map(|cluster| cluster.at));
        }
        Ok(clusters)
    }

    async fn cluster(&self, eks: &Eks, at: ClusterRef) -> (ClusterRef, Vec<AccessEntry>, Vec<Fault>) {
        let listed = self.patiently(&at.region, async || eks.list_access_entries(&at.name).await).await;
        let principals = match listed {
            Ok(Entries::Known(principals)) => principals,
            Ok(Entries::Unsupported) => {
                self.progress.cluster(0);
                return (at, Vec::new(), Vec::new());
            }
            Err(fault) => {
                self.progress.cluster(0);
                return (at, Vec::new(), vec![fault]);
            }
        };
        let due: Vec<String> = principals.into_iter().filter(|principal| self.is_asked_for(principal)).collect();
        self.progress.cluster(due.len());
        let (mut entries, mut faults) = (Vec::new(), Vec::new());
        let name = at.name.as_str();
        let mut looks = stream::iter(due)
            .map(|principal| async move {
                let look = async || eks.describe_access_entry(name, &principal).await;
                self.patiently(eks.region(), look).await
            })
            .buffer_unordered(AT_ONCE);
        while let Some(entry) = looks.next().await {
            self.progress.entry();
            match entry {
                Ok(Entries::Known(Some(entry))) => entries.push(entry),
                // Deleted meanwhile.
                Ok(Entries::Known(None) | Entries::Unsupported) => {}
                Err(fault) => faults.push(fault),
            }
        }
        drop(looks);
        faults.dedup();
        (at, entries, faults)
    }

    fn is_asked_for(&self, principal: &str) -> bool {
        let is = |role: &RoleNamed| match (&role.arn, RoleArn::parse(principal)) {
            (Some(arn), _) => arn.as_str() == principal,
            (None, Some(found)) => found.name().eq_ignore_ascii_case(&role.name),
            (None, None) => false,
        };
        self.scope.roles.is_empty() || self.scope.roles.iter().any(is)
    }

    /// A second look at what the lists show as stale or orphaned: lists may be late.
    async fn findings(&self, at: ClusterRef, entries: Vec<AccessEntry>) -> (Vec<Case>, Vec<BlindSpot>) {
        let eks = self.eks(&at.region);
        let described = self.patiently(&at.region, async || eks.describe_cluster(&at.name).await).await;
        let cluster = match described {
            // What access-entry calls do while a cluster is created or deleted is not documented: nothing is judged then.
            Ok(cluster) => match cluster.filter(|cluster| cluster.is_workable) {
                Some(cluster) => cluster,
                None => return (Vec::new(), Vec::new()),
            },
            Err(fault) => return (Vec::new(), vec![BlindSpot::of(&at.region, Some(&at.name), &fault)]),
        };
        let (mut cases, mut blind_spots) = (Vec::new(), Vec::new());
        let (eks, cluster) = (&eks, &cluster);
        let mut looks = stream::iter(entries).map(|entry| self.finding(eks, cluster, entry)).buffer_unordered(AT_ONCE);
        while let Some(seen) = looks.next().await {
            match seen {
                Ok(case) => cases.extend(case),
                Err(fault) => blind_spots.push(BlindSpot::of(&at.region, Some(&at.name), &fault)),
            }
        }
        drop(looks);
        self.show_impact(eks, &at, &mut cases).await;
        (cases, blind_spots)
    }

    /// Reads what of a cluster stands still with its entries. What may not be read is left out, and is no blind spot: it
    /// says nothing about an entry.
    async fn show_impact(&self, eks: &Eks, at: &ClusterRef, cases: &mut [Case]) {
        let is_due = |case: &&mut Case| case.has_impact() || case.verdict == Verdict::Orphaned;
        let due: Vec<&mut Case> = cases.iter_mut().filter(is_due).collect();
        if due.is_empty() {
            return;
        }
        let kinds = due.iter().filter_map(|case| UserKind::entering_by(&case.sighting.entry.as_ref()?.entry.kind));
        let first: Vec<UserKind> = kinds.collect();
        let users = eks.users(&at.name, &UserKind::beginning_with(&first)).await;
        for case in due {
            case.show_impact(&users, (self.now)());
        }
    }

    async fn finding(&self, eks: &Eks, cluster: &Cluster, entry: AccessEntry) -> Result<Option<Case>, Fault> {
        let principal = Principal::parse(&entry.principal_arn);
        let (name, region) = (cluster.at.name.as_str(), &cluster.at.region);
        let policies = async || eks.list_associated_access_policies(name, &entry.principal_arn, &entry.kind).await;
        let role_read_at = (self.now)();
        let role = async {
            match principal.role() {
                Some(arn) => self.reads.get_role(arn.name()).await.of(arn),
                None => RoleState::unread("not a role"),
            }
        };
        let (policies, role) = join(self.patiently(region, policies), role).await;
        let policies = match policies {
            Ok(policies) => policies,
            // Deleted meanwhile.
            Err(fault) if fault.kind == FaultKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let sighting = Sighting {
            at: cluster.at.clone(),
            cluster: Some(cluster.clone()),
            principal,
            entry: Some(Examined { entry, policies }),
            row: RowRead::Absent,
            role,
            role_read_at,
        };
        Ok(Some(judged(sighting, self.home)))
    }

    /// Reads the policies of the entries that had only their first look: those that are bound to their roles, and those of
    /// principals of which no more can be told.
    async fn add_policies(&self, scan: &mut Scan) {
        let fresh = scan.fresh.iter_mut().map(|(at, examined)| (&*at, examined));
        let told =
            scan.cases.iter_mut().filter(|case| matches!(&case.verdict, Verdict::Undecided(doubt) if is_told(doubt)));
        let told = told.filter_map(|case| Some((&case.sighting.at, case.sighting.entry.as_mut()?)));
        let mut looks = stream::iter(fresh.chain(told))
            .map(|(at, examined)| async move {
                let (eks, entry) = (self.eks(&at.region), &examined.entry);
                let list =
                    async || eks.list_associated_access_policies(&at.name, &entry.principal_arn, &entry.kind).await;
                (at, self.patiently(&at.region, list).await, examined)
            })
            .buffer_unordered(AT_ONCE * 4);
        while let Some((at, policies, examined)) = looks.next().await {
            match policies {
                Ok(policies) => examined.policies = policies,
                // Also if the entry was deleted meanwhile: it is shown as it was seen.
                Err(fault) => {
                    scan.policies_not_read.insert((at.clone(), examined.entry.principal_arn.clone()));
                    if fault.kind != FaultKind::NotFound {
                        scan.blind_spots.push(BlindSpot::of(&at.region, Some(&at.name), &fault));
                    }
                }
            }
        }
    }
}

/// A sighting of everything but the ledger, with what the function would do about it by its default settings and with an empty
/// ledger.
#[must_use]
pub fn judged(sighting: Sighting, home: &Home) -> Case {
    let verdict = judge(&sighting, home);
    let outcome = would_become(&sighting, &verdict, home);
    let mut case = Case { outcome, ..Case::new(sighting, verdict) };
    case.name_who_waits();
    case
}

/// What the function would do, by its default settings and with an empty ledger.
fn would_become(sighting: &Sighting, verdict: &Verdict, home: &Home) -> Outcome {
    let (Some(snapshot), Some(cluster)) = (sighting.snapshot(), &sighting.cluster) else { return Outcome::None };
    match (verdict, sighting.principal.role(), &sighting.role) {
        (Verdict::Stale(_), Some(principal), RoleState::Present(role)) => {
            let (config, asked) = (Config::by_default(), Asked::automatically());
            let request =
                Request { config: &config, home, principal, snapshot: &snapshot, cluster, role, asked: &asked };
            match guardrail::preview(request) {
                Ok(()) | Err(Refusal::Observed) => Outcome::WouldRepair,
                Err(Refusal::Hold(reason)) => Outcome::Held(reason),
            }
        }
        (Verdict::Orphaned, ..) => match guardrail::tags(&snapshot, cluster) {
            Err(Refusal::Hold(reason)) => Outcome::Held(reason),
            _ => Outcome::Reported,
        },
        (Verdict::Undecided(doubt), ..) => Outcome::Undecided(doubt.clone()),
        _ => Outcome::None,
    }
}
