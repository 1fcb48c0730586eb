//! Values across the sandbox's wall, both ways.
//!
//! Owns which Lua value stands for which value of a step. Must not know what scripts are for.
//!
//! | value | in Lua | on the way back |
//! | --- | --- | --- |
//! | null | `nil`; in a list `runward.null`, which keeps the place | null |
//! | integer up to 2^53 | number | integer, when it has no fraction |
//! | larger integer, decimal | `decimal` | the same |
//! | float | number | float, when it has a fraction |
//! | text | string | text; bytes when it is no UTF-8 |
//! | bytes | buffer | bytes |
//! | time | string | text |
//! | list, map | table; a list keeps that it is one even when empty | list, map by sorted names |
//! | secret | an object that shows its name only | the same secret |

use mlua::{
    Buffer, Error, Lua, MetaMethod, Result, Table, UserData, UserDataFields, UserDataMethods,
    Value as Script,
};

use super::decimal::{EXACT, Exact};
use crate::base::{Map, Secret, Value};

/// Values in one result; more is refused.
const MAX_VALUES: usize = 200_000;
/// Bytes of text in one result.
const MAX_BYTES: usize = 8 << 20;
/// Tables in tables.
const MAX_DEPTH: usize = 64;
const LIST: &str = "runward.list";

/// A secret that a script may hold and hand on, and not read.
struct Sealed(Secret);

impl UserData for Sealed {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "secret");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.0.shown().to_owned()));
    }
}

/// Makes the mark of lists known to this state.
pub(super) fn prepare(lua: &Lua) -> Result<()> {
    let mark = lua.create_table()?;
    mark.set_readonly(true);
    lua.set_named_registry_value(LIST, mark)
}

/// Marks a table as a list, so that it stays one when it is empty.
pub(super) fn mark_list(lua: &Lua, table: &Table) -> Result<()> {
    table.set_metatable(Some(lua.named_registry_value::<Table>(LIST)?))
}

/// A value for a script.
pub(super) fn to_lua(lua: &Lua, value: &Value) -> Result<Script> {
    Ok(match value {
        Value::Null => Script::Nil,
        Value::Bool(b) => Script::Boolean(*b),
        #[expect(clippy::cast_precision_loss, reason = "up to 2^53 nothing is lost")]
        Value::Int(i) if i.abs() <= EXACT => Script::Number(*i as f64),
        Value::Int(_) | Value::Decimal(_) => {
            let exact = Exact::from_value(value).ok_or_else(|| {
                Error::runtime("a number has too many digits to be used in a script")
            })?;
            Script::UserData(lua.create_userdata(exact)?)
        }
        Value::Float(f) => Script::Number(*f),
        Value::Text(text) => Script::String(lua.create_string(text)?),
        Value::Bytes(bytes) => Script::Buffer(lua.create_buffer(bytes)?),
        Value::Time(time) => Script::String(lua.create_string(time.to_string())?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (i, item) in items.iter().enumerate() {
                let item = match item {
                    Value::Null => Script::NULL,
                    item => to_lua(lua, item)?,
                };
                table.raw_set(i + 1, item)?;
            }
            mark_list(lua, &table)?;
            Script::Table(table)
        }
        Value::Map(map) => {
            let table = lua.create_table_with_capacity(0, map.len())?;
            for (name, item) in map {
                table.raw_set(name.as_str(), to_lua(lua, item)?)?;
            }
            Script::Table(table)
        }
        Value::Secret(secret) => Script::UserData(lua.create_userdata(Sealed(secret.clone()))?),
    })
}

/// A value from a script.
///
/// Refuses functions, coroutines, tables that mix positions and names, and what is too large or
/// too deep: a table that holds itself is too deep.
pub(super) fn from_lua(lua: &Lua, value: &Script) -> Result<Value> {
    Reader { list: lua.named_registry_value(LIST)?, values: MAX_VALUES, bytes: MAX_BYTES }
        .read(value, MAX_DEPTH)
}

struct Reader {
    list: Table,
    values: usize,
    bytes: usize,
}

