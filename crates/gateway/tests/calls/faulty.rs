//! Upstreams that fail in one way each, as bytes on a socket.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// How a [`Faulty`] treats each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers 200 with its own name.
    None,
    /// Says nothing.
    Hangs,
    /// Begins an answer of ten bytes and stops in the middle.
    HangsInBody,
    /// Begins an answer and sends another byte of it each 50 ms.
    Trickles,
    /// Sends the head itself one byte at a time.
    TricklesHead,
    /// Closes the connection after the request.
    Closes,
    /// Resets it.
    Resets,
    /// Resets it in the middle of the body.
    ResetsInBody,
    /// Answers 503.
    Unavailable,
}

/// An upstream whose fault can be changed while it runs.
#[derive(Debug, Clone)]
pub struct Faulty {
    pub address: SocketAddr,
    fault: Arc<std::sync::Mutex<Fault>>,
    requests: Arc<AtomicUsize>,
}

impl Faulty {
    pub async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let faulty = Self { address, fault: Arc::new(std::sync::Mutex::new(fault)), requests: Arc::default() };
        let shared = faulty.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move { shared.converse(stream).await });
            }
        });
        faulty
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn turn(&self, fault: Fault) {
        *self.fault.lock().expect("no panic") = fault;
    }

    /// Whole requests that arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    async fn converse(&self, mut stream: TcpStream) {
        while self.read_request(&mut stream).await {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let fault = *self.fault.lock().expect("no panic");
            match fault {
                Fault::None => {
                    let name = self.address.to_string();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                    continue;
                }
                Fault::Unavailable => {
                    let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                    continue;
                }
                Fault::Hangs => sleep(Duration::from_secs(3_600)).await,
                Fault::HangsInBody => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
                    sleep(Duration::from_secs(3_600)).await;
                }
                Fault::Trickles => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
                    while stream.write_all(b".").await.is_ok() {
                        sleep(Duration::from_millis(50)).await;
                    }
                }
                Fault::TricklesHead => {
                    for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" {
                        if stream.write_all(&[*byte]).await.is_err() {
                            return;
                        }
                        sleep(Duration::from_millis(50)).await;
                    }
                }
                Fault::Closes => {}
                Fault::Resets => stream.set_zero_linger().expect("an option"),
                Fault::ResetsInBody => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
                    // Long enough for a busy gateway to have passed the head on.
                    sleep(Duration::from_millis(700)).await;
                    stream.set_zero_linger().expect("an option");
                }
            }
            return;
        }
    }

    /// Reads a head and a body of the announced length.
    async fn read_request(&self, stream: &mut TcpStream) -> bool {
        let mut read = Vec::new();
        loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
                if read.len() >= end + 4 + length {
                    return true;
                }
            }
            if stream.read_buf(&mut read).await.is_ok_and(|bytes| bytes > 0) {
                continue;
            }
            return false;
        }
    }
}
