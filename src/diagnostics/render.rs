//! Diagnostics for people: the line, a caret, what was found and what to do.
//!
//! The drawing is `annotate-snippets`'; this module says only what goes into it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Diagnostic, Severity};
use crate::base::Place;

/// One diagnostic, with colours or without; ends without a line break.
pub fn human(diagnostic: &Diagnostic, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(&diagnostic.message)
        .id(diagnostic.code.as_str())
        .elements(Vec::<annotate_snippets::Element<'_>>::new());
    if let Some(place) = &diagnostic.place {
        group = group.element(snippet(place, &diagnostic.label, &diagnostic.related));
        for (other, label) in diagnostic.related.iter().filter(|(p, _)| p.source != place.source) {
            group = group.element(snippet(other, label, &[]));
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

fn snippet<'a>(
    place: &'a Place,
    label: &'a str,
    related: &'a [(Place, String)],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = &place.source.text;
    let mut snippet = Snippet::source(text.as_str())
        .path(place.source.path.as_str())
        .annotation(AnnotationKind::Primary.span(visible(place)).label(label));
    for (other, label) in related.iter().filter(|(p, _)| p.source == place.source) {
        snippet =
            snippet.annotation(AnnotationKind::Context.span(visible(other)).label(label.as_str()));
    }
    snippet
}

/// The range, cut to its first line: a caret under thirty lines of a block says less than one
/// under its head.
fn visible(place: &Place) -> std::ops::Range<usize> {
    let text = &place.source.text;
    let start = place.range.start.min(text.len());
    let end = place.range.end.clamp(start, text.len());
    let line_end = text[start..end].find('\n').map_or(end, |i| start + i);
    start..line_end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Source, diagnostics::codes};

    #[test]
    fn the_caret_stands_under_the_word() {
        let source = Source::new("a.yaml", "version: 1\nnmae: x\n");
        let diagnostic =
            Diagnostic::error(codes::RW0201, Place::new(&source, 11..15), "unknown key `nmae`")
                .label("not a key of a runbook")
                .help("did you mean `name`?");
        let shown = human(&diagnostic, false);
        assert_eq!(
            shown,
            "error[RW0201]: unknown key `nmae`\n \
             --> a.yaml:2:1\n  |\n2 | nmae: x\n  | ^^^^ not a key of a runbook\n  |\n  \
             = help: did you mean `name`?"
        );
    }
}
