//! What people say to a run from another process: `approve`, `reject`, `request`, `answer`,
//! `resolve`, `cancel`.

use super::{
    args::{AnswerArgs, ApproveArgs, CancelArgs, Cli, RejectArgs, RequestArgs, ResolveArgs},
    begin::{operator, split_pair},
    compose::{self, Here},
    exit::Exit,
    holder, signing,
    terminal::{Failure, Terminal},
};
use crate::{
    approvals::{SshVerifier, rejection_statement},
    base::{Digest, Map, NodeId, RunId, visible::escape},
    diagnostics::codes,
    engine::{Question, Run},
    language::{self, Given},
    model::{
        Fault,
        approval::{SignedDecision, Verdict},
        input::Message,
        project::Project,
        runbook::Body,
    },
    ports::Approvals,
};

/// A run, and the step that is meant.
struct Meant {
    run: Run,
    project: std::sync::Arc<Project>,
    node: NodeId,
}

/// Finds RUN or RUN/STEP among what the run asks for; without a step there must be one question.
async fn find(
    here: &Here,
    target: &str,
    what: &str,
    fits: impl Fn(&Question) -> Option<&NodeId>,
) -> Result<Meant, Failure> {
    let (text, step) = match target.split_once('/') {
        Some((run, step)) => (run, Some(step)),
        None => (target, None),
    };
    let (id, summary) = here.find_run(text).await?;
    let (run, project, _) = here.load(&id).await?;
    let pending = run.pending(here.clock.now());
    let open: Vec<NodeId> = pending.questions.iter().filter_map(fits).cloned().collect();
    let nothing = |message: String| {
        Failure::from(
            Fault::untouched(codes::RW0607, message)
                .help(format!("`runward show {}` says what the run waits for", id.short())),
        )
    };
    let node = match (step, open.as_slice()) {
        (Some(step), _) => {
            let wanted = NodeId::parse(step)
                .ok_or_else(|| nothing(format!("`{step}` is no step of run {}", id.short())))?;
            let matching =
                |n: &&NodeId| **n == wanted || (wanted.items.is_empty() && n.step == wanted.step);
            match open.iter().filter(matching).collect::<Vec<_>>().as_slice() {
                [one] => (*one).clone(),
                _ => {
                    return Err(nothing(format!(
                        "`{step}` of run {} waits for no {what}",
                        id.short()
                    )));
                }
            }
        }
        (None, [only]) => only.clone(),
        (None, []) => {
            return Err(nothing(format!(
                "run {} waits for no {what}; its status is {}",
                id.short(),
                summary.status
            )));
        }
        (None, several) => {
            let names: Vec<_> = several.iter().map(|n| format!("`{n}`")).collect();
            return Err(nothing(format!("which step: {}?", names.join(", "))));
        }
    };
    Ok(Meant { run, project, node })
}

fn approval(question: &Question) -> Option<&NodeId> {
    match question {
        Question::Approval(node) => Some(node),
        _ => None,
    }
}

fn request_of(meant: &Meant) -> Result<&str, Failure> {
    meant.run.open_request(&meant.node).ok_or_else(|| {
        Fault::untouched(codes::RW0607, format!("`{}` has no open request", meant.node)).into()
    })
}

fn display_of(request: &str) -> Result<String, Failure> {
    let request = crate::approvals::request::parse(request).map_err(|why| {
        Failure::from(Fault::untouched(codes::RW0801, format!("the request can't be read: {why}")))
    })?;
    Ok(request.display)
}

/// `runward approve`
pub async fn approve(cli: &Cli, terminal: Terminal, args: &ApproveArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let meant = find(&here, &args.target, "approval", approval).await?;
    let request = request_of(&meant)?;
    terminal.out(&escape(&display_of(request)?));
    if !args.yes && args.import.is_none() {
        let answer = terminal.ask("Approve exactly this? Type `yes`:");
        match answer.as_deref() {
            Some("yes") => {}
            Some(_) => {
                terminal.err("not approved");
                return Ok(Exit::Refused);
            }
            None => {
                return Err(Fault::untouched(codes::RW0601, "there is nobody to ask")
                    .help("say `--yes` to approve what is shown above")
                    .into());
            }
        }
    }
    let signature = match &args.import {
        Some(file) => compose::read_text(file)?,
        None => signing::sign(&here, terminal, args.key.as_deref(), request.as_bytes()).await?,
    };
    let decision = SignedDecision {
        verdict: Verdict::Approve,
        by: String::new(),
        reason: args.reason.clone(),
        at: here.clock.now(),
        signature: Some(signature),
    };
    decide(&here, terminal, &meant, request, decision).await
}

/// `runward reject`
pub async fn reject(cli: &Cli, terminal: Terminal, args: &RejectArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let meant = find(&here, &args.target, "approval", approval).await?;
    let request = request_of(&meant)?;
    // Signed or not, a rejection only ever stops something; a key says whose it is where a login
    // does not.
    let (by, signature) = match &args.key {
        None => (operator(&here)?.name, None),
        Some(key) => {
            let statement = rejection_statement(request, &args.reason);
            let signature = signing::sign(&here, terminal, Some(key), statement.as_bytes()).await?;
            (String::new(), Some(signature))
        }
    };
    let decision = SignedDecision {
        verdict: Verdict::Reject,
        by,
        reason: args.reason.clone(),
        at: here.clock.now(),
        signature,
    };
    decide(&here, terminal, &meant, request, decision).await
}

