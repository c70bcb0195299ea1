//! The ledger: append-only double entry. The entries of a transaction sum to zero, which the database checks as well, and
//! balances are sums, never kept.

use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::{id::PartnerId, money::Money};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

/// Where money is, from the provider's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    /// What the partner owes.
    Receivable,
    /// What was sold; negative, as the other side of what is owed.
    Revenue,
    /// Prepaid balance.
    Credits,
    /// What was paid.
    Cash,
}

impl LedgerAccount {
    pub const ALL: [Self; 4] = [Self::Receivable, Self::Revenue, Self::Credits, Self::Cash];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Receivable => "receivable",
            Self::Revenue => "revenue",
            Self::Credits => "credits",
            Self::Cash => "cash",
        }
    }
}

impl std::str::FromStr for LedgerAccount {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|account| account.code() == text)
            .ok_or_else(|| format!("{text:?} is not an account"))
    }
}

impl Store {
    /// The partner's balance in each account and currency that was ever posted to.
    pub async fn ledger_balances(&self, partner: PartnerId) -> Result<Vec<(LedgerAccount, Money)>, StoreError> {
        let rows = sqlx::query(
            "select account, currency, sum(amount_micros)::bigint as micros from ledger_entries
             where partner_id = $1 group by account, currency order by account, currency",
        )
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        let balance = |row: sqlx::postgres::PgRow| {
            Ok((row.parsed("account")?, Money::new(row.parsed("currency")?, row.try_get("micros")?)))
        };
        rows.into_iter().map(balance).collect()
    }
}

/// Posts a transaction; the same key again is refused by the database.
pub(crate) async fn post(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    idempotency_key: &str,
    description: &str,
    entries: &[(LedgerAccount, Money)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into ledger_transactions (partner_id, id, idempotency_key, description, at) values ($1, $2, $3, $4, $5)",
    )
    .bind(partner.0)
    .bind(id)
    .bind(idempotency_key)
    .bind(description)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    for (position, (account, amount)) in (0_i32..).zip(entries) {
        sqlx::query(
            "insert into ledger_entries (partner_id, transaction_id, position, account, currency, amount_micros)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(partner.0)
        .bind(id)
        .bind(position)
        .bind(account.code())
        .bind(amount.currency.code())
        .bind(amount.micros)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
