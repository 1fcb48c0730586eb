//! Outside text inside of Markdown: shown as it is, never obeyed.
//!
//! Owns the escaping. Aims at CommonMark with GitHub's additions (tables, strikethrough, links and
//! mentions that need no brackets), since most ticket systems read that or less.
//! CommonMark 0.31: <https://spec.commonmark.org/0.31.2/>, GFM: <https://github.github.com/gfm/>.

use crate::base::{
    markdown::escaped_line as escaped,
    visible::{escape, escape_line},
};

/// Text within a sentence, on one line.
///
/// What stands between backticks stays code, as most messages mean it. What a backslash can't stop
/// (bare links, mentions, references to issues) becomes code.
pub(super) fn inline(text: &str) -> String {
    let line = escape_line(text.trim());
    if acts_bare(&line) {
        return span(&line);
    }
    let parts: Vec<_> = line.split('`').collect();
    let paired = parts.len() % 2 == 1;
    // Two backticks side by side open a longer fence.
    let simple = parts.iter().skip(1).rev().skip(1).all(|part| !part.is_empty());
    if !paired || !simple {
        return escaped(&line);
    }
    let mut out = String::with_capacity(line.len() + 8);
    for (at, part) in parts.iter().enumerate() {
        match at % 2 {
            1 => out.push_str(&span(part)),
            _ if at == 0 => out.push_str(&escaped(part)),
            // Not the beginning of anything.
            _ => out.push_str(escaped(&format!("x{part}")).strip_prefix('x').unwrap_or_default()),
        }
    }
    out
}

/// The same within a table's cell: readers of tables differ about bars in code, so there is none.
pub(super) fn cell(text: &str) -> String {
    if text.contains('|') { escaped(&escape_line(text.trim())) } else { inline(text) }
}

/// Text as code within a sentence, on one line: for names, values, digests.
pub(super) fn code(text: &str) -> String {
    span(&escape_line(text))
}

/// Text as code within a table's cell; what has a bar is escaped instead, since readers of tables
/// differ about bars in code.
pub(super) fn cell_code(text: &str) -> String {
    if text.contains('|') { cell(text) } else { code(text) }
}

/// A code span whose fence is longer than any in the text.
fn span(line: &str) -> String {
    if line.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(line) + 1);
    let edge = line.starts_with('`') || line.ends_with('`');
    let pad = if edge { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// A block of lines that is shown as it is, ending with a line break; `info` names its kind.
pub(super) fn block(info: &str, lines: &[String]) -> String {
    let longest = lines.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let mut out = format!("{fence}{info}\n");
    for line in lines {
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(&fence);
    out.push('\n');
    out
}

/// The lines of a text from outside, for a block.
pub(super) fn lines(text: &str) -> Vec<String> {
    let text = escape(text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.split('\n').map(str::to_owned).collect()
}

fn longest_run(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Does it hold what readers make into links without being asked?
fn acts_bare(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let schemes = ["://", "www.", "mailto:", "xmpp:", "javascript:", "data:"];
    if schemes.iter().any(|scheme| lower.contains(scheme)) {
        return true;
    }
    let mut previous = ' ';
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        // An address such as `ana@example.com` mentions nobody.
        let mention = c == '@' && !previous.is_alphanumeric() && next.is_alphanumeric();
        let reference = c == '#' && next.is_ascii_digit();
        if mention || reference {
            return true;
        }
        previous = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_keep_their_words() {
        assert_eq!(inline("ana@example.com: 5 < 7, a|b"), "ana@example.com: 5 \\< 7, a\\|b");
        assert_eq!(inline("snake_case *bold* [x](y)"), "snake\\_case \\*bold\\* \\[x\\](y)");
        assert_eq!(inline("AT&T & co; &lt;"), "AT\\&T & co; \\&lt;");
        assert_eq!(inline("a\nb"), "a\\\\nb");
    }

    #[test]
    fn code_stays_code_where_its_end_is_plain() {
        assert_eq!(inline("step `a_b` of *x*"), "step `a_b` of \\*x\\*");
        assert_eq!(inline("`a|b` - 1. x"), "`a|b` - 1. x");
        assert_eq!(cell("`a|b`"), "\\`a\\|b\\`");
        assert_eq!(inline("a `b"), "a \\`b");
        assert_eq!(inline("a ``b` c`"), "a \\`\\`b\\` c\\`");
        assert_eq!(inline("``"), "\\`\\`");
        assert_eq!(inline("`a``b`"), "\\`a\\`\\`b\\`");
    }

    #[test]
    fn nothing_begins_a_block() {
        for (text, shown) in [
            ("# x", "\\# x"),
            ("- x", "\\- x"),
            ("12. x", "12\\. x"),
            ("1) x", "1\\) x"),
            ("> x", "\\> x"),
            ("    code", "code"),
            ("=== x", "\\=== x"),
            ("1.5 times", "1.5 times"),
            ("value 1.5", "value 1.5"),
        ] {
            assert_eq!(inline(text), shown);
        }
    }

    #[test]
    fn what_acts_bare_is_code() {
        assert_eq!(inline("see https://x.invalid"), "`see https://x.invalid`");
        assert_eq!(inline("ask @everyone `now`"), "`` ask @everyone `now` ``");
        assert_eq!(inline("closes #2"), "`closes #2`");
    }

    #[test]
    fn fences_are_longer_than_what_they_hold() {
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(block("", &["````".to_owned()]), "`````\n````\n`````\n");
        assert_eq!(cell_code("a|`b"), "a\\|\\`b");
    }
}
