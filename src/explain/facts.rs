//! What AWS shows about one role in one cluster. Decides nothing; a failed read is a [`Fault`], never "absent".

use time::OffsetDateTime;

use crate::fault::Fault;
use crate::impact::Users;
use crate::model::{
    AccessEntry, AccessPolicy, Cluster, ClusterAccess, ClusterRef, Home, Principal, RoleArn, RoleState,
    is_generated_username,
};
use crate::row::RowRead;
use crate::sighting::{Examined, Sighting};

/// What AWS shows.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The cluster's Region and name.
    pub at: ClusterRef,
    /// The cluster.
    pub cluster: Result<(Cluster, ClusterAccess), Fault>,
    /// The principals of all its entries.
    pub listed: Result<Listed, Fault>,
    /// The name of the role that is asked about.
    pub name: String,
    /// Its ARN; `None` if only its name is known, since IAM did not show it.
    pub principal: Option<RoleArn>,
    /// The role of that ARN. A role of another account cannot be read.
    pub role: RoleState,
    /// When it was asked for.
    pub role_read_at: OffsetDateTime,
    /// The entry of that ARN.
    pub entry: Result<Option<AccessEntry>, Fault>,
    /// The policies of that entry; none if there is no entry.
    pub policies: Result<Vec<AccessPolicy>, Fault>,
    /// The entries of other principals that may have been meant for this role.
    pub near: Vec<NearMiss>,
    /// The node groups and Fargate profiles of the cluster, if the role has an entry and nodes could use it.
    pub users: Users,
    /// The present roles of the permission set, if IAM Identity Center made the role that is asked about and it is gone.
    pub successors: Result<Vec<RoleArn>, Fault>,
}

/// What EKS answers when asked for a cluster's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// The principals of all of them.
    Principals(Vec<String>),
    /// The cluster's authentication mode or its status does not allow any.
    Unsupported,
}

/// An entry of another principal than the one that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// Whose entry it is.
    pub principal: RoleArn,
    /// The entry, if it could be read.
    pub entry: Option<AccessEntry>,
}

impl Facts {
    /// Whether the role belongs to another account than the caller's.
    #[must_use]
    pub fn is_of_other_account(&self, home: &Home) -> bool {
        self.principal.as_ref().is_some_and(|arn| !arn.is_of(home))
    }

    /// The entry with what is known of its role, to be judged as any other entry; without a ledger.
    #[must_use]
    pub fn sighting(&self) -> Option<Sighting> {
        let (Some(principal), Ok(Some(entry))) = (&self.principal, &self.entry) else { return None };
        Some(Sighting {
            at: self.at.clone(),
            cluster: self.cluster.as_ref().ok().map(|(cluster, _)| cluster.clone()),
            principal: Principal::Role(principal.clone()),
            entry: Some(Examined { entry: entry.clone(), policies: self.policies.clone().unwrap_or_default() }),
            row: RowRead::Absent,
            role: self.role.clone(),
            role_read_at: self.role_read_at,
        })
    }

    /// Whether the owner gave the entry groups, or a user name that EKS would not generate: RBAC may give these anything.
    pub(super) fn has_names_of_its_own(&self, entry: &AccessEntry) -> bool {
        let is_own = |username: &String| {
            !username.is_empty() && !self.principal.as_ref().is_some_and(|role| is_generated_username(username, role))
        };
        !entry.groups.is_empty() || entry.username.as_ref().is_some_and(is_own)
    }
}

/// The permission set and the suffix in the name of a role that IAM Identity Center made:
/// `AWSReservedSSO_PERMISSION-SET_SUFFIX`. The suffix is new if the permission set is assigned to the account again (IAM
/// Identity Center User Guide, "Referencing permission sets in resource policies, Amazon EKS, and AWS KMS").
pub(super) fn permission_set(role_name: &str) -> Option<(&str, &str)> {
    let (set, suffix) = role_name.strip_prefix("AWSReservedSSO_")?.rsplit_once('_')?;
    let is_suffix = suffix.len() == 16 && suffix.bytes().all(|b| b.is_ascii_hexdigit());
    (!set.is_empty() && is_suffix).then_some((set, suffix))
}

/// Whether an entry of the one principal may have been meant for the other: the same name in whatever account and under
/// whatever path, or the same permission set.
pub(super) fn is_near(name: &str, account: &str, other: &RoleArn) -> bool {
    let has_name = other.name().eq_ignore_ascii_case(name);
    has_name || (other.account() == account && is_same_set(name, other.name()))
}

/// Whether both are roles of one permission set.
pub(super) fn is_same_set(name: &str, other: &str) -> bool {
    match (permission_set(name), permission_set(other)) {
        (Some((set, _)), Some((other, _))) => set == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permission_set_is_read_from_the_roles_name() {
        assert_eq!(
            permission_set("AWSReservedSSO_Data_Admin_1234567890abcdef"),
            Some(("Data_Admin", "1234567890abcdef"))
        );
        for name in
            ["AWSReservedSSO_Admin", "AWSReservedSSO_Admin_123", "Admin_1234567890abcdef", "AWSReservedSSO__1234"]
        {
            assert_eq!(permission_set(name), None, "{name}");
        }
    }

    #[test]
    fn a_near_entry_has_the_name_anywhere_or_the_permission_set_in_this_account() {
        let near = |name: &str, other: &str| is_near(name, "111122223333", &RoleArn::parse(other).expect("a role"));
        assert!(near("node", "arn:aws:iam::111122223333:role/team/Node"));
        assert!(near("node", "arn:aws:iam::999999999999:role/node"));
        assert!(!near("node", "arn:aws:iam::111122223333:role/node/other"));
        let (old, new) = ("AWSReservedSSO_Admin_1234567890abcdef", "AWSReservedSSO_Admin_fedcba0987654321");
        assert!(near(new, &format!("arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/{old}")));
        assert!(!near(new, &format!("arn:aws:iam::999999999999:role/aws-reserved/sso.amazonaws.com/{old}")));
    }
}
