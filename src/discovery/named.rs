//! The survey for named roles: of an event, a batch or a command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::{join, join_all};
use tokio::sync::{OnceCell, Semaphore};

use super::clusters::{Found, look_in_region};
use super::roles::{self, RoleSeen};
use super::{Scope, Sightings, Subject, Survey, examine, hand_over};
use crate::app::Run;
use crate::blind_spot::BlindSpot;
use crate::error::Error;
use crate::fault::Fault;
use crate::lock::lock;
use crate::model::{ClusterRef, Principal, Region, RoleArn, RoleState};
use crate::row::{Row, RowRead};
use crate::sighting::{Examined, Sighting};

/// The ledger is asked for so many roles at once.
const QUERIES_AT_ONCE: usize = 16;

/// IAM is asked for so many roles at once: its limits are per account and not published.
const ROLES_AT_ONCE: usize = 5;

type Rows = Result<BTreeMap<ClusterRef, RowRead>, Fault>;

/// Looks for the subjects' entries in all clusters in scope: one pass, however many roles.
///
/// # Errors
/// Only where the Regions are not to be had; everything else is a blind spot.
pub async fn survey(
    run: &Run<'_>,
    subjects: &[Subject],
    scope: &Scope,
    sightings: &Sightings,
) -> Result<Survey, Error> {
    let regions = scope.regions(run).await?;
    let ends = tokio::time::Instant::now() + run.until(run.survey_ends());
    let looker = &Looker {
        run,
        subjects,
        scope,
        sightings,
        roles: Memo::of(ROLES_AT_ONCE),
        caught_up: Memo::of(Semaphore::MAX_PERMITS),
        rows: Memo::of(QUERIES_AT_ONCE),
        handled: Mutex::default(),
        found: AtomicUsize::new(0),
        arns: Mutex::new(subjects.iter().filter_map(|subject| guessed_arn(run, subject)).collect()),
    };
    // A single role is read beside the clusters; of many, only those that turn up somewhere.
    let eager = async {
        let role = async {
            if let [only] = subjects {
                looker.role(&only.name).await;
            }
        };
        join(role, join_all(looker.arns().iter().map(|arn| looker.rows_of(arn)))).await;
    };
    let looks = join_all(regions.iter().map(|region| looker.region(region, ends)));
    let (seen, ()) = join(looks, eager).await;
    let mut survey = Survey { regions: regions.len(), ..Survey::default() };
    for region in seen {
        survey.take_in(region);
    }
    // Rows of Regions that are not asked any more, and of roles whose path only another Region's entry told.
    let left = looker.unfinished(|at| !survey.is_blind_to(at)).await;
    survey.blind_spots.extend(left);
    survey.ledger_unread = looker.rows.values().into_iter().find_map(|(_, rows)| rows.err());
    survey.found = looker.found.load(Ordering::Relaxed);
    Ok(survey)
}

/// The ARN by which the ledger may know the role: the named one, or that of a role without a path.
fn guessed_arn(run: &Run<'_>, subject: &Subject) -> Option<RoleArn> {
    subject.arn.clone().or_else(|| RoleArn::without_path(&run.invocation.home, &subject.name))
}

/// A look at all clusters for some roles, with what is read once for all of them.
struct Looker<'a> {
    run: &'a Run<'a>,
    subjects: &'a [Subject],
    scope: &'a Scope,
    sightings: &'a Sightings,
    /// By lower-case name, as they were first read.
    roles: Memo<RoleSeen>,
    /// The same, once IAM shows what the events told.
    caught_up: Memo<RoleSeen>,
    /// By ARN.
    rows: Memo<Rows>,
    /// What was looked at, and how much of it was handed over.
    handled: Mutex<BTreeSet<(String, ClusterRef)>>,
    found: AtomicUsize,
    /// The ARNs that rows are asked for.
    arns: Mutex<BTreeSet<RoleArn>>,
}

