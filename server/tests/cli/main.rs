//! The binary itself, as people type it.

mod alerts;
mod credit_seen;
mod installation;
mod keyed_calls;
mod roles;
mod usage_log;

use installation::{Installation, get, run, text};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

const DOCUMENT: &str = r#"
openapi: 3.1.0
info: { title: Pay, version: "1" }
paths:
  /payments:
    get: { operationId: listPayments, responses: { "200": { description: ok } } }
"#;

const SETUP: &str = r#"
products:
  payments: { name: Payments, document: api.yaml, route: /payments, upstream_url: "http://127.0.0.1:UPSTREAM" }
plans:
  starter: { name: Starter, currency: EUR, products: [{ product: payments }], limits: [{ calls: 100, window: minute }] }
partners:
  acme:
    name: Acme
    plan: starter
    apps: { shop: { name: Shop, keys: { live: { name: Live, environment: live } } } }
"#;

#[test]
fn the_version_is_printed_without_any_configuration() {
    let output = run(&["version"], &[]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), format!("turnpike {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_configuration_names_every_problem_and_starts_nothing() {
    let output = run(&["serve"], &[("TURNPIKE_PORTAL_LISTEN", "everywhere"), ("TURNPIKE_GATEWAY_CORES", "many")]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    for expected in [
        "3 problems",
        "TURNPIKE_PORTAL_LISTEN: \"everywhere\"",
        "TURNPIKE_GATEWAY_CORES: \"many\"",
        "TURNPIKE_SECRET: set it",
    ] {
        assert!(told.contains(expected), "{expected} is not in:\n{told}");
    }
}

#[test]
fn the_help_of_serve_lists_variables_with_their_defaults() {
    let output = run(&["serve", "--help"], &[]);
    let help = text(&output.stdout);
    for expected in ["DATABASE_URL *", "Default: 127.0.0.1:3000", "TURNPIKE_DURABILITY", "file:/path or env:NAME"] {
        assert!(help.contains(expected), "{expected} is not in:\n{help}");
    }
}

/// The whole way on a private Postgres: set up, serve, call, stop, start again.
#[test]
fn one_file_and_serve_sell_a_call_and_the_next_start_still_knows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let setup = SETUP.replace("UPSTREAM", &upstream.local_addr().expect("an address").port().to_string());
    thread::spawn(move || answer_forever(&upstream));
    fs::write(folder.path().join("api.yaml"), DOCUMENT).expect("written");
    fs::write(folder.path().join("turnpike.yaml"), setup).expect("written");
    let installation = Installation::new(folder.path());
    let file = folder.path().join("turnpike.yaml").display().to_string();

    assert_eq!(installation.run(&["plan", &file]).status.code(), Some(2));
    let key = installation.apply(&file);

    let server = installation.serve();
    let call = || get(installation.gateway(), "/payments/payments", &format!("X-API-Key: {key}\r\n"));
    let (status, head) = call();
    assert_eq!(status, 200, "{head}");
    assert!(head.to_ascii_lowercase().contains("\nratelimit:"), "{head}");
    // While the server holds the private Postgres, the commands use it.
    assert_eq!(installation.run(&["plan", &file]).status.code(), Some(0));
    let link = installation.run(&["operator-link"]);
    assert!(
        text(&link.stdout).starts_with(&format!("http://localhost:{}/console/", installation.portal())),
        "{link:?}"
    );
    until_shipped(&installation);
    let started = Instant::now();
    server.stop();
    println!("the stop took {:?}", started.elapsed());

    let server = installation.serve();
    assert_eq!(call().0, 200);
    server.stop();
}

fn until_shipped(installation: &Installation) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !get(installation.admin(), "/metrics", "").1.contains("turnpike_events_shipped_total 1") {
        assert!(Instant::now() < deadline, "the call was never stored");
        thread::sleep(Duration::from_millis(50));
    }
}

fn answer_forever(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || {
            let mut lines = BufReader::new(stream.try_clone().expect("a clone")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let mut stream = stream;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        });
    }
}
