//! `creators`: whom to trust, with what it would mean.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use access_entry_guard::creators::{Asker, AssumedBy, Candidate, Release, name_of};
use access_entry_guard::deployed::counted;
use access_entry_guard::history::{Found, NothingSeen, Progress, search};
use access_entry_guard::model::{Region, RoleArn};
use access_entry_guard::row::form::rfc3339;
use access_entry_guard::scan;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::output::{Format, Output, Sheet, print, print_json, shown};
use crate::scan::waiting_for;
use crate::session::Session;
use crate::stop::Stop;

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// The most names that a list in a text has.
const MOST: usize = 20;

/// Find out who creates roles for which somebody then creates an access entry: creators that the function could trust
///
/// Reads CloudTrail's event history and every access entry; changes nothing, and needs no deployment. Shows for each
/// candidate which entries it could release, and who may act as the candidate. A second list, without a value to
/// copy, shows who created roles under the name of an older entry: these creators would ask for trust.
///
/// Exit status: 2 if something could not be read; otherwise 0 if there are candidates, 1 if there are none.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Number of days of the event history to read, at most 90
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=90))]
    days: u16,
    /// Only entries in this Region; may be repeated [default: every Region enabled for the account]
    #[arg(long = "region", value_name = "REGION")]
    regions: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Searches, prints what was found, and gives the exit status.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Stop> {
    let format = arguments.output.format();
    if format == Format::Html {
        return Err(Stop::because("creators has no HTML output; use --output table, json, markdown or csv"));
    }
    let home = &session.caller.home;
    let regions = session.regions(&arguments.regions).await?;
    let time = Duration::from_secs(u64::from(arguments.days) * SECONDS_OF_A_DAY);
    let bar = Bar::new(arguments.days, time);
    let found = search(&session.reads, home, regions, time, &bar, &OffsetDateTime::now_utc).await;
    bar.line.finish_and_clear();
    let found = found.map_err(|why| {
        Stop(match why {
            NothingSeen::Roles(fault) => {
                format!(
                    "the account's roles could not be listed ({fault}), so creators cannot be identified; allow \
                     iam:ListRoles"
                )
            }
            NothingSeen::History(fault) => format!(
                "CloudTrail's event history could not be read ({fault}), so nobody can be named; allow \
                 cloudtrail:LookupEvents in {}",
                home.region_of_iam_events()
            ),
        })
    })?;
    let said = Said { found: &found, days: arguments.days, only: &arguments.regions };
    match format {
        Format::Json => print_json(&said.json(&home.account))?,
        Format::Markdown => print(&said.sheet().markdown())?,
        Format::Csv => print(&said.sheet().csv()?)?,
        Format::Table | Format::Html => print(&said.text())?,
    }
    Ok(if said.is_unsure() { 2 } else { u8::from(found.creators.candidates.is_empty()) })
}

/// What is said of a search.
struct Said<'a> {
    found: &'a Found,
    days: u16,
    only: &'a [String],
}

