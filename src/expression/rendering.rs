//! Values as text: plain, as shell words, percent-encoded; with a shown form beside each secret.
//!
//! Owns the escapes. Must not know the syntax tree.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::wrong::{Wrong, described, sane_throughout};
use crate::base::{Secret, Value};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text being built. Once a secret has come into it, it has a second form, for people.
#[derive(Clone, Default)]
pub(crate) struct Piece {
    clear: String,
    shown: Option<String>,
}

impl Piece {
    /// A text without a secret in it.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { clear: text.into(), shown: None }
    }

    /// A value as text: null as `null`, lists and maps as JSON.
    pub(crate) fn of(value: &Value) -> Result<Self, Wrong> {
        sane_throughout(value)?;
        Ok(match value {
            Value::Text(text) => Self::plain(text.as_str()),
            Value::Secret(secret) => {
                Self { clear: secret.expose().to_owned(), shown: Some(secret.shown().to_owned()) }
            }
            Value::Bytes(bytes) => Self::plain(String::from_utf8(bytes.clone()).map_err(|_| {
                Wrong::types(format!("{} bytes are not text", bytes.len()))
                    .help("write `| base64` or `| hex`")
            })?),
            Value::List(_) | Value::Map(_) => Self {
                clear: revealed(value, &Secret::expose).to_string(),
                shown: holds_secret(value).then(|| value.to_string()),
            },
            other => Self::plain(other.to_string()),
        })
    }

    /// Both forms changed alike.
    pub(crate) fn mapped(self, change: impl Fn(&str) -> String) -> Self {
        Self { clear: change(&self.clear), shown: self.shown.as_deref().map(change) }
    }

    /// Bytes of the clear form.
    pub(crate) fn len(&self) -> usize {
        self.clear.len()
    }

    /// The clear form, which may hold secrets.
    pub(crate) fn clear(&self) -> &str {
        &self.clear
    }

    /// Adds text that holds no secret.
    pub(crate) fn push_str(&mut self, text: &str) {
        self.clear.push_str(text);
        if let Some(shown) = &mut self.shown {
            shown.push_str(text);
        }
    }

    /// Adds another piece behind this one.
    pub(crate) fn push(&mut self, more: &Self) {
        match (&mut self.shown, &more.shown) {
            (None, None) => {}
            (Some(shown), more_shown) => {
                shown.push_str(more_shown.as_deref().unwrap_or(&more.clear));
            }
            (None, Some(more_shown)) => self.shown = Some(format!("{}{more_shown}", self.clear)),
        }
        self.clear.push_str(&more.clear);
    }

    /// The same with another clear form; what people see stays.
    fn escaped(self, clear: String) -> Self {
        Self { clear, shown: self.shown }
    }

    /// A text, or a secret when there is one in it.
    pub(crate) fn into_value(self) -> Value {
        match self.shown {
            None => Value::Text(self.clear),
            Some(shown) => Value::Secret(Secret::derived(self.clear, shown)),
        }
    }
}

/// Is there a secret anywhere in it?
pub(crate) fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Secret(_) => true,
        Value::List(items) => items.iter().any(holds_secret),
        Value::Map(map) => map.values().any(holds_secret),
        _ => false,
    }
}

/// The value with a text of each secret in its stead. The result is a secret wherever the text is
/// the clear one.
pub(crate) fn revealed(value: &Value, text: &dyn Fn(&Secret) -> &str) -> Value {
    match value {
        Value::Secret(secret) => Value::text(text(secret)),
        Value::List(items) => Value::List(items.iter().map(|v| revealed(v, text)).collect()),
        Value::Map(map) => {
            Value::Map(map.iter().map(|(k, v)| (k.clone(), revealed(v, text))).collect())
        }
        other => other.clone(),
    }
}

fn not_null(value: &Value) -> Result<(), Wrong> {
    match value {
        Value::Null => Err(Wrong::types("the value is null").help(
            "write `| default('')` when it may be empty, or make sure that there is a value",
        )),
        _ => Ok(()),
    }
}

/// One word of a POSIX shell for a value, several for a list. `glued`: the word goes on from text
/// in front of it, in which a bare word could become part of a variable's name.
pub(crate) fn shell_words(value: &Value, glued: bool) -> Result<Piece, Wrong> {
    let Value::List(items) = value else { return shell_word(value, glued) };
    let mut words = Piece::default();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            words.push_str(" ");
        }
        words.push(&shell_word(item, glued && index == 0)?);
    }
    Ok(words)
}

