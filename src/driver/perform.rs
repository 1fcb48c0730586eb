//! One task, from rendered arguments to an outcome without secrets.

use std::{sync::Arc, time::Duration};

use super::{
    Ports, policy,
    render::{self, Rendered, States},
    request,
};
use crate::{
    base::{Timestamp, Value, time},
    diagnostics::codes,
    engine::{Activity, Outcome, Run, Task},
    model::{
        Diff, Effect, Fault,
        action_spec::TargetKind,
        event::{Moment, Prepared, Snapshot},
        fault::World,
        runbook::{ActionCall, Body, Change, Step, Undo},
    },
    ports::{Action, Arguments, Captured, StepContext},
};

/// Added to a step's timeout before the driver gives up by itself: the action ends the remote
/// work first, and knows better what became of it.
const GRACE: Duration = Duration::from_secs(10);

/// Performs a task; never fails, since a failure is an outcome.
pub(super) async fn perform(
    ports: Arc<Ports>,
    run: Arc<Run>,
    task: Task,
) -> (Task, Timestamp, Outcome) {
    let started_at = ports.clock.now();
    let performer = Performer { ports: &ports, run: &run, task: &task };
    tracing::debug!(node = %task.node, activity = ?task.activity, attempt = task.attempt, "begins");
    let outcome = performer.outcome().await;
    let took = time::between(started_at, ports.clock.now());
    match fault(&outcome) {
        None => tracing::debug!(node = %task.node, activity = ?task.activity, ?took, "is done"),
        // The code only: words of a fault may quote what a target answered.
        Some(fault) => tracing::debug!(
            node = %task.node, activity = ?task.activity, ?took, code = fault.code.as_str(),
            world = ?fault.world, "has failed"
        ),
    }
    (task, started_at, outcome)
}

fn fault(outcome: &Outcome) -> Option<&Fault> {
    match outcome {
        Outcome::Result(result) => result.as_ref().err(),
        Outcome::Prepared(prepared) => prepared.as_ref().err(),
        Outcome::Captured(captured) => captured.as_ref().err(),
        Outcome::Requested { .. } => None,
    }
}

struct Performer<'a> {
    ports: &'a Ports,
    run: &'a Run,
    task: &'a Task,
}

