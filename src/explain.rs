//! Why is this role refused by this cluster? The causes one after the other, each from what AWS shows, with what to do.
//!
//! `causes` decides, purely, from the [`Facts`]; `look` reads them through clients that cannot change anything. A fact that
//! could not be read makes the causes that need it `unknown`, never `no`. Whether an entry is stale or orphaned is `verdict`'s
//! judgement, and what would be done about it `scan`'s, so that `explain`, `scan` and the function cannot disagree.
//!
//! What is inside the cluster (RBAC, the `aws-auth` `ConfigMap`) is not seen: AWS does not show it.

mod asked;
mod causes;
mod facts;
mod look;
mod uses;

use time::OffsetDateTime;

use crate::aws::Reads;
use crate::case::Case;
use crate::model::{ClusterRef, Home};
use crate::scan::judged;
pub use asked::{RoleAsked, Unfit};
pub use causes::{Cause, Gap, Kind, Verdict};
pub use facts::{Facts, Listed, NearMiss};
pub use look::NotThere;

/// What was found out about one role in one cluster.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What AWS shows.
    pub facts: Facts,
    /// Every cause, in the order of [`Kind::ALL`].
    pub causes: Vec<Cause>,
    /// The role's entry, judged as `scan` judges it.
    pub entry: Option<EntryFound>,
}

/// The entry of the role that was asked about.
#[derive(Debug, Clone)]
pub struct EntryFound {
    /// Judged by the function's default settings and with an empty ledger.
    pub case: Case,
    /// Whether its policies and its cluster were seen: without both, nothing can say how to create it again.
    pub is_whole: bool,
}

impl Explanation {
    /// The cause to begin with: the first in order that was found. That there is no entry says less than the entry that was
    /// meant to be it.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        let mut found = self.causes.iter().filter(|cause| cause.verdict == Verdict::Yes);
        let first = found.next()?;
        let is_nearer = |cause: &&Cause| matches!(cause.kind, Kind::OtherPath | Kind::OtherSuffix | Kind::OtherAccount);
        if first.kind == Kind::NoEntry { found.find(is_nearer).or(Some(first)) } else { Some(first) }
    }

    /// Whether something could not be told that rights which the caller lacks would show.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        self.causes.iter().any(|cause| cause.verdict == Verdict::Unknown(Gap::NotTold))
    }
}

/// Looks at a role in a cluster and goes through the causes.
///
/// # Errors
/// [`NotThere`], if the cluster or the role does not exist.
pub async fn explain(
    reads: &Reads,
    home: &Home,
    at: &ClusterRef,
    asked: &RoleAsked,
    now: OffsetDateTime,
) -> Result<Explanation, NotThere> {
    let facts = look::look(reads, home, at, asked, now).await?;
    let causes = causes::causes(&facts, home);
    let entry = facts.sighting().map(|sighting| EntryFound {
        is_whole: facts.policies.is_ok() && facts.cluster.is_ok(),
        case: judged(sighting, home),
    });
    Ok(Explanation { facts, causes, entry })
}
