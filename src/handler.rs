//! The table of contents: classify, survey, judge, repair, conclude. Every trigger takes the same path; what differs is
//! which roles are looked for, and what may be done.

use futures::channel::mpsc;
use futures::future::join;
use serde_json::Value;
use time::OffsetDateTime;

use crate::affected::attend_and_show;
use crate::app::{App, Run};
use crate::conclude::conclude;
use crate::error::Error;
use crate::event::{Authorized, Invocation, classify};
use crate::forget::forget;
use crate::inventory;
use crate::task::{Asked, Next, Task};

/// What Lambda says about an invocation.
#[derive(Debug, Clone)]
pub struct Call {
    /// The invoked function's ARN, with its qualifier.
    pub function_arn: String,
    /// Lambda's ID of the request.
    pub request_id: String,
    /// When Lambda ends it.
    pub deadline: OffsetDateTime,
}

/// Answers one invocation.
///
/// # Errors
/// An [`Error`] where the payload cannot be followed, or a retry has something left to do; the report and the metrics
/// are published before.
pub async fn handle(app: &App, payload: &Value, call: Call) -> Result<Value, Error> {
    let started = app.now();
    let invocation = Invocation::new(call.function_arn, call.request_id)
        .map_err(|error| Error::UnreadableFunctionArn(error.to_string()))?;
    let asked = Asked::of(classify(payload, &invocation)?, &invocation)?;
    let is_sweep = asked.command().is_some_and(Authorized::is_sweep);
    let claimed_by = asked.command().and_then(Authorized::claimed_by);
    let owner = format!("{:032x}", fastrand::u128(..));
    let run = Run::new(app, &invocation, call.deadline, owner, is_sweep).claimed_by(claimed_by.as_deref());
    let task = match Task::of(asked, app, &invocation) {
        Next::Answer(report) => {
            report.log_lines().iter().for_each(|line| app.log_line(line));
            return Ok(report.to_value());
        }
        Next::List(filter) => return Box::pin(inventory::list(&run, filter)).await,
        Next::Forget { key, even_open, report } => {
            return Box::pin(forget(&run, &key, even_open, report.claimed_by(claimed_by))).await;
        }
        Next::Work(task) => *task,
    };
    // What is found is judged and worked on while the look at other Regions goes on.
    let (sightings, found) = mpsc::unbounded();
    let survey = Box::pin(task.survey(&run, sightings));
    let cases = Box::pin(attend_and_show(&run, task.judge(&run, found), &task.purpose));
    let (survey, cases) = join(survey, cases).await;
    let survey = survey?;
    Box::pin(conclude(&run, task, survey, cases, started)).await
}
