//! After the deletion was sent: what stands there now, whose is it, and for which role may the entry come back?

use std::time::Duration;

use super::Purpose;
use super::converge::{Fate, Flow, LATE_FOR, LATE_READS, Work};
use super::crew::Wait;
use crate::discovery::Examined;
use crate::guardrail::Refusal;
use crate::model::{Cluster, Role};
use crate::outcome::{Outcome, Reason};
use crate::verdict::is_older;

impl Work<'_> {
    pub(super) async fn after_the_deletion(&mut self, cluster: &Cluster, role: &Role, entry: Option<Examined>) -> Flow {
        let is_permitted = Some(&role.id) == self.row.permitted_role_id.as_ref();
        let Some(entry) = entry else {
            if self.row.created_entry_arn.is_some() {
                return self.creation_is_gone();
            }
            return if is_permitted { self.create().await } else { self.other_role(cluster, role).await };
        };
        if entry.entry.arn == self.row.access_entry_arn {
            // A late read, or the deletion did not arrive. An owner's change since then is not deleted.
            if !self.is_as_its_owner_had_it(&entry) {
                return self.changed_and_not_deleted();
            }
            if !is_permitted {
                return self.other_role(cluster, role).await;
            }
            return if self.tries < LATE_READS { self.pause() } else { self.delete().await };
        }
        if self.deleted_again.contains(&entry.entry.arn) {
            return self.pause();
        }
        if !self.is_our_creation(&entry) {
            self.take_back().await;
            let missing = entry.snapshot().missing_of(&self.row.snapshot);
            // The row is the only list of what the entry had.
            let fate = if missing.is_empty() { Fate::Forget } else { Fate::Archive };
            return Flow::End(Outcome::None(Some(Reason::ReplacedByOther { missing })), fate);
        }
        let is_stale = is_older(&entry.entry, role.created_at);
        if !is_permitted && !is_stale {
            // Bound to a role that nobody permitted.
            return match self.delete_created(&entry.entry.arn).await {
                Ok(()) => self.pause(),
                Err(flow) => flow,
            };
        }
        if is_stale {
            // The role was recreated once more. Start over with this entry, for the new ID if that is permitted.
            if let Err(flow) = self.permit_anew(cluster, role).await {
                return flow;
            }
            self.row.access_entry_arn = entry.entry.arn;
            self.row.is_own_entry = true;
            self.row.forget_progress();
            self.is_new = false;
            return match self.write().await {
                Ok(()) => Flow::Again(Duration::ZERO),
                Err(flow) => flow,
            };
        }
        self.complete(role, &entry).await
    }

    /// The entry of the row still shows, and was changed. After a minute that is no late read: the entry was not deleted,
    /// so it is judged anew as it is. A row that holds more than our own creation is archived for a person.
    fn changed_and_not_deleted(&mut self) -> Flow {
        let since = self.row.deletion_sent_at.map_or(LATE_FOR, |at| self.crew.run.now() - at);
        if since < LATE_FOR {
            return self.pause();
        }
        if self.row.is_own_entry {
            let what = "the entry that this repair had created was changed".to_owned();
            return Flow::End(Outcome::Held(Reason::ChangedMeanwhile { what }), Fate::Archive);
        }
        Flow::Anew
    }

    /// EKS confirmed our creation, but reads do not show the entry. Either the reads are late or the owner deleted it. It
    /// is not created again: that could restore access that the owner removed. The archive keeps it for a person.
    pub(super) fn creation_is_gone(&mut self) -> Flow {
        let now = self.crew.run.now();
        let absent_since = *self.absent_since.get_or_insert(now);
        let since = now - self.row.creation_sent_at.unwrap_or(absent_since);
        if self.tries < LATE_READS || since < LATE_FOR {
            return self.pause();
        }
        Flow::End(Outcome::None(Some(Reason::DeletedByOwner)), Fate::Archive)
    }

    pub(super) fn is_our_creation(&self, entry: &Examined) -> bool {
        match &self.row.created_entry_arn {
            Some(arn) => *arn == entry.entry.arn,
            None => {
                self.row.creation_sent_at.is_some()
                    && entry.snapshot().is_recreation_of(&self.row.snapshot, self.principal)
            }
        }
    }

    /// The role has an ID that the row does not permit, and no entry is bound to it.
    pub(super) async fn other_role(&mut self, cluster: &Cluster, role: &Role) -> Flow {
        match self.permit_anew(cluster, role).await {
            Ok(()) => match self.write().await {
                Ok(()) => Flow::Again(Duration::ZERO),
                Err(flow) => flow,
            },
            Err(flow) => flow,
        }
    }

    /// Held, with the row open: the role is not the one that the row permits.
    fn role_changed(&self, role: &Role) -> Flow {
        let expected = self.row.permitted_role_id.as_ref().map(ToString::to_string).unwrap_or_default();
        let reason = Reason::RoleChanged { expected, present: role.id.to_string() };
        Flow::End(Outcome::Held(reason), Fate::Keep)
    }

    /// Reviews the snapshot for the role that is there now; without a permit the row stays, for a person.
    pub(super) async fn permit_anew(&mut self, cluster: &Cluster, role: &Role) -> Result<(), Flow> {
        // A person asked for one role ID; only a person names another.
        if self.row.is_restore && matches!(self.crew.purpose, Purpose::Act { .. }) {
            return Err(self.role_changed(role));
        }
        let asked = self.crew.asked(role);
        let permit = match self.crew.review_for(self.principal, &self.row.snapshot, cluster, role, &asked) {
            Ok(permit) => permit,
            Err(Refusal::Observed) => return Err(Flow::End(Outcome::Held(Reason::Observing), Fate::Keep)),
            Err(Refusal::Hold(Reason::IgnoreTag { on })) => {
                return Err(Flow::End(Outcome::Held(Reason::IgnoreTag { on }), Fate::Keep));
            }
            Err(Refusal::Hold(_)) => return Err(self.role_changed(role)),
        };
        match self.crew.wait_for(role.created_at + self.crew.run.config().settle, role.created_at).await {
            Wait::Over => {}
            Wait::Waited if self.crew.run.now() < self.ends => return Err(Flow::Again(Duration::ZERO)),
            Wait::Waited => return Err(Flow::End(self.out_of_time(), Fate::Keep)),
            Wait::TooLong(reason) => {
                return Err(Flow::End(Outcome::Deferred { reason, deletion_sent: true }, Fate::Keep));
            }
        }
        self.row.permitted_role_id = Some(permit.role_id().clone());
        self.row.grounds = Some(permit.grounds().to_owned());
        Ok(())
    }
}
