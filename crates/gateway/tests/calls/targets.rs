//! Several targets, and what happens when they fail.

use super::{
    client::{open, request, request_with, send},
    faulty::{Fault, Faulty},
    world::{PATIENCE, World, until},
};
use domain::{
    policy::{Breaker, HealthCheck, IdempotencyKey, OperationPolicy, Target, Upstream},
    usage::{Outcome, UsageEvent},
};
use http::Method;
use http_body_util::BodyExt;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// A world whose first product has these upstreams, and whose policy the function changes.
async fn world(upstreams: &[&Faulty], change: impl FnOnce(&mut Upstream)) -> World {
    let urls: Vec<String> = upstreams.iter().map(|upstream| upstream.url()).collect();
    World::with(|directory, config| {
        config.cores = 1;
        let product = &mut directory.products[0];
        product.upstream_url = urls[0].clone();
        let more = urls[1..].iter().map(|url| Target { url: url.clone(), weight: 1 });
        product.policy.upstream.targets = more.collect();
        change(&mut product.policy.upstream);
    })
    .await
}

const OFF: Breaker = Breaker { failures: 0, open_ms: 1 };

async fn counts(world: &World, calls: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for _ in 0..calls {
        *counts.entry(world.get("/payments/items/1").await.body).or_default() += 1;
    }
    counts
}

