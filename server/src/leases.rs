//! The gateway's exchange of units, in Postgres.

use crate::config::LeaseCheck;
use domain::allowance::Allowance;
use gateway::{Answer, Ask, Exchange, ExchangeDown, Granted};
use jiff::Timestamp;
use std::sync::Arc;
use store::{
    Store, StoreError,
    leases::{LeaseAsk, Leased},
};

/// The exchange as this node sees it.
pub struct PostgresExchange {
    store: Store,
    node: Arc<str>,
    check: LeaseCheck,
}

impl PostgresExchange {
    pub fn new(store: Store, node: &str, check: LeaseCheck) -> Self {
        if check == LeaseCheck::Off {
            tracing::warn!("leases are switched off: quotas and credit are not kept");
        }
        Self { store, node: node.into(), check }
    }

    fn ask(&self, ask: Ask) -> LeaseAsk {
        let Ask { of, limit, need, want, returned, turn } = ask;
        let limit = if self.check == LeaseCheck::Off { Some(u64::MAX) } else { limit };
        LeaseAsk { of, limit, need, want, returned, turn }
    }

    fn exchange_all(&self, asks: Vec<LeaseAsk>) -> Answer<Vec<Granted>> {
        let (store, node) = (self.store.clone(), self.node.clone());
        Box::pin(async move {
            // The exchange is one statement: giving up on it leaves it done or not done, and the next answer tells.
            let answers = store.exchange_all_units(&node, &asks, Timestamp::now()).await.map_err(down)?;
            Ok(answers.into_iter().map(granted).collect())
        })
    }
}

impl Exchange for PostgresExchange {
    fn exchange(&self, ask: Ask) -> Answer<Granted> {
        let answers = self.exchange_all(vec![self.ask(ask)]);
        Box::pin(async move { answers.await?.into_iter().next().ok_or(ExchangeDown) })
    }

    fn give_back(&self, asks: Vec<Ask>) -> Answer<Vec<Granted>> {
        self.exchange_all(asks.into_iter().map(|ask| self.ask(ask)).collect())
    }

    fn read(&self, of: Vec<(Allowance, Option<u64>)>) -> Answer<Vec<Option<Granted>>> {
        let (store, node) = (self.store.clone(), self.node.clone());
        Box::pin(async move {
            let answers = store.read_leases(&node, &of, Timestamp::now()).await.map_err(down)?;
            Ok(answers.into_iter().map(|answer| answer.map(granted)).collect())
        })
    }
}

fn granted(leased: Leased) -> Granted {
    let Leased { granted, taken, limit, turn, wanted } = leased;
    Granted { granted, taken, limit, turn, wanted }
}

fn down(error: StoreError) -> ExchangeDown {
    tracing::debug!(%error, "units cannot be exchanged");
    ExchangeDown
}
