//! What other parties do, done to the world and told to the reference at once.

use std::collections::BTreeMap;

use super::history::Act;
use super::reference::{Key, Reference, Wish};
use super::world::{Creator, Kind, Setup, Trust, path, policy};
use crate::cloud::{Caller, EntrySpec, NewEntry, World};

/// The world and those who look at it, for an act.
pub struct Scene<'a> {
    pub setup: &'a Setup,
    pub world: &'a mut World,
    pub reference: &'a mut Reference,
}

impl Scene<'_> {
    /// Does it, if AWS lets it.
    pub fn perform(&mut self, act: &Act) {
        match *act {
            Act::Recreate { role, by, trust, moved } => {
                self.delete_role(role);
                self.create_role(role, by, trust, moved);
            }
            Act::DeleteRole(role) => self.delete_role(role),
            Act::CreateRole { role, by, trust } => self.create_role(role, by, trust, false),
            Act::SetTrust(role, trust) => {
                let (name, _) = self.setup.role(role);
                if let Some(role) = self.world.roles.get(name) {
                    self.reference.roles.get_mut(&role.id).expect("known").trusts.push(trust);
                    self.world.set_trust(name, &trust.document());
                }
            }
            Act::CreateEntry(cluster, role, kind) => self.create_entry(&self.key(cluster, role), kind),
            Act::ReplaceEntry(cluster, role, kind) => {
                let key = self.key(cluster, role);
                let role_exists = self.world.roles.values().any(|role| role.arn == key.2);
                if role_exists && self.delete_entry(&key) {
                    self.create_entry(&key, kind);
                }
            }
            Act::DeleteEntry(cluster, role) => drop(self.delete_entry(&self.key(cluster, role))),
            Act::SetGroups(cluster, role, n) => {
                let key = self.key(cluster, role);
                let groups: Vec<String> = (0..n).map(|n| format!("group-{n}")).collect();
                let is_standard = self.is_standard(&key);
                if is_standard && self.world.update_entry(&key.0, &key.1, &key.2, None, Some(&groups)).is_ok() {
                    self.change(&key, |wish| wish.groups = groups);
                }
            }
            Act::Associate(cluster, role, n) => {
                let (key, policy) = (self.key(cluster, role), policy(n));
                let is_standard = self.is_standard(&key);
                if is_standard && self.world.associate_policy(&key.0, &key.1, &key.2, &policy, Caller::Other).is_ok() {
                    self.change(&key, |wish| {
                        wish.policies.insert(policy.policy_arn, (policy.scope, policy.namespaces));
                    });
                }
            }
            Act::Disassociate(cluster, role, n) => {
                let (key, policy) = (self.key(cluster, role), policy(n));
                if self.world.disassociate_policy(&key.0, &key.1, &key.2, &policy.policy_arn).is_ok() {
                    self.change(&key, |wish| drop(wish.policies.remove(&policy.policy_arn)));
                }
            }
            Act::TagEntry(cluster, role, on) => self.tag_entry(&self.key(cluster, role), on),
            Act::TagCluster(cluster, on) => {
                let tags = &mut self.cluster(cluster).tags;
                tags.remove("access-entry-guard");
                if on {
                    tags.insert("access-entry-guard".to_owned(), "ignore".to_owned());
                }
            }
            Act::SetStatus(cluster, on) => {
                (if on { "ACTIVE" } else { "DELETING" }).clone_into(&mut self.cluster(cluster).status);
            }
            Act::SetMode(cluster, mode) => self.cluster(cluster).authentication_mode = mode.name().map(str::to_owned),
            Act::RecreateCluster(cluster) => self.recreate_cluster(cluster),
        }
    }

    pub fn key(&self, cluster: usize, role: usize) -> Key {
        (self.setup.region_of(cluster).to_owned(), self.setup.cluster(cluster).0, self.setup.arn(role))
    }

    fn cluster(&mut self, cluster: usize) -> &mut crate::cloud::Cluster {
        let (region, name) = (self.setup.region_of(cluster), self.setup.cluster(cluster).0);
        self.world.cluster(region, &name)
    }

    pub fn create_role(&mut self, role: usize, by: Creator, trust: Option<Trust>, moved: bool) {
        let (name, spec) = self.setup.role(role);
        if self.world.roles.contains_key(name) {
            return;
        }
        let trust = trust.unwrap_or(spec.trust);
        let role = self.world.create_role(path(spec.has_path != moved), name, &trust.document());
        self.reference.role_created(&role, by, trust);
    }

    fn delete_role(&mut self, role: usize) {
        let (name, _) = self.setup.role(role);
        if self.world.roles.contains_key(name) {
            let role = self.world.delete_role(name);
            self.reference.role_deleted(&role, self.world.now());
        }
    }

    pub fn create_entry(&mut self, key: &Key, kind: Kind) {
        let EntrySpec { kind, username, groups, tags, policies, made_by_aws } = kind.spec();
        let caller = if made_by_aws { Caller::Aws } else { Caller::Other };
        let tags = (!tags.is_empty()).then_some(tags);
        let new = NewEntry { principal_arn: key.2.clone(), kind, username, groups, tags };
        if self.world.create_entry(&key.0, &key.1, &new, caller).is_err() {
            return;
        }
        for policy in &policies {
            let associated = self.world.associate_policy(&key.0, &key.1, &key.2, policy, caller);
            associated.expect("policies that EKS takes");
        }
        let entry = &self.world.cluster(&key.0, &key.1).entries[&key.2];
        let kept = self.reference.entry(key);
        kept.others.insert(entry.arn.clone());
        kept.wants(Some(Wish::of(entry)));
    }

    fn delete_entry(&mut self, key: &Key) -> bool {
        let is_deleted = self.world.delete_entry(&key.0, &key.1, &key.2).is_ok();
        if is_deleted {
            self.reference.entry(key).wants(None);
        }
        is_deleted
    }

    fn is_standard(&mut self, key: &Key) -> bool {
        let entry = self.world.cluster(&key.0, &key.1).entries.get(&key.2);
        entry.is_some_and(|entry| entry.kind == "STANDARD")
    }

    /// The owner changes a part of what he wants.
    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Wish)) {
        let entry = self.world.cluster(&key.0, &key.1).entries.get(&key.2).cloned();
        let kept = self.reference.entry(key);
        if let Some(wish) = &mut kept.wish {
            let before = wish.clone();
            change(wish);
            if *wish != before {
                kept.former.push(before);
            }
        }
        if (kept.is_unclear || kept.is_unnamed) && entry.is_some_and(|entry| kept.made.contains(&entry.arn)) {
            // Ours, but the function cannot know that it is: changed, it looks like another party's.
            kept.excused = Some("ours without a reply, and changed");
        }
    }

    fn tag_entry(&mut self, key: &Key, on: bool) {
        let Some(entry) = self.world.cluster(&key.0, &key.1).entries.get_mut(&key.2) else { return };
        let tag = || ("access-entry-guard".to_owned(), "ignore".to_owned());
        let set = |tags: &mut BTreeMap<String, String>| {
            tags.remove("access-entry-guard");
            tags.extend(on.then(tag));
        };
        set(&mut entry.tags);
        self.change(key, |wish| set(&mut wish.tags));
    }

    fn recreate_cluster(&mut self, cluster: usize) {
        let (region, (name, spec)) = (self.setup.region_of(cluster), self.setup.cluster(cluster));
        let mode = spec.mode;
        self.world.delete_cluster(region, &name);
        self.world.add_cluster(region, &name).authentication_mode = mode.name().map(str::to_owned);
        for (key, kept) in &mut self.reference.entries {
            if key.0 == region && key.1 == name {
                kept.wants(None);
            }
        }
    }
}
