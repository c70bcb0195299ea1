//! What a call costs by its answer: reserved before, settled after, and told where it is known in time.

use super::{
    client::{Answer, open, request, request_with, send},
    world::{World, quota},
};
use domain::{
    directory::Directory,
    policy::Cost,
    quota::Beyond,
    usage::{Outcome, UsageEvent},
};
use http::Method;
use http_body_util::BodyExt;

pub fn cost(directory: &mut Directory, path: &str, cost: Cost) {
    let product = &mut directory.products[0];
    let operation = product.operations.iter().find(|operation| operation.path == path).expect("the operation");
    product.policy.operations.entry(operation.code.clone()).or_default().cost = Some(cost);
}

async fn world(path: &str, policy: Cost, units: u64) -> World {
    World::with(|directory, _| {
        cost(directory, path, policy);
        quota(&mut directory.plans[0].terms, units, Beyond::Block);
    })
    .await
}

fn by_header() -> Cost {
    Cost::Header { name: "X-Units".to_owned(), reserve: 5 }
}

fn used(world: &World) -> u64 {
    world.allowance.used(world.partner(), world.period())
}

/// The event of the call that was answered so.
async fn event(world: &World, answer: &Answer) -> UsageEvent {
    let id = answer.header("x-request-id");
    loop {
        if let Some(event) = world.events().into_iter().find(|event| event.request_id == id) {
            return event;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_header_says_what_a_call_costs_and_stays_with_us() {
    let world = world("/priced", by_header(), 100).await;
    let mut total = 0;
    for (query, units) in [("?7", 7), ("?0", 0), ("?2", 2), ("", 5), ("?3&3", 5), ("?many", 5), ("?30", 30)] {
        let answer = world.get(&format!("/payments/priced{query}")).await;
        total += units;
        assert_eq!((answer.status, answer.header("x-units")), (200, ""), "{query}");
        assert_eq!(answer.header("x-turnpike-units"), units.to_string(), "{query}");
        assert!(answer.header("ratelimit").contains(&format!("\"quota\";r={};", 100 - total)), "{query}");
        assert_eq!((event(&world, &answer).await.units, used(&world)), (units, total), "{query}");
    }
    let failed = request_with(Method::GET, "/payments/priced?9", &world.live, &[("x-fail", "1")], "");
    let failed = send(world.address, failed).await;
    assert_eq!((failed.status, failed.header("x-turnpike-units"), used(&world)), (500, "0", total));
    let test = send(world.address, request(Method::GET, "/payments/priced?9", &world.test)).await;
    assert_eq!((test.status, test.header("x-units"), used(&world)), (200, "", total), "test calls cost nothing");
}

#[tokio::test]
async fn the_reserve_has_to_fit_the_quota_and_a_larger_cost_is_taken_as_well() {
    let world = world("/priced", by_header(), 10).await;
    assert_eq!(world.get("/payments/priced?4").await.status, 200);
    assert_eq!(world.get("/payments/priced?9").await.header("x-turnpike-units"), "9");
    assert_eq!(used(&world), 13, "it was served, so it counts");
    assert_eq!(world.get("/payments/priced?0").await.code(), "quota-exceeded");
    assert_eq!(used(&world), 13);
}

#[tokio::test]
async fn a_json_field_is_read_from_a_short_answer_whose_bytes_do_not_change() {
    let world = world("/echo", Cost::JsonField { pointer: "/usage/units".to_owned(), reserve: 4 }, 1_000).await;
    let long = format!("{{\"usage\":{{\"units\":9}},\"text\":\"{}\"}}", "x".repeat(1 << 20));
    for (body, units) in [("{\"usage\": {\"units\": 2.5}}", 3), ("{\"usage\":{}}", 4), ("no json", 4), (&*long, 4)] {
        let sent = request_with(Method::POST, "/payments/echo", &world.live, &[("accept-encoding", "gzip")], body);
        let answer = send(world.address, sent).await;
        assert!(answer.body == body, "{} bytes came back", answer.body.len());
        assert_eq!(answer.header("x-turnpike-units"), units.to_string());
        let event = event(&world, &answer).await;
        assert_eq!((event.units, event.bytes_out, event.outcome), (units, body.len() as u64, Outcome::Served));
        assert_eq!(world.upstream.last().headers["accept-encoding"], "identity");
    }
    assert_eq!(used(&world), 15);
}

#[tokio::test]
async fn an_answer_that_breaks_off_while_its_cost_is_read_costs_nothing() {
    let pointer = || Cost::JsonField { pointer: "/units".to_owned(), reserve: 4 };
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 100, Beyond::Block);
        directory.products[0].timeout_ms = 3_000;
        ["/break", "/stall"].into_iter().for_each(|path| cost(directory, path, pointer()));
    })
    .await;
    assert_eq!(world.get("/payments/break").await.code(), "upstream-unreachable");
    assert_eq!(world.get("/payments/stall").await.code(), "upstream-timeout");
    let events = world.events_once(2).await;
    assert!(events.iter().all(|event| (event.outcome, event.units) == (Outcome::UpstreamFailed, 0)), "{events:?}");
    assert_eq!(used(&world), 0);
}

#[tokio::test]
async fn trailers_survive_an_answer_that_was_read_for_its_cost() {
    let policy = Cost::JsonField { pointer: "/units".to_owned(), reserve: 1 };
    let world = World::with(|directory, _| cost(directory, "/trailers", policy)).await;
    let sent = request_with(Method::GET, "/payments/trailers", &world.live, &[("te", "trailers")], "");
    let answer = send(world.address, sent).await;
    assert_eq!(answer.body, "body");
    assert_eq!(answer.trailers.expect("trailers")["x-checksum"], "abc");
}

#[tokio::test]
async fn bytes_are_counted_as_they_are_handed_over() {
    let bytes = |reserve| Cost::Bytes { per: 10, reserve };
    let world = World::with(|directory, _| {
        quota(&mut directory.plans[0].terms, 100, Beyond::Block);
        ["/echo", "/drip", "/empty", "/stall"].into_iter().for_each(|path| cost(directory, path, bytes(2)));
    })
    .await;
    let sent = request_with(Method::POST, "/payments/echo", &world.live, &[], &"x".repeat(41));
    assert_eq!(send(world.address, sent).await.header("x-turnpike-units"), "5");
    let streamed = world.get("/payments/drip").await;
    assert_eq!(streamed.header("x-turnpike-units"), "", "not known when the head leaves");
    assert_eq!(world.get("/payments/empty").await.header("x-turnpike-units"), "0");
    let mut left = open(world.address, request(Method::GET, "/payments/stall", &world.live)).await;
    left.frame().await.expect("a frame").expect("whole");
    drop(left);
    let mut units: Vec<u64> = world.events_once(4).await.iter().map(|event| event.units).collect();
    units.sort_unstable();
    assert_eq!(units, [0, 1, 5, 8]);
    assert_eq!(used(&world), 14);
}

#[tokio::test]
async fn milliseconds_count_until_the_answer_begins() {
    let world = world("/priced", Cost::Milliseconds { per: 1, reserve: 1 }, 1_000_000).await;
    let answer = world.get("/payments/priced").await;
    let event = event(&world, &answer).await;
    assert_eq!(event.units, event.upstream_us.div_ceil(1_000));
    assert_eq!(answer.header("x-turnpike-units"), event.units.to_string());
    assert!(event.units >= 1);
}
