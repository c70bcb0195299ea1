//! HTTP/2 from clients: the same calls, many at once, each with its own fate.

use super::{
    client::{connect2, read, request2, whole},
    frames::{Attacker, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, frame, head},
    world::{PATIENCE, World, until},
};
use bytes::Bytes;
use domain::usage::Outcome;
use http::{HeaderValue, Method, Version};
use http_body_util::BodyExt;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

#[tokio::test]
async fn a_call_with_prior_knowledge_reaches_the_upstream_in_the_form_of_http_1() {
    let world = World::start().await;
    let mut connection = connect2(world.address).await;
    let mut request = request2(Method::POST, "/payments/count?a=1", &world.live, "12345");
    for crumb in ["a=1", "b=2; __Host-session=x", "c=3"] {
        request.headers_mut().append("cookie", HeaderValue::from_static(crumb));
    }
    request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let response = connection.send_request(request).await.expect("an answer");
    assert_eq!(response.version(), Version::HTTP_2);
    let answer = read(response).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "5"));
    assert_eq!(answer.header("x-turnpike-units"), "1");
    let seen = world.upstream.last();
    assert_eq!(seen.target, "/base/count?a=1");
    let header = |name: &str| seen.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("host"), world.upstream.address.to_string());
    assert_eq!(header("x-forwarded-host"), "api.example");
    assert_eq!(header("x-forwarded-proto"), "http");
    assert!(header("via").starts_with("2.0 turnpike-"), "{}", header("via"));
    assert_eq!(header("content-length"), "5");
    let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"], "one field, without the portal's");
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.outcome, event.units, event.bytes_in, event.bytes_out), (Outcome::Served, 1, 5, 1));
}

#[tokio::test]
async fn calls_of_one_connection_do_not_wait_for_each_other_and_are_each_recorded() {
    let world = World::with(|directory, _| directory.products[0].timeout_ms = 5_000).await;
    let connection = connect2(world.address).await;
    let call = |path: &'static str| {
        let (mut connection, request) = (connection.clone(), request2(Method::GET, path, &world.live, ""));
        async move { connection.send_request(request).await.expect("an answer") }
    };
    let hanging = tokio::spawn(call("/payments/hang"));
    let dripping = tokio::spawn(call("/payments/drip"));
    let many = futures((0..50).map(|_| tokio::spawn(call("/payments/items/1")))).await;
    assert!(many.iter().all(|status| *status == 200));
    assert!(!hanging.is_finished(), "they did not wait for it");
    assert_eq!(read(dripping.await.expect("no panic")).await.body.len(), 80);
    assert_eq!(read(hanging.await.expect("no panic")).await.code(), "upstream-timeout");
    let events = world.events_once(52).await;
    let served = events.iter().filter(|event| event.outcome == Outcome::Served).count();
    assert_eq!(served, 51);
}

async fn futures(
    calls: impl Iterator<Item = tokio::task::JoinHandle<http::Response<hyper::body::Incoming>>>,
) -> Vec<u16> {
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(read(call.await.expect("no panic")).await.status);
    }
    statuses
}

