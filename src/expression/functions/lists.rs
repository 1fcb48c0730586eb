//! Filters on lists and maps, and the function that makes a list.

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use super::{Call, Entry, Kind, bind, known, optional, required, run, texts};
use crate::{
    base::{Digest, Value},
    diagnostics::codes,
    expression::{
        Operator,
        members::{attribute_of, item},
        operators::{binary, order},
        wrong::{Wrong, described},
    },
};

/// Most items that `range` makes.
const RANGE: i64 = 10_000;

pub(super) const FUNCTIONS: &[Entry] = &[Entry::new(
    Kind::Function,
    "range",
    "The integers from 0 (or `start`) up to, but without, `stop`; at most 10000.",
    ("range(2, 5)", "[2,3,4]"),
    range,
)
.takes(&[required("start"), optional("stop"), optional("step")])];

pub(super) const ENTRIES: &[Entry] = &[
    Entry::filter(
        "default",
        "Another value where there is none, or null; with `empty`, also for what is empty.",
        ("null | default('none')", "none"),
        |call| {
            let empty = *call.input == Value::Null || (call.flag(1)? && !call.input.is_true());
            Ok(if empty { call.argument(0).unwrap_or(&Value::Null) } else { call.input }.clone())
        },
    )
    .aliases(&["d"])
    .takes(&[required("value"), optional("empty")]),
    Entry::filter(
        "length",
        "How many items, entries or characters.",
        ("[1, 2, 3] | length", "3"),
        length,
    )
    .aliases(&["count"]),
    Entry::filter("first", "The first item; null of an empty list.", ("[1, 2] | first", "1"), {
        |call| Ok(call.list()?.first().cloned().unwrap_or(Value::Null))
    }),
    Entry::filter(
        "last",
        "The last item; null of an empty list.",
        ("[1, 2] | last", "2"),
        |call| Ok(call.list()?.last().cloned().unwrap_or(Value::Null)),
    ),
    Entry::filter(
        "join",
        "The items as one text, with a separator between them.",
        ("['a', 'b'] | join(', ')", "a, b"),
        texts::join,
    )
    .takes(&[optional("separator"), optional("attribute")])
    .taints(),
    Entry::filter(
        "sum",
        "The sum of numbers, exact for decimals; 0 of an empty list.",
        ("[{'n': 0.10}, {'n': 0.20}] | sum(attribute='n')", "0.30"),
        sum,
    )
    .takes(&[optional("attribute")]),
    Entry::filter("min", "The smallest item; null of an empty list.", ("[3, 1, 2] | min", "1"), {
        |call| extreme(call, Ordering::Less)
    })
    .takes(&[optional("attribute")]),
    Entry::filter("max", "The largest item; null of an empty list.", ("[3, 1, 2] | max", "3"), {
        |call| extreme(call, Ordering::Greater)
    })
    .takes(&[optional("attribute")]),
    Entry::filter(
        "unique",
        "The items without repetitions, in the order of their first.",
        ("[2, 1, 2.0] | unique", "[2,1]"),
        unique,
    )
    .takes(&[optional("attribute")]),
    Entry::filter(
        "sort",
        "The items in order; equal ones stay as they stood.",
        ("[3, 1, 2] | sort(reverse=true)", "[3,2,1]"),
        sort,
    )
    .takes(&[optional("attribute"), optional("reverse")]),
    Entry::filter(
        "reverse",
        "The items, or the characters of a text, from the last to the first.",
        ("[1, 2, 3] | reverse", "[3,2,1]"),
        |call| match call.input {
            Value::List(items) => Ok(Value::List(items.iter().rev().cloned().collect())),
            Value::Text(text) => Ok(Value::Text(text.chars().rev().collect())),
            other => Err(call.takes("a list or text", other)),
        },
    ),
    Entry::filter(
        "map",
        "Each item's attribute, or what a filter makes of it; `default` for null and missing ones.",
        ("[{'n': 1}, {'n': 2}] | map(attribute='n')", "[1,2]"),
        map,
    )
    .takes(&[optional("filter"), optional("attribute"), optional("default")]),
    Entry::filter(
        "select",
        "The items for which a test holds; without one, those that are not empty.",
        ("[1, 5, 9] | select('gt', 4)", "[5,9]"),
        |call| pick(call, None, 0, true),
    )
    .takes(&[optional("test")])
    .passes_on(),
    Entry::filter(
        "reject",
        "The items for which a test does not hold.",
        ("[1, null, 2] | reject('none')", "[1,2]"),
        |call| pick(call, None, 0, false),
    )
    .takes(&[optional("test")])
    .passes_on(),
    Entry::filter(
        "selectattr",
        "The items for whose attribute a test holds.",
        ("[{'n': 1}, {'n': 2}] | selectattr('n', 'eq', 2)", r#"[{"n":2}]"#),
        |call| pick(call, Some(call.needed_text(0)?), 1, true),
    )
    .takes(&[required("attribute"), optional("test")])
    .passes_on(),
    Entry::filter(
        "rejectattr",
        "The items for whose attribute a test does not hold.",
        ("[{'n': 1}, {'n': 2}] | rejectattr('n', 'eq', 2)", r#"[{"n":1}]"#),
        |call| pick(call, Some(call.needed_text(0)?), 1, false),
    )
    .takes(&[required("attribute"), optional("test")])
    .passes_on(),
    Entry::filter(
        "groupby",
        "A list of `{key, items}`, one for each value of the attribute, in order of the first.",
        (
            "([{'s': 'a'}, {'s': 'b'}, {'s': 'a'}] | groupby('s'))[0]",
            r#"{"key":"a","items":[{"s":"a"},{"s":"a"}]}"#,
        ),
        groupby,
    )
    .takes(&[required("attribute")]),
    Entry::filter(
        "list",
        "The keys of a map, or the characters of a text, as a list.",
        ("'abc' | list", r#"["a","b","c"]"#),
        |call| match call.input {
            Value::List(_) => Ok(call.input.clone()),
            Value::Map(map) => Ok(Value::List(map.keys().map(Value::text).collect())),
            Value::Text(text) => {
                call.budget.step(text.len())?;
                Ok(Value::List(text.chars().map(Value::text).collect()))
            }
            other => Err(call.takes("a list, map or text", other)),
        },
    ),
    Entry::filter("keys", "The keys of a map.", ("{'a': 1} | keys", r#"["a"]"#), |call| {
        Ok(Value::List(call.map()?.keys().map(Value::text).collect()))
    }),
    Entry::filter("values", "The values of a map.", ("{'a': 1} | values", "[1]"), |call| {
        Ok(Value::List(call.map()?.values().cloned().collect()))
    }),
    Entry::filter(
        "items",
        "The pairs of a map, each a list of key and value.",
        ("{'a': 1} | items", r#"[["a",1]]"#),
        |call| {
            let pair = |(k, v): (&String, &Value)| Value::List(vec![Value::text(k), v.clone()]);
            Ok(Value::List(call.map()?.iter().map(pair).collect()))
        },
    ),
    Entry::filter(
        "get",
        "The entry of a map or item of a list, or `default` (null) where it has none.",
        ("{'a': 1} | get('b', 0)", "0"),
        |call| {
            let key = call.argument(0).unwrap_or(&Value::Null);
            match item(call.input, key, "the value") {
                Ok(found) => Ok(found.into_owned()),
                Err(wrong) if wrong.code == codes::RW0302 => {
                    Ok(call.argument(1).cloned().unwrap_or(Value::Null))
                }
                Err(wrong) => Err(wrong),
            }
        },
    )
    .takes(&[required("key"), optional("default")]),
    Entry::filter(
        "contains",
        "Is it in there: a part of a text, an item of a list, a key of a map?",
        ("'status: ok' | contains('ok')", "true"),
        |call| {
            let part = call.argument(0).unwrap_or(&Value::Null);
            binary(Operator::In, part, call.input, call.budget)
        },
    )
    .takes(&[required("part")]),
];

fn length(call: &Call<'_>) -> Result<Value, Wrong> {
    let count = match call.input {
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        other => return Err(call.takes("a list, map or text", other)),
    };
    Ok(Value::Int(i128::try_from(count).unwrap_or(i128::MAX)))
}

/// The items, or an attribute of each.
fn keyed<'a>(call: &Call<'a>, position: usize) -> Result<Vec<Cow<'a, Value>>, Wrong> {
    let items = call.list()?;
    call.budget.step(items.len())?;
    match call.text_argument(position)? {
        Some(attribute) => items.iter().map(|item| attribute_of(item, attribute)).collect(),
        None => Ok(items.iter().map(Cow::Borrowed).collect()),
    }
}

fn sum(call: &Call<'_>) -> Result<Value, Wrong> {
    let numbers = keyed(call, 0)?;
    let Some((first, rest)) = numbers.split_first() else { return Ok(Value::Int(0)) };
    let add = |sum: &Value, (index, number): (usize, &Cow<'_, Value>)| {
        if matches!(**number, Value::Int(_) | Value::Decimal(_) | Value::Float(_)) {
            return binary(Operator::Add, sum, number, call.budget);
        }
        let wrong = call.takes("numbers", number);
        let message = format!("{} at position {index}", wrong.message);
        let help = match **number {
            Value::Null => Some("leave null out: `| reject('none') | sum`".to_owned()),
            Value::Text(_) => Some("make numbers of texts: `| map('decimal') | sum`".to_owned()),
            _ => wrong.help,
        };
        Err(Wrong { message, help, ..wrong })
    };
    // The first is added to zero only to be checked: a sum of floats must stay one.
    add(&Value::Int(0), (0, first))?;
    let mut sum = first.clone().into_owned();
    for (index, number) in rest.iter().enumerate() {
        sum = add(&sum, (index + 1, number))?;
    }
    Ok(sum)
}

fn extreme(call: &Call<'_>, wanted: Ordering) -> Result<Value, Wrong> {
    let keys = keyed(call, 0)?;
    comparable(&keys)?;
    let mut best: Option<usize> = None;
    for (index, key) in keys.iter().enumerate() {
        let better = match best {
            Some(best) => order(key, &keys[best])? == wanted,
            None => true,
        };
        best = if better { Some(index) } else { best };
    }
    Ok(best.map_or(Value::Null, |index| keys[index].clone().into_owned()))
}

/// All can be compared with each other: scalars of one kind. Sorting what has no total order
/// would not only be wrong, the standard library may panic over it.
fn comparable(keys: &[Cow<'_, Value>]) -> Result<(), Wrong> {
    let Some(first) = keys.first() else { return Ok(()) };
    keys.iter().try_for_each(|key| {
        if let Value::List(_) | Value::Map(_) = **key {
            return Err(Wrong::types(format!("{} has no place in an order", described(key)))
                .help("say by which: `attribute='name'`"));
        }
        order(key, key)?;
        order(first, key).map(|_| ())
    })
}

fn sort(call: &Call<'_>) -> Result<Value, Wrong> {
    let keys = keyed(call, 0)?;
    let reverse = call.flag(1)?;
    comparable(&keys)?;
    let mut places: Vec<usize> = (0..keys.len()).collect();
    places.sort_by(|a, b| {
        let ordering = order(&keys[*a], &keys[*b]).unwrap_or(Ordering::Equal);
        if reverse { ordering.reverse() } else { ordering }
    });
    let items = call.list()?;
    Ok(Value::List(places.into_iter().map(|place| items[place].clone()).collect()))
}

/// The same text for equal values only. Of a secret it is the digest, so that the clear text is
/// not copied once more.
fn identity(value: &Value) -> String {
    match value {
        Value::Int(_) | Value::Decimal(_) | Value::Float(_) => match value.as_decimal() {
            Some(decimal) => format!("n{}", decimal.normalized().to_scientific_notation()),
            None => format!("f{value}"),
        },
        Value::Text(text) => format!("t{}:{text}", text.len()),
        Value::Secret(secret) => format!("s{}", Digest::of(secret.expose().as_bytes())),
        Value::List(items) => {
            format!("l{}:{}", items.len(), items.iter().map(identity).collect::<String>())
        }
        Value::Map(map) => {
            let mut entries: Vec<_> =
                map.iter().map(|(k, v)| format!("{}:{k}{}", k.len(), identity(v))).collect();
            entries.sort_unstable();
            format!("m{}:{}", entries.len(), entries.concat())
        }
        other => format!("v{}", other.to_journal()),
    }
}

fn unique(call: &Call<'_>) -> Result<Value, Wrong> {
    let keys = keyed(call, 0)?;
    let mut seen = HashSet::new();
    let items = call.list()?.iter().zip(&keys);
    Ok(Value::List(
        items.filter(|(_, key)| seen.insert(identity(key))).map(|(item, _)| item.clone()).collect(),
    ))
}

fn groupby(call: &Call<'_>) -> Result<Value, Wrong> {
    let keys = keyed(call, 0)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    let mut places = HashMap::new();
    for (item, key) in call.list()?.iter().zip(keys) {
        let place = *places.entry(identity(&key)).or_insert_with(|| {
            groups.push((key.into_owned(), Vec::new()));
            groups.len() - 1
        });
        if let Some((_, items)) = groups.get_mut(place) {
            items.push(item.clone());
        }
    }
    let group = |(key, items)| Value::map([("key", key), ("items", Value::List(items))]);
    Ok(Value::List(groups.into_iter().map(group).collect()))
}

fn map(call: &Call<'_>) -> Result<Value, Wrong> {
    let items = call.list()?;
    let filter = call.text_argument(0)?.map(|name| known(Kind::Filter, name)).transpose()?;
    let attribute = call.text_argument(1)?;
    let default = call.argument(2);
    if filter.is_none() && attribute.is_none() && default.is_none() {
        return Err(Wrong::call("`map` needs to know what to take of each item")
            .help("write `map(attribute='name')` or `map('int')`"));
    }
    if let Some(filter) = filter {
        bind(filter, &[])?;
    }
    let mut mapped = Vec::with_capacity(items.len());
    for item in items {
        call.budget.step(1)?;
        let found = match attribute.map_or(Ok(Cow::Borrowed(item)), |a| attribute_of(item, a)) {
            Err(wrong) if wrong.code == codes::RW0302 && default.is_some() => {
                Cow::Borrowed(&Value::Null)
            }
            found => found?,
        };
        let found = match default {
            Some(default) if *found == Value::Null => Cow::Borrowed(default),
            _ => found,
        };
        mapped.push(match filter {
            Some(filter) => run(filter, &found, &[], call.budget)?,
            None => found.into_owned(),
        });
    }
    Ok(Value::List(mapped))
}

/// The items for which (or for whose attribute) the test at the given argument comes out so.
fn pick(
    call: &Call<'_>,
    attribute: Option<&str>,
    position: usize,
    wanted: bool,
) -> Result<Value, Wrong> {
    let test = call.text_argument(position)?.map(|name| known(Kind::Test, name)).transpose()?;
    let arguments = call.arguments.get(position + 1..).unwrap_or_default();
    if let Some(test) = test {
        bind(test, &vec![None; arguments.len()])?;
    }
    let mut picked = Vec::new();
    for item in call.list()? {
        call.budget.step(1)?;
        let found = match attribute.map_or(Ok(Cow::Borrowed(item)), |a| attribute_of(item, a)) {
            Err(wrong) if wrong.code == codes::RW0302 => Err(wrong),
            found => Ok(found?),
        };
        let holds = match (test.map(|t| t.name), found) {
            (Some("defined"), found) => found.is_ok(),
            (Some("undefined"), found) => found.is_err(),
            (_, Err(wrong)) => return Err(wrong),
            (None, Ok(found)) => found.is_true(),
            (Some(_), Ok(found)) => match test {
                Some(test) => run(test, &found, arguments, call.budget)?.is_true(),
                None => false,
            },
        };
        if holds == wanted {
            picked.push(item.clone());
        }
    }
    Ok(Value::List(picked))
}

fn range(call: &Call<'_>) -> Result<Value, Wrong> {
    let bounds = i64::MIN / 4..=i64::MAX / 4;
    let first = call.int_argument(0, bounds.clone())?.unwrap_or(0);
    let (start, stop) = match call.int_argument(1, bounds.clone())? {
        Some(stop) => (first, stop),
        None => (0, first),
    };
    let step = call.int_argument(2, bounds)?.unwrap_or(1);
    if step == 0 {
        return Err(Wrong::types("the step of `range` can't be zero"));
    }
    let distance = if step > 0 { stop - start } else { start - stop };
    let count = if distance <= 0 { 0 } else { (distance - 1) / step.abs() + 1 };
    if count > RANGE {
        return Err(Wrong::types(format!("`range` makes at most {RANGE} numbers, not {count}")));
    }
    call.budget.step(usize::try_from(count).unwrap_or(0))?;
    Ok(Value::List((0..count).map(|n| Value::Int((start + n * step).into())).collect()))
}
