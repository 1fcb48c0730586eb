//! `Value`: the one data type passed between steps.
//!
//! Decimals, times and bytes survive templates, scripts and the journal. Two JSON forms exist:
//! the *journal* form loses nothing (`{"$decimal": "1.50"}`), the *plain* form is what people
//! script against (`"1.50"`: a JSON number would become a binary float in most readers).

use std::{cmp::Ordering, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bigdecimal::BigDecimal;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Secret;

/// A map that keeps the order in which it was written or read.
pub type Map = IndexMap<String, Value>;

/// Places before or behind the point that a number in JSON may add by its exponent.
const MAX_JSON_ZEROS: u64 = 10_000;

/// A date or time, with the kind that its source gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd)]
pub enum Time {
    /// A point in time (`timestamptz`), shown in UTC with a `Z`.
    Instant(jiff::Timestamp),
    /// A date and time of day without a zone.
    DateTime(jiff::civil::DateTime),
    /// A date.
    Date(jiff::civil::Date),
    /// A time of day.
    Clock(jiff::civil::Time),
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(t) => t.fmt(f),
            Self::DateTime(t) => t.fmt(f),
            Self::Date(t) => t.fmt(f),
            Self::Clock(t) => t.fmt(f),
        }
    }
}

impl FromStr for Time {
    type Err = String;

    /// Reads what `Display` shows; the form tells the kind.
    fn from_str(text: &str) -> Result<Self, String> {
        let date = text.contains('-');
        let clock = text.contains(':');
        match (date, clock) {
            (true, true) => {
                text.parse().map(Self::Instant).or_else(|_| text.parse().map(Self::DateTime))
            }
            (true, false) => text.parse().map(Self::Date),
            _ => text.parse().map(Self::Clock),
        }
        .map_err(|_| format!("`{text}` is no date or time"))
    }
}

