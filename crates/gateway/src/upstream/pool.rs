//! Unused connections: one pool for each core and origin, never shared between threads.

use super::{
    Answer, SendFailed,
    connect::{Dialer, Origin},
    http1::{self, Connection},
};
use crate::{config::Deadlines, meter::Upload};
use http::Request;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Unused connections that are kept for each origin and core.
const MAX_IDLE: usize = 512;

/// The pools of one core.
pub(crate) struct Pools {
    by_origin: RefCell<HashMap<Arc<Origin>, Rc<Pool>>>,
    dialer: Arc<Dialer>,
    deadlines: Deadlines,
}

/// The unused connections to one origin.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// The most recently used last.
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection for one call. It goes back to its pool when the call's bodies have ended; dropped before, it is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Connection,
    /// Whether it has carried a call before, so that the upstream may have closed it in the meantime.
    pub reused: bool,
    pool: Rc<Pool>,
}

impl Lease {
    /// Writes the request and waits for the answer's head, while the request's body goes on being sent.
    pub(crate) async fn send(self, request: Request<Upload>) -> Result<Answer, SendFailed> {
        http1::exchange(self.connection, self.pool, request).await
    }
}

impl Pools {
    pub(crate) fn new(dialer: Arc<Dialer>, deadlines: Deadlines) -> Self {
        Self { by_origin: RefCell::default(), dialer, deadlines }
    }

    /// A connection: one from the pool if `reuse`, else a new one.
    ///
    /// # Errors
    /// The upstream cannot be reached, or not in time.
    pub(crate) async fn lease(&self, origin: &Arc<Origin>, reuse: bool) -> io::Result<Lease> {
        let pool = self.pool(origin);
        if reuse && let Some(connection) = pool.take(self.deadlines.upstream_idle) {
            return Ok(Lease { connection, reused: true, pool });
        }
        let io = timeout(origin.connect.unwrap_or(self.deadlines.connect), self.dialer.open(origin))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "connecting took too long"))??;
        Ok(Lease { connection: Connection::new(io), reused: false, pool })
    }

    /// Closes connections that were unused for too long, and those that the upstream closed.
    pub(crate) fn close_idle(&self) {
        let max_age = self.deadlines.upstream_idle;
        self.by_origin.borrow_mut().retain(|_, pool| {
            let mut idle = pool.idle.borrow_mut();
            idle.retain_mut(|idle| idle.since.elapsed() < max_age && idle.connection.is_quiet());
            !idle.is_empty() || Rc::strong_count(pool) > 1
        });
    }

    fn pool(&self, origin: &Arc<Origin>) -> Rc<Pool> {
        if let Some(pool) = self.by_origin.borrow().get(origin) {
            return pool.clone();
        }
        self.by_origin.borrow_mut().entry(origin.clone()).or_default().clone()
    }
}

impl Pool {
    /// Keeps the connection for the next call.
    pub(super) fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    fn take(&self, max_age: Duration) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut last) = idle.pop() {
            if last.since.elapsed() >= max_age {
                // The others are older still.
                idle.clear();
            } else if last.connection.is_quiet() {
                return Some(last.connection);
            }
        }
        None
    }
}
