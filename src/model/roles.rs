use std::collections::BTreeMap;

use super::{Home, Principal, Role, RoleState};

/// Every role of the account, as one list of IAM showed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Role>);

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().map(|role| (role.arn.as_str().to_owned(), role)).collect())
    }
}

impl Roles {
    /// The role of this ARN.
    #[must_use]
    pub fn get(&self, arn: &str) -> Option<&Role> {
        self.0.get(arn)
    }

    /// All of them, by ARN.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.values()
    }

    /// What the list says of an entry's principal: a role of the account that is not in it does not exist; of anyone else it
    /// says nothing.
    #[must_use]
    pub fn state_of(&self, principal: &Principal, home: &Home) -> RoleState {
        match principal.role() {
            Some(arn) if arn.is_of(home) => {
                self.get(arn.as_str()).map_or(RoleState::Absent, |role| RoleState::Present(role.clone()))
            }
            _ => RoleState::unread("not a role of this account"),
        }
    }
}
