//! The calls of a repair, answered from the world in memory. Every answer is ready at once; an invocation that is cut waits
//! for ever.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use time::OffsetDateTime;

use super::defects::Defect;
use super::world::{By, Content, Deviation, Entry, Truth, What, Will, shown_cluster};
use crate::fault::{Fault, FaultKind};
use crate::guardrail::{Association, Permit};
use crate::model::{AccessEntry, AccessPolicy, Cluster, EntryType, RoleState, Snapshot};
use crate::repair::calls::Calls;
use crate::repair::step::NotNow;
use crate::row::{Lease, NotWritten, Phase, Row, State};

/// Which kinds of deviation a call can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A read that is consistent, or that shows what is anyway.
    Read,
    /// A read for which a late answer differs.
    LateRead,
    /// A change.
    Change,
}

/// One call that was made: its name and kind.
pub(super) type Made = (&'static str, Kind);

/// The steps that the other invocation can take in between.
pub(super) type Other<'a> = &'a dyn Fn(&mut Truth);

/// One invocation's calls during one step.
pub(super) struct Sim<'a> {
    pub(super) truth: RefCell<Truth>,
    script: &'a [Deviation],
    other: Option<Other<'a>>,
    defect: Option<Defect>,
    pub(super) made: RefCell<Vec<Made>>,
    /// Whether others acted since the entry was last read, or since that read was late.
    is_unseen: Cell<bool>,
    /// The same of the list of policies.
    is_unlisted: Cell<bool>,
    /// Whether the row could not be written.
    is_unwritten: Cell<bool>,
}

/// How a call goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    Well,
    Late,
    NotArrived,
    Throttled,
    ReplyLost,
    CutAfter,
    Refused(FaultKind),
}

fn fault(kind: FaultKind) -> Fault {
    let message = match kind {
        FaultKind::InvalidParameter => "The specified principalArn is invalid: invalid principal.",
        _ => "in memory",
    };
    Fault { kind, operation: "call", code: String::new(), message: message.to_owned() }
}

impl<'a> Sim<'a> {
    pub(super) fn new(truth: Truth, script: &'a [Deviation], other: Option<Other<'a>>, defect: Option<Defect>) -> Self {
        Self {
            truth: RefCell::new(truth),
            script,
            other,
            defect,
            made: RefCell::default(),
            is_unseen: Cell::default(),
            is_unlisted: Cell::default(),
            is_unwritten: Cell::default(),
        }
    }

    /// Counts a call, and lets the script have its way before it.
    async fn enter(&self, name: &'static str, kind: Kind) -> Goes {
        let at = self.made.borrow().len();
        self.made.borrow_mut().push((name, kind));
        let mut goes = Goes::Well;
        for deviation in self.script.iter().filter(|deviation| deviation.at == at) {
            goes = match deviation.what {
                What::Act(act) => {
                    self.truth.borrow_mut().act(act);
                    self.is_unseen.set(self.is_unseen.get() || act.is_of_owner());
                    self.is_unlisted.set(self.is_unlisted.get() || act.is_of_owner());
                    goes
                }
                What::OtherInvocation => {
                    if let Some(other) = self.other {
                        other(&mut self.truth.borrow_mut());
                    }
                    goes
                }
                What::CutBefore => std::future::pending().await,
                What::CutAfter => Goes::CutAfter,
                What::ReplyLost => Goes::ReplyLost,
                What::NotArrived => Goes::NotArrived,
                What::Throttled => Goes::Throttled,
                What::Late => Goes::Late,
                What::Refused(kind) => Goes::Refused(kind),
            };
        }
        goes
    }

    /// A read: what is, or what was before.
    async fn read<T>(&self, name: &'static str, read: impl Fn(&Truth, bool) -> Option<T>) -> Result<T, Fault> {
        let can_be_late = read(&self.truth.borrow(), true).is_some();
        let goes = self.enter(name, if can_be_late { Kind::LateRead } else { Kind::Read }).await;
        let truth = self.truth.borrow();
        match goes {
            Goes::Throttled => Err(fault(FaultKind::Throttled)),
            Goes::Refused(kind) => Err(fault(kind)),
            Goes::NotArrived | Goes::ReplyLost => Err(fault(FaultKind::TimedOut)),
            Goes::Late => read(&truth, true).or_else(|| read(&truth, false)).ok_or_else(|| fault(FaultKind::NotFound)),
            Goes::Well | Goes::CutAfter => read(&truth, false).ok_or_else(|| fault(FaultKind::NotFound)),
        }
    }

