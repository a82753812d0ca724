//! CloudWatch: every datum is kept as it came, and summed when asked. The documented limits are enforced. [AWS-72]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::world::World;

/// A value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The Region it was sent to.
    pub region: String,
    /// As sent.
    pub namespace: String,
    /// As sent.
    pub name: String,
    /// Dimension values by name: together with namespace and name they identify the metric.
    pub dimensions: BTreeMap<String, String>,
    /// The value, or the sum of values times counts.
    pub value: f64,
    /// `None` where absent, as CloudWatch says.
    pub unit: String,
    /// As sent, else when it arrived.
    pub at: OffsetDateTime,
}

/// The units of the API, as far as they are modelled here.
const UNITS: [&str; 6] = ["None", "Count", "Seconds", "Milliseconds", "Bytes", "Percent"];

/// Answers a CloudWatch operation in a Region.
pub(super) fn answer(
    world: &mut World,
    region: &str,
    operation: &str,
    parameters: &Parameters,
) -> Result<Value, Refusal> {
    match operation {
        "PutMetricData" => put_metric_data(world, region, parameters),
        "GetMetricStatistics" => get_metric_statistics(world, region, parameters),
        _ => Err(Refusal::unknown_operation(operation)),
    }
    .map_err(|refusal| match refusal.code.as_str() {
        "InvalidParameterException" => invalid(refusal.message),
        _ => refusal,
    })
}

fn put_metric_data(world: &mut World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&["Namespace", "MetricData"])?;
    let namespace = namespace(parameters)?;
    if namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid."));
    }
    let data = parameters.objects("MetricData")?;
    if data.is_empty() || data.len() > 1000 {
        return Err(invalid("The collection MetricData must have between 1 and 1000 members."));
    }
    let data =
        data.iter().map(|datum| read_datum(world.now, region, namespace, datum)).collect::<Result<Vec<_>, _>>()?;
    world.metrics.extend(data);
    Ok(json!({}))
}

fn read_datum(now: OffsetDateTime, region: &str, namespace: &str, datum: &Parameters) -> Result<Datum, Refusal> {
    datum.allow(&[
        "MetricName",
        "Dimensions",
        "Timestamp",
        "Value",
        "Values",
        "Counts",
        "Unit",
        "StorageResolution",
    ])?;
    let name = metric_name(datum)?;
    let unit = datum.one_of("Unit", &UNITS)?.unwrap_or("None");
    if datum.number("StorageResolution", 1, 60)?.is_some_and(|seconds| ![1, 60].contains(&seconds)) {
        return Err(invalid("The parameter StorageResolution must be 1 or 60."));
    }
    let at = moment(datum, "Timestamp")?.unwrap_or(now);
    if at < now - time::Duration::weeks(2) || at > now + time::Duration::hours(2) {
        return Err(invalid(
            "The parameter MetricData.member.Timestamp must be within two weeks and two hours of now.",
        ));
    }
    let numbers = |name: &str| match datum.get(name) {
        None => Ok(None),
        Some(Value::Array(list)) => {
            let list = list.iter().map(Value::as_f64).collect::<Option<Vec<_>>>();
            list.map(Some).ok_or_else(|| invalid(format!("{name} holds what is not a number.")))
        }
        Some(_) => Err(invalid(format!("{name} is not a list."))),
    };
    let value = match (datum.get("Value"), numbers("Values")?) {
        (Some(value), None) => {
            value.as_f64().ok_or_else(|| invalid("The parameter Value must be a number (not NaN or infinite)."))?
        }
        (None, Some(values)) if values.len() <= 150 => {
            let counts = numbers("Counts")?.unwrap_or_else(|| vec![1.0; values.len()]);
            if counts.len() != values.len() {
                return Err(invalid("The parameters Values and Counts must have the same length."));
            }
            values.iter().zip(counts).map(|(value, count)| value * count).sum()
        }
        _ => return Err(invalid("Either Value or up to 150 Values must be given.")),
    };
    Ok(Datum {
        region: region.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions(datum)?,
        value,
        unit: unit.to_owned(),
        at,
    })
}

fn namespace(from: &Parameters) -> Result<&str, Refusal> {
    let namespace = from.text("Namespace")?;
    let lawful = |c: char| c.is_ascii_alphanumeric() || "._-/#: ".contains(c);
    if namespace.len() > 255 || namespace.starts_with(':') || !namespace.chars().all(lawful) {
        return Err(invalid(format!("The value {namespace} for parameter Namespace is invalid.")));
    }
    Ok(namespace)
}