impl Reader {
    fn read(&mut self, value: &Script, depth: usize) -> Result<Value> {
        self.values = self.values.checked_sub(1).ok_or_else(|| {
            Error::runtime(format!("the value is too large: more than {MAX_VALUES} values"))
        })?;
        Ok(match value {
            Script::Nil => Value::Null,
            Script::LightUserData(pointer) if pointer.0.is_null() => Value::Null,
            Script::Boolean(b) => Value::Bool(*b),
            Script::Integer(i) => Value::Int((*i).into()),
            Script::Number(n) => number(*n),
            Script::String(text) => self.text(&text.as_bytes())?,
            Script::Buffer(buffer) => self.buffer(buffer)?,
            Script::UserData(data) => {
                if let Ok(exact) = data.borrow::<Exact>() {
                    exact.to_value()
                } else if let Ok(sealed) = data.borrow::<Sealed>() {
                    self.take(sealed.0.expose().len())?;
                    Value::Secret(sealed.0.clone())
                } else {
                    return Err(unusable("an object"));
                }
            }
            Script::Table(table) => {
                let depth = depth.checked_sub(1).ok_or_else(|| {
                    Error::runtime(format!(
                        "the value holds itself, or more than {MAX_DEPTH} tables in each other"
                    ))
                })?;
                self.table(table, depth)?
            }
            Script::Error(_) => return Err(unusable("an error")),
            other => return Err(unusable(&format!("a {}", other.type_name()))),
        })
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            Error::runtime(format!("the value is too large: more than {} MiB", MAX_BYTES >> 20))
        })?;
        Ok(())
    }

    fn text(&mut self, bytes: &[u8]) -> Result<Value> {
        self.take(bytes.len())?;
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => Value::text(text),
            Err(_) => Value::Bytes(bytes.to_vec()),
        })
    }

    fn buffer(&mut self, buffer: &Buffer) -> Result<Value> {
        self.take(buffer.len())?;
        Ok(Value::Bytes(buffer.to_vec()))
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<Value> {
        let marked = table.metatable().is_some_and(|m| m.to_pointer() == self.list.to_pointer());
        let mut names = Map::new();
        let mut positions = Vec::new();
        for pair in table.pairs::<Script, Script>() {
            let (key, item) = pair?;
            let item = self.read(&item, depth)?;
            match key {
                Script::String(name) => {
                    let name = name.to_str().map_err(|_| unusable("a name that is no UTF-8"))?;
                    self.take(name.len())?;
                    names.insert(name.to_owned(), item);
                }
                #[expect(clippy::cast_precision_loss, reason = "no list is that long")]
                Script::Integer(position) => positions.push((position as f64, item)),
                Script::Number(position) => positions.push((position, item)),
                other => {
                    return Err(unusable(&format!("a table with a {} as key", other.type_name())));
                }
            }
        }
        if !names.is_empty() && (marked || !positions.is_empty()) {
            return Err(Error::runtime(
                "a table has positions and names; use either, or two tables",
            ));
        }
        if !marked && positions.is_empty() {
            names.sort_keys();
            return Ok(Value::Map(names));
        }
        list(positions)
    }
}

/// A list from its items by position, which must be 1 to n.
fn list(mut positions: Vec<(f64, Value)>) -> Result<Value> {
    positions.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut items = Vec::with_capacity(positions.len());
    let mut expected = 1.0;
    for (position, item) in positions {
        if position != expected {
            return Err(Error::runtime(format!(
                "a list has no item {expected}, but an item {position}; \
                 `runward.null` can stand for a missing one"
            )));
        }
        expected += 1.0;
        items.push(item);
    }
    Ok(Value::List(items))
}

#[expect(clippy::cast_possible_truncation, reason = "whole and up to 2^53")]
#[expect(clippy::cast_precision_loss, reason = "2^53 is exact")]
fn number(n: f64) -> Value {
    if n.trunc() == n && n.abs() <= EXACT as f64 {
        Value::Int((n as i64).into())
    } else {
        Value::Float(n)
    }
}

fn unusable(what: &str) -> Error {
    Error::runtime(format!("{what} can't leave the script"))
}