/// Waits until ten calls are answered by these and by nobody else.
async fn until_answered_by(world: &World, targets: &[&Faulty]) {
    let wanted: HashSet<String> = targets.iter().map(|target| target.address.to_string()).collect();
    let began = Instant::now();
    loop {
        let answered: HashSet<String> = counts(world, 10).await.into_keys().collect();
        if answered == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{answered:?}, not {wanted:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn calls_are_spread_over_the_targets_by_their_weights() {
    let (one, two, out) =
        (Faulty::start(Fault::None).await, Faulty::start(Fault::None).await, Faulty::start(Fault::None).await);
    let world = world(&[&one, &two, &out], |upstream| {
        upstream.own_weight = Some(3);
        upstream.targets[1].weight = 0;
    })
    .await;
    let counts = counts(&world, 40).await;
    assert_eq!(counts, HashMap::from([(one.address.to_string(), 30), (two.address.to_string(), 10)]));
    assert_eq!(out.requests(), 0);
}

#[tokio::test]
async fn each_target_has_its_own_base_path_and_host() {
    let world = World::with(|directory, config| {
        config.cores = 1;
        let product = &mut directory.products[0];
        let other = product.upstream_url.replace("127.0.0.1", "localhost").replace("/base", "/other/base");
        product.policy.upstream.targets = vec![Target { url: other, weight: 1 }];
    })
    .await;
    for _ in 0..2 {
        world.get("/payments/items/1?x=1").await;
    }
    let mut seen: Vec<_> = world
        .upstream
        .seen()
        .into_iter()
        .map(|seen| (seen.target, seen.headers["host"].to_str().expect("text").to_owned()))
        .collect();
    seen.sort();
    let port = world.upstream.address.port();
    let wanted = [("/base/items/1?x=1", "127.0.0.1"), ("/other/base/items/1?x=1", "localhost")];
    assert_eq!(seen, wanted.map(|(target, host)| (target.to_owned(), format!("{host}:{port}"))));
}

/// How long a failing target is left alone: longer than the calls of a busy machine take until it is asked for again.
const OPEN_MS: u32 = 15_000;

#[tokio::test]
async fn an_upstream_that_fails_in_any_way_is_left_alone_and_its_calls_cost_nothing() {
    // At once, because most of the time is spent waiting.
    let mut faults = JoinSet::new();
    for fault in [
        Fault::Hangs,
        Fault::TricklesHead,
        Fault::Closes,
        Fault::Resets,
        Fault::HangsInBody,
        Fault::ResetsInBody,
        Fault::Trickles,
        Fault::Unavailable,
    ] {
        faults.spawn(fails_and_is_left_alone(fault));
    }
    faults.join_all().await;
}

fn is_failed(event: &UsageEvent) -> bool {
    event.outcome == Outcome::UpstreamFailed
}

async fn fails_and_is_left_alone(fault: Fault) {
    let faulty = Faulty::start(fault).await;
    let world = World::with(|directory, config| {
        config.cores = 1;
        let product = &mut directory.products[0];
        product.upstream_url = faulty.url();
        let upstream = &mut product.policy.upstream;
        upstream.breaker = Breaker { failures: 3, open_ms: OPEN_MS };
        upstream.retry.attempts = 0;
        // Only those times are short that the fault is to run into.
        match fault {
            Fault::Hangs | Fault::TricklesHead => product.timeout_ms = 200,
            Fault::HangsInBody => upstream.timeouts.idle_ms = Some(1_000),
            Fault::Trickles => upstream.timeouts.total_ms = Some(2_000),
            _ => {}
        }
    })
    .await;
    let (mut quickest, mut calls, mut failed) = (Duration::MAX, 0, 0);
    while failed < 3 {
        calls += 1;
        assert!(calls <= 20, "{fault:?}: {failed} of {calls} calls failed");
        let began = Instant::now();
        let response = open(world.address, request(Method::GET, "/payments/items/1", &world.live)).await;
        let status = response.status().as_u16();
        let whole = response.into_body().collect().await.is_ok();
        let took = began.elapsed();
        quickest = quickest.min(took);
        match fault {
            Fault::Hangs | Fault::TricklesHead => {
                assert_eq!(status, 504, "{fault:?}");
                assert!(took >= Duration::from_millis(200), "{fault:?} had only {took:?}");
            }
            Fault::Closes | Fault::Resets => assert_eq!((status, whole), (502, true), "{fault:?}"),
            Fault::Unavailable => assert_eq!((status, whole), (503, true)),
            _ => assert_eq!((status, whole), (200, false), "{fault:?} is cut off"),
        }
        // A client may see the end a moment before it is noted; and where it was slow to read, the end is not the upstream's fault.
        let noted = world.events_once(calls).await;
        failed = noted.iter().filter(|event| fault == Fault::Unavailable || is_failed(event)).count();
    }
    let opened = Instant::now();
    // A gateway that is late is late each time; a machine that is busy is not.
    let longest = match fault {
        Fault::Trickles => 2_000,
        Fault::Hangs | Fault::TricklesHead => 200,
        _ => 1_000,
    };
    println!("{fault:?}: {quickest:?} of {longest} ms");
    assert!(quickest < Duration::from_millis(longest + 5_000), "{fault:?} took {quickest:?}");
    let requests = faulty.requests();
    let refused = world.get("/payments/items/1").await;
    assert_eq!(refused.code(), "upstream-unavailable", "{fault:?}");
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=u64::from(OPEN_MS) / 1_000).contains(&seconds), "{fault:?}: {seconds}");
    assert_eq!(faulty.requests(), requests, "{fault:?}: nothing is sent while it is open");
    let events = world.events_once(calls + 1).await;
    let free = |event: &UsageEvent| event.units == 0 || event.outcome == Outcome::ClientGone;
    assert!(events.iter().all(free), "{fault:?}: {events:#?}");
    assert_eq!(world.get("/payments/items/1").await.header("x-turnpike-units"), "0");
    // One call tries after the time, and a good answer closes it.
    faulty.turn(Fault::None);
    sleep(Duration::from_millis(u64::from(OPEN_MS) + 100).saturating_sub(opened.elapsed())).await;
    for _ in 0..3 {
        assert_eq!(world.get("/payments/items/1").await.status, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_because_of_an_open_breaker_uses_no_limit() {
    let faulty = Faulty::start(Fault::Closes).await;
    let world = World::with(|directory, config| {
        config.cores = 1;
        directory.products[0].upstream_url = faulty.url();
        directory.products[0].policy.upstream.breaker = Breaker { failures: 1, open_ms: 60_000 };
        super::world::limits(&mut directory.plans[0].terms, &[(10, domain::limit::Window::Hour)]);
    })
    .await;
    assert_eq!(world.get("/payments/items/1").await.code(), "upstream-unreachable");
    for _ in 0..20 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!((answer.code().as_str(), answer.header("x-ratelimit-remaining")), ("upstream-unavailable", "9"));
    }
}

#[tokio::test]
async fn a_call_is_tried_on_another_target_only_where_that_does_no_harm() {
    let (bad, good) = (Faulty::start(Fault::Closes).await, Faulty::start(Fault::None).await);
    let world = World::with(|directory, config| {
        config.cores = 1;
        let product = &mut directory.products[0];
        product.upstream_url = bad.url();
        product.policy.upstream.targets = vec![Target { url: good.url(), weight: 1 }];
        product.policy.upstream.breaker = OFF;
        let careful = product.operations.iter().find(|operation| operation.path == "/free").expect("an operation");
        let policy = OperationPolicy { idempotency_key: IdempotencyKey::Optional, ..OperationPolicy::default() };
        product.policy.operations.insert(careful.code.clone(), policy);
    })
    .await;
    let post = || request_with(Method::POST, "/payments/echo", &world.live, &[], "money");
    for _ in 0..4 {
        assert_eq!(world.get("/payments/items/1").await.status, 200, "a safe call finds the good one");
    }
    let statuses = |answers: Vec<u16>| answers.iter().filter(|status| **status == 200).count();
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(send(world.address, post()).await.status);
    }
    assert_eq!(statuses(answers), 2, "a post that may have been carried out is not sent again");
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(world.get("/payments/free").await.status);
    }
    assert_eq!(statuses(answers), 2, "nor is any call of an operation that takes an Idempotency-Key");
    // Where nothing was sent at all, every call may go elsewhere.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut world = world;
    world.change(|directory| directory.products[0].upstream_url = format!("http://{nobody}"));
    for _ in 0..4 {
        assert_eq!(
            send(world.address, request_with(Method::POST, "/payments/echo", &world.live, &[], "a")).await.status,
            200
        );
    }
    // Without retries the dead one's share fails.
    world.change(|directory| directory.products[0].policy.upstream.retry.attempts = 0);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(world.get("/payments/items/1").await.status);
    }
    assert_eq!(statuses(answers), 2);
}

