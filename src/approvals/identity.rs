//! Who is who among the project's people: owners of keys, the operator, one person in two
//! spellings.
//!
//! Pure. Owns these questions and the statement that the operator signs at a start. Must not know
//! what anybody is permitted to do.

use unicode_normalization::UnicodeNormalization;

use super::signature;
use crate::{
    base::{
        Digest, RunId,
        visible::{acts_or_hides, escape_line},
    },
    diagnostics::codes,
    model::{
        Fault,
        project::{Person, Project},
    },
};

/// Type and version of the statement that an operator signs.
pub const START_TYPE: &str = "runward.start/v1";

/// An id as it is compared: compatibility forms (`Ａ`), case, blanks around it and characters
/// without width make no difference. NFKC with case folding (Unicode §3.13, `toNFKC_Casefold`);
/// going through upper case folds what lower case alone does not (`ß`, `ſ`, final `ς`).
pub fn spelling(id: &str) -> String {
    let folded: String = id
        .nfkc()
        .filter(|c| !acts_or_hides(*c))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect();
    folded.trim().to_owned()
}

/// Do two ids name one person?
pub fn same(a: &str, b: &str) -> bool {
    spelling(a) == spelling(b)
}

/// The person with this id, in whatever spelling, as `people` names them.
pub fn person<'a>(project: &'a Project, id: &str) -> Option<(&'a str, &'a Person)> {
    let by_spelling = || project.people.iter().find(|(known, _)| same(known, id));
    project.people.get_key_value(id).or_else(by_spelling).map(|(id, person)| (id.as_str(), person))
}

/// The person whose key has this fingerprint. A key listed for two people is nobody's: either could
/// have used it.
pub fn key_owner<'a>(
    project: &'a Project,
    fingerprint: &str,
) -> Result<(&'a str, &'a Person), String> {
    let mut owners = project.people.iter().filter(|(_, person)| has_key(person, fingerprint));
    match (owners.next(), owners.next()) {
        (None, _) => Err(format!(
            "the key {fingerprint} belongs to nobody in `people`; sign with a key that is listed \
             there, or have it added and start the run again"
        )),
        (Some((id, person)), None) => Ok((id, person)),
        (Some((a, _)), Some((b, _))) => Err(format!(
            "the key {fingerprint} is listed for {} and for {}, so nobody knows who signed; give \
             each person a key of their own in `people`",
            escape_line(a),
            escape_line(b)
        )),
    }
}

fn has_key(person: &Person, fingerprint: &str) -> bool {
    person.keys.iter().any(|key| signature::fingerprint(key).is_ok_and(|own| own == fingerprint))
}

/// Is `id` the operator, under this or another name? True for the same id in any spelling, for a
/// person who has the operator's login, and for one who shares a login or a key with the operator.
pub fn is_operator(project: &Project, operator: &str, id: &str) -> bool {
    let Some((known, candidate)) = person(project, id) else {
        return same(operator, id);
    };
    if same(operator, id) || same(operator, known) {
        return true;
    }
    let has_login = |person: &Person, login: &str| {
        person.logins.iter().any(|own| same(user_of(own), user_of(login)) || same(own, login))
    };
    match person(project, operator) {
        // An operator whom nobody knows is named by the login.
        None => has_login(candidate, operator),
        Some((_, theirs)) => {
            theirs.logins.iter().any(|login| has_login(candidate, login))
                || theirs.keys.iter().any(|key| {
                    signature::fingerprint(key).is_ok_and(|print| has_key(candidate, &print))
                })
        }
    }
}

/// The user of `user@host`.
fn user_of(login: &str) -> &str {
    login.split_once('@').map_or(login, |(user, _)| user)
}

/// Who is the operator, by the operating system's word? The one person with this login, written
/// `login` or, for one machine only, `login@host`; the login itself where nobody has it.
///
/// Two people with the login are a fault, and so is a login that reads like another person's id.
pub fn operator(project: &Project, login: &str, host: &str) -> Result<String, Fault> {
    let full = format!("{login}@{host}");
    let mut found = project
        .people
        .iter()
        .filter(|(_, person)| person.logins.iter().any(|own| own == login || *own == full));
    let shown = escape_line(login);
    match (found.next(), found.next()) {
        (Some((id, _)), None) => Ok(id.clone()),
        (Some((a, _)), Some((b, _))) => Err(Fault::untouched(
            codes::RW0502,
            format!(
                "the login `{shown}` belongs to {} and to {}, so nobody knows who you are",
                escape_line(a),
                escape_line(b)
            ),
        )
        .help("give each person a login of their own in `people`; `login@host` is for one host")),
        (None, _) => match person(project, login) {
            None => Ok(login.to_owned()),
            Some((id, _)) => Err(Fault::untouched(
                codes::RW0502,
                format!("the login `{shown}` reads like {}, who does not list it", escape_line(id)),
            )
            .help(format!("add `{shown}` to that person's `logins` in `people`, if it is theirs"))),
        },
    }
}

