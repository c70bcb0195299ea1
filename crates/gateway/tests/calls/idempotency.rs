//! The same Idempotency-Key never reaches the upstream twice, and a replay costs nothing.

use super::{
    client::{Answer, open, raw, request_with, send},
    keys::Keys,
    world::{PATIENCE, World, limits, quota},
};
use bytes::Bytes;
use domain::{
    directory::Directory,
    idempotency::Unknown,
    limit::Window,
    policy::{IdempotencyKey, OperationPolicy},
    quota::Beyond,
    usage::{Outcome, UsageEvent},
};
use gateway::Begun;
use http::Method;
use http_body_util::{BodyExt, channel::Channel};
use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// A world in which every operation of `payments` takes keys and `/count` asks for one.
async fn world(change: impl FnOnce(&mut Directory)) -> (World, Arc<Keys>) {
    let keys = Arc::new(Keys::default());
    let store = keys.clone();
    let world = World::with(|directory, config| {
        let product = &mut directory.products[0];
        for operation in &product.operations {
            let idempotency_key =
                if operation.path == "/count" { IdempotencyKey::Required } else { IdempotencyKey::Optional };
            let policy = OperationPolicy { idempotency_key, ..OperationPolicy::default() };
            product.policy.operations.insert(operation.code.clone(), policy);
        }
        config.idempotency = Some(store);
        change(directory);
    })
    .await;
    (world, keys)
}

async fn call(world: &World, method: Method, path: &str, key: &str, body: &str) -> Answer {
    send(world.address, request_with(method, path, &world.live, &[("idempotency-key", key)], body)).await
}

async fn post(world: &World, path: &str, key: &str, body: &str) -> Answer {
    call(world, Method::POST, path, key, body).await
}

async fn get(world: &World, path: &str, key: &str) -> Answer {
    call(world, Method::GET, path, key, "").await
}

fn units(events: &[UsageEvent]) -> u64 {
    events.iter().map(|event| event.units).sum()
}

#[tokio::test]
async fn fifty_racing_retries_are_one_upstream_call_and_one_charge() {
    let (world, _) = world(|_| {}).await;
    let world = Arc::new(world);
    let racing: Vec<_> = (0..50)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { get(&world, "/payments/drip", "k-1").await })
        })
        .collect();
    let (mut first, mut conflicts) = (None, 0);
    for race in racing {
        let answer = race.await.expect("no panic");
        match answer.status {
            200 if answer.header("idempotent-replayed").is_empty() => assert!(first.replace(answer).is_none()),
            200 => {}
            _ => {
                assert_eq!((answer.code().as_str(), answer.header("retry-after")), ("idempotency-in-flight", "1"));
                conflicts += 1;
            }
        }
    }
    assert!(conflicts > 0, "the race was none");
    let (first, again) = (first.expect("one was served"), get(&world, "/payments/drip", "k-1").await);
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!((first.header("x-turnpike-units"), again.header("x-turnpike-units")), ("1", "0"));
    assert_eq!(world.upstream.seen().len(), 1);
    let events = world.events_once(51).await;
    assert_eq!(units(&events), 1);
    assert_eq!(world.allowance.used(world.partner(), world.period()), 1);
    let replayed: Vec<_> = events.iter().filter(|event| event.outcome == Outcome::Replayed).collect();
    assert!(replayed.iter().all(|event| (event.status, event.bytes_out) == (200, again.body.len() as u64)));
    assert_eq!(replayed.len(), 50 - conflicts);
}

#[tokio::test]
async fn every_answer_of_the_upstream_is_given_again_whatever_its_status() {
    let (world, _) = world(|_| {}).await;
    for (path, status) in [("/payments/missing-item", 404), ("/payments/fail", 500), ("/payments/empty", 204)] {
        let seen = world.upstream.seen().len();
        let (first, again) = (get(&world, path, "k").await, get(&world, path, "k").await);
        assert_eq!((first.status, again.status, &again.body), (status, status, &first.body), "{path}");
        assert_eq!(again.header("idempotent-replayed"), "true", "{path}");
        assert_eq!(world.upstream.seen().len(), seen + 1, "{path}");
    }
    assert_eq!(units(&world.events()), 2, "the 404 and the 204");
}

