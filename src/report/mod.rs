//! From a `RunView` and its events to what people read: lines, `show`, `plan`, the report.
//!
//! Pure. Owns the words and the layout. Must not know terminals, stores or the engine; what came
//! from outside is escaped here before it becomes part of anything. A report never claims more
//! than the journal proves: what is in doubt is said to be in doubt.

mod fate;
pub mod lines;
pub mod manual;
pub mod markdown;
mod need;
pub mod plan;
pub mod show;
pub mod style;
mod words;

pub use need::{Need, Waiting, waiting};
pub use style::Style;

// Shared among the forms; they don't import each other.
use fate::{Fate, fate_of};
use lines::{Columns, detail_lines, diff_block, head_line, quoted, step_lines, wait_lines};
use words::{
    clock, count, cut, in_brief, listed, login, people, result_in_brief, run_words, step_words,
    title_of, utc,
};
