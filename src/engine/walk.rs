//! What comes next: a walk over the plan that stops where something has to happen.

use super::{
    finish,
    life::Life,
    run::{Node, Over, Run},
    scope::RunScope,
};
use crate::{
    base::{NodeId, Timestamp, Value},
    diagnostics::codes,
    expression::Escape,
    model::{
        event::{Event, Moment, Phase},
        fault::Fault,
        runbook::{Body, OnError, Step},
    },
};

/// Something to perform outside of the engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Run a reading action.
    Read,
    /// Render a change, capture its state, predict its difference. Nothing changes.
    Prepare,
    /// Write the request for an approval; `undo` is one for undoing a finished run's change.
    Request {
        /// For undoing.
        undo: bool,
    },
    /// Make the change. Its start is on record.
    Apply,
    /// Look at the state.
    Capture(When),
    /// Put back. Its start is on record.
    Undo,
}

/// `Moment`, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// After the change.
    After,
    /// After a failure.
    Doubt,
    /// After the undo.
    Restored,
    /// Before undoing a finished run.
    Left,
}

impl From<When> for Moment {
    fn from(when: When) -> Self {
        match when {
            When::After => Self::After,
            When::Doubt => Self::Doubt,
            When::Restored => Self::Restored,
            When::Left => Self::Left,
        }
    }
}

impl Activity {
    /// Does it change anything in the world?
    pub fn has_effect(&self) -> bool {
        matches!(self, Self::Apply | Self::Undo)
    }
}

/// An activity of one step, for one attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// The step.
    pub node: NodeId,
    /// What.
    pub activity: Activity,
    /// For which attempt, from 1.
    pub attempt: u32,
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// To approve or reject.
    Approval(NodeId),
    /// To answer a manual step.
    Answer(NodeId),
    /// Whether an attempt in doubt took effect.
    Doubt(NodeId),
    /// What to do about an undo that failed.
    FailedUndo(NodeId),
}

/// What has to be performed, awaited and asked.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// To perform, side by side.
    pub tasks: Vec<Task>,
    /// To ask.
    pub questions: Vec<Question>,
    /// When the state changes by itself.
    pub wake_at: Option<Timestamp>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Over; the next may begin.
    Done,
    /// Something has to happen first.
    Active,
    /// Failed, and the run with it.
    Failed,
}

/// What the walk found where it stopped.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) events: Vec<Event>,
    pub(super) pending: Pending,
}

impl Found {
    pub(super) fn events(&mut self, events: Vec<Event>) -> Progress {
        self.events.extend(events);
        Progress::Active
    }

    pub(super) fn perform(&mut self, node: &NodeId, activity: Activity, attempt: u32) -> Progress {
        self.pending.tasks.push(Task { node: node.clone(), activity, attempt });
        Progress::Active
    }

    pub(super) fn ask(&mut self, question: Question) -> Progress {
        self.pending.questions.push(question);
        Progress::Active
    }

    pub(super) fn wake(&mut self, at: Timestamp) -> Progress {
        self.pending.wake_at = Some(self.pending.wake_at.map_or(at, |old| old.min(at)));
        Progress::Active
    }
}

/// Does the step's condition name the item of its own loop?
fn names_item(step: &Step) -> bool {
    let (Some(foreach), Some(when)) = (&step.foreach, &step.when) else { return false };
    when.names().iter().any(|name| name.path[0] == foreach.name)
}

impl Run {
    /// Events that follow from the state and the time alone. Empty: nothing does. To be called
    /// again after each fold, until it is.
    pub fn settle(&self, now: Timestamp) -> Vec<Event> {
        self.walk(now).events
    }

    /// What has to be performed, awaited and asked. Meaningful once `settle` gives nothing.
    pub fn pending(&self, now: Timestamp) -> Pending {
        self.walk(now).pending
    }

