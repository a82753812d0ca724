//! `approve` and `restore`: what a person has to see before a role gets access, and the question.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use access_entry_guard::aws::cloudtrail::Lookup;
use access_entry_guard::aws::eks::Entries;
use access_entry_guard::commands::EntrySeen;
use access_entry_guard::deployed::{Answer, Word};
use access_entry_guard::event::{RoleChange, read_recorded};
use access_entry_guard::fault::Fault;
use access_entry_guard::model::{ClusterRef, Region, Role, RoleArn, RoleState, Snapshot};
use access_entry_guard::row::form::rfc3339;
use serde_json::Value;
use time::OffsetDateTime;

use super::arguments::Release;
use super::{Guard, Payload, format_of, inventory};
use crate::output::shown;
use crate::session::Session;
use crate::stop::Stop;

/// How far from the role's date its event is looked for.
const AROUND: time::Duration = time::Duration::minutes(2);

/// So long a person waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shows, asks, releases, and gives the exit status.
pub(super) async fn run(session: &Session, word: Word, arguments: Release) -> Result<u8, Stop> {
    let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !arguments.yes;
    if !is_asked && arguments.role_id.is_none() {
        return Err(Stop(format!(
            "without a terminal, {} cannot ask for confirmation; give --role-id, the unique ID of the role that you \
             checked (aws iam get-role)",
            word.name()
        )));
    }
    let (guard, format) = (Guard::find(session, &arguments.which)?, format_of(arguments.output)?);
    let arn = guard.role(&arguments.role).await?;
    let region = guard.region(Some(&arguments.region)).await?.map(Region).unwrap_or(Region(arguments.region));
    let cluster = ClusterRef { region, name: arguments.cluster };
    let role = present(session, &arn).await?;
    if let Some(seen) = arguments.role_id.as_ref().filter(|seen| **seen != role.id.0) {
        return Err(Stop(format!(
            "role {} has the ID {}, not {seen}, so it is not the role that you checked; find out who created the \
             present role, then give its ID",
            arn.name(),
            role.id
        )));
    }
    if is_asked {
        eprint!("{}", preview(&guard, word, &cluster, &role).await);
        if !is_confirmed()? {
            eprintln!("Nothing was done.");
            return Ok(1);
        }
    }
    let mut payload = Payload::of(word);
    payload.set("principalArn", Some(arn.as_str().to_owned()));
    payload.set("clusterName", Some(cluster.name));
    payload.set("region", Some(cluster.region.0));
    payload.set("roleId", Some(role.id.0));
    payload.set("claimedBy", Some(session.caller.arn.clone()));
    guard.ask(word, payload, format, &[]).await
}

/// The role as IAM shows it now. What cannot be read is not released.
async fn present(session: &Session, arn: &RoleArn) -> Result<Role, Stop> {
    match session.reads.get_role(arn.name()).await {
        RoleState::Present(role) if role.arn == *arn => Ok(role),
        RoleState::Present(role) => Err(Stop(format!("the role of this name is {}, not {arn}", role.arn))),
        RoleState::Absent => Err(Stop(format!("there is no role {arn}, so there is nothing to release"))),
        RoleState::Unreadable(fault) => Err(Stop(format!(
            "the role could not be read ({fault}), so its ID cannot be compared; allow iam:GetRole for these credentials"
        ))),
    }
}

/// Who would get what.
async fn preview(guard: &Guard<'_>, word: Word, cluster: &ClusterRef, role: &Role) -> String {
    let mut text = String::new();
    let age = (OffsetDateTime::now_utc() - role.created_at).whole_days();
    let _ = writeln!(text, "The role:  {}", shown(role.arn.as_str()));
    let _ =
        writeln!(text, "           ID {}, created {} ({age} days ago)", shown(&role.id.0), rfc3339(role.created_at));
    let _ = writeln!(text, "  Who may assume it: {}", shown(&role.trust_in_one_line()));
    let who = match creator(guard.session, role).await {
        Some(arn) => shown(&arn),
        None => format!(
            "CloudTrail does not show it here. To look it up, run: {}",
            EntrySeen { cluster, principal: &role.arn, entry_arn: None }.creators()
        ),
    };
    let _ = writeln!(text, "  Who created it:    {who}");
    let entry = match word {
        Word::Restore => in_the_ledger(guard, cluster, &role.arn).await,
        _ => in_the_cluster(guard, cluster, &role.arn).await,
    };
    let _ = writeln!(text, "The entry: in cluster {}, {}", shown(&cluster.name), cluster.region);
    let _ = writeln!(text, "{entry}");
    let what = match word {
        Word::Restore => "Create the entry from the ledger for this role?",
        _ => "Let this role have what the entry grants?",
    };
    let _ = write!(text, "{what} [y/N] ");
    text
}

