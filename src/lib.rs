//! Access Entry Guard: repairs Amazon EKS access entries whose IAM role was deleted and created again.
//!
//! An access entry stores the unique ID of the role that it was created for, and never shows it. Recreate the role
//! under its name, and the entry looks healthy while every request of the new role is refused. The only visible sign
//! is that the role's `CreateDate` is later than the entry's `createdAt`; the only cure is to delete the entry and to
//! create it again, with everything its owner had set.
//!
//! What whoever deploys and operates it has to know is in [`docs`].
//!
//! # The path of an event
//!
//! ```text
//! payload ─ event::classify ─► Trigger        pure; ignored input is a variant with a reason
//!         ─ task::Task ─► what to look for, where, and what may be done about it
//!         ─ discovery::survey ─► Survey       all Regions and clusters side by side, the roles, the ledger's rows
//!         ─ verdict::judge ─► Verdict         pure; fresh, stale, missing, orphaned or undecided
//!         ─ guardrail::review ─► Permit       pure; the only maker of a Permit: one entry, one role ID
//!         ─ repair::attend ─► Outcome         reads the world, decides the next step, performs it, and again;
//!                                             beside it, `affected` reads what stands still with the entries
//!         ─ conclude::conclude ─► metrics, log lines, response
//! ```
//!
//! What the survey finds is judged and worked on while it goes on elsewhere. `handler` is that table of contents. How one
//! entry is repaired stands in one place: `repair/decide.rs`, one pure function from row, world and observations to the next
//! step.
//!
//! # Invariants
//!
//! Each is held by a type or by a named test.
//!
//! 1. No call that changes EKS is made without a permit. [`guardrail::Permit`] and [`guardrail::RemovalPermit`] name one entry,
//!    only [`guardrail`] makes them, and the methods of [`aws::eks::EksChanges`] take them; a disassociation takes the receipt
//!    of its association.
//! 2. Nothing is released or restored without the alias `approve`: [`event::Authorized`] is made by [`event::authorize`] only,
//!    and a task is made from nothing else (`only_the_alias_approve_may_release_and_restore`).
//! 3. No entry is deleted before its snapshot is in the ledger and its re-creation, every association included, was tried while
//!    it still stood: `decide` gives `Delete` after a passed rehearsal or a marked deletion only. (A removal cannot be rehearsed;
//!    what could not be created again is not removed: `recreatable.rs`.)
//! 4. An entry is created for the permitted role ID only: `decide` gives `Create` for no other, and what was created while the
//!    role changed is withdrawn (`a_stranger_who_takes_the_role_is_not_let_in_even_for_a_moment_unless_he_hits_the_creation_itself`).
//! 5. What an owner changed up to the last read before the deletion stands (`what_an_owner_changes_during_a_repair_or_a_restoration_stands`).
//! 6. A run that is cut at any call is finished by the next one (`cuts`), and two invocations make one repair (`pairs`).
//! 7. An outcome takes reasons of its own kind: [`outcome::Outcome::Held`] a [`outcome::Hold`], and so on.
//! 8. Nothing pure imports from anything with I/O, and no circle ties the modules (`structure.rs`). Only [`aws`] names types of
//!    the AWS SDK.
//! 9. A part that could not be read is a [`blind_spot::BlindSpot`], never taken for absent (`fault_matrix`).
//! 10. One request's failure never stops the other clusters or Regions (`a_region_that_an_organization_denies_is_a_blind_spot_and_stops_nothing`
//!     and its neighbours in `faults.rs`).
//! 11. The times nest as [`limits`] has them, checked at compile time.
//! 12. Whoever only looks has [`aws::Reads`], which has no call that changes anything
//!     (`what_scan_calls_stale_is_what_the_function_would_repair_or_hold_entry_by_entry`).
//! 13. Until one creation has succeeded, one repair at a time deletes (`while_the_first_entry_is_gone_no_other_is_deleted`); nobody
//!     waits for a Region that hangs (`an_event_repairs_an_entry_at_once_while_another_region_never_answers`).

#[cfg(doc)]
pub mod docs;

pub mod fault;
pub mod limits;
pub mod model;
pub mod outcome;

pub mod pattern;

pub mod config;

pub mod event;

pub mod row;
pub mod sighting;

pub mod verdict;

pub mod guardrail;
pub mod trust;

pub mod case;
pub mod commands;
pub mod creators;
pub mod deployed;
pub mod impact;

pub mod aws;
pub mod ledger;

pub mod app;

pub mod blind_spot;
pub mod discovery;
pub mod explain;

pub mod record;
pub mod repair;
pub mod scan;

#[cfg(feature = "cli")]
pub mod history;

pub mod forget;
pub mod inventory;
pub mod metrics;
pub mod report;

mod affected;
mod conclude;
pub mod error;
pub mod handler;
mod lock;
mod task;
