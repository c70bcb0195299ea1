//! Where exchanges are made, and whether they can be made at the moment.

use crate::ports::Exchange;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

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
    down: AtomicBool,
    probed: Mutex<Option<Instant>>,
}

impl Desk {
    pub fn new(exchange: Arc<dyn Exchange>) -> Self {
        let runtime = Handle::try_current().ok();
        Self { exchange, runtime, open: AtomicBool::new(false), down: AtomicBool::new(false), probed: Mutex::new(None) }
    }

    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
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
