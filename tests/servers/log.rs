//! The program's own logs: only when asked for, only on standard error, and without values.

use crate::support::Project;

const RUNBOOK: &str = r#"
version: 1
name: Look everywhere
description: A read of each kind, and one that fails.
environments: [local]
steps:
  - id: ledger
    sql.query:
      on: ledger
      query: "SELECT :name AS name"
      params: {name: "not-to-be-logged"}
  - id: gateway
    http.request: {on: gateway, path: /healthz, query: {name: "not-to-be-logged"}}
  - id: app
    ssh.exec: {on: app, host: 127.0.0.1, command: capture-ctl get max_retries, reads: true}
  - id: wrong
    sql.query: {on: ledger, query: "SELECT 'not-to-be-logged'::int AS n"}
"#;

const RUN: [&str; 4] = ["run", "runbooks/look.yaml", "-e", "local"];

#[test]
fn logs_are_for_standard_error_and_hold_no_values() {
    let project = Project::new();
    project.write("runbooks/look.yaml", RUNBOOK);
    let logged = project.command(RUN).env("RUNWARD_LOG", "debug").run().expect_code(1);
    for said in [
        "begins node=ledger activity=Read attempt=1",
        "a new connection engine=\"PostgreSQL\" made=true",
        "an answer begins service=\"gateway\" status=200",
        "a new SSH connection target_name=\"app\"",
        "is done node=app",
        "has failed node=wrong activity=Read",
    ] {
        assert!(logged.stderr.contains(said), "{said}:\n{}", logged.stderr);
        assert!(!logged.stdout.contains(said), "{}", logged.stdout);
    }
    assert!(!logged.stderr.contains("not-to-be-logged"), "{}", logged.stderr);
    for (name, secret) in project.secrets() {
        assert!(!logged.stderr.contains(&secret), "{name}: {}", logged.stderr);
    }
    let quiet = project.command(RUN).run().expect_code(1);
    assert!(!quiet.stderr.contains("node=ledger"), "{}", quiet.stderr);
}

#[test]
fn a_level_that_does_not_exist_is_wrong_usage() {
    let project = Project::new();
    let out = project.command(["runs"]).env("RUNWARD_LOG", "loud").run().expect_code(2);
    assert!(out.stderr.contains("warn, info, debug"), "{}", out.stderr);
}
