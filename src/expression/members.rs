//! What lies within a value: attributes of maps, items of lists, slices.
//!
//! Owns the faults of looking where nothing is. Must not know the syntax tree.

use std::borrow::Cow;

use super::wrong::{Wrong, described};
use crate::{
    base::{Map, Secret, Value},
    diagnostics::suggest,
};

/// Most keys that a message lists.
const LISTED: usize = 12;

/// The entry of a map. `of` is how the value is written, for messages.
pub(crate) fn member<'v>(value: &'v Value, name: &str, of: &str) -> Result<&'v Value, Wrong> {
    match value {
        Value::Map(map) => map.get(name).ok_or_else(|| missing(map, name, of)),
        Value::Null => Err(Wrong::absent(format!("{of} is null, so it has no `{name}`"))
            .help("ask `is none` first, or write `| default(…)`")),
        Value::List(items) => {
            let wrong = Wrong::types(format!("{of} is a list, and has no `{name}`"));
            Err(match items.first() {
                Some(Value::Map(_)) => wrong.help(format!(
                    "take one of its items: `[0].{name}`, or of all: `| map(attribute='{name}')`"
                )),
                _ => wrong.help("take one of its items, as in `[0]`"),
            })
        }
        Value::Text(_) => Err(Wrong::types(format!("{of} is text, and has no `{name}`"))
            .help(format!("write `| parse_json` for JSON text, or `| {name}` for a filter"))),
        other => Err(Wrong::types(format!("{of} is {}, and has no `{name}`", other.kind()))),
    }
}

fn missing(map: &Map, name: &str, of: &str) -> Wrong {
    let known = map.keys().map(String::as_str);
    Wrong::absent(format!("{of} has no `{name}`"))
        .maybe_help(suggest(name, known.clone()).or_else(|| listed(known)))
}

/// The names that do exist, for the help.
pub(crate) fn listed<'a>(known: impl Iterator<Item = &'a str>) -> Option<String> {
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return None;
    }
    let names: Vec<_> = known.iter().take(LISTED).map(|k| format!("`{k}`")).collect();
    let more = if known.len() > LISTED { ", …" } else { "" };
    Some(format!("there is {}{more}", names.join(", ")))
}

/// The item of a list, a map or a text.
pub(crate) fn item<'v>(value: &'v Value, key: &Value, of: &str) -> Result<Cow<'v, Value>, Wrong> {
    match (value, key) {
        (Value::Map(_) | Value::Null, Value::Text(name)) => {
            member(value, name, of).map(Cow::Borrowed)
        }
        (Value::Null, _) => Err(Wrong::absent(format!("{of} is null, so it has no items"))
            .help("ask `is none` first, or write `| default(…)`")),
        (Value::List(items), Value::Int(index)) => {
            let index_from_start = position(*index, items.len());
            index_from_start.and_then(|i| items.get(i)).map(Cow::Borrowed).ok_or_else(|| {
                Wrong::absent(match items.len() {
                    0 => format!("{of} has no item {index}: the list is empty"),
                    1 => format!("{of} has no item {index}: the list has one item, at [0]"),
                    n => format!("{of} has no item {index}: the list has {n} items, from [0]"),
                })
            })
        }
        (Value::Text(text), Value::Int(index)) => {
            let length = text.chars().count();
            position(*index, length)
                .and_then(|i| text.chars().nth(i))
                .map(|c| Cow::Owned(Value::text(c)))
                .ok_or_else(|| {
                    Wrong::absent(format!("{of} has no character {index}: it has {length}"))
                })
        }
        (Value::Secret(_), _) => Err(Wrong::secret("a part of it")),
        (Value::List(_), Value::Text(name)) => member(value, name, of).map(Cow::Borrowed),
        (Value::Map(_), other) => {
            Err(Wrong::types(format!("the keys of {of} are texts, not {}", described(other)))
                .help("write `| text` behind the key"))
        }
        (Value::List(_) | Value::Text(_), other) => {
            Err(Wrong::types(format!("items of {of} go by number, not by {}", described(other))))
        }
        (other, _) => Err(Wrong::types(format!("{of} is {}, and has no items", other.kind()))),
    }
}

fn position(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index + i128::try_from(length).ok()? } else { index };
    usize::try_from(index).ok()
}

