//! What may happen to a run from outside, as plain data.

use serde::{Deserialize, Serialize};

use crate::base::{Map, NodeId};

/// What another process leaves for a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A signed decision on a request.
    Decision {
        /// The step.
        node: NodeId,
        /// SHA-256 of the request's bytes.
        request: crate::base::Digest,
        /// Approve or reject.
        decision: super::approval::SignedDecision,
    },
    /// The answer to a manual step.
    Answer {
        /// The step.
        node: NodeId,
        /// Values by field; empty for a bare confirmation.
        fields: Map,
        /// Who answers.
        by: String,
        /// `false`: the person says that it is not done or not right.
        confirmed: bool,
    },
    /// What a person found out about an attempt in doubt.
    Resolve {
        /// The step.
        node: NodeId,
        /// Did the effect happen?
        applied: bool,
        /// How it is known.
        reason: String,
        /// Who says so.
        by: String,
    },
    /// What to do about an undo that failed.
    Undo {
        /// The step.
        node: NodeId,
        /// Try it again, or leave the change in place.
        retry: bool,
        /// Why.
        reason: String,
        /// Who says so.
        by: String,
    },
    /// Stop at the next step's end.
    Cancel {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
}
