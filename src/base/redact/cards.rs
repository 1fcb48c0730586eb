//! Card numbers and the data of magnetic stripes in text.
//!
//! Owns how they are recognised and what may be shown of them: the first six and the last four
//! digits, PCI DSS 4.0 requirement 3.4.1; nothing of a track, requirement 3.3.1.1. Must not know
//! secrets.

use std::ops::Range;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use memchr::memchr3_iter;

use super::Finding;

/// What stands for the data of a track.
const TRACK: &str = "‹track data›";
/// What stands for a card number in base64, of which no part can be shown.
const ENCODED: &str = "‹card number›";
/// ISO/IEC 7813: a track has at most 79 characters; some more for separators between digits.
const LONGEST_TRACK: usize = 100;
/// How far around a number its word is looked at.
const WORD: usize = 64;

/// Issuers: the first six digits from, up to and with; shortest and longest number. From the public
/// tables of issuer identification numbers (ISO/IEC 7812), with Brazil's Elo and Hipercard.
const ISSUERS: &[(u32, u32, usize, usize)] = &[
    (220_000, 220_499, 16, 19), // Mir
    (222_100, 272_099, 16, 16), // Mastercard
    (300_000, 305_999, 14, 19), // Diners Club
    (309_500, 309_599, 14, 19), // Diners Club
    (340_000, 349_999, 15, 15), // American Express
    (352_800, 358_999, 16, 19), // JCB
    (360_000, 369_999, 14, 19), // Diners Club
    (370_000, 379_999, 15, 15), // American Express
    (380_000, 399_999, 14, 19), // Diners Club, Hipercard
    (500_000, 509_999, 13, 19), // Maestro, Elo
    (510_000, 559_999, 16, 16), // Mastercard
    (560_000, 589_999, 13, 19), // Maestro
    (601_100, 601_199, 16, 19), // Discover
    (604_201, 604_219, 16, 19), // Cabal
    (606_282, 606_282, 13, 19), // Hipercard
    (607_000, 608_999, 16, 16), // RuPay
    (620_000, 629_999, 16, 19), // UnionPay, Elo
    (630_400, 630_499, 13, 19), // Maestro
    (636_297, 636_297, 16, 16), // Elo
    (636_368, 636_368, 16, 16), // Elo
    (637_095, 637_095, 13, 19), // Hipercard
    (637_568, 637_612, 13, 19), // Hipercard
    (639_000, 639_099, 13, 19), // Maestro
    (644_000, 659_999, 16, 19), // Discover, Elo
    (670_000, 679_999, 13, 19), // Maestro
];

/// Visa has three lengths and nothing between them.
fn is_visa(first: u32, length: usize) -> bool {
    (400_000..=499_999).contains(&first) && matches!(length, 13 | 16 | 19)
}

/// How numbers are printed in groups. Any other grouping is a row of numbers that happen to stand
/// beside each other.
fn is_layout(sizes: &[usize]) -> bool {
    match sizes {
        [4, 4, 4, last] => (1..=4).contains(last),
        [4, 4, 4, 4, last] => (1..=3).contains(last),
        [4, 6, 4 | 5] | [4, 4, 5] | [6, 13] => true,
        _ => false,
    }
}

/// Is this a card number: an issuer's first digits, a length that it uses, the Luhn checksum?
fn is_card(digits: &[u8]) -> bool {
    let length = digits.len();
    if !(13..=19).contains(&length) {
        return false;
    }
    let first = digits[..6].iter().fold(0, |sum, d| sum * 10 + u32::from(d - b'0'));
    let issued = is_visa(first, length)
        || ISSUERS.iter().any(|(from, to, shortest, longest)| {
            (*from..=*to).contains(&first) && (*shortest..=*longest).contains(&length)
        });
    issued && luhn(digits)
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d - b'0') << (i % 2);
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Finds card numbers and tracks that begin at `from` or behind it; what is before is looked at
/// only to see whether a number goes on.
pub(super) fn find(source: &[u8], from: usize, found: &mut Vec<Finding>) {
    let mut at = from;
    while at < source.len() {
        // Every card number has a group of at least four digits, which every fourth byte meets.
        if !source[at].is_ascii_digit() {
            at += 4;
            continue;
        }
        let run = digits_around(source, at);
        at = run.end + 4;
        if run.start < from || run.len() < 4 {
            continue;
        }
        if let Some(finding) = number_at(source, &run) {
            at = at.max(finding.range.end);
            found.push(finding);
        }
    }
    find_encoded(source, from, found);
}

