use serde_json::json;

use super::*;
use crate::event::{Trigger, classify};

const ROLE: &str = "arn:aws:iam::111122223333:role/team/node";

fn invocation(qualifier: &str) -> Invocation {
    let arn = format!("arn:aws:lambda:us-east-1:111122223333:function:guard{qualifier}");
    Invocation::new(arn, "r").expect("an invocation")
}

fn command(payload: &Value) -> Result<Command, String> {
    match classify(payload, &invocation("")) {
        Ok(Trigger::Command(command)) => Ok(command),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn whole(word: &str) -> Value {
    json!({"command": word, "principalArn": ROLE, "clusterName": "prod", "region": "eu-west-1", "roleId": "AROANODE"})
}

fn without(mut payload: Value, names: &[&str]) -> Value {
    for name in names {
        payload.as_object_mut().expect("an object").remove(*name);
    }
    payload
}

#[test]
fn each_command_is_read_with_its_arguments() {
    let principal = RoleArn::parse(ROLE).expect("a role");
    let (name, region) = ("prod".to_owned(), Region("eu-west-1".to_owned()));
    let (cluster_name, some_region) = (Some(name.clone()), Some(region.clone()));
    let (cluster, role_id) = (ClusterRef { region, name }, RoleId("AROANODE".to_owned()));
    for (payload, expected) in [
        (
            without(whole("check"), &["roleId"]),
            Command::Check {
                principal: Some(principal.clone()),
                cluster_name: cluster_name.clone(),
                region: some_region.clone(),
            },
        ),
        (
            json!({"command": "check", "clusterName": "prod", "principalArn": null, "roleId": null}),
            Command::Check { principal: None, cluster_name: cluster_name.clone(), region: None },
        ),
        (
            json!({"command": "repair", "principalArn": ROLE}),
            Command::Repair { principal: principal.clone(), cluster_name: None, region: None },
        ),
        (
            whole("approve"),
            Command::Approve {
                principal: principal.clone(),
                cluster: cluster.clone(),
                role_id: role_id.clone(),
                claimed_by: None,
            },
        ),
        (whole("restore"), Command::Restore { principal, cluster, role_id, claimed_by: None }),
        (json!({"command": "sweep"}), Command::Sweep { cluster_name: None, region: None }),
        (
            json!({"command": "sweep", "clusterName": "prod", "region": "eu-west-1"}),
            Command::Sweep { cluster_name, region: some_region },
        ),
        (
            json!({"command": "inventory", "nextToken": "t"}),
            Command::Inventory { principal: None, cluster_name: None, region: None, next_token: Some("t".to_owned()) },
        ),
    ] {
        let read = command(&payload).expect("a command");
        assert_eq!(read, expected);
        assert_eq!(payload["command"], read.name());
    }
}

#[test]
fn a_missing_or_superfluous_argument_shows_the_commands_row() {
    let one_entry = "it takes principalArn, clusterName, region, roleId (required)";
    for (payload, problem, row) in [
        (
            json!({"command": "check"}),
            "principalArn or clusterName is missing",
            "principalArn or clusterName (at least one), region (optional)",
        ),
        (
            json!({"command": "check", "region": "eu-west-1"}),
            "principalArn or clusterName is missing",
            "(at least one)",
        ),
        (whole("check"), "\"roleId\" is superfluous", "region (optional)"),
        (
            json!({"command": "repair"}),
            "principalArn is missing",
            "principalArn (required), clusterName, region (optional)",
        ),
        (
            json!({"command": "sweep", "principalArn": ROLE}),
            "\"principalArn\" is superfluous",
            "clusterName, region (optional)",
        ),
        (
            json!({"command": "sweep", "ClusterName": "prod"}),
            "\"ClusterName\" is superfluous",
            "clusterName, region (optional)",
        ),
        (
            json!({"command": "sweep", "nextToken": "t"}),
            "\"nextToken\" is superfluous",
            "clusterName, region (optional)",
        ),
        (whole("inventory"), "\"roleId\" is superfluous", "nextToken (optional)"),
        (without(whole("approve"), &["roleId"]), "roleId is missing", one_entry),
        (without(whole("approve"), &["region"]), "region is missing", one_entry),
        (without(whole("restore"), &["clusterName"]), "clusterName is missing", one_entry),
    ] {
        let error = command(&payload).expect_err("an error");
        assert!(error.contains(problem) && error.contains(row), "{error}");
    }
}

#[test]
fn a_malformed_argument_is_an_error_and_never_widens_the_command() {
    for (name, value) in [
        ("principalArn", json!("arn:aws:iam::444455556666:role/node")),
        ("principalArn", json!("arn:aws-cn:iam::111122223333:role/node")),
        ("principalArn", json!("arn:aws:iam::111122223333:user/bob")),
        ("principalArn", json!("arn:aws:sts::111122223333:assumed-role/node/x")),
        ("principalArn", json!("node")),
        ("principalArn", json!([ROLE])),
        ("clusterName", json!("")),
        ("clusterName", json!("prod*")),
        ("clusterName", json!("-prod")),
        ("clusterName", json!("x".repeat(101))),
        ("region", json!("")),
        ("region", json!("all")),
        ("region", json!("eu-west-1.evil.example")),
        ("roleId", json!("")),
        ("roleId", json!("AROA*")),
        ("roleId", json!(7)),
    ] {
        let mut payload = whole("approve");
        payload[name] = value;
        let error = command(&payload).expect_err("an error");
        assert!(error.contains(&format!("{name} must be")) && error.contains("(required)"), "{error}");
    }
}

#[test]
fn forget_takes_the_key_of_any_row_and_the_breakers_alone() {
    let forget = |principal: &str| json!({"command": "forget", "principalArn": principal, "clusterName": "prod", "region": "eu-west-1"});
    let key = |principal: &str| {
        let cluster = ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() };
        RowKey::Entry { principal: principal.to_owned(), cluster }
    };
    for principal in [ROLE, "arn:aws:iam::444455556666:role/node", "written by a stranger"] {
        let expected = Command::Forget { key: key(principal), even_open: false, claimed_by: None };
        assert_eq!(command(&forget(principal)), Ok(expected));
    }
    let breaker = Command::Forget { key: RowKey::Breaker, even_open: false, claimed_by: None };
    assert_eq!(command(&json!({"command": "forget", "principalArn": "#breaker"})), Ok(breaker));
    for (name, value, problem) in [
        ("evenOpen", json!("true"), "evenOpen must be true or false"),
        ("roleId", json!("AROAX"), "superfluous"),
        ("region", json!("eu#west"), "must not contain #"),
        ("clusterName", json!("pr\nod"), "clusterName must be"),
        ("principalArn", json!(""), "principalArn must be"),
        ("principalArn", json!("#breaker"), "superfluous"),
        ("clusterName", json!(null), "clusterName is missing"),
        ("claimedBy", json!("ana"), "claimedBy must be"),
    ] {
        let mut payload = forget(ROLE);
        payload[name] = value;
        let error = command(&payload).expect_err("an error");
        assert!(error.contains(problem) && error.contains("evenOpen, claimedBy (optional)"), "{error}");
    }
}

#[test]
fn an_unknown_command_names_the_known_ones() {
    for word in [json!("delete"), json!("Check"), json!(""), json!(null), json!({"x": 1})] {
        let error = command(&json!({"command": word})).expect_err("an error");
        assert!(error.contains("check, repair, approve, restore, forget, sweep, inventory"), "{error}");
    }
}

#[test]
fn only_the_alias_approve_may_release_and_restore() {
    for word in ["check", "repair", "approve", "restore", "forget", "sweep"] {
        let payload = match word {
            "sweep" => json!({"command": word}),
            "approve" | "restore" => whole(word),
            _ => without(whole(word), &["roleId"]),
        };
        let read = command(&payload).expect("a command");
        assert_eq!(authorize(read.clone(), &invocation(":approve")).map(Authorized::into_command), Ok(read.clone()));
        for qualifier in ["", ":events", ":$LATEST"] {
            let answer = authorize(read.clone(), &invocation(qualifier)).map(|_| ());
            if matches!(word, "approve" | "restore" | "forget") {
                let error = answer.expect_err("an error").to_string();
                assert!(error.starts_with(word) && error.ends_with(":111122223333:function:guard:approve"), "{error}");
            } else {
                assert_eq!(answer, Ok(()), "{word} {qualifier}");
            }
        }
    }
}
