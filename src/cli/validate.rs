//! `validate`: everything that is wrong, before anything runs.

use std::path::{Path, PathBuf};

use super::{
    args::{Cli, Format, ValidateArgs},
    compose,
    exit::Exit,
    terminal::{Failure, Terminal},
};
use crate::diagnostics::{self, Diagnostic, Severity, codes, has_errors};

/// `runward validate`
pub fn validate(cli: &Cli, terminal: Terminal, args: &ValidateArgs) -> Result<Exit, Failure> {
    let file = compose::find_project(cli)?;
    let (project, mut found) = compose::read_project(&file)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut count = 0;
    if let Some(project) = &project {
        let (actions, catalogue) = compose::catalogue();
        for path in runbooks(folder, &args.paths)? {
            let (_, diagnostics) = compose::read_runbook(&path, project, &actions, &catalogue)?;
            found.extend(diagnostics);
            count += 1;
        }
    }
    if args.strict {
        for diagnostic in &mut found {
            diagnostic.severity = Severity::Error;
        }
    }
    match args.format {
        Format::Human => {
            terminal.diagnostics(&found);
            if found.is_empty() {
                let plural = if count == 1 { "" } else { "s" };
                terminal.err(&format!("{count} runbook{plural}: nothing to complain about"));
            }
        }
        Format::Json => terminal.out(&diagnostics::json::json(&found)),
    }
    Ok(if has_errors(&found) { Exit::Invalid } else { Exit::Succeeded })
}

/// The runbooks that are meant: files as they are, folders with all below them.
fn runbooks(project: &Path, paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let default = [project.join("runbooks")];
    let paths = match paths {
        [] if default[0].is_dir() => &default[..],
        [] => return Ok(Vec::new()),
        paths => paths,
    };
    let mut out = Vec::new();
    for path in paths {
        if path.is_dir() {
            collect(path, &mut out)?;
        } else {
            out.push(path.clone());
        }
    }
    out.sort();
    Ok(out)
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        let words = compose::io_words(&error);
        let message = format!("`{}` can't be read: {words}", folder.display());
        Failure::from(Diagnostic::unplaced(codes::RW0106, message))
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') {
            collect(&path, out)?;
        } else if (name.ends_with(".yaml") || name.ends_with(".yml"))
            && !name.ends_with(".test.yaml")
        {
            out.push(path);
        }
    }
    Ok(())
}
