//! Connections to the upstream that died while nobody looked.

use super::{
    client::{request, request_with, send},
    world::World,
};
use http::Method;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// An upstream that answers the first request of its first connection and hangs up on the second one without a word.
/// Later connections are served as they should be.
async fn hangs_up_once() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = requests.clone();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut answered = 0;
                while read_request(&mut stream).await {
                    seen.fetch_add(1, Ordering::SeqCst);
                    if number == 0 && answered == 1 {
                        return;
                    }
                    answered += 1;
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("written");
                }
            });
        }
    });
    (format!("http://{address}"), requests)
}

/// Reads a head, and a body of one packet after it.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 8192];
    stream.read(&mut buffer).await.is_ok_and(|read| read > 0)
}

async fn world() -> (World, Arc<AtomicUsize>) {
    let (url, requests) = hangs_up_once().await;
    let world = World::with(|directory, config| {
        config.cores = 1;
        directory.products[0].upstream_url = url;
    });
    (world.await, requests)
}

#[tokio::test]
async fn a_safe_request_that_met_a_dying_connection_is_sent_once_more() {
    let (world, requests) = world().await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let second = world.get("/payments/items/1").await;
    assert_eq!((second.status, second.body.as_str()), (200, "ok"));
    assert_eq!(requests.load(Ordering::SeqCst), 3, "the second came twice");
    assert_eq!(world.events_once(2).await.iter().map(|event| event.units).sum::<u64>(), 2, "and is billed once");
}

#[tokio::test]
async fn a_request_that_may_have_done_something_is_not_sent_again() {
    for method in [Method::POST, Method::DELETE] {
        let (world, requests) = world().await;
        assert_eq!(world.get("/payments/items/1").await.status, 200);
        let answer = match method {
            Method::POST => {
                send(world.address, request_with(method, "/payments/count", &world.live, &[], "body")).await
            }
            method => send(world.address, request(method, "/payments/items/1", &world.live)).await,
        };
        assert_eq!(answer.code(), "upstream-unreachable");
        assert_eq!(requests.load(Ordering::SeqCst), 2);
        assert_eq!(world.events_once(2).await.iter().map(|event| event.units).sum::<u64>(), 1);
    }
}
