//! Which roles, clusters and creators the settings mean: the patterns of `ROLE_PATTERNS`, `CLUSTER_PATTERNS` and
//! `TRUSTED_CREATORS`.
//!
//! Decides whether a name, an ARN or a creator is meant, and refuses a pattern that could never match anything: an
//! exclusion with a typing error would otherwise protect nothing, silently. What a match leads to is decided elsewhere.

use wildmatch::WildMatch;

use crate::model::Creator;

/// One glob, `*` and `?`, for names, or for ARNs where it starts with `arn:`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    glob: WildMatch,
    of_arns: bool,
}

impl Pattern {
    /// Reads a pattern without its `!`.
    ///
    /// # Errors
    ///
    /// A sentence, where no name and no ARN could ever match.
    pub fn parse(text: &str) -> Result<Self, String> {
        let of_arns = text.starts_with("arn:");
        let can_match = |c: char| match c {
            '*' | '?' => true,
            _ if of_arns => c.is_ascii_graphic(),
            // The names of roles (IAM) and of clusters (EKS) are made of these.
            _ => c.is_ascii_alphanumeric() || "_+=.@-".contains(c),
        };
        match text.chars().find(|&c| !can_match(c)) {
            _ if text.is_empty() => Err("a pattern is empty".to_owned()),
            Some(c @ ('/' | ':')) => Err(format!(
                "{text:?} can never match: no name contains {c:?}; a pattern for ARNs starts with \"arn:\""
            )),
            Some(c) => Err(format!("{text:?} can never match: no name contains {c:?}")),
            None => Ok(Self { glob: WildMatch::new(text), of_arns }),
        }
    }

    /// Whether the thing of this name and ARN is meant.
    #[must_use]
    pub fn matches(&self, name: &str, arn: &str) -> bool {
        self.glob.matches(if self.of_arns { arn } else { name })
    }
}

/// A list of patterns of which some may exclude; without patterns, it admits everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patterns {
    included: Vec<Pattern>,
    excluded: Vec<Pattern>,
}

impl Patterns {
    /// Reads a comma list. Blanks around a pattern and empty items are skipped; a leading `!` excludes.
    /// A role's name may contain a comma, which has to be written `?` here.
    ///
    /// # Errors
    ///
    /// A sentence about the first pattern that could never match.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut patterns = Self::default();
        for item in items(text) {
            match item.strip_prefix('!') {
                Some(excluded) => patterns.excluded.push(Pattern::parse(excluded.trim_start())?),
                None => patterns.included.push(Pattern::parse(item)?),
            }
        }
        Ok(patterns)
    }

    /// Whether the thing of this name and ARN is among those meant. Exclusions win over inclusions; where there are
    /// only exclusions, everything else is meant.
    #[must_use]
    pub fn admits(&self, name: &str, arn: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name, arn));
        (self.included.is_empty() || any(&self.included)) && !any(&self.excluded)
    }
}

/// Someone whose `CreateRole` counts as intended, by unique ID or by ARN.
///
/// The unique ID is the safe form: a creator that is itself deleted and created again loses it, while whoever may
/// create roles may choose a name that an ARN pattern matches.
#[derive(Debug, Clone, PartialEq)]
pub enum CreatorPattern {
    /// `AROA…` of a role, `AIDA…` of a user, compared exactly.
    UniqueId(String),
    /// The ARN of a role or user, with `*` and `?` inside its parts.
    Arn(ArnPattern),
}

impl CreatorPattern {
    /// Reads one item of `TRUSTED_CREATORS`.
    ///
    /// # Errors
    ///
    /// A sentence, where the item is neither a unique ID nor a pattern for the ARN of an IAM role or user.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("arn:") {
            return ArnPattern::parse(text).map(Self::Arn);
        }
        let id = text.strip_prefix("AROA").or_else(|| text.strip_prefix("AIDA"));
        match id {
            Some(rest) if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Self::UniqueId(text.to_owned()))
            }
            _ => Err(format!("{text:?} is neither a unique ID (AROA… or AIDA…) nor an ARN")),
        }
    }

    /// Reads a comma list; blanks around an item and empty items are skipped.
    ///
    /// # Errors
    ///
    /// A sentence about the first item that is neither a unique ID nor an ARN pattern.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        items(text).map(Self::parse).collect()
    }

    /// Whether this creator is meant.
    #[must_use]
    pub fn matches(&self, creator: &Creator) -> bool {
        match self {
            Self::UniqueId(id) => *id == creator.unique_id,
            Self::Arn(pattern) => pattern.matches(&creator.arn),
        }
    }
}

/// A pattern for the ARN of an IAM role or user, whose wildcards never reach across a `:` or `/`: `role/ci/*` must
/// not match a role that somebody made in a path below.
#[derive(Debug, Clone, PartialEq)]
pub struct ArnPattern {
    parts: Vec<WildMatch>,
    separators: Vec<String>,
}

const SEPARATORS: [char; 2] = [':', '/'];

impl ArnPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let mut fields = text.splitn(6, ':').skip(1);
        let mut next = || fields.next().unwrap_or_default();
        let (partition, service, region, account, resource) = (next(), next(), next(), next(), next());
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        if service == "sts" {
            return Err(format!(
                "{text:?} is an STS session's ARN, whose end its caller chooses; name the IAM role behind the session"
            ));
        }
        if service != "iam" || !region.is_empty() || !matches!(kind, "role" | "user") {
            return Err(format!("{text:?} is not the ARN of an IAM role or user"));
        }
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("{text:?} does not spell out the account's twelve digits"));
        }
        if partition.is_empty() || name.is_empty() || name.ends_with('/') {
            return Err(format!("{text:?} names no partition or no role or user"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("{text:?} can never match: an ARN has no blanks and no letters beyond ASCII"));
        }
        Ok(Self {
            parts: text.split(SEPARATORS).map(WildMatch::new).collect(),
            separators: text.matches(SEPARATORS).map(str::to_owned).collect(),
        })
    }

    fn matches(&self, arn: &str) -> bool {
        // Equal separators mean equally many parts, so the zip leaves none out.
        arn.matches(SEPARATORS).eq(self.separators.iter())
            && self.parts.iter().zip(arn.split(SEPARATORS)).all(|(pattern, part)| pattern.matches(part))
    }
}

/// The items of a comma list, without blanks and without the empty ones.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests;
