//! What an invocation sets out to do: which entries to look for, where, and what may be done about them.

use futures::stream::{Stream, StreamExt as _};

use crate::app::{App, Run};
use crate::case::{Case, Purpose};
use crate::discovery::{self, Creation, Scope, SeenCluster, Sightings, Subject, Survey, reread_role};
use crate::error::Error;
use crate::event::{
    Authorized, BatchContent, BatchRecord, Command, Invocation, NotPermitted, RoleChange, RoleEvent, Trigger, authorize,
};
use crate::inventory;
use crate::model::RoleArn;
use crate::outcome::Doubt;
use crate::record;
use crate::report::Report;
use crate::row::RowKey;
use crate::sighting::Sighting;
use crate::verdict::{Verdict, judge};

/// Roles read again side by side.
const ROLES_AT_ONCE: usize = 8;

/// A trigger whose command, if it is one, may be used in this invocation.
pub(crate) enum Asked {
    /// Nothing that concerns this function.
    Ignored { reason: String },
    /// A look at the entries of one role.
    Role(RoleEvent),
    /// A look at the entries of several roles, which succeed or fail as a whole.
    Roles(Vec<RoleEvent>),
    /// A look at the entries of many roles; each record succeeds or fails by itself.
    Batch(Vec<BatchRecord>),
    /// A command, authorized.
    Command(Authorized),
}

impl Asked {
    /// Checks that a command may be used in this invocation.
    ///
    /// # Errors
    /// [`NotPermitted`].
    pub(crate) fn of(trigger: Trigger, invocation: &Invocation) -> Result<Self, NotPermitted> {
        Ok(match trigger {
            Trigger::Ignored { reason } => Self::Ignored { reason },
            Trigger::Role(event) => Self::Role(event),
            Trigger::Roles(events) => Self::Roles(events),
            Trigger::Batch(records) => Self::Batch(records),
            Trigger::Command(command) => Self::Command(authorize(command, invocation)?),
        })
    }

    /// The command, if it is one.
    pub(crate) fn command(&self) -> Option<&Authorized> {
        match self {
            Self::Command(command) => Some(command),
            _ => None,
        }
    }
}

/// What comes of a trigger.
pub(crate) enum Next {
    /// The answer: nothing is looked at.
    Answer(Box<Report>),
    /// A page of the ledger.
    List(inventory::Filter),
    /// A row of the ledger to delete.
    Forget { key: RowKey, even_open: bool, report: Box<Report> },
    /// Work on entries.
    Work(Box<Task>),
}

/// What an invocation sets out to do.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) report: Report,
    pub(crate) look_for: LookFor,
    pub(crate) scope: Scope,
    pub(crate) purpose: Purpose,
    /// The events that came with it, for the metric and the report.
    pub(crate) events: Vec<RoleEvent>,
    pub(crate) records: Vec<BatchRecord>,
    /// A person asked for exactly this entry: not finding it is a finding.
    pub(crate) named: bool,
}

/// What is looked for.
#[derive(Debug, PartialEq)]
pub(crate) enum LookFor {
    /// The entries of these roles.
    Roles(Vec<Subject>),
    /// All entries; for a sweep without another look at those that the ledger knows.
    All { trust_records: bool },
}

