//! From the parser's events to the tree, within budgets.
//!
//! Owns the building of the tree and what of YAML is refused. Must not know what the tree means.
//! Built on a stack of its own: depth of the text is not depth of the program's stack.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use granit_parser::{Event, Parser, ScalarStyle, Span, options};

use super::{
    Entry, Key, MAX_BYTES, MAX_DEPTH, MAX_DIAGNOSTICS, MAX_EXPANDED, MAX_NODES, Node, Scalar,
    Shape, Style, characters, faults, written,
};
use crate::{
    base::{Place, Source},
    diagnostics::{Diagnostic, codes},
};

/// What a subtree costs, for the budgets.
#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    bytes: usize,
    height: usize,
}

impl Cost {
    fn add(&mut self, child: Self) {
        self.nodes += child.nodes;
        self.bytes += child.bytes;
        self.height = self.height.max(child.height + 1);
    }
}

/// A list or map that is not yet closed.
struct Frame {
    start: usize,
    anchor: usize,
    cost: Cost,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Entries),
}

#[derive(Default)]
struct Entries {
    done: Vec<Entry>,
    seen: HashMap<Arc<str>, usize>,
    key: Pending,
}

/// The key whose value comes next.
#[derive(Default)]
enum Pending {
    #[default]
    None,
    Key(Key),
    /// A key that was refused; its value is read and dropped.
    Refused,
}

struct Builder<'s> {
    source: &'s Arc<Source>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, Cost)>,
    open_anchors: HashSet<usize>,
    total: Cost,
    root: Option<Node>,
    documents: usize,
    /// The file itself holds no hidden character: one in an escape is news.
    clean: bool,
    diagnostics: Vec<Diagnostic>,
}

/// A budget is used up, or the structure can't be followed: nothing more is read.
struct Stop;

pub(super) fn parse(source: &Arc<Source>) -> (Option<Node>, Vec<Diagnostic>) {
    if source.text.len() > MAX_BYTES {
        let message = format!("the file is larger than 1 MiB ({} bytes)", source.text.len());
        let fault = Diagnostic::error(codes::RW0104, Place::new(source, 0..0), message);
        return (None, vec![fault.help("split it, or read large data from a file in a step")]);
    }
    let hidden = characters::check(source);
    let had_hidden = !hidden.is_empty();
    let mut builder = Builder {
        source,
        stack: Vec::new(),
        anchors: HashMap::new(),
        open_anchors: HashSet::new(),
        total: Cost::default(),
        root: None,
        documents: 0,
        clean: !had_hidden,
        diagnostics: hidden,
    };
    let options = options! {
        emit_comments: false,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let outcome = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                // A hidden character is the likelier reason, and already told.
                if !had_hidden {
                    builder.diagnostics.push(faults::diagnostic(source, &error));
                }
                Err(Stop)
            }
        };
        if outcome.is_err() {
            return (None, builder.diagnostics);
        }
    }
    if builder.root.is_none() && builder.diagnostics.is_empty() {
        let end = Place::new(source, 0..0);
        builder.diagnostics.push(Diagnostic::error(codes::RW0101, end, "the file is empty"));
    }
    (builder.root, builder.diagnostics)
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        // Nobody reads more; and what is this wrong was made to keep somebody busy.
        if self.diagnostics.len() > MAX_DIAGNOSTICS {
            return Err(Stop);
        }
        let range = span.byte_range().unwrap_or(0..0);
        if let Some(tag) = event.tag() {
            let at = span.tag_span().and_then(|s| s.byte_range()).unwrap_or(range.clone());
            let message = format!("YAML tags (`{}`) are not allowed", tag.original());
            let help = "remove the tag; quote a text that begins with `!`";
            self.complain(codes::RW0102, at, message, help);
        }
        match event {
            Event::DocumentStart(..) => self.document(range),
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, range),
            Event::SequenceStart(_, anchor, _) => {
                self.open(range.start, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(range.start, anchor, Content::Map(Entries::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::Alias(id) => self.alias(id, range),
            Event::UnresolvedAlias(name) => {
                let message = format!("`*{name}` stands for nothing: there is no `&{name}` above");
                let help = "quote a text that begins with `*`";
                self.complain(codes::RW0101, range.clone(), message, help);
                let node = self.empty(range);
                self.place(node, Cost { nodes: 1, ..Cost::default() })
            }
            _ => Ok(()),
        }
    }

    fn complain(
        &mut self,
        code: crate::diagnostics::Code,
        range: Range<usize>,
        message: impl Into<String>,
        help: &str,
    ) {
        let place = Place::new(self.source, range);
        self.diagnostics.push(Diagnostic::error(code, place, message).help(help));
    }

    fn document(&mut self, range: Range<usize>) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            let help = "put the second document into a file of its own";
            self.complain(codes::RW0102, range, "a second YAML document begins here", help);
            return Err(Stop);
        }
        Ok(())
    }

    fn empty(&self, range: Range<usize>) -> Node {
        let written = written::written(self.source, range.clone(), "", Style::Plain);
        let shape = Shape::Scalar(Scalar { text: "".into(), style: Style::Plain, written });
        Node { shape, place: Place::new(self.source, range) }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        range: Range<usize>,
    ) -> Result<(), Stop> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let cost = Cost { nodes: 1, bytes: text.len(), height: 0 };
        // The parser says `~` where nothing is written.
        if style == Style::Plain && range.is_empty() {
            let range = match self.stack.last().map(|f| &f.content) {
                Some(Content::Map(Entries { key: Pending::Key(key), .. })) => {
                    key.place.range.clone()
                }
                _ => range,
            };
            let node = self.empty(range);
            return self.finish(node, cost, anchor);
        }
        // Escapes can hide what the check of the file's characters could not see.
        if style == Style::Quoted
            && self.clean
            && let Some((c, what)) = hidden(text)
        {
            let place = Place::new(self.source, range.clone());
            self.diagnostics.push(characters::diagnostic(place, c, what));
        }
        let scalar = Scalar {
            text: text.into(),
            style,
            written: written::written(self.source, range.clone(), text, style),
        };
        let node = Node { shape: Shape::Scalar(scalar), place: Place::new(self.source, range) };
        self.finish(node, cost, anchor)
    }

    fn open(&mut self, start: usize, anchor: usize, content: Content) -> Result<(), Stop> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("lists and maps are nested deeper than {MAX_DEPTH}");
            self.complain(codes::RW0104, start..start, message, "flatten the file");
            return Err(Stop);
        }
        if anchor != 0 {
            self.open_anchors.insert(anchor);
        }
        let cost = Cost { nodes: 1, ..Cost::default() };
        self.stack.push(Frame { start, anchor, cost, content });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        // The end of a block is where the next thing begins: what is between is not part of it.
        let inside = self.source.text.get(frame.start..end).unwrap_or("");
        let range = frame.start..frame.start + inside.trim_end().len();
        let shape = match frame.content {
            Content::List(items) => Shape::List(items.into()),
            Content::Map(entries) => Shape::Map(entries.done.into()),
        };
        self.open_anchors.remove(&frame.anchor);
        let node = Node { shape, place: Place::new(self.source, range) };
        self.finish(node, frame.cost, frame.anchor)
    }

    fn alias(&mut self, id: usize, range: Range<usize>) -> Result<(), Stop> {
        if self.open_anchors.contains(&id) {
            let help = "an alias can't stand inside of what it stands for";
            self.complain(codes::RW0104, range, "this alias contains itself", help);
            return Err(Stop);
        }
        let Some((node, cost)) = self.anchors.get(&id).cloned() else { return Ok(()) };
        if self.stack.len() + cost.height > MAX_DEPTH {
            let message = format!("aliases make lists and maps deeper than {MAX_DEPTH}");
            self.complain(codes::RW0104, range, message, "write the values out");
            return Err(Stop);
        }
        self.spend(cost, &range)?;
        self.place(node, cost)
    }

    fn finish(&mut self, node: Node, cost: Cost, anchor: usize) -> Result<(), Stop> {
        let own = match node.shape {
            Shape::Scalar(_) => cost,
            // What is inside was counted when it was read.
            _ => Cost { nodes: 1, ..Cost::default() },
        };
        self.spend(own, &node.place.range.clone())?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        self.place(node, cost)
    }

    fn spend(&mut self, cost: Cost, range: &Range<usize>) -> Result<(), Stop> {
        self.total.nodes += cost.nodes;
        self.total.bytes += cost.bytes;
        if self.total.nodes <= MAX_NODES && self.total.bytes <= MAX_EXPANDED {
            return Ok(());
        }
        let message = format!(
            "the file expands too far: more than {MAX_NODES} values or {} MiB of text",
            MAX_EXPANDED >> 20
        );
        self.complain(codes::RW0104, range.clone(), message, "use fewer aliases and values");
        Err(Stop)
    }

    /// Puts a node where the events are: into the list, as a key, as a key's value, as the root.
    fn place(&mut self, node: Node, cost: Cost) -> Result<(), Stop> {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.cost.add(cost);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map(entries) => match std::mem::take(&mut entries.key) {
                Pending::None => {
                    let (key, fault) = key(&node, &self.source.text);
                    entries.key = key;
                    self.diagnostics.extend(fault);
                }
                Pending::Key(key) => self.diagnostics.extend(entries.add(key, node)),
                Pending::Refused => {}
            },
        }
        Ok(())
    }
}

