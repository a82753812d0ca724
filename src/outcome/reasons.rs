//! Why an entry ended as it did: one closed list for each kind of outcome, so that no outcome takes a reason of another.
//!
//! A reason is a fact with its particulars. `label` is the one word for machines, `explain` the sentences for a person: what
//! happened, why, and what to do next. Both match exhaustively, so a new reason cannot be forgotten in either.

use std::time::Duration;

use crate::fault::Fault;

/// Why an entry waits for a person, a setting or a trusted creator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "explain() says it, in the sentences that people read")]
pub enum Hold {
    Privileged {
        /// All that makes it so, the strongest first.
        because: String,
    },
    /// Privileged, and this function's own rights do not reach so far.
    GrantsRefused,
    HoldAll,
    NoLedger,
    Observing,
    IgnoreTag {
        on: &'static str,
    },
    RolePattern,
    ClusterPattern,
    RepairBudget {
        limit: u32,
    },
    CannotRecreate {
        because: String,
    },
    RehearsalRefused(Fault),
    RoleChanged {
        expected: String,
        present: String,
    },
    /// The breaker stands.
    RecreationRefused,
    LedgerRowInvalid {
        because: String,
    },
    ChangedMeanwhile {
        what: String,
    },
    /// The owner deleted the entry, and a rehearsal perhaps created the one that stands.
    PerhapsRevived,
    /// The role exists again, and its entry does not: it was archived with an earlier role of the name.
    Archived {
        grants: String,
    },
}

/// Why an entry waits for time to pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "explain() says it, in the sentences that people read")]
pub enum Delay {
    TooLittleTime,
    RoleTooYoung { age: Duration, settle: Duration },
    PrincipalNotYetValid,
    LeaseTaken,
    LedgerUnavailable(Fault),
}

/// What AWS refused or did not do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "explain() says it, in the sentences that people read")]
pub enum Failure {
    /// After the deletion; it trips the breaker.
    RecreationRefused(Fault),
    AwsError(Fault),
}

/// Why an entry cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "explain() says it, in the sentences that people read")]
pub enum Doubt {
    OtherAccount,
    IamUser,
    ServiceLinkedRole { is_stale: bool },
    NotAPrincipal,
    RecordContradictsDates,
    RoleUnreadable(Fault),
}

/// What another party did first, so that nothing is left to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "explain() says it, in the sentences that people read")]
pub enum Precedence {
    ReplacedByOther {
        /// What the entry before had and this one lacks.
        missing: Vec<String>,
    },
    DeletedByOwner {
        /// What the function had created, so that the ledger's archive has it.
        was_ours: bool,
    },
}

/// Why an entry is in the ledger's archive and no longer in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "explain() says it, in the sentences that people read")]
pub enum Gone {
    RoleDeleted,
    RoleGone,
    ClusterGone,
}

