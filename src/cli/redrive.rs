//! `redrive`: sends again what Lambda gave up on, record by record, and deletes what ended well.

use std::time::Duration;

use access_entry_guard::aws::sqs::{Message, Queue};
use access_entry_guard::deployed::record::Record;
use access_entry_guard::deployed::{Answer, Word, counted, meaning};
use access_entry_guard::fault::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::deployed::{Guard, Which, format_of};
use crate::output::{Format, Output, Sheet, print, print_json, shown, shown_lines};
use crate::session::Session;
use crate::stop::Stop;

/// Nobody else gets a record while the function works on it: 15 minutes at most, and what the way there takes.
const HIDDEN: Duration = Duration::from_mins(20);

/// The same while records are only shown.
const HIDDEN_TO_SHOW: Duration = Duration::from_mins(1);

/// Send the records in the queue FUNCTION-failed-invocations to the function again, and delete those that succeed
///
/// Fix the cause of the failures first. Sends events and sweeps to the function without an alias, under all
/// guardrails. The function then ignores the creator of an event, so an entry that it would have released for a
/// trusted creator may now wait for a person. A record of approve, restore or forget, of any other command or of
/// another function is shown and stays in the queue. A record succeeds if the function answers without an error.
///
/// Exit status: 0 if every record succeeded or there was none. 1 if a record is left. 2 if the queue or the function
/// could not be reached; the records seen until then are shown. With --show: 1 if the queue has a record.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Show the records and what the function answered; send and delete nothing
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
}

/// A record, and what became of it.
struct Done {
    message: Message,
    record: Record,
    became: Became,
}

/// What became of a record.
struct Became {
    is_deleted: bool,
    /// For a person.
    result: String,
}

impl Became {
    /// It was not sent again, or the function did not take it.
    fn left(why: &impl std::fmt::Display) -> Self {
        Self { is_deleted: false, result: format!("left in the queue: {why}") }
    }
}

/// Sends, prints a line for each record, and gives the exit status.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Stop> {
    let (guard, format) = (Guard::find(session, &arguments.which)?, format_of(arguments.output)?);
    let (region, name) = (&guard.named.region, format!("{}-failed-invocations", guard.named.name));
    let queue = match Queue::find(&session.sdk, region, &name).await {
        Ok(Some(queue)) => queue,
        Ok(None) => {
            return Err(Stop(format!(
                "there is no queue {name} in {region} that these credentials may see; name the deployed function with \
                 --function and --function-region"
            )));
        }
        Err(fault) => return Err(unreachable(&name, &fault)),
    };
    let mut done: Vec<Done> = Vec::new();
    let mut stopped = None;
    loop {
        let message = match queue.receive(if arguments.show { HIDDEN_TO_SHOW } else { HIDDEN }).await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(fault) => {
                stopped = Some(unreachable(&name, &fault));
                break;
            }
        };
        // A record that was left is seen again: everything was looked at once.
        if done.iter().any(|other| other.message.id == message.id) {
            give_back(&queue, &message).await;
            break;
        }
        let record = Record::read(&message.body, &guard.named);
        let attended = if arguments.show { Ok(seen(&record)) } else { attend(&guard, &queue, &message, &record).await };
        let (became, unanswered) = match attended {
            Ok(became) => (became, None),
            Err(why) => (Became::left(&why.0), Some(why)),
        };
        done.push(Done { message, record, became });
        if format == Format::Table
            && let Some(record) = done.last()
        {
            print(&line(record))?;
        }
        if unanswered.is_some() {
            stopped = unanswered;
            break;
        }
    }
    for left in done.iter().filter(|record| !record.became.is_deleted) {
        give_back(&queue, &left.message).await;
    }
    let deleted = done.iter().filter(|record| record.became.is_deleted).count();
    let left = done.len() - deleted;
    match format {
        Format::Json => print_json(&json!({
            "version": "1", "queue": name, "deleted": deleted, "left": left, "sawEveryRecord": stopped.is_none(),
            "records": done.iter().map(to_json).collect::<Vec<_>>(),
        }))?,
        Format::Markdown => print(&sheet(&done).markdown())?,
        Format::Csv => print(&sheet(&done).csv()?)?,
        Format::Table | Format::Html => {
            let became =
                if arguments.show { "none sent" } else { &format!("{deleted} succeeded and deleted, {left} left") };
            let rest = if stopped.is_some() { " The queue may have more records: nobody looked at them." } else { "" };
            print(&format!("{} in {name}: {became}.{rest}", counted(done.len(), "record", "records")))?;
        }
    }
    match stopped {
        Some(why) => Err(why),
        None => Ok(u8::from(left > 0)),
    }
}

