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

/// What Postgres says where a lock is waited for too long.
const NOT_AVAILABLE: &str = "55P03";

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

/// Whether nobody else is at it, or is soon no more: all of this begins at once when the portal starts, and what it does is mostly short.
/// The lock is held until the transaction ends, which is useless where this says no.
async fn alone(tx: &mut Transaction<'_, Postgres>) -> Result<bool, sqlx::Error> {
    sqlx::query("select set_config('lock_timeout', '5s', true)").execute(&mut **tx).await?;
    let locked = sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut **tx).await;
    match locked {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_AVAILABLE) => Ok(false),
        locked => locked.map(|_| true),
    }
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
