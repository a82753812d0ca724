//! What became of an entry, and why: the closed lists of words that report, log lines, metrics and README share.
//!
//! A reason is a fact with its particulars. [`Reason::label`] is the one word for machines, [`Reason::explain`] the
//! sentence for a person; both match exhaustively, so a new reason cannot be forgotten in either.

use std::time::Duration;

/// What was done about an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing, and nothing was due; or somebody else was first.
    None(Option<Reason>),
    /// Deleted and created again, with everything its owner had set.
    Repaired,
    /// Would have been repaired, had the mode allowed it.
    WouldRepair,
    /// Waits for a person, a setting or a trusted creator.
    Held(Reason),
    /// Archived in the ledger, and no longer in the cluster.
    Removed(Reason),
    /// Would have been removed, had the mode allowed it.
    WouldRemove,
    /// Kept, and told.
    Reported,
    /// Created from the ledger at a person's word.
    Restored,
    /// Waits for time to pass: a retry or the next sweep goes on.
    Deferred {
        /// Why.
        reason: Reason,
        /// Whether the entry may be deleted already.
        deletion_sent: bool,
    },
    /// AWS refused, or did not answer.
    Failed(Reason),
}

impl Outcome {
    /// The word for machines.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::None(_) => "none",
            Self::Repaired => "repaired",
            Self::WouldRepair => "wouldRepair",
            Self::Held(_) => "held",
            Self::Removed(_) => "removed",
            Self::WouldRemove => "wouldRemove",
            Self::Reported => "reported",
            Self::Restored => "restored",
            Self::Deferred { .. } => "deferred",
            Self::Failed(_) => "failed",
        }
    }

    /// Why, where there is more to say than the word itself.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::None(reason) => reason.as_ref(),
            Self::Held(reason) | Self::Removed(reason) | Self::Deferred { reason, .. } | Self::Failed(reason) => {
                Some(reason)
            }
            Self::Repaired | Self::WouldRepair | Self::WouldRemove | Self::Reported | Self::Restored => None,
        }
    }

    /// Whether a retry of the invocation may help: the invocation then fails, so that it is retried.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(
            self,
            Self::Deferred { .. } | Self::Failed(_) | Self::None(Some(Reason::RoleUnreadable { may_pass: true, .. }))
        )
    }

    /// Nothing more, at the end of an entry that is as it should be.
    #[must_use]
    pub fn nothing() -> Self {
        Self::None(None)
    }

    /// Waits, with the entry still in place.
    #[must_use]
    pub fn deferred(reason: Reason) -> Self {
        Self::Deferred { reason, deletion_sent: false }
    }
}

/// Why an entry ended as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "explain() says it, in the sentence that people read")]
pub enum Reason {
    // held
    Privileged {
        because: &'static str,
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
    RehearsalRefused {
        by: String,
    },
    RoleChanged {
        expected: String,
        present: String,
    },
    /// Held by the breaker, or the failure that trips it.
    RecreationRefused {
        by: String,
    },
    LedgerRowInvalid {
        because: String,
    },
    ChangedMeanwhile {
        what: String,
    },
    /// The role exists again, and its entry does not: it was archived with an earlier role of the name.
    Archived {
        /// What the entry would grant.
        grants: String,
    },
    /// Changed meanwhile: deleted by its owner, and perhaps created again by a rehearsal.
    PerhapsRevived,
    // deferred
    TooLittleTime,
    RoleTooYoung {
        age: Duration,
        settle: Duration,
    },
    PrincipalNotYetValid,
    LeaseTaken,
    LedgerUnavailable {
        because: String,
    },
    // failed
    AwsError {
        because: String,
    },
    // undecided
    OtherAccount,
    IamUser,
    ServiceLinkedRole {
        is_stale: bool,
    },
    NotAPrincipal,
    RecordContradictsDates,
    RoleUnreadable {
        because: String,
        may_pass: bool,
    },
    // none
    ReplacedByOther {
        /// What the entry before had and this one lacks.
        missing: Vec<String>,
    },
    DeletedByOwner,
    // removed
    RoleDeleted,
    RoleGone,
    ClusterGone,
}

impl Reason {
    /// All labels, in the order of the README's table.
    pub const LABELS: [&'static str; 32] = [
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
        "tooLittleTime",
        "roleTooYoung",
        "principalNotYetValid",
        "leaseTaken",
        "ledgerUnavailable",
        "awsError",
        "otherAccount",
        "iamUser",
        "serviceLinkedRole",
        "notAPrincipal",
        "recordContradictsDates",
        "roleUnreadable",
        "replacedByOther",
        "deletedByOwner",
        "roleDeleted",
        "roleGone",
        "clusterGone",
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
            Self::RehearsalRefused { .. } => "rehearsalRefused",
            Self::RoleChanged { .. } => "roleChanged",
            Self::RecreationRefused { .. } => "recreationRefused",
            Self::LedgerRowInvalid { .. } => "ledgerRowInvalid",
            Self::ChangedMeanwhile { .. } | Self::PerhapsRevived => "changedMeanwhile",
            Self::Archived { .. } => "archived",
            Self::TooLittleTime => "tooLittleTime",
            Self::RoleTooYoung { .. } => "roleTooYoung",
            Self::PrincipalNotYetValid => "principalNotYetValid",
            Self::LeaseTaken => "leaseTaken",
            Self::LedgerUnavailable { .. } => "ledgerUnavailable",
            Self::AwsError { .. } => "awsError",
            Self::OtherAccount => "otherAccount",
            Self::IamUser => "iamUser",
            Self::ServiceLinkedRole { .. } => "serviceLinkedRole",
            Self::NotAPrincipal => "notAPrincipal",
            Self::RecordContradictsDates => "recordContradictsDates",
            Self::RoleUnreadable { .. } => "roleUnreadable",
            Self::ReplacedByOther { .. } => "replacedByOther",
            Self::DeletedByOwner => "deletedByOwner",
            Self::RoleDeleted => "roleDeleted",
            Self::RoleGone => "roleGone",
            Self::ClusterGone => "clusterGone",
        }
    }

