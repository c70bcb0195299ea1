//! Kept answers: whose they are, what they cost, how long they are good.

use super::{
    client::{Answer, request, request_with, send},
    scripted::Scripted,
    world::{PATIENCE, World, key_text, quota},
};
use domain::{
    id::{AppId, KeyId, PartnerId, SubscriptionId},
    key_text::Environment,
    policy::{Cache, CachePrice, OperationPolicy},
    quota::Beyond,
    usage::Outcome,
};
use gateway::{Which, hash_key};
use http::Method;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::time::sleep;
use uuid::Uuid;

/// A world whose product keeps answers, with a second partner on the same plan and that partner's key.
async fn world(upstream: &Scripted, cache: Cache) -> (World, String) {
    let other = key_text(Environment::Live, 77);
    let (url, key) = (upstream.url(), other.clone());
    let world = World::with(move |directory, _| {
        directory.products[0].upstream_url = url;
        directory.products[0].policy.cache = Some(cache);
        quota(&mut directory.plans[0].terms, 1_000_000, Beyond::Block);
        let id = PartnerId(Uuid::from_u128(2));
        let mut partner = directory.partners[0].clone();
        partner.id = id;
        if let Some(subscription) = &mut partner.subscription {
            subscription.id = SubscriptionId(Uuid::from_u128(32));
        }
        directory.partners.push(partner);
        let mut own = directory.keys[0].clone();
        (own.id, own.partner, own.app) = (KeyId(Uuid::from_u128(99)), id, AppId(Uuid::from_u128(59)));
        own.hash = hash_key(&super::world::PEPPER, &key);
        directory.keys.push(own);
    })
    .await;
    (world, other)
}

async fn get(world: &World, key: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(world.address, request_with(Method::GET, path, key, headers, "")).await
}

const FRESH: &str = "cache-control: max-age=60\r\n";

#[tokio::test]
async fn a_hit_does_not_reach_the_upstream_and_is_recorded_at_its_own_price() {
    let upstream = Scripted::start(|_| FRESH.to_owned()).await;
    let price = CachePrice::Units(2);
    let (world, _) = world(&upstream, Cache { price, ..Cache::default() }).await;
    let first = world.get("/payments/heavy").await;
    assert_eq!(
        (first.header("cache-status"), first.header("x-turnpike-units")),
        ("turnpike; fwd=uri-miss; stored", "5")
    );
    let second = world.get("/payments/heavy").await;
    assert!(second.header("cache-status").starts_with("turnpike; hit; ttl="), "{second:?}");
    assert_eq!((second.body.as_str(), second.header("age")), (first.body.as_str(), "0"));
    assert_eq!(second.header("x-turnpike-units"), "2");
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    assert!(second.header("ratelimit").contains(&format!("r={}", 1_000_000 - 7)), "recomputed: {second:?}");
    assert_eq!(upstream.count(), 1);
    let events = world.events_once(2).await;
    let hit = events.iter().find(|event| event.outcome == Outcome::Cached).expect("a hit");
    assert_eq!((hit.units, hit.status, hit.bytes_out), (2, 200, first.body.len() as u64));
    assert_eq!(world.allowance.used(world.partner(), world.period()), 7, "not a unit more is held");
}

#[tokio::test]
async fn a_partner_whose_quota_is_gone_still_gets_what_costs_nothing() {
    let upstream = Scripted::start(|_| FRESH.to_owned()).await;
    let (mut world, _) = world(&upstream, Cache { price: CachePrice::Units(0), ..Cache::default() }).await;
    world.change(|directory| quota(&mut directory.plans[0].terms, 5, Beyond::Block));
    assert_eq!(world.get("/payments/heavy").await.status, 200);
    assert_eq!(world.get("/payments/heavy").await.status, 200, "a hit");
    assert_eq!(world.get("/payments/items/1").await.code(), "quota-exceeded");
}