#[tokio::test]
async fn authority_and_host_have_to_agree_in_both_protocols() {
    let world = World::start().await;
    let mut connection = connect2(world.address).await;
    for (host, status) in [("api.example", 200), ("API.example", 200), ("other.example", 400)] {
        let mut request = request2(Method::GET, "/payments/items/1", &world.live, "");
        request.headers_mut().insert("host", HeaderValue::from_static(host));
        assert_eq!(connection.send_request(request).await.expect("an answer").status(), status, "{host}");
        let head = format!(
            "GET http://api.example/payments/items/1 HTTP/1.1\r\nhost: {host}\r\nx-api-key: {}\r\nconnection: close\r\n\r\n",
            world.live
        );
        let (answer, _) = super::client::raw(world.address, head.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
    assert_eq!(world.upstream.seen().len(), 4);
}

#[tokio::test]
async fn refusals_come_as_problems_and_methods_that_would_open_a_tunnel_are_refused() {
    let world = World::start().await;
    let mut connection = connect2(world.address).await;
    let refused = request2(Method::POST, "/payments/count", "", &"x".repeat(300_000));
    assert_eq!(read(connection.send_request(refused).await.expect("an answer")).await.code(), "missing-key");
    let unknown = request2(Method::TRACE, "/payments/items/1", &world.live, "");
    assert_eq!(connection.send_request(unknown).await.expect("an answer").status(), 405);
    let tunnel = http::Request::builder()
        .method(Method::CONNECT)
        .uri("api.example:443")
        .header("x-api-key", &world.live)
        .body(whole(""))
        .expect("a request");
    assert_eq!(connection.send_request(tunnel).await.expect("an answer").status(), 400);
    let mut many = request2(Method::GET, "/payments/items/1", &world.live, "");
    for number in 0..101 {
        many.headers_mut().append("x-many", HeaderValue::from(number));
    }
    assert_eq!(read(connection.send_request(many).await.expect("an answer")).await.code(), "headers-too-large");
    let fine = request2(Method::GET, "/payments/items/1", &world.live, "");
    assert_eq!(connection.send_request(fine).await.expect("an answer").status(), 200, "the connection lives on");
    assert_eq!(world.upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_stream_that_its_client_resets_cancels_the_upstream_and_no_other_stream() {
    let world = World::start().await;
    let connection = connect2(world.address).await;
    let call = |path| {
        let (mut connection, request) = (connection.clone(), request2(Method::GET, path, &world.live, ""));
        async move { connection.send_request(request).await }
    };
    let other = tokio::spawn(call("/payments/drip"));
    tokio::select! {
        _ = call("/payments/hang") => panic!("it hangs"),
        () = world.forwarded(2) => {}
    }
    world.cancelled(1).await;
    assert_eq!(read(other.await.expect("no panic").expect("an answer")).await.body.len(), 80);
    let events = world.events_once(2).await;
    let gone = events.iter().find(|event| event.path == "/hang").expect("the event");
    assert_eq!((gone.outcome, gone.status, gone.units), (Outcome::ClientGone, 499, 0));
}

#[tokio::test]
async fn a_body_that_its_client_takes_back_never_looks_whole_to_the_upstream() {
    let world = World::start().await;
    for round in 0..20_u32 {
        let mut client = Attacker::connect(world.address, &[]).await;
        let post = frame(HEADERS, END_HEADERS, 1, &head("POST", "/payments/count", &world.live));
        let taken_back = [frame(DATA, 0, 1, b"half"), frame(RST_STREAM, 0, 1, &(round % 2 * 8).to_be_bytes())].concat();
        let seen = world.upstream.seen().len();
        client.send(&[post, taken_back[..13].to_vec()].concat()).await.expect("sent");
        // Half of them wherever they are by then, the others once they are at the upstream.
        if round < 10 {
            sleep(Duration::from_millis(u64::from(5 + 2 * round))).await;
        } else {
            world.forwarded(seen + 1).await;
        }
        client.send(&taken_back[13..]).await.expect("sent");
    }
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.upstream.counted.load(Ordering::SeqCst), 0, "of {} begun", world.upstream.seen().len());
    assert!(world.upstream.seen().len() >= 10);
    let mut client = Attacker::connect(world.address, &[]).await;
    let post = frame(HEADERS, END_HEADERS, 1, &head("POST", "/payments/count", &world.live));
    client.send(&[post, frame(DATA, END_STREAM, 1, b"whole")].concat()).await.expect("sent");
    until("the control", || world.upstream.counted.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn shutting_down_lets_streams_finish_and_takes_no_more() {
    let mut world = World::start().await;
    let mut connection = connect2(world.address).await;
    let first =
        connection.send_request(request2(Method::GET, "/payments/drip", &world.live, "")).await.expect("an answer");
    let idle = connect2(world.address).await;
    let gateway = world.gateway.take().expect("running");
    let stopping = tokio::spawn(gateway.shutdown(PATIENCE));
    let began = Instant::now();
    while connection.send_request(request2(Method::GET, "/payments/items/1", &world.live, "")).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "GOAWAY is never sent");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(read(first).await.body.len(), 80);
    assert_eq!(stopping.await.expect("no panic"), 0);
    until("the end of the idle one", || idle.is_closed()).await;
    assert!(world.events().iter().all(|event| event.outcome == Outcome::Served));
}

#[tokio::test]
async fn what_the_drain_cuts_off_is_recorded() {
    let mut world = World::start().await;
    let mut connection = connect2(world.address).await;
    let stalled =
        connection.send_request(request2(Method::GET, "/payments/stall", &world.live, "")).await.expect("an answer");
    let gateway = world.gateway.take().expect("running");
    assert_eq!(gateway.shutdown(Duration::from_millis(100)).await, 1);
    assert!(stalled.collect().await.is_err());
    let event = world.events().remove(0);
    assert_eq!((event.outcome, event.units), (Outcome::UpstreamFailed, 0), "the client has not left");
}

#[tokio::test]
async fn a_stream_that_stands_still_is_reset_alone_and_silent_connections_are_closed() {
    let world = World::with(|_, config| {
        config.deadlines.head = Duration::from_millis(400);
        config.deadlines.idle = Duration::from_millis(6_000);
        config.deadlines.body_idle = Duration::from_millis(600);
    })
    .await;
    let closes_after = async |pieces: &[&[u8]]| {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        let began = Instant::now();
        for piece in pieces {
            stream.write_all(piece).await.expect("sent");
            sleep(Duration::from_millis(20)).await;
        }
        let _ = stream.read_to_end(&mut Vec::new()).await;
        began.elapsed().as_millis()
    };
    let mut connection = connect2(world.address).await;
    let stalling =
        connection.send_request(request2(Method::GET, "/payments/stall", &world.live, "")).await.expect("an answer");
    let (pieces, whole) = ([&PREFACE[..1], &PREFACE[1..10]], [PREFACE, &EMPTY_SETTINGS]);
    let (stalled, half, silent) = tokio::join!(
        async {
            let began = Instant::now();
            assert!(stalling.collect().await.is_err());
            began.elapsed().as_millis()
        },
        closes_after(&pieces),
        closes_after(&whole),
    );
    assert!((550..5_900).contains(&stalled), "a body that stands still: {stalled} ms");
    assert!((350..5_900).contains(&half), "half a preface: {half} ms");
    assert!((350..5_900).contains(&silent), "no first request: {silent} ms");
    let answered = Instant::now();
    let next = connection.send_request(request2(Method::GET, "/payments/items/1", &world.live, "")).await;
    assert_eq!(next.expect("the connection lives on").status(), 200);
    until("the end of an idle connection", || connection.is_closed()).await;
    assert!(answered.elapsed() > Duration::from_millis(5_800));
    let events = world.events_once(2).await;
    assert_eq!((events[0].path.as_str(), events[0].outcome), ("/stall", Outcome::UpstreamFailed));
}

#[tokio::test]
async fn the_preface_may_come_in_pieces() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.set_nodelay(true).expect("set");
    for byte in PREFACE {
        stream.write_all(&[*byte]).await.expect("sent");
        sleep(Duration::from_millis(3)).await;
    }
    stream.write_all(&EMPTY_SETTINGS).await.expect("sent");
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "SETTINGS");
}

#[tokio::test]
async fn bodies_larger_than_every_window_pass_in_both_directions() {
    let world = World::with(|_, config| config.body_limit = 64 << 20).await;
    let mut connection = connect2(world.address).await;
    let bytes = Bytes::from(vec![7; 8 << 20]);
    let mut request = request2(Method::POST, "/payments/echo", &world.live, "");
    *request.body_mut() = http_body_util::Full::new(bytes.clone()).map_err(|never| match never {}).boxed();
    let response = connection.send_request(request).await.expect("an answer");
    assert_eq!(response.collect().await.expect("a whole body").to_bytes(), bytes);
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.bytes_in, event.bytes_out), (8 << 20, 8 << 20));
}

#[tokio::test]
async fn the_time_that_a_whole_answer_may_take_ends_a_stream_whose_client_reads_nothing() {
    let world = World::with(|directory, _| directory.products[0].policy.upstream.timeouts.total_ms = Some(1_500)).await;
    let mut connection = connect2(world.address).await;
    let answer = connection.send_request(request2(Method::GET, "/payments/flow", &world.live, "")).await;
    let events = world.events_once(1).await;
    assert_eq!(events[0].outcome, Outcome::ClientGone, "the upstream is not at fault");
    assert!(answer.expect("a head").into_body().collect().await.is_err(), "it is cut off");
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}
