//! The end of an invocation: metrics, report, log lines, and whether a retry has something left to do.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::app::Run;
use crate::blind_spot::BlindSpot;
use crate::case::{Case, Purpose};
use crate::discovery::{Scope, Survey};
use crate::error::Error;
use crate::event::{BatchContent, BatchRecord, InvokedAs, RoleChange, RoleEvent};
use crate::metrics::{self, Swept};
use crate::model::ClusterRef;
use crate::outcome::Outcome;
use crate::report::{self, Seen};
use crate::task::{Task, subject_of};
use crate::verdict::Verdict;

/// Until which delivery a record is asked for again because of a blind spot that may pass.
const DELIVERIES_FOR_BLIND_SPOTS: u32 = 3;

/// What is left for the metrics when all other time is used up; the log lines come after them.
const TIME_FOR_METRICS: Duration = Duration::from_millis(1500);

/// The longest that the metrics may take in any case.
const LONGEST_FOR_METRICS: Duration = Duration::from_secs(20);

/// Publishes the metrics, writes the report to the log, and answers.
///
/// # Errors
/// [`Error::RepairIncomplete`] if a retry has something left to do.
pub(crate) async fn conclude(
    run: &Run<'_>,
    task: Task,
    survey: Survey,
    cases: Vec<Case>,
    started: OffsetDateTime,
) -> Result<Value, Error> {
    let app = run.app;
    let received = if run.invocation.invoked_as == InvokedAs::Events { task.events.len() } else { 0 };
    let mut data = metrics::of_invocation(&cases, survey.blind_spots.len(), received, run.is_sweep);
    let waiting = metrics::waiting(&cases);
    let may_pass = survey.blind_spots.iter().any(BlindSpot::may_pass);
    let saw_everything = survey.not_reached == 0 && !may_pass && survey.roles_unlisted.is_none();
    let is_of_everything = run.is_sweep && task.scope == Scope::default();
    if (is_of_everything && saw_everything) || (waiting > 0 && task.purpose != Purpose::Check) {
        data.push(metrics::of_waiting(waiting));
    }
    for at in &survey.known_fresh_in {
        if !cases.iter().any(|case| case.sighting.at == *at) {
            data.push(metrics::of_cluster(at, 0));
        }
    }
    if is_of_everything {
        let is_event_path_silent = match survey.roles_unlisted {
            Some(_) => None,
            None => is_event_path_silent(run, survey.roles_created_lately).await,
        };
        let swept = Swept {
            not_reached: survey.not_reached,
            lasting_blind_spots: survey.blind_spots.iter().filter(|spot| !spot.may_pass()).count(),
            saw_everything,
            saw_nothing: saw_nothing(&survey, &cases),
            is_event_path_silent,
        };
        data.extend(metrics::of_sweep(&cases, swept));
    }
    if survey.regions > 0 {
        let namespace = &app.config.metric_namespace;
        let put = app.aws.put_metric_data(namespace, run.now(), &data);
        let time = run.until(run.deadline) + TIME_FOR_METRICS;
        let put = tokio::time::timeout(time.min(LONGEST_FOR_METRICS), put).await;
        if let Some(problem) = put.map_or_else(|_| Some("no answer".to_owned()), |put| put.err().map(|f| f.to_string()))
        {
            tracing::warn!(error = problem, "the metrics could not be published; they are in the log instead");
            for line in &metrics::embedded(namespace, run.now(), &data) {
                app.log_line(line);
            }
        }
    }
    let failures = failed_records(&task, &survey, &cases);
    let verdict_on_all = incomplete(&task, &survey, &cases, run.is_sweep);
    let creators: Vec<(&str, &str)> = task.events.iter().filter_map(created_by).collect();
    let examined = cases.len() + survey.known_fresh;
    let shown = if run.is_sweep {
        cases
            .into_iter()
            .filter(|case| {
                !matches!(case.verdict, Verdict::Fresh(_)) || case.outcome != Outcome::None || case.note.is_some()
            })
            .collect()
    } else {
        cases
    };
    let millis = u64::try_from((run.now() - started).whole_milliseconds()).unwrap_or_default();
    let no_such_cluster = task.no_such_cluster(&survey);
    let claimed = |cluster: &ClusterRef, principal: &str| task.scope.admits(cluster) && task.look_for.names(principal);
    let report = task
        .report
        .because(no_such_cluster)
        .having_seen(seen(&survey, examined))
        .with_cases(shown, run.invocation, &creators)
        .with_claim(&claimed, run.claimed_by.as_deref())
        .with_blind_spots(&survey.blind_spots)
        .with_batch_item_failures(failures)
        .with_metrics(&data)
        .having_taken(millis)
        .within(match run.invocation.invoked_as {
            InvokedAs::Events => app.config.max_report_bytes,
            InvokedAs::Approve | InvokedAs::Plain => report::MOST_BYTES,
        });
    report.log_lines().iter().for_each(|line| app.log_line(line));
    match verdict_on_all {
        Some(summary) => Err(Error::RepairIncomplete(summary)),
        None => Ok(report.to_value()),
    }
}

