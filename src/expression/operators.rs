//! Operators between values: exact arithmetic, strict comparison, membership.
//!
//! Owns what `+`, `==`, `in` and their like mean. Must not know the syntax tree or names.
//!
//! Numbers: integers and decimals are exact, and an integer that outgrows 128 bits goes on as a
//! decimal. Division is exact where the quotient has at most a hundred digits, and else rounded
//! half to even to 34 significant digits (those of IEEE 754 decimal128). A float stays one only
//! among floats; with another number it counts as the shortest decimal that reads back as it.

use std::cmp::Ordering;

use bigdecimal::{
    BigDecimal, RoundingMode, Zero,
    num_bigint::{BigInt, Sign},
};

use super::{
    Operator,
    budget::Budget,
    rendering::Piece,
    wrong::{Wrong, described},
};
use crate::base::Value;

/// Largest exponent, and number of digits, that a decimal in an operation may have. PostgreSQL's
/// `NUMERIC` goes further, money does not; `1e999999999` in an answer must not fill the memory.
const DIGITS: u64 = 10_000;
/// Significant digits of a quotient that has no end.
const QUOTIENT: u64 = 34;

/// Refuses a decimal whose digits, written out, would be too many.
pub(crate) fn sane(decimal: &BigDecimal) -> Result<(), Wrong> {
    let (digits, scale) = decimal.as_bigint_and_scale();
    // A decimal digit takes 3.32 bits.
    if scale.unsigned_abs() > DIGITS || digits.bits() > DIGITS * 10 / 3 {
        return Err(Wrong::types(format!("a number has more than {DIGITS} digits")));
    }
    Ok(())
}

/// The exact decimal of a number.
pub(crate) fn exact(value: &Value) -> Result<BigDecimal, Wrong> {
    let decimal = value
        .as_decimal()
        .ok_or_else(|| Wrong::types(format!("{} is not a finite number", described(value))))?;
    sane(&decimal)?;
    Ok(decimal)
}

pub(crate) fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Decimal(_) | Value::Float(_))
}

/// The value of an operator that evaluates both of its sides.
pub(crate) fn binary(
    operator: Operator,
    left: &Value,
    right: &Value,
    budget: &Budget,
) -> Result<Value, Wrong> {
    budget.read(left)?;
    budget.read(right)?;
    Ok(match operator {
        Operator::Equal => Value::Bool(equal(left, right)?),
        Operator::NotEqual => Value::Bool(!equal(left, right)?),
        Operator::Less => Value::Bool(order(left, right)?.is_lt()),
        Operator::LessOrEqual => Value::Bool(order(left, right)?.is_le()),
        Operator::Greater => Value::Bool(order(left, right)?.is_gt()),
        Operator::GreaterOrEqual => Value::Bool(order(left, right)?.is_ge()),
        Operator::In => Value::Bool(contains(right, left)?),
        Operator::NotIn => Value::Bool(!contains(right, left)?),
        // Both sides are there already, so these can only say what they are.
        Operator::And => if left.is_true() { right } else { left }.clone(),
        Operator::Or => if left.is_true() { left } else { right }.clone(),
        Operator::Concatenate => {
            let mut piece = Piece::of(left)?;
            let more = Piece::of(right)?;
            budget.build(piece.len() + more.len())?;
            piece.push(&more);
            piece.into_value()
        }
        arithmetic => calculate(arithmetic, left, right, budget)?,
    })
}

fn calculate(
    operator: Operator,
    left: &Value,
    right: &Value,
    budget: &Budget,
) -> Result<Value, Wrong> {
    let sign = match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::FloorDivide => "//",
        Operator::Remainder => "%",
        _ => "**",
    };
    if let (Operator::Add, Value::List(a), Value::List(b)) = (operator, left, right) {
        budget.step(a.len() + b.len())?;
        return Ok(Value::List(a.iter().chain(b).cloned().collect()));
    }
    if !is_number(left) || !is_number(right) {
        return Err(not_numbers(sign, left, right));
    }
    let divides =
        matches!(operator, Operator::Divide | Operator::FloorDivide | Operator::Remainder);
    if divides && !right.is_true() {
        return Err(Wrong::types(format!("division of {} by zero", described(left)))
            .help("ask first: `x / n if n else 0`"));
    }
    if let (Value::Float(a), Value::Float(b)) = (left, right) {
        return Ok(Value::Float(match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a / b,
            Operator::FloorDivide => (a / b).floor(),
            Operator::Remainder => a - b * (a / b).floor(),
            _ => a.powf(*b),
        }));
    }
    if let (Value::Int(a), Value::Int(b)) = (left, right)
        && let Some(int) = integers(operator, *a, *b)
    {
        return Ok(Value::Int(int));
    }
    let (a, b) = (exact(left)?, exact(right)?);
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => quotient(&a, &b),
        Operator::FloorDivide => floor(&a, &b).0,
        Operator::Remainder => floor(&a, &b).1,
        _ => return power(&a, right),
    };
    sane(&result)?;
    Ok(Value::Decimal(result))
}

