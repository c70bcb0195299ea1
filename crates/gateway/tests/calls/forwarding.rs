//! What the upstream sees, and what the client gets back.

use super::{
    client::{open, raw, request, request_with, send},
    world::World,
};
use bytes::Bytes;
use domain::usage::Outcome;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, channel::Channel};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

#[tokio::test]
async fn the_path_below_the_route_and_the_query_are_forwarded_as_they_were_matched() {
    let world = World::start().await;
    for (sent, forwarded) in [
        ("/payments/items/a%2Db?x=%2F&y=1;2", "/base/items/a-b?x=%2F&y=1;2"),
        ("/payments/items/caf%c3%a9", "/base/items/caf%C3%A9"),
        ("/payments", "/base/"),
        ("/payments/", "/base/"),
        ("/p%61yments/items/1", "/base/items/1"),
        ("/payments/v2/open?", "/open?"),
    ] {
        assert_eq!(world.get(sent).await.status, 200, "{sent}");
        assert_eq!(world.upstream.last().target, forwarded, "{sent}");
    }
}

#[tokio::test]
async fn only_the_gateway_speaks_in_the_headers_that_upstreams_trust() {
    let world = World::start().await;
    let headers = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x-upstream-key", "forged"),
        ("x_upstream_key", "forged"),
        ("x-upstream_key", "forged"),
        ("x_turnpike_environment", "forged"),
        ("x-turnpike-partner", "somebody"),
        ("connection", "x-named, keep-alive, x-upstream-key, x-forwarded-for"),
        ("x-named", "1"),
        ("keep-alive", "timeout=99"),
        ("te", "gzip"),
        ("upgrade", "websocket"),
        ("proxy-authorization", "Basic Zm9v"),
        ("proxy_authorization", "Basic Zm9v"),
        ("transfer_encoding", "chunked"),
        ("x_request_id", "forged"),
        ("accept", "application/json"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "vendor=1"),
    ];
    assert_eq!(
        send(world.address, request_with(Method::GET, "/payments/items/1", &world.live, &headers, "")).await.status,
        200
    );
    let seen = world.upstream.last().headers;
    let text = |name: &str| seen[name].to_str().expect("text").to_owned();
    assert_eq!(text("x-forwarded-for"), "127.0.0.1");
    assert_eq!((text("x-forwarded-proto"), text("x-forwarded-host")), ("http".to_owned(), "api.example".to_owned()));
    assert_eq!(text("host"), world.upstream.address.to_string());
    assert_eq!(text("x-upstream-key"), "for the upstream only");
    assert_eq!(text("accept"), "application/json");
    assert_eq!(text("traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(text("tracestate"), "vendor=1");
    assert!(text("via").starts_with("1.1 turnpike-"));
    for gone in [
        "x_forwarded_for",
        "x_upstream_key",
        "x-upstream_key",
        "x_turnpike_environment",
        "forwarded",
        "x-real-ip",
        "x-turnpike-partner",
        "connection",
        "x-named",
        "keep-alive",
        "te",
        "upgrade",
        "proxy-authorization",
        "proxy_authorization",
        "transfer_encoding",
        "x_request_id",
        "authorization",
        "content-length",
        "transfer-encoding",
    ] {
        assert!(!seen.contains_key(gone), "{gone}");
    }
    assert_eq!(seen.get_all("x-upstream-key").iter().count(), 1);
}

#[tokio::test]
async fn the_upstream_is_told_which_environment_a_call_is_of() {
    let world = World::start().await;
    for (key, environment) in [(&world.live, "live"), (&world.test, "test")] {
        let forged = [("x-turnpike-environment", "forged")];
        send(world.address, request_with(Method::GET, "/payments/items/1", key, &forged, "")).await;
        let seen = world.upstream.last().headers;
        assert_eq!(seen.get_all("x-turnpike-environment").iter().collect::<Vec<_>>(), [environment]);
    }
}

#[tokio::test]
async fn the_portals_cookies_neither_reach_the_upstream_nor_come_from_it() {
    let world = World::start().await;
    let cookies =
        [("cookie", "a=1; __Host-session=s; b=2"), ("cookie", "__Host-flash=f;__host-session=s"), ("cookie", "c")];
    let sent = request_with(Method::GET, "/payments/hop-by-hop", &world.live, &cookies, "");
    let answer = send(world.address, sent).await;
    let seen = world.upstream.last().headers;
    assert_eq!(seen.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2", "c"]);
    assert_eq!(answer.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["own=1; Path=/"]);
}

#[tokio::test]
async fn a_requests_trailers_are_not_forwarded() {
    let world = World::start().await;
    let request = format!(
        "POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ntrailer: x-upstream-key\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-upstream-key: forged\r\n\r\n",
        world.live
    );
    for _ in 0..2 {
        let (answer, _) = raw(world.address, request.as_bytes()).await;
        assert!(answer.contains("HTTP/1.1 200") && answer.ends_with("\r\n\r\n2"), "{answer}");
        assert_eq!(*world.upstream.trailers.lock().expect("no panic"), None);
        assert!(!world.upstream.last().headers.contains_key("trailer"));
    }
}

#[tokio::test]
async fn ids_are_made_where_the_client_sent_none_that_can_be_used() {
    let world = World::start().await;
    let headers = [("x-request-id", "has space"), ("traceparent", "00-nonsense"), ("tracestate", "dropped=1")];
    let answer = send(world.address, request_with(Method::GET, "/payments/items/1", &world.live, &headers, "")).await;
    let id = answer.header("x-request-id");
    assert!(id.starts_with("req_") && id.len() == 36, "{id}");
    let seen = world.upstream.last().headers;
    assert_eq!(seen["x-request-id"], id);
    assert_eq!(seen["traceparent"].len(), 55);
    assert!(!seen.contains_key("tracestate"));
    let long = "x".repeat(129);
    let refused = send(world.address, request_with(Method::GET, "/no", "", &[("x-request-id", &long)], "")).await;
    assert!(refused.header("x-request-id").starts_with("req_"));
}

#[tokio::test]
async fn the_upstreams_connection_headers_stay_with_it() {
    let world = World::start().await;
    let answer = world.get("/payments/hop-by-hop").await;
    assert_eq!(answer.header("x-public"), "kept");
    for gone in ["x-internal", "keep-alive", "connection"] {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    assert!(answer.header("x-request-id").starts_with("req_"), "the id is ours");
}

#[tokio::test]
async fn bodies_stream_in_both_directions_at_once() {
    let world = World::start().await;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = Request::post("/payments/echo").header("host", "a").header("x-api-key", &world.live).body(body);
    let sending = tokio::spawn(open(world.address, request.expect("a request")));
    sender.send_data(Bytes::from_static(b"first")).await.expect("sent");
    let mut response = sending.await.expect("no panic");
    assert_eq!(response.status(), 200);
    for text in ["first", "second", "third"] {
        let frame = response.frame().await.expect("a frame").expect("whole").into_data().expect("data");
        assert_eq!(frame, text, "it comes back before more is sent");
        let next = if text == "first" { "second" } else { "third" };
        if text != "third" {
            sender.send_data(Bytes::from_static(next.as_bytes())).await.expect("sent");
        }
    }
    drop(sender);
    assert!(response.frame().await.is_none());
    let event = world.events().remove(0);
    assert_eq!((event.bytes_in, event.bytes_out), (16, 16));
}

#[tokio::test]
async fn a_large_body_arrives_whole_and_a_larger_one_is_a_413() {
    let world = World::with(|_, config| config.body_limit = 1 << 20).await;
    let fits = "x".repeat(1 << 20);
    let answer = send(world.address, request_with(Method::POST, "/payments/count", &world.live, &[], &fits)).await;
    assert_eq!(answer.body, "1048576");
    let announced = request_with(Method::POST, "/payments/count", &world.live, &[], &"x".repeat((1 << 20) + 1));
    assert_eq!(send(world.address, announced).await.code(), "body-too-large");
    assert_eq!(world.upstream.seen().len(), 1, "an announced length is refused before anything is forwarded");

    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = Request::post("/payments/count").header("host", "a").header("x-api-key", &world.live).body(body);
    let sending = tokio::spawn(send(world.address, request.expect("a request")));
    while sender.send_data(Bytes::from(vec![0; 64 << 10])).await.is_ok() {}
    assert_eq!(sending.await.expect("no panic").code(), "body-too-large");
    let last = world.events_once(3).await;
    assert!(last.iter().filter(|event| event.status == 413).all(|event| event.units == 0));
}

#[tokio::test]
async fn trailers_pass_to_a_client_that_takes_them() {
    let world = World::start().await;
    let answer =
        send(world.address, request_with(Method::GET, "/payments/trailers", &world.live, &[("te", "trailers")], ""))
            .await;
    assert_eq!(answer.body, "body");
    assert_eq!(answer.trailers.expect("trailers")["x-checksum"], "abc");
    assert_eq!(world.upstream.last().headers["te"], "trailers");
}

#[tokio::test]
async fn head_204_and_304_have_no_body_and_their_connection_goes_on() {
    let world = World::start().await;
    let stream = TcpStream::connect(world.address).await.expect("a connection");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    for (method, path, status) in [
        (Method::HEAD, "/payments/items/1", 200),
        (Method::GET, "/payments/empty", 204),
        (Method::GET, "/payments/unchanged", 304),
        (Method::HEAD, "/payments/drip", 200),
        (Method::GET, "/payments/items/1", 200),
        (Method::GET, "/payments/v2/closed", 403),
        (Method::GET, "/payments/items/1", 200),
    ] {
        sender.ready().await.expect("the same connection");
        let response = sender.send_request(request(method.clone(), path, &world.live)).await.expect("an answer");
        assert_eq!(response.status(), status, "{method} {path}");
        if method == Method::HEAD && path == "/payments/items/1" {
            assert_eq!(response.headers()["content-length"], "11");
        }
        let body = response.collect().await.expect("a body").to_bytes();
        assert_eq!(body.is_empty(), method == Method::HEAD || status == 204 || status == 304, "{method} {path}");
    }
}

#[tokio::test]
async fn an_upstream_that_hangs_is_a_504_and_one_that_is_not_there_a_502() {
    let mut world = World::with(|directory, _| directory.products[0].timeout_ms = 500).await;
    let began = std::time::Instant::now();
    let slow = world.get("/payments/hang").await;
    assert_eq!((slow.status, slow.code().as_str()), (504, "upstream-timeout"));
    assert!(began.elapsed().as_millis() >= 450);
    world.change(|directory| directory.products[0].upstream_url = "http://127.0.0.1:1".to_owned());
    let gone = world.get("/payments/items/1").await;
    assert_eq!((gone.status, gone.code().as_str()), (502, "upstream-unreachable"));
    assert!(!gone.body.contains("127.0.0.1"), "the upstream's address is nobody's business");
    let events = world.events_once(2).await;
    assert!(events.iter().all(|event| event.outcome == Outcome::UpstreamFailed && event.units == 0));
}

#[tokio::test]
async fn a_loop_is_cut() {
    let mut world = World::start().await;
    let itself = format!("http://{}/payments", world.address);
    world.change(|directory| directory.products[0].upstream_url = itself);
    let answer = world.get("/payments/items/1").await;
    assert_eq!(answer.status, 508);
    assert!(answer.body.contains("loop-detected"));
}

#[tokio::test]
async fn connections_to_the_upstream_are_used_again() {
    let world = World::with(|_, config| config.cores = 1).await;
    for path in ["/payments/items/1", "/payments/empty", "/payments/drip", "/payments/fail", "/payments/items/2"] {
        world.get(path).await;
    }
    let sent = request_with(Method::POST, "/payments/echo", &world.live, &[], "body");
    assert_eq!(send(world.address, sent).await.body, "body");
    assert_eq!(world.upstream.connections(), 1);
}

#[tokio::test]
async fn a_request_without_a_body_says_so_to_the_upstream() {
    let world = World::start().await;
    let empty = Request::post("/payments/count").header("host", "a").header("x-api-key", &world.live);
    let empty = empty.body(Full::new(Bytes::new())).expect("a request");
    assert_eq!(send(world.address, empty).await.body, "0");
    assert_eq!(world.upstream.last().headers["content-length"], "0");
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_refused_before_it_sends_or_told_to_go_on() {
    let world = World::start().await;
    let head = |key: &str| {
        format!(
            "POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
    };
    let (refused, _) = raw(world.address, head("nonsense").as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let (waiting, _) = raw(world.address, head(&world.live).as_bytes()).await;
    assert!(waiting.starts_with("HTTP/1.1 100 Continue\r\n\r\n"), "{waiting}");
    let (whole, _) = raw(world.address, format!("{}hi", head(&world.live)).as_bytes()).await;
    assert!(whole.contains("HTTP/1.1 200") && whole.ends_with("\r\n\r\n2"), "{whole}");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_a_stream_that_ends_with_its_connection() {
    let world = World::start().await;
    let head = format!("GET /payments/drip HTTP/1.0\r\nx-api-key: {}\r\n\r\n", world.live);
    let (answer, closed) = raw(world.address, head.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(closed && !head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    assert_eq!((body.len(), body.lines().count()), (80, 10));
    assert!(world.upstream.last().headers["via"].to_str().expect("text").starts_with("1.0 "));
}
