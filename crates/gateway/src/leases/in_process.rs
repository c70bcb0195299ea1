//! An exchange in memory: several nodes of one process share it in tests.

use super::Key;
use crate::ports::{Answer, Ask, Exchange, ExchangeDown, Granted};
use domain::{
    allowance::Allowance,
    id::{AllocationId, PartnerId},
};
use std::{
    collections::HashMap,
    future::ready,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// The exchange as one node sees it.
#[derive(Debug, Clone, Default)]
pub struct InProcess {
    node: u32,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stocks: Mutex<HashMap<Key, Stock>>,
    down: AtomicBool,
    exchanges: AtomicU64,
}

#[derive(Debug, Default)]
struct Stock {
    /// What credit there ever was.
    bought: u64,
    taken: u64,
    leases: HashMap<u32, (u64, i64)>,
    wanted: bool,
}

impl InProcess {
    /// The same exchange for another node.
    pub fn node(&self, node: u32) -> Self {
        Self { node, shared: self.shared.clone() }
    }

    /// Adds units that were used before any lease.
    pub fn add_used(&self, of: Allowance, units: u64) {
        self.with(of, |stock| stock.taken += units);
    }

    /// Adds credit that is common to the partner.
    pub fn add_credit(&self, partner: PartnerId, units: u64) {
        self.with(Allowance::credit(partner), |stock| stock.bought += units);
    }

    /// Adds credit that one app or team has for itself.
    pub fn add_allocated(&self, partner: PartnerId, allocation: AllocationId, units: u64) {
        self.with(Allowance::allocation(partner, allocation), |stock| stock.bought += units);
    }

    /// Asks all nodes for what they do not use.
    pub fn recall(&self, of: Allowance) {
        self.with(of, |stock| stock.wanted = true);
    }

    /// What all nodes took and did not give back.
    pub fn taken(&self, of: Allowance) -> u64 {
        self.with(of, |stock| stock.taken)
    }

    /// While it is down no exchange is answered.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Relaxed);
    }

    /// How many exchanges were made.
    pub fn exchanges(&self) -> u64 {
        self.shared.exchanges.load(Relaxed)
    }

    fn with<T>(&self, of: Allowance, act: impl FnOnce(&mut Stock) -> T) -> T {
        let mut stocks = self.shared.stocks.lock().unwrap_or_else(PoisonError::into_inner);
        act(stocks.entry((of.partner, of.kind, of.period.start, of.allocation)).or_default())
    }

    fn answer(&self, ask: Ask) -> Granted {
        self.shared.exchanges.fetch_add(1, Relaxed);
        self.with(ask.of, |stock| {
            let limit = ask.limit.unwrap_or(stock.bought);
            let (mut granted, turn) = stock.leases.get(&self.node).copied().unwrap_or_default();
            let returned = if turn == ask.turn { ask.returned.min(granted) } else { 0 };
            stock.taken -= returned;
            let left = limit.saturating_sub(stock.taken);
            let block = left.min(ask.need.max(ask.want.min(left / 4)));
            stock.wanted = if ask.need > 0 { block < ask.need } else { stock.wanted };
            stock.taken += block;
            granted = granted - returned + block;
            stock.leases.insert(self.node, (granted, turn + 1));
            Granted { granted, taken: stock.taken, limit, turn: turn + 1, wanted: stock.wanted }
        })
    }

    fn unless_down<T: Send + 'static>(&self, answer: impl FnOnce() -> T) -> Answer<T> {
        let answer = if self.shared.down.load(Relaxed) { Err(ExchangeDown) } else { Ok(answer()) };
        Box::pin(ready(answer))
    }
}

impl Exchange for InProcess {
    fn exchange(&self, ask: Ask) -> Answer<Granted> {
        self.unless_down(|| self.answer(ask))
    }

    fn give_back(&self, asks: Vec<Ask>) -> Answer<Vec<Granted>> {
        self.unless_down(|| asks.into_iter().map(|ask| self.answer(ask)).collect())
    }

    fn read(&self, of: Vec<(Allowance, Option<u64>)>) -> Answer<Vec<Option<Granted>>> {
        let read = |(of, limit): (Allowance, Option<u64>)| {
            self.with(of, |stock| {
                let (granted, turn) = stock.leases.get(&self.node).copied().unwrap_or_default();
                let limit = limit.unwrap_or(stock.bought);
                Some(Granted { granted, taken: stock.taken, limit, turn, wanted: stock.wanted })
            })
        };
        self.unless_down(|| of.into_iter().map(read).collect())
    }
}
