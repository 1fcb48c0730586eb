//! Words that every form of a report uses: statuses, times, numbers, people, values in brief.

use crate::{
    base::{Timestamp, Value, visible::escape_line},
    model::{
        diff_text::shown,
        event::{RunStatus, StepStatus},
        view::{RunView, StepView},
    },
};

/// Most characters of a value that is given in brief.
const BRIEF: usize = 60;
/// Most fields of a result that is given in brief.
const FIELDS: usize = 6;

/// A run's status in words.
pub(super) fn run_words(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Waiting => "waiting for a person",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::RolledBack => "rolled back",
        RunStatus::RollbackIncomplete => "rollback incomplete",
        RunStatus::InDoubt => "in doubt",
        RunStatus::Refused => "refused",
        RunStatus::Cancelled => "cancelled",
    }
}

/// A step's status in words.
pub(super) fn step_words(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "not begun",
        StepStatus::Running => "under way",
        StepStatus::Waiting => "waiting",
        StepStatus::Skipped => "skipped",
        StepStatus::Succeeded => "succeeded",
        StepStatus::Failed => "failed",
        StepStatus::RolledBack => "rolled back",
        StepStatus::RollbackFailed => "rollback failed",
        StepStatus::InDoubt => "in doubt",
    }
}

/// A time in UTC to the second, saying so.
pub(super) fn utc(at: Timestamp) -> String {
    format!("{} UTC", clock(at))
}

/// A time in UTC to the second.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `1 change`, `2 changes`.
pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., tail] => format!("{} {last} {tail}", head.join(", ")),
    }
}

/// How many people of which groups; not escaped.
pub(super) fn people(required: u32, from: &[String]) -> String {
    let people = if required == 1 { "1 person".into() } else { format!("{required} people") };
    match from {
        [] => format!("{people} known to the project"),
        groups => format!("{people} of {}", listed(groups, "or")),
    }
}

/// The step's title, and the item that it is for; empty when it says no more than its id. On one
/// line, escaped.
pub(super) fn title_of(step: &StepView) -> String {
    let plain = step.title == step.node.step.replace('_', " ");
    let title = if plain { String::new() } else { escape_line(&step.title) };
    match &step.item {
        None => title,
        Some(item) => {
            let item = match item {
                Value::Text(text) => cut(&escape_line(text), BRIEF),
                other => in_brief(other),
            };
            // A title such as `Reload app2` names its item already.
            if title.contains(&item) {
                title
            } else if title.is_empty() {
                item
            } else {
                format!("{title}: {item}")
            }
        }
    }
}

/// The operating system's word on the operator, where there is one; not escaped.
pub(super) fn login(view: &RunView) -> Option<String> {
    let operator = &view.operator;
    (!operator.login.is_empty()).then(|| format!("login {} on {}", operator.login, operator.host))
}

/// Value on one line, cut when it is long; a cut is seen.
pub(super) fn in_brief(value: &Value) -> String {
    match value {
        Value::List(items) if items.len() > 3 => count(items.len(), "item"),
        Value::Map(map) if map.len() > FIELDS => count(map.len(), "field"),
        value => cut(&shown(value), BRIEF),
    }
}

/// At most so many characters; a cut is seen.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut head: String = text.chars().take(most.saturating_sub(1)).collect();
    head.push('…');
    head
}

/// What a step gave, on one line: `n = 412`, `12 rows`, `status = 200`. Escaped. `None` when there
/// is nothing to say.
pub(super) fn result_in_brief(step: &StepView) -> Option<String> {
    if let Some(outputs) = &step.outputs {
        return fields(outputs.iter());
    }
    match step.result.as_ref()? {
        Value::Map(map) => match map.get("rows") {
            Some(Value::List(rows)) => match rows.as_slice() {
                [Value::Map(row)] => fields(row.iter()),
                rows => Some(count(rows.len(), "row")),
            },
            _ => fields(map.iter().filter(|(name, value)| says_something(name, value))),
        },
        Value::Null => None,
        other => Some(in_brief(other)),
    }
}

/// What is absent, empty or about the transport only makes a line longer.
fn says_something(name: &str, value: &Value) -> bool {
    let empty = match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    };
    let transport = match name {
        "headers" | "took_ms" => true,
        "dropped" => value.as_int() == Some(0),
        _ => false,
    };
    !empty && !transport
}

fn fields<'a>(all: impl Iterator<Item = (&'a String, &'a Value)>) -> Option<String> {
    let all: Vec<_> = all.collect();
    let more = all.len().saturating_sub(FIELDS);
    let mut parts: Vec<_> = all
        .into_iter()
        .take(FIELDS)
        .map(|(name, value)| format!("{} = {}", escape_line(name), in_brief(value)))
        .collect();
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_people_write_them() {
        let names =
            |n: usize| ["a", "b", "c"][..n].iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(listed(&names(1), "and"), "a");
        assert_eq!(listed(&names(2), "and"), "a and b");
        assert_eq!(listed(&names(3), "or"), "a, b or c");
        assert_eq!(people(1, &[]), "1 person known to the project");
        assert_eq!(people(2, &names(2)), "2 people of a or b");
    }

    #[test]
    fn long_values_are_cut_where_it_is_seen() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöüß", 4), "äöüß");
        assert_eq!(in_brief(&Value::List(vec![Value::Null; 9])), "9 items");
    }
}
