//! The times that nest: how long an invocation, its work on one entry, its lease, and a single call may last.
//!
//! ```text
//! Lambda's deadline
//! └─ kept back for metrics, log lines and answer                    FOR_THE_REPORT
//!    └─ the look at the clusters: half of the rest, at most         LONGEST_SURVEY
//!    └─ the work on one entry, at most                              LONGEST_WORK
//!       └─ its lease ends later by                                  LEASE_AFTER_WORK
//!          └─ a change that was sent at the last moment             TURN_TIMEOUT + CHANGE_TIMEOUT
//!       └─ no deletion is begun with less left than                 LEAST_FOR_A_DELETION
//!          └─ no unknown principal is asked about with less than    LEAST_FOR_ANOTHER_CREATION
//!       └─ for so long a read may be late                           LATE_FOR
//! ```
//!
//! What must hold between them is checked when the crate is compiled.

use std::time::Duration;

/// Kept back from every deadline: for the metrics, the log lines and the answer.
pub const FOR_THE_REPORT: Duration = Duration::from_secs(3);

/// An invocation that changed nothing waits for so long, at most, to show what stands still with its entries. One that
/// repaired something does not wait.
pub const LONGEST_FOR_IMPACT: Duration = Duration::from_secs(5);

/// The longest that the look at the clusters may take for single roles, slow Regions and all.
pub const LONGEST_SURVEY: Duration = Duration::from_mins(1);

/// An invocation works on one entry for at most so long.
pub const LONGEST_WORK: Duration = Duration::from_mins(2);

/// The lease ends so long after the work. That outlasts a change which was sent at the last moment.
pub const LEASE_AFTER_WORK: Duration = Duration::from_secs(15);

/// How long a change may wait for its turns, those after a refusal included. It has not been carried out then.
pub const TURN_TIMEOUT: Duration = Duration::from_secs(4);

/// How long one attempt of a change may take before its outcome counts as unknown.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// No deletion is begun with less than this left: a new role can take half a minute until EKS knows it
/// (hashicorp/terraform-provider-aws PR#35535), and the entry has to be back by then.
pub const LEAST_FOR_A_DELETION: Duration = Duration::from_secs(20);

/// While the entry is gone, EKS is asked about an unknown role until so little time is left.
pub const LEAST_FOR_ANOTHER_CREATION: Duration = Duration::from_secs(10);

/// For how long a read may not show what was created or deleted. EKS documents no such time ("several seconds", EKS User
/// Guide, "Create access entries").
pub const LATE_FOR: Duration = Duration::from_mins(1);

const _: () = {
    assert!(TURN_TIMEOUT.as_millis() + CHANGE_TIMEOUT.as_millis() < LEASE_AFTER_WORK.as_millis());
    assert!(LEAST_FOR_A_DELETION.as_millis() < LONGEST_WORK.as_millis());
    assert!(LEAST_FOR_ANOTHER_CREATION.as_millis() < LEAST_FOR_A_DELETION.as_millis());
    assert!(LATE_FOR.as_millis() + LEAST_FOR_A_DELETION.as_millis() < LONGEST_WORK.as_millis());
};
