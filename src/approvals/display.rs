//! The text that an approver is shown, and that becomes part of what they sign.
//!
//! Pure. Owns the order and the words: first what will happen, then how it would be undone, then
//! who asks and why. Must not know how a request is made or kept. Nothing is left out or cut short,
//! and what came from outside is escaped and set off by `| `, so that it can't pose as a heading.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::{
    base::{
        Value, time,
        visible::{escape, escape_line},
    },
    model::{Diff, approval::DisplayParts, diff::Difference},
};

/// Time after which a line-by-line comparison may be coarser than the best one.
const DIFF_TIME: Duration = Duration::from_secs(1);

/// The text, ending with a line break.
pub fn display(parts: &DisplayParts<'_>) -> String {
    let mut out = String::new();
    change(&mut out, parts);
    heading(&mut out, "To undo it");
    match parts.rollback.trim().is_empty() {
        true => out.push_str("  nobody said how\n"),
        false => quote(&mut out, parts.rollback),
    }
    reason(&mut out, parts);
    heading(&mut out, "So far in this run");
    match parts.so_far.is_empty() {
        true => out.push_str("  nothing\n"),
        false => parts.so_far.iter().for_each(|line| quote(&mut out, line)),
    }
    needed(&mut out, parts);
    out
}

fn change(out: &mut String, parts: &DisplayParts<'_>) {
    out.push_str("Change\n");
    field(out, "where", parts.environment);
    field(out, "target", parts.target);
    field(out, "step", &named(&parts.node.to_string(), parts.step_name));
    if parts.attempt > 1 {
        field(out, "attempt", &parts.attempt.to_string());
    }
    field(out, "action", parts.action);
    if let Some(rows) = parts.rows {
        field(out, "rows", &rows.to_string());
    }
    heading(out, "What will be sent");
    quote(out, parts.statement);
    heading(out, "What will differ");
    match parts.difference {
        None => out.push_str("  not known before it runs\n"),
        Some(diff) if diff.is_empty() => out.push_str("  nothing\n"),
        Some(Diff(places)) => places.iter().for_each(|place| difference(out, place)),
    }
}

fn reason(out: &mut String, parts: &DisplayParts<'_>) {
    heading(out, "Why");
    field(out, "asked by", parts.operator);
    field(out, "runbook", &named(parts.runbook, parts.runbook_name));
    field(out, "digest", parts.runbook_digest.short());
    field(out, "run", &parts.run.0);
    if !parts.description.trim().is_empty() {
        quote(out, parts.description);
    }
}

fn needed(out: &mut String, parts: &DisplayParts<'_>) {
    heading(out, "Needed");
    let people =
        if parts.required == 1 { "1 person".into() } else { format!("{} people", parts.required) };
    let groups = match parts.from.is_empty() {
        true => "known to the project".to_owned(),
        false => format!("of {}", parts.from.join(", ")),
    };
    field(out, "approvals", &format!("{people} {groups}, not {}", parts.operator));
    field(out, "asked at", &parts.asked_at.to_string());
    let span = time::show_duration(time::between(parts.asked_at, parts.expires_at));
    field(out, "expires", &format!("{} ({span} later)", parts.expires_at));
}

fn named(id: &str, name: &str) -> String {
    if name.is_empty() || name == id { id.to_owned() } else { format!("{id} ({name})") }
}

fn heading(out: &mut String, words: &str) {
    out.push('\n');
    out.push_str(words);
    out.push('\n');
}

/// A name and its value on one line.
fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("  {name:<10} {}\n", escape_line(value)));
}

/// Text from outside, each line set off.
fn quote(out: &mut String, text: &str) {
    marked(out, "  | ", text);
}

