//! What calls count for on their product's meters, as their events say it.

use super::{
    client::{Answer, open, request, request_with, send},
    keys::Keys,
    scripted::Scripted,
    world::World,
};
use domain::{
    policy::{Cache, CachePrice, Counted, Counting, IdempotencyKey, Meter, MeterValue, OnlyWhere, Policy, Told},
    usage::{MeterKind, Metered, Outcome, UsageEvent},
};
use http::Method;
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
    time::timeout,
};

fn meter(kind: MeterKind, value: MeterValue) -> Meter {
    Meter::new("A meter", kind, value)
}

fn header() -> MeterValue {
    MeterValue::Header { name: "X-Tokens".to_owned() }
}

fn field(pointer: &str) -> MeterValue {
    MeterValue::JsonField { pointer: pointer.to_owned() }
}

fn add(policy: &mut Policy, meters: &[(&str, Meter)]) {
    policy.meters.extend(meters.iter().map(|(code, meter)| ((*code).to_owned(), meter.clone())));
}

async fn world(meters: &[(&str, Meter)]) -> World {
    World::with(|directory, _| add(&mut directory.products[0].policy, meters)).await
}

async fn event(world: &World, id: &str) -> UsageEvent {
    loop {
        if let Some(event) = world.events().into_iter().find(|event| event.request_id == id) {
            return event;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Each meter and its quantity.
fn amounts(event: &UsageEvent) -> Vec<(&str, i64)> {
    event.meters.iter().map(|metered| (metered.meter.as_str(), metered.quantity)).collect()
}

async fn echo(world: &World, key: &str, headers: &[(&str, &str)], body: &str) -> (Answer, UsageEvent) {
    let answer = send(world.address, request_with(Method::POST, "/payments/echo", key, headers, body)).await;
    let event = event(world, answer.header("x-request-id")).await;
    (answer, event)
}

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

#[tokio::test]
async fn a_call_counts_for_what_the_gateway_knows_and_what_its_answer_says() {
    let world = world(&[
        ("sent", meter(MeterKind::Sum, MeterValue::BytesIn)),
        ("got", meter(MeterKind::Maximum, MeterValue::BytesOut)),
        ("count", meter(MeterKind::Sum, MeterValue::Calls)),
        ("weighed", meter(MeterKind::Sum, MeterValue::Weight)),
        ("time", meter(MeterKind::Maximum, MeterValue::Milliseconds)),
        ("tokens", meter(MeterKind::Sum, header())),
        ("depth", meter(MeterKind::Latest, field("/usage/depth"))),
    ])
    .await;
    let body = r#"{"usage":{"depth":6.2}}"#;
    let bytes = i64::try_from(body.len()).expect("short");
    for key in [&world.live, &world.test] {
        let (answer, event) = echo(&world, key, &[JSON, ("x-tokens", "12")], body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
        assert_eq!(answer.header("x-tokens"), "", "what was said to us stays with us");
        let time = i64::try_from(event.upstream_us.div_ceil(1_000)).expect("short");
        assert_eq!(
            amounts(&event),
            [
                ("count", 1),
                ("depth", 7),
                ("got", bytes),
                ("sent", bytes),
                ("time", time),
                ("tokens", 12),
                ("weighed", 1)
            ]
        );
        let kinds: Vec<MeterKind> = event.meters.iter().map(|metered| metered.kind).collect();
        use MeterKind::{Latest, Maximum, Sum};
        assert_eq!(kinds, [Sum, Latest, Maximum, Sum, Maximum, Sum, Sum]);
    }
    let free = world.get("/payments/free").await;
    let event = event(&world, free.header("x-request-id")).await;
    assert_eq!(event.units, 0);
    assert!(amounts(&event).starts_with(&[("count", 1), ("got", 11)]) && amounts(&event).ends_with(&[("weighed", 0)]));
}

#[tokio::test]
async fn an_operation_that_no_meter_measures_has_none_and_its_headers_pass() {
    let world =
        world(&[("tokens", Meter { operations: ["op-119".to_owned()].into(), ..meter(MeterKind::Sum, header()) })])
            .await;
    let (answer, event) = echo(&world, &world.live, &[JSON, ("x-tokens", "12")], "{}").await;
    assert_eq!((answer.header("x-tokens"), event.meters), ("12", Vec::new()));
}

#[tokio::test]
async fn what_an_answer_does_not_say_is_absent_and_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let world = world(&[
        ("bytes", meter(MeterKind::Sum, MeterValue::BytesOut)),
        ("depth", meter(MeterKind::Sum, field("/depth"))),
        ("tokens", meter(MeterKind::Sum, header())),
        ("users", meter(MeterKind::Unique, field("/user"))),
    ])
    .await;
    let long = format!(r#"{{"depth":1,"user":"a","text":"{}"}}"#, "x".repeat(1 << 20));
    let mut unreadable = 0;
    for (headers, body, told) in [
        (&[JSON][..], "", &[] as &[&str]),
        (&[JSON, ("x-tokens", "-3")], r#"{"depth":"deep","user":{}}"#, &[]),
        (&[JSON, ("x-tokens", "3")], "[", &["tokens"]),
        (&[JSON, ("x-tokens", "1000000000001")], r#"{"depth":4,"user":"a"}"#, &["depth", "users"]),
        (&[("content-type", "text/event-stream")], r#"{"depth":4,"user":"a"}"#, &[]),
        (&[JSON], &long, &[]),
    ] {
        let (answer, event) = echo(&world, &world.live, headers, body).await;
        assert_eq!((answer.status, answer.body == body), (200, true));
        let found: Vec<&str> = event.meters.iter().map(|metered| metered.meter.as_str()).collect();
        let expected: Vec<&str> = ["bytes"].iter().chain(told).copied().collect();
        assert_eq!(found, expected, "{headers:?}");
        unreadable += 3 - told.len();
    }
    // An answer that does not count need not say anything.
    let failed = world.get("/payments/fail").await;
    let event = event(&world, failed.header("x-request-id")).await;
    assert_eq!((event.status, event.meters), (500, Vec::new()));
    let counted = format!("turnpike_gateway_meter_unreadable_total{{product=\"payments\"}} {unreadable}\n");
    assert!(metrics.render().contains(&counted), "{unreadable} are expected");
}

#[tokio::test]
async fn different_values_and_things_are_told_apart_and_not_kept() {
    let resource = Some(Told::Header { name: "X-Tokens".to_owned() });
    let world = world(&[
        ("level", Meter { resource, ..meter(MeterKind::Gauge, field("/level")) }),
        ("users", meter(MeterKind::Unique, field("/user"))),
    ])
    .await;
    let call = |machine: &'static str, body: &'static str| {
        let world = &world;
        async move { echo(world, &world.live, &[JSON, ("x-tokens", machine)], body).await.1.meters }
    };
    let one = call("m-1", r#"{"level":4,"user":"anna"}"#).await;
    let other = call("m-2", r#"{"level":5,"user":"anna"}"#).await;
    let again = call("m-1", r#"{"level":0,"user":"bert"}"#).await;
    let [level, user] = one.as_slice() else { panic!("two meters: {one:?}") };
    assert_eq!((level.kind, level.quantity, user.kind, user.quantity), (MeterKind::Gauge, 4, MeterKind::Unique, 1));
    assert!(level.item.is_some() && user.item.is_some());
    let is_same = |one: &Metered, other: &Metered| one.item == other.item;
    assert!(!is_same(level, &other[0]) && is_same(level, &again[0]) && again[0].quantity == 0);
    assert!(is_same(user, &other[1]) && !is_same(user, &again[1]));
}

#[tokio::test]
async fn a_call_counts_for_no_less_and_no_more_than_its_meter_says() {
    let bounded = |at_least, at_most| Meter { at_least, at_most, ..meter(MeterKind::Sum, field("/amount")) };
    let world = world(&[("capped", bounded(None, Some(62_500))), ("raised", bounded(Some(50), Some(9_000)))]).await;
    for (amount, capped, raised) in [(0, 0, 50), (50, 50, 50), (62_500, 62_500, 9_000), (1_000_000, 62_500, 9_000)] {
        let (_, event) = echo(&world, &world.live, &[JSON], &format!(r#"{{"amount":{amount}}}"#)).await;
        assert_eq!(amounts(&event), [("capped", capped), ("raised", raised)], "{amount}");
    }
    let (_, event) = echo(&world, &world.live, &[JSON], "{}").await;
    assert_eq!(event.meters, Vec::new(), "what nobody said is not raised to the least");
}

#[tokio::test]
async fn a_meter_measures_the_calls_whose_answers_say_so_and_each_call_is_on_one_side() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let only = |says, one_of: &[&str], none_of: &[&str]| {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Some(OnlyWhere { says, one_of: values(one_of), none_of: values(none_of) })
    };
    let brand = || Told::JsonField { pointer: "/brand".to_owned() };
    let of = |only_where, value| Meter { only_where, ..meter(MeterKind::Sum, value) };
    let world = world(&[
        ("amex", of(only(brand(), &["American Express", "amex"], &[]), field("/amount"))),
        ("calls-of-amex", of(only(brand(), &["amex"], &[]), MeterValue::Calls)),
        ("far", of(only(Told::Header { name: "X-Tokens".to_owned() }, &["true"], &[]), MeterValue::Calls)),
        ("other-cards", of(only(brand(), &[], &["American Express", "amex"]), field("/amount"))),
    ])
    .await;
    for (headers, body, expected) in [
        (&[JSON][..], r#"{"brand":"amex","amount":7}"#, &[("amex", 7), ("calls-of-amex", 1)][..]),
        (&[JSON], r#"{"brand":"American Express","amount":7}"#, &[("amex", 7)]),
        (&[JSON, ("x-tokens", "true")], r#"{"brand":"visa","amount":7}"#, &[("far", 1), ("other-cards", 7)]),
        (&[JSON, ("x-tokens", "no")], r#"{"amount":7}"#, &[("other-cards", 7)]),
        (&[JSON], r#"{"brand":"amex"}"#, &[("calls-of-amex", 1)]),
        (&[JSON], "[", &[]),
    ] {
        let (answer, event) = echo(&world, &world.live, headers, body).await;
        assert_eq!((answer.body.as_str(), answer.header("x-tokens")), (body, ""));
        assert_eq!(amounts(&event), expected, "{body}");
    }
    // An amount of Amex that is missing, and three meters that cannot know whether the last answer is theirs.
    let counted = "turnpike_gateway_meter_unreadable_total{product=\"payments\"} 4\n";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
}

#[tokio::test]
async fn a_call_is_measured_once_and_only_where_it_counts() {
    let world = World::with(|directory, config| {
        let policy = &mut directory.products[0].policy;
        add(
            policy,
            &[("count", meter(MeterKind::Sum, MeterValue::Calls)), ("tokens", meter(MeterKind::Sum, header()))],
        );
        policy.counting = Counting { interrupted: false, replays: Counted::Full, ..Counting::default() };
        let echo = directory.products[0].operations.iter().find(|operation| operation.path == "/echo").expect("it");
        let code = echo.code.clone();
        let policy = &mut directory.products[0].policy;
        policy.operations.entry(code).or_default().idempotency_key = IdempotencyKey::Optional;
        config.idempotency = Some(Arc::new(Keys::default()));
    })
    .await;
    let headers = [JSON, ("x-tokens", "5"), ("idempotency-key", "k")];
    let (_, first) = echo(&world, &world.live, &headers, "one").await;
    assert_eq!(amounts(&first), [("count", 1), ("tokens", 5)]);
    let (again, replayed) = echo(&world, &world.live, &headers, "one").await;
    assert_eq!((again.header("idempotent-replayed"), again.header("x-tokens")), ("true", ""));
    assert_eq!((replayed.outcome, replayed.units, replayed.meters), (Outcome::Replayed, 1, Vec::new()));
    let mut left = open(world.address, request(Method::GET, "/payments/stall", &world.live)).await;
    let id = left.headers()["x-request-id"].to_str().expect("text").to_owned();
    left.frame().await.expect("a frame").expect("whole");
    drop(left);
    let event = event(&world, &id).await;
    assert_eq!((event.outcome, event.meters), (Outcome::ClientGone, Vec::new()), "the product's rule says so");
}

#[tokio::test]
async fn a_cache_hit_is_measured_unless_it_is_free() {
    for (price, measured) in [(CachePrice::Units(0), false), (CachePrice::Full, true)] {
        let upstream = Scripted::start(|_| "cache-control: max-age=60\r\nx-tokens: 3\r\n".to_owned()).await;
        let url = upstream.url();
        let world = World::with(|directory, _| {
            let product = &mut directory.products[0];
            product.upstream_url = url;
            product.policy.cache = Some(Cache { price, ..Cache::default() });
            let says = Told::Header { name: "X-Tokens".to_owned() };
            let only = |one_of: &[&str], none_of: &[&str]| {
                let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
                let only_where = OnlyWhere { says: says.clone(), one_of: values(one_of), none_of: values(none_of) };
                Meter { only_where: Some(only_where), ..meter(MeterKind::Sum, MeterValue::Calls) }
            };
            let meters = [("of-3", only(&["3"], &[])), ("of-4", only(&["4"], &[])), ("others", only(&[], &["3"]))];
            add(&mut product.policy, &meters);
            add(&mut product.policy, &[("tokens", meter(MeterKind::Sum, header()))]);
        })
        .await;
        for (outcome, is_measured) in [(Outcome::Served, true), (Outcome::Cached, measured)] {
            let answer = world.get("/payments/items/1").await;
            assert_eq!(answer.header("x-tokens"), "");
            let event = event(&world, answer.header("x-request-id")).await;
            let expected: &[_] = if is_measured { &[("of-3", 1), ("tokens", 3)] } else { &[] };
            assert_eq!((event.outcome, amounts(&event).as_slice()), (outcome, expected), "{price:?}");
        }
    }
}

/// An upstream that begins an answer of that type, and ends it only when it is let go.
async fn hesitating(content_type: &'static str) -> (String, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let let_go = Arc::new(Notify::new());
    let waits = let_go.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            seen.push(stream.read_u8().await.expect("a request"));
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n");
        stream.write_all(format!("{head}b\r\n{{\"depth\":1,\r\n").as_bytes()).await.expect("begun");
        waits.notified().await;
        stream.write_all(b"8\r\n\"more\":1\r\n1\r\n}\r\n0\r\n\r\n").await.expect("ended");
    });
    (url, let_go)
}

#[tokio::test]
async fn an_answer_is_held_for_a_meter_a_short_while_and_a_stream_not_at_all() {
    for content_type in ["application/stream+json", "application/x-ndjson", "application/json"] {
        let (url, let_go) = hesitating(content_type).await;
        let world = World::with(|directory, _| {
            let product = &mut directory.products[0];
            product.upstream_url = url;
            product.timeout_ms = 600_000;
            add(&mut product.policy, &[("depth", meter(MeterKind::Sum, field("/depth")))]);
        })
        .await;
        let asked = async {
            let mut answer = open(world.address, request(Method::GET, "/payments/items/1", &world.live)).await;
            let begun = answer.frame().await.expect("a frame").expect("whole").into_data().expect("data");
            assert_eq!((answer.status().as_u16(), begun.as_ref()), (200, &b"{\"depth\":1,"[..]));
            answer
        };
        let answer = timeout(Duration::from_secs(60), asked).await.expect("the client has what was said");
        let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        let_go.notify_one();
        let rest = answer.into_body().collect().await.expect("whole").to_bytes();
        assert_eq!(rest.as_ref(), b"\"more\":1}", "{content_type}");
        let event = event(&world, &id).await;
        assert_eq!((event.outcome, event.meters), (Outcome::Served, Vec::new()), "{content_type}");
    }
}
