//! Webhook events: stored once by Stripe's id before they are looked at, applied later.

use crate::{Store, StoreError, Ts};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};

/// An event that waits to be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct StripeEvent {
    /// As `evt_…`.
    pub id: String,
    /// As `invoice.paid`.
    pub kind: String,
    pub payload: Value,
}

impl Store {
    /// Keeps an event; `false` where it was there already.
    pub async fn keep_stripe_event(
        &self,
        id: &str,
        kind: &str,
        payload: &Value,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into stripe_events (id, type, payload, received_at) values ($1, $2, $3, $4) on conflict (id) do nothing",
        )
        .bind(id)
        .bind(kind)
        .bind(Json(payload))
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Events that are not applied, oldest first.
    pub async fn pending_stripe_events(&self, at_most: u32) -> Result<Vec<StripeEvent>, StoreError> {
        let rows = sqlx::query(
            "select id, type, payload from stripe_events where applied_at is null order by received_at, id limit $1",
        )
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        let event = |row: PgRow| {
            Ok(StripeEvent {
                id: row.try_get("id")?,
                kind: row.try_get("type")?,
                payload: row.try_get::<Json<Value>, _>("payload")?.0,
            })
        };
        rows.into_iter().map(event).collect()
    }

    /// Notes that an event is dealt with; `error` says why nothing came of it.
    pub async fn finish_stripe_event(&self, id: &str, error: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update stripe_events set applied_at = $2, error = $3 where id = $1")
            .bind(id)
            .bind(Ts(now))
            .bind(error)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}
