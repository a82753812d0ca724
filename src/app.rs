//! What is built once per cold start ([`App`]), and what one invocation works with ([`Run`]).

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::OnceCell;

use crate::aws::Aws;
use crate::config::Config;
use crate::error::Error;
use crate::event::Invocation;
use crate::fault::Fault;
use crate::ledger::{Breaker, Ledger};
use crate::limits::{FOR_THE_REPORT, LONGEST_SURVEY};
use crate::lock::lock;
use crate::model::Region;

/// Tells the time. Given in, so that tests can turn it.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// For how long the breaker counts as it was read beside the survey.
const BREAKER_COUNTS_FOR: time::Duration = time::Duration::seconds(10);

/// One process of the function.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The clients.
    pub aws: Aws,
    clock: Clock,
    log: Mutex<Box<dyn Write + Send>>,
    enabled_regions: OnceCell<Vec<Region>>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

impl App {
    /// Puts the parts together; nothing is called and nothing connects yet. Log lines go to `log`.
    #[must_use]
    pub fn new(config: Config, sdk: &aws_config::SdkConfig, clock: Clock, log: Box<dyn Write + Send>) -> Self {
        Self { config, aws: Aws::new(sdk), clock, log: Mutex::new(log), enabled_regions: OnceCell::new() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        (self.clock)()
    }

    /// Writes one line of JSON to the log. A log that cannot be written to is no reason to stop a repair.
    pub fn log_line(&self, line: &serde_json::Value) {
        let mut log = lock(&self.log);
        let _ = writeln!(log, "{line}");
        let _ = log.flush();
    }

    /// The Regions to look at; the list of enabled ones is kept while the process lives.
    ///
    /// # Errors
    /// [`Error::RegionsUnknown`], which names the setting that makes the list unnecessary.
    pub async fn regions(&self) -> Result<Vec<Region>, Error> {
        let enabled = if self.config.regions.needs_enabled() {
            self.enabled_regions
                .get_or_try_init(|| async {
                    self.aws.reads.list_enabled_regions().await.map_err(|fault| {
                        Error::RegionsUnknown(format!(
                            "REGIONS=all: the Regions enabled for the account could not be listed ({fault}). Allow \
                             account:ListRegions, or set REGIONS to a comma list of Regions."
                        ))
                    })
                })
                .await?
                .as_slice()
        } else {
            &[]
        };
        let chosen = self.config.regions.choose(enabled);
        if chosen.is_empty() {
            return Err(Error::RegionsUnknown("REGIONS leaves no Region to look at.".to_owned()));
        }
        Ok(chosen)
    }
}

/// One invocation's means: who asked, until when, and what to work with.
#[derive(Debug)]
pub struct Run<'a> {
    /// The process.
    pub app: &'a App,
    /// How the function was invoked.
    pub invocation: &'a Invocation,
    /// When all work has to be done.
    pub deadline: OffsetDateTime,
    /// A random value of this invocation: the owner of its leases.
    pub owner: String,
    /// Whether this is a sweep, which leaves most of the API's limits to others.
    pub is_sweep: bool,
    breaker: OnceCell<(OffsetDateTime, Result<Option<Breaker>, Fault>)>,
    /// Who an approver claims to be: shown and kept, never decided by.
    pub claimed_by: Option<String>,
}

impl<'a> Run<'a> {
    /// The means of an invocation that Lambda ends at `lambda_deadline`.
    #[must_use]
    pub fn new(
        app: &'a App,
        invocation: &'a Invocation,
        lambda_deadline: OffsetDateTime,
        owner: String,
        is_sweep: bool,
    ) -> Self {
        Self {
            app,
            invocation,
            deadline: lambda_deadline - FOR_THE_REPORT,
            owner,
            is_sweep,
            claimed_by: None,
            breaker: OnceCell::new(),
        }
    }

    /// The same, for a person who claims to be this.
    #[must_use]
    pub fn claimed_by(mut self, arn: Option<&str>) -> Self {
        self.claimed_by = arn.map(str::to_owned);
        self
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.app.now()
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &'a Config {
        &self.app.config
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> Ledger<'a> {
        Ledger::new(&self.app.aws, self.app.config.ledger_table.as_deref(), &self.invocation.home)
    }

    /// The breaker, if it stands. A survey that finds an entry reads it beside its other reads ([`Run::read_breaker`]);
    /// what was read then counts for some seconds.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn breaker(&self) -> Result<Option<Breaker>, Fault> {
        match self.breaker.get() {
            Some((read_at, breaker)) if self.now() - *read_at < BREAKER_COUNTS_FOR => breaker.clone(),
            _ => self.ledger().breaker().await,
        }
    }

    /// Reads the breaker, once.
    pub async fn read_breaker(&self) {
        self.breaker.get_or_init(|| async { (self.now(), self.ledger().breaker().await) }).await;
    }

    /// EKS in a Region, with this invocation's in-flight limit.
    #[must_use]
    pub fn eks(&self, region: &Region) -> crate::aws::eks::Eks {
        self.app.aws.reads.eks(region, self.requests_at_once())
    }

    /// The same for reads that must be in nobody's way: half of the limit is kept free of them.
    #[must_use]
    pub fn eks_aside(&self, region: &Region) -> crate::aws::eks::Eks {
        let most_at_once = (self.requests_at_once() / 2).max(1);
        self.app.aws.reads.eks(region, most_at_once).at(crate::aws::Priority::Impact)
    }

    /// The same for changes, which want a permit.
    #[must_use]
    pub fn eks_changes(&self, region: &Region) -> crate::aws::eks::EksChanges {
        self.app.aws.eks_changes(region, self.requests_at_once())
    }

    /// The most EKS requests under way at once in a Region.
    #[must_use]
    pub fn requests_at_once(&self) -> usize {
        let config = self.config();
        if self.is_sweep { config.sweep_concurrency_per_region() } else { config.max_concurrency_per_region }
    }

    /// How long until a moment; zero where it has passed.
    #[must_use]
    pub fn until(&self, moment: OffsetDateTime) -> Duration {
        Duration::try_from(moment - self.now()).unwrap_or_default()
    }

    /// When the look at the clusters has to end: half of the time, so that the other half is left to repair, and for
    /// single roles at most a minute.
    #[must_use]
    pub fn survey_ends(&self) -> OffsetDateTime {
        let half = self.until(self.deadline) / 2;
        self.now() + if self.is_sweep { half } else { half.min(LONGEST_SURVEY) }
    }
}
