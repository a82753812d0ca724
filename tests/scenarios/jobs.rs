//! What changes access entries, as data: each job with the world that it begins in, what begins it, and how a world that
//! it was done in is compared with another. Cuts, faults, pairs and races are laid over these.

use access_entry_guard::error::Error;
use serde_json::{Value, json};

use crate::cloud::{Entry, EntrySpec, Role};
use crate::stage::{LEDGER, Stage, command_for};

/// Whether every combination is asked for, rather than a part of them that takes seconds.
pub fn is_everything_asked() -> bool {
    std::env::var("EVERY").is_ok_and(|every| every == "1")
}

/// The name of the role that everything is about.
pub const ROLE: &str = "role";
/// Its ARN.
pub const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/role";

/// What there is to do about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// The role was recreated; the event of it arrives, and nothing has to wait for a person.
    Repair,
    /// The role was recreated, and everything waits for a person, who approves it.
    Approval,
    /// The role was recreated and no event told of it; a sweep finds the entry.
    Sweep,
    /// The role was deleted; its entry is to be removed.
    Removal,
    /// The entry was removed and the role created again; a person asks for the entry.
    Restoration,
}

/// A world in which a job is due.
pub struct Scene {
    pub stage: Stage,
    /// The role as it is when the job begins; of a removal: as it was.
    pub role: Role,
    /// The entry as its owner had it.
    pub before: Entry,
    alias: &'static str,
    trigger: Value,
}

/// How a world ended, without what differs from run to run: moments, versions, leases and IDs.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The entry in the owner's words and whom it lets in; `None` where there is none.
    pub entry: Option<(String, &'static str)>,
    /// All rows of the ledger.
    pub rows: Vec<Value>,
}

impl Job {
    /// Sets the stage up to the moment at which the job is due; no call counts before it.
    pub async fn due(self, spec: EntrySpec) -> Scene {
        let hold = if matches!(self, Self::Repair | Self::Sweep) { "none" } else { "all" };
        self.due_on(Stage::set().with("HOLD", hold), spec).await
    }

    /// The same on a stage with settings of its own.
    pub async fn due_on(self, stage: Stage, spec: EntrySpec) -> Scene {
        let stage = match self {
            Self::Removal | Self::Restoration => stage.with("ON_ROLE_DELETED", "remove"),
            Self::Repair | Self::Approval | Self::Sweep => stage,
        };
        let mut role = stage.role_with(ROLE, spec).await;
        let before = stage.entry(&role).expect("the entry was just made");
        let (alias, trigger) = match self {
            Self::Repair => {
                role = stage.recreate(ROLE).await;
                ("events", stage.created(&role))
            }
            Self::Approval => {
                role = stage.recreate(ROLE).await;
                ("approve", command_for("approve", &role))
            }
            Self::Sweep => {
                // Another role, of whose creation no event told either: the sweep asks whether any event arrived.
                stage.cloud.add_role("another");
                tokio::time::sleep(std::time::Duration::from_hours(1)).await;
                role = stage.recreate(ROLE).await;
                ("events", json!({"command": "sweep"}))
            }
            Self::Removal => {
                stage.cloud.delete_role(ROLE);
                ("events", stage.deleted(ROLE))
            }
            Self::Restoration => {
                stage.cloud.delete_role(ROLE);
                stage.deliver(stage.deleted(ROLE)).await.expect("a removal");
                assert_eq!(stage.entry(&role), None, "removed before it is restored");
                role = stage.cloud.add_role(ROLE);
                stage.settle().await;
                ("approve", command_for("restore", &role))
            }
        };
        stage.cloud.clear_calls();
        Scene { stage, role, before, alias, trigger }
    }
}

impl Scene {
    /// What begins the job, and begins it again.
    pub async fn begin(&self) -> Result<Value, Error> {
        self.begin_on(&self.stage).await
    }

    /// The same on another hold of the stage, such as one that has a door.
    pub async fn begin_on(&self, stage: &Stage) -> Result<Value, Error> {
        stage.invoke_as(self.alias, self.trigger.clone()).await
    }

