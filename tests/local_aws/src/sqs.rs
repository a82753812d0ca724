//! SQS as a person who redrives meets it: `GetQueueUrl`, `ReceiveMessage`, `DeleteMessage` and `ChangeMessageVisibility` of
//! standard queues, by the AWS JSON protocol (Amazon SQS API Reference). A received message is hidden until its time is up,
//! every receive gives it another receipt, and only the last one deletes it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The time that a message is hidden if nobody says another: a queue's default.
const HIDDEN_FOR: Duration = Duration::from_secs(30);

/// All queues of the account, by Region and name.
#[derive(Default)]
pub struct Sqs(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    queues: BTreeMap<(String, String), Vec<Message>>,
    made: u64,
}

struct Message {
    id: String,
    body: String,
    hidden_until: Instant,
    receipt: Option<String>,
}

/// A refusal: SQS's name of it and the code of the old query protocol, which goes with it.
struct Refusal(&'static str, &'static str, String);

type Answer = Result<Value, Refusal>;

impl Sqs {
    /// The operation that a request is for, if it is one of SQS.
    pub fn operation(headers: &http::HeaderMap) -> Option<&str> {
        headers.get("x-amz-target")?.to_str().ok()?.strip_prefix("AmazonSQS.")
    }

    /// Puts a message into a queue, which is made if there is none.
    pub fn put(&self, region: &str, queue: &str, body: &str) -> Value {
        let mut queues = self.lock();
        queues.made += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", queues.made);
        let message = Message { id: id.clone(), body: body.to_owned(), hidden_until: Instant::now(), receipt: None };
        queues.queues.entry((region.to_owned(), queue.to_owned())).or_default().push(message);
        json!({ "messageId": id })
    }

    /// Makes a queue.
    pub fn make(&self, region: &str, queue: &str) {
        self.lock().queues.entry((region.to_owned(), queue.to_owned())).or_default();
    }

    /// What is in a queue: the IDs of its messages, and for how many seconds each is hidden.
    pub fn shown(&self, region: &str, queue: &str) -> Value {
        let queues = self.lock();
        let messages = queues.queues.get(&(region.to_owned(), queue.to_owned())).map(Vec::as_slice).unwrap_or_default();
        let now = Instant::now();
        let shown = |message: &Message| {
            let hidden = message.hidden_until.saturating_duration_since(now).as_secs_f64().ceil();
            json!({"messageId": message.id, "hiddenSeconds": hidden, "body": message.body})
        };
        json!(messages.iter().map(shown).collect::<Vec<_>>())
    }

    /// Answers a request.
    pub async fn answer(&self, operation: &str, region: &str, account: &str, body: &[u8]) -> http::Response<Vec<u8>> {
        let input: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = match operation {
            "GetQueueUrl" => self.get_queue_url(region, account, &input),
            "ReceiveMessage" => self.receive(region, &input).await,
            "DeleteMessage" => self.delete(region, &input),
            "ChangeMessageVisibility" => self.change_visibility(region, &input),
            other => {
                Err(Refusal("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", other.to_owned()))
            }
        };
        let response = http::Response::builder().header("content-type", "application/x-amz-json-1.0");
        let response = match answer {
            Ok(output) => response.status(200).body(output.to_string().into_bytes()),
            Err(Refusal(name, code, message)) => {
                let body = json!({"__type": format!("com.amazonaws.sqs#{name}"), "message": message});
                let response = response.status(400).header("x-amzn-query-error", format!("{code};Sender"));
                response.body(body.to_string().into_bytes())
            }
        };
        response.expect("a status, headers of our own and a text make a response")
    }

    fn get_queue_url(&self, region: &str, account: &str, input: &Value) -> Answer {
        let name = required(input, "QueueName")?;
        self.lock().of(region, name)?;
        Ok(json!({"QueueUrl": format!("https://sqs.{region}.amazonaws.com/{account}/{name}")}))
    }

