//! Diagnostics for programs: the fields that scripts rely on.

use serde_json::{Value as Json, json};

use super::Diagnostic;

/// A list of objects with `code`, `severity`, `message`, `file`, `line`, `column`, `end_line`,
/// `end_column` (from 1; null without a place), `label` and `help`.
pub fn json(diagnostics: &[Diagnostic]) -> String {
    let list: Vec<Json> = diagnostics.iter().map(object).collect();
    format!("{:#}", Json::Array(list))
}

fn object(diagnostic: &Diagnostic) -> Json {
    let place = diagnostic.place.as_ref();
    let (line, column) = place.map(crate::base::Place::start).unzip();
    let (end_line, end_column) = place.map(crate::base::Place::end).unzip();
    json!({
        "code": diagnostic.code.as_str(),
        "severity": diagnostic.severity.to_string(),
        "message": diagnostic.message,
        "file": place.map(|p| &p.source.path),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "label": diagnostic.label,
        "help": diagnostic.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Place, Source},
        diagnostics::codes,
    };

    #[test]
    fn places_are_lines_and_columns() {
        let source = Source::new("a.yaml", "version: 1\nnmae: x\n");
        let diagnostics = [
            Diagnostic::error(codes::RW0201, Place::new(&source, 11..15), "unknown key"),
            Diagnostic::unplaced(codes::RW0501, "no project"),
        ];
        let list: Json = serde_json::from_str(&json(&diagnostics)).unwrap();
        assert_eq!(list[0]["line"], 2);
        assert_eq!((&list[0]["column"], &list[0]["end_column"]), (&json!(1), &json!(5)));
        assert_eq!((&list[1]["file"], &list[1]["severity"]), (&Json::Null, &json!("error")));
    }
}
