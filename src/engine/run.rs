//! A run: the fold of its events.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    finish,
    fold::{fold_attempt, fold_gate, fold_undo},
    life::Life,
    plan::Plan,
    scope::RunScope,
};
use crate::{
    base::{Digest, Map, NodeId, RunId, Secret, Seq, Timestamp, Value},
    diagnostics::codes,
    expression::Failure,
    model::{
        approval::Approval,
        diff::Diff,
        event::{Event, Phase, Prepared, Recorded, RunCreated, RunStatus, Snapshot},
        fault::Fault,
        runbook::{OnError, Step},
        target::Irreversible,
    },
};

/// An event that the state does not allow.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("event {seq} ({event}) is not allowed: {reason}")]
pub struct Illegal {
    /// Position of the event.
    pub seq: Seq,
    /// Its type.
    pub event: String,
    /// Why not.
    pub reason: String,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What will be done.
    pub plan: Arc<Plan>,
    /// All that it depends on.
    pub created: Arc<RunCreated>,
    /// When it was created.
    pub started_at: Timestamp,
    /// Position of the newest event.
    pub seq: Seq,
    /// Hash of the newest event that is on record.
    pub head: Digest,
    /// Number of the newest message that an event answers.
    pub last_message: u64,
    pub(super) vars: Map,
    pub(super) nodes: IndexMap<NodeId, Node>,
    pub(super) items: IndexMap<NodeId, Vec<Value>>,
    pub(super) phase: Phase,
    pub(super) failure: Option<(NodeId, Fault)>,
    pub(super) refused: bool,
    pub(super) rollback: Option<Rollback>,
    pub(super) cancelled: Option<String>,
    pub(super) stopped: Option<(bool, String)>,
    pub(super) finished: Option<(RunStatus, String, Timestamp)>,
    /// Top-level steps at the beginning of the present phase that are known to be over: an index,
    /// so that a long runbook is not walked from its start for each event.
    pub(super) cursor: usize,
    /// Changes, in the order in which their attempts began.
    pub(super) changes: Vec<NodeId>,
}

/// Going back.
#[derive(Clone, Debug)]
pub(super) struct Rollback {
    pub(super) order: Vec<NodeId>,
    /// Who asked for it, after the run was finished.
    pub(super) by: Option<String>,
    /// Undo also where the state is no longer what the run left.
    pub(super) over_drift: bool,
    /// Asked for after the run was finished: each undo is gated, and the state must be what the
    /// run left.
    pub(super) requested: bool,
}

/// One step for one item.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) life: Life,
    /// Attempts begun; for a change also the number that a preparation is for.
    pub(super) attempts: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    /// The step is over, one way or another.
    pub(super) over: Option<Over>,
    pub(super) prepared: Option<Box<Prepared>>,
    pub(super) gate: Gate,
    pub(super) result: Option<Value>,
    pub(super) after: Option<Box<Snapshot>>,
    pub(super) diff: Option<Diff>,
    pub(super) after_failed: Option<Fault>,
    /// Looked at after a failure: what differs from the state before.
    pub(super) doubt: Option<Result<Diff, Fault>>,
    pub(super) fault: Option<Fault>,
    pub(super) outputs: Option<Map>,
    /// What `steps.<id>` gives, once the step has succeeded.
    pub(super) exposed: Option<Value>,
    pub(super) findings: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) note: Option<String>,
    pub(super) question: Option<String>,
    pub(super) answer: Option<(String, bool, Map)>,
    pub(super) retry_at: Option<Timestamp>,
    /// The read's result was judged and it will be tried again.
    pub(super) retrying: bool,
    pub(super) undo: UndoState,
}

/// Who must agree, and who has.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    pub(super) request: Option<Request>,
    pub(super) approvals: Vec<Approval>,
    /// All decisions of the run on this step, also of requests that are over.
    pub(super) history: Vec<Approval>,
    pub(super) refusals: Vec<String>,
    /// The newest request was rejected.
    pub(super) rejected: bool,
}

