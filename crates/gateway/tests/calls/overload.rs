//! More calls than the gateway takes.

use super::{
    client::{request, send},
    faulty::{Fault, Faulty},
    world::{World, until},
};
use http::Method;
use std::time::{Duration, Instant};

#[tokio::test]
async fn calls_above_the_bound_are_refused_at_once_and_others_go_on_when_there_is_room() {
    let slow = Faulty::start(Fault::Hangs).await;
    let world = World::with(|directory, config| {
        config.cores = 1;
        config.max_calls = 4;
        directory.products[1].upstream_url = slow.url();
        directory.products[0].upstream_url = slow.url();
        directory.products[0].timeout_ms = 5_000;
        directory.products[0].policy.upstream.breaker.failures = 0;
        super::world::quota(&mut directory.plans[0].terms, 1_000, domain::quota::Beyond::Block);
    })
    .await;
    let hanging: Vec<_> = (0..4)
        .map(|_| {
            let (address, key) = (world.address, world.live.clone());
            tokio::spawn(async move { send(address, request(Method::GET, "/payments/items/1", &key)).await.status })
        })
        .collect();
    until("the calls at the upstream", || slow.requests() == 4).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        let refused = world.get("/payments/items/1").await;
        slowest = slowest.max(began.elapsed());
        assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("overloaded", "1"));
    }
    println!("refused within {slowest:?}");
    assert_eq!(slow.requests(), 4);
    for call in hanging {
        assert_eq!(call.await.expect("no panic"), 504);
    }
    slow.turn(Fault::None);
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    // A refused call is nobody's: it was not even asked who makes it.
    let events = world.events_once(5).await;
    assert_eq!(events.iter().map(|event| event.units).sum::<u64>(), 1);
}

#[tokio::test]
async fn unused_connections_make_room_for_other_upstreams_and_no_more_than_allowed_are_open() {
    let (one, two) = (Faulty::start(Fault::None).await, Faulty::start(Fault::None).await);
    let world = World::with(|directory, config| {
        config.cores = 1;
        config.upstream_connections_per_core = 2;
        directory.products[0].upstream_url = one.url();
        directory.products[0].timeout_ms = 5_000;
        directory.products[0].policy.upstream.breaker.failures = 0;
        directory.products[5].upstream_url = two.url();
    })
    .await;
    for _ in 0..4 {
        assert_eq!(world.get("/payments/items/1").await.body, one.address.to_string());
        assert_eq!(world.get("/payments/v2/open").await.body, two.address.to_string());
    }
    one.turn(Fault::Hangs);
    let hang = || {
        let (address, key) = (world.address, world.live.clone());
        tokio::spawn(async move { send(address, request(Method::GET, "/payments/items/1", &key)).await.status })
    };
    let (first, second) = (hang(), hang());
    let before = one.requests();
    until("both at the upstream", || one.requests() >= before + 2).await;
    // Nothing is left for a third, whichever product it is for.
    assert_eq!(world.get("/payments/v2/open").await.code(), "overloaded");
    assert_eq!((first.await.expect("no panic"), second.await.expect("no panic")), (504, 504));
    assert_eq!(world.get("/payments/v2/open").await.status, 200);
}
