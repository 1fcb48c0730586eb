//! From the fold to what people are shown.

use super::{
    life::Life,
    run::{Node, Over, Run},
    scope::RunScope,
    walk::Question,
};
use crate::{
    base::{NodeId, Timestamp, Value},
    expression::Escape,
    model::{
        action_spec::Effect,
        event::{Phase, RunStatus, StepStatus},
        runbook::{Body, Step},
        view::{RequestView, RollbackView, RunView, StepView},
    },
};

impl Run {
    /// The run as it is known now. `now` only tells a due wake-up from a person's turn.
    pub fn view(&self, now: Timestamp) -> RunView {
        let mut steps = Vec::new();
        for phase in [Phase::Main, Phase::OnFailure, Phase::Finally] {
            for step in self.plan.steps(phase) {
                self.view_step(step, phase, &[], &mut Vec::new(), &mut steps);
            }
        }
        let (message, finished_at) = match &self.finished {
            Some((_, message, at)) => (Some(message.clone()), Some(*at)),
            None => (None, None),
        };
        RunView {
            id: self.id.clone(),
            name: self.created.name.clone(),
            runbook: self.created.runbook.clone(),
            digest: self.created.runbook_digest.clone(),
            description: self.plan.runbook.description.clone(),
            environment: self.created.environment.clone(),
            operator: self.created.operator.clone(),
            asker: self.asker().to_owned(),
            status: self.status(now),
            phase: self.phase,
            message,
            started_at: self.started_at,
            finished_at,
            inputs: self.created.inputs.clone(),
            failed_step: self.failure.as_ref().map(|(node, _)| node.clone()),
            plan: self.created.plan,
            undoes: self.created.undoes.clone(),
            steps,
            events: self.seq,
            head: self.head.clone(),
        }
    }

    /// One step as it is known now.
    pub fn view_of(&self, id: &NodeId) -> Option<StepView> {
        let step = self.plan.step(&id.step)?;
        let location = self.plan.location(&id.step)?;
        let item = id.items.split_last().and_then(|(index, outer)| {
            let holder = NodeId { step: id.step.clone(), items: outer.to_vec() };
            self.items.get(&holder)?.get(*index)
        });
        let path = location.groups.clone();
        Some(self.view_node(step, location.phase, id, item, &path))
    }

    /// The run's status.
    pub fn status(&self, now: Timestamp) -> RunStatus {
        if let Some((status, ..)) = &self.finished {
            return *status;
        }
        let pending = self.pending(now);
        let doubt = |q: &Question| matches!(q, Question::Doubt(_) | Question::FailedUndo(_));
        if pending.questions.iter().any(doubt) {
            RunStatus::InDoubt
        } else if pending.tasks.is_empty() && !pending.questions.is_empty() {
            RunStatus::Waiting
        } else {
            RunStatus::Running
        }
    }

    fn view_step(
        &self,
        step: &Step,
        phase: Phase,
        items: &[usize],
        path: &mut Vec<String>,
        out: &mut Vec<StepView>,
    ) {
        let id = NodeId { step: step.id.clone(), items: items.to_vec() };
        match (&step.foreach, self.items.get(&id)) {
            (Some(_), Some(list)) => {
                for (index, item) in list.iter().enumerate() {
                    let id = id.with_item(index);
                    self.view_instance(step, phase, &id, Some(item), path, out);
                }
            }
            _ => self.view_instance(step, phase, &id, None, path, out),
        }
    }

    fn view_instance(
        &self,
        step: &Step,
        phase: Phase,
        id: &NodeId,
        item: Option<&Value>,
        path: &mut Vec<String>,
        out: &mut Vec<StepView>,
    ) {
        if let Body::Group(children) = &step.body {
            if self.node(id).is_some_and(|n| n.over.is_some()) {
                out.push(self.view_node(step, phase, id, item, path));
            }
            path.push(step.id.clone());
            for child in children {
                self.view_step(child, phase, &id.items, path, out);
            }
            path.pop();
            return;
        }
        out.push(self.view_node(step, phase, id, item, path));
    }

    fn view_node(
        &self,
        step: &Step,
        phase: Phase,
        id: &NodeId,
        item: Option<&Value>,
        path: &[String],
    ) -> StepView {
        let blank = Node::default();
        let node = self.node(id).unwrap_or(&blank);
        let prepared = node.prepared.as_deref();
        StepView {
            node: id.clone(),
            path: path.to_vec(),
            phase,
            title: self.title(step, id),
            item: item.cloned(),
            action: action_name(step),
            effect: effect_name(step),
            status: self.step_status(node, phase),
            attempts: node.attempts,
            started_at: node.started_at,
            finished_at: node.finished_at,
            result: node.result.clone().or_else(|| {
                node.answer.as_ref().map(|(by, _, fields)| {
                    let mut map = fields.clone();
                    map.insert("answered_by".into(), Value::text(by));
                    Value::Map(map)
                })
            }),
            outputs: node.outputs.clone(),
            error: node.fault.clone(),
            findings: node.findings.clone(),
            reason: node.reason.clone(),
            statement: prepared.map(|p| p.statement.clone()),
            target: prepared.map(|p| p.target.clone()),
            before: prepared.and_then(|p| p.before.as_ref()).map(|s| s.state.clone()),
            after: node.after.as_ref().map(|s| s.state.clone()),
            preview: prepared.and_then(|p| p.difference.clone()),
            diff: node.diff.clone(),
            doubt: node.doubt.as_ref().and_then(|seen| seen.as_ref().ok().cloned()),
            undo: prepared.map(|p| p.undo.clone()),
            reversible: prepared.map_or_else(|| step.reversibility().is_ok(), |p| p.reversible),
            request: node.gate.request.as_ref().filter(|_| !self.is_finished()).map(|r| {
                RequestView {
                    bytes: r.bytes.clone(),
                    digest: r.digest.clone(),
                    required: r.required,
                    asked_at: r.asked_at,
                    expires_at: r.expires_at,
                }
            }),
            approvals: node.gate.history.clone(),
            refusals: node.gate.refusals.clone(),
            question: node.question.clone(),
            note: node.note.clone(),
            rollback: self.rollback_view(id, node),
        }
    }

