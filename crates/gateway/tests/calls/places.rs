//! Calls in flight: of a partner, and at a product's upstream. Each place is given back once, however its call ends.

use super::{
    client::{open, request},
    world::World,
};
use domain::{policy::Concurrency, refusal::Code, usage::Outcome};
use http::Method;
use http_body_util::BodyExt;
use tokio::{io::AsyncWriteExt, net::TcpStream};

async fn two_at_once() -> World {
    World::with(|directory, config| {
        config.cores = 1;
        directory.plans[0].terms.admission.concurrency = Some(Concurrency { calls: 2 });
    })
    .await
}

/// A call that hangs at the upstream until its connection is dropped.
async fn hanging(world: &World, path: &str) -> TcpStream {
    let seen = world.upstream.seen().len();
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    stream.write_all(head.as_bytes()).await.expect("sent");
    world.forwarded(seen + 1).await;
    stream
}

#[tokio::test]
async fn one_call_more_than_the_plan_allows_at_once_is_refused_and_uses_no_limit() {
    let world = two_at_once().await;
    let first = hanging(&world, "/payments/stall").await;
    let second = hanging(&world, "/payments/hang").await;
    let refused = world.get("/payments/items/1").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "concurrency-exceeded"));
    assert_eq!(refused.header("retry-after"), "1");
    drop((first, second));
    let events = world.events_once(3).await;
    assert_eq!(events.iter().filter(|event| event.outcome == Outcome::ClientGone).count(), 2);
    assert_eq!(events.iter().filter(|event| event.outcome == Outcome::Refused(Code::ConcurrencyExceeded)).count(), 1);
    for _ in 0..3 {
        assert_eq!(world.get("/payments/items/1").await.status, 200, "both places are free again");
    }
}

#[tokio::test]
async fn a_place_is_given_back_after_every_kind_of_end() {
    let mut world = two_at_once().await;
    world.change(|directory| directory.products[3].timeout_ms = 300);
    let world = world;
    let invited = format!("{}/hang", world.directory.products[3].route);
    for path in ["/payments/items/1", "/payments/fail", "/payments/empty", &invited, "/payments/nowhere"] {
        for _ in 0..3 {
            let answer = world.get(path).await;
            assert_ne!(answer.status, 429, "{path}");
        }
    }
    for _ in 0..3 {
        let broken = open(world.address, request(Method::GET, "/payments/break", &world.live)).await;
        assert!(broken.collect().await.is_err());
    }
    let before = world.events_once(18).await.len();
    for number in 1..=3 {
        drop(hanging(&world, "/payments/stall").await);
        world.events_once(before + number).await;
    }
    let held = (hanging(&world, "/payments/stall").await, hanging(&world, "/payments/stall").await);
    assert_eq!(world.get("/payments/items/1").await.code(), "concurrency-exceeded", "no place was given back twice");
    drop(held);
}

#[tokio::test]
async fn a_stream_keeps_its_place_until_its_last_byte() {
    let world = two_at_once().await;
    let streams = [
        open(world.address, request(Method::GET, "/payments/flow", &world.live)).await,
        open(world.address, request(Method::GET, "/payments/flow", &world.live)).await,
    ];
    assert_eq!(world.get("/payments/items/1").await.status, 429);
    for stream in streams {
        let mut body = stream.into_body();
        while let Some(frame) = body.frame().await {
            frame.expect("a whole body");
        }
    }
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}

#[tokio::test]
async fn two_hundred_hanging_calls_of_one_product_leave_the_others_alone() {
    let world = World::with(|directory, config| {
        config.cores = 1;
        directory.products[0].policy.upstream.max_in_flight = Some(200);
    })
    .await;
    let mut hang = Vec::new();
    for _ in 0..200 {
        hang.push(hanging(&world, "/payments/hang").await);
    }
    let refused = world.get("/payments/items/1").await;
    assert_eq!((refused.status, refused.code().as_str(), refused.header("retry-after")), (503, "upstream-busy", "1"));
    let other = world.directory.products[3].route.clone();
    for _ in 0..50 {
        assert_eq!(world.get(&format!("{other}/items/1")).await.status, 200);
    }
    let events = world.events().len();
    hang.pop();
    world.events_once(events + 1).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200, "the place of the call that ended");
}
