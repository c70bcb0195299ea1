//! Clients that hold on to what they hardly use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Attackers that need a key, of each such kind; what they hold is bounded by the partner's limits in earnest.
const WITH_KEY: usize = 100;
/// How long a closed attacker waits before it comes back, so that the attack itself does not take the machine.
const BREATH: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Silent,
    Head,
    Preface,
    Body,
    Reader,
}

/// Running attackers.
pub struct Attack {
    stop: Arc<AtomicBool>,
    open: Arc<Open>,
    running: JoinSet<Lasted>,
}

#[derive(Default)]
struct Open {
    now: AtomicU64,
    most: AtomicU64,
}

/// What one attacker had.
struct Lasted {
    kind: Kind,
    longest: Duration,
    ended: u64,
    refused: u64,
}

/// What they had together.
pub struct Found {
    all: Vec<Lasted>,
    /// Connections that could not be made, or were turned away at once.
    pub refused: u64,
    pub most_open: u64,
}

impl Found {
    /// How long a connection of this kind lasted at most, one that still stood at the end included; and how many were ended.
    pub fn of(&self, kind: Kind) -> (Duration, u64) {
        let of_kind = || self.all.iter().filter(|lasted| lasted.kind == kind);
        let longest = of_kind().map(|lasted| lasted.longest).max().unwrap_or_default();
        (longest, of_kind().map(|lasted| lasted.ended).sum())
    }
}

impl Attack {
    pub fn start(port: u16, key: &str, connections: usize, trickle: Duration) -> Self {
        let (stop, open) = (Arc::<AtomicBool>::default(), Arc::<Open>::default());
        let mut running = JoinSet::new();
        for number in 0..connections {
            let kind = match number {
                _ if number < WITH_KEY.min(connections / 10) => Kind::Body,
                _ if number < 2 * WITH_KEY.min(connections / 10) => Kind::Reader,
                _ => [Kind::Silent, Kind::Silent, Kind::Head, Kind::Preface, Kind::Head][number % 5],
            };
            // Some are quicker, so that bytes come in before the deadline.
            let trickle = if number % 2 == 0 { trickle } else { trickle / 10 };
            let attacker =
                Attacker { port, key: key.to_owned(), kind, trickle, stop: stop.clone(), open: open.clone() };
            running.spawn(async move {
                // They do not all come at the same instant.
                sleep(Duration::from_micros(number as u64 * 200)).await;
                attacker.attack().await
            });
        }
        Self { stop, open, running }
    }

    pub async fn stop(self) -> Found {
        self.stop.store(true, Relaxed);
        let all = self.running.join_all().await;
        let refused = all.iter().map(|lasted| lasted.refused).sum();
        Found { all, refused, most_open: self.open.most.load(Relaxed) }
    }
}

struct Attacker {
    port: u16,
    key: String,
    kind: Kind,
    trickle: Duration,
    stop: Arc<AtomicBool>,
    open: Arc<Open>,
}

impl Attacker {
    async fn attack(self) -> Lasted {
        let mut lasted = Lasted { kind: self.kind, longest: Duration::ZERO, ended: 0, refused: 0 };
        while !self.stop.load(Relaxed) {
            let Ok(stream) = self.connect().await else {
                lasted.refused += 1;
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let began = Instant::now();
            let now = self.open.now.fetch_add(1, Relaxed) + 1;
            self.open.most.fetch_max(now, Relaxed);
            let ended = self.hold(stream).await;
            self.open.now.fetch_sub(1, Relaxed);
            lasted.longest = lasted.longest.max(began.elapsed());
            lasted.ended += u64::from(ended);
            sleep(BREATH).await;
        }
        lasted
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if self.kind == Kind::Reader {
            socket.set_recv_buffer_size(4_096)?;
        }
        socket.connect(([127, 0, 0, 1], self.port).into()).await
    }

    /// Whether the server ended it; otherwise the attack is over.
    async fn hold(&self, mut stream: TcpStream) -> bool {
        let key = &self.key;
        let text = match self.kind {
            Kind::Silent => String::new(),
            Kind::Head => format!("GET /payments/payments HTTP/1.1\r\nHost: a\r\nX-Filler: {}", "f".repeat(4_000)),
            Kind::Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            Kind::Body => format!(
                "POST /slow/payments HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: 100000\r\n\r\n{}",
                "b".repeat(100_000)
            ),
            Kind::Reader => {
                format!("GET /slow/payments?bytes=8000000 HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n")
            }
        };
        // What a call needs before it can be slow.
        let at_once = match self.kind {
            Kind::Body => text.find("\r\n\r\n").map_or(0, |end| end + 4),
            Kind::Reader => text.len(),
            Kind::Silent | Kind::Head | Kind::Preface => 0,
        };
        if stream.write_all(text.get(..at_once).unwrap_or_default().as_bytes()).await.is_err() {
            return true;
        }
        let mut rest = text.as_bytes().get(at_once..).unwrap_or_default().iter();
        let mut since = Instant::now();
        while !self.stop.load(Relaxed) {
            if self.kind == Kind::Reader {
                sleep(self.trickle.min(Duration::from_millis(500))).await;
                let mut one = [0];
                // A byte, or the end after what the system had taken in for us.
                if !matches!(timeout(self.trickle, stream.read(&mut one)).await, Ok(Ok(1)) | Err(_)) {
                    return true;
                }
                if is_closed_by_peer(&stream) {
                    return true;
                }
                continue;
            }
            let mut answer = [0; 1_024];
            if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(200), stream.read(&mut answer)).await {
                return true;
            }
            if since.elapsed() >= self.trickle
                && let Some(byte) = rest.next()
            {
                since = Instant::now();
                if stream.write_all(&[*byte]).await.is_err() {
                    return true;
                }
            }
        }
        false
    }
}

/// Whether the other side has ended the connection, though much of what it sent before is still to be read.
fn is_closed_by_peer(stream: &TcpStream) -> bool {
    stream.take_error().ok().flatten().is_some()
}
