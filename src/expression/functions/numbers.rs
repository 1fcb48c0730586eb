//! Filters from and to numbers.
//!
//! Money stays decimal: nothing here goes through binary floating point unless asked for.

use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode};

use super::{Call, Entry, optional};
use crate::{
    base::Value,
    expression::{
        operators::{exact, is_number, sane},
        wrong::{Wrong, cut, described},
    },
};

/// Most places behind the point that can be asked for.
const PLACES: i64 = 100;

pub(super) const ENTRIES: &[Entry] =
    &[
        Entry::filter(
            "int",
            "The whole number that the text or number is; a fraction is refused.",
            ("' 42 ' | int + 1", "43"),
            int,
        ),
        Entry::filter(
            "decimal",
            "The exact decimal of a text or number; with `places`, rounded half to even.",
            ("'12.345' | decimal(2)", "12.34"),
            decimal,
        )
        .takes(&[optional("places")]),
        Entry::filter(
            "float",
            "The nearest binary floating point number. Not for money.",
            ("'0.5' | float", "0.5"),
            float,
        ),
        Entry::filter(
            "bool",
            "True or false from `true`, `yes`, `on`, `t`, `1` and their opposites.",
            ("'yes' | bool", "true"),
            boolean,
        ),
        Entry::filter(
            "round",
            "The number rounded half to even to `places` behind the point (0: an integer).",
            ("2.675 | round(2)", "2.68"),
            round,
        )
        .takes(&[optional("places")]),
        Entry::filter("abs", "The number without its sign.", ("-1.50 | abs", "1.50"), |call| {
            match call.input {
                Value::Int(i) => match i.checked_abs() {
                    Some(positive) => Ok(Value::Int(positive)),
                    None => Ok(Value::Decimal(exact(call.input)?.abs())),
                },
                Value::Decimal(d) => Ok(Value::Decimal(d.abs())),
                Value::Float(f) => Ok(Value::Float(f.abs())),
                other => Err(call.takes("a number", other)),
            }
        }),
    ];

/// The number that a text is; `None` when it is none.
fn read(text: &str) -> Result<Option<BigDecimal>, Wrong> {
    let text = text.trim();
    // BigDecimal reads `1_000` too, and `.` or an exponent alone are no numbers to anybody.
    let plausible = text.bytes().any(|b| b.is_ascii_digit()) && !text.contains('_');
    let Some(decimal) = plausible.then(|| BigDecimal::from_str(text).ok()).flatten() else {
        return Ok(None);
    };
    sane(&decimal)?;
    Ok(Some(decimal))
}

fn number(call: &Call<'_>) -> Result<BigDecimal, Wrong> {
    match call.input {
        Value::Text(text) => read(text)?.ok_or_else(|| {
            let wrong = Wrong::types(format!("text `{}` is not a number", cut(text)));
            match text.contains(',') {
                true => wrong.help("write the point as `.`, and take thousands separators out"),
                false => wrong,
            }
        }),
        Value::Bool(b) => Ok(BigDecimal::from(u8::from(*b))),
        value if is_number(value) => exact(value),
        other => Err(call.takes("a number or text", other)),
    }
}

fn whole(decimal: BigDecimal) -> Value {
    let value = Value::Decimal(decimal);
    value.as_int().map_or(value, Value::Int)
}

fn int(call: &Call<'_>) -> Result<Value, Wrong> {
    let decimal = number(call)?;
    if !decimal.is_integer() {
        return Err(Wrong::types(format!("{} has a fraction", described(call.input)))
            .help("write `| decimal | round` to round it"));
    }
    Ok(whole(decimal))
}

fn decimal(call: &Call<'_>) -> Result<Value, Wrong> {
    let decimal = number(call)?;
    Ok(Value::Decimal(match call.int_argument(0, 0..=PLACES)? {
        Some(places) => decimal.with_scale_round(places, RoundingMode::HalfEven),
        None => decimal,
    }))
}

fn float(call: &Call<'_>) -> Result<Value, Wrong> {
    if let Value::Float(_) = call.input {
        return Ok(call.input.clone());
    }
    let shown = number(call)?.to_scientific_notation();
    match shown.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Value::Float(float)),
        _ => Err(Wrong::types(format!("{} is too large for a float", described(call.input)))),
    }
}

fn boolean(call: &Call<'_>) -> Result<Value, Wrong> {
    let wrong = |value: &Value| {
        Wrong::types(format!("{} is neither true nor false", described(value)))
            .help("compare it: `value == 'active'`")
    };
    let truth = match call.input {
        Value::Bool(b) => Some(*b),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "t" | "y" | "1" => Some(true),
            "false" | "no" | "off" | "f" | "n" | "0" => Some(false),
            _ => None,
        },
        Value::Secret(_) => return Err(call.takes("text", call.input)),
        _ => None,
    };
    truth.map(Value::Bool).ok_or_else(|| wrong(call.input))
}

fn round(call: &Call<'_>) -> Result<Value, Wrong> {
    if !is_number(call.input) {
        return Err(call.takes("a number", call.input));
    }
    let places = call.int_argument(0, -PLACES..=PLACES)?.unwrap_or(0);
    let rounded = exact(call.input)?.with_scale_round(places, RoundingMode::HalfEven);
    if places > 0 {
        return Ok(Value::Decimal(rounded));
    }
    Ok(whole(rounded.with_scale(0)))
}
