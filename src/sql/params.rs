//! `:name` parameters: where they stand in a statement, and the statement that the server gets.
//!
//! Owns the cutting of a text into words that are sent as they are and places where a value goes.
//! The cutting is done on the tokens of the engine's own dialect, so that strings, comments,
//! quoted names, `::casts` and `:=` are never touched. Must not know connections.

use std::ops::Range;

use sqlparser::{
    dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace},
};

use crate::{
    base::{Map, Value},
    diagnostics::{codes, suggest},
    model::{Fault, target::SqlEngine},
};

/// The names of a statement's `:name` parameters, each once, in the order in which they stand.
///
/// Faults say in words what is wrong with the text: it can't be cut into tokens, holds more than
/// one statement, or marks parameters in the server's own way.
pub fn parameters(text: &str, engine: SqlEngine) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for hole in Statement::parse(text, engine)?.holes {
        if !names.contains(&hole.name) {
            names.push(hole.name);
        }
    }
    Ok(names)
}

/// How sqlparser reads this engine.
pub fn dialect(engine: SqlEngine) -> &'static dyn Dialect {
    match engine {
        SqlEngine::Postgres => &PostgreSqlDialect {},
        SqlEngine::Mysql => &MySqlDialect {},
        SqlEngine::Sqlite => &SQLiteDialect {},
    }
}

/// How people name this engine.
pub fn engine_name(engine: SqlEngine) -> &'static str {
    match engine {
        SqlEngine::Postgres => "PostgreSQL",
        SqlEngine::Mysql => "MySQL",
        SqlEngine::Sqlite => "SQLite",
    }
}

/// One statement, cut at its parameters.
#[derive(Debug)]
pub struct Statement<'t> {
    /// Without the final semicolon.
    text: &'t str,
    holes: Vec<Hole>,
    /// Words and marks, without white space and comments.
    pub tokens: Vec<Token>,
}

#[derive(Debug)]
struct Hole {
    name: String,
    range: Range<usize>,
}

impl<'t> Statement<'t> {
    /// Cuts it. The fault is in words.
    pub fn parse(text: &'t str, engine: SqlEngine) -> Result<Self, String> {
        let spanned = tokenize(text, engine)?;
        let lines = line_starts(text);
        let offset = |at: Location| offset(text, &lines, at);
        let mut holes = Vec::new();
        let mut tokens = Vec::new();
        let mut end = None;
        for (index, token) in spanned.iter().enumerate() {
            match &token.token {
                Token::Whitespace(_) | Token::EOF => continue,
                _ if end.is_some() => {
                    return Err("the text holds more than one statement; write one".to_owned());
                }
                Token::SemiColon => {
                    end = Some(offset(token.span.start));
                    continue;
                }
                Token::Placeholder(mark) => return Err(foreign(mark)),
                Token::Colon => {
                    if let Some(name) = name_behind(&spanned, index) {
                        let word = &spanned[index + 1];
                        holes.push(Hole {
                            name,
                            range: offset(token.span.start)..offset(word.span.end),
                        });
                    }
                }
                _ => {}
            }
            tokens.push(token.token.clone());
        }
        if tokens.is_empty() {
            return Err("there is no statement in the text".to_owned());
        }
        Ok(Self { text: &text[..end.unwrap_or(text.len())], holes, tokens })
    }

    /// The text with the same mark in place of each parameter, for a parser.
    pub fn with_marks(&self, engine: SqlEngine) -> String {
        let mark = if engine == SqlEngine::Postgres { "$1" } else { "?" };
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        for hole in &self.holes {
            out.push_str(&self.text[at..hole.range.start]);
            out.push_str(mark);
            at = hole.range.end;
        }
        out.push_str(&self.text[at..]);
        out
    }

