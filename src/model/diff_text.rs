//! A difference in words: lines that are marked as before, after or the same.
//!
//! Owns how a difference reads, so that an approver, a terminal and a report show it alike. Pure;
//! must not know colours, widths, Markdown or who is looking. Every line is one line and escaped.

use std::time::Duration;

use similar::{ChangeTag, DiffOp, TextDiff, udiff::UnifiedHunkHeader};

use super::diff::{Diff, Difference};
use crate::base::{
    Value,
    visible::{escape, escape_line},
};

/// Time after which a line-by-line comparison may be coarser than the best one.
const DEADLINE: Duration = Duration::from_secs(1);

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Names the place that the lines after it are about.
    Place,
    /// It is there before and after.
    Same,
    /// It was there.
    Before,
    /// It is there afterwards.
    After,
    /// Lines that are the same were left out here; the text is a hunk's head (`@@ -1,3 +1,4 @@`).
    Gap,
    /// A remark about the line above.
    Remark,
}

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub mark: Mark,
    /// The text without its mark, escaped; may be empty.
    pub text: String,
}

/// The whole difference. Fields of one row stand together under its key. Texts of several lines
/// are compared line by line; `context` is how many equal lines are shown around what differs,
/// `None` shows them all.
pub fn lines(diff: &Diff, context: Option<usize>) -> Vec<Line> {
    let mut out = Lines { lines: Vec::new(), context };
    let mut group = None;
    for place in &diff.0 {
        let (row, field) = split(&place.path);
        if is_text_block(place) {
            out.push(Mark::Place, shown_path(&place.path));
            out.texts(place);
            group = None;
            continue;
        }
        if group != Some(row) || field.is_none() {
            out.push(Mark::Place, shown_path(row));
            group = Some(row);
        }
        out.side(Mark::Before, field, place.before.as_ref());
        out.side(Mark::After, field, place.after.as_ref());
    }
    out.lines
}

/// The row and the field of a path such as `rows[id=7].status`; no field where it names none.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.rfind("].") {
        Some(at) => (&path[..=at], Some(&path[at + 2..])),
        None => (path, None),
    }
}

fn shown_path(path: &str) -> String {
    if path.is_empty() { "value".to_owned() } else { escape_line(path) }
}

fn is_text_block(place: &Difference) -> bool {
    [&place.before, &place.after]
        .into_iter()
        .any(|side| matches!(side, Some(Value::Text(text)) if text.contains('\n')))
}

struct Lines {
    lines: Vec<Line>,
    context: Option<usize>,
}

impl Lines {
    fn push(&mut self, mark: Mark, text: impl Into<String>) {
        self.lines.push(Line { mark, text: text.into() });
    }

    /// One side on its own; what is not there is told apart from NULL.
    fn side(&mut self, mark: Mark, field: Option<&str>, value: Option<&Value>) {
        let text = match (value, field) {
            (None, _) => "(nothing)".to_owned(),
            // A whole row, a field a line.
            (Some(Value::Map(map)), None) if !map.is_empty() => {
                for (name, value) in map {
                    self.push(mark, format!("{}: {}", escape_line(name), shown(value)));
                }
                return;
            }
            (Some(value), _) => shown(value),
        };
        match field {
            Some(field) => self.push(mark, format!("{}: {text}", escape_line(field))),
            None => self.push(mark, text),
        }
    }

    fn texts(&mut self, place: &Difference) {
        if let (Some(Value::Text(before)), Some(Value::Text(after))) = (&place.before, &place.after)
        {
            return self.compare(before, after);
        }
        for (mark, side) in [(Mark::Before, &place.before), (Mark::After, &place.after)] {
            match side {
                Some(Value::Text(text)) => {
                    let text = escape(text);
                    let text = text.strip_suffix('\n').unwrap_or(&text);
                    text.split('\n').for_each(|line| self.push(mark, line));
                }
                other => self.side(mark, None, other.as_ref()),
            }
        }
    }

    fn compare(&mut self, before: &str, after: &str) {
        // The deadline bounds texts that have next to nothing in common; what is shown stays whole.
        let diff = TextDiff::configure().timeout(DEADLINE).diff_lines(before, after);
        let ends_differ = ends_with_break(before) != ends_with_break(after);
        let groups = match self.context {
            Some(context) => diff.grouped_ops(context),
            None => vec![diff.ops().to_vec()],
        };
        let whole: usize = diff.ops().iter().map(lines_of).sum();
        let cut = groups.iter().flatten().map(lines_of).sum::<usize>() < whole;
        for ops in groups.iter().filter(|ops| !ops.is_empty()) {
            if cut {
                self.push(Mark::Gap, UnifiedHunkHeader::new(ops).to_string());
            }
            for change in ops.iter().flat_map(|op| diff.iter_changes(op)) {
                self.changed_line(change.tag(), change.value(), ends_differ);
            }
        }
    }

