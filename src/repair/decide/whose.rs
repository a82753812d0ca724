//! What is known of the entry that stands: whose it is, and whether a read of it may be late.

use super::{Decision, LATE_READS};
use crate::limits::LATE_FOR;
use crate::model::{Cluster, Role};
use crate::repair::compare::is_as_sent;
use crate::repair::step::{Cause, Deletion, Ending};
use crate::row::{Phase, Target};
use crate::sighting::Examined;
use crate::verdict::is_older;

impl Decision<'_> {
    /// Another party's entry stands: is everything in it that the row keeps?
    pub(super) fn replaced(&self, entry: &Examined) -> Ending {
        Ending::ReplacedByOther(entry.snapshot().missing_of(&self.repair.wanted))
    }

    /// Whether this is neither the entry of the row nor one that this repair created.
    pub(super) fn is_of_other(&self, entry: &Examined) -> bool {
        let is_known = entry.entry.arn == self.repair.target.arn() || self.attempt.withdrawn.contains(&entry.entry.arn);
        !is_known && !self.is_ours(entry)
    }

    pub(super) fn is_permitted(&self, role: &Role) -> bool {
        role.id == self.repair.permitted.role_id
    }

    /// Whether a rehearsal may have created an entry that reads do not show yet.
    pub(super) fn may_yet_show(&self) -> bool {
        let is_opened = self.repair.phase == Phase::Opened;
        is_opened && self.attempt.unclear_since.is_some_and(|since| self.now - since < LATE_FOR)
    }

    /// Whether fewer than three reads contradict what we know.
    pub(super) fn is_read_rarely(&self) -> bool {
        self.attempt.waited(Cause::LateRead) < LATE_READS
    }

    /// Whether a read that contradicts what we know may be late: fewer than three reads, or less than a minute.
    pub(super) fn may_be_late(&self) -> bool {
        self.is_read_rarely() || self.attempt.late_since.is_none_or(|since| self.now - since < LATE_FOR)
    }

    /// Whether this entry is our creation: EKS told us its ARN, or a creation was sent and it is what we sent. The entry
    /// that was deleted before is as much like the row, and a late read may show it.
    pub(super) fn is_ours(&self, entry: &Examined) -> bool {
        if entry.entry.arn == self.repair.target.arn() {
            return false;
        }
        match &self.repair.phase {
            Phase::Created { arn, .. } => *arn == entry.entry.arn,
            Phase::CreationSent { .. } => is_as_sent(self.repair, self.rules, entry),
            Phase::Opened | Phase::DeletionSent { .. } => false,
        }
    }

    /// Whether the row says that we created the entry with this ARN.
    pub(super) fn is_known_as_ours(&self, entry: &Examined) -> bool {
        let arn = entry.entry.arn.as_str();
        matches!(&self.repair.phase, Phase::Created { arn: created, .. } if created == arn)
            || matches!(&self.repair.target, Target::OfOurs(target) if target == arn)
    }

    /// Held, if a rehearsal may have created this entry after its owner deleted the one before.
    pub(super) fn revived(&self, entry: Option<&Examined>) -> Option<Ending> {
        let entry = entry.filter(|entry| entry.entry.arn != self.repair.target.arn())?;
        let is_unclear = self.repair.phase == Phase::Opened && self.attempt.unclear_since.is_some();
        let is_like_ours = entry.snapshot().is_recreation_of(&self.repair.wanted, self.rules.principal);
        (is_unclear && is_like_ours).then(|| Ending::PerhapsRevived(entry.entry.arn.clone()))
    }

    /// Whether this may be our creation, of which nobody was told, after somebody changed it, while the role is one that
    /// nobody lets in.
    pub(super) fn is_perhaps_ours_changed(&self, cluster: &Cluster, role: &Role, entry: &Examined) -> bool {
        let may_have_created = match self.repair.phase {
            Phase::Opened => self.attempt.unclear_since.is_some(),
            Phase::CreationSent { .. } => true,
            Phase::DeletionSent { .. } | Phase::Created { .. } => false,
        };
        may_have_created
            && entry.entry.arn != self.repair.target.arn()
            && !self.is_ours(entry)
            && !self.is_permitted(role)
            && !is_older(&entry.entry, role.created_at)
            && (self.rules.review)(&self.repair.wanted, cluster, role).is_err()
    }

    /// Whether this invocation marked the deletion of our own creation, and did not send it.
    pub(super) fn is_unsent_deletion_of_ours(&self) -> bool {
        self.repair.is_of_ours() && self.attempt.deletion == Deletion::NotSent
    }

    /// Whether an entry of ours may stand that reads do not show yet: they show nothing, or what was deleted before.
    pub(super) fn may_yet_show_ours(&self, entry: Option<&Examined>) -> bool {
        let target = self.repair.target.arn();
        let is_hidden = entry.is_none_or(|entry| entry.entry.arn == target);
        let may_stand = match self.repair.phase {
            Phase::Opened | Phase::DeletionSent { .. } => {
                self.repair.is_of_ours() && !self.attempt.withdrawn.iter().any(|arn| arn == target)
            }
            Phase::CreationSent { .. } | Phase::Created { .. } => true,
        };
        is_hidden && may_stand && self.may_be_late()
    }
}
