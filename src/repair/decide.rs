//! What is the next step of a repair? Pure: row, world and what was observed so far in, one [`Step`] out.
//!
//! The order of the questions is the order of the rules: is it the same cluster, may the entry be touched, is the role
//! there, and then, by phase, what stands in the entry's place. Nothing is created for another role ID than the permitted
//! one, and nothing is deleted but the target of the row and what the repair created itself.
//!
#![doc = include_str!("decide/table.md")]

mod elsewhere;
mod whose;

use time::OffsetDateTime;

use super::compare::{is_as_it_was, is_as_wanted, review_again};
use super::step::{Attempt, Cause, Deletion, Ending, Rehearsal, Rules, Step, World};
use crate::fault::Fault;
use crate::guardrail::{self, Refusal};
use crate::limits::LATE_FOR;
use crate::model::{Cluster, Role, RoleState};
use crate::outcome::Hold;
use crate::row::{Phase, Repair, Target};
use crate::sighting::Examined;
use crate::verdict::is_older;

/// How many reads must contradict what we know before that counts.
pub(super) const LATE_READS: u32 = 3;

/// How often IAM may fail to answer.
const UNREADABLE_ROLES: u32 = 5;

/// The next step.
pub(super) fn decide(
    repair: &Repair,
    world: &World,
    attempt: &Attempt,
    rules: &Rules<'_>,
    now: OffsetDateTime,
) -> Step {
    let decision = Decision { repair, attempt, rules, now };
    match decision.step(world) {
        // What a rehearsal may have created must have time to show, or it would count as good later.
        Step::End(Ending::JudgeAgain) if decision.may_yet_show() => Step::Wait(Cause::LateRead),
        step => step,
    }
}

struct Decision<'a> {
    repair: &'a Repair,
    attempt: &'a Attempt,
    rules: &'a Rules<'a>,
    now: OffsetDateTime,
}