    /// Waits for a message as long as it is told to.
    async fn receive(&self, region: &str, input: &Value) -> Answer {
        let (queue, most) = (queue_of(input)?, number(input, "MaxNumberOfMessages", 1, 1..=10)?);
        let hidden = number(input, "VisibilityTimeout", HIDDEN_FOR.as_secs(), 0..=43200)?;
        let wait = number(input, "WaitTimeSeconds", 0, 0..=20)?;
        let until = Instant::now() + Duration::from_secs(wait);
        loop {
            let messages = self.lock().take(region, queue, most, Duration::from_secs(hidden))?;
            // SQS leaves the member out of an empty answer.
            if !messages.is_empty() {
                return Ok(json!({ "Messages": messages }));
            }
            if Instant::now() >= until {
                return Ok(json!({}));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn delete(&self, region: &str, input: &Value) -> Answer {
        let (queue, receipt) = (queue_of(input)?, required(input, "ReceiptHandle")?);
        let mut queues = self.lock();
        let messages = queues.of(region, queue)?;
        // An old receipt is answered alike, and deletes nothing.
        messages.retain(|message| message.receipt.as_deref() != Some(receipt));
        Ok(json!({}))
    }

    fn change_visibility(&self, region: &str, input: &Value) -> Answer {
        let (queue, receipt) = (queue_of(input)?, required(input, "ReceiptHandle")?);
        if input["VisibilityTimeout"].is_null() {
            return Err(missing("VisibilityTimeout"));
        }
        let seconds = number(input, "VisibilityTimeout", 0, 0..=43200)?;
        let (mut queues, now) = (self.lock(), Instant::now());
        let is_meant = |message: &&mut Message| message.receipt.as_deref() == Some(receipt);
        match queues.of(region, queue)?.iter_mut().find(is_meant) {
            Some(message) if message.hidden_until > now => {
                message.hidden_until = now + Duration::from_secs(seconds);
                Ok(json!({}))
            }
            Some(_) => {
                let code = "AWS.SimpleQueueService.MessageNotInflight";
                Err(Refusal("MessageNotInflight", code, "The specified message isn't in flight.".to_owned()))
            }
            None => {
                let message = "The input receipt handle is invalid.".to_owned();
                Err(Refusal("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn of(&mut self, region: &str, queue: &str) -> Result<&mut Vec<Message>, Refusal> {
        let found = self.queues.get_mut(&(region.to_owned(), queue.to_owned()));
        found.ok_or_else(|| {
            let code = "AWS.SimpleQueueService.NonExistentQueue";
            Refusal("QueueDoesNotExist", code, "The specified queue does not exist.".to_owned())
        })
    }

    fn take(&mut self, region: &str, queue: &str, most: u64, hidden: Duration) -> Result<Vec<Value>, Refusal> {
        let (now, mut taken) = (Instant::now(), Vec::new());
        self.of(region, queue)?;
        for number in 0.. {
            let made = self.made + 1;
            let Some(message) = self.of(region, queue)?.get_mut(number) else { break };
            if message.hidden_until > now || taken.len() as u64 == most {
                continue;
            }
            let receipt = format!("receipt-{made}");
            message.hidden_until = now + hidden;
            message.receipt = Some(receipt.clone());
            taken.push(json!({"MessageId": message.id, "ReceiptHandle": receipt, "Body": message.body}));
            self.made = made;
        }
        Ok(taken)
    }
}

fn missing(name: &str) -> Refusal {
    Refusal("MissingParameter", "MissingParameter", format!("The request must contain the parameter {name}."))
}

fn required<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    input[name].as_str().filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

/// The name of the queue that a URL is of.
fn queue_of(input: &Value) -> Result<&str, Refusal> {
    Ok(required(input, "QueueUrl")?.rsplit('/').next().unwrap_or_default())
}

fn number(input: &Value, name: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> Result<u64, Refusal> {
    let value = if input[name].is_null() { Some(default) } else { input[name].as_u64() };
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        let message = format!(
            "Value {} for parameter {name} is invalid. Reason: Must be between {least} and {most}, if provided.",
            input[name]
        );
        Refusal("InvalidParameterValue", "InvalidParameterValue", message)
    })
}
