//! The witness of every call: what it showed to the function, what it changed, and whether that was right, at once.
//!
//! AWS has no preconditions, so the function cannot be blamed for what it could not know. What it knew is not guessed:
//! the witness keeps what each invocation's own reads were answered. A deletion or association is right if the entry is
//! as it was last shown; where it is not, another party has acted in between, and that entry is excused until its owner
//! acts again. A creation is right if the role ID that it is bound to is permitted; where the role was taken since it
//! was last shown, the creation is a hit, and has to be gone again by the end of the invocation.

use std::collections::{BTreeMap, BTreeSet};

use super::acts::Scene;
use super::cover::Coverage;
use super::plan::Plan;
use super::reference::{Key, Reference, Wish};
use super::sight::{CHANGES, entry_at, is_let_in_rightly, is_under_way, key_of, present_role, row_at, same_policies};
use super::world::Setup;
use crate::cloud::{Action, Call, Entry, Phase, Policy, World};

tokio::task_local! {
    /// Which invocation a call belongs to.
    pub static INVOCATION: usize;
}

/// What an invocation was shown of an entry.
#[derive(Debug, Clone, Default)]
struct Shown {
    entry: Option<Entry>,
    policies: Vec<Policy>,
}

/// What an invocation was last shown of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RoleShown {
    Never,
    Absent,
    Present(String),
}

/// The witness, with all that it knows.
#[derive(Debug)]
pub struct Watch {
    pub setup: Setup,
    pub reference: Reference,
    pub plan: Plan,
    pub cover: Coverage,
    pub violations: Vec<String>,
    /// Invocations that may change nothing.
    pub looking: BTreeSet<usize>,
    /// Invocations in which a person asks for what the ledger keeps.
    pub restoring: BTreeSet<usize>,
    shown: BTreeMap<(usize, Key), Shown>,
    /// ARN and ID by invocation and name.
    roles_shown: BTreeMap<(usize, String), Option<(String, String)>>,
    ignored_shown: BTreeSet<(usize, String, String)>,
    unanswered: BTreeSet<usize>,
    before: BTreeMap<usize, Vec<Policy>>,
    /// What happened, for whoever has to understand a failure.
    pub tale: Vec<String>,
}

impl Watch {
    pub fn new(setup: Setup) -> Self {
        Self {
            reference: Reference::new(setup.settings.clone()),
            setup,
            plan: Plan::default(),
            cover: Coverage::default(),
            violations: Vec::new(),
            looking: BTreeSet::new(),
            restoring: BTreeSet::new(),
            shown: BTreeMap::new(),
            roles_shown: BTreeMap::new(),
            ignored_shown: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            before: BTreeMap::new(),
            tale: Vec::new(),
        }
    }

    /// Sees a call, and says what becomes of it.
    pub fn see(&mut self, call: &Call, phase: Phase, world: &mut World) -> Action {
        if phase == Phase::After {
            let error = call.error.as_deref().unwrap_or_default();
            self.tale.push(format!("{} {} {}", call.at.time(), call.operation, error));
            self.witness(call, world);
            if self.plan.stops(call, true) {
                self.note_unclear(call);
                return Action::Stop;
            }
            return Action::Proceed;
        }
        self.plan.count(call);
        if let Some(act) = self.plan.act_before(call) {
            self.tale.push(format!("  another party: {act:?}"));
            let setup = self.setup.clone();
            Scene { setup: &setup, world, reference: &mut self.reference }.perform(&act);
        }
        let action = if self.plan.stops(call, false) { Some(Action::Stop) } else { self.plan.fault(call, world) };
        let action = action.unwrap_or(Action::Proceed);
        if action != Action::Proceed {
            self.tale.push(format!("  {}: {action:?}", call.operation));
        }
        let is_change = CHANGES.contains(&call.operation.as_str());
        if let (true, Some(key)) = (is_change, key_of(call)) {
            let policies = entry_at(world, &key).map(|entry| entry.policies.clone()).unwrap_or_default();
            self.before.insert(call.n, policies);
        }
        if !matches!(action, Action::Proceed | Action::Throttle) {
            self.note_unclear(call);
        }
        if action == Action::LoseReply {
            self.unanswered.insert(call.n);
        }
        action
    }

    /// A change of the principal's entries, or of what the ledger says was sent, has no clear answer.
    fn note_unclear(&mut self, call: &Call) {
        if CHANGES.contains(&call.operation.as_str()) || call.operation == "PutItem" {
            for (key, kept) in &mut self.reference.entries {
                kept.is_unclear |= call.principal.as_ref() == Some(&key.2);
            }
        }
    }

