//! HTTP/2 frames that cost the sender nothing: the connection is closed, memory stays, other callers are served.

use super::{
    frames::{
        Attacker, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
        field, frame, head, resident,
    },
    world::{PATIENCE, World, until},
};
use domain::usage::Outcome;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const MAX_GROWTH: u64 = 64 << 20;

/// Attacks on a fresh world, and looks at memory and at another caller before and after.
async fn survives(attack: impl AsyncFnOnce(&World)) {
    let world = World::with(|_, config| {
        config.cores = 1;
    })
    .await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let before = resident();
    attack(&world).await;
    let growth = resident().saturating_sub(before);
    assert!(growth < MAX_GROWTH, "memory grew by {growth} bytes");
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}

fn request(world: &World, stream: u32, path: &str, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &head("GET", path, &world.live))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[tokio::test]
async fn calls_that_are_taken_back_at_once_close_the_connection() {
    survives(async |world| {
        let mut attacker = Attacker::connect(world.address, &[]).await;
        let pairs = |batch: u32| {
            let streams = (0..200).map(|number| (batch * 200 + number) * 2 + 1);
            streams
                .flat_map(|stream| [request(world, stream, "/payments/hang", END_STREAM), reset(stream)].concat())
                .collect()
        };
        assert!(attacker.flood(PATIENCE, pairs).await.is_some(), "in batches");
    })
    .await;
}

#[tokio::test]
async fn calls_that_are_taken_back_after_a_moment_close_the_connection_too() {
    survives(async |world| {
        let mut attacker = Attacker::connect(world.address, &[]).await;
        let (began, mut number) = (Instant::now(), 0);
        while !attacker.is_closed() && began.elapsed() < PATIENCE {
            let stream = number * 2 + 1;
            number += 1;
            if attacker.send(&request(world, stream, "/payments/hang", END_STREAM)).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(3)).await;
            let _ = attacker.send(&reset(stream)).await;
        }
        until("the end of the connection", || attacker.is_closed()).await;
        assert!(number < 2_000, "{number}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_back_some_calls_among_many_is_not_an_attacker() {
    survives(async |world| {
        let mut client = Attacker::connect(world.address, &[]).await;
        for number in 0..400 {
            let stream = number * 2 + 1;
            let path = if number % 3 == 0 { "/payments/hang" } else { "/payments/items/1" };
            client.send(&request(world, stream, path, END_STREAM)).await.expect("sent");
            sleep(Duration::from_millis(3)).await;
            if number % 3 == 0 {
                client.send(&reset(stream)).await.expect("sent");
            }
        }
        assert!(!client.is_closed());
    })
    .await;
}

#[tokio::test]
async fn heads_without_an_end_close_the_connection() {
    survives(async |world| {
        let mut attacker = Attacker::connect(world.address, &[]).await;
        attacker.send(&frame(HEADERS, 0, 1, &head("GET", "/payments/items/1", &world.live))).await.expect("sent");
        let filler = field("x-filler", &"y".repeat(1_000), false);
        let closed = attacker.flood(PATIENCE, |_| frame(CONTINUATION, 0, 1, &filler)).await;
        assert!(closed.is_some_and(|bytes| bytes < 4 << 20), "{closed:?}");
        let mut attacker = Attacker::connect(world.address, &[]).await;
        attacker.send(&frame(HEADERS, 0, 1, &head("GET", "/payments/items/1", &world.live))).await.expect("sent");
        let closed = attacker.flood(PATIENCE, |_| frame(CONTINUATION, 0, 1, b"").repeat(100)).await;
        assert!(closed.is_some_and(|bytes| bytes < 4 << 20), "of nothing: {closed:?}");
    })
    .await;
}

#[tokio::test]
async fn frames_that_lead_to_no_call_close_the_connection() {
    survives(async |world| {
        for (name, one) in [
            ("PING", frame(PING, 0, 0, &[7; 8])),
            ("SETTINGS", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
            ("empty SETTINGS", frame(SETTINGS, 0, 0, &[])),
            ("unknown", frame(77, 0, 0, &[7; 8])),
        ] {
            let mut attacker = Attacker::connect(world.address, &[]).await;
            attacker.send(&request(world, 1, "/payments/items/1", END_STREAM)).await.expect("sent");
            let closed = attacker.flood(PATIENCE, |_| one.repeat(200)).await;
            assert!(closed.is_some(), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn bodies_of_nothing_and_windows_of_one_byte_close_the_connection() {
    survives(async |world| {
        let mut attacker = Attacker::connect(world.address, &[]).await;
        let post = frame(HEADERS, END_HEADERS, 1, &head("POST", "/payments/count", &world.live));
        attacker.send(&post).await.expect("sent");
        let closed = attacker.flood(PATIENCE, |_| frame(DATA, 0, 1, &[]).repeat(200)).await;
        assert!(closed.is_some(), "empty DATA");

        const INITIAL_WINDOW_SIZE: u16 = 4;
        let mut attacker = Attacker::connect(world.address, &[(INITIAL_WINDOW_SIZE, 1)]).await;
        for number in 0..100 {
            attacker.send(&request(world, number * 2 + 1, "/payments/flow", END_STREAM)).await.expect("sent");
        }
        let one = 1_u32.to_be_bytes();
        let updates = |batch: u32| {
            (0..100).flat_map(|number| frame(WINDOW_UPDATE, 0, ((number + batch) % 100) * 2 + 1, &one)).collect()
        };
        assert!(attacker.flood(PATIENCE, updates).await.is_some(), "one byte at a time");
    })
    .await;
}

#[tokio::test]
async fn answers_that_nobody_reads_hold_little_memory_and_end() {
    let world = World::with(|_, config| config.deadlines.body_idle = Duration::from_millis(800)).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    let before = resident();
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let mut attackers = Vec::new();
    for _ in 0..3 {
        let mut attacker = Attacker::connect(world.address, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        for number in 0..100 {
            attacker.send(&request(&world, number * 2 + 1, "/payments/flow", END_STREAM)).await.expect("sent");
        }
        attackers.push(attacker);
    }
    sleep(Duration::from_millis(500)).await;
    let growth = resident().saturating_sub(before);
    assert!(growth < MAX_GROWTH, "300 answers hold {growth} bytes");
    let events = world.events_once(301).await;
    assert!(events.iter().skip(1).all(|event| event.outcome != Outcome::Served || event.path == "/items/{id}"));
}

#[tokio::test]
async fn a_head_that_unfolds_into_more_than_it_is_sent_as_is_refused() {
    survives(async |world| {
        let mut attacker = Attacker::connect(world.address, &[]).await;
        let mut first = head("GET", "/payments/items/1", &world.live);
        first.extend(field("x-bomb", &"b".repeat(3_900), true));
        attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &first)).await.expect("sent");
        let before = world.upstream.seen().len();
        let mut bomb = head("GET", "/payments/items/1", &world.live);
        // The newest entry of the table, 15,000 times: 60 MB from 15 KB.
        bomb.extend([0x80 | 62; 15_000]);
        for number in 1..50 {
            if attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &bomb)).await.is_err() {
                break;
            }
        }
        until("an answer", || attacker.answered.load(Ordering::SeqCst) > 0).await;
        sleep(Duration::from_millis(300)).await;
        let seen = world.upstream.seen();
        assert!(seen.len() <= before + 1, "no bomb reaches the upstream: {}", seen.len() - before);
    })
    .await;
}
