//! What runs on the host: the shell text around a command, and the one that ends it.
//!
//! Owns both texts and the line by which a started command makes itself known. Must not know
//! connections.
//!
//! The request that starts a session holds neither the command nor its environment: those follow
//! on standard input, once the host has shown that it is ready. So values of variables never stand
//! in an argument list, a lost connection before that point has provably done nothing, and the
//! login shell may be any that knows single quotes. Both texts are POSIX sh, one line, without
//! single quotes, exclamation marks or two backslashes in a row, so that csh and fish pass them on.

use ring::rand::{SecureRandom, SystemRandom};

use crate::{diagnostics::codes, model::Fault};

/// Makes sure that the command has a process group of its own: OpenSSH's sessions have one; other
/// servers' get one by setsid(1) where it exists.
const OUTER: &str = concat!(
    r#"kill -0 -$$ 2>/dev/null && exec /bin/sh -c "$0" "$1"; "#,
    r#"command -v setsid >/dev/null 2>&1 && exec setsid /bin/sh -c "$0" "$1"; "#,
    r#"exec /bin/sh -c "$0" "$1""#,
);

/// Tells the process group (0: none of its own) and the leader's start time, reads lines up to
/// the marker (`read` takes no byte more), and runs them only when they came whole.
const INNER: &str = concat!(
    r#"rw_s=0; if { read -r rw_l </proc/$$/stat; } 2>/dev/null; then "#,
    r#"rw_l=${rw_l##*) }; set -- $rw_l; rw_s=${20}; fi; "#,
    r#"rw_g=0; kill -0 -$$ 2>/dev/null && rw_g=$$; "#,
    r#"printf "%s %s %s\n" "$0" "$rw_g" "$rw_s" >&2; "#,
    r#"rw_n=$(printf "\nx"); rw_n=${rw_n%x}; rw_c=; "#,
    r#"while IFS= read -r rw_l; do "#,
    r#"if [ "$rw_l" = "$0" ]; then eval "$rw_c"; exit; fi; "#,
    r#"rw_c=$rw_c$rw_l$rw_n; done; exit 126"#,
);

/// Ends a process group and says `gone` or `alive`. Processes are looked up in /proc where there
/// is one: it tells zombies and other users' processes from living ones of ours, and the start
/// time a recycled number from the group that was meant.
const ENDER: &str = concat!(
    r#"g=$0; s=$1; if [ "$s" -gt 0 ] && { read -r l </proc/$g/stat; } 2>/dev/null; then "#,
    r#"l=${l##*) }; set -- $l; [ "${20}" = "$s" ] || { echo gone; exit 0; }; fi; "#,
    r#"alive() { if [ -r /proc/self/stat ]; then "#,
    r#"for f in /proc/[0-9]*/stat; do { read -r l <$f; } 2>/dev/null || continue; "#,
    r#"l=${l##*) }; set -- $l; "#,
    r#"if [ "$3" = "$g" ]; then case $1 in Z|X) ;; *) return 0;; esac; fi; "#,
    r#"done; return 1; fi; kill -0 -$g 2>/dev/null; }; "#,
    r#"for n in TERM KILL; do kill -$n -$g 2>/dev/null; i=0; "#,
    r#"while [ $i -lt 20 ]; do alive || { echo gone; exit 0; }; i=$((i+1)); "#,
    r#"sleep 0.1 2>/dev/null || { sleep 1; i=$((i+9)); }; done; done; echo alive"#,
);

/// A process group on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Its number; `None` when the server gave the command none of its own.
    pub(super) number: Option<u32>,
    start: u64,
}

/// A word that nobody can guess, by which a session tells its own lines from others'.
pub(super) fn marker() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        Fault::untouched(codes::RW9901, "the operating system gives no random numbers")
    })?;
    Ok(bytes.iter().fold(String::from("runward-"), |text, b| format!("{text}{b:02x}")))
}

/// The request that starts a session; `marker` is what `marker()` gave.
pub(super) fn request(marker: &str) -> String {
    format!("exec /bin/sh -c '{OUTER}' '{INNER}' {marker}")
}

/// The request that ends a process group; `None` when it has no number.
pub(super) fn end_request(group: Group) -> Option<String> {
    let number = group.number?;
    Some(format!("exec /bin/sh -c '{ENDER}' {number} {}", group.start))
}

/// What follows on standard input: the environment, the command, and the marker.
///
/// Faults are `RW0711`: names that are no names of variables, NUL bytes.
pub(super) fn script(
    line: &str,
    environment: &[(String, String)],
    marker: &str,
) -> Result<String, Fault> {
    let mut script = String::new();
    for (name, value) in environment {
        check_variable(name)?;
        let value = quote(value).ok_or_else(|| nul(&format!("variable `{name}`")))?;
        script.push_str(&format!("export {name}={value}\n"));
    }
    let line = quote(line).ok_or_else(|| nul("command"))?;
    // A shell of its own, so that the command sees nothing of this one, and its signals and
    // exit status are its own.
    script.push_str(&format!("exec /bin/sh -c {line}\n{marker}\n"));
    Ok(script)
}

/// Single quotes around everything, so that no byte means anything to the shell; `None` for NUL.
fn quote(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', r"'\''")))
}

fn nul(what: &str) -> Fault {
    Fault::untouched(codes::RW0711, format!("the {what} holds a NUL byte"))
        .help("No program can be given a NUL byte that way; use `stdin`.")
}

