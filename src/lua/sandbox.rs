//! One script, one fresh state, and an end in sight.
//!
//! Owns limits and how they are enforced. Must not know where scripts come from.
//!
//! The interrupt of Luau ends a script between any two of its instructions that jump, call or
//! return, also inside of `pcall` and coroutines and while a pattern is matched. What runs in C
//! without an interrupt is bounded by `guards.luau`. Should a script still not stop (long
//! stretches of instructions over large strings), the caller is answered at a hard limit, and the
//! thread ends by itself later: what it can use is bounded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use mlua::{
    Error, Lua, LuaOptions, StdLib, VmState,
    chunk::{ChunkMode, Compiler},
};
use tokio::sync::oneshot;

use super::{
    convert,
    failure::{GUARDS, SCRIPT, ScriptError},
    host::{self, Output},
};
use crate::{
    base::{Value, time::show_duration},
    diagnostics::codes,
    model::Fault,
};

/// A longer script is refused before it is parsed.
pub(super) const MAX_SCRIPT: usize = 256 << 10;
/// The parser and patterns recurse in C; 16 MiB are reserved, and used only as needed.
const STACK: usize = 16 << 20;
/// Time after the limit in which the interrupt must have ended the script.
const GRACE: Duration = Duration::from_millis(400);
/// Time for compiling alone, which nothing can interrupt.
const COMPILING: Duration = Duration::from_secs(5);

/// What one run of a script may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of Lua's memory.
    pub memory: usize,
    /// Time by the clock on the wall.
    pub time: Duration,
    /// Bytes of output that are kept.
    pub output: usize,
}

impl Default for Limits {
    /// 64 MiB, one second, 64 KiB.
    fn default() -> Self {
        Self { memory: 64 << 20, time: Duration::from_secs(1), output: 64 << 10 }
    }
}

/// How a script ended well.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it returned.
    pub value: Value,
    /// What it printed.
    pub output: String,
}

/// Does it compile? Runs nothing.
pub fn check(script: &str) -> Result<(), ScriptError> {
    let script = script.to_owned();
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("lua-check".into())
        .stack_size(STACK)
        .spawn(move || drop(sender.send(compile(&script).map(drop))))
        .map_err(|_| ScriptError::new("no thread could be started to check it"))?;
    receiver
        .recv_timeout(COMPILING)
        .unwrap_or_else(|_| Err(ScriptError::new("it takes too long to compile")))
}

/// Runs a script with these global values, on a thread of its own.
///
/// Faults leave the world untouched, since a script can't reach anything: `RW0713` when it fails,
/// `RW0703` when it takes longer than its time. Dropping the future ends the script.
pub async fn run(
    script: String,
    globals: Vec<(String, Value)>,
    limits: Limits,
) -> Result<Outcome, Fault> {
    let output = Output::new(limits.output);
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
    let (sender, receiver) = oneshot::channel();
    let (printed, stopped) = (output.clone(), Arc::clone(&stop.0));
    thread::Builder::new()
        .name("lua".into())
        .stack_size(STACK)
        .spawn(move || {
            let ended = Session { limits, stopped, started: Instant::now() }
                .run(&script, &globals, &printed);
            // Nobody listens any more after a hard timeout or a cancellation.
            drop(sender.send(ended));
        })
        .map_err(|_| {
            Fault::untouched(codes::RW0713, "no thread could be started for the script")
        })?;
    let fault = match tokio::time::timeout(limits.time + GRACE, receiver).await {
        Ok(Ok(Ok(value))) => return Ok(Outcome { value, output: output.text() }),
        Ok(Ok(Err(End::Failed(error)))) => failed(&error, limits),
        Ok(Ok(Err(End::TimedOut))) | Err(_) => timed_out(limits),
        Ok(Err(_)) => Fault::untouched(codes::RW9901, "the sandbox of scripts broke"),
    };
    let text = output.text();
    Err(if text.is_empty() { fault } else { fault.result(Value::map([("output", text.into())])) })
}

fn failed(error: &ScriptError, limits: Limits) -> Fault {
    if error.out_of_memory {
        let message = format!("the script used more than {} MiB of memory", limits.memory >> 20);
        return Fault::untouched(codes::RW0713, message)
            .help("let the query that feeds it return fewer rows, or sum them up in the database");
    }
    Fault::untouched(codes::RW0713, error.to_string())
}

