//! The callers: one connection for each partner and gateway, through all phases.

use crate::{Trouble, cluster::Cluster};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two calls of a connection.
const PAUSE: Duration = Duration::from_millis(4);
/// The same before Postgres goes away: slow enough that a block is not most of the quota.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Who calls.
pub struct Caller {
    pub partner: &'static str,
    path: &'static str,
    /// Calls on each gateway before Postgres goes away, and after it is back; of all gateways together where `shared`.
    first: usize,
    shared: bool,
}

/// All of them; those after the first spend a hard quota or credit.
pub const CALLERS: [Caller; 5] = [
    Caller { partner: "billed", path: "/closed/payments", first: 80, shared: false },
    Caller { partner: "closed", path: "/closed/payments", first: 20, shared: false },
    Caller { partner: "open", path: "/open/payments", first: 20, shared: false },
    Caller { partner: "brim", path: "/open/payments", first: 190, shared: true },
    Caller { partner: "prepaid", path: "/open/payments", first: 20, shared: false },
];
const LAST_CALLS: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Some calls, then none.
    First,
    Away,
    Quiet,
    Back,
}

/// One call, as its client saw it.
#[derive(Debug, Clone)]
pub struct Call {
    pub partner: &'static str,
    pub node: usize,
    pub id: String,
    pub phase: Phase,
    /// `None` where the connection broke or nobody answered in time.
    pub status: Option<u16>,
    /// What a refusal says.
    pub code: String,
    pub retry_after: bool,
    pub wait: Duration,
    /// Since Postgres came back, where it has.
    pub after: Duration,
}

/// Running callers.
pub struct Load {
    phase: watch::Sender<Phase>,
    callers: JoinSet<()>,
    seen: Arc<Mutex<Vec<Call>>>,
    nodes: usize,
    first_over: Arc<tokio::sync::Semaphore>,
}

impl Load {
    pub fn start(cluster: &Cluster) -> Result<Self, Trouble> {
        let (phase, seen) = (watch::Sender::new(Phase::First), Arc::<Mutex<Vec<Call>>>::default());
        let first_over = Arc::new(tokio::sync::Semaphore::new(0));
        let mut callers = JoinSet::new();
        let ports = cluster.ports();
        for caller in &CALLERS {
            for (node, port) in ports.iter().enumerate() {
                let line = Line {
                    caller,
                    node,
                    port: *port,
                    key: cluster.key(caller.partner)?.to_owned(),
                    first: if caller.shared { caller.first / ports.len() } else { caller.first },
                    seen: seen.clone(),
                    sender: None,
                    number: 0,
                };
                callers.spawn(line.call(phase.subscribe(), first_over.clone()));
            }
        }
        Ok(Self { phase, callers, seen, nodes: ports.len(), first_over })
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Returns when the calls before the outage are over.
    pub async fn first_calls(&self) {
        let lines = u32::try_from(self.nodes * CALLERS.len()).unwrap_or(u32::MAX);
        let _ = self.first_over.acquire_many(lines).await;
    }

    /// Waits until every partner that has a hard quota or credit was refused on every gateway; whether that came.
    pub async fn all_spent(&self, longest: Duration) -> bool {
        let begin = Instant::now();
        let refused = |partner: &str, node: usize| {
            let is = |call: &Call| call.partner == partner && call.node == node && call.status == Some(503);
            self.seen().iter().any(|call| call.phase == Phase::Away && is(call))
        };
        while begin.elapsed() < longest {
            if CALLERS[1..].iter().all(|caller| (0..self.nodes).all(|node| refused(caller.partner, node))) {
                return true;
            }
            sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Ends when all callers were served again, or the time is over.
    pub async fn finish(mut self, longest: Duration) -> Vec<Call> {
        let all = async { while self.callers.join_next().await.is_some() {} };
        let _ = timeout(longest, all).await;
        self.callers.shutdown().await;
        std::mem::take(&mut *self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Call>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One partner's connection to one gateway.
struct Line {
    caller: &'static Caller,
    node: usize,
    port: u16,
    key: String,
    first: usize,
    seen: Arc<Mutex<Vec<Call>>>,
    sender: Option<http1::SendRequest<Empty<Bytes>>>,
    number: usize,
}

impl Line {
    async fn call(mut self, mut phase: watch::Receiver<Phase>, first_over: Arc<tokio::sync::Semaphore>) {
        for _ in 0..self.first {
            self.call_once(Phase::First, Duration::ZERO).await;
            sleep(FIRST_PAUSE).await;
        }
        first_over.add_permits(1);
        let _ = phase.wait_for(|phase| *phase >= Phase::Away).await;
        while *phase.borrow() == Phase::Away {
            self.call_once(Phase::Away, Duration::ZERO).await;
            sleep(PAUSE).await;
        }
        let _ = phase.wait_for(|phase| *phase == Phase::Back).await;
        // The one whose quota is used up is never served again.
        let (back, mut served, mut calls) = (Instant::now(), self.caller.shared, 0);
        while !served || calls < LAST_CALLS {
            served |= self.call_once(Phase::Back, back.elapsed()).await == Some(200);
            calls += 1;
            sleep(FIRST_PAUSE).await;
        }
    }

    async fn call_once(&mut self, phase: Phase, after: Duration) -> Option<u16> {
        self.number += 1;
        let id = format!("chaos-{}-{}-{}", self.caller.partner, self.node, self.number);
        let begin = Instant::now();
        let answer = timeout(PATIENCE, self.ask(&id)).await.ok().flatten();
        let wait = begin.elapsed();
        if answer.is_none() {
            self.sender = None;
            sleep(Duration::from_millis(20)).await;
        }
        let status = answer.as_ref().map(|(status, ..)| *status);
        let (code, retry_after) = answer.map(|(_, code, retry)| (code, retry)).unwrap_or_default();
        let call =
            Call { partner: self.caller.partner, node: self.node, id, phase, status, code, retry_after, wait, after };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        status
    }

    /// Status, the refusal's code, and whether it says when to come again.
    async fn ask(&mut self, id: &str) -> Option<(u16, String, bool)> {
        if self.sender.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(driver);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut()?;
        sender.ready().await.ok()?;
        let request = Request::get(self.caller.path)
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("authorization", format!("Bearer {}", self.key))
            .header("x-request-id", id)
            .body(Empty::new())
            .ok()?;
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        Some((head.status.as_u16(), code, head.headers.contains_key("retry-after")))
    }
}

/// The status of a plain GET within that time.
pub async fn get(port: u16, path: &str, longest: Duration) -> Option<u16> {
    let answer = timeout(longest, exchange(port, path)).await.ok().flatten()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// The body of a plain GET.
pub async fn read(port: u16, path: &str) -> Option<String> {
    let answer = timeout(PATIENCE, exchange(port, path)).await.ok().flatten()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

async fn exchange(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}
