//! A template being filled in: loops, choices, and each value escaped for where it goes.
//!
//! Owns the text while it is put together. Must not know how templates are parsed.

use std::{borrow::Cow, ops::Range};

use super::{
    Absent, Escape, Failure, Node, Scope, Written,
    evaluate::Evaluation,
    rendering::{Piece, percent, shell_words},
    template::{Loop, Part, ends_in},
    wrong::{Wrong, described},
};
use crate::{
    base::{Place, Value, markdown},
    diagnostics::codes,
};

/// Names bound by a loop, in front of those outside.
struct Locals<'a> {
    outside: &'a dyn Scope,
    names: Vec<(&'a str, Value)>,
}

impl Scope for Locals<'_> {
    fn lookup(&self, path: &[&str]) -> Result<(Cow<'_, Value>, usize), Absent> {
        match self.names.iter().find(|(name, _)| path.first() == Some(name)) {
            Some((_, value)) => Ok((Cow::Borrowed(value), 1)),
            None => self.outside.lookup(path),
        }
    }
}

/// The text that is being put together.
pub(super) struct Output {
    built: Piece,
    escape: Escape,
    /// Where in it values stand, with their places in the file.
    values: Vec<(Range<usize>, Place)>,
}

impl Output {
    /// An empty text.
    pub(super) fn new(escape: Escape) -> Self {
        Self { built: Piece::default(), escape, values: Vec::new() }
    }

    /// Adds the parts of a template.
    pub(super) fn parts(
        &mut self,
        parts: &[Part],
        evaluation: Evaluation<'_>,
    ) -> Result<(), Failure> {
        for part in parts {
            match part {
                Part::Text(text) => {
                    let paid = evaluation.budget.build(text.len());
                    paid.map_err(|wrong| nowhere(&evaluation, wrong))?;
                    self.built.push_str(text);
                }
                Part::Emit(node) => self.emit(node, evaluation)?,
                Part::If(test, yes, no) => {
                    let truth = evaluation.value(test)?.is_true();
                    self.parts(if truth { yes } else { no }, evaluation)?;
                }
                Part::For(each) => self.each(each, evaluation)?,
            }
        }
        Ok(())
    }

    fn emit(&mut self, node: &Node, evaluation: Evaluation<'_>) -> Result<(), Failure> {
        let value = evaluation.value(node)?;
        let piece = match self.escape {
            _ if ends_in(node, "raw") => Piece::of(&value),
            Escape::None => Piece::of(&value),
            Escape::Shell => {
                let last = self.built.clear().chars().next_back();
                let glued = last.is_some_and(|c| c.is_alphanumeric() || "_}$".contains(c));
                shell_words(&value, glued)
            }
            Escape::Percent => percent(&value),
            Escape::Markdown => Piece::of(&value).map(|piece| piece.mapped(markdown::escaped)),
            Escape::Sql => match &*value {
                Value::Text(_) => Piece::of(&value),
                other => Err(Wrong::types(format!("{} is not an identifier", described(other)))),
            },
        };
        let piece = evaluation.placed(node, piece)?;
        evaluation.placed(node, evaluation.budget.build(piece.len()))?;
        let start = self.built.len();
        self.built.push(&piece);
        self.values.push((start..self.built.len(), evaluation.written.at(node.whole())));
        Ok(())
    }

