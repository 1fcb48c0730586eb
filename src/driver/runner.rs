//! The loop of one run.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};

use super::{Ports, open::OpenError, perform::perform};
use crate::{
    base::{RunId, Seq, Timestamp, time},
    engine::{Illegal, Input, Outcome, Pending, Question, Refused, Run, Task},
    model::{
        event::{Event, Recorded, RunCreated, RunStatus},
        input::Message,
        project::Project,
    },
    ports::store::{LEASE_TIME, Lease, StoreError, Summary},
};

/// How often the inbox is looked into.
const INBOX_EVERY: Duration = Duration::from_millis(250);
/// How long an event without consequence may wait for others before it is made durable with them.
const GATHER: Duration = Duration::from_millis(20);
/// More gathered events than this are made durable at once.
const GATHER_MAX: usize = 64;
/// An engine that settles longer than this has a mistake.
const SETTLE_MAX: usize = 1_000_000;

/// Who watches a run: terminal, JSON lines, a recording.
pub trait Observer: Send {
    /// Events that are durable now.
    fn on(&mut self, run: &Run, events: &[Recorded]);
    /// What is being performed now.
    fn under_way(&mut self, run: &Run, tasks: &BTreeSet<Task>) {
        let _ = (run, tasks);
    }
    /// Nothing goes on without a person.
    fn waiting(&mut self, run: &Run, questions: &[Question]);
}

/// A wish to stop, from a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At the end of what is under way; then back.
    Gently(String),
    /// At once; what is under way is in doubt.
    Now,
}

/// How the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run is over.
    Finished(RunStatus),
    /// It waits for a person, and this process does not.
    Paused(Vec<Question>),
    /// It was stopped at once.
    Interrupted,
}

/// Why the loop can't go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The engine gave an event that it does not allow: our mistake, nothing more is done.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The run's state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// One run in this process, with the right to append to it.
pub struct Runner {
    ports: Arc<Ports>,
    run: Arc<Run>,
    lease: Lease,
    project: Arc<Project>,
    observer: Box<dyn Observer>,
    /// Folded, and not yet durable.
    gathered: Vec<(Timestamp, Event)>,
    durable: Seq,
    tasks: JoinSet<(Task, Timestamp, Outcome)>,
    under_way: BTreeSet<Task>,
    renewed_at: Timestamp,
    /// Time in which something was being performed.
    active: Duration,
}

impl Runner {
    /// Puts a new run on record.
    pub async fn start(
        ports: Ports,
        run: Run,
        created: RunCreated,
        holder: &str,
        observer: Box<dyn Observer>,
    ) -> Result<Self, DriverError> {
        let now = run.started_at;
        let first = [(now, Event::RunCreated(Box::new(created)))];
        let summary = summary(&run, now);
        let (lease, recorded) = ports.store.create(&run.id, holder, &first, &summary).await?;
        let mut runner = Self::new(ports, run, lease, observer);
        runner.recorded(&recorded);
        Ok(runner)
    }

    /// Takes a run up that is on record. Whatever was under way is in doubt from now on.
    pub async fn resume(
        ports: Ports,
        run: Run,
        lease: Lease,
        by: String,
        observer: Box<dyn Observer>,
    ) -> Result<Self, DriverError> {
        let mut runner = Self::new(ports, run, lease, observer);
        if !runner.run.is_finished() {
            runner.input(Input::Resumed { by })?;
            runner.flush().await?;
        }
        Ok(runner)
    }

