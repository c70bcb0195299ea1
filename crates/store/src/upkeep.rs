//! Upkeep of stored usage: smaller roll-ups of days that are over, and what is dropped when its time is over.
//!
//! Nothing here changes a total. Days are made from the hourly rows, and until a day is made again after a change, queries
//! read the hourly rows ([`crate::usage`]). What is dropped is below a bound that queries know.

mod days;
mod retention;
mod storage;

pub use retention::{Dropped, Kept};
pub use storage::{KeptFrom, UsageStorage, UsageTable};

use crate::row::ReadRow as _;
use jiff::Timestamp;
use sqlx::{PgConnection, Postgres, Transaction};

/// Any number, so long as nothing else in this database locks by it.
const LOCK: i64 = 0x7475_726e_6b65_6570;

/// How far the upkeep is. All are midnights of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Upkeep {
    marked_before: Timestamp,
    made_before: Timestamp,
    /// Days before this one have their sums by operation.
    operations_before: Timestamp,
    live_from: Timestamp,
    test_from: Timestamp,
    hourly_from: Timestamp,
    daily_from: Timestamp,
}

/// Nothing was made or dropped yet where a bound is this one.
const NEVER: Timestamp = Timestamp::UNIX_EPOCH;

async fn read_upkeep(connection: &mut PgConnection) -> Result<Upkeep, sqlx::Error> {
    let row = sqlx::query("select * from usage_upkeep").fetch_one(connection).await?;
    Ok(Upkeep {
        marked_before: row.at("marked_before")?,
        made_before: row.at("made_before")?,
        operations_before: row.at("operations_before")?,
        live_from: row.at("live_from")?,
        test_from: row.at("test_from")?,
        hourly_from: row.at("hourly_from")?,
        daily_from: row.at("daily_from")?,
    })
}

/// Whether nobody else is at it. The lock is held until the transaction ends.
async fn alone(tx: &mut Transaction<'_, Postgres>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(&mut **tx).await
}

/// Work that is allowed to take longer than a query, and that gives way rather than let others wait behind it.
async fn take_time(tx: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('statement_timeout', '10min', true), set_config('lock_timeout', '2s', true)")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
