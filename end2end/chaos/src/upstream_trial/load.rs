//! Calls, and how long they took.

use crate::world::Random;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

/// What became of one call.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Zero where the connection broke before the answer's head.
    pub status: u16,
    pub whole: bool,
    /// Until its end, or until it broke.
    pub end: Duration,
}

/// Where calls go, and as whom.
#[derive(Clone)]
pub struct Caller {
    pub port: u16,
    pub key: String,
}

/// How long a program waits between its calls.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// After an answer.
    pub served: Duration,
    /// After a refusal, about: programs that all wait equally long would come back together, and measure each other.
    pub refused: Duration,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Caller {
    /// One call on a connection of its own.
    pub async fn call(&self, product: &str) -> Seen {
        match self.connect().await {
            Some(mut sender) => self.call_on(&mut sender, product).await,
            None => Seen { status: 0, whole: false, end: Duration::ZERO },
        }
    }

    async fn connect(&self) -> Option<SendRequest<Empty<Bytes>>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    }

    async fn call_on(&self, sender: &mut SendRequest<Empty<Bytes>>, product: &str) -> Seen {
        let began = Instant::now();
        let broken = |began: Instant| Seen { status: 0, whole: false, end: began.elapsed() };
        let number = NUMBER.fetch_add(1, Relaxed);
        let request = Request::get(format!("/{product}/payments"))
            .header("host", "127.0.0.1")
            .header("authorization", format!("Bearer {}", self.key))
            .header("x-request-id", format!("trial-{product}-{number}"))
            .body(Empty::new());
        let Ok(request) = request else { return broken(began) };
        if sender.ready().await.is_err() {
            return broken(began);
        }
        let Ok(response) = sender.send_request(request).await else { return broken(began) };
        let status = response.status().as_u16();
        let whole = response.into_body().collect().await.is_ok();
        Seen { status, whole, end: began.elapsed() }
    }

    /// That many connections call one after the other for that long.
    pub async fn press(&self, product: &'static str, connections: usize, time: Duration, pauses: Pauses) -> Vec<Seen> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for number in 0..connections {
            let (caller, stop) = (self.clone(), stop.clone());
            running.spawn(async move {
                let mut seen = Vec::new();
                let mut sender = None;
                let mut random = Random::new(number as u64);
                // Nor do all begin in one instant.
                sleep(Duration::from_millis(random.below(200))).await;
                while !stop.load(Relaxed) {
                    let Some(open) = &mut sender else {
                        sender = caller.connect().await;
                        if sender.is_none() {
                            sleep(Duration::from_millis(10)).await;
                        }
                        continue;
                    };
                    let one = caller.call_on(open, product).await;
                    seen.push(one);
                    if !one.whole {
                        sender = None;
                    }
                    match one.status {
                        200 if pauses.served.is_zero() => {}
                        200 => sleep(pauses.served).await,
                        _ => sleep(pauses.refused * random.below(100) as u32 / 100 + pauses.refused / 2).await,
                    }
                }
                seen
            });
        }
        sleep(time).await;
        stop.store(true, Relaxed);
        running.join_all().await.into_iter().flatten().collect()
    }
}

/// That part of a hundred took at most so long; in whole microseconds.
pub fn percentile(times: impl Iterator<Item = Duration>, part: usize) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let at = times.len() * part / 100;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