/// A card number alone in base64. Digits encode to words that begin with M, N or O.
fn find_encoded(source: &[u8], from: usize, found: &mut Vec<Finding>) {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    for start in memchr3_iter(b'M', b'N', b'O', source) {
        if start < from || start.checked_sub(1).is_some_and(|i| is_base64(&source[i])) {
            continue;
        }
        let length = source[start..].iter().take(WORD).take_while(|b| is_base64(b)).count();
        if !(18..=31).contains(&length) {
            continue;
        }
        let Ok(clear) = STANDARD_NO_PAD.decode(&source[start..start + length]) else { continue };
        let mut inner = Vec::new();
        find(&clear, 0, &mut inner);
        if inner.iter().any(|f| f.range == (0..clear.len())) {
            let padding = source[start + length..].iter().take_while(|b| **b == b'=').count();
            found.push(Finding::card(start..start + length + padding, ENCODED.to_owned()));
        }
    }
}

fn digits_around(source: &[u8], at: usize) -> Range<usize> {
    let before = source[..at].iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let after = source[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    at - before..at + after
}

/// The number that begins with this run of digits, alone or as the first of its groups.
fn number_at(source: &[u8], run: &Range<usize>) -> Option<Finding> {
    if run.len() >= 13 {
        let zeros = source[run.clone()].iter().take_while(|b| **b == b'0').count();
        return [run.start, run.start + zeros]
            .into_iter()
            .find_map(|s| {
                let number = s..run.end;
                is_card(&source[number.clone()]).then(|| finding(source, number)).flatten()
            })
            .or_else(|| prefixed_track(source, run));
    }
    let separator = *source.get(run.end).filter(|b| matches!(b, b' ' | b'-'))?;
    let mut groups = vec![run.clone()];
    let mut best = None;
    loop {
        let end = groups.last()?.end;
        if source.get(end) != Some(&separator)
            || !source.get(end + 1).is_some_and(u8::is_ascii_digit)
            || groups.len() == 5
        {
            break;
        }
        groups.push(digits_around(source, end + 1));
        let sizes: Vec<usize> = groups.iter().map(Range::len).collect();
        let number = run.start..groups.last()?.end;
        if is_layout(&sizes) && is_card(&digits(&source[number.clone()])) {
            best = finding(source, number);
        }
    }
    best
}

/// ISO 8583 writes the length before a track: `37` and the number without anything between.
fn prefixed_track(source: &[u8], run: &Range<usize>) -> Option<Finding> {
    let number = run.start + 2..run.end;
    is_card(&source[number.clone()]).then(|| track(source, &number)).flatten()
}

fn digits(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii_digit).collect()
}

fn finding(source: &[u8], number: Range<usize>) -> Option<Finding> {
    track(source, &number).or_else(|| {
        let plain = !is_fraction(source, &number) && !is_hexadecimal(source, &number);
        plain.then(|| {
            let shown = masked(&source[number.clone()]);
            Finding::card(number, shown)
        })
    })
}

/// First six and last four digits, and all separators.
fn masked(number: &[u8]) -> String {
    let count = number.iter().filter(|b| b.is_ascii_digit()).count();
    let mut nth = 0;
    number
        .iter()
        .map(|&b| {
            if !b.is_ascii_digit() {
                return char::from(b);
            }
            nth += 1;
            if nth <= 6 || nth + 4 > count { char::from(b) } else { '*' }
        })
        .collect()
}

/// The whole track that the number is in: `%B…^…?`, `;…=…?`, or a chip's `…D…F`.
fn track(source: &[u8], number: &Range<usize>) -> Option<Finding> {
    let before = &source[..number.start];
    let rest = &source[number.end..];
    let rest = &rest[..rest.len().min(LONGEST_TRACK)];
    let (start, length) = match rest.first()? {
        b'^' if before.ends_with(b"B") => {
            let sentinel = usize::from(before.ends_with(b"%B"));
            let line = rest.iter().take_while(|b| !matches!(b, b'?' | b'\n' | b'\r' | b'"'));
            let line = line.count();
            (number.start - 1 - sentinel, line + usize::from(rest.get(line) == Some(&b'?')))
        }
        b'=' | b'D' | b'd' => {
            let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            // Four digits of expiry and three of service code must be there.
            if digits < 7 {
                return None;
            }
            let end = rest[1 + digits..].iter().take(2).take_while(|b| b"?Ff".contains(b)).count();
            (number.start - usize::from(before.ends_with(b";")), 1 + digits + end)
        }
        _ => return None,
    };
    Some(Finding::track(start..number.end + length, TRACK.to_owned()))
}

