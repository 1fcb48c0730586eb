//! Characters that make a text look other than what it says.
//!
//! Owns the list: control characters, changes of direction (Trojan Source, CVE-2021-42574),
//! characters of no width, and line ends that only some programs see. Must not know YAML: comments
//! are looked at too, since reviewers read them.

use std::sync::Arc;

use crate::{
    base::{Place, Source},
    diagnostics::{Diagnostic, codes},
};

/// More of them than this say nothing new.
const SHOWN: usize = 20;

/// What is wrong with a character, if anything is.
pub(super) fn fault(c: char) -> Option<&'static str> {
    Some(match c {
        '\t' | '\n' => return None,
        '\0' => "a NUL character",
        '\r' => "a carriage return without a line feed",
        '\u{1}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => "a control character",
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a character that changes the direction of the text"
        }
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => {
            "a character of no width"
        }
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{180e}' => {
            "a character that can't be seen"
        }
        '\u{2028}' | '\u{2029}' => "a line end that only some programs see",
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => "a character that can't be seen",
        _ => return None,
    })
}

/// A diagnostic for each such character, up to a limit.
pub(super) fn check(source: &Arc<Source>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut more = 0_usize;
    let mut characters = source.text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let Some(what) = fault(c) else { continue };
        let line_end = c == '\r' && characters.peek().is_some_and(|(_, next)| *next == '\n');
        let byte_order_mark = c == '\u{feff}' && at == 0;
        if line_end || byte_order_mark {
            continue;
        }
        if found.len() == SHOWN {
            more += 1;
            continue;
        }
        let place = Place::new(source, at..at + c.len_utf8());
        found.push(diagnostic(place, c, what));
    }
    if more > 0
        && let Some(last) = found.last_mut()
    {
        last.message = format!("{}, and {more} more such characters", last.message);
    }
    found
}

/// The diagnostic for one character.
pub(super) fn diagnostic(place: Place, c: char, what: &str) -> Diagnostic {
    let help = if c == '\0' {
        "remove it; a file full of them is UTF-16: save it as UTF-8"
    } else {
        "remove it: what people see must be what runs"
    };
    Diagnostic::error(codes::RW0105, place, format!("{what} (U+{:04X})", u32::from(c))).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        check(&Source::new("a.yaml", text)).into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn hidden_characters_are_found_and_ordinary_ones_are_not() {
        assert_eq!(found("\u{feff}a: é 日本 \u{1f600}\r\nb:\tc\n"), Vec::<String>::new());
        assert_eq!(
            found("a: \u{202e}x"),
            ["a character that changes the direction of the text (U+202E)"]
        );
        assert_eq!(found("a: pay\u{200b}ments"), ["a character of no width (U+200B)"]);
        assert_eq!(found("# safe\rb: c"), ["a carriage return without a line feed (U+000D)"]);
        assert_eq!(found("a\0"), ["a NUL character (U+0000)"]);
    }

    #[test]
    fn a_million_of_them_give_a_handful_of_diagnostics() {
        let shown = found(&"\u{200b}".repeat(100_000));
        assert_eq!(shown.len(), SHOWN);
        assert!(shown[SHOWN - 1].ends_with("and 99980 more such characters"));
    }
}
