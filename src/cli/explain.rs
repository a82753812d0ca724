//! `explain`: why a role is refused by a cluster, cause by cause, and what to do.

use std::fmt::Write as _;

use access_entry_guard::explain::{Cause, Explanation, Kind, RoleAsked, Verdict, explain};
use access_entry_guard::model::{ClusterRef, RoleArn, RoleState};
use access_entry_guard::report::Entry;
use access_entry_guard::row::form::rfc3339;
use access_entry_guard::verdict;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::output::{Format, Output, Sheet, print, print_json, shown};
use crate::scan::{Finding, describe};
use crate::session::Session;
use crate::stop::Stop;

/// Find out why a cluster refuses a role: checks the possible causes one by one, and changes nothing
///
/// Shows each cause as no, yes or unknown, with what AWS shows and what to do. Cannot see what is inside the cluster
/// (RBAC, aws-auth).
///
/// Exit status: 0 if AWS shows no cause; 1 if a cause was found; 2 if a cause could not be checked.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The cluster that refuses the role
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// The cluster's Region
    #[arg(long, value_name = "REGION")]
    region: String,
    /// The role that is refused, by name or ARN; a role of another account by its ARN
    #[arg(long, value_name = "NAME_OR_ARN")]
    role: String,
    /// In a table, also show the commands for an entry that the function would hold for a person
    #[arg(long)]
    repair_commands: bool,
    #[command(flatten)]
    output: Output,
}

/// Looks, prints what was found, and gives the exit status.
pub(crate) async fn run(arguments: Arguments) -> Result<u8, Stop> {
    let format = arguments.output.format();
    if format == Format::Html {
        return Err(Stop::because("explain has no HTML output; use --output table, json, markdown or csv"));
    }
    let session = Session::begin().await?;
    let home = &session.caller.home;
    let asked = RoleAsked::parse(&arguments.role, home).map_err(|unfit| Stop(unfit.to_string()))?;
    let regions = session.regions(&[arguments.region]).await?;
    let Some(region) = regions.into_iter().next() else { return Err(Stop::because("name a Region with --region")) };
    let at = ClusterRef { region, name: arguments.cluster };
    let explained = explain(&session.reads, home, &at, &asked, OffsetDateTime::now_utc()).await;
    let explanation = explained.map_err(|not_there| Stop(not_there.to_string()))?;
    match format {
        Format::Json => print_json(&to_json(&explanation))?,
        Format::Table => print(&as_text(&explanation, arguments.repair_commands))?,
        Format::Markdown => print(&sheet(&explanation, true).markdown())?,
        Format::Csv => print(&sheet(&explanation, true).csv()?)?,
        Format::Html => {}
    }
    Ok(match explanation.cause() {
        Some(_) => 1,
        None if explanation.is_unsure() => 2,
        None => 0,
    })
}

fn to_json(explanation: &Explanation) -> Value {
    let causes = explanation.causes.iter().map(|cause| {
        json!({
            "cause": cause.kind.label(), "verdict": cause.verdict.label(), "detail": cause.detail, "next": cause.next,
        })
    });
    json!({
        "version": "1",
        "cause": explanation.cause().map(|cause| cause.kind.label()),
        "causes": causes.collect::<Vec<_>>(),
        "entry": entry_json(explanation),
        "role": role_json(explanation),
    })
}

/// The entry as `scan` prints it, or null.
fn entry_json(explanation: &Explanation) -> Value {
    match &explanation.entry {
        Some(found) if found.is_whole => Finding::of(&found.case).entry,
        Some(found) => {
            let mut entry = json!(Entry::of(&found.case, &[]));
            entry["commands"] = json!([]);
            if explanation.facts.policies.is_err() {
                entry["accessPolicies"] = Value::Null;
            }
            entry
        }
        None => Value::Null,
    }
}

fn role_json(explanation: &Explanation) -> Value {
    let facts = &explanation.facts;
    let state = match &facts.role {
        RoleState::Present(_) => "present",
        RoleState::Absent => "absent",
        RoleState::Unreadable(_) => "unread",
    };
    let role = facts.role.role();
    json!({
        "name": facts.name,
        "arn": facts.principal.as_ref().map(RoleArn::as_str),
        "state": state,
        "roleId": role.map(|role| &role.id.0),
        "createdAt": role.map(|role| rfc3339(role.created_at)),
        "trustPolicy": role.and_then(|role| role.trust_policy.as_deref()),
    })
}

fn sheet(explanation: &Explanation, with_next: bool) -> Sheet {
    let mut columns = vec!["cause", "verdict", "detail"];
    if with_next {
        columns.push("next");
    }
    let row = |cause: &Cause| {
        let mut row = vec![cause.kind.label().to_owned(), cause.verdict.label().to_owned(), cause.detail.clone()];
        if with_next {
            row.push(cause.next.clone().unwrap_or_default());
        }
        row
    };
    Sheet { columns, rows: explanation.causes.iter().map(row).collect() }
}

