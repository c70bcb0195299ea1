//! The upstream and the load, as cheap as they can be, each on a thread of its own.

use std::{
    net::SocketAddr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::{LocalSet, spawn_local},
};

const CONNECTIONS: usize = 64;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n{\"id\":\"pay_1\",\"amount\":4200}";
const BODY: &[u8] = b"{\"id\":\"pay_1\",\"amount\":4200}";

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Answers every request with the same bytes.
pub fn start_upstream() -> SocketAddr {
    let (ready, address) = mpsc::channel();
    thread::spawn(move || {
        LocalSet::new().block_on(&runtime(), async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            ready.send(listener.local_addr().expect("an address")).expect("somebody waits");
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                spawn_local(async move {
                    let mut buffer = [0; 4096];
                    // One read holds a whole request: they are small, and one at a time.
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        if stream.write_all(ANSWER).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    address.recv().expect("its address")
}

/// Sends as many requests as get through, and says how many were answered with 200.
pub fn run(proxy: SocketAddr, keys: &[String], time: Duration) -> u64 {
    let end = Instant::now() + time;
    let requests: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| {
            let head =
                "GET /payments/items/pay_1 HTTP/1.1\r\nhost: api.example\r\nuser-agent: bench\r\naccept: */*\r\n";
            format!("{head}authorization: Bearer {key}\r\n\r\n").into_bytes()
        })
        .collect();
    LocalSet::new().block_on(&runtime(), async {
        let requests = std::rc::Rc::new(requests);
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let requests = requests.clone();
                spawn_local(async move { converse(proxy, &requests, number, end).await })
            })
            .collect();
        let mut answered = 0;
        for client in clients {
            answered += client.await.expect("no panic");
        }
        answered
    })
}

async fn converse(proxy: SocketAddr, requests: &[Vec<u8>], number: usize, end: Instant) -> u64 {
    let mut stream = TcpStream::connect(proxy).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let mut buffer = Vec::with_capacity(4096);
    let mut random = number.wrapping_mul(0x9e37_79b9) | 1;
    let mut answered = 0;
    while Instant::now() < end {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        stream.write_all(&requests[random % requests.len()]).await.expect("sent");
        buffer.clear();
        while !buffer.ends_with(BODY) {
            assert!(stream.read_buf(&mut buffer).await.expect("an answer") > 0, "the proxy hung up");
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer));
        }
        answered += 1;
    }
    answered
}
