//! `RW0404`: a change that nothing undoes.
//!
//! Owns the lint. A bare change is allowed, since a policy decides about it; but whoever writes one
//! should have thought of its end. Steps after a failure and at the end are left alone: nothing
//! rolls back there.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    language::uses::{Part, positions},
    model::{Effect, EffectRule, runbook::Body},
};

pub(super) fn check(context: &Context<'_>) -> Vec<Diagnostic> {
    positions(context.runbook)
        .iter()
        .filter(|p| p.part == Part::Steps)
        .filter_map(|p| match &p.step.body {
            Body::Action(call) if call.effect == Effect::Change => Some((p, call)),
            _ => None,
        })
        .map(|(p, call)| {
            let message = format!(
                "`{}` in `{}` changes something that nothing undoes",
                call.action, p.step.id
            );
            Diagnostic::warning(codes::RW0404, call.place.clone(), message)
                .help(help(context, &call.action))
        })
        .collect()
}

fn help(context: &Context<'_>, action: &str) -> String {
    let spec = context.catalogue.get(action);
    let reads = match spec.map(|s| &s.effect) {
        Some(EffectRule::ReadsWhen { argument: "reads", .. }) => {
            "add `reads: true` if it only looks; else "
        }
        _ => "",
    };
    let family = action.split('.').next().unwrap_or(action);
    let undoing: Vec<_> = context
        .catalogue
        .values()
        .filter(|s| s.effect == EffectRule::Reversible && s.name.split('.').next() == Some(family))
        .map(|s| format!("`{}`", s.name))
        .collect();
    let instead = match undoing.is_empty() {
        true => String::new(),
        false => format!(", or use {}, which can undo", undoing.join(" or ")),
    };
    format!(
        "{reads}put it into `change:` as `apply`, with `rollback`, `irreversible: why` or \
         `no_rollback: why`{instead}"
    )
}
