//! What type a plain scalar has: YAML 1.2's core schema, and what is too ambiguous for it.
//!
//! Owns the typing. Must not know what type is wanted. Words that YAML 1.1 and 1.2 read differently
//! (`no`, `0755`, `12:30`) are neither text nor anything else here: whoever wrote them is asked.

use bigdecimal::BigDecimal;

/// The type of a plain scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction, exact and with its scale; or a whole number beyond `i128`.
    Decimal(BigDecimal),
    /// Anything else.
    Text,
    /// Readers of YAML disagree; why, in words that follow "`x` ".
    Ambiguous(&'static str),
}

const WORDS: [&str; 8] = ["yes", "no", "on", "off", "y", "n", ".inf", ".nan"];

/// The type of this plain text (<https://yaml.org/spec/1.2.2/#103-core-schema>).
pub fn typed(text: &str) -> Typed {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Typed::Null,
        "true" | "True" | "TRUE" => return Typed::Bool(true),
        "false" | "False" | "FALSE" => return Typed::Bool(false),
        _ => {}
    }
    let unsigned = text.trim_start_matches(['-', '+']);
    if WORDS.iter().any(|w| unsigned.eq_ignore_ascii_case(w)) {
        return Typed::Ambiguous(if unsigned.starts_with('.') {
            "is not a number that can be computed with"
        } else {
            "is a boolean for some readers of YAML and text for others"
        });
    }
    // The rule of thumb that keeps words fast: what does not begin like a number is none.
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Typed::Text;
    }
    if text.len() - unsigned.len() > 1 {
        return Typed::Text;
    }
    number(text, unsigned)
}

fn number(text: &str, unsigned: &str) -> Typed {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let has_point = unsigned.contains('.');
    if digits(whole) && (!has_point || digits(fraction)) {
        if text.starts_with('+') {
            return Typed::Ambiguous("is a number that would lose its `+`");
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return Typed::Ambiguous("has a leading zero: octal for some readers of YAML");
        }
        if !has_point && let Ok(int) = text.parse() {
            return Typed::Int(int);
        }
        return text.parse().map_or(Typed::Text, Typed::Decimal);
    }
    if let Some(why) = odd_number(unsigned) { Typed::Ambiguous(why) } else { Typed::Text }
}

/// Why a text that begins like a number is one for some readers only.
fn odd_number(text: &str) -> Option<&'static str> {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let plain = |s: &str| {
        s.split_once('.').map_or(digits(s), |(a, b)| {
            (digits(a) || a.is_empty()) && (digits(b) || b.is_empty()) && s.len() > 1
        })
    };
    let radix = text.strip_prefix("0x").map(|t| (t, 16)).or_else(|| {
        text.strip_prefix("0o").map(|t| (t, 8)).or_else(|| text.strip_prefix("0b").map(|t| (t, 2)))
    });
    if let Some((rest, radix)) = radix
        && !rest.is_empty()
        && rest.chars().all(|c| c.is_digit(radix) || c == '_')
    {
        return Some("is a number in another base for some readers of YAML");
    }
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E'])
        && plain(mantissa)
        && digits(exponent.trim_start_matches(['-', '+']))
    {
        return Some("is a number with an exponent for some readers of YAML and text for others");
    }
    if text.contains('_') && plain(&text.replace('_', "")) {
        return Some("is a number for some readers of YAML and text for others");
    }
    let mut parts = text.split(':');
    if text.contains(':')
        && parts.next().is_some_and(digits)
        && parts.all(|p| digits(p.split('.').next().unwrap_or("")) && p.len() >= 2)
    {
        return Some("is a number in base 60 for some readers of YAML, and a time for people");
    }
    if plain(text) {
        return Some("is an unusual way to write a number");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema_is_followed() {
        for (text, value) in [
            ("~", Typed::Null),
            ("true", Typed::Bool(true)),
            ("False", Typed::Bool(false)),
            ("-12", Typed::Int(-12)),
            ("0", Typed::Int(0)),
            ("9007199254740993", Typed::Int(9_007_199_254_740_993)),
            ("text", Typed::Text),
            ("-", Typed::Text),
            ("--5", Typed::Text),
            ("1.2.3", Typed::Text),
            ("10.0.0.1", Typed::Text),
            ("5m", Typed::Text),
            ("2026-01-01", Typed::Text),
            ("2026-11-27T00:00:00-03:00", Typed::Text),
            ("e3", Typed::Text),
            ("1e", Typed::Text),
            ("12:3x", Typed::Text),
            ("...", Typed::Text),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
    }

    #[test]
    fn decimals_are_exact_and_keep_their_scale() {
        let Typed::Decimal(money) = typed("1.50") else { panic!("no decimal") };
        assert_eq!(money.to_plain_string(), "1.50");
        let Typed::Decimal(big) = typed(&"9".repeat(60)) else { panic!("no decimal") };
        assert_eq!(big.to_plain_string(), "9".repeat(60));
    }

    #[test]
    fn what_readers_disagree_on_is_ambiguous() {
        for text in [
            "no", "Yes", "ON", "off", "y", "N", "0755", "0o17", "0x1F", "1e3", "1.5E-3", "1_000",
            "12:30", "12:30:00", ".inf", "-.INF", ".nan", "+5511999", ".5", "1.", "007",
        ] {
            assert!(matches!(typed(text), Typed::Ambiguous(_)), "{text}: {:?}", typed(text));
        }
    }
}
