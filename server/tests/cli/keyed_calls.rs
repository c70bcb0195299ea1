//! Calls with an Idempotency-Key through the whole binary, with a real Postgres: over `kill -9`, a restart, and an operator's word.

use crate::installation::{Installation, exchange, text};
use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const DOCUMENT: &str = r#"
openapi: 3.1.0
info: { title: Pay, version: "1" }
paths:
  /payments:
    post: { operationId: createPayment, responses: { "201": { description: Made } } }
  /notes:
    post: { operationId: createNote, responses: { "201": { description: Made } } }
"#;

const SETUP: &str = r#"
products:
  payments:
    name: Payments
    document: api.yaml
    route: /pay
    upstream_url: "http://127.0.0.1:UPSTREAM"
    policy:
      operations: { createPayment: { idempotency_key: required }, createNote: { idempotency_key: optional } }
plans:
  starter: { name: Starter, currency: EUR, products: [{ product: payments }] }
partners:
  acme:
    name: Acme
    plan: starter
    apps: { shop: { name: Shop, keys: { live: { name: Live, environment: live } } } }
"#;

/// The API: says how many requests it has carried out, and of each key how many. A body that says `hold` is carried out and never
/// answered, `drop` too; only the second is told so. Both only the first time that their key comes.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<HashMap<String, u32>>>);

impl Api {
    fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let api = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let api = api.clone();
                thread::spawn(move || while api.answer(&stream).is_some() {});
            }
        });
        port
    }

    /// One request of a connection; `None` where the connection ends.
    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut length, mut key) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "idempotency-key" => key = value.to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (times, all) = {
            let mut counts = self.0.lock().expect("no panic");
            let times = counts.entry(key).or_default();
            *times += 1;
            (*times, counts.values().sum::<u32>())
        };
        match body.as_slice() {
            b"hold" if times == 1 => {
                let _ = reader.read(&mut [0]);
                return None;
            }
            b"drop" if times == 1 => return None,
            _ => {}
        }
        let made = format!("made {all}");
        let length = made.len();
        let mut stream = stream;
        write!(stream, "HTTP/1.1 201 Created\r\nContent-Length: {length}\r\nX-Made: {all}\r\n\r\n{made}").ok()
    }

    /// How often it has carried out a request with that key.
    fn count(&self, key: &str) -> u32 {
        self.0.lock().expect("no panic").get(key).copied().unwrap_or_default()
    }

    fn until_it_has(&self, key: &str) {
        until(|| self.count(key) > 0);
    }
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "not within a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

struct Client {
    gateway: u16,
    key: String,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn replayed(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nidempotent-replayed: true\r\n")
    }

    fn units(&self) -> &str {
        self.head.split("\r\n").find_map(|line| line.strip_prefix("x-turnpike-units: ")).unwrap_or("none")
    }

    /// Status, and whether the problem has this code.
    fn is(&self, status: u16, code: &str) -> bool {
        self.status == status && self.body.contains(&format!("\"{code}\""))
    }
}

impl Client {
    fn post(&self, path: &str, key: Option<&str>, body: &str) -> Option<Answer> {
        let (credential, length) = (&self.key, body.len());
        let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
        let (status, whole) = exchange(
            self.gateway,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: {credential}\r\n\
                 Content-Length: {length}\r\n{key}\r\n{body}"
            ),
        )?;
        let (head, body) = whole.split_once("\r\n\r\n")?;
        Some(Answer { status, head: format!("{head}\r\n"), body: body.to_owned() })
    }

    fn pay(&self, key: &str, body: &str) -> Answer {
        self.post("/pay/payments", Some(key), body).expect("an answer")
    }
}

