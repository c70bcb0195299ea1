//! Starting, changing and stopping without dropping a call.

use super::{
    client::{open, raw, request, send},
    world::{PATIENCE, PEPPER, TRY_KEY, TestClock, World, compile, limits, quota},
};
use domain::{limit::Window, quota::Beyond, usage::Outcome};
use gateway::{Clock, Gateway, GatewayConfig, Leases, Secret, Spool, StartError};
use http::Method;
use http_body_util::BodyExt;
use jiff::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn a_new_snapshot_changes_the_next_call_and_none_in_flight() {
    let mut world = World::start().await;
    let response = open(world.address, request(Method::GET, "/payments/drip", &world.live)).await;
    world.change(|directory| directory.keys.clear());
    assert_eq!(world.get("/payments/items/1").await.code(), "unknown-key");
    assert_eq!(response.collect().await.expect("a whole body").to_bytes().len(), 80);
    assert_eq!(world.events()[0].outcome, Outcome::Served);
}

#[tokio::test]
async fn shutting_down_lets_calls_finish_and_takes_no_more() {
    let mut world = World::start().await;
    let mut idle = TcpStream::connect(world.address).await.expect("a connection");
    let response = open(world.address, request(Method::GET, "/payments/drip", &world.live)).await;
    let gateway = world.gateway.take().expect("running");
    let began = Instant::now();
    let stopping = tokio::spawn(gateway.shutdown(PATIENCE));
    assert_eq!(response.collect().await.expect("a whole body").to_bytes().len(), 80);
    assert_eq!(stopping.await.expect("no panic"), 0);
    assert!(began.elapsed() < PATIENCE / 2, "it does not wait for idle connections");
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(world.address).await.is_err());
    assert_eq!(world.events()[0].outcome, Outcome::Served);
}

#[tokio::test]
async fn the_drain_has_an_end_and_what_it_cuts_off_is_recorded() {
    let mut world = World::start().await;
    let response = open(world.address, request(Method::GET, "/payments/stall", &world.live)).await;
    let gateway = world.gateway.take().expect("running");
    assert_eq!(gateway.shutdown(Duration::from_millis(100)).await, 1);
    assert!(response.collect().await.is_err());
    assert_eq!(world.events().len(), 1, "recorded before shutdown returned");
    let event = world.events().remove(0);
    assert_eq!((event.outcome, event.units), (Outcome::UpstreamFailed, 0), "the client has not left");
}

#[tokio::test]
async fn a_port_in_use_is_said_even_where_another_gateway_has_it() {
    let world = World::start().await;
    let spool = tempfile::tempdir().expect("a directory");
    let start = |address, spool| {
        let config = GatewayConfig::new(address, String::new(), Secret([0; 32]), Secret([0; 32]), Spool::at(spool));
        let clock = || jiff::Timestamp::UNIX_EPOCH;
        Gateway::start(config, gateway::directory(compile(&world.directory)), Leases::in_process(), Arc::new(clock))
    };
    assert!(
        matches!(start(world.address, spool.path()), Err(StartError::PortInUse(address)) if address == world.address)
    );
    let free = "127.0.0.1:0".parse().expect("an address");
    assert!(matches!(start(free, world.spool.path()), Err(StartError::Spool(_))), "nor is a spool shared");
}

/// A clock with a bug: it panics at the first call.
struct Faulty {
    inner: Arc<TestClock>,
    panicked: AtomicBool,
}

impl Clock for Faulty {
    fn now(&self) -> Timestamp {
        assert!(self.panicked.swap(true, Ordering::SeqCst), "a bug");
        self.inner.now()
    }
}

