//! From what happened outside to events.

use super::{
    finish, gate,
    life::Life,
    run::{Node, Run},
    walk::{Activity, Task},
};
use crate::{
    base::{Digest, NodeId, Timestamp, Value},
    diagnostics::codes,
    model::{
        approval::{Approval, Verdict},
        diff::Diff,
        event::{Event, Moment, Prepared, Snapshot},
        fault::{Fault, World},
        input::Message,
        runbook::Step,
    },
};

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// A task is over.
    Done {
        /// Which.
        task: Task,
        /// When it began.
        started_at: Timestamp,
        /// What came of it.
        outcome: Outcome,
    },
    /// Somebody left a message. A decision has been verified: who agreed, or why it does not count.
    Message {
        /// Its number.
        number: u64,
        /// What it says.
        message: Message,
        /// The verified decision, for `Message::Decision`.
        verified: Option<Result<Approval, String>>,
    },
    /// Another process takes the run up: whatever was under way is in doubt now.
    Resumed {
        /// Who.
        by: String,
    },
    /// Stop at the step's end.
    Cancel {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// Undo a finished run.
    RollBack {
        /// Who asks.
        by: String,
        /// Their signature over the demand, where the policy asks for one.
        signature: Option<String>,
        /// Also where the state is no longer what the run left.
        over_drift: bool,
    },
}

/// What came of a task.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of `Read`, `Apply` and `Undo`.
    Result(Result<Value, Fault>),
    /// Of `Prepare`.
    Prepared(Result<Box<Prepared>, Fault>),
    /// Of `Request`: the exact bytes, their digest, how many people, until when.
    Requested {
        /// The request's exact bytes.
        request: String,
        /// Their digest.
        digest: Digest,
        /// How many people.
        required: u32,
        /// Until when.
        expires_at: Timestamp,
    },
    /// Of `Capture`, with the difference: from the state before, or for `Left` from the state
    /// after. It was made from the exact states.
    Captured(Result<(Box<Snapshot>, Diff), Fault>),
}

