//! The table of contents: classify, survey, judge, repair, report. Every trigger takes the same path; what differs is
//! which roles are looked for, and what may be done.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use time::OffsetDateTime;

use crate::app::{App, Run};
use crate::case::{Case, Purpose};
use crate::discovery::{self, BlindSpot, Creation, Scope, Subject, Survey, reread_role};
use crate::error::Error;
use crate::event::{
    BatchContent, BatchRecord, Command, Invocation, InvokedAs, RoleChange, RoleEvent, Trigger, authorize, classify,
};
use crate::forget::forget;
use crate::inventory;
use crate::ledger::stored::RowKey;
use crate::metrics;
use crate::model::ClusterRef;
use crate::outcome::{Outcome, Reason};
use crate::repair::{self, attend};
use crate::report::{self, Report};
use crate::verdict::{Verdict, judge};

/// Until which delivery a record is asked for again because of a blind spot that may pass.
const DELIVERIES_FOR_BLIND_SPOTS: u32 = 3;

/// What is left for the metrics when all other time is used up; the log lines come after them.
const TIME_FOR_METRICS: Duration = Duration::from_millis(1500);

/// The longest that the metrics may take in any case.
const LONGEST_FOR_METRICS: Duration = Duration::from_secs(20);

/// Roles read again side by side.
const ROLES_AT_ONCE: usize = 8;

/// What Lambda says about an invocation.
#[derive(Debug, Clone)]
pub struct Call {
    /// The invoked function's ARN, with its qualifier.
    pub function_arn: String,
    /// Lambda's ID of the request.
    pub request_id: String,
    /// When Lambda ends it.
    pub deadline: OffsetDateTime,
}

/// Answers one invocation.
///
/// # Errors
/// An [`Error`] where the payload cannot be followed, or a retry has something left to do; the report and the metrics
/// are published before.
pub async fn handle(app: &App, payload: &Value, call: Call) -> Result<Value, Error> {
    let started = app.now();
    let invocation = Invocation::new(call.function_arn, call.request_id)
        .map_err(|error| Error::UnreadableFunctionArn(error.to_string()))?;
    let trigger = classify(payload, &invocation)?;
    if let Trigger::Command(command) = &trigger {
        authorize(command, &invocation)?;
    }
    let is_sweep = matches!(&trigger, Trigger::Command(Command::Sweep { .. }));
    let owner = format!("{:032x}", fastrand::u128(..));
    let claimed_by = match &trigger {
        Trigger::Command(command) => command.claimed_by().map(|claim| claim.as_str().to_owned()),
        _ => None,
    };
    let run = Run::new(app, &invocation, call.deadline, owner, is_sweep).claimed_by(claimed_by.as_deref());
    let plan = match Plan::of(trigger, app, &invocation) {
        Next::Answer(report) => {
            report.log_lines().iter().for_each(|line| app.log_line(line));
            return Ok(report.to_value());
        }
        Next::List(filter) => return Box::pin(inventory::list(&run, filter)).await,
        Next::Forget { key, even_open, report } => {
            return Box::pin(forget(&run, &key, even_open, report.claimed_by(claimed_by))).await;
        }
        Next::Work(plan) => *plan,
    };

    let survey = Box::pin(plan.survey(&run)).await?;
    let cases = plan.judge(&run, &survey).await;
    let cases = Box::pin(attend(&run, cases, &plan.purpose)).await;
    Box::pin(publish(&run, plan, survey, cases, started)).await
}

enum Next {
    Answer(Box<Report>),
    List(inventory::Filter),
    Forget { key: RowKey, even_open: bool, report: Box<Report> },
    Work(Box<Plan>),
}

/// What an invocation sets out to do.
#[derive(Debug)]
struct Plan {
    report: Report,
    look_for: LookFor,
    scope: Scope,
    purpose: Purpose,
    /// The events that came with it, for the metric and the report.
    events: Vec<RoleEvent>,
    records: Vec<BatchRecord>,
    /// A person asked for exactly this entry: not finding it is a finding.
    named: bool,
}

#[derive(Debug, PartialEq)]
enum LookFor {
    Roles(Vec<Subject>),
    All { trust_records: bool },
}

