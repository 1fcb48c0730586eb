//! Filters on texts.
//!
//! Must not know places or escapes of templates beyond their names.

use std::borrow::Cow;

use super::{Call, Entry, optional, required};
use crate::{
    base::Value,
    expression::{
        members::attribute_of,
        rendering::{Piece, shell_quoted, sql_identifier},
        wrong::Wrong,
    },
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::filter(
        "text",
        "The value as text; lists and maps as JSON.",
        ("12.50 | text ~ ' EUR'", "12.50 EUR"),
        |call| Piece::of(call.input).map(Piece::into_value),
    )
    .aliases(&["string"])
    .taints(),
    Entry::filter(
        "trim",
        "The text without white space (or the given characters) at both ends.",
        ("'  ok\\n' | trim", "ok"),
        trim,
    )
    .takes(&[optional("characters")])
    .taints(),
    Entry::filter("upper", "The text in upper case.", ("'brl' | upper", "BRL"), |call| {
        built(call, call.text()?.to_uppercase())
    })
    .taints(),
    Entry::filter("lower", "The text in lower case.", ("'BRL' | lower", "brl"), |call| {
        built(call, call.text()?.to_lowercase())
    })
    .taints(),
    Entry::filter(
        "title",
        "The text with each word's first letter in upper case and the rest in lower case.",
        ("'late CAPTURES' | title", "Late Captures"),
        |call| built(call, title(call.text()?)),
    )
    .taints(),
    Entry::filter(
        "replace",
        "The text with every `old` (or the first `count`) replaced by `new`.",
        ("'2026-01-02' | replace('-', '/')", "2026/01/02"),
        replace,
    )
    .takes(&[required("old"), required("new"), optional("count")])
    .taints(),
    Entry::filter(
        "split",
        "The parts between separators; without one, the words between white space.",
        ("'max_retries=5' | split('=') | last", "5"),
        split,
    )
    .takes(&[optional("separator"), optional("limit")])
    .taints(),
    Entry::filter(
        "lines",
        "The lines of the text, without their line breaks.",
        ("'a\\nb\\n' | lines", r#"["a","b"]"#),
        |call| texts(call, call.text()?.lines()),
    )
    .taints(),
    Entry::filter(
        "indent",
        "The text with every line but the first (or all) moved right by `width` spaces (2).",
        ("'a\\nb' | indent(4)", "a\n    b"),
        indent,
    )
    .takes(&[optional("width"), optional("first")])
    .taints(),
    Entry::filter(
        "startswith",
        "Does the text begin with this?",
        ("'capture-1' | startswith('capture')", "true"),
        |call| Ok(call.text()?.starts_with(call.needed_text(0)?).into()),
    )
    .takes(&[required("part")]),
    Entry::filter(
        "endswith",
        "Does the text end with this?",
        ("'a.csv' | endswith('.csv')", "true"),
        |call| Ok(call.text()?.ends_with(call.needed_text(0)?).into()),
    )
    .takes(&[required("part")]),
    Entry::filter(
        "regex_find",
        "The first match of a regular expression, or of one of its groups; null without a match.",
        (r"'took 340 ms' | regex_find('(\\d+) ms', 1)", "340"),
        regex_find,
    )
    .takes(&[required("pattern"), optional("group")]),
    Entry::filter(
        "regex_findall",
        "Every match of a regular expression, or of one of its groups.",
        (r"'a=1 b=2' | regex_findall('\\w=(\\d)', 1)", r#"["1","2"]"#),
        regex_findall,
    )
    .takes(&[required("pattern"), optional("group")]),
    Entry::filter(
        "regex_replace",
        "The text with every match replaced; `$1` stands for the first group.",
        (r"'id 42' | regex_replace('id (\\d+)', '#$1')", "#42"),
        regex_replace,
    )
    .takes(&[required("pattern"), required("replacement")])
    .taints(),
    Entry::filter(
        "quote",
        "The text as one word of a POSIX shell. A command's templates are quoted without it.",
        ("'a b' | quote", "'a b'"),
        |call| built(call, shell_quoted(call.text()?)?),
    )
    .taints(),
    Entry::filter(
        "ident",
        "The text as one SQL identifier, in the standard's double quotes.",
        ("'order' | ident", "\"order\""),
        |call| built(call, sql_identifier(call.text()?)?),
    ),
    Entry::filter(
        "raw",
        "The value as it is: in a command or URL it is not quoted. Linted, for what may be in it.",
        ("'a b' | raw", "a b"),
        |call| Ok(call.input.clone()),
    ),
];

/// A text that was made, paid for.
fn built(call: &Call<'_>, text: String) -> Result<Value, Wrong> {
    call.budget.build(text.len())?;
    Ok(Value::Text(text))
}

/// The parts as a list, paid for before it is made: each takes far more than its letters.
fn texts<'a>(
    call: &Call<'_>,
    parts: impl Iterator<Item = &'a str> + Clone,
) -> Result<Value, Wrong> {
    call.budget.step(parts.clone().count())?;
    Ok(Value::List(parts.map(Value::text).collect()))
}

fn trim(call: &Call<'_>) -> Result<Value, Wrong> {
    let text = call.text()?;
    let trimmed = match call.text_argument(0)? {
        Some(characters) => text.trim_matches(|c| characters.contains(c)),
        None => text.trim(),
    };
    built(call, trimmed.to_owned())
}

fn title(text: &str) -> String {
    let mut begins = true;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        if begins {
            titled.extend(c.to_uppercase());
        } else {
            titled.extend(c.to_lowercase());
        }
        begins = !c.is_alphanumeric();
    }
    titled
}

