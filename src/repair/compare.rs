//! Is it still the entry, the role and the permission that the row was opened for? Asked by the decision, and in part once more by
//! the deletion directly before it is sent.

use super::step::{Attempt, Origin, Rules};
use crate::guardrail::Refusal;
use crate::model::{Cluster, Role};
use crate::outcome::Hold;
use crate::row::{Before, Repair};
use crate::sighting::Examined;
use crate::verdict::is_older;

/// Why the guardrails no longer let a row that this invocation opened go on, if so: a trust policy or a tag may have
/// changed since. A row that an earlier invocation opened has its permit in the ledger.
pub(super) fn review_again(
    repair: &Repair,
    attempt: &Attempt,
    rules: &Rules<'_>,
    cluster: &Cluster,
    role: &Role,
) -> Option<Hold> {
    if attempt.origin == Origin::Continued {
        return None;
    }
    match (rules.review)(&repair.wanted, cluster, role) {
        Err(Refusal::Hold(reason)) => Some(reason),
        Ok(_) | Err(Refusal::Observed) => None,
    }
}

/// Whether role and entry are those that the row was opened for.
pub(super) fn is_as_it_was(repair: &Repair, rules: &Rules<'_>, role: &Role, entry: &Examined) -> bool {
    let recorded = match &repair.before {
        Before::Recorded(good) => Some(&good.role_id),
        _ => None,
    };
    let is_stale = is_older(&entry.entry, role.created_at) || recorded.is_some_and(|id| *id != role.id);
    role.id == repair.permitted.role_id
        && entry.entry.arn == repair.target.arn()
        && is_stale
        && is_as_wanted(repair, rules, entry)
}

/// Whether the entry is as the row has it; our own creation may still lack policies.
pub(super) fn is_as_wanted(repair: &Repair, rules: &Rules<'_>, entry: &Examined) -> bool {
    let present = entry.snapshot();
    if repair.is_of_ours() {
        present.is_recreation_of(&repair.wanted, rules.principal)
    } else {
        present == repair.wanted
    }
}

/// Whether the entry is what a creation makes of the row, and nothing more: policies are associated only after the row has
/// the creation's ARN.
pub(super) fn is_as_sent(repair: &Repair, rules: &Rules<'_>, entry: &Examined) -> bool {
    entry.policies.is_empty() && entry.snapshot().is_recreation_of(&repair.wanted, rules.principal)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::is_as_it_was;
    use crate::guardrail::Refusal;
    use crate::repair::decide::tests::worlds::rows;
    use crate::repair::fixture::{arn, entry, principal, role, role_id};
    use crate::repair::step::Rules;
    use crate::row::{Before, Phase, SeenGood, Target};

    #[test]
    fn an_entry_that_is_younger_than_its_role_is_stale_only_if_it_was_recorded_for_another_role() {
        let principal = principal();
        let review = |_: &_, _: &_, _: &_| Err(Refusal::Observed);
        let rules = Rules { principal: &principal, settle: Duration::ZERO, is_unattended: true, review: &review };
        let (role, seen) = (role(4), entry(9, &["viewers"], &[]));
        let mut repair = rows().into_iter().find(|repair| repair.phase == Phase::Opened).expect("an opened row");
        (repair.target, repair.wanted) = (Target::OfOwner(arn(9)), seen.snapshot());
        for (recorded, is_stale) in [(role_id(1), true), (role.id.clone(), false)] {
            repair.before = Before::Recorded(SeenGood { role_id: recorded, verified_at: None });
            assert_eq!(is_as_it_was(&repair, &rules, &role, &seen), is_stale);
        }
    }
}
