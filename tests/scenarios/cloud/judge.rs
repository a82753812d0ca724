//! The judge: who may really enter a cluster. As EKS decides it, by role ID and ARN together, and as no API shows it.
//! [AWS-1] [AWS-8]

use super::Cloud;
use super::entries::Policy;
use super::world::World;

/// Who a role is inside a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The entry's user name, templates unexpanded.
    pub username: String,
    /// The entry's groups.
    pub groups: Vec<String>,
    /// The entry's access policies.
    pub policies: Vec<Policy>,
}

/// Why the API server answers 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unauthorized {
    /// There is no such role, so nobody can present its credentials.
    NoRole,
    /// There is no such cluster, or it does not look at access entries.
    NoCluster,
    /// The cluster has no entry for exactly this ARN.
    NoEntry,
    /// The entry is bound to another role ID: that of a role that was deleted.
    BoundToAnother {
        /// The ID that the entry stores.
        bound_to: String,
        /// The ID that the role has.
        role_id: String,
    },
}

impl Cloud {
    /// Presents a role's credentials to a cluster.
    pub fn authenticate(&self, region: &str, cluster: &str, role_name: &str) -> Result<Identity, Unauthorized> {
        self.with(|world| {
            let role = world.roles.get(&role_name.to_lowercase()).cloned().ok_or(Unauthorized::NoRole)?;
            admit(world, region, cluster, &role.arn, role.id)
        })
    }

    /// Presents a session's credentials to a cluster: what counts is the role that the session was made for.
    #[allow(dead_code, reason = "tests/local_aws uses it")]
    pub fn authenticate_session(&self, region: &str, cluster: &str, key: &str) -> Result<Identity, Unauthorized> {
        self.with(|world| {
            let session = world.session(key).cloned().ok_or(Unauthorized::NoRole)?;
            let mut identity = admit(world, region, cluster, &session.role_arn, session.role_id)?;
            let name = identity.username.replace("{{SessionName}}", &session.name.replace('@', "-"));
            identity.username = name.replace("{{SessionNameRaw}}", &session.name);
            Ok(identity)
        })
    }

    /// Whether a role may enter a cluster.
    pub fn admits(&self, region: &str, cluster: &str, role_name: &str) -> bool {
        self.authenticate(region, cluster, role_name).is_ok()
    }
}

fn admit(world: &mut World, region: &str, cluster: &str, arn: &str, role_id: String) -> Result<Identity, Unauthorized> {
    let cluster = world.with_entries(region, cluster).map_err(|_| Unauthorized::NoCluster)?;
    let entry = cluster.entries.get(arn).ok_or(Unauthorized::NoEntry)?;
    if entry.bound_to != role_id {
        return Err(Unauthorized::BoundToAnother { bound_to: entry.bound_to.clone(), role_id });
    }
    Ok(Identity { username: entry.username.clone(), groups: entry.groups.clone(), policies: entry.policies.clone() })
}
