//! APIs that fail, as bytes on a socket.

use crate::Trouble;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\":";
const FOR_EVER: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    HangsBeforeHead,
    HangsInBody,
    TricklesHead,
    TricklesBody,
    Resets,
    Closes,
    /// Serves that many calls at once in 20 ms each, and takes longer the more there are beyond: as a database that thrashes.
    Thrashes(u64),
}

/// A running API.
#[derive(Clone)]
pub struct Faulty {
    pub port: u16,
    requests: Arc<AtomicUsize>,
    inside: Arc<AtomicU64>,
    /// The most requests that were inside at once.
    pub most: Arc<AtomicU64>,
}

impl Faulty {
    pub async fn start(fault: Fault) -> Result<Self, Trouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let api = Self { port, requests: Arc::default(), inside: Arc::default(), most: Arc::default() };
        let shared = api.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move { shared.converse(stream, fault).await });
            }
        });
        Ok(api)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }

    async fn converse(&self, mut stream: TcpStream, fault: Fault) {
        let mut read = Vec::new();
        let _ = stream.set_nodelay(true);
        loop {
            while !read.windows(4).any(|four| four == b"\r\n\r\n") {
                if !stream.read_buf(&mut read).await.is_ok_and(|bytes| bytes > 0) {
                    return;
                }
            }
            read.clear();
            self.requests.fetch_add(1, SeqCst);
            let inside = self.inside.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(inside, SeqCst);
            let goes_on = self.fail(&mut stream, fault, inside).await;
            if !goes_on {
                return;
            }
        }
    }

    /// Answers one request, and says whether the connection goes on. A gateway that leaves ends a hanging one.
    async fn fail(&self, stream: &mut TcpStream, fault: Fault, inside: u64) -> bool {
        let crowd = match fault {
            Fault::Thrashes(capacity) => 1 + inside / (capacity + 1) * 4,
            _ => 0,
        };
        if crowd > 0 {
            sleep(Duration::from_millis(20 * crowd * crowd)).await;
        }
        if matches!(fault, Fault::None | Fault::Thrashes(_)) {
            // The work is done by the time the answer is seen: whoever sends the next request at once adds nothing to it.
            self.inside.fetch_sub(1, SeqCst);
            return stream.write_all(ANSWER).await.is_ok();
        }
        match fault {
            Fault::HangsBeforeHead => left(stream).await,
            Fault::HangsInBody => {
                let _ = stream.write_all(HALF).await;
                left(stream).await;
            }
            Fault::TricklesHead => trickle(stream, ANSWER).await,
            Fault::TricklesBody => {
                let _ = stream.write_all(HALF).await;
                trickle(stream, &[b' '; 60]).await;
            }
            Fault::Resets => {
                let _ = stream.set_zero_linger();
            }
            _ => {}
        }
        self.inside.fetch_sub(1, SeqCst);
        false
    }
}

async fn left(stream: &mut TcpStream) {
    let mut some = [0; 64];
    let _ = tokio::time::timeout(FOR_EVER, stream.read(&mut some)).await;
}

async fn trickle(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}