    /// Puts values to the names. A list becomes several values; a list in a list stays one value
    /// (an array). Faults are `RW0711`: a name without value, a value without name, an empty list.
    pub fn fill<'v>(&self, values: &'v Map) -> Result<Filled<'t, 'v>, Fault> {
        if let Some(unused) = values.keys().find(|k| !self.holes.iter().any(|h| h.name == **k)) {
            let names = self.holes.iter().map(|h| h.name.as_str());
            return Err(Fault::untouched(
                codes::RW0711,
                format!(
                    "the parameter `{unused}` is given, but `:{unused}` is not in the statement"
                ),
            )
            .help(suggest(unused, names).unwrap_or_else(|| "remove it from `params`".to_owned())));
        }
        let mut filled = Filled { parts: Vec::new(), values: Vec::new() };
        let mut known: Vec<(&str, Range<usize>)> = Vec::new();
        let mut at = 0;
        for hole in &self.holes {
            filled.parts.push(Part::Text(&self.text[at..hole.range.start]));
            at = hole.range.end;
            let slots = match known.iter().find(|(name, _)| *name == hole.name) {
                Some((_, slots)) => slots.clone(),
                None => {
                    let slots = filled.add(&hole.name, values)?;
                    let (name, _) = values.get_key_value(&hole.name).unzip();
                    known.extend(name.map(|n| (n.as_str(), slots.clone())));
                    slots
                }
            };
            filled.parts.push(Part::Slots(slots));
        }
        filled.parts.push(Part::Text(&self.text[at..]));
        Ok(filled)
    }
}

/// A statement with its values.
#[derive(Debug)]
pub struct Filled<'t, 'v> {
    parts: Vec<Part<'t>>,
    /// The values to bind, by slot.
    pub values: Vec<&'v Value>,
}

#[derive(Debug)]
enum Part<'t> {
    Text(&'t str),
    Slots(Range<usize>),
}

impl<'v> Filled<'_, 'v> {
    fn add(&mut self, name: &str, values: &'v Map) -> Result<Range<usize>, Fault> {
        let start = self.values.len();
        match values.get(name) {
            None => {
                let known = values.keys().map(String::as_str);
                return Err(Fault::untouched(
                    codes::RW0711,
                    format!("the statement uses `:{name}`, but no such parameter is given"),
                )
                .help(suggest(name, known).unwrap_or_else(|| {
                    format!("write `{name}: …` under `params`; a slice needs spaces: `a[1 : n]`")
                })));
            }
            Some(Value::List(items)) if items.is_empty() => {
                return Err(Fault::untouched(
                    codes::RW0711,
                    format!("the list for `:{name}` is empty, and SQL has no empty `IN ()`"),
                )
                .help("skip the step with `when:` if there is nothing to look for"));
            }
            Some(Value::List(items)) => self.values.extend(items),
            Some(value) => self.values.push(value),
        }
        Ok(start..self.values.len())
    }

    /// The text, with what `mark` gives in place of each slot.
    pub fn text(&self, mark: impl Fn(usize) -> String) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Slots(slots) => {
                    let marks: Vec<_> = slots.clone().map(&mark).collect();
                    out.push_str(&marks.join(", "));
                }
            }
        }
        out
    }

    /// The slots in the order in which they stand; one that is used twice stands twice.
    pub fn order(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().flat_map(|part| match part {
            Part::Text(_) => 0..0,
            Part::Slots(slots) => slots.clone(),
        })
    }
}

/// Tokens with their places in the text.
fn tokenize(text: &str, engine: SqlEngine) -> Result<Vec<TokenWithSpan>, String> {
    // sqlparser expands MySQL's `/*! … */` into tokens without a place of their own. Comments stay
    // comments when the mark is overwritten, byte for byte; then they can be found and refused.
    let plain = match engine {
        SqlEngine::Mysql => text.replace("/*!", "/* ").replace("/*M!", "/*  "),
        _ => text.to_owned(),
    };
    let tokens = Tokenizer::new(dialect(engine), &plain)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|e| format!("the text can't be read as {}: {e}", engine_name(engine)))?;
    if engine == SqlEngine::Mysql {
        let lines = line_starts(text);
        for token in &tokens {
            if let Token::Whitespace(Whitespace::MultiLineComment(_)) = token.token {
                let comment = &text[offset(text, &lines, token.span.start)..];
                if comment.starts_with("/*!") || comment.starts_with("/*M!") {
                    return Err(
                        "a comment `/*! … */` is run by the server; write it out, or remove it"
                            .to_owned(),
                    );
                }
            }
        }
    }
    Ok(tokens)
}

/// The name right behind the colon at `index`, when it makes a parameter.
fn name_behind(tokens: &[TokenWithSpan], index: usize) -> Option<String> {
    let (colon, next) = (tokens.get(index)?, tokens.get(index + 1)?);
    match &next.token {
        Token::Word(word) if word.quote_style.is_none() && colon.span.end == next.span.start => {
            Some(word.value.clone())
        }
        _ => None,
    }
}

fn foreign(mark: &str) -> String {
    format!("`{mark}` is the server's own mark; write `:name` and give the value under `params`")
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect()
}

