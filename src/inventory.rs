//! Which role has access to which cluster, as what, since when and with which role ID: read from the ledger, beside the
//! account's roles as they are now.

use serde_json::{Value, json};

use crate::app::Run;
use crate::aws::dynamodb::{PageKey, key};
use crate::error::Error;
use crate::fault::Fault;
use crate::model::{ClusterRef, Region, RoleArn, Roles};
use crate::row::form::rfc3339;
use crate::row::{Row, RowRead, State};

/// So many rows and no more to an answer: Lambda's may be 6 MB at most.
const MOST: usize = 1000;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this role's entries.
    pub principal: Option<RoleArn>,
    /// Only in clusters of this name.
    pub cluster: Option<String>,
    /// Only in this Region.
    pub region: Option<Region>,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// One page of the inventory.
///
/// # Errors
/// [`Error::LedgerUnavailable`].
pub async fn list(run: &Run<'_>, filter: Filter) -> Result<Value, Error> {
    if !run.ledger().is_kept() {
        return Err(Error::LedgerUnavailable("LEDGER_TABLE is unset: there is no inventory to list.".to_owned()));
    }
    let unreadable = |because: Fault| Error::LedgerUnavailable(format!("The ledger could not be read ({because})."));
    let mut listed = Vec::new();
    let mut next = None;
    if let Some(role) = &filter.principal {
        let rows = run.ledger().rows_of(role, run.now()).await.map_err(unreadable)?;
        listed.extend(rows.into_iter().map(|(at, read)| (role.as_str().to_owned(), at, read)));
    } else {
        let mut start = filter.next_token.as_deref().and_then(page_of);
        loop {
            let (rows, following) = run.ledger().page(start, run.now()).await.map_err(unreadable)?;
            listed.extend(rows);
            next = following;
            if next.is_none() || listed.len() >= MOST {
                break;
            }
            start = next.clone();
        }
    }
    let admits = |at: &ClusterRef| {
        filter.cluster.as_ref().is_none_or(|name| *name == at.name)
            && filter.region.as_ref().is_none_or(|region| *region == at.region)
    };
    let roles = if listed.is_empty() { Ok(Roles::default()) } else { run.app.aws.reads.list_roles().await };
    let last = listed.last().map(|(principal, at, _)| format!("{principal} {at}"));
    let items: Vec<Value> = listed
        .into_iter()
        .filter(|(_, at, _)| admits(at))
        .map(|(principal, at, read)| item(&principal, &at, &read, roles.as_ref().ok()))
        .collect();
    let mut answer = json!({
        "version": "1", "accountId": run.invocation.home.account, "requestId": run.invocation.request_id,
        "trigger": "command", "command": "inventory", "inventory": items,
        "note": "Entries that were never found good are not in the ledger: access-entry-guard scan shows them.",
    });
    if let Err(fault) = &roles {
        answer["rolesUnlisted"] =
            json!(format!("The account's roles could not be listed ({fault}), so the field known is missing."));
    }
    if next.is_some() {
        answer["nextToken"] = json!(last);
    }
    Ok(answer)
}

/// A page token is the key of the last row that was listed: nothing in it is secret, and nothing is trusted.
fn page_of(token: &str) -> Option<PageKey> {
    let (principal, cluster) = token.split_once(' ')?;
    Some(key(principal, cluster))
}

/// What the ledger and the account's roles tell of an entry together, in one word. The ledger alone would call an entry good
/// whose role was recreated since.
fn known(principal: &str, read: &RowRead, roles: Option<&Roles>) -> Option<&'static str> {
    Some(match read {
        RowRead::Row(row) => match &row.state {
            State::Repairing(_) => "repairing",
            State::Archived(_) => "archived",
            State::Recorded(recorded) => match (roles?.get(principal), &recorded.good) {
                (None, _) => "roleGone",
                (Some(present), Some(good)) if good.role_id == present.id => "good",
                (Some(_), Some(_)) => "roleRecreated",
                (Some(_), None) => return None,
            },
        },
        RowRead::Invalid(_) | RowRead::Unfit(..) => "invalid",
        RowRead::Absent | RowRead::Expired(_) | RowRead::Unavailable(_) => return None,
    })
}

fn item(principal: &str, at: &ClusterRef, read: &RowRead, roles: Option<&Roles>) -> Value {
    let mut item = json!({"region": at.region, "clusterName": at.name, "principalArn": principal});
    if let Some(known) = known(principal, read, roles) {
        item["known"] = json!(known);
    }
    match read {
        RowRead::Row(row) => describe(&mut item, row),
        RowRead::Invalid(because) | RowRead::Unfit(_, because) => {
            item["state"] = json!("invalid");
            item["detail"] = json!(because);
        }
        RowRead::Absent | RowRead::Expired(_) | RowRead::Unavailable(_) => item["state"] = json!("expired"),
    }
    item
}

fn describe(item: &mut Value, row: &Row) {
    item["state"] = json!(match &row.state {
        State::Recorded(_) => "recorded",
        State::Repairing(_) => "repairing",
        State::Archived(_) => "archived",
    });
    let snapshot = row.snapshot();
    item["type"] = json!(snapshot.kind);
    item["username"] = json!(snapshot.username);
    item["kubernetesGroups"] = json!(snapshot.kubernetes_groups);
    item["accessPolicies"] = json!(snapshot.access_policies);
    item["createdAt"] = json!(rfc3339(snapshot.created_at));
    item["accessEntryArn"] = json!(row.entry_arn());
    if let Some(grounds) = row.recorded().and_then(|recorded| recorded.grounds.as_ref()) {
        item["grounds"] = json!(grounds);
    }
    // Of an archive: that of the archived entry, not of the one that stands in its place.
    let good = row.archived().map_or_else(|| row.last_good(), |archived| archived.good.as_ref());
    if let Some(good) = good {
        item["roleId"] = json!(good.role_id);
        if let Some(at) = good.verified_at {
            item["verifiedAt"] = json!(rfc3339(at));
        }
    }
}
