//! The clients: identical requests on each key, and what became of them.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before a request is sent again whose connection broke: the gateway may have been killed.
const AFTER_BREAK: Duration = Duration::from_millis(100);
/// Before one is sent again that could not be taken.
const AFTER_REFUSAL: Duration = Duration::from_millis(500);
/// Longest wait for a key to be no longer in flight, once the race is over.
const SETTLING: Duration = Duration::from_secs(60);

/// Which request is the next one: some keys at a time, turn by turn.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub keys: usize,
    pub posts: usize,
    pub at_once: usize,
}

impl Order {
    /// How many requests there are.
    pub const fn all(&self) -> u64 {
        (self.keys * self.posts) as u64
    }

    fn key(&self, index: u64) -> Option<usize> {
        let index = usize::try_from(index).ok().filter(|index| *index < self.keys * self.posts)?;
        let group = index / (self.at_once * self.posts);
        let width = self.at_once.min(self.keys - group * self.at_once);
        Some(group * self.at_once + index % (self.at_once * self.posts) % width)
    }

    /// The Idempotency-Key of that number.
    pub fn text(number: usize) -> String {
        format!("retry-{number:06}")
    }
}

/// What clients saw of one key.
#[derive(Debug, Clone, Default)]
pub struct KeySeen {
    /// Answers that were no replay, by the request's id: their bodies.
    pub first: BTreeMap<String, String>,
    pub replays: u64,
    /// What was replayed; one body, if all is well.
    pub replayed: BTreeSet<String>,
    pub in_flight: u64,
    pub unknown: u64,
    /// Status and code of all other answers.
    pub other: BTreeMap<(u16, String), u64>,
    /// Refusals with 503: the gateway cannot take it now, and nothing was done. Such a request is sent again, as the answer asks.
    pub later: BTreeMap<String, u64>,
    /// Connections that broke before an answer; such a request is sent again.
    pub broken: u64,
}

/// What clients saw, by the key's number.
#[derive(Debug, Clone, Default)]
pub struct Seen(pub BTreeMap<usize, KeySeen>);

impl Seen {
    pub fn merge(&mut self, other: &Self) {
        for (number, seen) in &other.0 {
            let all = self.0.entry(*number).or_default();
            all.first.extend(seen.first.clone());
            all.replayed.extend(seen.replayed.iter().cloned());
            all.replays += seen.replays;
            all.in_flight += seen.in_flight;
            all.unknown += seen.unknown;
            all.broken += seen.broken;
            for (what, count) in &seen.other {
                *all.other.entry(what.clone()).or_default() += count;
            }
            for (code, count) in &seen.later {
                *all.later.entry(code.clone()).or_default() += count;
            }
        }
    }

    fn note(&mut self, number: usize, id: String, answer: Option<Answer>) {
        let seen = self.0.entry(number).or_default();
        match answer {
            None => seen.broken += 1,
            Some(Answer { status: 201, replayed: false, body, .. }) => drop(seen.first.insert(id, body)),
            Some(Answer { status: 201, replayed: true, body, .. }) => {
                seen.replays += 1;
                seen.replayed.insert(body);
            }
            Some(Answer { status: 409, code, .. }) if code == "idempotency-in-flight" => seen.in_flight += 1,
            Some(Answer { status: 409, code, .. }) if code == "idempotency-unknown" => seen.unknown += 1,
            Some(Answer { status: 503, code, .. }) => *seen.later.entry(code).or_default() += 1,
            Some(Answer { status, code, .. }) => *seen.other.entry((status, code)).or_default() += 1,
        }
    }
}

/// Connections that share the requests among them.
pub struct Posts {
    running: JoinSet<Seen>,
    taken: Arc<AtomicU64>,
    all: u64,
}