#[tokio::test]
async fn partners_environments_and_hosts_never_share_an_answer_unless_the_product_is_public() {
    let upstream = Scripted::start(|_| FRESH.to_owned()).await;
    let (world, other) = world(&upstream, Cache::default()).await;
    for key in [&world.live, &other, &world.test] {
        for _ in 0..2 {
            get(&world, key, "/payments/items/me.css", &[]).await;
        }
    }
    assert_eq!(upstream.count(), 3, "each once");

    let upstream = Scripted::start(|_| FRESH.to_owned()).await;
    let (world, other) = self::world(&upstream, Cache { public: true, ..Cache::default() }).await;
    let first = get(&world, &world.live, "/payments/items/1", &[]).await;
    assert_eq!(get(&world, &other, "/payments/items/1", &[]).await.body, first.body);
    assert_eq!(upstream.count(), 1, "declared the same for everybody");
    get(&world, &world.test, "/payments/items/1", &[]).await;
    let elsewhere = request_with(Method::GET, "/payments/items/1", &other, &[], "");
    let (mut head, body) = elsewhere.into_parts();
    head.headers.insert("host", "evil.example".parse().expect("a value"));
    send(world.address, http::Request::from_parts(head, body)).await;
    assert_eq!(upstream.count(), 3, "another environment, another host");
}

/// Everything that has made some cache give one caller's answer to another: the attack, then the victim's request.
#[tokio::test]
async fn nothing_of_one_partner_reaches_another_whatever_it_sends() {
    // The upstream shows the request it saw, so that whatever is shared by mistake is seen in the victim's answer.
    let upstream = Scripted::start(|seen| format!("{FRESH}x-seen: {}\r\n", hex(seen))).await;
    for public in [false, true] {
        let (world, other) = world(&upstream, Cache { public, ..Cache::default() }).await;
        let victim = "/payments/items/1?a=1";
        for (number, (path, headers, body)) in [
            ("", &[("x-forwarded-host", "evil.example")][..], ""),
            ("", &[("x-host", "evil.example")], ""),
            ("", &[("x-original-url", "/evil")], ""),
            ("", &[("x_original_url", "/evil")], ""),
            ("", &[("x-rewrite-url", "/evil")], ""),
            ("", &[("x-http-method-override", "DELETE-evil")], ""),
            ("", &[("x-method-override", "evil")], ""),
            ("", &[("forwarded", "host=evil")], ""),
            ("", &[("x-forwarded-scheme", "evil")], ""),
            ("", &[("x-forwarded-for", "evil")], ""),
            ("", &[("x-turnpike-environment", "evil")], ""),
            ("", &[("cookie", "session=evil")], ""),
            ("", &[("range", "bytes=0-0"), ("x-original-evil", "evil")], ""),
            ("", &[], "fat=evil"),
            ("/payments/items/1?a=1;a=evil", &[], ""),
            ("/payments/items/1?a=1&utm_content=x;a=evil", &[], ""),
            ("/payments/items/1?a=1&a=evil", &[], ""),
            ("/payments/items/1?a=1%26a=evil", &[], ""),
            ("/payments/items/1?a=1%23evil", &[], ""),
            ("/payments/items/1?a=1&%61=evil", &[], ""),
            ("/payments/items/1.css?a=1&evil", &[], ""),
            ("/payments/items/1%3Bevil.js?a=1", &[], ""),
            ("/payments/items/1%23evil.js?a=1", &[], ""),
            ("/payments/items/1%2Fevil.css?a=1", &[], ""),
        ]
        .into_iter()
        .enumerate()
        {
            let own = format!("{victim}&case={number}");
            let path = if path.is_empty() { own.clone() } else { format!("{path}&case={number}") };
            send(world.address, request_with(Method::GET, &path, &other, headers, body)).await;
            let answer = get(&world, &world.live, &own, &[]).await;
            assert_eq!(answer.status, 200, "{path} {headers:?}");
            let seen = answer.header("x-seen");
            assert!(!seen.contains(&hex("evil")), "public {public}: {path} {headers:?} {body}: {answer:?}");
            for method in [Method::HEAD, Method::GET] {
                let again =
                    send(world.address, request_with(method, &own, &world.live, &[("range", "bytes=0-1")], "")).await;
                assert!(!again.header("x-seen").contains(&hex("evil")), "{again:?}");
            }
        }
    }
}