impl Looker<'_> {
    /// Looks into a Region's clusters, then for unfinished repairs in them that no entry showed.
    async fn region(&self, region: &Region, ends: tokio::time::Instant) -> Survey {
        let keep = async |found: Found| self.keep(found).await;
        let mut seen = look_in_region(self.run, region, self.scope, self.subjects, ends, &keep).await;
        let unfinished = self.unfinished(|at| at.region == *region && !seen.is_blind_to(at)).await;
        seen.blind_spots.extend(unfinished);
        seen
    }

    /// Hands over an entry that was found, with its row and its role.
    async fn keep(&self, found: Found) {
        let principal = found.principal().to_owned();
        let at = found.cluster.at.clone();
        lock(&self.handled).insert((principal.clone(), at.clone()));
        let row = async {
            let Some(arn) = RoleArn::parse(&principal) else { return RowRead::Absent };
            match self.rows_of(&arn).await {
                Ok(rows) => rows.get(&at).cloned().unwrap_or(RowRead::Absent),
                Err(fault) => RowRead::Unavailable(fault),
            }
        };
        let (row, sighting) = join(row, self.sighting(&principal, &at)).await;
        self.hand_over(Sighting { cluster: Some(found.cluster), entry: Some(found.examined), row, ..sighting });
    }

    /// Hands over the unfinished repairs, and what else the ledger has to tell, where no entry was found.
    async fn unfinished(&self, is_here: impl Fn(&ClusterRef) -> bool) -> Vec<BlindSpot> {
        for (_, (state, _)) in self.roles.values() {
            if let Some(role) = state.role() {
                self.knows(&role.arn);
            }
        }
        let arns = self.arns();
        let rows = join_all(arns.iter().map(|arn| async move { (arn, self.rows_of(arn).await) })).await;
        let mut due = Vec::new();
        for (arn, rows) in rows {
            for (at, read) in rows.into_iter().flatten() {
                let is_archived = read.row().is_some_and(Row::is_archived_with_its_role);
                let is_reported = is_archived || matches!(read, RowRead::Invalid(_) | RowRead::Unfit(..));
                // An unfinished repair is finished whatever the settings exclude; other rows of excluded clusters are left.
                let is_due = read.open().is_some() || (is_reported && !self.scope.excludes(self.run, &at));
                if is_due
                    && is_here(&at)
                    && self.scope.admits(&at)
                    && lock(&self.handled).insert((arn.as_str().to_owned(), at.clone()))
                {
                    due.push((arn, at, read));
                }
            }
        }
        let looks = due.into_iter().map(|(arn, at, read)| self.look_at(arn, at, read));
        join_all(looks).await.into_iter().flatten().collect()
    }

    /// Hands over one row, with its entry and its role, if there is something to do or to tell about it.
    async fn look_at(&self, arn: &RoleArn, at: ClusterRef, row: RowRead) -> Option<BlindSpot> {
        let name = arn.as_str();
        match join(examine(self.run, &at, name), self.sighting(name, &at)).await {
            (Ok((cluster, entry)), sighting) => {
                let sighting = Sighting { cluster, entry, row, ..sighting };
                let is_work = sighting.row.row().is_none_or(|row| row.archived().is_none());
                if is_work || (sighting.cluster.is_some() && sighting.is_archived()) {
                    self.hand_over(sighting);
                }
                None
            }
            (Err(fault), _) => Some(BlindSpot::of(&at.region, Some(&at.name), &fault)),
        }
    }

    fn hand_over(&self, sighting: Sighting) {
        self.found.fetch_add(1, Ordering::Relaxed);
        hand_over(self.sightings, sighting);
    }

    /// Role and principal of a sighting.
    async fn sighting(&self, principal_arn: &str, at: &ClusterRef) -> Sighting {
        let principal = Principal::parse(principal_arn);
        let (role, role_read_at) = match principal.role() {
            Some(arn) => {
                let (state, read_at) = self.caught_up_role(arn.name()).await;
                (state.of(arn), read_at)
            }
            None => (RoleState::unread("it was not asked for"), self.run.now()),
        };
        Sighting { at: at.clone(), cluster: None, principal, entry: None, row: RowRead::Absent, role, role_read_at }
    }

    async fn role(&self, name: &str) -> RoleSeen {
        self.roles.get(&name.to_ascii_lowercase(), || roles::read(self.run, name)).await
    }

    /// The role once IAM shows what the events of its creation told: events of one role after each other.
    async fn caught_up_role(&self, name: &str) -> RoleSeen {
        let catch_up = || async {
            let mut seen = self.role(name).await;
            for subject in self.subjects.iter().filter(|subject| subject.name.eq_ignore_ascii_case(name)) {
                seen = roles::catch_up(self.run, subject, seen).await;
            }
            seen
        };
        self.caught_up.get(&name.to_ascii_lowercase(), catch_up).await
    }

    async fn rows_of(&self, arn: &RoleArn) -> Rows {
        self.knows(arn);
        let (ledger, now) = (self.run.ledger(), self.run.now());
        let query = || async move { ledger.rows_of(arn, now).await.map(|rows| rows.into_iter().collect()) };
        self.rows.get(arn.as_str(), query).await
    }

    /// From now on this ARN's rows are asked for, too, if it is one of a subject.
    fn knows(&self, arn: &RoleArn) {
        if self.subjects.iter().any(|subject| subject.is_for(arn)) {
            lock(&self.arns).insert(arn.clone());
        }
    }

    fn arns(&self) -> BTreeSet<RoleArn> {
        lock(&self.arns).clone()
    }
}