/// What is shown of a record: what the function had answered, and what a redrive would do with it.
fn seen(record: &Record) -> Became {
    let next = match &record.to_send {
        Ok(_) => "redrive sends it again".to_owned(),
        Err(why) => format!("redrive leaves it in the queue: {why}"),
    };
    let result = match record.error.as_str() {
        "" => next,
        // Foreign text, which must not look like a line of ours.
        error => format!("the function answered: {}\n{next}", error.lines().collect::<Vec<_>>().join(" ")),
    };
    Became { is_deleted: false, result }
}

/// Hands one record in, if it may be, and deletes it if that ended well.
///
/// # Errors
/// Why nobody answered. The record stays in the queue, and nobody would answer for the next one, either.
async fn attend(guard: &Guard<'_>, queue: &Queue, message: &Message, record: &Record) -> Result<Became, Stop> {
    let payload = match &record.to_send {
        Ok(payload) => payload.to_string().into_bytes(),
        Err(why) => return Ok(Became::left(why)),
    };
    // By the plain name, whatever the record says of itself.
    let reply = guard.send(Word::Event, payload).await?;
    let answer = Answer::read(Word::Event, &reply.payload, reply.is_error);
    let summary = meaning(Word::Event, &answer, &[]).summary;
    if !matches!(answer, Answer::Report(_)) {
        return Ok(Became::left(&summary));
    }
    Ok(match queue.delete(message).await {
        Ok(()) => Became { is_deleted: true, result: format!("sent again and deleted: {summary}") },
        Err(fault) => {
            let result =
                format!("sent again ({summary}), but not deleted from the queue ({fault}); allow sqs:DeleteMessage");
            Became { is_deleted: false, result }
        }
    })
}

/// Without it, the record is seen again by itself when its time is up.
async fn give_back(queue: &Queue, message: &Message) {
    let _ = queue.give_back(message).await;
}

fn unreachable(queue: &str, fault: &Fault) -> Stop {
    Stop(match fault.kind {
        FaultKind::Denied { .. } => format!(
            "these credentials may not read the queue {queue} ({fault}); allow sqs:GetQueueUrl, sqs:ReceiveMessage, \
             sqs:DeleteMessage and sqs:ChangeMessageVisibility"
        ),
        _ => format!("the queue {queue} could not be read ({fault}); try again"),
    })
}

fn about(record: &Record) -> String {
    match record.condition.as_str() {
        "" => record.about.clone(),
        condition => format!("{} ({condition})", record.about),
    }
}

fn line(done: &Done) -> String {
    let result = shown_lines(&done.became.result).replace('\n', "\n    ");
    format!("{}  {}\n    {result}", shown(&done.message.id), shown(&about(&done.record)))
}

fn to_json(done: &Done) -> Value {
    json!({
        "messageId": done.message.id, "about": done.record.about, "condition": done.record.condition,
        "deleted": done.became.is_deleted, "result": done.became.result, "body": done.message.body,
    })
}

fn sheet(done: &[Done]) -> Sheet {
    let row = |done: &Done| {
        let is_deleted = if done.became.is_deleted { "yes" } else { "no" };
        let texts = [&done.message.id, &done.record.about, &done.record.condition];
        texts.into_iter().cloned().chain([is_deleted.to_owned(), done.became.result.clone()]).collect()
    };
    Sheet { columns: vec!["message", "about", "condition", "deleted", "result"], rows: done.iter().map(row).collect() }
}
