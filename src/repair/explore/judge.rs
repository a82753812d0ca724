//! What must be true of the world, whoever works on it. Knows nothing of the code: it sees the entry with the role that it is
//! bound to, the row, what its owner last wanted, and what the last invocation reported.
//!
//! Five gaps are EKS's own and excepted (`Will::Excepted` in the world):
//! 1. What an owner changes in the turn of a deletion, or what the look before it does not show since its answer was late.
//! 2. An association of the rehearsal that meets another entry than the list before it, and one that meets another party's
//!    entry if the invocation is cut before it takes it back, or if nobody can tell whose it is. A person is asked to look.
//! 3. A rehearsed creation that meets a deletion by the owner, if the invocation is cut: it stands and is held, also if a
//!    stranger took the role.
//! 4. A role that is taken between its last read and the creation: the entry stands until it is withdrawn. Reads of the role
//!    after it that are all late: it is recorded, and the next run says that the record contradicts the dates. An owner's change of
//!    it, if the row cannot be written before it is withdrawn.
//! 5. A deletion by the owner while the row says that ours, or our creation, may have been sent and nobody was told what came
//!    of it; an entry that another party creates and its owner deletes between two looks; another party's entry without
//!    policies that is just as we had sent ours, of which nobody was told; our own, which no row names, if its owner changed it
//!    (it counts as another party's, so that its archive may take the place of the one that has the rest; held, if a
//!    stranger took the role) or if it is in a later cluster of the name (held).

use super::world::{By, Content, Entry, N, Truth, Will};
use crate::model::Snapshot;
use crate::row::{Before, Row, State};

/// What is wrong with a state, at any time.
pub(super) fn at_any_time(truth: &Truth) -> Option<&'static str> {
    match &truth.will {
        Will::Is(content) if !is_kept(truth, content) => Some("what the owner wants is lost"),
        _ => None,
    }
}

/// What is wrong with a world in which nothing happens any more.
pub(super) fn at_rest(truth: &Truth, report: &str) -> Option<&'static str> {
    let entry = truth.entry.is.as_ref();
    let is_held = report.starts_with("held") || report.starts_with("none recordContradictsDates");
    let is_of_role = |bound: N| truth.role.is.is_some_and(|role| role.n == bound);
    let lets_in = |entry: &&Entry| entry.by != By::Other && entry.is_bound_to_stranger && is_of_role(entry.bound);
    if entry.filter(lets_in).is_some_and(|entry| !is_unknowable(truth, entry, report)) {
        return Some("a stranger is let in");
    }
    if report.starts_with("deferred") || report.starts_with("failed") {
        return Some("it waits, and nobody is asked");
    }
    match (&truth.will, entry) {
        (Will::Excepted, _) | (Will::Gone, None) => None,
        (Will::Gone, Some(entry)) if entry.by != By::Us || is_held => None,
        // Without its role it lets nobody in, and it is reported; if the role comes back, the record contradicts the cluster.
        (Will::Gone, Some(_)) if report.starts_with("reported") && truth.role.is.is_none() => None,
        (Will::Gone, Some(_)) => Some("what its owner deleted is there again"),
        (Will::Is(content), Some(entry)) if entry.content == *content => {
            let is_waiting = is_held || report.starts_with("reported") || is_open_or_archived(truth);
            (!is_of_role(entry.bound) && !is_waiting).then_some("the entry is stale, and nobody is asked")
        }
        (Will::Is(content), Some(entry)) if !content.has_all_of(&entry.content) => {
            Some("the entry has more than its owner wants")
        }
        (Will::Is(_), Some(entry))
            if entry.by == By::Us && !truth.is_taken_for_others && !is_held && !is_open(truth) =>
        {
            Some("our own creation is left without what its owner wants")
        }
        (Will::Is(_), _) if is_open_or_archived(truth) => None,
        (Will::Is(_), _) => Some("the entry is not as its owner wants it, and nobody is asked"),
    }
}

/// Whether nobody can tell that we created this entry, or that a stranger had taken its role before. Then it is held, or
/// recorded until the next run finds that the record contradicts the role.
fn is_unknowable(truth: &Truth, entry: &Entry, report: &str) -> bool {
    let is_in_doubt = report.starts_with("held") || entry.late_roles > 0;
    let looks_like_others =
        entry.by == By::Taken || ((entry.is_rehearsed || truth.is_in_later_cluster()) && report.starts_with("held"));
    let is_recorded_late = entry.late_roles > 0 && report.starts_with("none recordContradictsDates");
    (entry.is_untold && is_in_doubt && looks_like_others) || is_recorded_late
}

fn is_open(truth: &Truth) -> bool {
    truth.row.as_ref().is_some_and(|row| row.repair().is_some())
}

fn is_open_or_archived(truth: &Truth) -> bool {
    truth.row.as_ref().is_some_and(|row| !matches!(row.state, State::Recorded(_)))
}

/// Whether entry or ledger has each part of it.
fn is_kept(truth: &Truth, content: &Content) -> bool {
    let entry = truth.entry.is.as_ref().map(|entry| &entry.content);
    let row = truth.row.as_ref();
    let rows: Vec<&Snapshot> = row.map(Row::snapshot).into_iter().chain(row.and_then(archive_before)).collect();
    let has_group = |name: &&str| {
        entry.is_some_and(|entry| entry.groups.contains(name))
            || rows.iter().any(|row| row.kubernetes_groups.iter().any(|there| there == name))
    };
    let has_policy = |name: &&str| {
        entry.is_some_and(|entry| entry.policies.contains(name))
            || rows.iter().any(|row| row.access_policies.iter().any(|policy| policy.name() == *name))
    };
    (entry.is_some() || row.is_some())
        && content.groups.iter().all(has_group)
        && content.policies.iter().all(has_policy)
}

/// The archive that a repair was opened over: it is put back, or stays, if it has more.
fn archive_before(row: &Row) -> Option<&Snapshot> {
    match &row.repair()?.before {
        Before::Archived(archived) | Before::Restore(Some(archived)) => Some(&archived.wanted),
        Before::Nothing | Before::Recorded(_) | Before::Restore(None) => None,
    }
}
