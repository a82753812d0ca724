//! The small world that the tests of the repair share: one principal, one cluster, and entries and roles that are told
//! apart by a number. A greater number was created later.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::config::Config;
use crate::guardrail::{self, Asked, Permit, Request};
use crate::model::{
    AccessEntry, AccessPolicy, AccessScope, Cluster, ClusterRef, EntryType, Home, Region, Role, RoleArn, RoleId,
    Snapshot,
};
use crate::row::Phase;
use crate::sighting::Examined;

/// When number `n` was created.
pub(super) fn born(n: u32) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(10_957) + Duration::seconds(n.into())
}

/// A moment long after everything was created.
pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(18_262)
}

pub(super) fn home() -> Home {
    Home { partition: "aws".to_owned(), account: "111122223333".to_owned() }
}

pub(super) fn principal() -> RoleArn {
    RoleArn::parse("arn:aws:iam::111122223333:role/viewer").expect("the ARN of a role")
}

pub(super) fn at() -> ClusterRef {
    ClusterRef { region: Region("eu-west-1".to_owned()), name: "prod".to_owned() }
}

/// The settings of the tests: nothing is held.
pub(super) fn config(settle: u32) -> Config {
    let settle = settle.to_string();
    Config::from_lookup(|name| match name {
        "LEDGER_TABLE" => Some("ledger".to_owned()),
        "HOLD" => Some("none".to_owned()),
        "SETTLE_SECONDS" => Some(settle.clone()),
        _ => None,
    })
    .expect("settings in order")
}

pub(super) fn cluster(n: u32) -> Cluster {
    Cluster {
        at: at(),
        created_at: born(n),
        is_workable: true,
        role_arn: "arn:aws:iam::111122223333:role/cluster".to_owned(),
        node_role_arn: None,
        tags: BTreeMap::new(),
    }
}

pub(super) fn role_id(n: u32) -> RoleId {
    RoleId(format!("R{n}"))
}

pub(super) fn role(n: u32) -> Role {
    Role { arn: principal(), id: role_id(n), created_at: born(n), trust_policy: None }
}

/// The ARN of the entry with this number.
pub(super) fn arn(n: u32) -> String {
    format!("arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/viewer/E{n}")
}

/// The phase of a repair, as tables of the tests name it.
pub(super) fn phase_in_words(phase: &Phase) -> &'static str {
    match phase {
        Phase::Opened => "opened",
        Phase::DeletionSent { .. } => "deletion sent",
        Phase::CreationSent { .. } => "creation sent",
        Phase::Created { .. } => "created",
    }
}

pub(super) fn policy(name: &str) -> AccessPolicy {
    AccessPolicy {
        policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{name}"),
        access_scope: AccessScope { kind: "cluster".to_owned(), namespaces: Vec::new().into() },
    }
}

/// A `STANDARD` entry with these groups and policies.
pub(super) fn entry(n: u32, groups: &[&str], policies: &[&str]) -> Examined {
    Examined {
        entry: AccessEntry {
            principal_arn: principal().as_str().to_owned(),
            arn: arn(n),
            created_at: born(n),
            modified_at: None,
            kind: EntryType::Standard,
            username: None,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            tags: BTreeMap::new(),
        },
        policies: policies.iter().map(|name| policy(name)).collect(),
    }
}

/// The permit that the guardrails give for this role, in the cluster of the tests.
pub(super) fn permit(role: &Role, snapshot: &Snapshot) -> Permit {
    let (config, home, principal, cluster) = (config(0), home(), principal(), cluster(0));
    guardrail::review(Request {
        config: &config,
        home: &home,
        principal: &principal,
        snapshot,
        cluster: &cluster,
        role,
        asked: &Asked::automatically(),
    })
    .expect("nothing is held")
}