    fn witness(&mut self, call: &Call, world: &mut World) {
        let answered = !self.unanswered.remove(&call.n);
        let inv = INVOCATION.try_with(|inv| *inv).unwrap_or_default();
        let is_done = call.status == Some(200);
        match (call.operation.as_str(), key_of(call)) {
            ("DescribeAccessEntry", Some(key)) if answered => {
                let entry = world.read_entry(&key.0, &key.1, &key.2).ok().cloned();
                self.shown.entry((inv, key)).or_default().entry = entry;
            }
            ("ListAssociatedAccessPolicies", Some(key)) if answered && is_done => {
                let policies =
                    world.read_policies(&key.0, &key.1, &key.2).map(|entry| entry.policies.clone()).unwrap_or_default();
                self.shown.entry((inv, key)).or_default().policies = policies;
            }
            ("DescribeCluster", _) if answered && is_done => {
                let at = (inv, call.region.clone(), call.cluster.clone().unwrap_or_default());
                if world.cluster(&at.1, &at.2).tags.contains_key("access-entry-guard") {
                    self.ignored_shown.insert(at);
                } else {
                    self.ignored_shown.remove(&at);
                }
            }
            ("GetRole", _) if answered && (is_done || call.status == Some(404)) => {
                let name = call.role_name.clone().unwrap_or_default();
                let role = world.role_ago(&name, world.habits.iam_lags_by);
                let role = role.map(|role| (role.arn.clone(), role.id.clone()));
                for (key, kept) in &mut self.reference.entries {
                    let is_its = key.2.ends_with(&format!("/{name}"));
                    kept.was_role_absent |= is_its && role.as_ref().is_none_or(|(arn, _)| *arn != key.2);
                }
                self.roles_shown.insert((inv, name), role);
            }
            (operation, Some(key)) if is_done && CHANGES.contains(&operation) => {
                self.changes_are_allowed(inv, call);
                match operation {
                    "CreateAccessEntry" => self.created(inv, &key, world),
                    "DeleteAccessEntry" => self.deleted(inv, &key, world),
                    "AssociateAccessPolicy" => self.associated(inv, &key, call, world),
                    _ => {}
                }
                self.nothing_is_lost(&key, world, &call.operation);
            }
            ("PutItem" | "DeleteItem", _) if is_done => {
                let keys: Vec<Key> = self.reference.entries.keys().cloned().collect();
                for key in keys.iter().filter(|key| call.principal.as_ref() == Some(&key.2)) {
                    self.nothing_is_lost(key, world, &call.operation);
                }
            }
            _ => {}
        }
    }

    /// Notes that something is wrong.
    pub fn blame(&mut self, key: &Key, what: &str) {
        self.violations.push(format!("{what}: {key:?}"));
    }

    fn changes_are_allowed(&mut self, inv: usize, call: &Call) {
        if self.reference.settings.observe || self.looking.contains(&inv) {
            self.violations.push(format!("{} though nothing may be changed", call.operation));
        }
        let at = (inv, call.region.clone(), call.cluster.clone().unwrap_or_default());
        if self.ignored_shown.contains(&at) && call.operation != "DisassociateAccessPolicy" {
            self.violations.push(format!("{} in a cluster tagged to be ignored: {at:?}", call.operation));
        }
    }

    fn role_shown(&self, inv: usize, key: &Key) -> RoleShown {
        let name = key.2.rsplit('/').next().unwrap_or_default().to_owned();
        match self.roles_shown.get(&(inv, name)) {
            None => RoleShown::Never,
            Some(Some((arn, id))) if *arn == key.2 => RoleShown::Present(id.clone()),
            Some(_) => RoleShown::Absent,
        }
    }

    /// Whether the entry is as this invocation was last shown it.
    fn was_shown(&self, inv: usize, key: &Key, entry: &Entry, policies: &[Policy]) -> bool {
        let Some(shown) = self.shown.get(&(inv, key.clone())) else { return false };
        let is_described = shown
            .entry
            .as_ref()
            .is_some_and(|seen| seen.arn == entry.arn && Wish::of(seen).is_named_like(&Wish::of(entry)));
        let has_policies = matches!(entry.kind.as_str(), "STANDARD" | "EC2");
        is_described && (!has_policies || same_policies(&shown.policies, policies))
    }

