//! `run`, `resume`, `rollback`: everything that drives a run in this process.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    args::{Cli, PlanArgs, ResumeArgs, RollbackArgs, RunArgs},
    begin,
    compose::{Here, SystemClock},
    exit::Exit,
    holder,
    terminal::{Failure, Terminal},
    watch,
};
use crate::{
    base::RunId,
    driver::{self, Ended, Observer, Runner, Stop},
    engine::Run,
    model::event::{Operator, RunStatus},
    ports::{Clock, store::Lease},
    report, store,
};

/// `runward run`
pub async fn run(cli: &Cli, terminal: Terminal, args: &RunArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let begun = begin::begin(&here, terminal, &args.start, args.key.as_deref(), false).await?;
    let environment = begun.run.plan.environment.clone();
    let ports = here.ports(&here.project, &environment, Arc::clone(&here.store))?;
    let transports = Arc::clone(&ports.transports);
    let run = driver::unsealed(begun.run, ports.seal.as_ref(), &ports.redactor)?;
    let observer = observer(terminal, args.json);
    let holder = holder::this(&begun.created.operator.login, &begun.created.operator.host);
    let mut runner = Runner::start(ports, run, begun.created, &holder, observer).await?;
    if let Err(error) = runner.lock(&begun.locks).await {
        // The run is on record, and ends there: it could not begin.
        let refused = Failure::from(error);
        runner.refuse(&refused_words(&refused)).await?;
        return Err(refused);
    }
    let exit = drive(&mut runner, terminal, !args.no_wait, args.json).await;
    transports.close().await;
    exit
}

fn refused_words(failure: &Failure) -> String {
    match failure {
        Failure::Fault(fault, _) => fault.message.clone(),
        Failure::Diagnostics(_) => "it could not begin".to_owned(),
    }
}

/// `runward plan`
pub async fn plan(cli: &Cli, terminal: Terminal, args: &PlanArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let begun = begin::begin(&here, terminal, &args.start, None, true).await?;
    let environment = begun.run.plan.environment.clone();
    // A plan is a run whose journal is thrown away, and that stops before each change.
    let ports =
        here.ports(&here.project, &environment, Arc::new(store::MemoryStore::new("plan")))?;
    let transports = Arc::clone(&ports.transports);
    let holder = holder::this(&begun.created.operator.login, &begun.created.operator.host);
    let silent = Box::new(watch::Silent);
    let run = driver::unsealed(begun.run, ports.seal.as_ref(), &ports.redactor)?;
    let mut runner = Runner::start(ports, run, begun.created, &holder, silent).await?;
    let (_keep, mut stop) = signals();
    let ended = runner.drive(false, &mut stop).await;
    transports.close().await;
    let ended = ended?;
    let view = runner.run().view(here.clock.now());
    if args.json {
        terminal.out(&format!("{:#}", view.to_json()));
    } else {
        terminal.out(&report::plan::plan(&view, &environment, &terminal.style()));
    }
    Ok(match ended {
        Ended::Finished(status) => Exit::of(status, false),
        Ended::Paused(_) => Exit::Succeeded,
        Ended::Interrupted => Exit::Failed,
    })
}

/// `runward resume`
pub async fn resume(cli: &Cli, terminal: Terminal, args: &ResumeArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let (id, _) = here.find_run(&args.run).await?;
    let (run, project, _) = here.load(&id).await?;
    if run.is_finished() {
        return Ok(finished(&run, terminal, &here));
    }
    let operator = begin::operator(&here)?;
    let lease = claim(&here, &id, &operator).await?;
    // Read again: whoever held it may have appended until just now.
    let (run, _, _) = here.load(&id).await?;
    let ports = here.ports(&project, &run.plan.environment, Arc::clone(&here.store))?;
    let transports = Arc::clone(&ports.transports);
    let run = driver::unsealed(run, ports.seal.as_ref(), &ports.redactor)?;
    let observer = observer(terminal, args.json);
    let mut runner = Runner::resume(ports, run, lease, operator.name, observer).await?;
    let exit = drive(&mut runner, terminal, !args.no_wait, args.json).await;
    transports.close().await;
    exit
}

