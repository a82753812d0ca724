//! The words that [`decide`](super::decide) and [`perform`](super::perform) share: what is seen, what was observed so
//! far, the next step, and the ways in which a repair ends.
//!
//! All of it is plain data that can be cloned, hashed and compared, so that the exploration can go through every history.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

use crate::fault::Fault;
use crate::guardrail::{Association, Permit, Refusal};
use crate::model::{AccessPolicy, Cluster, Role, RoleArn, RoleState, Snapshot};
use crate::outcome::{Delay, Failure, Gone, Hold, Outcome, Precedence};
use crate::row::{NotWritten, Phase, Repair, State};
use crate::sighting::Examined;

/// The state of the world, read just now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// The cluster; `None` if it does not exist.
    pub(super) cluster: Option<Cluster>,
    /// The entry with its policies; `None` if there is none.
    pub(super) entry: Option<Examined>,
    /// The role of exactly the principal's ARN.
    pub(super) role: RoleState,
}

/// What does not change during a repair, and the guardrails.
pub(super) struct Rules<'a> {
    /// Whose entry it is.
    pub(super) principal: &'a RoleArn,
    /// The youngest age of a role at which its entries are changed.
    pub(super) settle: Duration,
    /// Whether no person named a role ID in this invocation.
    pub(super) is_unattended: bool,
    /// `guardrail::review` for this invocation's purpose.
    pub(super) review: &'a dyn Fn(&Snapshot, &Cluster, &Role) -> Result<Permit, Refusal>,
}

/// What one invocation observed of a repair so far. Lost with the invocation: nothing here is needed to continue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    /// The leave to change the entry.
    pub(super) permit: Permit,
    /// Whether this invocation opened the row, or continues it.
    pub(super) origin: Origin,
    /// What the rehearsal of the creation gave.
    pub(super) rehearsal: Rehearsal,
    /// Since when a rehearsal may have created an entry without our knowing it: its answer was lost, or an earlier
    /// invocation sent it and did not note the answer.
    pub(super) unclear_since: Option<OffsetDateTime>,
    /// What is known of the deletion.
    pub(super) deletion: Deletion,
    /// Our creation, if EKS confirmed it in this invocation.
    pub(super) creation: Option<Creation>,
    /// Entries that we created and deleted again: a late read may still show them.
    pub(super) withdrawn: Vec<String>,
    /// What was associated, until it is known that it met the entry of the row.
    pub(super) associated: Associated,
    /// How often each cause made us wait since the last step that was no wait.
    pub(super) waits: BTreeMap<Cause, u32>,
    /// Since when reads contradict what we know.
    pub(super) late_since: Option<OffsetDateTime>,
    /// The role as it was last seen.
    pub(super) role: Option<Role>,
    /// More for a person.
    pub(super) note: Option<String>,
}

/// Who opened the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// This invocation, by its own review: what it reviewed is reviewed again before the deletion.
    OpenedHere,
    /// An earlier one, which may have been cut after any call.
    Continued,
}

/// What the rehearsal of the creation gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Rehearsal {
    /// Not sent yet, or not answered.
    NotYet,
    /// EKS answered "in use", and took every association.
    Passed,
    /// It created an entry: the owner had deleted theirs.
    Made(String),
    /// It created an entry, which we deleted again.
    Withdrawn,
}

/// What is known of the deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Deletion {
    /// Not sent: a 404 is the owner's deletion.
    NotSent,
    /// EKS confirmed it.
    Confirmed,
    /// An earlier invocation may have sent it.
    Earlier,
    /// Sent by this invocation, without a clear answer.
    Unclear,
}

/// A creation that EKS confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Creation {
    /// The entry's ARN.
    pub(super) arn: String,
    /// Whether the role was read after it.
    pub(super) is_role_known: bool,
}

/// The policies that were associated, by whether the list that was read directly before had them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Associated {
    /// The list did not have them: they are ours to take back.
    pub(super) ours: Vec<Association>,
    /// The list had them. If another party replaced the entry since, nobody can tell whose they are.
    pub(super) listed: Vec<String>,
}

