//! Colours and marks of the text forms.
//!
//! Owns which meaning has which colour. Must not know whether there is a terminal: whoever prints
//! says whether colours are wanted. Everything reads the same without them.

use anstyle::{AnsiColor, Effects};

use crate::model::event::{RunStatus, StepStatus};

/// How text is dressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub colour: bool,
}

impl Style {
    /// Without colours.
    pub const PLAIN: Self = Self { colour: false };

    /// A heading, or the one thing to look at.
    pub fn heading(&self, text: &str) -> String {
        self.paint(anstyle::Style::new().effects(Effects::BOLD), text)
    }

    /// It is as it should be.
    pub fn good(&self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// It is not.
    pub fn bad(&self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default().effects(Effects::BOLD), text)
    }

    /// Somebody should look.
    pub fn warning(&self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// Worth less attention.
    pub fn dim(&self, text: &str) -> String {
        self.paint(anstyle::Style::new().effects(Effects::DIMMED), text)
    }

    /// A line that was there.
    pub fn removed(&self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    /// A line that is there now.
    pub fn added(&self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// The mark of a step's status, coloured.
    pub fn mark(&self, status: StepStatus) -> String {
        self.of_step(status, mark(status))
    }

    /// Text in the colour of a step's status.
    pub fn of_step(&self, status: StepStatus, text: &str) -> String {
        match status {
            StepStatus::Succeeded => self.good(text),
            StepStatus::Failed | StepStatus::RollbackFailed | StepStatus::InDoubt => self.bad(text),
            StepStatus::Waiting | StepStatus::RolledBack => self.warning(text),
            StepStatus::Pending | StepStatus::Skipped => self.dim(text),
            StepStatus::Running => text.to_owned(),
        }
    }

    /// Text in the colour of a run's status.
    pub fn of_run(&self, status: RunStatus, text: &str) -> String {
        match status {
            RunStatus::Succeeded => self.good(text),
            RunStatus::Failed | RunStatus::RollbackIncomplete | RunStatus::InDoubt => {
                self.bad(text)
            }
            RunStatus::Waiting
            | RunStatus::RolledBack
            | RunStatus::Refused
            | RunStatus::Cancelled => self.warning(text),
            RunStatus::Running => text.to_owned(),
        }
    }

    fn paint(&self, style: anstyle::Style, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// One character for a step's status. The word stands in its line too wherever it is not plain
/// success.
pub fn mark(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "·",
        StepStatus::Running => "…",
        StepStatus::Waiting => "‖",
        StepStatus::Skipped => "-",
        StepStatus::Succeeded => "✓",
        StepStatus::Failed => "✗",
        StepStatus::RolledBack => "↶",
        StepStatus::RollbackFailed => "‼",
        StepStatus::InDoubt => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        assert_eq!(Style::PLAIN.bad("no"), "no");
        assert_eq!(Style { colour: true }.good("yes"), "\u{1b}[32myes\u{1b}[0m");
        assert_eq!(Style { colour: true }.good(""), "");
    }
}
