//! STS: sessions of roles, and who somebody is. A session belongs to the role ID that it was made for: it ends with the
//! role, whatever takes the name afterwards. [AWS-71]

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::parameters::Parameters;
use super::policies::{self, Question};
use super::refusal::Refusal;
use super::services::Service;
use super::world::{Role, World};

/// Temporary credentials of a role, and what they stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Begins with `ASIA`.
    pub access_key: String,
    /// What requests are signed with.
    pub secret_key: String,
    /// Sent with every request.
    pub token: String,
    /// With the role's path.
    pub role_arn: String,
    /// The role's name.
    pub role_name: String,
    /// The unique ID of the role that the session was made for.
    pub role_id: String,
    /// Chosen by whoever made the session.
    pub name: String,
    /// A policy that narrows it.
    pub policy: Option<String>,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

impl World {
    /// The session of an access key, as long as its role lives.
    pub fn session(&self, access_key: &str) -> Option<&Session> {
        let session = self.sessions.get(access_key).filter(|session| session.expires_at > self.now())?;
        let role = self.roles.get(&session.role_name.to_lowercase());
        role.is_some_and(|role| role.id == session.role_id).then_some(session)
    }

    /// The ARN and the user ID of whoever has an access key: a session, or else the account's one user.
    pub fn identity(&self, access_key: &str) -> (String, String) {
        let (partition, account) = (&self.partition, &self.account);
        match self.sessions.get(access_key) {
            Some(Session { role_name, role_id, name, .. }) => {
                (format!("arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}"), format!("{role_id}:{name}"))
            }
            None => (format!("arn:{partition}:iam::{account}:user/operator"), "AIDAOPERATOR000000001".to_owned()),
        }
    }

    /// Refuses access keys of sessions that there are not, or no longer.
    pub(super) fn check_key(&self, service: Service, access_key: &str) -> Result<(), Refusal> {
        if access_key.starts_with("ASIA") && self.session(access_key).is_none() {
            let code = match service {
                Service::Iam | Service::Sts => "InvalidClientTokenId",
                _ => "UnrecognizedClientException",
            };
            return Err(Refusal::new(403, code, "The security token included in the request is invalid."));
        }
        Ok(())
    }

    /// Whether the one who is calling may do something: the account's user may, a session as far as its role's policies
    /// and its own go.
    pub(super) fn caller_may(&self, question: &Question<'_>) -> bool {
        let Some(session) = self.sessions.get(&self.calling) else { return true };
        let Some(role) = self.roles.get(&session.role_name.to_lowercase()) else { return false };
        policies::allow(role.policies.values(), question)
            && session.policy.as_ref().is_none_or(|policy| policies::allow([policy], question))
    }

    fn trusts(&self, role: &Role) -> bool {
        let (arn, user_id) = self.identity(&self.calling);
        let root = format!("arn:{}:iam::{}:root", self.partition, self.account);
        let question = Question {
            action: "sts:AssumeRole",
            principals: &[root, self.account.clone(), arn.clone()],
            context: [("aws:userid", user_id), ("aws:principalarn", arn)].into(),
            ..Question::default()
        };
        policies::allow([&role.trust], &question)
    }
}

/// Answers an STS operation.
pub(super) fn answer(world: &mut World, operation: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    match operation {
        "GetCallerIdentity" => {
            parameters.allow(&[])?;
            let (arn, user_id) = world.identity(&world.calling);
            Ok(json!({ "Arn": arn, "UserId": user_id, "Account": world.account }))
        }
        "AssumeRole" => assume_role(world, parameters),
        _ => Err(Refusal::new(400, "InvalidAction", format!("Could not find operation {operation}"))),
    }
    .map_err(|refusal| match refusal.code.as_str() {
        "InvalidParameterException" => Refusal::new(400, "ValidationError", refusal.message),
        _ => refusal,
    })
}

fn assume_role(world: &mut World, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["RoleArn", "RoleSessionName", "DurationSeconds", "Policy"])?;
    let (arn, name) = (parameters.text("RoleArn")?.to_owned(), parameters.text("RoleSessionName")?.to_owned());
    let lawful = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(lawful) {
        return Err(Refusal::new(400, "ValidationError", "RoleSessionName fails to satisfy its constraint"));
    }
    let seconds = parameters.number("DurationSeconds", 900, 3600)?.unwrap_or(3600);
    let policy = parameters.optional_text("Policy")?.map(str::to_owned);
    if policy.as_deref().is_some_and(|policy| !policies::is_document(policy)) {
        return Err(Refusal::new(400, "MalformedPolicyDocument", "This policy contains invalid Json"));
    }
    let young = world.now() - world.habits.role_unknown_to_sts_for;
    let role = world.roles.values().find(|role| role.arn == arn && world.role_known_since(role) <= young).cloned();
    // Whether there is no such role or it does not trust the caller is not for the caller to know.
    let Some(role) = role.filter(|role| world.trusts(role)) else {
        let (caller, _) = world.identity(&world.calling);
        let message = format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        return Err(Refusal::denied(Service::Sts, message));
    };
    let session = Session {
        access_key: world.unique_id("ASIA").chars().take(20).collect(),
        secret_key: world.unique_id("secret"),
        token: world.unique_id("token"),
        role_arn: role.arn,
        role_name: role.name,
        role_id: role.id,
        name,
        policy,
        expires_at: world.now() + Duration::from_secs(u64::try_from(seconds).expect("an hour at most")),
    };
    let (key, reply) = (session.access_key.clone(), shown(&session));
    world.sessions.insert(key.clone(), session);
    let (arn, user_id) = world.identity(&key);
    Ok(json!({ "Credentials": reply, "AssumedRoleUser": { "Arn": arn, "AssumedRoleId": user_id } }))
}

fn shown(session: &Session) -> Value {
    json!({
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret_key,
        "SessionToken": session.token,
        "Expiration": session.expires_at.replace_nanosecond(0).expect("0 is valid").format(&Rfc3339).expect("a date"),
    })
}
