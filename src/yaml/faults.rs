//! What the parser of YAML complains of, in our words.
//!
//! Owns the translation. Must not know the tree. Kinds that a person hardly meets share words; the
//! parser's own message is never shown alone.

use std::sync::Arc;

use granit_parser::{ErrorKind as K, ScanError};

use crate::{
    base::{Place, Source},
    diagnostics::{Code, Diagnostic, codes},
};

/// The diagnostic for a parser's error.
pub(super) fn diagnostic(source: &Arc<Source>, error: &ScanError) -> Diagnostic {
    let (code, message, help) = words(error.kind());
    let text = &source.text;
    let mut at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let width = text[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    Diagnostic::error(code, Place::new(source, at..at + width), message).help(help)
}

const INDENT: &str = "check the indentation: lines of one map or list begin in one column, \
                      those inside of them further right";

fn words(kind: &K) -> (Code, String, &'static str) {
    match kind {
        K::RecursionLimitExceeded => {
            let message = format!("lists and maps are nested deeper than {}", super::MAX_DEPTH);
            (codes::RW0104, message, "flatten the file")
        }
        K::DirectiveDisallowed => {
            let message = "YAML directives (`%…`) are not allowed".to_owned();
            (codes::RW0102, message, "remove the line")
        }
        K::UndeclaredTagHandle | K::ExpectedTagBang | K::InvalidTagTerminator => {
            let message = "YAML tags (`!…`) are not allowed".to_owned();
            (codes::RW0102, message, "remove the tag; quote a text that begins with `!`")
        }
        K::UnexpectedCharacter { character } => {
            let message = format!("`{}` can't begin a text here", character.escape_default());
            (codes::RW0101, message, "put the text in quotes")
        }
        K::MismatchedFlowCollectionEnd { open, close } => {
            let message = format!("`{open}` is closed by `{close}`");
            (codes::RW0101, message, "close each bracket with its own kind")
        }
        K::UnclosedFlowCollection { open } => {
            let message = format!("`{open}` is never closed");
            let help = "close it; quote a text that begins with a bracket or `{{`";
            (codes::RW0101, message, help)
        }
        other => {
            let (message, help) = plain(other);
            (codes::RW0101, message.to_owned(), help)
        }
    }
}

/// Those that need no word of the file's.
fn plain(kind: &K) -> (&'static str, &'static str) {
    match kind {
        K::MappingValueNotAllowed | K::InvalidColonPlacement => (
            "a `:` that makes a key where none may stand",
            "quote the text if the colon belongs to it; else check the indentation of this line",
        ),
        K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabNotAllowed
        | K::TabAtBlockScalarStart
        | K::TabInPlainScalar
        | K::InvalidBlockEntryWhitespace
        | K::InvalidMappingValueWhitespace => {
            ("a tab where only spaces may stand", "indent with spaces")
        }
        K::UnclosedQuotedScalar
        | K::InvalidQuotedScalarIndent
        | K::DocumentIndicatorInQuotedScalar => (
            "a quote is not closed, or its text goes on at the wrong indentation",
            "close the quote on its line, or use a block (`|`) for long text",
        ),
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => (
            "text behind a closing quote",
            "quote the whole text; within '…' a quote is written twice",
        ),
        K::UnknownQuotedScalarEscape
        | K::InvalidQuotedScalarHexEscape
        | K::InvalidLowSurrogateHexEscape
        | K::InvalidLowSurrogate
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate
        | K::InvalidUnicodeEscape => (
            "a `\\` escape that does not exist in YAML",
            "write `\\\\` for a backslash, or use single quotes or a block (`|`)",
        ),
        K::SimpleKeyExpected | K::InvalidSimpleKey => {
            ("a line that is neither `key: value` nor part of a text", INDENT)
        }
        K::ExpectedFlowMappingSeparator
        | K::ExpectedFlowSequenceSeparator
        | K::MisplacedFlowCollectionEnd
        | K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::FlowMappingValueAdjacentCollection => (
            "a list `[…]` or map `{…}` on one line that does not close properly",
            "put a comma between entries, close each bracket, and quote texts with `,` or `{{`",
        ),
        K::CommentNotSeparated | K::CommentInterceptedScalar => (
            "a comment where none may stand",
            "put a space before `#`; quote a text that contains it",
        ),
        K::InvalidBlockScalarHeader | K::ZeroBlockScalarIndent | K::InvalidBlockScalarIndent => (
            "a block of text (`|` or `>`) that is not well formed",
            "begin the text on the next line, indented further than its key",
        ),
        K::UnexpectedEof | K::UnexpectedEofBlockMapping | K::UnexpectedEofBlockSequence => {
            ("the file ends too early", "complete the last entry")
        }
        K::MissingAnchorOrAliasName => {
            ("`&` or `*` without a name behind it", "quote a text that begins with `&` or `*`")
        }
        K::BomInsideDocument => ("a byte order mark inside of the file", "remove it"),
        _ => ("this does not fit the lines around it", INDENT),
    }
}
