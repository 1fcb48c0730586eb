//! Reads basic shapes out of the tree: maps with known keys, text, flags, numbers, durations.
//!
//! Owns the words for keys that are unknown, missing or of the wrong type. Must not know which
//! keys there are. Nothing stops at the first fault: each reader says what is wrong and gives
//! `None`.

use std::time::Duration;

use regex::Regex;

use super::{Entry, Key, Node, Shape, scalars::Typed};
use crate::{
    base::{Place, time::parse_duration},
    diagnostics::{Diagnostic, codes, nearest},
};

/// The diagnostics of a pass.
pub type Findings = Vec<Diagnostic>;

/// The keys of one map, taken one by one; what is left over is unknown.
pub struct Fields<'a> {
    what: String,
    place: Place,
    entries: Vec<(&'a Entry, bool)>,
    known: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The keys of a map; `what` names it in messages, with its article (`a step`).
    pub fn of(node: &'a Node, what: impl Into<String>, out: &mut Findings) -> Option<Self> {
        let what = what.into();
        let Shape::Map(entries) = &node.shape else {
            out.push(wrong(node, &format!("{what} must be a map")));
            return None;
        };
        let entries = entries.iter().map(|e| (e, false)).collect();
        Some(Self { what, place: node.place.clone(), entries, known: Vec::new() })
    }

    /// Where the map stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The entry of this key, which is known from now on.
    pub fn get(&mut self, key: &str) -> Option<&'a Entry> {
        self.known.push(key.to_owned());
        let (entry, taken) = self.entries.iter_mut().find(|(e, _)| &*e.key.text == key)?;
        *taken = true;
        Some(entry)
    }

    /// The same; its absence is a fault.
    pub fn need(&mut self, key: &str, out: &mut Findings) -> Option<&'a Entry> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} needs the key `{key}`", self.what);
            out.push(Diagnostic::error(codes::RW0202, self.place.clone(), message));
        }
        found
    }

    /// The key `version`, which says what the other keys mean.
    pub fn version(&mut self, out: &mut Findings) {
        let Some(entry) = self.need("version", out) else { return };
        let typed = entry.value.scalar().map(super::Scalar::typed);
        if typed != Some(Typed::Int(1)) {
            let code = match typed {
                Some(Typed::Int(_)) => codes::RW0204,
                _ => codes::RW0203,
            };
            let message = "this runward reads version 1 of its files";
            let fault = Diagnostic::error(code, entry.value.place.clone(), message);
            out.push(fault.help("write `version: 1`"));
        }
    }

    /// Entries that nobody has taken, and that are taken now.
    pub fn rest(&mut self) -> Vec<&'a Entry> {
        self.entries
            .iter_mut()
            .filter(|(_, taken)| !*taken)
            .map(|(entry, taken)| {
                *taken = true;
                *entry
            })
            .collect()
    }

    /// Refuses keys that are planned and not built.
    pub fn not_yet(&mut self, keys: &[&str], out: &mut Findings) {
        for (entry, taken) in &mut self.entries {
            if !*taken && keys.contains(&&*entry.key.text) {
                *taken = true;
                out.push(not_supported(&entry.key));
            }
        }
    }

    /// Complains of every key that nobody has taken.
    pub fn finish(self, out: &mut Findings) {
        for (entry, taken) in &self.entries {
            if !taken {
                unknown(&entry.key, &self.what, self.known.iter().map(String::as_str), out);
            }
        }
    }
}

