//! The signed marks of usage logs: kept as long as events are, so that nobody changes a log and its marks together unseen.

use super::signed;
use crate::{Store, StoreError, pool::in_time, row::ReadRow as _, time::Ts};
use jiff::Timestamp;
use sqlx::Row as _;

/// A mark over the records of a lane from `first` to before `past`. What is in it is known to the log only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSeal {
    pub first: u64,
    pub past: u64,
    pub sealed_at: Timestamp,
    pub entry: Vec<u8>,
}

impl Store {
    /// The number behind the last record of the lane that is sealed here.
    pub async fn sealed_past(&self, node: &str, lane: u16) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "select coalesce(max(past_sequence), 0) as past from spool_seals where node = $1 and lane = $2",
        )
        .bind(node)
        .bind(i32::from(lane))
        .fetch_one(self.pool());
        Ok(in_time(row).await?.count("past")?)
    }

    /// Keeps the seals. One that is here already stays as it is.
    pub async fn keep_seals(&self, node: &str, lane: u16, seals: &[StoredSeal]) -> Result<(), StoreError> {
        let kept = sqlx::query(
            "insert into spool_seals (node, lane, first_sequence, past_sequence, sealed_at, entry)
             select $1, $2, * from unnest($3::bigint[], $4::bigint[], $5::timestamptz[], $6::bytea[])
             on conflict do nothing",
        )
        .bind(node)
        .bind(i32::from(lane))
        .bind(seals.iter().map(|seal| signed(seal.first)).collect::<Vec<_>>())
        .bind(seals.iter().map(|seal| signed(seal.past)).collect::<Vec<_>>())
        .bind(seals.iter().map(|seal| Ts(seal.sealed_at)).collect::<Vec<_>>())
        .bind(seals.iter().map(|seal| seal.entry.as_slice()).collect::<Vec<_>>())
        .execute(self.pool());
        in_time(kept).await?;
        Ok(())
    }

    /// The next seals of a lane behind that record, in order, at most so many.
    pub async fn seals(&self, node: &str, lane: u16, behind: u64, most: u16) -> Result<Vec<StoredSeal>, StoreError> {
        let rows = sqlx::query(
            "select first_sequence, past_sequence, sealed_at, entry from spool_seals
             where node = $1 and lane = $2 and past_sequence > $3 order by past_sequence limit $4",
        )
        .bind(node)
        .bind(i32::from(lane))
        .bind(signed(behind))
        .bind(i64::from(most))
        .fetch_all(self.pool())
        .await?;
        let seal = |row: &sqlx::postgres::PgRow| {
            Ok(StoredSeal {
                first: row.count("first_sequence")?,
                past: row.count("past_sequence")?,
                sealed_at: row.at("sealed_at")?,
                entry: row.try_get("entry")?,
            })
        };
        Ok(rows.iter().map(seal).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Every lane of every node that has seals here.
    pub async fn sealed_lanes(&self) -> Result<Vec<(String, u16)>, StoreError> {
        let rows = sqlx::query("select distinct node, lane from spool_seals order by node, lane")
            .fetch_all(self.pool())
            .await?;
        let lane = |row: &sqlx::postgres::PgRow| {
            let lane: i32 = row.try_get("lane")?;
            let lane = u16::try_from(lane).map_err(|error| crate::row::unreadable("lane", error))?;
            Ok((row.try_get("node")?, lane))
        };
        Ok(rows.iter().map(lane).collect::<Result<_, sqlx::Error>>()?)
    }
}
