//! HTTP/2 towards upstreams: many calls share a connection, trailers pass, and what was not processed may be sent again.

use super::{
    client::{self, connect2, read, request, request_with, request2, send},
    upstream::Upstream,
    world::{PATIENCE, World, until},
};
use bytes::Bytes;
use domain::{
    directory::Directory,
    policy::{HealthCheck, Protocol, Target},
    usage::Outcome,
};
use http::{HeaderValue, Method, Response};
use http_body_util::BodyExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

async fn world(change: impl FnOnce(&mut Directory)) -> (World, Upstream) {
    let upstream = Upstream::start_http2().await;
    let url = format!("http://{}/base", upstream.address);
    let world = World::with(|directory, config| {
        config.cores = 1;
        config.body_limit = 64 << 20;
        directory.products[0].upstream_url = url;
        directory.products[0].policy.upstream.protocol = Protocol::Http2;
        change(directory);
    })
    .await;
    (world, upstream)
}

#[tokio::test]
async fn calls_of_both_protocols_share_one_connection() {
    let (world, upstream) = world(|_| {}).await;
    let calls: Vec<_> = (0..60)
        .map(|number| {
            let (address, key) = (world.address, world.live.clone());
            tokio::spawn(async move {
                match number % 2 {
                    0 => {
                        let answer =
                            send(address, request_with(Method::POST, "/payments/count?a=1", &key, &[], "12345")).await;
                        (answer.status, answer.body)
                    }
                    _ => {
                        let request = request2(Method::POST, "/payments/count", &key, "1234567");
                        let answer =
                            read(connect2(address).await.send_request(request).await.expect("an answer")).await;
                        (answer.status, answer.body)
                    }
                }
            })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.expect("no panic"), (200, if number % 2 == 0 { "5" } else { "7" }.to_owned()));
    }
    assert_eq!(upstream.connections(), 1);
    let seen = upstream.seen().into_iter().find(|seen| seen.target.ends_with("a=1")).expect("a request");
    assert_eq!(seen.target, format!("http://{}/base/count?a=1", upstream.address));
    assert_eq!(seen.headers["x-upstream-key"], "for the upstream only");
    assert!(!seen.headers.contains_key("authorization") && !seen.headers.contains_key("connection"));
    let events = world.events_once(60).await;
    assert!(events.iter().all(|event| event.outcome == Outcome::Served && event.units == 1));
}

#[tokio::test]
async fn bodies_stream_both_ways_and_trailers_pass() {
    let (world, _upstream) = world(|_| {}).await;
    let mut connection = connect2(world.address).await;
    let bytes = Bytes::from(vec![7; 8 << 20]);
    let mut echo = request2(Method::POST, "/payments/echo", &world.live, "");
    *echo.body_mut() = http_body_util::Full::new(bytes.clone()).map_err(|never| match never {}).boxed();
    let response = connection.send_request(echo).await.expect("an answer");
    assert_eq!(response.collect().await.expect("a whole body").to_bytes(), bytes);

    let mut asks = request2(Method::GET, "/payments/trailers", &world.live, "");
    asks.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    let answer = read(connection.send_request(asks).await.expect("an answer")).await;
    assert_eq!(answer.trailers.expect("trailers")["x-checksum"], "abc");
    let empty = read(
        connection.send_request(request2(Method::GET, "/payments/empty", &world.live, "")).await.expect("an answer"),
    )
    .await;
    assert_eq!((empty.status, empty.body.as_str()), (204, ""));
    let dripping =
        connection.send_request(request2(Method::GET, "/payments/drip", &world.live, "")).await.expect("an answer");
    assert_eq!(read(dripping).await.body.len(), 80);
    let events = world.events_once(4).await;
    assert!(events.iter().all(|event| event.outcome == Outcome::Served), "{events:?}");
    let stalling = connection.send_request(request2(Method::GET, "/payments/stall", &world.live, "")).await;
    let begun = stalling.expect("an answer").into_body().frame().await.expect("a frame").expect("whole");
    assert_eq!(begun.into_data().expect("data"), "begun", "it is not held back until the end, which never comes");
}

#[tokio::test]
async fn a_client_that_leaves_resets_its_stream_and_no_other() {
    let (world, upstream) = world(|_| {}).await;
    let other = tokio::spawn({
        let (address, key) = (world.address, world.live.clone());
        async move { send(address, request(Method::GET, "/payments/drip", &key)).await }
    });
    let leaving = client::open(world.address, request(Method::GET, "/payments/hang", &world.live));
    let hangs = || upstream.seen().iter().any(|seen| seen.target.ends_with("/hang"));
    tokio::select! {
        _ = leaving => panic!("it hangs"),
        () = until("the call at the upstream", hangs) => {}
    }
    until("the upstream was cancelled", || upstream.cancelled.load(Ordering::SeqCst) > 0).await;
    assert_eq!(other.await.expect("no panic").body.len(), 80);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn an_unused_connection_is_closed_and_the_next_call_opens_another() {
    let (world, upstream) = world(|_| {}).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    sleep(Duration::from_millis(4_600)).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert_eq!(upstream.connections(), 2);
}

/// What a hand-made upstream does with each request of each connection.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Answers,
    /// RST_STREAM with that reason before an answer.
    Resets(h2::Reason),
    /// An answer, half a body, and RST_STREAM with that reason.
    BreaksOff(h2::Reason),
    /// GOAWAY that says that this request was not processed.
    GoesAway,
}

