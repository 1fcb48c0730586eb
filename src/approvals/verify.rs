//! Does this decision count? The signature first, then the request, then the person.
//!
//! Owns the rules of one decision. Must not know how many are needed (the engine counts) or whether
//! the request still is what would happen (the driver compares digests before it acts).

use super::{identity, request, signature};
use crate::{
    base::{Digest, Timestamp, time, visible::escape_line},
    model::{
        approval::{Approval, DisplayParts, Request, SignedDecision, Verdict},
        project::{Person, Project},
    },
    ports::Approvals,
};

/// Type and version of the statement that a signed rejection is over.
pub const REJECTION_TYPE: &str = "runward.rejection/v1";

/// How far the clocks of operator and approver may be apart.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(120);

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 4000;

/// Verifies decisions by the SSH keys of the project's people.
#[derive(Clone, Copy, Debug, Default)]
pub struct SshVerifier;

impl Approvals for SshVerifier {
    fn verify(
        &self,
        request: &str,
        decision: &SignedDecision,
        project: &Project,
        now: Timestamp,
    ) -> Result<Approval, String> {
        request::check_size(request)?;
        let key = verify_signature(request, decision)?;
        let asked = request::parse(request)?;
        let (by, person) = decider(decision, key.as_deref(), &asked, project)?;
        in_time(&asked, now)?;
        permitted(decision.verdict, by, person, &asked, project)?;
        reasoned(decision)?;
        Ok(Approval {
            by: by.to_owned(),
            key: key.unwrap_or_default(),
            decision: decision.verdict,
            at: decision.at,
            reason: decision.reason.trim().to_owned(),
            digest: Digest::of(request.as_bytes()),
            signature: decision.signature.clone(),
        })
    }

    fn display(&self, parts: &DisplayParts<'_>) -> String {
        super::display::display(parts)
    }
}

/// What a signed rejection is over. It can't be the request's own bytes: those signed are an
/// approval, and whoever carried the decision could turn the one into the other.
pub fn rejection_statement(request: &str, reason: &str) -> String {
    serde_json::json!({
        "type": REJECTION_TYPE,
        "request_digest": Digest::of(request.as_bytes()),
        "reason": reason,
    })
    .to_string()
}

/// The different people who approved, each once, in the order of their first approval.
pub fn distinct_approvers(approvals: &[Approval]) -> Vec<&str> {
    let mut people: Vec<&str> = Vec::new();
    for approval in approvals.iter().filter(|a| a.decision == Verdict::Approve) {
        if !people.iter().any(|known| identity::same(known, &approval.by)) {
            people.push(&approval.by);
        }
    }
    people
}

/// The fingerprint of the key that signed; `None` for a rejection that is not signed.
fn verify_signature(request: &str, decision: &SignedDecision) -> Result<Option<String>, String> {
    let signed = match (decision.verdict, decision.signature.as_deref()) {
        (Verdict::Approve, None) => {
            return Err("the approval is not signed; approve with `runward approve`, or sign the \
                        request with `ssh-keygen -Y sign -n runward`"
                .to_owned());
        }
        (Verdict::Reject, None) => return Ok(None),
        (Verdict::Approve, Some(armoured)) => signature::verify(request.as_bytes(), armoured)?,
        (Verdict::Reject, Some(armoured)) => {
            let statement = rejection_statement(request, &decision.reason);
            signature::verify(statement.as_bytes(), armoured).map_err(|why| {
                format!("{why}; a rejection also counts without a signature: leave it out")
            })?
        }
    };
    Ok(Some(signed.fingerprint))
}