fn not_numbers(sign: &str, left: &Value, right: &Value) -> Wrong {
    let wrong = Wrong::types(format!("`{sign}` takes numbers, not {}", {
        let culprit = if is_number(left) { right } else { left };
        described(culprit)
    }));
    match (sign, left, right) {
        ("+" | "-", Value::Time(_), _) => {
            let filter = if sign == "+" { "plus" } else { "minus" };
            wrong.help(format!("write `time | {filter}('15m')`"))
        }
        ("+", Value::Text(_) | Value::Secret(_), _)
        | ("+", _, Value::Text(_) | Value::Secret(_))
            if !is_number(left) && !is_number(right) =>
        {
            wrong.help("write `a ~ b` to join texts")
        }
        (_, Value::Text(_), _) | (_, _, Value::Text(_)) => {
            wrong.help("write `| int` or `| decimal` behind the text that is a number")
        }
        (_, Value::Null, _) | (_, _, Value::Null) => {
            wrong.help("write `| default(0)` where null should count as zero")
        }
        _ => wrong,
    }
}

/// The integer result, where there is one that fits.
fn integers(operator: Operator, a: i128, b: i128) -> Option<i128> {
    match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => (a.checked_rem(b)? == 0).then(|| a.checked_div(b))?,
        // Rounds down, and the remainder has the divisor's sign, as in Jinja.
        Operator::FloorDivide => {
            let quotient = a.checked_div(b)?;
            let down = a.checked_rem(b)? != 0 && (a < 0) != (b < 0);
            Some(if down { quotient - 1 } else { quotient })
        }
        Operator::Remainder => {
            let rest = a.checked_rem(b)?;
            Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Operator::Power => a.checked_pow(u32::try_from(b).ok()?),
        _ => None,
    }
}

fn quotient(a: &BigDecimal, b: &BigDecimal) -> BigDecimal {
    let full = a / b;
    let result = if &(&full * b) == a {
        full.normalized()
    } else {
        let digits = std::num::NonZeroU64::new(QUOTIENT).unwrap_or(std::num::NonZeroU64::MIN);
        full.with_precision_round(digits, RoundingMode::HalfEven)
    };
    // An amount keeps its cents: 10.00 / 2 is 5.00.
    let cents = a.fractional_digit_count().max(0);
    if result.fractional_digit_count() < cents { result.with_scale(cents) } else { result }
}

/// Quotient rounded down, and the rest; both exact.
fn floor(a: &BigDecimal, b: &BigDecimal) -> (BigDecimal, BigDecimal) {
    let scale = a.fractional_digit_count().max(b.fractional_digit_count());
    let (x, _) = a.with_scale(scale).into_bigint_and_scale();
    let (y, _) = b.with_scale(scale).into_bigint_and_scale();
    let mut down: BigInt = &x / &y;
    let mut rest: BigInt = &x - &down * &y;
    if rest.sign() != Sign::NoSign && rest.sign() != y.sign() {
        down -= 1;
        rest += &y;
    }
    (BigDecimal::new(down, 0), BigDecimal::new(rest, scale))
}

fn power(base: &BigDecimal, exponent: &Value) -> Result<Value, Wrong> {
    let whole = exact(exponent)?;
    let too_large = || Wrong::types(format!("the power has more than {DIGITS} digits"));
    if !whole.is_integer() {
        return Err(Wrong::types(format!(
            "`**` takes a whole exponent, not {}",
            described(exponent)
        )));
    }
    let exponent = exponent.as_int().ok_or_else(too_large)?;
    if exponent < 0 && base.is_zero() {
        return Err(Wrong::types("division by zero: a negative power of zero"));
    }
    let (digits, scale) = base.as_bigint_and_scale();
    let times = u32::try_from(exponent.unsigned_abs()).map_err(|_| too_large())?;
    let bits = digits.bits().max(1).saturating_mul(u64::from(times));
    let scale = scale.checked_mul(i64::from(times)).ok_or_else(too_large)?;
    if bits > DIGITS * 10 / 3 || scale.unsigned_abs() > DIGITS {
        return Err(too_large());
    }
    let result = BigDecimal::new(digits.pow(times), scale);
    Ok(Value::Decimal(if exponent < 0 { quotient(&BigDecimal::from(1), &result) } else { result }))
}

