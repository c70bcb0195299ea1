//! Refusals that come while the client is still sending.

use super::world::World;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

/// Sends all of it, and only then reads until the end.
async fn send_then_read(gateway: SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(gateway).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_client_that_sends_too_much_still_reads_why_it_was_refused() {
    let world = World::with(|_, config| config.body_limit = 1 << 20).await;
    let head = |rest: &str| format!("POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n{rest}", world.live);
    let body = "x".repeat(4 << 20);
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for (request, status) in [
        (head(&format!("content-length: {}\r\n\r\n{body}", body.len())), "413"),
        (head(&format!("transfer-encoding: chunked\r\n\r\n{chunks}")), "413"),
        (head(&format!("x: {body}\r\n\r\n")), "431"),
        (
            head("no-such-credential: x\r\ncontent-length: 4194304\r\n\r\n").replace("x-api-key", "x-other") + &body,
            "401",
        ),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "u".repeat(1 << 20)), "4"),
    ] {
        let answer = send_then_read(world.address, request.as_bytes()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{status} was lost: {error}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
}

#[tokio::test]
async fn a_refused_client_that_never_stops_sending_is_not_listened_to_for_ever() {
    let world = World::with(|_, config| config.body_limit = 1 << 20).await;
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    let head = format!(
        "POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ncontent-length: 9999999999\r\n\r\n",
        world.live
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (began, piece) = (Instant::now(), vec![0; 64 << 10]);
    let sent = timeout(Duration::from_secs(20), async {
        let mut sent = 0;
        while stream.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        sent
    });
    let sent = sent.await.expect("it is closed");
    // What the sockets hold is not read by anybody.
    assert!(sent < 32 << 20, "{sent} bytes were taken within {:?}", began.elapsed());
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}
