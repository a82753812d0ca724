//! IAM: a user by name.

use super::Reads;
use super::fault::fault_of;
use crate::fault::{Fault, FaultKind};
use crate::model::Creator;

impl Reads {
    /// The ARN and unique ID of the IAM user of a name, whatever its path; `None` if there is none.
    ///
    /// # Errors
    /// Any other [`Fault`]: a failed read must not be taken for absent.
    pub async fn get_user(&self, name: &str) -> Result<Option<Creator>, Fault> {
        const OPERATION: &str = "GetUser";
        let reply = self.iam.get_user().user_name(name).send().await;
        match reply.map_err(|e| fault_of(OPERATION, &e)) {
            Ok(reply) => {
                let user = reply.user.ok_or_else(|| Fault::malformed(OPERATION, "User"))?;
                Ok(Some(Creator { arn: user.arn, unique_id: user.user_id }))
            }
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
