//! An AWS in memory, for one entry: what is, what late reads still show, and what others do.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::super::fixture;
use crate::fault::FaultKind;
use crate::model::{Cluster, Role};
use crate::row::{Before, Phase, Row, State};
use crate::sighting::Examined;

/// Late reads show what was before the last change for so long.
const LATE_FOR: Duration = Duration::minutes(1);

/// A number that tells one creation from the next; a greater one was created later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct N(pub(super) u32);

/// Who created an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Owner,
    Us,
    /// We did, and its owner changed it since: it is theirs.
    Taken,
    Other,
}

/// What an entry gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) groups: BTreeSet<&'static str>,
    pub(super) policies: BTreeSet<&'static str>,
}

/// An entry as EKS keeps it: with the role that it is bound to, which nobody is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) n: N,
    pub(super) bound: N,
    pub(super) is_bound_to_stranger: bool,
    pub(super) by: By,
    /// Nobody was told that we created it: no row names it.
    pub(super) is_untold: bool,
    /// A rehearsal created it.
    pub(super) is_rehearsed: bool,
    /// How many late reads did not show that a stranger had taken the role that it is bound to.
    pub(super) late_roles: u32,
    pub(super) content: Content,
}

/// A role, and whether the guardrails would let it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoleIs {
    pub(super) n: N,
    pub(super) is_stranger: bool,
}

/// Something that can be read late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changing<T> {
    pub(super) is: T,
    was: T,
    changed_at: Option<OffsetDateTime>,
}

impl<T: Clone + PartialEq> Changing<T> {
    fn new(is: T) -> Self {
        Self { was: is.clone(), is, changed_at: None }
    }

    fn set(&mut self, is: T, now: OffsetDateTime) {
        if self.is != is {
            self.was = std::mem::replace(&mut self.is, is);
            self.changed_at = Some(now);
        }
    }

    /// What a late read shows.
    pub(super) fn late(&self, now: OffsetDateTime) -> Option<&T> {
        let is_recent = self.changed_at.is_some_and(|at| now - at < LATE_FOR);
        (is_recent && self.was != self.is).then_some(&self.was)
    }
}

/// What the owner of the access last wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Will {
    /// An entry with this content.
    Is(Content),
    /// None.
    Gone,
    /// What nobody could have seen: one of the gaps that are EKS's own.
    Excepted,
}

/// The world.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) entry: Changing<Option<Entry>>,
    pub(super) role: Changing<Option<RoleIs>>,
    pub(super) cluster: Changing<N>,
    pub(super) row: Option<Row>,
    pub(super) will: Will,
    /// A deletion or creation of ours was sent, and nobody knows what came of it.
    pub(super) is_unclear: bool,
    /// An owner changed our creation, and no row named it: it counts as another party's.
    pub(super) is_taken_for_others: bool,
    pub(super) now: OffsetDateTime,
    pub(super) next: u32,
}

/// What others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    StrangerTakesTheRole,
    TrustedRecreatesTheRole,
    RoleIsDeleted,
    OwnerChanges,
    OwnerAddsAPolicy,
    OwnerDeletes,
    ReplacedWithLess,
    ReplacedWithTheSame,
    ClusterIsReplaced,
}

/// All of them.
pub(super) const ACTS: [Act; 9] = [
    Act::StrangerTakesTheRole,
    Act::TrustedRecreatesTheRole,
    Act::RoleIsDeleted,
    Act::OwnerChanges,
    Act::OwnerAddsAPolicy,
    Act::OwnerDeletes,
    Act::ReplacedWithLess,
    Act::ReplacedWithTheSame,
    Act::ClusterIsReplaced,
];

/// How one call goes, or what happens before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Others act before the call.
    Act(Act),
    /// The other invocation takes its next step before the call.
    OtherInvocation,
    /// The invocation ends before the call takes effect.
    CutBefore,
    /// The invocation ends after the call took effect.
    CutAfter,
    /// The call takes effect, and no reply comes.
    ReplyLost,
    /// The call takes no effect, and no reply comes.
    NotArrived,
    /// The call is throttled.
    Throttled,
    /// The answer is from before the last change.
    Late,
    /// The call is refused in this way. The search does not go through these; [`super::refusals`] does.
    Refused(FaultKind),
}

/// One deviation of a step: at its n-th call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deviation {
    pub(super) at: usize,
    pub(super) what: What,
}

impl Content {
    pub(super) fn of(groups: &[&'static str], policies: &[&'static str]) -> Self {
        Self { groups: groups.iter().copied().collect(), policies: policies.iter().copied().collect() }
    }

    /// What the owner had.
    pub(super) fn at_first() -> Self {
        Self::of(&["viewers"], &["A"])
    }

