//! Rust source as the rules of `tidy` need it: without comments and literals, parted into what is
//! shipped and what is test, as paths and as functions. Knows no rule.
//!
//! A small scanner by hand, since the rules must not cost a parser among the dependencies.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// A text file of the repository.
pub struct File {
    /// Relative to the repository, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Compiled for tests only.
    test: bool,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    /// Line of its `fn`, from 1.
    pub line: usize,
    pub lines: usize,
    /// In the text that was scanned.
    pub range: Range<usize>,
}

/// The repository's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below a folder of the repository, by path; none when there is no such folder.
pub fn files(folder: &str) -> Vec<File> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if ["target", ".git", ".runward"].iter().any(|skip| name == *skip) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => walk(&entry.path(), out),
                Ok(kind) if kind.is_file() => out.push(entry.path()),
                _ => {}
            }
        }
    }
    let root = root();
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let text = String::from_utf8(fs::read(&path).ok()?).ok()?;
            let path = path.strip_prefix(&root).ok()?.to_string_lossy().into_owned();
            Some(File::new(path, text))
        })
        .collect()
}

/// The Rust files below a folder.
pub fn rust(folder: &str) -> Vec<File> {
    let mut files = files(folder);
    files.retain(|file| file.path.ends_with(".rs"));
    mark_tests(&mut files);
    files
}

/// Marks the files that another one declares by `#[cfg(test)] mod name;`, and those below them.
fn mark_tests(files: &mut [File]) {
    let declared: Vec<Vec<String>> = files
        .iter()
        .flat_map(|file| {
            let own: Vec<String> = file.module().into_iter().map(str::to_owned).collect();
            file.test_modules().into_iter().map(move |name| [&own[..], &[name]].concat())
        })
        .collect();
    for file in files {
        file.test |= declared.iter().any(|path| file.module().starts_with(&borrowed(path)));
    }
}

fn borrowed(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

impl File {
    fn new(path: String, text: String) -> Self {
        let test = !path.starts_with("src/");
        Self { path, text, test }
    }

    /// Names of the files that it declares for tests only.
    fn test_modules(&self) -> Vec<String> {
        let code = code(&self.text);
        test_ranges(&code)
            .into_iter()
            .filter_map(|range| {
                let item = code[range].trim_end().strip_suffix(';')?;
                let (_, name) = item.rsplit_once("mod ")?;
                Some(name.trim().to_owned())
            })
            .collect()
    }

    /// The code that users run: `code` without what is compiled for tests only.
    pub fn shipped(&self) -> String {
        let code = code(&self.text);
        if self.test { String::new() } else { blank(&code, &test_ranges(&code)) }
    }

    /// The code of tests: `code` of what is compiled for tests only.
    pub fn tests(&self) -> String {
        let code = code(&self.text);
        if self.test {
            return code;
        }
        let mut shipped = Vec::new();
        let mut from = 0;
        for range in test_ranges(&code) {
            shipped.push(from..range.start);
            from = range.end;
        }
        shipped.push(from..code.len());
        blank(&code, &shipped)
    }

    /// Lines of the file without its tests module.
    pub fn lines_without_tests(&self) -> usize {
        let code = code(&self.text);
        let tests: usize =
            test_ranges(&code).into_iter().map(|range| code[range].lines().count()).sum();
        self.text.lines().count() - tests.min(self.text.lines().count())
    }

    /// The module that the file is, from the crate's root: `src/a/b.rs` and `src/a/b/mod.rs` are
    /// `a`, `b`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').collect()
    }

    /// Paths of this crate that the shipped code names, from the crate's root, with their lines.
    pub fn crate_paths(&self) -> Vec<(usize, Vec<String>)> {
        let code = self.shipped();
        let mut out = Vec::new();
        for keyword in ["crate", "super"] {
            for at in words(&code, keyword) {
                let follows_path = code[..at].trim_end().ends_with("::");
                if follows_path || !code[at + keyword.len()..].starts_with("::") {
                    continue;
                }
                let mut paths = Vec::new();
                tree(&mut Tokens { text: &code[at..] }, &mut Vec::new(), &mut paths);
                let line = line_of(&code, at);
                out.extend(paths.into_iter().filter_map(|p| Some((line, self.absolute(&p)?))));
            }
        }
        out
    }

    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let above = path.iter().take_while(|segment| *segment == "super").count();
        if above == 0 {
            return Some(path[1..].to_vec());
        }
        let module = self.module();
        let base = module.get(..module.len().checked_sub(above)?)?;
        Some(base.iter().map(|s| (*s).to_owned()).chain(path[above..].iter().cloned()).collect())
    }
}

