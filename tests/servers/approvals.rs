//! Signatures against OpenSSH: what `ssh-keygen` and `ssh-agent` make counts here, and what is made
//! here counts there. Needs `openssh-client` and no server.

use std::{
    cell::Cell,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use runward::{
    approvals::{
        SshVerifier,
        agent::Agent,
        identity, signature,
        signer::{self, KeyPlace},
    },
    base::{Digest, NodeId, Place, RunId, Source, Timestamp},
    model::{
        approval::{Approval, REQUEST_TYPE, Request, SignedDecision, Verdict},
        project::{Person, Project, StoreAddress},
    },
    ports::Approvals,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Kinds of keys: arguments of `ssh-keygen`.
const KINDS: [&[&str]; 5] = [
    &["-t", "ed25519"],
    &["-t", "ecdsa", "-b", "256"],
    &["-t", "ecdsa", "-b", "384"],
    &["-t", "ecdsa", "-b", "521"],
    &["-t", "rsa", "-b", "3072"],
];

const NOW: &str = "2026-03-01T12:10:00Z";

fn run(program: &str, arguments: &[&str], stdin: &[u8]) -> Result<Vec<u8>, String> {
    run_with(program, arguments, stdin, &[])
}

fn run_with(
    program: &str,
    arguments: &[&str],
    stdin: &[u8],
    environment: &[(&str, &str)],
) -> Result<Vec<u8>, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove("SSH_AUTH_SOCK")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} (install openssh-client): {error}"));
    // A program that refuses may end without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// A folder with keys.
struct Keys {
    folder: TempDir,
}

impl Keys {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Makes a key, with one round of key derivation so that the tests are quick.
    fn make(&self, name: &str, kind: &[&str], passphrase: &str) -> PathBuf {
        let file = self.text(name);
        let rest = ["-q", "-a", "1", "-C", name, "-N", passphrase, "-f", &file];
        run("ssh-keygen", &[kind, &rest].concat(), b"").unwrap();
        self.path(name)
    }

    fn ed25519(&self, name: &str) -> PathBuf {
        self.make(name, KINDS[0], "")
    }

    fn public(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    fn fingerprint(&self, name: &str) -> String {
        let line = run("ssh-keygen", &["-l", "-f", &self.text(&format!("{name}.pub"))], b"");
        let line = String::from_utf8(line.unwrap()).unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    }

    /// `ssh-keygen -Y sign`, with more options.
    fn openssh_sign(&self, name: &str, options: &[&str], message: &[u8]) -> String {
        let file = self.text(name);
        let arguments = [&["-q", "-Y", "sign", "-f", &file], options].concat();
        String::from_utf8(run("ssh-keygen", &arguments, message).unwrap()).unwrap()
    }

    /// `ssh-keygen -Y verify` of a signature by this key.
    fn openssh_verify(&self, name: &str, armoured: &str, message: &[u8]) -> Result<(), String> {
        let allowed = self.path(&format!("{name}.allowed"));
        fs::write(&allowed, format!("{name} namespaces=\"runward\" {}\n", self.public(name)))
            .unwrap();
        let signature = self.path(&format!("{name}.sig"));
        fs::write(&signature, armoured).unwrap();
        let (allowed, signature) = (allowed.to_str().unwrap(), signature.to_str().unwrap());
        let arguments =
            ["-Y", "verify", "-f", allowed, "-I", name, "-n", "runward", "-s", signature];
        run("ssh-keygen", &arguments, message).map(drop)
    }
}

/// An agent of our own, ended when dropped.
struct RunningAgent {
    folder: TempDir,
    pid: String,
}

impl RunningAgent {
    fn start(environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("agent");
        // It returns once the socket is there, and goes on in the background.
        let words =
            run_with("ssh-agent", &["-s", "-a", socket.to_str().unwrap()], b"", environment);
        let words = String::from_utf8(words.unwrap()).unwrap();
        let pid = words.split("SSH_AGENT_PID=").nth(1).unwrap().split(';').next().unwrap();
        Self { pid: pid.to_owned(), folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    fn add(&self, options: &[&str], key: &Path) {
        let arguments = [&["-q"], options, &[key.to_str().unwrap()]].concat();
        let socket = self.socket();
        let environment = [("SSH_AUTH_SOCK", socket.to_str().unwrap())];
        run_with("ssh-add", &arguments, b"", &environment).unwrap();
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        let _ = run_with("ssh-agent", &["-k"], b"", &[("SSH_AGENT_PID", &self.pid)]);
    }
}

fn nobody_to_ask(_: &str) -> Option<Zeroizing<String>> {
    panic!("asked for a passphrase of a key without one")
}

#[tokio::test]
async fn signatures_count_in_both_directions() {
    let keys = Keys::new();
    let message = "{\"type\":\"…\"}\n\0binary too".as_bytes();
    for (index, kind) in KINDS.iter().enumerate() {
        for passphrase in ["", "correct horse"] {
            let name = format!("k{index}{}", passphrase.len());
            let file = keys.make(&name, kind, passphrase);
            let ask = |prompt: &str| {
                assert!(prompt.contains(&name) && !passphrase.is_empty(), "{prompt}");
                Some(Zeroizing::new(passphrase.to_owned()))
            };
            let ours = signer::sign_with_file(&file, message, &ask).await.unwrap();
            assert_eq!(ours.fingerprint, keys.fingerprint(&name), "{kind:?}");
            keys.openssh_verify(&name, &ours.armoured, message).unwrap();
            assert!(keys.openssh_verify(&name, &ours.armoured, b"other").is_err(), "{kind:?}");

            if passphrase.is_empty() {
                for hash in ["hashalg=sha512", "hashalg=sha256"] {
                    let options = ["-n", "runward", "-O", hash];
                    let theirs = keys.openssh_sign(&name, &options, message);
                    let by = signature::verify(message, &theirs).unwrap();
                    assert_eq!(by.fingerprint, keys.fingerprint(&name));
                    assert!(signature::verify(&message[1..], &theirs).is_err(), "{kind:?}");
                }
                let git = keys.openssh_sign(&name, &["-n", "git"], message);
                let refused = signature::verify(message, &git).unwrap_err();
                assert!(refused.contains("made for `git`"), "{refused}");
            }
        }
    }
}

#[tokio::test]
async fn an_agent_signs_with_each_kind_of_key() {
    let keys = Keys::new();
    let agent = RunningAgent::start(&[]);
    let names: Vec<_> = (0..KINDS.len()).map(|index| format!("k{index}")).collect();
    for (name, kind) in names.iter().zip(KINDS) {
        agent.add(&[], &keys.make(name, kind, ""));
    }
    let client = Agent::at(agent.socket());
    assert_eq!(client.keys().await.unwrap().len(), KINDS.len());
    for name in &names {
        let signed = client.sign(&[keys.public(name)], b"request").await.unwrap();
        assert_eq!(signed.fingerprint, keys.fingerprint(name));
        keys.openssh_verify(name, &signed.armoured, b"request").unwrap();
        assert!(keys.openssh_verify(name, &signed.armoured, b"Request").is_err());
    }
    keys.ed25519("absent");
    let choice = [keys.public("absent"), "not a key".to_owned(), keys.public("k4")];
    let signed = client.sign(&choice, b"request").await.unwrap();
    assert_eq!(signed.fingerprint, keys.fingerprint("k4"), "the first that it holds");
}

#[tokio::test]
async fn an_agent_that_can_not_sign_says_why() {
    let keys = Keys::new();
    let agent = RunningAgent::start(&[("SSH_ASKPASS", "/bin/false"), ("DISPLAY", ":none")]);
    let client = Agent::at(agent.socket());
    keys.ed25519("mine");
    let allowed = [keys.public("mine")];

    let empty = client.sign(&allowed, b"m").await.unwrap_err();
    assert_eq!(empty.code, "RW0606");
    assert!(empty.detail.unwrap().contains("no key, or is locked"));

    agent.add(&[], &keys.ed25519("other"));
    let other = client.sign(&allowed, b"m").await.unwrap_err();
    assert!(other.message.contains("none of your keys"), "{}", other.message);
    assert!(other.detail.unwrap().contains(&keys.fingerprint("other")));
    assert!(other.help.unwrap().contains("ssh-add"));

    agent.add(&["-c"], &keys.path("mine"));
    let declined = client.sign(&allowed, b"m").await.unwrap_err();
    assert!(declined.message.contains("it refused"), "{}", declined.message);

    let gone = Agent::at(keys.path("no-socket")).sign(&allowed, b"m").await.unwrap_err();
    assert_eq!(gone.code, "RW0606");
    assert!(gone.message.contains("can't be reached"), "{}", gone.message);
}

#[tokio::test]
async fn certificates_of_an_agent_are_passed_over() {
    let keys = Keys::new();
    let agent = RunningAgent::start(&[]);
    keys.ed25519("ca");
    let file = keys.ed25519("ana");
    let (ca, public) = (keys.text("ca"), keys.text("ana.pub"));
    run("ssh-keygen", &["-q", "-s", &ca, "-I", "id", "-n", "ana", &public], b"").unwrap();
    // `ssh-add` adds the certificate beside the key.
    agent.add(&[], &file);
    let client = Agent::at(agent.socket());
    let signed = client.sign(&[keys.public("ana")], b"m").await.unwrap();
    assert_eq!(signed.fingerprint, keys.fingerprint("ana"));

    let by_certificate = keys.openssh_sign("ana-cert.pub", &["-n", "runward"], b"m");
    let refused = signature::verify(b"m", &by_certificate).unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    let listed = signature::fingerprint(&keys.public("ana-cert")).unwrap_err();
    assert!(listed.contains("certificate"), "{listed}");
}

#[tokio::test]
async fn key_files_that_can_not_sign_say_why() {
    let keys = Keys::new();
    keys.ed25519("plain");
    keys.make("locked", KINDS[0], "secret");
    keys.make("old", &["-t", "rsa", "-b", "2048", "-m", "PEM"], "");
    keys.make("short", &["-t", "rsa", "-b", "1024"], "");
    fs::write(keys.path("text"), "hello").unwrap();
    for (name, says) in [
        ("missing", "it does not exist"),
        ("plain.pub", "is a public key"),
        ("old", "another format"),
        ("text", "is no private key"),
        ("short", "1024 bits"),
        ("", "is no private key"),
    ] {
        let fault = signer::sign_with_file(&keys.path(name), b"m", &nobody_to_ask).await;
        let fault = fault.unwrap_err();
        assert_eq!(fault.code, "RW0606", "{name}");
        assert!(fault.message.contains(says), "{name}: {}", fault.message);
    }

    let asked = Mutex::new(0);
    let wrong = |_: &str| {
        *asked.lock().unwrap() += 1;
        Some(Zeroizing::new("not-the-passphrase".to_owned()))
    };
    let fault = signer::sign_with_file(&keys.path("locked"), b"m", &wrong).await.unwrap_err();
    assert!(fault.message.contains("wrong 3 times"), "{}", fault.message);
    assert_eq!(*asked.lock().unwrap(), 3);
    assert!(!format!("{fault:?}").contains("not-the-passphrase"));

    let given_up = signer::sign_with_file(&keys.path("locked"), b"m", &|_| None).await.unwrap_err();
    assert!(given_up.message.contains("none was given"), "{}", given_up.message);

    let third = Mutex::new(Cell::new(0));
    let right_at_last = |prompt: &str| {
        let tries = third.lock().unwrap();
        tries.set(tries.get() + 1);
        assert_eq!(prompt.starts_with("That is not"), tries.get() > 1, "{prompt}");
        Some(Zeroizing::new(if tries.get() == 3 { "secret" } else { "no" }.to_owned()))
    };
    assert!(signer::sign_with_file(&keys.path("locked"), b"m", &right_at_last).await.is_ok());
}

#[test]
fn rsa_with_sha1_does_not_count() {
    use russh::keys::signature::Signer;
    let keys = Keys::new();
    let file = keys.make("rsa", KINDS[4], "");
    let key = ssh_key::PrivateKey::read_openssh_file(&file).unwrap();
    let pair = key.key_data().rsa().unwrap();
    let blob = ssh_key::SshSig::signed_data("runward", ssh_key::HashAlg::Sha512, b"m").unwrap();
    for (hash, counts) in [(None, false), (Some(ssh_key::HashAlg::Sha256), true)] {
        let signature: ssh_key::Signature = (pair, hash).try_sign(&blob).unwrap();
        let public = key.public_key().key_data().clone();
        let sha512 = ssh_key::HashAlg::Sha512;
        let sshsig = ssh_key::SshSig::new(public, "runward", sha512, signature).unwrap();
        let result = signature::verify(b"m", &sshsig.to_pem(ssh_key::LineEnding::LF).unwrap());
        assert_eq!(result.is_ok(), counts, "{result:?}");
        assert!(counts || result.unwrap_err().contains("SHA-1"));
    }
}

#[tokio::test]
async fn keys_at_hand_are_found_in_the_agent_and_in_files() {
    let keys = Keys::new();
    let agent = RunningAgent::start(&[]);
    agent.add(&[], &keys.ed25519("ana"));
    keys.make("bruno", KINDS[0], "secret");
    keys.ed25519("stranger");
    let project =
        project(&keys, &[("ana@x", &[], &[], &["ana"]), ("bruno@x", &[], &[], &["bruno"])]);
    let files = ["ana", "bruno", "stranger", "missing"].map(|name| keys.path(name));
    let client = Agent::at(agent.socket());
    let found = signer::available_keys(&project.people, Some(&client), &files).await;
    let found: Vec<_> = found.iter().map(|k| (k.person.as_str(), &k.place)).collect();
    let in_file = KeyPlace::File(keys.path("bruno"));
    assert_eq!(found, [("ana@x", &KeyPlace::Agent), ("bruno@x", &in_file)]);
    let none = signer::available_keys(&project.people, None, &files[2..]).await;
    assert_eq!(none, []);
}

/// Id, groups, logins, names of keys.
type Member<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

fn project(keys: &Keys, people: &[Member<'_>]) -> Project {
    let source = Source::new("runward.yaml", "version: 1\n");
    let texts = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect();
    let people = people.iter().map(|(id, groups, logins, names)| {
        let person = Person {
            groups: texts(groups),
            logins: texts(logins),
            keys: names.iter().map(|name| keys.public(name)).collect(),
            place: Place::new(&source, 0..0),
        };
        ((*id).to_owned(), person)
    });
    Project {
        digest: Digest::of(source.text.as_bytes()),
        folder: PathBuf::from("/p"),
        store: StoreAddress::Sqlite(PathBuf::from("/p/journal.db")),
        people: people.collect(),
        secrets: Default::default(),
        redact_columns: Vec::new(),
        environments: Default::default(),
        source,
    }
}

fn request(operator: &str, from: &[&str]) -> String {
    let request = Request {
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
        arguments: serde_json::json!({"table": "settings", "amount": "1.50"}),
        statement: "UPDATE settings SET value = 5".to_owned(),
        target: "mysql 10.11 at db1".to_owned(),
        before_digest: Digest::of(b"before"),
        difference: serde_json::json!([]),
        rollback: "UPDATE settings SET value = 3".to_owned(),
        display: "Change\n  where      production\n".to_owned(),
        operator: operator.to_owned(),
        required: 1,
        from: from.iter().map(|group| (*group).to_owned()).collect(),
        asked_at: "2026-03-01T12:00:00Z".parse().unwrap(),
        expires_at: "2026-03-01T12:30:00Z".parse().unwrap(),
    };
    serde_json::to_string(&request).unwrap()
}

fn decide(
    project: &Project,
    request: &str,
    signature: &str,
    now: &str,
) -> Result<Approval, String> {
    let now: Timestamp = now.parse().unwrap();
    let decision = SignedDecision {
        verdict: Verdict::Approve,
        by: String::new(),
        reason: String::new(),
        at: now,
        signature: Some(signature.to_owned()),
    };
    SshVerifier.verify(request, &decision, project, now)
}

#[test]
fn approvals_signed_with_ssh_keygen_count_as_the_rules_say() {
    let keys = Keys::new();
    for name in ["ana", "bruno", "carla", "shared", "mallory"] {
        keys.ed25519(name);
    }
    let project = project(
        &keys,
        &[
            ("ana@example.com", &["leads"], &["ana"], &["ana"]),
            ("bruno@example.com", &["leads"], &["bruno"], &["bruno"]),
            ("carla@example.com", &["support"], &[], &["carla", "shared"]),
            ("davi@example.com", &["leads"], &[], &["shared"]),
        ],
    );
    let text = request("ana@example.com", &["leads", "sre"]);
    let sign =
        |name: &str, text: &str| keys.openssh_sign(name, &["-n", "runward"], text.as_bytes());
    let approval = decide(&project, &text, &sign("bruno", &text), NOW).unwrap();
    assert_eq!(approval.by, "bruno@example.com");
    assert_eq!(approval.key, keys.fingerprint("bruno"));

    let refused = |text: &str, signature: &str, now: &str, says: &str| {
        let error = decide(&project, text, signature, now).unwrap_err();
        assert!(error.contains(says), "{error}\n  should say: {says}");
    };
    refused(&text, &sign("ana", &text), NOW, "can't approve it; ask one of leads, sre: bruno@");
    for spelling in [" ANA@Example.com", "ａｎａ@example.com", "ana"] {
        let text = request(spelling, &[]);
        refused(&text, &sign("ana", &text), NOW, "can't approve it");
    }
    refused(&text, &sign("carla", &text), NOW, "in none of the groups");
    refused(&text, &sign("shared", &text), NOW, "carla@example.com and for davi@example.com");
    refused(&text, &sign("mallory", &text), NOW, "belongs to nobody");
    refused(&text, &sign("bruno", &text), "2026-03-01T12:30:00Z", "expired");
    refused(&text, &sign("bruno", &format!("{text}\n")), NOW, "does not fit");
    refused(&text.replace("1.50", "9.50"), &sign("bruno", &text), NOW, "does not fit");
    let git = keys.openssh_sign("bruno", &["-n", "git"], text.as_bytes());
    refused(&text, &git, NOW, "made for `git`");
    let double = text.replacen('{', r#"{"operator":"zoe","#, 1);
    refused(&double, &sign("bruno", &double), NOW, "stands twice");
    refused("", &sign("bruno", ""), NOW, "can't be read");
    refused(&text, &sign("bruno", &text)[..200], NOW, "cut off");

    let open = request("ana@example.com", &[]);
    assert_eq!(
        decide(&project, &open, &sign("carla", &open), NOW).unwrap().by,
        "carla@example.com"
    );
}

#[test]
fn a_start_signed_with_ssh_keygen_names_the_operator() {
    let keys = Keys::new();
    keys.ed25519("ana");
    let project = project(&keys, &[("ana@example.com", &[], &["ana"], &["ana"])]);
    let run = RunId("0198f9a2-1111-7000-8000-000000000001".into());
    let digest = Digest::of(b"x");
    let statement = identity::start_statement(&run, &digest, "production", &digest);
    let armoured = keys.openssh_sign("ana", &["-n", "runward"], statement.as_bytes());
    let known = identity::verify_start(&statement, &armoured, &project).unwrap();
    assert_eq!(known.person, "ana@example.com");
    assert_eq!(known.fingerprint, keys.fingerprint("ana"));
    let staging = identity::start_statement(&run, &digest, "staging", &digest);
    assert!(identity::verify_start(&staging, &armoured, &project).is_err());
}
