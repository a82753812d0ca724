//! Reads the [`Facts`]: cluster, entries, role, and the entries that may have been meant for it.

use futures::future::{join_all, join3};
use time::OffsetDateTime;

use super::asked::RoleAsked;
use super::facts::{Facts, Listed, NearMiss, is_near, is_same_set, permission_set};
use super::uses;
use crate::aws::eks::{Eks, Entries};
use crate::aws::{Priority, Reads};
use crate::fault::Fault;
use crate::impact::{UserKind, Users};
use crate::model::{AccessEntry, AccessPolicy, Cluster, ClusterAccess, ClusterRef, Home, RoleArn, RoleState};

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// The most near misses that are described: more of them would say nothing new.
const NEAR_MISSES: usize = 5;

/// What was named does not exist, so there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// The cluster.
    #[error("there is no EKS cluster {} in {}; check the name and the Region", .0.name, .0.region)]
    Cluster(ClusterRef),
    /// The role, and no entry names it.
    #[error(
        "there is no IAM role {name} in account {account}, and no entry for it was seen in cluster {cluster}; check the \
         name{hint}"
    )]
    Role {
        /// As asked.
        name: String,
        /// The caller's account.
        account: String,
        /// The cluster that was looked at.
        cluster: String,
        /// Which roles of the permission set exist, if any.
        hint: String,
    },
}

/// Reads everything; what cannot be read is a fault among the facts.
pub(super) async fn look(
    reads: &Reads,
    home: &Home,
    at: &ClusterRef,
    asked: &RoleAsked,
    now: OffsetDateTime,
) -> Result<Facts, NotThere> {
    let eks = reads.eks(&at.region, AT_ONCE).at(Priority::Survey);
    let role = async {
        match asked {
            RoleAsked::Arn(arn) if !arn.is_of(home) => RoleState::unread("a role of another account"),
            _ => reads.get_role(asked.name()).await,
        }
    };
    let (cluster, listed, role) =
        join3(eks.describe_cluster_and_access(&at.name), eks.list_access_entries(&at.name), role).await;
    let cluster = match cluster {
        Ok(Some(cluster)) => Ok(cluster),
        Ok(None) => return Err(NotThere::Cluster(at.clone())),
        Err(fault) => Err(fault),
    };
    let listed = match (listed, &cluster) {
        (Ok(Entries::Unsupported), _) => Ok(Listed::Unsupported),
        // A cluster that does not exist has no entries either.
        (Ok(Entries::Known(none)), Err(fault)) if none.is_empty() => Err(fault.clone()),
        (Ok(Entries::Known(principals)), _) => Ok(Listed::Principals(principals)),
        (Err(fault), _) => Err(fault),
    };
    let successors = match &role {
        RoleState::Absent if permission_set(asked.name()).is_some() => successors(reads, asked.name()).await,
        _ => Ok(Vec::new()),
    };
    let like = like(&listed, home, asked);
    let principal = principal(&role, home, asked, &like);
    let entry = match (&principal, &role) {
        (Some(principal), _) => match eks.describe_access_entry(&at.name, principal.as_str()).await {
            Ok(Entries::Known(Some(entry))) => Ok(Some(entry)),
            // "Not found" may be about the cluster, too.
            Ok(_) => cluster_is_there(&cluster, &listed).map(|()| None),
            Err(fault) => Err(fault),
        },
        (None, RoleState::Unreadable(fault)) => Err(fault.clone()),
        (None, _) => Ok(None),
    };
    let is_listed = principal.as_ref().is_some_and(|principal| like.contains(principal));
    if matches!(role, RoleState::Absent) && !is_listed && !matches!(entry, Ok(Some(_))) {
        return Err(no_such_role(asked, home, at, successors.as_deref().unwrap_or_default()));
    }
    let misses = like.into_iter().filter(|arn| Some(arn) != principal.as_ref()).take(NEAR_MISSES);
    let misses = join_all(misses.map(|principal| near_miss(&eks, at, principal)));
    let (policies, near, users) = join3(policies(&eks, at, &entry), misses, users(&eks, at, &role, &entry)).await;
    Ok(Facts {
        at: at.clone(),
        cluster,
        listed,
        name: asked.name().to_owned(),
        principal,
        role,
        role_read_at: now,
        entry,
        policies,
        near,
        users,
        successors,
    })
}

/// What nodes the cluster has, with their roles: read only if the entry could be one for nodes.
async fn users(eks: &Eks, at: &ClusterRef, role: &RoleState, entry: &Result<Option<AccessEntry>, Fault>) -> Users {
    match (role, entry) {
        (RoleState::Present(role), Ok(Some(_)))
            if uses::Users::of_role(role).is_none_or(|it| !it.node_types().is_empty()) =>
        {
            eks.users(&at.name, &[UserKind::OF_NODES.to_vec()]).await
        }
        _ => Users::default(),
    }
}