    fn changed_line(&mut self, tag: ChangeTag, line: &str, ends_differ: bool) {
        let mark = match tag {
            ChangeTag::Delete => Mark::Before,
            ChangeTag::Insert => Mark::After,
            ChangeTag::Equal => Mark::Same,
        };
        let mut text = escape(line.strip_suffix('\n').unwrap_or(line));
        // Blanks at a line's end may be all that differs.
        let blanks = text.len() - text.trim_end_matches(' ').len();
        if blanks > 0 && mark != Mark::Same {
            text.push_str(&format!("  (ends with {blanks} blanks)"));
        }
        self.push(mark, text);
        if ends_differ && !ends_with_break(line) {
            self.push(Mark::Remark, "(no line break at the end)");
        }
    }
}

fn lines_of(op: &DiffOp) -> usize {
    op.old_range().len() + op.new_range().len()
}

fn ends_with_break(text: &str) -> bool {
    text.ends_with(['\n', '\r'])
}

/// A value on one line, so that text, number and nothing can be told apart: text stands in quotes,
/// decimals have all their digits.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{}\"", escape_line(text)),
        Value::Null => "null".to_owned(),
        Value::Bytes(_) => format!("bytes {value}"),
        Value::Map(map) => {
            let fields: Vec<_> = map
                .iter()
                .map(|(name, value)| format!("{}: {}", escape_line(name), inner(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(inner).collect();
            format!("[{}]", items.join(", "))
        }
        other => escape_line(&other.to_string()),
    }
}

/// A value inside of another: a quote in a text must not look like its end.
fn inner(value: &Value) -> String {
    match value {
        Value::Text(text) => {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", escape_line(&text))
        }
        other => shown(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, before: Option<Value>, after: Option<Value>) -> Difference {
        Difference { path: path.to_owned(), before, after }
    }

    /// The difference as one text, with plain marks.
    fn text(places: Vec<Difference>, context: Option<usize>) -> String {
        let mark = |mark| match mark {
            Mark::Place => "",
            Mark::Same => "  ",
            Mark::Before => "- ",
            Mark::After => "+ ",
            Mark::Gap | Mark::Remark => "~ ",
        };
        let lines: Vec<_> = lines(&Diff(places), context)
            .iter()
            .map(|line| format!("{}{}", mark(line.mark), line.text))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn fields_of_a_row_stand_under_its_key() {
        let shown = text(
            vec![
                place("rows[id=7].value", Some(3.into()), Some(5.into())),
                place("rows[id=7].by", None, Some("ana".into())),
                place("rows[id=9].value", Some(Value::Null), Some(5.into())),
                place("count", Some(1.into()), Some(2.into())),
            ],
            None,
        );
        let expected = "\
rows[id=7]
- value: 3
+ value: 5
- by: (nothing)
+ by: \"ana\"
rows[id=9]
- value: null
+ value: 5
count
- 1
+ 2";
        assert_eq!(shown, expected);
    }

    #[test]
    fn whole_rows_have_a_field_a_line() {
        let row = Value::map([
            ("id", Value::from(2)),
            ("amount", Value::Decimal("10.50".parse().unwrap())),
            ("tags", Value::List(vec!["a\", \"b".into(), Value::Bytes(vec![1])])),
        ]);
        assert_eq!(
            text(vec![place("rows[id=2]", Some(row), None)], None),
            "rows[id=2]\n- id: 2\n- amount: 10.50\n\
             - tags: [\"a\\\", \\\"b\", bytes AQ==]\n+ (nothing)"
        );
    }

    #[test]
    fn decimals_have_all_their_digits() {
        let huge = Value::Decimal("12345678901234567890.123456789012345678".parse().unwrap());
        assert_eq!(shown(&huge), "12345678901234567890.123456789012345678");
        assert_eq!(shown(&Value::Decimal("0.00000001".parse().unwrap())), "0.00000001");
    }

    #[test]
    fn long_texts_show_what_is_around_the_change() {
        let before: String = (0..50).map(|n| format!("line {n}\n")).collect();
        let after = before.replace("line 20\n", "line twenty\n");
        let shown = text(vec![place("text", Some(before.into()), Some(after.into()))], Some(1));
        assert_eq!(
            shown,
            "text\n~ @@ -20,3 +20,3 @@\n  line 19\n- line 20\n+ line twenty\n  line 21"
        );
    }

    #[test]
    fn short_texts_have_no_hunks() {
        let shown =
            text(vec![place("stdout", Some("max=3\n".into()), Some("max=5 ".into()))], Some(3));
        assert_eq!(
            shown,
            "stdout\n- max=3\n+ max=5   (ends with 1 blanks)\n~ (no line break at the end)"
        );
    }

    #[test]
    fn a_new_text_shows_its_lines() {
        assert_eq!(
            text(vec![place("file", None, Some("a\nb\n".into()))], Some(3)),
            "file\n- (nothing)\n+ a\n+ b"
        );
    }

    #[test]
    fn nothing_acts_or_adds_lines() {
        let evil = "x\u{1b}[2K\r\u{202e}\u{2028}";
        let lines = lines(
            &Diff(vec![
                place(evil, Some(evil.into()), Some(format!("{evil}\nb").into())),
                place(&format!("rows[a].{evil}"), None, Some(Value::map([(evil, evil.into())]))),
                place("", None, Some(Value::List(vec![evil.into()]))),
            ]),
            None,
        );
        assert!(lines.len() >= 7);
        for line in lines {
            assert!(!line.text.chars().any(crate::base::visible::acts_or_hides), "{line:?}");
        }
    }
}
