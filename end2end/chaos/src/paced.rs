//! Calls at a set pace, whatever the answers take: an open model. Each call has the instant at which it is due, and its time counts
//! from there, so that a server which stands still is not spared the calls that it would have had.

use crate::cluster::Cluster;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep_until, timeout},
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// One call, as its client saw it.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: String,
    /// When it was due, since the load began.
    pub due: Duration,
    /// From then to the last byte of its answer, or to the end of hope.
    pub took: Duration,
    /// `None` where the connection broke, nobody took it, or nobody answered in time.
    pub status: Option<u16>,
    pub retry_after: bool,
}

/// How much, and to whom.
#[derive(Clone)]
pub struct Pace {
    /// Gateways, in turn.
    pub ports: Vec<u16>,
    pub path: String,
    pub key: String,
    /// Calls in a second, over all connections.
    pub rate: u64,
    pub connections: usize,
    /// Request ids are `chaos-`, this, and numbers.
    pub name: &'static str,
}

impl Pace {
    /// On the product `payments` of a cluster, for its partner `load`.
    pub fn on(cluster: &Cluster, rate: u64, connections: usize, name: &'static str) -> Result<Self, crate::Trouble> {
        let (ports, key) = (cluster.ports(), cluster.key("load")?.to_owned());
        Ok(Self { ports, path: "/payments/payments".to_owned(), key, rate, connections, name })
    }
}

/// A running load.
pub struct Paced {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    others: Arc<AtomicU64>,
    running: JoinSet<Vec<Call>>,
    began: Instant,
}

impl Paced {
    pub fn start(pace: &Pace) -> Self {
        let (stop, began) = (Arc::<AtomicBool>::default(), Instant::now());
        let (answered, others) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut running = JoinSet::new();
        for number in 0..pace.connections {
            let line = Line { pace: pace.clone(), number, began, sender: None };
            running.spawn(line.call(stop.clone(), answered.clone(), others.clone()));
        }
        Self { stop, answered, others, running, began }
    }

    /// Since the load began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Calls that were answered 200 so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Calls that ended in anything else.
    pub fn others(&self) -> u64 {
        self.others.load(Relaxed)
    }

    /// Ends after the calls that are under way.
    pub async fn stop(self) -> Vec<Call> {
        self.stop.store(true, Relaxed);
        self.running.join_all().await.into_iter().flatten().collect()
    }
}

/// The ids of calls that were answered 200, to the last byte.
pub fn answered(calls: &[Call]) -> impl Iterator<Item = &String> {
    calls.iter().filter(|call| call.status == Some(200)).map(|call| &call.id)
}

/// How often each outcome was, but for 200.
pub fn failures(calls: &[Call]) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for call in calls.iter().filter(|call| call.status != Some(200)) {
        let what = call.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        *found.entry(what).or_default() += 1;
    }
    found
}

/// That part of a thousand of the calls took at most so long.
pub fn percentile<'a>(calls: impl Iterator<Item = &'a Call>, per_mille: usize) -> Duration {
    let mut times: Vec<Duration> = calls.map(|call| call.took).collect();
    times.sort_unstable();
    let at = (times.len() * per_mille / 1_000).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

/// One connection after the other.
struct Line {
    pace: Pace,
    number: usize,
    began: Instant,
    sender: Option<http1::SendRequest<Empty<Bytes>>>,
}

impl Line {
    async fn call(mut self, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>, others: Arc<AtomicU64>) -> Vec<Call> {
        let Pace { rate, connections, name, .. } = self.pace.clone();
        let mut calls = Vec::new();
        for turn in 0_u64.. {
            let place = turn * connections as u64 + self.number as u64;
            let due = Duration::from_nanos(place.saturating_mul(1_000_000_000) / rate.max(1));
            sleep_until((self.began + due).into()).await;
            if stop.load(Relaxed) {
                break;
            }
            let id = format!("chaos-{name}-{}-{turn}", self.number);
            let answer = timeout(PATIENCE, self.ask(&id)).await.ok().flatten();
            if answer.is_none() {
                self.sender = None;
            }
            let (status, retry_after) = answer.map_or((None, false), |(status, retry)| (Some(status), retry));
            (if status == Some(200) { &answered } else { &others }).fetch_add(1, Relaxed);
            calls.push(Call { id, due, took: self.began.elapsed().saturating_sub(due), status, retry_after });
        }
        calls
    }

    /// The status, and whether it says when to come again.
    async fn ask(&mut self, id: &str) -> Option<(u16, bool)> {
        let port = self.pace.ports[self.number % self.pace.ports.len()];
        if self.sender.as_ref().is_none_or(http1::SendRequest::is_closed) {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            let _ = stream.set_nodelay(true);
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(driver);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut()?;
        sender.ready().await.ok()?;
        let request = Request::get(&self.pace.path)
            .header("host", format!("127.0.0.1:{port}"))
            .header("authorization", format!("Bearer {}", self.pace.key))
            .header("x-request-id", id)
            .body(Empty::new())
            .ok()?;
        let response = sender.send_request(request).await.ok()?;
        let (status, retry_after) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
        response.into_body().collect().await.ok()?;
        Some((status, retry_after))
    }
}
