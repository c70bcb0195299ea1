//! Upstreams that answer as none should, byte for byte.

use super::{
    client::{open, raw, request, request_with, send},
    world::{PATIENCE, World, until},
};
use bytes::Bytes;
use domain::usage::Outcome;
use http::{Method, Request};
use http_body_util::{BodyExt, channel::Channel};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{sleep, timeout},
};

/// An upstream that answers every request with the same portions, and then closes or waits for the next.
#[derive(Clone)]
struct Script {
    portions: &'static [&'static str],
    pause: Duration,
    closes: bool,
}

impl Script {
    const fn whole(portions: &'static [&'static str]) -> Self {
        Self { portions, pause: Duration::ZERO, closes: false }
    }
}

struct Scripted {
    url: String,
    connections: Arc<AtomicUsize>,
    /// Answers that were sent to their last portion.
    answered: Arc<AtomicUsize>,
    /// What each connection was sent.
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

async fn upstream(script: Script) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let scripted = Scripted { url, connections: Arc::default(), answered: Arc::default(), received: Arc::default() };
    let (connections, received) = (scripted.connections.clone(), scripted.received.clone());
    let answered = scripted.answered.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let number = connections.fetch_add(1, Ordering::SeqCst);
            received.lock().expect("no panic").push(Vec::new());
            let (script, received, answered) = (script.clone(), received.clone(), answered.clone());
            tokio::spawn(async move {
                let mut buffer = [0; 64 << 10];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    received.lock().expect("no panic")[number].extend_from_slice(&buffer[..read]);
                    for portion in script.portions {
                        if stream.write_all(portion.as_bytes()).await.is_err() {
                            return;
                        }
                        sleep(script.pause).await;
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                    if script.closes {
                        return;
                    }
                }
            });
        }
    });
    scripted
}

async fn world(script: Script) -> (World, Scripted) {
    let scripted = upstream(script).await;
    let url = scripted.url.clone();
    let world = World::with(|directory, config| {
        config.cores = 1;
        directory.products[0].upstream_url = url;
    });
    (world.await, scripted)
}

