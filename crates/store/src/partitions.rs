//! Upkeep of the partitions of usage: raw events by day, roll-ups by month.

use crate::{Store, StoreError, ingest::days::wait_for_all, row::ReadRow as _};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use sqlx::Row as _;

/// Any number, so long as nothing else in this database locks by it.
const LOCK: i64 = 0x7475_726e_7061_7274;
/// Days that are moved out of the default partitions in one run.
const MOST_STRAYS: i64 = 50;

/// A partition: its name, the statement that makes it, and a day that lies in it.
#[derive(Debug)]
struct Part {
    name: String,
    make: &'static str,
    day: Date,
}

/// The tables that have a partition for each month, and how it is made.
const MONTHS: [(&str, &str); 5] = [
    ("usage_hourly", "select make_usage_month('usage_hourly', $1::text::date)"),
    ("usage_daily", "select make_usage_month('usage_daily', $1::text::date)"),
    ("usage_brief", "select make_usage_month('usage_brief', $1::text::date)"),
    ("usage_operation_daily", "select make_usage_month('usage_operation_daily', $1::text::date)"),
    ("usage_meter_hourly", "select make_usage_month('usage_meter_hourly', $1::text::date)"),
];

impl Part {
    fn of_day(day: Date) -> Self {
        let make = "select make_usage_partition($1::text::date)";
        Self { name: format!("usage_events_{}", day.strftime("%Y%m%d")), make, day }
    }

    /// Of the month that holds `day`, one for each roll-up.
    fn of_month(day: Date) -> impl Iterator<Item = Self> {
        MONTHS.into_iter().map(move |(table, make)| Self {
            name: format!("{table}_{}", day.strftime("%Y%m")),
            make,
            day,
        })
    }
}

impl Store {
    /// Makes the partitions of yesterday, today and `days_ahead` days after it (UTC), and those of their months. How many days there are now.
    ///
    /// Yesterday's is for events that arrive late.
    pub async fn make_partitions(&self, now: Timestamp, days_ahead: u16) -> Result<u32, StoreError> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let days = (-1..=i32::from(days_ahead)).map_while(|offset| today.checked_add(offset.days()).ok());
        let (mut parts, mut exist, mut month) = (Vec::new(), 0, None);
        for day in days {
            parts.push(Part::of_day(day));
            if month.replace(day.first_of_month()) != Some(day.first_of_month()) {
                parts.extend(Part::of_month(day));
            }
            exist += 1;
        }
        self.make_missing(&parts).await?;
        Ok(exist)
    }

    /// Makes the month that holds `day`, for all roll-ups.
    pub(crate) async fn make_month(&self, day: Date) -> Result<(), StoreError> {
        self.make_missing(&Part::of_month(day).collect::<Vec<_>>()).await
    }

    async fn make_missing(&self, parts: &[Part]) -> Result<(), StoreError> {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let missing: Vec<String> =
            sqlx::query_scalar("select name from unnest($1::text[]) as asked (name) where to_regclass(name) is null")
                .bind(names)
                .fetch_all(self.pool())
                .await?;
        for part in parts.iter().filter(|part| missing.contains(&part.name)) {
            self.make_partition(part).await?;
        }
        Ok(())
    }

    /// One short transaction for each table: whoever reads several of them would else wait for us, and we for them. Who takes
    /// usage in waits meanwhile, because a row on its way into the default partition would be refused there. So it gives up
    /// soon behind a long reader, and moves what the default partition holds only if that takes a moment.
    async fn make_partition(&self, part: &Part) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("select set_config('lock_timeout', '1s', true), set_config('statement_timeout', '20s', true)")
            .execute(&mut *tx)
            .await?;
        sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
        wait_for_all(&mut tx).await?;
        sqlx::query(part.make).bind(part.day.to_string()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Moves what came before its partition, and lies in a default partition, where it belongs. What does not move is logged,
    /// and counts where it is.
    pub async fn place_strays(&self) -> Result<(), StoreError> {
        let rows = sqlx::query(
            "(select distinct (at at time zone 'UTC')::date::text as day, true as of_events from usage_events_other limit $1)
             union all
             select day, false from (
                 select distinct date_trunc('month', hour at time zone 'UTC')::date::text as day from usage_hourly_other
                 union
                 select distinct date_trunc('month', day::timestamp)::date::text from usage_daily_other
                 union
                 select distinct date_trunc('month', day::timestamp)::date::text from usage_operation_daily_other
                 union
                 select distinct date_trunc('month', hour at time zone 'UTC')::date::text from usage_brief_other
                 union
                 select distinct date_trunc('month', hour at time zone 'UTC')::date::text from usage_meter_hourly_other
             ) as months",
        )
        .bind(MOST_STRAYS)
        .fetch_all(self.pool())
        .await?;
        for row in rows {
            let day: Date = row.parsed("day")?;
            tracing::info!(%day, "usage came before its partition and moves there");
            let moved = if row.try_get("of_events")? {
                self.make_missing(&[Part::of_day(day)]).await
            } else {
                self.make_month(day).await
            };
            if let Err(error) = moved {
                tracing::warn!(%day, %error, "it does not move yet; totals count it where it is");
            }
        }
        Ok(())
    }
}