impl Said<'_> {
    fn is_unsure(&self) -> bool {
        self.found.is_unsure || !self.found.blind_spots.is_empty() || !self.found.creators.unknown.is_empty()
    }

    fn json(&self, account: &str) -> Value {
        let (found, creators) = (self.found, &self.found.creators);
        let spots = found.blind_spots.iter().map(|spot| {
            let mut value = json!({"region": spot.region, "reason": spot.label(), "detail": spot.detail});
            if let Some(cluster) = &spot.cluster {
                value["clusterName"] = json!(cluster);
            }
            value
        });
        let unread = creators.unknown.iter().map(|(name, fault)| json!({"creator": name, "detail": fault.to_string()}));
        json!({
            "version": "1", "accountId": account, "days": self.days, "since": found.since.map(whole_seconds).map(rfc3339),
            "regions": found.regions, "clusters": found.clusters, "entriesExamined": found.entries_examined,
            "roleCreations": found.creations,
            "candidates": creators.candidates.iter().map(candidate_json).collect::<Vec<_>>(),
            "wouldAskForTrust": creators.askers.iter().map(asker_json).collect::<Vec<_>>(),
            "creatorsGone": creators.gone,
            "rolesOlderThanHistory": creators.older_roles.iter().map(RoleArn::as_str).collect::<Vec<_>>(),
            "rolesWithoutRecord": creators.unrecorded_roles.iter().map(RoleArn::as_str).collect::<Vec<_>>(),
            "rolesOfNobodyToTrust": creators.untrustable_roles.iter().map(RoleArn::as_str).collect::<Vec<_>>(),
            "creatorsNotRead": unread.collect::<Vec<_>>(),
            "blindSpots": spots.collect::<Vec<_>>(),
        })
    }

    /// Both lists. What would ask for trust has no value to copy.
    fn sheet(&self) -> Sheet {
        let creators = &self.found.creators;
        let candidates = creators.candidates.iter().map(|it| {
            let releases = it.could_release.iter().map(release_line).collect::<Vec<_>>().join("\n");
            vec![
                "candidate".to_owned(),
                it.creator.unique_id.clone(),
                name_of(&it.creator.arn).to_owned(),
                it.roles.len().to_string(),
                it.entries.to_string(),
                "0".to_owned(),
                if releases.is_empty() { "no entry that would be held".to_owned() } else { releases },
                assumed_by(&it.assumed_by).join("\n"),
            ]
        });
        let askers = creators.askers.iter().map(|it| {
            let entries = (it.good_entries.to_string(), it.taken.len().to_string());
            let none = String::new;
            vec![
                "would ask for trust".to_owned(),
                none(),
                it.name.clone(),
                none(),
                entries.0,
                entries.1,
                none(),
                none(),
            ]
        });
        Sheet {
            columns: vec![
                "list",
                "TrustedCreators",
                "creator",
                "roles",
                "entries made for them",
                "entries older than their role",
                "could release",
                "who may act as it",
            ],
            rows: candidates.chain(askers).collect(),
        }
    }

    fn text(&self) -> String {
        let (found, creators) = (self.found, &self.found.creators);
        let mut text = String::new();
        let _ = writeln!(
            text,
            "CloudTrail's event history of the last {} has {}. They were compared with {} in {} of {}.",
            counted(usize::from(self.days), "day", "days"),
            counted(found.creations, "creation of a role", "creations of roles"),
            counted(found.entries_examined, "entry", "entries"),
            counted(found.clusters, "cluster", "clusters"),
            counted(found.regions, "Region", "Regions"),
        );
        match creators.candidates.as_slice() {
            [] => {
                let _ = writeln!(text, "\nThere is no candidate for TrustedCreators.");
            }
            candidates => {
                let _ = writeln!(
                    text,
                    "\nCandidates for TrustedCreators: they created roles for which somebody then created an entry. \
                     Trust is for every role that a creator creates: for the entries below, and for the entry of \
                     every deleted role whose name the creator uses again."
                );
                for candidate in candidates {
                    describe(&mut text, candidate);
                }
            }
        }
        if !creators.askers.is_empty() {
            let _ = writeln!(
                text,
                "\nThese would ask for trust: they created roles under the names of older entries. A pipeline that \
                 recreates its roles does that, and so does somebody who takes over the names of deleted roles. The \
                 records do not show which it is. Check these creators before you trust them."
            );
            for asker in &creators.askers {
                let _ = writeln!(
                    text,
                    "  {}: {} older than the role; {} made for other roles of this creator",
                    shown(&asker.name),
                    counted(asker.taken.len(), "entry", "entries"),
                    counted(asker.good_entries, "entry was", "entries were"),
                );
                for (at, principal) in asker.taken.iter().take(MOST) {
                    let _ =
                        writeln!(text, "    role {} in {}, {}", shown(principal.name()), shown(&at.name), at.region);
                }
                if asker.taken.len() > MOST {
                    let _ = writeln!(text, "    and {} more; --output json lists them", asker.taken.len() - MOST);
                }
            }
        }
        self.notes(&mut text);
        text
    }

    /// What cannot be told, and what was not seen.
    fn notes(&self, text: &mut String) {
        let creators = &self.found.creators;
        for (roles, why) in [
            (&creators.older_roles, "are older than the event history, so nothing is known of their creators"),
            (&creators.unrecorded_roles, "have no record in the event history, which may be late by some minutes"),
            (
                &creators.untrustable_roles,
                "were created by the account's root, an AWS service or somebody of another account",
            ),
        ] {
            if roles.is_empty() {
                continue;
            }
            let names: Vec<&str> = roles.iter().take(MOST).map(|role| name_of(role.as_str())).collect();
            let more = if roles.len() > names.len() { ", …" } else { "" };
            let _ =
                writeln!(text, "\n{} of the roles with entries {why}: {}{more}", roles.len(), shown(&names.join(", ")));
        }
        if !creators.gone.is_empty() {
            let _ = writeln!(
                text,
                "\nNot listed, because no principal with the unique ID that created the roles exists any more: {}",
                shown(&creators.gone.join(", "))
            );
        }
        if !self.only.is_empty() {
            let _ = writeln!(
                text,
                "\nOnly entries in {} were looked at, so a creator who takes over names of deleted roles elsewhere \
                 is not recognized.",
                shown(&self.only.join(", "))
            );
        }
        if !self.is_unsure() {
            return;
        }
        let _ = writeln!(text, "\nNot seen, so a candidate may be missing or wrong:");
        for spot in &self.found.blind_spots {
            let place = spot.cluster.as_ref().map_or_else(String::new, |cluster| format!(", cluster {cluster}"));
            let _ = writeln!(text, "  {}{}: {} ({})", spot.region, shown(&place), spot.label(), shown(&spot.detail));
        }
        for (name, fault) in &creators.unknown {
            let _ = writeln!(text, "  {}: {}", shown(name), shown(&fault.to_string()));
        }
        if self.found.is_unsure && self.found.blind_spots.is_empty() {
            let _ = writeln!(text, "  entries that could not be judged; scan shows them");
        }
    }
}

