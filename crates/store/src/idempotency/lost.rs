//! Attempts that nobody will end any more, and keys whose time is over.

use super::{KEEP_UNKNOWN, note};
use crate::{Store, StoreError, Ts};
use domain::{id::PartnerId, idempotency::Unknown};
use jiff::Timestamp;
use sqlx::{PgConnection, postgres::PgRow};
use uuid::Uuid;

/// Rows that one statement touches at most, so that none holds its locks for long.
const BATCH: i64 = 1_000;

/// What an overhead of columns and indexes is taken for, in bytes of each key.
const ROW_BYTES: i64 = 512;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Attempts of any node that took longer than they may, now unknown.
    pub lost: u64,
    /// Keys whose time was over.
    pub forgotten: u64,
}

impl Store {
    /// Marks what earlier lives of this node left in flight as unknown. Returns how many there were.
    pub async fn lose_attempts_of_earlier_lives(
        &self,
        node: &str,
        life: Uuid,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut lost = 0;
        loop {
            let mut tx = self.begin().await?;
            let rows = sqlx::query(
                "update idempotency_keys set state = 'unknown', reason = 'node_ended', until = $3 where attempt in (
                     select attempt from idempotency_keys
                     where state = 'in_flight' and node = $1 and life <> $2 limit $4 for update skip locked)
                 returning partner_id, attempt, key, request_id, node",
            )
            .bind(node)
            .bind(life)
            .bind(Ts(now + KEEP_UNKNOWN))
            .bind(BATCH)
            .fetch_all(&mut *tx)
            .await?;
            note_all(&mut tx, &rows, Unknown::NodeEnded, now).await?;
            tx.commit().await?;
            lost += rows.len() as u64;
            if rows.is_empty() {
                return Ok(lost);
            }
        }
    }

    /// Marks overdue attempts of all partners as unknown and forgets keys whose time is over.
    pub async fn sweep_all_idempotency_keys(&self, now: Timestamp) -> Result<Forgotten, StoreError> {
        let mut swept = Forgotten::default();
        loop {
            let mut tx = self.begin().await?;
            let rows = sqlx::query(
                "update idempotency_keys set state = 'unknown', reason = 'overdue', until = $2 where attempt in (
                     select attempt from idempotency_keys
                     where until <= $1 and state = 'in_flight' limit $3 for update skip locked)
                 returning partner_id, attempt, key, request_id, node",
            )
            .bind(Ts(now))
            .bind(Ts(now + KEEP_UNKNOWN))
            .bind(BATCH)
            .fetch_all(&mut *tx)
            .await?;
            note_all(&mut tx, &rows, Unknown::Overdue, now).await?;
            tx.commit().await?;
            swept.lost += rows.len() as u64;
            if rows.is_empty() {
                break;
            }
        }
        loop {
            let done = sqlx::query(
                "delete from idempotency_keys where attempt in (
                     select attempt from idempotency_keys
                     where until <= $1 and state <> 'in_flight' limit $2 for update skip locked)",
            )
            .bind(Ts(now))
            .bind(BATCH)
            .execute(self.pool())
            .await?;
            swept.forgotten += done.rows_affected();
            if done.rows_affected() == 0 {
                return Ok(swept);
            }
        }
    }

    /// Marks what a node that never comes back left in flight as unknown.
    pub async fn lose_attempts_of_node(&self, node: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.lose_attempts_of_earlier_lives(node, Uuid::nil(), now).await
    }

    /// Partners whose kept answers take more than that many bytes.
    pub async fn partners_with_more_kept_than(&self, bytes: i64) -> Result<Vec<PartnerId>, StoreError> {
        let ids = sqlx::query_scalar(
            "select partner_id from idempotency_keys group by partner_id
             having sum($1 + coalesce(octet_length(sealed_answer), 0)) > $2",
        )
        .bind(ROW_BYTES)
        .bind(bytes)
        .fetch_all(self.pool())
        .await?;
        Ok(ids.into_iter().map(PartnerId).collect())
    }
}

async fn note_all(tx: &mut PgConnection, rows: &[PgRow], reason: Unknown, now: Timestamp) -> Result<(), StoreError> {
    for row in rows {
        note(tx, row, reason, now).await?;
    }
    Ok(())
}
