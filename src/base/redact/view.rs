//! The same text without an encoding, and where each part of it came from.
//!
//! Owns the decoders that redaction looks through: line breaks and terminal sequences, backslash
//! escapes, percent-encoding, HTML entities. Must not know what is being looked for.
//!
//! Looking through a decoder finds every mixture of escaped and plain characters, where a list of
//! encoded forms would find only the mixtures that somebody thought of.

use std::ops::Range;

use memchr::{memchr, memchr3, memmem};

/// Decoded bytes that know where they came from.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// From `at` up to the next mark: copied from `source` when `unit` is 0, else all of it decoded
/// from the `unit` bytes at `source`.
struct Mark {
    at: usize,
    source: usize,
    unit: usize,
}

impl View {
    fn new(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), marks: Vec::new() }
    }

    fn copy(&mut self, source: &[u8], range: Range<usize>) {
        if !range.is_empty() {
            self.marks.push(Mark { at: self.bytes.len(), source: range.start, unit: 0 });
            self.bytes.extend_from_slice(&source[range]);
        }
    }

    fn decoded(&mut self, bytes: &[u8], source: Range<usize>) {
        if !bytes.is_empty() {
            self.marks.push(Mark {
                at: self.bytes.len(),
                source: source.start,
                unit: source.len(),
            });
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The range in the source that a range which is not empty came from.
    pub(super) fn source(&self, range: &Range<usize>) -> Range<usize> {
        let mark = |at: usize| &self.marks[self.marks.partition_point(|m| m.at <= at) - 1];
        let (first, last) = (mark(range.start), mark(range.end - 1));
        let start = first.source + if first.unit == 0 { range.start - first.at } else { 0 };
        let end = last.source + if last.unit == 0 { range.end - last.at } else { last.unit };
        start..end
    }
}

/// A decoder; `None` when it would change nothing.
pub(super) type Decoder = fn(&[u8]) -> Option<View>;

/// Those that may be nested in each other.
pub(super) const DECODERS: &[Decoder] = &[backslashes, percents, entities];

/// Takes out what splits a word without being part of it: line breaks with the indentation behind
/// them, terminal sequences, NUL and zero-width characters.
pub(super) fn joined(source: &[u8]) -> Option<View> {
    // The bytes that NUL and the zero-width characters begin with; most output has none of them.
    let rare = memchr3(0, 0xe2, 0xef, source).is_some_and(|_| {
        memchr(0, source).is_some()
            || ZERO_WIDTH.iter().any(|z| memmem::find(source, z.as_bytes()).is_some())
    });
    let next = |from: usize| {
        let rest = &source[from..];
        if rare {
            (0..rest.len()).find(|&i| skipped(&rest[i..]) > 0)
        } else {
            memchr3(b'\n', b'\r', 0x1b, rest)
        }
        .map(|i| from + i)
    };
    let mut at = next(0)?;
    let mut view = View::new(source.len());
    let mut done = 0;
    loop {
        view.copy(source, done..at);
        done = at + skipped(&source[at..]);
        match next(done) {
            Some(i) => at = i,
            None => break,
        }
    }
    view.copy(source, done..source.len());
    Some(view)
}

const ZERO_WIDTH: [&str; 5] = ["\u{200b}", "\u{200c}", "\u{200d}", "\u{2060}", "\u{feff}"];

/// How many of the first bytes do not count.
fn skipped(rest: &[u8]) -> usize {
    match rest {
        [0, ..] => 1,
        [b'\n' | b'\r', tail @ ..] => {
            1 + tail.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
        }
        // ECMA-48 control sequences; the bound keeps a stray introducer from eating text.
        [0x1b, b'[', tail @ ..] => {
            let parameters = tail.iter().take(24).take_while(|b| (0x20..0x40).contains(*b)).count();
            match tail.get(parameters) {
                Some(0x40..=0x7e) => parameters + 3,
                _ => 1,
            }
        }
        [0x1b, b'(' | b')', _, ..] => 3,
        [0x1b, ..] => 1,
        [0xe2 | 0xef, ..] => {
            ZERO_WIDTH.iter().find(|z| rest.starts_with(z.as_bytes())).map_or(0, |z| z.len())
        }
        _ => 0,
    }
}

/// The loop that all of the following share: whatever stands at `introducer` is read by `read`,
/// which gives the bytes and how long their encoding is.
fn decode(
    source: &[u8],
    introducer: u8,
    read: impl Fn(&[u8]) -> Option<(Decoded, usize)>,
) -> Option<View> {
    let mut view: Option<View> = None;
    let (mut done, mut from) = (0, 0);
    while let Some(i) = memchr(introducer, &source[from..]) {
        let at = from + i;
        match read(&source[at..]) {
            Some((decoded, length)) => {
                let view = view.get_or_insert_with(|| View::new(source.len()));
                view.copy(source, done..at);
                view.decoded(decoded.as_bytes(), at..at + length);
                done = at + length;
                from = done;
            }
            None => from = at + 1,
        }
    }
    let mut view = view?;
    view.copy(source, done..source.len());
    Some(view)
}

/// Up to four bytes.
struct Decoded([u8; 4], usize);

impl Decoded {
    fn byte(byte: u8) -> Self {
        Self([byte, 0, 0, 0], 1)
    }

    fn character(code: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = char::from_u32(code)?.encode_utf8(&mut bytes).len();
        Some(Self(bytes, length))
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// Backslash escapes of JSON, C, shells, Rust and Python; any other escaped character is itself.
fn backslashes(source: &[u8]) -> Option<View> {
    decode(source, b'\\', |rest| {
        let hexadecimal = |from: usize, length: usize| {
            rest.get(from..from + length).and_then(|digits| number(digits, 16))
        };
        let escaped = *rest.get(1)?;
        let exact = match escaped {
            b'u' if rest.get(2) == Some(&b'{') => {
                let length = memchr(b'}', rest.get(3..11.min(rest.len()))?)?;
                hexadecimal(3, length).and_then(Decoded::character).map(|d| (d, length + 4))
            }
            b'u' => hexadecimal(2, 4).and_then(|high| {
                if !(0xd800..0xdc00).contains(&high) {
                    return Decoded::character(high).map(|d| (d, 6));
                }
                let low = hexadecimal(8, 4).filter(|_| rest[6..].starts_with(b"\\u"))?;
                let pair = low.checked_sub(0xdc00)?;
                Decoded::character(0x10000 + ((high - 0xd800) << 10) + pair).map(|d| (d, 12))
            }),
            b'U' => hexadecimal(2, 8).and_then(Decoded::character).map(|d| (d, 10)),
            b'x' => hexadecimal(2, 2).map(|code| (Decoded::byte(code as u8), 4)),
            b'0'..=b'7' => {
                let digits = rest[1..].iter().take(3).take_while(|b| (b'0'..=b'7').contains(b));
                let length = digits.count();
                number(&rest[1..=length], 8).map(|code| (Decoded::byte(code as u8), length + 1))
            }
            _ => None,
        };
        let control = |byte: u8| Some((Decoded::byte(byte), 2));
        exact.or_else(|| match escaped {
            b'n' => control(b'\n'),
            b'r' => control(b'\r'),
            b't' => control(b'\t'),
            b'b' => control(8),
            b'f' => control(12),
            b'v' => control(11),
            b'a' => control(7),
            b'e' => control(0x1b),
            // A character of several bytes keeps the others: they follow as they are.
            other => control(other),
        })
    })
}

/// Percent-encoding of URLs and forms.
fn percents(source: &[u8]) -> Option<View> {
    decode(source, b'%', |rest| {
        let code = number(rest.get(1..3)?, 16)?;
        Some((Decoded::byte(code as u8), 3))
    })
}

/// HTML and XML entities: the five names, and numbers.
fn entities(source: &[u8]) -> Option<View> {
    decode(source, b'&', |rest| {
        let end = memchr(b';', &rest[..rest.len().min(12)])?;
        let decoded = match &rest[1..end] {
            b"amp" => Decoded::byte(b'&'),
            b"lt" => Decoded::byte(b'<'),
            b"gt" => Decoded::byte(b'>'),
            b"quot" => Decoded::byte(b'"'),
            b"apos" => Decoded::byte(b'\''),
            [b'#', b'x' | b'X', digits @ ..] => Decoded::character(number(digits, 16)?)?,
            [b'#', digits @ ..] => Decoded::character(number(digits, 10)?)?,
            _ => return None,
        };
        Some((decoded, end + 1))
    })
}

/// Unlike `from_str_radix`, takes no sign.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |sum, &b| {
        sum.checked_mul(radix)?.checked_add(char::from(b).to_digit(radix)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(decoder: Decoder, text: &str) -> String {
        let bytes = decoder(text.as_bytes()).map_or(text.as_bytes().to_vec(), |v| v.bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn each_decoder_reads_its_encoding() {
        assert_eq!(
            decoded(backslashes, r#"a\u0041\x42\103\"\\\/\u{e9}\ud83d\ude00"#),
            "aABC\"\\/é😀"
        );
        assert_eq!(decoded(backslashes, r"\ud83d \uzz \x4 \9 \"), "ud83d uzz x4 9 \\");
        assert_eq!(decoded(percents, "a%41%c3%A9%zz%"), "aAé%zz%");
        assert_eq!(
            decoded(entities, "&lt;&#65;&#x42;&amp;&nope;&#xffffffff;&"),
            "<AB&&nope;&#xffffffff;&"
        );
        assert_eq!(decoded(joined, "a\r\n  b\x1b[1;31mc\x1b(Bd\0e\u{200b}f\x1b]g"), "abcdef]g");
    }

    #[test]
    fn what_has_no_encoding_gives_no_view() {
        for decoder in DECODERS {
            assert!(decoder("50% of & \u{e9}".as_bytes()).is_none());
        }
        assert!(joined("plain ‹text›".as_bytes()).is_none());
    }

    #[test]
    fn a_range_maps_to_all_of_its_encoding() {
        let source = br"ab\u0041\u00e9cd";
        let view = backslashes(source).unwrap();
        assert_eq!(view.bytes, "abAécd".as_bytes());
        assert_eq!(view.source(&(0..2)), 0..2);
        assert_eq!(view.source(&(2..3)), 2..8);
        assert_eq!(view.source(&(1..5)), 1..14);
        assert_eq!(view.source(&(5..7)), 14..16);
    }
}