/// Why an input changes nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Run {
    /// The events that an input leads to.
    pub fn decide(&self, input: Input, now: Timestamp) -> Result<Vec<Event>, Refused> {
        match input {
            Input::Done { task, started_at, outcome } => {
                self.decide_done(&task, started_at, outcome, now)
            }
            Input::Message { number, message, verified } => {
                Ok(vec![self.decide_message(number, message, verified)])
            }
            Input::Resumed { by } => Ok(self.decide_resumed(by)),
            Input::Cancel { by, reason } if self.can_be_cancelled() => {
                Ok(vec![Event::CancelRequested { by, reason, message: None }])
            }
            Input::Cancel { .. } => Err(Refused("the run is ending already".into())),
            Input::RollBack { by, signature, over_drift } => {
                self.decide_rollback(by, signature, over_drift)
            }
        }
    }

    fn decide_rollback(
        &self,
        by: String,
        signature: Option<String>,
        over_drift: bool,
    ) -> Result<Vec<Event>, Refused> {
        if !self.is_finished() {
            return Err(Refused("the run is not finished; cancel it instead".into()));
        }
        let nodes: Vec<_> = self
            .standing()
            .into_iter()
            .filter(|id| {
                let undoable = self.plan.step(&id.step).map(Step::reversibility);
                undoable == Some(Ok(true))
            })
            .collect();
        if nodes.is_empty() {
            return Err(Refused("nothing that this run changed can be undone".into()));
        }
        Ok(vec![Event::RollbackStarted {
            reason: format!("asked for by {by}"),
            nodes,
            requested_by: Some(by),
            signature,
            over_drift,
        }])
    }

    fn decide_resumed(&self, by: String) -> Vec<Event> {
        let lost = |what: &str| {
            Fault::unknown(codes::RW0712, format!("the process ended while {what} was under way"))
        };
        let mut events = vec![Event::RunResumed { by }];
        for (id, node) in &self.nodes {
            match node.life {
                Life::Running => events.push(Event::AttemptInDoubt {
                    node: id.clone(),
                    attempt: node.attempts,
                    fault: lost("the change"),
                }),
                Life::UndoRunning => events.push(Event::UndoFailed {
                    node: id.clone(),
                    attempt: node.undo.attempts,
                    fault: lost("undoing"),
                }),
                _ => {}
            }
        }
        events
    }

    fn decide_done(
        &self,
        task: &Task,
        started_at: Timestamp,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Vec<Event>, Refused> {
        let id = task.node.clone();
        let attempt = task.attempt;
        let step = self
            .plan
            .step(&id.step)
            .ok_or_else(|| Refused(format!("the runbook has no step `{id}`")))?;
        if !task.activity.has_effect() && !self.pending(now).tasks.contains(task) {
            // Nothing waits for it any more: the run was cancelled, the request has expired.
            return Ok(Vec::new());
        }
        let node = self.node(&id).cloned().unwrap_or_default();
        Ok(match (&task.activity, outcome) {
            (Activity::Read | Activity::Apply, Outcome::Result(Ok(result))) => {
                vec![Event::AttemptSucceeded { node: id, attempt, started_at, result }]
            }
            (Activity::Read, Outcome::Result(Err(fault))) => {
                // Reading leaves nothing behind, whatever became of it.
                let fault = fault.world(World::Untouched);
                vec![Event::AttemptFailed { node: id, attempt, started_at, fault }]
            }
            (Activity::Apply, Outcome::Result(Err(fault))) => {
                if fault.world == World::Unknown {
                    vec![Event::AttemptInDoubt { node: id, attempt, fault }]
                } else {
                    vec![Event::AttemptFailed { node: id, attempt, started_at, fault }]
                }
            }
            (Activity::Undo, Outcome::Result(Ok(result))) => {
                vec![Event::UndoSucceeded { node: id, attempt, result }]
            }
            (Activity::Undo, Outcome::Result(Err(fault))) => {
                vec![Event::UndoFailed { node: id, attempt, fault }]
            }
            (Activity::Prepare, Outcome::Prepared(prepared)) => {
                self.decide_prepared(step, id, &node, attempt, prepared, now)
            }
            (
                Activity::Request { .. },
                Outcome::Requested { request, digest, required, expires_at },
            ) => vec![Event::ApprovalRequested { node: id, request, digest, required, expires_at }],
            (Activity::Request { undo: false }, Outcome::Result(Err(fault))) => {
                vec![Event::StepFailed { node: id, fault }]
            }
            (Activity::Request { undo: true }, Outcome::Result(Err(fault))) => {
                vec![Event::UndoSkipped { node: id, reason: fault.message, remains: true }]
            }
            (Activity::Capture(when), Outcome::Captured(Ok((snapshot, difference)))) => {
                let moment = Moment::from(*when);
                vec![Event::StateCaptured { node: id, moment, snapshot, difference }]
            }
            (Activity::Capture(when), Outcome::Captured(Err(fault))) => {
                vec![Event::CaptureFailed { node: id, moment: (*when).into(), fault }]
            }
            (activity, _) => {
                return Err(Refused(format!("an outcome that does not fit {activity:?}")));
            }
        })
    }

    fn decide_prepared(
        &self,
        step: &Step,
        id: NodeId,
        node: &Node,
        attempt: u32,
        prepared: Result<Box<Prepared>, Fault>,
        now: Timestamp,
    ) -> Vec<Event> {
        match prepared {
            Err(fault) if self.created.plan && fault.code == codes::RW0306.as_str() => {
                vec![Event::StepPlanned { node: id, unknown: Some(fault.message) }]
            }
            Err(fault) => finish::retry_or_fail(step, &id, node, attempt, fault, now),
            Ok(prepared) if node.life == Life::Approved => {
                let approved = node.prepared.as_deref();
                match approved.map(|approved| (approved, gate::drift(approved, &prepared))) {
                    Some((_, None)) => vec![Event::AttemptStarted {
                        node: id,
                        attempt,
                        request: node.gate.request.as_ref().map(|r| r.digest.clone()),
                    }],
                    Some((approved, Some(field))) => {
                        let state = |p: &Prepared| {
                            p.before.as_ref().map_or(Value::Null, |s| s.state.clone())
                        };
                        let key = prepared.before.as_ref().map_or(&[][..], |s| s.key.as_slice());
                        let drift = Diff::between(&state(approved), &state(&prepared), key);
                        vec![
                            Event::ApprovalVoided { node: id.clone(), field: field.into(), drift },
                            Event::ChangePrepared { node: id, attempt, prepared },
                        ]
                    }
                    None => vec![Event::ChangePrepared { node: id, attempt, prepared }],
                }
            }
            Ok(prepared) => vec![Event::ChangePrepared { node: id, attempt, prepared }],
        }
    }

    fn decide_message(
        &self,
        number: u64,
        message: Message,
        verified: Option<Result<Approval, String>>,
    ) -> Event {
        let ignored = |reason: &str, content: Message| Event::MessageIgnored {
            message: number,
            content: Box::new(content),
            reason: reason.to_owned(),
        };
        let life = |node: &NodeId| self.node(node).map(|n| n.life);
        match message {
            Message::Decision { ref node, ref request, ref decision } => {
                let open = self.node(node).and_then(|n| n.gate.request.as_ref());
                if open.is_none_or(|r| r.digest != *request) {
                    return ignored("it is for a request that is not open", message);
                }
                match verified {
                    Some(verified) => decided(node.clone(), &decision.by, number, verified),
                    None => ignored("it was not verified", message),
                }
            }
            Message::Answer { ref node, ref fields, ref by, confirmed } => {
                let asked = self.node(node).is_some_and(|n| {
                    n.question.is_some() && n.answer.is_none() && n.over.is_none()
                });
                if !asked || self.is_finished() {
                    return ignored("nothing is asked there", message);
                }
                Event::AnswerGiven {
                    node: node.clone(),
                    by: by.clone(),
                    confirmed,
                    fields: fields.clone(),
                    message: number,
                }
            }
            Message::Resolve { ref node, applied, ref reason, ref by } => {
                if life(node) != Some(Life::InDoubt) || self.is_finished() {
                    return ignored("the step is not in doubt", message);
                }
                Event::DecisionMade {
                    node: node.clone(),
                    applied,
                    by: by.clone(),
                    reason: reason.clone(),
                    message: number,
                }
            }
            Message::Undo { ref node, retry, ref reason, ref by } => {
                let stuck = matches!(life(node), Some(Life::UndoFailed | Life::UndoInDoubt));
                if !stuck || self.is_finished() {
                    return ignored("its undo has not failed", message);
                }
                Event::UndoDecided {
                    node: node.clone(),
                    retry,
                    by: by.clone(),
                    reason: reason.clone(),
                    message: number,
                }
            }
            Message::Cancel { ref by, ref reason } => {
                if !self.can_be_cancelled() {
                    return ignored("there is nothing to cancel", message);
                }
                let (by, reason) = (by.clone(), reason.clone());
                Event::CancelRequested { by, reason, message: Some(number) }
            }
        }
    }
}

/// A verified decision, or one that does not count.
fn decided(node: NodeId, by: &str, message: u64, verified: Result<Approval, String>) -> Event {
    match verified {
        Ok(approval) if approval.decision == Verdict::Approve => {
            Event::ApprovalGiven { node, approval, message }
        }
        Ok(approval) => Event::ApprovalRejected { node, approval, message },
        Err(reason) => Event::ApprovalRefused { node, by: by.to_owned(), reason, message },
    }
}
