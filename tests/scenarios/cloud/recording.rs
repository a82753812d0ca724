//! A recording of what callers and this AWS said to each other, for whoever holds both to the service models: where the
//! environment variable `CLOUD_RECORDING` names a file, every request with its reply is added to it, as a line of JSON.
//!
//! Exchanges that differ in numbers, IDs and moments only are written once: a run of all scenarios has hundreds of
//! thousands of them, but few kinds. Replies that a fault makes unreadable or withholds are not recorded.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::sync::{Mutex, OnceLock};

use serde_json::{Map, Value, json};

use super::calls::Call;
use super::lock;
use super::wire::Response;

/// The file, and the kinds of exchanges that it has.
struct Recording {
    file: File,
    seen: HashSet<u64>,
}

/// Records an exchange, if this process records.
pub(super) fn record(call: &Call, response: &Response) {
    static RECORDING: OnceLock<Option<Mutex<Recording>>> = OnceLock::new();
    if let Some(recording) = RECORDING.get_or_init(begin) {
        lock(recording).add(call, response);
    }
}

/// Opens the file that the environment names.
fn begin() -> Option<Mutex<Recording>> {
    let path = std::env::var_os("CLOUD_RECORDING")?;
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("CLOUD_RECORDING={}: {error}", path.display()));
    Some(Mutex::new(Recording { file, seen: HashSet::new() }))
}

impl Recording {
    fn add(&mut self, call: &Call, response: &Response) {
        // A test's thread has its name. What the tests of this AWS send is kept apart: they send wrong requests too.
        let thread = std::thread::current();
        let by = thread.name().unwrap_or_default();
        let apart = by.contains("self_tests");
        let body = String::from_utf8_lossy(response.body());
        let kind = format!("{apart} {} {} {} {body}", call.operation, call.parameters, response.status());
        if !self.seen.insert(kind_of(&kind)) {
            return;
        }
        let headers: Map<String, Value> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
            .collect();
        let mut hex = String::new();
        for byte in response.body() {
            write!(hex, "{byte:02x}").expect("a string takes all");
        }
        let line = json!({
            "by": by,
            "service": call.service.signing_name(),
            "operation": call.operation,
            "parameters": call.parameters,
            "status": response.status().as_u16(),
            "headers": headers,
            "body": hex,
        });
        // One write, so that processes that record side by side do not cut each other's lines.
        self.file.write_all(format!("{line}\n").as_bytes()).expect("the recording takes a line");
    }
}

/// The same number for texts that differ in words with digits only.
fn kind_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        let word = if word.bytes().any(|byte| byte.is_ascii_digit()) { "0" } else { word };
        word.hash(&mut hasher);
    }
    hasher.finish()
}