fn hex(text: &str) -> String {
    text.to_ascii_lowercase().bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_is_for_one_client_is_never_kept() {
    let upstream = Scripted::start(|seen| match path(seen) {
        "/items/cookie" => format!("{FRESH}set-cookie: a=b\r\n"),
        "/items/private" => "cache-control: private, max-age=60\r\n".to_owned(),
        "/items/silent" => String::new(),
        "/items/vary" => format!("{FRESH}vary: *\r\n"),
        _ => FRESH.to_owned(),
    })
    .await;
    let (mut world, _) = world(&upstream, Cache::default()).await;
    world.change(|directory| {
        let policy = OperationPolicy { never_cached: true, ..OperationPolicy::default() };
        let heavy = directory.products[0].operations.iter().find(|operation| operation.path == "/heavy");
        let code = heavy.expect("the operation").code.clone();
        directory.products[0].policy.operations.insert(code, policy);
    });
    for path in ["items/cookie", "items/private", "items/silent", "items/vary", "heavy"] {
        for _ in 0..2 {
            let answer = world.get(&format!("/payments/{path}")).await;
            assert!(!answer.header("cache-status").contains("hit"), "{path}: {answer:?}");
        }
    }
    assert_eq!(upstream.count(), 10);
    for headers in [&[("cache-control", "no-store")][..], &[("if-match", "\"a\"")]] {
        for _ in 0..2 {
            get(&world, &world.live, "/payments/items/9", headers).await;
        }
    }
    assert_eq!(upstream.count(), 14);
}

#[tokio::test]
async fn clients_conditions_ranges_and_heads_are_answered_from_what_is_kept() {
    let upstream =
        Scripted::start(|_| format!("{FRESH}etag: \"v1\"\r\nlast-modified: Wed, 01 Jan 2020 00:00:00 GMT\r\n")).await;
    let (world, _) = world(&upstream, Cache::default()).await;
    let whole = world.get("/payments/items/1").await;
    for headers in [[("if-none-match", "W/\"v1\"")], [("if-modified-since", "Wed, 01 Jan 2020 00:00:00 GMT")]] {
        let answer = get(&world, &world.live, "/payments/items/1", &headers).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.header("etag")), (304, "", "\"v1\""));
        assert_eq!(answer.header("content-length"), "");
    }
    let part = get(&world, &world.live, "/payments/items/1", &[("range", "bytes=0-1")]).await;
    assert_eq!((part.status, part.body.as_str()), (206, &whole.body[..2]));
    assert_eq!(part.header("content-range"), format!("bytes 0-1/{}", whole.body.len()));
    assert_eq!(get(&world, &world.live, "/payments/items/1", &[("range", "bytes=900-")]).await.status, 416);
    let head = send(world.address, request(Method::HEAD, "/payments/items/1", &world.live)).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert_eq!(upstream.count(), 1);
    let bytes: Vec<u64> = world.events_once(6).await.iter().map(|event| event.bytes_out).collect();
    assert_eq!(bytes.iter().filter(|bytes| **bytes == 0).count(), 4, "{bytes:?}");
}

#[tokio::test]
async fn a_stale_answer_is_validated_and_costs_what_the_upstreams_answer_costs() {
    let upstream = Scripted::start(|seen| match seen.contains("if-none-match: \"v1\"") {
        true => "HTTP/1.1 304 Not Modified\r\netag: \"v1\"\r\ncache-control: max-age=60\r\nx-new: 1\r\n".to_owned(),
        false => "cache-control: max-age=1\r\netag: \"v1\"\r\nx-old: 1\r\n".to_owned(),
    })
    .await;
    let (world, _) = world(&upstream, Cache { price: CachePrice::Units(0), ..Cache::default() }).await;
    let first = world.get("/payments/items/1").await;
    sleep(Duration::from_millis(1100)).await;
    // The client's own copy is another one.
    let second = get(&world, &world.live, "/payments/items/1", &[("if-none-match", "\"mine\"")]).await;
    assert_eq!((second.status, second.body.as_str()), (200, first.body.as_str()));
    assert_eq!((second.header("x-old"), second.header("x-new")), ("1", "1"));
    assert!(second.header("cache-status").starts_with("turnpike; fwd=stale; fwd-status=304"), "{second:?}");
    assert_eq!(second.header("x-turnpike-units"), "1");
    assert!(world.get("/payments/items/1").await.header("cache-status").contains("hit"), "it is fresh again");
    assert_eq!(upstream.count(), 2);
    let outcomes: Vec<Outcome> = world.events_once(3).await.iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Cached).count(), 1, "{outcomes:?}");
}

