//! What a run was and is: `runs`, `show`, `diff`, `report`, `audit`.

use super::{
    args::{AuditArgs, AuditCommand, Cli, ReportArgs, ReportFormat, RunsArgs, ShowArgs, StepArgs},
    compose::{Here, io_words},
    exit::Exit,
    terminal::{Failure, Terminal, WIDTH},
    watch,
};
use crate::{
    base::{NodeId, visible::escape_line},
    diagnostics::codes,
    model::Fault,
    ports::store::Summary,
    report,
};

/// `runward runs`
pub async fn runs(cli: &Cli, terminal: Terminal, args: &RunsArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let fits = |s: &Summary| {
        args.status.as_ref().is_none_or(|status| s.status == *status)
            && args.runbook.as_ref().is_none_or(|t| s.runbook.contains(t) || s.name.contains(t))
    };
    let filtered = args.status.is_some() || args.runbook.is_some();
    let most = if filtered { usize::MAX } else { args.limit };
    let mut found = here.store.list(most).await?;
    found.retain(|(_, summary)| fits(summary));
    found.truncate(args.limit);
    if args.json {
        let list: Vec<_> = found
            .iter()
            .map(|(id, s)| {
                serde_json::json!({
                    "id": id, "name": s.name, "runbook": s.runbook, "environment": s.environment,
                    "operator": s.operator, "status": s.status, "started_at": s.started_at,
                    "finished_at": s.finished_at, "waiting": s.waiting,
                })
            })
            .collect();
        terminal.out(&format!("{:#}", serde_json::Value::Array(list)));
        return Ok(Exit::Succeeded);
    }
    if found.is_empty() {
        terminal.err("no runs");
    }
    for (id, s) in &found {
        let started = s.started_at.map_or_else(String::new, |t| format!("{t:.0}"));
        let waiting = s.waiting.as_ref().map_or_else(String::new, |w| format!("  waits: {w}"));
        terminal.out(&format!(
            "{}  {:<20} {:<19} {:<12} {}  {}{}",
            id.short(),
            started,
            s.status,
            escape_line(&s.environment),
            escape_line(&s.operator),
            escape_line(&s.name),
            escape_line(&waiting),
        ));
    }
    Ok(Exit::Succeeded)
}

/// `runward show`
pub async fn show(cli: &Cli, terminal: Terminal, args: &ShowArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let (id, _) = here.find_run(&args.run).await?;
    let (run, ..) = here.load(&id).await?;
    let view = run.view(here.clock.now());
    if args.json {
        terminal.out(&format!("{:#}", view.to_json()));
    } else {
        terminal.out(&report::show::show(&view, &terminal.style()));
        if !run.is_finished() && here.store.holder(&id, here.clock.now()).await?.is_none() {
            let resume = format!("runward resume {}", id.short());
            terminal.out(&format!("No process holds the run; go on with: {resume}"));
        }
    }
    Ok(Exit::Succeeded)
}

/// `runward diff`
pub async fn diff(cli: &Cli, terminal: Terminal, args: &StepArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let (text, step) = match args.target.split_once('/') {
        Some((run, step)) => (run, NodeId::parse(step)),
        None => (args.target.as_str(), None),
    };
    let (id, _) = here.find_run(text).await?;
    let (run, ..) = here.load(&id).await?;
    let view = run.view(here.clock.now());
    let style = terminal.style();
    let mut any = false;
    for s in &view.steps {
        let meant = step.as_ref().is_none_or(|wanted| {
            *wanted == s.node || (wanted.items.is_empty() && wanted.step == s.node.step)
        });
        let (Some(diff), true) = (s.diff.as_ref().or(s.preview.as_ref()), meant) else { continue };
        any = true;
        let made = if s.diff.is_some() { "changed" } else { "would change" };
        let target = s.target.as_deref().unwrap_or_default();
        terminal.out(&format!(
            "{} {made} {}",
            style.heading(&s.node.to_string()),
            escape_line(target)
        ));
        for line in report::lines::diff_lines(diff, &style, WIDTH) {
            terminal.out(&format!("  {line}"));
        }
    }
    if !any {
        terminal.err("no differences are on record");
    }
    Ok(Exit::Succeeded)
}

/// `runward report`
pub async fn report(cli: &Cli, terminal: Terminal, args: &ReportArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    let (id, _) = here.find_run(&args.run).await?;
    let (run, _, events) = here.load(&id).await?;
    let view = run.view(here.clock.now());
    let text = match args.format {
        ReportFormat::Md => report::markdown::markdown(&view, &events),
        ReportFormat::Json => format!("{:#}\n", view.to_json()),
    };
    match &args.output {
        None => terminal.out(&text),
        Some(file) => {
            std::fs::write(file, text).map_err(|error| {
                let message =
                    format!("`{}` can't be written: {}", file.display(), io_words(&error));
                Failure::from(Fault::untouched(codes::RW0106, message))
            })?;
            terminal.err(&format!("written to {}", file.display()));
        }
    }
    Ok(Exit::Succeeded)
}

/// `runward audit`
pub async fn audit(cli: &Cli, terminal: Terminal, args: &AuditArgs) -> Result<Exit, Failure> {
    let here = Here::open(cli).await?;
    match &args.command {
        AuditCommand::Verify { run } => {
            let ids = match run {
                Some(text) => vec![here.find_run(text).await?.0],
                None => here.store.list(usize::MAX).await?.into_iter().map(|(id, _)| id).collect(),
            };
            let mut events = 0;
            for id in &ids {
                // Reading verifies the chain, folding that each event was allowed.
                let (_, _, recorded) = here.load(id).await?;
                events += recorded.len();
            }
            let count = ids.len();
            terminal.out(&format!("whole: {count} runs, {events} events"));
        }
        AuditCommand::Export { run } => {
            let (id, _) = here.find_run(run).await?;
            let (_, _, recorded) = here.load(&id).await?;
            for event in &recorded {
                terminal.out(&watch::event_line(&id.0, event));
            }
        }
    }
    Ok(Exit::Succeeded)
}