impl Gate {
    /// Have enough different people agreed?
    pub(super) fn satisfied(&self) -> bool {
        self.request.as_ref().is_some_and(|r| self.approvals.len() as u64 >= u64::from(r.required))
    }

    /// The request is over: used, void, expired or rejected.
    pub(super) fn close(&mut self) {
        self.request = None;
        self.approvals.clear();
    }
}

/// An open request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) bytes: String,
    pub(super) digest: Digest,
    pub(super) required: u32,
    pub(super) asked_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Succeeded,
    Failed,
    Skipped,
    Planned,
}

/// What became of undoing.
#[derive(Clone, Debug, Default)]
pub(super) struct UndoState {
    pub(super) attempts: u32,
    pub(super) fault: Option<Fault>,
    pub(super) residual: Option<Diff>,
    pub(super) restored: Option<Value>,
    pub(super) capture_fault: Option<Fault>,
    pub(super) skipped: Option<(String, bool)>,
    pub(super) left: Option<String>,
    pub(super) retry_decided: bool,
    pub(super) finished_at: Option<Timestamp>,
    /// Rollback of a finished run: from what the run left to what is there now.
    pub(super) drift: Option<Diff>,
    /// What is there now.
    pub(super) found: Option<Box<Snapshot>>,
}

impl Run {
    /// A run from its first event. Fails when a `vars` expression has no value.
    pub fn begin(
        id: RunId,
        at: Timestamp,
        created: RunCreated,
        plan: &Arc<Plan>,
    ) -> Result<Self, Failure> {
        let mut run = Self {
            id,
            plan: Arc::clone(plan),
            created: Arc::new(created),
            started_at: at,
            seq: 1,
            head: Digest(String::new()),
            last_message: 0,
            vars: Map::new(),
            nodes: IndexMap::new(),
            items: IndexMap::new(),
            phase: Phase::Main,
            failure: None,
            refused: false,
            rollback: None,
            cancelled: None,
            stopped: None,
            finished: None,
            cursor: 0,
            changes: Vec::new(),
        };
        run.compute_vars()?;
        Ok(run)
    }

    /// The run with its sensitive inputs, which the journal holds sealed.
    pub fn with_secrets(mut self, secrets: Vec<(String, Secret)>) -> Result<Self, Failure> {
        let created = Arc::make_mut(&mut self.created);
        for (name, secret) in secrets {
            created.inputs.insert(name, Value::Secret(secret));
        }
        self.compute_vars()?;
        Ok(self)
    }

    fn compute_vars(&mut self) -> Result<(), Failure> {
        self.vars.clear();
        let plan = Arc::clone(&self.plan);
        for (name, tree) in &plan.runbook.vars {
            let value = tree.render(&RunScope::new(self))?;
            self.vars.insert(name.clone(), value);
        }
        Ok(())
    }

    /// Takes an event from the journal: its state, position and hash.
    pub fn replay(&mut self, recorded: &Recorded) -> Result<(), Illegal> {
        if recorded.seq != self.seq + 1 {
            return Err(self.illegal(&recorded.event, "it is not the next one"));
        }
        self.fold(&recorded.event, recorded.at)?;
        self.head = recorded.hash.clone();
        Ok(())
    }

    /// Takes an event that is about to be appended.
    pub fn fold(&mut self, event: &Event, at: Timestamp) -> Result<(), Illegal> {
        if self.finished.is_some() && !may_follow_the_end(event) {
            return Err(self.illegal(event, "the run is finished"));
        }
        if let Some(node) = event.node() {
            self.fold_life(node, event)?;
        }
        self.seq += 1;
        if let Some(message) = event.message() {
            self.last_message = self.last_message.max(message);
        }
        self.fold_run(event, at);
        if let Some(id) = event.node() {
            let id = id.clone();
            self.fold_node(&id, event, at);
        }
        self.advance_cursor();
        Ok(())
    }

