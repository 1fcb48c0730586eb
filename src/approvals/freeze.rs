//! Freeze windows: times in which nothing may be changed.
//!
//! Pure. Owns the question whether a time lies in a window. Must not know what happens then.

use crate::{base::Timestamp, model::target::Policy};

/// Nothing may be changed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen<'a> {
    /// Why, for each window that covers the time, in the policy's order.
    pub reasons: Vec<&'a str>,
    /// When changes are possible again: windows that follow without a gap are counted in.
    pub until: Timestamp,
}

/// Is `now` inside of a freeze window of the policy? A window starts at `from` and is over at
/// `until`.
pub fn frozen(policy: &Policy, now: Timestamp) -> Option<Frozen<'_>> {
    let covers = |at: Timestamp| policy.freeze.iter().filter(move |w| w.from <= at && at < w.until);
    let mut until = covers(now).map(|w| w.until).max()?;
    // Each turn moves on to a later end, and there are finitely many.
    while let Some(later) = covers(until).map(|w| w.until).max() {
        until = later;
    }
    Some(Frozen { reasons: covers(now).map(|w| w.reason.as_str()).collect(), until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::Freeze;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn policy(windows: &[(&str, &str, &str)]) -> Policy {
        let freeze = windows
            .iter()
            .map(|(from, until, reason)| Freeze {
                from: at(from),
                until: at(until),
                reason: (*reason).to_owned(),
            })
            .collect();
        Policy { freeze, ..Policy::default() }
    }

    #[test]
    fn a_window_starts_at_from_and_is_over_at_until() {
        let p = policy(&[("2026-11-27T00:00:00-03:00", "2026-12-01T00:00:00-03:00", "sales")]);
        let end = at("2026-12-01T03:00:00Z");
        let inside = Some(Frozen { reasons: vec!["sales"], until: end });
        assert_eq!(frozen(&p, at("2026-11-27T02:59:59.999Z")), None);
        assert_eq!(frozen(&p, at("2026-11-27T03:00:00Z")), inside);
        assert_eq!(frozen(&p, at("2026-12-01T02:59:59.999Z")), inside);
        assert_eq!(frozen(&p, end), None);
        assert_eq!(frozen(&Policy::default(), end), None);
    }

    #[test]
    fn the_end_is_when_changes_are_really_possible() {
        let p = policy(&[
            ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "b"),
            ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "a"),
            ("2026-01-02T12:00:00Z", "2026-01-04T00:00:00Z", "c"),
            ("2026-01-09T00:00:00Z", "2026-01-05T00:00:00Z", "ends before it starts"),
        ]);
        let found = frozen(&p, at("2026-01-01T10:00:00Z")).unwrap();
        assert_eq!(found.reasons, ["a"]);
        assert_eq!(found.until, at("2026-01-04T00:00:00Z"));
        assert_eq!(frozen(&p, at("2026-01-02T13:00:00Z")).unwrap().reasons, ["b", "c"]);
        assert_eq!(frozen(&p, at("2026-01-06T00:00:00Z")), None);
    }
}