/// `4111111111111111.25` is an amount.
fn is_fraction(source: &[u8], number: &Range<usize>) -> bool {
    let digit = |i: usize| source.get(i).is_some_and(u8::is_ascii_digit);
    let after = source.get(number.end) == Some(&b'.') && digit(number.end + 1);
    let before = number.start >= 2 && source[number.start - 1] == b'.' && digit(number.start - 2);
    before || after
}

/// A part of a longer hexadecimal id.
fn is_hexadecimal(source: &[u8], number: &Range<usize>) -> bool {
    let before = source[..number.start].iter().rev().take(WORD);
    let before: Vec<u8> = before.take_while(|b| b.is_ascii_alphanumeric()).copied().collect();
    let after = source[number.end..].iter().take(WORD);
    let after: Vec<u8> = after.take_while(|b| b.is_ascii_alphanumeric()).copied().collect();
    let mut word = before.iter().chain(&after);
    let letters = word.clone().any(u8::is_ascii_alphabetic);
    let hexadecimal = word.all(u8::is_ascii_hexdigit);
    // The bytes before the number are in reverse order.
    (letters && hexadecimal) || before.starts_with(b"x0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        let mut found = Vec::new();
        find(text.as_bytes(), 0, &mut found);
        let out = super::super::replace(text.as_bytes(), super::super::merge(found), 0..text.len());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn issuers_lengths_and_checksums_decide() {
        for number in [
            "4222222222222",
            "4111111111111111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "6200000000000005",
            "6759649826438453",
            "6362970000457013",
            "6062826786276634",
        ] {
            assert!(is_card(number.as_bytes()), "{number}");
        }
        for number in [
            "4111111111111112",
            "1234567890123456",
            "20260101123456789",
            "1735689600000",
            "411111111111111",
            "0000000000000000",
        ] {
            assert!(!is_card(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn the_first_six_and_last_four_digits_stay() {
        for (text, masked) in [
            ("4111111111111111", "411111******1111"),
            ("pan=4111111111111111;exp=2912", "pan=411111******1111;exp=2912"),
            ("4111 1111 1111 1111", "4111 11** **** 1111"),
            ("16 4111-1111-1111-1111.", "16 4111-11**-****-1111."),
            ("3782 822463 10005 ", "3782 82**** *0005 "),
            ("x 0004111111111111111", "x 000411111******1111"),
            ("2026 4111 1111 1111 1111 2912", "2026 4111 11** **** 1111 2912"),
            ("4111111111111111,12\n4111111111111111", "411111******1111,12\n411111******1111"),
            ("PAN4111111111111111", "PAN411111******1111"),
            ("NDExMTExMTExMTExMTExMQ== x", "‹card number› x"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }

    #[test]
    fn tracks_go_wholly() {
        for (text, masked) in [
            (";4111111111111111=29121010000012300000? t", "‹track data› t"),
            ("%B4111111111111111^DOE/JOHN^2912101? t", "‹track data› t"),
            ("%B4111 1111 1111 1111^DOE^2912\nt", "‹track data›\nt"),
            ("57:4111111111111111D29121010000012300000F t", "57:‹track data› t"),
            ("374111111111111111=29121010000012300000", "37‹track data›"),
            ("4111111111111111=2912", "411111******1111=2912"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "94111111111111111123",
            "4111111111111111.25",
            "0.4111111111111111",
            "4111111111111111ab",
            "0x4111111111111111",
            "550e8400-e29b-41d4-a716-446655440000",
            "41111111-1111-1111-1111-111111111111",
            "411111******1111",
            "4111 1111\n1111 1111",
            "4111  1111 1111 1111",
            "4111-1111 1111-1111",
            "2024-01-15 10:11:12",
            "+5511912345678",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
