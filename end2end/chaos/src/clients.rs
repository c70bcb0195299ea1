//! Well-behaved clients: each keeps its connection, leaves when it is told to, and sends a call again only where the protocol
//! says that nobody has seen it. Whatever else happens to a call is a failure.

use crate::world::Random;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    sync::Mutex,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a client calls, and how.
#[derive(Clone)]
pub struct Habit {
    pub name: &'static str,
    pub port: u16,
    /// Paths and keys, of which each call takes one of each by chance.
    pub paths: Arc<Vec<String>>,
    pub keys: Arc<Vec<String>>,
    /// Between two calls.
    pub pause: Duration,
    pub http2: bool,
    /// Each call has a connection of its own.
    pub fresh: bool,
    /// Calls at once on each connection; more than one needs HTTP/2.
    pub at_once: usize,
}

/// What clients saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Ids of calls that were answered 200, read to the last byte.
    pub answered: Vec<String>,
    /// When those began, and how long they took.
    pub times: Vec<(Instant, Duration)>,
    /// All other calls: when that was clear, their ids, and what became of them.
    pub failed: Vec<(Instant, String)>,
    /// Answers of HTTP/1.1 after which the connection was to be closed.
    pub told_to_leave: u64,
    pub connections: u64,
}

impl Seen {
    pub fn merge(&mut self, other: Self) {
        self.answered.extend(other.answered);
        self.times.extend(other.times);
        self.failed.extend(other.failed);
        self.told_to_leave += other.told_to_leave;
        self.connections += other.connections;
    }

    /// That part of a thousand took at most so long.
    pub fn percentile(&self, per_mille: usize) -> Duration {
        let mut times: Vec<Duration> = self.times.iter().map(|(_, took)| *took).collect();
        times.sort_unstable();
        let at = (times.len() * per_mille / 1_000).min(times.len().saturating_sub(1));
        times.get(at).copied().unwrap_or_default()
    }

    /// Takes out calls that were refused because the server is overloaded, and counts them: an unoptimised one on a busy machine is.
    pub fn take_overloaded(&mut self) -> usize {
        let all = self.failed.len();
        self.failed.retain(|(_, what)| !what.ends_with(": 503"));
        all - self.failed.len()
    }

    /// Up to three failures, each with its time since the last of these events.
    pub fn examples(&self, events: &[Instant]) -> String {
        let since = |at: &Instant| events.iter().filter_map(|event| at.checked_duration_since(*event)).min();
        let tell = |(at, what): &(Instant, String)| match since(at) {
            Some(since) => format!("{what} ({since:?} after)"),
            None => what.clone(),
        };
        let some: Vec<String> = self.failed.iter().take(3).map(tell).collect();
        if some.is_empty() { String::new() } else { format!(", as {}", some.join("; ")) }
    }
}

/// Running clients.
pub struct Clients {
    stop: Arc<AtomicBool>,
    running: JoinSet<Seen>,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Clients {
    pub fn new() -> Self {
        Self { stop: Arc::default(), running: JoinSet::new() }
    }

    /// That many more with this habit.
    pub fn add(&mut self, habit: &Habit, connections: usize) {
        for _ in 0..connections {
            let line = Arc::new(Line { port: habit.port, http2: habit.http2, ..Line::default() });
            for _ in 0..habit.at_once {
                self.running.spawn(call_on_and_on(habit.clone(), line.clone(), self.stop.clone()));
            }
        }
    }

    /// Ends after the calls that are under way.
    pub async fn stop(self) -> Seen {
        self.stop.store(true, Relaxed);
        let mut all = Seen::default();
        self.running.join_all().await.into_iter().for_each(|seen| all.merge(seen));
        all
    }
}

/// One connection after the other.
#[derive(Default)]
struct Line {
    port: u16,
    http2: bool,
    first: Mutex<Option<http1::SendRequest<Empty<Bytes>>>>,
    second: Mutex<Option<http2::SendRequest<Empty<Bytes>>>>,
    opened: AtomicU64,
}

/// What became of one try.
enum Tried {
    Answered {
        status: u16,
        told_to_leave: bool,
    },
    /// Nobody has seen it.
    Unseen,
    Failed(String),
}

impl Line {
    async fn call(&self, request: Request<Empty<Bytes>>) -> Tried {
        if self.http2 { self.call2(request).await } else { self.call1(request).await }
    }

    async fn stream(&self) -> Result<TokioIo<TcpStream>, Tried> {
        self.opened.fetch_add(1, Relaxed);
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
        let stream = stream.map_err(|error| Tried::Failed(format!("no connection: {error}")))?;
        let _ = stream.set_nodelay(true);
        Ok(TokioIo::new(stream))
    }

    async fn call1(&self, request: Request<Empty<Bytes>>) -> Tried {
        let mut open = self.first.lock().await;
        if open.is_none() {
            let stream = match self.stream().await {
                Ok(stream) => stream,
                Err(tried) => return tried,
            };
            let Ok((sender, connection)) = http1::handshake(stream).await else { return Tried::Unseen };
            tokio::spawn(connection);
            *open = Some(sender);
        }
        let Some(sender) = open.as_mut() else { return Tried::Unseen };
        let tried = match sender.ready().await {
            Ok(()) => outcome(sender.try_send_request(request).await).await,
            Err(_) => Tried::Unseen,
        };
        if !matches!(tried, Tried::Answered { told_to_leave: false, .. }) {
            *open = None;
        }
        tried
    }