/// What the operator signs, with the namespace `runward`, to start a run: the exact bytes. It names
/// its type, so that it can be taken for no approval.
pub fn start_statement(
    run: &RunId,
    runbook: &Digest,
    environment: &str,
    inputs: &Digest,
) -> String {
    serde_json::json!({
        "type": START_TYPE,
        "run": run,
        "runbook_digest": runbook,
        "environment": environment,
        "inputs_digest": inputs,
    })
    .to_string()
}

/// A person who is known by a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownByKey {
    /// As `people` names them.
    pub person: String,
    /// `SHA256:…` of the key.
    pub fingerprint: String,
}

/// Who signed this start statement? The error says why it does not count.
pub fn verify_start(
    statement: &str,
    armoured: &str,
    project: &Project,
) -> Result<KnownByKey, String> {
    let signed = signature::verify(statement.as_bytes(), armoured)?;
    let (id, _) = key_owner(project, &signed.fingerprint)?;
    Ok(KnownByKey { person: id.to_owned(), fingerprint: signed.fingerprint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approvals::verify::examples::{key, project, public, sign};

    #[test]
    fn one_person_in_many_spellings() {
        for other in [
            "Ana@Example.com",
            " ana@example.com\t",
            "ＡＮＡ@example.com",
            "ana@ex\u{200b}ample.com",
            "ana@exam\u{00ad}ple.com",
        ] {
            assert!(same("ana@example.com", other), "{other:?}");
        }
        assert!(same("STRASSE", "straße") && same("ΣΊΣΥΦΟΣ", "σίσυφος"));
        assert!(same("andre\u{301}", "ANDRÉ"));
        assert!(!same("ana@example.com", "ana@example.org"));
        assert!(!same("andre", "andré"));
    }

    #[test]
    fn a_key_of_two_people_is_nobodys() {
        let people = project(&[("ana", &[], &[], &[1]), ("bruno", &[], &[], &[2, 1])]);
        let of = |n| signature::fingerprint(&public(n)).unwrap();
        assert_eq!(key_owner(&people, &of(2)).unwrap().0, "bruno");
        let both = key_owner(&people, &of(1)).unwrap_err();
        assert!(both.contains("ana") && both.contains("bruno"), "{both}");
        assert!(key_owner(&people, &of(3)).unwrap_err().contains("belongs to nobody"));
    }

    #[test]
    fn the_operator_is_found_by_login() {
        let people = project(&[
            ("ana@x", &[], &["ana", "shared"], &[]),
            ("bruno@x", &[], &["bru", "shared", "root@db1"], &[]),
        ]);
        assert_eq!(operator(&people, "ana", "h").unwrap(), "ana@x");
        assert_eq!(operator(&people, "root", "db1").unwrap(), "bruno@x");
        assert_eq!(operator(&people, "root", "db2").unwrap(), "root");
        assert_eq!(operator(&people, "Ana", "h").unwrap(), "Ana");
        let two = operator(&people, "shared", "h").unwrap_err();
        assert_eq!(two.code, "RW0502");
        assert!(two.message.contains("ana@x and to bruno@x"), "{}", two.message);
        let claims = operator(&people, "BRUNO@x", "h").unwrap_err();
        assert!(claims.message.contains("reads like bruno@x"), "{}", claims.message);
    }

    #[test]
    fn the_operator_has_no_second_self() {
        let people = project(&[
            ("ana@x", &[], &["ana"], &[1]),
            ("ana.private@x", &[], &["ana@bastion"], &[2]),
            ("key.twin@x", &[], &[], &[1, 3]),
            ("bruno@x", &[], &["bruno"], &[4]),
        ]);
        for id in ["ana@x", "ANA@X ", "ana.private@x", "key.twin@x"] {
            assert!(is_operator(&people, "ana@x", id), "{id}");
        }
        assert!(!is_operator(&people, "ana@x", "bruno@x"));
        // Known by login only, also in another spelling.
        assert!(is_operator(&people, "Bruno", "bruno@x"));
        assert!(is_operator(&people, "ana", "ana.private@x"));
        assert!(!is_operator(&people, "carla", "bruno@x"));
        assert!(is_operator(&people, "ghost", "Ghost"));
    }

    #[test]
    fn a_start_is_signed_for_one_run_only() {
        let people = project(&[("ana@x", &[], &["ana"], &[1])]);
        let start = |run: &str, environment: &str| {
            let digest = Digest::of(b"r");
            start_statement(&RunId(run.into()), &digest, environment, &Digest::of(b"i"))
        };
        let statement = start("r1", "production");
        let by = verify_start(&statement, &sign(&key(1), &statement), &people).unwrap();
        assert_eq!(by.person, "ana@x");
        for other in [start("r2", "production"), start("r1", "staging")] {
            assert!(verify_start(&other, &sign(&key(1), &statement), &people).is_err());
        }
        assert!(verify_start(&statement, &sign(&key(2), &statement), &people).is_err());
        assert_ne!(start("r1\",\"x\":\"", "y"), start("r1", "\",\"x\":\"y"));
    }
}