fn seen(survey: &Survey, entries: usize) -> Seen {
    Seen {
        regions: survey.regions,
        clusters: survey.clusters,
        clusters_excluded: survey.clusters_excluded,
        entries,
        not_reached: survey.not_reached,
    }
}

fn created_by(event: &RoleEvent) -> Option<(&str, &str)> {
    match (&event.change, &event.created_by) {
        (RoleChange::Created { role_id: Some(id), .. }, Some(arn)) => Some((&id.0, arn)),
        _ => None,
    }
}

/// Why the invocation has to be retried, if so. A batch tells its records instead, and a sweep comes again by itself.
fn incomplete(task: &Task, survey: &Survey, cases: &[Case], is_sweep: bool) -> Option<String> {
    if survey.roles_unlisted.is_some() {
        return survey.roles_unlisted.clone();
    }
    if is_sweep {
        return saw_nothing(survey, cases).then(|| format!("The sweep could examine nothing: {}", spots(survey)));
    }
    if !task.records.is_empty() {
        return None;
    }
    let open: Vec<String> = cases
        .iter()
        .filter(|case| case.outcome.is_incomplete())
        .map(|case| {
            let reason = case.outcome.reason().unwrap_or_default();
            let Case { sighting, outcome, .. } = case;
            format!("{} in {}: {} ({reason})", sighting.principal, sighting.at, outcome.label())
        })
        .collect();
    let passing = survey.blind_spots.iter().any(BlindSpot::may_pass);
    let unread = survey.ledger_unread.as_ref().filter(|_| task.purpose != Purpose::Check);
    if open.is_empty() && !passing && unread.is_none() {
        return None;
    }
    let unread = unread.map(|because| format!("the ledger could not be read: ledgerUnavailable ({because})"));
    let mut summary = open.into_iter().chain(unread).collect::<Vec<_>>().join("; ");
    if passing {
        if !summary.is_empty() {
            summary.push_str("; ");
        }
        summary.push_str(&spots(survey));
    }
    summary.truncate(summary.floor_char_boundary(2000));
    Some(summary)
}

/// Whether a sweep could examine nothing at all.
fn saw_nothing(survey: &Survey, cases: &[Case]) -> bool {
    let was_blind = !survey.blind_spots.is_empty() || survey.roles_unlisted.is_some();
    survey.clusters_seen == 0 && cases.is_empty() && was_blind
}

fn spots(survey: &Survey) -> String {
    let named = survey.blind_spots.iter().take(5).map(|spot| format!("{} {}", spot.region, spot.label()));
    format!("{} blind spots ({})", survey.blind_spots.len(), named.collect::<Vec<_>>().join(", "))
}

/// The records of a batch that are to be delivered again.
fn failed_records(task: &Task, survey: &Survey, cases: &[Case]) -> Vec<String> {
    let passing = survey.blind_spots.iter().any(BlindSpot::may_pass);
    let failed = |record: &&BatchRecord| match &record.content {
        Err(_) => true,
        Ok(BatchContent::Ignored { .. }) => false,
        Ok(BatchContent::Role(event)) => {
            let name = subject_of(event).name;
            let is_its =
                |case: &&Case| case.sighting.principal.role().is_some_and(|arn| arn.name().eq_ignore_ascii_case(&name));
            cases.iter().filter(is_its).any(|case| case.outcome.is_incomplete())
                || survey.ledger_unread.is_some()
                || (passing && record.receive_count <= DELIVERIES_FOR_BLIND_SPOTS)
        }
    };
    task.records.iter().filter(failed).map(|record| record.message_id.clone()).collect()
}

/// Whether roles were created and no event of it arrived within a day. `None` where that could not be asked.
async fn is_event_path_silent(run: &Run<'_>, created: usize) -> Option<bool> {
    if created == 0 {
        return Some(false);
    }
    let (namespace, now) = (&run.config().metric_namespace, run.now());
    match run.app.aws.metric_sum(namespace, metrics::EVENTS_RECEIVED, now - time::Duration::days(1), now).await {
        Ok(sum) => Some(sum == 0.0),
        Err(fault) => {
            tracing::warn!(error = %fault, "the function could not find out whether events arrive");
            None
        }
    }
}
