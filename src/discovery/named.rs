//! The survey for named roles: of an event, a batch or a command.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use super::clusters::{self, Found};
use super::roles::{self, Roles};
use super::{Scope, Subject, Survey, examine};
use crate::app::Run;
use crate::blind_spot::BlindSpot;
use crate::error::Error;
use crate::model::{ClusterRef, RoleArn, RoleState};
use crate::row::{Row, RowRead};
use crate::sighting::{Examined, Sighting};

/// The ledger is asked for so many roles at once.
const QUERIES_AT_ONCE: usize = 16;

type Rows = BTreeMap<String, Result<BTreeMap<ClusterRef, RowRead>, String>>;

/// Looks for the subjects' entries in all clusters in scope: one pass, however many roles.
///
/// # Errors
/// Only where the Regions are not to be had; everything else is a blind spot.
pub async fn survey(run: &Run<'_>, subjects: &[Subject], scope: &Scope) -> Result<Survey, Error> {
    let regions = scope.regions(run).await?;
    let time: Duration = run.until(run.survey_ends());
    // A single role is read beside the clusters; of many, only those that turn up somewhere.
    let eager: Vec<String> = if let [only] = subjects { vec![only.name.clone()] } else { Vec::new() };
    let guesses = subjects.iter().filter_map(|subject| {
        subject.arn.clone().or_else(|| RoleArn::without_path(&run.invocation.home, &subject.name))
    });
    let (pass, mut roles, mut rows) = futures::future::join3(
        clusters::look(run, &regions, scope, subjects, time),
        roles::read_all(run, eager),
        rows_of(run, guesses.collect()),
    )
    .await;
    let mut survey = Survey {
        regions: regions.len(),
        clusters: pass.clusters,
        clusters_excluded: pass.excluded,
        blind_spots: pass.blind_spots,
        ..Survey::default()
    };

    let more: BTreeSet<RoleArn> = (pass.found.iter().filter_map(|found| RoleArn::parse(found.principal())))
        .chain(roles.values().filter_map(|(state, _)| state.role()).map(|role| role.arn.clone()))
        .filter(|arn| !rows.contains_key(arn.as_str()) && subjects.iter().any(|subject| subject.is_for(arn)))
        .collect();
    rows.extend(rows_of(run, more).await);

    let open: Vec<(String, ClusterRef)> = rows
        .iter()
        .filter_map(|(arn, rows)| Some((arn, rows.as_ref().ok()?)))
        .flat_map(|(arn, rows)| rows.iter().map(move |(at, read)| (arn, at, read)))
        .filter(|(arn, at, read)| {
            // An unfinished repair is finished whatever the settings exclude; other rows of excluded clusters are left.
            let is_archived = read.row().is_some_and(Row::is_archived_with_its_role);
            let is_reported = is_archived || matches!(read, RowRead::Invalid(_) | RowRead::Unfit(..));
            (read.open().is_some() || (is_reported && !scope.excludes(run, at)))
                && scope.admits(at)
                && !survey.is_blind_to(at)
                && !seen(&pass.found, arn, at)
        })
        .map(|(arn, at, _)| (arn.clone(), at.clone()))
        .collect();

    survey.ledger_unread = rows.values().find_map(|rows| rows.as_ref().err().cloned());

    let names: BTreeSet<String> = pass
        .found
        .iter()
        .map(Found::principal)
        .chain(open.iter().map(|(arn, _)| arn.as_str()))
        .filter_map(RoleArn::parse)
        .map(|arn| arn.name().to_owned())
        .filter(|name| !roles.contains_key(&name.to_ascii_lowercase()))
        .collect();
    roles.extend(roles::read_all(run, names).await);
    if !pass.found.is_empty() || !open.is_empty() {
        caught_up(run, subjects, &mut roles).await;
    }

    for found in pass.found {
        let principal = found.principal().to_owned();
        let row = row_of(&rows, &principal, &found.cluster.at);
        let sighting = sighting(run, &roles, principal, found.cluster.at.clone(), row);
        survey.sightings.push(Sighting { cluster: Some(found.cluster), entry: Some(found.examined), ..sighting });
    }
    for (principal, at) in open {
        match examine(run, &at, &principal).await {
            Ok((cluster, entry)) => {
                let row = row_of(&rows, &principal, &at);
                let sighting = sighting(run, &roles, principal, at, row);
                let sighting = Sighting { cluster, entry, ..sighting };
                let is_work = sighting.row.row().is_none_or(|row| row.archived().is_none());
                if is_work || (sighting.cluster.is_some() && sighting.is_archived()) {
                    survey.sightings.push(sighting);
                }
            }
            Err(fault) => survey.blind_spots.push(BlindSpot::of(&at.region, Some(&at.name), &fault)),
        }
    }
    Ok(survey)
}