impl Entries {
    fn add(&mut self, key: Key, value: Node) -> Option<Diagnostic> {
        if let Some(first) = self.seen.get(&key.text) {
            let message = format!("the key `{}` stands twice in one map", key.text);
            return Some(
                Diagnostic::error(codes::RW0103, key.place, message)
                    .label("second time")
                    .related(self.done[*first].key.place.clone(), "first time")
                    .help("keep one of them"),
            );
        }
        self.seen.insert(Arc::clone(&key.text), self.done.len());
        self.done.push(Entry { key, value });
        None
    }
}

/// A node as a key, or why it can't be one.
fn key(node: &Node, text: &str) -> (Pending, Option<Diagnostic>) {
    let refuse = |code, message: &str, help: &str| {
        let fault = Diagnostic::error(code, node.place.clone(), message).help(help);
        (Pending::Refused, Some(fault))
    };
    match &node.shape {
        Shape::Scalar(s) if s.style == Style::Plain && &*s.text == "<<" => refuse(
            codes::RW0102,
            "merge keys (`<<`) are not allowed",
            "write the keys out: what is merged in can't be seen where it counts",
        ),
        Shape::Scalar(s) if s.text.is_empty() => {
            refuse(codes::RW0203, "a key is empty", "write a name before the `:`")
        }
        Shape::Scalar(s) => {
            (Pending::Key(Key { text: Arc::clone(&s.text), place: node.place.clone() }), None)
        }
        _ if text[..node.place.range.start].ends_with('{') => refuse(
            codes::RW0203,
            "a template that is not quoted is a map for YAML",
            "put it in quotes: \"{{ … }}\"",
        ),
        _ => refuse(codes::RW0203, "a key must be text", "write a plain name before the `:`"),
    }
}

fn hidden(text: &str) -> Option<(char, &'static str)> {
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let line_end = c == '\r' && characters.peek() == Some(&'\n');
        if let Some(what) = characters::fault(c).filter(|_| !line_end) {
            return Some((c, what));
        }
    }
    None
}