/// `runward rollback`
pub async fn rollback(cli: &Cli, terminal: Terminal, args: &RollbackArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let (id, _) = here.find_run(&args.run).await?;
    let operator = begin::operator(&here)?;
    let lease = claim(&here, &id, &operator).await?;
    let (run, project, _) = here.load(&id).await?;
    let ports = here.ports(&project, &run.plan.environment, Arc::clone(&here.store))?;
    let transports = Arc::clone(&ports.transports);
    let run = driver::unsealed(run, ports.seal.as_ref(), &ports.redactor)?;
    let observer = observer(terminal, args.json);
    let mut runner = Runner::resume(ports, run, lease, operator.name.clone(), observer).await?;
    let exit = match runner.roll_back(operator.name, args.over_drift).await {
        Ok(()) => drive(&mut runner, terminal, !args.no_wait, args.json).await,
        Err(error) => {
            runner.give_back().await?;
            Err(error.into())
        }
    };
    transports.close().await;
    exit
}

fn finished(run: &Run, terminal: Terminal, here: &Here) -> Exit {
    let view = run.view(here.clock.now());
    terminal.err(&format!("run {} is finished: {}", run.id.short(), view.status.as_str()));
    Exit::of(view.status, !run.remaining().is_empty())
}

/// Takes the run's lease, also from a process of this host that is no more.
async fn claim(here: &Here, id: &RunId, operator: &Operator) -> Result<Lease, Failure> {
    let now = here.clock.now();
    let holder = holder::this(&operator.login, &operator.host);
    let dead = here.store.holder(id, now).await?.filter(|h| holder::is_dead(h, &operator.host));
    Ok(here.store.claim(id, &holder, dead.as_deref(), now).await?)
}

fn observer(terminal: Terminal, json: bool) -> Box<dyn Observer> {
    if json { Box::new(watch::JsonLines(terminal)) } else { Box::new(watch::Lines::new(terminal)) }
}

async fn drive(
    runner: &mut Runner,
    terminal: Terminal,
    wait: bool,
    json: bool,
) -> Result<Exit, Failure> {
    let (_keep, mut stop) = signals();
    let ended = runner.drive(wait, &mut stop).await?;
    let run = runner.run();
    let remains = !run.remaining().is_empty();
    Ok(match ended {
        Ended::Finished(status) => {
            if !json {
                watch::finish(terminal, run, SystemClock.now());
            }
            Exit::of(status, remains)
        }
        Ended::Paused(questions) => {
            use crate::engine::Question;
            let doubt = |q: &Question| matches!(q, Question::Doubt(_) | Question::FailedUndo(_));
            if questions.iter().any(doubt) { Exit::Look } else { Exit::Paused }
        }
        Ended::Interrupted => {
            let status = run.status(run.started_at);
            if status == RunStatus::InDoubt || remains { Exit::Look } else { Exit::Paused }
        }
    })
}

/// Signals as wishes: the first stops at the step's end, the second at once. The sender must be
/// kept: a closed channel is no wish.
fn signals() -> (mpsc::UnboundedSender<Stop>, mpsc::UnboundedReceiver<Stop>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, receiver) = mpsc::unbounded_channel();
    let keep = sender.clone();
    let streams = [(SignalKind::interrupt(), "SIGINT"), (SignalKind::terminate(), "SIGTERM")];
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for (kind, name) in streams {
        let Ok(mut stream) = signal(kind) else { continue };
        let (sender, count) = (sender.clone(), Arc::clone(&count));
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let before = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let wish = if before == 0 { Stop::Gently(name.to_owned()) } else { Stop::Now };
                if sender.send(wish).is_err() {
                    return;
                }
            }
        });
    }
    (keep, receiver)
}
