//! CloudTrail's event history: what was recorded in a Region in the last 90 days, newest first, for two requests a second.
//! [AWS-90]
//!
//! The world records roles that come and go in the Region of IAM's events, and access entries that are deleted in their own.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::world::{Role, World};
use super::{Cloud, HOME_REGION, paging};

/// An API call that was recorded.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was.
    pub at: OffsetDateTime,
    /// Where it was recorded.
    pub region: String,
    /// The service's host, such as `iam.amazonaws.com`.
    pub source: &'static str,
    /// The API operation.
    pub name: &'static str,
    /// The name of what it was about.
    pub resource: String,
    /// Who called, as `userIdentity`.
    pub by: Value,
    /// `requestParameters`.
    pub request: Value,
    /// `responseElements`.
    pub response: Value,
    /// Where the call failed.
    pub error_code: Option<String>,
}

/// For how long the history goes back.
const TIME: Duration = Duration::from_hours(90 * 24);

const KEYS: [&str; 8] =
    ["EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource", "AccessKeyId"];

impl World {
    /// Where IAM's events are recorded.
    fn region_of_iam_events(&self) -> String {
        let name = match self.partition.as_str() {
            "aws-cn" => "cn-north-1",
            "aws-us-gov" => "us-gov-west-1",
            _ => HOME_REGION,
        };
        name.to_owned()
    }

    /// Who calls: whoever the test says, or whose access key it is.
    fn actor(&self) -> Value {
        if let Some(actor) = &self.actor {
            return actor.clone();
        }
        let (arn, user_id) = self.identity(&self.calling);
        match self.sessions.get(&self.calling) {
            Some(session) => assumed(&self.account, &arn, &user_id, &session.role_arn, &session.role_id),
            None => json!({"type": "IAMUser", "principalId": user_id, "arn": arn, "accountId": self.account,
                "userName": "operator"}),
        }
    }

    pub(super) fn record_creation(&mut self, role: &Role) {
        let request = json!({"roleName": role.name, "path": role.path, "assumeRolePolicyDocument": role.trust});
        let response = json!({"role": {"path": role.path, "roleName": role.name, "roleId": role.id, "arn": role.arn}});
        let region = self.region_of_iam_events();
        self.record_call(region, "iam.amazonaws.com", "CreateRole", &role.name, request, response);
    }

    pub(super) fn record_deletion(&mut self, role: &Role) {
        let request = json!({"roleName": role.name});
        let region = self.region_of_iam_events();
        self.record_call(region, "iam.amazonaws.com", "DeleteRole", &role.name, request, Value::Null);
    }

    /// Parameters in the path are recorded as they came. [AWS-90]
    pub(super) fn record_deleted_entry(&mut self, region: &str, cluster: &str, principal_arn: &str) {
        let encoded = percent_encoding::utf8_percent_encode(principal_arn, percent_encoding::NON_ALPHANUMERIC);
        let request = json!({"name": cluster, "principalArn": encoded.to_string()});
        self.record_call(region.to_owned(), "eks.amazonaws.com", "DeleteAccessEntry", cluster, request, Value::Null);
    }

    fn record_call(
        &mut self,
        region: String,
        source: &'static str,
        name: &'static str,
        resource: &str,
        request: Value,
        response: Value,
    ) {
        let (at, by, resource) = (self.now, self.actor(), resource.to_owned());
        self.trail.push(Record { at, region, source, name, resource, by, request, response, error_code: None });
    }
}

impl Cloud {
    /// From now on, this is who creates and deletes: a `userIdentity`.
    #[allow(dead_code, reason = "the scenarios of the command use it")]
    pub fn acting_as(&self, identity: Value) {
        self.with(|world| world.actor = Some(identity));
    }

    /// From now on, a session of this role creates and deletes. The session's name says something misleading.
    #[allow(dead_code, reason = "the scenarios of the command and tests/local_aws use it")]
    pub fn acting_as_role(&self, role: &Role) {
        let (account, name) = (role.arn.split(':').nth(4).unwrap_or_default(), &role.name);
        let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/session-of-nobody");
        let user_id = format!("{}:session-of-nobody", role.id);
        self.acting_as(assumed(account, &arn, &user_id, &role.arn, &role.id));
    }
}

fn assumed(account: &str, arn: &str, user_id: &str, role_arn: &str, role_id: &str) -> Value {
    let name = role_arn.rsplit('/').next().unwrap_or_default();
    json!({
        "type": "AssumedRole", "principalId": user_id, "arn": arn, "accountId": account,
        "sessionContext": {"sessionIssuer": {
            "type": "Role", "principalId": role_id, "arn": role_arn, "accountId": account, "userName": name}},
    })
}

/// Answers a CloudTrail operation.
pub(super) fn answer(
    world: &mut World,
    region: &str,
    operation: &str,
    parameters: &Parameters,
) -> Result<Value, Refusal> {
    match operation {
        "LookupEvents" => look_up(world, region, parameters),
        _ => Err(Refusal::unknown_operation(operation)),
    }
    .map_err(|refusal| match refusal.code.as_str() {
        "InvalidParameterException" => Refusal::validation(refusal.message),
        _ => refusal,
    })
}

