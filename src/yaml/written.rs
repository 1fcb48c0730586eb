//! Maps offsets in a scalar's text to offsets in the file.
//!
//! Owns `runs`. Must not know what the text means. A text whose bytes do not stand in the file as
//! they are (escapes, folded quoted lines) has no runs: its whole scalar stands for every part.

use std::{ops::Range, sync::Arc};

use super::Style;
use crate::{
    base::{Place, Source},
    expression::Written,
};

/// How a text stands in the file.
pub(super) fn written(
    source: &Arc<Source>,
    range: Range<usize>,
    text: &str,
    style: Style,
) -> Written {
    let place = Place::new(source, range.clone());
    let slice = source.text.get(range.clone()).unwrap_or("");
    let runs = match style {
        Style::Plain => (slice == text).then(|| vec![(0, range.start)]),
        Style::Quoted => {
            let inner = slice.get(1..slice.len().saturating_sub(1));
            (inner == Some(text)).then(|| vec![(0, range.start + 1)])
        }
        Style::Block => block(&source.text, range, text),
    };
    Written { place, runs: runs.unwrap_or_default().into() }
}

/// One run for each line of a block that is not blank.
///
/// The lines of a literal block stand in the text with line ends between them, those of a folded
/// one with a space or line ends; either way each line of the file is found again in order.
fn block(file: &str, range: Range<usize>, text: &str) -> Option<Vec<(usize, usize)>> {
    // The range starts behind the first line's indentation.
    let start = file.get(..range.start)?.rfind('\n').map_or(0, |i| i + 1);
    let mut runs = Vec::new();
    let mut indent = None;
    let mut at = 0;
    let mut offset = start;
    for raw in file.get(start..range.end)?.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\n', '\r']);
        if !line.trim().is_empty() {
            let rest = text.get(at..)?;
            at += rest.len() - rest.trim_start_matches('\n').len();
            let indent = *indent.get_or_insert_with(|| {
                let spaces = |s: &str| s.len() - s.trim_start_matches(' ').len();
                spaces(line).saturating_sub(spaces(&text[at..]))
            });
            let content = line.get(indent..)?;
            if !text.get(at..)?.starts_with(content) && text[at..].starts_with(' ') {
                at += 1;
            }
            if !text.get(at..)?.starts_with(content) {
                return None;
            }
            runs.push((at, offset + indent));
            at += content.len();
        }
        offset += raw.len();
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use crate::base::Source;

    /// Where the word stands in the file, as the map from the text says.
    fn place_of(yaml: &str, word: &str) -> (String, String) {
        let source = Source::new("a.yaml", yaml);
        let (root, faults) = parse(&source);
        assert!(faults.is_empty(), "{faults:?}");
        let node = root.unwrap();
        let scalar = node.get("a").unwrap().scalar().unwrap().clone();
        let at = scalar.text.find(word).unwrap();
        let place = scalar.written.at(at..at + word.len());
        (place.to_string(), place.text().to_owned())
    }

    #[test]
    fn words_in_every_style_are_found_in_the_file() {
        for (yaml, at) in [
            ("a: one WORD\n", "a.yaml:1:8"),
            ("a: 'é WORD'\n", "a.yaml:1:7"),
            ("a: |\n  one\n\n   é WORD\n  x\n", "a.yaml:4:6"),
            ("a: |2\n   one\n  WORD\n", "a.yaml:3:3"),
            ("a: >-\n  one\n  two WORD\n\n  x\n", "a.yaml:3:7"),
            ("a: |\r\n  one\r\n  WORD\r\n", "a.yaml:3:3"),
            ("x: y\na: |+\n\n  WORD\n\n", "a.yaml:4:3"),
        ] {
            assert_eq!(place_of(yaml, "WORD"), (at.into(), "WORD".into()), "{yaml}");
        }
    }

    #[test]
    fn a_text_with_escapes_stands_as_a_whole() {
        assert_eq!(place_of("a: \"x\\n WORD\"\n", "WORD").1, "\"x\\n WORD\"");
        assert_eq!(place_of("a: one\n  WORD\n", "WORD").1, "one\n  WORD");
    }
}