    pub(super) fn has_all_of(&self, other: &Self) -> bool {
        self.groups.is_superset(&other.groups) && self.policies.is_superset(&other.policies)
    }
}

impl Entry {
    pub(super) fn new(n: N, bound: N, by: By, content: Content) -> Self {
        Self {
            n,
            bound,
            is_bound_to_stranger: false,
            by,
            is_untold: false,
            is_rehearsed: false,
            late_roles: 0,
            content,
        }
    }

    /// As EKS describes and lists it.
    pub(super) fn shown(&self) -> Examined {
        let groups: Vec<&str> = self.content.groups.iter().copied().collect();
        let policies: Vec<&str> = self.content.policies.iter().copied().collect();
        fixture::entry(self.n.0, &groups, &policies)
    }
}

impl RoleIs {
    /// As IAM shows it: a stranger's has a trust policy that the guardrails of this world do not like.
    pub(super) fn shown(self) -> Role {
        Role { trust_policy: self.is_stranger.then(|| "stranger".to_owned()), ..fixture::role(self.n.0) }
    }
}

/// A cluster as EKS describes it.
pub(super) fn shown_cluster(n: N) -> Cluster {
    fixture::cluster(n.0)
}

impl Truth {
    /// A stale entry: its role was deleted and created again.
    pub(super) fn new() -> Self {
        let entry = Entry::new(N(2), N(1), By::Owner, Content::at_first());
        Self {
            entry: Changing::new(Some(entry)),
            role: Changing::new(Some(RoleIs { n: N(3), is_stranger: false })),
            cluster: Changing::new(N(0)),
            row: None,
            will: Will::Is(Content::at_first()),
            is_unclear: false,
            is_taken_for_others: false,
            now: fixture::now(),
            next: 4,
        }
    }

    /// Any world, with a row that an invocation before left.
    pub(super) fn of(entry: Option<Entry>, role: Option<RoleIs>, cluster: N, row: Row) -> Self {
        let (entry, role, cluster) = (Changing::new(entry), Changing::new(role), Changing::new(cluster));
        Self { entry, role, cluster, row: Some(row), will: Will::Excepted, next: 30, ..Self::new() }
    }

    pub(super) fn number(&mut self) -> N {
        self.next += 1;
        N(self.next)
    }

