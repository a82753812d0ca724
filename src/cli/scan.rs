//! `scan`: every entry of every cluster, what is broken, and the commands that repair it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use access_entry_guard::blind_spot::BlindSpot;
use access_entry_guard::case::Case;
use access_entry_guard::commands::EntrySeen;
use access_entry_guard::deployed::counted;
use access_entry_guard::model::{Region, Role, RoleState};
use access_entry_guard::outcome::{Hold, Outcome};
use access_entry_guard::report::Entry;
use access_entry_guard::row::form::rfc3339;
use access_entry_guard::scan::{Progress, Scan, Scope, scan};
use access_entry_guard::verdict::Verdict;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::output::{Format, Output, Sheet, print, print_json, shown};
use crate::session::Session;
use crate::stop::Stop;

mod page;

/// Look at every access entry of every cluster; it changes nothing and needs no deployment
///
/// Shows stale entries (bound to a deleted role, although a role of the same name exists) and orphaned entries (no
/// such role exists), and the commands that repair them with everything that they have. It sends only read calls, so
/// you can run it in any account at any time.
///
/// Exit status: 1 if an entry is stale or orphaned; otherwise 2 if something could not be judged; otherwise 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this Region; may be repeated [default: every Region enabled for the account]
    #[arg(long = "region", value_name = "REGION")]
    regions: Vec<String>,
    /// Only clusters of this name; may be repeated
    #[arg(long = "cluster", value_name = "NAME")]
    clusters: Vec<String>,
    /// Only entries of this role, by name or ARN; may be repeated
    #[arg(long = "role", value_name = "NAME_OR_ARN")]
    roles: Vec<String>,
    /// In a table, also show the commands for entries that need a person's decision
    #[arg(long)]
    repair_commands: bool,
    #[command(flatten)]
    output: Output,
}

/// Scans, prints what was seen, and gives the exit status.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Stop> {
    let roles = arguments.roles.iter().map(|role| session.role(role)).collect::<Result<_, _>>()?;
    let format = arguments.output.format();
    let scope = Scope {
        regions: session.regions(&arguments.regions).await?,
        clusters: arguments.clusters,
        roles,
        with_all_policies: format == Format::Html,
    };
    let bar = Bar::new(scope.regions.len());
    let home = &session.caller.home;
    let scanned = scan(&session.reads, home, &scope, &bar, &OffsetDateTime::now_utc).await;
    bar.end();
    let seen = scanned.map_err(|fault| {
        Stop(format!(
            "the account's roles could not be listed ({fault}), so nothing can be judged; allow iam:ListRoles"
        ))
    })?;
    if seen.clusters == 0 && !scope.clusters.is_empty() && seen.blind_spots.is_empty() {
        return Err(Stop(format!(
            "there is no EKS cluster {} in {}; check the name and the Region",
            scope.clusters.join(", "),
            names(&scope.regions)
        )));
    }
    if seen.entries_examined == 0 && seen.blind_spots.is_empty() {
        for role in &scope.roles {
            if session.reads.get_role(&role.name).await == RoleState::Absent {
                return Err(Stop(format!(
                    "there is neither a role {} in account {} nor an access entry for it; check the name",
                    role.name, home.account
                )));
            }
        }
    }
    let findings: Vec<Finding> = seen.cases.iter().map(Finding::of).collect();
    match format {
        Format::Json => print_json(&to_json(&seen, &findings, &home.account))?,
        Format::Table => print(&as_text(&seen, &findings, arguments.repair_commands))?,
        Format::Markdown => print(&sheet(&findings).markdown())?,
        Format::Csv => print(&sheet(&findings).csv()?)?,
        Format::Html => {
            print(&page::page(&seen, &findings, &scope, &home.account, OffsetDateTime::now_utc()).html())?;
        }
    }
    Ok(if seen.has_findings() {
        1
    } else if seen.is_unsure() {
        2
    } else {
        0
    })
}

fn names(regions: &[Region]) -> String {
    match regions {
        few if few.len() <= 5 => few.iter().map(|region| region.0.as_str()).collect::<Vec<_>>().join(", "),
        many => format!("any of the {} enabled Regions", many.len()),
    }
}

/// An entry that is not fresh, as it is printed.
pub(crate) struct Finding<'a> {
    case: &'a Case,
    pub(crate) entry: Value,
    commands: Vec<String>,
}

