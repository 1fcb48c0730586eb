//! Bounds on how long and how deep an expression or template may be, before it is parsed.
//!
//! Owns the limits. The parser guards brackets and blocks only: a chain of `not`, `-`, `else`,
//! `elif` or `.name` recurses without a bound, in parsing or in dropping the tree, and would end
//! the process. Must not know what the tokens mean.

use std::ops::Range;

use minijinja::machinery::{Token, tokenize};

use super::parse::syntax;

/// Bytes of one text.
const LENGTH: usize = 256 << 10;
/// Brackets within brackets.
const BRACKETS: usize = 30;
/// Operators, attributes and filters that can come to lie within each other.
const DEPTH: usize = 200;
/// Blocks within blocks.
const BLOCKS: usize = 40;
/// `elif` in one template: each is an `if` within the `else` before it.
const ELIFS: usize = 100;

/// The range that goes too far, and why.
pub(super) fn check(text: &str, bare: bool) -> Result<(), (Range<usize>, String)> {
    if text.len() > LENGTH {
        return Err((0..LENGTH, format!("it is longer than {} KiB", LENGTH >> 10)));
    }
    let mut state = Nesting::default();
    let mut after_block_start = false;
    // A token that can't be read ends the walk: the parser stops there too, and says why.
    for (token, span) in tokenize(text, bare, syntax()).map_while(Result::ok) {
        let told = match &token {
            Token::Ident(word) if after_block_start => state.statement(word),
            token => state.token(token),
        };
        told.map_err(|why| (span.start_offset as usize..span.end_offset as usize, why))?;
        after_block_start = matches!(token, Token::BlockStart);
    }
    Ok(())
}

/// Depth as far as tokens tell it: never less than that of the tree.
///
/// Within one level of brackets, `and`, `or`, `if` and `else` bind loosest, so the tree is at most
/// as deep as there are of them, and then as the deepest of the parts between them. A part is at
/// most as deep as it has operators, with what lies in its brackets.
#[derive(Default)]
struct Nesting {
    /// The levels around, outermost first.
    around: Vec<Level>,
    /// The sum of what is open around.
    outer: usize,
    level: Level,
    blocks: usize,
    elifs: usize,
}

#[derive(Default)]
struct Level {
    joints: usize,
    deepest: usize,
    part: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.joints + self.deepest.max(self.part)
    }

    fn next_part(&mut self) {
        self.deepest = self.deepest.max(std::mem::take(&mut self.part));
    }
}

impl Nesting {
    fn token(&mut self, token: &Token<'_>) -> Result<(), String> {
        match token {
            Token::VariableStart | Token::BlockStart => {
                let (blocks, elifs) = (self.blocks, self.elifs);
                *self = Self { blocks, elifs, ..Self::default() };
            }
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.outer += self.level.depth();
                self.around.push(std::mem::take(&mut self.level));
                if self.around.len() > BRACKETS {
                    return Err(format!("brackets lie more than {BRACKETS} deep"));
                }
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                let inside = self.level.depth();
                self.level = self.around.pop().unwrap_or_default();
                self.outer = self.outer.saturating_sub(self.level.depth());
                self.level.part += inside + 1;
            }
            Token::Comma => self.level.next_part(),
            Token::Ident("if" | "else" | "and" | "or") => {
                self.level.joints += 1;
                self.level.next_part();
            }
            Token::Ident("not" | "is" | "in") => self.level.part += 1,
            Token::Ident(_)
            | Token::TemplateData(_)
            | Token::VariableEnd
            | Token::BlockEnd
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_) => {}
            _ => self.level.part += 1,
        }
        if self.outer + self.level.depth() > DEPTH {
            return Err(format!("more than {DEPTH} operators hang together"));
        }
        Ok(())
    }

    fn statement(&mut self, word: &str) -> Result<(), String> {
        match word {
            "elif" => self.elifs += 1,
            "else" => {}
            end if end.starts_with("end") => self.blocks = self.blocks.saturating_sub(1),
            _ => self.blocks += 1,
        }
        if self.blocks > BLOCKS {
            return Err(format!("blocks lie more than {BLOCKS} deep"));
        }
        if self.elifs > ELIFS {
            return Err(format!("it has more than {ELIFS} `elif`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_passes() {
        let long = (0..90).map(|i| format!("a.b == {i}")).collect::<Vec<_>>().join(" or ");
        let list = format!("[{}]", vec!["a.b.c | int"; 2000].join(", "));
        let page = "{% if a %}{{ a.b }}{% endif %}\n".repeat(1000);
        assert_eq!(check(&long, true), Ok(()));
        assert_eq!(check(&list, true), Ok(()));
        assert_eq!(check(&page, false), Ok(()));
    }

    #[test]
    fn what_would_overflow_the_stack_is_refused() {
        for (hostile, bare) in [
            ("(".repeat(100_000), true),
            ("[".repeat(100_000), true),
            ("not ".repeat(60_000), true),
            ("-".repeat(100_000), true),
            (format!("a{}", ".a".repeat(100_000)), true),
            (format!("a{}", "(1)".repeat(80_000)), true),
            (format!("a{}", "|a".repeat(100_000)), true),
            (format!("1{}", "+1".repeat(100_000)), true),
            (format!("{}1{}", "(".repeat(29), format!("{})", "+1".repeat(100)).repeat(29)), true),
            (format!("{}1{}", "(".repeat(29), format!("{})", " or 1".repeat(99)).repeat(29)), true),
            ("a if b else ".repeat(20_000), true),
            ("{% if a %}".repeat(20_000), false),
            (format!("{{% if a %}}{}", "{% elif a %}".repeat(20_000)), false),
            ("x".repeat(300 << 10), false),
        ] {
            assert!(check(&hostile, bare).is_err(), "{}", &hostile[..20]);
        }
    }
}