impl Associated {
    /// Whether nothing was associated.
    pub(super) fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.listed.is_empty()
    }
}

/// Why a repair reads again after a pause. Each cause has a count of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cause {
    /// A read contradicts what we know: it may be late.
    LateRead,
    /// IAM does not show the role.
    RoleAbsent,
    /// IAM cannot be read.
    RoleUnreadable,
    /// EKS cannot be read.
    EksUnreadable,
    /// EKS does not know the role yet.
    UnknownPrincipal,
    /// A rehearsal failed in a way that may pass.
    Rehearsal,
    /// A change was throttled: EKS did not carry it out. The Region's limiter paces it, so there is no pause.
    Throttled,
    /// A change failed in a way that may pass, or EKS is still busy with the change before.
    Settling,
}

/// The next step of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Pause, then read again.
    Wait(Cause),
    /// Wait until this role is `SETTLE_SECONDS` old, then read again.
    WaitForAge(Role),
    /// Send the creation and every association while the old entry stands.
    Rehearse,
    /// Mark the deletion in the row, look once more, delete.
    Delete,
    /// Mark the creation in the row, create, and read the role again.
    Create,
    /// Delete an entry that we created.
    Withdraw(String),
    /// Write down that the entry with this ARN is our creation.
    Adopt(String),
    /// Associate these policies with our creation.
    Associate(Vec<AccessPolicy>),
    /// Disassociate what we associated with an entry that is another party's.
    TakeBack,
    /// Write down since when the role is gone.
    NoteAbsentRole,
    /// Continue for another role ID.
    PermitNewRole(Permit),
    /// Our creation went stale: it is the entry to delete now.
    StartOver(String, Permit),
    /// Everything is there: record the entry.
    Record,
    /// Nothing more is done now.
    End(Ending),
}

/// How a repair ends for now: what is reported, and what becomes of the row. No other pair occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is there and recorded.
    Repaired,
    /// The owner was here before anything was changed: close the row and judge the entry again.
    JudgeAgain,
    /// Waits for a person; the row stays open, since it may hold more than what stands.
    HeldOpen(Hold),
    /// Waits for a person; nothing was changed, so the row is closed.
    HeldClosed(Hold),
    /// Waits for a person; the deletion was not carried out, so the row goes back to where it was before it.
    HeldUndeleted(Hold),
    /// A rehearsal may have created the entry that stands, after its owner had deleted theirs. It is held until a person
    /// ends the matter; the row is archived.
    PerhapsRevived(String),
    /// The owner deleted the entry before we did; the row is dropped.
    DeletedByOwner,
    /// The owner deleted what we had created; the row is archived.
    OursDeletedByOwner,
    /// Another party created the entry; what it lacks. If that is anything, the row is archived: it is the only list of
    /// what the entry had. Else it is dropped.
    ReplacedByOther(Vec<String>),
    /// The role is gone; the row is archived.
    RoleGone,
    /// The cluster is gone; the row is archived.
    ClusterGone,
    /// A retry continues; the row stays open.
    Deferred(Delay),
    /// A retry starts again; nothing was changed, so the row is closed.
    DeferredClosed(Delay),
    /// AWS does not answer or refuses; the row stays open.
    Failed(Fault),
    /// AWS refused before anything was changed; the row is closed.
    FailedClosed(Fault),
    /// EKS refuses the creation after the deletion; the row stays open, and the breaker is tripped.
    Refused(Fault),
    /// The row could not be written; whoever wrote it, or a retry, continues.
    NotWritten(NotWritten),
}

/// Why no deletion may be begun at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotNow {
    /// The breaker stands.
    Halted,
    /// Too little time is left to create the entry again.
    TooLittleTime,
}

impl NotNow {
    /// What is reported of an entry that is not begun.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Halted => Outcome::Held(Hold::RecreationRefused),
            Self::TooLittleTime => Outcome::deferred(Delay::TooLittleTime),
        }
    }

    /// How a repair ends that was opened and has deleted nothing.
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::Halted => Ending::HeldClosed(Hold::RecreationRefused),
            Self::TooLittleTime => Ending::Deferred(Delay::TooLittleTime),
        }
    }
}

