//! The real gateway over TCP: clients that call at the cell's load, and the times at which calls reach the upstream.
//!
//! A call that was let through reaches the upstream a moment later, and not each the same moment. So the referee's window is
//! shorter than the limit's by [`TRANSIT`].

use super::{
    cell::{Cell, Row},
    referee, world,
};
use domain::limit::{Limit, rule::Share};
use gateway::{Running, Spool};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    time::{sleep, sleep_until},
};

/// By how much two calls' ways to the upstream may differ.
const TRANSIT: Duration = Duration::from_millis(25);

const CONNECTIONS: u64 = 24;

type Times = Arc<Mutex<Vec<Instant>>>;

pub fn run(cell: Cell, seconds: u64) -> Row {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(measure(cell, seconds))
}

async fn measure(cell: Cell, seconds: u64) -> Row {
    let times = Times::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let upstream = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, times.clone()));
    let gateways: Vec<Running> = (0..cell.nodes).map(|index| gateway(upstream, cell, index)).collect();
    let key = world::keys().remove(0);
    let offered = Arc::new(AtomicU64::new(0));
    let began = Instant::now() + Duration::from_millis(100);
    let end = began + Duration::from_secs(seconds);
    let interval = Duration::from_nanos(10_000_000_000 * CONNECTIONS / (u64::from(cell.calls) * u64::from(cell.load)));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let gateway = gateways[(number % u64::from(cell.nodes)) as usize].address();
            // Evenly between each other too.
            let first = began + interval * number as u32 / CONNECTIONS as u32;
            tokio::spawn(call(gateway, key.clone(), first, interval, end, offered.clone()))
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    sleep(Duration::from_millis(200)).await;
    for gateway in gateways {
        gateway.shutdown(Duration::from_secs(1)).await;
    }
    let times: Vec<u64> = std::mem::take(&mut *times.lock().expect("no panic"))
        .into_iter()
        .map(|at| at.saturating_duration_since(began).as_nanos() as u64)
        .collect();
    let accepted = times.len() as u64;
    let most = referee::most_in_any_window(times, (Duration::from_secs(1) - TRANSIT).as_nanos() as u64);
    Row {
        by: "tcp",
        cell,
        offered: offered.load(Ordering::SeqCst),
        accepted,
        possible: u64::from(cell.calls) * seconds,
        overshoot: most.saturating_sub(u64::from(cell.calls)),
        control: false,
    }
}

fn gateway(upstream: SocketAddr, cell: Cell, index: u32) -> Running {
    world::start_with(upstream, Spool::Off, "limits", |directory, config| {
        config.share = Share::new(cell.nodes, index).expect("one of the nodes");
        directory.plans[0].terms.limits = vec![Limit { calls: cell.calls, window: cell.window }];
    })
}

/// Calls at each of its times, or at once where it is late.
async fn call(
    gateway: SocketAddr,
    key: String,
    first: Instant,
    interval: Duration,
    end: Instant,
    offered: Arc<AtomicU64>,
) {
    let mut stream = TcpStream::connect(gateway).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let request = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
    let mut next = first;
    while next < end {
        sleep_until(next.into()).await;
        if Instant::now() >= end {
            return;
        }
        stream.write_all(request.as_bytes()).await.expect("sent");
        offered.fetch_add(1, Ordering::Relaxed);
        read_message(&mut stream).await.expect("an answer");
        next += interval;
    }
}

async fn serve(listener: TcpListener, times: Times) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let times = times.clone();
        tokio::spawn(async move {
            while read_message(&mut stream).await.is_some() {
                times.lock().expect("no panic").push(Instant::now());
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Reads one message with its body; `None` where the peer has closed.
async fn read_message(stream: &mut TcpStream) -> Option<()> {
    let mut message = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&message).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().expect("a length"))
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(());
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => message.extend_from_slice(&chunk[..read]),
        }
    }
}