/// The text with comments and the insides of literals blanked; every byte keeps its place.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut hidden = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        let before = at.checked_sub(1).map_or(b' ', |i| bytes[i]);
        let end = match rest {
            [b'/', b'/', ..] => at + find(rest, b"\n").unwrap_or(rest.len()),
            [b'/', b'*', ..] => at + comment_length(rest),
            [b'"', ..] => at + string_length(rest),
            [b'\'', ..] => match char_length(&text[at..]) {
                Some(length) => at + length,
                None => at + 1,
            },
            [b'r', b'"' | b'#', ..] if !is_word(before) || before == b'b' || before == b'c' => {
                match raw_length(rest) {
                    Some(length) => at + length,
                    None => at + 1,
                }
            }
            _ => at + 1,
        };
        if end > at + 1 {
            // Delimiters of literals stay, so that the code keeps its shape.
            let inside = if rest[0] == b'/' { at..end } else { at + 1..end - 1 };
            hidden.push(inside);
        }
        at = end;
    }
    blank(text, &hidden)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn comment_length(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_length(bytes: &[u8]) -> Option<usize> {
    let hashes = bytes[1..].iter().take_while(|b| **b == b'#').count();
    if bytes.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let start = 2 + hashes;
    Some(start + find(&bytes[start..], &close)? + close.len())
}

/// `None` for a lifetime.
fn char_length(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next();
        return chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1);
    }
    chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Blanks ranges of a text; its lines and offsets stay.
fn blank(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in &mut bytes[range.clone()] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(bytes).expect("ranges begin and end between characters")
}

/// Offsets of a word, not as part of a longer one.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let (starts, ends) = (is_word(word.as_bytes()[0]), is_word(word.as_bytes()[word.len() - 1]));
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !(starts && *at > 0 && is_word(bytes[at - 1])))
        .filter(|at| !(ends && bytes.get(at + word.len()).is_some_and(|b| is_word(*b))))
        .collect()
}

/// The line, from 1, of an offset.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Offset just behind the item that begins here: its closing brace, or its semicolon.
fn item_end(code: &str, from: usize) -> usize {
    let (mut round, mut curly) = (0_i32, 0_i32);
    for (offset, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b'{' => curly += 1,
            b'}' => curly -= 1,
            _ => {}
        }
        let ends = byte == b'}' && curly <= 0 || byte == b';' && curly == 0;
        if ends && round <= 0 {
            return offset + 1;
        }
    }
    code.len()
}

/// Ranges of the items under `#[cfg(test)]`.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        if out.last().is_none_or(|last| at >= last.end) {
            out.push(at..item_end(code, at));
        }
    }
    out
}

/// The functions of a code, inner ones too.
pub fn functions(code: &str) -> Vec<Function> {
    let mut out = Vec::new();
    for at in words(code, "fn") {
        let name: String = code[at + 2..]
            .trim_start()
            .bytes()
            .take_while(|b| is_word(*b))
            .map(char::from)
            .collect();
        let end = item_end(code, at);
        if name.is_empty() || !code[at..end].ends_with('}') {
            continue;
        }
        let lines = code[at..end].lines().count();
        out.push(Function { name, line: line_of(code, at), lines, range: at..end });
    }
    out
}

