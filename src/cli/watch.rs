//! What a person or a program sees while a run goes on.

use std::collections::{BTreeSet, HashMap};

use super::{
    compose::SystemClock,
    live::Live,
    terminal::{Terminal, WIDTH},
};
use crate::{
    base::{
        NodeId, Timestamp, time,
        visible::{escape, escape_line},
    },
    driver::Observer,
    engine::{Activity, Question, Run, Task},
    model::{
        Event, Recorded,
        event::{Moment, Phase, StepStatus},
        view::StepView,
    },
    ports::Clock,
    report::{lines, style::Style},
};

/// Says nothing.
pub struct Silent;

impl Observer for Silent {
    fn on(&mut self, _: &Run, _: &[Recorded]) {}
    fn waiting(&mut self, _: &Run, _: &[Question]) {}
}

/// The journal's events, one JSON object a line.
pub struct JsonLines(pub Terminal);

/// An event as `run --json` and `audit export` print it.
pub fn event_line(run: &str, recorded: &Recorded) -> String {
    let body = serde_json::to_value(&recorded.event).unwrap_or_default();
    serde_json::json!({
        "run": run, "seq": recorded.seq, "at": recorded.at, "event": body, "hash": recorded.hash,
    })
    .to_string()
}

impl Observer for JsonLines {
    fn on(&mut self, run: &Run, events: &[Recorded]) {
        for recorded in events {
            self.0.out(&event_line(&run.id.0, recorded));
        }
    }

    fn waiting(&mut self, _: &Run, _: &[Question]) {}
}

/// A line for each thing that happens.
pub struct Lines {
    terminal: Terminal,
    style: Style,
    shown: HashMap<NodeId, StepStatus>,
    live: Option<Live>,
}

impl Lines {
    /// For a person.
    pub fn new(terminal: Terminal) -> Self {
        let style = terminal.style();
        let live = (terminal.interactive && style.colour).then(Live::start);
        Self { terminal, style, shown: HashMap::new(), live }
    }

    fn say(&self, line: &str) {
        match &self.live {
            Some(live) => live.above(|| self.terminal.out(line)),
            None => self.terminal.out(line),
        }
    }

    fn step(&mut self, view: &StepView) {
        if self.shown.insert(view.node.clone(), view.status) == Some(view.status) {
            return;
        }
        self.say(&lines::step_line(view, &self.style));
        if view.status == StepStatus::Succeeded
            && let Some(diff) = &view.diff
        {
            for line in lines::diff_lines(diff, &self.style, WIDTH) {
                self.say(&format!("    {line}"));
            }
        }
    }

