//! One entry's repair: reads row, cluster, role and entry, takes the next step, and again, until they agree.
//!
//! | row | present state | step |
//! |---|---|---|
//! | deletion not sent | the entry of the row, the permitted role | rehearse, read again, note the deletion, delete |
//! | | another entry like it, and a rehearsal without a known answer | perhaps the rehearsal's: hold it, archive the row |
//! | | anything else | the owner was here: close the row, judge anew |
//! | deletion sent | the deleted entry still shows | read again, then delete again |
//! | | it still shows after a minute, and was changed | it was not deleted: close the row, judge anew |
//! | | no entry, the permitted role | create; wait while EKS does not know the role |
//! | | our creation | associate what is missing, verify, record |
//! | | our creation, acknowledged, is gone | its owner's will: archive the row, for a person |
//! | | our creation, but the role was recreated once more | review for the new ID, start over with this entry |
//! | | another entry | somebody else's: close the row; archive it, if that entry has less |
//! | | the role has another ID | delete what we created for it, review for the new ID; else hold, keep the row |
//! | | role or cluster gone | archive the row, for a person |
//!
//! Every step can be repeated, so going on after a cut is the same code run again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use time::OffsetDateTime;

use super::Case;
use super::crew::Crew;
use super::steps::Associated;
use crate::aws::fault::Fault;
use crate::discovery::{Examined, examine};
use crate::guardrail::{self, Refusal};
use crate::ledger::{NotWritten, Row, State};
use crate::model::{Cluster, Role, RoleArn, RoleState};
use crate::outcome::{Outcome, Reason};

/// How often a read that denies what we did may be a late one.
pub(super) const LATE_READS: u32 = 3;

/// For how long a read may not show what was created, or deleted. EKS documents no such time.
pub(super) const LATE_FOR: time::Duration = time::Duration::minutes(1);

/// The state of the world, read just now.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) cluster: Option<Cluster>,
    pub(super) entry: Option<Examined>,
    pub(super) role: RoleState,
}

/// What a step leads to.
pub(super) enum Flow {
    /// Read and go on, after a pause.
    Again(Duration),
    /// This is the end of it for now.
    End(Outcome, Fate),
    /// The row is closed: judge the entry anew.
    Anew,
}

/// What becomes of the row.
pub(super) enum Fate {
    /// It stays open.
    Keep,
    /// Nothing is deleted: back to what was recorded or archived of the entry before, or away. A row that holds more
    /// than the entry that stands is kept.
    Close,
    /// It is no longer needed: what stands, or does not, is somebody else's will. What was archived before stays so.
    Forget,
    /// It is put away for a person.
    Archive,
    /// It is written already.
    Written,
}

/// A repair at work.
pub(super) struct Work<'a> {
    pub(super) crew: &'a Crew<'a>,
    pub(super) principal: &'a RoleArn,
    pub(super) row: Row,
    pub(super) ends: OffsetDateTime,
    /// The deletion was sent by this very piece of work, and every answer to it was clear.
    pub(super) deletion_is_ours: bool,
    pub(super) tries: u32,
    pub(super) note: Option<String>,
    /// The row was opened just now, by this invocation's own review.
    pub(super) is_new: bool,
    /// The role as it was read last.
    pub(super) role: Option<Role>,
    /// A deletion was sent.
    pub(super) was_deletion_sent: bool,
    /// Since when a rehearsal may have created an entry without our knowing it: its answer was lost, or an earlier
    /// invocation sent it and did not note the answer.
    pub(super) unclear_since: Option<OffsetDateTime>,
    /// Our creation, while the role could not be read after it.
    pub(super) unverified: Option<String>,
    /// What was created and deleted again here: a late read may still show it, and it is nobody else's.
    pub(super) deleted_again: Vec<String>,
    /// Since when reads in this piece of work show no entry, where there should be one of ours.
    pub(super) absent_since: Option<OffsetDateTime>,
    /// Policies that were associated, until it is known that they met the entry of the row.
    pub(super) associated: Associated,
}