    pub(super) fn set_entry(&mut self, entry: Option<Entry>) {
        self.entry.set(entry, self.now);
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Content)) {
        let mut entry = self.entry.is.clone();
        if let Some(entry) = &mut entry {
            change(&mut entry.content);
        }
        self.set_entry(entry);
    }

    /// Whether the row says that a deletion or a creation may have been sent, and no more.
    pub(super) fn is_marked(&self) -> bool {
        let phase = self.row.as_ref().and_then(|row| row.repair()).map(|repair| &repair.phase);
        matches!(phase, Some(Phase::DeletionSent { .. } | Phase::CreationSent { .. }))
    }

    /// The version of a new row: greater than that of any row before.
    pub(super) fn first_version(&mut self) -> u64 {
        u64::from(self.number().0) * 1_000
    }

    /// Whether the row is about an earlier cluster of the name.
    pub(super) fn is_in_later_cluster(&self) -> bool {
        let born = match self.row.as_ref().map(|row| &row.state) {
            Some(State::Repairing(repair)) => repair.cluster_created_at,
            Some(State::Archived(archived)) => archived.cluster_created_at,
            Some(State::Recorded(_)) | None => return false,
        };
        born != fixture::born(self.cluster.is.0)
    }

    /// A change took effect, and nobody was told.
    pub(super) fn left_untold(&mut self, is_creation: bool) {
        self.is_unclear |= self.is_marked();
        if is_creation {
            self.nobody_was_told();
        }
        // In a later cluster nobody can tell an entry like the row from its owner's.
        if is_creation && self.is_in_later_cluster() {
            self.will = Will::Excepted;
        }
    }

    /// An invocation ends with a row that says that something may have been sent: whoever continues cannot tell what came
    /// of it, nor that the owner deleted the entry.
    pub(super) fn leave(&mut self) {
        self.is_unclear = self.is_marked();
        self.nobody_was_told();
        if self.is_unclear && self.will == Will::Gone {
            self.will = Will::Excepted;
        }
    }

    /// What we created stands, and the row of the repair does not name it.
    fn nobody_was_told(&mut self) {
        let (Some(repair), Some(entry)) = (self.row.as_ref().and_then(|row| row.repair()), &mut self.entry.is) else {
            return;
        };
        let arn = fixture::arn(entry.n.0);
        let is_created = matches!(&repair.phase, Phase::Created { arn: created, .. } if *created == arn);
        if matches!(entry.by, By::Us | By::Taken) && !is_created && repair.target.arn() != arn {
            entry.is_untold = true;
            self.is_taken_for_others |= entry.by == By::Taken;
        }
    }

    /// Another party's entry stands, just as we had sent ours, of which nobody was told: nobody can tell them apart.
    pub(super) fn except_what_is_just_as_we_sent_it(&mut self) {
        let (Some(repair), Some(entry)) = (self.row.as_ref().and_then(|row| row.repair()), &self.entry.is) else {
            return;
        };
        let arn = fixture::arn(entry.n.0);
        let is_created = matches!(&repair.phase, Phase::Created { arn: created, .. } if *created == arn);
        if is_created && entry.by == By::Other && entry.content.policies.is_empty() {
            self.will = Will::Excepted;
        }
    }

    /// Our own creation counts as another party's, and was repaired as that: its archive takes the place of ours.
    pub(super) fn except_an_archive_for_another(&mut self, next: Option<&Row>) {
        let before = self.row.as_ref().and_then(|row| row.repair()).map(|repair| &repair.before);
        let is_archived = next.is_some_and(|row| row.archived().is_some());
        if self.is_taken_for_others && is_archived && matches!(before, Some(Before::Archived(_))) {
            self.will = Will::Excepted;
        }
    }

    /// An invocation is cut. What it had associated with another party's entry, and would have taken back, stays.
    pub(super) fn cut(&mut self) {
        if let (Will::Is(content), Some(entry)) = (&self.will, &self.entry.is)
            && entry.by == By::Other
            && !content.policies.is_superset(&entry.content.policies)
        {
            self.will = Will::Excepted;
        }
    }

    /// A creation by anybody, bound to the role that is there.
    pub(super) fn create(&mut self, by: By, content: Content) -> Option<N> {
        let role = self.role.is?;
        let n = self.number();
        let is_opened = self.row.as_ref().and_then(|row| row.repair()).is_some_and(|it| it.phase == Phase::Opened);
        self.set_entry(Some(Entry {
            is_bound_to_stranger: role.is_stranger,
            is_rehearsed: by == By::Us && is_opened,
            ..Entry::new(n, role.n, by, content)
        }));
        Some(n)
    }

    fn wish(&mut self, change: impl Fn(&mut Content)) {
        self.change(&change);
        // Whoever changes an entry makes it theirs.
        match &mut self.entry.is {
            Some(entry) if entry.by == By::Us => {
                entry.by = By::Taken;
                self.is_taken_for_others |= entry.is_untold;
            }
            Some(_) => {}
            None => return,
        }
        match &mut self.will {
            Will::Is(content) => change(content),
            // Whether whoever changes what its owner deleted wants it cannot be told.
            will => *will = Will::Excepted,
        }
    }

    /// Others act; `false` if they cannot, since there is nothing to act on.
    pub(super) fn act(&mut self, act: Act) -> bool {
        let before = self.clone();
        match act {
            Act::StrangerTakesTheRole | Act::TrustedRecreatesTheRole => {
                let is_stranger = act == Act::StrangerTakesTheRole;
                let n = self.number();
                self.role.set(Some(RoleIs { n, is_stranger }), self.now);
            }
            Act::RoleIsDeleted => self.role.set(None, self.now),
            Act::OwnerChanges => self.wish(|content| content.groups.extend(["more"])),
            Act::OwnerAddsAPolicy => self.wish(|content| content.policies.extend(["C"])),
            Act::OwnerDeletes => {
                if let Some(entry) = &self.entry.is {
                    // Nobody can tell this deletion from ours, of which nobody knows whether it arrived; nor that an
                    // entry came and went after it.
                    let is_unseen = self.is_unclear || (entry.by == By::Other && self.is_marked());
                    self.will = if is_unseen { Will::Excepted } else { Will::Gone };
                }
                self.set_entry(None);
            }
            Act::ReplacedWithLess | Act::ReplacedWithTheSame => {
                let is_less = act == Act::ReplacedWithLess;
                let content = if is_less { Content::of(&[], &[]) } else { Content::at_first() };
                if self.create(By::Other, content.clone()).is_some() {
                    self.will = Will::Is(content);
                }
            }
            Act::ClusterIsReplaced => {
                let n = self.number();
                self.cluster.set(n, self.now);
                self.set_entry(None);
                self.will = Will::Gone;
            }
        }
        before.entry != self.entry || before.role != self.role || before.cluster != self.cluster
    }
}

impl Act {
    /// Whether it changes what the owner wants.
    pub(super) fn is_of_owner(self) -> bool {
        !matches!(self, Self::StrangerTakesTheRole | Self::TrustedRecreatesTheRole | Self::RoleIsDeleted)
    }
}
