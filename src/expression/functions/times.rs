//! Filters on times and spans of time. What time it is now, nothing here knows.
//!
//! Zones come from the database that is built in, never from the machine's files: an expression
//! means the same wherever it is read.

use std::{sync::LazyLock, time::Duration};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    fmt::strtime,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{Call, Entry, optional, required};
use crate::{
    base::{Value, time::parse_duration, value::Time},
    expression::wrong::{Wrong, cut},
};

const DAY: u64 = 86_400;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

pub(super) const ENTRIES: &[Entry] = &[
    Entry::filter(
        "time",
        "The time that a text (RFC 3339, or a date) or a number of seconds since 1970 stands for.",
        ("'2026-01-02T03:04:05-03:00' | time", "2026-01-02T06:04:05Z"),
        |call| time(call).map(Value::Time),
    ),
    Entry::filter(
        "date",
        "The date of a time; of an instant that in `zone` (UTC).",
        ("'2026-01-02T01:30:00Z' | date('America/Sao_Paulo')", "2026-01-01"),
        date,
    )
    .takes(&[optional("zone")]),
    Entry::filter(
        "plus",
        "The time later by a span such as `15m`, `1h 30m` or `2d`.",
        ("'2026-01-31' | date | plus('1d')", "2026-02-01"),
        |call| shifted(call, true),
    )
    .takes(&[required("span")]),
    Entry::filter(
        "minus",
        "The time earlier by a span such as `15m`, `1h 30m` or `2d`.",
        ("'2026-01-02T03:00:00Z' | time | minus('15m')", "2026-01-02T02:45:00Z"),
        |call| shifted(call, false),
    )
    .takes(&[required("span")]),
    Entry::filter(
        "in_zone",
        "The local date and time of an instant in a zone, such as `America/Sao_Paulo`.",
        ("'2026-01-02T03:04:05Z' | time | in_zone('America/Sao_Paulo')", "2026-01-02T00:04:05"),
        in_zone,
    )
    .takes(&[required("zone")]),
    Entry::filter(
        "format_time",
        "The time in a strftime format; of an instant that in `zone` (UTC).",
        (
            "'2026-01-02T03:04:05Z' | time | format_time('%d/%m/%Y %H:%M', 'America/Sao_Paulo')",
            "02/01/2026 00:04",
        ),
        format_time,
    )
    .takes(&[required("format"), optional("zone")]),
    Entry::filter(
        "seconds",
        "The seconds in a span such as `15m`, or of an instant since 1970.",
        ("'1h 30m' | seconds", "5400"),
        seconds,
    ),
];

fn time(call: &Call<'_>) -> Result<Time, Wrong> {
    match call.input {
        Value::Time(time) => Ok(time.clone()),
        Value::Text(text) => text.trim().parse().map_err(|_| {
            Wrong::types(format!("text `{}` is not a time", cut(text)))
                .help("times are written `2026-01-02T03:04:05Z` or `2026-01-02`")
        }),
        Value::Int(seconds) => i64::try_from(*seconds)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok())
            .map(Time::Instant)
            .ok_or_else(|| {
                Wrong::types(format!("{seconds} seconds since 1970 are beyond all calendars"))
                    .help("milliseconds become seconds with `// 1000`")
            }),
        other => Err(call.takes("text or a number of seconds", other)),
    }
}

fn given<'a>(call: &Call<'a>) -> Result<&'a Time, Wrong> {
    match call.input {
        Value::Time(time) => Ok(time),
        other => Err(call.takes("a time", other)),
    }
}

pub(super) fn zone(name: Option<&str>) -> Result<TimeZone, Wrong> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    ZONES.get(name).map_err(|_| {
        Wrong::types(format!("there is no time zone `{}`", cut(name)))
            .help("zones are named as in `America/Sao_Paulo`, `Europe/Berlin` or `UTC`")
    })
}

fn date(call: &Call<'_>) -> Result<Value, Wrong> {
    let day: Date = match time(call)? {
        Time::Instant(instant) => zone(call.text_argument(0)?)?.to_datetime(instant).date(),
        Time::DateTime(local) => local.date(),
        Time::Date(day) => day,
        Time::Clock(_) => return Err(Wrong::types("a time of day has no date")),
    };
    Ok(Value::Time(Time::Date(day)))
}

pub(super) fn span(text: &str) -> Result<Duration, Wrong> {
    parse_duration(text).map_err(Wrong::types)
}

fn shifted(call: &Call<'_>, forward: bool) -> Result<Value, Wrong> {
    let time = given(call)?;
    let span = span(call.needed_text(0)?)?;
    let beyond = || Wrong::types("the time would lie beyond all calendars");
    let signed = SignedDuration::try_from(span).map_err(|_| beyond())?;
    let signed = if forward { signed } else { -signed };
    let shifted = match time {
        Time::Instant(t) => t.checked_add(signed).map(Time::Instant),
        Time::DateTime(t) => t.checked_add(signed).map(Time::DateTime),
        Time::Clock(t) => t.checked_add(signed).map(Time::Clock),
        Time::Date(t) => {
            if span.as_secs() % DAY != 0 || span.subsec_nanos() != 0 {
                return Err(Wrong::types("a date moves by whole days")
                    .help("write a span such as `1d`, or take a time instead of a date"));
            }
            t.checked_add(signed).map(Time::Date)
        }
    };
    shifted.map(Value::Time).map_err(|_| beyond())
}

fn in_zone(call: &Call<'_>) -> Result<Value, Wrong> {
    let Time::Instant(instant) = given(call)? else {
        return Err(Wrong::types("a date or local time belongs to no instant, so to no zone"));
    };
    let local: DateTime = zone(Some(call.needed_text(0)?))?.to_datetime(*instant);
    Ok(Value::Time(Time::DateTime(local)))
}

fn format_time(call: &Call<'_>) -> Result<Value, Wrong> {
    let format = call.needed_text(0)?;
    let formatted = match given(call)? {
        Time::Instant(t) => strtime::format(format, &t.to_zoned(zone(call.text_argument(1)?)?)),
        Time::DateTime(t) => strtime::format(format, *t),
        Time::Date(t) => strtime::format(format, *t),
        Time::Clock(t) => strtime::format(format, *t),
    };
    let text = formatted.map_err(|_| {
        Wrong::types(format!("`{}` can't be filled from this time", cut(format)))
            .help("formats are strftime's, as in `%Y-%m-%d %H:%M:%S`; a date has no hours")
    })?;
    call.budget.build(text.len())?;
    Ok(Value::Text(text))
}

fn seconds(call: &Call<'_>) -> Result<Value, Wrong> {
    match call.input {
        Value::Text(text) => {
            let span = span(text)?;
            Ok(match span.subsec_nanos() {
                0 => Value::Int(span.as_secs().into()),
                _ => {
                    let nanos = i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
                    Value::Decimal(bigdecimal::BigDecimal::new(nanos.into(), 9).normalized())
                }
            })
        }
        Value::Time(Time::Instant(instant)) => Ok(Value::Int(instant.as_second().into())),
        other => Err(call.takes("a span of time as text", other)),
    }
}
