//! A run on the fake world, driven by the real driver from real texts.
//!
//! Owns how a run is started, taken up again and held against the world. Must not know a scenario.

use std::{path::PathBuf, sync::Arc};

use runward::{
    base::{Digest, Redactor, RunId, Timestamp, Value, time},
    cli::Exit,
    driver::{self, DriverError, Ended, Observer, OpenError, Ports, Runner, Stop},
    engine::{Plan, Question, Run},
    language,
    model::{
        event::{Event, FORMAT, Operator, Recorded, RunCreated, RunStatus, StepStatus},
        input::Message,
        project::Project,
        view::RunView,
    },
    ports::{
        Clock, Store,
        store::{LEASE_TIME, Summary},
    },
    store::MemoryStore,
};
use tokio::sync::mpsc;

use crate::{
    actions,
    clock::{NoSecrets, NoTransports, PlainSeal, VirtualClock},
    people::{ByName, People},
    world::{Did, Entry, State, World},
};

const PROJECT: &str = r#"
version: 1
people:
  ana: {groups: [support], logins: [ana]}
  bruno: {groups: [leads], logins: [bruno]}
  carla: {groups: [leads], logins: [carla]}
  dora: {groups: [support], logins: [dora]}
environments:
  open: {}
  guarded:
    protected: true
    policy:
      {approvals: {required: 1, from: [leads], expires: 10m}, identity: login, irreversible: allow}
  paired:
    protected: true
    policy: {approvals: {required: 2, from: [leads], expires: 10m}, identity: login}
  extra:
    policy: {approvals: {required: 1, expires: 10m}, irreversible: {extra: 1}}
  closing:
    policy:
      approvals: {required: 1, expires: 1h}
      freeze: [{from: 2026-01-01T00:03:00Z, until: 2026-01-02T00:00:00Z, reason: month end}]
  frozen:
    policy:
      freeze: [{from: 2026-01-01T00:10:00Z, until: 2026-01-02T00:00:00Z, reason: month end}]
"#;

/// When every run begins.
pub fn begin() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// One run and its world.
pub struct Stage {
    pub world: Arc<World>,
    pub clock: Arc<VirtualClock>,
    pub store: Arc<MemoryStore>,
    pub id: RunId,
    pub catalogue: language::Catalogue,
    created: RunCreated,
    plan: Arc<Plan>,
    project: Arc<Project>,
    /// For `Stop`s, also from inside of the world.
    pub stop: mpsc::UnboundedSender<Stop>,
    stops: mpsc::UnboundedReceiver<Stop>,
    /// Whether the process stays while people are asked.
    pub waits: bool,
    /// Messages so far.
    pub posted: Vec<Message>,
}

/// How a run stands when nothing goes on any more.
pub struct End {
    pub run: Run,
    /// What is asked and not answered.
    pub questions: Vec<Question>,
    pub status: RunStatus,
    pub exit: Exit,
    pub view: RunView,
}

/// Puts what is durable on the tape.
struct Recorder(Arc<World>);

impl Observer for Recorder {
    fn on(&mut self, run: &Run, events: &[Recorded]) {
        self.0.record(events, &run.plan);
    }

    fn waiting(&mut self, _: &Run, _: &[Question]) {}
}

/// Runs a test on one thread, which virtual time needs.
pub fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

impl Stage {
    /// A runbook's steps and whatever follows them, in an environment.
    pub fn new(steps: &str, environment: &str) -> Self {
        Self::made(steps, environment, false)
    }

    /// The same, only planned.
    pub fn planned(steps: &str, environment: &str) -> Self {
        Self::made(steps, environment, true)
    }

    fn made(steps: &str, environment: &str, plan_only: bool) -> Self {
        let text = format!("version: 1\nname: Toy\n{steps}");
        let created = RunCreated {
            sealed_inputs: Default::default(),
            format: FORMAT,
            version: "0".into(),
            journal: "toys".into(),
            name: "Toy".into(),
            runbook: "toy.yaml".into(),
            runbook_digest: Digest::of(text.as_bytes()),
            files: vec![("toy.yaml".into(), text)],
            project: ("runward.yaml".into(), PROJECT.into()),
            project_digest: Digest::of(PROJECT.as_bytes()),
            folder: "/project".into(),
            environment: environment.to_owned(),
            inputs: runward::base::Map::new(),
            operator: Operator {
                name: "ana".into(),
                login: "ana".into(),
                host: "here".into(),
                key: None,
                signature: None,
            },
            plan: plan_only,
            undoes: None,
        };
        let (plan, project) = match driver::plan_of(&created, &actions::catalogue()) {
            Ok(made) => made,
            Err(OpenError::Unreadable(why)) => panic!("{why:#?}\n{}", created.files[0].1),
            Err(other) => panic!("{other}"),
        };
        Self::on(World::default(), begin(), 0, created, plan, project)
    }