/// What a person reads: the answer, what it rests on, and what to do.
fn as_text(explanation: &Explanation, with_all_commands: bool) -> String {
    let mut text = String::new();
    let facts = &explanation.facts;
    let role = facts.principal.as_ref().map_or(facts.name.as_str(), |principal| principal.as_str());
    let answer = match explanation.cause() {
        Some(cause) => cause.kind.label(),
        None if explanation.is_unsure() => "the cause is not known; see the causes that are unknown",
        None => "AWS shows nothing that stands in the way",
    };
    let _ = writeln!(text, "{} in {}, {}: {answer}.", shown(role), shown(&facts.at.name), facts.at.region);
    let _ = writeln!(text, "\n{}", sheet(explanation, false).table());
    let steps = explanation.causes.iter().filter_map(|cause| Some((cause, cause.next.as_ref()?)));
    for (n, (cause, next)) in steps.enumerate() {
        if n == 0 {
            let _ = writeln!(text, "\nWhat to do:");
        }
        let if_so = if cause.verdict == Verdict::Yes { "" } else { " (unknown)" };
        let _ = writeln!(text, "  {}{if_so}: {}", cause.kind.label(), shown(next));
    }
    if explanation.cause().is_none() {
        let _ = writeln!(
            text,
            "\nIf the cluster still refuses the role, find out which identity signs the requests: aws sts \
             get-caller-identity, and aws eks update-kubeconfig for this cluster. A new entry takes some seconds to \
             take effect."
        );
    }
    if let Some(found) = explanation.entry.as_ref().filter(|found| found.is_whole && is_broken(&found.case.verdict)) {
        describe(&mut text, &Finding::of(&found.case), with_all_commands);
    }
    if explanation.cause().is_some_and(|cause| matches!(cause.kind, Kind::NoRights | Kind::NamespaceOnly)) {
        let _ = writeln!(text, "\nThe role is let in: this is a cause of 403, not of 401.");
    }
    text
}

fn is_broken(verdict: &verdict::Verdict) -> bool {
    matches!(verdict, verdict::Verdict::Stale(_) | verdict::Verdict::Orphaned)
}

#[cfg(test)]
mod tests {
    use access_entry_guard::explain::{Facts, Gap, Listed};
    use access_entry_guard::model::{AuthenticationMode, Cluster, ClusterAccess, Region};

    use super::*;

    /// A role without an entry; the role's name and what to do come from a stranger.
    fn without_entry() -> Explanation {
        let at = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
        let cluster = Cluster {
            at: at.clone(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            is_workable: true,
            role_arn: String::new(),
            node_role_arn: None,
            tags: std::collections::BTreeMap::new(),
        };
        let mode = Some(AuthenticationMode::Api);
        let facts = Facts {
            at,
            cluster: Ok((cluster, ClusterAccess { status: "ACTIVE".to_owned(), mode })),
            listed: Ok(Listed::Principals(Vec::new())),
            name: "node\u{1b}[31m".to_owned(),
            principal: None,
            role: RoleState::Absent,
            role_read_at: OffsetDateTime::UNIX_EPOCH,
            entry: Ok(None),
            policies: Ok(Vec::new()),
            near: Vec::new(),
            users: access_entry_guard::impact::Users::default(),
            successors: Ok(Vec::new()),
        };
        let cause = |kind| {
            let (verdict, next) = match kind {
                Kind::NoEntry => (Verdict::Yes, Some("create \u{202e}it".to_owned())),
                Kind::AwsAuthOnly => (Verdict::Unknown(Gap::OutsideAws), Some("look".to_owned())),
                _ => (Verdict::No, None),
            };
            Cause { kind, verdict, detail: "said\u{1b}".to_owned(), next }
        };
        Explanation { facts, causes: Kind::ALL.into_iter().map(cause).collect(), entry: None }
    }

    #[test]
    fn the_json_has_every_cause_in_order_and_no_entry_where_there_is_none() {
        let json = to_json(&without_entry());
        assert_eq!((&json["version"], &json["cause"]), (&json!("1"), &json!("noEntry")));
        let causes = json["causes"].as_array().expect("a list");
        let labels: Vec<&str> = causes.iter().filter_map(|cause| cause["cause"].as_str()).collect();
        assert_eq!(labels, Kind::ALL.map(Kind::label));
        assert_eq!(
            causes[2],
            json!({"cause": "noEntry", "verdict": "yes", "detail": "said\u{1b}", "next": "create \u{202e}it"})
        );
        assert_eq!((&causes[0]["verdict"], &causes[0]["next"]), (&json!("no"), &Value::Null));
        assert_eq!(causes[11]["verdict"], "unknown");
        assert_eq!((&json["entry"], &json["role"]["state"]), (&Value::Null, &json!("absent")));
    }

    #[test]
    fn nothing_foreign_moves_a_cursor() {
        let text = as_text(&without_entry(), true);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains("What to do:\n  noEntry: create \\u{202e}it\n  awsAuthOnly (unknown): look"), "{text}");
    }
}
