//! The runs whose outputs are compared.

use super::build::{
    Story, approval, at, diff, digest, node, prepared, request, request_bytes, rollback, run,
    snapshot, step, story,
};
use runward::{
    base::{Digest, Map, Value},
    diagnostics::codes,
    model::{
        Fault,
        diff::{Diff, Difference},
        event::{Event, Moment, Phase, RunStatus, StepStatus},
        view::{RunView, StepView},
    },
};

const ROW: &str = "rows[service=capture,name=max_retries]";

fn stuck() -> StepView {
    let mut stuck = step("stuck", "How many captures are stuck", "sql.query", Some("read"));
    stuck.status = StepStatus::Succeeded;
    stuck.attempts = 1;
    stuck.started_at = Some(at(1));
    stuck.finished_at = Some(at(1) + jiff::SignedDuration::from_millis(340));
    let row = Value::map([("n", Value::from(412))]);
    stuck.result = Some(Value::map([("rows", Value::List(vec![row]))]));
    stuck
}

fn stuck_events() -> Vec<(i64, Event)> {
    vec![
        (
            1,
            Event::AttemptSucceeded {
                node: node("stuck"),
                attempt: 1,
                started_at: at(1),
                result: stuck().result.unwrap(),
            },
        ),
        (1, succeeded_event("stuck")),
    ]
}

fn limit() -> StepView {
    let mut limit = step("limit", "Raise the limit", "sql.update", Some("change"));
    limit.target = Some("mysql 10.11 settings at db1:3306".into());
    limit.statement = Some(
        "UPDATE settings SET value = 5\nWHERE service = 'capture' AND name = 'max_retries'".into(),
    );
    limit.undo = Some(
        "UPDATE settings SET value = 3\nWHERE service = 'capture' AND name = 'max_retries' \
         AND value = 5"
            .into(),
    );
    limit.preview = Some(diff(&format!("{ROW}.value"), 3, 5));
    limit.attempts = 1;
    limit.started_at = Some(at(60));
    limit
}

/// The change made, after two people agreed.
fn limit_made() -> StepView {
    let mut limit = limit();
    limit.status = StepStatus::Succeeded;
    limit.finished_at = Some(at(121));
    limit.after = Some(Value::Null);
    limit.diff = limit.preview.clone();
    let digest = request(60).digest;
    limit.approvals = vec![
        approval("bruno@example.com", 90, &digest),
        approval("carla@example.com", 119, &digest),
    ];
    limit.approvals[1].reason = "incident 4711 | agreed on the call".into();
    limit
}

fn asked_events() -> Vec<(i64, Event)> {
    let bytes = request_bytes("sql.update");
    vec![
        (
            60,
            Event::ChangePrepared { node: node("limit"), attempt: 1, prepared: prepared(&limit()) },
        ),
        (
            60,
            Event::ApprovalRequested {
                node: node("limit"),
                digest: digest(&bytes),
                request: bytes,
                required: 2,
                expires_at: at(60 + 1800),
            },
        ),
    ]
}

fn begun_events() -> Vec<(i64, Event)> {
    let digest = request(60).digest;
    let mut events = asked_events();
    for (number, given) in limit_made().approvals.into_iter().enumerate() {
        let seconds = [90, 119][number];
        let message = number as u64 + 1;
        let node = node("limit");
        events.push((seconds, Event::ApprovalGiven { node, approval: given, message }));
    }
    events.push((
        120,
        Event::AttemptStarted { node: node("limit"), attempt: 1, request: Some(digest) },
    ));
    events
}

fn made_events() -> Vec<(i64, Event)> {
    let mut events = begun_events();
    events.push((
        120,
        Event::AttemptSucceeded {
            node: node("limit"),
            attempt: 1,
            started_at: at(120),
            result: Value::Null,
        },
    ));
    events.push((
        121,
        Event::StateCaptured {
            node: node("limit"),
            moment: Moment::After,
            snapshot: snapshot("after"),
            difference: limit().preview.unwrap(),
        },
    ));
    events.push((121, succeeded_event("limit")));
    events
}

fn succeeded_event(id: &str) -> Event {
    Event::StepSucceeded { node: node(id), outputs: None, findings: Vec::new() }
}

