//! EKS on the wire: the parameters that each operation takes, the paging of its lists, the JSON of its replies. What the
//! operations do is in `entries`.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::entries::{Caller, Entry, NewEntry, Policy};
use super::paging;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::users;
use super::world::{Cluster, World};

/// Answers an EKS operation in a Region.
pub(super) fn answer(
    world: &mut World,
    region: &str,
    operation: &str,
    parameters: &Parameters,
) -> Result<Value, Refusal> {
    match operation {
        "ListClusters" => list_clusters(world, region, parameters),
        "DescribeCluster" => describe_cluster(world, region, parameters),
        "ListAccessEntries" => list_entries(world, region, parameters),
        "DescribeAccessEntry" => describe_entry(world, region, parameters),
        "CreateAccessEntry" => create_entry(world, region, parameters),
        "UpdateAccessEntry" => update_entry(world, region, parameters),
        "DeleteAccessEntry" => delete_entry(world, region, parameters),
        "ListAssociatedAccessPolicies" => list_policies(world, region, parameters),
        "AssociateAccessPolicy" => associate(world, region, parameters),
        "DisassociateAccessPolicy" => disassociate(world, region, parameters),
        "TagResource" => tag_resource(world, region, parameters),
        _ => users::answer(world, region, operation, parameters)
            .unwrap_or_else(|| Err(Refusal::unknown_operation(operation))),
    }
}

/// [AWS-18]
fn list_clusters(world: &World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["maxResults", "nextToken", "include"])?;
    let include = parameters.texts("include")?.unwrap_or_default();
    if include.iter().any(|what| what != "all") {
        return Err(Refusal::invalid_parameter("The include parameter must be 'all'"));
    }
    let clusters: Vec<(String, Value)> = world
        .clusters_seen(region)
        .into_iter()
        .filter(|cluster| !cluster.connected || !include.is_empty())
        .map(|cluster| (cluster.name.clone(), cluster.name.clone().into()))
        .collect();
    listed(world, "clusters", "ListClusters", &clusters, parameters)
}

fn describe_cluster(world: &World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["name"])?;
    let name = parameters.text("name")?;
    let cluster = world.cluster_seen(region, name);
    let cluster = cluster.ok_or_else(|| Refusal::not_found(format!("No cluster found for name: {name}.")))?;
    Ok(json!({ "cluster": cluster_json(world, cluster) }))
}

fn list_entries(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "associatedPolicyArn", "maxResults", "nextToken"])?;
    let name = parameters.text("clusterName")?;
    let policy = parameters.optional_text("associatedPolicyArn")?;
    let cluster = world.with_entries(region, name)?;
    let mut arns: Vec<String> = cluster.entries.keys().cloned().collect();
    arns.extend(cluster.deleted.iter().map(|(_, entry)| entry.principal_arn.clone()));
    arns.sort();
    arns.dedup();
    let mut visible = Vec::new();
    for arn in arns {
        let Ok(entry) = world.read_listed(region, name, &arn) else { continue };
        if policy.is_none_or(|policy| entry.policies.iter().any(|present| present.policy_arn == policy)) {
            visible.push((arn.clone(), arn.into()));
        }
    }
    let listing = format!("ListAccessEntries/{name}/{}", policy.unwrap_or_default());
    listed(world, "accessEntries", &listing, &visible, parameters)
}

fn describe_entry(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "principalArn"])?;
    let (cluster, principal) = entry_key(parameters)?;
    let mut entry = world.read_entry(region, cluster, principal)?.clone();
    world.in_some_order(&mut entry.groups);
    Ok(json!({ "accessEntry": entry_json(cluster, &entry) }))
}

fn create_entry(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&[
        "clusterName",
        "principalArn",
        "kubernetesGroups",
        "tags",
        "clientRequestToken",
        "username",
        "type",
    ])?;
    let (cluster, principal) = entry_key(parameters)?;
    let new = NewEntry {
        principal_arn: principal.to_owned(),
        kind: parameters.optional_text("type")?.map(str::to_owned),
        username: parameters.optional_text("username")?.map(str::to_owned),
        groups: parameters.texts("kubernetesGroups")?,
        tags: parameters.text_map("tags")?,
    };
    parameters.optional_text("clientRequestToken")?;
    let entry = world.create_entry(region, cluster, &new, Caller::Guard)?;
    Ok(json!({ "accessEntry": entry_json(cluster, &entry) }))
}

fn update_entry(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "principalArn", "kubernetesGroups", "clientRequestToken", "username"])?;
    let (cluster, principal) = entry_key(parameters)?;
    let groups = parameters.texts("kubernetesGroups")?;
    let username = parameters.optional_text("username")?;
    parameters.optional_text("clientRequestToken")?;
    let entry = world.update_entry(region, cluster, principal, username, groups.as_deref())?;
    Ok(json!({ "accessEntry": entry_json(cluster, &entry) }))
}

fn delete_entry(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "principalArn"])?;
    let (cluster, principal) = entry_key(parameters)?;
    world.delete_entry(region, cluster, principal)?;
    Ok(json!({}))
}

fn list_policies(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "principalArn", "maxResults", "nextToken"])?;
    let (cluster, principal) = entry_key(parameters)?;
    let entry = world.read_policies(region, cluster, principal)?;
    let (at, present) = (entry.modified_at, entry.policies.clone());
    let shown = present.into_iter().map(|mut policy| {
        world.in_some_order(&mut policy.namespaces);
        (policy.policy_arn.clone(), policy_json(&policy, at))
    });
    let mut policies: Vec<(String, Value)> = shown.collect();
    policies.sort_by(|one, other| one.0.cmp(&other.0));
    let listing = format!("ListAssociatedAccessPolicies/{cluster}/{principal}");
    let mut reply = listed(world, "associatedAccessPolicies", &listing, &policies, parameters)?;
    reply["clusterName"] = cluster.into();
    reply["principalArn"] = principal.into();
    Ok(reply)
}

