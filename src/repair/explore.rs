//! Every history of a small world: the repair's own loop over an AWS in memory, searched breadth first.
//!
//! What is real: the decision, every step with its calls, the endings, the verdict, the guardrails, the row and how it is
//! opened, continued and recorded. A copy is only the order of the questions before an invocation begins to work
//! (`invocation::begin`, after `Reconciler::try_once`). What is small: one principal, one cluster, one policy; one or two invocations; clocks
//! that jump. Not explored: restores, removals, refusals for good (but see `refusals`), an invocation whose lease ends while it works, a row that
//! is read late (reads of the ledger are consistent), and two reads of one turn in another order.
//!
//! A step runs from its start with a script that says which of its calls deviates and how ([`world::Deviation`]): cut before
//! or after, reply lost, not sent, a late answer, somebody else acts first, another invocation takes its step in between.
//! Late answers are those before the last change of the entry or of the role, for a minute; each read is late on its own.
//! A judge that knows nothing of the code looks at every state ([`judge`]).
//!
//! `cargo test` goes through every history with one deviation and two invocations, and with two deviations and one.
//! `make explore` goes further. What it found on its last run to the end stands in `tests/README.md`, "The repair is explored".

mod calls;
mod canon;
mod defects;
mod invocation;
mod judge;
mod refusals;
mod search;
mod tests;
mod world;
