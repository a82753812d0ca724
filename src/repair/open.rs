//! How the work on an entry begins: a new row for a stale entry, or the row of an unfinished repair.

use super::calls::{Calls as _, look};
use super::perform::Work;
use super::reconciler::{Reconciler, Wait};
use super::step::{Attempt, NotNow, Origin};
use crate::case::{Case, Purpose};
use crate::config::Mode;
use crate::guardrail::{self, Permit, Refusal};
use crate::limits::LEAST_FOR_A_DELETION;
use crate::model::{Cluster, RoleArn, RoleState};
use crate::outcome::{Delay, Hold, Outcome};
use crate::row::{Before, NotWritten, Permitted, Phase, Repair, Target};
use crate::sighting::{Examined, Sighting};

impl Reconciler<'_> {
    /// Opens the repair of a stale entry, if the guardrails let it, and works on it.
    pub(super) async fn open(&self, case: &mut Case, principal: &RoleArn) -> Option<Outcome> {
        let run = self.run;
        let sighting = case.sighting.clone();
        let (Some(cluster), Some(examined), RoleState::Present(role)) =
            (&sighting.cluster, &sighting.entry, &sighting.role)
        else {
            return Some(case.outcome.clone());
        };
        let permit = match self.review_for(principal, &examined.snapshot(), cluster, role) {
            Ok(permit) => permit,
            Err(Refusal::Hold(reason)) => return Some(Outcome::Held(reason)),
            Err(Refusal::Observed) => return Some(Outcome::WouldRepair),
        };
        match self.wait_for(role.created_at + run.config().settle, role.created_at).await {
            Wait::Over => {}
            // Much may have happened meanwhile.
            Wait::Waited => return None,
            Wait::TooLong(reason) => return Some(Outcome::deferred(reason)),
        }
        let place = match self.begin() {
            Ok(place) => place,
            Err(outcome) => return Some(outcome),
        };
        let repair = opened(&sighting, examined, cluster, principal, &permit);
        let live = self.live(principal, &sighting);
        let mut work = Work {
            principal: principal.clone(),
            cluster: sighting.at.clone(),
            version: sighting.row.version(),
            attempt: Attempt::new(permit, Origin::OpenedHere, &repair, run.now()),
            repair,
        };
        work.repair.lease = Some(self.lease(live.ends()));
        // Nothing is touched before it can be put back. What changed since the survey is seen beside the write.
        let kind = work.repair.wanted.kind.clone();
        let opened = futures::future::join(work.write(&live), look(&live, &kind));
        let (written, world) = Box::pin(opened).await;
        if let Err(problem) = written {
            return Some(Outcome::deferred(problem.reason()));
        }
        let (outcome, was_deletion_sent) = Box::pin(self.converge(case, work, world.ok().map(Box::new), &live)).await;
        live.passage.ended(outcome.as_ref());
        if was_deletion_sent {
            place.use_up();
        }
        outcome
    }

    /// Continues an unfinished repair.
    pub(super) async fn resume(&self, case: &mut Case, principal: &RoleArn, repair: Repair) -> Option<Outcome> {
        let run = self.run;
        let deletion_sent = repair.may_have_deleted();
        if repair.is_leased_to_other(&run.owner, run.now()) {
            return Some(Outcome::Deferred { delay: Delay::LeaseTaken, deletion_sent });
        }
        if let (Purpose::Approve { role_id }, RoleState::Present(role)) = (self.purpose, &case.sighting.role)
            && *role_id != role.id
        {
            let (expected, present) = (role_id.to_string(), role.id.to_string());
            return Some(Outcome::Held(Hold::RoleChanged { expected, present }));
        }
        let permit = match &case.sighting.cluster {
            Some(cluster) => match self.may_resume(case, principal, &repair, cluster) {
                Ok(permit) => permit,
                Err(reason) => return Some(Outcome::Held(reason)),
            },
            None if run.config().mode == Mode::Observe => return Some(Outcome::Held(Hold::Observing)),
            None => guardrail::continued(&repair, principal, &case.sighting.at),
        };
        if repair.phase == Phase::Opened && self.is_halted() {
            return Some(NotNow::Halted.outcome());
        }
        if run.until(run.deadline) < LEAST_FOR_A_DELETION {
            return Some(Outcome::Deferred { delay: Delay::TooLittleTime, deletion_sent });
        }
        Box::pin(self.take(case, principal, repair, permit)).await.map(|taken| match taken {
            Ok(outcome) => outcome,
            Err(problem) => Outcome::Deferred { delay: problem.reason(), deletion_sent },
        })
    }

    /// Whether the guardrails let an unfinished repair continue.
    fn may_resume(&self, case: &Case, principal: &RoleArn, repair: &Repair, cluster: &Cluster) -> Result<Permit, Hold> {
        let config = self.run.config();
        let permit = guardrail::resume(config, repair, principal, cluster)?;
        // What another party has put in its place needs nothing from us but to be seen.
        let is_replaced =
            case.sighting.entry.as_ref().is_some_and(|examined| examined.entry.arn != repair.target.arn());
        if !is_replaced
            && matches!(case.sighting.role, RoleState::Present(_))
            && let Err(Refusal::Hold(reason)) = guardrail::grants(config, principal, &repair.wanted)
        {
            return Err(reason);
        }
        if !cluster.is_workable {
            return Err(Hold::ChangedMeanwhile { what: "the cluster is being created or deleted".to_owned() });
        }
        Ok(permit)
    }

    /// Takes the row of an unfinished repair or of an archived entry, and works on it.
    pub(super) async fn take(
        &self,
        case: &mut Case,
        principal: &RoleArn,
        repair: Repair,
        permit: Permit,
    ) -> Option<Result<Outcome, NotWritten>> {
        let live = self.live(principal, &case.sighting);
        let mut work = Work {
            principal: principal.clone(),
            cluster: case.sighting.at.clone(),
            version: case.sighting.row.version(),
            attempt: Attempt::new(permit, Origin::Continued, &repair, self.run.now()),
            repair,
        };
        work.repair.lease = Some(self.lease(live.ends()));
        if work.repair.may_have_deleted() {
            live.passage.is_past();
        }
        // A world that was read before the row was ours may be older than another invocation's work.
        if let Err(problem) = work.write(&live).await {
            return Some(Err(problem));
        }
        let (outcome, _) = Box::pin(self.converge(case, work, None, &live)).await;
        live.passage.ended(outcome.as_ref());
        outcome.map(Ok)
    }
}