/// What becomes of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowAfter {
    /// It stays open, and its lease is given back.
    Open,
    /// This is written in its place.
    Becomes(Box<State>),
    /// It is deleted.
    Deleted,
    /// It is as it should be already, or cannot be written.
    AsItIs,
}

impl Ending {
    /// The owner deleted the entry of the row before we did. If we had created it, the row may hold policies that it lacked.
    pub(super) fn target_deleted_by_owner(repair: &Repair) -> Self {
        if repair.is_of_ours() { Self::OursDeletedByOwner } else { Self::DeletedByOwner }
    }

    /// What is reported of the entry.
    pub(super) fn outcome(&self, repair: &Repair) -> Outcome {
        let deletion_sent = repair.may_have_deleted();
        match self {
            Self::Repaired => Outcome::Repaired,
            Self::JudgeAgain => Outcome::None,
            Self::HeldOpen(reason) | Self::HeldClosed(reason) | Self::HeldUndeleted(reason) => {
                Outcome::Held(reason.clone())
            }
            Self::PerhapsRevived(_) => Outcome::Held(Hold::PerhapsRevived),
            Self::DeletedByOwner => Outcome::Preceded(Precedence::DeletedByOwner { was_ours: false }),
            Self::OursDeletedByOwner => Outcome::Preceded(Precedence::DeletedByOwner { was_ours: true }),
            Self::ReplacedByOther(missing) => {
                Outcome::Preceded(Precedence::ReplacedByOther { missing: missing.clone() })
            }
            Self::RoleGone => Outcome::Removed(Gone::RoleGone),
            Self::ClusterGone => Outcome::Removed(Gone::ClusterGone),
            Self::Deferred(reason) => Outcome::Deferred { delay: reason.clone(), deletion_sent },
            Self::DeferredClosed(reason) => Outcome::deferred(reason.clone()),
            Self::Failed(fault) | Self::FailedClosed(fault) => Outcome::Failed(Failure::AwsError(fault.clone())),
            Self::Refused(fault) => Outcome::Failed(Failure::RecreationRefused(fault.clone())),
            Self::NotWritten(problem) => Outcome::Deferred { delay: problem.clone().reason(), deletion_sent },
        }
    }

    /// What becomes of the row.
    pub(super) fn row_after(&self, repair: &Repair, now: OffsetDateTime) -> RowAfter {
        let becomes = |state| RowAfter::Becomes(Box::new(state));
        let archived = |because: &str| becomes(State::Archived(Box::new(repair.archive(because, now))));
        let put_back = || repair.put_back(now).map_or(RowAfter::Deleted, becomes);
        match self {
            Self::Repaired | Self::NotWritten(_) => RowAfter::AsItIs,
            // Our own creation may lack what the row has.
            Self::JudgeAgain | Self::HeldClosed(_) | Self::DeferredClosed(_) | Self::FailedClosed(_) => {
                if repair.is_of_ours() { RowAfter::Open } else { put_back() }
            }
            // A restore that created nothing goes back to where the person took it from.
            Self::HeldOpen(_) if repair.is_restore() && !repair.may_have_created() => put_back(),
            Self::HeldOpen(_) | Self::Deferred(_) | Self::Failed(_) | Self::Refused(_) => RowAfter::Open,
            Self::ReplacedByOther(missing) if !missing.is_empty() => {
                archived(Precedence::ReplacedByOther { missing: Vec::new() }.label())
            }
            Self::DeletedByOwner | Self::ReplacedByOther(_) => match repair.put_back(now) {
                Some(State::Archived(archived)) if !repair.is_restore() => becomes(State::Archived(archived)),
                _ => RowAfter::Deleted,
            },
            Self::HeldUndeleted(_) => {
                becomes(State::Repairing(Box::new(Repair { phase: Phase::Opened, lease: None, ..repair.clone() })))
            }
            Self::PerhapsRevived(arn) => {
                let mut archive = repair.archive(Hold::PerhapsRevived.label(), now);
                archive.created = Some(arn.clone());
                becomes(State::Archived(Box::new(archive)))
            }
            Self::OursDeletedByOwner => archived(Precedence::DeletedByOwner { was_ours: true }.label()),
            Self::RoleGone => archived(Gone::RoleGone.label()),
            Self::ClusterGone => archived(Gone::ClusterGone.label()),
        }
    }
}

