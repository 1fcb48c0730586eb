//! Reads the definitions of inputs and of fields of manual steps, and holds values against them.
//!
//! Owns types, limits and their words. Must not know where a value comes from: a default, the
//! command line, a file or a person.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use indexmap::IndexMap;

use super::templates;
use crate::{
    base::{Value, time::parse_duration, value::Time},
    diagnostics::{Diagnostic, codes},
    model::runbook::{InputKind, InputSpec},
    yaml::{
        Entry, Node,
        scalars::Typed,
        shape::{self, Fields, Findings},
    },
};

const KINDS: [(&str, InputKind); 9] = [
    ("string", InputKind::String),
    ("integer", InputKind::Integer),
    ("decimal", InputKind::Decimal),
    ("boolean", InputKind::Boolean),
    ("duration", InputKind::Duration),
    ("date", InputKind::Date),
    ("time", InputKind::Time),
    ("list", InputKind::List),
    ("map", InputKind::Map),
];

/// The type's name, as runbooks write it.
pub(super) fn kind_name(kind: InputKind) -> &'static str {
    KINDS.iter().find(|(_, k)| *k == kind).map_or("", |(name, _)| name)
}

/// Definitions by name; `what` says what one of them is (`an input`).
///
/// A definition with a fault is there nevertheless, so that uses of its name are no faults too.
pub fn fields(node: &Node, what: &str, out: &mut Findings) -> IndexMap<String, InputSpec> {
    let mut specs = IndexMap::new();
    for entry in shape::entries(node, &format!("definitions of {what}"), out).unwrap_or_default() {
        shape::check_id(&entry.key.text, &entry.key.place, what, out);
        specs.insert(entry.key.text.to_string(), field(entry, what, out));
    }
    specs
}

fn field(entry: &Entry, what: &str, out: &mut Findings) -> InputSpec {
    let mut spec = InputSpec {
        kind: InputKind::String,
        description: String::new(),
        default: None,
        minimum: None,
        maximum: None,
        pattern: None,
        one_of: Vec::new(),
        sensitive: false,
        place: entry.key.place.clone(),
    };
    let Some(mut keys) = Fields::of(&entry.value, what, out) else { return spec };
    let kind = keys.need("type", out).and_then(|e| kind_of(&e.value, out));
    if let Some(e) = keys.get("description") {
        spec.description = shape::fixed(&e.value, "`description`", out).unwrap_or_default();
    }
    let default = keys.get("default");
    let minimum = keys.get("minimum");
    let maximum = keys.get("maximum");
    let pattern = keys.get("pattern");
    let one_of = keys.get("enum");
    if let Some(e) = keys.get("sensitive") {
        spec.sensitive = shape::flag(&e.value, "`sensitive`", out).unwrap_or_default();
    }
    let required = keys.get("required");
    let needed =
        required.and_then(|e| Some((shape::flag(&e.value, "`required`", out)?, &e.key.place)));
    keys.finish(out);
    // Without a type nothing more can be held against it.
    let Some(kind) = kind else { return spec };
    spec.kind = kind;
    spec.minimum = limit(kind, minimum, "minimum", out);
    spec.maximum = limit(kind, maximum, "maximum", out);
    order(&spec, maximum, out);
    spec.pattern = self::pattern(kind, pattern, out);
    if let Some(e) = one_of {
        let items = shape::list(&e.value, "`enum`", out).unwrap_or_default();
        spec.one_of = items.iter().filter_map(|i| constant(kind, i, "`enum`", out)).collect();
    }
    if let Some(e) = default {
        spec.default = default_value(&spec, e, needed, out);
    } else if let Some((false, _)) = needed {
        spec.default = Some(Value::Null);
    }
    spec
}