#[tokio::test]
async fn an_answer_that_could_be_read_in_two_ways_is_a_502_and_its_connection_is_not_used_again() {
    for answer in [
        &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"][..],
        &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
        &["HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nx: a\r\n folded: b\r\ncontent-length: 2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nx: a\rcontent-length: 0\r\ncontent-length: 2\r\n\r\nok"],
        &["HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
        &["nonsense\r\n\r\n"],
    ] {
        let (world, upstream) = world(Script::whole(answer)).await;
        for calls in 1..=2 {
            let refused = world.get("/payments/items/1").await;
            assert_eq!((refused.status, refused.code().as_str()), (502, "upstream-unreachable"), "{answer:?}");
            assert_eq!(upstream.connections.load(Ordering::SeqCst), calls, "{answer:?}");
        }
        assert!(world.events_once(2).await.iter().all(|event| event.units == 0 && event.status == 502));
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_do_not_answer_the_next_call() {
    let scripts = [
        Script::whole(&[
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        ]),
        Script {
            portions: &[
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
            ],
            pause: Duration::from_millis(20),
            closes: false,
        },
    ];
    for script in scripts {
        let (world, upstream) = world(script).await;
        for calls in 1..=3 {
            assert_eq!(world.get("/payments/items/1").await.body, "ok");
            until("the forged answer", || upstream.answered.load(Ordering::SeqCst) >= calls).await;
            sleep(Duration::from_millis(200)).await;
            assert_eq!(upstream.connections.load(Ordering::SeqCst), calls);
        }
    }
}

#[tokio::test]
async fn a_connection_is_used_again_only_where_the_answer_lets_it() {
    for (answer, closes, connections) in [
        (&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"][..], false, 1),
        (&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"], false, 1),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"], false, 3),
        (&["HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"], false, 3),
        (&["HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok"], false, 1),
        (&["HTTP/1.1 200 OK\r\n\r\nok"], true, 3),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"], true, 3),
    ] {
        let (world, upstream) = world(Script { portions: answer, pause: Duration::ZERO, closes }).await;
        for number in 0..3 {
            let got = world.get("/payments/items/1").await;
            assert_eq!((got.status, got.body.as_str()), (200, "ok"), "{answer:?}");
            until("the whole answer", || upstream.answered.load(Ordering::SeqCst) > number).await;
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(upstream.connections.load(Ordering::SeqCst), connections, "{answer:?} {closes}");
        assert_eq!(world.events().iter().map(|event| (event.bytes_out, event.units)).collect::<Vec<_>>(), [(2, 1); 3]);
    }
}

#[tokio::test]
async fn an_answer_in_crumbs_is_the_same_answer() {
    let crumbs: &[&str] = &[
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r",
        "\nHTTP/1.1 100 Continue\r\n\r\nHT",
        "TP/1.1 201 Created\r\nx-kept: a\r",
        "\ntransfer-encoding: chun",
        "ked\r\n\r",
        "\n",
        "2;x=y\r",
        "\no",
        "k\r\n",
        "1\r\n!\r\n0",
        "\r\nx-sum: 1\r\n",
        "\r\n",
    ];
    let script = Script { portions: crumbs, pause: Duration::from_millis(5), closes: false };
    let (world, upstream) = world(script).await;
    for _ in 0..2 {
        let answer = world.get("/payments/items/1").await;
        assert_eq!((answer.status, answer.header("x-kept"), answer.body.as_str()), (201, "a", "ok!"));
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_chunk_that_lies_breaks_the_answer_and_is_not_billed() {
    for answer in [
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "0x0\r\n\r\n"][..],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok", "ay\r\n0\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "0\nx: y\r\n\r\n"],
    ] {
        let (world, _) = world(Script { portions: answer, pause: Duration::from_millis(30), closes: false }).await;
        let response = open(world.address, request(Method::GET, "/payments/items/1", &world.live)).await;
        assert!(response.collect().await.is_err(), "{answer:?}");
        let event = world.events_once(1).await.remove(0);
        assert_eq!((event.outcome, event.units, event.bytes_out), (Outcome::UpstreamFailed, 0, 2), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_while_the_body_is_still_sent_is_seen() {
    let (world, upstream) =
        world(Script::whole(&["HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nfull"])).await;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = Request::post("/payments/count").header("host", "a").header("x-api-key", &world.live).body(body);
    let answer = tokio::spawn(open(world.address, request.expect("a request")));
    sender.send_data(Bytes::from_static(b"begun")).await.expect("sent");
    let answer = timeout(PATIENCE / 2, answer).await.expect("the body has not ended").expect("no panic");
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.collect().await.expect("whole").to_bytes(), "full");
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.status, event.outcome, event.bytes_out), (413, Outcome::Served, 4));
    drop(sender);
    assert_eq!(world.get("/payments/items/1").await.status, 413);
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 2, "half a request is on the first connection");
}

#[tokio::test]
async fn an_upstream_that_answers_and_closes_before_it_has_read_the_body_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.expect("written");
        stream.shutdown().await.expect("closed");
        // What is unread would make the close a reset, which may take the answer with it.
        let mut rest = [0; 64 << 10];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    });
    let world = World::with(|directory, config| {
        config.cores = 1;
        directory.products[0].upstream_url = url;
    })
    .await;
    let body = "x".repeat(4 << 20);
    let answer = timeout(
        PATIENCE / 6,
        send(world.address, request_with(Method::POST, "/payments/count", &world.live, &[], &body)),
    );
    // The client may still be sending when the answer is there, and learns of it only by the close.
    if let Ok(answer) = answer.await {
        assert_eq!((answer.status, answer.body.as_str()), (403, "no"));
    }
    assert_eq!(world.events_once(1).await[0].status, 403);
}

#[tokio::test]
async fn a_request_reaches_the_upstream_framed_by_its_body_and_by_nothing_else() {
    let (world, upstream) = world(Script::whole(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"])).await;
    let key = &world.live;
    let head =
        |framing: &str| format!("POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n{framing}\r\n\r\n");
    let (answer, _) = raw(world.address, format!("{}hello", head("content-length: 5")).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (answer, _) =
        raw(world.address, format!("{}5\r\nhello\r\n0\r\n\r\n", head("transfer-encoding: chunked")).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let received = upstream.received.lock().expect("no panic").clone();
    let text = String::from_utf8_lossy(&received.concat()).into_owned();
    let requests: Vec<&str> = text.split_inclusive("hello").collect();
    assert!(
        requests[0].starts_with("POST /count HTTP/1.1\r\nhost: ") && requests[0].contains("content-length: 5\r\n"),
        "{text}"
    );
    assert!(!requests[0].contains("transfer-encoding"), "{text}");
    assert!(
        requests[1].contains("transfer-encoding: chunked\r\n") && !requests[1].contains("content-length"),
        "{text}"
    );
    assert!(requests[1].ends_with("\r\n\r\n5\r\nhello") && text.ends_with("hello\r\n0\r\n\r\n"), "{text}");
}