/// What is left of a `use` tree or a path.
struct Tokens<'a> {
    text: &'a str,
}

impl Tokens<'_> {
    fn take(&mut self, what: &str) -> bool {
        let rest = self.text.trim_start();
        let found = rest.starts_with(what);
        if found {
            self.text = &rest[what.len()..];
        }
        found
    }

    fn word(&mut self) -> String {
        let rest = self.text.trim_start();
        let length = rest.bytes().take_while(|b| is_word(*b)).count();
        let word = rest[..length].to_owned();
        self.text = &rest[length..];
        word
    }
}

/// `a::{b, c::d}` into `a::b` and `a::c::d`.
fn tree(tokens: &mut Tokens<'_>, prefix: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    let depth = prefix.len();
    loop {
        if tokens.take("{") {
            while !tokens.take("}") && !tokens.text.trim().is_empty() {
                let left = tokens.text.len();
                tree(tokens, prefix, out);
                tokens.take(",");
                if tokens.text.len() == left {
                    break;
                }
            }
            break;
        }
        let word = tokens.word();
        if word.is_empty() {
            tokens.take("*");
            out.push(prefix.clone());
            break;
        }
        prefix.push(word);
        if !tokens.take("::") {
            out.push(prefix.clone());
            if tokens.text.starts_with(" as ") {
                tokens.take("as");
                tokens.word();
            }
            break;
        }
    }
    prefix.truncate(depth);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File::new(path.into(), text.into())
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "let a = \"x // {\"; // println!\nlet b = 'a'; /* { /* */ } */ fn f<'a>() {}";
        let seen = code(text);
        assert!(!seen.contains("println") && !seen.contains("//"), "{seen}");
        assert!(seen.contains("fn f<'a>() {}"), "{seen}");
        assert_eq!(code("r#\"a \" fn x() {\"# + b\"\\\"{\" + '\\'' + 'é'").matches('{').count(), 0);
        assert_eq!((seen.len(), seen.lines().count()), (text.len(), text.lines().count()));
    }

    #[test]
    fn tests_are_told_from_what_is_shipped() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { c[1]; }\n}\nfn d() {}\n";
        let file = file("src/x.rs", text);
        let names = |code: &str| functions(code).into_iter().map(|f| f.name).collect::<Vec<_>>();
        assert_eq!(names(&file.shipped()), ["a", "d"]);
        assert_eq!(names(&file.tests()), ["b"]);
        assert_eq!(file.lines_without_tests(), 2);
    }

    #[test]
    fn a_file_that_is_declared_for_tests_is_a_test() {
        let mut files = [
            file("src/a.rs", "#[cfg(test)]\nmod cases;\n#[cfg(test)]\nmod inner {}\nmod b;"),
            file("src/a/cases.rs", "fn f() {}"),
            file("src/a/cases/more.rs", "fn f() {}"),
            file("src/a/b.rs", "fn f() {}"),
        ];
        mark_tests(&mut files);
        assert_eq!(files.map(|file| file.test), [false, true, true, false]);
    }

    #[test]
    fn use_trees_become_paths() {
        let text = "use crate::{\n    base::{Map, value::Value as V},\n    model::*,\n};\n\
                    use super::other::Thing;\nfn f() -> crate::ports::Clock { super::super::g() }";
        let mut paths: Vec<String> = file("src/actions/sql/query.rs", text)
            .crate_paths()
            .into_iter()
            .map(|(_, path)| path.join("::"))
            .collect();
        paths.sort();
        assert_eq!(
            paths,
            [
                "actions::g",
                "actions::sql::other::Thing",
                "base::Map",
                "base::value::Value",
                "model",
                "ports::Clock"
            ]
        );
    }

    #[test]
    fn a_function_ends_with_its_brace() {
        let code =
            code("trait T { fn a(&self) -> [u8; 2]; }\nfn b(x: [u8; 3])\n{\n    if c {}\n}\n");
        let found = functions(&code);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].line, found[0].lines), ("b", 2, 4));
    }
}
