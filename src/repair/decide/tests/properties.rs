//! What the decision never says, in no world; and how often it says what, by the phase of the row and by whether reads have
//! been late for long. With the counts stands a fingerprint of all answers in their order, so that no change of a decision
//! goes unnoticed. `TABLE=write cargo test --lib decide` writes them again: whoever does, reads the difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::table::words;
use super::worlds::{LATER, PERMITTED, attempt, attempts, late, review, rows, whose, worlds};
use crate::guardrail;
use crate::model::RoleState;
use crate::repair::decide::decide;
use crate::repair::fixture::{cluster, now, phase_in_words, role_id};
use crate::repair::step::{Attempt, Cause, Deletion, Ending, Origin, Rehearsal, RowAfter, Rules, Step, World};
use crate::row::{Phase, Repair, Target};

/// At least so many worlds are tried: fewer would mean that a part was left out.
const AT_LEAST: usize = 500_000;

/// The numbers of FNV-1a, a hash that is the same on every machine (IETF draft "The FNV Non-Cryptographic Hash Algorithm").
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// How often each step is the answer.
const COUNTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/repair/decide/tests/counts.txt");

/// One question to the decision, and its answer.
struct Case<'a> {
    repair: &'a Repair,
    world: &'a World,
    attempt: &'a Attempt,
    step: &'a Step,
}

