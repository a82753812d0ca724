//! Is there an entry for this very role, and if not, which one was meant to be it?

use serde_json::json;

use super::super::facts::{NearMiss, is_same_set, permission_set};
use super::{Answer, Standing, View, made};
use crate::commands::quoted;
use crate::model::{EntryType, RoleArn, RoleState};

impl View<'_> {
    pub(super) fn no_entry(&self) -> Answer {
        let standing = self.standing();
        match (&standing, self.role_unread()) {
            (Standing::Seen(entry), _) => Answer::no(format!("The role has an entry: {}.", made(entry))),
            (Standing::Listed(_), _) => Answer::no("The role has an entry."),
            (Standing::NoEntries, _) => Answer::yes(
                "The cluster has no access entries.",
                "Let the cluster use access entries first: see configMapMode.",
            ),
            (Standing::NotActive, _) => self.entries_hidden(),
            (Standing::NotTold(fault), _) => Answer::unread(fault),
            // The ARN as given may not be the role's: its name is all that is certain.
            (Standing::None, Some(fault)) if self.of_this_name().next().is_some() => Answer::unread(fault),
            (Standing::None, _) => Answer::yes(
                format!("The cluster has no entry for {}.", self.role_in_words()),
                format!(
                    "If the deployed function archived the entry, access-entry-guard restore creates it again with \
                     everything that it had. Otherwise, if the role should have access, create an entry. {}",
                    self.creation()
                ),
            ),
        }
    }

    pub(super) fn other_path(&self) -> Answer {
        let nearest = self.of_this_name().next();
        match (self.standing(), self.role_unread(), nearest) {
            (Standing::None | Standing::NotTold(_), None, Some(near)) => Answer::yes(
                format!(
                    "The cluster has an entry for {}. The role's ARN is {}, and EKS treats the two as different \
                     principals.",
                    in_words(near),
                    self.role_in_words()
                ),
                format!(
                    "If the role is to have the access, create an entry for its own ARN. {}{}",
                    self.creation(),
                    self.left_over("While this role exists, none can have that ARN; how to delete that entry", near)
                ),
            ),
            (_, Some(fault), Some(near)) => Answer::not_told(
                format!(
                    "The cluster has an entry for {}. IAM did not show the role, so its own ARN is not known ({fault}).",
                    in_words(near)
                ),
                super::remedy(fault),
            ),
            (Standing::Seen(_) | Standing::Listed(_), Some(fault), None) => Answer::not_told(
                format!("IAM did not show the role, so it is not known if the entry has the role's ARN ({fault})."),
                super::remedy(fault),
            ),
            (Standing::Seen(_) | Standing::Listed(_), ..) => Answer::no("The entry is for the role's own ARN."),
            (Standing::NoEntries, ..) => Answer::no("The cluster has no access entries."),
            (Standing::NotActive, ..) => self.entries_hidden(),
            (Standing::None | Standing::NotTold(_), _, None) => {
                self.none_listed("The cluster has no entry for a role of this name under another path.")
            }
        }
    }

    /// IAM Identity Center User Guide, "Referencing permission sets in resource policies, Amazon EKS, and AWS KMS".
    pub(super) fn other_suffix(&self) -> Answer {
        let Some((set, _)) = permission_set(&self.facts.name) else {
            return Answer::no("IAM Identity Center did not make this role.");
        };
        if matches!(self.facts.role, RoleState::Absent) {
            return self.succeeded(set);
        }
        let nearest = self.of_own_account().find(|near| is_same_set(&self.facts.name, near.principal.name()));
        match (self.standing(), nearest) {
            (Standing::Seen(_) | Standing::Listed(_), _) => Answer::no("The entry is for the role's own suffix."),
            (Standing::NoEntries, _) => Answer::no("The cluster has no access entries."),
            (Standing::NotActive, _) => self.entries_hidden(),
            (Standing::None | Standing::NotTold(_), Some(near)) => Answer::yes(
                format!(
                    "The cluster has an entry for {}, another role of the permission set {set}. IAM Identity Center \
                     makes a new role, with another suffix, when the permission set is assigned to the account \
                     again. EKS treats the two as different principals.",
                    in_words(near)
                ),
                format!(
                    "If the role is to have the access, create an entry for its own ARN. {}{}",
                    self.creation(),
                    self.left_over("To see whether the other entry is left over, run", near)
                ),
            ),
            (Standing::None | Standing::NotTold(_), None) => {
                self.none_listed("The cluster has no entry for another role of this permission set.")
            }
        }
    }

    /// The role that was asked about is gone: does the permission set have another one?
    fn succeeded(&self, set: &str) -> Answer {
        match &self.facts.successors {
            Err(fault) => Answer::unread(fault),
            Ok(none) if none.is_empty() => {
                Answer::no(format!("The permission set {set} has no role in this account any more."))
            }
            Ok(roles) => {
                let roles: Vec<&str> = roles.iter().map(RoleArn::as_str).collect();
                let roles = roles.join(", ");
                Answer::yes(
                    format!(
                        "The entry is for an earlier role of the permission set {set}. The present role of the \
                         permission set is {roles}. EKS treats the two as different principals."
                    ),
                    "Run explain again for the present role. If the present role should have access, create an entry \
                     for it.",
                )
            }
        }
    }

    pub(super) fn other_account(&self) -> Answer {
        let standing = self.standing();
        let nearest = self.of_other_accounts().next();
        match (&standing, nearest) {
            (Standing::Seen(_) | Standing::Listed(_), _) if self.is_of_other_account() => self.unseen_account(),
            (Standing::Seen(_) | Standing::Listed(_), _) => Answer::no("Role and entry are of this account."),
            (Standing::NoEntries, _) => Answer::no("The cluster has no access entries."),
            (Standing::NotActive, _) => self.entries_hidden(),
            (Standing::None | Standing::NotTold(_), Some(near)) => Answer::yes(
                format!(
                    "The cluster has an entry for {}. The role's ARN is {}: a role of the same name in another account.",
                    in_words(near),
                    self.role_in_words()
                ),
                format!("If this role is to have the access, create an entry for its own ARN. {}", self.creation()),
            ),
            (Standing::None | Standing::NotTold(_), None) => {
                self.none_listed("The cluster has no entry for a role of this name in another account.")
            }
        }
    }

    /// A role of another account is a legal principal of a `STANDARD` entry (EKS User Guide, "Create access entries").
    fn unseen_account(&self) -> Answer {
        let account = self.facts.principal.as_ref().map_or("", |principal| principal.account());
        let since = match self.standing() {
            Standing::Seen(entry) => format!(" If that is later than {}", crate::row::form::rfc3339(entry.created_at)),
            _ => " If that is later than the entry's createdAt".to_owned(),
        };
        Answer::not_told(
            format!(
                "The role is of account {account}. EKS lets such a role in, but its ID and its creation date cannot \
                 be read with these credentials. So it is not known whether the entry is bound to the present role."
            ),
            format!(
                "With credentials of account {account}: aws iam get-role --role-name {} --query Role.CreateDate.{since}, the \
                 entry is stale: delete it and create it again.",
                crate::commands::argument(&self.facts.name)
            ),
        )
    }

    /// Other principals of the role's account with its name.
    pub(super) fn of_this_name(&self) -> impl Iterator<Item = &NearMiss> {
        self.of_own_account().filter(|near| near.principal.name().eq_ignore_ascii_case(&self.facts.name))
    }

    fn of_own_account(&self) -> impl Iterator<Item = &NearMiss> {
        self.facts.near.iter().filter(|near| near.principal.account() == self.account())
    }

    fn of_other_accounts(&self) -> impl Iterator<Item = &NearMiss> {
        self.facts.near.iter().filter(|near| near.principal.account() != self.account())
    }

    fn account(&self) -> &str {
        self.facts.principal.as_ref().map_or(&self.home.account, |principal| principal.account())
    }

    /// Nothing near was found: a list that was not read says nothing.
    fn none_listed(&self, detail: &str) -> Answer {
        match &self.facts.listed {
            Ok(_) => Answer::no(detail),
            Err(fault) => Answer::unread(fault),
        }
    }

    /// What to do with the other entry; `scan` looks at roles of the caller's account only.
    fn left_over(&self, why: &str, near: &NearMiss) -> String {
        if near.principal.is_of(self.home) {
            format!(" {why}: {}", self.scan(near.principal.as_str()))
        } else {
            String::new()
        }
    }

    /// How an entry for the role is created.
    fn creation(&self) -> String {
        let Some(principal) = &self.facts.principal else {
            return "Its ARN is needed for that: aws iam get-role shows it.".to_owned();
        };
        if principal.is_service_linked() {
            return "Only the service can do that, since it is a service-linked role.".to_owned();
        }
        let users = self.users();
        let is_for = |service: &str| users.as_ref().is_some_and(|users| users.are_only(service));
        let (kind, then) = if is_for("ec2") {
            let then = "This type is for Linux nodes. Use EC2_WINDOWS for Windows nodes, EC2 for nodes of Auto Mode, \
                        and STANDARD for anything else on instances.";
            (EntryType::Ec2Linux, then)
        } else if is_for("eks-fargate-pods") {
            (EntryType::FargateLinux, "Nothing else is needed for Fargate pods.")
        } else {
            (
                EntryType::Standard,
                "Then give it its rights: aws eks associate-access-policy, or groups that RBAC knows.",
            )
        };
        let input = json!({
            "clusterName": self.facts.at.name, "principalArn": principal.as_str(), "type": kind.as_str(),
        });
        format!(
            "aws eks create-access-entry --region {} --cli-input-json {}. {then}",
            self.facts.at.region,
            quoted(&input)
        )
    }
}

fn in_words(near: &NearMiss) -> String {
    match &near.entry {
        Some(entry) => format!("{} ({})", near.principal, made(entry)),
        None => near.principal.to_string(),
    }
}
