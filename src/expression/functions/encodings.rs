//! Filters that encode and decode: JSON, Base64, hexadecimal, digests, URLs.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{Call, Entry, optional};
use crate::{
    base::{Digest, Value, digest::hex},
    expression::{
        rendering::{Piece, percent_encoded},
        wrong::{Wrong, cut, sane_throughout},
    },
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::filter(
        "json",
        "The value as JSON text; decimals and times as strings. `pretty` puts it on several lines.",
        ("{'n': 1, 'sum': 1.50} | json", r#"{"n":1,"sum":"1.50"}"#),
        json,
    )
    .takes(&[optional("pretty")])
    .taints(),
    Entry::filter(
        "parse_json",
        "The value that a JSON text stands for; its fractions become exact decimals.",
        (r#"('{"a": [1, 2.50]}' | parse_json).a[1]"#, "2.50"),
        parse_json,
    ),
    Entry::filter(
        "base64",
        "Text (as UTF-8) or bytes in Base64.",
        ("'user:pass' | base64", "dXNlcjpwYXNz"),
        |call| encoded(call, |bytes| BASE64.encode(bytes)),
    )
    .taints(),
    Entry::filter(
        "unbase64",
        "What a Base64 text stands for: text where it is UTF-8, and else bytes.",
        ("'dXNlcjpwYXNz' | unbase64", "user:pass"),
        unbase64,
    )
    .taints(),
    Entry::filter(
        "hex",
        "Text (as UTF-8) or bytes in hexadecimal digits.",
        ("'abc' | hex", "616263"),
        |call| encoded(call, hex),
    )
    .taints(),
    Entry::filter(
        "sha256",
        "The SHA-256 digest of text (as UTF-8) or bytes, in 64 hexadecimal digits.",
        ("'abc' | sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        |call| encoded(call, |bytes| Digest::of(bytes).0.replace("sha256:", "")),
    )
    .taints(),
    Entry::filter(
        "urlencode",
        "Text with all but letters, digits and `-._~` percent-encoded; of a map, a query string.",
        ("{'q': 'a b', 'n': 1} | urlencode", "q=a%20b&n=1"),
        urlencode,
    )
    .taints(),
];

fn encoded(call: &Call<'_>, encode: impl Fn(&[u8]) -> String) -> Result<Value, Wrong> {
    let bytes = match call.input {
        Value::Bytes(bytes) => bytes.as_slice(),
        Value::Text(text) => text.as_bytes(),
        other => return Err(call.takes("text", other)),
    };
    call.budget.build(bytes.len().saturating_mul(2))?;
    Ok(Value::Text(encode(bytes)))
}

fn json(call: &Call<'_>) -> Result<Value, Wrong> {
    sane_throughout(call.input)?;
    let plain = call.input.to_plain();
    let text = match call.flag(0)? {
        true => format!("{plain:#}"),
        false => plain.to_string(),
    };
    call.budget.build(text.len())?;
    Ok(Value::Text(text))
}

fn parse_json(call: &Call<'_>) -> Result<Value, Wrong> {
    let text = call.text()?;
    call.budget.step(text.len() / 16)?;
    let value = serde_json::from_str(text).map(Value::from_json).map_err(|error| {
        Wrong::types(format!(
            "text `{}` is not JSON (line {}, column {})",
            cut(text),
            error.line(),
            error.column()
        ))
    })?;
    sane_throughout(&value)?;
    Ok(value)
}

fn unbase64(call: &Call<'_>) -> Result<Value, Wrong> {
    // Wrapped lines are common, and RFC 2045 says to ignore them.
    let digits: String = call.text()?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    call.budget.build(digits.len())?;
    let bytes = BASE64
        .decode(&digits)
        .map_err(|_| Wrong::types(format!("text `{}` is not Base64", cut(&digits))))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Bytes(error.into_bytes()),
    })
}

fn urlencode(call: &Call<'_>) -> Result<Value, Wrong> {
    let encode = |value: &Value| -> Result<String, Wrong> {
        if matches!(value, Value::Null | Value::List(_) | Value::Map(_)) {
            return Err(call.takes("texts and numbers", value));
        }
        let piece = Piece::of(value)?;
        call.budget.build(piece.len().saturating_mul(3))?;
        Ok(percent_encoded(piece.clear()))
    };
    let Value::Map(map) = call.input else { return encode(call.input).map(Value::Text) };
    let pairs: Vec<_> = map
        .iter()
        .map(|(key, value)| Ok(format!("{}={}", percent_encoded(key), encode(value)?)))
        .collect::<Result<_, Wrong>>()?;
    Ok(Value::Text(pairs.join("&")))
}