impl<'a> Finding<'a> {
    pub(crate) fn of(case: &'a Case) -> Self {
        let mut entry = json!(Entry::of(case, &[]));
        // Nothing has to be deployed, so there may be no function to ask.
        let said = match &case.outcome {
            Outcome::WouldRepair => Some("With its default settings, the function would repair it.".to_owned()),
            Outcome::Held(hold) => Some(hold.explain_with("run the entry's repair commands")),
            _ => None,
        };
        if let Some(said) = said {
            entry["detail"] = json!(std::iter::once(said).chain(case.note.clone()).collect::<Vec<_>>().join(" "));
        }
        let commands = commands(case);
        entry["commands"] = json!(commands);
        Self { case, entry, commands }
    }

    fn text(&self, member: &str) -> &str {
        self.entry[member].as_str().unwrap_or_default()
    }

    fn is_held(&self) -> bool {
        matches!(self.case.outcome, Outcome::Held(_))
    }
}

/// What repairs the entry by hand; nothing for one that could not be created again.
fn commands(case: &Case) -> Vec<String> {
    let sighting = &case.sighting;
    let (Some(principal), Some(examined)) = (sighting.principal.role(), &sighting.entry) else { return Vec::new() };
    let seen = EntrySeen { cluster: &sighting.at, principal, entry_arn: Some(&examined.entry.arn) };
    match (&case.verdict, &case.outcome, sighting.role.role()) {
        (_, Outcome::Held(Hold::CannotRecreate { .. }), _) => Vec::new(),
        (Verdict::Stale(_), _, Some(role)) => seen.replace(&examined.snapshot(), &role.id),
        (Verdict::Orphaned, ..) => seen.delete(),
        _ => Vec::new(),
    }
}