fn note() -> StepView {
    let mut note = step("note", "note", "note", None);
    note.phase = Phase::Finally;
    note.status = StepStatus::Succeeded;
    note.started_at = Some(at(140));
    note.finished_at = Some(at(140));
    note.note = Some("412 captures were stuck before the change.\n\n- acquirer: green\n".into());
    note
}

fn finish(view: &mut RunView, status: RunStatus, seconds: i64, message: &str) -> (i64, Event) {
    view.status = status;
    view.finished_at = Some(at(seconds));
    view.message = (!message.is_empty()).then(|| message.to_owned());
    (seconds, Event::RunFinished { status, message: message.to_owned() })
}

pub fn succeeded() -> Story {
    let mut view = run(RunStatus::Succeeded);
    let mut gateway = step("gateway", "gateway", "http.request", Some("read"));
    gateway.status = StepStatus::Succeeded;
    gateway.attempts = 3;
    gateway.started_at = Some(at(2));
    gateway.finished_at = Some(at(6));
    gateway.outputs = Some(Map::from_iter([
        ("status".to_owned(), Value::from(200)),
        ("fee".to_owned(), Value::Decimal("0.50".parse().unwrap())),
    ]));
    gateway.findings = vec!["the certificate ends in 9 days".into()];
    view.steps = vec![stuck(), gateway, limit_made(), note()];
    let mut events = stuck_events();
    events.push((
        2,
        Event::RetryScheduled {
            node: node("gateway"),
            attempt: 2,
            at: at(4),
            reason: "status 503".into(),
        },
    ));
    events.push((
        6,
        Event::StepSucceeded {
            node: node("gateway"),
            outputs: None,
            findings: vec!["the certificate ends in 9 days".into()],
        },
    ));
    events.extend(made_events());
    events.push((140, Event::PhaseStarted { phase: Phase::Finally }));
    events.push((140, Event::NoteWritten { node: node("note"), text: note().note.unwrap() }));
    events.push((140, succeeded_event("note")));
    events.push(finish(&mut view, RunStatus::Succeeded, 245, ""));
    story(view, events)
}

fn worker(index: usize, host: &str) -> StepView {
    let title = "Reload the capture workers, one host at a time";
    let mut worker = step("workers", title, "ssh.exec", Some("change"));
    worker.node = node("workers").with_item(index);
    worker.path = vec!["reload".into()];
    worker.item = Some(host.into());
    worker.target = Some(format!("ssh deploy@{host}"));
    worker.statement = Some("sudo capture-ctl set max_retries 5".into());
    worker.undo = Some("sudo capture-ctl set max_retries 3".into());
    worker.status = StepStatus::Succeeded;
    worker.attempts = 1;
    worker.started_at = Some(at(121 + index as i64 * 2));
    worker.finished_at = Some(at(123 + index as i64 * 2));
    worker.after = Some(Value::Null);
    worker.diff = Some(diff("stdout", "max_retries=3\n", "max_retries=5\n"));
    worker
}

fn worker_events(index: usize) -> Vec<(i64, Event)> {
    let node = node("workers").with_item(index);
    let begun = 121 + index as i64 * 2;
    let worker = worker(index, "app");
    vec![
        (
            begun,
            Event::ChangePrepared { node: node.clone(), attempt: 1, prepared: prepared(&worker) },
        ),
        (begun, Event::AttemptStarted { node: node.clone(), attempt: 1, request: None }),
        (
            begun + 2,
            Event::AttemptSucceeded {
                node: node.clone(),
                attempt: 1,
                started_at: at(begun),
                result: Value::Null,
            },
        ),
        (
            begun + 2,
            Event::StateCaptured {
                node,
                moment: Moment::After,
                snapshot: snapshot("after"),
                difference: worker.diff.unwrap(),
            },
        ),
    ]
}

