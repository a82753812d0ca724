//! While the entry still stands: is everything as it was when the row was opened, and may it be deleted?

use super::LEAST_FOR_A_DELETION;
use super::converge::{Fate, Flow, Work};
use super::steps::Associated;
use crate::discovery::Examined;
use crate::guardrail::{self, Refusal};
use crate::model::{Cluster, Role, RoleState};
use crate::outcome::{Outcome, Reason};
use crate::verdict::is_older;

impl Work<'_> {
    pub(super) async fn before_the_deletion(&mut self, cluster: &Cluster, role: &Role, entry: &Examined) -> Flow {
        if !self.is_as_it_was(role, entry) {
            return self.changed_before_the_deletion(cluster, role, entry).await;
        }
        // What was reviewed when the row was opened may have changed: a trust policy, a tag.
        if self.is_new
            && let Err(Refusal::Hold(reason)) = self.crew.review(self.principal, entry, cluster, role)
        {
            return Flow::End(Outcome::Held(reason), Fate::Close);
        }
        if let Some(flow) = self.rehearse().await {
            return flow;
        }
        let again = match self.read().await {
            Ok(again) => again,
            Err(fault) if fault.may_pass() => return self.pause(),
            Err(fault) => return Self::failed(&fault.to_string()),
        };
        let (RoleState::Present(role), Some(entry), Some(cluster)) = (&again.role, &again.entry, &again.cluster) else {
            return Flow::Anew;
        };
        if !self.is_as_it_was(role, entry) || cluster.created_at != self.row.cluster_created_at {
            if entry.entry.arn != self.row.access_entry_arn {
                self.take_back().await;
            }
            return self.pause();
        }
        self.associated = Associated::default();
        if self.is_new
            && let Err(Refusal::Hold(reason)) = self.crew.review(self.principal, entry, cluster, role)
        {
            return Flow::End(Outcome::Held(reason), Fate::Close);
        }
        if let Err(Refusal::Hold(reason)) = guardrail::tags(&self.row.snapshot, cluster) {
            return Flow::End(Outcome::Held(reason), Fate::Close);
        }
        let run = self.crew.run;
        if let Some(outcome) = self.crew.halt() {
            return Flow::End(outcome, Fate::Keep);
        }
        if run.until(run.deadline.min(self.ends)) < LEAST_FOR_A_DELETION {
            return Flow::End(self.out_of_time(), Fate::Keep);
        }
        self.row.deletion_sent_at = Some(run.now());
        self.tries = 0;
        self.deletion_is_ours = true;
        self.delete().await
    }

    /// The entry or the role is not what the row was opened for.
    pub(super) async fn changed_before_the_deletion(
        &mut self,
        cluster: &Cluster,
        role: &Role,
        entry: &Examined,
    ) -> Flow {
        if entry.entry.arn != self.row.access_entry_arn {
            let is_like_ours = entry.snapshot().is_recreation_of(&self.row.snapshot, self.principal);
            if self.unclear_since.is_some() && is_like_ours {
                self.row.created_entry_arn = Some(entry.entry.arn.clone());
                return Flow::End(Outcome::Held(Reason::PerhapsRevived), Fate::Archive);
            }
            return if self.row.is_own_entry {
                let missing = entry.snapshot().missing_of(&self.row.snapshot);
                let fate = if missing.is_empty() { Fate::Forget } else { Fate::Archive };
                Flow::End(Outcome::None(Some(Reason::ReplacedByOther { missing })), fate)
            } else {
                Flow::Anew
            };
        }
        if !self.row.is_own_entry {
            return Flow::Anew;
        }
        // Our own creation may lack what the row has: the row stays whatever happens.
        if Some(&role.id) != self.row.permitted_role_id.as_ref() {
            return self.other_role(cluster, role).await;
        }
        let what = "the entry is not as this repair had made it".to_owned();
        Flow::End(Outcome::Held(Reason::ChangedMeanwhile { what }), Fate::Keep)
    }

    /// Whether role and entry are those that the row was opened for.
    pub(super) fn is_as_it_was(&self, role: &Role, entry: &Examined) -> bool {
        let is_stale = is_older(&entry.entry, role.created_at)
            || self.row.role_id.as_ref().is_some_and(|recorded| *recorded != role.id);
        Some(&role.id) == self.row.permitted_role_id.as_ref()
            && entry.entry.arn == self.row.access_entry_arn
            && is_stale
            && self.is_as_its_owner_had_it(entry)
    }

    /// Whether the entry is as the row has it; our own creation may still lack policies.
    pub(super) fn is_as_its_owner_had_it(&self, entry: &Examined) -> bool {
        let now = entry.snapshot();
        if self.row.is_own_entry {
            now.is_recreation_of(&self.row.snapshot, self.principal)
        } else {
            now == self.row.snapshot
        }
    }
}