/// `-x`.
pub(crate) fn negate(value: &Value) -> Result<Value, Wrong> {
    match value {
        Value::Int(i) => match i.checked_neg() {
            Some(negative) => Ok(Value::Int(negative)),
            None => Ok(Value::Decimal(-exact(value)?)),
        },
        Value::Decimal(d) => Ok(Value::Decimal(-d.clone())),
        Value::Float(f) => Ok(Value::Float(-f)),
        other => Err(not_numbers("-", other, &Value::Int(0))),
    }
}

/// Are they equal? Values of different kinds can't be asked, except whether one is null: a
/// silent `false` would hide that a text was compared with a number.
pub(crate) fn equal(left: &Value, right: &Value) -> Result<bool, Wrong> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(left == right),
        (Value::Secret(a), Value::Secret(b)) => Ok(a == b),
        (Value::Secret(a), Value::Text(b)) | (Value::Text(b), Value::Secret(a)) => {
            Ok(*a == crate::base::Secret::derived(b.clone(), String::new()))
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (x, y) in a.iter().zip(b) {
                if !equal(x, y)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, x) in a {
                match b.get(key) {
                    Some(y) if equal(x, y)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Time(a), Value::Time(b)) => {
            if std::mem::discriminant(a) == std::mem::discriminant(b) {
                Ok(a == b)
            } else {
                Err(not_comparable(left, right))
            }
        }
        _ if is_number(left) && is_number(right) => Ok(left == right),
        _ if std::mem::discriminant(left) == std::mem::discriminant(right) => Ok(left == right),
        _ => Err(not_comparable(left, right)),
    }
}

/// Which is larger?
pub(crate) fn order(left: &Value, right: &Value) -> Result<Ordering, Wrong> {
    if matches!(left, Value::Secret(_)) || matches!(right, Value::Secret(_)) {
        return Err(Wrong::secret("an order"));
    }
    let ordered = match (left, right) {
        (Value::Map(_), _) | (_, Value::Map(_)) | (Value::Null, _) | (_, Value::Null) => None,
        (Value::List(a), Value::List(b)) => {
            for (x, y) in a.iter().zip(b) {
                match order(x, y)? {
                    Ordering::Equal => {}
                    unequal => return Ok(unequal),
                }
            }
            Some(a.len().cmp(&b.len()))
        }
        _ => left.compare(right),
    };
    ordered.ok_or_else(|| not_comparable(left, right))
}

fn not_comparable(left: &Value, right: &Value) -> Wrong {
    let wrong =
        Wrong::types(format!("{} can't be compared with {}", described(left), described(right)));
    let (text, other) = match (left, right) {
        (Value::Text(_), other) => (true, other),
        (other, Value::Text(_)) => (true, other),
        (other, _) => (false, other),
    };
    match (text, other) {
        (true, Value::Int(_)) => wrong.help("write `| int` behind the text"),
        (true, Value::Decimal(_) | Value::Float(_)) => {
            wrong.help("write `| decimal` behind the text")
        }
        (true, Value::Time(_)) => wrong.help("write `| time` behind the text"),
        (true, Value::Bool(_)) => wrong.help("write `| bool` behind the text"),
        (true, Value::List(_)) => wrong.help("write `x in list`, or take one of it: `list[0]`"),
        _ if left == &Value::Null || right == &Value::Null => {
            wrong.help("ask `is none` first, or write `| default(…)`")
        }
        (_, Value::Time(_)) => wrong.help("bring both to one kind: `| date`, `| in_zone('UTC')`"),
        _ => wrong,
    }
}

