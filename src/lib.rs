//! Access Entry Guard: repairs Amazon EKS access entries whose IAM role was deleted and created again.
//!
//! An access entry stores the unique ID of the role that it was created for, and never shows it. Recreate the role
//! under its name, and the entry looks healthy while every request of the new role is refused. The only visible sign
//! is that the role's `CreateDate` is later than the entry's `createdAt`; the only cure is to delete the entry and to
//! create it again, with everything its owner had set.
//!
//! # The path of an event
//!
//! ```text
//! payload ─ event::classify ─► Trigger        pure; ignored input is a variant with a reason
//!         ─ discovery::survey ─► Survey       all Regions and clusters side by side, the roles, the ledger's rows
//!         ─ verdict::judge ─► Verdict         pure; fresh, stale, missing, orphaned or undecided
//!         ─ guardrail::review ─► Permit       pure; the only maker of a Permit: one entry, one role ID
//!         ─ repair::attend ─► Outcome         converges row, cluster, role and entry, step by repeatable step
//!         ─ report::Report ─► metrics, log lines, response
//! ```
//!
//! # Invariants
//!
//! 1. No entry is deleted before its snapshot is in the ledger and its re-creation, every association included, was
//!    rehearsed while it still stood. (A removal cannot be rehearsed; what could not be created again is not removed.)
//! 2. No change without a `Permit`. It names one role ID, only [`guardrail`] makes one, and an open ledger row
//!    continues it for that role ID and no other.
//! 3. An event is a wake-up, not the truth: state is read from IAM and EKS at the time of action.
//! 4. What could not be seen is reported, never taken for absent or healthy.
//! 5. `event`, `verdict`, `guardrail`, `trust`, `pattern`, `config`, `metrics` and `report` have no clock, no
//!    environment, no randomness and no I/O.
//! 6. Only [`aws`] names types of the AWS SDK.
//! 7. One request's failure never stops the other clusters or Regions.

pub mod model;

pub mod config;
pub mod pattern;

pub mod event;

pub mod row;
pub mod sighting;

pub mod discovery;

pub mod verdict;

pub mod case;

pub mod guardrail;
pub mod trust;

pub mod ledger;
pub mod repair;

pub mod forget;
pub mod inventory;
pub mod metrics;
pub mod outcome;
pub mod report;

pub mod app;
pub mod error;
pub mod handler;

pub mod aws;
