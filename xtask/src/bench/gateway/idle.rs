//! Connections that made one call and then stay open: what each of them costs in memory.

use super::Bench;
use crate::{Outcome, bench::report};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

const CONNECTIONS: u64 = 10_000;

pub fn measure() -> Outcome {
    let Bench { mut services, ours, .. } = Bench::start()?;
    let keys = fs::read_to_string(&ours.keys).map_err(|why| why.to_string())?;
    let key = keys.lines().next().unwrap_or_default();
    let request = format!("GET /payments/payments HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n");
    // What is allocated once, whoever calls, is there before we count.
    for _ in 0..100 {
        call(ours.port, &request)?;
    }
    sleep(Duration::from_secs(2));
    let before = ours.resident_bytes();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(call(ours.port, &request)?);
    }
    sleep(Duration::from_secs(2));
    let each = ours.resident_bytes().saturating_sub(before) / CONNECTIONS;
    report("memory of an idle connection", &format!("{each} B"), "at most 16384 B");
    drop(open);
    services.stop();
    Ok(())
}

fn call(port: u16, request: &str) -> Outcome<TcpStream> {
    let failed = |why: std::io::Error| format!("A connection failed: {why}. 10,000 of them need ulimit -n 25000.");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).map_err(failed)?;
    match answer.get(..read) {
        Some(head) if head.starts_with(b"HTTP/1.1 200") => Ok(stream),
        head => Err(format!("The gateway answered {:?}", head.map(String::from_utf8_lossy))),
    }
}
