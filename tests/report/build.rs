//! Runs made by hand.

use indexmap::IndexMap;

use runward::{
    base::{Digest, Map, NodeId, Place, RunId, Source, Timestamp, Value},
    model::{
        approval::{Approval, Verdict},
        diff::{Diff, Difference},
        event::{
            Event, Operator, Phase, Prepared, Recorded, RunCreated, RunStatus, Snapshot, StepStatus,
        },
        target::{ApprovalPolicy, Environment, Irreversible, Policy},
        view::{RequestView, RollbackView, RunView, StepView},
    },
};

/// A run with the events that it is made of.
pub struct Story {
    pub view: RunView,
    pub events: Vec<Recorded>,
}

/// So many seconds after the run began.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_772_366_400 + seconds).unwrap()
}

pub fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

pub fn node(text: &str) -> NodeId {
    NodeId::parse(text).unwrap()
}

fn operator() -> Operator {
    Operator {
        name: "ana@example.com".into(),
        login: "ana".into(),
        host: "bastion1".into(),
        key: Some("SHA256:anaanaanaanaanaanaanaanaanaanaanaanaanaanaa".into()),
        signature: Some("-----BEGIN SSH SIGNATURE-----".into()),
    }
}

/// A run that has begun, without steps.
pub fn run(status: RunStatus) -> RunView {
    RunView {
        id: RunId("0198f9a2-1111-7000-8000-000000000001".into()),
        name: "Raise the capture retry limit".into(),
        runbook: "runbooks/raise-limit.yaml".into(),
        digest: digest("runbook"),
        description: "Use when captures time out at the acquirer.".into(),
        environment: "production".into(),
        operator: operator(),
        asker: operator().name,
        status,
        phase: Phase::Main,
        message: None,
        started_at: at(0),
        finished_at: None,
        inputs: Map::from_iter([("limit".to_owned(), Value::from(5))]),
        failed_step: None,
        plan: false,
        undoes: None,
        steps: Vec::new(),
        events: 0,
        head: digest("head"),
    }
}

/// A step that has not begun.
pub fn step(id: &str, title: &str, action: &str, effect: Option<&'static str>) -> StepView {
    StepView {
        node: node(id),
        path: Vec::new(),
        phase: Phase::Main,
        title: title.into(),
        item: None,
        action: action.into(),
        effect,
        status: StepStatus::Pending,
        attempts: 0,
        started_at: None,
        finished_at: None,
        result: None,
        outputs: None,
        error: None,
        findings: Vec::new(),
        reason: None,
        statement: None,
        target: None,
        before: None,
        after: None,
        preview: None,
        diff: None,
        doubt: None,
        undo: None,
        reversible: true,
        request: None,
        approvals: Vec::new(),
        refusals: Vec::new(),
        question: None,
        note: None,
        rollback: None,
    }
}

/// A difference in one place.
pub fn diff(path: &str, before: impl Into<Value>, after: impl Into<Value>) -> Diff {
    Diff(vec![Difference {
        path: path.into(),
        before: Some(before.into()),
        after: Some(after.into()),
    }])
}

pub fn approval(by: &str, seconds: i64, digest: &Digest) -> Approval {
    Approval {
        by: by.into(),
        key: format!("SHA256:{}", by.split('@').next().unwrap().repeat(8)),
        decision: Verdict::Approve,
        at: at(seconds),
        reason: String::new(),
        digest: digest.clone(),
        signature: Some("-----BEGIN SSH SIGNATURE-----".into()),
    }
}

/// A request's bytes as far as a report reads them.
pub fn request_bytes(action: &str) -> String {
    format!("{{\"action\": \"{action}\", \"from\": [\"leads\", \"sre\"]}}")
}

pub fn request(seconds: i64) -> RequestView {
    let bytes = request_bytes("sql.update");
    RequestView {
        digest: digest(&bytes),
        bytes,
        required: 2,
        asked_at: at(seconds),
        expires_at: at(seconds + 1800),
    }
}

pub fn rollback(status: &'static str, seconds: i64, residual: Option<Diff>) -> RollbackView {
    RollbackView { status, message: None, residual, restored: None, finished_at: Some(at(seconds)) }
}

pub fn snapshot(of: &str) -> Box<Snapshot> {
    Box::new(Snapshot { state: Value::Null, key: Vec::new(), digest: digest(of), sealed: None })
}

pub fn prepared(step: &StepView) -> Box<Prepared> {
    Box::new(Prepared {
        arguments: Map::new(),
        arguments_digest: digest("arguments"),
        statement: step.statement.clone().unwrap_or_default(),
        target: step.target.clone().unwrap_or_default(),
        before: None,
        difference: step.preview.clone(),
        undo: step.undo.clone().unwrap_or_default(),
        reversible: step.reversible,
    })
}

/// The events with their times; the first, that the run exists, is put before them. The view is
/// told how many there are.
pub fn story(mut view: RunView, events: Vec<(i64, Event)>) -> Story {
    let created = Event::RunCreated(Box::new(RunCreated {
        sealed_inputs: IndexMap::new(),
        format: 1,
        version: "0.1.0".into(),
        journal: "journal".into(),
        name: view.name.clone(),
        runbook: view.runbook.clone(),
        runbook_digest: view.digest.clone(),
        files: Vec::new(),
        project: (String::new(), String::new()),
        project_digest: digest("project"),
        folder: String::new(),
        environment: view.environment.clone(),
        inputs: view.inputs.clone(),
        operator: view.operator.clone(),
        plan: view.plan,
        undoes: None,
    }));
    let events: Vec<_> = std::iter::once((0, created))
        .chain(events)
        .zip(1..)
        .map(|((seconds, event), seq)| Recorded {
            seq,
            at: at(seconds),
            event,
            hash: digest(&seq.to_string()),
        })
        .collect();
    view.events = events.len() as u64;
    Story { view, events }
}

/// A protected environment that asks for two people.
pub fn environment() -> Environment {
    let source = Source::new("runward.yaml", "");
    Environment {
        name: "production".into(),
        protected: true,
        policy: Policy {
            approvals: Some(ApprovalPolicy {
                required: 2,
                from: vec!["leads".into(), "sre".into()],
                expires: std::time::Duration::from_secs(1800),
            }),
            irreversible: Irreversible::Extra(1),
            ..Policy::default()
        },
        targets: IndexMap::new(),
        place: Place::new(&source, 0..0),
    }
}