    /// A change: `make` says what the service does with it.
    async fn change<T>(
        &self,
        name: &'static str,
        make: impl FnOnce(&mut Truth) -> Result<T, FaultKind>,
    ) -> Result<T, FaultKind> {
        let goes = self.enter(name, Kind::Change).await;
        match goes {
            Goes::Throttled => return Err(FaultKind::Throttled),
            Goes::Refused(kind) => return Err(kind),
            _ => {}
        }
        let is_unclear = goes != Goes::Well && matches!(name, "DeleteAccessEntry" | "CreateAccessEntry");
        self.truth.borrow_mut().is_unclear |= is_unclear;
        if name == "DeleteAccessEntry" {
            let truth = &mut self.truth.borrow_mut();
            Self::except(&self.is_unseen, truth);
            // Whom nobody permitted comes first, and what was changed could not be written down.
            if self.is_unwritten.get() && truth.lets_in_an_unpermitted_role() {
                truth.will = Will::Excepted;
            }
        }
        if goes == Goes::NotArrived {
            return Err(FaultKind::TimedOut);
        }
        let result = make(&mut self.truth.borrow_mut());
        if goes != Goes::Well {
            self.truth.borrow_mut().left_untold(name == "CreateAccessEntry");
        }
        match goes {
            Goes::CutAfter => std::future::pending().await,
            Goes::ReplyLost => Err(FaultKind::TimedOut),
            _ => result,
        }
    }

    /// What nobody could have seen is nobody's loss.
    fn except(is_unseen: &Cell<bool>, truth: &mut Truth) {
        if is_unseen.get() {
            truth.will = Will::Excepted;
        }
    }

    #[expect(clippy::option_option, reason = "no late answer, or one that shows no entry")]
    fn entry_of(truth: &Truth, is_late: bool) -> Option<Option<Entry>> {
        if is_late { truth.entry.late(truth.now).cloned() } else { Some(truth.entry.is.clone()) }
    }
}

fn names(wanted: &Snapshot) -> Content {
    let group = |group: &String| if group == "more" { "more" } else { "viewers" };
    Content { groups: wanted.kubernetes_groups.iter().map(group).collect(), policies: std::iter::empty().collect() }
}

/// The policy's name, of those that there are.
fn name(arn: &str) -> &'static str {
    ["B", "C"].into_iter().find(|name| arn.ends_with(name)).unwrap_or("A")
}

