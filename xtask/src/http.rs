//! The little HTTP that our own commands need: one request to a server on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What came back, and how long its first byte took.
pub struct Answer {
    pub status: u16,
    pub first_byte: Duration,
    text: String,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        let pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    }
}

/// Asks a port of this machine; `None` where nothing answers within five seconds.
pub fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    ask(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{headers}\r\n"))
}

/// Sends a form as a browser would.
pub fn post(port: u16, path: &str, form: &[(&str, &str)]) -> Option<Answer> {
    let fields: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let body = fields.join("&");
    ask(
        port,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nAccept: text/html\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    )
}

fn ask(port: u16, request: &str) -> Option<Answer> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let start = Instant::now();
    stream.write_all(request.as_bytes()).ok()?;
    let mut all = vec![0; 12];
    stream.read_exact(&mut all).ok()?;
    let first_byte = start.elapsed();
    // A connection cut short after the status line is still an answer.
    let _ = stream.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all).into_owned();
    let status = text.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Answer { status, first_byte, text })
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn status_and_headers_are_read_and_silence_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 303 See Other\r\nLocation: /home\r\n\r\n").unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let answer = post(port, "/do/it", &[("a", "1 2"), ("b", "&")]).unwrap();
        assert_eq!((answer.status, answer.header("location")), (303, Some("/home")));
        assert!(server.join().unwrap().ends_with("\r\n\r\na=1%202&b=%26"));
        assert!(get(port, "/", &[]).is_none());
    }
}