    fn each(&mut self, each: &Loop, evaluation: Evaluation<'_>) -> Result<(), Failure> {
        let found = evaluation.value(&each.items)?;
        let all: Cow<'_, [Value]> = match &*found {
            Value::List(items) => Cow::Borrowed(items),
            Value::Map(map) => Cow::Owned(map.keys().map(Value::text).collect()),
            other => {
                let wrong =
                    Wrong::types(format!("`for` goes over a list, not {}", described(other)));
                return Err(evaluation.failure(
                    &each.items,
                    wrong.help("text becomes a list with `| lines` or `| split(',')`"),
                ));
            }
        };
        let mut picked = Vec::with_capacity(all.len());
        for item in all.iter() {
            evaluation.placed(&each.items, evaluation.budget.step(1))?;
            let names = evaluation.placed(&each.items, bound(each, item))?;
            if let Some(filter) = &each.filter {
                let locals = Locals { outside: evaluation.scope, names: names.clone() };
                let inside = Evaluation { scope: &locals, ..evaluation };
                if !inside.value(filter)?.is_true() {
                    continue;
                }
            }
            picked.push(names);
        }
        if picked.is_empty() {
            return self.parts(&each.otherwise, evaluation);
        }
        let length = picked.len();
        for (index, mut names) in picked.into_iter().enumerate() {
            names.push(("loop", position(index, length)));
            let locals = Locals { outside: evaluation.scope, names };
            self.parts(&each.body, Evaluation { scope: &locals, ..evaluation })?;
        }
        Ok(())
    }

    /// The text: a secret, when one went into it.
    pub(super) fn finish(self, written: &Written) -> Result<Value, Failure> {
        if self.escape == Escape::Percent
            && let Some((_, place)) = climbing(self.built.clear(), &self.values)
        {
            return Err(Failure {
                code: codes::RW0304,
                message: "a value makes a part of the path `.` or `..`, which leads elsewhere"
                    .to_owned(),
                place: place.clone(),
                help: Some("check the value before: `when: value is matching('^[0-9]+$')`".into()),
                not_yet_known: false,
            });
        }
        if self.escape == Escape::Shell && self.built.clear().contains('\0') {
            return Err(Failure {
                code: codes::RW0304,
                message: "a NUL character can't be part of a command".to_owned(),
                place: written.place.clone(),
                help: None,
                not_yet_known: false,
            });
        }
        Ok(self.built.into_value())
    }
}

fn nowhere(evaluation: &Evaluation<'_>, wrong: Wrong) -> Failure {
    Failure {
        code: wrong.code,
        message: wrong.message,
        place: evaluation.written.place.clone(),
        help: wrong.help,
        not_yet_known: false,
    }
}

/// A value that has a part in a segment `.` or `..` of a URL's path: those are taken away with
/// what stands before them (RFC 3986, section 5.2.4), whatever the author wrote there.
fn climbing<'a>(
    url: &str,
    values: &'a [(Range<usize>, Place)],
) -> Option<&'a (Range<usize>, Place)> {
    let path = url.find(['?', '#']).map_or(url, |end| &url[..end]);
    let mut start = 0;
    for segment in path.split('/') {
        let range = start..start + segment.len();
        start = range.end + 1;
        if matches!(segment, "." | "..") {
            let within = |(value, _): &&(Range<usize>, Place)| {
                value.start < range.end && range.start < value.end
            };
            if let Some(value) = values.iter().find(within) {
                return Some(value);
            }
        }
    }
    None
}

/// The names that a loop binds for one item.
fn bound<'a>(each: &'a Loop, item: &Value) -> Result<Vec<(&'a str, Value)>, Wrong> {
    if !each.unpacks {
        let name = each.names.first().map_or("", String::as_str);
        return Ok(vec![(name, item.clone())]);
    }
    match item {
        Value::List(parts) if parts.len() == each.names.len() => {
            Ok(each.names.iter().map(String::as_str).zip(parts.iter().cloned()).collect())
        }
        other => Err(Wrong::types(format!(
            "`for` takes each item apart into {} names, but one is {}",
            each.names.len(),
            described(other)
        ))
        .help("the pairs of a map are `map | items`")),
    }
}