/// An upstream that does these things with the first requests, and answers the others. Counts requests.
async fn stubborn(does: &'static [Does]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::<AtomicUsize>::default();
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, does, counted.clone()));
        }
    });
    (url, count)
}

async fn serve(stream: TcpStream, does: &'static [Does], count: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let number = count.fetch_add(1, Ordering::SeqCst);
        match does.get(number).copied().unwrap_or(Does::Answers) {
            Does::Answers => {
                let mut body = respond.send_response(Response::new(()), false).expect("sent");
                body.send_data(Bytes::from_static(b"whole"), true).expect("sent");
            }
            Does::Resets(reason) => respond.send_reset(reason),
            Does::BreaksOff(reason) => {
                let mut body = respond.send_response(Response::new(()), false).expect("sent");
                body.send_data(Bytes::from_static(b"half"), false).expect("sent");
                tokio::spawn(async move {
                    sleep(Duration::from_millis(50)).await;
                    body.send_reset(reason);
                });
            }
            Does::GoesAway => {
                connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                drop(respond);
            }
        }
    }
}

async fn before(does: &'static [Does]) -> (World, Arc<AtomicUsize>) {
    let (url, count) = stubborn(does).await;
    let (world, _) = world(|directory| directory.products[0].upstream_url = url).await;
    (world, count)
}

#[tokio::test]
async fn a_stream_that_was_refused_unprocessed_is_sent_again() {
    let (world, count) = before(&[Does::Answers, Does::Resets(h2::Reason::REFUSED_STREAM)]).await;
    for _ in 0..2 {
        let answer = world.call(Method::DELETE, "/payments/items/1").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "whole"));
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert_eq!(world.events_once(2).await.len(), 2);
}

#[tokio::test]
async fn a_stream_that_may_have_been_processed_is_not_sent_again() {
    let (world, count) = before(&[Does::Answers, Does::Resets(h2::Reason::INTERNAL_ERROR)]).await;
    assert_eq!(world.call(Method::DELETE, "/payments/items/1").await.status, 200);
    assert_eq!(world.call(Method::DELETE, "/payments/items/1").await.code(), "upstream-unreachable");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_is_reset_is_never_taken_for_a_whole_one() {
    for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR, h2::Reason::INTERNAL_ERROR] {
        let does: &'static [Does] = Box::leak(Box::new([Does::BreaksOff(reason)]));
        let (world, _) = before(does).await;
        let response = client::open(world.address, request(Method::GET, "/payments/items/1", &world.live)).await;
        assert!(response.collect().await.is_err(), "{reason:?}");
        let event = world.events_once(1).await.remove(0);
        assert_eq!((event.outcome, event.units), (Outcome::UpstreamFailed, 0), "{reason:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_goes_away_gets_the_next_call_on_a_new_connection() {
    let (world, count) = before(&[Does::Answers, Does::GoesAway]).await;
    for _ in 0..3 {
        let answer = world.get("/payments/items/1").await;
        assert!(answer.status == 200 || answer.status == 502, "{answer:?}");
    }
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert!(count.load(Ordering::SeqCst) >= 4);
}

#[tokio::test]
async fn an_upstream_that_does_not_speak_it_is_unreachable_and_its_check_notices() {
    let (url, _) = stubborn(&[]).await;
    let other = Upstream::start().await;
    let (world, _) = world(|directory| {
        let product = &mut directory.products[0];
        product.policy.upstream.targets = vec![Target { url, weight: 1 }];
        product.upstream_url = format!("http://{}", other.address);
        product.policy.upstream.health_check =
            Some(HealthCheck { path: "/health".to_owned(), interval_seconds: 1, timeout_ms: 10_000, threshold: 1 });
    })
    .await;
    // Only the one that is well gets calls, once both were looked at.
    let (began, mut well) = (Instant::now(), 0);
    while well < 6 {
        assert!(began.elapsed() < PATIENCE, "the other still gets calls");
        well = if world.get("/payments/items/1").await.body == "whole" { well + 1 } else { 0 };
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn callers_of_grpc_hear_refusals_in_its_words() {
    let (world, upstream) = world(|directory| directory.keys[1].revoked_at = directory.keys[0].revoked_at).await;
    let mut connection = connect2(world.address).await;
    for (key, path, status, code) in
        [("", "/payments/count", "16", "missing-key"), (world.live.as_str(), "/nowhere", "12", "not-found")]
    {
        let mut call = request2(Method::POST, path, key, "");
        call.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+proto"));
        call.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        let answer = read(connection.send_request(call).await.expect("an answer")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("content-type"), "application/grpc");
        assert_eq!((answer.header("grpc-status"), answer.header("x-turnpike-error")), (status, code));
        assert!(answer.header("grpc-message").ends_with(&format!("({code})")), "{answer:?}");
    }
    assert_eq!(world.events_once(1).await[0].status, 404, "the log keeps the status of HTTP");
    let mut call = request2(Method::POST, "/payments/count", &world.live, "12345");
    call.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    call.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    assert_eq!(read(connection.send_request(call).await.expect("an answer")).await.body, "5");
    let seen = upstream.last();
    assert_eq!(
        (&seen.headers["te"], &seen.headers["content-type"]),
        (&HeaderValue::from_static("trailers"), &HeaderValue::from_static("application/grpc"))
    );
}
