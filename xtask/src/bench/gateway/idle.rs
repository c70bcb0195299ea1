//! Connections that made one call and then stay open: what each of them costs in memory.

use super::{Bench, turnpike};
use crate::{Outcome, bench::report};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

/// As many as that, where the system allows a process twice as many open files.
const CONNECTIONS: u64 = 10_000;

/// Files that the gateway needs besides.
const OTHER_FILES: u64 = 400;

pub fn measure() -> Outcome {
    let Bench { mut services, ours, .. } = Bench::start(turnpike::FIRST)?;
    let keys = fs::read_to_string(&ours.keys).map_err(|why| why.to_string())?;
    let key = keys.lines().next().unwrap_or_default();
    let request = format!("GET /payments/payments HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n");
    // What is allocated once, whoever calls, is there before we count.
    for _ in 0..100 {
        call(ours.port, &request)?;
    }
    sleep(Duration::from_secs(2));
    let before = ours.resident_bytes();
    let connections = CONNECTIONS.min(open_files()?.saturating_sub(OTHER_FILES) / 2);
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(call(ours.port, &request)?);
    }
    sleep(Duration::from_secs(2));
    let each = ours.resident_bytes().saturating_sub(before) / connections.max(1);
    report(&format!("memory of each of {connections} idle connections"), &format!("{each} B"), "at most 16384 B");
    drop(open);
    services.stop();
    Ok(())
}

/// How many a process may have.
fn open_files() -> Outcome<u64> {
    let limits = fs::read_to_string("/proc/self/limits").map_err(|why| why.to_string())?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    Ok(line.split_whitespace().nth(4).and_then(|hard| hard.parse().ok()).unwrap_or(u64::MAX))
}

fn call(port: u16, request: &str) -> Outcome<TcpStream> {
    let failed =
        |why: std::io::Error| format!("A connection failed: {why}. Each takes an open file here and two there.");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).map_err(failed)?;
    match answer.get(..read) {
        Some(head) if head.starts_with(b"HTTP/1.1 200") => Ok(stream),
        head => Err(format!("The gateway answered {:?}", head.map(String::from_utf8_lossy))),
    }
}