fn metric_name(from: &Parameters) -> Result<&str, Refusal> {
    from.text_within("MetricName", 1, 255)?;
    from.text("MetricName")
}

fn dimensions(from: &Parameters) -> Result<BTreeMap<String, String>, Refusal> {
    let list = from.objects("Dimensions")?;
    if list.len() > 30 {
        return Err(invalid("The collection Dimensions must have at most 30 members."));
    }
    let mut dimensions = BTreeMap::new();
    for dimension in &list {
        dimension.allow(&["Name", "Value"])?;
        let (name, value) = (dimension.text("Name")?, dimension.text("Value")?);
        let clean = |text: &str| text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()) && !text.trim().is_empty();
        if name.len() > 255 || value.len() > 1024 || name.starts_with(':') || !clean(name) || !clean(value) {
            return Err(invalid(format!("The dimension {name} is invalid.")));
        }
        if dimensions.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(invalid(format!("The dimension {name} is given twice.")));
        }
    }
    Ok(dimensions)
}

fn get_metric_statistics(world: &World, region: &str, parameters: &Parameters) -> Result<Value, Refusal> {
    parameters.allow(&[
        "Namespace",
        "MetricName",
        "Dimensions",
        "StartTime",
        "EndTime",
        "Period",
        "Statistics",
        "Unit",
    ])?;
    let statistics = parameters.texts("Statistics")?.unwrap_or_default();
    if !(1..=5).contains(&statistics.len())
        || statistics.iter().any(|statistic| !["Sum", "SampleCount"].contains(&statistic.as_str()))
    {
        return Err(invalid("Statistics must name Sum or SampleCount; others are not modelled here."));
    }
    let (from, to) = span(parameters)?;
    let series = series(world, region, parameters, from, to)?;
    if series.len() > 1440 {
        return Err(Refusal::new(400, "InvalidParameterCombination", "More than 1440 datapoints were requested."));
    }
    let points: Vec<Value> = series
        .into_iter()
        .map(|(at, (sum, count))| {
            let mut point = json!({ "Timestamp": at, "Unit": "Count" });
            for statistic in &statistics {
                point[statistic] = if statistic == "Sum" { sum.into() } else { count.into() };
            }
            point
        })
        .collect();
    Ok(json!({ "Label": parameters.text("MetricName")?, "Datapoints": points }))
}

/// Sum and count of a metric's data by the start of their period.
fn series(
    world: &World,
    region: &str,
    parameters: &Parameters,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<BTreeMap<i64, (f64, u32)>, Refusal> {
    let (namespace, name, dimensions) = (namespace(parameters)?, metric_name(parameters)?, dimensions(parameters)?);
    let period = parameters.number("Period", 1, 86_400 * 365)?.ok_or_else(|| invalid("Period is required."))?;
    let period = i64::try_from(period).expect("a year fits");
    if period % 60 != 0 {
        return Err(invalid("Period must be a multiple of 60."));
    }
    let unit = parameters.one_of("Unit", &UNITS)?;
    let mut series = BTreeMap::new();
    for datum in &world.metrics {
        let wanted = datum.region == region
            && datum.namespace == namespace
            && datum.name == name
            && datum.dimensions == dimensions
            && unit.is_none_or(|unit| datum.unit == unit)
            && (from..to).contains(&datum.at);
        if wanted {
            let (sum, count): &mut (f64, u32) =
                series.entry(datum.at.unix_timestamp().div_euclid(period) * period).or_default();
            *sum += datum.value;
            *count += 1;
        }
    }
    Ok(series)
}

fn span(parameters: &Parameters) -> Result<(OffsetDateTime, OffsetDateTime), Refusal> {
    match (moment(parameters, "StartTime")?, moment(parameters, "EndTime")?) {
        (Some(from), Some(to)) if from < to => Ok((from, to)),
        (Some(_), Some(_)) => Err(invalid("The parameter StartTime must be less than the parameter EndTime.")),
        _ => Err(invalid("StartTime and EndTime are required.")),
    }
}

fn moment(from: &Parameters, name: &str) -> Result<Option<OffsetDateTime>, Refusal> {
    let Some(value) = from.get(name) else { return Ok(None) };
    let seconds = value.as_f64().ok_or_else(|| invalid(format!("{name} must be a moment.")))?;
    Ok(Some(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds_f64(seconds)))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidParameterValue", message)
}