impl Attempt {
    /// Nothing observed yet.
    pub(super) fn new(permit: Permit, origin: Origin, repair: &Repair, now: OffsetDateTime) -> Self {
        let is_opened = repair.phase == Phase::Opened;
        let deletion = if is_opened { Deletion::NotSent } else { Deletion::Earlier };
        Self {
            permit,
            origin,
            rehearsal: Rehearsal::NotYet,
            unclear_since: (is_opened && origin == Origin::Continued).then_some(now),
            deletion,
            creation: None,
            withdrawn: Vec::new(),
            associated: Associated::default(),
            waits: BTreeMap::new(),
            late_since: None,
            role: None,
            note: None,
        }
    }

    /// How often this cause made us wait.
    pub(super) fn waited(&self, cause: Cause) -> u32 {
        self.waits.get(&cause).copied().unwrap_or_default()
    }

    /// Counts a wait. The pause grows with the count of its cause: half a second, then twice as long, up to eight.
    pub(super) fn wait(&mut self, cause: Cause, now: OffsetDateTime) -> Duration {
        if cause == Cause::LateRead {
            self.late_since.get_or_insert(now);
        }
        let count = self.waits.entry(cause).or_default();
        *count += 1;
        if cause == Cause::Throttled {
            return Duration::ZERO;
        }
        Duration::from_millis(500 << (*count - 1).min(4))
    }

    /// A step was taken: reads are compared with the new state from here on.
    pub(super) fn stepped(&mut self) {
        self.waits.remove(&Cause::LateRead);
        self.late_since = None;
    }

    /// Takes in what was read.
    pub(super) fn observe(&mut self, world: &World) {
        if let RoleState::Present(role) = &world.role {
            self.role = Some(role.clone());
            self.waits.remove(&Cause::RoleUnreadable);
            if let Some(creation) = &mut self.creation {
                creation.is_role_known = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cause, Ending, Origin, RowAfter};
    use crate::outcome::Hold;
    use crate::repair::decide::tests::worlds::{attempt, rows};
    use crate::repair::fixture::now;
    use crate::row::{Lease, Phase, Repair, State};

    #[test]
    fn a_deletion_that_was_not_carried_out_opens_the_row_again_and_gives_its_lease_back() {
        let lease = Lease { owner: "this invocation".to_owned(), until: i64::MAX };
        for row in rows().into_iter().filter(Repair::is_of_ours) {
            let repair = Repair { lease: Some(lease.clone()), ..row };
            let ending = Ending::HeldUndeleted(Hold::HoldAll);
            let RowAfter::Becomes(state) = ending.row_after(&repair, now()) else { panic!("{repair:?}") };
            let opened = Repair { phase: Phase::Opened, lease: None, ..repair };
            assert_eq!(*state, State::Repairing(Box::new(opened)));
        }
    }

    #[test]
    fn a_pause_grows_from_half_a_second_to_eight_and_each_cause_has_its_own() {
        let Some(repair) = rows().into_iter().next() else { panic!("no row") };
        let mut attempt = attempt(&repair, Origin::OpenedHere);
        let mut pause = |cause| attempt.wait(cause, now());
        let late = [(); 6].map(|()| pause(Cause::LateRead));
        assert_eq!(late, [500, 1000, 2000, 4000, 8000, 8000].map(Duration::from_millis));
        assert_eq!(pause(Cause::RoleAbsent), Duration::from_millis(500));
        assert_eq!(pause(Cause::Throttled), Duration::ZERO);
        assert_eq!(attempt.waited(Cause::LateRead), 6);
    }
}