/// Who decided: the owner of the key or, for a rejection without one, whom it names.
fn decider<'a>(
    decision: &'a SignedDecision,
    key: Option<&str>,
    asked: &Request,
    project: &'a Project,
) -> Result<(&'a str, Option<&'a Person>), String> {
    let named = decision.by.trim();
    let Some(fingerprint) = key else {
        return match identity::person(project, named) {
            Some((id, person)) => Ok((id, Some(person))),
            None if !named.is_empty() && identity::same(named, &asked.operator) => {
                Ok((named, None))
            }
            None if named.is_empty() => {
                Err("the rejection names nobody; say who rejects it".to_owned())
            }
            None => Err(format!(
                "{} is not in `people`, so the rejection does not count; ask {}",
                escape_line(named),
                who_may(asked, project)
            )),
        };
    };
    let (owner, person) = identity::key_owner(project, fingerprint)?;
    if !named.is_empty() && !identity::same(named, owner) {
        return Err(format!(
            "the decision says that it is by {}, but {} signed it; decide under your own name",
            escape_line(named),
            escape_line(owner)
        ));
    }
    Ok((owner, Some(person)))
}

fn in_time(asked: &Request, now: Timestamp) -> Result<(), String> {
    if now >= asked.expires_at {
        return Err(format!(
            "the request expired at {} ({} ago); `runward resume {}` asks again",
            asked.expires_at,
            time::show_duration(time::between(asked.expires_at, now)),
            escape_line(asked.run.short())
        ));
    }
    if time::after(now, CLOCK_SKEW) < asked.asked_at {
        return Err(format!(
            "the request says that it was asked at {}, which is {} from now; set the clocks of \
             both machines right",
            asked.asked_at,
            time::show_duration(time::between(now, asked.asked_at))
        ));
    }
    Ok(())
}

/// May this person decide? The operator may stop the run, and never approve it.
fn permitted(
    verdict: Verdict,
    by: &str,
    person: Option<&Person>,
    asked: &Request,
    project: &Project,
) -> Result<(), String> {
    let is_operator = identity::is_operator(project, &asked.operator, by);
    match verdict {
        Verdict::Reject if is_operator => return Ok(()),
        Verdict::Approve if is_operator => {
            let (by, operator) = (escape_line(by), escape_line(&asked.operator));
            let who = match identity::same(&by, &operator) {
                true => format!("{by} started this run and"),
                false => {
                    format!("{by} has a login or key of {operator}, who started this run, and")
                }
            };
            return Err(format!("{who} can't approve it; ask {}", who_may(asked, project)));
        }
        _ => {}
    }
    if person.is_some_and(|p| in_groups(p, &asked.from)) {
        return Ok(());
    }
    let verb = if verdict == Verdict::Approve { "approve" } else { "reject" };
    Err(format!(
        "{} is in none of the groups that may {verb} this; ask {}",
        escape_line(by),
        who_may(asked, project)
    ))
}

fn in_groups(person: &Person, groups: &[String]) -> bool {
    groups.is_empty() || groups.iter().any(|group| person.groups.contains(group))
}

fn reasoned(decision: &SignedDecision) -> Result<(), String> {
    if decision.verdict == Verdict::Reject && decision.reason.trim().is_empty() {
        return Err("a rejection needs a reason; say why with `--reason`".to_owned());
    }
    match decision.reason.chars().count() {
        0..=MAX_REASON => Ok(()),
        count => Err(format!(
            "the reason has {count} characters, over the limit of {MAX_REASON}; make it shorter"
        )),
    }
}

