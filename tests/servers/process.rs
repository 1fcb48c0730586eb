//! `shell.exec` with real programs of this machine.

use std::{fs, path::PathBuf, time::Duration};

use runward::{
    actions,
    base::Value,
    model::{Fault, World},
};

use super::ssh::{arguments, context};

async fn act(pairs: &[(&str, Value)]) -> Result<Value, Fault> {
    let cx = context(None, PathBuf::from("/"));
    actions::shell_exec::new().run(&cx, &arguments(pairs)).await
}

fn text(text: &str) -> Value {
    Value::text(text)
}

#[tokio::test]
async fn a_command_runs_in_the_folder() {
    let value = act(&[("command", text("pwd; cat")), ("stdin", text("in"))]).await.unwrap();
    assert_eq!(value.get("stdout"), Some(&text("/\nin")));
    let value = act(&[("command", text("pwd")), ("folder", text("usr"))]).await.unwrap();
    assert_eq!(value.get("stdout"), Some(&text("/usr\n")));
    let fault = act(&[("command", text("pwd")), ("folder", text("no/such"))]).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0711", World::Untouched));
}

#[tokio::test]
async fn scripts_get_their_arguments_one_by_one() {
    let words = ["a b", "$(id)", "-x", "", "ação", "new\nline"];
    let list = Value::List(words.iter().map(|w| text(w)).collect());
    for (interpreter, script) in [
        ("python3", "import sys\nfor a in sys.argv[1:]: print(repr(a))"),
        ("sh", "for a; do printf '%s|' \"$a\"; done"),
        ("bash", "for a in \"$@\"; do printf '%s|' \"$a\"; done"),
        ("perl", "print join('|', @ARGV), '|';"),
    ] {
        let given =
            [("script", text(script)), ("interpreter", text(interpreter)), ("args", list.clone())];
        let value = act(&given).await.unwrap();
        let shown = value.get("stdout").unwrap().to_string();
        let expected: String = if interpreter == "python3" {
            words.iter().map(|w| format!("'{}'\n", w.replace('\n', "\\n"))).collect()
        } else {
            words.iter().map(|w| format!("{w}|")).collect()
        };
        assert_eq!(shown, expected, "{interpreter}");
    }
}

#[tokio::test]
async fn a_failure_says_what_was_said_last() {
    let fault = act(&[("command", text("echo out; echo why >&2; exit 4"))]).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0704", World::Partial));
    assert_eq!(fault.detail.as_deref(), Some("why"));
    assert_eq!(fault.result.unwrap().get("status"), Some(&Value::Int(4)));
    let reads = [("command", text("exit 4")), ("reads", Value::Bool(true))];
    assert_eq!(act(&reads).await.unwrap_err().world, World::Untouched);
    let allow = [("command", text("exit 4")), ("allow", Value::Int(4))];
    assert_eq!(act(&allow).await.unwrap().get("status"), Some(&Value::Int(4)));
}

#[tokio::test]
async fn a_timeout_ends_a_script_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!(
        "import os, signal, subprocess, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
         child = subprocess.Popen(['sleep', '600'])\n\
         open({:?}, 'w').write(f'{{child.pid}}\\n{{os.getpid()}}\\n')\nsignal.pause()\n\
         signal.pause()\nsignal.pause()\n",
        file.display().to_string()
    );
    let started = std::time::Instant::now();
    let given = [
        ("script", Value::text(script)),
        ("interpreter", text("python3")),
        ("timeout", text("1500ms")),
    ];
    let fault = act(&given).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.world), ("RW0703", World::Partial), "{fault:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let pids = fs::read_to_string(&file).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{pid} still lives: {stat}");
    }
}
