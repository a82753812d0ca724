//! CloudWatch: the metrics out, and the one sum that a sweep asks back.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, Statistic};
use time::OffsetDateTime;

use super::Aws;
use crate::aws::fault::fault_of;
use crate::fault::Fault;
use crate::model::Datum;

/// The most that one request may carry (CloudWatch API Reference, `PutMetricData`).
const MOST_PER_REQUEST: usize = 1000;

impl Aws {
    /// Publishes counts.
    ///
    /// # Errors
    /// Any [`Fault`]; the data of requests before it are then out already.
    pub async fn put_metric_data(&self, namespace: &str, at: OffsetDateTime, data: &[Datum]) -> Result<(), Fault> {
        for part in data.chunks(MOST_PER_REQUEST) {
            self.cloudwatch
                .put_metric_data()
                .namespace(namespace)
                .set_metric_data(Some(part.iter().map(|datum| datum_of(at, datum)).collect()))
                .send()
                .await
                .map_err(|e| fault_of("PutMetricData", &e))?;
        }
        Ok(())
    }

    /// The sum of a metric without dimensions between two moments; 0 where it has no data.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn metric_sum(
        &self,
        namespace: &str,
        metric: &str,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<f64, Fault> {
        let reply = self
            .cloudwatch
            .get_metric_statistics()
            .namespace(namespace)
            .metric_name(metric)
            .start_time(instant(from))
            .end_time(instant(to))
            .period(3600)
            .statistics(Statistic::Sum)
            .send()
            .await
            .map_err(|e| fault_of("GetMetricStatistics", &e))?;
        Ok(reply.datapoints.unwrap_or_default().iter().filter_map(|point| point.sum).sum())
    }
}

fn instant(at: OffsetDateTime) -> DateTime {
    DateTime::from_secs(at.unix_timestamp())
}

fn datum_of(at: OffsetDateTime, datum: &Datum) -> MetricDatum {
    let dimensions = datum
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(*name).value(value).build())
        .collect::<Vec<_>>();
    MetricDatum::builder()
        .metric_name(datum.name)
        .set_dimensions((!dimensions.is_empty()).then_some(dimensions))
        .timestamp(instant(at))
        .value(datum.value)
        .unit(StandardUnit::Count)
        .build()
}
