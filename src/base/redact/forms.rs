//! The forms of a secret that no decoder of `view` reads: base64, hexadecimal, UTF-16, doubled
//! quotes.
//!
//! Owns the list of forms. Must not know how they are searched for.

use std::collections::BTreeSet;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::{SHORTEST, view};
use crate::base::digest::hex;

/// A line of a secret of several lines is a secret by itself from this length on.
const SHORTEST_LINE: usize = 8;

/// Every form of this clear text that is looked for, without line breaks.
pub(super) fn of(clear: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    let mut parts = vec![clear, clear.trim()];
    if clear.trim().contains('\n') {
        // The first and last line of a PEM file say what it is and are the same in every file.
        parts.extend(
            clear
                .lines()
                .map(str::trim)
                .filter(|l| l.len() >= SHORTEST_LINE && !l.starts_with("-----")),
        );
    }
    for part in parts {
        if part.chars().count() >= SHORTEST {
            add(&mut forms, part);
        }
    }
    forms.into_iter().map(joined).filter(|form| form.len() >= SHORTEST).collect()
}

fn add(forms: &mut BTreeSet<Vec<u8>>, text: &str) {
    let bytes = text.as_bytes();
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for base in [bytes, &little] {
        for offset in 0..3 {
            forms.insert(base64_core(base, offset, false));
            forms.insert(base64_core(base, offset, true));
        }
    }
    for inner in 0..3 {
        let once = base64_core(bytes, inner, false);
        forms.extend((0..3).map(|outer| base64_core(&once, outer, false)));
    }
    let lower = hex(bytes);
    let pairs: Vec<&str> =
        lower.as_bytes().chunks(2).filter_map(|p| str::from_utf8(p).ok()).collect();
    for separator in ["", ":", " ", "-"] {
        let text = pairs.join(separator);
        forms.insert(text.to_uppercase().into_bytes());
        forms.insert(text.into_bytes());
    }
    for (plain, written) in [
        ("'", "''"),      // SQL, YAML
        ("\"", "\"\""),   // CSV
        ("'", r"'\''"),   // shells
        ("'", "'\"'\"'"), // shells, as Python quotes for them
        (" ", "+"),       // forms
    ] {
        forms.insert(text.replace(plain, written).into_bytes());
    }
    forms.insert(quoted_printable(bytes, false));
    forms.insert(quoted_printable(bytes, true));
    forms.extend([bytes.to_vec(), little, big]);
}

/// Searching looks at text without line breaks, so the forms have none either.
fn joined(form: Vec<u8>) -> Vec<u8> {
    view::joined(&form).map_or(form, |view| view.bytes)
}

/// The part of base64 of `anything + bytes + anything` that depends on `bytes` only, when
/// `offset` bytes (modulo 3) stand before them.
fn base64_core(bytes: &[u8], offset: usize, url: bool) -> Vec<u8> {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(bytes);
    let text = if url { URL_SAFE_NO_PAD.encode(&padded) } else { STANDARD_NO_PAD.encode(&padded) };
    let range = (offset * 8).div_ceil(6)..padded.len() * 8 / 6;
    text.as_bytes().get(range).unwrap_or_default().to_vec()
}

/// RFC 2045, without its soft line breaks.
fn quoted_printable(bytes: &[u8], spaces: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 3);
    for &b in bytes {
        match b {
            b' ' | b'\t' if !spaces => out.push(b),
            b'!'..=b'~' if b != b'=' => out.push(b),
            _ => out.extend_from_slice(format!("={b:02X}").as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_core_of_base64_stands_in_every_text_around_the_secret() {
        let secret = b"S3cr3t/P@ss+w0rd";
        for offset in 0..3 {
            let core = base64_core(secret, offset, false);
            for (before, after) in [(0u8, 0u8), (255, 255), (b'x', b'y')] {
                let text = [&vec![before; offset + 3][..], secret, &[after, after]].concat();
                let encoded = STANDARD.encode(text);
                assert!(encoded.contains(str::from_utf8(&core).unwrap()), "{offset} {before}");
            }
        }
    }

    #[test]
    fn the_lines_of_a_key_are_forms_and_its_frame_is_not() {
        let forms = of("-----BEGIN KEY-----\nAAAABBBBCCCC\nshort\n-----END KEY-----\n");
        assert!(forms.contains(b"AAAABBBBCCCC".as_slice()));
        assert!(!forms.contains(b"-----END KEY-----".as_slice()));
        assert!(!forms.contains(b"short".as_slice()));
    }
}