/// What `loop` is in the body.
fn position(index: usize, length: usize) -> Value {
    let number = |n: usize| Value::Int(i128::try_from(n).unwrap_or(i128::MAX));
    Value::map([
        ("index", number(index + 1)),
        ("index0", number(index)),
        ("first", Value::Bool(index == 0)),
        ("last", Value::Bool(index + 1 == length)),
        ("length", number(length)),
    ])
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{CLEAR, rendered, text, written},
        *,
    };
    use crate::expression::Template;

    #[test]
    fn texts_are_filled_in() {
        for (template, expected) in [
            ("plain { text } 50%", "plain { text } 50%"),
            ("", ""),
            ("limit is {{ limit }}.", "limit is 5."),
            ("{{ limit }}\n", "5\n"),
            ("{{ row.amount }} / {{ row.note }}", "1.50 / null"),
            (" {{ hosts }}", r#" ["app1","app 2"]"#),
            ("{# a comment #}x", "x"),
            ("{% raw %}{{ limit }}{% endraw %}", "{{ limit }}"),
            ("a  {{- limit -}}  b", "a5b"),
            ("{% if limit > 3 %}many{% elif limit %}some{% else %}none{% endif %}", "many"),
            ("{% if limit > 9 %}many{% elif limit %}some{% else %}none{% endif %}", "some"),
            (
                "{% for h in hosts %}{{ loop.index }}/{{ loop.length }}:{{ h }};{% endfor %}",
                "1/2:app1;2/2:app 2;",
            ),
            (
                "{% for h in hosts %}{{ h }}{% if not loop.last %}, {% endif %}{% endfor %}",
                "app1, app 2",
            ),
            ("{% for r in rows if r.n > 1 %}{{ loop.index0 }}{{ r.n }} {% endfor %}", "02 13 "),
            ("{% for x in empty %}{{ x }}{% else %}none{% endfor %}", "none"),
            ("{% for k, v in {'a': 1} | items %}{{ k }}={{ v }}{% endfor %}", "a=1"),
            ("{% for k in {'a': 1} %}{{ k }}{% endfor %}", "a"),
            (
                "{% for a in [[1], [2]] %}{% for b in a %}{{ a }}{{ b }}{{ loop.first }} \
                 {% endfor %}{% endfor %}",
                "[1]1true [2]2true ",
            ),
            (
                "list:\n{% for h in hosts %}\n  - {{ h }}\n{% endfor %}\nend\n",
                "list:\n  - app1\n  - app 2\nend\n",
            ),
            ("{% for limit in [1] %}{{ limit }}{% endfor %}{{ limit }}", "15"),
        ] {
            assert_eq!(text(template, Escape::None), expected, "{template}");
        }
    }

    #[test]
    fn data_is_never_a_template() {
        let data = "{{ 7*7 }} {% if x %}; rm -rf $(id) `id` '\"";
        assert_eq!(text("{{ hostile }}", Escape::None), data);
        assert_eq!(text("a {{ hostile }} b", Escape::None), format!("a {data} b"));
        assert_eq!(text("{{ '{{ limit }}' }} x", Escape::None), "{{ limit }} x");
        assert_eq!(
            text("{{ hostile | replace('7*7', 'limit') }}!", Escape::None).matches("{{").count(),
            1
        );
        let command = text("echo {{ hostile }}", Escape::Shell);
        assert_eq!(shlex::split(&command), Some(vec!["echo".to_owned(), data.to_owned()]));
        assert!(!text("{{ hostile }}", Escape::Percent).contains(['{', ' ', '/', '\'']));
    }

    #[test]
    fn in_a_command_each_value_is_a_word() {
        for (template, expected) in [
            ("set {{ limit }}", "set 5"),
            ("cd {{ name }} && ls", "cd 'capture workers' && ls"),
            ("ping {{ hosts }}", "ping app1 'app 2'"),
            ("x --name={{ name }}", "x --name='capture workers'"),
            ("echo {{ '' }}", "echo ''"),
            ("echo $HOME{{ 'x' }}", "echo $HOME'x'"),
            ("echo {{ empty }}.", "echo ."),
            (
                "echo {{ row | json }}x",
                "echo '{\"n\":7,\"status\":\"ok\",\"amount\":\"1.50\",\"note\":null}'x",
            ),
            ("echo {{ '*.log' | raw }}", "echo *.log"),
            ("echo '{{ name | raw }}'", "echo 'capture workers'"),
            ("echo {{ row.note }}", "RW0304: the value is null"),
            ("echo {{ bytes }}", "RW0304: 2 bytes are not text"),
            ("echo {{ 'a\0b' }}", "RW0304: a NUL character can't be part of a command"),
            ("echo '{{ name }}'", "RW0305: a value stands inside single quotes"),
        ] {
            assert_eq!(text(template, Escape::Shell), expected, "{template}");
        }
        let value = rendered("login {{ token }}", Escape::Shell).unwrap();
        assert_eq!(value.to_string(), "login ‹secret token@v1›");
        let Value::Secret(secret) = value else { panic!("not a secret") };
        assert_eq!(secret.expose(), format!("login {CLEAR}"));
    }

    #[test]
    fn urls_are_encoded_and_do_not_climb() {
        for (template, expected) in [
            ("/limits/{{ name }}?q={{ 'a&b' }}", "/limits/capture%20workers?q=a%26b"),
            ("/a/{{ '../b' }}/c", "/a/..%2Fb/c"),
            ("/a?at={{ at }}", "/a?at=2026-01-02T03%3A04%3A05Z"),
            ("/a?up={{ '..' }}", "/a?up=.."),
            ("/a/..{{ '' }}/b", "/a/../b"),
            ("{{ '/a/b' | raw }}", "/a/b"),
            ("/a/{{ hosts }}", "RW0304: a list of 2 can't stand in a URL"),
            ("/a/{{ row.note }}", "RW0304: the value is null"),
        ] {
            assert_eq!(text(template, Escape::Percent), expected, "{template}");
        }
        for climbing in ["/a/{{ '..' }}/b", "/a/.{{ '.' }}", "/{{ '.' }}", "{{ '.' }}{{ '.' }}/x"] {
            let failure = rendered(climbing, Escape::Percent).unwrap_err();
            assert!(failure.message.contains("leads elsewhere"), "{climbing}");
        }
    }

    #[test]
    fn secrets_make_the_whole_text_secret() {
        let value = rendered("Bearer {{ token }}, {{ limit }}", Escape::None).unwrap();
        assert_eq!(value.to_string(), "Bearer ‹secret token@v1›, 5");
        let Value::Secret(secret) = value else { panic!("not a secret") };
        assert_eq!(secret.expose(), format!("Bearer {CLEAR}, 5"));
        for escape in [Escape::None, Escape::Shell, Escape::Percent] {
            let shown = text("a/{{ token }}{{ login | json | base64 }}", escape);
            assert!(!shown.contains(CLEAR) && shown.contains("token@v1"), "{shown}");
        }
    }

    #[test]
    fn loops_do_not_run_away() {
        for hostile in [
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            "{% for a in range(9999) %}{{ range(9999) | join }}{% endfor %}",
            "{% for a in range(99999999) %}{% endfor %}",
        ] {
            assert!(rendered(hostile, Escape::None).is_err(), "{hostile}");
        }
        let deep = format!("{}{}", "{% if limit %}".repeat(100_000), "{% endif %}".repeat(100_000));
        assert!(Template::parse(&deep, written(&deep)).is_err());
    }

    #[test]
    fn blocks_within_the_bounds_fit_the_stack() {
        let half = std::thread::Builder::new().stack_size(1 << 20);
        let render = || {
            let blocks = "{% for h in hosts %}".repeat(3) + &"{% if limit %}".repeat(37);
            let ends = "{% endif %}".repeat(37) + &"{% endfor %}".repeat(3);
            assert_eq!(text(&format!("{blocks}x{ends}"), Escape::Shell), "x".repeat(8));
            let elifs = "{% elif limit > 9 %}x".repeat(100);
            let chain = format!("{{% if limit > 9 %}}{elifs}{{% else %}}last{{% endif %}}");
            assert_eq!(text(&chain, Escape::Shell), "last");
        };
        half.spawn(render).unwrap().join().unwrap();
    }
}
