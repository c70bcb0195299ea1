//! A body of 1 GiB each way: how fast it passes beside nginx, and whether memory stays where it is.

use super::{Bench, Peer, nginx, turnpike};
use crate::{Outcome, bench::report};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Instant,
};

const BYTES: u64 = 1 << 30;
const PIECE: usize = 64 << 10;
const ROUNDS: usize = 3;

pub fn measure() -> Outcome {
    let Bench { mut services, folder, ours, .. } = Bench::start(turnpike::FIRST)?;
    let large = fs::File::create(folder.join(nginx::LARGE_FILE)).map_err(|why| why.to_string())?;
    large.set_len(BYTES).map_err(|why| why.to_string())?;
    start_sink()?;
    let theirs = nginx::start_proxy(&mut services, &folder, &ours.keys)?;
    let peers = [ours, theirs];
    let keys = fs::read_to_string(&peers[0].keys).map_err(|why| why.to_string())?;
    let key = keys.lines().next().unwrap_or_default();
    for (what, direction) in [("down", down as fn(&Peer, &str) -> Outcome<u64>), ("up", up)] {
        let mut best = [0, 0];
        let mut grown = [0, 0];
        for _ in 0..ROUNDS {
            for (index, peer) in peers.iter().enumerate() {
                let before = peer.resident_bytes();
                let speed = direction(peer, key)?;
                best[index] = best[index].max(speed);
                grown[index] = grown[index].max(peer.resident_bytes().saturating_sub(before));
            }
        }
        for (index, peer) in peers.iter().enumerate() {
            report(&format!("{}: 1 GiB {what}", peer.name), &format!("{} MiB/s", best[index]), "see the ratio");
            report(&format!("{}: memory that it took", peer.name), &format!("{} MiB", grown[index] >> 20), "constant");
        }
        let hundredths = (best[0] * 100).checked_div(best[1]).unwrap_or(0);
        let ratio = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        report(&format!("Turnpike's speed {what} by nginx's"), &ratio, "at least 0.90");
    }
    services.stop();
    Ok(())
}

/// An upstream that reads a body to its end before it answers, for as long as this program runs.
fn start_sink() -> Outcome {
    let listener =
        TcpListener::bind(("127.0.0.1", nginx::SINK)).map_err(|why| format!("The sink cannot listen: {why}."))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || swallow(stream));
        }
    });
    Ok(())
}

fn swallow(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::with_capacity(PIECE, stream);
    let mut left = 0_u64;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            left = length.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    while left > 0 {
        let read = stream.fill_buf()?.len();
        if read == 0 {
            return Ok(());
        }
        stream.consume(read);
        left = left.saturating_sub(read as u64);
    }
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
}

/// MiB each second.
fn down(peer: &Peer, key: &str) -> Outcome<u64> {
    let head = format!(
        "GET /payments/{} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n",
        nginx::LARGE_FILE
    );
    let began = Instant::now();
    let mut stream = connect(peer)?;
    stream.write_all(head.as_bytes()).map_err(|why| why.to_string())?;
    let (mut piece, mut all) = (vec![0; PIECE], 0);
    loop {
        match stream.read(&mut piece).map_err(|why| why.to_string())? {
            0 => break,
            read => all += read as u64,
        }
    }
    if all < BYTES { Err(format!("{} sent {all} bytes of {BYTES}.", peer.name)) } else { Ok(speed(began)) }
}

fn up(peer: &Peer, key: &str) -> Outcome<u64> {
    let head = format!(
        "POST /payments/sink HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n\
         Content-Length: {BYTES}\r\n\r\n"
    );
    let began = Instant::now();
    let mut stream = connect(peer)?;
    stream.write_all(head.as_bytes()).map_err(|why| why.to_string())?;
    let piece = vec![7; PIECE];
    for _ in 0..BYTES / PIECE as u64 {
        stream.write_all(&piece).map_err(|why| format!("{} took no more: {why}.", peer.name))?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|why| why.to_string())?;
    if answer.starts_with("HTTP/1.1 200") { Ok(speed(began)) } else { Err(format!("{} answered {answer}", peer.name)) }
}

fn connect(peer: &Peer) -> Outcome<TcpStream> {
    TcpStream::connect(("127.0.0.1", peer.port)).map_err(|why| format!("{} cannot be reached: {why}.", peer.name))
}

fn speed(began: Instant) -> u64 {
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    (BYTES >> 20) * 1_000 / milliseconds
}
