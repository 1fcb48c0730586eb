//! A world of things with a value and a mark, a ledger of every effect on them, and what may go
//! wrong.
//!
//! Owns the truth that runs are held against. Must not know the engine: it sees what actions see,
//! and which intents are durable.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use runward::{
    base::{NodeId, Value, time},
    diagnostics::codes,
    engine::Plan,
    model::{
        Fault,
        event::{Event, Recorded},
    },
    ports::StepContext,
};

use crate::table::Lives;

/// What is changed. A change that is done half has set the value and not the mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thing {
    pub value: i64,
    pub mark: i64,
}

impl Thing {
    /// With both the same.
    pub fn both(value: i64) -> Self {
        Self { value, mark: value }
    }

    /// As captures give it.
    pub fn state(self) -> Value {
        Value::map([
            ("value", Value::Int(self.value.into())),
            ("mark", Value::Int(self.mark.into())),
        ])
    }

    /// From what a capture gave.
    pub fn from_state(state: &Value) -> Self {
        let field = |name| state.get(name).and_then(Value::as_int).unwrap();
        Self { value: field("value").try_into().unwrap(), mark: field("mark").try_into().unwrap() }
    }
}

/// Whose effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Did {
    Apply,
    Undo,
    Outsider,
}

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub node: NodeId,
    pub attempt: u32,
    pub did: Did,
    pub thing: String,
    pub from: Thing,
    pub to: Thing,
}

/// The world at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub things: BTreeMap<String, Thing>,
    pub ledger: Vec<Entry>,
    /// How often each step looked at it.
    looks: BTreeMap<(NodeId, Phase), u32>,
}

impl State {
    /// Is a thing neither as the run found it nor as somebody else has left it? Whether the work
    /// of others may be overwritten, single tests say.
    fn has_residue(&self, thing: &str) -> bool {
        let mut entries = self.ledger.iter().filter(|e| e.thing == thing);
        let others = entries.clone().rev().find(|e| e.did == Did::Outsider).map(|e| e.to);
        let found = entries.find(|e| e.did != Did::Outsider).map(|e| e.from);
        let now = self.things.get(thing).copied();
        now != found && now != others
    }

    /// Steps of whose effects something is left, by the things that only they touch.
    pub fn residues(&self) -> Vec<&Entry> {
        let mut found: Vec<&Entry> = Vec::new();
        for entry in self.ledger.iter().filter(|e| e.did != Did::Outsider) {
            let listed = found.iter().any(|f| f.thing == entry.thing);
            if !listed && self.has_residue(&entry.thing) {
                found.push(entry);
            }
        }
        found
    }
}

/// What an action is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// A read, or a capture of any kind.
    Look,
    Preview,
    Apply,
    Undo,
}

/// What goes wrong, or happens meanwhile.
#[derive(Clone)]
pub enum Trouble {
    /// Fails before it does anything, and says so.
    Clean,
    /// Fails half-way.
    Half,
    /// Says that it failed half-way, but had done nothing.
    Nothing,
    /// Does it, and says that it failed half-way.
    Whole,
    /// Does it, and the answer is lost.
    Lost,
    /// Is lost on its way.
    LostBefore,
    /// Somebody else changes the thing just before.
    Outsider(i64),
    /// Something happens, and then it takes this long.
    Meanwhile(Arc<dyn Fn() + Send + Sync>, Duration),
    /// Takes longer than anybody waits.
    Hang,
    /// The program has a mistake.
    Panic,
}

/// Trouble at one place.
struct Rule {
    step: String,
    phase: Phase,
    /// The attempt, or how often it looked; 0: each time.
    nth: u32,
    trouble: Trouble,
    fired: u32,
}

/// Everything outside, as a map in memory.
#[derive(Default)]
pub struct World {
    state: Mutex<State>,
    rules: Mutex<Vec<Rule>>,
    tape: Mutex<Tape>,
    /// What must never be, and was.
    violations: Mutex<Vec<String>>,
}