#[tokio::test]
async fn headers_of_the_answer_are_given_again_without_those_of_a_connection_or_of_ours() {
    let (world, _) = world(|directory| limits(&mut directory.plans[0].terms, &[(10, Window::Minute)])).await;
    let (first, again) =
        (get(&world, "/payments/hop-by-hop", "k").await, get(&world, "/payments/hop-by-hop", "k").await);
    for answer in [&first, &again] {
        assert_eq!(answer.header("x-public"), "kept");
        assert_eq!(answer.header("set-cookie"), "own=1; Path=/");
        assert!(answer.headers.get("x-internal").is_none() && answer.headers.get("keep-alive").is_none());
    }
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"), "each call has its own");
    assert_ne!(again.header("x-request-id"), "of-the-upstream");
    assert_eq!((first.header("x-ratelimit-remaining"), again.header("x-ratelimit-remaining")), ("9", "8"));
}

#[tokio::test]
async fn trailers_are_given_again() {
    let (world, _) = world(|_| {}).await;
    let headers = [("idempotency-key", "k"), ("te", "trailers")];
    let sent = || request_with(Method::GET, "/payments/trailers", &world.live, &headers, "");
    let (first, again) = (send(world.address, sent()).await, send(world.address, sent()).await);
    assert_eq!((first.body.as_str(), again.body.as_str()), ("body", "body"));
    assert_eq!(again.trailers, first.trailers);
    assert_eq!(world.upstream.seen().len(), 1);
}

#[tokio::test]
async fn keys_are_asked_for_where_they_are_required_and_have_one_form() {
    let (world, _) = world(|_| {}).await;
    let sent = |headers: &[(&str, &str)]| {
        send(world.address, request_with(Method::POST, "/payments/count", &world.live, headers, "body"))
    };
    let missing = sent(&[]).await;
    assert_eq!((missing.status, missing.code().as_str()), (400, "idempotency-key-missing"));
    let two = [("idempotency-key", "a"), ("idempotency-key", "a")];
    for bad in [&[("idempotency-key", "")][..], &[("idempotency-key", "a b")], &[("idempotency-key", "\"a")], &two] {
        let invalid = sent(bad).await;
        assert_eq!((invalid.status, invalid.code().as_str()), (400, "idempotency-key-invalid"), "{bad:?}");
    }
    assert_eq!(world.upstream.seen().len(), 0);
    // Optional: no header, no promise.
    for _ in 0..2 {
        let sent = request_with(Method::POST, "/payments/echo", &world.live, &[], "body");
        assert_eq!(send(world.address, sent).await.body, "body");
    }
    assert_eq!(world.upstream.seen().len(), 2);
    assert_eq!(post(&world, "/payments/count", "\"quoted\"", "body").await.body, "4");
    assert_eq!(post(&world, "/payments/count", "quoted", "body").await.header("idempotent-replayed"), "true");
    let last = world.upstream.last();
    assert_eq!(last.headers["idempotency-key"], "\"quoted\"", "the upstream may keep keys too");
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let (world, _) = world(|_| {}).await;
    assert_eq!(post(&world, "/payments/echo?a=1", "k", "one").await.status, 200);
    for (path, body) in [("/payments/echo?a=1", "two"), ("/payments/echo?a=2", "one"), ("/payments/echo", "one")] {
        let other = post(&world, path, "k", body).await;
        assert_eq!((other.status, other.code().as_str()), (422, "idempotency-mismatch"), "{path} {body}");
    }
    assert_eq!(post(&world, "/payments/echo?a=1", "k", "one").await.header("idempotent-replayed"), "true");
    // Another operation and another environment know nothing of it.
    assert_eq!(post(&world, "/payments/count", "k", "one").await.body, "3");
    let test = request_with(Method::POST, "/payments/echo?a=1", &world.test, &[("idempotency-key", "k")], "one");
    assert_eq!(send(world.address, test).await.header("idempotent-replayed"), "");
    assert_eq!(world.upstream.seen().len(), 3);
}

