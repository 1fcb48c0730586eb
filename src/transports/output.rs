//! What is kept of a command's output: the beginning, up to a cap, and a count of the rest.
//!
//! Owns the cap, so that memory stays flat however much a command writes. Must not know where the
//! bytes come from.

use crate::{model::Fault, ports::transport::CommandOutput};

/// One stream of output, kept up to a cap.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    max: usize,
    dropped: u64,
}

impl Kept {
    /// Keeps at most `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max, dropped: 0 }
    }

    /// Takes what has arrived.
    pub(super) fn push(&mut self, data: &[u8]) {
        let room = self.max.saturating_sub(self.bytes.len()).min(data.len());
        let (kept, rest) = data.split_at(room);
        self.bytes.extend_from_slice(kept);
        self.dropped = self.dropped.saturating_add(rest.len() as u64);
    }
}

/// The two streams of a command, with how it ended.
pub(super) fn gather(
    stdout: Kept,
    stderr: Kept,
    status: Option<i32>,
    signal: Option<String>,
) -> CommandOutput {
    CommandOutput {
        dropped: stdout.dropped.saturating_add(stderr.dropped),
        stdout: stdout.bytes,
        stderr: stderr.bytes,
        status,
        signal,
    }
}

/// The fault with the end of what was said last as its detail, where anything was said.
pub(super) fn with_tail(fault: Fault, bytes: &[u8]) -> Fault {
    Fault { detail: Some(tail(bytes, 1000)).filter(|d| !d.is_empty()), ..fault }
}

/// The end of a text, for the detail of a fault; at most `max` bytes, with an ellipsis.
pub(super) fn tail(bytes: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let cut = if start > 0 { "…" } else { "" };
    format!("{cut}{}", &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_cap_is_counted_and_dropped() {
        let mut kept = Kept::new(4);
        for part in [&b"ab"[..], b"cdef", b"gh"] {
            kept.push(part);
        }
        let output = gather(kept, Kept::new(4), Some(0), None);
        assert_eq!((output.stdout.as_slice(), output.dropped), (&b"abcd"[..], 4));
    }

    #[test]
    fn a_tail_is_cut_between_characters() {
        assert_eq!(tail("ação\n".as_bytes(), 100), "ação");
        assert_eq!(tail("ação".as_bytes(), 3), "…ão");
        assert_eq!(tail("ação".as_bytes(), 2), "…o");
        let fault = || Fault::untouched(crate::diagnostics::codes::RW0704, "");
        assert_eq!(with_tail(fault(), b" \n").detail, None);
        assert_eq!(with_tail(fault(), b"why\n").detail.as_deref(), Some("why"));
    }
}