/// The roles among the principals that may have been meant, the nearest first: of the account and the name, of the permission
/// set, of the name in another account.
fn like(listed: &Result<Listed, Fault>, home: &Home, asked: &RoleAsked) -> Vec<RoleArn> {
    let Ok(Listed::Principals(principals)) = listed else { return Vec::new() };
    let account = match asked {
        RoleAsked::Arn(arn) => arn.account(),
        RoleAsked::Name(_) => &home.account,
    };
    let roles = principals.iter().filter_map(|principal| RoleArn::parse(principal));
    let mut like: Vec<RoleArn> = roles.filter(|role| is_near(asked.name(), account, role)).collect();
    like.sort_by_cached_key(|role| {
        (role.account() != account, !role.name().eq_ignore_ascii_case(asked.name()), role.as_str().to_owned())
    });
    like
}

/// The ARN whose entry counts: the one that IAM shows for the name, since a name is unique in its account (IAM API Reference,
/// `CreateRole`). Without a role it is the one that was given, or that of an entry for the name.
fn principal(role: &RoleState, home: &Home, asked: &RoleAsked, like: &[RoleArn]) -> Option<RoleArn> {
    let given = match asked {
        RoleAsked::Arn(arn) => Some(arn),
        RoleAsked::Name(_) => None,
    };
    match role {
        RoleState::Present(role) => Some(role.arn.clone()),
        RoleState::Unreadable(_) => given.cloned(),
        RoleState::Absent => {
            let is_left = |arn: &&RoleArn| arn.is_of(home) && arn.name().eq_ignore_ascii_case(asked.name());
            let listed = given.filter(|given| like.contains(given));
            listed.or_else(|| like.iter().find(is_left)).or(given).cloned()
        }
    }
}

/// Whether something says that the cluster exists: it was described, or it has entries.
fn cluster_is_there(
    cluster: &Result<(Cluster, ClusterAccess), Fault>,
    listed: &Result<Listed, Fault>,
) -> Result<(), Fault> {
    match (cluster, listed) {
        (Ok(_), _) | (_, Ok(_)) => Ok(()),
        (Err(fault), Err(_)) => Err(fault.clone()),
    }
}

async fn policies(
    eks: &Eks,
    at: &ClusterRef,
    entry: &Result<Option<AccessEntry>, Fault>,
) -> Result<Vec<AccessPolicy>, Fault> {
    match entry {
        Ok(Some(entry)) => eks.list_associated_access_policies(&at.name, &entry.principal_arn, &entry.kind).await,
        Ok(None) => Ok(Vec::new()),
        Err(fault) => Err(fault.clone()),
    }
}

async fn near_miss(eks: &Eks, at: &ClusterRef, principal: RoleArn) -> NearMiss {
    let entry = match eks.describe_access_entry(&at.name, principal.as_str()).await {
        Ok(Entries::Known(entry)) => entry,
        Ok(Entries::Unsupported) | Err(_) => None,
    };
    NearMiss { principal, entry }
}

/// The present roles of the permission set that a role was made for.
async fn successors(reads: &Reads, name: &str) -> Result<Vec<RoleArn>, Fault> {
    let roles = reads.list_roles().await?;
    Ok(roles.iter().map(|role| role.arn.clone()).filter(|arn| is_same_set(name, arn.name())).collect())
}

fn no_such_role(asked: &RoleAsked, home: &Home, at: &ClusterRef, successors: &[RoleArn]) -> NotThere {
    let hint = match successors {
        [] => String::new(),
        roles => {
            let roles: Vec<&str> = roles.iter().map(RoleArn::as_str).collect();
            format!(", or give the present role of the permission set: {}", roles.join(", "))
        }
    };
    NotThere::Role { name: asked.name().to_owned(), account: home.account.clone(), cluster: at.name.clone(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_miss_comes_first_however_many_accounts_have_a_role_of_the_name() {
        let home = Home { partition: "aws".to_owned(), account: "999999999999".to_owned() };
        let (own, set) = ("arn:aws:iam::999999999999:role", "AWSReservedSSO_Admin");
        let (name, other) = (format!("{set}_1234567890abcdef"), format!("{set}_0000000000000000"));
        let mut principals: Vec<String> = (0..10).map(|n| format!("arn:aws:iam::11112222333{n}:role/{name}")).collect();
        principals.extend([format!("{own}/{other}"), format!("{own}/unlike"), format!("{own}/team/{name}")]);
        principals.push("arn:aws:iam::999999999999:root".to_owned());
        let like = like(&Ok(Listed::Principals(principals)), &home, &RoleAsked::Name(name.clone()));
        let like: Vec<&str> = like.iter().map(RoleArn::as_str).collect();
        assert_eq!(like[..2], [format!("{own}/team/{name}"), format!("{own}/{other}")]);
        assert_eq!(like.len(), 12);
    }
}
