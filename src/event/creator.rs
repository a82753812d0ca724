//! Who created a role, by `CloudTrail`'s `userIdentity`.
//!
//! Decides which of its members can be believed. A caller chooses session names, tags and source identities, so the
//! session's ARN and name, `principalId` of a session and `userName` say nothing; the role behind the session and the
//! IAM user are `CloudTrail`'s own words. Whether such a creator is trusted is decided elsewhere.

use serde_json::Value;

use super::text;
use crate::model::{Creator, Home, Principal, RoleArn};

/// Reads `userIdentity`; `None` for every identity but an assumed role and an IAM user of this account, and where
/// the identity contradicts itself. IAM creates roles in the caller's account only, so a creator of another account
/// is none.
pub(super) fn read(identity: &Value, home: &Home) -> Option<Creator> {
    let (source, prefix) = match text(identity, "/type")? {
        "AssumedRole" if text(identity, "/sessionContext/sessionIssuer/type") == Some("Role") => {
            (identity.pointer("/sessionContext/sessionIssuer")?, "AROA")
        }
        "IAMUser" => (identity, "AIDA"),
        _ => return None,
    };
    let (arn, unique_id) = (text(source, "/arn")?, text(source, "/principalId")?);
    let is_own = match prefix {
        "AROA" => RoleArn::parse(arn).is_some_and(|role| role.is_of(home)),
        _ => {
            matches!(Principal::parse(arn), Principal::User { account } if account == home.account)
                && arn.strip_prefix("arn:").and_then(|rest| rest.split(':').next()) == Some(&home.partition)
        }
    };
    let is_unique_id = unique_id
        .strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()));
    (is_own && is_unique_id).then(|| Creator { arn: arn.to_owned(), unique_id: unique_id.to_owned() })
}

/// The ARN to show to a person, whatever the identity's type: the role behind a session rather than the session, whose
/// name its caller chose and could choose to mislead.
pub(super) fn shown(identity: &Value) -> Option<String> {
    let arn = text(identity, "/sessionContext/sessionIssuer/arn").or_else(|| text(identity, "/arn"))?;
    let plausible = arn.starts_with("arn:") && arn.len() <= 2048 && arn.bytes().all(|b| b.is_ascii_graphic());
    plausible.then(|| arn.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn home() -> Home {
        Home { partition: "aws".to_owned(), account: "111122223333".to_owned() }
    }

    fn session() -> Value {
        json!({
            "type": "AssumedRole", "principalId": "AROACIDEPLOY:anyone", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/deploy/anyone",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROACIDEPLOY", "userName": "deploy",
                "arn": "arn:aws:iam::111122223333:role/ci/deploy", "accountId": "111122223333"},
                "webIdFederationData": {}, "attributes": {"mfaAuthenticated": "false"}},
        })
    }

    fn user() -> Value {
        json!({"type": "IAMUser", "principalId": "AIDABOB", "arn": "arn:aws:iam::111122223333:user/team/bob",
            "accountId": "111122223333", "userName": "bob",
            "sessionContext": {"sessionIssuer": {}, "attributes": {"mfaAuthenticated": "true"}}})
    }

    #[test]
    fn of_a_session_the_role_behind_it_counts() {
        let creator = read(&session(), &home()).expect("a creator");
        assert_eq!(
            (creator.arn.as_str(), creator.unique_id.as_str()),
            ("arn:aws:iam::111122223333:role/ci/deploy", "AROACIDEPLOY")
        );
        assert_eq!(shown(&session()).as_deref(), Some("arn:aws:iam::111122223333:role/ci/deploy"));
    }

    #[test]
    fn of_an_iam_user_the_user_counts() {
        let creator = read(&user(), &home()).expect("a creator");
        assert_eq!(
            (creator.arn.as_str(), creator.unique_id.as_str()),
            ("arn:aws:iam::111122223333:user/team/bob", "AIDABOB")
        );
    }

    #[test]
    fn every_other_or_inconsistent_identity_is_nobody() {
        let change = |mut identity: Value, pointer: &str, value: Value| {
            *identity.pointer_mut(pointer).expect("a member") = value;
            identity
        };
        let issuer = "/sessionContext/sessionIssuer";
        for identity in [
            json!(null),
            json!("None"),
            json!({}),
            change(session(), "/type", json!("FederatedUser")),
            change(session(), "/type", json!("Role")),
            change(session(), "/type", json!("assumedrole")),
            // Then the caller's words, the session's ARN and ID, would be read as a user's.
            change(session(), "/type", json!("IAMUser")),
            change(session(), &format!("{issuer}/type"), json!("IAMUser")),
            change(session(), &format!("{issuer}/arn"), json!("arn:aws:sts::111122223333:assumed-role/deploy/anyone")),
            change(session(), &format!("{issuer}/arn"), json!("arn:aws:iam::444455556666:role/ci/deploy")),
            change(session(), &format!("{issuer}/arn"), json!("arn:aws-cn:iam::111122223333:role/ci/deploy")),
            change(session(), &format!("{issuer}/arn"), json!("arn:aws:iam::111122223333:user/deploy")),
            change(session(), &format!("{issuer}/principalId"), json!("AROACIDEPLOY:anyone")),
            change(session(), &format!("{issuer}/principalId"), json!("AIDACIDEPLOY")),
            change(session(), &format!("{issuer}/principalId"), json!(7)),
            change(session(), issuer, json!({})),
            change(session(), issuer, json!(null)),
            change(user(), "/principalId", json!("AROABOB")),
            change(user(), "/arn", json!("arn:aws:iam::444455556666:user/team/bob")),
            change(user(), "/arn", json!("arn:aws-cn:iam::111122223333:user/team/bob")),
            change(user(), "/arn", json!("arn:aws:iam::111122223333:root")),
            change(user(), "/type", json!("Root")),
            json!({"type": "AWSService", "invokedBy": "sso.amazonaws.com"}),
            json!({"type": "WebIdentityUser", "principalId": "AROAX", "arn": "arn:aws:iam::111122223333:role/x"}),
        ] {
            assert_eq!(read(&identity, &home()), None, "{identity}");
        }
    }

    #[test]
    fn only_an_arn_is_shown() {
        assert_eq!(
            shown(&json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"})).as_deref(),
            Some("arn:aws:iam::111122223333:root")
        );
        for identity in
            [json!({"arn": "bob"}), json!({"arn": "arn:a\nb"}), json!({"arn": format!("arn:{}", "x".repeat(3000))})]
        {
            assert_eq!(shown(&identity), None);
        }
    }
}
