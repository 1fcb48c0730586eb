//! Secrets in environment variables.
//!
//! Owns reading one. Must not know other providers.

use std::env::{self, VarError};

use super::failure;
use crate::model::Fault;

/// The variable's value as it is.
pub(super) fn fetch(name: &str, variable: &str) -> Result<String, Fault> {
    env::var(variable).map_err(|e| match e {
        VarError::NotPresent => {
            failure(name, &format!("the environment variable `{variable}` is not set"))
                .help(format!("set `{variable}` in the environment that runward is started from"))
        }
        VarError::NotUnicode(_) => {
            failure(name, &format!("the environment variable `{variable}` is not UTF-8 text"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_as_it_is() {
        assert_eq!(fetch("home", "PATH").unwrap(), env::var("PATH").unwrap());
    }

    #[test]
    fn a_missing_variable_is_named() {
        let fault = fetch("token", "RUNWARD_NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(fault.code, "RW0714");
        assert!(fault.help.unwrap().contains("RUNWARD_NO_SUCH_VARIABLE"));
    }
}
