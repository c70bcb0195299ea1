//! The upstream of the attack: answers what its strict parser reads, and writes down what it saw.

use crate::message::{self, Read as Message};
use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// The header by which a case is known behind whatever forwarded it.
pub const CASE: &str = "x-case";

type Log = Arc<Mutex<std::fs::File>>;

/// Serves until the process is stopped.
pub fn listen(port: &str, log: &str) -> Result<bool, String> {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).map_err(|why| format!("port {port}: {why}"))?;
    let file = OpenOptions::new().create(true).append(true).open(log).map_err(|why| format!("{log}: {why}"))?;
    let log: Log = Arc::new(Mutex::new(file));
    for stream in listener.incoming().flatten() {
        let log = log.clone();
        thread::spawn(move || drop(serve(stream, &log)));
    }
    Ok(true)
}

fn serve(mut stream: TcpStream, log: &Log) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    let (mut bytes, mut buffer) = (Vec::new(), [0_u8; 16 << 10]);
    loop {
        match message::read(&bytes) {
            Message::Whole(request, taken) => {
                bytes.drain(..taken);
                let case = request.header(CASE).unwrap_or_default().to_owned();
                note(
                    log,
                    &serde_json::json!({
                        "case": case, "method": request.method, "target": request.target, "body": request.body.len(),
                    }),
                );
                let body = if request.method == "HEAD" { "" } else { "ok" };
                stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}").as_bytes())?;
                if request.header("connection").is_some_and(|options| options.eq_ignore_ascii_case("close")) {
                    return Ok(());
                }
                continue;
            }
            Message::Bad(wrong) => {
                let seen: String = bytes.iter().take(400).map(|byte| char::from(*byte)).collect();
                note(log, &serde_json::json!({"bad": wrong, "seen": seen}));
                return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
            Message::More => {}
        }
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            if !bytes.is_empty() {
                let seen: String = bytes.iter().take(400).map(|byte| char::from(*byte)).collect();
                note(log, &serde_json::json!({"broken": true, "seen": seen}));
            }
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

fn note(log: &Log, line: &serde_json::Value) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = writeln!(log, "{line}").and_then(|()| log.flush()) {
        eprintln!("the recorder cannot write: {error}");
    }
}

/// Passes bytes on unread, in both directions: the control, which has to fail.
pub fn relay(port: &str, to: &str) -> Result<bool, String> {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).map_err(|why| format!("port {port}: {why}"))?;
    for client in listener.incoming().flatten() {
        let Ok(upstream) = TcpStream::connect(format!("127.0.0.1:{to}")) else { continue };
        let (Ok(client_too), Ok(upstream_too)) = (client.try_clone(), upstream.try_clone()) else { continue };
        thread::spawn(move || pass(client, upstream));
        thread::spawn(move || pass(upstream_too, client_too));
    }
    Ok(true)
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}