/// What is durable, and what the world was then.
#[derive(Default)]
pub struct Tape {
    pub events: Vec<Recorded>,
    pub worlds: Vec<Arc<State>>,
    /// The effect that each step has announced and not yet ended.
    intents: BTreeMap<NodeId, (Did, u32)>,
    lives: Lives,
}

impl Tape {
    fn take(&mut self, event: &Event) {
        match event {
            Event::AttemptStarted { node, attempt, .. } => {
                self.intents.insert(node.clone(), (Did::Apply, *attempt));
            }
            Event::UndoStarted { node, attempt } => {
                self.intents.insert(node.clone(), (Did::Undo, *attempt));
            }
            Event::AttemptSucceeded { node, .. }
            | Event::AttemptFailed { node, .. }
            | Event::AttemptInDoubt { node, .. }
            | Event::UndoSucceeded { node, .. }
            | Event::UndoFailed { node, .. } => {
                self.intents.remove(node);
            }
            _ => {}
        }
    }

    /// The worlds in which a process may find these first events: if the last thing on record is
    /// an effect that began, it may have happened or not.
    pub fn worlds_after(&self, count: usize) -> Vec<Arc<State>> {
        let mut before = Self::default();
        self.events[..count].iter().for_each(|e| before.take(&e.event));
        let mut worlds = vec![Arc::clone(&self.worlds[count - 1])];
        if !before.intents.is_empty() {
            let rest = self.events[count..].iter().zip(&self.worlds[count..]);
            for (recorded, world) in rest {
                before.take(&recorded.event);
                if before.intents.is_empty() {
                    worlds.push(Arc::clone(world));
                    break;
                }
            }
        }
        worlds.dedup();
        worlds
    }
}

impl World {
    /// A world in which this has happened already, as in an earlier one, whose troubles may come
    /// again.
    pub fn after(state: &State, events: &[Recorded], earlier: &Self, plan: &Plan) -> Self {
        let world = Self { state: Mutex::new(state.clone()), ..Self::default() };
        world.record(events, plan);
        world.tape().worlds = earlier.tape().worlds[..events.len()].to_vec();
        for rule in earlier.rules.lock().unwrap().iter() {
            world.trouble(&rule.step, rule.phase, rule.nth, rule.trouble.clone());
        }
        world
    }

