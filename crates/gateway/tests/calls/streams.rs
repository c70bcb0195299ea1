//! Streams flow as they come and as long as they move; a client's body is not asked for before its call is admitted.

use super::{
    client::{connect2, open, raw, request, request2},
    world::{World, quota},
};
use domain::{quota::Beyond, usage::Outcome};
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// When each frame of the answer came.
async fn arrivals(response: http::Response<Incoming>) -> Vec<Duration> {
    let began = Instant::now();
    let mut body = response.into_body();
    let mut times = Vec::new();
    while let Some(frame) = body.frame().await {
        if frame.expect("a frame").data_ref().is_some_and(|data| !data.is_empty()) {
            times.push(began.elapsed());
        }
    }
    times
}

#[tokio::test]
async fn events_pass_one_by_one_for_longer_than_the_wait_for_a_head_and_the_idle_time() {
    // The stream takes 5 s, a frame each 500 ms.
    let world = World::with(|directory, config| {
        directory.products[0].timeout_ms = 3_000;
        config.deadlines.body_idle = Duration::from_millis(4_000);
    })
    .await;
    let first = open(world.address, request(Method::GET, "/payments/drip?slowly", &world.live)).await;
    let mut connection = connect2(world.address).await;
    let slowly = request2(Method::GET, "/payments/drip?slowly", &world.live, "");
    let second = connection.send_request(slowly).await.expect("an answer");
    let (first, second) = tokio::join!(arrivals(first), arrivals(second));
    for times in [first, second] {
        assert_eq!(times.len(), 10, "{times:?}");
        let spread = times[9] - times[0];
        assert!(spread > Duration::from_millis(3_000), "they were held back: {times:?}");
    }
    assert!(world.events_once(2).await.iter().all(|event| event.outcome == Outcome::Served));
}

#[tokio::test]
async fn a_body_is_asked_for_only_once_its_call_is_admitted() {
    let mut world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 1, Beyond::Block)).await;
    let head = |key: &str, path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        )
    };
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(head(&world.live, "/payments/count").as_bytes()).await.expect("sent");
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.expect("an interim answer");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"12345").await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(!world.upstream.last().headers.contains_key("expect"), "the upstream is not asked again");

    let no_room = head(&world.live, "/payments/count");
    let nowhere = head(&world.test, "/nowhere");
    for (refused, status) in [(head("", "/payments/count"), "401"), (nowhere, "404"), (no_room, "429")] {
        let (answer, _) = raw(world.address, refused.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "no 100 before it: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    world.change(|directory| directory.products[0].upstream_url = "http://127.0.0.1:9".to_owned());
    let (answer, _) = raw(world.address, head(&world.test, "/payments/count").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "nor where there is no upstream: {answer}");
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_of_either_protocol_ends_it_at_the_upstream() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    let head = format!("GET /payments/hang HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    stream.write_all(head.as_bytes()).await.expect("sent");
    world.forwarded(1).await;
    drop(stream);
    world.cancelled(1).await;
    let mut connection = connect2(world.address).await;
    let call = connection.send_request(request2(Method::GET, "/payments/hang", &world.live, ""));
    tokio::select! {
        _ = call => panic!("it hangs"),
        () = world.forwarded(2) => {}
    }
    world.cancelled(2).await;
    let events = world.events_once(2).await;
    assert!(events.iter().all(|event| (event.status, event.outcome) == (499, Outcome::ClientGone)), "{events:?}");
}
