//! Stale answers: what a read shows that is answered by a replica which has not seen the last change of the object. No
//! answer is older than that. [AWS-10] [AWS-11] [AWS-15]
//!
//! An entry, its policies, a role and a cluster are objects of their own: a replica may know an entry and not yet its
//! policies. A list lacks the last change of all that it lists.

use std::collections::BTreeMap;

use super::entries::Entry;
use super::world::{Cluster, Role, World};

/// What was there before the last change of each object that has ever changed.
#[derive(Debug, Default)]
pub struct Past {
    clusters: BTreeMap<(String, String), Option<Cluster>>,
    last_cluster: Option<(String, String)>,
}

/// The same for the entries of a cluster.
#[derive(Debug, Clone, Default)]
pub struct PastEntries {
    entries: BTreeMap<String, Option<Entry>>,
    policies: BTreeMap<String, Option<Entry>>,
    last_member: Option<String>,
}

impl PastEntries {
    /// Notes that an entry comes or goes, and what was there until then.
    pub(super) fn note_coming_or_going(&mut self, principal_arn: &str, before: Option<&Entry>) {
        self.entries.insert(principal_arn.to_owned(), before.cloned());
        self.policies.insert(principal_arn.to_owned(), before.cloned());
        self.last_member = Some(principal_arn.to_owned());
    }

    /// Notes what an entry was before a change of it.
    pub(super) fn note_change(&mut self, before: &Entry, after: &Entry) {
        let arn = &before.principal_arn;
        if before.policies != after.policies {
            self.policies.insert(arn.clone(), Some(before.clone()));
            self.entries.entry(arn.clone()).or_insert_with(|| Some(before.clone()));
        } else if before != after {
            self.entries.insert(arn.clone(), Some(before.clone()));
            self.policies.entry(arn.clone()).or_insert_with(|| Some(before.clone()));
        }
    }
}

impl Cluster {
    /// Whether an entry has come, changed or gone since the world was made.
    pub(super) fn has_past(&self, principal_arn: &str) -> bool {
        self.past.entries.contains_key(principal_arn)
    }

    /// An entry before its last change.
    pub(super) fn entry_before(&self, principal_arn: &str) -> Option<&Entry> {
        self.past.entries.get(principal_arn)?.as_ref()
    }

    /// An entry before the last change of its policies.
    pub(super) fn policies_before(&self, principal_arn: &str) -> Option<&Entry> {
        self.past.policies.get(principal_arn)?.as_ref()
    }

    /// The entry that came or went last.
    pub(super) fn last_member(&self) -> Option<&str> {
        self.past.last_member.as_deref()
    }
}

impl World {
    /// Notes what a cluster is before it comes, changes or goes; its entries have a past of their own.
    pub(super) fn note_cluster(&mut self, region: &str, name: &str) {
        let key = (region.to_owned(), name.to_owned());
        let before = self.clusters.get(&key).map(Cluster::without_entries);
        self.past.clusters.insert(key.clone(), before);
        self.past.last_cluster = Some(key);
    }

    /// A cluster as `DescribeCluster` shows it.
    pub(super) fn cluster_seen(&self, region: &str, name: &str) -> Option<&Cluster> {
        let key = (region.to_owned(), name.to_owned());
        match self.past.clusters.get(&key) {
            Some(before) if self.is_stale => before.as_ref(),
            _ => self.clusters.get(&key),
        }
    }

    /// All clusters of a Region as `ListClusters` shows them.
    pub(super) fn clusters_seen(&self, region: &str) -> Vec<&Cluster> {
        let last = self.past.last_cluster.as_ref().filter(|key| self.is_stale && key.0 == region);
        let others = self.clusters.iter().filter(|(key, cluster)| cluster.region == region && Some(*key) != last);
        let mut seen: Vec<&Cluster> = others.map(|(_, cluster)| cluster).collect();
        seen.extend(last.and_then(|(region, name)| self.cluster_seen(region, name)));
        seen.sort_by(|one, other| one.name.cmp(&other.name));
        seen
    }

    /// A role as `GetRole` shows it.
    pub(super) fn role_seen(&self, name: &str) -> Option<&Role> {
        if self.is_stale { self.role_before(name) } else { self.role_ago(name, self.habits.iam_lags_by) }
    }

    /// A role as `ListRoles` shows it.
    pub(super) fn role_listed(&self, name: &str) -> Option<&Role> {
        let is_last = self.role_history.last().is_some_and(|change| change.key == name);
        if is_last { self.role_seen(name) } else { self.role_ago(name, self.habits.iam_lags_by) }
    }

    /// A role before its last change. What changed at the same moment, such as a deletion and a creation, is one change.
    fn role_before(&self, name: &str) -> Option<&Role> {
        let key = name.to_lowercase();
        let mut changes = self.role_history.iter().rev().filter(|change| change.key == key);
        let last = changes.next()?;
        changes.find(|change| change.at < last.at)?.role.as_ref()
    }
}