    fn walk(&self, now: Timestamp) -> Found {
        let mut found = Found::default();
        if self.finished.is_some() {
            return found;
        }
        if self.phase == Phase::Rollback {
            self.walk_rollback(now, &mut found);
            return found;
        }
        if self.phase == Phase::Main
            && let Some((succeeded, message)) = &self.stopped
        {
            if *succeeded {
                found.events(vec![self.after_steps()]);
            } else {
                let reason = message.clone();
                found.events(vec![self.rollback_started(reason)]);
            }
            return found;
        }
        let steps = &self.plan.steps(self.phase)[self.cursor..];
        match self.walk_steps(steps, &[], now, &mut found) {
            Progress::Active => self.cut_short(&mut found),
            Progress::Done => {
                let event = match &self.cancelled {
                    Some(reason) if self.phase == Phase::Main => self.cancellation(reason),
                    _ => self.after_steps(),
                };
                found.events(vec![event]);
            }
            Progress::Failed if self.phase == Phase::Main => {
                let reason = self.failure.as_ref().map_or_else(String::new, |(node, fault)| {
                    format!("step `{node}` failed: {}", fault.message)
                });
                found.events(vec![self.rollback_started(reason)]);
            }
            Progress::Failed => {
                found.events(vec![self.after_steps()]);
            }
        }
        found
    }

    /// A cancelled run begins nothing more: what is under way is finished, and then it goes back.
    fn cut_short(&self, found: &mut Found) {
        let Some(reason) = &self.cancelled else { return };
        if self.phase != Phase::Main {
            return;
        }
        let under_way = found
            .pending
            .tasks
            .iter()
            .any(|t| t.activity.has_effect() || matches!(t.activity, Activity::Capture(_)));
        let in_doubt = found.pending.questions.iter().any(|q| matches!(q, Question::Doubt(_)));
        let untouched = |id: &NodeId| self.node(id).is_none_or(|n| n.life == Life::Pending);
        let begins =
            |e: &Event| matches!(e, Event::AttemptStarted { .. }) || e.node().is_none_or(untouched);
        let ends = !found.events.is_empty() && !found.events.iter().any(begins);
        if !ends && !under_way && !in_doubt {
            *found = Found::default();
            found.events(vec![self.cancellation(reason)]);
        }
    }

    fn cancellation(&self, reason: &str) -> Event {
        self.rollback_started(format!("cancelled: {reason}"))
    }

    /// The steps of a phase are over: what follows?
    fn after_steps(&self) -> Event {
        let rb = &self.plan.runbook;
        match self.phase {
            Phase::Rollback if self.has_failed() && !rb.on_failure.is_empty() => {
                Event::PhaseStarted { phase: Phase::OnFailure }
            }
            Phase::Main | Phase::Rollback | Phase::OnFailure
                if !rb.finally.is_empty() && !self.undoes_finished_run() =>
            {
                Event::PhaseStarted { phase: Phase::Finally }
            }
            _ => {
                let (status, message) = self.verdict();
                Event::RunFinished { status, message }
            }
        }
    }

    fn undoes_finished_run(&self) -> bool {
        self.rollback.as_ref().is_some_and(|r| r.requested)
    }

    pub(super) fn rollback_over(&self) -> Event {
        if self.undoes_finished_run() {
            let (status, message) = self.verdict();
            return Event::RunFinished { status, message };
        }
        self.after_steps()
    }

    fn walk_steps(
        &self,
        steps: &[Step],
        items: &[usize],
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        for step in steps {
            match self.walk_step(step, items, now, found) {
                Progress::Done => {}
                // What is done after a failure is not stopped by a failure of its own.
                Progress::Failed if self.phase != Phase::Main => {}
                other => return other,
            }
        }
        Progress::Done
    }

    fn walk_step(
        &self,
        step: &Step,
        items: &[usize],
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        let id = NodeId { step: step.id.clone(), items: items.to_vec() };
        if let Some(progress) = self.over(step, &id) {
            return progress;
        }
        let Some(foreach) = &step.foreach else {
            return self.walk_instance(step, &id, now, found);
        };
        if let Some(list) = self.items.get(&id) {
            for index in 0..list.len() {
                match self.walk_instance(step, &id.with_item(index), now, found) {
                    Progress::Done => {}
                    Progress::Failed if step.on_error == OnError::Continue => {}
                    other => return other,
                }
            }
            return Progress::Done;
        }
        // A condition that does not name the item is about the whole step.
        if !names_item(step)
            && let Some(events) = self.condition(step, &id)
        {
            return found.events(events);
        }
        let scope = RunScope::at(self, &id);
        let event = match foreach.items.evaluate(&scope) {
            Ok(Value::List(items)) => Event::ItemsListed { node: id, items },
            Ok(other) => Event::StepFailed {
                node: id,
                fault: Fault::untouched(
                    codes::RW0304,
                    format!("`foreach` needs a list, but got {}", other.kind()),
                ),
            },
            Err(failure) => self.unevaluated(id, &failure),
        };
        found.events(vec![event])
    }

