//! What a script can call: the table `runward`, and where its output goes.
//!
//! Owns the host's functions. Must not know clocks, files, the network or randomness: a script
//! with equal arguments gives an equal result.

use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Error, Lua, LuaString, Result, Table, Value as Script};

use super::{convert, decimal::Exact, failure::Failed};
use crate::base::Value;

/// Text that `runward.json.decode` reads at most: its tree takes many times as much memory.
const MAX_JSON: usize = 1 << 20;

/// What a script printed, up to a cap.
#[derive(Clone)]
pub(super) struct Output {
    inner: Arc<Mutex<Printed>>,
}

struct Printed {
    text: Vec<u8>,
    cap: usize,
    dropped: u64,
}

impl Output {
    pub(super) fn new(cap: usize) -> Self {
        Self { inner: Arc::new(Mutex::new(Printed { text: Vec::new(), cap, dropped: 0 })) }
    }

    fn line(&self, line: &[u8]) {
        let mut printed = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let room = printed.cap.saturating_sub(printed.text.len() + 1);
        let kept = line.len().min(room);
        printed.dropped += (line.len() - kept) as u64;
        if room > 0 {
            printed.text.extend_from_slice(&line[..kept]);
            printed.text.push(b'\n');
        }
    }

    /// The text so far; says how much was dropped.
    pub(super) fn text(&self) -> String {
        let printed = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from_utf8_lossy(&printed.text).into_owned();
        if printed.dropped > 0 {
            text.push_str(&format!("… {} more bytes were dropped\n", printed.dropped));
        }
        text
    }
}

/// The function that `print` and `runward.log` end in.
pub(super) fn emit(lua: &Lua, output: &Output) -> Result<mlua::Function> {
    let output = output.clone();
    lua.create_function(move |_, line: LuaString| {
        output.line(&line.as_bytes());
        Ok(())
    })
}

/// The table `runward`.
pub(super) fn table(lua: &Lua, emit: &mlua::Function) -> Result<Table> {
    let json = lua.create_table()?;
    json.raw_set("encode", lua.create_function(|lua, value: Script| encode(lua, &value))?)?;
    json.raw_set("decode", lua.create_function(|lua, text: LuaString| decode(lua, &text))?)?;
    json.set_readonly(true);
    let runward = lua.create_table()?;
    runward.raw_set("json", json)?;
    runward.raw_set("log", emit)?;
    runward.raw_set("null", Script::NULL)?;
    runward.raw_set("decimal", lua.create_function(|_, value: Script| Exact::from_lua(&value))?)?;
    runward.raw_set(
        "list",
        lua.create_function(|lua, table: Option<Table>| {
            let table = table.map_or_else(|| lua.create_table(), Ok)?;
            convert::mark_list(lua, &table)?;
            Ok(table)
        })?,
    )?;
    runward.raw_set(
        "fail",
        lua.create_function(|_, message: Option<LuaString>| -> Result<()> {
            let message = message.map(|m| m.to_string_lossy()).unwrap_or_default();
            Err(Error::external(Failed(message)))
        })?,
    )?;
    runward.set_readonly(true);
    Ok(runward)
}

/// JSON with exact decimals.
fn encode(lua: &Lua, value: &Script) -> Result<LuaString> {
    let value = convert::from_lua(lua, value)?;
    if holds_secret(&value) {
        return Err(Error::runtime(
            "a secret can't be encoded here; return the table, and let the next step send it",
        ));
    }
    lua.create_string(value.to_wire().to_string())
}

/// Reads JSON; numbers with a fraction become decimals.
fn decode(lua: &Lua, text: &LuaString) -> Result<Script> {
    let bytes = text.as_bytes();
    if bytes.len() > MAX_JSON {
        return Err(Error::runtime(format!("JSON of more than {} MiB", MAX_JSON >> 20)));
    }
    let json = serde_json::from_slice(&bytes).map_err(|why| {
        Error::runtime(format!("no JSON at line {} column {}", why.line(), why.column()))
    })?;
    convert::to_lua(lua, &Value::from_json(json))
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Secret(_) => true,
        Value::List(items) => items.iter().any(holds_secret),
        Value::Map(map) => map.values().any(holds_secret),
        _ => false,
    }
}