fn associate(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "principalArn", "policyArn", "accessScope"])?;
    let (cluster, principal) = entry_key(parameters)?;
    let scope = parameters.object("accessScope")?;
    let scope = scope.ok_or_else(|| Refusal::invalid_parameter("missing required member: accessScope"))?;
    scope.allow(&["type", "namespaces"])?;
    let policy = Policy {
        policy_arn: parameters.text("policyArn")?.to_owned(),
        scope: scope.text("type")?.to_owned(),
        namespaces: scope.texts("namespaces")?.unwrap_or_default(),
    };
    world.associate_policy(region, cluster, principal, &policy, Caller::Guard)?;
    let at = world.now_ms();
    Ok(json!({
        "clusterName": cluster, "principalArn": principal, "associatedAccessPolicy": policy_json(&policy, at),
    }))
}

fn disassociate(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["clusterName", "principalArn", "policyArn"])?;
    let (cluster, principal) = entry_key(parameters)?;
    world.disassociate_policy(region, cluster, principal, parameters.text("policyArn")?)?;
    Ok(json!({}))
}

fn tag_resource(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["resourceArn", "tags"])?;
    let (arn, tags) = (parameters.text("resourceArn")?, parameters.text_map("tags")?.unwrap_or_default());
    let clusters = world.clusters.values().filter(|cluster| cluster.region == region);
    let mut entries = clusters.flat_map(|cluster| cluster.entries.values().map(|entry| (cluster.name.clone(), entry)));
    let found =
        entries.find(|(_, entry)| entry.arn == arn).map(|(cluster, entry)| (cluster, entry.principal_arn.clone()));
    let (cluster, principal) =
        found.ok_or_else(|| Refusal::new(404, "NotFoundException", format!("No resource found for {arn}")))?;
    world
        .tag_entry(region, &cluster, &principal, &tags, Caller::Guard)
        .map_err(|refusal| Refusal::new(400, "BadRequestException", refusal.message))?;
    Ok(json!({}))
}

fn entry_key(parameters: &Parameters) -> Result<(&str, &str), Refusal> {
    Ok((parameters.text("clusterName")?, parameters.text("principalArn")?))
}

pub(super) fn listed(
    world: &World,
    member: &str,
    listing: &str,
    sorted: &[(String, Value)],
    parameters: &Parameters,
) -> Result<Value, Refusal> {
    let size = parameters.number("maxResults", 1, 100)?.unwrap_or(100);
    let page = paging::page(&world.habits, listing, sorted, size, parameters.optional_text("nextToken")?)?;
    Ok(json!({ member: page.items, "nextToken": page.token }))
}

fn cluster_json(world: &World, cluster: &Cluster) -> Value {
    let (partition, account) = (&world.partition, &world.account);
    let mut shown = json!({
        "name": cluster.name,
        "arn": format!("arn:{partition}:eks:{}:{account}:cluster/{}", cluster.region, cluster.name),
        "createdAt": epoch_seconds(cluster.created_at),
        "status": cluster.status,
        "tags": cluster.tags,
    });
    if cluster.connected {
        shown["connectorConfig"] = json!({ "activationId": null, "provider": "OTHER", "roleArn": cluster.role_arn });
        return shown;
    }
    shown["version"] = "1.34".into();
    shown["platformVersion"] = "eks.9".into();
    let nobody = || (format!("https://0123456789ABCDEF.gr7.{}.eks.amazonaws.com", cluster.region), String::new());
    let (endpoint, authority) = cluster.api_server.clone().unwrap_or_else(nobody);
    shown["endpoint"] = endpoint.into();
    shown["certificateAuthority"] = json!({ "data": authority });
    shown["roleArn"] = cluster.role_arn.clone().into();
    if let Some(mode) = &cluster.authentication_mode {
        shown["accessConfig"] = json!({ "authenticationMode": mode });
    }
    if let Some(role) = &cluster.node_role_arn {
        shown["computeConfig"] = json!({ "enabled": true, "nodeRoleArn": role, "nodePools": ["general-purpose"] });
    }
    shown
}

fn entry_json(cluster: &str, entry: &Entry) -> Value {
    json!({
        "clusterName": cluster,
        "principalArn": entry.principal_arn,
        "kubernetesGroups": entry.groups,
        "accessEntryArn": entry.arn,
        "createdAt": epoch_seconds(entry.created_at),
        "modifiedAt": epoch_seconds(entry.modified_at),
        "tags": entry.tags,
        "username": entry.username,
        "type": entry.kind,
    })
}

fn policy_json(policy: &Policy, at: OffsetDateTime) -> Value {
    json!({
        "policyArn": policy.policy_arn,
        "accessScope": { "type": policy.scope, "namespaces": policy.namespaces },
        "associatedAt": epoch_seconds(at),
        "modifiedAt": epoch_seconds(at),
    })
}

/// Seconds with their milliseconds as a fraction, as EKS writes moments. [AWS-5]
pub(super) fn epoch_seconds(at: OffsetDateTime) -> Value {
    let ms = i32::try_from(at.unix_timestamp_nanos() / 1_000_000 % 1000).expect("below 1000");
    let seconds = i32::try_from(at.unix_timestamp()).expect("before 2038");
    (f64::from(seconds) + f64::from(ms) / 1000.0).into()
}
