//! Bodies of 64 MiB both ways, in memory that does not grow with them: over both protocols, to upstreams of both protocols.

use super::{
    alone::alone,
    client::{connect2, read},
    frames::resident,
    upstream::Upstream,
    world::World,
};
use bytes::Bytes;
use domain::policy::Protocol;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, channel::Channel, combinators::BoxBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

const LARGE: usize = 64 << 20;
/// Client, gateway and upstream are one process here.
const MAX_GROWTH: u64 = 24 << 20;

type Body = BoxBody<Bytes, io::Error>;

async fn world(protocol: Protocol) -> (World, Upstream) {
    let upstream = match protocol {
        Protocol::Http1 => Upstream::start().await,
        Protocol::Http2 => Upstream::start_http2().await,
    };
    let url = format!("http://{}", upstream.address);
    let world = World::with(|directory, config| {
        config.cores = 1;
        config.body_limit = 2 * LARGE as u64;
        directory.products[0].timeout_ms = 60_000;
        directory.products[0].upstream_url = url;
        directory.products[0].policy.upstream.protocol = protocol;
    })
    .await;
    (world, upstream)
}

fn request(world: &World, method: Method, path: &str, body: Body) -> Request<Body> {
    let builder = Request::builder().method(method).uri(format!("http://api.example{path}"));
    builder.header("host", "api.example").header("x-api-key", &world.live).body(body).expect("a request")
}

/// 64 MiB that are made as they are taken.
fn flow() -> Body {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let piece = Bytes::from(vec![b'u'; 64 << 10]);
        for _ in 0..LARGE / piece.len() {
            if sender.send_data(piece.clone()).await.is_err() {
                return;
            }
        }
    });
    body.boxed()
}

async fn call(world: &World, http2: bool, request: Request<Body>) -> Response<Incoming> {
    if http2 {
        return connect2(world.address).await.send_request(request).await.expect("an answer");
    }
    let stream = TcpStream::connect(world.address).await.expect("a connection");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender.send_request(request).await.expect("an answer")
}

/// The most memory beyond what was there before, while the work was done.
async fn growth<T>(work: impl Future<Output = T>) -> (T, u64) {
    let before = resident();
    let mut most = 0;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = work.as_mut() => return (done, most),
            () = sleep(Duration::from_millis(5)) => most = most.max(resident().saturating_sub(before)),
        }
    }
}

#[tokio::test]
async fn large_bodies_pass_both_ways_in_constant_memory() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (world, _upstream) = world(protocol).await;
        let empty = || http_body_util::Empty::new().map_err(|never| match never {}).boxed();
        assert_eq!(call(&world, false, request(&world, Method::GET, "/payments/items/1", empty())).await.status(), 200);
        for http2 in [false, true] {
            let (answer, up) = growth(async {
                read(call(&world, http2, request(&world, Method::POST, "/payments/sink", flow())).await).await
            })
            .await;
            assert_eq!((answer.status, answer.body), (200, LARGE.to_string()));
            let (bytes, down) = growth(async {
                let mut body =
                    call(&world, http2, request(&world, Method::GET, "/payments/flow", empty())).await.into_body();
                let mut bytes = 0;
                while let Some(frame) = body.frame().await {
                    bytes += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
                }
                bytes
            })
            .await;
            assert_eq!(bytes, LARGE);
            println!("to {protocol:?}, from HTTP/2 {http2}: up {} KiB, down {} KiB", up >> 10, down >> 10);
            assert!(up < MAX_GROWTH && down < MAX_GROWTH, "to {protocol:?}, from HTTP/2 {http2}: {up} up, {down} down");
        }
    }
}

#[tokio::test]
async fn the_control_a_body_that_is_kept_is_seen_in_memory() {
    let (world, _upstream) = world(Protocol::Http1).await;
    let empty = http_body_util::Empty::new().map_err(|never| match never {}).boxed();
    let (answer, kept) =
        growth(async { read(call(&world, true, request(&world, Method::GET, "/payments/flow", empty)).await).await })
            .await;
    assert_eq!(answer.body.len(), LARGE);
    assert!(kept > MAX_GROWTH, "{kept}");
}

#[test]
fn a_connection_between_two_calls_holds_little_memory() {
    alone("large::many_connections_between_two_calls");
}

#[tokio::test]
#[ignore = "run as a child by the test above"]
async fn many_connections_between_two_calls() {
    const MANY: u64 = 1_000;
    let (world, upstream) = world(Protocol::Http1).await;
    let head = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let open = async || {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = [0; 2048];
        assert!(stream.read(&mut answer).await.expect("an answer") > 100);
        stream
    };
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(open().await);
    }
    // Those that rest make room for others.
    let before = resident();
    for number in 1..=MANY {
        idle.push(open().await);
        upstream.forget();
        if number % 100 == 0 {
            sleep(Duration::from_millis(1_300)).await;
        }
    }
    let each = resident().saturating_sub(before) / MANY;
    println!("{each} bytes for each connection, its client's included");
    assert!(each < 12 << 10, "{each} bytes");
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_take_waits_at_the_upstream() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (world, _upstream) = world(protocol).await;
        for http2 in [false, true] {
            let empty = http_body_util::Empty::new().map_err(|never| match never {}).boxed();
            let answer = call(&world, http2, request(&world, Method::GET, "/payments/flow", empty)).await;
            let ((), grown) = growth(sleep(Duration::from_millis(400))).await;
            assert!(grown < MAX_GROWTH, "to {protocol:?}, from HTTP/2 {http2}: {grown}");
            drop(answer);
        }
    }
}