/// Complains of a key that does not exist in `what`.
pub fn unknown<'k>(
    key: &Key,
    what: &str,
    known: impl Iterator<Item = &'k str>,
    out: &mut Findings,
) {
    let message = format!("unknown key `{}` in {what}", shortened(&key.text));
    let fault = Diagnostic::error(codes::RW0201, key.place.clone(), message);
    // So many are not shown, and looking for near names takes its time.
    if out.len() > super::MAX_DIAGNOSTICS {
        out.push(fault);
        return;
    }
    let known: Vec<&str> = known.collect();
    let list = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
    let help = match (nearest(&key.text, known.iter().copied()), list.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`? Allowed here: {list}"),
        (None, false) => format!("allowed here: {list}"),
        (None, true) => "no keys are allowed here".to_owned(),
    };
    out.push(fault.help(help));
}

/// The diagnostic for a key that is planned and not built.
pub fn not_supported(key: &Key) -> Diagnostic {
    let message = format!("`{}` is not supported by this version yet", key.text);
    Diagnostic::error(codes::RW0201, key.place.clone(), message)
}

/// The diagnostic for a value of the wrong type: "`x` must be text, but is a list".
pub fn wrong(node: &Node, must: &str) -> Diagnostic {
    let message = format!("{must}, but is {}", node.kind());
    let diagnostic = Diagnostic::error(codes::RW0203, node.place.clone(), message);
    match &node.shape {
        Shape::Scalar(s) => match s.typed() {
            Typed::Ambiguous(why) => ambiguous(node, why),
            Typed::Bool(_) | Typed::Int(_) | Typed::Decimal(_) if must.ends_with("text") => {
                diagnostic.help(format!("quote it: \"{}\"", shortened(&s.text)))
            }
            _ => diagnostic,
        },
        Shape::Map(entries) if entries.is_empty() && is_template(node) => {
            diagnostic.help("put the template in quotes: \"{{ … }}\"")
        }
        _ => diagnostic,
    }
}

fn is_template(node: &Node) -> bool {
    node.place.text().starts_with("{{")
}

/// The diagnostic for a scalar whose type readers of YAML disagree on.
pub fn ambiguous(node: &Node, why: &str) -> Diagnostic {
    let text = node.scalar().map_or("", |s| &s.text);
    let message = format!("`{}` {why}", shortened(text));
    Diagnostic::error(codes::RW0205, node.place.clone(), message)
        .help(format!("quote it if it is text: \"{}\"", shortened(text)))
}

/// A text as a message can hold it.
pub fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= 60 && line.len() == text.trim_end().len() {
        return line.to_owned();
    }
    line.chars().take(60).chain(['…']).collect()
}

/// Text. `what` names the value (`` `owner` ``).
pub fn text(node: &Node, what: &str, out: &mut Findings) -> Option<String> {
    match node.scalar() {
        Some(s) if s.typed() == Typed::Text => Some(s.text.to_string()),
        _ => {
            out.push(wrong(node, &format!("{what} must be text")));
            None
        }
    }
}

/// Text in which no template may stand.
pub fn fixed(node: &Node, what: &str, out: &mut Findings) -> Option<String> {
    let text = text(node, what, out)?;
    if let Some(at) = text.find("{{").or_else(|| text.find("{%")) {
        let place = node.scalar().map_or(node.place.clone(), |s| s.written.at(at..at + 2));
        let message = format!("{what} is fixed text: no template may stand in it");
        out.push(Diagnostic::error(codes::RW0305, place, message));
        return None;
    }
    Some(text)
}

/// Text that is not empty and holds no template.
pub fn filled(node: &Node, what: &str, out: &mut Findings) -> Option<String> {
    let text = fixed(node, what, out)?;
    if text.trim().is_empty() {
        let message = format!("{what} must not be empty");
        out.push(Diagnostic::error(codes::RW0203, node.place.clone(), message));
        return None;
    }
    Some(text)
}

/// True or false.
pub fn flag(node: &Node, what: &str, out: &mut Findings) -> Option<bool> {
    if let Some(Typed::Bool(flag)) = node.scalar().map(super::Scalar::typed) {
        return Some(flag);
    }
    let diagnostic = wrong(node, &format!("{what} must be true or false"));
    out.push(match diagnostic.code {
        codes::RW0205 => diagnostic.help("write `true` or `false`"),
        _ => diagnostic,
    });
    None
}

/// A whole number in a range, both ends included.
pub fn whole(
    node: &Node,
    what: &str,
    range: std::ops::RangeInclusive<i128>,
    out: &mut Findings,
) -> Option<i128> {
    match node.scalar().map(super::Scalar::typed) {
        Some(Typed::Int(int)) if range.contains(&int) => Some(int),
        Some(Typed::Int(int)) => {
            let message =
                format!("{what} must be from {} to {}, but is {int}", range.start(), range.end());
            out.push(Diagnostic::error(codes::RW0204, node.place.clone(), message));
            None
        }
        _ => {
            out.push(wrong(node, &format!("{what} must be a whole number")));
            None
        }
    }
}

/// A span of time.
pub fn duration(node: &Node, what: &str, out: &mut Findings) -> Option<Duration> {
    let found = match node.scalar().map(|s| (s.typed(), &s.text)) {
        Some((Typed::Text | Typed::Int(_), text)) => parse_duration(text),
        _ => {
            out.push(wrong(node, &format!("{what} must be a duration such as `30s`")));
            return None;
        }
    };
    match found {
        Ok(span) => Some(span),
        Err(why) => {
            let message = format!("{what}: {why}");
            out.push(Diagnostic::error(codes::RW0203, node.place.clone(), message));
            None
        }
    }
}

/// One of the words in a table.
pub fn choice<T: Copy>(
    node: &Node,
    what: &str,
    table: &[(&str, T)],
    out: &mut Findings,
) -> Option<T> {
    let word = match node.scalar() {
        Some(s) if matches!(s.typed(), Typed::Text | Typed::Ambiguous(_)) => &*s.text,
        _ => {
            out.push(wrong(node, &format!("{what} must be one word")));
            return None;
        }
    };
    if let Some((_, value)) = table.iter().find(|(name, _)| *name == word) {
        return Some(*value);
    }
    out.push(not_among(node, what, word, table.iter().map(|(name, _)| *name)));
    None
}

/// The diagnostic for a word that is not among those allowed.
pub fn not_among<'k>(
    node: &Node,
    what: &str,
    word: &str,
    allowed: impl Iterator<Item = &'k str>,
) -> Diagnostic {
    let allowed: Vec<&str> = allowed.collect();
    let list = allowed.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
    let message = format!("{what} can't be `{}`", shortened(word));
    let help = match nearest(word, allowed.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Allowed: {list}"),
        None => format!("allowed: {list}"),
    };
    Diagnostic::error(codes::RW0204, node.place.clone(), message).help(help)
}

/// The items of a list.
pub fn list<'a>(node: &'a Node, what: &str, out: &mut Findings) -> Option<&'a [Node]> {
    match &node.shape {
        Shape::List(items) => Some(items),
        _ => {
            out.push(wrong(node, &format!("{what} must be a list")));
            None
        }
    }
}

/// The entries of a map whose keys are names of the user's.
pub fn entries<'a>(node: &'a Node, what: &str, out: &mut Findings) -> Option<&'a [Entry]> {
    match &node.shape {
        Shape::Map(entries) => Some(entries),
        _ => {
            out.push(wrong(node, &format!("{what} must be a map")));
            None
        }
    }
}

/// Texts in a list, none of them empty, each with its place.
pub fn texts(node: &Node, what: &str, out: &mut Findings) -> Vec<(String, Place)> {
    list(node, what, out)
        .unwrap_or_default()
        .iter()
        .filter_map(|item| {
            let text = filled(item, &format!("an entry of {what}"), out)?;
            Some((text, item.place.clone()))
        })
        .collect()
}

/// A regular expression.
pub fn regex(node: &Node, what: &str, out: &mut Findings) -> Option<String> {
    let text = text(node, what, out)?;
    match Regex::new(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            out.push(bad_regex(node, what, &error));
            None
        }
    }
}

fn bad_regex(node: &Node, what: &str, error: &regex::Error) -> Diagnostic {
    // The crate draws several lines with a caret of its own; its last one says what is wrong.
    let why = error.to_string();
    let why = why.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
    let message = format!("{what} is not a regular expression: {why}");
    Diagnostic::error(codes::RW0204, node.place.clone(), message)
        .help("in double quotes each `\\` is written twice; single quotes keep it as it is")
}

/// Is this a name as ids, inputs and variables have it: `[a-z][a-z0-9_]*`?
pub fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.len() <= 64
}

/// Complains unless the text is a name.
pub fn check_id(text: &str, place: &Place, what: &str, out: &mut Findings) -> bool {
    if is_id(text) {
        return true;
    }
    let mended: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let mended = mended.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let message = format!("`{}` can't be the name of {what}", shortened(text));
    let rule = "names begin with a letter and hold lower-case letters, digits and `_`";
    let help = if is_id(mended) { format!("{rule}: `{mended}`") } else { rule.to_owned() };
    out.push(Diagnostic::error(codes::RW0207, place.clone(), message).help(help));
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Source;

    fn root(yaml: &str) -> Node {
        super::super::parse(&Source::new("a.yaml", yaml)).0.unwrap()
    }

    #[test]
    fn keys_that_nobody_takes_are_unknown() {
        let node = root("nmae: x\nid: y\nlater: z\n");
        let mut out = Vec::new();
        let mut fields = Fields::of(&node, "a thing", &mut out).unwrap();
        assert!(fields.get("id").is_some());
        assert!(fields.need("name", &mut out).is_none());
        fields.not_yet(&["later"], &mut out);
        fields.finish(&mut out);
        let messages: Vec<_> = out.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "a thing needs the key `name`",
                "`later` is not supported by this version yet",
                "unknown key `nmae` in a thing",
            ]
        );
        assert_eq!(out[2].help.as_deref(), Some("did you mean `name`? Allowed here: `id`, `name`"));
    }

    #[test]
    fn wrong_types_say_what_was_found() {
        let node = root("a: 5\nb: no\nc: [x]\nd:\ne: 5\nf: '['\n");
        let mut out = Vec::new();
        let of = |key: &str| node.get(key).unwrap();
        assert_eq!(text(of("a"), "`a`", &mut out), None);
        assert_eq!(flag(of("b"), "`b`", &mut out), None);
        assert_eq!(text(of("c"), "`c`", &mut out), None);
        assert_eq!(text(of("d"), "`d`", &mut out), None);
        assert_eq!(duration(of("e"), "`e`", &mut out), None);
        assert_eq!(regex(of("f"), "`f`", &mut out), None);
        let said: Vec<_> = out.iter().map(|d| (d.code.as_str(), d.message.as_str())).collect();
        assert_eq!(
            said,
            [
                ("RW0203", "`a` must be text, but is an integer"),
                ("RW0205", "`no` is a boolean for some readers of YAML and text for others"),
                ("RW0203", "`c` must be text, but is a list"),
                ("RW0203", "`d` must be text, but is empty"),
                ("RW0203", "`e`: `5` has no unit; write `5s`, `5m` or `5h`"),
                ("RW0204", "`f` is not a regular expression: unclosed character class"),
            ]
        );
    }

    #[test]
    fn a_malformed_name_is_mended() {
        let mut out = Vec::new();
        let node = root("x");
        assert!(check_id("max_2", &node.place, "a step", &mut out));
        assert!(!check_id("Max-Retries", &node.place, "a step", &mut out));
        assert!(out[0].help.as_deref().unwrap().ends_with("`max_retries`"));
    }
}
