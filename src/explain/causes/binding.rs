//! Is the entry bound to the role that exists? The judgement is `verdict`'s.

use super::{Answer, Standing, View, made};
use crate::model::RoleState;
use crate::outcome::Doubt;
use crate::row::form::rfc3339;
use crate::verdict::{Verdict, judge};

impl View<'_> {
    pub(super) fn stale(&self) -> Answer {
        let standing = self.standing();
        if let Some(answer) = self.without_entry(&standing) {
            return answer;
        }
        let Some(sighting) = self.facts.sighting() else { return Answer::no("The role has no entry in this cluster.") };
        let (entry, role) = (sighting.entry.as_ref().map(|it| made(&it.entry)).unwrap_or_default(), &sighting.role);
        let role = role.role().map(|role| format!("{}, created {}", role.id, rfc3339(role.created_at)));
        let (entry, role) = (entry.as_str(), role.unwrap_or_default());
        match judge(&sighting, self.home) {
            Verdict::Stale(_) => Answer::yes(
                format!(
                    "The entry is older than the role, so it is bound to a deleted role of this ARN: entry {entry}; \
                     role {role}. The cluster refuses every request of the present role (401)."
                ),
                format!(
                    "Delete the entry and create it again with everything that it has. To see what it grants, and \
                     the commands, run: {}",
                    self.scan(self.role_in_words())
                ),
            ),
            Verdict::Fresh(_) => Answer::no(format!("The entry is younger than the role ({role}).")),
            Verdict::Orphaned | Verdict::Missing => Answer::no("The role does not exist, so the entry is not stale."),
            Verdict::Undecided(Doubt::RoleUnreadable(fault)) => Answer::unread(&fault),
            Verdict::Undecided(Doubt::OtherAccount) => Answer::not_told(
                "The entry's date cannot be compared with that of a role of another account.",
                "See otherAccount.",
            ),
            Verdict::Undecided(doubt @ Doubt::ServiceLinkedRole { is_stale: true }) => Answer::yes(
                format!("{} Entry {entry}; role {role}.", doubt.explain()),
                "Follow the service's own steps.",
            ),
            Verdict::Undecided(doubt @ Doubt::ServiceLinkedRole { is_stale: false }) => Answer::no(doubt.explain()),
            Verdict::Undecided(doubt) => Answer::not_told(doubt.explain(), "See the detail."),
        }
    }

    pub(super) fn orphaned(&self) -> Answer {
        let standing = self.standing();
        let entry = match &standing {
            Standing::Seen(entry) => made(entry),
            Standing::Listed(_) => "its dates were not shown".to_owned(),
            _ => match self.without_entry(&standing) {
                Some(answer) => return answer,
                None => String::new(),
            },
        };
        match &self.facts.role {
            RoleState::Present(_) => Answer::no("The role exists."),
            RoleState::Unreadable(_) if self.is_of_other_account() => Answer::not_told(
                "Whether a role of another account exists cannot be seen with these credentials.",
                "See otherAccount.",
            ),
            RoleState::Unreadable(fault) => Answer::unread(fault),
            RoleState::Absent => Answer::yes(
                format!(
                    "There is no role {}, and its entry lets nobody in: {entry}. A role created again under this ARN would \
                     not be let in either.",
                    self.role_in_words()
                ),
                format!(
                    "Find out why the role was deleted. If nobody will create it again, delete the entry. To see \
                     how, run: {}",
                    self.scan(self.role_in_words())
                ),
            ),
        }
    }
}
