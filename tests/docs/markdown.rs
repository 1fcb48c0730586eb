//! The pages of the documentation, and what is in them: blocks of code, spans of code, links.
//!
//! Owns just enough of Markdown for that. Must not know what is in a block.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// A page.
pub struct Page {
    /// From the repository's folder on.
    pub path: String,
    pub text: String,
}

/// A fenced block, or a comment that holds something for the tests.
pub struct Block {
    /// `yaml`, `console`, …; `hidden` for a comment `<!-- hidden … -->`.
    pub language: String,
    /// Its content, without the indentation of its fence.
    pub text: String,
    /// Where the content stands in the page.
    pub range: Range<usize>,
    /// Blanks in front of its fence.
    pub indent: usize,
    /// The line of the fence, from 1.
    pub line: usize,
    /// The comment on the line above, such as `file: runward.yaml`.
    pub note: Option<String>,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// One page.
pub fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    Page { path: path.to_owned(), text }
}

/// Every page that users read.
pub fn pages() -> Vec<Page> {
    let mut paths = BTreeSet::from([
        "README.md".to_owned(),
        "CHANGELOG.md".to_owned(),
        "src/cli/demo/files/README.md".to_owned(),
    ]);
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                paths.insert(path.display().to_string());
            }
        }
    }
    paths.iter().map(|path| page(path)).collect()
}

/// Should files be written anew?
pub fn updating() -> bool {
    std::env::var_os("RUNWARD_UPDATE").is_some()
}

impl Page {
    /// Its blocks, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        // The block that is open, with what ends it.
        let mut open: Option<(Block, &str)> = None;
        let mut above = "";
        let mut at = 0;
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            let trimmed = line.trim();
            if let Some((block, end)) = &mut open {
                if trimmed == *end {
                    block.range.end = at;
                    blocks.extend(open.take().map(|(block, ..)| block));
                } else {
                    let lead = line.len() - line.trim_start_matches(' ').len();
                    block.text.push_str(&line[lead.min(block.indent)..]);
                }
            } else {
                let fence = trimmed.strip_prefix("```").map(|language| (language, "```"));
                let hidden = (trimmed == "<!-- hidden").then_some(("hidden", "-->"));
                if let Some((language, end)) = fence.or(hidden) {
                    let note = above.strip_prefix("<!-- ").and_then(|n| n.strip_suffix(" -->"));
                    let block = Block {
                        language: language.to_owned(),
                        text: String::new(),
                        range: at + line.len()..at + line.len(),
                        indent: line.len() - line.trim_start().len(),
                        line: index + 1,
                        note: note.map(str::to_owned),
                    };
                    open = Some((block, end));
                }
            }
            above = trimmed;
            at += line.len();
        }
        assert!(open.is_none(), "{}: a block has no end", self.path);
        blocks
    }

    /// The text with its blocks blanked.
    pub fn prose(&self) -> String {
        let mut text = self.text.clone();
        for block in self.blocks() {
            let blank: String = self.text[block.range.clone()]
                .chars()
                .map(|c| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) })
                .collect();
            text.replace_range(block.range, &blank);
        }
        // A fence would else begin a span of code.
        text.replace("```", "   ")
    }

    /// Spans of code in the prose.
    pub fn spans(&self) -> Vec<String> {
        let prose = self.prose();
        let mut spans = Vec::new();
        for paragraph in prose.split("\n\n") {
            let mut parts = paragraph.split('`');
            parts.next();
            while let (Some(span), Some(_)) = (parts.next(), parts.next()) {
                spans.push(span.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        spans
    }

    /// Targets of links in the prose.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let ends = prose.match_indices("](").map(|(at, _)| at + 2);
        ends.filter_map(|at| prose[at..].split(')').next()).map(str::to_owned).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter_map(|l| l.trim_start_matches('#').strip_prefix(' '));
        let kept = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        headings
            .map(|h| h.trim().to_lowercase().chars().filter(|c| kept(*c)).collect::<String>())
            .map(|h| h.replace(' ', "-"))
            .collect()
    }

    /// What stands between `<!-- generated: NAME -->` and `<!-- end of generated -->`.
    pub fn generated(&self, name: &str) -> Range<usize> {
        let begin = format!("<!-- generated: {name} -->\n");
        let start = self.text.find(&begin).map(|at| at + begin.len());
        let start = start.unwrap_or_else(|| panic!("{} has no `{}`", self.path, begin.trim()));
        let length = self.text[start..].find("<!-- end of generated -->");
        start..start + length.unwrap_or_else(|| panic!("{}: generated without end", self.path))
    }

    /// Holds the generated part against what it must be, or writes it anew.
    pub fn hold_generated(&self, name: &str, wanted: &str, differing: &mut Vec<String>) {
        let range = self.generated(name);
        let wanted = format!("\n{}\n\n", wanted.trim());
        if self.text[range.clone()] == wanted {
            return;
        }
        if updating() {
            let mut text = self.text.clone();
            text.replace_range(range, &wanted);
            fs::write(root().join(&self.path), text).unwrap();
        } else {
            differing.push(format!("{}: {name}", self.path));
        }
    }
}