fn describe(text: &mut String, candidate: &Candidate) {
    let _ = writeln!(
        text,
        "\n{}  {}\n  {} made for {} of its roles: {}",
        shown(&candidate.creator.unique_id),
        shown(&candidate.creator.arn),
        counted(candidate.entries, "entry was", "entries were"),
        candidate.roles.len(),
        shown(&candidate.roles.iter().take(MOST).map(RoleArn::name).collect::<Vec<_>>().join(", ")),
    );
    if candidate.could_release.is_empty() {
        let _ = writeln!(text, "  Could release: no entry that would be held without trust");
    }
    for (n, release) in candidate.could_release.iter().enumerate() {
        let label = if n == 0 { "Could release:" } else { "              " };
        let _ = writeln!(text, "  {label} {}", shown(&release_line(release)));
    }
    for (n, who) in assumed_by(&candidate.assumed_by).iter().enumerate() {
        let label = if n == 0 { "Who may act as it:" } else { "                  " };
        let _ = writeln!(text, "  {label} {}", shown(who));
    }
}

fn release_line(release: &Release) -> String {
    let (grants, role) = (&release.grants, release.principal.name());
    format!("{grants} (role {role} in {}, {})", release.at.name, release.at.region)
}

fn assumed_by(assumed_by: &AssumedBy) -> Vec<String> {
    match assumed_by {
        AssumedBy::User => vec!["whoever has its password or an access key: it is a user".to_owned()],
        AssumedBy::Principals(none) if none.is_empty() => vec!["nobody, by its trust policy".to_owned()],
        AssumedBy::Principals(principals) => principals.clone(),
        AssumedBy::Unreadable => vec!["its trust policy cannot be read".to_owned()],
    }
}

fn candidate_json(candidate: &Candidate) -> Value {
    let releases = candidate.could_release.iter().map(|release| {
        json!({
            "region": release.at.region, "clusterName": release.at.name, "principalArn": release.principal.as_str(),
            "type": release.kind, "grants": release.grants, "because": release.because,
        })
    });
    json!({
        "trustedCreator": candidate.creator.unique_id, "arn": candidate.creator.arn,
        "kind": if candidate.assumed_by == AssumedBy::User { "user" } else { "role" },
        "roles": candidate.roles.iter().map(RoleArn::as_str).collect::<Vec<_>>(), "entries": candidate.entries,
        "couldRelease": releases.collect::<Vec<_>>(), "assumedBy": assumed_by(&candidate.assumed_by),
    })
}

fn asker_json(asker: &Asker) -> Value {
    let taken = asker.taken.iter().map(
        |(at, principal)| json!({"region": at.region, "clusterName": at.name, "principalArn": principal.as_str()}),
    );
    json!({"creator": asker.name, "olderEntries": taken.collect::<Vec<_>>(), "entriesForOtherRoles": asker.good_entries})
}

fn whole_seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

/// How far the search has come, on a terminal: how far back the history was read, and what the scan has seen.
struct Bar {
    line: ProgressBar,
    days: u16,
    seconds: u64,
    seen: Mutex<(usize, usize, usize)>,
}

