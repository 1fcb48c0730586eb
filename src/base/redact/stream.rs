//! Redaction of output that arrives in pieces.
//!
//! Owns what is held back. Must not know what is being looked for.

use super::{Redactor, merge, replace};

/// So much of what was let through is kept, to see whether a number goes on.
const CONTEXT: usize = 128;
/// An escape is not cut in two: a cut moves back over at most this many backslashes.
const LONGEST_ESCAPE: usize = 64;
/// Held back at most, whatever is found: findings that overlap without end end here.
const MOST: usize = 1 << 20;

/// Takes pieces of output and gives them back redacted, later by as much as the longest finding
/// may need.
pub struct RedactingStream {
    redactor: Redactor,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were let through already.
    done: usize,
    /// Length of the buffer from which searching again is worth its cost.
    wait: usize,
}

impl RedactingStream {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, buffer: Vec::new(), done: 0, wait: 0 }
    }

    /// Takes a piece; gives what can be shown by now, which may be nothing.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.buffer.extend_from_slice(piece);
        let hold = self.redactor.reach();
        if self.buffer.len() < self.wait || self.buffer.len() - self.done <= hold {
            return Vec::new();
        }
        let out = self.release(self.buffer.len() - hold);
        // What is held back is searched again; a quarter more keeps that cost in proportion.
        self.wait = self.buffer.len() + hold / 4;
        out
    }

    /// Gives the rest.
    pub fn finish(&mut self) -> Vec<u8> {
        let out = self.release(self.buffer.len());
        self.buffer.clear();
        self.done = 0;
        out
    }

    fn release(&mut self, wanted: usize) -> Vec<u8> {
        let found = merge(self.redactor.find(&self.buffer, self.done));
        let mut cut = wanted;
        if wanted < self.buffer.len() {
            let backslashes = self.buffer[self.done..cut].iter().rev().take(LONGEST_ESCAPE);
            cut -= backslashes.take_while(|b| **b == b'\\').count();
            // A finding across the cut may go on: it waits as a whole.
            let across = found.iter().find(|f| f.range.start < cut && cut < f.range.end);
            if let Some(finding) = across {
                let room = self.buffer.len() - self.done < MOST;
                cut = if room { finding.range.start } else { finding.range.end };
            }
        }
        let out = replace(&self.buffer, found, self.done..cut);
        let keep = cut.saturating_sub(CONTEXT);
        self.buffer.drain(..keep);
        self.done = cut - keep;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn redactor() -> Redactor {
        let redactor = Redactor::new(&[]);
        for (name, clear) in [("a", "S3cr3t/P@ss+w0rd=\"x'&<\\é9"), ("b", "hunter2hunter2")] {
            redactor.learn(&Secret::new(name, "1", clear.into()));
        }
        redactor
    }

    fn streamed(text: &[u8], piece: usize) -> Vec<u8> {
        let mut stream = redactor().stream();
        let mut out = Vec::new();
        for piece in text.chunks(piece) {
            out.extend(stream.push(piece));
        }
        out.extend(stream.finish());
        out
    }

    #[test]
    fn pieces_of_any_size_give_what_the_whole_gives() {
        let mut text = "x".repeat(3000);
        for i in 0..40 {
            text.push_str(&"lorem \\\\ipsum 12 ".repeat(i % 7 * 9));
            text.push_str(
                [
                    "hunter2hunter2",
                    "aHVudGVyMmh1bnRlcjI=",
                    "S3cr3t/P@ss+w0rd=\\\"x'&<\\\\\\u00e99",
                    "hunter2\r\n    hunter2",
                    "4111 1111 1111 1111",
                    ";4111111111111111=29121010000012300000?",
                    "94111111111111111123",
                ][i % 7],
            );
        }
        let whole = redactor().bytes(text.as_bytes()).into_owned();
        assert!(!String::from_utf8_lossy(&whole).contains("hunter2"));
        for piece in [1, 2, 3, 7, 64, 1000, 4096, text.len()] {
            let out = streamed(text.as_bytes(), piece);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole), "{piece}");
        }
    }

    #[test]
    fn every_split_of_a_secret_is_found() {
        let filler = "-".repeat(5000);
        let text = format!("{filler}hunter2hunter2{filler}");
        for at in filler.len()..filler.len() + 14 {
            let mut stream = redactor().stream();
            let mut out = stream.push(&text.as_bytes()[..at]);
            out.extend(stream.push(&text.as_bytes()[at..]));
            out.extend(stream.finish());
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out, format!("{filler}‹secret b@1›{filler}"), "{at}");
        }
    }

    #[test]
    fn a_long_number_is_not_cut_into_a_card_number() {
        let digits = "4111111111111111".repeat(400);
        for piece in [1, 16, 100, 1600] {
            assert_eq!(streamed(digits.as_bytes(), piece), digits.as_bytes(), "{piece}");
        }
    }

    #[test]
    fn little_is_held_back() {
        let mut stream = redactor().stream();
        let shown = stream.push(&vec![b'x'; 100_000]).len();
        assert!(shown > 99_000, "{shown}");
    }
}
