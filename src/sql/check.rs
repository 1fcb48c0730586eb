//! Checks of SQL as it is written in a runbook, before anything runs.
//!
//! Owns what can be said without a server. Must not know which action asks: that gives its rule.
//!
//! The same step may meet another engine in another environment, so that a statement passes when
//! one of the engines would take it; when it runs, its own engine's rule is asked again.

use super::params::parameters;
use crate::{
    base::Value,
    diagnostics::{Diagnostic, codes, suggest},
    model::{
        runbook::{ActionCall, Tree, TreeNode},
        target::SqlEngine,
    },
};

const ENGINES: [SqlEngine; 3] = [SqlEngine::Postgres, SqlEngine::Mysql, SqlEngine::Sqlite];

/// Checks the statement in `argument` by `rule`, and its `:names` against the call's `params`.
/// What holds templates is not checked: its text is not known yet. Codes: `RW0406`.
pub fn check_call(
    call: &ActionCall,
    argument: &str,
    rule: fn(&str, SqlEngine) -> Result<(), String>,
) -> Vec<Diagnostic> {
    let (Some(text), Some(written)) = (call.fixed(argument), call.arguments.get(argument)) else {
        return Vec::new();
    };
    let error = |tree: &Tree, message: String| {
        Diagnostic::error(codes::RW0406, tree.place.clone(), message)
    };
    let engine = match accepting(text, rule) {
        Ok(engine) => engine,
        Err(why) => {
            let what = format!("`{}` can't take this statement: {why}", call.action);
            return vec![error(written, what)];
        }
    };
    let (Ok(used), Some(given)) = (parameters(text, engine), given(call)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let names = || given.iter().map(|(name, _)| name.as_str());
    for name in used.iter().filter(|name| !names().any(|n| n == *name)) {
        let help = suggest(name, names()).unwrap_or_else(|| format!("add `{name}:` to `params`"));
        let message = format!("the statement uses `:{name}`, but `params` has no `{name}`");
        found.push(error(written, message).help(help));
    }
    for (name, tree) in given.iter().filter(|(name, _)| !used.contains(name)) {
        let help = suggest(name, used.iter().map(String::as_str));
        let message = format!("`params` has `{name}`, but the statement does not use `:{name}`");
        found.push(
            error(tree.unwrap_or(written), message)
                .help(help.unwrap_or_else(|| format!("remove it, or use `:{name}`"))),
        );
    }
    found
}

/// The first engine whose rule lets it pass, or the reason that says most.
fn accepting(
    text: &str,
    rule: fn(&str, SqlEngine) -> Result<(), String>,
) -> Result<SqlEngine, String> {
    let mut reasons = Vec::new();
    for engine in ENGINES {
        match rule(text, engine) {
            Ok(()) => return Ok(engine),
            Err(why) => reasons.push(why),
        }
    }
    // An engine that understood the statement knows better why it is refused.
    let understood = reasons.iter().position(|why| !why.contains("can't be read as"));
    Err(reasons.swap_remove(understood.unwrap_or(0)))
}

/// The names under `params` with their places; `None` when they are not known yet.
fn given(call: &ActionCall) -> Option<Vec<(String, Option<&Tree>)>> {
    match call.arguments.get("params").map(|tree| &tree.node) {
        None => Some(Vec::new()),
        Some(TreeNode::Map(map)) => {
            Some(map.iter().map(|(name, tree)| (name.clone(), Some(tree))).collect())
        }
        Some(TreeNode::Constant(Value::Map(map))) => {
            Some(map.keys().map(|name| (name.clone(), None)).collect())
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Place, Source},
        model::Effect,
        sql::{check_change, check_read_only},
    };

    fn call(text: &str, params: &[&str]) -> ActionCall {
        let source = Source::new("a.yaml", text);
        let place = Place::new(&source, 0..text.len());
        let tree = |node| Tree { node, place: place.clone() };
        let params = params
            .iter()
            .map(|name| ((*name).to_owned(), tree(TreeNode::Constant(Value::Null))))
            .collect();
        ActionCall {
            action: "sql.query".into(),
            place: place.clone(),
            arguments: [
                ("query".to_owned(), tree(TreeNode::Constant(Value::text(text)))),
                ("params".to_owned(), tree(TreeNode::Map(params))),
            ]
            .into_iter()
            .collect(),
            effect: Effect::Read,
        }
    }

    #[test]
    fn one_engine_that_takes_it_is_enough() {
        for text in ["SELECT $$x$$::text", "SELECT `a` FROM t", "SELECT [a] FROM t"] {
            assert_eq!(check_call(&call(text, &[]), "query", check_read_only), [], "{text}");
        }
    }

    #[test]
    fn what_is_refused_says_why_at_its_place() {
        let found = check_call(&call("DELETE FROM t", &[]), "query", check_read_only);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, codes::RW0406);
        assert!(found[0].message.contains("`DELETE` does more than read"), "{}", found[0].message);
        assert_eq!(found[0].place.as_ref().unwrap().to_string(), "a.yaml:1:1");
        assert_eq!(check_call(&call("SELECT 1", &[]), "query", check_change).len(), 1);
    }

    #[test]
    fn names_are_compared() {
        let found =
            check_call(&call("SELECT :cutoff, :b", &["cutof", "b"]), "query", check_read_only);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].help.as_deref(), Some("did you mean `cutof`?"));
        assert_eq!(found[1].help.as_deref(), Some("did you mean `cutoff`?"));
    }
}
