//! Text that must not be read as Markdown.
//!
//! Owns the escaping. Aims at CommonMark with GitHub's additions (tables, strikethrough, links that
//! need no brackets). CommonMark 0.31: <https://spec.commonmark.org/0.31.2/>.

/// One line with a backslash before whatever has a meaning in Markdown.
pub fn escaped_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    // A number with a dot or bracket begins a list.
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in line.char_indices() {
        let next = line[at + c.len_utf8()..].chars().next();
        let special = match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '|' | '~' | '$' => true,
            '&' => next.is_some_and(|n| n.is_ascii_alphanumeric() || n == '#'),
            '#' | '>' | '-' | '+' | '=' | ':' if at == 0 => true,
            '.' | ')' => digits > 0 && at == digits && next.is_none_or(char::is_whitespace),
            // `http://` in a text that could not become code.
            ':' => next == Some('/'),
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text of several lines, each of which stays a line and means nothing. Their indentation goes,
/// since a deep one would make them code.
pub fn escaped(text: &str) -> String {
    text.lines().map(|line| escaped_line(line.trim_start())).collect::<Vec<_>>().join("\\\n")
}

/// Markdown as a terminal shows it: without the backslashes that `escaped` put in.
pub fn unescaped(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut characters = markdown.chars().peekable();
    while let Some(c) = characters.next() {
        let escapes = characters.peek().is_some_and(|n| n.is_ascii_punctuation() || *n == '\n');
        if c == '\\' && escapes {
            out.extend(characters.next());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_comes_back() {
        for text in ["# no heading", "1. no list", "*a* _b_ `c` [d](e) <f> \\ g|h", "two\n- lines"]
        {
            let markdown = escaped(text);
            assert_ne!(markdown, text);
            assert_eq!(unescaped(&markdown), text);
        }
        assert_eq!(escaped("4601.19 and 18"), "4601.19 and 18");
    }
}
