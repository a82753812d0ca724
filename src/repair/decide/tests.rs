//! Every world through the decision: what it may never say, whatever is read and whatever was observed.
//!
//! What the decision says of the usual worlds is printed as a table beside this file and compared.

mod properties;
mod table;
pub(in crate::repair) mod worlds;
