//! Requests that were made to be read in two ways.

use super::{
    client::{raw, raw_until_closed, request_with, send},
    world::World,
};
use http::Method;

#[tokio::test]
async fn a_path_that_could_be_read_in_two_ways_never_reaches_an_upstream() {
    let world = World::start().await;
    for path in [
        "/payments/../hidden/items/1",
        "/payments/%2e%2e/hidden/items/1",
        "/payments/.%2E/hidden/items/1",
        "/payments%2fitems/1",
        "/payments/items%2f1",
        "/payments/items/1%00",
        "/payments//items/1",
        "//payments/items/1",
        "/payments/items;x=1/1",
        "/payments/..;/hidden/items/1",
        "/payments/items/%5c..%5c",
        "/payments/%252e%252e/x",
        "/payments/items/%c0%ae%c0%ae",
        "/payments/items/%zz",
        "/payments/items/%2",
        "/payments/./items/1",
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\nconnection: close\r\n\r\n", world.live);
        let (answer, _) = raw(world.address, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    assert_eq!(world.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_request_that_could_hide_another_is_refused_or_reaches_the_upstream_as_one() {
    let world = World::start().await;
    let hidden = "GET /hidden/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let key = format!("x-api-key: {}\r\n", world.live);
    let length = hidden.len();
    let cases = [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n0\r\n\r\n{hidden}"),
        format!("content-length: 0\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        format!("content-length: 0, {length}\r\n\r\n{hidden}"),
        format!("content-length: +{length}\r\n\r\n{hidden}"),
        format!("content-length: 0x{length:x}\r\n\r\n{hidden}"),
        format!("content-length: -1\r\n\r\n{hidden}"),
        format!("content-length:\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding:\u{b}chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("x: y\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("x: y\rtransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("x: y\0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\n\r\n-0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n{hidden}"),
    ];
    for (number, case) in cases.iter().enumerate() {
        let head = format!("POST /payments/count?{number} HTTP/1.1\r\nhost: a\r\n{key}{case}");
        let (answer, closed) = raw_until_closed(world.address, head.as_bytes()).await;
        let seen = world.upstream.seen();
        // A request whose connection was closed at once may be noticed as late as during the next case.
        let later = (0..number).map(|earlier| format!("/base/count?{earlier}")).collect::<Vec<_>>();
        let own: Vec<_> = seen.iter().filter(|seen| !later.contains(&seen.target)).collect();
        assert!(own.len() <= 1, "{case:?} reached the upstream as {own:?}");
        assert!(seen.iter().all(|seen| !seen.target.contains("smuggled")), "{case:?}");
        assert!(closed, "the connection is closed: {case:?} answered {answer}");
        let statuses = answer.matches("HTTP/1.1 ").count();
        assert!(statuses <= 1, "one answer at most: {case:?} answered {answer}");
    }
    let old = format!("POST /payments/count HTTP/1.0\r\n{key}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}");
    let (answer, closed) = raw_until_closed(world.address, old.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.0 400") || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(closed);
}

#[tokio::test]
async fn the_check_above_can_fail_because_honest_pipelining_is_two_requests() {
    let world = World::start().await;
    let one = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n", world.live);
    let (answer, _) = raw(world.address, format!("{one}\r\n{one}connection: close\r\n\r\n").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(world.upstream.seen().len(), 2);
}

#[tokio::test]
async fn heads_that_are_too_long_or_lack_a_host_are_refused() {
    let world = World::start().await;
    let long = format!("/payments/items/1?{}", "q".repeat(9_000));
    assert_eq!(world.get(&long).await.code(), "uri-too-long");
    let many: Vec<_> = (0..120).map(|number| format!("x-{number}: 1\r\n")).collect();
    let (answer, _) =
        raw(world.address, format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", many.concat()).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let huge = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    let (answer, _) = raw(world.address, huge.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{answer}");
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let (answer, _) =
            raw(world.address, format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(world.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_method_override_is_not_obeyed() {
    let world = World::start().await;
    let headers = [("x-http-method-override", "DELETE")];
    send(world.address, request_with(Method::GET, "/payments/items/1", &world.live, &headers, "")).await;
    assert_eq!(world.upstream.last().method, "GET");
}