impl Crew<'_> {
    /// Works on a row that this invocation has taken; `false` asks to judge anew.
    pub(super) async fn converge(
        &self,
        case: &mut Case,
        principal: &RoleArn,
        row: Row,
        ends: OffsetDateTime,
        opened_for: Option<&Examined>,
    ) -> bool {
        let run = self.run;
        let before = row.access_entry_arn.clone();
        let sent_at_first = row.deletion_sent_at;
        let is_new = opened_for.is_some();
        // What an earlier invocation rehearsed, and how that was answered, is not in the row.
        let unclear_since = (!is_new && row.deletion_sent_at.is_none()).then(|| run.now());
        let mut work = Work {
            crew: self,
            principal,
            row,
            ends,
            deletion_is_ours: false,
            tries: 0,
            note: None,
            is_new,
            role: None,
            was_deletion_sent: false,
            unclear_since,
            unverified: None,
            deleted_again: Vec::new(),
            absent_since: None,
            associated: Associated::default(),
        };
        let (outcome, fate) = loop {
            if run.now() >= work.ends {
                break (work.out_of_time(), Fate::Keep);
            }
            match Box::pin(work.step()).await {
                Flow::Again(pause) => tokio::time::sleep(pause.min(run.until(work.ends))).await,
                Flow::End(outcome, fate) => break (outcome, fate),
                // What a rehearsal may have created must have time to show, or it would count as good later.
                Flow::Anew if work.may_yet_show() => {
                    if let Flow::Again(pause) = work.pause() {
                        tokio::time::sleep(pause.min(run.until(work.ends))).await;
                    }
                }
                Flow::Anew => {
                    if let Err(outcome) = work.close().await {
                        break (outcome, Fate::Written);
                    }
                    case.note = work.note.take();
                    return false;
                }
            }
        };
        let outcome = work.end(outcome, fate).await;
        case.note = work.note.take();
        case.was_deletion_sent |= work.was_deletion_sent;
        if let Some(role) = work.role.take() {
            case.sighting.role = RoleState::Present(role);
        }
        if outcome == Outcome::Repaired {
            case.previous_entry_arn = Some(before);
            if let Ok((cluster, entry)) = examine(run, &case.sighting.at, principal.as_str()).await {
                case.sighting.cluster = cluster.or(case.sighting.cluster.take());
                case.sighting.entry = entry;
            }
            if let RoleState::Present(role) = &case.sighting.role {
                case.locked_out = Duration::try_from(run.now() - role.created_at).ok();
            }
            if sent_at_first.is_some_and(|at| run.now() - at > time::Duration::hours(1)) {
                case.note = Some(
                    "The deletion had been sent more than an hour before. If its owner deleted the entry on purpose \
                     meanwhile, delete it again."
                        .to_owned(),
                );
            }
        }
        case.outcome = outcome;
        true
    }
}