impl Calls for Sim<'_> {
    async fn cluster(&self) -> Result<Option<Cluster>, Fault> {
        let read = |truth: &Truth, is_late: bool| {
            let n = if is_late { truth.cluster.late(truth.now).copied() } else { Some(truth.cluster.is) };
            n.map(|n| Some(shown_cluster(n)))
        };
        self.read("DescribeCluster", read).await
    }

    async fn entry(&self) -> Result<Option<AccessEntry>, Fault> {
        let was = self.is_unseen.replace(false);
        let before = self.truth.borrow().entry.clone();
        let entry = self.read("DescribeAccessEntry", Self::entry_of).await;
        let shown = entry.as_ref().ok().cloned().unwrap_or_default();
        // What a late answer does not show happened after it, for whoever reads it.
        let truth = self.truth.borrow();
        let is_late = shown != truth.entry.is;
        self.is_unseen.set(is_late || (entry.is_err() && (was || before != truth.entry)));
        Ok(entry?.map(|entry| entry.shown().entry))
    }

    async fn policies(&self, _: &EntryType) -> Result<Vec<AccessPolicy>, Fault> {
        let listed = self.read("ListAssociatedAccessPolicies", Self::entry_of).await?;
        let is_late = listed != self.truth.borrow().entry.is;
        self.is_unlisted.set(is_late);
        self.is_unseen.set(self.is_unseen.get() || is_late);
        listed.map(|entry| entry.shown().policies).ok_or_else(|| fault(FaultKind::NotFound))
    }

    async fn role(&self) -> RoleState {
        let is_not_read =
            self.defect == Some(Defect::RoleIsNotReadAfterTheCreation) && self.truth.borrow().is_created();
        let read = |truth: &Truth, is_late: bool| {
            if is_late { truth.role.late(truth.now).copied() } else { Some(truth.role.is) }
        };
        let before = self.truth.borrow().role.late(self.now()).copied();
        let role =
            if is_not_read { Ok(self.truth.borrow().permitted_role()) } else { self.read("GetRole", read).await };
        if let (Ok(shown), Some(entry)) = (&role, &mut self.truth.borrow_mut().entry.is)
            && entry.is_bound_to_stranger
            && !is_not_read
            && before.is_some_and(|before| before == *shown)
        {
            entry.late_roles += 1;
        }
        match role {
            Ok(Some(role)) => RoleState::Present(role.shown()),
            Ok(None) => RoleState::Absent,
            Err(fault) => RoleState::Unreadable(fault),
        }
    }

    async fn create(&self, _: &Permit, wanted: &Snapshot) -> Result<AccessEntry, Fault> {
        let created = self.change("CreateAccessEntry", |truth| {
            if truth.entry.is.is_some() {
                return Err(FaultKind::InUse);
            }
            truth.create(By::Us, names(wanted)).ok_or(FaultKind::InvalidParameter)?;
            truth.entry.is.clone().ok_or(FaultKind::NotFound)
        });
        let created = created.await.map_err(fault)?;
        Ok(created.shown().entry)
    }

    async fn delete(&self, _: &Permit) -> Result<(), Fault> {
        let deleted = self.change("DeleteAccessEntry", |truth| {
            if truth.entry.is.is_none() {
                return Err(FaultKind::NotFound);
            }
            truth.set_entry(None);
            Ok(())
        });
        deleted.await.map_err(fault)
    }

    async fn associate(&self, _: &Permit, policy: &AccessPolicy) -> Result<(), Fault> {
        let policy = name(&policy.policy_arn);
        let associated = self.change("AssociateAccessPolicy", |truth| {
            let Some(entry) = &truth.entry.is else { return Err(FaultKind::NotFound) };
            // In a rehearsal the list has the policy, so that nobody can tell afterwards who associated it.
            let is_rehearsal = self.made.borrow().iter().any(|made| made.0 == "CreateAccessEntry");
            if is_rehearsal && !entry.content.policies.contains(policy) {
                Self::except(&self.is_unlisted, truth);
            }
            truth.change(|content| content.policies.extend([policy]));
            Ok(())
        });
        associated.await.map_err(fault)
    }

    async fn disassociate(&self, association: &Association) -> Result<(), Fault> {
        let policy = name(association.policy_arn());
        let taken = self.change("DisassociateAccessPolicy", |truth| {
            // Nobody can tell whether another party gave its new entry the same policy: the archive has it.
            if matches!(&truth.will, Will::Is(content) if content.policies.contains(policy)) {
                truth.will = Will::Excepted;
            }
            truth.change(|content| content.policies.retain(|there| *there != policy));
            Ok(())
        });
        // A person is told to look.
        let is_told = |kind| {
            self.truth.borrow_mut().will = Will::Excepted;
            fault(kind)
        };
        taken.await.map_err(is_told)
    }

    async fn write(&self, row: &mut Row) -> Result<(), NotWritten> {
        let is_creation = matches!(&row.state, State::Repairing(it) if matches!(it.phase, Phase::CreationSent { .. }));
        if is_creation && self.defect == Some(Defect::CreationIsNotMarked) {
            return Ok(());
        }
        // As the ledger does: no number of a row that was deleted comes again.
        let next = Row {
            version: if row.version == 0 { self.truth.borrow_mut().first_version() } else { row.version + 1 },
            ..row.clone()
        };
        self.put(row.version, Some(next.clone()), "PutItem").await?;
        *row = next;
        Ok(())
    }

    async fn forget(&self, row: &Row) -> Result<(), NotWritten> {
        self.put(row.version, None, "DeleteItem").await
    }

    async fn trip(&self, _: &Row, _: &str) -> Result<(), NotWritten> {
        Ok(())
    }

    async fn pause(&self, time: Duration) {
        self.truth.borrow_mut().now += time;
    }

    fn now(&self) -> OffsetDateTime {
        self.truth.borrow().now
    }

    fn ends(&self) -> OffsetDateTime {
        self.now() + Duration::from_mins(1)
    }

    async fn turn_to_delete(&self) -> Result<Option<Lease>, NotNow> {
        Ok(None)
    }

    fn deletes(&self) -> bool {
        true
    }

    fn hurry(&self) {}
}

impl Sim<'_> {
    /// Reads the row: consistent, so never late.
    pub(super) async fn row(&self) -> Result<Option<Row>, Fault> {
        self.read("GetItem", |truth, is_late| (!is_late).then(|| truth.row.clone())).await
    }

    async fn put(&self, version: u64, row: Option<Row>, name: &'static str) -> Result<(), NotWritten> {
        let put = self.change(name, |truth| {
            if truth.row.as_ref().map_or(0, |row| row.version) != version {
                return Err(FaultKind::ConditionFailed);
            }
            truth.except_an_archive_for_another(row.as_ref());
            truth.row = row;
            truth.except_what_is_just_as_we_sent_it();
            Ok(())
        });
        let put = put.await;
        self.is_unwritten.set(put.is_err());
        put.map_err(|kind| NotWritten::from(fault(kind)))
    }
}
