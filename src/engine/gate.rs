//! A change, from its preparation to its end: prepare, agree, prepare again, begin, apply, look.

use super::{
    finish,
    life::Life,
    run::{Node, Run},
    walk::{Activity, Found, Progress, Question, When},
};
use crate::{
    base::{NodeId, Timestamp},
    diagnostics::codes,
    model::{
        event::{Event, Prepared},
        fault::{Fault, World},
        runbook::Step,
        target::Irreversible,
    },
};

impl Run {
    pub(super) fn walk_change(
        &self,
        step: &Step,
        id: &NodeId,
        node: &Node,
        now: Timestamp,
        found: &mut Found,
    ) -> Progress {
        match node.life {
            Life::Pending | Life::AwaitingApproval | Life::Approved => {
                self.walk_to_start(step, id, node, now, found)
            }
            Life::Running => found.perform(id, Activity::Apply, node.attempts),
            Life::Succeeded if step.captures() && node.after.is_none() => {
                match &node.after_failed {
                    None => found.perform(id, Activity::Capture(When::After), node.attempts),
                    Some(fault) => {
                        let mut fault = fault.clone();
                        fault.message = format!(
                            "the state after the change can't be captured: {}",
                            fault.message
                        );
                        fault.world = World::Partial;
                        found.events(vec![Event::StepFailed { node: id.clone(), fault }])
                    }
                }
            }
            Life::Succeeded => found.events(finish::judge(self, step, id, now)),
            Life::FailedClean if node.retrying => self.walk_to_start(step, id, node, now, found),
            Life::FailedClean => {
                // That is proved, whatever the attempt itself could say.
                let fault = self.fault_of(node).world(World::Untouched);
                found.events(finish::retry_or_fail(step, id, node, node.attempts, fault, now))
            }
            Life::FailedDirty if step.captures() && node.doubt.is_none() => {
                found.perform(id, Activity::Capture(When::Doubt), node.attempts)
            }
            Life::InDoubt => {
                // Evidence for the person who decides; it settles nothing by itself, since the
                // effect may still be under way.
                if step.captures() && node.doubt.is_none() {
                    found.perform(id, Activity::Capture(When::Doubt), node.attempts);
                }
                found.ask(Question::Doubt(id.clone()))
            }
            Life::Rejected => found.events(vec![Event::StepFailed {
                node: id.clone(),
                fault: Fault::untouched(codes::RW0605, self.last_refusal(node)),
            }]),
            life => {
                let mut fault = self.fault_of(node);
                if life == Life::SucceededWithError {
                    // Somebody found that it happened.
                    fault.world = World::Partial;
                }
                found.events(vec![Event::StepFailed { node: id.clone(), fault }])
            }
        }
    }

    fn fault_of(&self, node: &Node) -> Fault {
        let reason = node.reason.clone().unwrap_or_else(|| "the attempt failed".to_owned());
        node.fault.clone().unwrap_or_else(|| Fault::untouched(codes::RW0712, reason))
    }

    fn last_refusal(&self, node: &Node) -> String {
        node.gate.refusals.last().cloned().unwrap_or_else(|| "rejected".to_owned())
    }

    fn walk_to_start(
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
        let again = node.retrying && node.prepared.is_none();
        let attempt = if again { node.attempts + 1 } else { node.attempts.max(1) };
        if let Some(refusal) = self.forbidden(step, id, now) {
            return found.events(vec![refusal]);
        }
        let Some(prepared) = &node.prepared else {
            return found.perform(id, Activity::Prepare, attempt);
        };
        if self.created.plan {
            return found.events(vec![Event::StepPlanned { node: id.clone(), unknown: None }]);
        }
        let required = self.required_approvals(prepared.reversible);
        if required == 0 {
            return found.events(vec![Event::AttemptStarted {
                node: id.clone(),
                attempt: node.attempts,
                request: None,
            }]);
        }
        match (&node.gate.request, node.life) {
            (Some(request), _) if now >= request.expires_at => {
                found.events(vec![Event::ApprovalExpired { node: id.clone() }])
            }
            // Looked at once more, right before it is made; `decide` compares.
            (Some(request), Life::Approved) => {
                found.wake(request.expires_at);
                found.perform(id, Activity::Prepare, node.attempts)
            }
            (Some(request), _) => {
                found.wake(request.expires_at);
                found.ask(Question::Approval(id.clone()))
            }
            (None, _) => found.perform(id, Activity::Request { undo: false }, node.attempts),
        }
    }

    /// What the policy does not permit at all.
    fn forbidden(&self, step: &Step, id: &NodeId, now: Timestamp) -> Option<Event> {
        if self.created.plan {
            return None;
        }
        let environment = &self.plan.environment;
        let fault = match step.reversibility() {
            Err(why) if environment.policy.irreversible == Irreversible::Forbid => {
                Fault::untouched(
                    codes::RW0603,
                    format!("`{}` forbids changes that can't be undone: {why}", environment.name),
                )
                .help("give the change a rollback, or let the policy say `irreversible: allow`")
            }
            _ => {
                let frozen =
                    environment.policy.freeze.iter().find(|f| f.from <= now && now < f.until)?;
                Fault::untouched(
                    codes::RW0603,
                    format!(
                        "`{}` is frozen until {}: {}",
                        environment.name, frozen.until, frozen.reason
                    ),
                )
            }
        };
        Some(Event::StepFailed { node: id.clone(), fault })
    }
}

/// What of an approved preparation is no longer so; `None` when all of it still is.
pub(super) fn drift(approved: &Prepared, now: &Prepared) -> Option<&'static str> {
    if approved.target != now.target {
        Some("target")
    } else if approved.arguments_digest != now.arguments_digest {
        Some("arguments")
    } else if approved.before.as_ref().map(|s| &s.digest) != now.before.as_ref().map(|s| &s.digest)
    {
        Some("state before")
    } else if approved.statement != now.statement {
        Some("statement")
    } else if approved.difference != now.difference {
        Some("predicted difference")
    } else {
        None
    }
}