impl Hold {
    /// All labels, in the order of the documents' table.
    pub const LABELS: [&'static str; 15] = [
        "privileged",
        "holdAll",
        "noLedger",
        "observing",
        "ignoreTag",
        "rolePattern",
        "clusterPattern",
        "repairBudget",
        "cannotRecreate",
        "rehearsalRefused",
        "roleChanged",
        "recreationRefused",
        "ledgerRowInvalid",
        "changedMeanwhile",
        "archived",
    ];

    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Privileged { .. } | Self::GrantsRefused => "privileged",
            Self::HoldAll => "holdAll",
            Self::NoLedger => "noLedger",
            Self::Observing => "observing",
            Self::IgnoreTag { .. } => "ignoreTag",
            Self::RolePattern => "rolePattern",
            Self::ClusterPattern => "clusterPattern",
            Self::RepairBudget { .. } => "repairBudget",
            Self::CannotRecreate { .. } => "cannotRecreate",
            Self::RehearsalRefused(_) => "rehearsalRefused",
            Self::RoleChanged { .. } => "roleChanged",
            Self::RecreationRefused => "recreationRefused",
            Self::LedgerRowInvalid { .. } => "ledgerRowInvalid",
            Self::ChangedMeanwhile { .. } | Self::PerhapsRevived => "changedMeanwhile",
            Self::Archived { .. } => "archived",
        }
    }

    /// What happened, why, and what to do next.
    #[must_use]
    pub fn explain(&self) -> String {
        self.explain_with("run the command in remedy")
    }

    /// The same, where `release` says what releases the entry.
    #[must_use]
    pub fn explain_with(&self, release: &str) -> String {
        match self {
            Self::Privileged { because } => format!(
                "The entry grants more than HOLD=privileged allows without an approval: {because}. Check who created the \
                 role, and check its trust policy. If this role ID may have the access, {release}."
            ),
            Self::GrantsRefused => {
                "ALLOW_PRIVILEGED_GRANTS=false: IAM lets this function grant only AmazonEKSViewPolicy, and does not \
                 let it create an entry with Kubernetes groups or a custom user name. Check who created the role, \
                 and check its trust policy. If the role may have the access, run the commands in remedy with your \
                 own credentials."
                    .to_owned()
            }
            Self::HoldAll => {
                format!("HOLD=all: every repair waits for a person. If this role ID may have the access, {release}.")
            }
            Self::NoLedger => {
                "LEDGER_TABLE is unset. Without a ledger the function cannot save the entry while it replaces it, \
                               so it deletes nothing. Deploy the ledger table and set LEDGER_TABLE."
                    .to_owned()
            }
            Self::Observing => {
                "MODE=observe: the repair of this entry is not finished and stays as it is. The ledger keeps the \
                                entry. Set MODE=repair to let the repair finish."
                    .to_owned()
            }
            Self::IgnoreTag { on } => format!(
                "The {on} is tagged access-entry-guard=ignore. Remove the tag if this function should repair the entry."
            ),
            Self::RolePattern => format!(
                "ROLE_PATTERNS does not include this role. Change the setting, or {release} for this entry alone."
            ),
            Self::ClusterPattern => format!(
                "CLUSTER_PATTERNS does not include this cluster. Change the setting, or {release} for this entry alone."
            ),
            Self::RepairBudget { limit } => format!(
                "This sweep has started MAX_REPAIRS={limit} deletions, which is its limit. The next sweep continues. If the \
                 number surprises you, find out why so many entries went stale at once before you raise the limit."
            ),
            Self::CannotRecreate { because } => format!(
                "EKS would not let this function create the entry again: {because}. Nothing was deleted. If you know how to \
                 create it again, replace it by hand."
            ),
            Self::RehearsalRefused(fault) => format!(
                "The function tried the creation while the entry still existed, and EKS refused it ({fault}). Nothing was \
                 deleted. Allow the call to this function's role, then {release}."
            ),
            Self::RoleChanged { expected, present } => format!(
                "The role's ID is {present}. The repair was permitted for {expected}. Check who created the present role. If \
                 it may have the access, {release}."
            ),
            Self::RecreationRefused => {
                "The function deleted another entry, and EKS refused to create it again. Until that entry exists \
                 again, the function deletes no other entry. Every run first tries to create that entry again. Fix \
                 the cause that the detail of that entry names."
                    .to_owned()
            }
            Self::LedgerRowInvalid { because } => format!(
                "The ledger's row for this entry is not one that this function writes ({because}), so the function does not \
                 follow it. Find out who wrote the row. Then delete the row with the command forget."
            ),
            Self::ChangedMeanwhile { what } => format!(
                "The entry changed during the repair ({what}). The function left the change as it is. Check who else manages \
                 the entry, then {release}."
            ),
            Self::PerhapsRevived => format!(
                "This function may have created the present entry: it sent a creation or a rehearsal, and EKS did \
                 not confirm it. Meanwhile the owner deleted or changed the entry, or the cluster was replaced by \
                 one of the same name. Ask the owner. If nobody wants the entry, delete it. If the entry is right as \
                 it is, {release}, which deletes the ledger's row."
            ),
            Self::Archived { grants } => format!(
                "The role exists again. The function archived its entry when an earlier role of this name was \
                 deleted, and has created nothing. Nobody has checked the role yet. The entry would grant: {grants}. \
                 Check who created the role and who may assume it. To create the entry again, run the command in \
                 remedy. If the role must not have the entry, delete the archived row with the command forget."
            ),
        }
    }
}

impl Delay {
    /// All labels, in the order of the documents' table.
    pub const LABELS: [&'static str; 5] =
        ["tooLittleTime", "roleTooYoung", "principalNotYetValid", "leaseTaken", "ledgerUnavailable"];

    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::TooLittleTime => "tooLittleTime",
            Self::RoleTooYoung { .. } => "roleTooYoung",
            Self::PrincipalNotYetValid => "principalNotYetValid",
            Self::LeaseTaken => "leaseTaken",
            Self::LedgerUnavailable(_) => "ledgerUnavailable",
        }
    }

    /// What happened, why, and what to do next.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::TooLittleTime => {
                "Too little time was left in this invocation. The retry or the next sweep continues.".to_owned()
            }
            Self::RoleTooYoung { age, settle } => format!(
                "The role is {} s old. Its entries are changed when it is SETTLE_SECONDS={} s old. The retry continues.",
                age.as_secs(),
                settle.as_secs()
            ),
            Self::PrincipalNotYetValid => {
                "EKS does not know the role yet. The ledger keeps the entry. The retry or the next \
                                           sweep continues."
                    .to_owned()
            }
            Self::LeaseTaken => "Another invocation works on this entry.".to_owned(),
            Self::LedgerUnavailable(because) => {
                format!(
                    "The ledger could not be read or written ({because}), so nothing was changed. The retry continues."
                )
            }
        }
    }
}

