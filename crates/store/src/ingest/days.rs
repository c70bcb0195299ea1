//! What a change of an hour does to the day that it lies in, where that day was made already: it leaves a mark, in the same
//! transaction.
//!
//! Whoever makes days raises the bound below which marks are left, and then waits until every transaction that read the
//! earlier bound has ended ([`wait_for_all`]): so none is between them that neither left a mark nor was counted.

use crate::time::Ts;
use jiff::Timestamp;
use sqlx::{Postgres, Transaction};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Held together by all who take usage in, and by nobody else while days are waited for.
const LOCK: i64 = 0x7475_726e_6461_7973;

const DAY_MICROS: i64 = 86_400_000_000;

/// To be done before the bound is read: a statement sees what was committed before it began.
pub(crate) async fn enter(tx: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(LOCK).execute(&mut **tx).await?;
    Ok(())
}

/// Marks the days of these hours that were made. A mark that is there is written again, which keeps it from being taken until
/// this transaction has ended.
pub(crate) async fn mark(
    tx: &mut Transaction<'_, Postgres>,
    hours: impl Iterator<Item = (Uuid, Timestamp)>,
) -> Result<(), sqlx::Error> {
    // In the order of their keys, as everywhere.
    let days: BTreeSet<(Uuid, Ts)> = hours.map(|(partner, hour)| (partner, Ts(midnight(hour)))).collect();
    sqlx::query(
        "insert into usage_days_changed (partner_id, day)
         select partner_id, (midnight at time zone 'UTC')::date from unnest($1::uuid[], $2::timestamptz[]) as d (partner_id, midnight)
         where midnight < (select marked_before from usage_upkeep)
         on conflict (partner_id, day) do update set day = excluded.day",
    )
    .bind(days.iter().map(|(partner, _)| *partner).collect::<Vec<_>>())
    .bind(days.iter().map(|(_, day)| *day).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Returns when every transaction that takes usage in, and had begun, has ended.
pub(crate) async fn wait_for_all(tx: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut **tx).await?;
    Ok(())
}

/// The begin of the day (UTC) that holds `at`.
pub(crate) fn midnight(at: Timestamp) -> Timestamp {
    let micros = at.as_microsecond();
    Timestamp::from_microsecond(micros - micros.rem_euclid(DAY_MICROS)).unwrap_or(at)
}