    fn fold_life(&mut self, node: &NodeId, event: &Event) -> Result<(), Illegal> {
        let Some(step) = self.plan.step(&node.step) else {
            return Err(self.illegal(event, "the runbook has no such step"));
        };
        let reads = !step.changes();
        let life = self.nodes.get(node).map_or(Life::Pending, |n| n.life);
        let Some(next) = life.next(event, reads) else {
            return Err(self.illegal(event, &format!("{node} is {life:?}")));
        };
        self.nodes.entry(node.clone()).or_default().life = next;
        Ok(())
    }

    fn illegal(&self, event: &Event, reason: &str) -> Illegal {
        Illegal { seq: self.seq + 1, event: event.kind(), reason: reason.to_owned() }
    }

    fn fold_run(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::RollbackStarted { nodes, over_drift, requested_by, .. } => {
                let requested = self.finished.take().is_some();
                let order = nodes.clone();
                self.begin_rollback(&order, requested);
                self.rollback = Some(Rollback {
                    order,
                    requested,
                    over_drift: *over_drift,
                    by: requested_by.clone(),
                });
                self.enter(Phase::Rollback);
            }
            Event::PhaseStarted { phase } => self.enter(*phase),
            Event::CancelRequested { reason, .. } => self.cancelled = Some(reason.clone()),
            Event::RunStopped { succeeded, message, .. } => {
                self.stopped = Some((*succeeded, message.clone()));
            }
            Event::RunFinished { status, message } => {
                self.finished = Some((*status, message.clone(), at));
            }
            Event::ItemsListed { node, items } => {
                self.items.insert(node.clone(), items.clone());
            }
            Event::AttemptStarted { node, .. } => {
                self.changes.retain(|n| n != node);
                self.changes.push(node.clone());
            }
            _ => {}
        }
    }

    /// Nobody is asked any more about what will not be made. A rollback that was asked for is not
    /// bound by what came of an earlier one.
    fn begin_rollback(&mut self, order: &[NodeId], requested: bool) {
        for (id, node) in &mut self.nodes {
            node.gate.close();
            if requested && order.contains(id) {
                node.gate.rejected = false;
                node.undo = UndoState { attempts: node.undo.attempts, ..UndoState::default() };
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.cursor = 0;
    }

    fn fold_node(&mut self, id: &NodeId, event: &Event, at: Timestamp) {
        let node = self.nodes.entry(id.clone()).or_default();
        match event {
            Event::StepSkipped { reason, .. } => {
                node.over = Some(Over::Skipped);
                node.reason = Some(reason.clone());
                node.finished_at = Some(at);
            }
            Event::StepPlanned { unknown, .. } => {
                node.over = Some(Over::Planned);
                node.reason = unknown.clone();
                node.finished_at = Some(at);
            }
            Event::ChangePrepared { attempt, prepared, .. } => {
                node.attempts = *attempt;
                node.started_at = node.started_at.or(Some(at));
                node.prepared = Some(prepared.clone());
                node.retry_at = None;
            }
            Event::NoteWritten { text, .. } => node.note = Some(text.clone()),
            Event::AnswerAsked { instructions, .. } => {
                node.started_at = Some(at);
                node.question = Some(instructions.clone());
            }
            Event::AnswerGiven { by, confirmed, fields, .. } => {
                node.answer = Some((by.clone(), *confirmed, fields.clone()));
            }
            Event::RetryScheduled { at: not_before, attempt, .. } => {
                node.attempts = attempt.saturating_sub(1);
                node.retry_at = Some(*not_before);
                node.retrying = true;
                // A change is prepared anew for each attempt: the state may be another by then.
                node.prepared = None;
            }
            Event::StepSucceeded { outputs, findings, .. } => {
                node.over = Some(Over::Succeeded);
                node.outputs = outputs.clone();
                node.findings = findings.clone();
                node.finished_at = Some(at);
                node.exposed = Some(finish::exposed(node));
            }
            Event::StepFailed { fault, .. } => {
                node.over = Some(Over::Failed);
                node.fault = Some(fault.clone());
                node.finished_at = Some(at);
            }
            Event::UndoDecided { retry, by, reason, .. } => {
                node.undo.retry_decided = *retry;
                if !retry {
                    node.undo.left = Some(format!("{by}: {reason}"));
                    node.undo.finished_at = Some(at);
                }
            }
            _ => {
                fold_gate(node, event, at);
                fold_attempt(node, event, at);
                fold_undo(node, event, at);
            }
        }
        if let Event::StepFailed { fault, .. } = event {
            self.note_failure(id, fault);
        }
    }

    /// The first failure that counts is what the run failed of.
    fn note_failure(&mut self, id: &NodeId, fault: &Fault) {
        if !self.has_on_error(id, OnError::Continue) && self.failure.is_none() {
            let refusals = [codes::RW0603, codes::RW0605, codes::RW0604];
            self.refused |= refusals.iter().any(|c| c.as_str() == fault.code);
            self.failure = Some((id.clone(), fault.clone()));
        }
    }

    /// Does the step, or a group around it, say this of its failure?
    pub(super) fn has_on_error(&self, id: &NodeId, on_error: OnError) -> bool {
        let groups = self.plan.location(&id.step).map_or(&[][..], |l| l.groups.as_slice());
        let says = |id: &str| self.plan.step(id).is_some_and(|s| s.on_error == on_error);
        says(&id.step) || groups.iter().any(|group| says(group))
    }

    pub(super) fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The change as it was last prepared.
    pub fn prepared(&self, id: &NodeId) -> Option<&Prepared> {
        self.node(id)?.prepared.as_deref()
    }

    /// The state that the change left.
    pub fn after(&self, id: &NodeId) -> Option<&Snapshot> {
        self.node(id)?.after.as_deref()
    }

    /// The state that undoing may find: the one that the change left, or, over drift, the one that
    /// was found since.
    pub fn undone_over(&self, id: &NodeId) -> Option<&Snapshot> {
        let over_drift = self.rollback.as_ref().is_some_and(|r| r.over_drift);
        let found = self.node(id)?.undo.found.as_deref().filter(|_| over_drift);
        found.or_else(|| self.after(id))
    }

    /// The difference that the change made.
    pub fn diff(&self, id: &NodeId) -> Option<&Diff> {
        self.node(id)?.diff.as_ref()
    }

    /// Attempts begun.
    pub fn attempts(&self, id: &NodeId) -> u32 {
        self.node(id).map_or(0, |n| n.attempts)
    }

    /// Who asks for the change that a request is about: the operator, or whoever wants a finished
    /// run undone.
    pub fn asker(&self) -> &str {
        let asked = self.rollback.as_ref().and_then(|r| r.by.as_deref());
        asked.unwrap_or(&self.created.operator.name)
    }

    /// The open request's exact bytes.
    pub fn open_request(&self, id: &NodeId) -> Option<&str> {
        self.node(id)?.gate.request.as_ref().map(|r| r.bytes.as_str())
    }

    /// Is the run over?
    pub fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Can it still be asked to stop? Once it goes back or ends, there is nothing to stop.
    pub fn can_be_cancelled(&self) -> bool {
        let over = self.finished.is_some() || self.stopped.is_some();
        !over && self.cancelled.is_none() && self.phase == Phase::Main
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.finished.as_ref().map(|(_, _, at)| *at)
    }

    /// While planning: is a change planned on which later results may depend?
    pub(super) fn awaits_a_change(&self) -> bool {
        let changes = |id: &NodeId| self.plan.step(&id.step).is_some_and(Step::changes);
        self.created.plan
            && self.nodes.iter().any(|(id, n)| n.over == Some(Over::Planned) && changes(id))
    }

    /// How many people must agree to this step's change; 0 when nobody need.
    pub fn required_approvals(&self, reversible: bool) -> u32 {
        let environment = &self.plan.environment;
        let base = match (&environment.policy.approvals, environment.protected) {
            (Some(policy), _) => policy.required,
            (None, true) => 1,
            (None, false) => 0,
        };
        match environment.policy.irreversible {
            Irreversible::Extra(more) if !reversible => base + more,
            _ => base,
        }
    }
}

fn may_follow_the_end(event: &Event) -> bool {
    matches!(event, Event::RollbackStarted { .. } | Event::MessageIgnored { .. })
}
