//! A result as one HTML page: for a colleague, a ticket, a phone or paper.
//!
//! The page is one file without outside parts. What comes from AWS is data in it: JSON in which no character can end the block
//! that it stands in, and which the page's script shows as text only. Should that ever fail, the page's policy still lets
//! nothing run and nothing load but its one style and its one script, by their hashes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::shown;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// What a page shows. Entries, policies and blind spots have the members and the words of the function's report.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// What it is about.
    pub(crate) title: &'static str,
    /// Whose entries these are: the account's number.
    pub(crate) account: String,
    /// When AWS was asked, as RFC 3339 has it.
    pub(crate) made_at: String,
    /// What was looked at, and what that leaves out, in sentences.
    pub(crate) scope: Vec<String>,
    /// How many of what, the important ones first.
    pub(crate) counts: Vec<(&'static str, usize)>,
    /// What is broken or unclear, worst first. Beside the report's members: `meaning`, a sentence about the verdict; `commands`;
    /// and for a person who decides `grants`, `trustPolicy` (lines) and `whoCreated` (a command).
    pub(crate) findings: Vec<Value>,
    /// Who reaches which cluster. Beside the report's members: `note`, a sentence; `verifiedAt`, which brings a column "last
    /// verified"; `known`, which brings a column "state". `accessPolicies` is left out if they could not be read.
    pub(crate) access: Vec<Value>,
    /// The parts of the account that could not be read; `None` if that is no question here.
    pub(crate) blind_spots: Option<Vec<Value>>,
}

impl Page {
    /// The whole file.
    pub(crate) fn html(&self) -> String {
        let counts = self.counts.iter().map(|(label, number)| json!({"label": label, "number": number}));
        let data = json!({
            "title": self.title,
            "account": self.account,
            "madeAt": self.made_at,
            "version": env!("CARGO_PKG_VERSION"),
            "scope": self.scope,
            "counts": counts.collect::<Vec<_>>(),
            "findings": self.findings,
            "access": self.access,
            "blindSpots": self.blind_spots,
        });
        fill(&[
            ("{style-hash}", &hash(STYLE)),
            ("{script-hash}", &hash(SCRIPT)),
            ("{title}", self.title),
            ("{style}", STYLE),
            ("{data}", &block(&visible(data))),
            ("{script}", SCRIPT),
        ])
    }
}

/// The template with its places filled, in their order; nothing that fills a place is looked through for another.
fn fill(parts: &[(&str, &str)]) -> String {
    let (mut page, mut rest) = (String::new(), TEMPLATE);
    for (place, part) in parts {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        page.extend([before, part]);
        rest = after;
    }
    page + rest
}

/// A part's hash as a Content-Security-Policy names it (CSP Level 3, "hash-source").
fn hash(part: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(part))
}

/// The same data, with every character that does not show itself written out.
fn visible(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(shown(&text)),
        Value::Array(items) => items.into_iter().map(visible).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (shown(&name), visible(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// JSON that can stand in an HTML script block: none of these characters can be outside a string of it, and inside one JSON has
/// another way to write them. `<` alone would be enough to end no block and begin no comment (HTML Standard, "Restrictions for
/// contents of script elements").
fn block(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests;
