//! What an operator does about a key whose outcome is unknown, once the upstream was asked.

use super::reason;
use crate::{
    Actor, Store, StoreError,
    audit::{self, Entry},
    row::ReadRow as _,
};
use domain::{
    id::{OperationId, PartnerId, ProductId},
    idempotency::Unknown,
    key_text::Environment,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

/// What the upstream said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It did not do it: the key is free, and the same request may be sent again.
    Release,
    /// It did it: the key keeps refusing, and says so.
    CarriedOut,
}

/// A key whose outcome nobody knows.
#[derive(Debug, Clone)]
pub struct UnknownKey {
    pub partner: PartnerId,
    pub attempt: Uuid,
    pub environment: Environment,
    pub product: ProductId,
    pub operation: OperationId,
    pub key: String,
    /// Of the request that was sent on; the upstream saw it too.
    pub request_id: String,
    pub node: String,
    pub reason: Unknown,
    pub began_at: Timestamp,
    /// When the key is forgotten.
    pub until: Timestamp,
}

impl Store {
    /// Keys of all partners that an operator should look at, oldest first, at most that many.
    pub async fn all_unknown_idempotency_keys(&self, most: u32) -> Result<Vec<UnknownKey>, StoreError> {
        let rows = sqlx::query(
            "select * from idempotency_keys where state = 'unknown' and reason in ('node_ended', 'overdue', 'no_answer')
             order by began_at limit $1",
        )
        .bind(i64::from(most))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(UnknownKey {
                partner: PartnerId(row.try_get("partner_id")?),
                attempt: row.try_get("attempt")?,
                environment: row.parsed("environment")?,
                product: ProductId(row.try_get("product_id")?),
                operation: OperationId(row.try_get("operation_id")?),
                key: row.try_get("key")?,
                request_id: row.try_get("request_id")?,
                node: row.try_get("node")?,
                reason: reason(row)?,
                began_at: row.at("began_at")?,
                until: row.at("until")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Resolves the key of an attempt that is unknown.
    pub async fn resolve_attempt(
        &self,
        attempt: Uuid,
        resolution: Resolution,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "select partner_id, key, request_id, reason from idempotency_keys
             where attempt = $1 and state = 'unknown' for update",
        )
        .bind(attempt)
        .fetch_one(&mut *tx)
        .await?;
        let (partner, before): (Uuid, &str) = (row.try_get("partner_id")?, row.try_get("reason")?);
        let statement = match resolution {
            Resolution::Release => "delete from idempotency_keys where partner_id = $1 and attempt = $2",
            Resolution::CarriedOut => {
                "update idempotency_keys set reason = 'carried_out' where partner_id = $1 and attempt = $2"
            }
        };
        sqlx::query(statement).bind(partner).bind(attempt).execute(&mut *tx).await?;
        let (action, key) = match resolution {
            Resolution::Release => ("idempotency_key.release", row.try_get::<String, _>("key")?),
            Resolution::CarriedOut => ("idempotency_key.carried_out", row.try_get("key")?),
        };
        let subject = attempt.to_string();
        let entry = Entry::new(actor, PartnerId(partner), action, &subject)
            .before(json!({"reason": before}))
            .after(json!({"key": key, "request_id": row.try_get::<String, _>("request_id")?}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