/// Verified here too, so that who decides hears at once that it does not count. The attempt goes
/// on record all the same.
async fn decide(
    here: &Here,
    terminal: Terminal,
    meant: &Meant,
    request: &str,
    decision: SignedDecision,
) -> Result<Exit, Failure> {
    let verified = SshVerifier.verify(request, &decision, &meant.project, here.clock.now());
    let message = Message::Decision {
        node: meant.node.clone(),
        request: Digest::of(request.as_bytes()),
        decision: decision.clone(),
    };
    post(here, &meant.run.id, &message).await?;
    match verified {
        Ok(approval) => {
            let word = match approval.decision {
                Verdict::Approve => "approved",
                Verdict::Reject => "rejected",
            };
            terminal.out(&format!("{word} as {}", approval.by));
            goes_on(here, terminal, &meant.run.id).await?;
            Ok(Exit::Succeeded)
        }
        Err(why) => Err(Fault::untouched(codes::RW0601, why).into()),
    }
}

async fn post(here: &Here, run: &RunId, message: &Message) -> Result<(), Failure> {
    Ok(here.store.post(run, here.clock.now(), message).await?)
}

/// Says who takes it from here.
async fn goes_on(here: &Here, terminal: Terminal, run: &RunId) -> Result<(), Failure> {
    match here.store.holder(run, here.clock.now()).await? {
        Some(holder) => {
            terminal.err(&format!("the run goes on by itself ({})", holder::shown(&holder)));
        }
        None => terminal
            .err(&format!("no process holds the run; go on with: runward resume {}", run.short())),
    }
    Ok(())
}

/// `runward request`
pub async fn request(cli: &Cli, terminal: Terminal, args: &RequestArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let meant = find(&here, &args.target, "approval", approval).await?;
    let request = request_of(&meant)?;
    match &args.output {
        None => {
            // Byte for byte: what is signed must be what is verified.
            use std::io::Write;
            let _ = std::io::stdout().lock().write_all(request.as_bytes());
        }
        Some(file) => {
            std::fs::write(file, request).map_err(|error| {
                let words = compose::io_words(&error);
                let message = format!("`{}` can't be written: {words}", file.display());
                Failure::from(Fault::untouched(codes::RW0106, message))
            })?;
            let shown = file.display();
            terminal.err(&format!(
                "sign it:   ssh-keygen -Y sign -n runward -f KEY {shown}\nthen:      runward \
                 approve {}/{} --import {shown}.sig",
                meant.run.id.short(),
                meant.node
            ));
        }
    }
    Ok(Exit::Succeeded)
}

/// `runward answer`
pub async fn answer(cli: &Cli, terminal: Terminal, args: &AnswerArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let meant = find(&here, &args.target, "answer", |q| match q {
        Question::Answer(node) => Some(node),
        _ => None,
    })
    .await?;
    let fields = match meant.run.plan.step(&meant.node.step).map(|s| &s.body) {
        Some(Body::Manual(manual)) if !args.no => {
            let mut given = Vec::new();
            for pair in &args.fields {
                let (name, value) = split_pair(pair)?;
                given.push((name.to_owned(), Given::Text(value.to_owned())));
            }
            language::values(&manual.fields, &given, "field")?
        }
        _ => Map::new(),
    };
    let message = Message::Answer {
        node: meant.node.clone(),
        fields,
        by: operator(&here)?.name,
        confirmed: !args.no,
    };
    post(&here, &meant.run.id, &message).await?;
    terminal.out(if args.no { "answered: no" } else { "answered" });
    goes_on(&here, terminal, &meant.run.id).await?;
    Ok(Exit::Succeeded)
}

/// `runward resolve`
pub async fn resolve(cli: &Cli, terminal: Terminal, args: &ResolveArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let undo = args.retry_undo || args.leave;
    let what = if undo { "decision on an undo" } else { "word on its outcome" };
    let meant = find(&here, &args.target, what, |q| match q {
        Question::Doubt(node) if !undo => Some(node),
        Question::FailedUndo(node) if undo => Some(node),
        _ => None,
    })
    .await?;
    let (by, reason) = (operator(&here)?.name, args.reason.clone());
    let node = meant.node.clone();
    let message = if undo {
        Message::Undo { node, retry: args.retry_undo, reason, by }
    } else {
        Message::Resolve { node, applied: args.applied, reason, by }
    };
    post(&here, &meant.run.id, &message).await?;
    terminal.out("noted");
    goes_on(&here, terminal, &meant.run.id).await?;
    Ok(Exit::Succeeded)
}

/// `runward cancel`
pub async fn cancel(cli: &Cli, terminal: Terminal, args: &CancelArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let (id, _) = here.find_run(&args.run).await?;
    let (run, ..) = here.load(&id).await?;
    if run.is_finished() {
        return Err(Fault::untouched(codes::RW0806, "the run is finished").into());
    }
    let message = Message::Cancel { by: operator(&here)?.name, reason: args.reason.clone() };
    post(&here, &id, &message).await?;
    terminal.out("asked to stop");
    goes_on(&here, terminal, &id).await?;
    Ok(Exit::Succeeded)
}