#[tokio::test]
async fn retries_end_with_their_budget() {
    let (bad, worse) = (Faulty::start(Fault::Closes).await, Faulty::start(Fault::Closes).await);
    let world = world(&[&bad, &worse], |upstream| {
        upstream.breaker = OFF;
        upstream.retry.attempts = 5;
        upstream.retry.budget_percent = 10;
    })
    .await;
    let began = Instant::now();
    for _ in 0..40 {
        assert_eq!(world.get("/payments/items/1").await.status, 502);
    }
    let retries = bad.requests() + worse.requests() - 40;
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("few") + 2;
    assert!(retries <= 3 * seconds + 4, "{retries} retries within {seconds} s");
    assert!(retries >= 3);
}

#[tokio::test]
async fn a_health_check_takes_a_target_out_and_back_in() {
    let (one, two) = (Faulty::start(Fault::None).await, Faulty::start(Fault::None).await);
    let check = HealthCheck { path: "/health".to_owned(), interval_seconds: 1, timeout_ms: 2_000, threshold: 1 };
    let mut world = world(&[&one, &two], |upstream| {
        upstream.breaker = OFF;
        upstream.retry.attempts = 0;
        upstream.health_check = Some(check);
    })
    .await;
    // A call that still goes to one that hangs is not waited for.
    world.change(|directory| directory.products[0].timeout_ms = 1_000);
    until("each was asked", || one.requests() >= 1 && two.requests() >= 1).await;
    two.turn(Fault::Hangs);
    until_answered_by(&world, &[&one]).await;
    one.turn(Fault::Unavailable);
    let began = Instant::now();
    let refused = loop {
        let refused = world.get("/payments/items/1").await;
        if refused.header("content-type") == "application/problem+json" && refused.code() == "upstream-unavailable" {
            break refused;
        }
        assert!(began.elapsed() < PATIENCE, "{refused:?}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(refused.header("retry-after"), "5");
    two.turn(Fault::None);
    until_answered_by(&world, &[&two]).await;
    // Without the check both count again.
    one.turn(Fault::None);
    world.change(|directory| directory.products[0].policy.upstream.health_check = None);
    until_answered_by(&world, &[&one, &two]).await;
}

#[tokio::test]
async fn a_reload_forgets_no_failure() {
    let faulty = Faulty::start(Fault::Resets).await;
    let mut world = world(&[&faulty], |upstream| upstream.breaker = Breaker { failures: 2, open_ms: 60_000 }).await;
    assert_eq!(
        send(world.address, request_with(Method::POST, "/payments/echo", &world.live, &[], "a")).await.status,
        502
    );
    world.change(|directory| directory.products[0].name = "Renamed".to_owned());
    assert_eq!(
        send(world.address, request_with(Method::POST, "/payments/echo", &world.live, &[], "a")).await.status,
        502
    );
    world.change(|directory| directory.products[0].name = "Renamed again".to_owned());
    assert_eq!(world.get("/payments/items/1").await.code(), "upstream-unavailable");
    let events = world.events_once(3).await;
    let outcomes: Vec<_> = events.iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::UpstreamFailed).count(), 2, "{outcomes:?}");
}

#[tokio::test]
async fn an_operation_may_have_less_time_in_all_than_its_product() {
    let faulty = Faulty::start(Fault::Trickles).await;
    let world = World::with(|directory, _| {
        let product = &mut directory.products[0];
        product.upstream_url = faulty.url();
        product.policy.upstream.timeouts.total_ms = Some(5_000);
        let quick = product.operations.iter().find(|operation| operation.path == "/free").expect("an operation");
        let policy = OperationPolicy { total_timeout_ms: Some(300), ..OperationPolicy::default() };
        product.policy.operations.insert(quick.code.clone(), policy);
    })
    .await;
    let took = |path: &'static str| {
        let (address, key) = (world.address, world.live.clone());
        async move {
            let began = Instant::now();
            let response = open(address, request(Method::GET, path, &key)).await;
            assert!(response.into_body().collect().await.is_err());
            began.elapsed().as_millis()
        }
    };
    let mut quickest = u128::MAX;
    for _ in 0..3 {
        let quick = took("/payments/free").await;
        assert!(quick >= 300, "{quick}");
        quickest = quickest.min(quick);
    }
    assert!(quickest < 4_500, "{quickest}");
    let events = world.events_once(3).await;
    assert_eq!((events[0].outcome, events[0].units), (Outcome::UpstreamFailed, 0));
}
