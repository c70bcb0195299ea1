//! Connections that want something and never say what.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// What became of connections so far.
#[derive(Debug, Default)]
pub struct Tally {
    pub opened: AtomicU64,
    /// Told with 503 that there is no room.
    pub turned_away: AtomicU64,
    /// Ended by the server in any other way.
    pub ended: AtomicU64,
}

/// A running flood: that many connections at once, each opened again when it is ended.
pub struct Flood {
    stop: Arc<AtomicBool>,
    pub tally: Arc<Tally>,
    running: JoinSet<()>,
}

impl Flood {
    /// Each connection sends these bytes and holds on.
    pub fn start(port: u16, connections: usize, bytes: Vec<u8>) -> Self {
        let (stop, tally, bytes) = (Arc::<AtomicBool>::default(), Arc::<Tally>::default(), Arc::new(bytes));
        let mut running = JoinSet::new();
        for number in 0..connections {
            let (stop, tally, bytes) = (stop.clone(), tally.clone(), bytes.clone());
            running.spawn(async move {
                // Not all in one instant, which only the kernel's queue would see.
                sleep(Duration::from_millis(number as u64 / 4)).await;
                while !stop.load(Relaxed) {
                    hold(port, &bytes, &stop, &tally).await;
                    sleep(Duration::from_millis(200)).await;
                }
            });
        }
        Self { stop, tally, running }
    }

    pub async fn end(self) {
        self.stop.store(true, Relaxed);
        self.running.join_all().await;
    }
}

/// One connection, until the server ends it or the flood does.
async fn hold(port: u16, bytes: &[u8], stop: &AtomicBool, tally: &Tally) {
    let Ok(Ok(mut stream)) = timeout(Duration::from_secs(2), TcpStream::connect(("127.0.0.1", port))).await else {
        return;
    };
    tally.opened.fetch_add(1, Relaxed);
    let mut sending = 0;
    let mut answer = Vec::new();
    while !stop.load(Relaxed) {
        let mut piece = [0; 512];
        let (mut reading, mut writing) = stream.split();
        let read = tokio::select! {
            biased;
            read = reading.read(&mut piece) => read,
            written = writing.write(bytes.get(sending..).unwrap_or_default()), if sending < bytes.len() => {
                match written {
                    Ok(written) => sending += written,
                    Err(_) => sending = bytes.len(),
                }
                continue;
            }
            () = sleep(Duration::from_millis(200)) => continue,
        };
        match read {
            Ok(read @ 1..) => answer.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Ok(0) | Err(_) => {
                let told = answer.starts_with(b"HTTP/1.1 503");
                let counter = if told { &tally.turned_away } else { &tally.ended };
                counter.fetch_add(1, Relaxed);
                return;
            }
        }
    }
}
