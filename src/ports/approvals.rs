//! Requests for approval, and decisions on them: who decided, and does it count?

use crate::{
    base::Timestamp,
    model::{
        approval::{Approval, DisplayParts, SignedDecision},
        project::Project,
    },
};

/// Verifies decisions and writes what approvers are shown. No I/O: keys and people come from the
/// project that the run recorded.
pub trait Approvals: Send + Sync {
    /// Is this decision on these request bytes made by a person who may make it, now? Checks the
    /// signature before the request is parsed; then that the person exists, belongs to one of the
    /// request's groups, and is not the operator. The error says why not, in a sentence.
    fn verify(
        &self,
        request: &str,
        decision: &SignedDecision,
        project: &Project,
        now: Timestamp,
    ) -> Result<Approval, String>;

    /// The text that an approver is shown: complete and escaped, the change first.
    fn display(&self, parts: &DisplayParts<'_>) -> String;
}