/// sqlparser counts lines and characters from 1.
fn offset(text: &str, lines: &[usize], at: Location) -> usize {
    let line = usize::try_from(at.line).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(at.column).unwrap_or(1).saturating_sub(1);
    let start = lines.get(line).copied().unwrap_or(text.len());
    text[start..].char_indices().nth(column).map_or(text.len(), |(i, _)| start + i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SqlEngine::{Mysql, Postgres, Sqlite};

    fn sent(text: &str, engine: SqlEngine, values: &Map) -> String {
        let statement = Statement::parse(text, engine).unwrap();
        statement.fill(values).unwrap().text(|slot| format!("${}", slot + 1))
    }

    fn map(pairs: &[(&str, Value)]) -> Map {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn only_parameters_are_parameters() {
        let values = map(&[("a", Value::Int(1))]);
        for (text, expected) in [
            ("SELECT ':b' || :a", "SELECT ':b' || $1"),
            ("SELECT x::text, :a::int", "SELECT x::text, $1::int"),
            (
                "SELECT \":b\" /* :c /* :d */ :e */ = :a -- :f\n",
                "SELECT \":b\" /* :c /* :d */ :e */ = $1 -- :f\n",
            ),
            ("SELECT $$ :b $$, $x$ :c $x$, :a", "SELECT $$ :b $$, $x$ :c $x$, $1"),
            ("SELECT E'\\':b', :a", "SELECT E'\\':b', $1"),
            ("SELECT f(p := 1), :a", "SELECT f(p := 1), $1"),
            ("SELECT v[1:2], v[x : y], :a", "SELECT v[1:2], v[x : y], $1"),
            ("SELECT 'é\n:b',\n  :a ;\n", "SELECT 'é\n:b',\n  $1 "),
            ("SELECT :a + :a", "SELECT $1 + $1"),
        ] {
            assert_eq!(sent(text, Postgres, &values), expected);
        }
        let text = "SELECT \"it''s :b\", `:c`, 'd\\':e', @x := 1, :a # :f\n -- :g";
        assert_eq!(sent(text, Mysql, &values), text.replace(":a", "$1"));
        let text = "SELECT \":b\", [:c], :a /* :d */";
        assert_eq!(sent(text, Sqlite, &values), text.replace(":a", "$1"));
    }

    #[test]
    fn a_list_is_several_values_and_a_list_in_it_is_one() {
        let ids = Value::List(vec![Value::Int(1), Value::Int(2)]);
        let values = map(&[("ids", ids.clone()), ("tags", Value::List(vec![ids]))]);
        let statement =
            Statement::parse("SELECT 1 WHERE a IN (:ids) AND t = :tags", Postgres).unwrap();
        let filled = statement.fill(&values).unwrap();
        assert_eq!(
            filled.text(|s| format!("${}", s + 1)),
            "SELECT 1 WHERE a IN ($1, $2) AND t = $3"
        );
        assert_eq!(filled.order().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(matches!(filled.values[2], Value::List(_)));
    }

    #[test]
    fn names_and_values_must_match() {
        let statement = Statement::parse("SELECT :cutoff", Postgres).unwrap();
        let missing = statement.fill(&map(&[])).unwrap_err();
        assert_eq!(missing.code, "RW0711");
        let misspelt = statement.fill(&map(&[("cutof", Value::Null)])).unwrap_err();
        assert_eq!(misspelt.help.as_deref(), Some("did you mean `cutoff`?"));
        let empty = statement.fill(&map(&[("cutoff", Value::List(vec![]))])).unwrap_err();
        assert!(empty.message.contains("empty"), "{}", empty.message);
    }

    #[test]
    fn one_statement_with_our_own_marks() {
        for (text, engine) in [
            ("SELECT 1; DELETE FROM t", Sqlite),
            ("SELECT 1;;", Postgres),
            (" -- nothing\n", Postgres),
            ("SELECT $1", Postgres),
            ("SELECT ?", Mysql),
            ("SELECT ?1", Sqlite),
            ("SELECT 'open", Sqlite),
            ("SELECT 1 /*!50000 , 2 */", Mysql),
            ("SELECT 1 /*M!100100 , 2 */", Mysql),
        ] {
            assert!(Statement::parse(text, engine).is_err(), "{text}");
        }
        assert!(Statement::parse("SELECT '/*!' -- /*! x */", Mysql).is_ok());
        assert_eq!(parameters("SELECT :b, :a, :b;", Mysql), Ok(vec!["b".into(), "a".into()]));
    }
}