impl Bar {
    fn new(days: u16, time: Duration) -> Self {
        // Hidden by itself if standard error is no terminal.
        let line = ProgressBar::new(time.as_secs());
        if let Ok(style) = ProgressStyle::with_template("{percent}% of the event history, {msg}, {eta} left") {
            line.set_style(style);
        }
        Self { line, days, seconds: time.as_secs(), seen: Mutex::default() }
    }

    fn count(&self, change: impl FnOnce(&mut (usize, usize, usize))) {
        let Ok(mut seen) = self.seen.lock() else { return };
        change(&mut seen);
        self.line.set_message(format!("{} events; {} of {} entries", seen.0, seen.1, seen.2));
    }
}

impl scan::Progress for Bar {
    fn region(&self, _: usize) {}

    fn cluster(&self, entries: usize) {
        self.count(|seen| seen.2 += entries);
    }

    fn entry(&self) {
        self.count(|seen| seen.1 += 1);
    }

    fn throttled(&self, region: &Region) {
        self.line.println(waiting_for(region));
    }
}

impl Progress for Bar {
    fn begins(&self, roles: usize, at_least: Duration) {
        let seconds = at_least.as_secs() + 1;
        eprintln!(
            "access-entry-guard: CloudTrail answers two requests a second with 50 events each. {roles} of the \
             account's roles were created in the last {} days, so reading the event history takes at least {}, and \
             longer if other roles were created and deleted in that time.",
            self.days,
            if seconds < 120 {
                counted(to_usize(seconds), "second", "seconds")
            } else {
                format!("{} minutes", seconds.div_ceil(60))
            },
        );
    }

    fn history(&self, events: usize, back_to: OffsetDateTime) {
        let read = (OffsetDateTime::now_utc() - back_to).whole_seconds();
        self.line.set_position(u64::try_from(read).unwrap_or(0).min(self.seconds));
        self.count(|seen| seen.0 = events);
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use access_entry_guard::creators::Creators;
    use access_entry_guard::fault::FaultKind;
    use access_entry_guard::model::{ClusterRef, Creator};

    use super::*;

    fn found() -> Found {
        let arn = |name: &str| RoleArn::parse(&format!("arn:aws:iam::111122223333:role/{name}")).expect("a role");
        let at = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
        let candidate = Candidate {
            creator: Creator { arn: arn("ci/deploy").as_str().to_owned(), unique_id: "AROADEPLOY".to_owned() },
            roles: BTreeSet::from([arn("app")]),
            entries: 1,
            could_release: Vec::new(),
            assumed_by: AssumedBy::Principals(vec!["Federated \u{1b}[31m, under conditions".to_owned()]),
        };
        let asker = Asker { name: "role/ci/mallory".to_owned(), taken: vec![(at, arn("freed")); 40], good_entries: 60 };
        let creators = Creators { candidates: vec![candidate], askers: vec![asker], ..Creators::default() };
        Found { creators, ..Found::default() }
    }

    fn in_every_form(found: &Found) -> Vec<String> {
        let said = Said { found, days: 90, only: &[] };
        let csv = said.sheet().csv().expect("CSV");
        vec![said.text(), said.json("111122223333").to_string(), said.sheet().markdown(), csv, said.sheet().table()]
    }

    #[test]
    fn every_form_has_the_candidates_value_and_none_for_whoever_would_ask() {
        for text in in_every_form(&found()) {
            assert!(text.contains("AROADEPLOY") && text.contains("role/ci/mallory"), "{text}");
            assert!(!text.contains("111122223333:role/ci/mallory"), "{text}");
            assert_eq!(text.matches("AROA").count(), 1, "{text}");
        }
    }

    #[test]
    fn a_principal_moves_no_cursor() {
        for text in in_every_form(&found()).iter().take(3) {
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn what_was_not_seen_is_told() {
        let fault = access_entry_guard::fault::Fault {
            kind: FaultKind::Denied { by_organization: false },
            operation: "GetRole",
            code: "AccessDenied".to_owned(),
            message: "no".to_owned(),
        };
        let mut found = found();
        assert!(!Said { found: &found, days: 90, only: &[] }.is_unsure());
        found.creators.unknown.push(("role/ci/other".to_owned(), fault));
        let said = Said { found: &found, days: 90, only: &["eu-west-1".to_owned()] };
        assert!(said.is_unsure());
        let text = said.text();
        assert!(
            text.contains("role/ci/other: GetRole: AccessDenied") && text.contains("Only entries in eu-west-1"),
            "{text}"
        );
    }
}
