//! Reads people: groups, logins, keys.
//!
//! Owns that a login or key stands for one person only, or approvals would prove nothing. Must not
//! know policies.

use std::collections::HashMap;

use indexmap::IndexMap;
use ssh_key::PublicKey;

use super::Reader;
use crate::{
    base::Place,
    diagnostics::{Diagnostic, codes},
    model::project::Person,
    yaml::{
        Entry, Node,
        shape::{self, Fields},
    },
};

impl Reader {
    pub(super) fn people(&mut self, node: &Node) -> IndexMap<String, Person> {
        let mut people = IndexMap::new();
        let mut seen = HashMap::new();
        for entry in shape::entries(node, "`people`", &mut self.out).unwrap_or_default() {
            if let Some(person) = self.person(entry, &mut seen) {
                people.insert(entry.key.text.to_string(), person);
            }
        }
        people
    }

    /// One person. `seen` holds whose login or key is whose, so far.
    fn person(
        &mut self,
        entry: &Entry,
        seen: &mut HashMap<String, (String, Place)>,
    ) -> Option<Person> {
        let id = &*entry.key.text;
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '"' | '\'');
        if id.is_empty() || id.contains(odd) {
            // SSH's files of allowed signers name people by a word without these.
            let message = "a person's id is one word, such as an e-mail address";
            self.out.push(Diagnostic::error(codes::RW0502, entry.key.place.clone(), message));
        }
        let mut fields = Fields::of(&entry.value, "a person", &mut self.out)?;
        let mut texts = |key: &str| {
            let what = format!("`{key}`");
            let found = fields.get(key).map(|e| shape::texts(&e.value, &what, &mut self.out));
            found.unwrap_or_default()
        };
        let (groups, logins, keys) = (texts("groups"), texts("logins"), texts("keys"));
        fields.finish(&mut self.out);
        for (login, place) in &logins {
            self.once(id, format!("login {login}"), "login", place, seen);
        }
        for (key, place) in &keys {
            if let Some(identity) = self.key(key, place) {
                self.once(id, identity, "key", place, seen);
            }
        }
        let names = |list: Vec<(String, Place)>| list.into_iter().map(|(t, _)| t).collect();
        Some(Person {
            groups: names(groups),
            logins: names(logins),
            keys: keys.into_iter().map(|(k, _)| k.trim().to_owned()).collect(),
            place: entry.key.place.clone(),
        })
    }

    /// What is the same in two writings of one key.
    fn key(&mut self, text: &str, place: &Place) -> Option<String> {
        if text.contains("PRIVATE KEY") {
            self.clear.push(place.range.clone());
            let message = "a private key stands where a public one belongs";
            self.out.push(Diagnostic::error(codes::RW0505, place.clone(), message).help(
                "put the line of the `.pub` file here, and make a new key: this one is known now",
            ));
            return None;
        }
        match PublicKey::from_openssh(text) {
            Ok(key) => Some(key.fingerprint(ssh_key::HashAlg::Sha256).to_string()),
            Err(_) => {
                let message = "this is not a public key in OpenSSH's form";
                self.out.push(
                    Diagnostic::error(codes::RW0502, place.clone(), message).help(
                        "copy the whole line of the `.pub` file: `ssh-ed25519 AAAA… comment`",
                    ),
                );
                None
            }
        }
    }

    fn once(
        &mut self,
        id: &str,
        identity: String,
        what: &str,
        place: &Place,
        seen: &mut HashMap<String, (String, Place)>,
    ) {
        match seen.get(&identity) {
            Some((other, first)) if other != id => {
                let message = format!("`{id}` has the same {what} as `{other}`");
                self.out.push(
                    Diagnostic::error(codes::RW0502, place.clone(), message)
                        .related(first.clone(), format!("the {what} of `{other}`"))
                        .help(format!("a {what} stands for one person")),
                );
            }
            Some(_) => {}
            None => drop(seen.insert(identity, (id.to_owned(), place.clone()))),
        }
    }
}
