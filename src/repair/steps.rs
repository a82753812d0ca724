//! The single steps that change EKS: rehearse, delete, create, associate, verify. Each reads its own answer only;
//! what an unclear one means is found out by reading the world again.

use std::time::Duration;

use super::converge::{Fate, Flow, Work};
use crate::aws::eks::Entries;
use crate::aws::fault::{Fault, FaultKind};
use crate::discovery::Examined;
use crate::model::{AccessEntry, AccessPolicy, Role, RoleState};
use crate::outcome::{Outcome, Reason};

/// Between two looks at what EKS does not show yet.
const A_MOMENT: Duration = Duration::from_millis(300);

/// How often an entry that we created is looked for before it counts as gone: for some seconds in all.
const LOOKS_FOR_OURS: u32 = 6;

/// The policies that were associated, by whether the list read directly before had them.
#[derive(Debug, Default)]
pub(super) struct Associated {
    ours: Vec<String>,
    perhaps_others: Vec<String>,
}

impl Associated {
    fn add(&mut self, policy: &AccessPolicy, listed: &[AccessPolicy]) {
        let is_ours = !listed.iter().any(|there| there.policy_arn == policy.policy_arn);
        let side = if is_ours { &mut self.ours } else { &mut self.perhaps_others };
        side.push(policy.policy_arn.clone());
    }
}

