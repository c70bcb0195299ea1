//! What is done beside the calls: headers are kept fresh, idle units go back, and all of them at the end.

use super::{
    Leases,
    account::{Account, Turn, unsigned},
    desk::PATIENCE,
};
use crate::ports::{Ask, ExchangeDown};
use domain::allowance::{Allowance, Kind};
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// Accounts that are asked for at once.
const CHUNK: usize = 500;
/// Without a call for so long, all units go back; at once where another node looks for some.
const IDLE: Duration = Duration::from_secs(10);
/// Between two looks at exchanges that are under way at the end.
const WHILE_BUSY: Duration = Duration::from_millis(10);
/// The balance of credit is followed for so long after the last call.
const FOLLOW_CREDIT: Duration = Duration::from_secs(5);

impl Leases {
    /// Once a second: reads how allowances that are in use stand, and gives back what is idle, unless this is the only node.
    /// Credit goes back to the only node, too, where somebody asks for it: people move it.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn tend(&self, now: Timestamp, only_node: bool) -> Result<(), ExchangeDown> {
        self.forget_over(now);
        if !self.has_begun() {
            return Ok(());
        }
        let due: Vec<_> = self.all().into_iter().filter(|account| account.is_due(only_node)).collect();
        for chunk in due.chunks(CHUNK) {
            let chunk: Vec<Turn> = chunk.iter().filter_map(Turn::begin).collect();
            self.read(&chunk, only_node).await?;
        }
        Ok(())
    }

    /// Gives back all that is held. After the last call.
    ///
    /// # Errors
    /// Postgres does not answer; then the next start gives it back.
    pub async fn close(&self) -> Result<(), ExchangeDown> {
        // Those whose exchange is under way are let go once it has ended.
        for _ in 0..10 {
            let held: Vec<_> = self.all().into_iter().filter(|account| !account.is_empty()).collect();
            if held.is_empty() {
                break;
            }
            for chunk in held.chunks(CHUNK) {
                let chunk: Vec<Turn> = chunk.iter().filter_map(Turn::begin).collect();
                self.give_back(&chunk.iter().map(|turn| &turn.0).collect::<Vec<_>>()).await?;
            }
            sleep(WHILE_BUSY).await;
        }
        Ok(())
    }

    async fn read(&self, turns: &[Turn], only_node: bool) -> Result<(), ExchangeDown> {
        let questions: Vec<(Allowance, Option<u64>)> =
            turns.iter().map(|Turn(account)| (account.of(), account.under())).collect();
        let answers = self.asked(self.desk.exchange.read(questions)).await?;
        let mut idle = Vec::new();
        for (Turn(account), answer) in turns.iter().zip(answers) {
            let Some(answer) = answer else { continue };
            let mut cold = account.cold();
            if cold.uncertain {
                idle.push(account);
                continue;
            }
            account.note(&mut cold, answer);
            let still = cold.seen.1.elapsed();
            drop(cold);
            // Where another node found nothing left, who has none in use next fetches them again, one call's worth at a time.
            let of = account.of();
            let is_idle = still >= IDLE && (!only_node || of.allocation.is_some());
            let is_wanted = answer.wanted && (!only_node || of.kind == Kind::Credit);
            if (is_idle || is_wanted) && account.held() > 0 {
                idle.push(account);
            }
        }
        self.give_back(&idle).await
    }

    /// Only accounts whose turn it is.
    async fn give_back(&self, accounts: &[&Arc<Account>]) -> Result<(), ExchangeDown> {
        let ask = |account: &&Arc<Account>| {
            let mut cold = account.cold();
            let returned = unsigned(account.withhold(&mut cold));
            let turn = Account::turn(&cold);
            Ask { of: account.of(), limit: account.under(), need: 0, want: 0, returned, turn }
        };
        let asks: Vec<Ask> = accounts.iter().map(ask).collect();
        if asks.is_empty() {
            return Ok(());
        }
        let answers = self.asked(self.desk.exchange.give_back(asks)).await?;
        for (account, answer) in accounts.iter().zip(answers) {
            account.note(&mut account.cold(), answer);
        }
        Ok(())
    }

    async fn asked<T>(&self, answer: crate::ports::Answer<T>) -> Result<T, ExchangeDown> {
        let answer = timeout(PATIENCE, answer).await.unwrap_or(Err(ExchangeDown));
        self.desk.answered(answer.is_ok());
        answer
    }
}

impl Account {
    /// Whether to look how it stands: it was used since the last look, or holds what others may need, or calls are told what is left of it.
    fn is_due(&self, only_node: bool) -> bool {
        let was_shown = self.was_shown();
        let mut cold = self.cold();
        let used = self.used_here();
        if used != cold.seen.0 {
            cold.seen = (used, Instant::now());
            return true;
        }
        let is_credit = self.of().kind == Kind::Credit;
        let followed = is_credit && used > 0 && cold.seen.1.elapsed() < FOLLOW_CREDIT;
        followed || (is_credit && was_shown) || ((is_credit || !only_node) && self.held() > 0)
    }
}
