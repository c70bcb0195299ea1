//! What an operator sees of requests whose outcome is unknown, and does about them once the upstream was asked.

use super::reason;
use crate::{
    Actor, Page, Store, StoreError,
    audit::{self, Entry},
    row::ReadRow as _,
};
use domain::{
    id::{AttemptId, PartnerId},
    idempotency::Unknown,
    key_text::Environment,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow};
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

/// A request with an Idempotency-Key that was sent on, and nobody knows whether it was carried out.
#[derive(Debug, Clone)]
pub struct UnknownRequest {
    pub attempt: AttemptId,
    pub partner: PartnerId,
    pub partner_name: String,
    pub environment: Environment,
    /// Its code; empty where the product is gone.
    pub product: String,
    /// Its code; empty where the operation is gone.
    pub operation: String,
    pub method: String,
    /// As the product's document has it.
    pub path: String,
    pub key: String,
    /// The `X-Request-Id` that the upstream was sent, too.
    pub request_id: String,
    /// The gateway that sent it on.
    pub node: String,
    pub reason: Unknown,
    pub began_at: Timestamp,
    /// When the key is forgotten if nobody resolves it.
    pub until: Timestamp,
}

impl Store {
    /// Requests of all partners, or of one, that an operator should look at, oldest first; `after` is the previous page's
    /// `next`.
    pub async fn all_unknown_requests(
        &self,
        partner: Option<PartnerId>,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<UnknownRequest>, StoreError> {
        let after: Option<AttemptId> = match after {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| StoreError::invalid("after", "This is not a page of this list"))?)
            }
        };
        // An attempt's identifier begins with its time, so this is their order.
        let rows = sqlx::query(
            "select k.*, coalesce(p.name, '') as partner_name, coalesce(pr.code, '') as product,
                 coalesce(o.code, '') as operation, coalesce(o.method, '') as method, coalesce(o.path, '') as path
             from idempotency_keys k
             left join partners p on p.id = k.partner_id
             left join products pr on pr.id = k.product_id
             left join operations o on o.id = k.operation_id
             where k.state = 'unknown' and k.reason in ('node_ended', 'overdue', 'no_answer')
                 and ($1::uuid is null or k.partner_id = $1) and ($2::uuid is null or k.attempt > $2)
             order by k.attempt limit $3",
        )
        .bind(partner.map(|partner| partner.0))
        .bind(after.map(|attempt| attempt.0))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let requests = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(requests, size, |request| request.attempt.to_string()))
    }

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

fn read(row: &PgRow) -> Result<UnknownRequest, sqlx::Error> {
    Ok(UnknownRequest {
        attempt: AttemptId(row.try_get("attempt")?),
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        environment: row.parsed("environment")?,
        product: row.try_get("product")?,
        operation: row.try_get("operation")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
        key: row.try_get("key")?,
        request_id: row.try_get("request_id")?,
        node: row.try_get("node")?,
        reason: reason(row)?,
        began_at: row.at("began_at")?,
        until: row.at("until")?,
    })
}
