//! What each cell of the matrix has to be, as far as it can be said in rules. That the world is whole after the next
//! invocation, and that the ledger has what the cluster has not, is asked of every cell where it is made.

use super::{Cell, Fault, Lasting, Position, Step};
use crate::impact::READS_OF_IMPACT;
use crate::jobs::Job;

/// Holds a cell to the rules.
pub(super) fn check(job: Job, position: &Position, cell: &Cell) {
    let at = format!("{job:?}, {position:?}, {cell:?}");
    let operation = position.operation.as_str();
    let done = done_word(job);
    let is_told_done = cell.told.starts_with(done);
    let is_retried = cell.told.ends_with('!') || cell.told.starts_with("error");

    // What stands still with an entry is shown beside the work, whatever becomes of its reads.
    if READS_OF_IMPACT.contains(&operation) {
        assert!(cell.is_done && cell.told == done, "{at}");
        return;
    }

    // What is told to be done is done.
    assert!(!is_told_done || cell.is_done, "{at}");

    // Until the deletion itself, whatever was not done left the entry as it was.
    let is_before =
        matches!(position.step, Step::Look | Step::Rehearse | Step::Delete) && operation != "DeleteAccessEntry";
    assert!(!is_before || job == Job::Restoration || cell.is_done || cell.is_untouched, "{at}");

    // A stale answer may hide that there is anything to do; nothing else tells that it is stale.
    if cell.fault == Fault::Stale {
        return;
    }

    // What is met once and may pass is not even noticed. Only a removal sends its deletion once and leaves the rest to
    // the retry.
    let may_pass = !matches!(cell.fault, Fault::Denied | Fault::Malformed);
    let is_lone_deletion = job == Job::Removal && operation == "DeleteAccessEntry";
    if may_pass && cell.lasting == Lasting::Once && !is_lone_deletion {
        assert_eq!(cell.told, done, "{at}");
    }

    // What may pass and was not done fails the invocation, so that it is retried. A sweep comes again by itself.
    if cell.fault != Fault::Denied && !cell.is_done && job != Job::Sweep {
        assert!(is_retried, "{at}");
    }

    // After the work, nothing that fails undoes it or hides it.
    if position.step == Step::Report {
        assert!(cell.is_done && is_told_done, "{at}");
    }

    // What is denied for good is told by its own word, unless it is done without, and told all the same.
    if cell.fault == Fault::Denied && cell.lasting == Lasting::ForGood {
        let words = words_of_a_denial(job, position);
        let is_told = words.contains(&cell.told.trim_end_matches(" !"));
        assert!(is_told || (cell.is_done && is_retried), "{at}: and not one of {words:?}");
    }

    // What cannot be seen, or cannot be written down, is told so, for whatever reason.
    if cell.lasting == Lasting::ForGood && position.step == Step::Look {
        let words = words_of_a_look(operation, cell.fault);
        assert!(words.contains(&cell.told.trim_end_matches(" !")) || cell.is_done, "{at}: and not one of {words:?}");
        let may_succeed = cell.fault == Fault::ReplyLost && operation == "PutItem";
        assert!(
            !cell.is_done || is_retried || may_succeed || operation == "GetMetricStatistics",
            "{at}: silently done"
        );
    }
}

fn done_word(job: Job) -> &'static str {
    match job {
        Job::Repair | Job::Approval | Job::Sweep => "repaired",
        Job::Removal => "removed roleDeleted",
        Job::Restoration => "restored",
    }
}

fn words_of_a_denial(job: Job, position: &Position) -> &'static [&'static str] {
    match (position.step, position.operation.as_str()) {
        (Step::Report, _) | (_, "GetMetricStatistics" | "PutMetricData") => match job {
            Job::Removal => &["removed roleDeleted"],
            Job::Restoration => &["restored"],
            Job::Repair | Job::Approval | Job::Sweep => &["repaired"],
        },
        (Step::Look, operation) => words_of_a_look(operation, Fault::Denied),
        (_, "PutItem" | "GetItem" | "DeleteItem") => &["deferred ledgerUnavailable"],
        (Step::Rehearse, "CreateAccessEntry" | "AssociateAccessPolicy") => &["held rehearsalRefused"],
        (_, "CreateAccessEntry" | "AssociateAccessPolicy") => &["failed recreationRefused"],
        // Read between two looks at the whole, it is looked at once more, and undecided then.
        (_, "GetRole") => &["failed awsError", "none roleUnreadable"],
        _ => &["failed awsError"],
    }
}

/// What is said where a call before the work never succeeds.
fn words_of_a_look(operation: &str, fault: Fault) -> &'static [&'static str] {
    match (operation, fault) {
        ("ListRegions", _) => &["error RegionsUnknown"],
        ("ListRoles", _) => &["error RepairIncomplete"],
        ("Scan", _) => &["error LedgerUnavailable"],
        ("Query" | "GetItem" | "PutItem", _) => &["deferred ledgerUnavailable"],
        ("GetRole", _) => &["none roleUnreadable"],
        (_, Fault::Denied) => &["blind accessDenied"],
        (_, Fault::Throttled) => &["blind throttled"],
        (_, Fault::Hangs) => &["blind timedOut"],
        (_, Fault::Fails | Fault::ReplyLost | Fault::Malformed | Fault::Closed) => {
            &["blind serverError", "blind timedOut"]
        }
        (_, Fault::Stale) => &[],
    }
}
