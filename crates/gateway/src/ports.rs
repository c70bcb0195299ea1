//! What the gateway asks of the rest of the house.

use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use domain::{id::PartnerId, period::Period, quota::Quota, usage::UsageEvent};
use jiff::Timestamp;
use std::{fmt, io, net::IpAddr, pin::Pin, sync::Arc};

/// Who and what: the current snapshot. Storing a new one changes the next call and none in flight.
pub type Directory = Arc<ArcSwap<Snapshot>>;

/// A directory that begins with this snapshot.
pub fn directory(snapshot: Snapshot) -> Directory {
    Arc::new(ArcSwap::from_pointee(snapshot))
}

/// May they: units of the partner's billing period, whatever its plan is by then.
pub trait Allowance: Send + Sync {
    /// Takes the units and returns how many of the period are used with them, or takes none.
    ///
    /// Only [`domain::quota::Beyond::Block`] ever refuses, and then the quota is never overshot, however many calls race.
    fn reserve(&self, partner: PartnerId, period: Period, units: u64, quota: Quota) -> Result<u64, QuotaExceeded>;

    /// Gives back units that were reserved and not used.
    fn release(&self, partner: PartnerId, period: Period, units: u64);

    /// Units of the period that are used or reserved.
    fn used(&self, partner: PartnerId, period: Period) -> u64;
}

/// The units do not fit in what is left of the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{used} of the quota are used")]
pub struct QuotaExceeded {
    /// Units used or reserved before this call.
    pub used: u64,
}

/// It happened: keeps events before their answers are released.
pub trait Recorder: Send + Sync {
    /// Whether the event of one more call will fit. Asked before a call is forwarded.
    fn has_room(&self, core: usize) -> bool;

    /// Keeps the event, in the durability that was configured, before it returns.
    fn record(&self, core: usize, event: &UsageEvent) -> Result<(), RecordError>;

    /// Bytes that the core's log takes, for the metric.
    fn used_bytes(&self, core: usize) -> u64;
}

/// The event was not kept.
#[derive(Debug, thiserror::Error)]
#[error("usage cannot be recorded: {0}")]
pub struct RecordError(pub String);

/// The time of events and billing periods; a test clock may be ahead of the machine's. Limits and timeouts use the
/// machine's monotonic clock instead.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Who knows the addresses of upstreams' names.
pub trait Names: fmt::Debug + Send + Sync {
    /// All addresses of the name; what it says is kept for a while, see [`crate::Freshness`].
    fn look_up<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// The system's own resolver: its hosts file, its DNS, whatever it is set up to ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn look_up<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}
