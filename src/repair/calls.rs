//! Everything that a repair asks of AWS, one call each, behind a narrow trait: the exploration answers it from a small
//! world in memory.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use super::gate::Passage;
use super::reconciler::Reconciler;
use super::step::{NotNow, World};
use crate::aws::Priority;
use crate::aws::eks::{Eks, EksChanges, Entries};
use crate::fault::{Fault, FaultKind};
use crate::guardrail::{Association, Permit};
use crate::limits::LEAST_FOR_A_DELETION;
use crate::lock::lock;
use crate::model::{AccessEntry, AccessPolicy, Cluster, ClusterRef, EntryType, RoleArn, RoleState, Snapshot};
use crate::row::{Lease, NotWritten, Row};
use crate::sighting::Examined;

/// What a repair asks of EKS, IAM and the ledger about one entry.
pub(super) trait Calls {
    /// The cluster; `None` if it does not exist.
    async fn cluster(&self) -> Result<Option<Cluster>, Fault>;
    /// The entry; `None` if there is none.
    async fn entry(&self) -> Result<Option<AccessEntry>, Fault>;
    /// The policies of an entry of this type.
    async fn policies(&self, kind: &EntryType) -> Result<Vec<AccessPolicy>, Fault>;
    /// The role of exactly the principal's ARN.
    async fn role(&self) -> RoleState;
    /// Creates the entry. Sent once.
    async fn create(&self, permit: &Permit, wanted: &Snapshot) -> Result<AccessEntry, Fault>;
    /// Deletes the entry, whichever stands. Sent once.
    async fn delete(&self, permit: &Permit) -> Result<(), Fault>;
    /// Associates a policy. Sent once.
    async fn associate(&self, permit: &Permit, policy: &AccessPolicy) -> Result<(), Fault>;
    /// Takes an association back.
    async fn disassociate(&self, association: &Association) -> Result<(), Fault>;
    /// Writes the row over the version that it was read with.
    async fn write(&self, row: &mut Row) -> Result<(), NotWritten>;
    /// Deletes the row, if nobody wrote it since.
    async fn forget(&self, row: &Row) -> Result<(), NotWritten>;
    /// Trips the breaker: while it stands, nothing else is deleted.
    async fn trip(&self, row: &Row, because: &str) -> Result<(), NotWritten>;
    /// Lets some time pass.
    async fn pause(&self, time: Duration);
    /// The time.
    fn now(&self) -> OffsetDateTime;
    /// Until when this invocation works on the entry.
    fn ends(&self) -> OffsetDateTime;
    /// Waits for this repair's turn to delete, which prolongs its work; gives the lease that covers it, if there was a wait.
    ///
    /// # Errors
    /// Why no deletion may be begun.
    async fn turn_to_delete(&self) -> Result<Option<Lease>, NotNow>;
    /// Whether it still is this repair's turn: the deletion is sent directly after.
    fn deletes(&self) -> bool;
    /// From now on the entry may be gone: the calls are urgent.
    fn hurry(&self);
}

/// Reads cluster, entry, policies and role side by side.
///
/// # Errors
/// Any [`Fault`]: nothing is taken for absent that was not answered so.
pub(super) async fn look(calls: &impl Calls, kind: &EntryType) -> Result<World, Fault> {
    let (cluster, entry, role) = futures::future::join3(calls.cluster(), examined(calls, kind), calls.role()).await;
    Ok(World { cluster: cluster?, entry: entry?, role })
}