    fn on(
        world: World,
        now: Timestamp,
        ids: u64,
        created: RunCreated,
        plan: Arc<Plan>,
        project: Arc<Project>,
    ) -> Self {
        let (stop, stops) = mpsc::unbounded_channel();
        Self {
            world: Arc::new(world),
            clock: Arc::new(VirtualClock::at(now, ids)),
            store: Arc::new(MemoryStore::new("toys")),
            id: RunId("00000000-0000-7000-8000-aaaaaaaaaaaa".into()),
            catalogue: actions::catalogue(),
            created,
            plan,
            project,
            stop,
            stops,
            waits: false,
            posted: Vec::new(),
        }
    }

    fn ports(&self) -> Ports {
        Ports {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            actions: Arc::new(actions::actions(&self.world)),
            transports: Arc::new(NoTransports),
            secrets: Arc::new(NoSecrets),
            redactor: Redactor::new(&[]),
            seal: Arc::new(PlainSeal),
            approvals: Arc::new(ByName),
            project: Arc::clone(&self.project),
            folder: PathBuf::from("/project"),
        }
    }

    fn recorder(&self) -> Box<dyn Observer> {
        Box::new(Recorder(Arc::clone(&self.world)))
    }

    /// The run of these events, by the plan that is at hand.
    pub fn fold(&self, events: &[Recorded]) -> Run {
        let (first, rest) = events.split_first().expect("a first event");
        let plan = Arc::clone(&self.plan);
        let mut run = Run::begin(self.id.clone(), first.at, self.created.clone(), &plan).unwrap();
        run.head = first.hash.clone();
        for recorded in rest {
            run.replay(recorded).unwrap_or_else(|e| panic!("{e}\n{}", shown(events)));
        }
        run
    }

    /// Begins the run.
    pub async fn start(&self) -> Runner {
        let plan = Arc::clone(&self.plan);
        let run = Run::begin(self.id.clone(), self.clock.now(), self.created.clone(), &plan);
        let (created, run) = (self.created.clone(), run.expect("variables"));
        Runner::start(self.ports(), run, created, "first", self.recorder()).await.expect("a start")
    }

    /// Takes the run up, as another process would.
    pub async fn resume(&self) -> Runner {
        self.clock.pass(LEASE_TIME);
        let lease =
            self.store.claim(&self.id, "next", None, self.clock.now()).await.expect("the lease");
        let run = self.fold(&self.world.tape().events);
        let by = "ana".to_owned();
        Runner::resume(self.ports(), run, lease, by, self.recorder()).await.expect("to resume")
    }

    /// Leaves a message for the run.
    pub async fn post(&mut self, message: Message) {
        self.store.post(&self.id, self.clock.now(), &message).await.expect("an inbox");
        self.posted.push(message);
    }

    /// Drives until the process would end.
    pub async fn drive(&mut self, runner: &mut Runner) -> Result<Ended, DriverError> {
        let waits = self.waits;
        runner.drive(waits, &mut self.stops).await
    }

    /// Begins, and goes on as long as somebody answers.
    pub async fn run(&mut self, people: &mut impl People) -> End {
        let runner = self.start().await;
        let end = self.go_on(runner, people).await;
        let durable = self.store.read(&self.id, 1).await.expect("the journal, verified");
        assert_eq!(durable, self.world.tape().events);
        end
    }

    /// Goes on as long as somebody answers; each answer is taken up by another process.
    pub async fn go_on(&mut self, mut runner: Runner, people: &mut impl People) -> End {
        for _ in 0..200 {
            let ended = self.drive(&mut runner).await;
            let ended =
                ended.unwrap_or_else(|e| panic!("{e}\n{}", shown(&self.world.tape().events)));
            let questions = match ended {
                Ended::Finished(_) | Ended::Interrupted => return self.end(&runner, Vec::new()),
                Ended::Paused(questions) => questions,
            };
            let before = runner.run().pending(self.clock.now());
            let run = self.fold(&self.world.tape().events);
            let after = run.pending(self.clock.now());
            assert_eq!((&before.tasks, &before.questions), (&after.tasks, &after.questions));
            let mut answered = false;
            for question in &questions {
                for message in people.asked(self, &run, question) {
                    answered = true;
                    self.post(message).await;
                }
            }
            if !answered {
                return self.end(&runner, questions);
            }
            runner = self.resume().await;
        }
        panic!("the run never ends\n{}", shown(&self.world.tape().events));
    }

    fn end(&self, runner: &Runner, questions: Vec<Question>) -> End {
        let (run, now) = (runner.run().clone(), self.clock.now());
        let status = run.status(now);
        let exit = Exit::of(status, !run.remaining().is_empty());
        let view = run.view(now);
        End { run, questions, status, exit, view }
    }

    /// A process that found these events, in a world in this state, with the messages that they
    /// answer.
    pub async fn found_by_another(&self, events: &[Recorded], state: &State) -> Self {
        let last = events.last().expect("an event");
        let world = World::after(state, events, &self.world, &self.plan);
        let ids = 1000 * u64::try_from(events.len()).unwrap();
        let (created, plan) = (self.created.clone(), Arc::clone(&self.plan));
        let mut stage = Self::on(world, last.at, ids, created, plan, Arc::clone(&self.project));
        let dated: Vec<_> = events.iter().map(|e| (e.at, e.event.clone())).collect();
        let store = Arc::clone(&stage.store);
        let summary = Summary { started_at: Some(last.at), ..Summary::default() };
        let (lease, _) = store.create(&self.id, "old", &dated[..1], &summary).await.unwrap();
        if dated.len() > 1 {
            store.append(&lease, 1, &dated[1..], &summary).await.unwrap();
        }
        let answered = events.iter().filter_map(|e| e.event.message()).max().unwrap_or_default();
        for message in self.posted.iter().take(usize::try_from(answered).unwrap()) {
            stage.post(message.clone()).await;
        }
        stage
    }

