//! From the text of `runward.yaml` to the model, with everything that is wrong with it at once.
//!
//! Owns the project file: its keys, addresses and policies. Must not know runbooks; has no disk,
//! environment or clock: whether a file or secret is there shows when it is used.

mod people;
mod policy;
mod targets;

use std::{ops::Range, path::PathBuf, sync::Arc};

use indexmap::IndexMap;

use crate::{
    base::{Digest, Place, SecretName, Source},
    diagnostics::{Diagnostic, codes, has_errors},
    model::{
        project::{Project, SecretSource, StoreAddress},
        target::Environment,
    },
    yaml::{
        self, Entry, Node,
        shape::{self, Fields},
    },
};

/// Where the journal is when the file does not say.
const DEFAULT_STORE: &str = ".runward/journal.db";

/// Reads and checks a project file.
///
/// `path` is shown in diagnostics; `folder` is where the file lies, absolute: relative paths start
/// there. The project is there when no error was found; warnings there may be.
pub fn load(path: &str, folder: PathBuf, text: &str) -> (Option<Project>, Vec<Diagnostic>) {
    let source = Source::new(path, text);
    let (root, faults) = yaml::parse(&source);
    let mut reader = Reader { folder, out: faults, clear: Vec::new() };
    let project = root.and_then(|root| reader.project(&source, &root));
    let mut diagnostics = reader.out;
    mask(&source, &reader.clear, &mut diagnostics);
    let diagnostics = yaml::finish(diagnostics);
    (project.filter(|_| !has_errors(&diagnostics)), diagnostics)
}

/// The state of reading one project file.
struct Reader {
    folder: PathBuf,
    out: Vec<Diagnostic>,
    /// Where secrets stand in clear: diagnostics show lines of the file, but not these parts.
    clear: Vec<Range<usize>>,
}

impl Reader {
    fn project(&mut self, source: &Arc<Source>, root: &Node) -> Option<Project> {
        let mut fields = Fields::of(root, "a project", &mut self.out)?;
        fields.version(&mut self.out);
        let store = match fields.get("store") {
            Some(entry) => self.store(&entry.value),
            None => Some(StoreAddress::Sqlite(self.folder.join(DEFAULT_STORE))),
        };
        let people = fields.get("people").map(|e| self.people(&e.value)).unwrap_or_default();
        let secrets = fields.get("secrets").map(|e| self.secrets(&e.value)).unwrap_or_default();
        let redact_columns =
            fields.get("redact").map(|e| self.redact(&e.value)).unwrap_or_default();
        let mut environments = IndexMap::new();
        if let Some(entry) = fields.need("environments", &mut self.out) {
            let found = shape::entries(&entry.value, "`environments`", &mut self.out);
            for entry in found.unwrap_or_default() {
                if let Some(environment) = self.environment(entry, &secrets) {
                    policy::check(&environment, &people, &mut self.out);
                    environments.insert(environment.name.clone(), environment);
                }
            }
        }
        fields.finish(&mut self.out);
        Some(Project {
            source: Arc::clone(source),
            digest: Digest::of(source.text.as_bytes()),
            folder: self.folder.clone(),
            store: store?,
            people,
            secrets,
            redact_columns,
            environments,
        })
    }

    fn store(&mut self, node: &Node) -> Option<StoreAddress> {
        let text = shape::filled(node, "`store`", &mut self.out)?;
        let mut refuse = |message: String, help: &str| {
            let fault = Diagnostic::error(codes::RW0503, node.place.clone(), message);
            self.out.push(fault.help(help));
            None
        };
        match text.split_once(':') {
            Some(("sqlite", path)) => match targets::sqlite_path(path, &self.folder) {
                Ok(path) => Some(StoreAddress::Sqlite(path)),
                Err(why) => refuse(why, "write `sqlite:` and the path of a file"),
            },
            Some(("postgres" | "postgresql", _)) => {
                if let Some(range) = targets::password_in(&text, node) {
                    self.clear.push(range);
                }
                self.out.push(
                    Diagnostic::error(
                        codes::RW0503,
                        node.place.clone(),
                        "a journal in PostgreSQL is not supported by this version yet",
                    )
                    .help("write `sqlite:` and the path of a file"),
                );
                None
            }
            _ => refuse(
                "`store` is not an address of a journal".into(),
                "write `sqlite:` and the path of a file",
            ),
        }
    }

    fn redact(&mut self, node: &Node) -> Vec<String> {
        let Some(mut fields) = Fields::of(node, "`redact`", &mut self.out) else {
            return Vec::new();
        };
        let columns = fields
            .get("columns")
            .map(|e| shape::texts(&e.value, "`columns`", &mut self.out))
            .unwrap_or_default();
        fields.finish(&mut self.out);
        columns.into_iter().map(|(name, _)| name.to_lowercase()).collect()
    }