fn replace(call: &Call<'_>) -> Result<Value, Wrong> {
    let (text, old, new) = (call.text()?, call.needed_text(0)?, call.needed_text(1)?);
    if old.is_empty() {
        return Err(Wrong::types("`replace` can't look for an empty text"));
    }
    let count = call.int_argument(2, 0..=i64::MAX)?;
    let count = count.and_then(|c| usize::try_from(c).ok()).unwrap_or(usize::MAX);
    // The result's size is known beforehand: a small text can grow beyond all memory.
    let found = text.matches(old).take(count).count();
    let grown = found.saturating_mul(new.len()).saturating_add(text.len() - found * old.len());
    call.budget.build(grown)?;
    Ok(Value::Text(text.replacen(old, new, count)))
}

fn split(call: &Call<'_>) -> Result<Value, Wrong> {
    let text = call.text()?;
    let limit = call.int_argument(1, 1..=i64::MAX)?;
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX);
    match call.text_argument(0)? {
        Some("") => Err(Wrong::types("`split` can't split at an empty text")),
        Some(separator) => texts(call, text.splitn(limit, separator)),
        None => texts(call, text.split_whitespace().take(limit)),
    }
}

fn indent(call: &Call<'_>) -> Result<Value, Wrong> {
    let text = call.text()?;
    let width = usize::try_from(call.int_argument(0, 0..=200)?.unwrap_or(2)).unwrap_or(2);
    let first = call.flag(1)?;
    let lines = text.split_inclusive('\n').count();
    call.budget.build(text.len() + lines * width)?;
    let mut indented = String::with_capacity(text.len() + lines * width);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if (index > 0 || first) && line != "\n" {
            indented.extend(std::iter::repeat_n(' ', width));
        }
        indented.push_str(line);
    }
    Ok(Value::Text(indented))
}

fn regex_group(call: &Call<'_>, groups: usize) -> Result<usize, Wrong> {
    let group = usize::try_from(call.int_argument(1, 0..=1000)?.unwrap_or(0)).unwrap_or(0);
    if group >= groups {
        return Err(Wrong::types(format!(
            "the pattern has {} groups, and no group {group}",
            groups - 1
        )));
    }
    Ok(group)
}

fn regex_find(call: &Call<'_>) -> Result<Value, Wrong> {
    let text = call.text()?;
    let pattern = call.budget.pattern(call.needed_text(0)?)?;
    let group = regex_group(call, pattern.captures_len())?;
    let found = pattern.captures(text).and_then(|c| c.get(group));
    Ok(found.map_or(Value::Null, |m| Value::text(m.as_str())))
}

fn regex_findall(call: &Call<'_>) -> Result<Value, Wrong> {
    let text = call.text()?;
    let pattern = call.budget.pattern(call.needed_text(0)?)?;
    let group = regex_group(call, pattern.captures_len())?;
    let mut found = Vec::new();
    for captures in pattern.captures_iter(text) {
        call.budget.step(1)?;
        let matched = captures.get(group).map_or("", |m| m.as_str());
        call.budget.build(matched.len())?;
        found.push(Value::text(matched));
    }
    Ok(Value::List(found))
}

fn regex_replace(call: &Call<'_>) -> Result<Value, Wrong> {
    let (text, replacement) = (call.text()?, call.needed_text(1)?);
    let pattern = call.budget.pattern(call.needed_text(0)?)?;
    let mut replaced = String::new();
    let mut last = 0;
    for captures in pattern.captures_iter(text) {
        call.budget.step(1)?;
        let Some(whole) = captures.get(0) else { continue };
        let before = replaced.len();
        replaced.push_str(&text[last..whole.start()]);
        // `$1$1$1…` may name a long group often: what it takes at most is known before.
        let named = replacement.matches('$').count();
        let longest = whole.len().saturating_mul(named).saturating_add(replacement.len());
        if longest > call.budget.bytes_left() {
            call.budget.build(longest)?;
        }
        captures.expand(replacement, &mut replaced);
        call.budget.build(replaced.len() - before)?;
        last = whole.end();
    }
    replaced.push_str(&text[last..]);
    built(call, replaced)
}

/// The items of a list as texts with a separator between them.
pub(super) fn join(call: &Call<'_>) -> Result<Value, Wrong> {
    let items = call.list()?;
    let separator = call.text_argument(0)?.unwrap_or("");
    let attribute = call.text_argument(1)?;
    let mut joined = Piece::default();
    for (index, item) in items.iter().enumerate() {
        let item = match attribute {
            Some(attribute) => attribute_of(item, attribute)?,
            None => Cow::Borrowed(item),
        };
        if *item == Value::Null {
            return Err(Wrong::types(format!("`join` finds null at position {index}"))
                .help("write `| map(default='') | join(…)`, or `| reject('none')`"));
        }
        let piece = Piece::of(&item)?;
        let separator = if index > 0 { separator } else { "" };
        call.budget.build(separator.len() + piece.len())?;
        joined.push_str(separator);
        joined.push(&piece);
    }
    Ok(joined.into_value())
}