/// The second host does not take the change.
fn failed() -> (RunView, Vec<(i64, Event)>) {
    let mut view = run(RunStatus::RolledBack);
    let mut second = worker(1, "app2");
    second.status = StepStatus::Failed;
    second.diff = Some(diff("stdout", "max_retries=3\n", "max_retries=3 # locked\n"));
    let fault = Fault::partial(
        codes::RW0708,
        "expected `after.stdout | trim == \"max_retries=\" ~ inputs.limit`, which does not hold",
    )
    .detail("after.stdout = max_retries=3 # locked\ninputs.limit = 5");
    let fault = Fault { place: Some("runbooks/raise-limit.yaml:38:13".into()), ..fault };
    second.error = Some(fault.clone());
    view.failed_step = Some(second.node.clone());
    view.steps = vec![stuck(), limit_made(), worker(0, "app1"), second.clone()];
    let mut events = stuck_events();
    events.extend(made_events());
    events.extend(worker_events(0));
    events.push((123, succeeded_event("workers[0]")));
    events.extend(worker_events(1));
    events.push((125, Event::StepFailed { node: second.node.clone(), fault }));
    events.push((
        125,
        Event::RollbackStarted {
            reason: "step `workers[1]` failed".into(),
            nodes: vec![second.node, node("workers[0]"), node("limit")],
            requested_by: None,
            over_drift: false,
        },
    ));
    (view, events)
}

fn undone_events(id: &str, seconds: i64, residual: Diff) -> Vec<(i64, Event)> {
    vec![
        (seconds, Event::UndoStarted { node: node(id), attempt: 1 }),
        (seconds, Event::UndoSucceeded { node: node(id), attempt: 1, result: Value::Null }),
        (
            seconds + 1,
            Event::StateCaptured {
                node: node(id),
                moment: Moment::Restored,
                snapshot: snapshot("restored"),
                difference: residual,
            },
        ),
    ]
}

pub fn rolled_back() -> Story {
    let (mut view, mut events) = failed();
    for (index, seconds) in [(3, 126), (2, 128), (1, 130)] {
        let step = &mut view.steps[index];
        step.status = StepStatus::RolledBack;
        step.rollback = Some(rollback("proved", seconds, Some(Diff::default())));
        events.extend(undone_events(&step.node.to_string(), seconds, Diff::default()));
    }
    let message = "step `workers[1]` failed: expected `after.stdout | trim == …`, which does not \
                   hold; 3 changes put back and proved";
    events.push(finish(&mut view, RunStatus::RolledBack, 140, message));
    story(view, events)
}

/// One proved, one not equal to before, one whose undo failed and that a person left.
pub fn rollback_incomplete() -> Story {
    let (mut view, mut events) = failed();
    let lost = Fault::unknown(codes::RW0712, "the connection to app2 was lost");
    view.steps[3].status = StepStatus::RollbackFailed;
    view.steps[3].rollback = Some(rollback("left", 160, None));
    view.steps[3].rollback.as_mut().unwrap().message =
        Some("ana@example.com: app2 is taken out of service".into());
    events.push((126, Event::UndoStarted { node: node("workers[1]"), attempt: 1 }));
    events.push((127, Event::UndoFailed { node: node("workers[1]"), attempt: 1, fault: lost }));
    events.push((
        160,
        Event::UndoDecided {
            node: node("workers[1]"),
            retry: false,
            by: "ana@example.com".into(),
            reason: "app2 is taken out of service".into(),
            message: 3,
        },
    ));
    view.steps[2].status = StepStatus::RolledBack;
    view.steps[2].rollback = Some(rollback("proved", 161, Some(Diff::default())));
    events.extend(undone_events("workers[0]", 161, Diff::default()));
    let residual = Diff(vec![
        Difference {
            path: format!("{ROW}.updated_at"),
            before: Some(Value::Null),
            after: Some(Value::Time("2026-03-01T12:02:43Z".parse().unwrap())),
        },
        Difference {
            path: format!("{ROW}.fee"),
            before: Some(Value::Decimal("1.50".parse().unwrap())),
            after: None,
        },
    ]);
    view.steps[1].status = StepStatus::RollbackFailed;
    view.steps[1].rollback = Some(rollback("unproved", 163, Some(residual.clone())));
    view.steps[1].rollback.as_mut().unwrap().message =
        Some("the state is not what it was before".into());
    events.extend(undone_events("limit", 163, residual));
    let message = "step `workers[1]` failed; still in place: `limit`, `workers[1]`";
    events.push(finish(&mut view, RunStatus::RollbackIncomplete, 170, message));
    story(view, events)
}

