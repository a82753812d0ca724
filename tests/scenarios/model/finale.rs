//! The end of a case: all faults are lifted, time passes, two sweeps and more. What must hold then, and whether reports
//! and metrics tell it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::history::Alias;
use super::history::{Trouble, Wake};
use super::play::Player;
use super::reference::{Key, News, Wish};
use super::sight::{entry_at, is_let_in_rightly, present_role, row_at};
use super::witness::Watch;
use crate::cloud::{Entry, World};
use crate::stage::LEDGER;

/// The most sweeps that a budget of one repair each may need.
const MOST_SWEEPS: usize = 14;

/// Lets everything settle, and judges.
pub async fn play(player: &mut Player) -> Result<(), String> {
    tokio::time::sleep(Duration::from_secs(player.setup.settings.settle) + Duration::from_mins(5)).await;
    let are_events_late = player.setup.dice.is_multiple_of(2);
    if are_events_late {
        for back in latest_creations(player) {
            player.invoke(&Wake::Event { back, alias: Alias::Right }, &Trouble::default()).await?;
        }
    }
    let mut sweeps = 0;
    loop {
        let before = entries(player);
        let report = player.invoke(&Wake::Sweep, &Trouble::default()).await?;
        let report = report.ok_or("a sweep at the end fails")?;
        sweeps += 1;
        if entries(player) == before && sweeps >= 2 {
            player.examine(|watch, _| unresolved_agree(watch, &report));
            break;
        }
        if sweeps > MOST_SWEEPS {
            return Err("sweeps do not come to an end".to_owned());
        }
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    let verdicts = verdicts(player).await?;
    player.examine(|watch, world| {
        let keys: Vec<Key> = watch.reference.entries.keys().cloned().collect();
        let breaker = breaker(world);
        for key in &keys {
            judge(watch, world, key, are_events_late, breaker.as_ref());
            verdict_is_true(watch, world, key, &verdicts);
        }
    });
    player.verdict("at the end")
}

fn latest_creations(player: &Player) -> Vec<usize> {
    player.with(|scene| {
        let news = scene.reference.news.iter().rev().enumerate();
        let is_present = |it: &News| match it {
            News::Created(role, _) => scene.world.roles.values().any(|present| present.id == role.id),
            News::Deleted(_) => false,
        };
        news.filter(|(_, it)| is_present(it)).map(|(back, _)| back).collect()
    })
}

fn entries(player: &Player) -> Vec<Entry> {
    player.with(|scene| scene.world.clusters.values().flat_map(|it| it.entries.values().cloned()).collect())
}

fn breaker(world: &mut World) -> Option<Key> {
    let key = ("#breaker".to_owned(), "#breaker".to_owned());
    let row = crate::cloud::dynamodb::plain_item(world.table(LEDGER).rows.get(&key)?);
    let (region, cluster) = row["trippedByCluster"].as_str()?.split_once('#')?;
    Some((region.to_owned(), cluster.to_owned(), row["trippedByPrincipal"].as_str()?.to_owned()))
}

fn is_workable(world: &World, key: &Key) -> bool {
    world.clusters.get(&(key.0.clone(), key.1.clone())).is_some_and(|cluster| {
        cluster.status == "ACTIVE"
            && matches!(cluster.authentication_mode.as_deref(), Some("API" | "API_AND_CONFIG_MAP"))
    })
}

/// Whether everything that the reference permits is there again.
fn judge(watch: &mut Watch, world: &mut World, key: &Key, are_events_late: bool, breaker: Option<&Key>) {
    watch.nothing_is_lost(key, world, "at the end");
    let kept = watch.reference.entries[key].clone();
    let (Some(wish), None) = (kept.wish, kept.excused) else { return };
    let (true, Some(id)) = (is_workable(world, key), present_role(world, key)) else { return };
    let cluster_ignored = world.cluster(&key.0, &key.1).tags.contains_key("access-entry-guard");
    let entry = entry_at(world, key).cloned();
    let row = row_at(world, key);
    let state = row.as_ref().and_then(|row| row["state"].as_str()).unwrap_or_default().to_owned();
    let role = watch.reference.roles[&id].clone();
    let settings = &watch.reference.settings;
    let is_limited = settings.max_repairs == 0 && !are_events_late;
    let may_act = !settings.observe && !wish.is_ignored() && wish.is_recreatable() && !cluster_ignored;
    let vouched = std::mem::take(&mut watch.reference.vouched);
    if are_events_late {
        watch.reference.vouched.clone_from(&vouched);
    }
    let trust = *role.trusts.last().expect("a role trusts somebody, or is said to trust nobody");
    let is_expected = may_act && watch.reference.permits_unattended(key, &wish, &id, trust);
    watch.reference.vouched = vouched;
    if entry.as_ref().is_some_and(|entry| entry.bound_to == id) {
        let is_whole = entry.as_ref().is_some_and(|entry| Wish::of(entry) == wish);
        if is_whole || is_expected && state != "repairing" {
            watch.cover.let_in += 1;
            watch.cover.let_in_again += usize::from(entry.is_some_and(|entry| kept.made.contains(&entry.arn)));
        }
        if !is_whole && is_expected && breaker.is_none() {
            watch.blame(key, &format!("let in without everything at the end ({row:?})"));
        }
        return;
    }
    let created = world.roles.values().find(|role| role.id == id).map(|role| role.created_at.unix_timestamp());
    let is_deceived = entry.as_ref().is_some_and(|entry| Some(entry.created_at.unix_timestamp()) >= created);
    if is_deceived {
        watch.cover.deceived += 1;
    } else if state == "archived" && kept.was_role_absent {
        watch.cover.archived += 1;
    } else if !is_expected || is_limited {
        watch.cover.kept_out += 1;
    } else if row.as_ref().is_some_and(|row| row.get("isRestore").is_some_and(|is| is == true)) {
        // A person asked for one ID; only a person names another.
        watch.cover.kept_out += 1;
    } else if breaker.is_none() || breaker == Some(key) {
        watch.blame(key, &format!("not let in at the end: the entry {entry:?}, the row {row:?}"));
    }
}

/// What a `check` of every cluster says of every entry.
async fn verdicts(player: &mut Player) -> Result<BTreeMap<Key, (String, String)>, String> {
    let mut verdicts = BTreeMap::new();
    for at in 0..player.setup.clusters.len() {
        let (region, cluster) = (player.setup.region_of(at), player.setup.cluster(at).0);
        let payload = json!({"command": "check", "clusterName": cluster, "region": region});
        let report = player.stage.invoke(payload).await.map_err(|error| format!("a check fails: {error:?}"))?;
        for entry in report["entries"].as_array().into_iter().flatten() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let key = (region.to_owned(), cluster.clone(), text("principalArn"));
            verdicts.insert(key, (text("verdict"), text("reason")));
        }
    }
    Ok(verdicts)
}

