//! Unused connections: one pool for each core and origin, never shared between threads.

use super::{
    Answer, Manner, SendFailed,
    connect::{Dialer, Io, Origin},
    http1::{self, Connection},
    http2,
    places::{NoPlace, Place, Places},
};
use crate::{config::Deadlines, meter::Upload, quick_hash::QuickMap};
use domain::policy::Protocol;
use http::{Request, response};
use std::{
    cell::{Cell, RefCell},
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
    by_origin: RefCell<QuickMap<Arc<Origin>, Rc<Pool>>>,
    /// The time at the last look at the pools: ages of connections need no better clock.
    now: Rc<Cell<Instant>>,
    dialer: Arc<Dialer>,
    deadlines: Deadlines,
    places: Places,
}

/// The connections to one origin: those of HTTP/1.1 that are unused, and all of HTTP/2.
#[derive(Debug)]
pub(super) struct Pool {
    http2: http2::Connections,
    now: Rc<Cell<Instant>>,
    /// The most recently used last.
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

/// A connection for one call. It goes back to its pool when the call's bodies have ended; dropped before, it is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    line: Line,
    /// Whether it has carried a call before, so that the upstream may have closed it in the meantime.
    pub reused: bool,
    pool: Rc<Pool>,
}

#[derive(Debug)]
enum Line {
    Http1(Box<Connection>),
    /// One stream, and whether TLS is below it.
    Http2(http2::Slot, bool),
}

impl Lease {
    /// Writes the request and waits for the answer's head, while the request's body goes on being sent. Answers before the
    /// answer are handed to `inform`; those of HTTP/2 are not. HTTP/2 knows one manner only, that of header maps.
    pub(crate) async fn send(
        self,
        request: Box<Request<Upload>>,
        manner: Manner<'_>,
        inform: &dyn Fn(response::Parts),
    ) -> Result<Answer, SendFailed> {
        match self.line {
            Line::Http1(connection) => http1::exchange(connection, self.pool, request, manner, inform).await,
            Line::Http2(slot, tls) => Box::pin(http2::exchange(slot, tls, *request)).await,
        }
    }
}

impl Pools {
    /// With at most so many open connections.
    pub(crate) fn new(dialer: Arc<Dialer>, deadlines: Deadlines, most: usize) -> Self {
        let now = Rc::new(Cell::new(Instant::now()));
        Self { by_origin: RefCell::default(), now, dialer, deadlines, places: Places::new(most) }
    }

    /// A connection: one from the pool if `reuse`, else a new one.
    ///
    /// # Errors
    /// The upstream cannot be reached, or not in time.
    pub(crate) async fn lease(&self, origin: &Arc<Origin>, reuse: bool) -> io::Result<Lease> {
        let pool = self.pool(origin);
        if origin.protocol == Protocol::Http2 {
            let (slot, shared) = Box::pin(self.slot(origin, &pool)).await?;
            return Ok(Lease { line: Line::Http2(slot, origin.has_tls()), reused: shared && reuse, pool });
        }
        if reuse && let Some(connection) = pool.take(self.deadlines.upstream_idle) {
            return Ok(Lease { line: Line::Http1(connection), reused: true, pool });
        }
        // Boxed, so that calls on pooled connections do not carry the room for a handshake.
        let io = Box::pin(self.open(origin)).await?;
        Ok(Lease { line: Line::Http1(Box::new(Connection::new(io))), reused: false, pool })
    }

    async fn open(&self, origin: &Origin) -> io::Result<Io> {
        let place = self.place().map_err(io::Error::other)?;
        let opened = timeout(origin.connect.unwrap_or(self.deadlines.connect), self.dialer.open(origin)).await;
        let io = opened.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "connecting took too long"))??;
        Ok(io.at(place))
    }

    /// A place for one more connection; where there is none, that of the longest unused one.
    fn place(&self) -> Result<Place, NoPlace> {
        self.places.take().or_else(|NoPlace| {
            self.close_longest_unused();
            self.places.take()
        })
    }

    fn close_longest_unused(&self) {
        let by_origin = self.by_origin.borrow();
        let since = |pool: &Rc<Pool>| pool.idle.borrow().first().map(|idle| idle.since);
        let longest = by_origin.values().filter_map(|pool| Some((since(pool)?, pool))).min_by_key(|(since, _)| *since);
        match longest {
            Some((_, pool)) => drop(pool.idle.borrow_mut().remove(0)),
            // Their tasks end a little later, and make room for the next call.
            None => {
                for pool in by_origin.values() {
                    pool.http2.close_unused(Duration::ZERO);
                }
            }
        }
    }

    /// A stream of an open connection if there is room, else of a new one; says whether the connection was there before.
    async fn slot(&self, origin: &Origin, pool: &Pool) -> io::Result<(http2::Slot, bool)> {
        if let Some(slot) = pool.http2.slot() {
            return Ok((slot, true));
        }
        let _turn = pool.http2.opening.lock().await;
        if let Some(slot) = pool.http2.slot() {
            return Ok((slot, true));
        }
        Ok((pool.http2.add(self.open(origin).await?).await?, false))
    }

    /// Closes connections that were unused for too long, and those that the upstream closed.
    pub(crate) fn close_idle(&self) {
        let (max_age, now) = (self.deadlines.upstream_idle, Instant::now());
        self.now.set(now);
        self.by_origin.borrow_mut().retain(|_, pool| {
            let mut idle = pool.idle.borrow_mut();
            idle.retain_mut(|idle| now.duration_since(idle.since) < max_age && idle.connection.is_quiet());
            let shared = pool.http2.close_unused(max_age);
            shared || !idle.is_empty() || Rc::strong_count(pool) > 1
        });
    }

    fn pool(&self, origin: &Arc<Origin>) -> Rc<Pool> {
        if let Some(pool) = self.by_origin.borrow().get(origin) {
            return pool.clone();
        }
        let new = || Rc::new(Pool { http2: Default::default(), now: self.now.clone(), idle: RefCell::default() });
        self.by_origin.borrow_mut().entry(origin.clone()).or_insert_with(new).clone()
    }
}

impl Pool {
    /// Keeps the connection for the next call.
    pub(super) fn give_back(&self, connection: Box<Connection>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: self.now.get() });
        }
    }

    fn take(&self, max_age: Duration) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut last) = idle.pop() {
            if self.now.get().duration_since(last.since) >= max_age {
                // The others are older still.
                idle.clear();
            } else if last.connection.is_quiet() {
                return Some(last.connection);
            }
        }
        None
    }
}
