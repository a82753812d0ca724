//! Given, when, then: the whole function with its real SDK clients against an AWS inside the process, which binds
//! access entries to role IDs and can be told to fail. Judged by the state of the world: who is let in, as what?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nothing outside a test binary could reach it; `pub` marks what scenarios use")]

mod approval;
mod archived;
mod batches;
mod blind;
mod budgets;
mod by_hand;
mod cloud;
mod connector;
mod corpus;
#[cfg(feature = "cli")]
mod creators;
mod cuts;
mod deviations;
mod documents;
mod explain;
mod explored;
mod fault_matrix;
mod faults;
mod forgetting;
mod grants;
mod hanging;
mod impact;
mod jobs;
mod limits;
mod logs;
mod model;
mod owners;
mod pairs;
mod payloads;
mod principals;
mod races;
mod recreatable;
mod remedies;
mod removal;
mod repairs;
mod replaced;
mod restoring;
mod scanning;
mod sets;
mod stage;
mod story;
mod structure;
mod sweeps;
mod trust;
mod unfinished;
