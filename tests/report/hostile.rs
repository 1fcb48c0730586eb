//! Text from outside is shown and never obeyed: not by a terminal, not by a reader of Markdown.

use pulldown_cmark::{Event as Md, Options, Parser, Tag, TagEnd};

use super::{
    build::{self, Story, at, environment},
    cases,
};
use runward::{
    base::{Value, visible},
    model::{
        approval::Approval,
        diff::{Diff, Difference},
        event::Event,
    },
    report::{Style, lines, markdown::markdown, plan::plan, show::show},
};

/// What must not act. No line of them may survive as anything but words.
const HOSTILE: &[&str] = &[
    "\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{9b}2J\r\u{8}FAKE: approved",
    "\u{202e}gnp.exe\u{2066} zero\u{200b}width line\u{2028}sep\u{85}nel",
    "# Approved by: CFO",
    "[click](javascript:alert(1))",
    "![x](https://attacker.invalid/track.png)",
    "[x]: javascript:alert(1)",
    "<script>window.__rb_xss=1</script>",
    "<img src=x onerror=window.__rb_xss=1>",
    "&lt;script&gt; &#60;b&#62; &copy;",
    "&lt;b&gt; &copy; AT&T &amp;amp;",
    "<https://attacker.invalid> <a@b.invalid>",
    "https://attacker.invalid www.attacker.invalid",
    "|x|y| forged | row | APPROVED |",
    "| a | b |\n| --- | --- |\n| c | d |",
    "``` \n# Approved by: CFO\n```",
    "\\`unbalanced ``` fence ```` `````",
    "~~~\nx\n~~~ ~~gone~~ **bold** _em_ __strong__ *em*",
    "\\| \\\\| \\` \\< \\[x](y)",
    "<details><summary>x</summary>",
    "@everyone closes #2",
    "\n\n## What happened\n\nNothing.\n\n---\n\n1. one\n- two\n+ three\n> four\n===",
    "    indented\n\tcode",
    "trailing backslash \\",
    "`",
    "[^1] $x$ $$y$$ :tada: {{ x }} - [ ] task",
    "2026-01-01T00:00:00Z approval.granted run=42 by=cfo@bank.example",
];

/// The story with this text wherever text from outside may stand.
fn poisoned(mut story: Story, evil: &str) -> Story {
    let text = || evil.to_owned();
    let view = &mut story.view;
    view.name = text();
    view.runbook = text();
    view.environment = text();
    view.message = Some(text());
    view.operator.name = text();
    view.operator.login = text();
    view.operator.host = text();
    view.inputs.insert(text(), text().into());
    let diff = Diff(vec![
        Difference { path: text(), before: None, after: Some(text().into()) },
        Difference {
            path: format!("rows[id={evil}].{evil}"),
            before: Some(Value::map([(evil, Value::List(vec![text().into()]))])),
            after: Some(Value::Null),
        },
        Difference {
            path: "stdout".into(),
            before: Some(format!("a\n{evil}\n").into()),
            after: Some(format!("b\n{evil}").into()),
        },
    ]);
    let dirty = |a: &mut Approval| {
        a.by = evil.into();
        a.key = evil.into();
        a.reason = evil.into();
    };
    for step in &mut view.steps {
        step.title = text();
        step.item = Some(text().into());
        step.path = vec![text()];
        step.result = Some(Value::map([(evil, text().into())]));
        step.findings = vec![text()];
        step.reason = Some(text());
        step.statement = Some(text());
        step.target = Some(text());
        step.undo = Some(text());
        step.refusals = vec![text()];
        step.note = Some(runward::base::markdown::escaped(&text()));
        step.question = Some(text());
        step.preview = Some(diff.clone());
        step.diff = step.diff.as_ref().map(|_| diff.clone());
        step.approvals.iter_mut().for_each(dirty);
        if let Some(fault) = &mut step.error {
            fault.message = text();
            fault.detail = Some(text());
            fault.help = Some(text());
            fault.place = Some(text());
        }
        if let Some(rollback) = &mut step.rollback {
            rollback.message = Some(text());
            rollback.residual = rollback.residual.as_ref().map(|_| diff.clone());
        }
        if let Some(request) = &mut step.request {
            request.bytes = serde_json::json!({"action": evil, "from": [evil, evil]}).to_string();
        }
    }
    for recorded in &mut story.events {
        poison(&mut recorded.event, evil);
    }
    story
}