    fn new(ports: Ports, run: Run, lease: Lease, observer: Box<dyn Observer>) -> Self {
        let renewed_at = ports.clock.now();
        Self {
            project: Arc::clone(&ports.project),
            durable: run.seq,
            run: Arc::new(run),
            ports: Arc::new(ports),
            lease,
            observer,
            gathered: Vec::new(),
            tasks: JoinSet::new(),
            under_way: BTreeSet::new(),
            renewed_at,
            active: Duration::ZERO,
        }
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The run's id.
    pub fn id(&self) -> &RunId {
        &self.run.id
    }

    /// Takes named locks for the run; the summary of who holds them comes in the error.
    pub async fn lock(&self, names: &[String]) -> Result<(), StoreError> {
        self.ports.store.lock(&self.lease, names, self.ports.clock.now()).await
    }

    /// Ends a run that could not begin.
    pub async fn refuse(&mut self, reason: &str) -> Result<(), DriverError> {
        let message = reason.to_owned();
        self.fold(vec![Event::RunFinished { status: RunStatus::Refused, message }])?;
        self.flush().await?;
        self.give_back().await
    }

    /// Gives the right to append back.
    pub async fn give_back(&mut self) -> Result<(), DriverError> {
        Ok(self.ports.store.release(&self.lease).await?)
    }

    /// Undoes the finished run's changes.
    pub async fn roll_back(
        &mut self,
        by: String,
        signature: Option<String>,
        over_drift: bool,
    ) -> Result<(), DriverError> {
        self.input(Input::RollBack { by, signature, over_drift })?;
        self.flush().await
    }

    /// Goes on until the run is over, waits for a person (unless `wait`), or is stopped. The lease
    /// is given back in each case.
    pub async fn drive(
        &mut self,
        wait: bool,
        stop: &mut mpsc::UnboundedReceiver<Stop>,
    ) -> Result<Ended, DriverError> {
        let ended = self.go_on(wait, stop).await;
        // Whatever is still under way is ended before anybody else may act.
        self.tasks.shutdown().await;
        match ended {
            Ok(ended) => {
                if matches!(ended, Ended::Finished(_)) {
                    self.ports.store.unlock(&self.run.id).await?;
                }
                self.ports.store.release(&self.lease).await?;
                Ok(ended)
            }
            Err(error) => {
                // The journal may be what failed; its lease then runs out by itself.
                let _ = self.ports.store.release(&self.lease).await;
                Err(error)
            }
        }
    }

    async fn go_on(
        &mut self,
        wait: bool,
        stop: &mut mpsc::UnboundedReceiver<Stop>,
    ) -> Result<Ended, DriverError> {
        let mut announced: Vec<Question> = Vec::new();
        loop {
            self.settle()?;
            let now = self.ports.clock.now();
            let pending = self.run.pending(now);
            self.begin(&pending).await?;
            if self.run.is_finished() {
                self.flush().await?;
                let status = self.run.status(now);
                return Ok(Ended::Finished(status));
            }
            // What nobody waits for any more does not keep a question back.
            let idle = !self.under_way.iter().any(|task| pending.tasks.contains(task));
            if !idle {
                // What is asked after something was done is asked anew.
                announced.clear();
            }
            if idle && !pending.questions.is_empty() {
                self.flush().await?;
                if self.read_inbox().await? {
                    continue;
                }
                if announced != pending.questions {
                    self.observer.waiting(&self.run, &pending.questions);
                    announced.clone_from(&pending.questions);
                }
                let stuck =
                    |q: &Question| matches!(q, Question::Doubt(_) | Question::FailedUndo(_));
                if !wait || pending.questions.iter().any(stuck) {
                    return Ok(Ended::Paused(pending.questions));
                }
            }
            if self.gathered.len() > GATHER_MAX {
                self.flush().await?;
            }
            if let Some(ended) = self.await_something(&pending, stop).await? {
                return Ok(ended);
            }
            self.keep_lease().await?;
            self.check_timeout()?;
        }
    }

    /// Waits for the first of: a task's end, a message, a time, a signal.
    async fn await_something(
        &mut self,
        pending: &Pending,
        stop: &mut mpsc::UnboundedReceiver<Stop>,
    ) -> Result<Option<Ended>, DriverError> {
        let clock = Arc::clone(&self.ports.clock);
        let now = clock.now();
        let wake_at = pending.wake_at.unwrap_or(Timestamp::MAX);
        let gather_until = match self.gathered.is_empty() {
            true => Timestamp::MAX,
            false => time::after(now, GATHER),
        };
        let look_at = time::after(now, INBOX_EVERY);
        tokio::select! {
            biased;
            Some(wish) = stop.recv() => return self.stop(wish).await,
            Some(done) = self.tasks.join_next(), if !self.under_way.is_empty() => {
                self.active += time::between(now, clock.now());
                if let Ok((task, started_at, outcome)) = done {
                    self.under_way.remove(&task);
                    self.input(Input::Done { task, started_at, outcome })?;
                } else {
                    // A task that panicked: what it was doing is in doubt, and nothing goes on.
                    return self.stop(Stop::Now).await;
                }
            }
            () = clock.until(wake_at.min(gather_until)) => self.flush().await?,
            () = clock.until(look_at) => {
                if !self.under_way.is_empty() {
                    self.active += time::between(now, clock.now());
                }
                self.read_inbox().await?;
            }
        }
        Ok(None)
    }

    async fn stop(&mut self, wish: Stop) -> Result<Option<Ended>, DriverError> {
        match wish {
            Stop::Gently(by) => {
                let cancel = Input::Cancel { by, reason: "interrupted".into() };
                // A second wish of the same kind changes nothing.
                let _ = self.input(cancel);
                Ok(None)
            }
            Stop::Now => {
                self.tasks.shutdown().await;
                self.under_way.clear();
                let by = self.lease.holder.clone();
                self.input(Input::Resumed { by })?;
                self.flush().await?;
                Ok(Some(Ended::Interrupted))
            }
        }
    }

    /// Folds what follows from the state alone, until nothing does.
    fn settle(&mut self) -> Result<(), DriverError> {
        for _ in 0..SETTLE_MAX {
            let now = self.ports.clock.now();
            let events = self.run.settle(now);
            if events.is_empty() {
                return Ok(());
            }
            self.fold(events)?;
        }
        Err(DriverError::Refused(Refused("the run does not settle".into())))
    }

    fn input(&mut self, input: Input) -> Result<(), DriverError> {
        let now = self.ports.clock.now();
        let events = self.run.decide(input, now)?;
        self.fold(events)
    }

    fn fold(&mut self, events: Vec<Event>) -> Result<(), DriverError> {
        let now = self.ports.clock.now();
        let run = Arc::make_mut(&mut self.run);
        for event in events {
            run.fold(&event, now)?;
            self.gathered.push((now, event));
        }
        Ok(())
    }

    /// Starts the tasks that are not under way yet; before an effect, everything is durable.
    async fn begin(&mut self, pending: &Pending) -> Result<(), DriverError> {
        let before = self.under_way.len();
        for task in &pending.tasks {
            if self.under_way.contains(task) {
                continue;
            }
            if task.activity.has_effect() {
                self.flush().await?;
            }
            self.under_way.insert(task.clone());
            let (ports, run) = (Arc::clone(&self.ports), Arc::clone(&self.run));
            self.tasks.spawn(perform(ports, run, task.clone()));
        }
        if self.under_way.len() != before || self.under_way.is_empty() {
            self.observer.under_way(&self.run, &self.under_way);
        }
        Ok(())
    }

    /// Makes what was gathered durable.
    async fn flush(&mut self) -> Result<(), DriverError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let summary = summary(&self.run, self.ports.clock.now());
        let recorded =
            self.ports.store.append(&self.lease, self.durable, &self.gathered, &summary).await?;
        self.gathered.clear();
        self.recorded(&recorded);
        Ok(())
    }