/// Whom to ask: `one of leads, sre: bruno@example.com, carla@example.com`.
fn who_may(asked: &Request, project: &Project) -> String {
    let people: Vec<_> = project
        .people
        .iter()
        .filter(|(id, person)| {
            !person.keys.is_empty()
                && in_groups(person, &asked.from)
                && !identity::is_operator(project, &asked.operator, id)
        })
        .map(|(id, _)| escape_line(id))
        .collect();
    let groups = match asked.from.is_empty() {
        true => "somebody else in `people`".to_owned(),
        false => format!("one of {}", escape_line(&asked.from.join(", "))),
    };
    match people.is_empty() {
        true => format!("{groups} (there is nobody with a key: have them added to `people`)"),
        false => format!("{groups}: {}", people.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod examples {
    //! People, keys and a request for the tests of this layer.

    use std::{collections::BTreeMap, path::PathBuf};

    use ssh_key::{HashAlg, PrivateKey, private::Ed25519Keypair};

    use super::*;
    use crate::{
        base::{NodeId, Place, RunId, Source},
        model::{
            approval::{NAMESPACE, REQUEST_TYPE},
            project::StoreAddress,
        },
    };

    /// Id, groups, logins, numbers of keys.
    pub type Member<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [u8]);

    pub fn key(number: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[number; 32]))
    }

    pub fn public(number: u8) -> String {
        key(number).public_key().to_openssh().unwrap()
    }

    pub fn sign(key: &PrivateKey, text: &str) -> String {
        let signature = key.sign(NAMESPACE, HashAlg::Sha512, text.as_bytes()).unwrap();
        signature.to_pem(ssh_key::LineEnding::LF).unwrap()
    }

    pub fn project(people: &[Member<'_>]) -> Project {
        let source = Source::new("runward.yaml", "version: 1\n");
        let texts = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect();
        let people = people.iter().map(|(id, groups, logins, keys)| {
            let person = Person {
                groups: texts(groups),
                logins: texts(logins),
                keys: keys.iter().map(|n| public(*n)).collect(),
                place: Place::new(&source, 0..0),
            };
            ((*id).to_owned(), person)
        });
        Project {
            digest: Digest::of(source.text.as_bytes()),
            folder: PathBuf::from("/p"),
            store: StoreAddress::Sqlite(PathBuf::from("/p/journal.db")),
            people: people.collect(),
            secrets: BTreeMap::new().into_iter().collect(),
            redact_columns: Vec::new(),
            environments: BTreeMap::new().into_iter().collect(),
            source,
        }
    }

    pub fn request() -> Request {
        let at = |text: &str| text.parse().unwrap();
        Request {
            r#type: REQUEST_TYPE.to_owned(),
            request_id: "6f1c".to_owned(),
            journal: "j1".to_owned(),
            run: RunId("0198f9a2-1111-7000-8000-000000000001".to_owned()),
            runbook: "raise-limit".to_owned(),
            runbook_digest: Digest::of(b"runbook"),
            environment: "production".to_owned(),
            policy_digest: Digest::of(b"policy"),
            inputs_digest: Digest::of(b"inputs"),
            node: NodeId::new("limit"),
            attempt: 1,
            action: "sql.update".to_owned(),
            arguments: serde_json::json!({"table": "settings", "rows": 1}),
            statement: "UPDATE settings SET value = 5".to_owned(),
            target: "mysql 10.11 at db1".to_owned(),
            before_digest: Digest::of(b"before"),
            difference: serde_json::json!([{"path": "rows[0].value", "before": 3, "after": 5}]),
            rollback: "UPDATE settings SET value = 3".to_owned(),
            display: "what will happen".to_owned(),
            operator: "ana@example.com".to_owned(),
            required: 2,
            from: vec!["leads".to_owned(), "sre".to_owned()],
            asked_at: at("2026-03-01T12:00:00Z"),
            expires_at: at("2026-03-01T12:30:00Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        examples::{key, project, request, sign},
        *,
    };

    const NOW: &str = "2026-03-01T12:10:00Z";

    fn people() -> Project {
        project(&[
            ("ana@example.com", &["support", "leads"], &["ana"], &[1, 11]),
            ("bruno@example.com", &["leads"], &["bruno"], &[2]),
            ("carla@example.com", &["support"], &["carla"], &[3]),
            ("davi@example.com", &["sre"], &["davi"], &[4, 5]),
            ("eva@example.com", &["sre"], &["eva"], &[5]),
        ])
    }

    fn decision(verdict: Verdict, by: &str, signature: Option<String>) -> SignedDecision {
        let at = NOW.parse().unwrap();
        let reason = if verdict == Verdict::Reject { "wrong limit" } else { "" };
        SignedDecision { verdict, by: by.into(), reason: reason.into(), at, signature }
    }

    fn text(change: impl FnOnce(&mut Request)) -> String {
        let mut request = request();
        change(&mut request);
        serde_json::to_string(&request).unwrap()
    }

    fn approve(text: &str, key_number: u8, by: &str) -> Result<Approval, String> {
        let signed = decision(Verdict::Approve, by, Some(sign(&key(key_number), text)));
        SshVerifier.verify(text, &signed, &people(), NOW.parse().unwrap())
    }

    fn reject(text: &str, by: &str, signature: Option<String>) -> Result<Approval, String> {
        let decision = decision(Verdict::Reject, by, signature);
        SshVerifier.verify(text, &decision, &people(), NOW.parse().unwrap())
    }

    #[test]
    fn a_lead_approves() {
        let text = text(|_| {});
        for by in ["", "bruno@example.com", " Bruno@Example.COM"] {
            let approval = approve(&text, 2, by).unwrap();
            assert_eq!(approval.by, "bruno@example.com");
            assert_eq!(approval.decision, Verdict::Approve);
            assert_eq!(approval.digest, Digest::of(text.as_bytes()));
            assert!(approval.key.starts_with("SHA256:"));
        }
        assert_eq!(approve(&text, 4, "").unwrap().by, "davi@example.com");
    }

    #[test]
    fn the_operator_never_approves() {
        let says = "ana@example.com started this run and can't approve it; ask one of leads, sre: \
                    bruno@example.com, davi@example.com, eva@example.com";
        assert_eq!(approve(&text(|_| {}), 1, "").unwrap_err(), says);
        assert_eq!(approve(&text(|_| {}), 11, "").unwrap_err(), says);
        for operator in ["ANA@example.com", " ana@example.com", "ａｎａ@example.com", "ana", "Ana"]
        {
            let text = text(|r| r.operator = operator.to_owned());
            let refused = approve(&text, 1, "").unwrap_err();
            assert!(refused.contains("can't approve it"), "{operator}: {refused}");
        }
    }

    #[test]
    fn only_the_groups_that_were_asked_count() {
        let refused = approve(&text(|_| {}), 3, "").unwrap_err();
        assert!(refused.starts_with("carla@example.com is in none of the groups"), "{refused}");
        assert!(refused.contains("bruno@example.com"), "{refused}");
        assert!(approve(&text(|r| r.from = Vec::new()), 3, "").is_ok());
        let nobody = approve(&text(|r| r.from = vec!["risk".to_owned()]), 2, "").unwrap_err();
        assert!(nobody.contains("nobody with a key"), "{nobody}");
    }

    #[test]
    fn the_key_says_who_it_is() {
        let text = text(|_| {});
        assert!(approve(&text, 5, "").unwrap_err().contains("davi@example.com and for eva@"));
        assert!(approve(&text, 9, "").unwrap_err().contains("belongs to nobody"));
        let other = approve(&text, 2, "davi@example.com").unwrap_err();
        assert!(other.contains("but bruno@example.com signed it"), "{other}");
        let unsigned = decision(Verdict::Approve, "bruno@example.com", None);
        let now = NOW.parse().unwrap();
        let refused = SshVerifier.verify(&text, &unsigned, &people(), now).unwrap_err();
        assert!(refused.contains("not signed"), "{refused}");
    }

    #[test]
    fn other_bytes_than_the_signed_ones_do_not_count() {
        let signed = text(|_| {});
        let signature = sign(&key(2), &signed);
        for other in [
            text(|r| r.run.0.push('2')),
            text(|r| r.attempt = 2),
            text(|r| r.statement.push(' ')),
            text(|r| r.journal = "j2".to_owned()),
            format!("{signed}\n"),
        ] {
            let decision = decision(Verdict::Approve, "", Some(signature.clone()));
            let now = NOW.parse().unwrap();
            let refused = SshVerifier.verify(&other, &decision, &people(), now).unwrap_err();
            assert!(refused.contains("does not fit these bytes"), "{refused}");
        }
    }

    #[test]
    fn a_good_signature_over_something_else_is_no_approval() {
        let double = text(|_| {}).replacen('{', r#"{"operator":"nobody","#, 1);
        let start = identity::start_statement(
            &request().run,
            &Digest::of(b"r"),
            "production",
            &Digest::of(b"i"),
        );
        for other in [String::new(), "{}".to_owned(), double, start] {
            let refused = approve(&other, 2, "").unwrap_err();
            assert!(refused.contains("can't be read"), "{refused}");
        }
        let typed = text(|r| r.r#type = "runward.start/v1".to_owned());
        assert!(approve(&typed, 2, "").unwrap_err().contains("no `runward.request/v1`"));
    }

    #[test]
    fn it_counts_from_asking_to_expiry() {
        let text = text(|_| {});
        let decision = decision(Verdict::Approve, "", Some(sign(&key(2), &text)));
        let at = |now: &str| SshVerifier.verify(&text, &decision, &people(), now.parse().unwrap());
        assert!(at("2026-03-01T12:29:59Z").is_ok());
        assert!(at("2026-03-01T12:30:00Z").unwrap_err().contains("`runward resume 0198f9a2-1111`"));
        assert!(at("2026-03-01T12:31:00Z").unwrap_err().contains("(1m 00s ago)"));
        assert!(at("2026-03-01T11:58:00Z").is_ok());
        assert!(at("2026-03-01T11:57:59Z").unwrap_err().contains("clocks"));
    }

    #[test]
    fn anybody_named_may_stop_a_change() {
        let text = text(|_| {});
        let by_lead = reject(&text, "Bruno@example.com", None).unwrap();
        assert_eq!((by_lead.by.as_str(), by_lead.key.as_str()), ("bruno@example.com", ""));
        assert_eq!(by_lead.decision, Verdict::Reject);
        assert_eq!(reject(&text, "ana@example.com", None).unwrap().by, "ana@example.com");
        assert!(reject(&text, "carla@example.com", None).unwrap_err().contains("may reject this"));
        assert!(reject(&text, "mallory", None).unwrap_err().contains("not in `people`"));
        assert!(reject(&text, "", None).unwrap_err().contains("names nobody"));
        let ghost = self::text(|r| r.operator = "ghost".to_owned());
        assert_eq!(reject(&ghost, "ghost", None).unwrap().by, "ghost");

        let mut silent = decision(Verdict::Reject, "bruno@example.com", None);
        silent.reason = " \n".to_owned();
        let now = NOW.parse().unwrap();
        assert!(
            SshVerifier.verify(&text, &silent, &people(), now).unwrap_err().contains("a reason")
        );
    }

    #[test]
    fn a_signed_rejection_can_not_be_turned_into_an_approval() {
        let text = text(|_| {});
        let signature = sign(&key(2), &rejection_statement(&text, "wrong limit"));
        let rejected = reject(&text, "", Some(signature.clone())).unwrap();
        assert_eq!(rejected.by, "bruno@example.com");
        assert!(rejected.key.starts_with("SHA256:"));
        let turned = decision(Verdict::Approve, "", Some(signature.clone()));
        let now = NOW.parse().unwrap();
        assert!(SshVerifier.verify(&text, &turned, &people(), now).is_err());
        let named = reject(&text, "davi@example.com", Some(signature)).unwrap_err();
        assert!(named.contains("but bruno@example.com signed"), "{named}");
        let over_request = reject(&text, "", Some(sign(&key(2), &text))).unwrap_err();
        assert!(over_request.contains("leave it out"), "{over_request}");
    }

    #[test]
    fn one_person_counts_once() {
        let text = text(|_| {});
        let mut all = vec![
            approve(&text, 4, "").unwrap(),
            approve(&text, 2, "").unwrap(),
            approve(&text, 4, "").unwrap(),
            reject(&text, "ana@example.com", None).unwrap(),
        ];
        all[2].by = "DAVI@example.com".to_owned();
        assert_eq!(distinct_approvers(&all), ["davi@example.com", "bruno@example.com"]);
    }

    #[test]
    fn what_others_wrote_can_not_steer_the_terminal() {
        let text = text(|_| {});
        let refused = reject(&text, "\u{1b}[2J\nRolled back", None).unwrap_err();
        assert!(!refused.contains('\u{1b}') && !refused.contains('\n'), "{refused:?}");
    }
}