impl Plan {
    fn of(trigger: Trigger, app: &App, invocation: &Invocation) -> Next {
        let mode = app.config.mode.as_str();
        let report = |trigger| Report::new(invocation, trigger, mode);
        match trigger {
            Trigger::Ignored { reason } => Next::Answer(Box::new(report("ignored").because(Some(reason)))),
            Trigger::Role(event) => {
                let trigger = match event.change {
                    RoleChange::Created { .. } => "roleCreated",
                    RoleChange::Deleted { .. } => "roleDeleted",
                };
                let report = report(trigger).of_event(event.event_id.clone());
                Next::Work(Box::new(Self::for_events(report, vec![event], Vec::new())))
            }
            Trigger::Roles(events) => Next::Work(Box::new(Self::for_events(report("batch"), events, Vec::new()))),
            Trigger::Batch(records) => {
                let events = records
                    .iter()
                    .filter_map(|record| match &record.content {
                        Ok(BatchContent::Role(event)) => Some(event.clone()),
                        _ => None,
                    })
                    .collect();
                Next::Work(Box::new(Self::for_events(report("batch"), events, records)))
            }
            Trigger::Command(command) => {
                let trigger = if matches!(command, Command::Sweep { .. }) { "sweep" } else { "command" };
                Self::for_command(command, report(trigger))
            }
        }
    }

