//! The difference of two states, as data.

use serde::{Deserialize, Serialize};

use crate::base::{Map, Value};

/// What differs, in the order of the states. Empty: nothing does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diff(pub Vec<Difference>);

/// One place that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: `rows[id=7].status`, `stdout`.
    pub path: String,
    /// What was there; absent: nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    /// What is there; absent: nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Value>,
}

/// A field that is there holds a value, also when that is null: `Option`'s own reading would
/// make NULL and absence one.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Diff {
    /// From one state to another. Lists of maps that all have the `key` columns are matched by
    /// them, other lists by position. Numbers are equal by their value.
    pub fn between(before: &Value, after: &Value, key: &[String]) -> Self {
        let mut out = Vec::new();
        walk(String::new(), Some(before), Some(after), key, &mut out);
        Self(out)
    }

    /// The same difference the other way round.
    pub fn reversed(&self) -> Self {
        let turn = |d: &Difference| Difference {
            path: d.path.clone(),
            before: d.after.clone(),
            after: d.before.clone(),
        };
        Self(self.0.iter().map(turn).collect())
    }

    /// Does nothing differ?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn walk(
    path: String,
    before: Option<&Value>,
    after: Option<&Value>,
    key: &[String],
    out: &mut Vec<Difference>,
) {
    match (before, after) {
        (Some(a), Some(b)) if a == b => {}
        (Some(Value::Map(a)), Some(Value::Map(b))) => {
            let names = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(path, a.get(name), b.get(name), key, out);
            }
        }
        (Some(Value::List(a)), Some(Value::List(b))) => match (keyed(a, key), keyed(b, key)) {
            (Some(left), Some(right)) => {
                for (id, row) in &left {
                    let other = right.iter().find(|(k, _)| k == id).map(|(_, r)| *r);
                    walk(format!("{path}[{id}]"), Some(row), other, key, out);
                }
                for (id, row) in right.iter().filter(|(id, _)| !left.iter().any(|(k, _)| k == id)) {
                    walk(format!("{path}[{id}]"), None, Some(row), key, out);
                }
            }
            _ => {
                for index in 0..a.len().max(b.len()) {
                    walk(format!("{path}[{index}]"), a.get(index), b.get(index), key, out);
                }
            }
        },
        (before, after) => {
            out.push(Difference { path, before: before.cloned(), after: after.cloned() });
        }
    }
}

/// Rows with their key in words; `None` unless every item is a map with all key columns and no
/// key stands twice.
fn keyed<'a>(items: &'a [Value], key: &[String]) -> Option<Vec<(String, &'a Value)>> {
    if key.is_empty() {
        return None;
    }
    let id = |row: &Map| {
        key.iter()
            .map(|column| row.get(column).map(|v| format!("{column}={v}")))
            .collect::<Option<Vec<_>>>()
            .map(|parts| parts.join(","))
    };
    let rows: Vec<_> = items.iter().map(|v| Some((id(v.as_map()?)?, v))).collect::<Option<_>>()?;
    let mut ids: Vec<_> = rows.iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.windows(2).all(|w| w[0] != w[1]).then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(i64, &str)]) -> Value {
        let rows = rows.iter().map(|(id, status)| {
            Value::map([("id", Value::from(*id)), ("status", Value::from(*status))])
        });
        Value::map([("rows", Value::List(rows.collect()))])
    }

    #[test]
    fn rows_are_matched_by_key() {
        let diff = Diff::between(
            &rows(&[(1, "a"), (2, "b"), (3, "c")]),
            &rows(&[(3, "x"), (1, "a"), (4, "d")]),
            &["id".into()],
        );
        let paths: Vec<_> = diff.0.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["rows[id=2]", "rows[id=3].status", "rows[id=4]"]);
        assert_eq!(diff.0[1].before, Some(Value::from("c")));
        assert_eq!(diff.0[0].after, None);
    }

    #[test]
    fn rows_without_a_usable_key_are_matched_by_position() {
        let diff = Diff::between(
            &rows(&[(1, "a"), (1, "b")]),
            &rows(&[(1, "a"), (1, "c")]),
            &["id".into()],
        );
        assert_eq!(diff.0.len(), 1);
        assert_eq!(diff.0[0].path, "rows[1].status");
    }

    #[test]
    fn null_is_not_absent() {
        let diff = Diff::between(&Value::map([("a", Value::Null)]), &Value::map::<String>([]), &[]);
        assert_eq!(diff.0[0].before, Some(Value::Null));
        assert_eq!(diff.0[0].after, None);
        let text = serde_json::to_string(&diff).unwrap();
        assert_eq!(serde_json::from_str::<Diff>(&text).unwrap(), diff);
    }

    #[test]
    fn equal_numbers_do_not_differ() {
        let a = Value::Decimal("1.50".parse().unwrap());
        let b = Value::Decimal("1.5".parse().unwrap());
        assert!(Diff::between(&a, &b, &[]).is_empty());
    }
}
