//! Names of things in a run. Newtypes, so that one can't be passed for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A run: a UUID v7 in its text form, so that ids sort by creation time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl RunId {
    /// The form shown to people. The first characters of a UUID v7 are its time and nearly equal
    /// for runs of one day, so the short form keeps enough to tell them apart.
    pub fn short(&self) -> &str {
        self.0.get(..13).unwrap_or(&self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Position of an event in its run's journal, from 1.
pub type Seq = u64;

/// One instance of a step in a run: the step's id and, inside of `foreach`, the item's index at
/// each level, outermost first. Shown and serialised as `workers[1]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The step's `id`; for a step of a called runbook, the caller's id and a dot come first.
    pub step: String,
    /// Index of the item at each enclosing `foreach`.
    pub items: Vec<usize>,
}

impl NodeId {
    /// A step outside of any `foreach`.
    pub fn new(step: impl Into<String>) -> Self {
        Self { step: step.into(), items: Vec::new() }
    }

    /// The same step for one item more.
    pub fn with_item(&self, index: usize) -> Self {
        let mut items = self.items.clone();
        items.push(index);
        Self { step: self.step.clone(), items }
    }

    /// Reads the shown form; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('[');
        let step = parts.next().filter(|s| !s.is_empty())?.to_owned();
        let mut items = Vec::new();
        for part in parts {
            items.push(part.strip_suffix(']')?.parse().ok()?);
        }
        Some(Self { step, items })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.step)?;
        self.items.iter().try_for_each(|i| write!(f, "[{i}]"))
    }
}

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no step")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_reads_what_it_shows() {
        let node = NodeId::new("workers").with_item(1).with_item(0);
        assert_eq!(node.to_string(), "workers[1][0]");
        assert_eq!(NodeId::parse("workers[1][0]"), Some(node));
        assert_eq!(NodeId::parse("workers[x]"), None);
        assert_eq!(NodeId::parse(""), None);
    }
}
