//! Who may be given access without asking a person: the only maker of a [`Permit`], and so of any change.
//!
//! The threat: whoever may create roles could take a freed name and be handed its old access. So a repair needs a
//! reason to believe that the new role is the old one's rightful successor: the entry gives little (`HOLD=privileged`),
//! or a trusted creator made the very role that exists, or a person approved its ID. Any doubt holds.

use crate::config::{Config, HoldSetting, Mode};
use crate::model::Creator;
use crate::model::{AccessPolicy, Cluster, ClusterRef, EntryType, Home, Role, RoleArn, RoleId, Snapshot, VIEW_POLICY};
use crate::outcome::Hold;
use crate::row::{Permitted, Repair};
use crate::trust;

mod recreatable;

#[cfg(test)]
use recreatable::RESERVED_PREFIXES;
use recreatable::recreatable;
pub use recreatable::services_that_use;

/// The tag key whose value [`IGNORE_VALUE`] keeps this function's hands off an entry or a cluster.
pub const IGNORE_KEY: &str = "access-entry-guard";
/// See [`IGNORE_KEY`].
pub const IGNORE_VALUE: &str = "ignore";

/// Leave to change one entry, for one role ID. Only this module makes one, and no call that changes EKS is made without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Permit {
    principal: RoleArn,
    cluster: ClusterRef,
    role_id: RoleId,
    grounds: String,
}

/// Leave to delete one entry whose role is gone. It grants nothing. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemovalPermit {
    principal: RoleArn,
    cluster: ClusterRef,
}

/// The receipt of an association that was made under a permit: with it, and for nothing else, it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Association {
    principal: RoleArn,
    cluster: ClusterRef,
    policy_arn: String,
}

impl Association {
    /// Whose entry it is.
    #[must_use]
    pub fn principal(&self) -> &RoleArn {
        &self.principal
    }

    /// The cluster that the entry is in.
    #[must_use]
    pub fn cluster(&self) -> &ClusterRef {
        &self.cluster
    }

    /// The associated policy.
    #[must_use]
    pub fn policy_arn(&self) -> &str {
        &self.policy_arn
    }
}

impl RemovalPermit {
    /// Whose entry it is.
    #[must_use]
    pub fn principal(&self) -> &RoleArn {
        &self.principal
    }

    /// The cluster that the entry is in.
    #[must_use]
    pub fn cluster(&self) -> &ClusterRef {
        &self.cluster
    }
}

impl Permit {
    /// Whose entry it is.
    #[must_use]
    pub fn principal(&self) -> &RoleArn {
        &self.principal
    }

    /// The cluster that the entry is in.
    #[must_use]
    pub fn cluster(&self) -> &ClusterRef {
        &self.cluster
    }

    /// The receipt of a policy's association.
    #[must_use]
    pub fn association(&self, policy: &AccessPolicy) -> Association {
        let (principal, cluster) = (self.principal.clone(), self.cluster.clone());
        Association { principal, cluster, policy_arn: policy.policy_arn.clone() }
    }

    /// The only role ID that the entry may be created for.
    #[must_use]
    pub fn role_id(&self) -> &RoleId {
        &self.role_id
    }

    /// Why, in words: kept in the ledger.
    #[must_use]
    pub fn grounds(&self) -> &str {
        &self.grounds
    }

    /// The same permit, with who its approver claims to be among the grounds. It permits no more and no less: anybody who
    /// may approve can claim anything.
    #[must_use]
    pub fn claimed_by(mut self, arn: Option<&str>) -> Self {
        if let Some(arn) = arn {
            self.grounds = format!("{}; the person claims to be {arn}", self.grounds);
        }
        self
    }
}

/// Why there is no permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Held, whatever the mode.
    Hold(Hold),
    /// Everything is in order, but the mode only observes.
    Observed,
}

/// Who asks for the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// An event, the schedule, or a person without the right to approve.
    Automatically {
        /// The creator of a role, and the ID of the role created, where an event that may be believed told them.
        creator: Option<(Creator, RoleId)>,
    },
    /// A person who may approve, for this role ID.
    ByApprover {
        /// The ID that the person looked at.
        role_id: RoleId,
    },
}

impl Asked {
    /// Nobody in particular.
    #[must_use]
    pub fn automatically() -> Self {
        Self::Automatically { creator: None }
    }
}

/// What is asked: this entry, in this cluster, for this role.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The settings.
    pub config: &'a Config,
    /// Our account and partition.
    pub home: &'a Home,
    /// Whose entry it is.
    pub principal: &'a RoleArn,
    /// The entry as its owner had it.
    pub snapshot: &'a Snapshot,
    /// The cluster that it is in.
    pub cluster: &'a Cluster,
    /// The role as it is now.
    pub role: &'a Role,
    /// Who asks.
    pub asked: &'a Asked,
}