    fn for_events(report: Report, events: Vec<RoleEvent>, records: Vec<BatchRecord>) -> Self {
        let mut subjects: Vec<Subject> = Vec::new();
        for event in &events {
            let subject = subject_of(event);
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        let creators = events
            .iter()
            .filter_map(|event| match (&event.creator, &event.change) {
                (Some(creator), RoleChange::Created { role_id: Some(id), .. }) => Some((creator.clone(), id.clone())),
                _ => None,
            })
            .collect();
        let look_for = LookFor::Roles(subjects);
        let purpose = Purpose::Act { creators };
        Self { report, look_for, scope: Scope::default(), purpose, events, records, named: false }
    }

    fn for_command(command: Command, report: Report) -> Next {
        let report = report.of_command(command.name());
        let act = || Purpose::Act { creators: Vec::new() };
        let (look_for, scope, purpose) = match command {
            Command::Inventory { principal, cluster_name: cluster, region, next_token } => {
                return Next::List(inventory::Filter { principal, cluster, region, next_token });
            }
            Command::Check { principal, cluster_name: cluster, region } => {
                let look_for = principal.map_or(LookFor::All { trust_records: false }, |arn| role(&arn));
                (look_for, Scope { region, cluster }, Purpose::Check)
            }
            Command::Sweep { cluster_name: cluster, region } => {
                (LookFor::All { trust_records: true }, Scope { region, cluster }, act())
            }
            Command::Repair { principal, cluster_name: cluster, region } => {
                (role(&principal), Scope { region, cluster }, act())
            }
            Command::Forget { key, even_open, .. } => {
                return Next::Forget { key, even_open, report: Box::new(report) };
            }
            Command::Approve { principal, cluster, role_id, .. } => (
                role(&principal),
                Scope { region: Some(cluster.region), cluster: Some(cluster.name) },
                Purpose::Approve { role_id },
            ),
            Command::Restore { principal, cluster, role_id, .. } => (
                role(&principal),
                Scope { region: Some(cluster.region), cluster: Some(cluster.name) },
                Purpose::Restore { role_id },
            ),
        };
        let named = scope.cluster.is_some() && matches!(look_for, LookFor::Roles(_));
        let (events, records) = (Vec::new(), Vec::new());
        Next::Work(Box::new(Self { report, look_for, scope, purpose, events, records, named }))
    }

    async fn survey(&self, run: &Run<'_>) -> Result<Survey, Error> {
        let mut survey = match &self.look_for {
            LookFor::Roles(subjects) if subjects.is_empty() => Survey::default(),
            LookFor::Roles(subjects) => discovery::survey(run, subjects, &self.scope).await?,
            LookFor::All { trust_records } => {
                let put_away = async |sightings| repair::record_and_drop(run, sightings).await;
                discovery::survey_all(run, &self.scope, *trust_records, put_away).await?
            }
        };
        if let (LookFor::Roles(subjects), true) = (&self.look_for, self.named)
            && survey.clusters > 0
            && survey.sightings.is_empty()
            && survey.blind_spots.is_empty()
        {
            Box::pin(discovery::named_but_not_found(run, &subjects[0], &self.scope, &mut survey)).await;
        }
        Ok(survey)
    }

    async fn judge(&self, run: &Run<'_>, survey: &Survey) -> Vec<Case> {
        let home = &run.invocation.home;
        let from_list = matches!(self.look_for, LookFor::All { .. });
        stream::iter(survey.sightings.clone())
            .map(|mut sighting| async move {
                let verdict = judge(&sighting, home);
                // A list of roles is no ground for a change, nor for calling one gone.
                let is_safe = matches!(
                    verdict,
                    Verdict::Fresh(_)
                        | Verdict::Undecided(
                            Reason::OtherAccount
                                | Reason::IamUser
                                | Reason::ServiceLinkedRole { .. }
                                | Reason::NotAPrincipal
                        )
                );
                // The role of an archived entry is named to a person; nothing is changed for it.
                if from_list && !is_safe && !sighting.is_archived() {
                    reread_role(run, &mut sighting).await;
                    let verdict = judge(&sighting, home);
                    return Case::new(sighting, verdict);
                }
                Case::new(sighting, verdict)
            })
            .buffered(ROLES_AT_ONCE)
            .collect()
            .await
    }
}

impl LookFor {
    fn names(&self, principal: &str) -> bool {
        match self {
            Self::Roles(subjects) => {
                subjects.iter().any(|subject| subject.arn.as_ref().is_some_and(|arn| arn.as_str() == principal))
            }
            Self::All { .. } => false,
        }
    }
}

impl Plan {
    /// That the cluster which a command names does not exist, if it is so: nothing hid it, and the ledger knows of no
    /// repair in it.
    fn no_such_cluster(&self, survey: &Survey) -> Option<String> {
        let name = self.scope.cluster.as_ref()?;
        let is_seen = survey.clusters > 0 || !survey.sightings.is_empty() || !survey.blind_spots.is_empty();
        if is_seen || survey.roles_unlisted.is_some() {
            return None;
        }
        let where_to = match &self.scope.region {
            Some(region) => format!("in {region}"),
            None => format!("in the {} Regions of the setting REGIONS", survey.regions),
        };
        Some(format!(
            "there is no EKS cluster {name} {where_to}, so nothing was looked at; check the name and the Region (a \
             connected cluster has no access entries)"
        ))
    }
}

fn role(arn: &crate::model::RoleArn) -> LookFor {
    LookFor::Roles(vec![Subject { name: arn.name().to_owned(), arn: Some(arn.clone()), created: None }])
}

fn subject_of(event: &RoleEvent) -> Subject {
    match &event.change {
        RoleChange::Created { arn, role_id } => Subject {
            name: arn.name().to_owned(),
            arn: Some(arn.clone()),
            created: Some(Creation { role_id: role_id.clone(), at: event.event_time }),
        },
        RoleChange::Deleted { role_name } => Subject { name: role_name.clone(), arn: None, created: None },
    }
}

async fn publish(
    run: &Run<'_>,
    plan: Plan,
    survey: Survey,
    cases: Vec<Case>,
    started: OffsetDateTime,
) -> Result<Value, Error> {
    let app = run.app;
    let received = if run.invocation.invoked_as == InvokedAs::Events { plan.events.len() } else { 0 };
    let mut data = metrics::of_invocation(&cases, survey.blind_spots.len(), received, run.is_sweep);
    let waiting = metrics::waiting(&cases);
    let may_pass = survey.blind_spots.iter().any(BlindSpot::may_pass);
    let saw_everything = survey.not_reached == 0 && !may_pass && survey.roles_unlisted.is_none();
    // A sweep that did not see everything can switch an alarm on, not off.
    let is_of_everything = run.is_sweep && plan.scope == Scope::default() && saw_everything;
    if is_of_everything || (waiting > 0 && plan.purpose != Purpose::Check) {
        data.push(metrics::of_waiting(waiting));
    }
    for at in &survey.known_fresh_in {
        if !cases.iter().any(|case| case.sighting.at == *at) {
            data.push(metrics::of_cluster(at, 0));
        }
    }
    if run.is_sweep {
        let silent = match survey.roles_unlisted {
            Some(_) => None,
            None => is_event_path_silent(run, survey.roles_created_lately).await,
        };
        data.extend(metrics::of_sweep(&cases, survey.not_reached, saw_nothing(&survey, &cases), silent));
    }
    if survey.regions > 0 {
        let namespace = &app.config.metric_namespace;
        let put = app.aws.put_metric_data(namespace, run.now(), &data);
        let time = run.until(run.deadline) + TIME_FOR_METRICS;
        let put = tokio::time::timeout(time.min(LONGEST_FOR_METRICS), put).await;
        if let Some(problem) = put.map_or_else(|_| Some("no answer".to_owned()), |put| put.err().map(|f| f.to_string()))
        {
            tracing::warn!(error = problem, "metrics go out in the log instead");
            for line in &metrics::embedded(namespace, run.now(), &data) {
                app.log_line(line);
            }
        }
    }
    let failures = failed_records(&plan, &survey, &cases);
    let verdict_on_all = incomplete(&plan, &survey, &cases, run.is_sweep);
    let creators: Vec<(&str, &str)> = plan.events.iter().filter_map(created_by).collect();
    let examined = cases.len() + survey.known_fresh;
    let shown = if run.is_sweep {
        cases
            .into_iter()
            .filter(|case| {
                !matches!(case.verdict, Verdict::Fresh(_)) || case.outcome != Outcome::nothing() || case.note.is_some()
            })
            .collect()
    } else {
        cases
    };
    let millis = u64::try_from((run.now() - started).whole_milliseconds()).unwrap_or_default();
    let no_such_cluster = plan.no_such_cluster(&survey);
    let claimed = |cluster: &ClusterRef, principal: &str| plan.scope.admits(cluster) && plan.look_for.names(principal);
    let report = plan
        .report
        .because(no_such_cluster)
        .having_seen(&survey, examined)
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

fn created_by(event: &RoleEvent) -> Option<(&str, &str)> {
    match (&event.change, &event.created_by) {
        (RoleChange::Created { role_id: Some(id), .. }, Some(arn)) => Some((&id.0, arn)),
        _ => None,
    }
}

/// Why the invocation has to be retried, if so. A batch tells its records instead, and a sweep comes again by itself.
fn incomplete(plan: &Plan, survey: &Survey, cases: &[Case], is_sweep: bool) -> Option<String> {
    if survey.roles_unlisted.is_some() {
        return survey.roles_unlisted.clone();
    }
    if is_sweep {
        return saw_nothing(survey, cases).then(|| format!("The sweep could examine nothing: {}", spots(survey)));
    }
    if !plan.records.is_empty() {
        return None;
    }
    let open: Vec<String> = cases
        .iter()
        .filter(|case| case.outcome.is_incomplete())
        .map(|case| {
            let reason = case.outcome.reason().map_or("", Reason::label);
            let Case { sighting, outcome, .. } = case;
            format!("{} in {}: {} ({reason})", sighting.principal_arn, sighting.at, outcome.label())
        })
        .collect();
    let passing = survey.blind_spots.iter().any(BlindSpot::may_pass);
    let unread = survey.ledger_unread.as_ref().filter(|_| plan.purpose != Purpose::Check);
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
fn failed_records(plan: &Plan, survey: &Survey, cases: &[Case]) -> Vec<String> {
    let passing = survey.blind_spots.iter().any(BlindSpot::may_pass);
    let failed = |record: &&BatchRecord| match &record.content {
        Err(_) => true,
        Ok(BatchContent::Ignored { .. }) => false,
        Ok(BatchContent::Role(event)) => {
            let name = subject_of(event).name;
            let is_its = |case: &&Case| {
                crate::model::RoleArn::parse(&case.sighting.principal_arn)
                    .is_some_and(|arn| arn.name().eq_ignore_ascii_case(&name))
            };
            cases.iter().filter(is_its).any(|case| case.outcome.is_incomplete())
                || survey.ledger_unread.is_some()
                || (passing && record.receive_count <= DELIVERIES_FOR_BLIND_SPOTS)
        }
    };
    plan.records.iter().filter(failed).map(|record| record.message_id.clone()).collect()
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
            tracing::warn!(error = %fault, "whether events arrive could not be told");
            None
        }
    }
}