/// The entry and its policies, read side by side; `kind` is the type that the entry should have.
///
/// # Errors
/// Any [`Fault`].
pub(super) async fn examined(calls: &impl Calls, kind: &EntryType) -> Result<Option<Examined>, Fault> {
    let expected = async { if kind.has_policies() { Some(calls.policies(kind).await) } else { None } };
    let (entry, listed) = futures::future::join(calls.entry(), expected).await;
    let Some(entry) = entry? else { return Ok(None) };
    let listed = match listed {
        Some(listed) if entry.kind == *kind => listed,
        None if !entry.kind.has_policies() => Ok(Vec::new()),
        // Another party's entry of another type.
        _ => calls.policies(&entry.kind).await,
    };
    match listed {
        Ok(policies) => Ok(Some(Examined { entry, policies })),
        // Created or deleted between the two answers.
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The real AWS, for one entry, until the lease ends.
pub(super) struct Live<'a> {
    pub(super) reconciler: &'a Reconciler<'a>,
    pub(super) principal: &'a RoleArn,
    pub(super) cluster: ClusterRef,
    ends: Mutex<OffsetDateTime>,
    pub(super) passage: Passage<'a>,
    /// Whether the entry may be gone: what brings it back leaves before everything else.
    is_urgent: AtomicBool,
}

impl<'a> Live<'a> {
    /// The calls about one entry, until `ends`.
    pub(super) fn new(
        reconciler: &'a Reconciler<'a>,
        principal: &'a RoleArn,
        cluster: &ClusterRef,
        ends: OffsetDateTime,
    ) -> Self {
        let passage = reconciler.gate.passage();
        let (cluster, is_urgent) = (cluster.clone(), AtomicBool::new(false));
        Self { reconciler, principal, cluster, ends: Mutex::new(ends), passage, is_urgent }
    }

    fn set_ends(&self, ends: OffsetDateTime) {
        *lock(&self.ends) = ends;
    }
    /// What is acted on must be younger than the lease.
    async fn in_time<T>(&self, read: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let time: Duration = self.reconciler.run.until(self.ends());
        let late = |_| Err(Fault::timed_out("read", "no answer within the lease"));
        tokio::time::timeout(time, read).await.unwrap_or_else(late)
    }

    fn priority(&self) -> Priority {
        if self.is_urgent.load(Ordering::Relaxed) { Priority::Restoration } else { Priority::Repair }
    }

    fn eks(&self) -> Eks {
        self.reconciler.run.eks(&self.cluster.region).at(self.priority())
    }

    fn eks_changes(&self) -> EksChanges {
        self.reconciler.run.eks_changes(&self.cluster.region).at(self.priority())
    }
}

impl Calls for Live<'_> {
    async fn cluster(&self) -> Result<Option<Cluster>, Fault> {
        let eks = self.eks();
        self.in_time(eks.describe_cluster(&self.cluster.name)).await
    }

    async fn entry(&self) -> Result<Option<AccessEntry>, Fault> {
        let eks = self.eks();
        match self.in_time(eks.describe_access_entry(&self.cluster.name, self.principal.as_str())).await? {
            Entries::Known(entry) => Ok(entry),
            Entries::Unsupported => Ok(None),
        }
    }

    async fn policies(&self, kind: &EntryType) -> Result<Vec<AccessPolicy>, Fault> {
        let eks = self.eks();
        let list = eks.list_associated_access_policies(&self.cluster.name, self.principal.as_str(), kind);
        self.in_time(list).await
    }

    async fn role(&self) -> RoleState {
        let read =
            async { Ok(self.reconciler.run.app.aws.reads.get_role(self.principal.name()).await.of(self.principal)) };
        self.in_time(read).await.unwrap_or_else(RoleState::Unreadable)
    }

    async fn create(&self, permit: &Permit, wanted: &Snapshot) -> Result<AccessEntry, Fault> {
        self.eks_changes().create_access_entry(permit, wanted).await
    }

    async fn delete(&self, permit: &Permit) -> Result<(), Fault> {
        self.eks_changes().delete_access_entry(permit).await
    }

    async fn associate(&self, permit: &Permit, policy: &AccessPolicy) -> Result<(), Fault> {
        self.eks_changes().associate_access_policy(permit, policy).await
    }

    async fn disassociate(&self, association: &Association) -> Result<(), Fault> {
        self.eks_changes().disassociate_access_policy(association).await
    }

    async fn write(&self, row: &mut Row) -> Result<(), NotWritten> {
        self.reconciler.run.ledger().write(row).await
    }

    async fn forget(&self, row: &Row) -> Result<(), NotWritten> {
        self.reconciler.run.ledger().forget(row).await
    }

    async fn trip(&self, row: &Row, because: &str) -> Result<(), NotWritten> {
        self.reconciler.halted.store(true, Ordering::SeqCst);
        self.reconciler.run.ledger().trip(row, because, self.now()).await
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn now(&self) -> OffsetDateTime {
        self.reconciler.run.now()
    }

    fn ends(&self) -> OffsetDateTime {
        *lock(&self.ends)
    }

    fn hurry(&self) {
        self.is_urgent.store(true, Ordering::Relaxed);
    }

    async fn turn_to_delete(&self) -> Result<Option<Lease>, NotNow> {
        let reconciler = self.reconciler;
        let (run, began) = (reconciler.run, reconciler.run.now());
        let longest = run.until(run.deadline).saturating_sub(LEAST_FOR_A_DELETION);
        let is_in_time = tokio::time::timeout(longest, self.passage.turn()).await.is_ok();
        let waited = run.now() - began;
        let ends = run.deadline.min(self.ends() + waited);
        match reconciler.may_not_delete(ends) {
            Some(not_now) => return Err(not_now),
            None if !is_in_time => return Err(NotNow::TooLittleTime),
            None => {}
        }
        self.set_ends(ends);
        Ok((!waited.is_zero()).then(|| reconciler.lease(ends)))
    }

    fn deletes(&self) -> bool {
        self.passage.deletes()
    }
}