impl Posts {
    pub fn start(ports: Vec<u16>, credential: &str, order: Order, connections: usize) -> Self {
        let taken = Arc::new(AtomicU64::new(0));
        let mut running = JoinSet::new();
        for number in 0..connections {
            let node = number % ports.len();
            let mut client = Client::new(ports[node], node, number, credential);
            let taken = taken.clone();
            running.spawn(async move {
                let mut seen = Seen::default();
                while let Some(key) = order.key(taken.fetch_add(1, SeqCst)) {
                    loop {
                        let (id, answer) = client.post(key).await;
                        let status = answer.as_ref().map(|answer| answer.status);
                        seen.note(key, id, answer);
                        match status {
                            None => sleep(AFTER_BREAK).await,
                            Some(503) => sleep(AFTER_REFUSAL).await,
                            Some(_) => break,
                        }
                    }
                }
                seen
            });
        }
        Self { running, taken, all: order.all() }
    }

    /// How many requests were begun.
    pub fn taken(&self) -> u64 {
        self.taken.load(SeqCst)
    }

    /// Whether all were begun.
    pub fn is_over(&self) -> bool {
        self.taken() >= self.all
    }

    pub async fn finish(self) -> Seen {
        let mut all = Seen::default();
        self.running.join_all().await.iter().for_each(|part| all.merge(part));
        all
    }
}

/// One more request on each key at each gateway, again where it is still in flight or cannot be taken now.
pub async fn settle(ports: &[u16], credential: &str, order: Order) -> Seen {
    let mut running = JoinSet::new();
    for (node, port) in ports.iter().enumerate() {
        let mut client = Client::new(*port, node, usize::MAX, credential);
        running.spawn(async move {
            let mut seen = Seen::default();
            for key in 0..order.keys {
                let begin = Instant::now();
                loop {
                    let (id, answer) = client.post(key).await;
                    let is_open = answer
                        .as_ref()
                        .is_none_or(|answer| answer.status == 503 || answer.code == "idempotency-in-flight");
                    if is_open && begin.elapsed() < SETTLING {
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                    seen.note(key, id, answer);
                    break;
                }
            }
            seen
        });
    }
    let mut all = Seen::default();
    running.join_all().await.iter().for_each(|part| all.merge(part));
    all
}

struct Answer {
    status: u16,
    replayed: bool,
    /// Of a problem; empty where it is none.
    code: String,
    body: String,
}

struct Client {
    port: u16,
    node: usize,
    number: usize,
    credential: String,
    sent: u64,
    connection: Option<http1::SendRequest<Full<Bytes>>>,
}

impl Client {
    fn new(port: u16, node: usize, number: usize, credential: &str) -> Self {
        Self { port, node, number, credential: credential.to_owned(), sent: 0, connection: None }
    }

    /// Sends the key's request; its id, and the answer if it came whole.
    async fn post(&mut self, key: usize) -> (String, Option<Answer>) {
        self.sent += 1;
        let id = format!("retry-{key}-{}-{}x{}", self.node, self.number, self.sent);
        let answer = tokio::time::timeout(PATIENCE, self.exchange(key, &id)).await.ok().flatten();
        if answer.is_none() {
            self.connection = None;
        }
        (id, answer)
    }

    async fn exchange(&mut self, key: usize, id: &str) -> Option<Answer> {
        if self.connection.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(driver);
            self.connection = Some(sender);
        }
        let sender = self.connection.as_mut()?;
        sender.ready().await.ok()?;
        let request = Request::post("/payments/payments")
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("authorization", format!("Bearer {}", self.credential))
            .header("idempotency-key", Order::text(key))
            .header("x-request-id", id)
            .body(Full::new(Bytes::from_static(b"{\"amount\":100}")))
            .ok()?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let body = response.into_body().collect().await.ok()?.to_bytes();
        let problem: Option<serde_json::Value> = serde_json::from_slice(&body).ok().filter(|_| status >= 400);
        let code = problem.and_then(|problem| problem["code"].as_str().map(ToOwned::to_owned)).unwrap_or_default();
        Some(Answer { status, replayed, code, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
