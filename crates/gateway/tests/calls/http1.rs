//! HTTP/1.0 and 1.1 as clients see it, byte for byte: what keeps a connection, what ends it, and what is read of a client
//! that is answered early or leaves.

use super::{
    client::{raw, read_until},
    scripted::Scripted,
    world::{PATIENCE, World},
};
use domain::usage::Outcome;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

fn head(world: &World, line: &str, fields: &str) -> String {
    format!("{line}\r\nhost: a\r\nx-api-key: {}\r\n{fields}\r\n", world.live)
}

fn get(world: &World) -> String {
    head(world, "GET /payments/items/1 HTTP/1.1", "")
}

async fn read_some(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 16 << 10];
    let read = timeout(PATIENCE, stream.read(&mut bytes)).await.expect("in time").unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

/// The answer's head, without what cannot be known before.
fn fields(answer: &str) -> Vec<String> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().map(str::to_ascii_lowercase).collect()
}

#[tokio::test]
async fn an_answer_is_framed_for_its_client_and_says_whether_the_connection_goes_on() {
    let world = World::start().await;
    for (line, sent, expected, absent, closes) in [
        ("GET /payments/items/1 HTTP/1.1", "", "content-length: 11", "connection", false),
        ("GET /payments/items/1 HTTP/1.1", "connection: close\r\n", "connection: close", "transfer-encoding", true),
        ("GET /payments/items/1 HTTP/1.0", "", "content-length: 11", "connection", true),
        ("GET /payments/items/1 HTTP/1.0", "connection: keep-alive\r\n", "connection: keep-alive", "close", false),
        ("HEAD /payments/items/1 HTTP/1.1", "", "content-length: 11", "connection", false),
        ("GET /payments/drip HTTP/1.1", "", "transfer-encoding: chunked", "content-length", false),
        ("GET /payments/drip HTTP/1.0", "connection: keep-alive\r\n", "date: ", "connection", true),
        ("GET /payments/empty HTTP/1.1", "", "http/1.1 204 no content", "content-length", false),
        ("GET /payments/unchanged HTTP/1.1", "", "http/1.1 304 not modified", "content-length", false),
        ("GET /nowhere HTTP/1.1", "", "http/1.1 404 not found", "connection", false),
    ] {
        let (answer, closed) = raw(world.address, head(&world, line, sent).as_bytes()).await;
        let fields = fields(&answer);
        assert!(fields.iter().any(|field| field.starts_with(expected)), "{line} {sent}: {answer}");
        assert!(!fields.iter().any(|field| field.starts_with(absent)), "{line} {sent}: {answer}");
        assert_eq!(closed, closes, "{line} {sent}: {answer}");
        assert_eq!(fields.iter().filter(|field| field.starts_with("date: ")).count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn many_requests_that_come_at_once_are_answered_in_order() {
    let world = World::start().await;
    let mut all = String::new();
    for number in 0..50 {
        match number % 3 {
            0 => all.push_str(&head(&world, &format!("GET /payments/items/{number} HTTP/1.1"), "")),
            1 => {
                all.push_str(&head(&world, "POST /payments/count HTTP/1.1", "content-length: 3\r\n"));
                all.push_str("abc");
            }
            _ => {
                all.push_str(&head(&world, "POST /payments/count HTTP/1.1", "transfer-encoding: chunked\r\n"));
                all.push_str("4\r\nabcd\r\n0\r\nx: y\r\n\r\n");
            }
        }
    }
    all.push_str(&head(&world, "GET /payments/items/last HTTP/1.1", "connection: close\r\n"));
    let (answers, closed) = raw(world.address, all.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 51, "{answers}");
    assert!(closed);
    let targets: Vec<_> = world.upstream.seen().iter().map(|seen| seen.target.clone()).collect();
    let items: Vec<_> = targets.iter().filter(|target| target.starts_with("/base/items/")).collect();
    let expected: Vec<_> = (0..50).step_by(3).map(|number| format!("/base/items/{number}")).collect();
    assert_eq!(items[..17], expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_request_in_crumbs_is_the_same_request() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let request = head(&world, "POST /payments/count HTTP/1.1", "transfer-encoding: chunked\r\n");
    for byte in format!("{request}3\r\nabc\r\n0\r\n\r\n").as_bytes() {
        stream.write_all(&[*byte]).await.expect("sent");
        sleep(Duration::from_millis(1)).await;
    }
    assert!(read_until(&mut stream, "\r\n\r\n3").await.ends_with("\r\n\r\n3"));
}

#[tokio::test]
async fn a_client_that_is_answered_before_it_has_sent_all_can_read_the_answer() {
    const LENGTH: usize = 4 << 20;
    let world = World::with(|_, config| config.body_limit = 1 << 20).await;
    let long = head(&world, "POST /payments/count HTTP/1.1", &format!("content-length: {LENGTH}\r\n"));
    let unknown = "POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: nonsense\r\ncontent-length: 4194304\r\n\r\n";
    let twice = head(&world, "POST /payments/count HTTP/1.1", "content-length: 1\r\ncontent-length: 2\r\n");
    for (request, status) in [(long.as_str(), "413"), (unknown, "401"), (&twice, "400")] {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        // A client that sends all of it before it looks for an answer.
        stream.write_all(&vec![b'x'; LENGTH]).await.expect("the connection is not reset");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the answer, and an end");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(fields(&answer).contains(&"connection: close".to_owned()), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(world.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_small_body_that_was_not_wanted_does_not_cost_the_connection() {
    let world = World::start().await;
    let refused = "POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: nonsense\r\ncontent-length: 3\r\n\r\nabc";
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(format!("{refused}{}", get(&world)).as_bytes()).await.expect("sent");
    let answers = read_until(&mut stream, "HTTP/1.1 200 OK").await;
    assert!(answers.starts_with("HTTP/1.1 401") && answers.contains("HTTP/1.1 200 OK"), "{answers}");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_ends_the_connection_behind_one_answer() {
    let world = World::start().await;
    let hidden = get(&world);
    for body in
        ["2\r\nabc\r\n0\r\n\r\n", "2\r\nab\r\n0\r\nx: y\n\r\n\r\n\r\n\r\n", "2\r\nab\r\n0\r\nno field\r\n\r\n\r\n"]
    {
        let request = head(&world, "POST /payments/count HTTP/1.1", "transfer-encoding: chunked\r\n");
        let (answer, closed) = raw(world.address, format!("{request}{body}{hidden}").as_bytes()).await;
        assert!(closed && answer.matches("HTTP/1.1 ").count() <= 1, "{body:?}: {answer}");
    }
    assert!(world.upstream.seen().iter().all(|seen| seen.target == "/base/count"));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_ends_its_call_at_the_upstream() {
    let world = World::start().await;
    let hang = |fields: &str| head(&world, "GET /payments/hang HTTP/1.1", fields);
    for (count, request) in [(1, hang("")), (2, format!("{}abc", hang("content-length: 3\r\n")))] {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        world.forwarded(count).await;
        sleep(Duration::from_millis(50)).await;
        drop(stream);
        world.cancelled(count).await;
    }
    assert_eq!(world.events_once(2).await.len(), 2);
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way_says_so_and_takes_no_more() {
    let mut world = World::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await;
        asked.send(()).expect("somebody waits for it");
        sleep(Duration::from_millis(400)).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        sleep(Duration::from_secs(1)).await;
    });
    world.change(|directory| directory.products[0].upstream_url = url);
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(format!("{0}{0}", get(&world)).as_bytes()).await.expect("sent");
    was_asked.await.expect("it is forwarded");
    let gateway = world.gateway.take().expect("running");
    assert_eq!(gateway.shutdown(PATIENCE).await, 0);
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers).await;
    assert!(answers.starts_with("HTTP/1.1 200") && answers.ends_with("\r\n\r\nok"), "{answers}");
    assert!(fields(&answers).contains(&"connection: close".to_owned()), "{answers}");
    assert_eq!(world.events().iter().filter(|event| event.outcome == Outcome::Served).count(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_closed_after_a_while() {
    let world = World::with(|_, config| config.deadlines.body_idle = Duration::from_millis(600)).await;
    let stream = TcpStream::connect(world.address).await.expect("a connection");
    let (_, mut writer) = stream.into_split();
    let began = Instant::now();
    // Answers of ours, which nobody reads: the sockets take so many, then the gateway waits.
    let request = "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100);
    while writer.write_all(request.as_bytes()).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is never closed");
    }
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_time_that_a_whole_answer_may_take_ends_it_although_its_client_reads_nothing() {
    let world = World::with(|directory, _| directory.products[0].policy.upstream.timeouts.total_ms = Some(1_500)).await;
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    let began = Instant::now();
    stream.write_all(head(&world, "GET /payments/flow HTTP/1.1", "").as_bytes()).await.expect("sent");
    let events = world.events_once(1).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_450), "{took:?}");
    println!("ended after {took:?}");
    assert_eq!(events[0].outcome, Outcome::ClientGone, "the upstream is not at fault");
}

#[tokio::test]
async fn what_the_upstream_says_before_its_answer_reaches_clients_that_understand_it() {
    const HINTS: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\
                         connection: x-hop\r\nx-hop: 1\r\nx-request-id: forged\r\n\r\n";
    let scripted = Scripted::start(|_| format!("{HINTS}HTTP/1.1 200 OK\r\n")).await;
    let world = World::with(|directory, _| directory.products[0].upstream_url = scripted.url()).await;
    let (answer, _) = raw(world.address, get(&world).as_bytes()).await;
    let rest = answer.strip_prefix("HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n");
    assert!(rest.is_some_and(|rest| rest.starts_with("HTTP/1.1 200 OK\r\n")), "{answer}");
    let old = head(&world, "GET /payments/items/1 HTTP/1.0", "");
    let (answer, _) = raw(world.address, old.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && !answer.contains(" 103 "), "{answer}");
    assert_eq!(world.events_once(2).await.len(), 2);
}

#[tokio::test]
async fn a_request_that_breaks_off_under_its_answer_is_no_fault_of_the_upstream() {
    let world = World::with(|directory, config| {
        config.cores = 1;
        directory.products[0].policy.upstream.breaker.failures = 1;
    })
    .await;
    for rest in ["zz\r\n", ""] {
        let request = head(&world, "GET /payments/flow HTTP/1.1", "transfer-encoding: chunked\r\n");
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        stream.write_all(format!("{request}1\r\nx\r\n").as_bytes()).await.expect("sent");
        assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"));
        assert!(!read_some(&mut stream).await.is_empty(), "some of the body");
        let _ = stream.write_all(rest.as_bytes()).await;
        stream.shutdown().await.expect("an end");
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("in time");
    }
    let events = world.events_once(2).await;
    for event in &events {
        assert_eq!((event.outcome, event.units), (Outcome::ClientGone, 1), "some of the answer was handed over");
    }
    assert_eq!(world.get("/payments/items/1").await.status, 200, "the breaker is closed");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_does_not_look_whole_to_a_client_that_reads_until_the_end() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(head(&world, "GET /payments/break HTTP/1.0", "").as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_err() && answer.ends_with("half"), "{ended:?}: {answer}");
}

#[tokio::test]
async fn what_was_skipped_of_a_refused_request_is_no_beginning_of_the_next() {
    let world = World::with(|_, config| config.deadlines.head = Duration::from_millis(2_500)).await;
    let refused = "POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: nonsense\r\ncontent-length: 20000\r\n\r\n";
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    // More than is read at once with its head, and an empty line that some clients send behind a body.
    for end in ["", "\r\n"] {
        stream.write_all(format!("{refused}{}{end}", "x".repeat(20_000)).as_bytes()).await.expect("sent");
        assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 401"));
    }
    sleep(Duration::from_millis(4_000)).await;
    stream.write_all(get(&world).as_bytes()).await.expect("sent");
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"), "the connection is still there");
}
