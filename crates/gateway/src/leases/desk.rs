//! Where exchanges are made, and whether they can be made at the moment.

use crate::ports::Exchange;
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::watch};

/// How long an exchange may take, and a call may wait for one. A Postgres that hangs is told from a slow one by this alone: the
/// first calls that are short wait so long, and those after them not at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// While Postgres does not answer, somebody asks this often whether it does again.
const PROBE: Duration = Duration::from_millis(500);

/// Shared by all accounts.
pub(super) struct Desk {
    pub exchange: Arc<dyn Exchange>,
    runtime: Option<Handle>,
    open: AtomicBool,
    /// Tells those who wait for the opening.
    opening: watch::Sender<u64>,
    /// Until when the opening is waited for; never where it is not set.
    expected: OnceLock<Instant>,
    down: AtomicBool,
    probed: Mutex<Option<Instant>>,
}

impl Desk {
    pub fn new(exchange: Arc<dyn Exchange>) -> Self {
        let runtime = Handle::try_current().ok();
        Self {
            exchange,
            runtime,
            open: AtomicBool::new(false),
            opening: watch::Sender::new(0),
            expected: OnceLock::new(),
            down: AtomicBool::new(false),
            probed: Mutex::new(None),
        }
    }

    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
        self.opening.send_modify(|opening| *opening += 1);
    }

    /// From now on calls wait for the opening, at most as long as for an exchange.
    pub fn expect(&self) {
        let _ = self.expected.set(Instant::now() + PATIENCE);
    }

    /// What tells of the opening, where it is not open yet and is to be soon.
    pub fn opening(&self) -> Option<watch::Receiver<u64>> {
        let is_expected = || self.expected.get().is_some_and(|until| Instant::now() < *until);
        if self.is_open() || !is_expected() {
            return None;
        }
        let opening = self.opening.subscribe();
        // It may have been opened just before.
        if self.is_open() { None } else { Some(opening) }
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Whether the last exchange of anybody failed, or none may be made yet.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed) || !self.is_open()
    }

    pub fn answered(&self, well: bool) {
        if !well {
            metrics::counter!("turnpike_lease_failures_total").increment(1);
        }
        if self.down.swap(!well, Ordering::Relaxed) == well {
            match well {
                true => tracing::info!("units can be leased again"),
                false => tracing::warn!("units cannot be leased: only what this node holds is spent"),
            }
        }
    }

    /// Whether the caller may try an exchange although the last one failed.
    pub fn may_probe(&self) -> bool {
        if !self.is_open() {
            return false;
        }
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let may = probed.is_none_or(|at| at.elapsed() >= PROBE);
        if may {
            *probed = Some(Instant::now());
        }
        may
    }

    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(work)),
            None => drop(tokio::spawn(work)),
        }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}
