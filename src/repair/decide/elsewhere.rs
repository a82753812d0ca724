//! The cluster of the row was replaced by one of the same name, or is gone.

use super::Decision;
use crate::model::RoleState;
use crate::repair::step::{Cause, Deletion, Ending, Step, World};
use crate::sighting::Examined;

impl Decision<'_> {
    /// A later cluster of the name, or none: nothing is brought back there without a person, and what we created there
    /// must go. What we may have created there without being told is held.
    pub(super) fn in_another_cluster(&self, world: &World) -> Step {
        let entry = world.entry.as_ref();
        if let Some(ending) = self.revived(entry) {
            return Step::End(ending);
        }
        let is_perhaps_ours = |entry: &&Examined| match (&world.cluster, &world.role) {
            _ if self.is_ours(entry) => !self.is_known_as_ours(entry),
            (Some(cluster), RoleState::Present(role)) => self.is_perhaps_ours_changed(cluster, role, entry),
            _ => false,
        };
        if let Some(entry) = entry.filter(is_perhaps_ours) {
            return Step::End(Ending::PerhapsRevived(entry.entry.arn.clone()));
        }
        if !self.repair.holds_more() {
            return Step::End(Ending::JudgeAgain);
        }
        match self.withdrawal(entry) {
            // No entry stands without a cluster: one of the two answers is late.
            Some(Step::Withdraw(_)) if world.cluster.is_none() && self.may_be_late() => Step::Wait(Cause::LateRead),
            step => step.unwrap_or(Step::End(Ending::ClusterGone)),
        }
    }

    /// What we created must go, as soon as it shows; `None` if there is nothing of ours.
    pub(super) fn withdrawal(&self, entry: Option<&Examined>) -> Option<Step> {
        let entry = entry.filter(|entry| !self.attempt.withdrawn.contains(&entry.entry.arn));
        // An entry that was deleted before shows in late reads, and another may stand in its place.
        let is_sure = self.attempt.deletion == Deletion::NotSent;
        let withdraw = |entry: &Examined| Some(Step::Withdraw(entry.entry.arn.clone()));
        match entry {
            Some(entry) if self.is_ours(entry) || (is_sure && self.is_known_as_ours(entry)) => withdraw(entry),
            entry if self.may_yet_show_ours(entry) => Some(Step::Wait(Cause::LateRead)),
            Some(entry) if self.is_known_as_ours(entry) => withdraw(entry),
            _ => None,
        }
    }
}