#[tokio::test]
async fn a_panic_costs_its_own_connection_and_nothing_else() {
    let world = World::with(|directory, _| {
        limits(&mut directory.plans[0].terms, &[(10, Window::Hour)]);
        quota(&mut directory.plans[0].terms, 10, Beyond::Block);
    })
    .await;
    let spool = tempfile::tempdir().expect("a directory");
    let free = "127.0.0.1:0".parse().expect("an address");
    let mut config = GatewayConfig::new(free, String::new(), Secret(PEPPER), Secret(TRY_KEY), Spool::at(spool.path()));
    (config.cores, config.connections_per_core) = (1, 1);
    config.late = Duration::from_secs(3_600);
    let faulty = Arc::new(Faulty { inner: world.clock.clone(), panicked: AtomicBool::new(false) });
    let gateway = Gateway::start(config, world.snapshots.clone(), Leases::in_process(), faulty).expect("a gateway");
    let head = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    assert_eq!(raw(gateway.address(), head.as_bytes()).await, (String::new(), true));
    let next = send(gateway.address(), request(Method::GET, "/payments/items/1", &world.live)).await;
    assert_eq!(
        (next.status, next.header("x-ratelimit-remaining")),
        (200, "9"),
        "its place and its limit are free again"
    );
    assert_eq!(gateway.shutdown(PATIENCE).await, 0);
}

