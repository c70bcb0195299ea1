//! What the gateway asks of the rest of the house.

use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use domain::{
    allowance::Allowance,
    idempotency::{Slot, Unknown},
    usage::UsageEvent,
};
use jiff::Timestamp;
use std::{borrow::Cow, fmt, future::Future, io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};
use uuid::Uuid;

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

    /// Keeps the event and all that were gathered, in the durability that was configured, before it returns.
    fn record(&self, core: usize, event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError>;

    /// Takes the event, to be kept by the next [`Self::flush`] or [`Self::record`].
    fn gather(&self, core: usize, event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError>;

    /// Keeps all that was gathered since the last flush, in the durability that was configured, before it returns.
    ///
    /// # Errors
    /// Some of it is not kept.
    fn flush(&self, core: usize) -> Result<(), Lost>;

    /// Bytes that the core's log takes, for the metric.
    fn used_bytes(&self, core: usize) -> u64;

    /// What is done each second, and never by a call: seals what was kept where that is due, and lays out how much it was.
    fn tend(&self, _core: usize) {}

    /// The same for all that was kept: the core has ended its last call.
    fn end(&self, _core: usize) {}
}

/// The event was not kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("usage cannot be recorded: {0}")]
pub struct RecordError(pub String);

/// Of the events that were gathered, not all were kept.
#[derive(Debug, Clone)]
pub struct Lost {
    /// So many, the first of them, were: a [`Recorder::record`] has written them with its own.
    pub kept: usize,
    /// Why the others were not.
    pub error: RecordError,
}

/// What became of requests with an Idempotency-Key, on all nodes together.
///
/// Every method answers within a bounded time, whatever becomes of what is behind it.
pub trait IdempotencyStore: std::fmt::Debug + Send + Sync {
    /// Takes the key for the attempt, or tells what it holds. Of all attempts that race for a key, on all nodes, one is told
    /// [`Begun::Fresh`], and it has to be ended by one of the other three.
    fn begin(&self, attempt: &Arc<Attempt>) -> Answering<Result<Begun, KeysUnavailable>>;

    /// Keeps the answer. It may be given to the client afterwards, and is [`Begun::Answered`] to each later attempt.
    ///
    /// # Errors
    /// It is not kept; the key is [`Begun::InFlight`] at first and [`Begun::Unknown`] later.
    fn keep(&self, attempt: &Arc<Attempt>, answer: Vec<u8>) -> Answering<Result<(), KeysUnavailable>>;

    /// Frees the key: the upstream was not sent anything. Where that cannot be done at once it is tried again later.
    fn release(&self, attempt: &Arc<Attempt>) -> Answering<()>;

    /// The answer cannot be given again. Where that cannot be kept at once it is tried again later.
    fn give_up(&self, attempt: &Arc<Attempt>, reason: Unknown) -> Answering<()>;
}

/// What a port gives that has to ask somebody else.
pub type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A request that wants to be carried out under a key.
#[derive(Debug)]
pub struct Attempt {
    /// New for each.
    pub id: Uuid,
    pub slot: Slot,
    /// Of the request: another one under the same key is another request.
    pub fingerprint: [u8; 32],
    pub request_id: String,
    /// The longest that it may take. When it is over and nobody has ended the attempt, it counts as lost.
    pub longest: Duration,
    /// How long its answer is given again.
    pub keep: Duration,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing until now: the attempt may be carried out.
    Fresh,
    /// Another attempt is being carried out.
    InFlight,
    /// An earlier request with another fingerprint.
    Mismatch,
    /// An earlier request, with the answer that [`IdempotencyStore::keep`] was given.
    Answered(Vec<u8>),
    /// An earlier request whose answer cannot be given again.
    Unknown(Unknown),
    /// Nothing, and the partner's kept answers take as much room as they may.
    Full,
}

/// Keys cannot be looked up or kept at the moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store of idempotency keys is unavailable: {0}")]
pub struct KeysUnavailable(pub String);

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
