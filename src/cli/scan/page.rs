//! A scan as a page: what is broken first, then who reaches which cluster.

use access_entry_guard::model::{AccessPolicy, ClusterRef};
use access_entry_guard::row::form::rfc3339;
use access_entry_guard::scan::{Scan, Scope, is_told};
use access_entry_guard::sighting::Examined;
use access_entry_guard::verdict::Verdict;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Finding, blind_spots, meaning, who_created};
use crate::output::Page;

pub(super) fn page(seen: &Scan, findings: &[Finding<'_>], scope: &Scope, account: &str, now: OffsetDateTime) -> Page {
    // Users, principals of other accounts and the like reach clusters, and cannot become stale in this way.
    let is_other =
        |finding: &&Finding<'_>| matches!(&finding.case.verdict, Verdict::Undecided(doubt) if is_told(doubt));
    let (others, broken): (Vec<_>, Vec<_>) = findings.iter().partition(is_other);
    let is = |label: &str| broken.iter().filter(|finding| finding.text("verdict") == label).count();
    Page {
        title: "EKS access entries",
        account: account.to_owned(),
        made_at: rfc3339(now),
        scope: said(scope),
        counts: vec![
            ("stale", is("stale")),
            ("orphaned", is("orphaned")),
            ("unclear", is("undecided")),
            ("not seen", seen.blind_spots.len()),
            ("bound to their role", seen.fresh.len()),
            ("not judged", others.len()),
            ("clusters", seen.clusters),
            ("Regions", seen.regions),
        ],
        findings: broken.iter().map(|finding| for_a_person(finding)).collect(),
        access: access(seen, &others),
        blind_spots: Some(blind_spots(seen)),
    }
}

/// What was asked for.
fn said(scope: &Scope) -> Vec<String> {
    let regions: Vec<&str> = scope.regions.iter().map(|region| region.0.as_str()).collect();
    let mut said = vec![format!("Regions: {}.", regions.join(", "))];
    if !scope.clusters.is_empty() {
        said.push(format!("Only clusters named {}.", scope.clusters.join(" or ")));
    }
    if !scope.roles.is_empty() {
        let roles: Vec<&str> = scope.roles.iter().map(|role| role.name.as_str()).collect();
        said.push(format!("Only entries of the role {}.", roles.join(" or ")));
    }
    said
}

/// A finding with what a person has to know before they decide.
fn for_a_person(finding: &Finding<'_>) -> Value {
    let mut entry = finding.entry.clone();
    entry["meaning"] = json!(meaning(finding.case));
    let role = finding.case.sighting.role.role().filter(|_| finding.is_held());
    if let Some(role) = role {
        entry["trustPolicy"] = match &role.trust_policy {
            Some(policy) => json!(lines(policy)),
            None => json!(["The trust policy could not be read."]),
        };
        entry["whoCreated"] = json!(who_created(finding.case));
    }
    entry
}

/// A policy's JSON as people read it; as it is, if it is none.
fn lines(policy: &str) -> Vec<String> {
    let parsed = serde_json::from_str::<Value>(policy).and_then(|policy| serde_json::to_string_pretty(&policy));
    parsed.map_or_else(|_| vec![policy.to_owned()], |text| text.lines().map(str::to_owned).collect())
}

/// The entries that let somebody in, by cluster and principal.
fn access(seen: &Scan, others: &[&Finding<'_>]) -> Vec<Value> {
    let mut rows: Vec<(&ClusterRef, &str, Value)> = Vec::new();
    for (at, examined) in &seen.fresh {
        rows.push((at, &examined.entry.principal_arn, row(seen, at, examined)));
    }
    for finding in others {
        let sighting = &finding.case.sighting;
        let Some(examined) = &sighting.entry else { continue };
        let mut row = row(seen, &sighting.at, examined);
        row["note"] = finding.entry["detail"].clone();
        rows.push((&sighting.at, &examined.entry.principal_arn, row));
    }
    rows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    rows.into_iter().map(|(.., row)| row).collect()
}

/// An entry in the words of the report.
fn row(seen: &Scan, at: &ClusterRef, examined: &Examined) -> Value {
    let entry = &examined.entry;
    let mut row = json!({
        "region": at.region, "clusterName": at.name, "principalArn": entry.principal_arn, "type": entry.kind.as_str(),
        "createdAt": rfc3339(entry.created_at), "kubernetesGroups": entry.groups,
    });
    if let Some(username) = &entry.username {
        row["username"] = json!(username);
    }
    if let Some(policies) = policies(seen, at, examined) {
        row["accessPolicies"] = json!(policies);
    }
    row
}

/// The entry's policies; nothing if they could not be read.
fn policies<'a>(seen: &Scan, at: &ClusterRef, examined: &'a Examined) -> Option<&'a [AccessPolicy]> {
    let is_unread = seen.policies_not_read.contains(&(at.clone(), examined.entry.principal_arn.clone()));
    (!is_unread).then_some(&examined.policies)
}
