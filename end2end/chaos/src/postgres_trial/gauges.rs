//! What a gateway says of itself while Postgres is away, and what the system says of its memory: looked at each second.

use crate::{process::resident, world::get_text};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// One look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub at: Instant,
    /// Bytes of memory.
    pub resident: u64,
    /// `turnpike_spool_lag_seconds` of the lane that is behind most; `None` where there is no such metric.
    pub lag: Option<u64>,
    /// `turnpike_spool_backlog_records` of all lanes.
    pub backlog: u64,
}

/// Looks until it is dropped.
pub struct Gauges {
    looks: Arc<Mutex<Vec<Look>>>,
    looking: JoinHandle<()>,
}

impl Gauges {
    /// Of the process that has this admin port.
    pub fn watch(admin: u16, pid: u32) -> Self {
        let looks = Arc::<Mutex<Vec<Look>>>::default();
        let kept = looks.clone();
        let looking = tokio::spawn(async move {
            loop {
                if let Some(look) = look(admin, pid).await {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(look);
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
        Self { looks, looking }
    }

    /// Looks between two instants.
    pub fn between(&self, from: Instant, to: Instant) -> Vec<Look> {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.iter().filter(|look| look.at >= from && look.at < to).copied().collect()
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// What the metrics say now.
pub async fn look(admin: u16, pid: u32) -> Option<Look> {
    let text = timeout(Duration::from_secs(2), get_text(admin, "/metrics")).await.ok().flatten()?;
    let values = |name: &str| -> Vec<u64> {
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|value| value as u64).collect()
    };
    let lag = values("turnpike_spool_lag_seconds").into_iter().max();
    let backlog = values("turnpike_spool_backlog_records").into_iter().sum();
    Some(Look { at: Instant::now(), resident: resident(pid), lag, backlog })
}
