//! `event`: the `EventBridge` event of a role, to send by hand.

use access_entry_guard::model::{Home, Role, RoleState};
use access_entry_guard::row::form::rfc3339;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::output::print_json;
use crate::session::Session;
use crate::stop::Stop;

const CREATION: &str = include_str!("../../events/create-role-repairs-stale-entries.json");
const DELETION: &str = include_str!("../../events/delete-role-reports-orphans.json");

/// What RFC 3986 lets stand; IAM encodes the rest of a policy document.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Print the event of a role of this account, as EventBridge would deliver it
///
/// A creation event is made from the role as IAM shows it now; a deletion event is made from the role's name alone.
/// The event names no creator, because the function ignores the creator in an event that a person sends.
///
/// Exit status: 0 if the event was printed; else 2.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The role, by name or ARN
    #[arg(long, value_name = "NAME")]
    role: String,
    /// Print the event of the role's deletion; the role need not exist
    #[arg(long)]
    deleted: bool,
}

/// Prints the event.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Stop> {
    let named = session.role(&arguments.role)?;
    let home = &session.caller.home;
    let event = if arguments.deleted {
        deletion(home, &named.name, OffsetDateTime::now_utc())?
    } else {
        let state = session.reads.get_role(&named.name).await;
        match named.arn.as_ref().map_or(state.clone(), |arn| state.of(arn)) {
            RoleState::Present(role) => creation(home, &role)?,
            RoleState::Absent => {
                return Err(Stop(format!(
                    "there is no role {} in account {}; check the name, or print the event of its deletion with --deleted",
                    arguments.role, home.account
                )));
            }
            RoleState::Unreadable(fault) => {
                return Err(Stop(format!(
                    "the role {} could not be read ({fault}); allow iam:GetRole, or try again",
                    arguments.role
                )));
            }
        }
    };
    print_json(&event)?;
    Ok(0)
}

/// The sample of a creation, filled in for this role.
fn creation(home: &Home, role: &Role) -> Result<Value, Stop> {
    let mut event = envelope(CREATION, home, role.created_at)?;
    let arn = &role.arn;
    let mut request = json!({"roleName": arn.name()});
    let date = format_description!(
        "[month repr:short] [day padding:none], [year] [hour repr:12 padding:none]:[minute]:[second] [period]"
    );
    let mut response = json!({
        "path": arn.path(), "roleName": arn.name(), "roleId": role.id, "arn": arn.as_str(),
        "createDate": role.created_at.format(date).unwrap_or_default(),
    });
    if let Some(policy) = &role.trust_policy {
        request["assumeRolePolicyDocument"] = json!(policy);
        response["assumeRolePolicyDocument"] = json!(utf8_percent_encode(policy, UNRESERVED).to_string());
    }
    if arn.path() != "/" {
        request["path"] = json!(arn.path());
    }
    event["detail"]["requestParameters"] = request;
    event["detail"]["responseElements"] = json!({"role": response});
    Ok(event)
}

/// The sample of a deletion, filled in for this name: a deletion tells nothing more.
fn deletion(home: &Home, role_name: &str, at: OffsetDateTime) -> Result<Value, Stop> {
    let mut event = envelope(DELETION, home, at)?;
    event["detail"]["requestParameters"] = json!({"roleName": role_name});
    Ok(event)
}

/// A sample with this account's and this moment's data, and without a creator.
fn envelope(sample: &str, home: &Home, at: OffsetDateTime) -> Result<Value, Stop> {
    let mut event: Value =
        serde_json::from_str(sample).map_err(|error| Stop(format!("the sample cannot be read: {error}")))?;
    let (time, region) = (rfc3339(at.replace_nanosecond(0).unwrap_or(at)), home.region_of_iam_events());
    event["id"] = json!(uuid());
    event["account"] = json!(home.account);
    event["region"] = json!(region);
    event["time"] = json!(time);
    let detail = &mut event["detail"];
    detail["eventID"] = json!(uuid());
    detail["requestID"] = json!(uuid());
    detail["eventTime"] = json!(time);
    detail["awsRegion"] = json!(region);
    detail["recipientAccountId"] = json!(home.account);
    detail["userIdentity"] = json!({"type": "Unknown", "accountId": home.account});
    Ok(event)
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use access_entry_guard::event::{Invocation, InvokedAs, RoleChange, Trigger, classify};
    use access_entry_guard::model::{RoleArn, RoleId};
    use time::macros::datetime;

    use super::*;

    /// Another partition and account than the samples', and a role with a path.
    fn home() -> Home {
        Home { partition: "aws-cn".to_owned(), account: "444455556666".to_owned() }
    }

    fn role() -> Role {
        Role {
            arn: RoleArn::parse("arn:aws-cn:iam::444455556666:role/team/db").expect("a role"),
            id: RoleId("AROAOWN".to_owned()),
            created_at: datetime!(2026-07-04 00:05:09 UTC),
            trust_policy: Some(r#"{"Statement":[{"Effect":"Allow"}]}"#.to_owned()),
        }
    }

    fn read(event: &Value) -> RoleChange {
        let invocation = Invocation {
            home: home(),
            invoked_as: InvokedAs::Events,
            function_arn: String::new(),
            request_id: String::new(),
        };
        match classify(event, &invocation) {
            Ok(Trigger::Role(event)) => {
                assert_eq!((event.creator, event.created_by), (None, None), "it names no creator");
                event.change
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_event_of_a_creation_tells_of_the_role_as_it_is() {
        let event = creation(&home(), &role()).expect("an event");
        let detail = &event["detail"];
        assert_eq!(
            [&event["account"], &event["region"], &event["time"]],
            ["444455556666", "cn-north-1", "2026-07-04T00:05:09Z"]
        );
        assert_eq!(
            (&detail["eventName"], &detail["recipientAccountId"]),
            (&json!("CreateRole"), &json!("444455556666"))
        );
        assert_eq!(detail["requestParameters"]["path"], "/team/");
        let made = &detail["responseElements"]["role"];
        assert_eq!(made["createDate"], "Jul 4, 2026 12:05:09 AM");
        assert_eq!(made["assumeRolePolicyDocument"], "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%7D%5D%7D");
        assert_eq!(read(&event), RoleChange::Created { arn: role().arn, role_id: Some(role().id) });
    }

    #[test]
    fn the_event_of_a_deletion_tells_the_name_and_nothing_more() {
        let event = deletion(&home(), "db", datetime!(2026-07-04 00:05:09.75 UTC)).expect("an event");
        assert_eq!(event["time"], "2026-07-04T00:05:09Z");
        assert_eq!(event["detail"]["responseElements"], Value::Null);
        assert_eq!(read(&event), RoleChange::Deleted { role_name: "db".to_owned() });
    }

    #[test]
    fn nothing_of_the_sample_is_left_that_could_mislead() {
        for event in [creation(&home(), &role()), deletion(&home(), "db", OffsetDateTime::UNIX_EPOCH)] {
            let event = event.expect("an event");
            let text = event.to_string();
            assert!(!text.contains("111122223333") && !text.contains("ana@example.com"), "{text}");
            assert_eq!(event["detail"]["userIdentity"], json!({"type": "Unknown", "accountId": "444455556666"}));
        }
    }

    #[test]
    fn every_event_has_ids_of_its_own() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        for id in [one, other] {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert!(id[14..].starts_with('4') && ["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
        }
    }
}
