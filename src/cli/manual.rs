//! What the program says of itself: `actions`, `explain`, `completions`, `man`.

use super::{
    args::{ActionsArgs, ExplainArgs},
    command, compose,
    exit::Exit,
    terminal::{Failure, Terminal},
};
use crate::{
    diagnostics::{Code, Diagnostic, codes, suggest},
    model::ActionSpec,
    report,
};

/// `runward actions`
pub fn actions(terminal: Terminal, args: &ActionsArgs) -> Result<Exit, Failure> {
    let (_, catalogue) = compose::catalogue();
    let style = terminal.style();
    let Some(name) = &args.name else {
        for spec in catalogue.values() {
            terminal.out(&report::manual::line(spec, &style));
        }
        return Ok(Exit::Succeeded);
    };
    let Some(spec) = catalogue.get(name) else {
        let message = format!("there is no action `{name}`");
        return Err(Diagnostic::unplaced(codes::RW0401, message)
            .maybe_help(suggest(name, catalogue.keys().map(String::as_str)))
            .into());
    };
    let spec = ActionSpec { manual: prose(&spec.manual).to_owned(), ..spec.clone() };
    terminal.out(&report::manual::page(&spec, &style));
    Ok(Exit::Succeeded)
}

/// The written part of an action's page: its title and its tables are made from the spec.
fn prose(page: &str) -> &str {
    let written = page.split("<!-- generated: ").next().unwrap_or(page).trim();
    match written.strip_prefix("# ") {
        Some(rest) => rest.split_once('\n').map_or("", |(_, rest)| rest.trim()),
        None => written,
    }
}

/// `runward explain`
pub fn explain(terminal: Terminal, args: &ExplainArgs) -> Result<Exit, Failure> {
    let Some(code) = Code::find(&args.code) else {
        let known = codes::ALL.iter().map(|(code, _)| code.as_str());
        let message = format!("there is no code `{}`", args.code);
        return Err(Diagnostic::unplaced(codes::RW0901, message)
            .maybe_help(suggest(&args.code, known))
            .into());
    };
    terminal.out(code.page());
    Ok(Exit::Succeeded)
}

/// `runward completions`
pub fn completions(terminal: Terminal, shell: clap_complete::Shell) -> Exit {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command(), "runward", &mut out);
    terminal.out(&String::from_utf8_lossy(&out));
    Exit::Succeeded
}

/// `runward man`
pub fn man(terminal: Terminal) -> Exit {
    let mut out = Vec::new();
    if clap_mangen::Man::new(command()).render(&mut out).is_ok() {
        terminal.out(&String::from_utf8_lossy(&out));
    }
    Exit::Succeeded
}
