//! PostgreSQL's binary values, read without loss.
//!
//! Owns the binary formats (those of `src/backend/utils/adt/*.c`, functions `*_send`). What is not
//! known here is asked for as text instead: see `Shape::Unknown`.

use bigdecimal::{BigDecimal, num_bigint::BigInt};
use jiff::{SignedDuration, civil};
use sqlx::postgres::{PgTypeInfo, PgTypeKind};

use super::encode::array_literal;
use crate::base::{Value, value::Time};

/// How a type's values are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A built-in type, by its fixed object id.
    Known(u32),
    /// Sent as its text: enums.
    Text,
    /// An array of such.
    Array(Box<Shape>),
    /// The server has to make text of it.
    Unknown,
}

pub(super) const BOOL: u32 = 16;
pub(super) const BYTEA: u32 = 17;
const CHAR: u32 = 18;
pub(super) const NAME: u32 = 19;
pub(super) const INT8: u32 = 20;
pub(super) const INT2: u32 = 21;
pub(super) const INT4: u32 = 23;
pub(super) const TEXT: u32 = 25;
const OID: u32 = 26;
pub(super) const JSON: u32 = 114;
const FLOAT4: u32 = 700;
pub(super) const FLOAT8: u32 = 701;
pub(super) const UNKNOWN: u32 = 705;
pub(super) const BPCHAR: u32 = 1042;
pub(super) const VARCHAR: u32 = 1043;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const INTERVAL: u32 = 1186;
const TIMETZ: u32 = 1266;
const NUMERIC: u32 = 1700;
const VOID: u32 = 2278;
const UUID: u32 = 2950;
pub(super) const JSONB: u32 = 3802;

/// Seconds from 1970 to PostgreSQL's own epoch, the start of 2000.
const EPOCH: i64 = 946_684_800;
const DAY: i64 = 86_400_000_000;

/// How values of this type are read.
pub(super) fn shape(info: &PgTypeInfo) -> Shape {
    match info.kind() {
        PgTypeKind::Domain(base) => shape(base),
        PgTypeKind::Enum(_) => Shape::Text,
        PgTypeKind::Array(element) => match shape(element) {
            Shape::Unknown => Shape::Unknown,
            element => Shape::Array(Box::new(element)),
        },
        PgTypeKind::Simple | PgTypeKind::Pseudo => match info.oid().map(|oid| oid.0) {
            Some(
                oid @ (BOOL | BYTEA | CHAR | NAME | INT8 | INT2 | INT4 | TEXT | OID | JSON | FLOAT4
                | FLOAT8 | UNKNOWN | BPCHAR | VARCHAR | DATE | TIME | TIMESTAMP
                | TIMESTAMPTZ | INTERVAL | TIMETZ | NUMERIC | VOID | UUID | JSONB),
            ) => Shape::Known(oid),
            _ => Shape::Unknown,
        },
        PgTypeKind::Composite(_) | PgTypeKind::Range(_) => Shape::Unknown,
    }
}

/// One value that is not NULL.
pub(super) fn value(bytes: &[u8], shape: &Shape) -> Result<Value, String> {
    let mut input = Input(bytes);
    let oid = match shape {
        Shape::Known(oid) => *oid,
        Shape::Text => TEXT,
        Shape::Array(element) => return array(input, element),
        Shape::Unknown => return Err("its type is not known".to_owned()),
    };
    Ok(match oid {
        BOOL => Value::Bool(input.u8()? != 0),
        BYTEA => Value::Bytes(bytes.to_vec()),
        INT2 => Value::Int(input.i16()?.into()),
        INT4 => Value::Int(input.i32()?.into()),
        INT8 => Value::Int(input.i64()?.into()),
        OID => Value::Int(input.u32()?.into()),
        FLOAT4 => Value::Float(widened(f32::from_bits(input.u32()?))),
        FLOAT8 => Value::Float(f64::from_bits(input.i64()?.cast_unsigned())),
        NUMERIC => numeric(input)?,
        CHAR => internal_char(bytes),
        VOID => Value::text(""),
        JSONB => match input.u8()? {
            1 => text(input.0)?,
            other => return Err(format!("version {other} of jsonb")),
        },
        UUID => Value::text(uuid::Uuid::from_slice(bytes).map_err(|e| e.to_string())?.to_string()),
        DATE => date(input.i32()?),
        TIME => clock(input.i64()?),
        TIMETZ => {
            let (micros, west) = (input.i64()?, input.i32()?);
            Value::text(format!("{}{}", time_of_day(micros), zone(west)))
        }
        TIMESTAMP => timestamp(input.i64()?),
        TIMESTAMPTZ => instant(input.i64()?),
        INTERVAL => {
            let (micros, days, months) = (input.i64()?, input.i32()?, input.i32()?);
            Value::text(interval(micros, days, months))
        }
        _ => text(bytes)?,
    })
}