fn look_up(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    take_turn(world, region)?;
    parameters.allow(&["LookupAttributes", "StartTime", "EndTime", "MaxResults", "NextToken"])?;
    let wanted = attribute(parameters)?;
    let size = parameters.number("MaxResults", 1, 50).map_err(|refusal| of("InvalidMaxResultsException", refusal))?;
    let (from, to) = (moment(parameters, "StartTime")?, moment(parameters, "EndTime")?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Refusal::new(400, "InvalidTimeRangeException", "The start time is after the end time."));
    }
    let begins = world.now - TIME;
    let is_wanted = |record: &&Record| {
        let at = record.at.unix_timestamp();
        record.region == region
            && record.at >= begins
            && from.is_none_or(|from| at >= from)
            && to.is_none_or(|to| at <= to)
            && wanted.as_ref().is_none_or(|(key, value)| record.has(key, value))
    };
    // The newest comes first: a page's key counts down.
    let count = world.trail.len();
    let found: Vec<(String, Value)> = world
        .trail
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, record)| is_wanted(record))
        .map(|(n, record)| (format!("{:010}", count - n), record.shown(&world.account, n)))
        .collect();
    let listing = format!("LookupEvents/{region}/{wanted:?}/{from:?}/{to:?}");
    let token = parameters.optional_text("NextToken")?;
    let page = paging::page(&world.habits, &listing, &found, size.unwrap_or(50), token)
        .map_err(|refusal| of("InvalidNextTokenException", refusal))?;
    let mut reply = json!({ "Events": page.items });
    if let Some(token) = page.token {
        reply["NextToken"] = token.into();
    }
    Ok(reply)
}

/// Two requests a second, in each Region. [AWS-90]
fn take_turn(world: &mut World, region: &str) -> Result<(), Refusal> {
    let (now, limit) = (world.now, world.habits.lookups_per_second);
    let turns = world.lookups.entry(region.to_owned()).or_default();
    turns.retain(|at| now - *at < Duration::from_secs(1));
    if turns.len() >= limit {
        return Err(Refusal::throttled(super::Service::CloudTrail));
    }
    turns.push(now);
    Ok(())
}

/// The one attribute that may be asked for.
fn attribute(parameters: &Parameters) -> Result<Option<(String, String)>, Refusal> {
    let refused = |message: &str| Refusal::new(400, "InvalidLookupAttributesException", message);
    let attributes = parameters.objects("LookupAttributes")?;
    let [attribute] = attributes.as_slice() else {
        return if attributes.is_empty() { Ok(None) } else { Err(refused("Only one lookup attribute can be given.")) };
    };
    attribute.allow(&["AttributeKey", "AttributeValue"])?;
    let (key, value) = (attribute.text("AttributeKey")?, attribute.text("AttributeValue")?);
    if !KEYS.contains(&key) || value.chars().count() > 2000 {
        return Err(refused("The lookup attribute is not valid."));
    }
    Ok(Some((key.to_owned(), value.to_owned())))
}

fn moment(parameters: &Parameters, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = parameters.get(name) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "a date of this century")]
    let seconds = value.as_f64().map(|seconds| seconds as i64);
    seconds.map(Some).ok_or_else(|| Refusal::validation(format!("{name} must be a moment")))
}

fn of(code: &str, refusal: Refusal) -> Refusal {
    Refusal { code: code.to_owned(), ..refusal }
}

impl Record {
    fn has(&self, key: &str, value: &str) -> bool {
        match key {
            "EventName" => self.name == value,
            "EventSource" => self.source == value,
            "ResourceName" => self.resource == value,
            "ReadOnly" => value == "false",
            // This world records nothing to find others by.
            _ => false,
        }
    }

    fn shown(&self, account: &str, n: usize) -> Value {
        let (id, time) = (format!("00000000-0000-4000-c000-{n:012}"), self.at.unix_timestamp());
        let event_time = self.at.replace_nanosecond(0).expect("0 is valid").format(&Rfc3339).expect("a date");
        let mut record = json!({
            "eventVersion": "1.11", "userIdentity": self.by, "eventTime": event_time, "eventSource": self.source,
            "eventName": self.name, "awsRegion": self.region, "requestParameters": self.request,
            "responseElements": self.response, "eventID": id, "readOnly": false, "eventType": "AwsApiCall",
            "managementEvent": true, "recipientAccountId": account, "eventCategory": "Management",
        });
        if let Some(code) = &self.error_code {
            record["errorCode"] = code.clone().into();
        }
        json!({
            "EventId": id, "EventName": self.name, "ReadOnly": "false", "EventTime": time, "EventSource": self.source,
            "Resources": [{"ResourceName": self.resource}], "CloudTrailEvent": record.to_string(),
        })
    }
}
