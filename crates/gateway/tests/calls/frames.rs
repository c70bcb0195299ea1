//! HTTP/2 frames by hand, for what no honest client sends.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).expect("short").to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field as HPACK writes it without a table, except that `indexed` puts it into the table.
pub fn field(name: &str, value: &str, indexed: bool) -> Vec<u8> {
    let mut bytes = vec![if indexed { 0x40 } else { 0 }];
    for text in [name, value] {
        // An integer with a prefix of seven bits.
        let mut rest = text.len();
        if rest < 127 {
            bytes.push(u8::try_from(rest).expect("short"));
        } else {
            bytes.push(127);
            rest -= 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).expect("short") | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).expect("short"));
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The head of a call with that key.
pub fn head(method: &str, path: &str, key: &str) -> Vec<u8> {
    let fields =
        [(":method", method), (":scheme", "http"), (":authority", "api.example"), (":path", path), ("x-api-key", key)];
    fields.iter().flat_map(|(name, value)| field(name, value, false)).collect()
}

/// An attacker's connection, whose answers are read and counted.
pub struct Attacker {
    writer: OwnedWriteHalf,
    /// Bytes that came back.
    pub answered: Arc<AtomicU64>,
    closed: Arc<AtomicBool>,
}

impl Attacker {
    /// Greets with these settings (pairs of identifier and value).
    pub async fn connect(gateway: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let (reader, mut writer) = TcpStream::connect(gateway).await.expect("a connection").into_split();
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(identifier, value)| [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await.expect("sent");
        let (answered, closed) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        tokio::spawn(count(reader, answered.clone(), closed.clone()));
        Self { writer, answered, closed }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Sends again and again what the function makes until the gateway closes: the bytes that it took, or `None` if it
    /// took everything for that long.
    pub async fn flood(&mut self, most: Duration, mut next: impl FnMut(u32) -> Vec<u8>) -> Option<usize> {
        let (began, mut sent, mut number) = (Instant::now(), 0, 0);
        while began.elapsed() < most {
            let bytes = next(number);
            number += 1;
            sent += bytes.len();
            match timeout(Duration::from_millis(500), self.writer.write_all(&bytes)).await {
                Ok(Err(_)) => return Some(sent),
                // It stopped reading, which is a way of closing only if it then closes.
                Err(_) | Ok(Ok(())) if self.is_closed() => return Some(sent),
                _ => {}
            }
        }
        None
    }
}

async fn count(mut reader: OwnedReadHalf, answered: Arc<AtomicU64>, closed: Arc<AtomicBool>) {
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = reader.read(&mut chunk).await {
        answered.fetch_add(read as u64, Ordering::SeqCst);
    }
    closed.store(true, Ordering::SeqCst);
}

/// The memory of this process, attacker included, in bytes.
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4096
}