/// Waits until IAM shows what the events of the roles' creation told: side by side, so that one event does not use up the
/// time of the others; events of one role after each other.
async fn caught_up(run: &Run<'_>, subjects: &[Subject], roles: &mut Roles) {
    let mut by_name: BTreeMap<String, Vec<&Subject>> = BTreeMap::new();
    for subject in subjects {
        by_name.entry(subject.name.to_ascii_lowercase()).or_default().push(subject);
    }
    let due: Vec<_> = by_name
        .into_iter()
        .filter_map(|(name, subjects)| roles.remove(&name).map(|seen| (name, subjects, seen)))
        .collect();
    let caught_up: Vec<_> = stream::iter(due)
        .map(|(name, subjects, mut seen)| async move {
            for subject in subjects {
                seen = roles::catch_up(run, subject, seen).await;
            }
            (name, seen)
        })
        .buffer_unordered(QUERIES_AT_ONCE)
        .collect()
        .await;
    roles.extend(caught_up);
}

/// What is known of an entry that a person named and that is not there: its cluster, its role and its row. Nothing, if
/// there is no such cluster.
pub async fn named_but_not_found(run: &Run<'_>, subject: &Subject, scope: &Scope, survey: &mut Survey) {
    let (Some(arn), Some(name)) = (&subject.arn, &scope.cluster) else { return };
    let regions = scope.regions(run).await.unwrap_or_default();
    let (role, role_read_at) = roles::read(run, arn.name()).await;
    for region in regions {
        let at = ClusterRef { region, name: name.clone() };
        let (seen, row) =
            futures::future::join(examine(run, &at, arn.as_str()), run.ledger().row(arn.as_str(), &at, run.now()))
                .await;
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
        survey.sightings.push(Sighting {
            at,
            cluster,
            principal_arn: arn.as_str().to_owned(),
            entry,
            row,
            role: role.clone().of(arn),
            role_read_at,
        });
        break;
    }
}

impl Found {
    fn principal(&self) -> &str {
        let Examined { entry, .. } = &self.examined;
        &entry.principal_arn
    }
}

fn seen(found: &[Found], principal: &str, at: &ClusterRef) -> bool {
    found.iter().any(|found| found.principal() == principal && found.cluster.at == *at)
}

async fn rows_of(run: &Run<'_>, arns: BTreeSet<RoleArn>) -> Rows {
    let (ledger, now) = (run.ledger(), run.now());
    stream::iter(arns)
        .map(|arn| async move {
            let rows = ledger.rows_of(&arn, now).await.map(|rows| rows.into_iter().collect());
            (arn.as_str().to_owned(), rows)
        })
        .buffer_unordered(QUERIES_AT_ONCE)
        .collect()
        .await
}

fn row_of(rows: &Rows, principal: &str, at: &ClusterRef) -> RowRead {
    match rows.get(principal) {
        Some(Ok(rows)) => rows.get(at).cloned().unwrap_or(RowRead::Absent),
        Some(Err(because)) => RowRead::Unavailable(because.clone()),
        None => RowRead::Absent,
    }
}

fn sighting(run: &Run<'_>, roles: &Roles, principal_arn: String, at: ClusterRef, row: RowRead) -> Sighting {
    let arn = RoleArn::parse(&principal_arn);
    let known = arn.as_ref().and_then(|arn| Some((arn, roles.get(&arn.name().to_ascii_lowercase())?)));
    let (role, role_read_at) = match known {
        Some((arn, (state, read_at))) => (state.clone().of(arn), *read_at),
        None => (RoleState::unread("it was not asked for"), run.now()),
    };
    Sighting { at, cluster: None, principal_arn, entry: None, row, role, role_read_at }
}