impl Failure {
    /// All labels that no other kind has.
    pub const LABELS: [&'static str; 1] = ["awsError"];

    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::RecreationRefused(_) => "recreationRefused",
            Self::AwsError(_) => "awsError",
        }
    }

    /// What happened, why, and what to do next.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::RecreationRefused(fault) => format!(
                "EKS refused to create the entry again after its deletion ({fault}). Its settings are in the ledger. Until the \
                 entry is back, no other entry is deleted. Fix the cause: every run tries this entry again first."
            ),
            Self::AwsError(fault) => format!("AWS did not do what was asked: {fault}."),
        }
    }
}

impl Doubt {
    /// All labels, in the order of the documents' table.
    pub const LABELS: [&'static str; 6] =
        ["otherAccount", "iamUser", "serviceLinkedRole", "notAPrincipal", "recordContradictsDates", "roleUnreadable"];

    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::OtherAccount => "otherAccount",
            Self::IamUser => "iamUser",
            Self::ServiceLinkedRole { .. } => "serviceLinkedRole",
            Self::NotAPrincipal => "notAPrincipal",
            Self::RecordContradictsDates => "recordContradictsDates",
            Self::RoleUnreadable(_) => "roleUnreadable",
        }
    }

    /// What happened, why, and what to do next.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::OtherAccount => "The principal belongs to another account, and this function cannot read its ID. \
                                   Check it in its own account: compare the creation date of the role with that of \
                                   the entry."
                .to_owned(),
            Self::IamUser => "The principal is an IAM user. This function repairs entries of roles only. If the user was deleted \
                              and created again, delete the entry and create it again."
                .to_owned(),
            Self::ServiceLinkedRole { is_stale: false } => {
                "The principal is a service-linked role. An AWS service created the entry and manages it.".to_owned()
            }
            Self::ServiceLinkedRole { is_stale: true } => {
                "The principal is a service-linked role, and the entry is stale: its dates are those of an earlier role of \
                 this name. Only the service can replace the entry. Follow the service's own steps to set up its access \
                 again."
                    .to_owned()
            }
            Self::NotAPrincipal => {
                "The principal is neither an IAM role nor an IAM user: it is, for example, the account's root. EKS \
                 accepts such an entry and never matches it, so it lets nobody in. Delete it, and create entries for \
                 the roles that need access."
                    .to_owned()
            }
            Self::RecordContradictsDates => {
                "The ledger and the dates contradict each other. According to the ledger, this entry was good with \
                 another role ID or in an earlier cluster of this name, or a later entry was good with this role ID. \
                 EKS may have answered with old data: run the check again. If the contradiction remains, find out \
                 whether the cluster lets the role in (kubectl auth whoami). If it does not, approve the repair for \
                 this role ID."
                    .to_owned()
            }
            Self::RoleUnreadable(fault) => format!("IAM did not show the role ({fault})."),
        }
    }
}

impl Precedence {
    /// All labels, in the order of the documents' table.
    pub const LABELS: [&'static str; 2] = ["replacedByOther", "deletedByOwner"];

    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::ReplacedByOther { .. } => "replacedByOther",
            Self::DeletedByOwner { .. } => "deletedByOwner",
        }
    }

    /// What happened, why, and what to do next.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::ReplacedByOther { missing } if missing.is_empty() => {
                "Another party created the entry during the repair. The function left it as it is.".to_owned()
            }
            Self::ReplacedByOther { missing } => format!(
                "Another party created the entry during the repair. The function left it as it is. It lacks what the entry had \
                 before: {}. The ledger keeps that for 90 days. Ask the owner of the new entry whether it is wanted.",
                missing.join("; ")
            ),
            Self::DeletedByOwner { was_ours: false } => {
                "Another party deleted the entry during the repair. The function created nothing.".to_owned()
            }
            Self::DeletedByOwner { was_ours: true } => {
                "The function had created the entry, but EKS does not show it: either another party deleted it, or \
                 the read is stale. The ledger keeps the whole entry for 90 days. The command restore creates it \
                 again. If it must stay deleted, the command forget deletes the ledger's row. If the entry appears \
                 without a restore, it may lack access policies: delete it, then run restore."
                    .to_owned()
            }
        }
    }
}

impl Gone {
    /// All labels, in the order of the documents' table.
    pub const LABELS: [&'static str; 3] = ["roleDeleted", "roleGone", "clusterGone"];

    /// The word for machines.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RoleDeleted => "roleDeleted",
            Self::RoleGone => "roleGone",
            Self::ClusterGone => "clusterGone",
        }
    }

    /// What happened, why, and what to do next.
    #[must_use]
    pub fn explain(self) -> String {
        match self {
            Self::RoleDeleted => {
                "The role no longer exists. The function deleted the entry. The ledger keeps it for 90 days, and \
                                  the command restore brings it back for a role that exists again."
                    .to_owned()
            }
            Self::RoleGone => {
                "The role was deleted during the repair. The ledger keeps the entry for 90 days, and the command \
                               restore brings it back for a role that exists again."
                    .to_owned()
            }
            Self::ClusterGone => {
                "The cluster that the entry belonged to no longer exists. The ledger keeps the entry for 90 \
                                  days."
                    .to_owned()
            }
        }
    }
}