    /// The world now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What is durable so far.
    pub fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap()
    }

    /// These are durable now.
    pub fn record(&self, events: &[Recorded], plan: &Plan) {
        let state = Arc::new(self.state());
        let mut tape = self.tape();
        for recorded in events {
            tape.take(&recorded.event);
            tape.lives.take(&recorded.event, plan);
            tape.events.push(recorded.clone());
            tape.worlds.push(Arc::clone(&state));
        }
    }

    /// Lets something go wrong: at a step (`workers[1]`), in a phase, at the attempt or look.
    pub fn trouble(&self, step: &str, phase: Phase, nth: u32, trouble: Trouble) {
        let rule = Rule { step: step.to_owned(), phase, nth, trouble, fired: 0 };
        self.rules.lock().unwrap().push(rule);
    }

    /// Each trouble that was prepared has come.
    #[track_caller]
    pub fn assert_fired(&self) {
        for rule in self.rules.lock().unwrap().iter() {
            let Rule { step, phase, nth, .. } = rule;
            assert!(rule.fired > 0, "the trouble at {step} {phase:?} {nth} never came");
        }
    }

    /// Nothing has happened that must never happen.
    #[track_caller]
    pub fn assert_lawful(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:?}");
        let state = self.lock();
        for (at, entry) in state.ledger.iter().enumerate() {
            let same = |e: &&Entry| {
                (&e.node, e.attempt, e.did, &e.thing)
                    == (&entry.node, entry.attempt, entry.did, &entry.thing)
            };
            let twice = state.ledger[..at].iter().find(same);
            let ours = entry.did != Did::Outsider;
            assert!(!ours || twice.is_none(), "twice in one attempt: {entry:?}");
        }
    }

    /// A phase begins: how often so far, and what is in its way. Troubles that only shape an
    /// effect are given back.
    pub async fn meet(
        &self,
        cx: &StepContext,
        phase: Phase,
        thing: &str,
    ) -> Result<Option<Trouble>, Fault> {
        let nth = match phase {
            Phase::Apply | Phase::Undo => cx.attempt,
            Phase::Look | Phase::Preview => {
                let mut state = self.lock();
                let count = state.looks.entry((cx.node.clone(), phase)).or_default();
                *count += 1;
                *count
            }
        };
        let mut met = None;
        for trouble in self.due(&cx.node, phase, nth) {
            match trouble {
                Trouble::Clean => return Err(Fault::untouched(codes::RW0701, "refused")),
                Trouble::Outsider(value) => {
                    self.outsider(thing, value);
                }
                Trouble::Meanwhile(happens, takes) => {
                    happens();
                    cx.clock.until(time::after(cx.clock.now(), takes)).await;
                }
                Trouble::Hang => {
                    cx.clock.until(time::after(cx.clock.now(), Duration::from_secs(7200))).await;
                }
                Trouble::Panic => panic!("as was asked for"),
                other => met = Some(other),
            }
        }
        Ok(met)
    }

    fn due(&self, node: &NodeId, phase: Phase, nth: u32) -> Vec<Trouble> {
        let shown = node.to_string();
        let mut due = Vec::new();
        for rule in self.rules.lock().unwrap().iter_mut() {
            let here = rule.step == shown && rule.phase == phase;
            if here && (rule.nth == 0 || rule.nth == nth) {
                rule.fired += 1;
                due.push(rule.trouble.clone());
            }
        }
        due
    }

    /// Somebody else sets a thing.
    pub fn outsider(&self, thing: &str, value: i64) {
        let mut state = self.lock();
        let from = state.things.insert(thing.to_owned(), Thing::both(value)).unwrap_or_default();
        let (node, attempt) = (NodeId::new("nobody"), 0);
        let to = Thing::both(value);
        state.ledger.push(Entry {
            node,
            attempt,
            did: Did::Outsider,
            thing: thing.into(),
            from,
            to,
        });
    }

    /// A thing, as it is.
    pub fn thing(&self, name: &str) -> Thing {
        self.lock().things.get(name).copied().unwrap_or_default()
    }

    /// What a step has announced, durably.
    pub fn announced(&self, node: &NodeId) -> Option<Did> {
        self.tape().intents.get(node).map(|(did, _)| *did)
    }

    /// An effect, with what goes wrong in it.
    pub fn effect(
        &self,
        cx: &StepContext,
        did: Did,
        thing: &str,
        to: Thing,
        trouble: Option<&Trouble>,
    ) -> Result<Value, Fault> {
        let announced = self.tape().intents.get(&cx.node).copied();
        if announced != Some((did, cx.attempt)) {
            let node = &cx.node;
            let what = format!("{node}: {did:?} {} without intent: {announced:?}", cx.attempt);
            self.violations.lock().unwrap().push(what);
        }
        let half = || Fault::partial(codes::RW0702, "failed half-way");
        let lost = || Fault::unknown(codes::RW0712, "the connection was lost");
        let from = self.thing(thing);
        let (to, outcome) = match trouble {
            Some(Trouble::Nothing) => return Err(half()),
            Some(Trouble::LostBefore) => return Err(lost()),
            Some(Trouble::Half) => (Thing { mark: from.mark, ..to }, Err(half())),
            Some(Trouble::Whole) => (to, Err(half())),
            Some(Trouble::Lost) => (to, Err(lost())),
            _ => (to, Ok(Value::map([("changed", Value::Bool(from != to))]))),
        };
        let mut state = self.lock();
        state.things.insert(thing.to_owned(), to);
        let (node, attempt) = (cx.node.clone(), cx.attempt);
        state.ledger.push(Entry { node, attempt, did, thing: thing.to_owned(), from, to });
        outcome
    }
}