fn kind_of(node: &Node, out: &mut Findings) -> Option<InputKind> {
    let before = out.len();
    let kind = shape::choice(node, "`type`", &KINDS, out);
    // What other languages call them is too far away for the search of near words.
    let meant = node.scalar().and_then(|s| match &*s.text {
        "text" | "str" => Some("string"),
        "number" | "float" | "money" => Some("decimal"),
        "int" => Some("integer"),
        "bool" => Some("boolean"),
        "datetime" | "timestamp" => Some("time"),
        "array" => Some("list"),
        "object" => Some("map"),
        _ => None,
    });
    if out.len() > before
        && let (Some(meant), Some(last)) = (meant, out.last_mut())
    {
        let allowed = last.help.take().unwrap_or_default();
        last.help = Some(format!("did you mean `{meant}`? {}", allowed.replacen('a', "A", 1)));
    }
    kind
}

fn default_value(
    spec: &InputSpec,
    entry: &Entry,
    needed: Option<(bool, &crate::base::Place)>,
    out: &mut Findings,
) -> Option<Value> {
    if let Some((true, place)) = needed {
        let message = "an input with a default is never required";
        out.push(
            Diagnostic::error(codes::RW0209, place.clone(), message)
                .related(entry.key.place.clone(), "the default"),
        );
    }
    if entry.value.is_null() && matches!(needed, Some((false, _))) {
        return Some(Value::Null);
    }
    let value = constant(spec.kind, &entry.value, "`default`", out)?;
    if let Err(why) = check(spec, &value) {
        let message = format!("the default {why}");
        out.push(Diagnostic::error(codes::RW0204, entry.value.place.clone(), message));
    }
    Some(value)
}

fn limit(kind: InputKind, entry: Option<&Entry>, key: &str, out: &mut Findings) -> Option<Value> {
    let entry = entry?;
    if matches!(kind, InputKind::String | InputKind::Boolean | InputKind::List | InputKind::Map) {
        let message = format!("`{key}` does not go with the type `{}`", kind_name(kind));
        out.push(Diagnostic::error(codes::RW0209, entry.key.place.clone(), message));
        return None;
    }
    constant(kind, &entry.value, &format!("`{key}`"), out)
}

fn order(spec: &InputSpec, maximum: Option<&Entry>, out: &mut Findings) {
    if let (Some(low), Some(high), Some(entry)) = (&spec.minimum, &spec.maximum, maximum)
        && compare(spec.kind, high, low).is_some_and(std::cmp::Ordering::is_lt)
    {
        let message = format!("`maximum` {high} is less than `minimum` {low}");
        out.push(Diagnostic::error(codes::RW0209, entry.value.place.clone(), message));
    }
}

fn pattern(kind: InputKind, entry: Option<&Entry>, out: &mut Findings) -> Option<String> {
    let entry = entry?;
    if kind != InputKind::String {
        let message = format!("`pattern` does not go with the type `{}`", kind_name(kind));
        out.push(
            Diagnostic::error(codes::RW0209, entry.key.place.clone(), message)
                .help("a pattern limits texts: `type: string`"),
        );
        return None;
    }
    shape::regex(&entry.value, "`pattern`", out)
}

/// A fixed value of this type, as it stands in the file.
fn constant(kind: InputKind, node: &Node, what: &str, out: &mut Findings) -> Option<Value> {
    if let Some(Typed::Ambiguous(why)) = node.scalar().map(crate::yaml::Scalar::typed) {
        let fault = shape::ambiguous(node, why);
        out.push(match kind {
            InputKind::String => fault,
            InputKind::Boolean => fault.help("write `true` or `false`"),
            _ => fault.help(format!("write it as {}", wanted(kind))),
        });
        return None;
    }
    let tree = templates::value(node, out)?;
    let Some(value) = templates::plain(&tree) else {
        let message = format!("{what} is fixed: no template may stand in it");
        out.push(Diagnostic::error(codes::RW0305, node.place.clone(), message));
        return None;
    };
    let quote = kind == InputKind::String && node.scalar().is_some() && !node.is_null();
    match convert(kind, value) {
        Ok(value) => Some(value),
        Err(why) => {
            let message = format!("{what} {why}");
            let fault = Diagnostic::error(codes::RW0203, node.place.clone(), message);
            out.push(match quote {
                true => fault.help(format!("quote it: \"{}\"", node.place.text())),
                false => fault,
            });
            None
        }
    }
}

