//! Reads the exact bytes of a request, strictly: what an approver signed must have one meaning.
//!
//! Owns the form of the document. Must not know who signed it.

use std::{collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::{
    base::visible::escape_line,
    model::approval::{REQUEST_TYPE, Request},
};

/// Largest request, in bytes.
pub const MAX_REQUEST: usize = 256 * 1024;

/// The request that these bytes are. Refused: over `MAX_REQUEST`, a key that stands twice at any
/// depth (readers disagree on which one counts), an unknown or missing field, another type, and
/// anything behind the document.
pub fn parse(text: &str) -> Result<Request, String> {
    check_size(text)?;
    serde_json::from_str::<UniqueKeys>(text).map_err(|error| broken(&error))?;
    let request: Request = serde_json::from_str(text).map_err(|error| broken(&error))?;
    if request.r#type != REQUEST_TYPE {
        return Err(format!(
            "this is a `{}` and no `{REQUEST_TYPE}`; sign what `runward request` writes",
            escape_line(&request.r#type)
        ));
    }
    Ok(request)
}

/// Refuses a text that is too large before anything is computed over it.
pub(super) fn check_size(text: &str) -> Result<(), String> {
    match text.len() {
        0..=MAX_REQUEST => Ok(()),
        size => Err(format!(
            "the request has {size} bytes, over the limit of {MAX_REQUEST}; split the change into \
             smaller steps"
        )),
    }
}

fn broken(error: &serde_json::Error) -> String {
    // The library's words name fields and kinds, and may quote the document.
    let what = escape_line(&error.to_string());
    format!("the request can't be read ({what}); fetch it again with `runward request`")
}

/// Any JSON in which no object has a key twice.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_bool<E>(self, _: bool) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_i64<E>(self, _: i64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_u64<E>(self, _: u64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_f64<E>(self, _: f64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_str<E>(self, _: &str) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<UniqueKeys, A::Error> {
        while items.next_element::<UniqueKeys>()?.is_some() {}
        Ok(UniqueKeys)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(serde::de::Error::custom(format!("the key `{key}` stands twice")));
            }
            seen.insert(key);
            entries.next_value::<UniqueKeys>()?;
        }
        Ok(UniqueKeys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approvals::verify::examples;

    #[test]
    fn a_request_reads_as_it_was_written() {
        let request = examples::request();
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(parse(&text), Ok(request));
    }

    #[test]
    fn numbers_of_any_size_are_no_duplicates() {
        let text = r#"[1, -2.50, 1e400, 123456789012345678901234567890, {"a": 1.0, "b": [2.0]}]"#;
        assert!(serde_json::from_str::<UniqueKeys>(text).is_ok());
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        let text = serde_json::to_string(&examples::request()).unwrap();
        let outer = text.replacen('{', r#"{"required":0,"#, 1);
        assert!(parse(&outer).unwrap_err().contains("`required` stands twice"));
        let inner = text.replacen(r#""arguments":{"#, r#""arguments":{"table":"x","#, 1);
        assert_ne!(inner, text);
        assert!(parse(&inner).unwrap_err().contains("`table` stands twice"));
        // The same key in another spelling of JSON.
        let escaped = text.replacen(r#""arguments":{"#, r#""arguments":{"t\u0061ble":"x","#, 1);
        assert!(parse(&escaped).unwrap_err().contains("`table` stands twice"));
    }

    #[test]
    fn anything_but_one_whole_request_is_refused() {
        let text = serde_json::to_string(&examples::request()).unwrap();
        let other_type = text.replacen("runward.request/v1", "runward.decision/v1", 1);
        assert!(parse(&other_type).unwrap_err().contains("`runward.decision/v1`"));
        let unknown = text.replacen('{', r#"{"extra":1,"#, 1);
        assert!(parse(&unknown).unwrap_err().contains("unknown field"));
        let missing = text.replacen(r#""required":2,"#, "", 1);
        assert!(parse(&missing).unwrap_err().contains("missing field"));
        for wrong in ["", "{}", "null", "\u{feff}{}", &format!("{text}{text}"), &text[1..]] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let large = format!("{text}{}", " ".repeat(MAX_REQUEST));
        assert!(parse(&large).unwrap_err().contains("over the limit"));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(&deep).is_err());
    }
}