    /// What runs left of things, but for those that nobody needs back: `free…`.
    pub fn residues(&self) -> Vec<String> {
        let state = self.world.state();
        let left = state.residues().into_iter().filter(|e| !e.thing.starts_with("free"));
        left.map(|e| e.node.to_string()).collect()
    }

    /// Which effects were undone, in order.
    pub fn undone(&self) -> Vec<String> {
        let state = self.world.state();
        let undone = state.ledger.iter().filter(|e| e.did == Did::Undo);
        undone.map(|e| e.node.to_string()).collect()
    }

    /// The states that the report shows are the ones that are there, of things that only one step
    /// touched.
    #[track_caller]
    fn assert_states(&self, end: &End, story: &dyn Fn() -> String) {
        let state = self.world.state();
        for step in &end.view.steps {
            let Some(prepared) = end.run.prepared(&step.node) else { continue };
            let thing = prepared.arguments.get("thing").and_then(Value::as_text).unwrap();
            let others = |e: &Entry| e.thing == thing && e.node != step.node;
            if state.ledger.iter().any(others) {
                continue;
            }
            let now = state.things.get(thing).copied().unwrap_or_default().state();
            let expected = match step.status {
                StepStatus::RolledBack => step.before.as_ref(),
                StepStatus::Succeeded => step.after.as_ref(),
                _ => continue,
            };
            if let Some(expected) = expected {
                assert_eq!(*expected, now, "{}: {}", step.node, story());
            }
        }
    }

    /// Holds the end of a run against the world.
    #[track_caller]
    pub fn assert_true(&self, end: &End) {
        self.world.assert_lawful();
        let residues = self.residues();
        let remaining: Vec<_> = end.run.remaining().iter().map(ToString::to_string).collect();
        let story = || {
            let events = shown(&self.world.tape().events);
            format!("{:?} remaining {remaining:?}, left {residues:?}\n{events}", end.status)
        };
        if !end.run.is_finished() {
            return;
        }
        let now = time::after(self.clock.now(), std::time::Duration::from_secs(86_400));
        let pending = end.run.pending(now);
        assert!(pending.tasks.is_empty() && pending.questions.is_empty(), "{}", story());
        assert!(end.run.settle(now).is_empty(), "{}", story());
        match end.status {
            RunStatus::Succeeded => {}
            RunStatus::RollbackIncomplete => assert!(!remaining.is_empty(), "{}", story()),
            RunStatus::RolledBack => assert!(remaining.is_empty(), "{}", story()),
            RunStatus::Failed | RunStatus::Refused | RunStatus::Cancelled => {}
            other => panic!("{other:?} is no end\n{}", story()),
        }
        self.assert_states(end, &story);
        if end.status != RunStatus::Succeeded {
            // What is left is said, whatever the status is called.
            let hidden: Vec<_> = residues.iter().filter(|r| !remaining.contains(r)).collect();
            assert!(hidden.is_empty(), "{hidden:?} hidden: {}", story());
            let code = end.exit as u8;
            assert_eq!(code == 3, !remaining.is_empty(), "exit {code}: {}", story());
        }
    }
}

/// A journal for people who look for a mistake.
pub fn shown(events: &[Recorded]) -> String {
    let line = |e: &Recorded| {
        let node = e.event.node().map(ToString::to_string).unwrap_or_default();
        let more = match &e.event {
            Event::AttemptFailed { fault, .. }
            | Event::StepFailed { fault, .. }
            | Event::UndoFailed { fault, .. }
            | Event::CaptureFailed { fault, .. }
            | Event::AttemptInDoubt { fault, .. } => {
                format!("{:?}: {}", fault.world, fault.message)
            }
            Event::RunFinished { status, message } => format!("{status:?}: {message}"),
            Event::RollbackStarted { nodes, reason, .. } => {
                let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
                format!("{nodes:?}: {reason}")
            }
            Event::MessageIgnored { reason, .. }
            | Event::ApprovalRefused { reason, .. }
            | Event::StepSkipped { reason, .. } => reason.clone(),
            Event::StateCaptured { moment, difference, .. } => {
                format!("{moment:?}, {} differ", difference.0.len())
            }
            Event::UndoSkipped { reason, .. } => reason.clone(),
            _ => String::new(),
        };
        format!("{:3} {} {} {node} {more}", e.seq, e.at, e.event.kind())
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The kinds of events, for comparing.
pub fn kinds(events: &[Recorded]) -> Vec<String> {
    events.iter().map(|e| e.event.kind()).collect()
}