/// What is read once, however many ask for it, and so many at once.
struct Memo<T> {
    cells: Mutex<BTreeMap<String, Arc<OnceCell<T>>>>,
    gate: Semaphore,
}

impl<T: Clone> Memo<T> {
    fn of(at_once: usize) -> Self {
        Self { cells: Mutex::default(), gate: Semaphore::new(at_once) }
    }

    async fn get<F: Future<Output = T>>(&self, name: &str, read: impl FnOnce() -> F) -> T {
        let cell = Arc::clone(lock(&self.cells).entry(name.to_owned()).or_default());
        let read = || async {
            // The gate is never closed; without a permit the read would merely go unbounded.
            let _permit = self.gate.acquire().await;
            read().await
        };
        cell.get_or_init(read).await.clone()
    }

    /// What has been read so far.
    fn values(&self) -> Vec<(String, T)> {
        let cells = lock(&self.cells);
        cells.iter().filter_map(|(name, cell)| Some((name.clone(), cell.get()?.clone()))).collect()
    }
}

/// What is known of an entry that a person named and that is not there: its cluster, its role and its row. Nothing, if
/// there is no such cluster.
pub async fn named_but_not_found(
    run: &Run<'_>,
    subject: &Subject,
    scope: &Scope,
    survey: &mut Survey,
    sightings: &Sightings,
) {
    let (Some(arn), Some(name)) = (&subject.arn, &scope.cluster) else { return };
    let regions = scope.regions(run).await.unwrap_or_default();
    let (role, role_read_at) = roles::read(run, arn.name()).await;
    for region in regions {
        let at = ClusterRef { region, name: name.clone() };
        let (seen, row) = join(examine(run, &at, arn.as_str()), run.ledger().row(arn.as_str(), &at, run.now())).await;
        let (cluster, entry) = match seen {
            Ok(seen) => seen,
            Err(fault) => {
                survey.blind_spots.push(BlindSpot::of(&at.region, Some(&at.name), &fault));
                continue;
            }
        };
        if cluster.is_none() {
            continue;
        }
        let principal = Principal::Role(arn.clone());
        hand_over(sightings, Sighting { at, cluster, principal, entry, row, role: role.clone().of(arn), role_read_at });
        survey.found += 1;
        break;
    }
}

impl Found {
    fn principal(&self) -> &str {
        let Examined { entry, .. } = &self.examined;
        &entry.principal_arn
    }
}
