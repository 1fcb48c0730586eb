//! YAML text as a small tree in which every key and value knows its place.
//!
//! Owns parsing, its budgets, what of YAML is refused, the typing of plain scalars, and the reading
//! of basic shapes (maps with known keys, text, flags, durations). Must not know what is written:
//! runbooks, projects and files of inputs are read by the layers above.
//!
//! The events come from `granit-parser`; tree, budgets and refusals are ours, since no crate
//! refused all hostile files: see `tests/language.rs`.

mod characters;
mod faults;
mod parse;
pub mod scalars;
pub mod shape;
mod written;

use std::sync::Arc;

use crate::{
    base::{Place, Source},
    diagnostics::{Diagnostic, codes},
    expression::Written,
};

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;
/// The most nodes of a tree, those of aliases counted each time.
pub const MAX_NODES: usize = 200_000;
/// The most bytes of text in a tree, that of aliases counted each time.
pub const MAX_EXPANDED: usize = 4 << 20;
/// How many diagnostics of one file are shown. Each is drawn with its line: a hostile file must
/// not turn a check into minutes of drawing.
pub const MAX_DIAGNOSTICS: usize = 200;

/// A value of the tree. Cloning is cheap: aliases share what they stand for.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub shape: Shape,
    /// Where it stands; for an alias, where its anchor stands.
    pub place: Place,
}

/// The kinds of nodes.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A single word or text.
    Scalar(Scalar),
    /// Values in order.
    List(Arc<[Node]>),
    /// Values by key, in order; keys are distinct.
    Map(Arc<[Entry]>),
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// A key. Keys are text, whatever they look like: `on` is `on`.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its text.
    pub text: Arc<str>,
    /// Where it stands.
    pub place: Place,
}

/// A single word or text.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The text, after quotes, escapes and indentation are gone. Empty and plain: no value at all.
    pub text: Arc<str>,
    /// How it was written.
    pub style: Style,
    /// Where, with the map from text to file.
    pub written: Written,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: its type depends on what it looks like.
    Plain,
    /// In single or double quotes: always text.
    Quoted,
    /// As a block, `|` or `>`: always text.
    Block,
}

impl Node {
    /// What it is, with its article, as messages name it.
    pub fn kind(&self) -> &'static str {
        match &self.shape {
            Shape::Scalar(scalar) => scalar.kind(),
            Shape::List(_) => "a list",
            Shape::Map(_) => "a map",
        }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.shape {
            Shape::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Nothing stands there, or `null`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| matches!(s.typed(), scalars::Typed::Null))
    }

    /// The value of this key, if it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.shape {
            Shape::Map(entries) => entries.iter().find(|e| &*e.key.text == key).map(|e| &e.value),
            _ => None,
        }
    }
}

impl Scalar {
    /// The type that YAML 1.2's core schema gives it.
    pub fn typed(&self) -> scalars::Typed {
        match self.style {
            Style::Plain => scalars::typed(&self.text),
            Style::Quoted | Style::Block => scalars::Typed::Text,
        }
    }

    fn kind(&self) -> &'static str {
        match self.typed() {
            scalars::Typed::Null => "empty",
            scalars::Typed::Bool(_) => "a boolean",
            scalars::Typed::Int(_) => "an integer",
            scalars::Typed::Decimal(_) => "a decimal",
            scalars::Typed::Text => "text",
            scalars::Typed::Ambiguous(_) => "ambiguous",
        }
    }
}

/// Reads one YAML document.
///
/// The tree is there whenever the text is YAML within its budgets, even if diagnostics were found.
pub fn parse(source: &Arc<Source>) -> (Option<Node>, Vec<Diagnostic>) {
    parse::parse(source)
}

/// The text of a file's bytes: UTF-8, with or without a byte order mark.
///
/// # Errors
/// `RW0101` for anything else, UTF-16 named as such; `RW0104` for more than [`MAX_BYTES`].
pub fn decode(path: &str, bytes: Vec<u8>) -> Result<String, Vec<Diagnostic>> {
    if bytes.len() > MAX_BYTES {
        let message = format!("{path} is larger than 1 MiB ({} bytes)", bytes.len());
        return Err(vec![Diagnostic::unplaced(codes::RW0104, message)]);
    }
    let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = match wide {
            true => format!("{path} is written in UTF-16"),
            false => format!("{path} is not UTF-8 text: byte {at} is wrong"),
        };
        vec![Diagnostic::unplaced(codes::RW0101, message).help("save the file as UTF-8")]
    })
}

/// The diagnostics of a file as they are handed out: in order, each once, and not more than
/// [`MAX_DIAGNOSTICS`].
pub fn finish(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    crate::diagnostics::sort(&mut diagnostics);
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len().min(MAX_DIAGNOSTICS));
    let mut left = 0_usize;
    for diagnostic in diagnostics {
        // Two aliases of one anchor find the same fault at the same place; those are neighbours.
        let twice = kept
            .iter()
            .rev()
            .take_while(|k| k.place == diagnostic.place)
            .any(|k| k.code == diagnostic.code && k.message == diagnostic.message);
        match (twice, kept.len() < MAX_DIAGNOSTICS) {
            (true, _) => {}
            (false, true) => kept.push(diagnostic),
            (false, false) => left += 1,
        }
    }
    if left > 0 {
        kept.push(Diagnostic::unplaced(
            codes::RW0104,
            format!("{left} more faults were found and are not shown"),
        ));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_named() {
        let errors = decode("a.yaml", vec![0xff, 0xfe, b'a', 0]).unwrap_err();
        assert_eq!(errors[0].message, "a.yaml is written in UTF-16");
        assert_eq!(decode("a.yaml", b"a: \xc3\xa9".to_vec()).unwrap(), "a: é");
        assert!(decode("a.yaml", vec![b'a', 0xc3]).unwrap_err()[0].message.contains("byte 1"));
    }

    #[test]
    fn a_file_full_of_faults_is_cut_and_repetitions_are_dropped() {
        let source = Source::new("a.yaml", "x".repeat(300));
        let place = |i: usize| Place::new(&source, i..i + 1);
        let mut all: Vec<_> =
            (0..300).map(|i| Diagnostic::error(codes::RW0201, place(i), "x")).collect();
        all.push(all[7].clone());
        let shown = finish(all);
        assert_eq!(shown.len(), MAX_DIAGNOSTICS + 1);
        assert!(shown[MAX_DIAGNOSTICS].message.starts_with("100 more"));
    }
}