impl Performer<'_> {
    async fn outcome(&self) -> Outcome {
        let redacted = |fault| render::redacted(self.ports, fault);
        let Some(step) = self.run.plan.step(&self.task.node.step) else {
            return Outcome::Result(Err(Fault::untouched(codes::RW9901, "no such step")));
        };
        match &self.task.activity {
            Activity::Read => {
                let result = self.limited(step, World::Untouched, self.read(step)).await;
                Outcome::Result(self.result(result))
            }
            Activity::Prepare => {
                let prepared = self.limited(step, World::Untouched, self.prepare(step)).await;
                Outcome::Prepared(prepared.map(Box::new).map_err(redacted))
            }
            Activity::Request { undo } => {
                request::request(self.ports, self.run, &self.task.node, step, *undo)
                    .unwrap_or_else(|fault| Outcome::Result(Err(redacted(fault))))
            }
            Activity::Apply => {
                let result = self.limited(step, World::Unknown, self.apply(step)).await;
                Outcome::Result(self.result(result))
            }
            Activity::Capture(when) => {
                let look = self.look(step, Moment::from(*when));
                let captured = self.limited(step, World::Untouched, look).await;
                Outcome::Captured(captured.map(|(s, d)| (Box::new(s), d)).map_err(redacted))
            }
            Activity::Undo => {
                let result = self.limited(step, World::Unknown, self.undo(step)).await;
                Outcome::Result(self.result(result))
            }
        }
    }

    fn result(&self, result: Result<Value, Fault>) -> Result<Value, Fault> {
        result
            .map(|value| self.ports.redactor.value(&value).0)
            .map_err(|fault| render::redacted(self.ports, fault))
    }

    /// The last resort: what does not end within its timeout and some grace is given up.
    async fn limited<T>(
        &self,
        step: &Step,
        world: World,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let Some(timeout) = step.timeout else { return work.await };
        let clock = &self.ports.clock;
        tokio::select! {
            biased;
            done = work => done,
            () = clock.until(time::after(clock.now(), timeout + GRACE)) => {
                let shown = time::show_duration(timeout);
                let message = format!("not done after {shown}");
                Err(Fault::untouched(codes::RW0703, message).world(world))
            }
        }
    }

    fn action(&self, call: &ActionCall) -> Result<Arc<dyn Action>, Fault> {
        self.ports.actions.get(&call.action).cloned().ok_or_else(|| {
            Fault::untouched(codes::RW0401, format!("there is no action `{}`", call.action))
        })
    }

    fn context(&self, step: &Step) -> StepContext {
        StepContext {
            run: self.run.id.clone(),
            node: self.task.node.clone(),
            attempt: self.task.attempt,
            timeout: step.timeout,
            clock: Arc::clone(&self.ports.clock),
            transports: Arc::clone(&self.ports.transports),
            folder: self.ports.folder.clone(),
        }
    }

    async fn rendered(&self, call: &ActionCall, states: States) -> Result<Rendered, Fault> {
        let rendered = render::render(self.ports, self.run, &self.task.node, call, states).await?;
        policy::read_permitted(&self.run.plan.environment, call, &rendered.arguments)?;
        Ok(rendered)
    }

    async fn read(&self, step: &Step) -> Result<Value, Fault> {
        let Body::Action(call) = &step.body else { return Err(not_an_action()) };
        let rendered = self.rendered(call, States::default()).await?;
        self.action(call)?.run(&self.context(step), &rendered.arguments).await
    }

    async fn prepare(&self, step: &Step) -> Result<Prepared, Fault> {
        match &step.body {
            Body::Action(call) if call.effect == Effect::Reversible => {
                self.prepare_reversible(step, call).await
            }
            Body::Action(call) => {
                let rendered = self.rendered(call, States::default()).await?;
                let why = step.reversibility().err().unwrap_or_default();
                self.prepared(call, &rendered, None, format!("can't be undone: {why}"), false).await
            }
            Body::Change(change) => self.prepare_change(step, change).await,
            _ => Err(not_an_action()),
        }
    }

    async fn prepare_reversible(&self, step: &Step, call: &ActionCall) -> Result<Prepared, Fault> {
        let rendered = self.rendered(call, States::default()).await?;
        let action = self.action(call)?;
        let cx = self.context(step);
        let captured = action.capture(&cx, &rendered.arguments).await?;
        let preview = action.preview(&cx, &rendered.arguments, &captured).await?;
        let difference = Diff::between(&captured.state, &preview.after, &captured.key);
        Ok(Prepared {
            arguments: rendered.shown,
            arguments_digest: rendered.digest,
            statement: self.ports.redactor.text(&preview.statement),
            target: captured.identity.clone(),
            before: Some(render::snapshot(self.ports, &captured)?),
            difference: Some(self.redact_diff(&difference)),
            undo: self.ports.redactor.text(&preview.undo),
            reversible: true,
        })
    }

    async fn prepare_change(&self, step: &Step, change: &Change) -> Result<Prepared, Fault> {
        let before = match &change.capture {
            Some(capture) => Some(self.capture(step, capture).await?),
            None => None,
        };
        let states = || States { before: before.as_ref().map(|c| c.state.clone()), after: None };
        let rendered = self.rendered(&change.apply, states()).await?;
        let (undo, reversible) = match &change.undo {
            Undo::Action(call) => match self.rendered(call, states()).await {
                Ok(undo) => (render::describe(call, &undo.shown), true),
                // It refers to the state after, which only the change makes.
                Err(fault) if fault.code == codes::RW0302.as_str() => {
                    (format!("{} (known once the change is made)", call.action), true)
                }
                Err(fault) => return Err(fault),
            },
            Undo::Irreversible(why) => (format!("can't be undone: {why}"), false),
            Undo::NotNeeded(why) => (format!("nothing to undo: {why}"), true),
        };
        self.prepared(&change.apply, &rendered, before.as_ref(), undo, reversible).await
    }

    async fn prepared(
        &self,
        call: &ActionCall,
        rendered: &Rendered,
        before: Option<&Captured>,
        undo: String,
        reversible: bool,
    ) -> Result<Prepared, Fault> {
        Ok(Prepared {
            arguments: rendered.shown.clone(),
            arguments_digest: rendered.digest.clone(),
            statement: render::describe(call, &rendered.shown),
            target: self.identity(call, &rendered.arguments).await?,
            before: before.map(|c| render::snapshot(self.ports, c)).transpose()?,
            difference: None,
            undo,
            reversible,
        })
    }

    /// Who the target of a call turns out to be.
    async fn identity(&self, call: &ActionCall, arguments: &Arguments) -> Result<String, Fault> {
        let transports = &self.ports.transports;
        let kind = self.action(call)?.spec().target;
        let (Some(kind), Some(target)) = (kind, call.target()) else {
            return Ok("this machine".to_owned());
        };
        Ok(match kind {
            TargetKind::Sql => transports.sql(target).await?.identity().await?,
            TargetKind::Http => transports.http(target).await?.base_url(),
            TargetKind::Ssh => {
                let ssh = transports.ssh(target).await?;
                let hosts = match arguments.text("host")? {
                    Some(host) => vec![host],
                    None => ssh.hosts(),
                };
                let mut identities = Vec::with_capacity(hosts.len());
                for host in hosts {
                    identities.push(ssh.identity(&host).await?);
                }
                identities.join(", ")
            }
        })
    }

    /// Runs a change's capture.
    async fn capture(&self, step: &Step, call: &ActionCall) -> Result<Captured, Fault> {
        let rendered = self.rendered(call, States::default()).await?;
        let action = self.action(call)?;
        let mut state = action.run(&self.context(step), &rendered.arguments).await?;
        if let Value::Map(map) = &mut state {
            // What differs between two looks at one state is no part of it.
            for field in action.spec().result.iter().filter(|f| f.volatile) {
                map.shift_remove(&field.name);
            }
        }
        let identity = self.identity(call, &rendered.arguments).await?;
        Ok(Captured { state, key: Vec::new(), identity })
    }

    async fn apply(&self, step: &Step) -> Result<Value, Fault> {
        let (prepared, before) = self.prepared_state()?;
        let (call, states) = match &step.body {
            Body::Action(call) => (call, States::default()),
            Body::Change(change) => {
                let before = before.as_ref().map(|b| b.state.clone());
                (&change.apply, States { before, after: None })
            }
            _ => return Err(not_an_action()),
        };
        let rendered = self.rendered(call, states).await?;
        if rendered.digest != prepared.arguments_digest {
            return Err(Fault::untouched(
                codes::RW0602,
                "the rendered arguments are not the ones that were prepared",
            ));
        }
        let action = self.action(call)?;
        let cx = self.context(step);
        match before {
            Some(before) if call.effect == Effect::Reversible => {
                action.apply(&cx, &rendered.arguments, &before).await
            }
            _ => action.run(&cx, &rendered.arguments).await,
        }
    }

    /// The preparation that is being carried out, and the exact state before.
    fn prepared_state(&self) -> Result<(&Prepared, Option<Captured>), Fault> {
        let prepared = self
            .run
            .prepared(&self.task.node)
            .ok_or_else(|| Fault::untouched(codes::RW9901, "the change was never prepared"))?;
        let before = match &prepared.before {
            Some(snapshot) => Some(self.exact(snapshot, &prepared.target)?),
            None => None,
        };
        Ok((prepared, before))
    }

    fn exact(&self, snapshot: &Snapshot, identity: &str) -> Result<Captured, Fault> {
        Ok(Captured {
            state: render::exact(self.ports, snapshot)?,
            key: snapshot.key.clone(),
            identity: identity.to_owned(),
        })
    }

    /// Looks at the state now, and compares: with the state before, or for `Left` with the one
    /// that the run left.
    async fn look(&self, step: &Step, moment: Moment) -> Result<(Snapshot, Diff), Fault> {
        let (prepared, before) = self.prepared_state()?;
        let before = before
            .ok_or_else(|| Fault::untouched(codes::RW9901, "there is no state to compare with"))?;
        let now = match &step.body {
            Body::Action(call) => {
                let rendered = self.rendered(call, States::default()).await?;
                let action = self.action(call)?;
                action.recapture(&self.context(step), &rendered.arguments, &before).await?
            }
            Body::Change(change) => {
                let call = change.capture.as_ref().ok_or_else(not_an_action)?;
                self.capture(step, call).await?
            }
            _ => return Err(not_an_action()),
        };
        let than = match (moment, self.run.after(&self.task.node)) {
            (Moment::Left, Some(after)) => self.exact(after, &prepared.target)?,
            _ => before,
        };
        let difference = Diff::between(&than.state, &now.state, &now.key);
        Ok((render::snapshot(self.ports, &now)?, self.redact_diff(&difference)))
    }

    async fn undo(&self, step: &Step) -> Result<Value, Fault> {
        let (prepared, before) = self.prepared_state()?;
        let after = match self.run.undone_over(&self.task.node) {
            Some(snapshot) => Some(self.exact(snapshot, &prepared.target)?),
            None => None,
        };
        let cx = self.context(step);
        match (&step.body, before) {
            (Body::Action(call), Some(before)) => {
                let rendered = self.rendered(call, States::default()).await?;
                let action = self.action(call)?;
                action.undo(&cx, &rendered.arguments, &before, after.as_ref()).await
            }
            (Body::Change(change), before) => {
                let Undo::Action(call) = &change.undo else { return Err(not_an_action()) };
                let states =
                    States { before: before.map(|b| b.state), after: after.map(|a| a.state) };
                let rendered = self.rendered(call, states).await?;
                self.action(call)?.run(&cx, &rendered.arguments).await
            }
            _ => Err(not_an_action()),
        }
    }

    fn redact_diff(&self, diff: &Diff) -> Diff {
        let redactor = &self.ports.redactor;
        Diff(
            diff.0
                .iter()
                .map(|d| {
                    // A masked column is masked by its name, which only the path has here.
                    let masked = |v: &Value| redactor.field(leaf(&d.path), v);
                    crate::model::diff::Difference {
                        path: redactor.text(&d.path),
                        before: d.before.as_ref().map(masked),
                        after: d.after.as_ref().map(masked),
                    }
                })
                .collect(),
        )
    }
}

/// The last name of a path: `email` of `rows[id=7].email`.
fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn not_an_action() -> Fault {
    Fault::untouched(codes::RW9901, "the step has nothing to perform")
}
