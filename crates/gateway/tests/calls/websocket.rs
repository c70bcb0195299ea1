//! WebSocket: a call like any other until the upstream switches, then bytes both ways until somebody ends it.

use super::world::{PATIENCE, World};
use domain::{product::Operation, usage::Outcome};
use gateway::GatewayConfig;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

const TEXT_HI: [u8; 4] = [0x81, 2, b'h', b'i'];
const MASKED_CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 3, 0xe8];

/// An upstream that answers a head with these bytes, then sends back what it gets.
async fn echo(answer: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (heads, seen) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heads = heads.clone();
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                let _ = heads.send(head);
                let _ = stream.write_all(answer.as_bytes()).await;
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    (url, seen)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: x\r\n\r\n";

async fn world(
    answer: &'static str,
    change: impl FnOnce(&mut GatewayConfig),
) -> (World, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (url, seen) = echo(answer).await;
    let world = World::with(|directory, config| {
        directory.products[0].upstream_url = url;
        let socket = Operation {
            path: "/socket".to_owned(),
            code: "socket".to_owned(),
            ..directory.products[0].operations[0].clone()
        };
        directory.products[0].operations[0] = socket;
        change(config);
    })
    .await;
    (world, seen)
}

async fn open(world: &World, more: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    let head = format!(
        "GET /payments/socket HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\norigin: https://shop.example\r\n{more}\r\n",
        world.live
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let head = read_head(&mut stream).await;
    (stream, head)
}

#[tokio::test]
async fn bytes_go_both_ways_after_the_upstreams_101_and_are_one_call() {
    let (world, mut seen) = world(SWITCH, |_| {}).await;
    let (mut stream, head) = open(&world, "").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: x") && head.contains("upgrade: websocket"), "{head}");
    let asked = seen.recv().await.expect("a head");
    for line in ["upgrade: websocket", "connection: upgrade", "sec-websocket-key: dGhl", "origin: https://shop.example"]
    {
        assert!(asked.contains(line), "{asked}");
    }
    assert!(!asked.contains("x-api-key"));
    let large = vec![5; 300_000];
    for message in [&TEXT_HI[..], &large] {
        let (mut reader, mut writer) = stream.split();
        let mut back = vec![0; message.len()];
        let (sent, read) = tokio::join!(writer.write_all(message), reader.read_exact(&mut back));
        sent.expect("sent");
        read.expect("read");
        assert_eq!(back, message);
    }
    assert_eq!(world.events().len(), 0, "recorded at its end");
    drop(stream);
    let event = world.events_once(1).await.remove(0);
    assert_eq!((event.status, event.outcome, event.units), (101, Outcome::Served, 1));
    assert_eq!((event.bytes_in, event.bytes_out), (300_004, 300_004));
    assert_eq!(world.allowance.used(world.partner(), world.period()), 1);
}

#[tokio::test]
async fn what_is_not_switched_stays_http() {
    let (refused, _seen) = world("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", |_| {}).await;
    let (mut stream, head) = open(&refused, "").await;
    assert!(head.starts_with("HTTP/1.1 403") && !head.contains("upgrade"), "{head}");
    stream.read_exact(&mut [0; 2]).await.expect("its body");
    stream.write_all(b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 401"), "the next request is a request");

    let other = "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: Upgrade\r\n\r\n";
    let (other, _seen) = world(other, |_| {}).await;
    let (_, head) = open(&other, "").await;
    assert!(head.starts_with("HTTP/1.1 502"), "another protocol: {head}");

    let (unasked, mut seen) = world(SWITCH, |_| {}).await;
    for (upgrade, method) in [("h2c", "GET"), ("websocket", "POST")] {
        let mut stream = TcpStream::connect(unasked.address).await.expect("a connection");
        let head = format!(
            "{method} /payments/socket HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n\r\n",
            unasked.live
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 502") || head.starts_with("HTTP/1.1 405"), "{upgrade}: {head}");
        if method == "GET" {
            let asked = seen.recv().await.expect("a head");
            assert!(!asked.contains("upgrade"), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_not_admitted_never_reaches_the_upstream() {
    let (mut world, mut seen) = world(SWITCH, |_| {}).await;
    world.change(|directory| directory.keys[0].revoked_at = Some("2026-11-19T00:00:00Z".parse().expect("a time")));
    let (_, head) = open(&world, "").await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_revoked_key_ends_it_and_both_sides_are_told() {
    let (mut world, _seen) = world(SWITCH, |_| {}).await;
    let (mut stream, _) = open(&world, "").await;
    stream.write_all(&TEXT_HI).await.expect("sent");
    stream.read_exact(&mut [0; 4]).await.expect("an echo");
    sleep(Duration::from_millis(1_300)).await;
    assert!(timeout(Duration::from_millis(100), stream.read_u8()).await.is_err(), "the control: it lives on");
    world.change(|directory| directory.keys[0].revoked_at = Some("2026-11-20T12:00:00Z".parse().expect("a time")));
    let began = Instant::now();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time").expect("closed");
    println!("ended {:?} after the change", began.elapsed());
    assert_eq!(rest.get(..4), Some(&[0x88, 2, 0x03, 0xf0][..]), "a close frame with 1008");
    assert_eq!(world.events_once(1).await[0].outcome, Outcome::Served);
}

#[tokio::test]
async fn silence_and_our_end_close_it_with_a_word() {
    let (silent, _seen) = world(SWITCH, |config| config.deadlines.body_idle = Duration::from_millis(600)).await;
    let (mut stream, _) = open(&silent, "").await;
    let began = Instant::now();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time").expect("closed");
    assert!(began.elapsed() > Duration::from_millis(500));
    assert_eq!(rest, [0x88, 2, 0x03, 0xe9], "a close frame with 1001");
    let event = silent.events_once(1).await.remove(0);
    assert_eq!((event.outcome, event.units), (Outcome::ClientGone, 0), "the upstream sent nothing through it");

    let (mut ours, _seen) = world(SWITCH, |_| {}).await;
    let (mut stream, _) = open(&ours, "").await;
    stream.write_all(&TEXT_HI).await.expect("sent");
    stream.read_exact(&mut [0; 4]).await.expect("an echo");
    let gateway = ours.gateway.take().expect("running");
    let began = Instant::now();
    assert_eq!(gateway.shutdown(PATIENCE).await, 0);
    assert!(began.elapsed() < PATIENCE / 2, "it does not wait for the drain's end");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("closed");
    assert_eq!(rest, [0x88, 2, 0x03, 0xe9]);
    assert_eq!(ours.events().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_ends_it_ends_it_for_the_client_too() {
    let (world, _seen) = world(SWITCH, |_| {}).await;
    let (mut stream, _) = open(&world, "").await;
    stream.write_all(&MASKED_CLOSE).await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time").expect("closed");
    assert_eq!(rest, MASKED_CLOSE, "what was under way arrives");
    assert_eq!(world.events_once(1).await[0].bytes_out, 8);
}