/// Who created this very role, if CloudTrail's event history shows it soon. A hint for the person who decides, and nothing else.
async fn creator(session: &Session, role: &Role) -> Option<String> {
    let home = &session.caller.home;
    let history = session.reads.event_history(&home.region_of_iam_events());
    let (since, until) = (role.created_at - AROUND, role.created_at + AROUND);
    let lookup = Lookup { event_name: "CreateRole", since, until };
    let page = tokio::time::timeout(PATIENCE, history.look_up(lookup, None)).await.ok()?.ok()?;
    let records = page.records.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
    records.filter_map(|record| read_recorded(&record, home)).find_map(|event| match event.change {
        RoleChange::Created { role_id: Some(id), .. } if id == role.id => event.created_by,
        _ => None,
    })
}

/// The entry that stands, and what it grants; of an unfinished repair the ledger has it.
async fn in_the_cluster(guard: &Guard<'_>, cluster: &ClusterRef, role: &RoleArn) -> String {
    match entry(guard.session, cluster, role).await {
        Ok(Some(snapshot)) => format!(
            "           type {}, created {}\n  It grants: {}",
            shown(snapshot.kind.as_str()),
            rfc3339(snapshot.created_at),
            shown(&snapshot.grants())
        ),
        Ok(None) => format!("           the cluster has none\n{}", in_the_ledger(guard, cluster, role).await),
        Err(fault) => format!("           it could not be read ({})", shown(&fault.to_string())),
    }
}

async fn entry(session: &Session, cluster: &ClusterRef, role: &RoleArn) -> Result<Option<Snapshot>, Fault> {
    let eks = session.reads.eks(&cluster.region, 1);
    let Entries::Known(Some(entry)) = eks.describe_access_entry(&cluster.name, role.as_str()).await? else {
        return Ok(None);
    };
    let policies = eks.list_associated_access_policies(&cluster.name, role.as_str(), &entry.kind).await?;
    Ok(Some(Snapshot::of(&entry, policies)))
}

/// The row that the entry would be created from, as the function shows it.
async fn in_the_ledger(guard: &Guard<'_>, cluster: &ClusterRef, role: &RoleArn) -> String {
    let mut payload = Payload::of(Word::Inventory);
    payload.set("principalArn", Some(role.as_str().to_owned()));
    payload.set("clusterName", Some(cluster.name.clone()));
    payload.set("region", Some(cluster.region.0.clone()));
    let answer = match guard.send(Word::Inventory, payload.bytes()).await {
        Ok(reply) => Answer::read(Word::Inventory, &reply.payload, reply.is_error),
        Err(Stop(why)) => return format!("           the ledger's row could not be shown: {}", shown(&why)),
    };
    let text = |row: &Value, name: &str| shown(row[name].as_str().unwrap_or_default());
    match &answer {
        Answer::Report(page) => match page["inventory"].as_array().and_then(|rows| rows.first()) {
            Some(row) => format!(
                "           type {}, {} in the ledger\n  It grants: {}",
                text(row, "type"),
                text(row, "state"),
                shown(&inventory::grants(row))
            ),
            None => "           the ledger has no row for this entry".to_owned(),
        },
        Answer::Failed(error) => {
            format!("           the ledger's row could not be shown: {}", shown(&error.to_string()))
        }
        Answer::Foreign => "           the ledger's row could not be shown".to_owned(),
    }
}

/// Whether the person says yes; anything else is no.
fn is_confirmed() -> Result<bool, Stop> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| Stop(format!("the answer could not be read: {error}")))?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
