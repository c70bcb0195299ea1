//! Upkeep of the daily partitions of raw usage events.

use crate::{Store, StoreError};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

/// Any number, so long as nothing else in this database locks by it.
const LOCK: i64 = 0x7475_726e_7061_7274;

impl Store {
    /// Makes the partitions of yesterday, today and `days_ahead` days after it (UTC), and says how many of them exist now.
    ///
    /// Yesterday's is for events that arrive late. A day whose first events came before its partition stays in the
    /// default partition for good; that is slower to read and otherwise the same, and is logged.
    pub async fn make_partitions(&self, now: Timestamp, days_ahead: u16) -> Result<u32, StoreError> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let mut exist = 0;
        for offset in -1..=i32::from(days_ahead) {
            let Ok(day) = today.checked_add(offset.days()) else { break };
            // One short transaction for each: a new partition locks the table, and ingest waits for the lock.
            let mut tx = self.begin().await?;
            sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
            let made: bool = sqlx::query_scalar("select make_usage_partition($1::text::date)")
                .bind(day.to_string())
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            if made {
                exist += 1;
            } else {
                tracing::warn!(%day, "events of this day came before its partition and stay in the default partition");
            }
        }
        Ok(exist)
    }
}
