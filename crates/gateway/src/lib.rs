//! The data plane: what happens to a partner's call between the client and the upstream.
//!
//! The files read in the order of a call: [`accept`], [`authenticate`], [`matching`], [`cache`], [`admit`],
//! [`idempotency`], [`reserve`], [`forward`], [`meter`], [`record`], [`respond`]; `call` is the list of those steps. Each
//! takes the previous one's value (Caller -> Target -> Admission -> Permit -> UsageEvent), so that the order cannot be got wrong.
//!
//! Owns: sockets, the compiled [`Snapshot`], live counters, the usage log's writers. Does not own: Postgres, pages, prices.
//! It asks three ports: the directory (who and what), the [`Exchange`] of units (may they), the [`Recorder`] (it happened).
//!
//! Always true:
//! - The event is in the usage log before the last byte of the answer is released.
//! - A call is billed only if the upstream did not answer with a 5xx, and its whole answer was handed over, or some of the
//!   body before the client left.
//! - A refused call uses no limit, and no units.
//! - A connection, its calls and its upstream connections stay on one core.
//!
//! Fails when: the log cannot take events (calls that would be billed are refused, or served and counted: a configured
//! choice), the upstream cannot be reached (502) or is too slow (504).

mod accept;
mod admit;
mod alarms;
mod authenticate;
mod bulkhead;
mod cache;
mod call;
mod client_address;
mod config;
mod cost;
mod counting;
mod decimal;
mod fields;
mod forward;
mod grpc;
mod headers;
mod hexadecimal;
mod http1;
mod idempotency;
mod identity;
mod key_sets;
mod leases;
mod live;
mod matching;
mod measure;
mod meter;
mod observe;
mod overload;
mod path;
mod ports;
mod quick_hash;
mod record;
mod request_id;
mod reserve;
mod respond;
mod router;
mod running;
mod snapshot;
mod tally;
mod termination;
pub mod try_credential;
mod upstream;
mod watch;
mod websocket;

pub use authenticate::hash_key;
pub use cache::{Purger, Which};
pub use client_address::{ProxyHeader, TrustedProxies};
pub use config::{Deadlines, GatewayConfig, Secret, Spool, Tls, WhenFull};
pub use leases::{Account, InProcess, Leases};
pub use ports::{
    Answer, Answering, Ask, Attempt, Begun, Clock, Directory, Exchange, ExchangeDown, Granted, Held, IdempotencyStore,
    KeysUnavailable, Lost, Names, RecordError, Recorder, SystemNames, directory,
};
pub use running::{Gateway, Running, StartError};
pub use snapshot::{Problem, Sealed, Snapshot};
pub use spool::Durability;
pub use tally::{LaneTally, Tallies, Tally, TallyKey};
pub use termination::{CertificateProblem, Certificates};
pub use upstream::{Freshness, Reach};
pub use watch::{Ended, Trace, Watcher, Who};