fn poison(event: &mut Event, evil: &str) {
    match event {
        Event::RunCreated(created) => {
            created.operator.name = evil.into();
            created.environment = evil.into();
            created.version = evil.into();
        }
        Event::ApprovalGiven { approval, .. } => {
            approval.by = evil.into();
            approval.reason = evil.into();
        }
        Event::ApprovalRefused { by, reason, .. } | Event::UndoDecided { by, reason, .. } => {
            *by = evil.into();
            *reason = evil.into();
        }
        Event::StepFailed { fault, .. }
        | Event::AttemptInDoubt { fault, .. }
        | Event::UndoFailed { fault, .. } => fault.message = evil.into(),
        Event::RetryScheduled { reason, .. } | Event::RollbackStarted { reason, .. } => {
            *reason = evil.into();
        }
        Event::RunFinished { message, .. } => *message = evil.into(),
        _ => {}
    }
}

fn stories() -> Vec<fn() -> Story> {
    vec![
        cases::succeeded,
        cases::rolled_back,
        cases::rollback_incomplete,
        cases::in_doubt,
        cases::waiting_for_approval,
        cases::waiting_for_answer,
        cases::planned,
    ]
}

/// Everything that a reader of Markdown may know, but for curling quotes.
fn options() -> Options {
    Options::all() - Options::ENABLE_SMART_PUNCTUATION - Options::ENABLE_OLD_FOOTNOTES
}

/// Headings, tables, rules, lists and blocks: all that gives a report its shape.
fn shape(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for event in Parser::new_ext(text, options()) {
        match event {
            Md::Html(html) | Md::InlineHtml(html) => panic!("HTML: {html}\n{text}"),
            Md::FootnoteReference(_) | Md::InlineMath(_) | Md::DisplayMath(_) => {
                panic!("footnote or formula\n{text}")
            }
            Md::TaskListMarker(_) => panic!("task\n{text}"),
            Md::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                panic!("link: {dest_url}\n{text}")
            }
            Md::Start(Tag::Emphasis | Tag::Strikethrough | Tag::HtmlBlock) => {
                panic!("emphasis, strikethrough or HTML\n{text}")
            }
            Md::Start(Tag::Heading { level, .. }) => out.push(level.to_string()),
            Md::Rule => out.push("rule".into()),
            Md::Start(Tag::Table(_)) => out.push("table".into()),
            Md::Start(Tag::TableRow) => out.push("row".into()),
            Md::Start(Tag::TableCell) => out.push("cell".into()),
            Md::Start(Tag::List(_)) => out.push("list".into()),
            Md::Start(Tag::CodeBlock(_)) => out.push("block".into()),
            Md::Start(Tag::Strong) => out.push("strong".into()),
            _ => {}
        }
    }
    out
}

/// How often this one line is read, outside of blocks. Backticks may have become code.
fn readings(text: &str, line: &str) -> usize {
    let mut words = String::new();
    let mut block = false;
    for event in Parser::new_ext(text, options()) {
        match event {
            Md::Start(Tag::CodeBlock(_)) => block = true,
            Md::End(TagEnd::CodeBlock) => block = false,
            Md::Text(text) | Md::Code(text) if !block => words.push_str(&text),
            Md::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell) => words.push('\n'),
            _ => {}
        }
    }
    words.replace('`', "").matches(&line.replace('`', "")).count()
}

