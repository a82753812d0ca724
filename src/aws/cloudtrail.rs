//! `CloudTrail`: the event history, which every account has for its last 90 days, in each Region for itself. Its readers
//! share two requests a second for an account and Region (`CloudTrail` API Reference, `LookupEvents`), so the requests are paced.

use std::time::Duration;

use aws_config::Region as SdkRegion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::{Reads, retries};
use crate::aws::fault::fault_of;
use crate::fault::Fault;
use crate::model::Region;

/// The distance between two requests: a little more than the half second that is allowed, since they arrive unevenly.
pub const PACE: Duration = Duration::from_millis(550);

/// The most events of a page (`CloudTrail` API Reference, `LookupEvents`).
pub const PAGE: usize = 50;

/// For how many days the history goes back (`CloudTrail` API Reference, `LookupEvents`).
pub const DAYS: u16 = 90;

/// The event history of a Region.
#[derive(Debug)]
pub struct EventHistory {
    client: aws_sdk_cloudtrail::Client,
    region: Region,
    next_at: Mutex<Option<Instant>>,
}

/// What is asked of the history.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// The API operation whose events are wanted.
    pub event_name: &'a str,
    /// From when on.
    pub since: OffsetDateTime,
    /// Until when.
    pub until: OffsetDateTime,
}

/// A part of the history, newest events first.
#[derive(Debug, Default)]
pub struct Page {
    /// The records, as JSON texts.
    pub records: Vec<String>,
    /// When the last of them happened.
    pub back_to: Option<OffsetDateTime>,
    /// Where the next part begins.
    pub next: Option<String>,
}

impl Reads {
    /// The event history of a Region.
    #[must_use]
    pub fn event_history(&self, region: &Region) -> EventHistory {
        // A page may take half a minute (AWS re:Post, "lookup API's request response time is too high for region us-east-1").
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_mins(1))
            .operation_timeout(Duration::from_mins(5))
            .build();
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.0.clone()))
            .timeout_config(timeouts)
            .retry_partition(retries())
            .build();
        EventHistory {
            client: aws_sdk_cloudtrail::Client::from_conf(config),
            region: region.clone(),
            next_at: Mutex::default(),
        }
    }
}

impl EventHistory {
    /// Whose history it is.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// A page of the history, when it is its turn.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn look_up(&self, lookup: Lookup<'_>, token: Option<&str>) -> Result<Page, Fault> {
        const OPERATION: &str = "LookupEvents";
        self.turn().await;
        let by_name = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventName)
            .attribute_value(lookup.event_name)
            .build()
            .map_err(|_| Fault::not_asked(OPERATION, "the request could not be built"))?;
        let reply = self
            .client
            .lookup_events()
            .lookup_attributes(by_name)
            .start_time(DateTime::from_secs(lookup.since.unix_timestamp()))
            .end_time(DateTime::from_secs(lookup.until.unix_timestamp()))
            .max_results(i32::try_from(PAGE).unwrap_or(50))
            .set_next_token(token.map(str::to_owned))
            .send()
            .await
            .map_err(|error| fault_of(OPERATION, &error))?;
        let mut page = Page { next: reply.next_token.filter(|token| !token.is_empty()), ..Page::default() };
        for event in reply.events.unwrap_or_default() {
            let at = event.event_time.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok());
            page.back_to = at.or(page.back_to);
            page.records.push(event.cloud_trail_event.ok_or_else(|| Fault::malformed(OPERATION, "CloudTrailEvent"))?);
        }
        Ok(page)
    }

    /// Waits until the next request may go out.
    async fn turn(&self) {
        let mut next_at = self.next_at.lock().await;
        if let Some(at) = *next_at {
            sleep_until(at).await;
        }
        *next_at = Some(Instant::now() + PACE);
    }
}