fn shell_word(value: &Value, glued: bool) -> Result<Piece, Wrong> {
    not_null(value)?;
    let piece = Piece::of(value)?;
    let mut quoted = shell_quoted(&piece.clear)?;
    if glued && quoted == piece.clear {
        quoted = format!("'{quoted}'");
    }
    Ok(piece.escaped(quoted))
}

/// A text as one word of a POSIX shell.
pub(crate) fn shell_quoted(text: &str) -> Result<String, Wrong> {
    shlex::try_quote(text).map(std::borrow::Cow::into_owned).map_err(|_| {
        Wrong::types("a NUL character can't be part of a command")
            .help("take it out: `| replace('\\u0000', '')`")
    })
}

/// A value for a URL's path or query.
pub(crate) fn percent(value: &Value) -> Result<Piece, Wrong> {
    not_null(value)?;
    match value {
        Value::List(_) | Value::Map(_) => {
            Err(Wrong::types(format!("{} can't stand in a URL", described(value)))
                .help("write `| join(',')` or `| json`"))
        }
        Value::Bytes(bytes) => Ok(Piece::plain(percent_encode(bytes, RESERVED).to_string())),
        _ => {
            let piece = Piece::of(value)?;
            let encoded = percent_encoded(&piece.clear);
            Ok(piece.escaped(encoded))
        }
    }
}

/// A text with all but RFC 3986's unreserved characters percent-encoded.
pub(crate) fn percent_encoded(text: &str) -> String {
    percent_encode(text.as_bytes(), RESERVED).to_string()
}

/// An SQL identifier in the standard's double quotes.
pub(crate) fn sql_identifier(name: &str) -> Result<String, Wrong> {
    if name.is_empty() || name.contains('\0') {
        return Err(Wrong::types("an SQL identifier can't be empty or hold a NUL character"));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Value {
        Value::Secret(Secret::new("pw", "1", "it's".into()))
    }

    #[test]
    fn every_shell_word_reads_back_as_the_value() {
        for hostile in [
            "",
            "plain",
            "; touch /tmp/x",
            "$(touch /tmp/x)",
            "`touch /tmp/x`",
            "' ; touch /tmp/x ; '",
            "\" ; touch /tmp/x ; \"",
            "'\"'\"'; #",
            "\\'; touch",
            "* ? [a-z] {a,b} ~",
            "!! !1 ^a^b",
            "line1\nline2\r\ttab",
            "{{ 7*7 }} {% raw %}",
            "ünïcödé 日本語 🏦",
            "\u{a0}\u{2028}",
            "-rf",
        ] {
            for glued in [false, true] {
                let word = shell_words(&Value::text(hostile), glued).unwrap().clear;
                assert_eq!(shlex::split(&word), Some(vec![hostile.to_owned()]), "{word}");
                assert!(!glued || word.starts_with(['\'', '"']), "{word}");
            }
        }
        assert!(shell_words(&Value::text("a\0b"), false).is_err());
        assert!(shell_words(&Value::Null, false).is_err());
    }

    #[test]
    fn a_list_is_several_words_and_a_secret_in_it_is_not_shown() {
        let list = Value::List(vec![Value::text("a b"), Value::Int(2), secret()]);
        let Value::Secret(words) = shell_words(&list, false).unwrap().into_value() else {
            panic!("not a secret")
        };
        assert_eq!(words.expose(), "'a b' 2 \"it's\"");
        assert_eq!(words.shown(), "'a b' 2 ‹secret pw@1›");
        assert!(shell_words(&Value::List(vec![Value::Null]), false).is_err());
    }

    #[test]
    fn urls_and_identifiers() {
        let encoded = percent(&Value::text("a b/ü?&~-._")).unwrap().clear;
        assert_eq!(encoded, "a%20b%2F%C3%BC%3F%26~-._");
        assert!(percent(&Value::List(vec![])).is_err());
        assert_eq!(percent(&Value::Bytes(vec![0, 255])).unwrap().clear, "%00%FF");
        assert_eq!(sql_identifier("limits\"; drop").unwrap(), "\"limits\"\"; drop\"");
        assert!(sql_identifier("").is_err() && sql_identifier("a\0").is_err());
    }

    #[test]
    fn json_of_a_map_with_a_secret_has_two_forms() {
        let map = Value::map([("user", Value::text("ana")), ("pass", secret())]);
        let Value::Secret(text) = Piece::of(&map).unwrap().into_value() else { panic!("plain") };
        assert_eq!(text.expose(), r#"{"user":"ana","pass":"it's"}"#);
        assert_eq!(text.shown(), r#"{"user":"ana","pass":"‹secret pw@1›"}"#);
        assert_eq!(Piece::of(&Value::Null).unwrap().clear, "null");
        assert!(Piece::of(&Value::Bytes(vec![255])).is_err());
    }
}
