//! What a test changes in the world while somebody is at work in it, and what is left in the end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Action, Cloud, Phase};

/// Changes what AWS leaves open: times in milliseconds, switches as they are.
pub fn change_habits(cloud: &Cloud, command: &Value) -> Value {
    let time = |name: &str| command[name].as_u64().map(Duration::from_millis);
    cloud.habits(|habits| {
        let times = [
            ("roleUnknownToEks", &mut habits.role_unknown_to_eks_for),
            ("roleUnknownToSts", &mut habits.role_unknown_to_sts_for),
            ("associationRefused", &mut habits.association_refused_for),
            ("deletionSettles", &mut habits.deletion_settles_for),
            ("requestDelay", &mut habits.request_delay),
        ];
        for (name, habit) in times {
            *habit = time(name).unwrap_or(*habit);
        }
        for (name, habit) in [("updateRebinds", &mut habits.update_rebinds), ("inUseFirst", &mut habits.in_use_first)] {
            *habit = command[name].as_bool().unwrap_or(*habit);
        }
        let lookups = command["lookupsPerSecond"].as_u64().and_then(|number| usize::try_from(number).ok());
        habits.lookups_per_second = lookups.unwrap_or(habits.lookups_per_second);
    });
    json!({})
}

/// From now on an entry that is created again, where one was deleted, is not what its creator asked for: it has another
/// `group`, `tag`, or `scope` of its policy.
pub fn spoil_recreations(cloud: &Cloud, what: &str) {
    let what = what.to_owned();
    let operation = if what == "scope" { "AssociateAccessPolicy" } else { "CreateAccessEntry" };
    cloud.intercept(move |call, phase, world| {
        if call.operation == operation && phase == Phase::After && call.status == Some(200) {
            let (Some(cluster), Some(principal)) = (&call.cluster, &call.principal) else { return Action::Proceed };
            let cluster = world.cluster(&call.region, cluster);
            let again = cluster.deleted.iter().any(|(_, entry)| entry.principal_arn == *principal);
            let Some(entry) = cluster.entries.get_mut(principal).filter(|_| again) else { return Action::Proceed };
            match what.as_str() {
                "group" => entry.groups.push("spoilt".to_owned()),
                "tag" => drop(entry.tags.insert("spoilt".to_owned(), String::new())),
                _ => entry.policies.iter_mut().for_each(|policy| policy.namespaces = vec!["spoilt".to_owned()]),
            }
        }
        Action::Proceed
    });
}

/// The next entry that is deleted is there again at once, as by a repair that was between its deletion and creation.
pub fn bring_back_once(cloud: &Cloud) {
    let mut done = false;
    cloud.intercept(move |call, phase, world| {
        let deleted = call.operation == "DeleteAccessEntry" && phase == Phase::After && call.status == Some(200);
        if let Some(name) = call.cluster.as_ref().filter(|_| deleted && !done) {
            let cluster = world.cluster(&call.region, name);
            if let Some((_, entry)) = cluster.deleted.last().cloned() {
                cluster.entries.insert(entry.principal_arn.clone(), entry);
                done = true;
            }
        }
        Action::Proceed
    });
}

/// The roles by name and the access entries by cluster and principal.
pub fn left(cloud: &Cloud) -> Value {
    cloud.with(|world| {
        let roles: Vec<&String> = world.roles.values().map(|role| &role.name).collect();
        let of_cluster = |cluster: &crate::cloud::Cluster| {
            let name = cluster.name.clone();
            cluster.entries.keys().map(move |principal| format!("{name} {principal}")).collect::<Vec<_>>()
        };
        let entries: Vec<String> = world.clusters.values().flat_map(of_cluster).collect();
        json!({"roles": roles, "entries": entries})
    })
}