    /// An expression has no value: the step has failed, or can't be planned yet.
    fn unevaluated(&self, node: NodeId, failure: &crate::expression::Failure) -> Event {
        if failure.not_yet_known && self.created.plan {
            return Event::StepPlanned { node, unknown: Some(failure.message.clone()) };
        }
        Event::StepFailed { node, fault: finish::fault_of(failure) }
    }

    /// How the step ended, if it has.
    fn over(&self, step: &Step, id: &NodeId) -> Option<Progress> {
        Some(match self.node(id)?.over? {
            Over::Succeeded | Over::Skipped | Over::Planned => Progress::Done,
            Over::Failed if step.on_error == OnError::Continue => Progress::Done,
            Over::Failed => Progress::Failed,
        })
    }

    /// The event of a condition that is false or has no value; `None` when the step is to be done.
    fn condition(&self, step: &Step, id: &NodeId) -> Option<Vec<Event>> {
        let when = step.when.as_ref()?;
        match when.evaluate(&RunScope::at(self, id)) {
            Ok(value) if value.is_true() => None,
            Ok(_) => Some(vec![Event::StepSkipped {
                node: id.clone(),
                reason: format!("`{}` is false", when.text.trim()),
            }]),
            Err(failure) => Some(vec![self.unevaluated(id.clone(), &failure)]),
        }
    }

    fn walk_instance(
        &self,
        step: &Step,
        id: &NodeId,
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        if let Some(progress) = self.over(step, id) {
            return progress;
        }
        let node = self.node(id).cloned().unwrap_or_default();
        let untried = node.attempts == 0 && node.question.is_none();
        let conditional = step.foreach.is_none() || names_item(step);
        let group = matches!(step.body, Body::Group(_));
        if conditional
            && !group
            && untried
            && let Some(events) = self.condition(step, id)
        {
            return found.events(events);
        }
        match &step.body {
            Body::Group(children) => {
                if conditional
                    && !self.has_begun(children, &id.items)
                    && let Some(events) = self.condition(step, id)
                {
                    return found.events(events);
                }
                match self.walk_steps(children, &id.items, now, found) {
                    Progress::Failed if step.on_error == OnError::Continue => Progress::Done,
                    Progress::Done if !step.expect.is_empty() || !step.outputs.is_empty() => {
                        found.events(finish::judge(self, step, id, now))
                    }
                    other => other,
                }
            }
            Body::Check => found.events(finish::judge(self, step, id, now)),
            Body::Note(template) => {
                let scope = RunScope::at(self, id);
                found.events(match template.render(&scope, Escape::Markdown) {
                    Ok(text) => vec![
                        Event::NoteWritten { node: id.clone(), text: text.to_string() },
                        Event::StepSucceeded {
                            node: id.clone(),
                            outputs: None,
                            findings: Vec::new(),
                        },
                    ],
                    Err(failure) => vec![self.unevaluated(id.clone(), &failure)],
                })
            }
            Body::Stop(stop) => {
                let scope = RunScope::at(self, id);
                let message = stop.message.as_ref().map(|m| m.render(&scope, Escape::None));
                found.events(match message.transpose() {
                    Ok(message) => {
                        let message = message.map_or_else(String::new, |m| m.to_string());
                        self.stop_events(id, stop.succeeded, message)
                    }
                    Err(failure) => vec![self.unevaluated(id.clone(), &failure)],
                })
            }
            Body::Manual(manual) => self.walk_manual(step, manual, id, &node, now, found),
            Body::Action(_) | Body::Change(_) if step.changes() => {
                self.walk_change(step, id, &node, now, found)
            }
            Body::Action(_) | Body::Change(_) => self.walk_read(step, id, &node, now, found),
        }
    }

