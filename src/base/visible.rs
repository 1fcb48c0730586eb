//! Makes text safe to look at: what a terminal would obey, or an eye would not see, is spelled out.
//!
//! Owns the choice of characters that are not shown as they are. Must not know where the text goes;
//! whoever prints something that came from outside passes it through here first.

use std::fmt::Write;

/// The text with every character that could act or hide spelled as `\u{…}`: control characters
/// (so escape sequences of a terminal become plain words), the ones that change the direction of
/// writing, and the ones without width. Line breaks and tabs stay; a lone carriage return does not,
/// since it would overwrite its line.
///
/// The set is Unicode's Cc, Zl, Zp and `Default_Ignorable_Code_Point`, the bidirectional controls
/// among them (UAX #9), tags and blank Hangul fillers. A variation selector that follows a
/// pictograph stays: it is how `⚠️` is written.
pub fn escape(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// The same on one line: line breaks and tabs are spelled out too, so that text from outside can't
/// look like a line of ours.
pub fn escape_line(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut previous = ' ';
    for c in text.chars() {
        let emoji_style = matches!(c, '\u{fe0e}' | '\u{fe0f}') && is_pictograph(previous);
        if acts_or_hides(c) && !keep(c) && !emoji_style {
            // Writing to a `String` can't fail.
            let _ = match c {
                '\n' => out.write_str("\\n"),
                '\t' => out.write_str("\\t"),
                '\r' => out.write_str("\\r"),
                c => write!(out, "{}", c.escape_unicode()),
            };
        } else {
            out.push(c);
        }
        previous = c;
    }
    out
}

/// Would a terminal obey it, or an eye miss it?
pub fn acts_or_hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{203c}'..='\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_nothing_to_obey() {
        assert_eq!(escape("\u{1b}[31mred\u{1b}[0m"), "\\u{1b}[31mred\\u{1b}[0m");
        assert_eq!(escape("\u{9b}2J\u{7}\u{8}\u{7f}"), "\\u{9b}2J\\u{7}\\u{8}\\u{7f}");
        assert_eq!(escape("safe\rrm -rf /"), "safe\\rrm -rf /");
    }

    #[test]
    fn direction_and_width_are_seen() {
        assert_eq!(escape("a\u{202e}txt.exe"), "a\\u{202e}txt.exe");
        assert_eq!(escape("pro\u{200b}d\u{2066}\u{feff}"), "pro\\u{200b}d\\u{2066}\\u{feff}");
        assert_eq!(escape("x\u{e0041}\u{fe0f}\u{2028}"), "x\\u{e0041}\\u{fe0f}\\u{2028}");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ["a\tb\n  c\n", "ação — ≥ 5 ‹secret x@1›", "日本語 عربي", "⚠️ 🔥 ✔︎"]
        {
            assert_eq!(escape(text), text);
        }
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(escape_line("a\nRolled back: yes\t\r\n"), "a\\nRolled back: yes\\t\\r\\n");
        assert!(!escape_line("a\u{85}b\u{2029}c\u{b}d\u{c}").contains(char::is_control));
    }

    #[test]
    fn escaping_twice_changes_nothing_more() {
        let once = escape("\u{1b}]0;title\u{7}\u{202e}");
        assert_eq!(escape(&once), once);
    }
}