#[test]
fn in_no_world_does_the_decision_break_a_rule() {
    let (rows, worlds, principal) = (rows(), worlds(), whose());
    let (mut tried, mut said, mut fingerprint) = (0, BTreeMap::new(), FNV_OFFSET);
    for is_unattended in [true, false] {
        let rules = Rules { principal: &principal, settle: Duration::from_mins(1), is_unattended, review: &review };
        // Whether somebody attends matters to a restore only.
        for repair in rows.iter().filter(|repair| is_unattended || repair.is_restore()) {
            // Since when the role is gone matters while it is gone only.
            let is_gone = |world: &&World| repair.role_absent_since.is_none() || world.role == RoleState::Absent;
            for attempt in &attempts(repair) {
                for world in worlds.iter().filter(is_gone) {
                    let step = decide(repair, world, attempt, &rules, now());
                    let case = Case { repair, world, attempt, step: &step };
                    if let Err(rule) = case.follows_the_rules(&rules) {
                        panic!("{rule}: {step:?}\nrow: {repair:#?}\nworld: {world:#?}\nobserved: {attempt:#?}");
                    }
                    tried += 1;
                    let answer = words(&step, repair);
                    fingerprint =
                        answer.bytes().fold(fingerprint, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
                    *said
                        .entry((phase_in_words(&repair.phase), attempt.late_since.is_some(), answer))
                        .or_insert(0_usize) += 1;
                }
            }
        }
    }
    assert!(tried > AT_LEAST, "{tried} worlds");
    let head = format!("fingerprint of all answers in their order: {fingerprint:016x}\n");
    let counts = said.into_iter().fold(head, |mut text, ((phase, is_late, words), worlds)| {
        let reads = if is_late { ", late for long" } else { "" };
        let _ = writeln!(text, "{phase}{reads}: {words}: {worlds}");
        text
    });
    if std::env::var_os("TABLE").is_some_and(|value| value == "write") {
        std::fs::write(COUNTS, &counts).unwrap();
    }
    let kept = std::fs::read_to_string(COUNTS).unwrap_or_default();
    assert!(kept == counts, "{COUNTS} has other counts; see `TABLE=write` at the head of this file");
    let documented = format!("puts {} worlds through the function", in_thousands(tried));
    assert!(include_str!("../../../../tests/README.md").contains(&documented), "tests/README.md: {documented}");
}

fn in_thousands(number: usize) -> String {
    let (millions, rest) = (number / 1_000_000, number % 1_000_000);
    format!("{millions},{:03},{:03}", rest / 1000, rest % 1000)
}

type Rule = Result<(), &'static str>;

fn rule(holds: bool, rule: &'static str) -> Rule {
    if holds { Ok(()) } else { Err(rule) }
}

impl Case<'_> {
    fn follows_the_rules(&self, rules: &Rules<'_>) -> Rule {
        match self.step {
            Step::Create => self.may_create()?,
            Step::Delete => self.may_delete()?,
            Step::Rehearse => rule(self.stands_as_the_target(), "a rehearsal needs the entry of the row")?,
            Step::Record => self.may_record(rules)?,
            Step::Withdraw(arn) => self.may_withdraw(arn, rules)?,
            Step::Adopt(arn) => {
                let is_sent = matches!(self.repair.phase, Phase::CreationSent { .. });
                let stands = self.world.entry.as_ref().is_some_and(|entry| entry.entry.arn == *arn);
                rule(
                    is_sent && stands && self.stands_as_ours(rules),
                    "only what was sent and stands is taken for ours",
                )?;
                rule(self.role_is(PERMITTED), "an entry is taken for ours with the permitted role only")?;
            }
            Step::Associate(policies) => {
                let is_ours = self.stands_as_known(rules);
                rule(is_ours && self.role_is(PERMITTED), "policies are for our creation and the permitted role")?;
                let is_of_row = policies.iter().all(|policy| self.repair.wanted.access_policies.contains(policy));
                rule(!policies.is_empty() && is_of_row, "only the policies of the row are associated")?;
            }
            Step::PermitNewRole(permit) | Step::StartOver(_, permit) => {
                let reviewed = self.world.role.role().is_some_and(|role| role.id == *permit.role_id());
                let is_let_in = [PERMITTED, LATER].iter().any(|n| role_id(*n) == *permit.role_id());
                rule(reviewed && is_let_in, "only a role that the guardrails let in is permitted")?;
                rule(
                    !self.repair.is_restore() || !rules.is_unattended,
                    "only a person names another role for a restore",
                )?;
            }
            Step::TakeBack => rule(!self.attempt.associated.is_empty(), "there is nothing to take back")?,
            Step::End(ending) => self.may_end(ending)?,
            Step::Wait(_) | Step::WaitForAge(_) | Step::NoteAbsentRole => {}
        }
        let changes = !matches!(self.step, Step::Wait(_) | Step::WaitForAge(_) | Step::Withdraw(_) | Step::End(_));
        let is_allowed = self.is_same_cluster() || *self.step == Step::TakeBack;
        rule(!changes || is_allowed, "nothing is changed in another cluster")?;
        rule(!changes || !self.has_ignore_tag(), "nothing is changed under the ignore tag")?;
        let is_held_now = self.world.role.role().is_some_and(|role| role.trust_policy.is_some());
        let is_reviewed_again = self.attempt.origin == Origin::OpenedHere && self.repair.phase == Phase::Opened;
        rule(
            !is_held_now || !is_reviewed_again || !matches!(self.step, Step::Delete | Step::Rehearse),
            "nothing is begun for a role that the guardrails hold by now",
        )?;
        let is_rehearsed = matches!(self.attempt.rehearsal, Rehearsal::Made(_));
        let withdraws = matches!(self.step, Step::Withdraw(_)) && self.is_same_cluster() && !is_rehearsed;
        rule(
            !withdraws || !self.has_ignore_tag(),
            "under the ignore tag nothing is withdrawn but what a rehearsal made",
        )
    }

    fn may_create(&self) -> Rule {
        rule(self.role_is(PERMITTED), "a creation needs the permitted role")?;
        rule(self.world.entry.is_none(), "a creation needs an empty place")?;
        let is_marked = matches!(self.repair.phase, Phase::DeletionSent { .. } | Phase::CreationSent { .. });
        rule(is_marked, "nothing is created before the deletion, nor after a creation that EKS confirmed")
    }

    fn may_delete(&self) -> Rule {
        rule(self.stands_as_the_target(), "only the entry of the row is deleted")?;
        rule(!matches!(self.repair.target, Target::None(_)), "a restore deletes nothing")?;
        rule(self.role_is(PERMITTED), "nothing is deleted for a role that is not permitted")?;
        let is_marked = self.repair.phase.deletion_at().is_some();
        rule(is_marked || self.attempt.rehearsal == Rehearsal::Passed, "a deletion needs a rehearsal or its mark")?;
        rule(!matches!(self.repair.phase, Phase::Created { .. }), "after a confirmed creation nothing is deleted")
    }

    fn may_record(&self, rules: &Rules<'_>) -> Rule {
        rule(self.role_is(PERMITTED), "only the permitted role is recorded")?;
        rule(self.stands_as_ours(rules), "only our creation is recorded")?;
        let Some(entry) = &self.world.entry else { return Err("nothing stands") };
        let missing = self.repair.wanted.policies_missing_in(&entry.policies);
        rule(missing.is_empty(), "nothing is recorded without every policy")
    }

    fn may_withdraw(&self, arn: &str, rules: &Rules<'_>) -> Rule {
        let stands = self.world.entry.as_ref().is_some_and(|entry| entry.entry.arn == arn);
        rule(stands, "only what stands is withdrawn")?;
        let is_target = arn == self.repair.target.arn();
        rule(!is_target || self.repair.is_of_ours(), "the entry to delete is not withdrawn if it is the owner's")?;
        let is_rehearsed = matches!(&self.attempt.rehearsal, Rehearsal::Made(made) if made == arn);
        rule(is_rehearsed || is_target || self.stands_as_ours(rules), "only our own creation is withdrawn")?;
        let is_same = self.world.cluster.as_ref().is_some_and(|there| there.created_at == cluster(0).created_at);
        let is_known = is_rehearsed || is_target || self.stands_as_known(rules);
        rule(is_same || is_known, "in a later cluster only what EKS told us is withdrawn")
    }

    /// A row is only deleted if nothing is lost with it.
    fn may_end(&self, ending: &Ending) -> Rule {
        rule(*ending != Ending::Repaired, "only a step that records ends as repaired")?;
        if ending.row_after(self.repair, now()) != RowAfter::Deleted {
            return Ok(());
        }
        let is_deletion_sent = self.attempt.deletion != Deletion::NotSent;
        let is_opened = matches!(self.repair.phase, Phase::Opened | Phase::DeletionSent { .. });
        let is_untouched = is_opened && !is_deletion_sent && !self.repair.is_of_ours();
        let has_all = |entry: &crate::sighting::Examined| {
            entry.entry.arn == self.repair.target.arn() || entry.snapshot().missing_of(&self.repair.wanted).is_empty()
        };
        let is_whole = self.world.entry.as_ref().is_some_and(has_all);
        rule(is_untouched || is_whole || self.repair.is_restore(), "a row that may be all that is left is kept")
    }

    fn role_is(&self, n: u32) -> bool {
        matches!(&self.world.role, RoleState::Present(role) if role.id == role_id(n))
    }

    fn stands_as_the_target(&self) -> bool {
        self.world.entry.as_ref().is_some_and(|entry| entry.entry.arn == self.repair.target.arn())
    }

    fn stands_as_ours(&self, rules: &Rules<'_>) -> bool {
        let Some(entry) = &self.world.entry else { return false };
        match &self.repair.phase {
            Phase::Created { arn, .. } => entry.entry.arn == *arn,
            Phase::CreationSent { .. } => {
                let is_like = entry.snapshot().is_recreation_of(&self.repair.wanted, rules.principal);
                !self.stands_as_the_target() && is_like && entry.policies.is_empty()
            }
            Phase::Opened | Phase::DeletionSent { .. } => false,
        }
    }

    /// Whether the row has the ARN of what stands as that of our creation.
    fn stands_as_known(&self, rules: &Rules<'_>) -> bool {
        matches!(self.repair.phase, Phase::Created { .. }) && self.stands_as_ours(rules)
    }

    fn is_same_cluster(&self) -> bool {
        self.world.cluster.as_ref().is_some_and(|there| there.created_at == cluster(0).created_at && there.is_workable)
    }

    fn has_ignore_tag(&self) -> bool {
        let Some(there) = &self.world.cluster else { return false };
        let present = self.world.entry.as_ref().map(crate::sighting::Examined::snapshot);
        std::iter::once(&self.repair.wanted).chain(&present).any(|snapshot| guardrail::tags(snapshot, there).is_err())
    }
}

#[test]
fn reads_that_contradict_what_is_known_count_after_three_and_a_minute() {
    let principal = whose();
    let rules = Rules { principal: &principal, settle: Duration::from_mins(1), is_unattended: true, review: &review };
    let is_ours = |repair: &&Repair| repair.phase == Phase::Opened && repair.is_of_ours();
    let rows = rows();
    let repair = rows.iter().find(is_ours).unwrap();
    let role = RoleState::Present(crate::repair::fixture::role(PERMITTED));
    let world = World { cluster: Some(cluster(0)), entry: None, role };
    let (seldom, long) = (attempt(repair, Origin::OpenedHere), late(&attempt(repair, Origin::OpenedHere)));
    let often = Attempt { late_since: Some(now()), ..long.clone() };
    let is_late = |attempt| matches!(decide(repair, &world, attempt, &rules, now()), Step::Wait(Cause::LateRead));
    assert_eq!([is_late(&seldom), is_late(&often), is_late(&long)], [true, true, false]);
}