fn check_variable(name: &str) -> Result<(), Fault> {
    let fine = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if fine {
        return Ok(());
    }
    let what = format!("`{}` can't be the name of an environment variable", name.escape_debug());
    Err(Fault::untouched(codes::RW0711, what)
        .help("Use letters, digits and `_`, and begin with a letter."))
}

/// Looks for the line by which a session makes itself known. Gives the group, and where in `seen`
/// the line begins and ends.
pub(super) fn announced(seen: &[u8], marker: &str) -> Option<(Group, usize, usize)> {
    let at = seen.windows(marker.len()).position(|w| w == marker.as_bytes())?;
    let length = seen[at..].iter().position(|b| *b == b'\n')?;
    let line = String::from_utf8_lossy(&seen[at..at + length]);
    let mut words = line.split(' ').skip(1);
    let number = words.next().and_then(|w| w.parse().ok()).filter(|n| *n > 1);
    let start = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    Some((Group { number, start }, at, at + length + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_pass_through_any_login_shell() {
        for text in [OUTER, INNER, ENDER] {
            assert!(
                !text.contains(['\'', '!']) && !text.contains("\\\\") && text.lines().count() == 1
            );
        }
    }

    #[test]
    fn values_are_quoted_and_names_checked() {
        let environment = [("A_1".to_owned(), "it's $HOME\nnext".to_owned())];
        let text = script("echo 'a b'", &environment, "M").unwrap();
        assert_eq!(
            text,
            "export A_1='it'\\''s $HOME\nnext'\nexec /bin/sh -c 'echo '\\''a b'\\'''\nM\n"
        );
        for name in ["", "1A", "A-B", "A;id", "A=B", "Ä"] {
            assert!(script("id", &[(name.to_owned(), String::new())], "M").is_err(), "{name}");
        }
        assert_eq!(script("a\0b", &[], "M").unwrap_err().code, "RW0711");
    }

    #[test]
    fn the_announcement_is_found_between_noise() {
        let seen = b"motd\nM 42 977\nrest";
        let (group, from, to) = announced(seen, "M").unwrap();
        assert_eq!((group.number, group.start), (Some(42), 977));
        assert_eq!((&seen[..from], &seen[to..]), (&b"motd\n"[..], &b"rest"[..]));
        assert_eq!(announced(b"M 42 9", "M"), None);
        assert_eq!(announced(b"M 0 0\n", "M").unwrap().0.number, None);
        assert_eq!(end_request(Group { number: None, start: 0 }), None);
    }

    #[test]
    fn markers_differ() {
        assert_ne!(marker().unwrap(), marker().unwrap());
    }

    /// What a host would do with the texts: its login shell runs the request.
    fn start(shell: &str, own_group: bool) -> (std::process::Child, Group) {
        use std::{io::Read, os::unix::process::CommandExt, process::Stdio};
        let mut command = std::process::Command::new(shell);
        command.args(["-c", &request("M")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if own_group {
            command.process_group(0);
        }
        let mut child = command.spawn().unwrap();
        let mut seen = Vec::new();
        let stderr = child.stderr.as_mut().unwrap();
        while announced(&seen, "M").is_none() {
            let mut byte = [0];
            stderr.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        let (group, from, to) = announced(&seen, "M").unwrap();
        assert_eq!((from, to), (0, seen.len()));
        assert_eq!(group.number, Some(child.id()), "{shell}: a group of its own");
        (child, group)
    }

    fn send(child: &mut std::process::Child, text: &str) {
        use std::io::Write;
        child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn real_shells_run_the_command_with_its_input() {
        for (shell, own_group) in [("sh", true), ("bash", true), ("sh", false), ("bash", false)] {
            let (mut child, _) = start(shell, own_group);
            let environment = [("A".to_owned(), "it's\n\\x  y".to_owned())];
            let line = "printf '%s|' \"$A\" 'b  c' \"${rw_c-none}\"; cat; exit 9";
            send(&mut child, &script(line, &environment, "M").unwrap());
            send(&mut child, "rest of\ninput");
            let output = child.wait_with_output().unwrap();
            let shown = String::from_utf8(output.stdout).unwrap();
            assert_eq!(shown, "it's\n\\x  y|b  c|none|rest of\ninput", "{shell}");
            assert_eq!(output.status.code(), Some(9));
        }
    }

    #[test]
    fn a_text_that_is_cut_off_does_not_run() {
        let (mut child, _) = start("sh", true);
        let text = script("echo ran", &[], "M").unwrap();
        send(&mut child, text.strip_suffix("M\n").unwrap());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b""[..], Some(126)));
    }

    #[test]
    fn real_shells_end_a_group_and_tell() {
        for shell in ["sh", "bash"] {
            let (mut child, group) = start(shell, true);
            let line = "trap '' TERM; sleep 600 & sleep 600; sleep 600";
            send(&mut child, &script(line, &[], "M").unwrap());
            let end = |group| {
                let request = end_request(group).unwrap();
                let run = std::process::Command::new(shell).args(["-c", &request]).output();
                String::from_utf8(run.unwrap().stdout).unwrap()
            };
            // A number that has been given to another process since.
            assert_eq!(end(Group { start: group.start + 1, ..group }), "gone\n");
            assert_eq!(child.try_wait().unwrap(), None, "it was left alone");
            assert_eq!(end(group), "gone\n", "{shell}");
            assert!(!child.wait().unwrap().success());
            assert_eq!(end(group), "gone\n", "{shell}: twice is once");
        }
    }
}
