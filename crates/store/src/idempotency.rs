//! What became of requests with an Idempotency-Key.
//!
//! A row is there before the upstream hears of the request, and only who inserted it may send the request on: the primary
//! key decides between racing nodes. An attempt ends by its answer, by its release (nothing was sent), or as unknown.

mod lost;
mod resolve;
mod unknown;

pub use lost::Forgotten;
pub use resolve::Resolution;
pub use unknown::{UnknownFilter, UnknownRequest, UnknownSources};

use crate::{Store, StoreError, Ts, audit, audit::Entry, row::ReadRow as _, row::unreadable};
use domain::{
    id::{AttemptId, PartnerId},
    idempotency::{Slot, Unknown},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// How long a key whose outcome nobody knows keeps answering so, unless an operator resolves it.
pub(crate) const KEEP_UNKNOWN: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A request that wants to be carried out under a key.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Chosen by the caller, new for each.
    pub id: Uuid,
    pub fingerprint: [u8; 32],
    pub request_id: String,
    pub node: String,
    /// Of the node: another one after each start.
    pub life: Uuid,
    /// When it counts as lost.
    pub lost_at: Timestamp,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing until now: the attempt may be carried out, and has to be ended.
    Fresh,
    /// Another attempt is being carried out.
    InFlight,
    /// An earlier request with another fingerprint.
    Mismatch,
    /// An earlier request, whose answer this is.
    Answered { sealed_answer: Vec<u8> },
    /// An earlier request whose outcome nobody can tell.
    Unknown(Unknown),
}

impl Store {
    /// Takes the key for the attempt if it is free, or tells what it holds.
    pub async fn begin_attempt(
        &self,
        partner: PartnerId,
        slot: &Slot,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        // Each statement is a transaction of its own: in a shared one the second could not see what made the first fail.
        for _ in 0..3 {
            let taken = sqlx::query(
                "insert into idempotency_keys (partner_id, environment, product_id, operation_id, key, attempt,
                     fingerprint, request_id, node, life, state, began_at, until)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'in_flight', $11, $12) on conflict do nothing",
            )
            .bind(partner.0)
            .bind(slot.environment.code())
            .bind(slot.product.0)
            .bind(slot.operation.0)
            .bind(slot.key.as_str())
            .bind(attempt.id)
            .bind(attempt.fingerprint)
            .bind(&attempt.request_id)
            .bind(&attempt.node)
            .bind(attempt.life)
            .bind(Ts(now))
            .bind(Ts(attempt.lost_at))
            .execute(self.pool())
            .await?;
            if taken.rows_affected() == 1 {
                return Ok(Begun::Fresh);
            }
            if let Some(held) = self.held(partner, slot, &attempt.fingerprint, now).await? {
                return Ok(held);
            }
            // Its time is over and the sweep was not here yet, or it has just been released.
            self.forget(partner, slot, now).await?;
        }
        Ok(Begun::InFlight)
    }

    async fn forget(&self, partner: PartnerId, slot: &Slot, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "delete from idempotency_keys
             where partner_id = $1 and environment = $2 and product_id = $3 and operation_id = $4 and key = $5
               and state <> 'in_flight' and until <= $6",
        )
        .bind(partner.0)
        .bind(slot.environment.code())
        .bind(slot.product.0)
        .bind(slot.operation.0)
        .bind(slot.key.as_str())
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// What the key holds, for a caller who may not take it; `None` where it is free.
    pub async fn held(
        &self,
        partner: PartnerId,
        slot: &Slot,
        fingerprint: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Begun>, StoreError> {
        let row = sqlx::query(
            "select fingerprint, state, reason, sealed_answer, until from idempotency_keys
             where partner_id = $1 and environment = $2 and product_id = $3 and operation_id = $4 and key = $5
               and (state = 'in_flight' or until > $6)",
        )
        .bind(partner.0)
        .bind(slot.environment.code())
        .bind(slot.product.0)
        .bind(slot.operation.0)
        .bind(slot.key.as_str())
        .bind(Ts(now))
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| Ok(read(&row, fingerprint, now)?)).transpose()
    }

    /// Keeps the answer of an attempt until then. An attempt that was taken for lost meanwhile is answered after all; `false`
    /// where an operator resolved it.
    pub async fn answer_attempt(
        &self,
        partner: PartnerId,
        attempt: Uuid,
        sealed_answer: &[u8],
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update idempotency_keys set state = 'answered', reason = null, sealed_answer = $3, until = $4
             where partner_id = $1 and attempt = $2
               and (state = 'in_flight' or reason in ('node_ended', 'overdue', 'no_answer'))",
        )
        .bind(partner.0)
        .bind(attempt)
        .bind(sealed_answer)
        .bind(Ts(until))
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Frees the key of an attempt of which the upstream was not sent anything; `false` where it had none.
    pub async fn release_attempt(&self, partner: PartnerId, attempt: Uuid) -> Result<bool, StoreError> {
        let done =
            sqlx::query("delete from idempotency_keys where partner_id = $1 and attempt = $2 and state = 'in_flight'")
                .bind(partner.0)
                .bind(attempt)
                .execute(self.pool())
                .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends an attempt whose answer cannot be given again. Where nobody knows whether it was carried out, the key keeps
    /// saying so for a month; else it is forgotten at `until`. The audit log has what went wrong.
    pub async fn give_up_attempt(
        &self,
        partner: PartnerId,
        attempt: Uuid,
        reason: Unknown,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let until = if reason.needs_a_look() { now + KEEP_UNKNOWN } else { until };
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update idempotency_keys set state = 'unknown', reason = $3, until = $4
             where partner_id = $1 and attempt = $2 and state = 'in_flight'
             returning partner_id, attempt, key, request_id, node",
        )
        .bind(partner.0)
        .bind(attempt)
        .bind(reason.code())
        .bind(Ts(until))
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = row.filter(|_| reason.is_noted()) {
            note(&mut tx, &row, reason, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn read(row: &PgRow, fingerprint: &[u8; 32], now: Timestamp) -> Result<Begun, sqlx::Error> {
    if row.hash("fingerprint")? != *fingerprint {
        return Ok(Begun::Mismatch);
    }
    match row.try_get("state")? {
        "in_flight" if row.at("until")? > now => Ok(Begun::InFlight),
        // The next sweep writes it down.
        "in_flight" => Ok(Begun::Unknown(Unknown::Overdue)),
        "answered" => Ok(Begun::Answered { sealed_answer: row.try_get("sealed_answer")? }),
        _ => Ok(Begun::Unknown(reason(row)?)),
    }
}

fn reason(row: &PgRow) -> Result<Unknown, sqlx::Error> {
    let code: &str = row.try_get("reason")?;
    Unknown::from_code(code).ok_or_else(|| unreadable("reason", format!("there is no reason {code}")))
}

/// The audit log's entry about a key that became unknown, from its row.
async fn note(tx: &mut PgConnection, row: &PgRow, reason: Unknown, now: Timestamp) -> Result<(), StoreError> {
    let subject = AttemptId(row.try_get("attempt")?).to_string();
    let partner = PartnerId(row.try_get("partner_id")?);
    let about = json!({
        "reason": reason.code(),
        "key": row.try_get::<String, _>("key")?,
        "request_id": row.try_get::<String, _>("request_id")?,
        "node": row.try_get::<String, _>("node")?,
    });
    let entry = Entry::new(audit::Actor::System, partner, "idempotency_key.unknown", &subject).after(about);
    audit::append(tx, entry, now).await
}

#[cfg(test)]
mod tests;
