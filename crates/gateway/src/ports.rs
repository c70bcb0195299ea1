//! What the gateway asks of the rest of the house.

use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use domain::{allowance::Allowance, usage::UsageEvent};
use jiff::Timestamp;
use std::{borrow::Cow, fmt, io, net::IpAddr, pin::Pin, sync::Arc};

/// Who and what: the current snapshot. Storing a new one changes the next call and none in flight.
pub type Directory = Arc<ArcSwap<Snapshot>>;

/// A directory that begins with this snapshot.
pub fn directory(snapshot: Snapshot) -> Directory {
    Arc::new(ArcSwap::from_pointee(snapshot))
}

/// May they: moves units between what all nodes share and what this node holds. [`crate::Leases`] asks it, never a call.
///
/// Each answer holds absolute numbers, and a try whose answer is lost is made good by the next answer.
pub trait Exchange: Send + Sync {
    /// Takes units for this node, or gives some back, or both.
    fn exchange(&self, ask: Ask) -> Answer<Granted>;

    /// The same for many, where nothing is taken. The answers are in the order of the asks.
    fn give_back(&self, asks: Vec<Ask>) -> Answer<Vec<Granted>>;

    /// How these stand, each with its plan's limit as in [`Ask::limit`]; `None` where nothing is known of one. The answers
    /// are in the order of the questions.
    fn read(&self, of: Vec<(Allowance, Option<u64>)>) -> Answer<Vec<Option<Granted>>>;
}

/// What an exchange will say.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, ExchangeDown>> + Send>>;

/// Nobody can say at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("units cannot be exchanged")]
pub struct ExchangeDown;

/// What a node asks of the exchange; all numbers are units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub of: Allowance,
    /// What all nodes together may use; `None` for credit, where the exchange knows it.
    pub limit: Option<u64>,
    /// Needed now. As many of them are granted as are left.
    pub need: u64,
    /// Welcome, those that are needed included: granted as far as a fair share of what is left allows.
    pub want: u64,
    /// Given back, before anything is taken.
    pub returned: u64,
    /// The last exchange that the node knows of. Where there was one after it, nothing is given back: it was before.
    pub turn: i64,
}

/// How an allowance stands after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Granted {
    /// All that this node was ever granted of it and did not give back.
    pub granted: u64,
    /// The same of all nodes, and what was used before there were leases.
    pub taken: u64,
    /// What all nodes together may use.
    pub limit: u64,
    pub turn: i64,
    /// Another node found nothing left of late.
    pub wanted: bool,
}

/// What is known of an allowance when the gateway starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub allowance: Allowance,
    /// What this node used in its earlier lives.
    pub base: u64,
    /// What all others hold or used.
    pub elsewhere: u64,
    /// What all nodes together may use; zero where that is not known.
    pub limit: u64,
}

/// It happened: keeps events before their answers are released.
pub trait Recorder: Send + Sync {
    /// Whether the event of one more call will fit. Asked before a call is forwarded.
    fn has_room(&self, core: usize) -> bool;

    /// Keeps the event, in the durability that was configured, before it returns.
    fn record(&self, core: usize, event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError>;

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