/// The float whose shortest decimal is the same: what the server shows, and what reads back.
fn widened(small: f32) -> f64 {
    small.to_string().parse().unwrap_or_else(|_| small.into())
}

fn text(bytes: &[u8]) -> Result<Value, String> {
    std::str::from_utf8(bytes).map(Value::text).map_err(|_| "it is not UTF-8".to_owned())
}

/// The type `"char"`: one byte, shown as the server shows it.
fn internal_char(bytes: &[u8]) -> Value {
    Value::text(match bytes.first() {
        None | Some(0) => String::new(),
        Some(byte) if byte.is_ascii() => char::from(*byte).to_string(),
        Some(byte) => format!("\\{byte:03o}"),
    })
}

/// Digits in base 10000, the weight of the first, a sign, and how many decimal places are shown.
fn numeric(mut input: Input<'_>) -> Result<Value, String> {
    let (count, weight) = (input.i16()?, i64::from(input.i16()?));
    let (sign, scale) = (input.i16()?.cast_unsigned(), i64::from(input.i16()?));
    let negative = match sign {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return Ok(Value::text("NaN")),
        0xD000 => return Ok(Value::text("Infinity")),
        0xF000 => return Ok(Value::text("-Infinity")),
        other => return Err(format!("sign {other:#x} of a numeric")),
    };
    let mut digits = String::from(if negative { "-0" } else { "0" });
    for _ in 0..count {
        digits.push_str(&format!("{:04}", input.i16()?));
    }
    let whole: BigInt = digits.parse().map_err(|_| "its digits can't be read".to_owned())?;
    let exponent = (weight + 1 - i64::from(count)) * 4;
    Ok(Value::Decimal(BigDecimal::new(whole, -exponent).with_scale(scale)))
}

fn date(days: i32) -> Value {
    match days {
        i32::MAX => return Value::text("infinity"),
        i32::MIN => return Value::text("-infinity"),
        _ => {}
    }
    let start = civil::date(2000, 1, 1);
    match start.checked_add(SignedDuration::from_hours(i64::from(days) * 24)) {
        Ok(date) if date.year() > 0 => Value::Time(Time::Date(date)),
        _ => {
            let (date, era) = far(i64::from(days));
            Value::text(format!("{date}{era}"))
        }
    }
}

fn clock(micros: i64) -> Value {
    match civil::Time::MIN.checked_add(SignedDuration::from_micros(micros)) {
        Ok(time) => Value::Time(Time::Clock(time)),
        // 24:00:00, which is the end of the day and not the start of the next.
        Err(_) => Value::text(time_of_day(micros)),
    }
}

fn timestamp(micros: i64) -> Value {
    if let Some(infinite) = infinite(micros) {
        return infinite;
    }
    let start = civil::date(2000, 1, 1).to_datetime(civil::Time::MIN);
    match start.checked_add(SignedDuration::from_micros(micros)) {
        Ok(time) if time.year() > 0 => Value::Time(Time::DateTime(time)),
        _ => Value::text(far_time(micros, "")),
    }
}

fn instant(micros: i64) -> Value {
    if let Some(infinite) = infinite(micros) {
        return infinite;
    }
    // Within the year 1 to 9999 the text form is one that every reader takes.
    let found = micros
        .checked_add(EPOCH * 1_000_000)
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .filter(|t| t.as_second() >= -62_135_596_800);
    match found {
        Some(time) => Value::Time(Time::Instant(time)),
        None => Value::text(far_time(micros, "+00")),
    }
}

fn infinite(micros: i64) -> Option<Value> {
    match micros {
        i64::MAX => Some(Value::text("infinity")),
        i64::MIN => Some(Value::text("-infinity")),
        _ => None,
    }
}

fn far_time(micros: i64, zone: &str) -> String {
    let (date, era) = far(micros.div_euclid(DAY));
    format!("{date} {}{zone}{era}", time_of_day(micros.rem_euclid(DAY)))
}

/// A date that jiff can't hold, or before our era, as PostgreSQL writes it. The arithmetic is
/// Howard Hinnant's `civil_from_days`.
fn far(days_from_2000: i64) -> (String, &'static str) {
    let z = days_from_2000 + EPOCH / 86_400 + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), suffix)
}

fn time_of_day(micros: i64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}{}", fraction(micros))
}

fn fraction(micros: i64) -> String {
    match micros.abs() {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    }
}

