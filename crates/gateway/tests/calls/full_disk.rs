//! A disk that takes no more bytes, and later does again: nobody gets an answer whose usage is lost, and calls are served as
//! before once the disk is well.
//!
//! The disk is full for the whole process (RLIMIT_FSIZE: a write comes back short, the next fails), so each of these tests runs
//! in one of its own.

use super::{
    alone::alone,
    client::{request, send},
    world::{PATIENCE, World},
};
use http::Method;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// The disk of this process.
struct Disk(Rlimit);

impl Disk {
    fn here() -> Self {
        // Without a handler the kernel ends a process that writes beyond the limit.
        let kind = SignalKind::from_raw(Signal::XFSZ.as_raw());
        let mut beyond = signal(kind).expect("a handler");
        tokio::spawn(async move { while beyond.recv().await.is_some() {} });
        Self(getrlimit(Resource::Fsize))
    }

    /// Lets each file have that many bytes at most.
    fn fill_at(&self, bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: self.0.maximum };
        setrlimit(Resource::Fsize, limit).expect("a limit");
    }

    fn mend(&self) {
        setrlimit(Resource::Fsize, self.0).expect("no limit");
    }
}

/// The size of the only lane's last segment.
fn log_bytes(spool: &Path) -> u64 {
    let files = fs::read_dir(spool.join("0")).expect("a lane").flatten().map(|file| file.path());
    let last = files.filter(|file| file.extension().is_some_and(|end| end == "log")).max().expect("a segment");
    fs::metadata(last).expect("a file").len()
}

async fn world() -> World {
    World::with(|_, config| {
        config.cores = 1;
    })
    .await
}

#[test]
fn whatever_ended_on_a_full_disk_the_next_call_on_a_well_one_is_served_and_recorded() {
    alone("full_disk::calls_end_on_a_full_disk_one_by_one");
}

#[tokio::test]
#[ignore = "run as a child by the test above"]
async fn calls_end_on_a_full_disk_one_by_one() {
    let (disk, world) = (Disk::here(), world().await);
    let mut recorded = 0;
    for ending in ["served", "refused", "its client left", "two at once"] {
        for room in [0, 20] {
            disk.fill_at(log_bytes(world.spool.path()) + room);
            match ending {
                "served" => assert_eq!(unmetered(&world).await, (503, "metering-unavailable".to_owned())),
                "refused" => assert_eq!(world.get("/hidden/items/1").await.status, 404),
                "two at once" => {
                    let (one, other) = tokio::join!(unmetered(&world), unmetered(&world));
                    assert_eq!([one.0, other.0], [503, 503]);
                }
                _ => leave(&world).await,
            }
            disk.mend();
            let (one, other) = tokio::join!(world.get("/payments/items/1"), world.get("/payments/items/1"));
            let last = world.get("/payments/items/1").await;
            let ids: Vec<_> = [one, other, last]
                .iter()
                .map(|answer| {
                    assert_eq!(answer.status, 200, "after: {ending}, {answer:?}");
                    answer.header("x-request-id").to_owned()
                })
                .collect();
            recorded += ids.len();
            let events = world.events_once(recorded).await;
            let kept = events.iter().rev().take(ids.len()).all(|event| ids.contains(&event.request_id));
            assert!(kept && events.iter().all(|event| event.units == 1), "after: {ending}, {events:?}");
        }
    }
}

/// The refusal of a call that cannot be recorded.
async fn unmetered(world: &World) -> (u16, String) {
    let answer = world.get("/payments/items/1").await;
    (answer.status, answer.code())
}

/// Calls, and leaves while the upstream works.
async fn leave(world: &World) {
    let (before, seen) = (world.upstream.cancelled.load(SeqCst), world.upstream.seen().len());
    let head = format!("GET /payments/hang HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", world.live);
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    world.forwarded(seen + 1).await;
    drop(stream);
    world.cancelled(before + 1).await;
    // It is recorded where the gateway lets go of the call, in the same turn.
    sleep(Duration::from_millis(500)).await;
}

#[test]
fn under_load_on_a_disk_that_fills_again_and_again_each_call_that_was_served_is_in_the_log_and_no_other() {
    alone("full_disk::a_disk_fills_under_load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run as a child by the test above"]
async fn a_disk_fills_under_load() {
    let (disk, world) = (Disk::here(), Arc::new(world().await));
    let (stop, refused) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let served = Arc::<Mutex<BTreeSet<String>>>::default();
    let callers: Vec<_> = (0..12)
        .map(|number| {
            let (stop, refused, served) = (stop.clone(), refused.clone(), served.clone());
            let (address, key) = (world.address, world.live.clone());
            // Most are refused at once, and recorded by themselves: that write takes what others gathered with it.
            let path = if number % 3 == 0 { "/payments/items/1" } else { "/hidden/items/1" };
            tokio::spawn(async move {
                while !stop.load(SeqCst) {
                    let answer = send(address, request(Method::GET, path, &key)).await;
                    match answer.status {
                        200 => drop(served.lock().expect("no panic").insert(answer.header("x-request-id").to_owned())),
                        404 => {}
                        status => {
                            assert_eq!((status, answer.code().as_str()), (503, "metering-unavailable"));
                            refused.fetch_add(1, SeqCst);
                        }
                    }
                }
            })
        })
        .collect();
    let began = Instant::now();
    let happened = || served.lock().expect("no panic").len() > 100 && refused.load(SeqCst) > 100;
    for room in 0.. {
        // A slow machine gets more turns, until both have happened often.
        if room >= 300 && (happened() || began.elapsed() > PATIENCE) {
            break;
        }
        disk.fill_at(log_bytes(world.spool.path()) + room * 7 % 900);
        sleep(Duration::from_millis(4)).await;
        disk.mend();
        sleep(Duration::from_millis(3)).await;
    }
    stop.store(true, SeqCst);
    for caller in callers {
        caller.await.expect("no panic");
    }
    let (served, refused) = (served.lock().expect("no panic").clone(), refused.load(SeqCst));
    let recorded: Vec<_> = world.events().into_iter().filter(|event| event.units > 0).collect();
    let ids: BTreeSet<_> = recorded.iter().map(|event| event.request_id.clone()).collect();
    assert_eq!(ids.len(), recorded.len(), "each once");
    assert_eq!(served.difference(&ids).collect::<Vec<_>>(), Vec::<&String>::new(), "served for nothing");
    assert_eq!(ids.difference(&served).collect::<Vec<_>>(), Vec::<&String>::new(), "billed and not served");
    assert!(served.len() > 100 && refused > 100, "both happened: {} and {refused}", served.len());
    assert_eq!(world.get("/payments/items/1").await.status, 200);
}
