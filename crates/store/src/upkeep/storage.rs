//! What is stored of usage, for operators.

use super::{NEVER, read_upkeep};
use crate::{Store, StoreError, row::ReadRow as _};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{PgPool, Row as _};

/// How much usage is stored, and from when on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsageStorage {
    pub tables: Vec<UsageTable>,
    pub kept_from: KeptFrom,
    /// Days (UTC) before this one are summed up; absent before the first.
    pub days_made_before: Option<Timestamp>,
    /// Days of single partners that changed since and wait to be summed up again.
    pub days_changed: u64,
}

/// From when on each class is kept; absent where nothing was dropped yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeptFrom {
    pub live_events: Option<Timestamp>,
    pub test_events: Option<Timestamp>,
    pub hourly: Option<Timestamp>,
    pub daily: Option<Timestamp>,
}

/// One partitioned table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsageTable {
    pub name: String,
    /// Without the default one.
    pub partitions: u64,
    /// With indexes.
    pub bytes: u64,
    /// Rows outside of any partition's range: none where all is well.
    pub stray_rows: u64,
}

impl Store {
    /// How much usage of all partners is stored.
    pub async fn usage_storage(&self) -> Result<UsageStorage, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let upkeep = read_upkeep(&mut connection).await?;
        let rows = sqlx::query(
            "select parent.relname::text as name, count(*) - 1 as partitions,
                 sum(pg_total_relation_size(i.inhrelid))::bigint as bytes,
                 case parent.relname::text
                     when 'usage_events' then (select count(*) from usage_events_other)
                     when 'usage_hourly' then (select count(*) from usage_hourly_other)
                     when 'usage_daily' then (select count(*) from usage_daily_other)
                     when 'usage_operation_daily' then (select count(*) from usage_operation_daily_other)
                     when 'usage_brief' then (select count(*) from usage_brief_other)
                     else (select count(*) from usage_meter_hourly_other)
                 end as stray_rows
             from pg_inherits i join pg_class parent on parent.oid = i.inhparent
             where i.inhparent in ('usage_events'::regclass, 'usage_hourly'::regclass, 'usage_daily'::regclass,
                 'usage_operation_daily'::regclass, 'usage_brief'::regclass, 'usage_meter_hourly'::regclass)
             group by parent.relname order by parent.relname",
        )
        .fetch_all(&mut *connection)
        .await?;
        let table = |row: &sqlx::postgres::PgRow| {
            Ok(UsageTable {
                name: row.try_get("name")?,
                partitions: row.count("partitions")?,
                bytes: row.count("bytes")?,
                stray_rows: row.count("stray_rows")?,
            })
        };
        let tables = rows.iter().map(table).collect::<Result<_, sqlx::Error>>()?;
        let changed =
            sqlx::query("select count(*) as days from usage_days_changed").fetch_one(&mut *connection).await?;
        let some = |at: Timestamp| (at != NEVER).then_some(at);
        Ok(UsageStorage {
            tables,
            kept_from: KeptFrom {
                live_events: some(upkeep.live_from),
                test_events: some(upkeep.test_from),
                hourly: some(upkeep.hourly_from),
                daily: some(upkeep.daily_from),
            },
            days_made_before: some(upkeep.made_before),
            days_changed: changed.count("days")?,
        })
    }
}

/// Names of a table's partitions, the oldest first; the default one comes last.
pub(super) async fn partitions(pool: &PgPool, of: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = $1::text::regclass order by 1",
    )
    .bind(of)
    .fetch_all(pool)
    .await
}