#[tokio::test]
async fn a_stale_answer_is_given_while_a_new_one_is_fetched_which_nobody_pays() {
    let asked = AtomicUsize::new(0);
    let upstream = Scripted::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => "cache-control: max-age=1, stale-while-revalidate=300\r\n".to_owned(),
        _ => FRESH.to_owned(),
    })
    .await;
    let (world, _) = world(&upstream, Cache::default()).await;
    let first = world.get("/payments/items/1").await;
    sleep(Duration::from_millis(1100)).await;
    let second = world.get("/payments/items/1").await;
    assert_eq!(second.body, first.body);
    assert!(second.header("cache-status").contains("hit; ttl="), "{second:?}");
    upstream.wait_for(2).await;
    let (began, mut calls) = (Instant::now(), 3);
    while world.get("/payments/items/1").await.body == first.body {
        assert!(began.elapsed() < PATIENCE, "the new one is never given");
        calls += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(upstream.count(), 2);
    assert_eq!(world.events_once(calls).await.len(), calls, "the fetch in between is no call");
}

#[tokio::test]
async fn a_stale_answer_stands_in_for_an_upstream_that_fails_where_it_says_so() {
    let upstream = Scripted::start(|seen| match (seen.contains("x-fail"), path(seen)) {
        (true, _) => "HTTP/1.1 503 Service Unavailable\r\n".to_owned(),
        (false, "/items/1") => "cache-control: max-age=1, stale-if-error=60\r\n".to_owned(),
        _ => "cache-control: max-age=1, stale-if-error=60, must-revalidate\r\n".to_owned(),
    })
    .await;
    let (world, _) = world(&upstream, Cache::default()).await;
    for (path, status) in [("/payments/items/1", 200), ("/payments/items/2", 503)] {
        world.get(path).await;
        sleep(Duration::from_millis(1100)).await;
        assert_eq!(get(&world, &world.live, path, &[("x-fail", "1")]).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn calls_that_miss_together_make_one_upstream_call() {
    let upstream = Scripted::start(|seen| {
        std::thread::sleep(Duration::from_millis(200));
        match path(seen) {
            "/items/own" => "cache-control: private\r\n".to_owned(),
            _ => FRESH.to_owned(),
        }
    })
    .await;
    let price = CachePrice::Units(0);
    let (world, _) = world(&upstream, Cache { price, ..Cache::default() }).await;
    let all = |path: &'static str| {
        let calls = (0..20).map(|_| {
            let (address, key) = (world.address, world.live.clone());
            tokio::spawn(async move { send(address, request(Method::GET, path, &key)).await })
        });
        calls.collect::<Vec<_>>()
    };
    let mut bodies = Vec::new();
    for call in all("/payments/items/1") {
        bodies.push(call.await.expect("no panic").body);
    }
    bodies.dedup();
    assert_eq!((bodies.len(), upstream.count()), (1, 1));
    let events = world.events_once(20).await;
    assert_eq!(events.iter().map(|event| event.units).sum::<u64>(), 1, "the others waited for a hit");
    assert_eq!(world.allowance.used(world.partner(), world.period()), 1);
    for call in all("/payments/items/own") {
        assert_eq!(call.await.expect("no panic").status, 200, "nobody is kept waiting for what is not kept");
    }
    assert_eq!(upstream.count(), 21);
}

#[tokio::test]
async fn a_change_lets_go_of_what_it_names() {
    let upstream = Scripted::start(|seen| match seen.starts_with("GET") {
        true => FRESH.to_owned(),
        false => "location: /items/2?x=1\r\ncontent-location: https://api.example/payments/items/3\r\n".to_owned(),
    })
    .await;
    let (world, other) = world(&upstream, Cache::default()).await;
    let paths = ["/payments/items/1", "/payments/items/2?x=1", "/payments/items/3", "/payments/items/4"];
    for path in paths {
        get(&world, &other, path, &[]).await;
    }
    send(world.address, request(Method::DELETE, "/payments/items/1", &world.live)).await;
    let mut hits = Vec::new();
    for path in paths {
        hits.push(get(&world, &other, path, &[]).await.header("cache-status").contains("hit"));
    }
    assert_eq!(hits, [false, false, false, true]);
}

#[tokio::test]
async fn a_purge_and_a_reload_do_what_they_say() {
    let upstream = Scripted::start(|_| FRESH.to_owned()).await;
    let (mut world, other) = world(&upstream, Cache::default()).await;
    for key in [&world.live, &other] {
        for path in ["/payments/items/1", "/payments/heavy"] {
            get(&world, key, path, &[]).await;
        }
    }
    world.change(|directory| directory.products[0].timeout_ms = 40_000);
    assert!(world.get("/payments/heavy").await.header("cache-status").contains("hit"), "a reload keeps what is kept");
    let purger = world.gateway.as_ref().expect("it runs").purger();
    let product = Some(world.directory.products[0].id);
    assert_eq!(purger.purge(Some(world.directory.products[1].id), &Which::default()), 0);
    assert_eq!(purger.purge(product, &Which { partner: Some(PartnerId(Uuid::from_u128(2))), path_prefix: None }), 2);
    assert_eq!(purger.purge(product, &Which { path_prefix: Some("/items/".to_owned()), partner: None }), 1);
    assert_eq!(purger.purge(None, &Which::default()), 1);
    assert!(!world.get("/payments/heavy").await.header("cache-status").contains("hit"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_kept_and_a_long_one_passes_through() {
    let upstream = Scripted::start(|seen| match path(seen) {
        "/items/short" => "cache-control: max-age=60\r\ncontent-length: 900\r\n".to_owned(),
        _ => FRESH.to_owned(),
    })
    .await;
    let (world, _) = world(&upstream, Cache { max_body_bytes: 1000, ..Cache::default() }).await;
    let long = format!("/payments/items/{}", "x".repeat(1000));
    for _ in 0..2 {
        let head = format!("GET /payments/items/short HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
        super::client::raw(world.address, head.as_bytes()).await;
        assert_eq!(world.get(&long).await.status, 200);
    }
    assert_eq!(upstream.count(), 4);
}

#[tokio::test]
async fn request_directives_are_honoured() {
    let upstream = Scripted::start(|_| "cache-control: max-age=60\r\nage: 10\r\n".to_owned()).await;
    let (world, _) = world(&upstream, Cache::default()).await;
    let said = |said: &'static str| {
        let (address, key) = (world.address, world.live.clone());
        async move {
            send(address, request_with(Method::GET, "/payments/items/1", &key, &[("cache-control", said)], "")).await
        }
    };
    assert_eq!(said("only-if-cached").await.code(), "upstream-timeout");
    assert_eq!(upstream.count(), 0);
    assert_eq!(said("max-age=100").await.status, 200);
    for hit in ["max-age=20", "min-fresh=20", "only-if-cached", "max-stale"] {
        assert!(said(hit).await.header("cache-status").contains("hit"), "{hit}");
    }
    assert_eq!(upstream.count(), 1);
    for asks in ["no-cache", "max-age=0", "max-age=9", "min-fresh=55"] {
        assert!(said(asks).await.header("cache-status").contains("fwd=request"), "{asks}");
    }
    assert_eq!(upstream.count(), 5);
}

/// The path below `/base`, without the query.
fn path(seen: &str) -> &str {
    let target = seen.split(' ').nth(1).unwrap_or_default();
    target.split('?').next().unwrap_or_default()
}