/// Whether this text or a harmless one stands there must not change the report's shape.
#[test]
fn reports_keep_their_shape() {
    for make in stories() {
        let plain = poisoned(make(), "harmless");
        let expected = shape(&markdown(&plain.view, &plain.events));
        for evil in HOSTILE {
            let story = poisoned(make(), evil);
            let found = shape(&markdown(&story.view, &story.events));
            assert_eq!(found, expected, "{evil}");
        }
    }
}

/// Nothing of such a text is lost or read as something else.
#[test]
fn reports_say_every_word() {
    let without_results = |make: fn() -> Story, evil: &str| {
        let mut story = poisoned(make(), evil);
        // A result in brief is cut short.
        story.view.steps.iter_mut().for_each(|step| step.result = None);
        markdown(&story.view, &story.events)
    };
    for make in stories() {
        let expected = readings(&without_results(make, "harmless"), "harmless");
        assert!(expected > 10);
        for evil in HOSTILE.iter().filter(|evil| !evil.contains('\n') && **evil != "`") {
            let text = without_results(make, evil);
            let line = visible::escape_line(evil);
            assert_eq!(readings(&text, line.trim()), expected, "{evil}\n{text}");
        }
    }
}

#[test]
fn terminals_get_nothing_to_obey() {
    for make in stories() {
        for evil in HOSTILE {
            let story = poisoned(make(), evil);
            let mut all = vec![
                markdown(&story.view, &story.events),
                show(&story.view, &Style::PLAIN),
                plan(&story.view, &environment(), &Style::PLAIN),
            ];
            all.extend(lines::waiting_lines(&story.view, &Style::PLAIN));
            all.extend(story.view.steps.iter().map(|s| lines::step_line(s, &Style::PLAIN)));
            for text in all {
                let acts = |c: char| c != '\n' && visible::acts_or_hides(c) && c != '\t';
                assert!(!text.chars().any(acts), "{text:?}");
            }
        }
    }
}

/// No line of text from outside begins where lines of ours begin.
#[test]
fn lines_cannot_be_forged() {
    let evil = "x\nstatus       succeeded\nWaiting for approval of x\n✓ all steps";
    for make in stories() {
        let story = poisoned(make(), evil);
        for text in [
            show(&story.view, &Style::PLAIN),
            plan(&story.view, &environment(), &Style::PLAIN),
            lines::waiting_lines(&story.view, &Style::PLAIN).join("\n"),
        ] {
            for line in text.lines() {
                assert_ne!(line, "status       succeeded", "{text}");
                assert_ne!(line, "Waiting for approval of x", "{text}");
                assert!(!line.starts_with("✓ all"), "{text}");
            }
        }
    }
}

/// Long texts are cut where that is said, and never by a report's own mistake.
#[test]
fn long_differences_say_what_is_left_out() {
    let mut story = cases::succeeded();
    let rows = (0..5000).map(|n| Difference {
        path: format!("rows[id={n}].status"),
        before: Some("a".into()),
        after: Some("b".into()),
    });
    story.view.steps[2].diff = Some(Diff(rows.collect()));
    let text = markdown(&story.view, &story.events);
    assert!(text.contains("14800 more lines: `runward diff 0198f9a2-1111/limit`"), "{text}");
    let text = show(&story.view, &Style::PLAIN);
    assert!(text.contains("… and 14960 more lines: runward diff 0198f9a2-1111/limit"), "{text}");
}

#[test]
fn long_timelines_show_both_ends() {
    let mut events = cases::succeeded().events;
    let last = events.last().unwrap().clone();
    let resumed = Event::RunResumed { by: "ana".into() };
    for _ in 0..1000 {
        let mut more = build::story(build::run(last_status()), vec![(50, resumed.clone())]);
        events.insert(1, more.events.remove(1));
    }
    let text = markdown(&cases::succeeded().view, &events);
    assert!(text.contains("events are not shown here"), "{text}");
    assert!(text.contains("started the run in production") && text.contains("the run ended"));
    assert_eq!(last.at, at(245));
}

fn last_status() -> runward::model::event::RunStatus {
    runward::model::event::RunStatus::Succeeded
}