    fn stop_events(&self, id: &NodeId, succeeded: bool, message: String) -> Vec<Event> {
        let stopped = Event::RunStopped { node: id.clone(), succeeded, message: message.clone() };
        let over = if succeeded {
            Event::StepSucceeded { node: id.clone(), outputs: None, findings: Vec::new() }
        } else {
            let message =
                if message.is_empty() { "the runbook stops here".into() } else { message };
            Event::StepFailed { node: id.clone(), fault: Fault::untouched(codes::RW0716, message) }
        };
        vec![stopped, over]
    }

    fn has_begun(&self, steps: &[Step], items: &[usize]) -> bool {
        steps.iter().any(|s| {
            let id = NodeId { step: s.id.clone(), items: items.to_vec() };
            self.nodes.contains_key(&id)
                || self.items.contains_key(&id)
                || matches!(&s.body, Body::Group(children) if self.has_begun(children, items))
        })
    }

    fn walk_manual(
        &self,
        step: &Step,
        manual: &crate::model::runbook::Manual,
        id: &NodeId,
        node: &Node,
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        if self.created.plan {
            return found.events(vec![Event::StepPlanned {
                node: id.clone(),
                unknown: Some("a person answers".into()),
            }]);
        }
        if let Some((by, confirmed, _)) = &node.answer {
            if *confirmed {
                return found.events(finish::judge(self, step, id, now));
            }
            let message = format!("{by} did not confirm");
            return found.events(vec![Event::StepFailed {
                node: id.clone(),
                fault: Fault::untouched(codes::RW0716, message),
            }]);
        }
        if node.question.is_some() {
            return found.ask(Question::Answer(id.clone()));
        }
        let scope = RunScope::at(self, id);
        found.events(match manual.instructions.render(&scope, Escape::Markdown) {
            Ok(text) => {
                vec![Event::AnswerAsked { node: id.clone(), instructions: text.to_string() }]
            }
            Err(failure) => vec![self.unevaluated(id.clone(), &failure)],
        })
    }

    fn walk_read(
        &self,
        step: &Step,
        id: &NodeId,
        node: &Node,
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        if let Some(at) = node.retry_at
            && at > now
        {
            return found.wake(at);
        }
        match node.life {
            Life::Succeeded if !node.retrying => found.events(finish::judge(self, step, id, now)),
            Life::FailedClean if !node.retrying => {
                let fault = node.fault.clone().unwrap_or_else(|| {
                    Fault::untouched(codes::RW9901, "the attempt failed without a fault")
                });
                // While planning, what depends on a change not made yet is no failure.
                if self.created.plan && fault.code == codes::RW0306.as_str() {
                    let unknown = Some(fault.message);
                    return found.events(vec![Event::StepPlanned { node: id.clone(), unknown }]);
                }
                found.events(finish::retry_or_fail(step, id, node, node.attempts, fault, now))
            }
            _ => found.perform(id, Activity::Read, node.attempts + 1),
        }
    }

    /// Moves the cursor over top-level steps that are over.
    pub(super) fn advance_cursor(&mut self) {
        loop {
            let Some(step) = self.plan.steps(self.phase).get(self.cursor) else { return };
            if !self.is_over(step, &[]) {
                return;
            }
            self.cursor += 1;
        }
    }

    /// Is it over so that the next may begin, for good?
    fn is_over(&self, step: &Step, items: &[usize]) -> bool {
        let id = NodeId { step: step.id.clone(), items: items.to_vec() };
        if let Some(progress) = self.over(step, &id) {
            return progress == Progress::Done;
        }
        let instance = |id: &NodeId| match &step.body {
            Body::Group(children) => {
                step.expect.is_empty()
                    && step.outputs.is_empty()
                    && !children.is_empty()
                    && self.has_begun(children, &id.items)
                    && children.iter().all(|c| self.is_over(c, &id.items))
            }
            _ => self.over(step, id) == Some(Progress::Done),
        };
        match (&step.foreach, self.items.get(&id)) {
            (None, _) => instance(&id),
            (Some(_), None) => false,
            (Some(_), Some(list)) => (0..list.len()).all(|i| instance(&id.with_item(i))),
        }
    }
}