fn timed_out(limits: Limits) -> Fault {
    let limit = show_duration(limits.time);
    Fault::untouched(codes::RW0703, format!("the script took longer than {limit}"))
        .help("look for a loop that does not end, or raise the step's `timeout` (up to 60s)")
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How a script ended badly.
enum End {
    TimedOut,
    Failed(ScriptError),
}

struct Session {
    limits: Limits,
    stopped: Arc<AtomicBool>,
    started: Instant,
}

impl Session {
    fn run(
        &self,
        script: &str,
        globals: &[(String, Value)],
        output: &Output,
    ) -> Result<Value, End> {
        let code = compile(script).map_err(End::Failed)?;
        let ended = self.execute(&code, globals, output);
        // A script may catch the interrupt's error and raise another, or return: time counts.
        if self.is_over() {
            return Err(End::TimedOut);
        }
        ended.map_err(|error| End::Failed(ScriptError::from_lua(&error)))
    }

    fn is_over(&self) -> bool {
        self.started.elapsed() >= self.limits.time || self.stopped.load(Ordering::Relaxed)
    }

    fn execute(
        &self,
        code: &[u8],
        globals: &[(String, Value)],
        output: &Output,
    ) -> mlua::Result<Value> {
        let lua = fresh(output)?;
        lua.set_memory_limit(self.limits.memory)?;
        for (name, value) in globals {
            lua.globals().raw_set(name.as_str(), convert::to_lua(&lua, value)?)?;
        }
        let (started, time, stopped) = (self.started, self.limits.time, Arc::clone(&self.stopped));
        lua.set_interrupt(move |_| {
            if started.elapsed() >= time || stopped.load(Ordering::Relaxed) {
                return Err(Error::runtime("the script's time is over"));
            }
            Ok(VmState::Continue)
        });
        let value = lua
            .load(code)
            .set_name(format!("={SCRIPT}"))
            .set_mode(ChunkMode::Binary)
            .call::<mlua::Value>(())?;
        convert::from_lua(&lua, &value)
    }
}

/// A state in which nothing dangerous is left.
fn fresh(output: &Output) -> mlua::Result<Lua> {
    let libraries = StdLib::COROUTINE
        | StdLib::TABLE
        | StdLib::STRING
        | StdLib::UTF8
        | StdLib::BIT
        | StdLib::MATH
        | StdLib::BUFFER;
    let lua = Lua::new_with(libraries, LuaOptions::new())?;
    convert::prepare(&lua)?;
    let emit = host::emit(&lua, output)?;
    lua.globals().raw_set("runward", host::table(&lua, &emit)?)?;
    lua.load(include_str!("guards.luau"))
        .set_name(format!("={GUARDS}"))
        .set_mode(ChunkMode::Text)
        .call::<()>((emit, mlua::Value::NULL))?;
    lua.sandbox(true)?;
    Ok(lua)
}

/// Bytecode of our own compiler from text; foreign bytecode can't get in, since Luau does not
/// verify it and the source is text.
fn compile(script: &str) -> Result<Vec<u8>, ScriptError> {
    if script.len() > MAX_SCRIPT {
        return Err(ScriptError::new(format!("it is longer than {} KiB", MAX_SCRIPT >> 10)));
    }
    // Compiled calls of `tostring` would pass by the guard, which hides addresses.
    let compiler = Compiler::new().add_disabled_builtin("tostring");
    compiler.compile(script).map_err(|error| match error {
        // The compiler knows no name of the chunk: `3: …`.
        Error::SyntaxError { message, incomplete_input } => {
            let message = format!("{SCRIPT}:{message}");
            ScriptError::from_lua(&Error::SyntaxError { message, incomplete_input })
        }
        other => ScriptError::from_lua(&other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Map, Secret};

    async fn eval(script: &str, args: Value) -> Result<Outcome, Fault> {
        run(script.to_owned(), vec![("args".to_owned(), args)], Limits::default()).await
    }

    async fn value(script: &str) -> Value {
        eval(script, Value::Null).await.unwrap().value
    }

    fn decimal(text: &str) -> Value {
        Value::Decimal(text.parse().unwrap())
    }

    #[tokio::test]
    async fn values_go_in_and_come_back() {
        let args = Value::map([
            ("amount", decimal("12.30")),
            ("big", Value::Int(i128::from(u64::MAX))),
            ("bytes", Value::Bytes(vec![0, 255])),
            ("empty", Value::List(vec![])),
            ("float", Value::Float(1.5)),
            ("items", Value::List(vec![Value::Int(1), Value::Null, Value::Bool(true)])),
            ("nothing", Value::Map(Map::new())),
            ("small", Value::Int(-7)),
            ("text", Value::text("naïve")),
        ]);
        let back = eval("return args", args.clone()).await.unwrap().value;
        assert_eq!(back.to_journal(), args.to_journal());
    }

    #[tokio::test]
    async fn null_is_nil_in_maps_and_times_are_text() {
        let args = Value::map([
            ("gone", Value::Null),
            ("day", Value::Time("2026-01-02".parse().unwrap())),
        ]);
        let outcome = eval("return {args.gone == nil, args.day}", args).await.unwrap();
        assert_eq!(outcome.value, Value::List(vec![Value::Bool(true), Value::text("2026-01-02")]));
    }

    #[tokio::test]
    async fn money_stays_exact() {
        let args = Value::map([("a", decimal("0.10")), ("b", decimal("0.20"))]);
        let sum = eval("return args.a + args.b", args.clone()).await.unwrap().value;
        assert_eq!(sum.to_journal(), decimal("0.30").to_journal());
        let script = "local s = args.a * 3 - args.b \
             return {tostring(s), s == args.a, s:equals(0.1), s < args.b, s:compare(1), \
             (-s):abs():round(1), runward.decimal('2.675'):round(2), \
             runward.decimal('2.665'):round(2, 'half_even'), s .. ' EUR', typeof(s)}";
        let found = eval(script, args).await.unwrap().value;
        assert_eq!(
            found.to_plain().to_string(),
            r#"["0.10",true,true,true,-1,"0.1","2.68","2.66","0.10 EUR","decimal"]"#
        );
        let fault = eval("return runward.decimal('1') / 0", Value::Null).await.unwrap_err();
        assert_eq!(fault.message, "line 1 of the script: division by zero");
    }

    #[tokio::test]
    async fn large_integers_stay_integers() {
        let args = Value::map([("id", Value::Int(9_007_199_254_740_993))]);
        let found = eval("return args.id + 1", args).await.unwrap().value;
        assert_eq!(found.to_journal(), Value::Int(9_007_199_254_740_994).to_journal());
        let mixed = eval("return runward.decimal('1') < 2", Value::Null).await.unwrap_err();
        assert!(mixed.message.contains("attempt to compare"), "{}", mixed.message);
    }

    #[tokio::test]
    async fn a_secret_is_carried_and_never_read() {
        let secret = Secret::new("token", "1", "tok-12345".into());
        let args = Value::map([("token", Value::Secret(secret.clone()))]);
        let script = "print(args.token, `{args.token}`, typeof(args.token)) \
             print(pcall(function() return args.token .. 'x' end)) \
             print(pcall(function() return #args.token end)) \
             print(pcall(runward.json.encode, {args.token})) \
             return {auth = args.token}";
        let outcome = eval(script, args).await.unwrap();
        assert!(!outcome.output.contains("12345"), "{}", outcome.output);
        assert!(outcome.output.starts_with("‹secret token@1›\t‹secret token@1›\tsecret\n"));
        assert!(!outcome.output.contains("true"), "{}", outcome.output);
        assert_eq!(outcome.value.get("auth"), Some(&Value::Secret(secret)));
    }

    #[tokio::test]
    async fn json_keeps_decimals() {
        let found = value(
            "local t = runward.json.decode('{\"a\": 1.10, \"n\": null, \"l\": [], \"m\": {}}') \
             return {runward.json.encode(t), runward.json.encode({t.a + 1, runward.null})}",
        )
        .await;
        assert_eq!(
            found.to_plain().to_string(),
            r#"["{\"a\":1.10,\"l\":[],\"m\":{}}","[2.10,null]"]"#
        );
        let fault = eval("runward.json.decode('{')", Value::Null).await.unwrap_err();
        assert_eq!(fault.message, "line 1 of the script: no JSON at line 1 column 1");
    }

    #[tokio::test]
    async fn failures_name_their_line_and_keep_the_output() {
        let fault =
            eval("print('looking')\nrunward.fail('no rows')", Value::Null).await.unwrap_err();
        assert_eq!(fault.code, "RW0713");
        assert_eq!(fault.message, "line 2 of the script: no rows");
        assert_eq!(fault.world, crate::model::World::Untouched);
        assert_eq!(fault.result, Some(Value::map([("output", "looking\n".into())])));
        let fault = eval("\n\nstring.find('x', '[')", Value::Null).await.unwrap_err();
        assert_eq!(fault.message, "line 3 of the script: malformed pattern (missing ']')");
        let error = check("local x = 1\nif x then").unwrap_err();
        assert_eq!(error.line, Some(2));
        assert!(error.message.contains("'end'"), "{}", error.message);
    }

    #[tokio::test]
    async fn output_is_cut_at_its_cap() {
        let limits = Limits { output: 10, ..Limits::default() };
        let script = "print('12345') print('67890') runward.log('more')";
        let outcome = run(script.into(), Vec::new(), limits).await.unwrap();
        assert_eq!(outcome.output, "12345\n678\n… 6 more bytes were dropped\n");
    }

    #[tokio::test]
    async fn dropping_the_future_ends_the_script() {
        let stopped = Arc::new(AtomicBool::new(true));
        let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
        let session = Session { limits, stopped, started: Instant::now() };
        let ended = session.run("while true do end", &[], &Output::new(10));
        assert!(matches!(ended, Err(End::TimedOut)));
        assert!(session.started.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn results_are_in_the_order_of_their_names() {
        let found = value("return {zebra = 1, apple = 2, mango = {}, list = runward.list{}}").await;
        assert_eq!(found.to_plain().to_string(), r#"{"apple":2,"list":[],"mango":{},"zebra":1}"#);
    }
}