fn wanted(kind: InputKind) -> &'static str {
    match kind {
        InputKind::String => "text",
        InputKind::Integer => "a whole number",
        InputKind::Decimal => "a decimal such as `12.50`",
        InputKind::Boolean => "true or false",
        InputKind::Duration => "a duration such as `30s`",
        InputKind::Date => "a date such as `2026-01-31`",
        InputKind::Time => "a time such as `2026-01-31T12:00:00Z`",
        InputKind::List => "a list",
        InputKind::Map => "a map",
    }
}

/// A value of unknown origin as a value of this type; the error follows the value's name.
pub(super) fn convert(kind: InputKind, value: Value) -> Result<Value, String> {
    let found = value.kind();
    let text = value.as_text().map(str::trim).map(str::to_owned);
    let converted = match (kind, value) {
        (InputKind::String, v @ Value::Text(_))
        | (InputKind::Integer, v @ Value::Int(_))
        | (InputKind::Decimal, v @ Value::Decimal(_))
        | (InputKind::Boolean, v @ Value::Bool(_))
        | (InputKind::List, v @ Value::List(_))
        | (InputKind::Map, v @ Value::Map(_)) => Some(v),
        (InputKind::Decimal, Value::Int(int)) => Some(Value::Decimal(BigDecimal::from(int))),
        (InputKind::Decimal, Value::Text(_)) => {
            text.as_deref().and_then(decimal).map(Value::Decimal)
        }
        (InputKind::Duration, Value::Text(text)) => {
            parse_duration(&text).map_err(|why| format!("must be a duration: {why}"))?;
            Some(Value::Text(text.trim().to_owned()))
        }
        (InputKind::Date, v @ Value::Time(Time::Date(_)))
        | (InputKind::Time, v @ Value::Time(Time::Instant(_) | Time::DateTime(_))) => Some(v),
        (InputKind::Date | InputKind::Time, Value::Text(_)) => {
            let time = text.as_deref().and_then(|t| Time::from_str(t).ok());
            time.filter(|t| matches!(t, Time::Date(_)) == (kind == InputKind::Date))
                .filter(|t| !matches!(t, Time::Clock(_)))
                .map(Value::Time)
        }
        _ => None,
    };
    converted.ok_or_else(|| match text {
        Some(text) if kind != InputKind::String => {
            format!("must be {}, but is `{}`", wanted(kind), shape::shortened(&text))
        }
        _ => format!("must be {}, but is {found}", wanted(kind)),
    })
}

/// A decimal without an exponent: `1e400000000` is a short text for a number that fills the memory.
fn decimal(text: &str) -> Option<BigDecimal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.'));
    plain.then(|| text.parse().ok())?
}

/// Holds a value of the right type against its limits; the error follows the value's name.
pub(super) fn check(spec: &InputSpec, value: &Value) -> Result<(), String> {
    let shown = match spec.sensitive {
        true => "is".to_owned(),
        false => format!("is `{}`,", shape::shortened(&value.to_string())),
    };
    let beyond = |limit: &Option<Value>, side: std::cmp::Ordering| {
        limit.as_ref().is_some_and(|l| compare(spec.kind, value, l) == Some(side))
    };
    if beyond(&spec.minimum, std::cmp::Ordering::Less) {
        let limit = spec.minimum.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(format!("{shown} less than the minimum {limit}"));
    }
    if beyond(&spec.maximum, std::cmp::Ordering::Greater) {
        let limit = spec.maximum.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(format!("{shown} more than the maximum {limit}"));
    }
    if !spec.one_of.is_empty() && !spec.one_of.contains(value) {
        let list = spec.one_of.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
        return Err(format!("{shown} not one of {list}"));
    }
    if let (Some(pattern), Value::Text(text)) = (&spec.pattern, value) {
        // Compiled when the definition was read; a pattern that fails now is as good as a mismatch.
        let whole = regex::Regex::new(&format!(r"\A(?:{pattern})\z"));
        if !whole.is_ok_and(|r| r.is_match(text)) {
            return Err(format!("{shown} not of the form `{pattern}`"));
        }
    }
    Ok(())
}

