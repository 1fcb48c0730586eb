//! People of the fake world: who approves, who knows what became of an attempt, who answers.
//!
//! Owns how a decision counts without cryptography. Must not know what is tried.

use std::sync::Mutex;

use runward::{
    base::{Digest, Map, Timestamp, Value},
    engine::{Question, Run},
    model::{
        approval::{Approval, DisplayParts, Request, SignedDecision, Verdict},
        input::Message,
        project::Project,
    },
    ports::Approvals,
};

use crate::{stage::Stage, world::Did};

/// Accepts decisions by name: of known people of the right group, who are not the operator.
pub struct ByName;

impl Approvals for ByName {
    fn verify(
        &self,
        request: &str,
        decision: &SignedDecision,
        project: &Project,
        now: Timestamp,
    ) -> Result<Approval, String> {
        let asked: Request = serde_json::from_str(request).map_err(|e| e.to_string())?;
        let Some(person) = project.people.get(&decision.by) else {
            return Err(format!("nobody knows {}", decision.by));
        };
        if decision.verdict == Verdict::Approve {
            if decision.by == asked.operator {
                return Err("the operator does not approve their own change".into());
            }
            if !asked.from.is_empty() && !person.groups.iter().any(|g| asked.from.contains(g)) {
                return Err(format!("{} is in none of the groups", decision.by));
            }
            if now >= asked.expires_at {
                return Err("the request has expired".into());
            }
        }
        Ok(Approval {
            by: decision.by.clone(),
            key: format!("key of {}", decision.by),
            decision: decision.verdict,
            at: now,
            reason: decision.reason.clone(),
            digest: Digest::of(request.as_bytes()),
            signature: None,
        })
    }

    fn display(&self, parts: &DisplayParts<'_>) -> String {
        format!("{} of {}: {}", parts.action, parts.node, parts.statement)
    }
}

/// Who answers what a run asks. No message: nobody is there.
pub trait People {
    fn asked(&mut self, stage: &Stage, run: &Run, question: &Question) -> Vec<Message>;
}

impl<F: FnMut(&Stage, &Run, &Question) -> Vec<Message>> People for F {
    fn asked(&mut self, stage: &Stage, run: &Run, question: &Question) -> Vec<Message> {
        self(stage, run, question)
    }
}

/// A decision by name on the open request.
pub fn decision(run: &Run, question: &Question, by: &str, verdict: Verdict) -> Message {
    let Question::Approval(node) = question else { panic!("{question:?} is no approval") };
    let request = run.open_request(node).expect("an open request");
    Message::Decision {
        node: node.clone(),
        request: Digest::of(request.as_bytes()),
        decision: SignedDecision {
            verdict,
            by: by.to_owned(),
            reason: "because".into(),
            at: run.started_at,
            signature: None,
        },
    }
}

/// Everybody is there, says the truth and wants the run to go on.
pub struct Honest {
    /// Who approves each request.
    pub approvers: Vec<&'static str>,
    /// How often a failed undo is tried again before the change is left in place.
    pub retries: u32,
}

impl Default for Honest {
    fn default() -> Self {
        Self { approvers: vec!["bruno", "carla"], retries: 1 }
    }
}

impl People for Honest {
    fn asked(&mut self, stage: &Stage, run: &Run, question: &Question) -> Vec<Message> {
        match question {
            Question::Approval(_) => self
                .approvers
                .iter()
                .map(|by| decision(run, question, by, Verdict::Approve))
                .collect(),
            Question::Answer(node) => vec![Message::Answer {
                node: node.clone(),
                fields: Map::from_iter([("seen".to_owned(), Value::Int(3))]),
                by: "ana".into(),
                confirmed: true,
            }],
            Question::Doubt(node) => {
                let attempt = run.attempts(node);
                let state = stage.world.state();
                let applied = state
                    .ledger
                    .iter()
                    .any(|e| e.did == Did::Apply && e.node == *node && e.attempt == attempt);
                let (reason, by) = ("looked".into(), "ana".into());
                vec![Message::Resolve { node: node.clone(), applied, reason, by }]
            }
            Question::FailedUndo(node) => {
                let retry = self.retries > 0;
                self.retries = self.retries.saturating_sub(1);
                let (reason, by) = ("decided".into(), "ana".into());
                vec![Message::Undo { node: node.clone(), retry, reason, by }]
            }
        }
    }
}

/// Nobody answers; what was asked is kept.
#[derive(Default)]
pub struct Nobody(pub Mutex<Vec<Question>>);

impl People for Nobody {
    fn asked(&mut self, _: &Stage, _: &Run, question: &Question) -> Vec<Message> {
        self.0.lock().unwrap().push(question.clone());
        Vec::new()
    }
}