pub fn in_doubt() -> Story {
    let mut view = run(RunStatus::InDoubt);
    let mut limit = limit_made();
    limit.status = StepStatus::InDoubt;
    limit.finished_at = None;
    limit.after = None;
    limit.diff = None;
    let fault = Fault::unknown(codes::RW0712, "the connection was lost while COMMIT was under way");
    limit.error = Some(fault.clone());
    view.steps = vec![stuck(), limit, worker(0, "app1")];
    view.steps[2] = StepView {
        node: node("workers"),
        title: view.steps[2].title.clone(),
        ..step("workers", "", "ssh.exec", Some("change"))
    };
    let mut events = stuck_events();
    events.extend(begun_events());
    events.push((150, Event::AttemptInDoubt { node: node("limit"), attempt: 1, fault }));
    events.push((
        151,
        Event::StateCaptured {
            node: node("limit"),
            moment: Moment::Doubt,
            snapshot: snapshot("doubt"),
            difference: Diff::default(),
        },
    ));
    story(view, events)
}

pub fn waiting_for_approval() -> Story {
    let mut view = run(RunStatus::Waiting);
    let mut limit = limit();
    limit.status = StepStatus::Waiting;
    limit.request = Some(request(60));
    let digest: Digest = request(60).digest;
    limit.approvals = vec![approval("bruno@example.com", 90, &digest)];
    limit.refusals =
        vec!["a decision of ana@example.com does not count: she started the run".into()];
    view.steps = vec![stuck(), limit.clone()];
    let mut events = stuck_events();
    events.extend(asked_events());
    events.push((
        90,
        Event::ApprovalGiven {
            node: node("limit"),
            approval: limit.approvals[0].clone(),
            message: 1,
        },
    ));
    events.push((
        95,
        Event::ApprovalRefused {
            node: node("limit"),
            by: "ana@example.com".into(),
            reason: "she started the run".into(),
            message: 2,
        },
    ));
    story(view, events)
}

pub fn waiting_for_answer() -> Story {
    let mut view = run(RunStatus::Waiting);
    let mut ask = step("ask_acquirer", "Ask the acquirer", "manual", None);
    ask.status = StepStatus::Waiting;
    ask.started_at = Some(at(30));
    ask.question = Some("Call the acquirer's desk.\nAsk for the ticket number.\n".into());
    view.steps = vec![stuck(), ask];
    let mut events = stuck_events();
    events.push((
        30,
        Event::AnswerAsked {
            node: node("ask_acquirer"),
            instructions: "Call the acquirer's desk.".into(),
        },
    ));
    story(view, events)
}

pub fn planned() -> Story {
    let mut view = run(RunStatus::Succeeded);
    view.plan = true;
    let mut limit = limit();
    limit.status = StepStatus::Succeeded;
    limit.finished_at = Some(at(61));
    let mut purge = step("purge", "Purge the queue", "ssh.exec", Some("change"));
    purge.status = StepStatus::Succeeded;
    purge.statement = Some("sudo queue-ctl purge capture".into());
    purge.target = Some("ssh deploy@app1".into());
    purge.undo = Some("what is purged is gone".into());
    purge.reversible = false;
    let mut later = step("verify", "Wait until none is stuck", "sql.query", Some("read"));
    later.status = StepStatus::Succeeded;
    later.reason = Some("`steps.limit.after` is not known before the change is made".into());
    let mut skipped = step("tell", "tell", "slack.post", Some("change"));
    skipped.status = StepStatus::Skipped;
    skipped.reason = Some("its condition is false".into());
    view.steps = vec![stuck(), limit.clone(), purge.clone(), later.clone(), skipped];
    let mut events = stuck_events();
    for step in [&limit, &purge] {
        let node = step.node.clone();
        events.push((
            60,
            Event::ChangePrepared { node: node.clone(), attempt: 1, prepared: prepared(step) },
        ));
        events.push((60, Event::StepPlanned { node, unknown: None }));
    }
    events.push((61, Event::StepPlanned { node: later.node, unknown: later.reason }));
    events.push(finish(&mut view, RunStatus::Succeeded, 62, ""));
    story(view, events)
}
