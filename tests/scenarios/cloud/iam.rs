//! IAM: roles come and go, every one with an ID of its own, and reads are as late as [`Habits::iam_lags_by`] says.
//!
//! [`Habits::iam_lags_by`]: super::world::Habits::iam_lags_by

mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::paging;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::world::{Role, World};

/// What RFC 3986 lets stand; IAM encodes the rest of a policy document. [AWS-22]
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A moment at which a role of a name came (or went).
#[derive(Debug, Clone)]
pub(super) struct RoleChange {
    pub(super) at: OffsetDateTime,
    pub(super) key: String,
    pub(super) role: Option<Role>,
}

impl World {
    /// Creates a role, as `CreateRole` does. [AWS-2] [AWS-9]
    ///
    /// # Panics
    /// If the name is taken, in whatever case and under whatever path: `EntityAlreadyExists`.
    pub fn create_role(&mut self, path: &str, name: &str, trust: &str) -> Role {
        let key = name.to_lowercase();
        assert!(!self.roles.contains_key(&key), "EntityAlreadyExists: Role with name {name} already exists.");
        assert!(path.starts_with('/') && path.ends_with('/'), "a path begins and ends with a slash: {path}");
        let role = Role {
            name: name.to_owned(),
            path: path.to_owned(),
            arn: format!("arn:{}:iam::{}:role{path}{name}", self.partition, self.account),
            id: self.unique_id("AROA"),
            created_at: self.now.replace_nanosecond(0).expect("0 is valid"),
            trust: trust.to_owned(),
            policies: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        self.roles.insert(key.clone(), role.clone());
        self.role_history.push(RoleChange { at: self.now, key, role: Some(role.clone()) });
        self.record_creation(&role);
        role
    }

    /// Deletes a role.
    ///
    /// # Panics
    /// If there is none of that name: `NoSuchEntity`.
    pub fn delete_role(&mut self, name: &str) -> Role {
        let key = name.to_lowercase();
        let role = self.roles.remove(&key).unwrap_or_else(|| panic!("NoSuchEntity: no role {name}"));
        self.role_history.push(RoleChange { at: self.now, key, role: None });
        self.record_deletion(&role);
        role
    }

    /// Deletes a role and creates it again with the same path and trust policy: same ARN, new ID.
    pub fn recreate_role(&mut self, name: &str) -> Role {
        let old = self.delete_role(name);
        self.create_role(&old.path, &old.name, &old.trust)
    }

    /// Somebody takes the name of a role, whether it is there or not, for a role of their own with this trust policy.
    pub fn take_role(&mut self, name: &str, trust: &str) -> Role {
        if self.roles.contains_key(&name.to_lowercase()) {
            self.delete_role(name);
        }
        self.create_role("/", name, trust)
    }

    /// Replaces a role's trust policy; its ID stays.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn set_trust(&mut self, name: &str, trust: &str) {
        let changed = self.change_role(name, |role| trust.clone_into(&mut role.trust));
        assert!(changed.is_some(), "NoSuchEntity: no role {name}");
    }

    /// Changes a role, if there is one of that name; its ID stays.
    pub(super) fn change_role(&mut self, name: &str, change: impl FnOnce(&mut Role)) -> Option<Role> {
        let key = name.to_lowercase();
        let role = self.roles.get_mut(&key)?;
        change(role);
        let role = role.clone();
        self.role_history.push(RoleChange { at: self.now, key, role: Some(role.clone()) });
        Some(role)
    }

    /// The role of a name as it was a while ago.
    pub fn role_ago(&self, name: &str, ago: Duration) -> Option<&Role> {
        let key = name.to_lowercase();
        if ago.is_zero() {
            return self.roles.get(&key);
        }
        let then = self.now - ago;
        let change = self.role_history.iter().rev().find(|change| change.key == key && change.at <= then);
        change.and_then(|change| change.role.as_ref())
    }

    /// When the present role of a name came into being, more exactly than IAM shows it.
    pub(super) fn role_known_since(&self, role: &Role) -> OffsetDateTime {
        let created = self.role_history.iter().find(|change| change.role.as_ref().is_some_and(|it| it.id == role.id));
        created.map_or(role.created_at, |change| change.at)
    }
}

/// Answers an IAM operation.
pub(super) fn answer(world: &mut World, operation: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    match operation {
        "CreateRole" => writes::create_role(world, parameters),
        "DeleteRole" => writes::delete_role(world, parameters),
        "PutRolePolicy" => writes::put_role_policy(world, parameters),
        "DeleteRolePolicy" => writes::delete_role_policy(world, parameters),
        "GetRole" => get_role(world, parameters),
        "GetUser" => get_user(world, parameters),
        "ListRoles" => list_roles(world, parameters),
        _ => Err(Refusal::new(400, "InvalidAction", format!("Could not find operation {operation}"))),
    }
    .map_err(|refusal| match refusal.code.as_str() {
        "InvalidParameterException" => Refusal::new(400, "ValidationError", refusal.message),
        _ => refusal,
    })
}

