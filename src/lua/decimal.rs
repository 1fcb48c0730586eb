//! Exact numbers in scripts: the userdata `decimal`.
//!
//! Owns arithmetic and comparison of decimals and of whole numbers beyond 2^53. Must not know
//! where values come from or go to.

use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode, Zero};
use mlua::{Error, MetaMethod, Result, UserData, UserDataFields, UserDataMethods, Value as Lua};

use crate::base::Value;

/// Digits, and places before or behind the point, that a decimal may have. Memory of the script
/// is bounded by Lua's allocator; a decimal lives outside of it, so it must be small.
const MAX_DIGITS: u64 = 200;
/// Whole numbers up to this are exact in Lua's numbers.
pub(super) const EXACT: i128 = 1 << 53;

/// An exact number.
#[derive(Clone, Debug)]
pub(super) struct Exact {
    value: BigDecimal,
    /// It came from an integer and stays one until a decimal joins it.
    whole: bool,
}

impl Exact {
    /// From a value; `None` when it is no number, or has too many digits.
    pub(super) fn from_value(value: &Value) -> Option<Self> {
        let whole = matches!(value, Value::Int(_));
        value.as_decimal().filter(small).map(|value| Self { value, whole })
    }

    /// As a value of a step.
    pub(super) fn to_value(&self) -> Value {
        let whole =
            if self.whole { self.value.with_scale(0).to_string().parse().ok() } else { None };
        whole.map_or_else(|| Value::Decimal(self.value.clone()), Value::Int)
    }

    /// From what a script gives: a decimal, a number or text.
    pub(super) fn from_lua(value: &Lua) -> Result<Self> {
        let exact = match value {
            Lua::UserData(data) => data.borrow::<Self>().ok().map(|d| d.clone()),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            Lua::Number(n) if n.trunc() == *n && n.abs() <= EXACT as f64 => {
                Some(Self { value: BigDecimal::from(*n as i64), whole: true })
            }
            Lua::Integer(i) => Some(Self { value: BigDecimal::from(*i), whole: true }),
            Lua::Number(n) => Self::from_value(&Value::Float(*n)),
            Lua::String(text) => {
                let text = text.to_string_lossy();
                Some(text.trim())
                    .filter(|t| t.len() as u64 <= 2 * MAX_DIGITS)
                    .and_then(|t| BigDecimal::from_str(t).ok())
                    .filter(small)
                    .map(|value| Self { value, whole: false })
            }
            _ => None,
        };
        exact.ok_or_else(|| {
            Error::runtime(format!(
                "expected a number of up to {MAX_DIGITS} digits, got {}",
                shown(value)
            ))
        })
    }

    fn checked(value: BigDecimal, whole: bool) -> Result<Self> {
        if small(&value) {
            Ok(Self { value, whole })
        } else {
            Err(Error::runtime(format!("the number gets more than {MAX_DIGITS} digits")))
        }
    }

    fn text(&self) -> String {
        self.value.to_plain_string()
    }
}

fn small(value: &BigDecimal) -> bool {
    value.fractional_digit_count().unsigned_abs() <= MAX_DIGITS && value.digits() <= MAX_DIGITS
}

fn shown(value: &Lua) -> String {
    match value {
        Lua::String(text) => {
            let text = text.to_string_lossy();
            format!("`{}`", text.chars().take(40).collect::<String>())
        }
        Lua::Number(n) => n.to_string(),
        other => other.type_name().to_owned(),
    }
}

fn operands(a: &Lua, b: &Lua) -> Result<(Exact, Exact)> {
    Ok((Exact::from_lua(a)?, Exact::from_lua(b)?))
}

fn rounding(mode: Option<&str>) -> Result<RoundingMode> {
    Ok(match mode {
        None | Some("half_up") => RoundingMode::HalfUp,
        Some("half_even") => RoundingMode::HalfEven,
        Some("down") => RoundingMode::Down,
        Some("up") => RoundingMode::Up,
        Some(other) => {
            return Err(Error::runtime(format!(
                "no rounding is called `{other}`; use half_up, half_even, down or up"
            )));
        }
    })
}

impl UserData for Exact {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "decimal");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_function(MetaMethod::Add, |_, (a, b): (Lua, Lua)| {
            let (a, b) = operands(&a, &b)?;
            Exact::checked(a.value + b.value, a.whole && b.whole)
        });
        methods.add_meta_function(MetaMethod::Sub, |_, (a, b): (Lua, Lua)| {
            let (a, b) = operands(&a, &b)?;
            Exact::checked(a.value - b.value, a.whole && b.whole)
        });
        methods.add_meta_function(MetaMethod::Mul, |_, (a, b): (Lua, Lua)| {
            let (a, b) = operands(&a, &b)?;
            Exact::checked(a.value * b.value, a.whole && b.whole)
        });
        methods.add_meta_function(MetaMethod::Div, |_, (a, b): (Lua, Lua)| {
            let (a, b) = operands(&a, &b)?;
            if b.value.is_zero() {
                return Err(Error::runtime("division by zero"));
            }
            // bigdecimal ends a division that has no end at 100 digits.
            Exact::checked(a.value / b.value, false)
        });
        methods.add_meta_method(MetaMethod::Unm, |_, this, _: Lua| {
            Ok(Exact { value: -&this.value, whole: this.whole })
        });
        methods.add_meta_function(MetaMethod::Eq, |_, (a, b): (Lua, Lua)| {
            let (a, b) = operands(&a, &b)?;
            Ok(a.value == b.value)
        });
        methods.add_meta_function(MetaMethod::Lt, |_, (a, b): (Lua, Lua)| {
            let (a, b) = operands(&a, &b)?;
            Ok(a.value < b.value)
        });
        methods.add_meta_function(MetaMethod::Le, |_, (a, b): (Lua, Lua)| {
            let (a, b) = operands(&a, &b)?;
            Ok(a.value <= b.value)
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.text()));
        methods.add_meta_function(MetaMethod::Concat, |lua, (a, b): (Lua, Lua)| {
            let mut bytes = Vec::new();
            for side in [&a, &b] {
                match side {
                    Lua::String(text) => bytes.extend_from_slice(&text.as_bytes()),
                    Lua::Number(n) => bytes.extend_from_slice(n.to_string().as_bytes()),
                    other => bytes.extend_from_slice(Exact::from_lua(other)?.text().as_bytes()),
                }
            }
            lua.create_string(bytes)
        });
        // Luau calls `__eq` and `__lt` only for two userdata; these take plain numbers too.
        methods.add_method("equals", |_, this, other: Lua| {
            Ok(this.value == Exact::from_lua(&other)?.value)
        });
        methods.add_method("compare", |_, this, other: Lua| {
            Ok(this.value.cmp(&Exact::from_lua(&other)?.value) as i8)
        });
        methods.add_method("abs", |_, this, ()| {
            Ok(Exact { value: this.value.abs(), whole: this.whole })
        });
        methods.add_method("round", |_, this, (places, mode): (Option<i64>, Option<String>)| {
            let places = places.unwrap_or(0);
            if places.unsigned_abs() > MAX_DIGITS {
                return Err(Error::runtime("too many places to round to"));
            }
            let value = this.value.with_scale_round(places, rounding(mode.as_deref())?);
            Exact::checked(value, this.whole)
        });
        methods.add_method("number", |_, this, ()| {
            this.text().parse::<f64>().map_err(|_| Error::runtime("not a number"))
        });
    }
}