/// `[start:stop:step]` of a list or a text, as in Python.
pub(crate) fn slice(
    value: &Value,
    start: Option<i128>,
    stop: Option<i128>,
    step: Option<i128>,
    of: &str,
) -> Result<Value, Wrong> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Wrong::types("the step of a slice can't be zero"));
    }
    let text = |text: &str| -> String {
        let characters: Vec<char> = text.chars().collect();
        indices(characters.len(), start, stop, step).map(|i| characters[i]).collect()
    };
    match value {
        Value::List(items) => Ok(Value::List(
            indices(items.len(), start, stop, step).map(|i| items[i].clone()).collect(),
        )),
        Value::Text(whole) => Ok(Value::Text(text(whole))),
        Value::Secret(secret) => {
            let shown = format!("{} | slice", secret.shown());
            Ok(Value::Secret(Secret::derived(text(secret.expose()), shown)))
        }
        other => Err(Wrong::types(format!("{of} is {}, and can't be sliced", other.kind()))),
    }
}

fn indices(
    length: usize,
    start: Option<i128>,
    stop: Option<i128>,
    step: i128,
) -> impl Iterator<Item = usize> {
    let length = i128::try_from(length).unwrap_or(i128::MAX);
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: Option<i128>, open: i128| {
        bound.map_or(open, |b| {
            let b = if b < 0 { b.saturating_add(length) } else { b };
            b.clamp(low, high)
        })
    };
    let (first, last) = match step > 0 {
        true => (clamp(start, low), clamp(stop, high)),
        false => (clamp(start, high), clamp(stop, low)),
    };
    std::iter::successors(Some(first), move |i| i.checked_add(step))
        .take_while(move |i| if step > 0 { *i < last } else { *i > last })
        .filter_map(|i| usize::try_from(i).ok())
}

/// The value at a dotted path in an item, as `attribute=` names it.
pub(crate) fn attribute_of<'v>(item: &'v Value, attribute: &str) -> Result<Cow<'v, Value>, Wrong> {
    let mut found = item;
    let mut of = "an item of the list".to_owned();
    for part in attribute.split('.') {
        found = match (found, part.parse::<usize>()) {
            (Value::List(items), Ok(index)) => items
                .get(index)
                .ok_or_else(|| Wrong::absent(format!("{of} has no item {index}")))?,
            _ => member(found, part, &of)?,
        };
        of = format!("`{part}` of {of}");
    }
    Ok(Cow::Borrowed(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::codes;

    #[test]
    fn a_missing_key_suggests_the_one_that_was_meant() {
        let row = Value::map([("status", Value::Null), ("amount", Value::Null)]);
        let wrong = member(&row, "statsu", "`row`").unwrap_err();
        assert_eq!((wrong.code, wrong.message.as_str()), (codes::RW0302, "`row` has no `statsu`"));
        assert_eq!(wrong.help.as_deref(), Some("did you mean `status`?"));
        let wrong = member(&row, "zzz", "`row`").unwrap_err();
        assert_eq!(wrong.help.as_deref(), Some("there is `status`, `amount`"));
    }

    #[test]
    fn an_empty_list_says_that_it_is_empty() {
        let wrong = item(&Value::List(vec![]), &Value::Int(0), "`rows`").unwrap_err();
        assert_eq!(wrong.message, "`rows` has no item 0: the list is empty");
        let two = Value::List(vec![Value::Int(7), Value::Int(8)]);
        assert_eq!(*item(&two, &Value::Int(-1), "x").unwrap(), Value::Int(8));
        let wrong = item(&two, &Value::Int(2), "`rows`").unwrap_err();
        assert_eq!(wrong.message, "`rows` has no item 2: the list has 2 items, from [0]");
        assert!(item(&two, &Value::Int(i128::MIN), "x").is_err());
        assert!(item(&Value::Int(1), &Value::Int(0), "x").is_err());
    }

    #[test]
    fn slices_are_those_of_python() {
        let list = Value::List((0..5).map(Value::from).collect::<Vec<_>>());
        for (start, stop, step, expected) in [
            (None, None, None, "[0,1,2,3,4]"),
            (Some(1), Some(3), None, "[1,2]"),
            (Some(-2), None, None, "[3,4]"),
            (None, Some(-1), None, "[0,1,2,3]"),
            (None, None, Some(2), "[0,2,4]"),
            (None, None, Some(-1), "[4,3,2,1,0]"),
            (Some(3), Some(0), Some(-2), "[3,1]"),
            (Some(9), None, None, "[]"),
            (Some(i128::MIN), Some(i128::MAX), None, "[0,1,2,3,4]"),
            (None, None, Some(i128::MAX), "[0]"),
            (None, None, Some(i128::MIN), "[4]"),
        ] {
            let sliced = slice(&list, start, stop, step, "x").unwrap();
            assert_eq!(sliced.to_string(), expected, "{start:?}:{stop:?}:{step:?}");
        }
        assert!(slice(&list, None, None, Some(0), "x").is_err());
        let text = slice(&Value::text("añb"), Some(1), Some(2), None, "x").unwrap();
        assert_eq!(text, Value::text("ñ"));
    }
}