fn get_role(world: &World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["RoleName"])?;
    let name = role_name(parameters)?;
    let role = world.role_seen(name).ok_or_else(|| no_such_role(name))?;
    Ok(json!({ "Role": shown(role) }))
}

/// A user of the account; without a name, whoever calls.
fn get_user(world: &World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["UserName"])?;
    let (caller, caller_id) = world.identity(&world.calling);
    let users = world.other_principals.iter().map(|(arn, id)| (arn.clone(), id.clone()));
    let account = format!("arn:{}:iam::{}:user/", world.partition, world.account);
    let mut users = users.chain([(caller.clone(), caller_id)]).filter(|(arn, _)| arn.starts_with(&account));
    let name = parameters.text_within("UserName", 1, 128)?;
    let lawful = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if name.is_some_and(|name| !name.chars().all(lawful)) {
        return Err(Refusal::new(400, "ValidationError", "The specified value for userName is invalid."));
    }
    let is_asked_for = |arn: &str| match name {
        Some(name) => arn.rsplit('/').next().is_some_and(|it| it.eq_ignore_ascii_case(name)),
        None => arn == caller,
    };
    let (arn, id) = users.find(|(arn, _)| is_asked_for(arn)).ok_or_else(|| {
        let name = name.unwrap_or_default();
        Refusal::new(404, "NoSuchEntity", format!("The user with name {name} cannot be found."))
    })?;
    let (path, name) = arn[account.len() - 1..].rsplit_once('/').map_or(("", ""), |parts| parts);
    let created = super::EPOCH.format(&Rfc3339).expect("a date has a form");
    Ok(json!({ "User": {
        "Path": format!("{path}/"), "UserName": name, "UserId": id, "Arn": arn, "CreateDate": created,
    } }))
}

/// The name of a role that a request is about, if it can be one.
fn role_name(parameters: &Parameters) -> Result<&str, Refusal> {
    let name = parameters.text("RoleName")?;
    let lawful = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if name.len() > 64 || !name.chars().all(lawful) {
        return Err(Refusal::new(
            400,
            "ValidationError",
            "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-",
        ));
    }
    Ok(name)
}

fn no_such_role(name: &str) -> Refusal {
    Refusal::new(404, "NoSuchEntity", format!("The role with name {name} cannot be found."))
}

fn list_roles(world: &World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["PathPrefix", "Marker", "MaxItems"])?;
    let size = parameters.number("MaxItems", 1, 1000)?.unwrap_or(100);
    let prefix = parameters.text_within("PathPrefix", 1, 512)?.unwrap_or("/");
    if !prefix.starts_with('/') || !prefix.bytes().all(|byte| (0x21..=0x7f).contains(&byte)) {
        return Err(Refusal::new(400, "ValidationError", "The specified value for pathPrefix is invalid."));
    }
    let mut names: Vec<String> = world.role_history.iter().map(|change| change.key.clone()).collect();
    names.extend(world.roles.keys().cloned());
    names.sort();
    names.dedup();
    let roles: Vec<(String, Value)> = names
        .into_iter()
        .filter_map(|key| world.role_listed(&key).map(|role| (key, role)))
        .filter(|(_, role)| role.path.starts_with(prefix))
        .map(|(key, role)| (key, shown(role)))
        .collect();
    let listing = format!("ListRoles{prefix}");
    let page = paging::page(&world.habits, &listing, &roles, size, parameters.text_within("Marker", 1, 320)?)?;
    let mut reply = json!({ "Roles": page.items, "IsTruncated": page.token.is_some() });
    if let Some(marker) = page.token {
        reply["Marker"] = marker.into();
    }
    Ok(reply)
}

fn shown(role: &Role) -> Value {
    let created = role.created_at.format(&Rfc3339).expect("a date of this century has a form");
    let mut shown = Map::new();
    shown.insert("Path".to_owned(), role.path.clone().into());
    shown.insert("RoleName".to_owned(), role.name.clone().into());
    shown.insert("RoleId".to_owned(), role.id.clone().into());
    shown.insert("Arn".to_owned(), role.arn.clone().into());
    shown.insert("CreateDate".to_owned(), created.into());
    let document = utf8_percent_encode(&role.trust, UNRESERVED).to_string();
    shown.insert("AssumeRolePolicyDocument".to_owned(), document.into());
    shown.insert("MaxSessionDuration".to_owned(), "3600".into());
    Value::Object(shown)
}
