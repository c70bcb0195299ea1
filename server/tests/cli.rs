//! The binary itself, as people type it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
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

fn turnpike(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnpike"));
    command.args(arguments).env_clear().envs(settings.iter().copied());
    // What finding Postgres takes.
    for name in ["PATH", "TURNPIKE_PG_BIN", "TMPDIR"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    command
}

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    turnpike(arguments, settings).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("a text")
}

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
    fs::create_dir_all(folder.path().join("site/pkg")).expect("made");
    fs::write(folder.path().join("site/pkg/manifest.json"), r#"{"js":"a.js","css":"a.css"}"#).expect("written");
    let installation = Installation::new(folder.path());
    let file = folder.path().join("turnpike.yaml").display().to_string();

    assert_eq!(installation.run(&["plan", &file]).status.code(), Some(2));
    let applied = installation.run(&["apply", &file]);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    let report: serde_json::Value = serde_json::from_slice(&applied.stdout).expect("JSON");
    let key = report["keys"][0]["text"].as_str().expect("a key").to_owned();

    let mut server = installation.serve();
    let (status, head) = installation.call(&key);
    assert_eq!(status, 200, "{head}");
    assert!(head.to_ascii_lowercase().contains("\nratelimit:"), "{head}");
    // While the server holds the private Postgres, the commands use it.
    assert_eq!(installation.run(&["plan", &file]).status.code(), Some(0));
    let link = installation.run(&["operator-link"]);
    assert!(
        text(&link.stdout).starts_with(&format!("http://localhost:{}/console/", installation.ports[0])),
        "{link:?}"
    );
    installation.until_shipped();
    let started = Instant::now();
    stop(&mut server);
    assert!(started.elapsed() < Duration::from_secs(5), "the stop took {:?}", started.elapsed());

    let mut server = installation.serve();
    assert_eq!(installation.call(&key).0, 200);
    stop(&mut server);
}

struct Installation {
    data: String,
    site: String,
    /// Portal, gateway, admin.
    ports: [u16; 3],
}

impl Installation {
    fn new(folder: &Path) -> Self {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let ports = listeners.map(|listener| listener.local_addr().expect("an address").port());
        let inside = |name: &str| folder.join(name).display().to_string();
        Self { data: inside("data"), site: inside("site"), ports }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = turnpike(arguments, &[("TURNPIKE_DEVELOPMENT", "true"), ("TURNPIKE_LOG_FORMAT", "json")]);
        command.env("TURNPIKE_DATA_DIR", &self.data).env("TURNPIKE_SITE_DIR", &self.site);
        let names = ["TURNPIKE_PORTAL_LISTEN", "TURNPIKE_GATEWAY_LISTEN", "TURNPIKE_ADMIN_LISTEN"];
        for (name, port) in names.into_iter().zip(self.ports) {
            command.env(name, format!("127.0.0.1:{port}"));
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Starts the server and waits until it says that it is ready.
    fn serve(&self) -> Child {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().expect("the server starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        let mut told = String::new();
        while !line.contains("\"message\":\"ready\"") {
            line.clear();
            assert!(log.read_line(&mut line).expect("a line") > 0, "the server ended:\n{told}");
            told.push_str(&line);
        }
        // Read on, so that the pipe never fills.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        child
    }

    fn call(&self, key: &str) -> (u16, String) {
        get(self.ports[1], "/payments/payments", &format!("X-API-Key: {key}\r\n"))
    }

    fn until_shipped(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !get(self.ports[2], "/metrics", "").1.contains("turnpike_events_shipped_total 1") {
            assert!(Instant::now() < deadline, "the call was not stored within five seconds");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Sends SIGTERM and waits for a clean end.
fn stop(server: &mut Child) {
    let asked = Command::new("kill").arg(server.id().to_string()).status().expect("kill runs");
    assert!(asked.success());
    let ended = server.wait().expect("the server ends");
    assert!(ended.success(), "{ended}");
}

fn get(port: u16, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
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