/// What a step gives and takes.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Absent: SQL's NULL, JSON's null.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number; wide enough for every integer of every engine.
    Int(i128),
    /// An exact decimal of any precision; keeps its scale (`1.50`).
    Decimal(BigDecimal),
    /// Binary floating point, only where the source has it (`DOUBLE`, `REAL`).
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes that need not be text.
    Bytes(Vec<u8>),
    /// A date or time.
    Time(Time),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name, in order.
    Map(Map),
    /// Text that must not be seen.
    Secret(Secret),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A map from pairs.
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(pairs.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The kind, as messages name it, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Decimal(_) => "a decimal",
            Self::Float(_) => "a float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "a time",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Secret(_) => "a secret",
        }
    }

    /// The entry of a map; `None` for other kinds.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// An integer, or a decimal without a fraction.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(i) => Some(*i),
            Self::Decimal(d) if d.is_integer() => d.with_scale(0).to_string().parse().ok(),
            _ => None,
        }
    }

    /// The exact decimal of a number. A float gives the shortest decimal that reads back as it.
    pub fn as_decimal(&self) -> Option<BigDecimal> {
        match self {
            Self::Int(i) => Some(BigDecimal::from(*i)),
            Self::Decimal(d) => Some(d.clone()),
            Self::Float(f) if f.is_finite() => BigDecimal::from_str(&f.to_string()).ok(),
            _ => None,
        }
    }

    /// True for all but null, false, zero and what is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Decimal(d) => d != &BigDecimal::from(0),
            Self::Float(f) => *f != 0.0,
            Self::Text(t) => !t.is_empty(),
            Self::Bytes(b) => !b.is_empty(),
            Self::Time(_) => true,
            Self::List(l) => !l.is_empty(),
            Self::Map(m) => !m.is_empty(),
            Self::Secret(s) => !s.expose().is_empty(),
        }
    }

    /// Order of two values, where they have one: numbers by their exact value, texts by code
    /// point, times of one kind, lists item by item.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => {
                a.partial_cmp(b).filter(|_| std::mem::discriminant(a) == std::mem::discriminant(b))
            }
            (Self::List(a), Self::List(b)) => {
                for (x, y) in a.iter().zip(b) {
                    match x.compare(y)? {
                        Ordering::Equal => {}
                        unequal => return Some(unequal),
                    }
                }
                Some(a.len().cmp(&b.len()))
            }
            _ => Some(self.as_decimal()?.cmp(&other.as_decimal()?)),
        }
    }

    /// The journal form: nothing is lost, except that a secret becomes what is shown for it.
    pub fn to_journal(&self) -> Json {
        let tagged = |tag: &str, text: String| {
            Json::Object([(tag.to_owned(), Json::String(text))].into_iter().collect())
        };
        match self {
            Self::Decimal(d) => tagged("$decimal", d.to_plain_string()),
            Self::Float(f) => tagged("$float", f.to_string()),
            Self::Bytes(b) => tagged("$bytes", BASE64.encode(b)),
            Self::Time(t) => tagged("$time", t.to_string()),
            Self::Secret(s) => tagged("$secret", s.shown().to_owned()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_journal).collect()),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(k, v)| {
                        // A key of the user's that looks like a tag is told apart by one more `$`.
                        let key = if k.starts_with('$') { format!("${k}") } else { k.clone() };
                        (key, v.to_journal())
                    })
                    .collect(),
            ),
            simple => simple.to_plain(),
        }
    }

    /// Reads the journal form. A secret comes back as the text that was shown for it.
    pub fn from_journal(json: Json) -> Result<Self, String> {
        Ok(match json {
            Json::Array(items) => {
                Self::List(items.into_iter().map(Self::from_journal).collect::<Result<_, _>>()?)
            }
            Json::Object(object) => {
                if object.len() == 1
                    && let Some((tag, Json::String(text))) = object.iter().next()
                    && tag.starts_with('$')
                    && !tag.starts_with("$$")
                {
                    return Self::from_tagged(tag, text);
                }
                let mut map = Map::with_capacity(object.len());
                for (key, value) in object {
                    let key = key.strip_prefix('$').map_or(key.clone(), str::to_owned);
                    map.insert(key, Self::from_journal(value)?);
                }
                Self::Map(map)
            }
            other => Self::from_json(other),
        })
    }

    fn from_tagged(tag: &str, text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no {tag}");
        Ok(match tag {
            "$decimal" => Self::Decimal(text.parse().map_err(|_| wrong())?),
            "$float" => Self::Float(text.parse().map_err(|_| wrong())?),
            "$bytes" => Self::Bytes(BASE64.decode(text).map_err(|_| wrong())?),
            "$time" => Self::Time(text.parse()?),
            "$secret" => Self::Text(text.to_owned()),
            _ => return Err(format!("unknown tag `{tag}`")),
        })
    }

    /// The plain form, for `--json` and reports: exact decimals, times and bytes as strings.
    pub fn to_plain(&self) -> Json {
        self.to_json(&|d| Json::String(d.to_plain_string()))
    }

    /// The form for JSON on the wire: a decimal is a JSON number with exactly its digits.
    ///
    /// A secret is given in clear: the result must go to a transport and nowhere else.
    pub fn to_wire(&self) -> Json {
        match self {
            Self::Secret(s) => Json::String(s.expose().to_owned()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_wire).collect()),
            Self::Map(map) => {
                Json::Object(map.iter().map(|(k, v)| (k.clone(), v.to_wire())).collect())
            }
            other => other.to_json(&|d| number(&d.to_plain_string())),
        }
    }

    fn to_json(&self, decimal: &dyn Fn(&BigDecimal) -> Json) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(i) => number(&i.to_string()),
            Self::Decimal(d) => decimal(d),
            Self::Float(f) if f.is_finite() => number(&format!("{f:?}")),
            Self::Float(f) => Json::String(f.to_string()),
            Self::Text(t) => Json::String(t.clone()),
            Self::Bytes(b) => Json::String(BASE64.encode(b)),
            Self::Time(t) => Json::String(t.to_string()),
            Self::Secret(s) => Json::String(s.shown().to_owned()),
            Self::List(items) => Json::Array(items.iter().map(|v| v.to_json(decimal)).collect()),
            Self::Map(map) => {
                Json::Object(map.iter().map(|(k, v)| (k.clone(), v.to_json(decimal))).collect())
            }
        }
    }

    /// Any JSON: whole numbers become integers, others exact decimals. A number such as
    /// `1e999999999`, which would take a gigabyte to write out, stays text.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => {
                let text = n.to_string();
                text.parse::<i128>()
                    .ok()
                    .map(Self::Int)
                    .or_else(|| {
                        let decimal = BigDecimal::from_str(&text).ok()?;
                        let zeros = decimal.fractional_digit_count().unsigned_abs();
                        (zeros <= MAX_JSON_ZEROS).then_some(Self::Decimal(decimal))
                    })
                    .unwrap_or(Self::Text(text))
            }
            Json::String(s) => Self::Text(s),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Self::Map(map.into_iter().map(|(k, v)| (k, Self::from_json(v))).collect())
            }
        }
    }
}

