//! Who holds a run: a process on a host, in words that a colleague can act on and that this host
//! can check.

use std::fs;

/// This process: `ana@bastion, process 4711 (started 8123456)`. The second number tells it from
/// another process that gets the same id later.
pub fn this(login: &str, host: &str) -> String {
    let id = std::process::id();
    let started = started(id).unwrap_or_default();
    format!("{login}@{host}, process {id} (started {started})")
}

/// The same for people, who have no use for ticks.
pub fn shown(holder: &str) -> &str {
    holder.split(" (started ").next().unwrap_or(holder)
}

/// Is this the holder of a process of this host that is no more? Of other hosts nobody here
/// knows, and their leases run out by themselves.
pub fn is_dead(holder: &str, host: &str) -> bool {
    let Some((who, rest)) = holder.split_once(", process ") else { return false };
    let Some((_, there)) = who.rsplit_once('@') else { return false };
    let Some((id, began)) = rest.split_once(" (started ") else { return false };
    let (Ok(id), began) = (id.parse(), began.trim_end_matches(')')) else { return false };
    there == host && fs::exists("/proc/self/stat").unwrap_or(false) && {
        started(id).is_none_or(|now| now != began)
    }
}

/// When a process began, in ticks since the machine did: field 22 of `/proc/PID/stat`, proc(5).
fn started(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything, also spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let state = fields.split_whitespace().next()?;
    // A zombie has ended; only its parent has not looked yet.
    if state == "Z" || state == "X" {
        return None;
    }
    fields.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_that_began_at_another_time_does_not() {
        let me = this("ana", "bastion");
        assert!(!is_dead(&me, "bastion"));
        let id = std::process::id();
        let other = format!("ana@bastion, process {id} (started 1)");
        assert!(is_dead(&other, "bastion"));
        assert!(!is_dead(&other, "elsewhere"), "of other hosts nobody here knows");
        assert!(!is_dead("nobody", "bastion"));
    }
}