/// Seconds west of Greenwich, as `+02` or `-03:30`.
fn zone(west: i32) -> String {
    let (sign, s) = (if west > 0 { '-' } else { '+' }, west.abs());
    let mut zone = format!("{sign}{:02}", s / 3600);
    if s % 3600 != 0 {
        zone.push_str(&format!(":{:02}", s / 60 % 60));
    }
    if s % 60 != 0 {
        zone.push_str(&format!(":{:02}", s % 60));
    }
    zone
}

/// ISO 8601, as `IntervalStyle = iso_8601` shows it.
fn interval(micros: i64, days: i32, months: i32) -> String {
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return "infinity".to_owned(),
        (i64::MIN, i32::MIN, i32::MIN) => return "-infinity".to_owned(),
        _ => {}
    }
    let mut out = String::from("P");
    let mut put = |amount: i64, unit: char| {
        if amount != 0 {
            out.push_str(&format!("{amount}{unit}"));
        }
    };
    put((months / 12).into(), 'Y');
    put((months % 12).into(), 'M');
    put(days.into(), 'D');
    let mut time = String::new();
    let (hours, minutes) = (micros / 3_600_000_000, micros / 60_000_000 % 60);
    let (seconds, rest) = (micros / 1_000_000 % 60, micros % 1_000_000);
    for (amount, unit) in [(hours, 'H'), (minutes, 'M')] {
        if amount != 0 {
            time.push_str(&format!("{amount}{unit}"));
        }
    }
    if seconds != 0 || rest != 0 {
        let sign = if micros < 0 { "-" } else { "" };
        time.push_str(&format!("{sign}{}{}S", seconds.abs(), fraction(rest)));
    }
    if !time.is_empty() {
        out.push('T');
        out.push_str(&time);
    } else if out == "P" {
        out.push_str("T0S");
    }
    out
}

fn array(mut input: Input<'_>, element: &Shape) -> Result<Value, String> {
    let dimensions = input.i32()?;
    let (_has_nulls, _element_oid) = (input.i32()?, input.i32()?);
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        let (length, lower) = (input.i32()?, input.i32()?);
        lengths.push((usize::try_from(length).map_err(|_| "a negative length")?, lower));
    }
    if lengths.is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    let list = nested(&mut input, &lengths, element)?;
    if lengths.iter().all(|(_, lower)| *lower == 1) {
        return Ok(list);
    }
    // Bounds other than the usual are part of the value, and only the text form has them.
    let bounds: String = lengths
        .iter()
        .map(|(length, lower)| format!("[{lower}:{}]", i64::from(*lower) + *length as i64 - 1))
        .collect();
    Ok(Value::text(format!("{bounds}={}", array_literal(&list))))
}

fn nested(
    input: &mut Input<'_>,
    lengths: &[(usize, i32)],
    element: &Shape,
) -> Result<Value, String> {
    let Some(((length, _), inner)) = lengths.split_first() else {
        return match usize::try_from(input.i32()?) {
            Ok(length) => value(input.take(length)?, element),
            Err(_) => Ok(Value::Null),
        };
    };
    let mut items = Vec::new();
    for _ in 0..*length {
        items.push(nested(input, inner, element)?);
    }
    Ok(Value::List(items))
}

/// Bytes in network order.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (head, tail) =
            self.0.split_at_checked(length).ok_or("it is shorter than its type says")?;
        self.0 = tail;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "it is shorter than its type says".to_owned())
    }

    fn u8(&mut self) -> Result<u8, String> {
        self.fixed().map(u8::from_be_bytes)
    }

    fn i16(&mut self) -> Result<i16, String> {
        self.fixed().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, String> {
        self.fixed().map(i32::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.fixed().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, String> {
        self.fixed().map(i64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_dates_are_those_of_the_calendar() {
        assert_eq!(far(0), ("2000-01-01".to_owned(), ""));
        assert_eq!(far(59), ("2000-02-29".to_owned(), ""));
        assert_eq!(far(-730_120), ("0001-12-31".to_owned(), " BC"));
        assert_eq!(far(2_921_940), ("10000-01-01".to_owned(), ""));
        assert_eq!(date(-730_119).to_string(), "0001-01-01");
    }

    #[test]
    fn intervals_are_iso() {
        assert_eq!(interval(0, 0, 0), "PT0S");
        assert_eq!(interval(14_706_500_000, 3, 14), "P1Y2M3DT4H5M6.5S");
        assert_eq!(interval(-500_000, 0, -13), "P-1Y-1MT-0.5S");
    }

    #[test]
    fn bytes_that_end_early_are_a_fault() {
        for oid in [BOOL, INT2, INT4, INT8, NUMERIC, DATE, TIMESTAMPTZ, INTERVAL, UUID, JSONB] {
            assert!(value(&[], &Shape::Known(oid)).is_err(), "{oid}");
        }
        assert!(value(&[0, 0, 0, 1], &Shape::Array(Box::new(Shape::Text))).is_err());
    }
}
