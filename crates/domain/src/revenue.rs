//! Revenue recognition, in the words of ASC 606: the accounts of the journal, and how much of a fee in advance is earned by when.
//!
//! A fee is earned evenly over its period, to the second. $365.00 for a year are $31.00 by the end of January. Where less of it is left
//! to pay, what is left is spread over the whole period, so what was earned too early is taken back at once.

use crate::{
    money::{Currency, Money},
    period::Period,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where money is in the journal. A debit is above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What was invoiced and is not paid.
    AccountsReceivable,
    /// Earned, and not invoiced yet.
    ContractAsset,
    /// Invoiced or paid, and not earned yet: deferred revenue.
    ContractLiability,
    Revenue,
    /// Of prepaid units that nobody will use any more.
    BreakageRevenue,
    /// What was paid.
    Cash,
    /// What was paid, and is given back.
    Refunds,
}

impl Account {
    pub const ALL: [Self; 7] = [
        Self::AccountsReceivable,
        Self::ContractAsset,
        Self::ContractLiability,
        Self::Revenue,
        Self::BreakageRevenue,
        Self::Cash,
        Self::Refunds,
    ];

    /// As files and the database have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccountsReceivable => "accounts_receivable",
            Self::ContractAsset => "contract_asset",
            Self::ContractLiability => "contract_liability",
            Self::Revenue => "revenue",
            Self::BreakageRevenue => "breakage_revenue",
            Self::Cash => "cash",
            Self::Refunds => "refunds",
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountsReceivable => "Accounts receivable",
            Self::ContractAsset => "Contract asset",
            Self::ContractLiability => "Contract liability (deferred revenue)",
            Self::Revenue => "Revenue",
            Self::BreakageRevenue => "Breakage revenue",
            Self::Cash => "Cash",
            Self::Refunds => "Refunds",
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Account {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|account| account.code() == text);
        known.ok_or_else(|| format!("{text:?} is not an account of the journal"))
    }
}

/// A fee in advance, as it stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fee {
    /// What is left of it: less credit notes and what was given back, and nothing where its invoice is void.
    pub price: Money,
    /// What it is for.
    pub period: Period,
    /// When its plan ended, where that was within the period.
    pub ended_at: Option<Timestamp>,
    /// Whether the unused part was given back.
    pub is_given_back: bool,
}

impl Fee {
    /// What of it is earned by `until`, in whole coins.
    pub fn earned(&self, until: Timestamp) -> Money {
        let Period { start, end } = self.period;
        let Some(stopped) = self.ended_at.filter(|ended| *ended < end && *ended <= until) else {
            return self.share(until.min(end).max(start));
        };
        if self.is_given_back {
            return self.price;
        }
        // The rest is owed back, unless it comes to no coin.
        let earned = self.share(stopped.max(start));
        let is_nothing =
            (self.price.micros - earned.micros).abs() <= self.price.currency.micros_per_minor() && until >= end;
        if is_nothing { self.price } else { earned }
    }

    /// What of the price the time up to there stands for, rounded to the coin, half away from zero.
    fn share(&self, until: Timestamp) -> Money {
        let (start, end) = (self.period.start.as_microsecond(), self.period.end.as_microsecond());
        let (passed, whole) = (until.as_microsecond() - start, end - start);
        if whole <= 0 || passed >= whole {
            return self.price;
        }
        let coin = i128::from(self.price.currency.micros_per_minor());
        let exact = i128::from(self.price.micros) * i128::from(passed.max(0));
        let coins = rounded(exact, i128::from(whole) * coin);
        let micros = i64::try_from(coins * coin).unwrap_or(self.price.micros);
        Money { micros, ..self.price }
    }
}

/// Half away from zero.
fn rounded(number: i128, by: i128) -> i128 {
    let doubled = 2 * number.abs() + by;
    (doubled / (2 * by)) * number.signum()
}

/// Balances of one grant of prepaid units, in micro-units as the ledger has them, which may be parts of a coin. A debit is above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GrantBalances {
    /// What was billed for it or paid: whole coins.
    pub sold: i64,
    pub liability: i64,
    pub breakage: i64,
}

impl GrantBalances {
    /// The same in whole coins, as liability, breakage and revenue: what is owed still is rounded up, breakage down, and revenue has the
    /// rest. So nothing is earned too early, and all of it in the end.
    pub fn in_coins(self, currency: Currency) -> [i64; 3] {
        let coin = currency.micros_per_minor();
        let up = |micros: i64| {
            let down = micros - micros % coin;
            if down == micros { micros } else { down + coin * micros.signum() }
        };
        // Owed is below zero, and so is earned.
        let liability = up(self.liability);
        let breakage = self.breakage - self.breakage % coin;
        [liability, breakage, -(self.sold + liability + breakage)]
    }
}

#[cfg(test)]
mod tests;
