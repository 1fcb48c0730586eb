//! Values on their way to PostgreSQL, as the type that the server expects.
//!
//! The server says which type each parameter has. The few types whose value is plain are sent as
//! such; all others are sent as text and converted by the server's own input function, which
//! knows every type, every precision, and every way to be wrong.

use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo},
};

use super::decode::{
    BOOL, BPCHAR, BYTEA, FLOAT8, INT2, INT4, INT8, JSON, JSONB, NAME, TEXT, UNKNOWN, VARCHAR,
};
use crate::base::Value;

/// A value as it is sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// In the type's own binary form.
    Binary(Vec<u8>),
    /// As text, which the server converts.
    Text(String),
    /// NULL.
    Null,
}

/// How a value is sent to a parameter of this type.
pub(super) fn send(value: &Value, oid: u32) -> Sent {
    match (value, oid) {
        (Value::Null, _) => Sent::Null,
        (value, TEXT | VARCHAR | BPCHAR | NAME | UNKNOWN) => {
            Sent::Binary(literal(value).into_bytes())
        }
        (Value::Bool(b), BOOL) => Sent::Binary(vec![(*b).into()]),
        (Value::Bytes(bytes), BYTEA) => Sent::Binary(bytes.clone()),
        (Value::Float(f), FLOAT8) => Sent::Binary(f.to_be_bytes().to_vec()),
        (value, INT2 | INT4 | INT8) => integer(value, oid),
        (value @ (Value::List(_) | Value::Map(_)), JSON | JSONB) => {
            Sent::Text(value.to_wire().to_string())
        }
        (value, _) => Sent::Text(literal(value)),
    }
}

/// A whole number in its own form; what does not fit goes as text, and the server says why not.
fn integer(value: &Value, oid: u32) -> Sent {
    let Some(int) = value.as_int() else { return Sent::Text(literal(value)) };
    let bytes = match oid {
        INT2 => i16::try_from(int).ok().map(|i| i.to_be_bytes().to_vec()),
        INT4 => i32::try_from(int).ok().map(|i| i.to_be_bytes().to_vec()),
        _ => i64::try_from(int).ok().map(|i| i.to_be_bytes().to_vec()),
    };
    bytes.map_or_else(|| Sent::Text(int.to_string()), Sent::Binary)
}

/// A value as the server's input functions read it.
fn literal(value: &Value) -> String {
    match value {
        Value::Secret(secret) => secret.expose().to_owned(),
        Value::Float(f) if f.is_infinite() => {
            if *f > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            format!("\\x{hex}")
        }
        Value::List(_) => array_literal(value),
        Value::Map(_) => value.to_wire().to_string(),
        simple => simple.to_string(),
    }
}

/// `{1,NULL,"a b"}`, with lists in it as further dimensions.
pub(super) fn array_literal(value: &Value) -> String {
    match value {
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(array_literal).collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Null => "NULL".to_owned(),
        other => format!("\"{}\"", literal(other).replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// Bytes that sqlx sends for a parameter of this type.
pub(super) struct Parameter {
    pub(super) info: PgTypeInfo,
    pub(super) bytes: Option<Vec<u8>>,
}

impl Type<Postgres> for Parameter {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Parameter {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.bytes {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.info.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_quoted() {
        let list = Value::List(vec![
            Value::text("a\"b\\,{}"),
            Value::Null,
            Value::text("NULL"),
            Value::text(""),
        ]);
        assert_eq!(array_literal(&list), r#"{"a\"b\\,{}",NULL,"NULL",""}"#);
        let nested = Value::List(vec![Value::List(vec![Value::Int(1)]), Value::List(vec![])]);
        assert_eq!(array_literal(&nested), r#"{{"1"},{}}"#);
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_server() {
        assert!(matches!(send(&Value::Int(40_000), INT2), Sent::Text(t) if t == "40000"));
        assert!(matches!(send(&Value::text("abc"), INT4), Sent::Text(t) if t == "abc"));
        let five = Value::Decimal("5.00".parse().unwrap());
        assert!(matches!(send(&five, INT4), Sent::Binary(b) if b == [0, 0, 0, 5]));
        assert!(matches!(send(&Value::Int(5), TEXT), Sent::Binary(b) if b == b"5"));
        assert!(matches!(send(&Value::text(""), INT4), Sent::Text(t) if t.is_empty()));
    }
}
