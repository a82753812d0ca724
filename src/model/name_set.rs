//! A set of names: the Kubernetes groups of an entry, the namespaces of a scope.
//!
//! EKS promises no order for these, and another order is no change by the owner (Terraform's provider keeps both as
//! sets). They are sent back byte for byte in the order in which EKS gave them.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Names in the order in which they were given; equal if they are the same names in whatever order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NameSet(Vec<String>);

impl NameSet {
    fn sorted(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The names that this set has and the other has not.
    pub fn missing_from<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|name| !other.0.contains(name)).map(String::as_str)
    }
}

impl From<Vec<String>> for NameSet {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

impl FromIterator<String> for NameSet {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl Deref for NameSet {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl PartialEq for NameSet {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Eq for NameSet {}

impl PartialOrd for NameSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NameSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sorted().cmp(&other.sorted())
    }
}

impl Hash for NameSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> NameSet {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_same_names_in_another_order_or_twice_are_the_same_set() {
        assert_eq!(names(&["a", "b"]), names(&["b", "a", "a"]));
        assert_ne!(names(&["a", "b"]), names(&["a", "c"]));
        assert_ne!(names(&["a"]), names(&[]));
    }

    #[test]
    fn a_set_keeps_the_order_in_which_it_was_given() {
        let text = r#"["b","a","c"]"#;
        let set: NameSet = serde_json::from_str(text).expect("a list of texts");
        assert_eq!(serde_json::to_string(&set).expect("a list of texts"), text);
    }
}
