//! Rows as they are stored, whatever is in them: for taking out of the ledger what nothing else follows.
//!
//! Decides whether an invocation is at work on such a row and whether it is of an unfinished repair. It checks nothing
//! else: a row that is not in order is what a person most wants to delete.

use time::{Duration, OffsetDateTime};

use super::{Ledger, NotWritten};
use crate::aws::stored::StoredItem;
use crate::fault::Fault;
use crate::row::{BREAKER_KEY, RowKey};

/// No invocation of Lambda lasts longer, so no lease does.
const LONGEST_LEASE: Duration = Duration::minutes(15);

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow(StoredItem);

impl StoredRow {
    /// All of it, as JSON.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        self.0.to_value()
    }

    /// Whether it is of an unfinished repair.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.to_value()["state"] == "repairing"
    }

    /// Whether an invocation is at work on it. A lease that lasts longer than any invocation was written by nobody who
    /// works on the row.
    #[must_use]
    pub fn is_leased(&self, now: OffsetDateTime) -> bool {
        let row = self.to_value();
        let until = row["leaseUntil"].as_i64().and_then(|until| OffsetDateTime::from_unix_timestamp(until).ok());
        row["leaseOwner"].is_string() && until.is_some_and(|until| until >= now && until <= now + LONGEST_LEASE)
    }
}

impl Ledger<'_> {
    /// A row as it is stored; `None` if there is none.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn stored(&self, key: &RowKey) -> Result<Option<StoredRow>, Fault> {
        let Some(table) = self.table else { return Ok(None) };
        let item = match key {
            RowKey::Breaker => self.aws.get_stored(table, BREAKER_KEY, BREAKER_KEY).await?,
            RowKey::Entry { principal, cluster } => self.aws.get_stored(table, principal, &cluster.to_string()).await?,
        };
        Ok(item.map(StoredRow))
    }

    /// Deletes a row if it is still as it was read.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn delete_stored(&self, row: &StoredRow) -> Result<(), NotWritten> {
        let Some(table) = self.table else { return Ok(()) };
        self.aws.delete_stored(table, &row.0).await?;
        Ok(())
    }
}
