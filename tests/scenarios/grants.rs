//! Where the function may grant the view policy only (`ALLOW_PRIVILEGED_GRANTS=false`): nothing is deleted for what IAM
//! would refuse, and the commands in `remedy`, run by a person as they stand, do what the function may not.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Caller, EntrySpec, NewEntry, Policy, World};
use crate::stage::{CLUSTER, REGION, Stage, command_for, everything, outcome, viewer};

/// A function that is told what IAM refuses it, on an AWS that refuses it; nothing else would hold an entry.
fn stage() -> Stage {
    let stage = Stage::set().with("ALLOW_PRIVILEGED_GRANTS", "false").with("HOLD", "none");
    stage.cloud.habits(|habits| habits.privileged_grants_refused = true);
    stage
}

fn privileged() -> Vec<(&'static str, EntrySpec)> {
    vec![
        ("an administrator", EntrySpec::standard().policy("AmazonEKSClusterAdminPolicy")),
        ("one policy too many", viewer().policy_in("AmazonEKSEditPolicy", &["team-*", "default"])),
        ("a group", EntrySpec::standard().groups(&["deployers"]).policy("AmazonEKSViewPolicy")),
        ("a user name", viewer().username("pipelines:{{SessionName}}")),
        ("everything", everything()),
        ("apostrophes", viewer().username("it's:$(id)`id`\"\\").groups(&["a'b", "; rm -rf /"]).tag("o'tag", "v'alue")),
        ("an Auto Mode node", EntrySpec::of_type("EC2").policy("AmazonEKSAutoNodePolicy")),
    ]
}

fn remedy(report: &Value) -> String {
    report["entries"][0]["remedy"].as_str().expect("a remedy").to_owned()
}