#[tokio::test]
async fn connections_that_stand_still_are_closed_each_after_its_own_time() {
    let world = World::with(|_, config| {
        config.deadlines.head = Duration::from_millis(400);
        config.deadlines.idle = Duration::from_millis(6_000);
        config.deadlines.body_idle = Duration::from_millis(600);
    })
    .await;
    let closes_after = async |first: String| {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        let began = Instant::now();
        stream.write_all(first.as_bytes()).await.expect("sent");
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        began.elapsed().as_millis()
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let (silent, half, kept, stalled) = tokio::join!(
        closes_after(String::new()),
        closes_after("GET / HTTP/1.1\r\nhos".to_owned()),
        closes_after(get("/payments/items/1")),
        closes_after(get("/payments/stall")),
    );
    assert!((350..5_900).contains(&silent), "no first byte: {silent} ms");
    assert!((350..5_900).contains(&half), "half a head: {half} ms");
    assert!(kept >= 5_900, "between calls: {kept} ms");
    assert!((550..5_900).contains(&stalled), "a body that stands still: {stalled} ms");
    let events = world.events_once(2).await;
    let stalled = events.iter().find(|event| event.path == "/stall").expect("the event");
    assert_eq!((stalled.outcome, stalled.units), (Outcome::UpstreamFailed, 0));
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let world = World::with(|_, config| {
        config.cores = 1;
        config.connections_per_core = 2;
    })
    .await;
    let busy = async || {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        let head = format!("GET /payments/hang HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
    };
    let (first, _second) = (busy().await, busy().await);
    world.forwarded(2).await;
    let (answer, closed) = raw(world.address, b"").await;
    assert!(answer.starts_with("HTTP/1.1 503") && closed, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(&format!("content-length: {}", body.len())));
    let _: serde_json::Value = serde_json::from_str(body).expect("JSON");
    drop(first);
    world.cancelled(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(send(world.address, request(Method::GET, "/payments/items/1", &world.live)).await.status, 200);
}

#[tokio::test]
async fn those_without_a_call_make_way_for_those_who_call() {
    let world = World::with(|_, config| {
        config.cores = 1;
        config.connections_per_core = 3;
    })
    .await;
    let head = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let connect = async |first: String| {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        stream.write_all(first.as_bytes()).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream
    };
    let began = Instant::now();
    let mut slow = connect("GET / HTT".to_owned()).await;
    let busy = connect(head("/payments/hang")).await;
    let mut silent = connect(String::new()).await;
    // On a machine that took too long for this, somebody has waited for long.
    if began.elapsed() < Duration::from_millis(800) {
        let (answer, _) = raw(world.address, b"").await;
        let late = began.elapsed() > Duration::from_millis(900);
        assert!(late || answer.starts_with("HTTP/1.1 503"), "nobody has waited for long: {answer}");
    }
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert_eq!(slow.read(&mut [0; 8]).await.unwrap_or(0), 0, "the oldest without a call made way");
    let is_open = |stream: &TcpStream| {
        let nothing = stream.try_read(&mut [0; 8]);
        nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    assert!(is_open(&silent));
    let _others = [connect(String::new()).await, connect(String::new()).await];
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert!(is_open(&busy), "whoever calls stays");
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(world.get("/payments/items/1").await.status, 200);
    assert!(is_open(&busy));
}

#[tokio::test]
async fn clients_are_told_to_leave_with_their_next_answer() {
    let mut world = World::start().await;
    let head = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    let mut call = async || {
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    assert!(!call().await.contains("connection: close"));
    let gateway = world.gateway.take().expect("running");
    gateway.leave();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let told = call().await;
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("connection: close"), "{told}");
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    let (new, _) = raw(world.address, head.as_bytes()).await;
    assert!(new.starts_with("HTTP/1.1 200") && new.contains("connection: close"), "new ones are served, {new}");
    assert_eq!(gateway.shutdown(PATIENCE).await, 0);
    assert_eq!(world.events().len(), 3);
}

#[tokio::test]
async fn a_call_that_is_on_its_way_when_we_stop_is_answered() {
    for _ in 0..50 {
        let mut world = World::start().await;
        let head = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        let began = Instant::now();
        let stopping = tokio::spawn(world.gateway.take().expect("running").shutdown(PATIENCE));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let sent = stream.write_all(head.as_bytes()).await;
        // The gateway waits a fifth of a second for such calls. On a machine that let us oversleep that, try again.
        if began.elapsed() > Duration::from_millis(150) {
            assert_eq!(stopping.await.expect("no panic"), 0);
            continue;
        }
        sent.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(stopping.await.expect("no panic"), 0);
        return;
    }
    panic!("this machine never sends a call in time");
}

#[tokio::test]
async fn a_connection_that_rested_goes_on_where_it_was() {
    let world = World::start().await;
    let key = &world.live;
    let get = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
    let post =
        format!("POST /payments/count HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 5\r\n\r\n12345");
    let (first, rest) = get.split_at(30);
    // A whole call; a call whose successor has come by half; a call with a body; a call.
    let pieces = [get.clone(), format!("{get}{first}"), rest.to_owned(), post, get.clone()];
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    stream.shutdown().await.expect("half closed");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("answers");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 5, "{answers}");
    assert_eq!(world.upstream.seen().len(), 5);
    assert_eq!(world.events_once(5).await.len(), 5);
}

#[tokio::test]
async fn what_follows_an_unread_body_is_never_taken_for_a_request() {
    let world = World::start().await;
    let hidden = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    for (path, key) in [("/payments/count", "nonsense"), ("/payments/items/1", world.live.as_str())] {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        let length = hidden.len();
        let post = format!("POST {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(post.as_bytes()).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(1_600)).await;
        let _ = stream.write_all(hidden.as_bytes()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut answer = vec![0; 8192];
        let read = stream.read(&mut answer).await.unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(world.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_connection_that_rests_is_drained_and_closed_like_others() {
    let idle = World::with(|_, config| config.deadlines.idle = Duration::from_millis(2_200)).await;
    let mut world = World::start().await;
    let get = format!("GET /payments/items/1 HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let open = async |world: &World| {
        let mut stream = TcpStream::connect(world.address).await.expect("a connection");
        stream.write_all(get.as_bytes()).await.expect("sent");
        assert!(stream.read(&mut [0; 4096]).await.expect("an answer") > 0);
        stream
    };
    let (began, mut first) = (Instant::now(), open(&idle).await);
    assert_eq!(first.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert!(began.elapsed() > Duration::from_millis(2_000), "{:?}", began.elapsed());
    let mut second = open(&world).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let gateway = world.gateway.take().expect("running");
    let began = Instant::now();
    assert_eq!(gateway.shutdown(PATIENCE).await, 0);
    assert!(began.elapsed() < PATIENCE / 2, "it does not wait for those that rest");
    assert_eq!(second.read(&mut [0; 8]).await.unwrap_or(0), 0);
}
