//! The built-in actions: one file each, and the list.
//!
//! An action's file holds its manual, arguments, effect, examples and code. Help, documentation,
//! schema and checks are derived from it. To add one: write the file, add its line below, its page
//! in `docs/actions/`, its cases in `tests/`.

mod commands;

use crate::ports::Actions;

/// One line an action: makes its module and its entry in the catalogue.
macro_rules! actions {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every action by its name.
        pub fn all() -> Actions {
            [$($module::new()),*]
                .into_iter()
                .map(|action| (action.spec().name.clone(), action))
                .collect()
        }
    };
}

actions! {
    http_request,
    lua,
    shell_exec,
    sql_execute,
    sql_query,
    sql_update,
    ssh_exec,
}