/// The words of a command line as a shell takes them: blanks part them, single quotes keep everything, `&&` parts
/// commands. Anything else that a shell would act on fails the test.
fn words(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    // The answer of an invocation goes to a file of its own, and from there to the person.
    let line = line.replace("report=$(mktemp) && ", "").replace(" \"$report\" && cat \"$report\"", "");
    let mut rest = line.as_str();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(' ') {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("&& ") {
            commands.push(Vec::new());
            rest = after;
        } else if let Some(after) = rest.strip_prefix('\'') {
            let (word, after) = after.split_once('\'').expect("a closing quote");
            commands.last_mut().unwrap().push(word.to_owned());
            assert!(after.is_empty() || after.starts_with(' '), "a word ends with its quote: {line}");
            rest = after;
        } else {
            let (word, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-./:_=".contains(c);
            assert!(word.chars().all(plain), "{word} needs quotes in {line}");
            commands.last_mut().unwrap().push(word.to_owned());
            rest = after;
        }
    }
    commands
}

/// The commands of a remedy that change an entry, without what each of them looks at first; `tests/command` and
/// `tests/deployed` run them whole.
fn changes(remedy: &str) -> Vec<Vec<String>> {
    let change = |line: &str| {
        let operations = ["delete-access-entry", "create-access-entry", "associate-access-policy"];
        let start =
            operations.iter().find_map(|operation| line.find(&format!("aws eks {operation}"))).expect("a change");
        let (command, rest) = line[start..].split_once(" '").expect("its input");
        let (input, _) = rest.split_once('\'').expect("a closing quote");
        words(&format!("{command} '{input}'")).remove(0)
    };
    remedy.lines().map(change).collect()
}

/// Does what the AWS CLI would do with the commands, as a person with all rights: under EKS's rules, not IAM's.
fn run(world: &mut World, remedy: &str) {
    for command in changes(remedy) {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let ["aws", "eks", operation, "--region", region, "--cli-input-json", input] = command[..] else {
            panic!("{command:?} is no command about an entry");
        };
        let input: Value = serde_json::from_str(input).expect("JSON");
        let text = |name: &str| input[name].as_str().map(str::to_owned);
        let texts = |value: &Value| {
            value.as_array().map(|all| all.iter().map(|one| one.as_str().unwrap().to_owned()).collect())
        };
        let (cluster, principal_arn) = (text("clusterName").unwrap(), text("principalArn").unwrap());
        match operation {
            "delete-access-entry" => drop(world.delete_entry(region, &cluster, &principal_arn).unwrap()),
            "create-access-entry" => {
                let tags = input["tags"].as_object();
                let tags =
                    tags.map(|tags| tags.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect());
                let groups = texts(&input["kubernetesGroups"]);
                let new = NewEntry { principal_arn, kind: text("type"), username: text("username"), groups, tags };
                world.create_entry(region, &cluster, &new, Caller::Other).unwrap();
            }
            "associate-access-policy" => {
                let scope = &input["accessScope"];
                let policy = Policy {
                    policy_arn: text("policyArn").unwrap(),
                    scope: scope["type"].as_str().unwrap().to_owned(),
                    namespaces: texts(&scope["namespaces"]).unwrap_or_default(),
                };
                world.associate_policy(region, &cluster, &principal_arn, &policy, Caller::Other).unwrap();
            }
            other => panic!("{other} is no operation of a remedy"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_gives_little_is_repaired_without_privileged_grants() {
    for spec in [viewer(), viewer().tag("team", "platform"), EntrySpec::of_type("EC2_LINUX")] {
        let stage = stage();
        stage.role_with("little", spec).await;
        let role = stage.recreate("little").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("repaired", ""));
        assert!(stage.admits("little"));
    }
}

#[tokio::test(start_paused = true)]
async fn without_privileged_grants_what_gives_more_is_held_whoever_asks_and_nothing_is_sent() {
    for (what, spec) in privileged() {
        let stage = stage().with("TRUSTED_CREATORS", "AROAPIPELINE000000001");
        stage.role_with("admin", spec).await;
        let role = stage.recreate("admin").await;
        let entry = stage.entry(&role);

        let by_a_trusted_creator = stage.deliver(stage.created(&role)).await.unwrap();
        let by_a_person = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
        let by_the_schedule = stage.sweep().await;

        for report in [&by_a_trusted_creator, &by_a_person, &by_the_schedule] {
            assert_eq!(outcome(report), ("held", "privileged"), "{what}");
            let detail = report["entries"][0]["detail"].as_str().unwrap();
            assert!(detail.contains("ALLOW_PRIVILEGED_GRANTS=false"), "{detail}");
        }
        assert_eq!(stage.entry(&role), entry, "{what}");
        for operation in ["CreateAccessEntry", "DeleteAccessEntry", "AssociateAccessPolicy"] {
            assert!(stage.cloud.calls_of(operation).is_empty(), "{what}: {operation}");
        }
    }
}

/// EKS answers "in use" before it looks at permissions: a rehearsal would have proved nothing, and the entry be caught.
#[tokio::test(start_paused = true)]
async fn without_privileged_grants_no_entry_is_caught_where_the_rehearsal_proves_nothing() {
    let stage = stage();
    stage.cloud.habits(|habits| habits.in_use_first = true);
    stage.role_with("deployer", EntrySpec::standard().groups(&["deployers"])).await;
    let role = stage.recreate("deployer").await;
    let report = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "privileged"));
    assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty());
}

/// The setting says one thing, IAM another: IAM has the last word, before anything is deleted.
#[tokio::test(start_paused = true)]
async fn what_iam_alone_refuses_is_found_in_the_rehearsal() {
    for (what, spec) in privileged() {
        let stage = stage().with("ALLOW_PRIVILEGED_GRANTS", "true");
        stage.role_with("admin", spec).await;
        let role = stage.recreate("admin").await;
        let entry = stage.entry(&role);
        let report = stage.invoke_as("approve", command_for("approve", &role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "rehearsalRefused"), "{what}");
        assert!(report["entries"][0]["detail"].as_str().unwrap().contains("identity-based policy"), "{report:#}");
        let after = stage.entry(&role).expect("the entry");
        assert_eq!(
            (Some(&after.arn), &after.policies),
            (entry.as_ref().map(|e| &e.arn), &entry.as_ref().unwrap().policies)
        );
        assert!(stage.cloud.calls_of("DeleteAccessEntry").is_empty(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_commands_of_the_remedy_bring_the_entry_back_as_its_owner_had_it() {
    for (what, spec) in privileged() {
        let stage = stage();
        stage.role_with("admin", spec).await;
        let role = stage.recreate("admin").await;
        let before = stage.entry(&role).unwrap();
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert!(!stage.admits("admin"));

        stage.cloud.with(|world| run(world, &remedy(&report)));

        assert!(stage.admits("admin"), "{what}");
        let after = stage.entry(&role).unwrap();
        let mut tags = before.tags.clone();
        tags.retain(|key, _| !key.starts_with("aws:"));
        assert_eq!((&after.kind, &after.username, &after.groups), (&before.kind, &before.username, &before.groups));
        assert_eq!((&after.tags, after.policies.len()), (&tags, before.policies.len()), "{what}");
        assert!(before.policies.iter().all(|policy| after.policies.contains(policy)), "{what}");
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(report["entries"][0]["verdict"], "fresh");
    }
}

/// The setting is switched off between a deletion and its creation: the entry waits in the ledger for a person, whose
/// entry closes the row.
#[tokio::test(start_paused = true)]
async fn an_unfinished_repair_that_may_no_longer_be_finished_is_finished_by_a_person() {
    let stage = Stage::set().with("HOLD", "none");
    stage.role_with("deployer", everything()).await;
    let role = stage.recreate("deployer").await;
    stage.cloud.when("CreateAccessEntry").from(2).fail();
    let _ = stage.deliver(stage.created(&role)).await;
    assert_eq!(stage.entry(&role), None, "the deletion was sent, and no creation followed");
    stage.cloud.lift_faults();
    tokio::time::sleep(Duration::from_mins(5)).await;

    let stage = stage.with("ALLOW_PRIVILEGED_GRANTS", "false");
    stage.cloud.habits(|habits| habits.privileged_grants_refused = true);
    let report = stage.deliver(stage.created(&role)).await.unwrap();
    assert_eq!(outcome(&report), ("held", "privileged"));
    assert_eq!(stage.row(&role).unwrap()["state"], "repairing");

    let commands = remedy(&report);
    assert!(!commands.contains("delete-access-entry"), "{commands}");
    stage.cloud.with(|world| run(world, &commands));
    assert!(stage.admits("deployer"));
    stage.deliver(stage.created(&role)).await.unwrap();
    assert_ne!(stage.row(&role).map(|row| row["state"].clone()), Some(json!("repairing")));
    assert_eq!(stage.entry(&role).unwrap().policies.len(), 2);
}

/// A role's path may hold what a shell acts on, and whoever makes the role chooses it.
#[tokio::test(start_paused = true)]
async fn no_name_can_break_out_of_a_remedy() {
    for hold in ["privileged", "none"] {
        let stage =
            stage().with("HOLD", hold).with("ALLOW_PRIVILEGED_GRANTS", if hold == "none" { "false" } else { "true" });
        let role = stage.cloud.create_role("/a'$(id)&;`id`'/", "trap", "{}");
        tokio::time::sleep(Duration::from_mins(1)).await;
        stage.cloud.add_entry(REGION, CLUSTER, &role.arn, EntrySpec::standard().policy("AmazonEKSAdminPolicy"));
        tokio::time::sleep(Duration::from_hours(1)).await;
        let role = stage.recreate("trap").await;
        let report = stage.deliver(stage.created(&role)).await.unwrap();
        assert_eq!(outcome(&report), ("held", "privileged"));
        let remedy = remedy(&report);
        assert!(!remedy.contains("'$(id)") && !remedy.contains("`'/trap"), "{remedy}");
        let commands = if hold == "none" { changes(&remedy) } else { words(&remedy) };
        assert!(commands.iter().all(|command| command[0] == "aws"), "{commands:?}");
        assert!(commands.iter().flatten().any(|word| word.contains(r"/a\u0027$(id)&;`id`\u0027/trap")), "{commands:?}");
    }
}