    async fn call2(&self, request: Request<Empty<Bytes>>) -> Tried {
        let mut open = self.second.lock().await;
        if open.as_ref().is_none_or(http2::SendRequest::is_closed) {
            let stream = match self.stream().await {
                Ok(stream) => stream,
                Err(tried) => return tried,
            };
            match http2::handshake(TokioExecutor::new(), stream).await {
                Ok((sender, connection)) => {
                    tokio::spawn(connection);
                    *open = Some(sender);
                }
                Err(_) => return Tried::Unseen,
            }
        }
        let Some(mut sender) = open.clone() else { return Tried::Unseen };
        drop(open);
        let tried = match sender.ready().await {
            Ok(()) => outcome(sender.try_send_request(request).await).await,
            Err(_) => Tried::Unseen,
        };
        if matches!(tried, Tried::Unseen) {
            // It was told to go elsewhere and goes, with what is under way on the old connection left alone.
            let mut open = self.second.lock().await;
            if open.as_mut().is_some_and(|open| open.is_closed() || !open.is_ready()) {
                *open = None;
            }
            drop(open);
            sleep(Duration::from_millis(1)).await;
        }
        tried
    }
}

async fn outcome(sent: Result<Response<Incoming>, TrySendError<Request<Empty<Bytes>>>>) -> Tried {
    let response = match sent {
        Ok(response) => response,
        Err(mut error) => match error.take_message() {
            Some(_) => return Tried::Unseen,
            None => return failure("no answer", &error.into_error()),
        },
    };
    let status = response.status().as_u16();
    let told_to_leave = response.headers().get("connection").is_some_and(|value| value == "close");
    match response.into_body().collect().await {
        Ok(_) => Tried::Answered { status, told_to_leave },
        Err(error) => failure("half an answer", &error),
    }
}

/// RFC 9113, 8.7: streams that the server has not processed, by its own word, may be sent again.
fn failure(what: &str, error: &hyper::Error) -> Tried {
    let of_http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    let unseen = of_http2.is_some_and(|error| {
        let reason = error.reason();
        reason == Some(h2::Reason::REFUSED_STREAM) || error.is_go_away() && reason == Some(h2::Reason::NO_ERROR)
    });
    if unseen { Tried::Unseen } else { Tried::Failed(format!("{what}: {error}")) }
}

async fn call_on_and_on(habit: Habit, line: Arc<Line>, stop: Arc<AtomicBool>) -> Seen {
    let (client, mut number) = (NUMBER.fetch_add(1, Relaxed), 0_u64);
    let mut random = Random::new(client);
    let mut seen = Seen::default();
    while !stop.load(Relaxed) {
        number += 1;
        let id = format!("chaos-{}-{client}-{number}", habit.name);
        let (path, key) = (pick(&mut random, &habit.paths), pick(&mut random, &habit.keys));
        let began = Instant::now();
        let tried = loop {
            let Some(request) = request(&habit, path, key, &id) else { break Tried::Failed("no request".to_owned()) };
            match timeout(PATIENCE, line.call(request)).await {
                Ok(Tried::Unseen) if began.elapsed() < PATIENCE => {}
                Ok(Tried::Unseen) => break Tried::Failed("nobody takes it".to_owned()),
                Ok(tried) => break tried,
                Err(_) => break Tried::Failed(format!("no answer within {PATIENCE:?}")),
            }
        };
        match tried {
            Tried::Answered { status: 200, told_to_leave } => {
                seen.told_to_leave += u64::from(told_to_leave);
                seen.times.push((began, began.elapsed()));
                seen.answered.push(id);
            }
            Tried::Answered { status, .. } => seen.failed.push((Instant::now(), format!("{id}: {status}"))),
            Tried::Failed(why) => {
                seen.failed.push((Instant::now(), format!("{id}: {why}")));
                sleep(Duration::from_millis(20)).await;
            }
            Tried::Unseen => {}
        }
        if !habit.pause.is_zero() {
            sleep(habit.pause).await;
        }
    }
    seen.connections = line.opened.swap(0, Relaxed);
    seen
}

fn pick<'a>(random: &mut Random, from: &'a [String]) -> &'a str {
    let at = random.below(from.len().max(1) as u64) as usize;
    from.get(at).map_or("", String::as_str)
}

fn request(habit: &Habit, path: &str, key: &str, id: &str) -> Option<Request<Empty<Bytes>>> {
    // Only HTTP/2 says it all in the address.
    let uri = if habit.http2 { format!("http://127.0.0.1:{}{path}", habit.port) } else { path.to_owned() };
    let mut request = Request::get(uri).header("x-api-key", key).header("x-request-id", id);
    if habit.fresh {
        request = request.header("connection", "close");
    }
    if !habit.http2 {
        request = request.header("host", format!("127.0.0.1:{}", habit.port));
    }
    request.body(Empty::new()).ok()
}