impl Work<'_> {
    /// Sends the creation while the old entry stands: "in use" is the answer wanted. Then every association with its
    /// present scope, which changes nothing and proves the permission. `None`: all is well, go on.
    pub(super) async fn rehearse(&mut self) -> Option<Flow> {
        let eks = self.crew.run.eks(&self.row.cluster.region);
        let name = self.row.cluster.name.clone();
        match eks.create_access_entry(&name, self.principal, &self.row.snapshot).await {
            Ok(created) => {
                // The owner had deleted the entry meanwhile.
                if let Err(flow) = self.delete_created(&created.arn).await {
                    return Some(flow);
                }
                return Some(Flow::End(Outcome::None(Some(Reason::DeletedByOwner)), Fate::Forget));
            }
            Err(fault) if fault.kind == FaultKind::InUse => {}
            Err(fault) => {
                if fault.may_have_happened() {
                    self.unclear_since = Some(self.crew.run.now());
                }
                return Some(self.rehearsal_failed(&fault));
            }
        }
        if self.row.snapshot.access_policies.is_empty() {
            return None;
        }
        // An association sets the scope, so it must be the owner's present one.
        let kind = &self.row.snapshot.kind;
        let listed = match eks.list_associated_access_policies(&name, self.principal.as_str(), kind).await {
            Ok(policies) if self.row.is_own_entry || policies == self.row.snapshot.access_policies => policies,
            Ok(_) => return Some(Flow::Anew),
            Err(fault) => return Some(self.rehearsal_failed(&fault)),
        };
        for policy in &self.row.snapshot.access_policies {
            match eks.associate_access_policy(&name, self.principal.as_str(), policy).await {
                Ok(()) => self.associated.add(policy, &listed),
                Err(fault) if fault.kind == FaultKind::NotFound => return Some(Flow::Anew),
                Err(fault) => return Some(self.rehearsal_failed(&fault)),
            }
        }
        None
    }

    /// Takes back the associations that met an entry of somebody else's, made between our look and our call. Only those
    /// are ours that the list read directly before did not have. Of the others nobody can tell whose they are: the
    /// owner of the new entry may have given it the same policy. A person is asked to look.
    pub(super) async fn take_back(&mut self) {
        let eks = self.crew.run.eks(&self.row.cluster.region);
        let Associated { ours, perhaps_others } = std::mem::take(&mut self.associated);
        if !perhaps_others.is_empty() {
            self.note = Some(format!(
                "Somebody else replaced the entry during the rehearsal, which may have set a policy on the new one \
                 ({}). Compare its policies with what its owner gave it, and take away what is too much.",
                perhaps_others.join(", ")
            ));
        }
        for policy in ours {
            if let Err(fault) =
                eks.disassociate_access_policy(&self.row.cluster.name, self.principal.as_str(), &policy).await
                && fault.kind != FaultKind::NotFound
            {
                self.note = Some(format!("{policy} was associated with an entry of somebody else's ({fault})."));
            }
        }
    }

    fn rehearsal_failed(&mut self, fault: &Fault) -> Flow {
        if fault.is_unknown_principal() {
            return if self.tries < 8 {
                self.pause()
            } else {
                Flow::End(Outcome::deferred(Reason::PrincipalNotYetValid), Fate::Close)
            };
        }
        if fault.may_pass() {
            return if self.tries < 6 { self.pause() } else { Self::failed(&fault.to_string()) };
        }
        if fault.kind == FaultKind::NotFound {
            return Flow::Anew;
        }
        Flow::End(Outcome::Held(Reason::RehearsalRefused { by: fault.to_string() }), Fate::Close)
    }

    /// Deletes the entry of the row. `DeleteAccessEntry` has no precondition: the row is written, so the lease is still
    /// ours, and the entry is read, directly before: another one, or one that its owner changed, is not deleted.
    pub(super) async fn delete(&mut self) -> Flow {
        if let Err(flow) = self.write().await {
            return flow;
        }
        let run = self.crew.run;
        let eks = run.eks(&self.row.cluster.region);
        let is_first = self.deletion_is_ours;
        match eks.describe_access_entry(&self.row.cluster.name, self.principal.as_str()).await {
            Ok(Entries::Known(Some(entry))) if self.is_what_is_kept(&entry) => {}
            Ok(_) if is_first && !self.row.is_own_entry => {
                self.row.forget_progress();
                return Flow::Anew;
            }
            Ok(_) | Err(_) => {
                self.deletion_is_ours = false;
                return self.pause();
            }
        }
        if run.now() >= self.ends {
            return Flow::End(self.out_of_time(), Fate::Keep);
        }
        self.was_deletion_sent = true;
        let deleted = eks.delete_access_entry(&self.row.cluster.name, self.principal.as_str()).await;
        match deleted {
            Ok(()) => {
                // A later 404 is the answer to our own deletion.
                self.deletion_is_ours = false;
                Flow::Again(Duration::ZERO)
            }
            Err(fault) if fault.kind == FaultKind::NotFound && self.deletion_is_ours => {
                Flow::End(Outcome::None(Some(Reason::DeletedByOwner)), Fate::Forget)
            }
            Err(fault) if fault.may_have_happened() => {
                self.deletion_is_ours = false;
                self.pause()
            }
            Err(fault) if fault.kind == FaultKind::Throttled => self.pause(),
            Err(fault) if matches!(fault.kind, FaultKind::NotFound | FaultKind::InUse) => self.pause(),
            // A clear refusal: the entry stands as it was.
            Err(fault) if self.deletion_is_ours => {
                self.row.forget_progress();
                let because = fault.to_string();
                Flow::End(Outcome::Failed(Reason::AwsError { because }), Fate::Close)
            }
            Err(fault) => Self::failed(&fault.to_string()),
        }
    }

    /// Whether this is the entry of the row, as the row has it; its policies are not asked again.
    fn is_what_is_kept(&self, entry: &AccessEntry) -> bool {
        let policies = self.row.snapshot.access_policies.clone();
        entry.arn == self.row.access_entry_arn
            && self.is_as_its_owner_had_it(&Examined { entry: entry.clone(), policies })
    }

    /// Deletes an entry that we created and must not leave: its own ARN is read directly before. It was just created, so
    /// a read that does not show it, or still shows the one before, is late at first.
    pub(super) async fn delete_created(&mut self, created_arn: &str) -> Result<(), Flow> {
        let eks = self.crew.run.eks(&self.row.cluster.region);
        let name = self.row.cluster.name.clone();
        let mut is_absent = false;
        for tries in 1.. {
            if tries > LOOKS_FOR_OURS {
                if is_absent {
                    break;
                }
                return Err(Self::failed("what was just created could not be deleted again"));
            }
            let seen = eks.describe_access_entry(&name, self.principal.as_str()).await;
            is_absent = match &seen {
                Ok(Entries::Known(entry)) => entry.as_ref().is_none_or(|it| it.arn == self.row.access_entry_arn),
                Ok(Entries::Unsupported) | Err(_) => false,
            };
            match seen {
                Ok(Entries::Known(Some(entry))) if entry.arn == created_arn => {}
                Ok(_) if is_absent => {
                    tokio::time::sleep(A_MOMENT * tries).await;
                    continue;
                }
                Ok(_) => break,
                Err(fault) if !fault.may_pass() => return Err(Self::failed(&fault.to_string())),
                Err(_) => {
                    tokio::time::sleep(A_MOMENT).await;
                    continue;
                }
            }
            match eks.delete_access_entry(&name, self.principal.as_str()).await {
                Ok(()) => break,
                Err(fault) if fault.kind == FaultKind::NotFound => break,
                Err(fault) if fault.may_pass() => tokio::time::sleep(A_MOMENT).await,
                Err(fault) => return Err(Self::failed(&fault.to_string())),
            }
        }
        self.deleted_again.push(created_arn.to_owned());
        self.row.created_entry_arn = None;
        self.row.creation_sent_at = None;
        self.unverified = None;
        Ok(())
    }

    /// Creates the entry, for the permitted role only: it is read directly before and directly after.
    pub(super) async fn create(&mut self) -> Flow {
        let run = self.crew.run;
        // Written before it is sent: after a cut, an entry like the snapshot may be this creation.
        let before = (self.row.creation_sent_at, self.row.created_entry_arn.take());
        if before.0.is_none() || before.1.is_some() {
            self.row.creation_sent_at = Some(run.now());
            if let Err(flow) = self.write().await {
                return flow;
            }
        }
        match run.app.aws.get_role(self.principal.name()).await {
            RoleState::Present(role) if self.is_permitted(&role) => {}
            _ => return self.pause(),
        }
        if run.now() >= self.ends {
            return Flow::End(self.out_of_time(), Fate::Keep);
        }
        let eks = run.eks(&self.row.cluster.region);
        let name = self.row.cluster.name.clone();
        match eks.create_access_entry(&name, self.principal, &self.row.snapshot).await {
            Ok(created) => {
                self.row.created_entry_arn = Some(created.arn.clone());
                let after = run.app.aws.get_role(self.principal.name()).await;
                match &after {
                    RoleState::Present(role) if self.is_permitted(role) => {}
                    // Perhaps bound to a role that nobody permitted.
                    RoleState::Present(_) => {
                        if let Err(flow) = self.delete_created(&created.arn).await {
                            return flow;
                        }
                    }
                    RoleState::Absent | RoleState::Unreadable { .. } => self.unverified = Some(created.arn),
                }
                match self.write().await {
                    Ok(()) => {
                        self.tries = 0;
                        Flow::Again(Duration::ZERO)
                    }
                    Err(flow) => flow,
                }
            }
            Err(fault) => {
                // Clearly refused, an entry like the snapshot that turns up now is not from this try.
                let was_sent_before = before.0.is_some() && before.1.is_none();
                if !was_sent_before && !fault.may_have_happened() {
                    (self.row.creation_sent_at, self.row.created_entry_arn) = before;
                    if let Err(flow) = self.write().await {
                        return flow;
                    }
                }
                self.creation_failed(&fault)
            }
        }
    }

    fn creation_failed(&mut self, fault: &Fault) -> Flow {
        if fault.is_unknown_principal() {
            return self.wait_for_principal();
        }
        if fault.may_pass() || matches!(fault.kind, FaultKind::InUse | FaultKind::NotFound) {
            return self.pause();
        }
        // The state of the cluster, not ours to mend and no sign for other entries.
        if fault.kind == FaultKind::InvalidRequest {
            return Self::failed(&fault.to_string());
        }
        Self::refused(fault)
    }

    fn is_permitted(&self, role: &Role) -> bool {
        role.arn == *self.principal && Some(&role.id) == self.row.permitted_role_id.as_ref()
    }

    fn wait_for_principal(&mut self) -> Flow {
        let run = self.crew.run;
        if run.until(self.ends) < Duration::from_secs(10) {
            let reason = Reason::PrincipalNotYetValid;
            return Flow::End(Outcome::Deferred { reason, deletion_sent: true }, Fate::Keep);
        }
        self.pause()
    }

    /// A refusal for good after a deletion.
    fn refused(fault: &Fault) -> Flow {
        Flow::End(Outcome::Failed(Reason::RecreationRefused { by: fault.to_string() }), Fate::Keep)
    }

    /// Our creation is there and bound to the permitted role: associates what is missing, and records.
    pub(super) async fn complete(&mut self, role: &Role, entry: &Examined) -> Flow {
        let run = self.crew.run;
        let eks = run.eks(&self.row.cluster.region);
        let missing: Vec<_> = self
            .row
            .snapshot
            .access_policies
            .iter()
            .filter(|policy| !entry.policies.iter().any(|there| there.policy_arn == policy.policy_arn))
            .cloned()
            .collect();
        if missing.is_empty() {
            self.row = self.row.verified(&entry.entry.arn, entry.snapshot(), role.id.clone(), run.now());
            return match self.write().await {
                Ok(()) => Flow::End(Outcome::Repaired, Fate::Written),
                Err(flow) => flow,
            };
        }
        let mut refusal = None;
        for policy in &missing {
            match eks.associate_access_policy(&self.row.cluster.name, self.principal.as_str(), policy).await {
                Ok(()) => self.associated.add(policy, &entry.policies),
                // 404: EKS does not show its own creation everywhere yet.
                Err(fault) if fault.may_pass() || fault.kind == FaultKind::NotFound => return self.pause(),
                Err(fault) => refusal = refusal.or(Some(fault)),
            }
        }
        match refusal {
            Some(fault) => Self::refused(&fault),
            None => Flow::Again(Duration::ZERO),
        }
    }
}