/// Reviews a repair.
///
/// # Errors
/// The [`Refusal`].
pub fn review(request: Request<'_>) -> Result<Permit, Refusal> {
    let Request { config, home, principal, snapshot, cluster, role, asked } = request;
    tags(snapshot, cluster)?;
    if role.arn != *principal || !principal.is_of(home) {
        return Err(Refusal::Hold(Hold::CannotRecreate { because: "the role has another ARN".to_owned() }));
    }
    recreatable(principal, snapshot, cluster)?;
    if config.ledger_table.is_none() {
        return Err(Refusal::Hold(Hold::NoLedger));
    }
    grants(config, principal, snapshot)?;
    let grounds = match asked {
        Asked::ByApprover { role_id } if *role_id == role.id => "a person approved this role ID".to_owned(),
        Asked::ByApprover { role_id } => {
            return Err(Refusal::Hold(Hold::RoleChanged {
                expected: role_id.to_string(),
                present: role.id.to_string(),
            }));
        }
        Asked::Automatically { creator } => {
            patterns(config, principal, cluster)?;
            unattended(config, home, snapshot, role, creator.as_ref())?
        }
    };
    if config.mode == Mode::Observe {
        return Err(Refusal::Observed);
    }
    Ok(Permit { principal: principal.clone(), cluster: cluster.at.clone(), role_id: role.id.clone(), grounds })
}

/// What [`review`] would say, without its permit: for whoever only looks.
///
/// # Errors
/// The [`Refusal`].
pub fn preview(request: Request<'_>) -> Result<(), Refusal> {
    review(request).map(drop)
}

/// Reviews the continuation of an open row: for its role ID and no other, and only for what may be created at all.
/// Only the mode and the ignore tag are checked again. A changed budget or pattern does not stop a repair that has
/// started.
///
/// # Errors
/// The [`Hold`].
pub fn resume(config: &Config, repair: &Repair, principal: &RoleArn, cluster: &Cluster) -> Result<Permit, Hold> {
    if let Err(Refusal::Hold(reason)) = tags(&repair.wanted, cluster) {
        return Err(reason);
    }
    if config.mode == Mode::Observe {
        return Err(Hold::Observing);
    }
    match recreatable(principal, &repair.wanted, cluster) {
        Err(Refusal::Hold(Hold::CannotRecreate { because })) => Err(Hold::LedgerRowInvalid { because }),
        _ => Ok(continued(repair, principal, &cluster.at)),
    }
}

/// The permit of an open row whose cluster does not exist: only good for finding that out once more.
#[must_use]
pub fn continued(repair: &Repair, principal: &RoleArn, cluster: &ClusterRef) -> Permit {
    let Permitted { role_id, grounds } = repair.permitted.clone();
    Permit { principal: principal.clone(), cluster: cluster.clone(), role_id, grounds }
}

/// Reviews the removal of an entry whose role is gone. It grants nothing, so it needs no hold for privileges; what
/// could not be created again is not removed.
///
/// # Errors
/// The [`Refusal`].
pub fn review_removal(
    config: &Config,
    principal: &RoleArn,
    snapshot: &Snapshot,
    cluster: &Cluster,
) -> Result<RemovalPermit, Refusal> {
    tags(snapshot, cluster)?;
    recreatable(principal, snapshot, cluster)?;
    patterns(config, principal, cluster)?;
    if config.ledger_table.is_none() {
        return Err(Refusal::Hold(Hold::NoLedger));
    }
    if config.mode == Mode::Observe {
        return Err(Refusal::Observed);
    }
    Ok(RemovalPermit { principal: principal.clone(), cluster: cluster.at.clone() })
}

/// What IAM would refuse to this function, where `ALLOW_PRIVILEGED_GRANTS=false` tells so: whoever asks, the entry is
/// replaced by a person with rights of his own. IAM would refuse it too, but perhaps only after the deletion.
///
/// # Errors
/// Held, where the entry gives more than this function may grant.
pub fn grants(config: &Config, principal: &RoleArn, snapshot: &Snapshot) -> Result<(), Refusal> {
    if config.allow_privileged_grants || !snapshot.is_privileged_grant(principal) {
        return Ok(());
    }
    Err(Refusal::Hold(Hold::GrantsRefused))
}

