//! The event is in the log before the answer's last byte, whatever becomes of the call.

use super::{
    client::{open, raw, request, request_with, send},
    world::{World, quota},
};
use domain::{quota::Beyond, usage::Outcome};
use gateway::{Spool, WhenFull};
use http::Method;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn whoever_has_the_last_byte_finds_the_event_in_the_log() {
    let world = World::start().await;
    let mut count = 0;
    for path in ["/payments/items/1", "/payments/drip", "/payments/empty", "/payments/unchanged", "/payments/fail"] {
        for method in [Method::GET, Method::HEAD] {
            let answer = send(world.address, request(method.clone(), path, &world.live)).await;
            count += 1;
            // Read at once: no waiting may help.
            let events = world.events();
            let event =
                events.iter().find(|event| event.request_id == answer.header("x-request-id")).expect("the event");
            assert_eq!(events.len(), count);
            assert_eq!((event.outcome, event.status), (Outcome::Served, answer.status), "{method} {path}");
            assert_eq!(event.bytes_out, answer.body.len() as u64, "{method} {path}");
            assert_eq!(event.units, u64::from(answer.status < 500), "{method} {path}");
            assert!(event.duration_us >= event.upstream_us);
        }
    }
}

#[tokio::test]
async fn calls_that_end_together_are_each_in_the_log_before_their_answer() {
    let world = World::with(|_, config| config.cores = 1).await;
    for _ in 0..5 {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..40 {
            calls.spawn(send(world.address, request(Method::GET, "/payments/items/1", &world.live)));
        }
        while let Some(answer) = calls.join_next().await {
            let answer = answer.expect("no panic");
            // Read at once: no waiting may help.
            let found = world.events().iter().any(|event| event.request_id == answer.header("x-request-id"));
            assert_eq!((answer.status, found), (200, true));
        }
    }
    assert_eq!(world.events().len(), 200);
}

#[tokio::test]
async fn a_stream_is_recorded_at_its_end_and_not_before() {
    let world = World::start().await;
    let mut response = open(world.address, request(Method::GET, "/payments/drip", &world.live)).await;
    let first = response.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert_eq!(first, "frame 0\n", "frames flow as they come");
    assert_eq!(world.events().len(), 0);
    let rest = response.collect().await.expect("the rest").to_bytes();
    assert_eq!(rest.iter().filter(|byte| **byte == b'\n').count(), 9);
    assert_eq!(world.events()[0].bytes_out, 80);
}

#[tokio::test]
async fn the_event_says_all_that_billing_and_the_dashboard_need() {
    let world = World::start().await;
    let sent =
        request_with(Method::POST, "/payments/echo?secret=1", &world.live, &[("x-request-id", "my-call-7")], "hello");
    let answer = send(world.address, sent).await;
    assert_eq!((answer.body.as_str(), answer.header("x-request-id")), ("hello", "my-call-7"));
    let event = world.events().remove(0);
    let product = &world.directory.products[0];
    assert_eq!(event.product, Some(product.id));
    assert_eq!(event.operation, product.operations.iter().find(|operation| operation.path == "/echo").map(|o| o.id));
    assert_eq!((event.method.as_str(), event.path.as_str()), ("POST", "/echo"), "the template, and no query");
    assert_eq!((event.bytes_in, event.bytes_out, event.units), (5, 5, 1));
    assert_eq!(event.plan_version, Some(world.directory.plans[0].id));
    assert_eq!(event.at.to_string(), "2026-11-20T12:00:00Z");
    assert_eq!(event.key, world.directory.keys[0].id);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_billed_and_the_client_sees_the_break() {
    let world = World::start().await;
    let response = open(world.address, request(Method::GET, "/payments/break", &world.live)).await;
    assert!(response.collect().await.is_err());
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.outcome, event.units, event.bytes_out), (Outcome::UpstreamFailed, 0, 4));
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_an_answer_that_had_begun_and_its_upstream_call_is_cancelled() {
    let world = World::with(|directory, _| quota(&mut directory.plans[0].terms, 100, Beyond::Block)).await;
    let used = || world.allowance.used(world.partner(), world.period());
    let head = format!("GET /payments/stall HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut answer, mut some) = (String::new(), [0; 512]);
    while !answer.contains("begun") {
        let read = stream.read(&mut some).await.expect("the answer");
        assert!(read > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&some[..read]));
    }
    drop(stream);
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.outcome, event.units, event.status), (Outcome::ClientGone, 1, 200));
    assert_eq!((event.bytes_out, used()), (5, 1));

    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(head.replace("stall", "hang").as_bytes()).await.expect("sent");
    world.forwarded(2).await;
    drop(stream);
    let event = world.events_once(2).await.into_iter().find(|event| event.status == 499).expect("the event");
    assert_eq!((event.outcome, event.units, used()), (Outcome::ClientGone, 0, 1), "there was nothing of an answer yet");
    world.cancelled(1).await;
}

fn small(spool: &mut Spool, choice: WhenFull) {
    if let Spool::On { max_bytes, when_full, segment_bytes, .. } = spool {
        (*max_bytes, *when_full, *segment_bytes) = (16_000, choice, 4_000);
    }
}

#[tokio::test]
async fn a_full_log_refuses_what_would_be_billed_and_nothing_else() {
    let world = World::with(|_, config| {
        config.cores = 1;
        small(&mut config.spool, WhenFull::Refuse);
    })
    .await;
    let mut served = 0;
    let refused = loop {
        let answer = world.get("/payments/items/1").await;
        if answer.status != 200 {
            break answer;
        }
        served += 1;
        assert!(served < 1000, "it never fills");
    };
    assert_eq!((refused.status, refused.code().as_str()), (503, "metering-unavailable"));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(world.events().len(), served, "each call that was served is there");
    assert_eq!(world.upstream.seen().len(), served, "nothing is forwarded that cannot be recorded");
    assert_eq!(world.get("/payments/free").await.status, 200);
}

#[tokio::test]
async fn a_full_log_serves_unmetered_where_that_was_chosen() {
    let world = World::with(|_, config| {
        config.cores = 1;
        small(&mut config.spool, WhenFull::ServeUnmetered);
    })
    .await;
    for _ in 0..150 {
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    assert!((10..150).contains(&world.events().len()), "{}", world.events().len());
}

#[tokio::test]
async fn with_the_log_switched_off_calls_are_served_and_lost() {
    let world = World::with(|_, config| config.spool = Spool::Off).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let (answer, _) = raw(world.address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401"));
    assert_eq!(world.events().len(), 0, "the control run of the kill harness must fail");
}
