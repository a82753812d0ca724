//! `REGIONS`: where clusters are looked for.
//!
//! Decides which Regions are meant, given those that the account has enabled. It does not ask AWS for them, and does
//! not check that a Region named by hand exists or is enabled: calls there will tell, as a blind spot.

use crate::model::Region;
use crate::pattern::Patterns;

/// The Regions in which clusters are looked for.
#[derive(Debug, Clone, PartialEq)]
pub enum RegionSelection {
    /// Every Region that is enabled for the account, but those excluded.
    All {
        /// Exclusions only, such as `!ap-*`.
        except: Patterns,
    },
    /// These, in the order given, whatever the account says of them.
    Only(Vec<Region>),
}

impl Default for RegionSelection {
    fn default() -> Self {
        Self::All { except: Patterns::default() }
    }
}

impl RegionSelection {
    /// What the setting takes.
    pub(super) const ACCEPTED: &str = "all; or all with exclusions, such as all,!ap-*; or a comma list of Regions, \
        such as eu-west-1,us-east-1";

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        if items.contains(&"all") {
            items.retain(|&item| item != "all");
            if let Some(item) = items.iter().find(|item| !is_exclusion(item)) {
                return Err(format!("with all, only exclusions are accepted, not {item:?}"));
            }
            return Patterns::parse(&items.join(",")).map(|except| Self::All { except });
        }
        let mut regions = Vec::new();
        for item in items {
            let region = Region::parse(item).ok_or_else(|| format!("{item:?} is not a Region"))?;
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        if regions.is_empty() { Err("it names no Region".to_owned()) } else { Ok(Self::Only(regions)) }
    }

    /// Whether the list of the account's enabled Regions is needed at all.
    #[must_use]
    pub fn needs_enabled(&self) -> bool {
        matches!(self, Self::All { .. })
    }

    /// The Regions meant, where these are enabled for the account.
    #[must_use]
    pub fn choose(&self, enabled: &[Region]) -> Vec<Region> {
        match self {
            Self::All { except } => enabled.iter().filter(|region| except.admits(&region.0, "")).cloned().collect(),
            Self::Only(regions) => regions.clone(),
        }
    }
}

fn is_exclusion(item: &str) -> bool {
    item.strip_prefix('!').is_some_and(|pattern| {
        !pattern.is_empty()
            && pattern.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*?".contains(&b))
    })
}
