//! Reads a runbook's own keys.
//!
//! Owns the top level of the file. Must not know what is inside of steps.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{Reader, templates};
use crate::{
    base::{Digest, Source},
    diagnostics::{Diagnostic, codes},
    model::runbook::{Runbook, Step, Tree, TreeNode},
    yaml::{
        Entry, Node,
        shape::{self, Fields},
    },
};

impl Reader<'_> {
    /// The runbook as far as it can be read; the faults are in `out`.
    pub(super) fn runbook(&mut self, source: &Arc<Source>, root: &Node) -> Option<Runbook> {
        let mut fields = Fields::of(root, "a runbook", &mut self.out)?;
        fields.version(&mut self.out);
        let name = fields
            .need("name", &mut self.out)
            .and_then(|e| shape::filled(&e.value, "`name`", &mut self.out));
        let description = self.optional_text(&mut fields, "description");
        let owner = self.optional_text(&mut fields, "owner");
        let tags = self.texts(&mut fields, "tags").into_iter().map(|(t, _)| t).collect();
        let environments = self.texts(&mut fields, "environments");
        self.distinct(&environments);
        let inputs = match fields.get("inputs") {
            Some(entry) => super::inputs::fields(&entry.value, "an input", &mut self.out),
            None => IndexMap::new(),
        };
        let vars = fields.get("vars").map(|e| self.vars(e)).unwrap_or_default();
        let locks = fields.get("locks").map(|e| self.locks(e)).unwrap_or_default();
        let timeout = fields
            .get("timeout")
            .and_then(|e| shape::duration(&e.value, "`timeout`", &mut self.out));
        let steps = match fields.need("steps", &mut self.out) {
            Some(entry) => self.some_steps(entry),
            None => Vec::new(),
        };
        let mut tail = |key| match fields.get(key) {
            Some(entry) => self.steps(&entry.value, key),
            None => Vec::new(),
        };
        let on_failure = tail("on_failure");
        let finally = tail("finally");
        fields.finish(&mut self.out);
        let mut files = vec![Arc::clone(source)];
        files.append(&mut self.included);
        Some(Runbook {
            source: Arc::clone(source),
            digest: digest(&files),
            files,
            name: name.unwrap_or_default(),
            description,
            owner,
            tags,
            environments,
            inputs,
            vars,
            locks,
            timeout,
            steps,
            on_failure,
            finally,
        })
    }

    fn optional_text(&mut self, fields: &mut Fields<'_>, key: &str) -> String {
        fields
            .get(key)
            .and_then(|e| shape::fixed(&e.value, &format!("`{key}`"), &mut self.out))
            .unwrap_or_default()
    }

    fn texts(&mut self, fields: &mut Fields<'_>, key: &str) -> Vec<(String, crate::base::Place)> {
        fields
            .get(key)
            .map(|e| shape::texts(&e.value, &format!("`{key}`"), &mut self.out))
            .unwrap_or_default()
    }

    fn distinct(&mut self, names: &[(String, crate::base::Place)]) {
        for (index, (name, place)) in names.iter().enumerate() {
            if let Some((_, first)) = names[..index].iter().find(|(n, _)| n == name) {
                let message = format!("`{name}` stands twice");
                self.out.push(
                    Diagnostic::error(codes::RW0208, place.clone(), message)
                        .related(first.clone(), "first time"),
                );
            }
        }
    }

    fn vars(&mut self, entry: &Entry) -> IndexMap<String, Tree> {
        let mut vars = IndexMap::new();
        for var in shape::entries(&entry.value, "`vars`", &mut self.out).unwrap_or_default() {
            shape::check_id(&var.key.text, &var.key.place, "a variable", &mut self.out);
            // A name that is there keeps later uses of it from being faults of their own.
            let tree = templates::value(&var.value, &mut self.out).unwrap_or_else(|| Tree {
                node: TreeNode::Constant(crate::base::Value::Null),
                place: var.value.place.clone(),
            });
            vars.insert(var.key.text.to_string(), tree);
        }
        vars
    }

    fn locks(&mut self, entry: &Entry) -> Vec<Tree> {
        shape::list(&entry.value, "`locks`", &mut self.out)
            .unwrap_or_default()
            .iter()
            .filter_map(|lock| {
                let escape = crate::expression::Escape::None;
                templates::text(lock, "an entry of `locks`", escape, &mut self.out)
            })
            .collect()
    }

    fn some_steps(&mut self, entry: &Entry) -> Vec<Step> {
        if let crate::yaml::Shape::List(items) = &entry.value.shape
            && items.is_empty()
        {
            let message = "`steps` must hold at least one step";
            self.out.push(Diagnostic::error(codes::RW0202, entry.key.place.clone(), message));
        }
        self.steps(&entry.value, "steps")
    }
}

/// The digest over all files, each by its path from the runbook's folder: where the operator
/// stands must not change it.
fn digest(files: &[Arc<Source>]) -> Digest {
    let main = files.first().map_or("", |f| &f.path);
    let folder = main.rfind('/').map_or("", |end| &main[..=end]);
    let parts = files.iter().flat_map(|f| {
        let path = f.path.strip_prefix(folder).unwrap_or(&f.path);
        [path.as_bytes(), f.text.as_bytes()]
    });
    Digest::of_parts(parts)
}
