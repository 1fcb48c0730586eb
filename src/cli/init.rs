//! `init`: a project to begin with, that validates.

use std::fs;

use super::{
    args::InitArgs,
    compose::{PROJECT_FILE, io_words},
    exit::Exit,
    terminal::{Failure, Terminal},
};
use crate::{
    diagnostics::{Diagnostic, codes},
    model::Fault,
};

const PROJECT: &str = include_str!("files/runward.yaml");
const RUNBOOK: &str = include_str!("files/example.yaml");

/// `runward init`
pub fn init(terminal: Terminal, args: &InitArgs) -> Result<Exit, Failure> {
    let file = args.folder.join(PROJECT_FILE);
    if file.exists() {
        let message = format!("`{}` is there already", file.display());
        return Err(Diagnostic::unplaced(codes::RW0901, message).into());
    }
    let write = |name: &str, text: &str| {
        let path = args.folder.join(name);
        let folder = path.parent().unwrap_or(&args.folder).to_owned();
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).map_err(|error| {
            let words = io_words(&error);
            let message = format!("`{}` can't be written: {words}", path.display());
            Failure::from(Fault::untouched(codes::RW0106, message))
        })
    };
    write(PROJECT_FILE, PROJECT)?;
    write("runbooks/example.yaml", RUNBOOK)?;
    let ignore = args.folder.join(".gitignore");
    let known = fs::read_to_string(&ignore).unwrap_or_default();
    if !known.lines().any(|line| line.trim() == ".runward/") {
        let separator = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
        write(".gitignore", &format!("{known}{separator}.runward/\n"))?;
    }
    terminal.out(&format!(
        "made {} and runbooks/example.yaml\nnext:  runward validate\n       runward run example",
        file.display()
    ));
    Ok(Exit::Succeeded)
}
