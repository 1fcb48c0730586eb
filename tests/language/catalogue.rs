//! A small catalogue with the actions of the specification, for the tests of the language.
//!
//! Owns nothing: the real catalogue comes from the actions themselves.

use runward::{
    language::Catalogue,
    model::{
        ActionSpec, EffectRule,
        action_spec::{Argument, ArgumentKind as K, Field, TargetKind, argument, field},
    },
};

/// The actions by name.
pub fn catalogue() -> Catalogue {
    let on = || argument("on", K::Target, true, "the target");
    let text = |name: &str, kind: K, required: bool| argument(name, kind, required, "");
    let rows = || argument("rows", K::Rows, false, "how many rows may change");
    let specs = [
        spec(
            "sql.query",
            Some(TargetKind::Sql),
            EffectRule::Read,
            vec![
                on(),
                text("query", K::Sql, true),
                text("params", K::Map, false),
                text("max_rows", K::Integer, false),
            ],
            &["rows", "columns", "count", "truncated"],
        ),
        spec(
            "sql.execute",
            Some(TargetKind::Sql),
            EffectRule::Change,
            vec![on(), text("statement", K::Sql, true), text("params", K::Map, false), rows()],
            &["rows_affected"],
        ),
        spec(
            "sql.update",
            Some(TargetKind::Sql),
            EffectRule::Reversible,
            vec![
                on(),
                text("table", K::Identifier, true),
                text("where", K::Map, true),
                text("set", K::Map, true),
                rows(),
            ],
            &["rows_affected"],
        ),
        spec(
            "http.request",
            Some(TargetKind::Http),
            EffectRule::ReadsWhen {
                argument: "method",
                values: &["GET", "HEAD", "OPTIONS"],
                default: "GET",
            },
            vec![
                on(),
                text(
                    "method",
                    K::Fixed(vec!["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]),
                    false,
                ),
                text("path", K::UrlPath, true),
                text("headers", K::Map, false),
                text("body", K::Any, false),
                text("timeout", K::Duration, false),
            ],
            &["status", "headers", "body", "json"],
        ),
        spec(
            "ssh.exec",
            Some(TargetKind::Ssh),
            EffectRule::ReadsWhen { argument: "reads", values: &["true"], default: "false" },
            vec![
                on(),
                text("host", K::Text, false),
                text("command", K::Command, true),
                text("reads", K::Flag, false),
                text("stdin", K::Text, false),
                text("env", K::Map, false),
            ],
            &["stdout", "stderr", "status"],
        ),
        spec(
            "shell.exec",
            None,
            EffectRule::ReadsWhen { argument: "reads", values: &["true"], default: "false" },
            vec![
                text("command", K::Command, true),
                text("reads", K::Flag, false),
                text("args", K::List, false),
            ],
            &["stdout", "stderr", "status"],
        ),
        spec(
            "lua",
            None,
            EffectRule::ReadsWhen { argument: "effect", values: &["read"], default: "read" },
            vec![
                text("script", K::Script, true),
                text("file", K::Fixed(vec![]), false),
                text("args", K::Map, false),
                text("effect", K::Fixed(vec!["read", "change"]), false),
            ],
            &[],
        ),
    ];
    specs.into_iter().map(|s| (s.name.clone(), s)).collect()
}

fn spec(
    name: &str,
    target: Option<TargetKind>,
    effect: EffectRule,
    arguments: Vec<Argument>,
    result: &[&str],
) -> ActionSpec {
    let result: Vec<Field> = result.iter().map(|f| field(f, "any", "")).collect();
    ActionSpec { name: name.into(), target, effect, arguments, result, ..ActionSpec::default() }
}