/// Whether the verdict is what EKS itself would say, as far as anybody can see it.
fn verdict_is_true(watch: &mut Watch, world: &World, key: &Key, verdicts: &BTreeMap<Key, (String, String)>) {
    let Some(entry) = entry_at(world, key).filter(|_| is_workable(world, key)) else { return };
    let role = world.roles.values().find(|role| role.arn == key.2);
    let truth = match role {
        None => "orphaned",
        Some(role) if role.id == entry.bound_to => "fresh",
        Some(role) if entry.created_at.unix_timestamp() >= role.created_at.unix_timestamp() => return,
        Some(_) => "stale",
    };
    let (verdict, reason) = verdicts.get(key).cloned().unwrap_or_default();
    let kept = &watch.reference.entries[key];
    // A record of what was let in unseen contradicts the dates.
    let is_doubtful =
        reason == "recordContradictsDates" && (kept.hits.contains(&entry.arn) || !is_let_in_rightly(kept, entry));
    if verdict != truth && !is_doubtful {
        watch.blame(key, &format!("the verdict is {verdict} ({reason}), and the truth {truth}"));
    }
}

fn unresolved_agree(watch: &mut Watch, report: &Value) {
    let entries = report["entries"].as_array().cloned().unwrap_or_default();
    let unresolved = entries
        .iter()
        .filter(|entry| entry["reason"] != "ignoreTag" && entry["reason"] != "archived")
        .filter(|entry| {
            matches!(entry["verdict"].as_str(), Some("stale" | "missing"))
                || entry["reason"] == "recordContradictsDates"
        })
        .count();
    if report["metrics"]["AccessEntriesUnresolved"] != json!(unresolved) {
        watch.violations.push(format!("{unresolved} entries are unresolved: {report:#}"));
    }
}

/// Whether a report's counts are those of its entries, and its repairs those of the world.
pub fn report_agrees(watch: &mut Watch, world: &mut World, report: &Value, was_calm: bool) {
    let entries = report["entries"].as_array().cloned().unwrap_or_default();
    let count = |test: &dyn Fn(&Value) -> bool| entries.iter().filter(|entry| test(entry)).count();
    for entry in &entries {
        let outcome = entry["outcome"].as_str().unwrap_or_default();
        let outcome = if outcome == "none" {
            format!("none ({})", entry["verdict"].as_str().unwrap_or_default())
        } else {
            outcome.to_owned()
        };
        *watch.cover.outcomes.entry(outcome).or_default() += 1;
    }
    let is = |entry: &Value, outcomes: &[&str]| outcomes.iter().any(|outcome| entry["outcome"] == *outcome);
    let repaired = count(&|entry| is(entry, &["repaired", "restored"]));
    // A sweep lists what is archived with its role, and counts it as waiting only.
    let is_sweep = report["trigger"] == "sweep";
    let is_counted = |entry: &Value| entry["reason"] != "ignoreTag" && !(is_sweep && entry["reason"] == "archived");
    let held = count(&|entry| is(entry, &["held"]) && is_counted(entry));
    let failed = count(&|entry| is(entry, &["failed"]));
    let metrics = &report["metrics"];
    let metric = |name: &str| metrics[name].as_u64().and_then(|value| usize::try_from(value).ok()).unwrap_or_default();
    let is_right = metric("AccessEntriesRepaired") == repaired
        && metric("AccessEntriesHeld") == held
        && metric("AccessEntryRepairFailures") >= failed
        && report["entriesOmitted"] == 0;
    if report["trigger"] != "ignored" && report["regions"] != 0 && !is_right {
        watch.violations.push(format!("the counts are not those of the entries: {report:#}"));
    }
    if !was_calm {
        return;
    }
    for entry in entries.iter().filter(|entry| is(entry, &["repaired", "restored"])) {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let key = (text("region"), text("clusterName"), text("principalArn"));
        let (present, role) = (entry_at(world, &key).cloned(), present_role(world, &key));
        let kept = watch.reference.entry(&key);
        let is_in = present.as_ref().is_some_and(|present| Some(&present.bound_to) == role.as_ref());
        let is_whole = present.as_ref().is_some_and(|present| kept.wish.as_ref() == Some(&Wish::of(present)));
        if (!is_in || !is_whole) && kept.excused.is_none() && kept.hits.is_empty() {
            watch.blame(&key, &format!("called repaired, and is not: {present:?}"));
        }
    }
}