    fn event(&mut self, run: &Run, event: &Event) {
        let style = self.style;
        match event {
            Event::RunCreated(created) => self.say(&format!(
                "{} {} in {} {}",
                style.heading("run"),
                escape_line(&created.name),
                style.heading(&created.environment),
                style.dim(&format!("({})", run.id.short())),
            )),
            Event::RunResumed { by } => {
                self.say(&style.dim(&format!("taken up by {}", escape_line(by))));
            }
            Event::ApprovalGiven { node, approval, .. } => self.say(&format!(
                "{} {node} approved by {}",
                style.good("✓"),
                escape_line(&approval.by)
            )),
            Event::ApprovalRefused { node, by, reason, .. } => {
                let whose =
                    if by.is_empty() { String::new() } else { format!(" of {}", escape_line(by)) };
                self.say(&format!(
                    "{} {node}: a decision{whose} does not count: {}",
                    style.warning("!"),
                    escape_line(reason)
                ));
            }
            Event::ApprovalVoided { node, field, drift } => {
                self.say(&format!(
                    "{} {node}: the approval is void, since the {field} has changed",
                    style.warning("!")
                ));
                for line in lines::diff_lines(drift, &style, WIDTH) {
                    self.say(&format!("    {line}"));
                }
            }
            Event::RetryScheduled { node, attempt, reason, .. } => self.say(
                &style
                    .dim(&format!("  {node}: attempt {attempt} follows: {}", escape_line(reason))),
            ),
            Event::RollbackStarted { reason, nodes, .. } => {
                let what = if nodes.is_empty() { "nothing to put back" } else { "putting back" };
                self.say(&format!("{} {what}: {}", style.warning("↶"), escape_line(reason)));
            }
            Event::StateCaptured { node, moment: Moment::Restored, difference, .. } => {
                if difference.is_empty() {
                    self.say(&format!("{} {node}: as before, proved", style.good("↶")));
                } else {
                    self.say(&format!("{} {node}: not as before", style.bad("✗")));
                    for line in lines::diff_lines(difference, &style, WIDTH) {
                        self.say(&format!("    {line}"));
                    }
                }
            }
            Event::UndoFailed { node, fault, .. } => self.say(&format!(
                "{} {node}: undoing failed: {}",
                style.bad("✗"),
                escape_line(&fault.message)
            )),
            Event::UndoSkipped { node, reason, remains } if *remains => self.say(&format!(
                "{} {node}: stays in place: {}",
                style.bad("✗"),
                escape_line(reason)
            )),
            Event::PhaseStarted { phase: Phase::OnFailure } => {
                self.say(&style.dim("after the failure"));
            }
            Event::CancelRequested { by, reason, .. } => self.say(&format!(
                "{} {} asked to stop ({}): finishing what is under way",
                style.warning("!"),
                escape_line(by),
                escape_line(reason)
            )),
            _ => {}
        }
    }
}

impl Observer for Lines {
    fn on(&mut self, run: &Run, events: &[Recorded]) {
        for recorded in events {
            self.event(run, &recorded.event);
            // The run may be further by now: the line is about the step as it was then.
            let status = match &recorded.event {
                Event::StepSucceeded { .. } | Event::StepPlanned { .. } => StepStatus::Succeeded,
                Event::StepFailed { .. } => StepStatus::Failed,
                Event::StepSkipped { .. } => StepStatus::Skipped,
                _ => continue,
            };
            if let Some(mut view) = recorded.event.node().and_then(|node| run.view_of(node)) {
                view.status = status;
                self.step(&view);
            }
        }
    }

    fn under_way(&mut self, run: &Run, tasks: &BTreeSet<Task>) {
        let Some(live) = &self.live else { return };
        let doing = |task: &Task| {
            let title = run.view_of(&task.node).map_or_else(String::new, |view| view.title);
            let what = match task.activity {
                Activity::Read => "",
                Activity::Prepare => "preparing ",
                Activity::Request { .. } => "asking for ",
                Activity::Apply => "changing ",
                Activity::Capture(_) => "looking at ",
                Activity::Undo => "putting back ",
            };
            format!("{what}{}: {}", task.node, escape_line(&title))
        };
        live.set(
            (!tasks.is_empty()).then(|| tasks.iter().map(doing).collect::<Vec<_>>().join(", ")),
        );
    }

    fn waiting(&mut self, run: &Run, _: &[Question]) {
        if let Some(live) = &self.live {
            live.set(None);
        }
        let view = run.view(SystemClock.now());
        for line in lines::waiting_lines(&view, &self.style) {
            self.say(&line);
        }
    }
}

/// The last words on a run that is over.
pub fn finish(terminal: Terminal, run: &Run, now: Timestamp) {
    let view = run.view(now);
    let style = terminal.style();
    let took = time::show_duration(time::between(view.started_at, view.finished_at.unwrap_or(now)));
    let status = style.of_run(view.status, &view.status.as_str().replace('_', " "));
    terminal.out(&format!("{status} after {took}"));
    if let Some(message) = view.message.as_deref().filter(|m| !m.is_empty()) {
        terminal.out(&format!("  {}", escape(message).replace('\n', "\n  ")));
    }
    terminal.out(&style.dim(&format!("  runward report {}", run.id.short())));
}
