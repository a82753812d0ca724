//! The ledger: what was seen good, what is being repaired, what was removed on purpose. One DynamoDB row per entry.
//!
//! Whoever writes the table grants access, so a row is input like any other: [`Row::read`] checks account, partition,
//! key and form again, and `guardrail` what the row asks for. Every write is conditional on the version that was read;
//! reads are strongly consistent. Without a table (`LEDGER_TABLE` unset) every row is absent and nothing is written.

pub mod stored;

use time::OffsetDateTime;

use crate::aws::Aws;
use crate::aws::dynamodb::PageKey;
use crate::fault::{Fault, FaultKind};
use crate::model::{ClusterRef, Home, RoleArn};
use crate::row::{BREAKER_KEY, NotWritten, Row, RowRead, form};

impl From<Fault> for NotWritten {
    fn from(fault: Fault) -> Self {
        if fault.kind == FaultKind::ConditionFailed { Self::Overtaken } else { Self::Unavailable(fault) }
    }
}

/// The row whose repair was refused after its deletion: while it is there, nothing else is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Whose entry it is.
    pub principal: RoleArn,
    /// In which cluster.
    pub cluster: ClusterRef,
    /// What was refused.
    pub because: String,
    version: u64,
}

/// The version of what is written over this one; 0 if there was no row. No version of an earlier row of the entry comes again:
/// whoever read that one, and writes after it was deleted, must not write over the new one.
fn version_after(read: u64) -> u64 {
    if read == 0 { u64::from(fastrand::u32(1..)) << 16 } else { read + 1 }
}

/// One account's ledger.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a> {
    aws: &'a Aws,
    table: Option<&'a str>,
    home: &'a Home,
}

impl<'a> Ledger<'a> {
    /// The ledger in this table; without a table it remembers nothing.
    #[must_use]
    pub fn new(aws: &'a Aws, table: Option<&'a str>, home: &'a Home) -> Self {
        Self { aws, table, home }
    }

