//! What an operator does about a request whose outcome is unknown, once the upstream was asked.

use crate::{
    Actor, Store, StoreError,
    audit::{self, Entry},
};
use domain::id::{AttemptId, PartnerId};
use jiff::Timestamp;
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

/// The longest note, in characters.
const MAX_NOTE: usize = 500;

/// What the upstream said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It did not do it: the key is free, and the same request may be sent again.
    NotCarriedOut,
    /// It did it: the key keeps refusing, and says so.
    CarriedOut,
}

impl Store {
    /// Writes down what the upstream said of a request of any partner, with a note for the audit log. `NotFound` where its
    /// outcome is not unknown (any more).
    pub async fn resolve_unknown_request(
        &self,
        attempt: AttemptId,
        resolution: Resolution,
        note: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if note.chars().count() > MAX_NOTE {
            return Err(StoreError::invalid("note", format!("A note is at most {MAX_NOTE} characters long")));
        }
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "select partner_id, key, request_id, reason from idempotency_keys
             where attempt = $1 and state = 'unknown' and reason in ('node_ended', 'overdue', 'no_answer') for update",
        )
        .bind(attempt.0)
        .fetch_one(&mut *tx)
        .await?;
        let (partner, before): (Uuid, &str) = (row.try_get("partner_id")?, row.try_get("reason")?);
        let (statement, action) = match resolution {
            Resolution::NotCarriedOut => (
                "delete from idempotency_keys where partner_id = $1 and attempt = $2",
                "idempotency_key.not_carried_out",
            ),
            Resolution::CarriedOut => (
                "update idempotency_keys set reason = 'carried_out' where partner_id = $1 and attempt = $2",
                "idempotency_key.carried_out",
            ),
        };
        sqlx::query(statement).bind(partner).bind(attempt.0).execute(&mut *tx).await?;
        let (key, request_id): (&str, &str) = (row.try_get("key")?, row.try_get("request_id")?);
        let subject = attempt.to_string();
        let entry = Entry::new(actor, PartnerId(partner), action, &subject)
            .before(json!({"reason": before}))
            .after(json!({"key": key, "request_id": request_id, "note": note.trim()}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
