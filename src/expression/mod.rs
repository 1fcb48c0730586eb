//! Expressions and templates: parsed with places, evaluated over `Value`.
//!
//! Owns the syntax tree, evaluation, and the table of filters, tests and functions. Must not know
//! runbooks or runs: what names mean comes from a `Scope`. Pure: no clock, no I/O.
//!
//! The grammar is minijinja's, and minijinja parses it. Evaluation is ours, since money must stay
//! decimal in comparisons and sums, a secret must stay a secret through every filter, a value's
//! rendering depends on where it goes (a shell word, a URL), and every error needs its place.

mod budget;
mod evaluate;
pub mod functions;
mod lookup;
mod members;
mod nesting;
mod operators;
mod output;
mod parse;
mod rendering;
mod shell;
mod survey;
mod template;
#[cfg(test)]
mod testing;
mod wrong;

use std::{borrow::Cow, ops::Range, sync::Arc};

pub use evaluate::Failure;
pub use template::{Escape, Template};

use crate::{
    base::{Place, Value},
    diagnostics::Diagnostic,
};

/// Where a text of the runbook stands in its file, so that a range in the text (after YAML has
/// taken quotes and indentation away) can be shown in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The whole scalar.
    pub place: Place,
    /// Pairs of offsets, in the text and in the file, at which a run of equal bytes begins;
    /// ascending. Empty: ranges can't be mapped, and the whole scalar stands for each.
    pub runs: Arc<[(usize, usize)]>,
}

impl Written {
    /// A text that stands in the file as it is, from the place's start.
    pub fn verbatim(place: Place) -> Self {
        let runs = Arc::from([(0, place.range.start)]);
        Self { place, runs }
    }

    /// The place in the file of a range of the text.
    pub fn at(&self, range: Range<usize>) -> Place {
        let map = |offset: usize| {
            let index = self.runs.partition_point(|(text, _)| *text <= offset).checked_sub(1)?;
            let (text, file) = self.runs[index];
            Some(file + (offset - text))
        };
        match (map(range.start), map(range.end.saturating_sub(1).max(range.start))) {
            (Some(start), Some(last)) if last >= start && last < self.place.range.end.max(1) => {
                Place::new(&self.place.source, start..(last + 1).min(self.place.range.end))
            }
            _ => self.place.clone(),
        }
    }
}

/// A bare expression, as in `when` and `expect`.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As it was written.
    pub text: Arc<str>,
    /// Where it was written.
    pub written: Written,
    pub(crate) root: Arc<Node>,
}

/// A node of the syntax tree with its range in the text.
///
/// The range of a filter or test begins at its name, that of any other node at its first operand.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

impl Node {
    /// The range with the operand that a filter or test is applied to.
    pub(crate) fn whole(&self) -> Range<usize> {
        match &self.kind {
            Kind::Filter(_, input, _) | Kind::Test(_, input, _) => {
                input.whole().start..self.range.end
            }
            _ => self.range.clone(),
        }
    }

    /// The fixed path that this node is, if it is nothing else: `a.b` and `a['b']`, each segment
    /// with its range.
    pub(crate) fn path(&self) -> Option<Vec<(&str, Range<usize>)>> {
        match &self.kind {
            Kind::Name(name) => Some(vec![(name, self.range.clone())]),
            Kind::Attribute(base, name) => {
                let mut path = base.path()?;
                path.push((name, self.range.end.saturating_sub(name.len())..self.range.end));
                Some(path)
            }
            Kind::Item(base, key) => {
                let Kind::Constant(Value::Text(name)) = &key.kind else { return None };
                let mut path = base.path()?;
                path.push((name, key.range.clone()));
                Some(path)
            }
            _ => None,
        }
    }
}

/// The kinds of nodes. Method calls and macros do not exist.
#[derive(Debug)]
pub(crate) enum Kind {
    Constant(Value),
    Name(String),
    Attribute(Box<Node>, String),
    Item(Box<Node>, Box<Node>),
    Slice(Box<Node>, Option<Box<Node>>, Option<Box<Node>>, Option<Box<Node>>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    /// `a < b < c`: each neighbour pair must hold.
    Compare(Box<Node>, Vec<(Operator, Node)>),
    If(Box<Node>, Box<Node>, Option<Box<Node>>),
    Filter(String, Box<Node>, Vec<Argument>),
    Test(String, Box<Node>, Vec<Argument>),
    Call(String, Vec<Argument>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// An argument of a filter, test or function; named or by position.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    pub(crate) value: Node,
}

/// Operators between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    Concatenate,
    In,
    NotIn,
}

/// A free name with the fixed path behind it: `steps.stuck.rows` in `steps.stuck.rows[0].n`.
#[derive(Clone, Debug, PartialEq)]
pub struct NameUse {
    /// The segments, at least one.
    pub path: Vec<String>,
    /// Where each segment stands.
    pub places: Vec<Place>,
    /// It stands under `is defined`, `| default` or such, where absence is allowed.
    pub optional: bool,
}

/// What names mean.
pub trait Scope {
    /// Looks up the longest beginning of the path that the scope itself knows, and says how many
    /// segments that took; the rest is looked up in the value. `path` has at least one segment.
    fn lookup(&self, path: &[&str]) -> Result<(Cow<'_, Value>, usize), Absent>;
}

/// Why a name has no value.
#[derive(Clone, Debug, PartialEq)]
pub enum Absent {
    /// There is no such name. `known` are the names there, at that segment.
    Undefined {
        /// Which segment of the path.
        segment: usize,
        /// Names that exist there.
        known: Vec<String>,
    },
    /// The name exists, but has no value now: its step was skipped, or has not run; why, in words.
    Missing(String),
    /// The value will only be known once a change was made (while planning); why, in words.
    NotYetKnown(String),
}

impl Expression {
    /// Parses a bare expression. All of its faults come as `RW0301`.
    pub fn parse(text: &str, written: Written) -> Result<Self, Vec<Diagnostic>> {
        parse::expression(text, written)
    }

    /// Every free name in it, in order. Names bound inside of it don't count.
    pub fn names(&self) -> Vec<NameUse> {
        survey::names(&self.root, &self.written)
    }

    /// Filters, tests and functions that do not exist, or get the wrong number of arguments.
    pub fn check(&self) -> Vec<Diagnostic> {
        survey::check(&self.root, &self.written)
    }

    /// Its value.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, Failure> {
        evaluate::evaluate(&self.root, &self.written, scope)
    }
}
