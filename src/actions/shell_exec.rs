//! `shell.exec`: a command or a script on this machine.
//!
//! Owns how scripts reach their interpreters. Must not know process groups.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use tempfile::TempDir;

use super::commands::{self, Common, open_text, refuse_secret};
use crate::{
    base::Value,
    diagnostics::{Diagnostic, codes},
    model::{
        ActionSpec, Fault,
        action_spec::{ArgumentKind, argument, example},
        runbook::ActionCall,
    },
    ports::{Action, Arguments, StepContext},
};

/// Interpreters of scripts, with the ending of a script's file: some look at it.
const INTERPRETERS: [(&str, &str); 6] = [
    ("sh", "sh"),
    ("bash", "sh"),
    ("python3", "py"),
    ("perl", "pl"),
    ("ruby", "rb"),
    ("node", "cjs"),
];

/// The action.
pub fn new() -> Arc<dyn Action> {
    Arc::new(ShellExec { spec: spec() })
}

struct ShellExec {
    spec: ActionSpec,
}

fn spec() -> ActionSpec {
    use ArgumentKind::{Command, Fixed, List, Script, Text};
    let names = INTERPRETERS.map(|(name, _)| name).to_vec();
    let mut arguments = vec![
        argument("command", Command, false, "Command line for `/bin/sh`; a template is one word"),
        argument("script", Script, false, "A script, instead of `command`; takes no templates"),
        argument("interpreter", Fixed(names), false, "What runs the script. Default: sh"),
        argument("args", List, false, "The script's arguments, each one word"),
        argument("folder", Text, false, "Where it runs. Default: the project's folder"),
    ];
    arguments.extend(commands::arguments());
    ActionSpec {
        name: "shell.exec".into(),
        summary: "Runs a command or a script on this machine.".into(),
        manual: include_str!("../../docs/actions/shell.exec.md").into(),
        arguments,
        result: commands::fields(),
        effect: commands::EFFECT,
        examples: vec![
            example(
                "Ask a command-line client",
                "- id: pods\n  shell.exec:\n    command: kubectl get pods -n payments -o name\n    \
                 reads: true\n    timeout: 20s\n",
            ),
            example(
                "Run a script with an argument",
                "- id: total\n  shell.exec:\n    interpreter: python3\n    script: |\n      \
                 import sys\n      print(sum(int(line) for line in open(sys.argv[1])))\n    \
                 args: [amounts.txt]\n    reads: true\n",
            ),
        ],
        ..ActionSpec::default()
    }
}

#[async_trait]
impl Action for ShellExec {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    fn check(&self, call: &ActionCall) -> Vec<Diagnostic> {
        let has = |name: &str| call.arguments.contains_key(name);
        let wrong = |what: &str, help: &str| {
            vec![Diagnostic::error(codes::RW0209, call.place.clone(), what).help(help)]
        };
        match (has("command"), has("script")) {
            (true, true) => wrong("`command` and `script` exclude each other", "Keep one of them."),
            (false, false) => wrong("there is nothing to run", "Give `command` or `script`."),
            (true, false) if has("interpreter") || has("args") => wrong(
                "`interpreter` and `args` belong to a `script`",
                "Write the arguments into the command, or make it a `script`.",
            ),
            _ => Vec::new(),
        }
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        let common = Common::read(cx, arguments)?;
        let folder = cx.folder.join(open_text(arguments, "folder")?.unwrap_or_default());
        let call = Call::read(arguments)?;
        let processes = cx.transports.processes();
        let output = processes
            .exec(&call.words, folder, common.command(""))
            .await
            .map_err(|fault| common.world_of(fault))?;
        common.judge(call.what, &output)
    }
}

/// The words to run, and the script's file, which lives as long as this.
struct Call {
    words: Vec<String>,
    what: &'static str,
    _script: Option<TempDir>,
}

impl Call {
    fn read(arguments: &Arguments) -> Result<Self, Fault> {
        match (open_text(arguments, "command")?, open_text(arguments, "script")?) {
            (Some(command), None) => Ok(Self {
                words: vec!["/bin/sh".into(), "-c".into(), command],
                what: "the command",
                _script: None,
            }),
            (None, Some(script)) => Self::script(arguments, &script),
            _ => Err(Fault::untouched(codes::RW0711, "give one of `command` and `script`")),
        }
    }

    fn script(arguments: &Arguments, script: &str) -> Result<Self, Fault> {
        let name = arguments.text("interpreter")?.unwrap_or_else(|| "sh".to_owned());
        let Some((_, ending)) = INTERPRETERS.iter().find(|(known, _)| *known == name) else {
            let known = INTERPRETERS.map(|(name, _)| name).join(", ");
            let what = format!("`{}` is no interpreter of scripts", name.escape_debug());
            return Err(Fault::untouched(codes::RW0711, what).help(format!("Use one of: {known}.")));
        };
        let (folder, file) = keep(script, ending).map_err(|e| {
            Fault::untouched(codes::RW0701, format!("the script can't be written to a file: {e}"))
                .help("Check that the folder for temporary files (TMPDIR) has room.")
        })?;
        let mut words = vec![name, file.to_string_lossy().into_owned()];
        for value in arguments.list("args")? {
            refuse_secret("args", &value)?;
            words.push(value.to_string());
        }
        Ok(Self { words, what: "the script", _script: Some(folder) })
    }
}

/// Writes the script into a folder that nobody else can enter.
fn keep(script: &str, ending: &str) -> std::io::Result<(TempDir, PathBuf)> {
    let folder = tempfile::Builder::new()
        .prefix("runward-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()?;
    let path = folder.path().join(format!("script.{ending}"));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(script.as_bytes())?;
    Ok((folder, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Map, Secret};

    fn arguments(pairs: &[(&str, Value)]) -> Arguments {
        Arguments::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<Map>())
    }

    #[test]
    fn a_script_lies_in_a_private_folder_and_goes_away() {
        let given = [("script", Value::text("print(1)")), ("interpreter", Value::text("python3"))];
        let call = Call::read(&arguments(&given)).unwrap();
        let path = PathBuf::from(&call.words[1]);
        assert!(call.words[0] == "python3" && path.ends_with("script.py"));
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(call);
        assert!(!path.exists());
    }

    #[test]
    fn arguments_are_words_and_no_secrets() {
        let list = Value::List(vec![Value::text("a b; c"), Value::Int(7)]);
        let call = Call::read(&arguments(&[("script", Value::text("x")), ("args", list)])).unwrap();
        assert_eq!(call.words[2..], ["a b; c", "7"]);
        let secret = Value::Secret(Secret::new("token", "1a", "clear".into()));
        let given = arguments(&[("script", Value::text("x")), ("args", secret)]);
        assert_eq!(Call::read(&given).err().unwrap().code, "RW0410");
    }

    #[test]
    fn exactly_one_of_command_and_script() {
        let both = [("script", Value::text("x")), ("command", Value::text("y"))];
        for given in [&both[..], &[]] {
            assert_eq!(Call::read(&arguments(given)).err().unwrap().code, "RW0711");
        }
    }
}
