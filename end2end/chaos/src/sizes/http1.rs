//! Requests of HTTP/1.1 as bytes.

use super::Seen;
use crate::Trouble;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf},
};

/// The head of a call, with these headers besides what it needs.
pub fn head(method: &str, path: &str, key: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A request of the REST API with that body.
pub fn put(path: &str, token: &str, json: &str) -> Vec<u8> {
    let fields = [
        ("content-type".to_owned(), "application/json".to_owned()),
        ("content-length".to_owned(), json.len().to_string()),
        ("connection".to_owned(), "close".to_owned()),
    ];
    [head("PUT", path, token, &fields).as_slice(), json.as_bytes()].concat()
}

/// Sends all of it while the answer is awaited.
pub async fn send(port: u16, bytes: &[u8]) -> Result<Seen, Trouble> {
    let (mut reading, mut writing) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
    let sending = async {
        // Whoever has answered need not read on.
        let _ = writing.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => Err("sending never ends".into()),
        status = read_status(&mut reading) => status,
    }
}

/// The answer's status, once its head is here.
pub async fn read_status(reading: &mut OwnedReadHalf) -> Result<Seen, Trouble> {
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        match reading.read_buf(&mut answer).await {
            Ok(0) => return Ok(Seen::Nothing(format!("closed after {} bytes", answer.len()))),
            Ok(_) => {}
            Err(error) => return Ok(Seen::Nothing(error.to_string())),
        }
    }
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(status.map_or_else(|| Seen::Nothing("no status".to_owned()), Seen::Status))
}