#[test]
fn a_keyed_call_is_carried_out_once_over_a_crash_a_restart_and_until_an_operator_frees_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let api = Api::default();
    let setup = SETUP.replace("UPSTREAM", &api.start().to_string());
    fs::write(folder.path().join("api.yaml"), DOCUMENT).expect("written");
    fs::write(folder.path().join("turnpike.yaml"), setup).expect("written");
    let installation = Installation::new(folder.path());
    let key = installation.apply(&folder.path().join("turnpike.yaml").display().to_string());
    let client = Arc::new(Client { gateway: installation.gateway(), key });
    let server = installation.serve();

    let missing = client.post("/pay/payments", None, "one").expect("an answer");
    assert!(missing.is(400, "idempotency-key-missing"), "{} {}", missing.status, missing.body);
    assert_eq!(client.post("/pay/notes", None, "a note").expect("an answer").status, 201, "there it is optional");
    let first = client.pay("k1", "one");
    assert_eq!((first.status, first.body.as_str(), first.units(), first.replayed()), (201, "made 2", "1", false));
    let again = client.pay("k1", "one");
    assert_eq!((again.status, again.body.as_str(), again.units(), again.replayed()), (201, "made 2", "0", true));
    assert!(again.head.to_ascii_lowercase().contains("\r\nx-made: 2\r\n"), "{}", again.head);
    let other = client.pay("k1", "two");
    assert!(other.is(422, "idempotency-mismatch"), "{} {}", other.status, other.body);

    // The server is killed while the API works.
    let held = thread::spawn({
        let client = client.clone();
        move || client.post("/pay/payments", Some("k2"), "hold")
    });
    api.until_it_has("k2");
    let busy = client.pay("k2", "hold");
    assert!(busy.is(409, "idempotency-in-flight"), "{} {}", busy.status, busy.body);
    server.kill();
    assert!(held.join().expect("no panic").is_none(), "nobody answered it");

    let server = installation.serve();
    let again = client.pay("k1", "one");
    assert_eq!((again.body.as_str(), again.replayed()), ("made 2", true), "an answer survives the crash");
    until(|| client.pay("k2", "hold").is(409, "idempotency-unknown"));
    // An API that hangs up leaves the same doubt.
    assert_eq!(client.pay("k3", "drop").status, 502);
    assert!(client.pay("k3", "drop").is(409, "idempotency-unknown"));
    assert_eq!((api.count("k1"), api.count("k2"), api.count("k3")), (1, 1, 1));

    // An operator asks the API, and says what it said.
    let unknown = |installation: &Installation| text(&installation.run(&["unknown-requests"]).stdout).to_owned();
    let listed = unknown(&installation);
    let id = |listed: &str, key: &str| {
        let lines: Vec<&str> = listed.lines().collect();
        let at = lines.iter().position(|line| line.contains(&format!("Idempotency-Key {key},"))).expect("its key");
        assert!(lines[at - 1].contains("Acme, live: POST /payments of payments"), "{listed}");
        lines[at - 2].split(' ').next().expect("an identifier").to_owned()
    };
    let (second, third) = (id(&listed, "k2"), id(&listed, "k3"));
    assert!(!installation.run(&["resolve-request", &second]).status.success(), "the outcome has to be said");
    let resolve = |id: &str, outcome: &str| installation.run(&["resolve-request", id, outcome, "--note", "Asked"]);
    assert!(resolve(&second, "--not-carried-out").status.success());
    assert!(resolve(&third, "--carried-out").status.success());
    assert!(!resolve(&third, "--not-carried-out").status.success(), "it is known now");
    assert!(unknown(&installation).contains("The outcome of every request is known."));
    assert_eq!((client.pay("k2", "hold").status, api.count("k2")), (201, 2));
    let confirmed = client.pay("k3", "drop");
    assert!(confirmed.is(409, "idempotency-unknown") && confirmed.body.contains("confirmed"), "{}", confirmed.body);
    server.stop();

    let server = installation.serve();
    for (key, body, made) in [("k1", "one", "made 2"), ("k2", "hold", "made 5")] {
        let again = client.pay(key, body);
        assert_eq!((again.body.as_str(), again.replayed()), (made, true), "{key}");
    }
    server.stop();
    assert_eq!((api.count("k1"), api.count("k2"), api.count("k3")), (1, 2, 1));
}
