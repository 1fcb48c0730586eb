//! Where a word stands in which file.

use std::{fmt, ops::Range, sync::Arc};

/// A text file of the user's: its path as the user would write it, and its whole text.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Path relative to where the user stands; shown, never opened.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Shared, since every place in the file holds it.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }

    /// Line and column, both from 1, of a byte offset. Columns count characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..floor_char_boundary(&self.text, offset)];
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        (line, before[start..].chars().count() + 1)
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A range of bytes in a file of the user's.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Byte offsets into its text.
    pub range: Range<usize>,
}

impl Place {
    /// A place in this file.
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        Self { source: Arc::clone(source), range }
    }

    /// A smaller place, at offsets relative to this one's start.
    pub fn inside(&self, range: Range<usize>) -> Self {
        let end = self.source.text.len();
        let start = (self.range.start + range.start).min(end);
        Self {
            source: Arc::clone(&self.source),
            range: start..(self.range.start + range.end).min(end),
        }
    }

    /// Line and column of the start, from 1.
    pub fn start(&self) -> (usize, usize) {
        self.source.line_column(self.range.start)
    }

    /// Line and column just behind the end, from 1.
    pub fn end(&self) -> (usize, usize) {
        self.source.line_column(self.range.end)
    }

    /// The words at this place.
    pub fn text(&self) -> &str {
        self.source.text.get(self.range.clone()).unwrap_or("")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.start();
        write!(f, "{}:{line}:{column}", self.source.path)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = Source::new("a.yaml", "é: x\nb: y\n");
        assert_eq!(source.line_column(4), (1, 4));
        let place = Place::new(&source, 6..7);
        assert_eq!((place.start(), place.end(), place.text()), ((2, 1), (2, 2), "b"));
        assert_eq!(place.to_string(), "a.yaml:2:1");
    }
}
