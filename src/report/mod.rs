//! From a `RunView` and its events to what people read: lines, `show`, `plan`, the report.
//!
//! Pure. Owns the words and the layout. Must not know terminals, stores or the engine; what came
//! from outside is escaped here before it becomes part of anything. A report never claims more
//! than the journal proves: what is in doubt is said to be in doubt.

mod fate;
pub mod lines;
pub mod manual;
pub mod markdown;
pub mod plan;
pub mod show;
pub mod style;
mod waiting;
mod words;

pub use style::Style;
pub use waiting::{Need, Waiting, waiting};

// Shared among the forms; they don't import each other.
use fate::{Fate, fate};
use lines::{Columns, detail_lines, diff_block, head_line, quoted, step_lines, wait_lines};

#[cfg(test)]
mod tests;