/// The repair of a stale entry, with nothing sent.
pub(super) fn opened(
    sighting: &Sighting,
    examined: &Examined,
    cluster: &Cluster,
    principal: &RoleArn,
    permit: &Permit,
) -> Repair {
    let row = sighting.row.row();
    let recorded = row.filter(|row| row.recorded_role_id(&examined.entry.arn, cluster.created_at).is_some());
    let archived = row.and_then(|row| row.archived());
    // Our own creation of an earlier repair, archived before its policies were back: the archive has the whole.
    let ours = archived.filter(|archived| {
        archived.created.as_ref() == Some(&examined.entry.arn)
            && examined.snapshot().is_recreation_of(&archived.wanted, principal)
    });
    let arn = examined.entry.arn.clone();
    Repair {
        wanted: ours.map_or_else(|| examined.snapshot(), |archived| archived.wanted.clone()),
        cluster_created_at: cluster.created_at,
        permitted: Permitted { role_id: permit.role_id().clone(), grounds: permit.grounds().to_owned() },
        before: match (archived, recorded.and_then(|row| row.last_good())) {
            (Some(archived), _) => Before::Archived(Box::new(archived.clone())),
            (None, Some(good)) => Before::Recorded(good.clone()),
            (None, None) => Before::Nothing,
        },
        target: if ours.is_some() { Target::OfOurs(arn) } else { Target::OfOwner(arn) },
        phase: Phase::Opened,
        role_absent_since: None,
        lease: None,
    }
}
