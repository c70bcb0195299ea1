//! The units that this node holds: an [`Account`] for each quota and credit, spent without asking anybody.
//!
//! A node takes a block of units from Postgres by the [`Exchange`] port and counts its calls against the block. A call
//! never waits while the block lasts; when it is short one exchange is under way for all calls that wait. What a node was
//! granted and did not spend goes back when it ends, when it is idle, or at its next start: its spool knows what it spent.
//!
//! Always true, with `granted` and `used` since the node first knew the allowance: what all nodes were granted is at most the
//! limit, and a call that needs units is served only while `used <= granted`. So a limit is not overshot, however many calls
//! and nodes race. Exceptions are counted as overdraft: a product that stays open while Postgres is down, and calls that turn
//! out to cost more than was reserved for them.

mod account;
mod desk;
mod in_process;
mod tend;

pub use account::Account;
pub(crate) use account::{Short, answered};
pub use in_process::InProcess;

use crate::ports::{Exchange, Held};
use desk::Desk;
use domain::{
    allowance::{Allowance, Kind},
    id::{AllocationId, PartnerId},
    period::Period,
};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

const SHARDS: usize = 16;

type Key = (PartnerId, Kind, Timestamp, Option<AllocationId>);
type Accounts = HashMap<Key, Arc<Account>>;

/// All accounts of this node.
#[derive(Debug)]
pub struct Leases {
    shards: [RwLock<Accounts>; SHARDS],
    desk: Arc<Desk>,
}

impl Leases {
    /// Nothing can be leased before [`Self::begin`]. Exchanges run on the runtime that this is called in, or where there is
    /// none on that of the call that needs one.
    pub fn new(exchange: Arc<dyn Exchange>) -> Arc<Self> {
        Arc::new(Self { shards: Default::default(), desk: Arc::new(Desk::new(exchange)) })
    }

    /// Leases that the process grants itself, which no second node can share. For tests and measurements.
    pub fn in_process() -> Arc<Self> {
        let leases = Self::new(Arc::new(InProcess::default()));
        leases.begin(Vec::new());
        leases
    }

    /// Says that [`Self::begin`] is about to be called. Calls that need units wait for it, a second from now at most; without this
    /// they are treated as where Postgres does not answer.
    pub fn expect(&self) {
        self.desk.expect();
    }

    /// Tells what is known of allowances at the start, after all that an earlier life of this node spent was stored and what
    /// it held was given back. From here on exchanges are made.
    pub fn begin(&self, known: Vec<Held>) {
        for held in known {
            self.account(held.allowance).begin(held.base, held.elsewhere, held.limit);
        }
        self.desk.open();
    }

    /// Whether [`Self::begin`] was called.
    pub fn has_begun(&self) -> bool {
        self.desk.is_open()
    }

    /// The one account of that allowance.
    pub fn account(&self, of: Allowance) -> Arc<Account> {
        let shard = &self.shards[of.partner.0.as_u128() as usize % SHARDS];
        let key = (of.partner, of.kind, of.period.start, of.allocation);
        if let Some(account) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            account.reach(of.period.end);
            return account.clone();
        }
        let mut accounts = shard.write().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(key).or_insert_with(|| Arc::new(Account::new(of, self.desk.clone())));
        account.reach(of.period.end);
        account.clone()
    }

    /// Units of the partner's quota that are used or reserved, as far as this node knows.
    pub fn used(&self, partner: PartnerId, period: Period) -> u64 {
        self.account(Allowance::quota(partner, period)).used()
    }

    fn all(&self) -> Vec<Arc<Account>> {
        let read = |shard: &RwLock<Accounts>| {
            shard.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(read).collect()
    }

    /// Forgets accounts of periods that are over, once nobody holds them and nothing is to be given back.
    fn forget_over(&self, now: Timestamp) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, account| {
                // Nobody can take another reference while the shard is locked.
                Arc::strong_count(account) > 1 || account.of().period.contains(now) || !account.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests;