fn marked(out: &mut String, mark: &str, text: &str) {
    let text = escape(text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    for line in text.split('\n') {
        // Blanks at the end of a line belong to what is shown; those of an empty one are ours.
        let mark = if line.is_empty() { mark.trim_end() } else { mark };
        out.push_str(&format!("{mark}{line}\n"));
    }
}

/// One place: what was there with `-`, what will be there with `+`. Texts of several lines are
/// compared line by line, all their lines shown.
fn difference(out: &mut String, place: &Difference) {
    let path = if place.path.is_empty() { "value" } else { &place.path };
    out.push_str(&format!("  {}\n", escape_line(path)));
    if let (Some(Value::Text(before)), Some(Value::Text(after))) = (&place.before, &place.after)
        && (before.contains('\n') || after.contains('\n'))
    {
        return lines(out, before, after);
    }
    let mut side = |mark: &str, value: &Option<Value>| match value {
        Some(value) => marked(out, &format!("    {mark} "), &shown(value)),
        None => marked(out, &format!("    {mark} "), "(nothing)"),
    };
    side("-", &place.before);
    side("+", &place.after);
}

fn lines(out: &mut String, before: &str, after: &str) {
    // The deadline bounds texts that have next to nothing in common; what is shown stays whole.
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(before, after);
    for change in diff.iter_all_changes() {
        let mark = match change.tag() {
            ChangeTag::Delete => "-",
            ChangeTag::Insert => "+",
            ChangeTag::Equal => " ",
        };
        let line = change.value();
        // Blanks at a line's end may be all that differs.
        let text = escape(line.strip_suffix('\n').unwrap_or(line));
        let blanks = text.len() - text.trim_end_matches(' ').len();
        out.push_str(&format!("    {mark} {text}"));
        if blanks > 0 && change.tag() != ChangeTag::Equal {
            out.push_str(&format!("  (ends with {blanks} blanks)"));
        }
        out.push('\n');
        if !line.ends_with(['\n', '\r']) {
            out.push_str("      (no line break at the end)\n");
        }
    }
}

/// A value so that text, number and nothing can be told apart: text stands in quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{}\"", escape_line(text)),
        Value::Null => "null".to_owned(),
        Value::Map(map) => map
            .iter()
            .map(|(name, value)| format!("{}: {}", escape_line(name), shown(value)))
            .collect::<Vec<_>>()
            .join("\n"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| shown(item).replace('\n', ", ")).collect();
            format!("[{}]", items.join("; "))
        }
        other => escape_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Digest, NodeId, RunId};

    fn parts<'a>(
        node: &'a NodeId,
        run: &'a RunId,
        digest: &'a Digest,
        diff: &'a Diff,
        so_far: &'a [String],
        from: &'a [String],
    ) -> DisplayParts<'a> {
        DisplayParts {
            environment: "production",
            node,
            step_name: "Raise the limit",
            attempt: 1,
            target: "mysql 10.11 settings at db1:3306",
            action: "sql.update",
            statement: "UPDATE settings SET value = 5\nWHERE service = 'capture'",
            rows: Some(1),
            difference: Some(diff),
            rollback: "UPDATE settings SET value = 3 WHERE service = 'capture' AND value = 5",
            operator: "ana@example.com",
            run,
            runbook: "runbooks/raise-limit.yaml",
            runbook_digest: digest,
            runbook_name: "Raise the capture retry limit",
            description: "Use when captures time out at the acquirer.",
            so_far,
            required: 2,
            from,
            asked_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            expires_at: "2026-03-01T12:30:00Z".parse().unwrap(),
        }
    }

    /// The text of the example with something changed.
    fn text(change: impl FnOnce(&mut DisplayParts<'_>)) -> String {
        let node = NodeId::new("limit");
        let run = RunId("0198f9a2-1111-7000-8000-000000000001".into());
        let digest = Digest::of(b"runbook");
        let diff = Diff(vec![place("rows[id=7].value", Some(3.into()), Some(5.into()))]);
        let so_far = ["stuck: succeeded, 412 captures".to_owned()];
        let from = ["leads".to_owned(), "sre".to_owned()];
        let mut parts = parts(&node, &run, &digest, &diff, &so_far, &from);
        change(&mut parts);
        display(&parts)
    }

    fn place(path: &str, before: Option<Value>, after: Option<Value>) -> Difference {
        Difference { path: path.to_owned(), before, after }
    }

    fn of(difference: Difference) -> String {
        of_diff(&Diff(vec![difference]))
    }

    fn of_diff(diff: &Diff) -> String {
        let node = NodeId::new("limit");
        let (run, digest) = (RunId("r".into()), Digest::of(b""));
        let text = display(&parts(&node, &run, &digest, diff, &[], &[]));
        let from = text.find("What will differ\n").unwrap() + 17;
        text[from..text.find("\nTo undo it").unwrap()].to_owned()
    }

    #[test]
    fn the_change_comes_first() {
        let expected = "\
Change
  where      production
  target     mysql 10.11 settings at db1:3306
  step       limit (Raise the limit)
  action     sql.update
  rows       1

What will be sent
  | UPDATE settings SET value = 5
  | WHERE service = 'capture'

What will differ
  rows[id=7].value
    - 3
    + 5

To undo it
  | UPDATE settings SET value = 3 WHERE service = 'capture' AND value = 5

Why
  asked by   ana@example.com
  runbook    runbooks/raise-limit.yaml (Raise the capture retry limit)
  digest     DIGEST
  run        0198f9a2-1111-7000-8000-000000000001
  | Use when captures time out at the acquirer.

So far in this run
  | stuck: succeeded, 412 captures

Needed
  approvals  2 people of leads, sre, not ana@example.com
  asked at   2026-03-01T12:00:00Z
  expires    2026-03-01T12:30:00Z (30m 00s later)
";
        let expected = expected.replace("DIGEST", Digest::of(b"runbook").short());
        let text = text(|_| {});
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn values_of_different_kinds_look_different() {
        let both = |a, b| of(place("p", a, b));
        assert_eq!(both(Some("3".into()), Some(3.into())), "  p\n    - \"3\"\n    + 3\n");
        assert_eq!(
            both(Some(Value::Null), Some("null".into())),
            "  p\n    - null\n    + \"null\"\n"
        );
        assert_eq!(both(None, Some("".into())), "  p\n    - (nothing)\n    + \"\"\n");
        let decimal = Value::Decimal("1.50".parse().unwrap());
        assert_eq!(both(Some(decimal), None), "  p\n    - 1.50\n    + (nothing)\n");
        let row = Value::map([("id", 7.into()), ("name", "x\ny".into())]);
        assert_eq!(
            both(None, Some(row)),
            "  p\n    - (nothing)\n    + id: 7\n    + name: \"x\\ny\"\n"
        );
    }

    #[test]
    fn texts_are_compared_line_by_line_and_whole() {
        let before: String = (0..50).map(|n| format!("line {n}\n")).collect();
        let after = before.replace("line 7\n", "line seven \n");
        let text = of(place("text", Some(before.into()), Some(after.trim_end().into())));
        assert!(text.contains("    - line 7\n    + line seven   (ends with 1 blanks)\n"), "{text}");
        assert!(text.contains("      line 0\n") && text.contains("      line 48\n"), "{text}");
        assert!(
            text.ends_with("    - line 49\n    + line 49\n      (no line break at the end)\n"),
            "{text}"
        );
    }

    #[test]
    fn nothing_from_outside_poses_as_ours() {
        let evil = "x\n\nTo undo it\n  | nothing\u{1b}[2K\rNeeded\u{202e}";
        let text = text(|p| {
            p.statement = evil;
            p.rollback = evil;
            p.description = evil;
            p.target = evil;
            p.step_name = evil;
            p.operator = evil;
            p.runbook_name = evil;
            p.environment = evil;
        });
        assert_eq!(text.lines().filter(|line| *line == "To undo it").count(), 1);
        assert_eq!(text.lines().filter(|line| line.starts_with("Needed")).count(), 1);
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']));
        assert!(text.contains("\\u{1b}[2K\\rNeeded\\u{202e}"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_said() {
        let unknown = text(|p| {
            p.difference = None;
            p.rollback = "";
            p.so_far = &[];
            p.from = &[];
            p.required = 1;
            p.attempt = 2;
        });
        assert!(unknown.contains("What will differ\n  not known before it runs\n"), "{unknown}");
        assert!(unknown.contains("To undo it\n  nobody said how\n"), "{unknown}");
        assert!(unknown.contains("So far in this run\n  nothing\n"), "{unknown}");
        assert!(unknown.contains("1 person known to the project, not ana@"), "{unknown}");
        assert!(unknown.contains("  attempt    2\n"), "{unknown}");
        let same = of_diff(&Diff::default());
        assert_eq!(same, "  nothing\n");
    }

    #[test]
    fn long_values_are_whole() {
        let long = "x".repeat(100_000);
        assert!(of(place("p", None, Some(long.clone().into()))).contains(&long));
    }
}
