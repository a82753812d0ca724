//! Pages and their tokens. A token is opaque to callers, belongs to the one listing it was made for, and names the last
//! key given out, so that a list that changes between two pages neither repeats nor skips what stayed.

use std::fmt::Write as _;

use super::refusal::Refusal;
use super::world::Habits;

/// One page.
#[derive(Debug)]
pub struct Page<T> {
    /// What it holds; may be empty although more follows.
    pub items: Vec<T>,
    /// Where the next begins.
    pub token: Option<String>,
}

/// Cuts a page out of a list sorted by key. `listing` names operation and scope, such as `ListAccessEntries/prod`.
pub fn page<T: Clone>(
    habits: &Habits,
    listing: &str,
    sorted: &[(String, T)],
    asked_for: usize,
    token: Option<&str>,
) -> Result<Page<T>, Refusal> {
    let after = match token {
        None if habits.empty_page_first => {
            return Ok(Page { items: Vec::new(), token: Some(seal(listing, None)) });
        }
        None => None,
        Some(token) => open(listing, token)?,
    };
    let size = habits.page_size.map_or(asked_for, |most| most.min(asked_for));
    let mut rest = sorted.iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let mut items = Vec::new();
    let mut last = None;
    for (key, item) in rest.by_ref().take(size) {
        items.push(item.clone());
        last = Some(key.as_str());
    }
    let token = rest.next().map(|_| seal(listing, last));
    Ok(Page { items, token })
}

fn seal(listing: &str, last: Option<&str>) -> String {
    let text = format!("{listing}\n{}", last.unwrap_or("\u{0}"));
    let mut token = String::new();
    for byte in text.bytes() {
        write!(token, "{byte:02x}").expect("a string takes all");
    }
    token
}

fn open(listing: &str, token: &str) -> Result<Option<String>, Refusal> {
    let refused = || Refusal::invalid_parameter("The nextToken parameter is not valid");
    let digits = token.as_bytes().chunks(2);
    let bytes = digits.map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    let bytes = bytes.collect::<Option<Vec<u8>>>().ok_or_else(refused)?;
    let text = String::from_utf8(bytes).map_err(|_| refused())?;
    match text.split_once('\n') {
        Some((made_for, last)) if made_for == listing => Ok((last != "\u{0}").then(|| last.to_owned())),
        _ => Err(refused()),
    }
}
