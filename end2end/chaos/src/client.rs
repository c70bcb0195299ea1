//! The load: each connection calls without pause, and keeps the id of every call whose whole answer it read.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

/// Longest wait for one answer; the server may have been killed under it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between a refusal and the next call.
const REFUSED: Duration = Duration::from_millis(10);

/// Whom a connection calls, and for whom.
pub struct Line {
    pub port: u16,
    pub key: String,
    /// Request ids are `chaos-`, this, and a number.
    pub name: String,
}

/// Running connections.
pub struct Load {
    stop: Arc<AtomicBool>,
    connections: JoinSet<Answered>,
}

/// What clients saw.
#[derive(Debug, Default)]
pub struct Answered {
    /// Ids of calls answered 200, read to the last byte.
    pub ids: Vec<String>,
    /// Calls that ended in anything else: refused connections, resets, other statuses.
    pub other: u64,
    /// Statuses other than 200, for the report.
    pub statuses: std::collections::BTreeMap<u16, u64>,
}

impl Load {
    pub fn start(port: u16, key: &str, connections: usize) -> Self {
        Self::of((0..connections).map(|number| Line { port, key: key.to_owned(), name: number.to_string() }).collect())
    }

    /// One connection for each line.
    pub fn of(lines: Vec<Line>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for line in lines {
            running.spawn(call_without_pause(line, Arc::clone(&stop)));
        }
        Self { stop, connections: running }
    }

    /// Ends after the calls that are under way.
    pub async fn stop(self) -> Answered {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Answered::default();
        for part in self.connections.join_all().await {
            all.ids.extend(part.ids);
            all.other += part.other;
            for (status, count) in part.statuses {
                *all.statuses.entry(status).or_default() += count;
            }
        }
        all
    }
}

async fn call_without_pause(Line { port, key, name }: Line, stop: Arc<AtomicBool>) -> Answered {
    let mut seen = Answered::default();
    let mut call = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok((mut sender, connection)) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await else {
            continue;
        };
        tokio::spawn(connection);
        while !stop.load(Ordering::Relaxed) {
            call += 1;
            let id = format!("chaos-{name}-{call}");
            match timeout(PATIENCE, call_once(&mut sender, port, &key, &id)).await {
                Ok(Some(200)) => seen.ids.push(id),
                Ok(Some(status)) => {
                    *seen.statuses.entry(status).or_default() += 1;
                    tokio::time::sleep(REFUSED).await;
                }
                Ok(None) | Err(_) => {
                    seen.other += 1;
                    break;
                }
            }
        }
    }
    seen
}

/// The status of one call, once its whole answer was read.
pub async fn call_once(sender: &mut http1::SendRequest<Empty<Bytes>>, port: u16, key: &str, id: &str) -> Option<u16> {
    sender.ready().await.ok()?;
    let request = Request::get("/payments/payments")
        .header("host", format!("127.0.0.1:{port}"))
        .header("authorization", format!("Bearer {key}"))
        .header("x-request-id", id)
        .body(Empty::new())
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    response.into_body().collect().await.ok()?;
    Some(status)
}
