//! The list of codes. Each has a page in `docs/errors/`, which `runward explain` shows.
//!
//! Areas: 01 text, 02 shape, 03 expressions, 04 checks of a runbook, 05 project file, 06 approval
//! and policy, 07 actions and their targets, 08 journal, 09 command line, 99 our own mistake.

use std::fmt;

/// A code such as `RW0201`. Only the constants of this module exist.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(&'static str);

impl Code {
    /// The code as text.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The code with this text; letters may be in either case.
    pub fn find(text: &str) -> Option<Self> {
        let text = text.trim().to_uppercase();
        ALL.iter().map(|(code, _)| *code).find(|code| code.0 == text)
    }

    /// The page that explains it, in Markdown.
    pub fn page(self) -> &'static str {
        ALL.iter().find(|(code, _)| *code == self).map_or("", |(_, page)| page)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! codes {
    ($($name:ident $(= $what:literal)?),* $(,)?) => {
        $(
            #[doc = concat!($($what,)? "")]
            pub const $name: Code = Code(stringify!($name));
        )*
        /// Every code with its page.
        pub const ALL: &[(Code, &str)] = &[
            $(($name, include_str!(concat!("../../docs/errors/", stringify!($name), ".md")))),*
        ];
    };
}

codes! {
    RW0101 = "The text is not YAML.",
    RW0102 = "A YAML feature that is refused: tags, merge keys, several documents, directives.",
    RW0103 = "A key stands twice in one map.",
    RW0104 = "The text is too large, too deep or expands too far.",
    RW0105 = "A control or direction-changing character.",
    RW0106 = "The file can't be read.",
    RW0201 = "A key that does not exist here.",
    RW0202 = "A key that must be there is missing.",
    RW0203 = "A value of the wrong type.",
    RW0204 = "A value that is not among those allowed.",
    RW0205 = "A plain scalar that YAML versions read differently.",
    RW0206 = "A step with no action, or with several.",
    RW0207 = "An id that is malformed.",
    RW0208 = "An id that stands twice.",
    RW0209 = "Keys that don't go together.",
    RW0301 = "An expression or template that can't be parsed.",
    RW0302 = "A name that is not defined.",
    RW0303 = "A filter, test or function that does not exist.",
    RW0304 = "Types that don't go together.",
    RW0305 = "A template where none may stand.",
    RW0306 = "A value that is not known yet.",
    RW0401 = "An action that does not exist.",
    RW0402 = "A step that is not there, or comes later.",
    RW0403 = "A target that is not defined in an environment.",
    RW0404 = "A change without rollback.",
    RW0405 = "An input that is wrong, missing or unknown.",
    RW0406 = "SQL that can't be parsed, or is not what its action allows.",
    RW0407 = "A field that the step's result does not have.",
    RW0408 = "`| raw` in a command.",
    RW0409 = "An environment that is not allowed or not defined.",
    RW0410 = "A secret that is not defined, or used where it may not be.",
    RW0501 = "No project file.",
    RW0502 = "A person, key or group that is wrong.",
    RW0503 = "A target's address that is wrong.",
    RW0504 = "A policy that can't work.",
    RW0505 = "A secret in clear in the project file.",
    RW0601 = "The approval is refused.",
    RW0602 = "The approval is void, since what it covered has changed.",
    RW0603 = "The step or start is not permitted by the policy.",
    RW0604 = "A read-only command that the policy does not list.",
    RW0605 = "The request was rejected or has expired.",
    RW0606 = "No key to sign with, or it can't be used.",
    RW0607 = "Nothing waits for this.",
    RW0701 = "The target can't be reached.",
    RW0702 = "The target refused: authentication, host key, certificate.",
    RW0703 = "The step took longer than its timeout.",
    RW0704 = "The command ended with a failure.",
    RW0705 = "The database refused the statement.",
    RW0706 = "The guard on rows did not hold.",
    RW0707 = "The state is not what it was: somebody else changed it.",
    RW0708 = "An expectation did not hold.",
    RW0709 = "The answer can't be read.",
    RW0710 = "The result is larger than its cap.",
    RW0711 = "An argument has a value that the action can't use.",
    RW0712 = "The connection was lost while the effect was under way.",
    RW0713 = "A script failed.",
    RW0714 = "A secret can't be fetched.",
    RW0716 = "A person ended or refused the step.",
    RW0801 = "The journal can't be used: damaged.",
    RW0802 = "The journal is held by another process.",
    RW0803 = "The journal can't be written.",
    RW0804 = "No such run.",
    RW0805 = "An event that the state machine does not allow.",
    RW0806 = "The run's state does not allow this.",
    RW0901 = "The command line is wrong.",
    RW9901 = "A mistake in runward itself.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_either_case() {
        assert_eq!(Code::find("rw0201"), Some(RW0201));
        assert_eq!(Code::find("RW0000"), None);
    }

    #[test]
    fn every_page_has_a_title_and_says_what_to_do() {
        for (code, page) in ALL {
            assert!(page.starts_with(&format!("# {code}: ")), "{code}: title");
            assert!(page.contains("## What to do"), "{code}: what to do");
            assert!(page.contains("## Example"), "{code}: example");
        }
    }
}