    fn created(&mut self, inv: usize, key: &Key, world: &mut World) {
        let Some(entry) = entry_at(world, key).cloned() else { return };
        let present = present_role(world, key);
        let shown = self.role_shown(inv, key);
        let kept = self.reference.entry(key);
        kept.made.insert(entry.arn.clone());
        let asked =
            self.restoring.contains(&inv) && self.reference.approved.contains(&(key.clone(), entry.bound_to.clone()));
        let made = Wish::of(&entry);
        let kept = self.reference.entry(key);
        if kept.wish.is_none() {
            // A person may ask for what is in the archive; his word is the owner's.
            let archived = kept.former.iter().rev().find(|wish| wish.is_named_like(&made)).cloned();
            match archived.filter(|_| asked) {
                Some(wish) => kept.wants(Some(wish)),
                None => kept.revived = Some((entry.arn.clone(), kept.is_unclear || kept.is_unnamed)),
            }
        }
        let Some(wish) = kept.wish.clone().or_else(|| kept.former.last().cloned()) else {
            return self.blame(key, "an entry was made up");
        };
        if kept.excused.is_none() && !wish.is_named_like(&made) {
            self.blame(key, "created as its owner did not have it");
        }
        if present.as_ref() == Some(&entry.bound_to) {
            // What could not be known is judged by what could.
            let kept = self.reference.entry(key);
            let known = if kept.excused.is_some() { kept.former.last().cloned() } else { None };
            let is_good =
                [Some(wish), known].iter().flatten().any(|wish| self.reference.permits(key, wish, &entry.bound_to));
            let was_shown = shown == RoleShown::Present(entry.bound_to.clone());
            let kept = self.reference.entry(key);
            if is_good {
                kept.good.insert(entry.arn.clone());
            }
            if was_shown && !is_good && kept.excused.is_none() {
                self.blame(key, "a role was let in that nobody permitted");
            } else if !was_shown {
                kept.hits.insert(entry.arn.clone());
                self.cover.hits += 1;
            }
        }
    }

    fn deleted(&mut self, inv: usize, key: &Key, world: &mut World) {
        let cluster = world.cluster(&key.0, &key.1);
        let Some((_, entry)) = cluster.deleted.last().cloned() else { return };
        let kept = self.reference.entries.get(key).cloned().unwrap_or_default();
        let row = row_at(world, key);
        if kept.made.contains(&entry.arn) && (kept.wish.is_none() || is_under_way(row.as_ref(), &entry)) {
            return;
        }
        if !self.was_shown(inv, key, &entry, &entry.policies) {
            self.excuse(key, "changed between the last look and the deletion");
            return;
        }
        let Some(wish) = kept.wish.filter(|_| kept.excused.is_none()) else { return };
        let blame = match self.role_shown(inv, key) {
            RoleShown::Never => Some("deleted without a look at the role"),
            RoleShown::Present(id) if entry.bound_to == id => {
                (!self.reference.approved.contains(&(key.clone(), id))).then_some("a good entry was deleted")
            }
            RoleShown::Present(id) => {
                (!self.reference.permits(key, &wish, &id)).then_some("deleted though nobody permitted it")
            }
            RoleShown::Absent => {
                let may_remove = self.reference.settings.remove
                    && !wish.is_ignored()
                    && wish.is_recreatable()
                    && self.reference.is_looked_after(key);
                let is_archived = row.is_some_and(|row| row["state"] == "archived");
                (!may_remove || !is_archived).then_some("removed though it may not be")
            }
        };
        if let Some(what) = blame {
            self.blame(key, what);
        }
    }

    fn associated(&mut self, inv: usize, key: &Key, call: &Call, world: &mut World) {
        let Some(entry) = entry_at(world, key).cloned() else { return };
        let before = self.before.remove(&call.n).unwrap_or_default();
        let kept = self.reference.entries.get(key).cloned().unwrap_or_default();
        if kept.excused.is_some() || same_policies(&before, &entry.policies) {
            return;
        }
        if kept.made.contains(&entry.arn) && is_under_way(row_at(world, key).as_ref(), &entry) {
            let wishes = kept.wish.or_else(|| kept.former.last().cloned()).unwrap_or_else(|| Wish::of(&entry));
            let now = Wish::of(&entry).policies;
            if now.iter().any(|(arn, scope)| wishes.policies.get(arn) != Some(scope)) {
                // Taken away while the repair completes what it created: that looks like a late read.
                if self.shown.get(&(inv, key.clone())).is_some_and(|shown| same_policies(&shown.policies, &before)) {
                    self.excuse(key, "a policy taken away during the completion");
                } else {
                    self.excuse(key, "changed between the last look and the association");
                }
                let is_more = |(arn, scope): (&String, &(String, Vec<String>))| {
                    !kept.former.iter().any(|wish| wish.policies.get(arn) == Some(scope))
                        && wishes.policies.get(arn) != Some(scope)
                };
                if now.iter().any(is_more) {
                    self.blame(key, "given a policy that its owner never gave");
                }
            }
            return;
        }
        if self.was_shown(inv, key, &entry, &before) {
            self.blame(key, "given a policy that its owner did not give");
        } else {
            self.excuse(key, "changed between the last look and the association");
        }
    }

