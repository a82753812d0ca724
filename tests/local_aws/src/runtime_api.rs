//! Lambda's Runtime API, as AWS Lambda Developer Guide, "Using the Lambda runtime API" describes it: a function asks
//! for its next invocation and posts the answer. One function at a time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

/// The time that an invocation has where nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(900);

/// An invocation to come.
struct Invocation {
    id: String,
    function_arn: String,
    payload: Vec<u8>,
    timeout: Duration,
    answer: oneshot::Sender<Answer>,
}

/// What became of an invocation.
#[derive(Debug)]
pub struct Answer {
    /// The function's response, or its error.
    pub body: Vec<u8>,
    /// Whether it is an error.
    pub is_error: bool,
    /// From handing the invocation over to having its answer.
    pub took: Duration,
    /// When the answer was there.
    pub at: SystemTime,
}

/// The Runtime API's state.
pub struct RuntimeApi {
    coming: mpsc::UnboundedSender<Invocation>,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    under_way: Mutex<BTreeMap<String, (Instant, oneshot::Sender<Answer>)>>,
    polls: watch::Sender<Option<SystemTime>>,
    invoked: Mutex<u64>,
}

impl RuntimeApi {
    pub fn new() -> Self {
        let (coming, queue) = mpsc::unbounded_channel();
        Self {
            coming,
            queue: tokio::sync::Mutex::new(queue),
            under_way: Mutex::default(),
            polls: watch::Sender::new(None),
            invoked: Mutex::new(0),
        }
    }

    /// Invokes the function and waits for its answer; `None` where the function went away.
    pub async fn invoke(&self, function_arn: String, payload: Vec<u8>, timeout: Duration) -> Option<Answer> {
        let id = {
            let mut invoked = lock(&self.invoked);
            *invoked += 1;
            format!("00000000-0000-4000-9000-{:012}", *invoked)
        };
        let (answer, answered) = oneshot::channel();
        self.coming.send(Invocation { id, function_arn, payload, timeout, answer }).ok()?;
        answered.await.ok()
    }

    /// When a function asked for an invocation, once it has, at or after a moment.
    pub async fn poll_since(&self, moment: SystemTime) -> SystemTime {
        let mut polls = self.polls.subscribe();
        let since = |at: &Option<SystemTime>| at.is_some_and(|at| at >= moment);
        let seen = polls.wait_for(since).await.expect("the sender lives as long as this");
        seen.expect("it was waited for")
    }

    /// Whether a path is one of the Runtime API's.
    pub fn is_for(path: &str) -> bool {
        path.starts_with("/2018-06-01/runtime/")
    }

    /// Answers a request of the function.
    pub async fn answer(&self, method: &Method, path: &str, body: Vec<u8>) -> http::Response<Vec<u8>> {
        let arrived = SystemTime::now();
        match (method.as_str(), path.trim_start_matches("/2018-06-01/runtime/")) {
            ("GET", "invocation/next") => self.next(arrived).await,
            ("POST", path) => {
                let is_error = path.ends_with("/error");
                if let Some(id) = path.split('/').nth(1)
                    && let Some((started, answer)) = lock(&self.under_way).remove(id)
                {
                    let _ = answer.send(Answer { body, is_error, took: started.elapsed(), at: arrived });
                }
                respond(202, "{\"status\":\"OK\"}")
            }
            _ => respond(404, "{}"),
        }
    }

    async fn next(&self, arrived: SystemTime) -> http::Response<Vec<u8>> {
        self.polls.send_replace(Some(arrived));
        let Some(invocation) = self.queue.lock().await.recv().await else { return respond(500, "{}") };
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + invocation.timeout;
        lock(&self.under_way).insert(invocation.id.clone(), (Instant::now(), invocation.answer));
        http::Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", invocation.id)
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", invocation.function_arn)
            .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
            .body(invocation.payload)
            .expect("headers of our own make a response")
    }
}

impl Answer {
    /// As the control channel tells it.
    pub fn to_value(&self) -> Value {
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        json!({
            "isError": self.is_error,
            "response": serde_json::from_slice::<Value>(&self.body).unwrap_or_default(),
            "tookNs": u64::try_from(self.took.as_nanos()).unwrap_or(u64::MAX),
            "answeredAtNs": u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
        })
    }
}

fn respond(status: u16, body: &str) -> http::Response<Vec<u8>> {
    let response = http::Response::builder().status(status).header("content-type", "application/json");
    response.body(body.as_bytes().to_vec()).expect("a status and a text make a response")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
