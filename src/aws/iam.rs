//! IAM: the roles, by name or all of them. IAM is one service for the whole partition and answers eventually: a role
//! just created may be missing or look like its predecessor for a while (IAM User Guide, "Troubleshoot IAM: eventual
//! consistency").

use time::OffsetDateTime;

use super::Reads;
use crate::aws::fault::fault_of;
use crate::fault::{Fault, FaultKind};
use crate::model::{Role, RoleArn, RoleId, RoleState, Roles};
use crate::trust;

impl Reads {
    /// The role of a name, whatever its path: names are unique in an account (IAM API Reference, `CreateRole`).
    ///
    /// Failures are a state of their own, since a failed read must not be taken for absent.
    pub async fn get_role(&self, name: &str) -> RoleState {
        match self.try_get_role(name).await {
            Ok(Some(role)) => RoleState::Present(role),
            Ok(None) => RoleState::Absent,
            Err(fault) => RoleState::Unreadable(fault),
        }
    }

    async fn try_get_role(&self, name: &str) -> Result<Option<Role>, Fault> {
        const OPERATION: &str = "GetRole";
        let reply = self.iam.get_role().role_name(name).send().await;
        match reply.map_err(|e| fault_of(OPERATION, &e)) {
            Ok(reply) => {
                let role = reply.role.ok_or_else(|| Fault::malformed(OPERATION, "Role"))?;
                role_of(OPERATION, &role).map(Some)
            }
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// All roles of the account.
    ///
    /// # Errors
    /// Any [`Fault`]: a part of the list would make the other roles look deleted.
    pub async fn list_roles(&self) -> Result<Roles, Fault> {
        const OPERATION: &str = "ListRoles";
        let mut roles = Vec::new();
        let mut marker = None;
        loop {
            let page = self
                .iam
                .list_roles()
                .max_items(1000)
                .set_marker(marker)
                .send()
                .await
                .map_err(|e| fault_of(OPERATION, &e))?;
            for role in &page.roles {
                roles.push(role_of(OPERATION, role)?);
            }
            if !page.is_truncated {
                return Ok(roles.into_iter().collect());
            }
            marker = page.marker;
            if marker.is_none() {
                return Err(Fault::malformed(OPERATION, "Marker"));
            }
        }
    }
}

fn role_of(operation: &'static str, role: &aws_sdk_iam::types::Role) -> Result<Role, Fault> {
    Ok(Role {
        arn: RoleArn::parse(role.arn()).ok_or_else(|| Fault::malformed(operation, "Arn"))?,
        id: RoleId(role.role_id().to_owned()),
        created_at: OffsetDateTime::from_unix_timestamp(role.create_date().secs())
            .map_err(|_| Fault::malformed(operation, "CreateDate"))?,
        trust_policy: role.assume_role_policy_document().and_then(trust::decode),
    })
}