    /// A person looks, and gives the present role what the entry's owner had given: approves what stands there, asks
    /// for what does not.
    pub async fn release(&self) -> Result<Value, Error> {
        let role = self.stage.cloud.role(ROLE);
        let name = if self.stage.entry(&role).is_some() { "approve" } else { "restore" };
        self.stage.invoke_as("approve", command_for(name, &role)).await
    }

    /// Whether the role is let in, as what the entry's owner had set.
    pub fn is_whole(&self) -> bool {
        let entry = self.stage.entry(&self.role);
        self.stage.admits(ROLE) && entry.is_some_and(|entry| owned(&entry) == owned(&self.before))
    }

    /// How the world ended.
    pub fn ending(&self) -> Ending {
        let present = self.stage.cloud.with(|world| world.roles.get(ROLE).map(|role| role.id.clone()));
        let entry = self.stage.entry(&self.role);
        let lets_in = |entry: &Entry| match &present {
            Some(id) if *id == entry.bound_to => "lets the role in",
            _ => "lets nobody in",
        };
        let rows = self.stage.cloud.rows(LEDGER).into_iter().map(|row| {
            let mut row = Value::Object(row);
            let object = row.as_object_mut().expect("a row is an object");
            for of_this_run in ["version", "verifiedAt", "leaseOwner", "leaseUntil"] {
                object.remove(of_this_run);
            }
            // Which of two that may do it was first.
            if object.get("state") == Some(&json!("recorded")) {
                object.remove("grounds");
            }
            for moment in ["archivedAt", "expiresAt", "deletionSentAt", "creationSentAt"] {
                object.get_mut(moment).into_iter().for_each(|at| *at = json!("some time"));
            }
            for arn in ["accessEntryArn", "createdEntryArn"] {
                let is_present = |arn: &Value| entry.as_ref().is_some_and(|entry| *arn == entry.arn);
                let word = |arn: &Value| if is_present(arn) { "the one that stands" } else { "one before" };
                object.get_mut(arn).into_iter().for_each(|arn| *arn = json!(word(arn)));
            }
            for id in ["roleId", "permittedRoleId"] {
                let word = |id: &Value| {
                    if Some(id.as_str().unwrap_or_default()) == present.as_deref() {
                        "the present"
                    } else {
                        "one before"
                    }
                };
                object.get_mut(id).into_iter().for_each(|id| *id = json!(word(id)));
            }
            object.get_mut("snapshot").and_then(Value::as_object_mut).into_iter().for_each(|it| {
                it.remove("createdAt");
                // Nobody but AWS can set these, so the entry comes back without them.
                it.get_mut("tags")
                    .and_then(Value::as_object_mut)
                    .into_iter()
                    .for_each(|tags| tags.retain(|key, _| !key.starts_with("aws:")));
            });
            row
        });
        Ending { rows: rows.collect(), entry: entry.as_ref().map(|entry| (owned(entry), lets_in(entry))) }
    }
}

/// What an entry's owner set, in one comparable line.
pub fn owned(entry: &Entry) -> String {
    let mut policies: Vec<_> = entry.policies.iter().map(|p| (&p.policy_arn, &p.scope, &p.namespaces)).collect();
    policies.sort();
    let tags: Vec<_> = entry.tags.iter().filter(|(key, _)| !key.starts_with("aws:")).collect();
    format!("{:?}", (&entry.kind, &entry.username, &entry.groups, tags, policies))
}

/// Whether two entries are the same to their owner: groups and namespaces are sets.
pub fn is_same_to_its_owner(one: &Entry, other: &Entry) -> bool {
    let in_order = |entry: &Entry| {
        let mut entry = entry.clone();
        entry.groups.sort();
        entry.policies.iter_mut().for_each(|policy| policy.namespaces.sort());
        owned(&entry)
    };
    in_order(one) == in_order(other)
}

/// A node's entry.
pub fn node() -> EntrySpec {
    EntrySpec::of_type("EC2_LINUX").tag("a", "b")
}
