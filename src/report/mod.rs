//! x
mod fate;
pub mod lines;
pub mod manual;
pub mod show;
pub mod style;
mod waiting;
mod words;
pub mod markdown {
    use crate::model::{event::Recorded, view::RunView};
    pub fn markdown(_: &RunView, _: &[Recorded]) -> String {
        todo!()
    }
}
pub mod plan {
    use crate::model::{target::Environment, view::RunView};
    pub fn plan(_: &RunView, _: &Environment, _: &super::Style) -> String {
        todo!()
    }
}
use fate::{Fate, fate};
use lines::{Columns, detail_lines, diff_block, head_line, quoted, step_lines, wait_lines};
pub use style::Style;
pub use waiting::{Need, Waiting, waiting};