/// The ignore tag, on the entry or its cluster.
///
/// # Errors
/// Held, where it is set.
pub fn tags(snapshot: &Snapshot, cluster: &Cluster) -> Result<(), Refusal> {
    let is_set =
        |tags: &std::collections::BTreeMap<String, String>| tags.get(IGNORE_KEY).is_some_and(|v| v == IGNORE_VALUE);
    if is_set(&snapshot.tags) {
        return Err(Refusal::Hold(Hold::IgnoreTag { on: "entry" }));
    }
    if is_set(&cluster.tags) {
        return Err(Refusal::Hold(Hold::IgnoreTag { on: "cluster" }));
    }
    Ok(())
}

fn patterns(config: &Config, principal: &RoleArn, cluster: &Cluster) -> Result<(), Refusal> {
    if !config.role_patterns.admits(principal.name(), principal.as_str()) {
        return Err(Refusal::Hold(Hold::RolePattern));
    }
    let arn = format!(
        "arn:{}:eks:{}:{}:cluster/{}",
        principal.partition(),
        cluster.at.region,
        principal.account(),
        cluster.at.name
    );
    if !config.cluster_patterns.admits(&cluster.at.name, &arn) {
        return Err(Refusal::Hold(Hold::ClusterPattern));
    }
    Ok(())
}

fn unattended(
    config: &Config,
    home: &Home,
    snapshot: &Snapshot,
    role: &Role,
    creator: Option<&(Creator, RoleId)>,
) -> Result<String, Refusal> {
    // Trust counts only where the role that exists is the very one that the event created.
    if let Some((creator, created)) = creator
        && *created == role.id
        && config.trusts(creator)
    {
        return Ok(format!("created by the trusted {} ({})", creator.arn, creator.unique_id));
    }
    match config.hold {
        HoldSetting::None => Ok("HOLD=none".to_owned()),
        HoldSetting::All => Err(Refusal::Hold(Hold::HoldAll)),
        HoldSetting::Privileged => match privilege(home, snapshot, role) {
            Some(because) => Err(Refusal::Hold(Hold::Privileged { because })),
            None => Ok("not privileged".to_owned()),
        },
    }
}

/// All that makes an entry one that a person should look at, the strongest first; `None` for one that gives little to whoever
/// takes the name.
#[must_use]
pub fn privilege(home: &Home, snapshot: &Snapshot, role: &Role) -> Option<String> {
    let reasons = match &snapshot.kind {
        EntryType::Unknown(_) => vec!["its type is unknown".to_owned()],
        EntryType::Standard => privileges_of_a_standard_entry(home, snapshot, &role.arn),
        node => {
            let more = other_policies(home, snapshot, "AmazonEKSAutoNodePolicy");
            let more = (!more.is_empty()).then(|| format!("it has {}, which nodes do not need", more.join(", ")));
            let is_open = !trust::admits_only_the_service_of(node, role.trust_policy.as_deref());
            let is_open = is_open
                .then(|| "the role's trust policy admits others besides the service that runs such nodes".to_owned());
            more.into_iter().chain(is_open).collect()
        }
    };
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn privileges_of_a_standard_entry(home: &Home, snapshot: &Snapshot, principal: &RoleArn) -> Vec<String> {
    let mut reasons = Vec::new();
    let policies = other_policies(home, snapshot, VIEW_POLICY);
    if !policies.is_empty() {
        reasons.push(format!("it has {}", policies.join(", ")));
    }
    if !snapshot.kubernetes_groups.is_empty() {
        let groups = snapshot.kubernetes_groups.join(", ");
        reasons.push(format!("it is in the Kubernetes groups {groups}, to which RBAC may give anything"));
    }
    if let Some(username) = snapshot.creation_username(principal) {
        reasons.push(format!("it has the user name {username}, to which RBAC may give anything"));
    }
    if snapshot.access_policies.is_empty() && reasons.is_empty() {
        reasons.push("it has no access policy, so RBAC gives it its rights".to_owned());
    }
    reasons
}

/// The policies of an entry besides the one that gives little, in words; cluster administration first.
fn other_policies(home: &Home, snapshot: &Snapshot, harmless: &str) -> Vec<String> {
    let arn = |name: &str| format!("arn:{}:eks::aws:cluster-access-policy/{name}", home.partition);
    let mut others: Vec<&AccessPolicy> =
        snapshot.access_policies.iter().filter(|policy| policy.policy_arn != arn(harmless)).collect();
    others.sort_by_key(|policy| {
        let strength = ["AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy", "AmazonEKSAdminViewPolicy"];
        (
            strength.iter().position(|name| policy.policy_arn == arn(name)).unwrap_or(strength.len()),
            policy.policy_arn.clone(),
        )
    });
    others.into_iter().map(AccessPolicy::in_words).collect()
}

#[cfg(test)]
mod tests;