impl Work<'_> {
    /// A growing pause with jitter, for what only needs time.
    pub(super) fn pause(&mut self) -> Flow {
        let base = 500u64 << self.tries.min(4);
        self.tries += 1;
        Flow::Again(Duration::from_millis(base + fastrand::u64(0..base / 2)))
    }

    /// Whether a rehearsal may have created an entry that reads do not show yet.
    fn may_yet_show(&self) -> bool {
        self.unclear_since.is_some_and(|since| self.crew.run.now() - since < LATE_FOR)
    }

    pub(super) fn out_of_time(&self) -> Outcome {
        let deletion_sent = self.row.deletion_sent_at.is_some();
        Outcome::Deferred { reason: Reason::TooLittleTime, deletion_sent }
    }

    pub(super) async fn read(&self) -> Result<Present, Fault> {
        let run = self.crew.run;
        let reads = futures::future::join(
            examine(run, &self.row.cluster, self.principal.as_str()),
            run.app.aws.get_role(self.principal.name()),
        );
        // What is acted on must be younger than the lease.
        let (seen, role) = tokio::time::timeout(run.until(self.ends), reads)
            .await
            .map_err(|_| Fault::timed_out("read", "no answer within the lease"))?;
        let (cluster, entry) = seen?;
        Ok(Present { cluster, entry, role: role.of(self.principal) })
    }

    async fn step(&mut self) -> Flow {
        let present = match self.read().await {
            Ok(present) => present,
            Err(fault) if fault.may_pass() => return self.pause(),
            Err(fault) => return Self::failed(&fault.to_string()),
        };
        // From here on the row may hold more than what stands.
        let is_bound = self.row.deletion_sent_at.is_some() || self.row.is_own_entry;
        let cluster = match &present.cluster {
            Some(cluster) if cluster.created_at == self.row.cluster_created_at => cluster.clone(),
            // Never restored in a later cluster of the name without a person, also where our creation hit it.
            _ if is_bound => {
                if let Some(entry) = &present.entry
                    && self.row.created_entry_arn.as_ref() == Some(&entry.entry.arn)
                    && let Err(flow) = self.delete_created(&entry.entry.arn).await
                {
                    return flow;
                }
                return Flow::End(Outcome::Removed(Reason::ClusterGone), Fate::Archive);
            }
            _ => return Flow::Anew,
        };
        let present_snapshot = present.entry.as_ref().map(Examined::snapshot);
        let mut snapshots = std::iter::once(&self.row.snapshot).chain(&present_snapshot);
        let tagged = snapshots.find_map(|snapshot| guardrail::tags(snapshot, &cluster).err());
        if let Some(Refusal::Hold(reason)) = tagged {
            // Nothing was changed, and nothing will be: no repair stays open.
            let is_untouched = present.entry.is_some_and(|it| !is_bound && it.entry.arn == self.row.access_entry_arn);
            return Flow::End(Outcome::Held(reason), if is_untouched { Fate::Close } else { Fate::Keep });
        }
        if !cluster.is_workable {
            let what = "the cluster is being created or deleted".to_owned();
            return Flow::End(Outcome::Held(Reason::ChangedMeanwhile { what }), Fate::Keep);
        }
        let role = match present.role {
            RoleState::Present(role) => self.role.insert(role).clone(),
            RoleState::Absent if is_bound => return self.role_absent(present.entry.as_ref()).await,
            RoleState::Absent => return Flow::Anew,
            RoleState::Unreadable { because, .. } => return self.unreadable(&because),
        };
        self.row.role_absent_since = None;
        self.unverified = None;
        if present.entry.is_some() {
            self.absent_since = None;
        }
        match (self.row.deletion_sent_at, present.entry) {
            (None, Some(entry)) => self.before_the_deletion(&cluster, &role, &entry).await,
            (None, None) if self.row.is_own_entry => self.creation_is_gone(),
            (None, None) => Flow::Anew,
            (Some(_), entry) => self.after_the_deletion(&cluster, &role, entry).await,
        }
    }

    fn unreadable(&mut self, because: &str) -> Flow {
        if self.tries < 5 { self.pause() } else { Self::failed(because) }
    }

    /// AWS does not do what has to be done, but may another time.
    pub(super) fn failed(because: &str) -> Flow {
        Flow::End(Outcome::Failed(Reason::AwsError { because: because.to_owned() }), Fate::Keep)
    }

    /// The role does not show. IAM answers eventually, so that counts only when it has not shown for a while.
    async fn role_absent(&mut self, entry: Option<&Examined>) -> Flow {
        let now = self.crew.run.now();
        let since = self.row.role_absent_since.unwrap_or(now);
        if self.row.role_absent_since.is_none() {
            self.row.role_absent_since = Some(now);
            if let Err(flow) = self.write().await {
                return flow;
            }
        }
        if now - since >= self.crew.run.config().settle {
            // Ours, perhaps without all of its policies: what is put away is the whole.
            if let Some(entry) = entry
                && self.is_our_creation(entry)
                && let Err(flow) = self.delete_created(&entry.entry.arn).await
            {
                return flow;
            }
            return Flow::End(Outcome::Removed(Reason::RoleGone), Fate::Archive);
        }
        self.pause()
    }

    /// Writes the row, still ours.
    pub(super) async fn write(&mut self) -> Result<(), Flow> {
        let deletion_sent = self.row.deletion_sent_at.is_some();
        let ledger = self.crew.run.ledger();
        ledger
            .write(&mut self.row)
            .await
            .map_err(|problem| Flow::End(Outcome::Deferred { reason: problem.reason(), deletion_sent }, Fate::Written))
    }

    /// Closes the row: back to what was recorded or archived of the entry before, or away.
    async fn close(&mut self) -> Result<(), Outcome> {
        let ledger = self.crew.run.ledger();
        let closed = if self.row.is_own_entry {
            self.row.give_back();
            ledger.write(&mut self.row).await
        } else {
            ledger.close(&mut self.row, self.crew.run.now()).await
        };
        closed.map_err(|problem| Outcome::deferred(problem.reason()))
    }

    /// The row is no longer needed; what had been put away before it was opened is put back.
    async fn let_go(&mut self) -> Result<(), NotWritten> {
        let archived = self.row.archive_below(self.crew.run.now());
        self.crew.run.ledger().replace(&mut self.row, archived).await
    }

    /// Leaves the row as its fate has it.
    async fn end(&mut self, outcome: Outcome, fate: Fate) -> Outcome {
        let run = self.crew.run;
        if let Some(arn) = self.unverified.take()
            && !matches!(outcome, Outcome::Repaired)
        {
            // Perhaps bound to a role that nobody permitted; the row keeps the entry.
            if self.delete_created(&arn).await.is_err() {
                self.note = Some(format!("{arn} was created while the role could not be read; look at it."));
            }
        }
        if let Outcome::Failed(Reason::RecreationRefused { by }) = &outcome
            && !self.row.is_restore
        {
            // A person's restore follows no deletion of ours; it must not stop the others.
            self.crew.halted.store(true, Ordering::SeqCst);
            if let Err(NotWritten::Unavailable(because)) = run.ledger().trip(&self.row, by, run.now()).await {
                self.note = Some(format!("The breaker could not be written ({because})."));
            }
        }
        match fate {
            Fate::Written => outcome,
            Fate::Close => self.close().await.err().unwrap_or(outcome),
            Fate::Forget => match self.let_go().await {
                Ok(()) => outcome,
                Err(problem) => Outcome::deferred(problem.reason()),
            },
            // Put back where the person took it from, as long as nothing can have come of it.
            Fate::Keep if self.row.is_restore && !self.row.may_have_created() && !outcome.is_incomplete() => {
                self.row.archive(Reason::RoleDeleted.label(), run.now());
                let _ = self.write().await;
                outcome
            }
            Fate::Keep => {
                self.row.give_back();
                // Not given back, the lease ends by itself.
                let _ = self.write().await;
                outcome
            }
            Fate::Archive => {
                let because = outcome.reason().map_or("", Reason::label);
                self.row.archive(because, run.now());
                debug_assert_eq!(self.row.state, State::Archived, "archived rows are a person's");
                match self.write().await {
                    Err(Flow::End(outcome, _)) => outcome,
                    _ => outcome,
                }
            }
        }
    }
}
