//! `lua`: a script that computes something from earlier results.
//!
//! Owns the action's arguments and how a script's value becomes a step's result. Must not know
//! how scripts are confined: that is `crate::lua`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    base::{Map, Place, Value, time::parse_duration},
    diagnostics::{Diagnostic, codes},
    lua::{self, Limits},
    model::{
        ActionSpec, EffectRule, Fault,
        action_spec::{ArgumentKind, argument, example, field},
        runbook::{ActionCall, Tree, TreeNode},
    },
    ports::{Action, Arguments, StepContext},
};

/// A script may take so long at most.
const LONGEST: Duration = Duration::from_secs(60);

/// The action.
pub fn new() -> Arc<dyn Action> {
    Arc::new(Lua { spec: spec() })
}

struct Lua {
    spec: ActionSpec,
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "lua".into(),
        summary: "Compute something from earlier results with a Luau script.".into(),
        manual: include_str!("../../docs/actions/lua.md").into(),
        arguments: vec![
            argument("script", ArgumentKind::Script, true, "The script; it takes no templates."),
            argument("args", ArgumentKind::Map, false, "Values that the script sees as `args`."),
            argument(
                "timeout",
                ArgumentKind::Duration,
                false,
                "Time for the script, up to 60s; 1s when absent.",
            ),
            argument(
                "effect",
                ArgumentKind::Fixed(vec!["read", "change"]),
                false,
                "`read` (the default); `change` is reserved.",
            ),
        ],
        result: vec![
            field("value", "any", "What the script returned, unless that is a map."),
            field("output", "text", "What it printed, up to 64 KiB."),
        ],
        effect: EffectRule::ReadsWhen { argument: "effect", values: &["read"], default: "read" },
        examples: vec![example("Sum exact amounts and use the total in later steps", EXAMPLE)],
        ..ActionSpec::default()
    }
}

const EXAMPLE: &str = r#"- id: totals
  lua:
    args: {rows: "{{ steps.captures.rows }}"}
    script: |
      local total = runward.decimal("0")
      for _, row in args.rows do
        total = total + row.amount
      end
      return {total = total, count = #args.rows}
  expect: result.total < 10000
"#;

#[async_trait]
impl Action for Lua {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    fn check(&self, call: &ActionCall) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if let Some(effect) = call.arguments.get("effect")
            && call.fixed("effect") == Some("change")
        {
            found.push(
                Diagnostic::error(
                    codes::RW0204,
                    effect.place.clone(),
                    "a script can't change anything",
                )
                .label("not possible yet")
                .help(
                    "let the script return what to change, and make the change in a step of \
                         its own: `sql.update`, `http.request`, `change`",
                ),
            );
        }
        if let Some(tree) = call.arguments.get("timeout")
            && call.fixed("timeout").and_then(|t| parse_duration(t).ok()).is_some_and(too_long)
        {
            found.push(
                Diagnostic::error(codes::RW0204, tree.place.clone(), "too long for a script")
                    .help("a script may take up to 60s"),
            );
        }
        if let Some(Tree { node: TreeNode::Constant(Value::Text(script)), place }) =
            call.arguments.get("script")
            && let Err(error) = lua::check(script)
        {
            let at = error.line.and_then(|line| line_place(place, script, line));
            found.push(
                Diagnostic::error(
                    codes::RW0713,
                    at.unwrap_or_else(|| place.clone()),
                    format!("the script does not compile: {}", error.message),
                )
                .label(error.line.map_or_else(String::new, |n| format!("line {n} of the script"))),
            );
        }
        found
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        if arguments.text("effect")?.as_deref() == Some("change") {
            return Err(Fault::untouched(codes::RW0711, "a script can't change anything"));
        }
        let script = arguments.required_text("script")?;
        let mut time = arguments.duration("timeout")?.unwrap_or(Limits::default().time);
        if too_long(time) {
            return Err(Fault::untouched(codes::RW0711, "`timeout` of a script is up to 60s"));
        }
        if let Some(step) = cx.timeout {
            time = time.min(step);
        }
        let globals = vec![("args".to_owned(), Value::Map(arguments.map("args")?))];
        let limits = Limits { time, ..Limits::default() };
        lua::run(script, globals, limits).await.map(result)
    }
}

fn too_long(time: Duration) -> bool {
    time > LONGEST
}

/// The fields of a returned map are the result's; whatever else is returned is `value`.
fn result(outcome: lua::Outcome) -> Value {
    let mut fields = match outcome.value {
        Value::Map(fields) => fields,
        value => Map::from([("value".to_owned(), value)]),
    };
    // A field `output` that the script returned is what its author wants to see there.
    fields.entry("output".to_owned()).or_insert(Value::Text(outcome.output));
    Value::Map(fields)
}

/// Where a line of a script stands in the file: in a file of its own, a quoted scalar, or a block
/// scalar, whose first line holds only the `|`.
fn line_place(place: &Place, script: &str, line: usize) -> Option<Place> {
    let wanted = script.lines().nth(line.checked_sub(1)?).unwrap_or("").trim();
    let raw = place.text();
    let mut start = 0;
    let starts: Vec<_> = raw
        .split_inclusive('\n')
        .map(|text| {
            let at = start;
            start += text.len();
            (at, text.trim_end())
        })
        .collect();
    [line - 1, line].into_iter().find_map(|index| {
        let (at, text) = starts.get(index)?;
        let indent = text.len() - text.trim_start().len();
        (text.trim() == wanted).then(|| place.inside(at + indent..at + text.len().max(indent + 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Source, model::Effect};

    fn call(file: &str, script: &str, more: &[(&str, &str)]) -> ActionCall {
        let source = Source::new("a.yaml", file);
        let place = Place::new(&source, 0..file.len());
        let tree = |text: &str, place: &Place| Tree {
            node: TreeNode::Constant(Value::text(text)),
            place: place.clone(),
        };
        let mut arguments = indexmap::IndexMap::new();
        let at = file.find('|').map_or(place.clone(), |i| Place::new(&source, i..file.len()));
        arguments.insert("script".to_owned(), tree(script, &at));
        for (name, text) in more {
            arguments.insert((*name).to_owned(), tree(text, &place));
        }
        ActionCall { action: "lua".into(), place, arguments, effect: Effect::Read }
    }

    #[test]
    fn a_script_that_does_not_compile_is_shown_at_its_line() {
        let file = "lua: |\n  local x = 1\n\n  if x then then\n  end\n";
        let found = new().check(&call(file, "local x = 1\n\nif x then then\nend\n", &[]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, codes::RW0713);
        let place = found[0].place.as_ref().unwrap();
        assert_eq!((place.start(), place.text()), ((4, 3), "if x then then"));
        assert_eq!(found[0].label, "line 3 of the script");
        assert_eq!(new().check(&call(file, "return 1", &[])), vec![]);
    }

    #[test]
    fn changes_and_long_timeouts_are_refused() {
        let more = [("effect", "change"), ("timeout", "2m")];
        let found = new().check(&call("x", "return 1", &more));
        let codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, ["RW0204", "RW0204"]);
        assert!(found[0].help.as_ref().unwrap().contains("sql.update"));
    }

    #[test]
    fn a_maps_fields_are_the_results() {
        let outcome = |value| lua::Outcome { value, output: "hi\n".into() };
        let map = result(outcome(Value::map([("total", Value::Int(3))])));
        assert_eq!(map, Value::map([("total", Value::Int(3)), ("output", "hi\n".into())]));
        let plain = result(outcome(Value::Int(3)));
        assert_eq!(plain, Value::map([("value", Value::Int(3)), ("output", "hi\n".into())]));
    }
}
