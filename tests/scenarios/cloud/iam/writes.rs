//! IAM's writes as they come over the wire: roles and their inline policies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Parameters, Refusal, World, no_such_role, role_name, shown};
use crate::cloud::{policies, rules};

pub(super) fn create_role(world: &mut World, parameters: &Parameters) -> Result<Value, Refusal> {
    let (tags, others) = tags_of(parameters)?;
    others.allow(&[
        "RoleName",
        "Path",
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
    ])?;
    let name = role_name(parameters)?;
    let trust = document(parameters, "AssumeRolePolicyDocument")?;
    let path = parameters.optional_text("Path")?.unwrap_or("/");
    if !path.starts_with('/') || !path.ends_with('/') || path.len() > 512 {
        return Err(Refusal::new(400, "ValidationError", "The specified value for path is invalid."));
    }
    parameters.number("MaxSessionDuration", 3600, 43200)?;
    if world.roles.contains_key(&name.to_lowercase()) {
        let message = format!("Role with name {name} already exists.");
        return Err(Refusal::new(409, "EntityAlreadyExists", message));
    }
    world.create_role(path, name, trust);
    let role = world.change_role(name, |role| role.tags = tags).ok_or_else(|| no_such_role(name))?;
    Ok(json!({ "Role": shown(&role) }))
}

pub(super) fn delete_role(world: &mut World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["RoleName"])?;
    let name = role_name(parameters)?;
    let role = world.roles.get(&name.to_lowercase()).ok_or_else(|| no_such_role(name))?;
    if !role.policies.is_empty() {
        return Err(Refusal::new(409, "DeleteConflict", "Cannot delete entity, must delete policies first."));
    }
    world.delete_role(name);
    Ok(json!({}))
}

pub(super) fn put_role_policy(world: &mut World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["RoleName", "PolicyName", "PolicyDocument"])?;
    let (name, policy) = (role_name(parameters)?, parameters.text("PolicyName")?.to_owned());
    let text = document(parameters, "PolicyDocument")?.to_owned();
    let put = world.change_role(name, |role| drop(role.policies.insert(policy, text)));
    put.map(|_| json!({})).ok_or_else(|| no_such_role(name))
}

pub(super) fn delete_role_policy(world: &mut World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["RoleName", "PolicyName"])?;
    let (name, policy) = (role_name(parameters)?, parameters.text("PolicyName")?);
    let mut removed = None;
    world.change_role(name, |role| removed = role.policies.remove(policy)).ok_or_else(|| no_such_role(name))?;
    let message = || format!("The role policy with name {policy} cannot be found.");
    removed.map(|_| json!({})).ok_or_else(|| Refusal::new(404, "NoSuchEntity", message()))
}

fn document<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Refusal> {
    let text = parameters.text(name)?;
    if !policies::is_document(text) {
        return Err(Refusal::new(400, "MalformedPolicyDocument", "This policy contains invalid Json"));
    }
    Ok(text)
}

/// The tags, which a form carries as `Tags.member.1.Key` and `Tags.member.1.Value`, and the other parameters.
fn tags_of(parameters: &Parameters) -> Result<(BTreeMap<String, String>, Parameters), Refusal> {
    let (tags, others): (Vec<_>, Vec<_>) =
        parameters.as_map().clone().into_iter().partition(|(name, _)| name.starts_with("Tags.member."));
    let tags: BTreeMap<String, Value> = tags.into_iter().collect();
    let others = Parameters::new(others.into_iter().collect());
    let mut named = BTreeMap::new();
    for n in 1..=tags.len() / 2 {
        let part = |part: &str| tags.get(&format!("Tags.member.{n}.{part}")).and_then(Value::as_str);
        let (Some(key), Some(value)) = (part("Key"), part("Value")) else {
            return Err(Refusal::new(400, "ValidationError", "A tag has a key and a value"));
        };
        named.insert(key.to_owned(), value.to_owned());
    }
    if !named.is_empty() {
        rules::check_tags(&named).map_err(|refusal| Refusal::new(400, "InvalidInput", refusal.message))?;
    }
    Ok((named, others))
}