    /// A sentence for a person: what is the case, and what to do next where something is to be done.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one sentence for each reason, matched exhaustively")]
    pub fn explain(&self) -> String {
        match self {
            Self::Privileged { because } => format!(
                "The entry gives more than HOLD=privileged lets through unattended: {because}. Look at who created the \
                 role and at its trust policy; if this role ID may have the access, approve it with the command in remedy."
            ),
            Self::GrantsRefused => "ALLOW_PRIVILEGED_GRANTS=false: IAM lets this function grant the view policy only, and \
                                    create no entry with groups or a user name of its own. Look at who created the \
                                    role and at its trust policy; if it may have the access, run the commands in remedy \
                                    with credentials of your own."
                .to_owned(),
            Self::HoldAll => "HOLD=all: every repair waits for a person. If this role ID may have the access, approve it \
                              with the command in remedy."
                .to_owned(),
            Self::NoLedger => "LEDGER_TABLE is unset, so there is nowhere to keep the entry while it is replaced, and \
                               nothing is deleted. Deploy the ledger table and set LEDGER_TABLE."
                .to_owned(),
            Self::Observing => "MODE=observe: the unfinished repair of this entry stays as it is; the ledger keeps the \
                                entry. Set MODE=repair to let it finish."
                .to_owned(),
            Self::IgnoreTag { on } => format!(
                "The {on} is tagged access-entry-guard=ignore. Remove the tag to have the entry looked after."
            ),
            Self::RolePattern => {
                "ROLE_PATTERNS does not admit this role. Change the setting, or approve this one entry with the command \
                 in remedy."
                    .to_owned()
            }
            Self::ClusterPattern => "CLUSTER_PATTERNS does not admit this cluster. Change the setting, or approve this \
                                     one entry with the command in remedy."
                .to_owned(),
            Self::RepairBudget { limit } => format!(
                "This sweep has begun MAX_REPAIRS={limit} deletions already; the next sweep goes on. If the number \
                 surprises you, find out why so many entries went stale at once before you raise it."
            ),
            Self::CannotRecreate { because } => format!(
                "The entry could not be created again: {because}. Delete and create it by hand if you know better."
            ),
            Self::RehearsalRefused { by } => format!(
                "The creation was rehearsed while the entry still stands, and refused ({by}). Nothing was deleted. \
                 Allow it to this function's role, then run the command in remedy."
            ),
            Self::RoleChanged { expected, present } => format!(
                "The role's ID is {present}, not {expected}, for which the repair was permitted. Look at who created \
                 the present role; then name its ID with the command in remedy."
            ),
            Self::RecreationRefused { by } => format!(
                "A re-creation was refused after its deletion ({by}). Until that entry is back, no other is deleted. \
                 Mend the cause; every run tries that entry again first, and its settings are in the ledger."
            ),
            Self::LedgerRowInvalid { because } => format!(
                "The ledger's row for this entry does not hold what this function writes ({because}), and is not \
                 followed. Find out who wrote it; the README says how to take it out of the ledger."
            ),
            Self::ChangedMeanwhile { what } => {
                format!("Somebody else changed it during the repair ({what}); the change was left as it is. Look at it.")
            }
            Self::Archived { grants } => format!(
                "The role exists, and its entry was archived when an earlier role of its name was deleted. Nothing was \
                 created. Nobody has looked at the role yet. The entry would grant: {grants}. Look at who created the \
                 role and who may assume it. The command in remedy then brings the entry back; the command forget ends \
                 the matter."
            ),
            Self::PerhapsRevived => {
                "The entry was deleted during the repair. The one that stands is like it, and this function may have \
                 created it by a rehearsal without a known answer, against its owner's will. Ask the owner. If the \
                 entry is not wanted, delete it. If it is right as it is, run the command in remedy: the ledger then \
                 forgets the matter."
                    .to_owned()
            }
            Self::TooLittleTime => {
                "There was too little time left in this invocation. The retry or the next sweep goes on.".to_owned()
            }
            Self::RoleTooYoung { age, settle } => format!(
                "The role is {} s old; its entries are changed from SETTLE_SECONDS={} s on. The retry goes on.",
                age.as_secs(),
                settle.as_secs()
            ),
            Self::PrincipalNotYetValid => {
                "EKS does not know the role yet. The retry or the next sweep goes on; the ledger keeps the entry."
                    .to_owned()
            }
            Self::LeaseTaken => "Another invocation is at work on this entry.".to_owned(),
            Self::LedgerUnavailable { because } => {
                format!("The ledger could not be reached ({because}), so nothing was changed. The retry goes on.")
            }
            Self::AwsError { because } => format!("AWS did not do what was asked: {because}."),
            Self::OtherAccount => "The principal belongs to another account, where its ID cannot be read from here. Its \
                                   own account's events and roles decide."
                .to_owned(),
            Self::IamUser => "The principal is an IAM user; this function looks after roles. If the user was deleted and \
                              created again, delete the entry and create it anew."
                .to_owned(),
            Self::ServiceLinkedRole { is_stale: false } => {
                "The principal is a service-linked role. A service of AWS made the entry and looks after it.".to_owned()
            }
            Self::ServiceLinkedRole { is_stale: true } => {
                "The principal is a service-linked role, and the entry is stale: its dates are those of an earlier role of \
                 this name. Only the service can replace the entry. Follow the service's own steps to set up its access \
                 again."
                    .to_owned()
            }
            Self::NotAPrincipal => {
                "The principal is neither an IAM role nor an IAM user, such as the account's root. EKS accepts such an entry \
                 and never matches it, so it lets nobody in. Delete it, and create entries for the roles that need access."
                    .to_owned()
            }
            Self::RecordContradictsDates => {
                "The ledger and the dates contradict each other: the ledger saw this very entry good with another role \
                 ID, or a later entry good with this one. EKS may have answered late: look again. If it stays so, check \
                 whether the role is let in (kubectl auth whoami); if not, approve its repair for this role ID."
                    .to_owned()
            }
            Self::RoleUnreadable { because, .. } => format!("The role could not be read from IAM ({because})."),
            Self::ReplacedByOther { missing } if missing.is_empty() => {
                "Somebody else created the entry meanwhile; it was left as it is.".to_owned()
            }
            Self::ReplacedByOther { missing } => format!(
                "Somebody else created the entry meanwhile; it was left as it is. It lacks what the one before had: {}. \
                 The ledger keeps that for 90 days. Ask the owner of the new entry whether it is wanted.",
                missing.join("; ")
            ),
            Self::DeletedByOwner => "Somebody else deleted the entry meanwhile; nothing was created.".to_owned(),
            Self::RoleDeleted => "The role no longer exists. The entry is kept in the ledger for 90 days; the command \
                                  restore brings it back for a role that exists again."
                .to_owned(),
            Self::RoleGone => "The role was deleted during the repair. The entry is kept in the ledger for 90 days; the \
                               command restore brings it back for a role that exists again."
                .to_owned(),
            Self::ClusterGone => "The cluster that the entry belonged to no longer exists.".to_owned(),
        }
    }
}