impl Decision<'_> {
    fn step(&self, world: &World) -> Step {
        let entry = world.entry.as_ref();
        // Whatever else changed: what the rehearsal created must go.
        match (&self.attempt.rehearsal, &world.cluster) {
            (Rehearsal::Made(made), Some(_)) => return self.rehearsal_made(made, entry),
            (Rehearsal::Withdrawn, _) => return Step::End(Ending::target_deleted_by_owner(self.repair)),
            _ => {}
        }
        let is_of_other = world.cluster.is_some() && entry.is_some_and(|entry| self.is_of_other(entry));
        let must_take_back = is_of_other && !self.attempt.associated.is_empty();
        let cluster = match &world.cluster {
            Some(cluster) if cluster.created_at == self.repair.cluster_created_at => cluster,
            _ if must_take_back => return Step::TakeBack,
            _ => return self.in_another_cluster(world),
        };
        if let Some(reason) = self.untouchable(cluster, entry) {
            return Step::End(self.held(reason, entry));
        }
        if must_take_back {
            return Step::TakeBack;
        }
        let role = match &world.role {
            RoleState::Present(role) => role,
            RoleState::Absent => return self.role_absent(entry),
            RoleState::Unreadable(fault) => return self.role_unreadable(fault),
        };
        match (&self.repair.phase, entry) {
            (Phase::Opened, entry) => self.before_the_deletion(cluster, role, entry),
            (Phase::Created { at, .. }, None) => self.creation_is_gone(cluster, role, *at),
            // Our own creation is young, and a late read may not show it.
            (Phase::DeletionSent { .. }, None) if self.is_unsent_deletion_of_ours() && self.may_be_late() => {
                Step::Wait(Cause::LateRead)
            }
            // Marked by this invocation and not carried out: the owner was first.
            (Phase::DeletionSent { .. }, None) if self.attempt.deletion == Deletion::NotSent => {
                Step::End(Ending::target_deleted_by_owner(self.repair))
            }
            (Phase::DeletionSent { .. } | Phase::CreationSent { .. }, None) if self.is_permitted(role) => Step::Create,
            (Phase::DeletionSent { .. } | Phase::CreationSent { .. }, None) => {
                self.permit_new_role(cluster, role, None)
            }
            (_, Some(entry)) => self.after_the_deletion(cluster, role, entry),
        }
    }

    /// Why neither entry nor cluster may be changed at the moment, if so.
    fn untouchable(&self, cluster: &Cluster, entry: Option<&Examined>) -> Option<Hold> {
        let present = entry.map(Examined::snapshot);
        let mut snapshots = std::iter::once(&self.repair.wanted).chain(&present);
        if let Some(Refusal::Hold(reason)) = snapshots.find_map(|snapshot| guardrail::tags(snapshot, cluster).err()) {
            return Some(reason);
        }
        let what = "the cluster is being created or deleted".to_owned();
        (!cluster.is_workable).then_some(Hold::ChangedMeanwhile { what })
    }

    /// Held: a row is closed if nothing was changed, and nothing will be.
    fn held(&self, reason: Hold, entry: Option<&Examined>) -> Ending {
        let stands = entry.is_some_and(|entry| entry.entry.arn == self.repair.target.arn());
        if stands && !self.repair.holds_more() { Ending::HeldClosed(reason) } else { Ending::HeldOpen(reason) }
    }

    fn role_unreadable(&self, fault: &Fault) -> Step {
        if self.attempt.waited(Cause::RoleUnreadable) < UNREADABLE_ROLES {
            return Step::Wait(Cause::RoleUnreadable);
        }
        Step::End(Ending::Failed(fault.clone()))
    }

    /// IAM answers eventually, so an absent role counts only after it has been absent for a while.
    fn role_absent(&self, entry: Option<&Examined>) -> Step {
        if let Some(ending) = self.revived(entry) {
            return Step::End(ending);
        }
        if !self.repair.holds_more() {
            return Step::End(Ending::JudgeAgain);
        }
        let Some(since) = self.repair.role_absent_since else { return Step::NoteAbsentRole };
        if self.now - since < self.rules.settle {
            return Step::Wait(Cause::RoleAbsent);
        }
        // Ours may lack policies: the archive has the whole.
        self.withdrawal(entry).unwrap_or(Step::End(Ending::RoleGone))
    }

    fn before_the_deletion(&self, cluster: &Cluster, role: &Role, entry: Option<&Examined>) -> Step {
        let Some(entry) = entry else {
            return match (self.repair.is_of_ours(), self.may_be_late()) {
                (true, true) => Step::Wait(Cause::LateRead),
                (true, false) => Step::End(Ending::OursDeletedByOwner),
                (false, _) => Step::End(Ending::JudgeAgain),
            };
        };
        if !is_as_it_was(self.repair, self.rules, role, entry) {
            return self.changed_before_the_deletion(cluster, role, entry);
        }
        if let Some(reason) = review_again(self.repair, self.attempt, self.rules, cluster, role) {
            return Step::End(Ending::HeldClosed(reason));
        }
        match self.attempt.rehearsal {
            Rehearsal::Passed => Step::Delete,
            _ => Step::Rehearse,
        }
    }

    /// The rehearsal created an entry, since the owner had deleted theirs. It must go, or never be called good.
    fn rehearsal_made(&self, made: &str, entry: Option<&Examined>) -> Step {
        match entry {
            Some(entry) if entry.entry.arn == *made => Step::Withdraw(made.to_owned()),
            Some(entry) if entry.entry.arn != self.repair.target.arn() => Step::End(Ending::JudgeAgain),
            _ if self.may_be_late() => Step::Wait(Cause::LateRead),
            _ => Step::End(Ending::PerhapsRevived(made.to_owned())),
        }
    }

    /// Entry or role is not what the row was opened for.
    fn changed_before_the_deletion(&self, cluster: &Cluster, role: &Role, entry: &Examined) -> Step {
        if entry.entry.arn != self.repair.target.arn() {
            return self.replaced_before_the_deletion(cluster, role, entry);
        }
        if !self.repair.is_of_ours() {
            return Step::End(Ending::JudgeAgain);
        }
        // Our own creation may lack what the row has: the row stays whatever happens.
        if !self.is_permitted(role) {
            return self.permit_new_role(cluster, role, None);
        }
        let what = "the entry is not as this repair had made it".to_owned();
        Step::End(Ending::HeldOpen(Hold::ChangedMeanwhile { what }))
    }

    fn replaced_before_the_deletion(&self, cluster: &Cluster, role: &Role, entry: &Examined) -> Step {
        if self.is_perhaps_ours_changed(cluster, role, entry) {
            return Step::End(Ending::PerhapsRevived(entry.entry.arn.clone()));
        }
        let otherwise = || if self.repair.is_of_ours() { self.replaced(entry) } else { Ending::JudgeAgain };
        Step::End(self.revived(Some(entry)).unwrap_or_else(otherwise))
    }

    /// EKS confirmed our creation, but the entry is not visible. Either the read is late or the owner deleted it. It is
    /// not created again: that could restore access that the owner removed.
    fn creation_is_gone(&self, cluster: &Cluster, role: &Role, created_at: OffsetDateTime) -> Step {
        if self.is_read_rarely() || self.now - created_at < LATE_FOR {
            return Step::Wait(Cause::LateRead);
        }
        if self.is_permitted(role) {
            return Step::End(Ending::OursDeletedByOwner);
        }
        // Should it show later, it is bound to a role that nobody permitted: the row keeps its ARN.
        self.permit_new_role(cluster, role, None)
    }

    fn after_the_deletion(&self, cluster: &Cluster, role: &Role, entry: &Examined) -> Step {
        if entry.entry.arn == self.repair.target.arn() {
            return self.target_still_shows(cluster, role, entry);
        }
        if self.attempt.withdrawn.contains(&entry.entry.arn) {
            return Step::Wait(Cause::LateRead);
        }
        if self.is_perhaps_ours_changed(cluster, role, entry) {
            return Step::End(Ending::PerhapsRevived(entry.entry.arn.clone()));
        }
        if !self.is_ours(entry) {
            return Step::End(self.replaced(entry));
        }
        match (self.is_permitted(role), is_older(&entry.entry, role.created_at)) {
            // The role was recreated once more: delete this entry next, if the new ID is permitted.
            (_, true) => self.permit_new_role(cluster, role, Some(&entry.entry.arn)),
            // Bound to a role that nobody permitted.
            (false, false) => Step::Withdraw(entry.entry.arn.clone()),
            (true, false) => match self.repair.wanted.policies_missing_in(&entry.policies) {
                missing if missing.is_empty() => Step::Record,
                // Only an entry that the row names is given policies: after a cut, the row tells ours with some of them
                // from another party's.
                _ if !self.is_known_as_ours(entry) => Step::Adopt(entry.entry.arn.clone()),
                missing => Step::Associate(missing),
            },
        }
    }

    /// The deleted entry shows: a late read, or the deletion did not arrive.
    fn target_still_shows(&self, cluster: &Cluster, role: &Role, entry: &Examined) -> Step {
        let deletion_at = match (&self.repair.target, &self.repair.phase) {
            // A restore deletes nothing: the archived entry is there after all.
            (Target::None(_), _) if self.may_be_late() => return Step::Wait(Cause::LateRead),
            (Target::None(_), _) => return Step::End(Ending::JudgeAgain),
            // EKS confirmed a later creation, so this is late.
            (_, Phase::Created { .. }) => return Step::Wait(Cause::LateRead),
            (_, phase) => phase.deletion_at().unwrap_or(self.now),
        };
        if !is_as_wanted(self.repair, self.rules, entry) {
            // The owner changed it. An entry that still stands after a minute was not deleted.
            if self.now - deletion_at < LATE_FOR {
                return Step::Wait(Cause::LateRead);
            }
            if !self.repair.is_of_ours() {
                return Step::End(Ending::JudgeAgain);
            }
            let what = "the entry that this repair had created was changed".to_owned();
            return Step::End(Ending::HeldUndeleted(Hold::ChangedMeanwhile { what }));
        }
        if !self.is_permitted(role) {
            return self.permit_new_role(cluster, role, None);
        }
        // A deletion that this invocation marked and that EKS did not carry out is no late read.
        let is_sent = self.attempt.deletion != Deletion::NotSent;
        if is_sent && self.is_read_rarely() { Step::Wait(Cause::LateRead) } else { Step::Delete }
    }

    /// The role has another ID than the permitted one, or our creation is older than the role: continue for the role that
    /// is there now, if the guardrails let it.
    fn permit_new_role(&self, cluster: &Cluster, role: &Role, ours: Option<&str>) -> Step {
        let expected = self.repair.permitted.role_id.to_string();
        let changed = || Hold::RoleChanged { expected, present: role.id.to_string() };
        // A person asked for one role ID; only a person names another.
        if self.repair.is_restore() && self.rules.is_unattended {
            return Step::End(Ending::HeldOpen(changed()));
        }
        let permit = match (self.rules.review)(&self.repair.wanted, cluster, role) {
            Ok(permit) => permit,
            Err(Refusal::Observed) => return Step::End(Ending::HeldOpen(Hold::Observing)),
            Err(Refusal::Hold(reason @ Hold::IgnoreTag { .. })) => return Step::End(Ending::HeldOpen(reason)),
            Err(Refusal::Hold(_)) => return Step::End(Ending::HeldOpen(changed())),
        };
        if self.now < role.created_at + self.rules.settle {
            return Step::WaitForAge(role.clone());
        }
        match ours {
            Some(arn) => Step::StartOver(arn.to_owned(), permit),
            None => Step::PermitNewRole(permit),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