    fn excuse(&mut self, key: &Key, why: &'static str) {
        let kept = self.reference.entry(key);
        if kept.wish.is_some() && kept.excused.is_none() {
            kept.excused = Some(why);
            *self.cover.excused.entry(why).or_default() += 1;
        }
    }

    /// Every entry is there as its owner had it, or its row keeps the whole of it.
    pub fn nothing_is_lost(&mut self, key: &Key, world: &mut World, when: &str) {
        let Some(kept) = self.reference.entries.get_mut(key) else { return };
        let Some(wish) = kept.wish.clone() else { return };
        let present = entry_at(world, key);
        if present.is_some_and(|entry| Wish::of(entry) == wish) {
            kept.excused = None;
            return;
        }
        if kept.excused.is_some() {
            return;
        }
        if let Some(entry) = present.filter(|entry| kept.others.contains(&entry.arn)) {
            let what =
                format!("another party's entry is not as it made it ({when}): {:?}, not {wish:?}", Wish::of(entry));
            return self.blame(key, &what);
        }
        let row = row_at(world, key);
        let there = entry_at(world, key).map(Wish::of);
        let kept = row
            .as_ref()
            .filter(|row| ["repairing", "archived"].iter().any(|state| row["state"] == *state))
            .and_then(Wish::of_row);
        // An owner may have changed what the repair had only just created: that stands there, the rest is in the row.
        let has = |arn: &String, scope: &(String, Vec<String>)| {
            [&there, &kept].iter().any(|it| it.as_ref().is_some_and(|it| it.policies.get(arn) == Some(scope)))
        };
        let is_kept = kept.is_some()
            && there.as_ref().or(kept.as_ref()).is_some_and(|it| it.is_named_like(&wish))
            && wish.policies.iter().all(|(arn, scope)| has(arn, scope));
        if !is_kept {
            self.blame(key, &format!("lost ({when}): there is {there:?} and the row {row:?}, not {wish:?}"));
        }
    }

    /// After an invocation: nobody is in who may not be, and nothing is lost.
    pub fn look_around(&mut self, world: &mut World) {
        let keys: Vec<Key> = self.reference.entries.keys().cloned().collect();
        for key in &keys {
            let entry = entry_at(world, key).cloned();
            let row = row_at(world, key);
            let is_open = row.as_ref().is_some_and(|row| row["state"] == "repairing");
            let is_disturbed = self.plan.was_cut || self.plan.faults > 0;
            let present = present_role(world, key);
            let lags = !world.habits.iam_lags_by.is_zero();
            let kept = self.reference.entry(key);
            if let (Some((arn, is_unclear)), Some(entry)) = (kept.revived.take(), &entry)
                && arn == entry.arn
                && kept.wish.is_none()
            {
                if !is_unclear && !is_disturbed {
                    self.blame(key, "an entry that its owner had deleted is there again");
                    continue;
                }
                kept.wish = Some(Wish::of(entry));
                self.excuse(key, "deleted by its owner while an answer was unclear");
            }
            // Cut after a creation whose entry the row does not name yet: as if its reply had been lost.
            let is_unnamed = row
                .as_ref()
                .is_some_and(|row| row.contains_key("creationSentAt") && !row.contains_key("createdEntryArn"));
            let kept = self.reference.entry(key);
            kept.is_unnamed = (kept.is_unnamed || self.plan.was_cut) && is_unnamed && !kept.made.is_empty();
            kept.is_unclear &= is_open;
            if let Some(entry) = &entry
                && present.as_ref() == Some(&entry.bound_to)
                && !is_let_in_rightly(kept, entry)
                && !(kept.hits.contains(&entry.arn) && (is_disturbed || lags || is_open))
            {
                self.blame(key, "a role that nobody permitted is let in");
            }
            self.nothing_is_lost(key, world, "after an invocation");
        }
    }
}
