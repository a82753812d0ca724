//! The AWS CLI commands that do by hand what the function does, for bash and zsh.
//!
//! Each is safe by itself and safe to run again. The deletion runs only if the entry is still the one that was seen (by its
//! ARN, which is new with every creation) and the role still has the ID that was looked at. The creation runs only if there is
//! no entry, and for that role ID; an association only for that role ID, and if the policy is not there, whatever its scope. Both
//! wait for EKS to know what was done before them. Everything foreign is inside JSON inside single quotes, which no character of it can end.

use serde_json::{Map, Value, json};

use crate::model::{AccessPolicy, ClusterRef, Region, RoleArn, RoleId, Snapshot};

/// The waits between looks, in seconds: EKS shows a change after "several seconds" (EKS User Guide, "Create access entries").
const WAITS: &str = "0 2 4 8 16 30";

/// The entry that a person is to replace or to delete.
#[derive(Debug, Clone, Copy)]
pub struct EntrySeen<'a> {
    /// The cluster that it is in.
    pub cluster: &'a ClusterRef,
    /// Whose entry it is.
    pub principal: &'a RoleArn,
    /// Its own ARN; `None` if it is gone already.
    pub entry_arn: Option<&'a str>,
}

impl EntrySeen<'_> {
    /// Deletes the entry and creates it again for the role with this ID, with everything that its owner had set.
    #[must_use]
    pub fn replace(self, snapshot: &Snapshot, role_id: &RoleId) -> Vec<String> {
        let deletion = self.entry_arn.map(|arn| {
            let (role, is_seen) = (self.is_role(role_id), self.is_entry(arn));
            format!("{role} && {is_seen} && {}", self.eks("delete-access-entry", self.entry()))
        });
        let creation = self.creation(snapshot, role_id);
        let associations = snapshot.access_policies.iter().map(|policy| self.association(policy, role_id));
        deletion.into_iter().chain([creation]).chain(associations).collect()
    }

    /// Deletes the entry, if it is still the one that was seen.
    #[must_use]
    pub fn delete(self) -> Vec<String> {
        let deletion = |arn| format!("{} && {}", self.is_entry(arn), self.eks("delete-access-entry", self.entry()));
        self.entry_arn.map(deletion).into_iter().collect()
    }

    /// Shows who created the role, as CloudTrail's event history of the last 90 days has it.
    #[must_use]
    pub fn creators(self) -> String {
        let region = Region::of_iam_events(self.principal.partition());
        let lookup = json!({
            "LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": self.principal.name()}],
        });
        format!(
            "aws cloudtrail lookup-events --region {region} --cli-input-json {} --query 'Events[?EventName==`CreateRole`].\
             CloudTrailEvent'",
            quoted(&lookup)
        )
    }

    /// Whether the role has this ID now: true or false, as a command, which says so if it has another.
    fn is_role(self, role_id: &RoleId) -> String {
        let role = quoted(&json!({"RoleName": self.principal.name()}));
        format!(
            "{{ [ \"$(aws iam get-role --region {} --cli-input-json {role} --query Role.RoleId --output text)\" = {} ] || \
             {{ echo 'Nothing is done: the role has a different ID now. Scan again.' >&2; false; }}; }}",
            self.cluster.region,
            word(&role_id.0)
        )
    }

    /// Whether the entry is the one with this ARN: true or false, as a command.
    fn is_entry(self, arn: &str) -> String {
        format!("[ \"$({})\" = {} ]", self.present_arn(), word(arn))
    }

    /// The ARN of the entry that there is now.
    fn present_arn(self) -> String {
        format!("{} --query accessEntry.accessEntryArn --output text", self.eks("describe-access-entry", self.entry()))
    }

    /// Creates the entry, if there is none. Until EKS has forgotten the old one, it refuses.
    fn creation(self, snapshot: &Snapshot, role_id: &RoleId) -> String {
        let mut members = self.entry();
        members.insert("type".to_owned(), json!(snapshot.kind.as_str()));
        if let Some(username) = snapshot.creation_username(self.principal) {
            members.insert("username".to_owned(), json!(username));
        }
        if !snapshot.creation_groups().is_empty() {
            members.insert("kubernetesGroups".to_owned(), json!(snapshot.creation_groups()));
        }
        let tags = snapshot.creation_tags();
        if !tags.is_empty() {
            members.insert("tags".to_owned(), json!(tags));
        }
        let is_another = match self.entry_arn {
            Some(old) => format!("[ -n \"$there\" ] && [ \"$there\" != {} ]", word(old)),
            None => "[ -n \"$there\" ]".to_owned(),
        };
        format!(
            "{} && for wait in {WAITS}; do sleep $wait; there=$({} 2>/dev/null); {is_another} && break; {} && break; done",
            self.is_role(role_id),
            self.present_arn(),
            self.eks("create-access-entry", members)
        )
    }

    /// Associates a policy, if it is not there and the role has this ID, as soon as EKS knows the entry.
    fn association(self, policy: &AccessPolicy, role_id: &RoleId) -> String {
        let mut members = self.entry();
        members.insert("policyArn".to_owned(), json!(policy.policy_arn));
        members.insert("accessScope".to_owned(), json!(policy.access_scope));
        let arn = json!(policy.policy_arn).to_string().replace('`', "\\u0060").replace('\'', "\\u0027");
        format!(
            "{} && for wait in {WAITS}; do sleep $wait; there=$({} --query 'length(associatedAccessPolicies[?policyArn==`{arn}`])' \
             --output json) && break; done && [ \"$there\" = 0 ] && {}",
            self.is_role(role_id),
            self.eks("list-associated-access-policies", self.entry()),
            self.eks("associate-access-policy", members)
        )
    }

    fn entry(self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("clusterName".to_owned(), json!(self.cluster.name));
        members.insert("principalArn".to_owned(), json!(self.principal.as_str()));
        members
    }

    fn eks(self, operation: &str, members: Map<String, Value>) -> String {
        let input = quoted(&Value::Object(members));
        format!("aws eks {operation} --region {} --cli-input-json {input}", self.cluster.region)
    }
}

/// JSON in single quotes. An apostrophe, and what a terminal may not show as it is, can only be inside one of its strings, where
/// JSON has another way to write it.
pub(crate) fn quoted(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c == '\'' || !c.is_ascii() || c.is_ascii_control() {
            let mut units = [0; 2];
            text.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    format!("'{text}'")
}

/// One word of a shell command, in quotes only if it needs them.
pub(crate) fn argument(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_+,.@:/-".contains(&b);
    let begins_plainly = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if begins_plainly && text.bytes().all(is_plain) { text.to_owned() } else { word(text) }
}

/// One word of a shell command, whatever it is made of.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