    fn rollback_view(&self, id: &NodeId, node: &Node) -> Option<RollbackView> {
        let concerned = self.rollback.as_ref().is_some_and(|r| r.order.contains(id));
        if !concerned && node.undo.finished_at.is_none() {
            return None;
        }
        let undo = &node.undo;
        let proved = undo.residual.as_ref().is_some_and(crate::model::Diff::is_empty);
        let (status, message) = match (node.life, &undo.skipped) {
            (_, Some((reason, true))) => ("left", Some(reason.clone())),
            (_, Some((reason, false))) => ("skipped", Some(reason.clone())),
            (Life::Undone, _) if proved => ("proved", None),
            (Life::Undone, _) => {
                let why = match (&undo.residual, &undo.capture_fault) {
                    (Some(_), _) => "the state is not what it was before".to_owned(),
                    (None, Some(fault)) => format!("can't be proved: {}", fault.message),
                    (None, None) => "can't be proved: there is no capture".to_owned(),
                };
                ("unproved", Some(why))
            }
            (Life::FailedClean, _) => ("skipped", Some("nothing had been changed".into())),
            (Life::UndoRunning, _) => ("running", None),
            (Life::UndoFailed | Life::UndoInDoubt, _) => {
                ("failed", undo.fault.as_ref().map(|f| f.message.clone()))
            }
            (Life::LeftInPlace, _) => ("left", undo.left.clone()),
            _ => ("pending", None),
        };
        Some(RollbackView {
            status,
            message,
            residual: undo.residual.clone(),
            restored: undo.restored.clone(),
            finished_at: undo.finished_at,
        })
    }

    /// The step's title with its templates filled in, as far as that is possible now.
    pub fn title(&self, step: &Step, id: &NodeId) -> String {
        let Some(name) = &step.name else { return step.id.replace('_', " ") };
        match name.render(&RunScope::at(self, id), Escape::None) {
            Ok(title) => title.to_string(),
            Err(_) => name.text.to_string(),
        }
    }

    fn step_status(&self, node: &Node, phase: Phase) -> StepStatus {
        // Once the run has left its phase, a step that is not over was cut short.
        let goes_on = self.finished.is_none() && self.phase == phase;
        let unproved = |n: &Node| {
            !n.undo.residual.as_ref().is_some_and(crate::model::Diff::is_empty)
                && n.undo.skipped.is_none()
        };
        match (node.life, node.over) {
            (Life::InDoubt, _) => StepStatus::InDoubt,
            (Life::UndoRunning, _) => StepStatus::Running,
            (Life::Undone, _) if node.undo.skipped.is_some() => StepStatus::Succeeded,
            (Life::Undone, _) if unproved(node) => StepStatus::RollbackFailed,
            (Life::Undone, _) => StepStatus::RolledBack,
            (Life::UndoFailed | Life::UndoInDoubt, _) => StepStatus::RollbackFailed,
            (Life::LeftInPlace, _) if node.undo.attempts > 0 => StepStatus::RollbackFailed,
            (_, Some(Over::Succeeded | Over::Planned)) => StepStatus::Succeeded,
            (_, Some(Over::Skipped)) => StepStatus::Skipped,
            (_, Some(Over::Failed)) => StepStatus::Failed,
            (Life::FailedClean | Life::Succeeded, None) if !goes_on => StepStatus::Failed,
            (_, None) if !goes_on => StepStatus::Pending,
            (Life::AwaitingApproval, None) => StepStatus::Waiting,
            (_, None) if node.question.is_some() && node.answer.is_none() => StepStatus::Waiting,
            (Life::Pending, None) if node.started_at.is_none() && node.attempts == 0 => {
                StepStatus::Pending
            }
            _ => StepStatus::Running,
        }
    }
}

/// The action, or the kind of step.
pub(super) fn action_name(step: &Step) -> String {
    match &step.body {
        Body::Action(call) => call.action.clone(),
        Body::Change(change) => change.apply.action.clone(),
        Body::Group(_) => "steps".into(),
        Body::Check => "check".into(),
        Body::Note(_) => "note".into(),
        Body::Manual(_) => "manual".into(),
        Body::Stop(_) => "stop".into(),
    }
}

fn effect_name(step: &Step) -> Option<&'static str> {
    match &step.body {
        Body::Action(call) if call.effect == Effect::Read => Some("read"),
        Body::Action(_) | Body::Change(_) => Some("change"),
        _ => None,
    }
}