impl Task {
    /// What a trigger asks for.
    pub(crate) fn of(trigger: Asked, app: &App, invocation: &Invocation) -> Next {
        let mode = app.config.mode.as_str();
        let report = |trigger| Report::new(invocation, trigger, mode);
        match trigger {
            Asked::Ignored { reason } => Next::Answer(Box::new(report("ignored").because(Some(reason)))),
            Asked::Role(event) => {
                let trigger = match event.change {
                    RoleChange::Created { .. } => "roleCreated",
                    RoleChange::Deleted { .. } => "roleDeleted",
                };
                let report = report(trigger).of_event(event.event_id.clone());
                Next::Work(Box::new(Self::for_events(report, vec![event], Vec::new())))
            }
            Asked::Roles(events) => Next::Work(Box::new(Self::for_events(report("batch"), events, Vec::new()))),
            Asked::Batch(records) => {
                let events = records
                    .iter()
                    .filter_map(|record| match &record.content {
                        Ok(BatchContent::Role(event)) => Some(event.clone()),
                        _ => None,
                    })
                    .collect();
                Next::Work(Box::new(Self::for_events(report("batch"), events, records)))
            }
            Asked::Command(command) => {
                let trigger = if command.is_sweep() { "sweep" } else { "command" };
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

    fn for_command(command: Authorized, report: Report) -> Next {
        let command = command.into_command();
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

    /// Looks for it, and hands over what was found while it goes on.
    pub(crate) async fn survey(&self, run: &Run<'_>, sightings: Sightings) -> Result<Survey, Error> {
        let sightings = &sightings;
        let mut survey = match &self.look_for {
            LookFor::Roles(subjects) if subjects.is_empty() => Survey::default(),
            LookFor::Roles(subjects) => discovery::survey(run, subjects, &self.scope, sightings).await?,
            LookFor::All { trust_records } => {
                let keep = async |seen: SeenCluster| record::keep_what_needs_attention(run, seen, *trust_records).await;
                discovery::survey_all(run, &self.scope, *trust_records, keep, sightings).await?
            }
        };
        if let (LookFor::Roles(subjects), true) = (&self.look_for, self.named)
            && survey.clusters > 0
            && survey.found == 0
            && survey.blind_spots.is_empty()
        {
            let (scope, survey) = (&self.scope, &mut survey);
            Box::pin(discovery::named_but_not_found(run, &subjects[0], scope, survey, sightings)).await;
        }
        Ok(survey)
    }

    /// Judges what is found, as it comes.
    pub(crate) fn judge(&self, run: &Run<'_>, sightings: impl Stream<Item = Sighting>) -> impl Stream<Item = Case> {
        let from_list = matches!(self.look_for, LookFor::All { .. });
        sightings.map(move |sighting| judge_one(run, sighting, from_list)).buffer_unordered(ROLES_AT_ONCE)
    }
}

async fn judge_one(run: &Run<'_>, mut sighting: Sighting, from_list: bool) -> Case {
    let home = &run.invocation.home;
    let verdict = judge(&sighting, home);
    // `ListRoles` may be stale. Read the role again before changing an entry or calling its role deleted.
    let is_safe = matches!(
        verdict,
        Verdict::Fresh(_)
            | Verdict::Undecided(
                Doubt::OtherAccount | Doubt::IamUser | Doubt::ServiceLinkedRole { .. } | Doubt::NotAPrincipal
            )
    );
    // The role of an archived entry is named to a person; nothing is changed for it.
    if from_list && !is_safe && !sighting.is_archived() {
        reread_role(run, &mut sighting).await;
        let verdict = judge(&sighting, home);
        return Case::new(sighting, verdict);
    }
    Case::new(sighting, verdict)
}

impl LookFor {
    /// Whether a command named this principal.
    pub(crate) fn names(&self, principal: &str) -> bool {
        match self {
            Self::Roles(subjects) => {
                subjects.iter().any(|subject| subject.arn.as_ref().is_some_and(|arn| arn.as_str() == principal))
            }
            Self::All { .. } => false,
        }
    }
}

impl Task {
    /// That the cluster which a command names does not exist, if it is so: nothing hid it, and the ledger knows of no
    /// repair in it.
    pub(crate) fn no_such_cluster(&self, survey: &Survey) -> Option<String> {
        let name = self.scope.cluster.as_ref()?;
        let is_seen = survey.clusters > 0 || survey.found > 0 || !survey.blind_spots.is_empty();
        if is_seen || survey.roles_unlisted.is_some() {
            return None;
        }
        let where_to = match &self.scope.region {
            Some(region) => format!("in {region}"),
            None => format!("in the {} Regions of the setting REGIONS", survey.regions),
        };
        Some(format!(
            "there is no EKS cluster {name} {where_to}; check the name and the Region (a connected cluster has no access \
             entries)"
        ))
    }
}

fn role(arn: &RoleArn) -> LookFor {
    LookFor::Roles(vec![Subject { name: arn.name().to_owned(), arn: Some(arn.clone()), created: None }])
}

/// The role that an event is about.
pub(crate) fn subject_of(event: &RoleEvent) -> Subject {
    match &event.change {
        RoleChange::Created { arn, role_id } => Subject {
            name: arn.name().to_owned(),
            arn: Some(arn.clone()),
            created: Some(Creation { role_id: role_id.clone(), at: event.event_time }),
        },
        RoleChange::Deleted { role_name } => Subject { name: role_name.clone(), arn: None, created: None },
    }
}
