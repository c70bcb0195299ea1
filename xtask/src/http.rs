//! The little HTTP that our own commands need: one GET to a server on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A status and how long the first byte of the answer took.
pub struct Answer {
    pub status: u16,
    pub first_byte: Duration,
}

/// Asks a port of this machine; `None` where nothing answers within five seconds.
pub fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let start = Instant::now();
    stream.write_all(format!("{request}\r\n").as_bytes()).ok()?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).ok()?;
    let first_byte = start.elapsed();
    let mut rest = Vec::new();
    // A connection cut short after the status line is still an answer.
    let _ = stream.read_to_end(&mut rest);
    let status = std::str::from_utf8(&first).ok()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Answer { status, first_byte })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_status_is_read_and_silence_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 429 Too Many Requests\r\n\r\n").unwrap();
        });
        assert_eq!(get(port, "/", &[("x-api-key", "k")]).unwrap().status, 429);
        server.join().unwrap();
        assert!(get(port, "/", &[]).is_none());
    }
}
