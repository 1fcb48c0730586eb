//! What will be done: a runbook in one environment, with every step at hand by its id.

use std::{collections::HashMap, sync::Arc};

use crate::model::{
    event::Phase,
    runbook::{Body, Runbook, Step},
    target::Environment,
};

/// A runbook in one environment.
#[derive(Debug)]
pub struct Plan {
    /// The runbook.
    pub runbook: Arc<Runbook>,
    /// Where.
    pub environment: Environment,
    index: HashMap<String, Location>,
}

/// Where a step stands in the runbook.
#[derive(Clone, Debug)]
pub struct Location {
    /// Which list it is in.
    pub phase: Phase,
    /// Index at each level.
    indices: Vec<usize>,
    /// Ids of the groups around it, outermost first.
    pub groups: Vec<String>,
    /// Ids of the steps with `foreach` around it and itself, outermost first: its nodes have one
    /// item index for each.
    pub loops: Vec<String>,
}

impl Plan {
    /// Indexes the runbook's steps.
    pub fn new(runbook: Arc<Runbook>, environment: Environment) -> Self {
        let mut index = HashMap::new();
        for (phase, steps) in [
            (Phase::Main, &runbook.steps),
            (Phase::OnFailure, &runbook.on_failure),
            (Phase::Finally, &runbook.finally),
        ] {
            let start =
                Location { phase, indices: Vec::new(), groups: Vec::new(), loops: Vec::new() };
            collect(steps, &start, &mut index);
        }
        Self { runbook, environment, index }
    }

    /// The steps of a phase; none for the rollback, which has no list of its own.
    pub fn steps(&self, phase: Phase) -> &[Step] {
        match phase {
            Phase::Main => &self.runbook.steps,
            Phase::OnFailure => &self.runbook.on_failure,
            Phase::Finally => &self.runbook.finally,
            Phase::Rollback => &[],
        }
    }

    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        let location = self.index.get(id)?;
        let mut steps = self.steps(location.phase);
        let mut found = None;
        for index in &location.indices {
            let step = steps.get(*index)?;
            found = Some(step);
            steps = match &step.body {
                Body::Group(children) => children,
                _ => &[],
            };
        }
        found
    }

    /// Where the step of this id stands.
    pub fn location(&self, id: &str) -> Option<&Location> {
        self.index.get(id)
    }
}

fn collect(steps: &[Step], around: &Location, index: &mut HashMap<String, Location>) {
    for (position, step) in steps.iter().enumerate() {
        let mut here = around.clone();
        here.indices.push(position);
        if step.foreach.is_some() {
            here.loops.push(step.id.clone());
        }
        if let Body::Group(children) = &step.body {
            let mut inside = here.clone();
            inside.groups.push(step.id.clone());
            collect(children, &inside, index);
        }
        index.insert(step.id.clone(), here);
    }
}