    fn recorded(&mut self, recorded: &[Recorded]) {
        let Some(last) = recorded.last() else { return };
        self.durable = last.seq;
        Arc::make_mut(&mut self.run).head = last.hash.clone();
        self.observer.on(&self.run, recorded);
    }

    /// Takes new messages; `true` when there were some.
    async fn read_inbox(&mut self) -> Result<bool, DriverError> {
        let messages = self.ports.store.inbox(&self.run.id, self.run.last_message).await?;
        let some = !messages.is_empty();
        for (number, message) in messages {
            let verified = match &message {
                Message::Decision { node, decision, .. } => {
                    let now = self.ports.clock.now();
                    self.run.open_request(node).map(|request| {
                        self.ports.approvals.verify(request, decision, &self.project, now)
                    })
                }
                _ => None,
            };
            self.input(Input::Message { number, message, verified })?;
        }
        if some {
            self.flush().await?;
        }
        Ok(some)
    }

    async fn keep_lease(&mut self) -> Result<(), DriverError> {
        let now = self.ports.clock.now();
        if time::between(self.renewed_at, now) * 3 > LEASE_TIME {
            self.ports.store.renew(&self.lease, now).await?;
            self.renewed_at = now;
        }
        Ok(())
    }

    fn check_timeout(&mut self) -> Result<(), DriverError> {
        let Some(timeout) = self.run.plan.runbook.timeout else { return Ok(()) };
        if self.active > timeout && self.run.can_be_cancelled() {
            let reason = format!("the run's timeout of {} is over", time::show_duration(timeout));
            self.input(Input::Cancel { by: "runward".into(), reason })?;
        }
        Ok(())
    }
}

/// The line of `runs`.
fn summary(run: &Run, now: Timestamp) -> Summary {
    let waiting = run.pending(now).questions.first().map(|question| match question {
        Question::Approval(node) => format!("approval of {node}"),
        Question::Answer(node) => format!("answer to {node}"),
        Question::Doubt(node) => format!("outcome of {node}"),
        Question::FailedUndo(node) => format!("failed undo of {node}"),
    });
    Summary {
        name: run.created.name.clone(),
        runbook: run.created.runbook.clone(),
        environment: run.created.environment.clone(),
        operator: run.created.operator.name.clone(),
        status: run.status(now).as_str().to_owned(),
        started_at: Some(run.started_at),
        finished_at: run.finished_at(),
        waiting,
        head: None,
    }
}