    fn secrets(&mut self, node: &Node) -> IndexMap<SecretName, SecretSource> {
        let mut secrets = IndexMap::new();
        for entry in shape::entries(node, "`secrets`", &mut self.out).unwrap_or_default() {
            shape::check_id(&entry.key.text, &entry.key.place, "a secret", &mut self.out);
            // A secret whose source is wrong is still one that the file names.
            let source = self.secret(entry).unwrap_or(SecretSource::Command(Vec::new()));
            secrets.insert(entry.key.text.to_string(), source);
        }
        secrets
    }

    fn secret(&mut self, entry: &Entry) -> Option<SecretSource> {
        if entry.value.scalar().is_some() && !entry.value.is_null() {
            self.in_clear(&entry.value, "the secret itself stands in the project file");
            return None;
        }
        let out = &mut self.out;
        let mut fields = Fields::of(&entry.value, "a secret", out)?;
        let sources: Vec<&Entry> =
            ["env", "file", "command"].iter().filter_map(|key| fields.get(key)).collect();
        let before = out.len();
        fields.not_yet(&["age", "vault"], out);
        fields.finish(out);
        let [source] = sources[..] else {
            if out.len() == before {
                let (code, message) = match sources.len() {
                    0 => (codes::RW0202, "a secret needs a source"),
                    _ => (codes::RW0209, "a secret has one source"),
                };
                out.push(
                    Diagnostic::error(code, entry.value.place.clone(), message)
                        .help("write `{env: NAME}`, `{file: path}` or `{command: [program, …]}`"),
                );
            }
            return None;
        };
        let value = &source.value;
        match &*source.key.text {
            "env" => {
                let name = shape::filled(value, "`env`", out)?;
                let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && !name.as_bytes()[0].is_ascii_digit();
                if !fits {
                    let message = "`env` is not the name of an environment variable";
                    out.push(Diagnostic::error(codes::RW0204, value.place.clone(), message));
                    return None;
                }
                Some(SecretSource::Environment(name))
            }
            "file" => shape::filled(value, "`file`", out).map(|p| SecretSource::File(p.into())),
            _ => {
                let words = shape::texts(value, "`command`", out);
                if words.is_empty() && matches!(value.shape, yaml::Shape::List(_)) {
                    let message = "`command` must name a program";
                    out.push(Diagnostic::error(codes::RW0202, value.place.clone(), message));
                }
                Some(SecretSource::Command(words.into_iter().map(|(word, _)| word).collect()))
            }
        }
    }

    fn environment(
        &mut self,
        entry: &Entry,
        secrets: &IndexMap<SecretName, SecretSource>,
    ) -> Option<Environment> {
        let name = &*entry.key.text;
        if !name.split('-').all(shape::is_id) {
            let message =
                format!("`{}` can't be the name of an environment", shape::shortened(name));
            self.out.push(Diagnostic::error(codes::RW0207, entry.key.place.clone(), message).help(
                "names begin with a letter and hold lower-case letters, digits, `_` and `-`",
            ));
        }
        let mut fields = Fields::of(&entry.value, "an environment", &mut self.out)?;
        let protected = fields
            .get("protected")
            .and_then(|e| shape::flag(&e.value, "`protected`", &mut self.out))
            .unwrap_or_default();
        let policy = self.policy(fields.get("policy").map(|e| &e.value), protected);
        let targets = fields.get("targets");
        fields.finish(&mut self.out);
        let mut environment = Environment {
            name: name.to_owned(),
            protected,
            policy,
            targets: IndexMap::new(),
            place: entry.key.place.clone(),
        };
        let found = targets.and_then(|e| shape::entries(&e.value, "`targets`", &mut self.out));
        for target in found.unwrap_or_default() {
            if let Some(target) = self.target(target, protected, secrets) {
                environment.targets.insert(target.name.clone(), target);
            }
        }
        Some(environment)
    }

    /// Complains of a secret that stands in the file, and keeps it from being shown.
    fn in_clear(&mut self, node: &Node, message: &str) {
        self.clear.push(node.place.range.clone());
        self.out.push(
            Diagnostic::error(codes::RW0505, node.place.clone(), message.to_owned()).help(
                "define it under `secrets` with `env`, `file` or `command`, refer to it by name, \
                 and change the secret: whoever read this file knows it",
            ),
        );
    }
}

/// Replaces the lines that diagnostics show by ones without the secrets.
fn mask(source: &Arc<Source>, clear: &[Range<usize>], diagnostics: &mut [Diagnostic]) {
    if clear.is_empty() {
        return;
    }
    let hidden = |at: usize| clear.iter().any(|range| range.contains(&at));
    // Byte for byte, so that every place stays where it is.
    let text: String = source
        .text
        .char_indices()
        .flat_map(|(at, c)| {
            let masked = hidden(at) && c != '\n';
            let (c, times) = if masked { ('*', c.len_utf8()) } else { (c, 1) };
            std::iter::repeat_n(c, times)
        })
        .collect();
    let masked = Source::new(source.path.clone(), text);
    let replace = |place: &mut Place| place.source = Arc::clone(&masked);
    for diagnostic in diagnostics {
        diagnostic.place.iter_mut().for_each(replace);
        diagnostic.related.iter_mut().for_each(|(place, _)| replace(place));
    }
}