fn compare(kind: InputKind, a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match kind {
        InputKind::Duration => {
            let span = |v: &Value| parse_duration(v.as_text()?).ok();
            Some(span(a)?.cmp(&span(b)?))
        }
        _ => a.compare(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Source;

    fn spec(yaml: &str) -> (InputSpec, Vec<String>) {
        let source = Source::new("a.yaml", format!("x: {yaml}\n"));
        let (root, mut out) = crate::yaml::parse(&source);
        let specs = fields(&root.unwrap(), "an input", &mut out);
        (specs["x"].clone(), out.into_iter().map(|d| format!("{} {}", d.code, d.message)).collect())
    }

    #[test]
    fn definitions_are_read_with_their_limits() {
        let (limit, faults) = spec("{type: integer, minimum: 1, maximum: 10, default: 3}");
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!((limit.kind, limit.default), (InputKind::Integer, Some(Value::Int(3))));
        let (amount, _) = spec("{type: decimal, default: 1.50}");
        assert_eq!(amount.default.unwrap().to_string(), "1.50");
        let (optional, _) = spec("{type: string, required: false}");
        assert!(matches!(optional.default, Some(Value::Null)));
    }

    #[test]
    fn definitions_that_contradict_themselves_are_refused() {
        for (yaml, fault) in [
            (
                "{type: string, default: no}",
                "RW0205 `no` is a boolean for some readers of YAML and text for others",
            ),
            ("{type: string, default: 1.20}", "RW0203 `default` must be text, but is a decimal"),
            (
                "{type: integer, default: 5.5}",
                "RW0203 `default` must be a whole number, but is a decimal",
            ),
            (
                "{type: integer, maximum: 3, default: 5}",
                "RW0204 the default is `5`, more than the maximum 3",
            ),
            (
                "{type: integer, minimum: 5, maximum: 3}",
                "RW0209 `maximum` 3 is less than `minimum` 5",
            ),
            ("{type: string, minimum: 5}", "RW0209 `minimum` does not go with the type `string`"),
            (
                "{type: string, pattern: '('}",
                "RW0204 `pattern` is not a regular expression: unclosed group",
            ),
            ("{type: text}", "RW0204 `type` can't be `text`"),
            ("{default: 5}", "RW0202 an input needs the key `type`"),
            (
                "{type: integer, required: true, default: 5}",
                "RW0209 an input with a default is never required",
            ),
        ] {
            assert_eq!(spec(yaml).1, [fault], "{yaml}");
        }
    }

    #[test]
    fn values_are_converted_exactly_or_not_at_all() {
        let text = |t: &str| Value::text(t);
        assert_eq!(convert(InputKind::Decimal, text("0.10")).unwrap().to_string(), "0.10");
        assert!(convert(InputKind::Decimal, text("1e400000000")).is_err());
        assert!(convert(InputKind::Integer, text("5")).is_err());
        assert!(convert(InputKind::Date, text("2026-02-30")).is_err());
        assert!(convert(InputKind::Date, text("2026-02-03T00:00:00Z")).is_err());
        assert!(convert(InputKind::Time, text("2026-02-03T00:00:00-03:00")).is_ok());
        assert!(convert(InputKind::Duration, text("5")).is_err());
    }
}
