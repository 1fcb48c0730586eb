//! Times and spans of time. Arithmetic only: what time it is now, somebody else says.

use std::time::Duration;

/// An instant, to the nanosecond, in UTC.
pub type Timestamp = jiff::Timestamp;

/// Reads a span of time as people write it: `30s`, `5m`, `1h 30m`, `2d`.
///
/// A bare number is refused, since its unit would be a guess; so is a negative span.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{text}` has no unit; write `{text}s`, `{text}m` or `{text}h`"));
    }
    let span: jiff::Span = text.parse().map_err(|_| {
        format!("`{text}` is not a duration; write it like `30s`, `5m` or `1h 30m`")
    })?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let signed = span
        .to_duration(relative)
        .map_err(|_| format!("`{text}` has no fixed length; use weeks, days, hours or less"))?;
    Duration::try_from(signed).map_err(|_| format!("`{text}` is negative"))
}

/// A span as people write it, to the unit that matters: `340ms`, `12.3s`, `4m 05s`, `2h 10m`.
pub fn show_duration(span: Duration) -> String {
    let ms = span.as_millis();
    let s = span.as_secs();
    match s {
        0 => format!("{ms}ms"),
        1..60 => format!("{}.{}s", s, (ms % 1000) / 100),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `start + span`, kept at the far end of time when it would pass it.
pub fn after(start: Timestamp, span: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(span)
        .ok()
        .and_then(|span| start.checked_add(span).ok())
        .unwrap_or(Timestamp::MAX)
}

/// How long from `start` to `end`; zero when the clock went back.
pub fn between(start: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(start)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "5", "five", "-5m", "1mo"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_show_the_unit_that_matters() {
        for (ms, shown) in
            [(340, "340ms"), (12_340, "12.3s"), (245_000, "4m 05s"), (7_800_000, "2h 10m")]
        {
            assert_eq!(show_duration(Duration::from_millis(ms)), shown);
        }
    }

    #[test]
    fn time_does_not_run_backwards() {
        let t = Timestamp::from_second(100).unwrap();
        assert_eq!(between(t, Timestamp::from_second(90).unwrap()), Duration::ZERO);
        assert_eq!(after(t, Duration::MAX), Timestamp::MAX);
    }
}
