//! Slow clients over real sockets.

use super::*;
use crate::tasks::StopSwitch;
use axum::routing::post;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn start() -> (SocketAddr, StopSwitch) {
    let listener = bind("test", ([127, 0, 0, 1], 0).into()).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (switch, stop) = StopSwitch::new();
    let limits = BodyLimits { idle: Duration::from_millis(1_500), whole: Duration::from_millis(4_000) };
    let router = Router::new().route("/", post(|body: String| async move { body.len().to_string() }));
    tokio::spawn(serve_within(listener, router, 64, stop, limits));
    (address, switch)
}

/// Sends a byte of a body of `length` each `pause`, at most `sent`; what came back until the connection was closed.
async fn drip(address: SocketAddr, length: usize, sent: usize, pause: Duration) -> String {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut reading, mut writing) = stream.into_split();
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    writing.write_all(head.as_bytes()).await.expect("sent");
    let dripping = tokio::spawn(async move {
        for _ in 0..sent {
            if writing.write_all(b"x").await.is_err() {
                break;
            }
            sleep(pause).await;
        }
        writing
    });
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(read) = timeout(Duration::from_secs(60), reading.read(&mut chunk)).await.expect("it is closed") {
        answer.extend_from_slice(&chunk[..read]);
        if read == 0 || answer.ends_with(b"\r\n\r\n5") {
            break;
        }
    }
    dripping.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_stops_coming_or_never_ends_does_not_hold_a_connection() {
    let (address, _switch) = start().await;
    let began = Instant::now();
    let stopped = drip(address, 1_000, 3, Duration::from_millis(10)).await;
    assert!(!stopped.contains(" 200 "), "{stopped}");
    assert!((1_450..3_950).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let began = Instant::now();
    let endless = drip(address, 1_000, 1_000, Duration::from_millis(50)).await;
    assert!(!endless.contains(" 200 "), "{endless}");
    assert!(began.elapsed().as_millis() >= 3_950, "{:?}", began.elapsed());
    // A slow one that ends in time.
    let slow = drip(address, 5, 5, Duration::from_millis(100)).await;
    assert!(slow.contains(" 200 ") && slow.ends_with("\r\n\r\n5"), "{slow}");
}