#[tokio::test]
async fn a_client_that_leaves_finds_the_answer_when_it_comes_back() {
    let (world, _) = world(|_| {}).await;
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    let head = format!(
        "GET /payments/drip HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nIdempotency-Key: k\r\n\r\n",
        world.live
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    world.forwarded(1).await;
    drop(stream);
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.outcome, event.units, event.bytes_out), (Outcome::Served, 1, 80));
    let again = get(&world, "/payments/drip", "k").await;
    assert_eq!((again.header("idempotent-replayed"), again.body.len()), ("true", 80));
    assert_eq!(world.upstream.seen().len(), 1);
    assert_eq!(units(&world.events()), 1);
}

#[tokio::test]
async fn a_stop_waits_for_calls_whose_clients_have_left() {
    let (mut world, keys) = world(|_| {}).await;
    let (_, closed) = raw(world.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!closed);
    let head = format!(
        "GET /payments/drip HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nIdempotency-Key: k\r\n\r\n",
        world.live
    );
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    world.forwarded(1).await;
    drop(stream);
    world.gateway.take().expect("running").shutdown(PATIENCE).await;
    assert!(matches!(keys.held().as_slice(), [Begun::Answered(_)]), "{:?}", keys.held());
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_unknown_and_never_sent_again() {
    let (mut world, keys) = world(|_| {}).await;
    for (path, status, timeout_ms) in [("/payments/hang", 504, 500), ("/payments/break", 502, 60_000)] {
        world.change(|directory| directory.products[0].timeout_ms = timeout_ms);
        let seen = world.upstream.seen().len();
        assert_eq!(get(&world, path, "k").await.status, status, "{path}");
        for _ in 0..3 {
            let again = get(&world, path, "k").await;
            assert_eq!((again.status, again.code().as_str()), (409, "idempotency-unknown"), "{path}");
        }
        assert_eq!(world.upstream.seen().len(), seen + 1, "{path}");
    }
    assert_eq!(keys.held(), [Begun::Unknown(Unknown::NoAnswer), Begun::Unknown(Unknown::NoAnswer)]);
    assert_eq!(units(&world.events()), 0);
}

#[tokio::test]
async fn a_key_is_free_again_where_nothing_was_sent() {
    let (mut world, keys) = world(|directory| quota(&mut directory.plans[0].terms, 1, Beyond::Block)).await;
    let address = world.upstream.address;
    world.change(|directory| directory.products[0].upstream_url = "http://127.0.0.1:9/base".to_owned());
    let refused = post(&world, "/payments/count", "a", "body").await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream-unreachable"));
    assert_eq!(keys.held(), []);
    world.change(|directory| directory.products[0].upstream_url = format!("http://{address}/base"));
    assert_eq!(post(&world, "/payments/count", "a", "body").await.body, "4");
    // The quota is used up: new requests are refused, and their keys stay free; what was answered is given again.
    assert_eq!(post(&world, "/payments/count", "b", "body").await.code(), "quota-exceeded");
    assert_eq!(post(&world, "/payments/count", "a", "body").await.header("idempotent-replayed"), "true");
    world.change(|directory| quota(&mut directory.plans[0].terms, 2, Beyond::Block));
    assert_eq!(post(&world, "/payments/count", "b", "body").await.body, "4");
    assert_eq!(world.allowance.used(world.partner(), world.period()), 2);
}

#[tokio::test]
async fn an_answer_that_is_too_long_flows_on_and_its_key_says_so() {
    let (world, keys) = world(|directory| directory.products[0].policy.idempotency.max_body_bytes = 20).await;
    let headers = [("idempotency-key", "k")];
    let sent = request_with(Method::GET, "/payments/drip", &world.live, &headers, "");
    let mut response = open(world.address, sent).await;
    let first = response.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert!(first.starts_with(b"frame 0\nframe 1\n"), "{first:?}");
    let rest = response.collect().await.expect("the rest").to_bytes();
    assert_eq!(first.len() + rest.len(), 80);
    assert_eq!(keys.held(), [Begun::Unknown(Unknown::TooLong)]);
    let again = get(&world, "/payments/drip", "k").await;
    assert_eq!((again.status, again.code().as_str()), (409, "idempotency-unknown"));
    assert!(again.body.contains("too long to be kept"), "{}", again.body);
    let events = world.events_once(2).await;
    assert_eq!((units(&events), events.iter().map(|event| event.bytes_out).max()), (1, Some(80)));
    assert_eq!(world.upstream.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_long_does_not_wait_for_its_end() {
    let (world, _) = world(|directory| directory.products[0].policy.idempotency.max_body_bytes = 4).await;
    let headers = [("idempotency-key", "k")];
    // An answer that never ends.
    let sent = request_with(Method::GET, "/payments/stall", &world.live, &headers, "");
    let mut response = open(world.address, sent).await;
    let first = response.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert_eq!(first, "begun");
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_read_whole_is_refused_with_words_that_say_so() {
    let (world, keys) = world(|directory| directory.products[0].policy.idempotency.max_request_bytes = 8).await;
    assert_eq!(post(&world, "/payments/count", "k", "12345678").await.body, "8");
    let announced = post(&world, "/payments/count", "l", "123456789").await;
    assert_eq!((announced.status, announced.code().as_str()), (413, "body-too-large"));
    assert!(announced.body.contains("read whole") && announced.body.contains("8 bytes"), "{}", announced.body);
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(2);
    for part in ["12345", "6789"] {
        sender.send_data(Bytes::from_static(part.as_bytes())).await.expect("room");
    }
    drop(sender);
    let chunked = request_with(Method::POST, "/payments/count", &world.live, &[("idempotency-key", "m")], "");
    let answer = send(world.address, chunked.map(|_| body)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body-too-large"));
    assert_eq!((world.upstream.seen().len(), keys.held().len()), (1, 1));
    // Without a key the operation's bodies stream.
    let sent = request_with(Method::POST, "/payments/echo", &world.live, &[], "123456789");
    assert_eq!(send(world.address, sent).await.body, "123456789");
}

#[tokio::test]
async fn without_the_store_such_calls_are_refused_and_all_others_served() {
    let (world, keys) = world(|_| {}).await;
    assert_eq!(post(&world, "/payments/echo", "k", "body").await.body, "body");
    keys.down.store(true, Ordering::SeqCst);
    for key in ["k", "new"] {
        let refused = post(&world, "/payments/echo", key, "body").await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "idempotency-unavailable"));
        assert!(!refused.header("retry-after").is_empty());
    }
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert_eq!(world.upstream.seen().len(), 2);
    keys.down.store(false, Ordering::SeqCst);
    assert_eq!(post(&world, "/payments/echo", "k", "body").await.header("idempotent-replayed"), "true");
    keys.full.store(true, Ordering::SeqCst);
    assert_eq!(post(&world, "/payments/echo", "k", "body").await.header("idempotent-replayed"), "true");
    let full = post(&world, "/payments/echo", "l", "body").await;
    assert_eq!((full.status, full.code().as_str()), (503, "idempotency-unavailable"));
    assert!(full.body.contains("room"), "{}", full.body);
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_passed_on_and_not_carried_out_again() {
    let (world, keys) = world(|_| {}).await;
    let world = Arc::new(world);
    let first = {
        let world = world.clone();
        tokio::spawn(async move { get(&world, "/payments/drip", "k").await })
    };
    world.forwarded(1).await;
    keys.down.store(true, Ordering::SeqCst);
    let first = first.await.expect("no panic");
    assert_eq!((first.status, first.body.len()), (200, 80));
    keys.down.store(false, Ordering::SeqCst);
    assert_eq!(get(&world, "/payments/drip", "k").await.code(), "idempotency-in-flight");
    assert_eq!(world.upstream.seen().len(), 1);
    assert_eq!(units(&world.events()), 1);
}

#[tokio::test]
async fn a_replay_counts_in_the_limits_and_a_conflict_does_not() {
    let (world, _) = world(|directory| limits(&mut directory.plans[0].terms, &[(3, Window::Hour)])).await;
    assert_eq!(post(&world, "/payments/echo", "k", "body").await.status, 200);
    for _ in 0..5 {
        assert_eq!(post(&world, "/payments/echo", "k", "other").await.status, 422);
    }
    for _ in 0..2 {
        assert_eq!(post(&world, "/payments/echo", "k", "body").await.header("idempotent-replayed"), "true");
    }
    let over = post(&world, "/payments/echo", "k", "body").await;
    assert_eq!((over.status, over.code().as_str()), (429, "limit-exceeded"));
    assert_eq!(post(&world, "/payments/echo", "fresh", "body").await.status, 429);
    assert_eq!(world.upstream.seen().len(), 1);
}
