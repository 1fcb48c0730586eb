//! Where the command line speaks: standard output for what was asked for, standard error for the
//! rest.

use std::io::{IsTerminal, Write};

use super::{args::Colour, exit::Exit};
use crate::{
    diagnostics::{Diagnostic, Severity, render},
    model::Fault,
    report::style::Style,
};

/// Columns that a difference may take before its lines are broken.
pub const WIDTH: usize = 100;

/// The program's two outputs.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    colour: bool,
    /// Is there a person at standard output?
    pub interactive: bool,
}

impl Terminal {
    /// As the options and the environment say.
    pub fn new(colour: Colour) -> Self {
        let interactive = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => interactive && !plain,
        };
        Self { colour, interactive }
    }

    /// Colours or none.
    pub fn style(self) -> Style {
        Style { colour: self.colour }
    }

    /// What was asked for. A reader that has gone away (`| head`) is no failure.
    pub fn out(self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = stdout.write_all(b"\n");
        }
        let _ = stdout.flush();
    }

    /// What the person should know besides.
    pub fn err(self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = stderr.write_all(b"\n");
        }
    }

    /// Diagnostics, and how many there were.
    pub fn diagnostics(self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            self.err(&render::human(diagnostic, self.colour));
            self.err("");
        }
        let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
        let words = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
        let shown: Vec<_> = words
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" }))
            .collect();
        if !shown.is_empty() {
            self.err(&shown.join(", "));
        }
    }

    /// A failure, in the form of a diagnostic without a place.
    pub fn fault(self, fault: &Fault) {
        let style = self.style();
        let mut text =
            format!("{}: {}", style.bad(&format!("error[{}]", fault.code)), fault.message);
        for (name, part) in [("found", &fault.detail), ("help", &fault.help)] {
            if let Some(part) = part {
                let part = crate::base::visible::escape(part).replace('\n', "\n         ");
                text.push_str(&format!("\n  = {name}: {part}"));
            }
        }
        self.err(&text);
    }

    /// Asks; `None` when there is nobody to answer.
    pub fn ask(self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} ");
        let _ = stderr.flush();
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(n) if n > 0 => Some(line.trim().to_owned()),
            _ => None,
        }
    }
}

/// Why a command ends without having done what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The user's files or inputs.
    Diagnostics(Vec<Diagnostic>),
    /// One thing, and the exit code that it leads to.
    Fault(Box<Fault>, Exit),
}

impl Failure {
    /// Says it, and gives the exit code.
    pub fn report(&self, terminal: Terminal) -> Exit {
        match self {
            Self::Diagnostics(diagnostics) => {
                terminal.diagnostics(diagnostics);
                Exit::Invalid
            }
            Self::Fault(fault, exit) => {
                terminal.fault(fault);
                *exit
            }
        }
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Diagnostics(diagnostics)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnostics(vec![diagnostic])
    }
}

impl From<Fault> for Failure {
    /// A failure before anything ran.
    fn from(fault: Fault) -> Self {
        use crate::diagnostics::codes;
        let refused = [codes::RW0601, codes::RW0603, codes::RW0605, codes::RW0606, codes::RW0607];
        let exit = match fault.code.as_str() {
            code if refused.iter().any(|c| c.as_str() == code) => Exit::Refused,
            // The journal is well; what was asked of it is not.
            "RW0804" | "RW0806" => Exit::Invalid,
            code if code.starts_with("RW08") => Exit::Journal,
            code if code.starts_with("RW07") => Exit::Failed,
            _ => Exit::Invalid,
        };
        Self::Fault(Box::new(fault), exit)
    }
}

impl From<crate::ports::store::StoreError> for Failure {
    fn from(error: crate::ports::store::StoreError) -> Self {
        use crate::{diagnostics::codes, ports::store::StoreError as E};
        let message = error.to_string();
        let (code, exit, help) = match &error {
            E::NoRun(_) => (codes::RW0804, Exit::Invalid, Some("`runward runs` lists them")),
            E::Held { .. } => (
                codes::RW0802,
                Exit::Journal,
                Some("let that process go on, or stop it; then `runward resume`"),
            ),
            E::Locked { .. } => {
                (codes::RW0802, Exit::Refused, Some("wait until that run is over, or cancel it"))
            }
            E::Lost => (codes::RW0802, Exit::Journal, None),
            E::Damaged(_) => (codes::RW0801, Exit::Journal, None),
            E::Unusable(_) => (codes::RW0803, Exit::Journal, None),
        };
        let mut fault = Fault::untouched(code, message);
        fault.help = help.map(str::to_owned);
        Self::Fault(Box::new(fault), exit)
    }
}

impl From<crate::driver::OpenError> for Failure {
    fn from(error: crate::driver::OpenError) -> Self {
        use crate::{diagnostics::codes, driver::OpenError as E};
        match error {
            E::Store(error) => error.into(),
            E::Unreadable(diagnostics) => Self::Diagnostics(diagnostics),
            E::Vars(failure) => {
                let diagnostic = Diagnostic::error(failure.code, failure.place, failure.message);
                Self::Diagnostics(vec![diagnostic.maybe_help(failure.help)])
            }
            E::Sealed(fault) => Self::Fault(Box::new(fault), Exit::Journal),
            E::Illegal(illegal) => {
                let fault = Fault::untouched(codes::RW0805, illegal.to_string());
                Self::Fault(Box::new(fault), Exit::Journal)
            }
        }
    }
}

impl From<crate::driver::DriverError> for Failure {
    fn from(error: crate::driver::DriverError) -> Self {
        use crate::{diagnostics::codes, driver::DriverError as E};
        match error {
            E::Store(error) => error.into(),
            E::Open(error) => error.into(),
            E::Illegal(illegal) => {
                let fault = Fault::untouched(codes::RW9901, illegal.to_string());
                Self::Fault(Box::new(fault), Exit::Journal)
            }
            E::Refused(refused) => {
                Self::Fault(Box::new(Fault::untouched(codes::RW0806, refused.0)), Exit::Invalid)
            }
        }
    }
}
