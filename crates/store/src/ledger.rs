//! The ledger: append-only double entry. The entries of a transaction sum to zero, which the database checks as well, and
//! balances are sums, never kept.

use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::{id::PartnerId, money::Money};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgArguments, query::Query};
use uuid::Uuid;

/// Where money is, from the provider's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    /// What the partner owes.
    Receivable,
    /// What was sold; negative, as the other side of what is owed.
    Revenue,
    /// Prepaid balance: sold and not used yet; negative, for it is owed to the partner.
    Credits,
    /// What was paid.
    Cash,
    /// Prepaid balance that nobody will use any more; negative, as revenue is.
    Breakage,
}

impl LedgerAccount {
    pub const ALL: [Self; 5] = [Self::Receivable, Self::Revenue, Self::Credits, Self::Cash, Self::Breakage];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Receivable => "receivable",
            Self::Revenue => "revenue",
            Self::Credits => "credits",
            Self::Cash => "cash",
            Self::Breakage => "breakage",
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

/// Writes the entries of a transaction.
macro_rules! enter {
    () => {
        "insert into ledger_entries (partner_id, transaction_id, position, account, currency, amount_micros)
         select $1, $2, position - 1, account, currency, amount
         from unnest($3::text[], $4::text[], $5::bigint[]) with ordinality as entries (account, currency, amount, position)"
    };
}

/// Posts a transaction; the same key again is refused by the database.
pub(crate) async fn post(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    idempotency_key: &str,
    description: &str,
    entries: &[(LedgerAccount, Money)],
    now: Timestamp,
) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    entered(
        concat!(
            "with posted as (
                 insert into ledger_transactions (partner_id, id, idempotency_key, description, at) values ($1, $2, $6, $7, $8)
             ) ",
            enter!()
        ),
        (partner, id),
        entries,
    )
    .bind(idempotency_key)
    .bind(description)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    Ok(id)
}

/// Writes a transaction's entries in money.
pub(crate) async fn enter(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    transaction: Uuid,
    entries: &[(LedgerAccount, Money)],
) -> Result<(), StoreError> {
    entered(enter!(), (partner, transaction), entries).execute(&mut **tx).await?;
    Ok(())
}

/// A statement that ends with [`enter!`]. What it binds itself begins with `$6`.
fn entered<'a>(
    statement: &'static str,
    (partner, transaction): (PartnerId, Uuid),
    entries: &[(LedgerAccount, Money)],
) -> Query<'a, Postgres, PgArguments> {
    let (accounts, amounts): (Vec<LedgerAccount>, Vec<Money>) = entries.iter().copied().unzip();
    sqlx::query(statement)
        .bind(partner.0)
        .bind(transaction)
        .bind(accounts.iter().map(|account| account.code()).collect::<Vec<_>>())
        .bind(amounts.iter().map(|amount| amount.currency.code()).collect::<Vec<_>>())
        .bind(amounts.iter().map(|amount| amount.micros).collect::<Vec<_>>())
}
