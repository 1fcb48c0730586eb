//! Approvals: SSH signatures and what they are worth, freeze windows, the text an approver sees.
//!
//! Owns the making and checking of signatures, who is who among the project's people, and the
//! words of a request. Must not know runs, journals or how many approvals a step needs: the engine
//! counts.
//!
//! | module | what |
//! | --- | --- |
//! | `signature` | checks an SSH signature over exact bytes |
//! | `signer`, `agent` | makes one, with a key file or an agent (the only I/O here) |
//! | `identity` | people: who owns a key, who is the operator, are two ids one person? |
//! | `request` | reads a request's bytes, strictly |
//! | `verify` | does this decision count? |
//! | `freeze` | may anything be changed now? |
//! | `display` | the text that the approver is shown |

pub mod agent;
pub mod display;
pub mod freeze;
pub mod identity;
pub mod request;
pub mod signature;
pub mod signer;
pub mod verify;

pub use verify::{SshVerifier, distinct_approvers, rejection_statement};