    /// Whether there is a table.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.table.is_some()
    }

    /// All rows of a role, with the clusters they are for.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn rows_of(&self, role: &RoleArn, now: OffsetDateTime) -> Result<Vec<(ClusterRef, RowRead)>, Fault> {
        let Some(table) = self.table else { return Ok(Vec::new()) };
        let items = self.aws.query(table, role.as_str()).await?;
        Ok(items
            .into_iter()
            .filter_map(|item| {
                let cluster = ClusterRef::parse(item.get("cluster")?.as_str()?)?;
                let read = Row::read(item, self.home, now);
                Some((cluster, read))
            })
            .collect())
    }

    /// One row.
    pub async fn row(&self, role: &str, cluster: &ClusterRef, now: OffsetDateTime) -> RowRead {
        self.read(role, cluster, now).await.unwrap_or_else(RowRead::Unavailable)
    }

    /// One row, or why it could not be read.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn read(&self, role: &str, cluster: &ClusterRef, now: OffsetDateTime) -> Result<RowRead, Fault> {
        let Some(table) = self.table else { return Ok(RowRead::Absent) };
        let item = self.aws.get_item(table, role, &cluster.to_string()).await?;
        Ok(item.map_or(RowRead::Absent, |item| Row::read(item, self.home, now)))
    }

    /// One page of all rows, the breaker's left out, and where the next begins.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn page(
        &self,
        start: Option<PageKey>,
        now: OffsetDateTime,
    ) -> Result<(Vec<(String, ClusterRef, RowRead)>, Option<PageKey>), Fault> {
        let Some(table) = self.table else { return Ok((Vec::new(), None)) };
        let (items, next) = self.aws.scan_page(table, start).await?;
        let rows = items
            .into_iter()
            .filter_map(|item| {
                let principal = item.get("principalArn")?.as_str()?.to_owned();
                let cluster = ClusterRef::parse(item.get("cluster")?.as_str()?)?;
                let read = Row::read(item, self.home, now);
                Some((principal, cluster, read))
            })
            .collect();
        Ok((rows, next))
    }

    /// Writes a row over the version it was read with; on success the row carries its new version.
    ///
    /// # Errors
    /// [`NotWritten`]; the row is then as it was.
    pub async fn write(&self, row: &mut Row) -> Result<(), NotWritten> {
        let Some(table) = self.table else {
            return Err(NotWritten::Unavailable(Fault::not_asked("PutItem", "LEDGER_TABLE is unset")));
        };
        let read = (row.version > 0).then_some(row.version);
        let next = Row { version: version_after(row.version), ..row.clone() };
        self.aws.put_item(table, &next.to_item(), read).await?;
        *row = next;
        Ok(())
    }

    /// Deletes a row, if nobody wrote it since it was read.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn forget(&self, row: &Row) -> Result<(), NotWritten> {
        self.forget_version(row.principal.as_str(), &row.cluster, row.version).await
    }

    /// Deletes the row of an entry, if nobody wrote it since this version was read.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn forget_version(&self, principal: &str, cluster: &ClusterRef, version: u64) -> Result<(), NotWritten> {
        let Some(table) = self.table else { return Ok(()) };
        self.aws.delete_item(table, principal, &cluster.to_string(), version).await?;
        Ok(())
    }

    /// Notes that the entry of a recorded row was seen good once more, if nobody wrote the row since this version was
    /// read.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn verified(
        &self,
        principal: &str,
        cluster: &ClusterRef,
        version: u64,
        at: OffsetDateTime,
    ) -> Result<(), NotWritten> {
        let Some(table) = self.table else { return Ok(()) };
        self.aws.set_item(table, principal, &cluster.to_string(), version, ("verifiedAt", &form::rfc3339(at))).await?;
        Ok(())
    }

    /// The breaker, if it stands.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn breaker(&self) -> Result<Option<Breaker>, Fault> {
        let Some(table) = self.table else { return Ok(None) };
        let item = self.aws.get_item(table, BREAKER_KEY, BREAKER_KEY).await?;
        let Some(item) = item else { return Ok(None) };
        let text = |name: &str| item.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let unfit =
            || Fault::malformed("GetItem", "an entry in the breaker's row; delete that row with the command forget");
        let principal = RoleArn::parse(&text("trippedByPrincipal")).ok_or_else(unfit)?;
        let cluster = ClusterRef::parse(&text("trippedByCluster")).ok_or_else(unfit)?;
        Ok(Some(Breaker {
            principal,
            cluster,
            because: text("because"),
            version: item.get("version").and_then(serde_json::Value::as_u64).unwrap_or_default(),
        }))
    }

    /// Trips the breaker. A breaker that stands already is kept: the first refusal is the one to mend.
    ///
    /// # Errors
    /// [`NotWritten::Unavailable`].
    pub async fn trip(&self, row: &Row, because: &str, now: OffsetDateTime) -> Result<(), NotWritten> {
        let Some(table) = self.table else { return Ok(()) };
        let item = serde_json::json!({
            "principalArn": BREAKER_KEY, "cluster": BREAKER_KEY, "state": "breaker", "schema": form::SCHEMA, "version": 1,
            "trippedByPrincipal": row.principal.as_str(), "trippedByCluster": row.cluster.to_string(),
            "because": because, "trippedAt": form::rfc3339(now),
        });
        let serde_json::Value::Object(item) = item else { return Ok(()) };
        match self.aws.put_item(table, &item, None).await.map_err(NotWritten::from) {
            Err(NotWritten::Overtaken) => Ok(()),
            other => other,
        }
    }

    /// Takes the breaker away: the repair that tripped it is done.
    ///
    /// # Errors
    /// [`NotWritten::Unavailable`].
    pub async fn reset(&self, breaker: &Breaker) -> Result<(), NotWritten> {
        let Some(table) = self.table else { return Ok(()) };
        match self.aws.delete_item(table, BREAKER_KEY, BREAKER_KEY, breaker.version).await.map_err(NotWritten::from) {
            Err(NotWritten::Overtaken) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::version_after;

    #[test]
    fn a_new_row_has_no_version_that_an_earlier_row_had() {
        let new = [version_after(0), version_after(0)];
        assert!(new[0].abs_diff(new[1]) >= 1 << 16, "{new:?}: 65,535 writes lie between two new rows");
        assert_eq!(version_after(new[0]), new[0] + 1);
    }
}