/// Is it in there: an item of a list, a part of a text, a key of a map?
pub(crate) fn contains(container: &Value, item: &Value) -> Result<bool, Wrong> {
    match (container, item) {
        (Value::List(items), _) => {
            let mut stranger = None;
            for candidate in items {
                match equal(candidate, item) {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(wrong) => stranger = stranger.or(Some(wrong)),
                }
            }
            // Absent, but some could not be compared: that it is absent would be a guess.
            stranger.map_or(Ok(false), Err)
        }
        (Value::Secret(_), _) | (Value::Text(_) | Value::Map(_), Value::Secret(_)) => {
            Err(Wrong::secret("`in`"))
        }
        (Value::Text(text), Value::Text(part)) => Ok(text.contains(part.as_str())),
        (Value::Map(map), Value::Text(key)) => Ok(map.contains_key(key)),
        (Value::Text(_), other) => {
            Err(Wrong::types(format!("a text can't hold {}", described(other)))
                .help("write `| text` behind what is looked for"))
        }
        (Value::Map(_), other) => {
            Err(Wrong::types(format!("the keys of a map are texts, and not {}", described(other))))
        }
        (other, _) => Err(Wrong::types(format!(
            "`in` looks into a list, a text or a map, not {}",
            described(other)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Secret, diagnostics::codes};

    fn number(text: &str) -> Value {
        match text.parse::<i128>() {
            Ok(int) => Value::Int(int),
            Err(_) => match text.strip_suffix('f') {
                Some(float) => Value::Float(float.parse().unwrap()),
                None => Value::Decimal(text.parse().unwrap()),
            },
        }
    }

    fn calc(left: &str, operator: Operator, right: &str) -> String {
        match binary(operator, &number(left), &number(right), &Budget::new()) {
            Ok(value) => format!("{}: {value}", value.kind().rsplit(' ').next().unwrap()),
            Err(wrong) => format!("{}: {}", wrong.code, wrong.message),
        }
    }

    #[test]
    fn the_table_of_operators() {
        use Operator::*;
        let max = i128::MAX.to_string();
        for (left, operator, right, result) in [
            ("1", Add, "2", "integer: 3"),
            ("0.1", Add, "0.2", "decimal: 0.3"),
            ("1", Add, "0.50", "decimal: 1.50"),
            ("0.1f", Add, "0.2f", "float: 0.30000000000000004"),
            ("0.1f", Add, "0.2", "decimal: 0.3"),
            ("1", Add, "0.1f", "decimal: 1.1"),
            ("5", Subtract, "7", "integer: -2"),
            ("1.00", Subtract, "0.99", "decimal: 0.01"),
            ("19.99", Multiply, "3", "decimal: 59.97"),
            ("6", Divide, "3", "integer: 2"),
            ("1", Divide, "8", "decimal: 0.125"),
            ("10", Divide, "3", "decimal: 3.333333333333333333333333333333333"),
            ("2", Divide, "3", "decimal: 0.6666666666666666666666666666666667"),
            ("10.00", Divide, "2", "decimal: 5.00"),
            ("100.00", Divide, "0.5", "decimal: 200.00"),
            ("1", Divide, "0", "RW0304: division of the integer 1 by zero"),
            ("1.5", Divide, "0.00", "RW0304: division of the decimal 1.5 by zero"),
            ("7", FloorDivide, "2", "integer: 3"),
            ("-7", FloorDivide, "2", "integer: -4"),
            ("7", Remainder, "3", "integer: 1"),
            ("-7", Remainder, "3", "integer: 2"),
            ("7", Remainder, "-3", "integer: -2"),
            ("7.5", FloorDivide, "2", "decimal: 3"),
            ("-7.5", FloorDivide, "2", "decimal: -4"),
            ("7.5", Remainder, "2", "decimal: 1.5"),
            ("-7.5", Remainder, "2", "decimal: 0.5"),
            ("2", Power, "10", "integer: 1024"),
            ("1.1", Power, "2", "decimal: 1.21"),
            ("2", Power, "-2", "decimal: 0.25"),
            ("2", Power, "0.5", "RW0304: `**` takes a whole exponent, not the decimal 0.5"),
            (&max, Add, "1", "decimal: 170141183460469231731687303715884105728"),
            ("1", Less, "1.5", "boolean: true"),
            ("1.50", Equal, "1.5", "boolean: true"),
            ("0.1f", Equal, "0.1", "boolean: true"),
            ("2", NotEqual, "2.0", "boolean: false"),
            ("3", GreaterOrEqual, "3", "boolean: true"),
            ("3", Concatenate, "0.50", "text: 30.50"),
        ] {
            assert_eq!(calc(left, operator, right), result, "{left} {operator:?} {right}");
        }
    }

    #[test]
    fn sums_of_cents_are_exact() {
        let cent = number("0.01");
        let budget = Budget::new();
        let mut sum = Value::Int(0);
        for n in 1..=5000 {
            sum = binary(Operator::Add, &sum, &cent, &budget).unwrap();
            let expected: BigDecimal = BigDecimal::new(n.into(), 2);
            assert_eq!(sum, Value::Decimal(expected));
        }
        assert_eq!(sum.to_string(), "50.00");
        // (a / b) * b gives a back wherever the quotient ends.
        for a in 1..200i64 {
            for b in [1i64, 2, 4, 5, 8, 10, 16, 25, 50, 100] {
                let (a, b) = (Value::Int(a.into()), Value::Int(b.into()));
                let q = binary(Operator::Divide, &a, &b, &budget).unwrap();
                assert_eq!(binary(Operator::Multiply, &q, &b, &budget).unwrap(), a);
                let down = binary(Operator::FloorDivide, &a, &b, &budget).unwrap();
                let rest = binary(Operator::Remainder, &a, &b, &budget).unwrap();
                let back = binary(Operator::Multiply, &down, &b, &budget).unwrap();
                assert_eq!(binary(Operator::Add, &back, &rest, &budget).unwrap(), a);
            }
        }
    }

    #[test]
    fn numbers_that_would_fill_the_memory_are_refused() {
        for (left, operator, right) in [
            ("1e999999999", Operator::Add, "1"),
            ("1e-999999999", Operator::Multiply, "2"),
            ("9.9", Operator::Power, "1000000"),
            ("10", Operator::Power, "99999999999999"),
            ("1e9000", Operator::Multiply, "1e9000"),
            ("1", Operator::Concatenate, "1e999999999"),
        ] {
            let result = calc(left, operator, right);
            assert!(result.contains("digits"), "{left} {operator:?} {right}: {result}");
        }
    }

    #[test]
    fn different_kinds_are_not_silently_unequal() {
        let text = Value::text("12");
        for other in [Value::Int(12), number("1.5"), Value::Bool(true), Value::List(vec![])] {
            let wrong = equal(&text, &other).unwrap_err();
            assert_eq!(wrong.code, codes::RW0304);
            assert!(wrong.message.contains("text `12`"), "{}", wrong.message);
            assert!(wrong.help.is_some(), "{}", wrong.message);
            assert!(equal(&other, &text).is_err());
            assert_eq!(equal(&Value::Null, &other), Ok(false));
        }
        assert_eq!(equal(&Value::Null, &Value::Null), Ok(true));
        assert!(order(&Value::Null, &Value::Int(1)).is_err());
        let day = Value::Time("2026-01-02".parse().unwrap());
        let instant = Value::Time("2026-01-02T00:00:00Z".parse().unwrap());
        assert!(equal(&day, &instant).is_err() && order(&day, &instant).is_err());
    }

    #[test]
    fn membership() {
        let list = Value::List(vec![Value::Int(1), Value::text("a"), Value::Null]);
        assert_eq!(contains(&list, &Value::text("a")), Ok(true));
        assert!(contains(&list, &Value::text("b")).is_err());
        let texts = Value::List(vec![Value::text("a"), Value::Null]);
        assert_eq!(contains(&texts, &Value::text("b")), Ok(false));
        assert_eq!(contains(&Value::text("abc"), &Value::text("b")), Ok(true));
        assert_eq!(contains(&Value::map([("k", Value::Null)]), &Value::text("k")), Ok(true));
        assert!(contains(&Value::text("a1"), &Value::Int(1)).is_err());
        assert!(contains(&Value::Int(1), &Value::Int(1)).is_err());
    }

    #[test]
    fn secrets_can_be_compared_and_not_ordered() {
        let secret = Value::Secret(Secret::new("n", "v", "hunter2".into()));
        assert_eq!(equal(&secret, &Value::text("hunter2")), Ok(true));
        assert_eq!(equal(&Value::text("hunter3"), &secret), Ok(false));
        assert!(order(&secret, &Value::text("a")).is_err());
        assert!(contains(&secret, &Value::text("h")).is_err());
        assert!(contains(&Value::text("hunter2 and more"), &secret).is_err());
        let hosts = Value::List(vec![secret.clone()]);
        assert_eq!(contains(&hosts, &secret), Ok(true));
        let joined =
            binary(Operator::Concatenate, &Value::text("Bearer "), &secret, &Budget::new());
        let Ok(Value::Secret(joined)) = joined else { panic!("not a secret") };
        assert_eq!((joined.expose(), joined.shown()), ("Bearer hunter2", "Bearer ‹secret n@v›"));
    }
}