fn number(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()))
}

impl PartialEq for Value {
    /// Numbers are equal by their exact value, whatever their kind.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Secret(a), Self::Secret(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            _ => match (self.as_decimal(), other.as_decimal()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }
}

impl fmt::Display for Value {
    /// As text in a message or a note; maps and lists as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(t) => f.write_str(t),
            Self::Decimal(d) => f.write_str(&d.to_plain_string()),
            other => match other.to_plain() {
                Json::String(s) => f.write_str(&s),
                json => json.fmt(f),
            },
        }
    }
}

impl Serialize for Value {
    /// The journal form.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_journal().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_journal(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Self::Int(i.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Value {
        Value::Decimal(text.parse().unwrap())
    }

    #[test]
    fn a_number_that_takes_a_gigabyte_stays_text() {
        let json = serde_json::from_str("[1e999999999, 1e-999999999, 1e3]").unwrap();
        let expected = [Value::text("1e+999999999"), Value::text("1e-999999999"), decimal("1e3")];
        assert_eq!(Value::from_json(json), Value::List(expected.into()));
    }

    #[test]
    fn the_journal_form_loses_nothing() {
        let value = Value::map([
            ("amount", decimal("12.30")),
            ("rate", Value::Float(0.1)),
            ("nan", Value::Float(f64::NAN)),
            ("raw", Value::Bytes(vec![0, 255])),
            ("at", Value::Time("2026-01-02T03:04:05Z".parse().unwrap())),
            ("day", Value::Time("2026-01-02".parse().unwrap())),
            ("local", Value::Time("2026-01-02T03:04:05".parse().unwrap())),
            ("clock", Value::Time("03:04:05".parse().unwrap())),
            ("$decimal", Value::text("not a tag")),
            ("max", Value::Int(u64::MAX.into())),
            ("nothing", Value::Null),
        ]);
        let text = serde_json::to_string(&value).unwrap();
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, value);
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
        assert!(matches!(back.get("amount"), Some(Value::Decimal(d)) if d.to_string() == "12.30"));
    }

    #[test]
    fn a_map_with_one_key_that_looks_like_a_tag_stays_a_map() {
        let value = Value::map([("$decimal", Value::text("x"))]);
        assert_eq!(Value::from_journal(value.to_journal()), Ok(value));
    }

    #[test]
    fn numbers_compare_by_their_exact_value() {
        assert_eq!(Value::Int(5), decimal("5.00"));
        assert_eq!(Value::Float(0.1), decimal("0.1"));
        assert_eq!(decimal("0.30").compare(&decimal("0.3")), Some(Ordering::Equal));
        assert_eq!(Value::Int(2).compare(&decimal("10.5")), Some(Ordering::Less));
        assert_eq!(Value::Int(2).compare(&Value::text("10")), None);
        assert_ne!(Value::Null, Value::text(""));
    }

    #[test]
    fn json_numbers_are_exact() {
        let json: Json =
            serde_json::from_str(r#"{"a": 0.10, "b": 12345678901234567890123}"#).unwrap();
        let value = Value::from_json(json);
        assert_eq!(value.get("a").unwrap().to_string(), "0.10");
        assert_eq!(value.to_wire().to_string(), r#"{"a":0.10,"b":12345678901234567890123}"#);
        assert_eq!(value.get("a").unwrap().to_plain(), Json::String("0.10".into()));
    }

    #[test]
    fn a_secret_is_shown_and_never_serialised() {
        let secret = Value::Secret(Secret::new("token", "ab", "clear-text".into()));
        for text in [
            secret.to_string(),
            secret.to_plain().to_string(),
            secret.to_journal().to_string(),
            format!("{secret:?}"),
        ] {
            assert!(text.contains("token@ab") && !text.contains("clear-text"), "{text}");
        }
        assert_eq!(secret.to_wire(), Json::String("clear-text".into()));
    }
}