fn to_json(seen: &Scan, findings: &[Finding<'_>], account: &str) -> Value {
    json!({
        "version": "1", "accountId": account, "regions": seen.regions, "clusters": seen.clusters,
        "entriesExamined": seen.entries_examined,
        "entries": findings.iter().map(|finding| &finding.entry).collect::<Vec<_>>(),
        "blindSpots": blind_spots(seen),
    })
}

fn blind_spots(seen: &Scan) -> Vec<Value> {
    let value = |spot: &BlindSpot| {
        let mut value = json!({"region": spot.region, "reason": spot.label(), "detail": spot.detail});
        if let Some(cluster) = &spot.cluster {
            value["clusterName"] = json!(cluster);
        }
        value
    };
    seen.blind_spots.iter().map(value).collect()
}

fn sheet(findings: &[Finding<'_>]) -> Sheet {
    let rows = findings.iter().map(|finding| {
        let would = match finding.text("reason") {
            "" => finding.text("outcome").to_owned(),
            reason => format!("{}: {reason}", finding.text("outcome")),
        };
        vec![
            finding.text("verdict").to_owned(),
            finding.text("principalArn").to_owned(),
            finding.text("clusterName").to_owned(),
            finding.text("region").to_owned(),
            finding.text("type").to_owned(),
            finding.text("createdAt").to_owned(),
            finding.text("roleCreatedAt").to_owned(),
            finding.case.impact.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            would,
        ]
    });
    Sheet {
        columns: vec![
            "entry",
            "principal",
            "cluster",
            "region",
            "type",
            "entry made",
            "role made",
            "what uses the role",
            "the function would say",
        ],
        rows: rows.collect(),
    }
}

/// What a person reads: first what is broken, then what to do about each of them.
fn as_text(seen: &Scan, findings: &[Finding<'_>], with_all_commands: bool) -> String {
    let mut text = String::new();
    let (told, rest): (Vec<&Finding<'_>>, Vec<&Finding<'_>>) =
        findings.iter().partition(|finding| matches!(finding.case.verdict, Verdict::Undecided(_)));
    let is = |label: &str| rest.iter().filter(|finding| finding.text("verdict") == label).count();
    let _ = writeln!(
        text,
        "{} in {} of {}: {} stale, {} orphaned, {} bound to their role, {} that are not judged.",
        counted(seen.entries_examined, "entry", "entries"),
        counted(seen.clusters, "cluster", "clusters"),
        counted(seen.regions, "Region", "Regions"),
        is("stale"),
        is("orphaned"),
        seen.fresh.len(),
        told.len()
    );
    if !findings.is_empty() {
        let _ = writeln!(text, "\n{}", sheet(findings).table());
    }
    for finding in rest {
        describe(&mut text, finding, with_all_commands);
    }
    if !seen.blind_spots.is_empty() {
        let _ = writeln!(text, "\nNot seen:");
        for spot in &seen.blind_spots {
            let place = spot.cluster.as_ref().map_or_else(String::new, |cluster| format!(", cluster {cluster}"));
            let _ = writeln!(text, "  {}{}: {} ({})", spot.region, shown(&place), spot.label(), shown(&spot.detail));
        }
    }
    text
}

pub(crate) fn describe(text: &mut String, finding: &Finding<'_>, with_all_commands: bool) {
    let (case, sighting) = (finding.case, &finding.case.sighting);
    let _ = writeln!(
        text,
        "\n{} in {}, {}",
        shown(sighting.principal.as_str()),
        shown(&sighting.at.name),
        sighting.at.region
    );
    let _ = writeln!(text, "  {}", meaning(case));
    for impact in &case.impact {
        let _ = writeln!(text, "  Used by {}", shown(&impact.to_string()));
    }
    if let Some(detail) = finding.entry["detail"].as_str() {
        let _ = writeln!(text, "  {}", shown(detail));
    }
    if finding.is_held() {
        if let Some(snapshot) = sighting.snapshot() {
            let _ = writeln!(text, "  It grants: {}", shown(&snapshot.grants()));
        }
        if let Some(role) = sighting.role.role() {
            describe_role(text, role);
        }
        if let Some(command) = who_created(case) {
            let _ = writeln!(text, "  Who created the role: {command}");
        }
    }
    let is_orphaned = matches!(case.verdict, Verdict::Orphaned);
    match (finding.commands.as_slice(), (finding.is_held() || is_orphaned) && !with_all_commands) {
        ([], _) => {}
        (_, true) if is_orphaned => {
            let _ = writeln!(
                text,
                "  If nobody will create the role again, --repair-commands shows the command that deletes the entry. \
                 If you may need the entry's settings again, save what describe-access-entry and \
                 list-associated-access-policies show first."
            );
        }
        (_, true) => {
            let _ = writeln!(
                text,
                "  If you know that the role is the right one, --repair-commands shows the commands that repair the \
                 entry."
            );
        }
        (commands, false) => {
            let what = if is_orphaned { "To delete it" } else { "To repair it, once the role is a minute old" };
            let _ = writeln!(text, "  {what} (each line is safe to run again):\n");
            for command in commands {
                let _ = writeln!(text, "{command}");
            }
        }
    }
}

/// What a verdict means for whoever has the role.
fn meaning(case: &Case) -> &'static str {
    match &case.verdict {
        Verdict::Stale(_) => {
            "The entry is stale: it is bound to a deleted role of this name. Every request of the present role is refused (401)."
        }
        Verdict::Orphaned => "The entry is orphaned: there is no such role. It grants nothing to anybody.",
        _ => "It is not known whether the entry is bound to its role.",
    }
}

/// The command that shows who created the role.
fn who_created(case: &Case) -> Option<String> {
    let sighting = &case.sighting;
    let principal = sighting.principal.role()?;
    Some(EntrySeen { cluster: &sighting.at, principal, entry_arn: None }.creators())
}

fn describe_role(text: &mut String, role: &Role) {
    let age = OffsetDateTime::now_utc() - role.created_at;
    let _ = writeln!(
        text,
        "  The role: ID {}, created {} ({} days ago)",
        shown(&role.id.0),
        rfc3339(role.created_at),
        age.whole_days()
    );
    let _ = writeln!(text, "  Who may assume it: {}", shown(&role.trust_in_one_line()));
}

/// How far the scan has come, on a terminal: entries done of those found, and an estimate of the time left.
struct Bar {
    drawn: ProgressBar,
    regions: usize,
    regions_done: AtomicUsize,
    clusters: AtomicUsize,
}

impl Bar {
    fn new(regions: usize) -> Self {
        // Hidden by itself if standard error is no terminal.
        let drawn = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg}: {pos} of {len} entries, {eta} left").ok();
        if let Some(style) = style {
            drawn.set_style(style);
        }
        Self { drawn, regions, regions_done: AtomicUsize::new(0), clusters: AtomicUsize::new(0) }
    }

    fn end(&self) {
        self.drawn.finish_and_clear();
    }
}

/// What a person reads while a Region that refuses requests is waited for.
pub(crate) fn waiting_for(region: &Region) -> String {
    format!("AWS throttles requests in {region}; waiting to try again")
}

impl Progress for Bar {
    fn region(&self, clusters: usize) {
        let clusters = self.clusters.fetch_add(clusters, Ordering::Relaxed) + clusters;
        let done = self.regions_done.fetch_add(1, Ordering::Relaxed) + 1;
        self.drawn.set_message(format!("{done} of {} Regions, {clusters} clusters", self.regions));
    }

    fn cluster(&self, entries: usize) {
        self.drawn.inc_length(entries as u64);
    }

    fn entry(&self) {
        self.drawn.inc(1);
    }

    fn throttled(&self, region: &Region) {
        self.drawn.println(waiting_for(region));
    }
}
