//! Calls of the REST API with an Idempotency-Key: each key of a token is carried out once on a route, and then answered from here.
//!
//! The row is there before the call is carried out, and the primary key decides between racing ones. Who was not heard of for
//! [`LOST_AFTER`] is taken for dead and another attempt takes the row over; what the dead one has made by then it has named there, in
//! the transaction that made it.

use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::{id::TokenId, idempotency::Key};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

/// How long a call may take before another attempt is let in.
const LOST_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Where a key counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSlot {
    pub token: TokenId,
    /// The path as the API's description has it.
    pub route: String,
    pub key: Key,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiRequest {
    /// The call may be carried out under this attempt, and has to be ended. `made` is what an earlier attempt has made that did not
    /// come to answer.
    Fresh { attempt: Uuid, made: Option<Uuid> },
    /// Another one is being carried out.
    InFlight,
    /// An earlier call that was not the same.
    Mismatch,
    /// An earlier call, whose answer this is.
    Answered { status: u16, body: Vec<u8> },
}

impl Store {
    /// Takes the key for a call if it is free, or tells what it holds.
    pub async fn begin_api_request(
        &self,
        slot: &ApiSlot,
        fingerprint: [u8; 32],
        now: Timestamp,
    ) -> Result<ApiRequest, StoreError> {
        let attempt = Uuid::now_v7();
        // The update waits for whoever holds the row, so that what a slow one has just made is seen.
        let row = sqlx::query(
            "insert into api_requests as r (token_id, route, key, attempt, fingerprint, began_at, until)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (token_id, route, key) do update set attempt = excluded.attempt, began_at = excluded.began_at,
                 until = excluded.until, fingerprint = excluded.fingerprint, status = null, body = null,
                 made_id = case when r.status is null then r.made_id end
             where r.until <= excluded.began_at and (r.status is not null or r.fingerprint = excluded.fingerprint)
             returning made_id",
        )
        .bind(slot.token.0)
        .bind(&slot.route)
        .bind(slot.key.as_str())
        .bind(attempt)
        .bind(fingerprint.as_slice())
        .bind(Ts(now))
        .bind(Ts(now + LOST_AFTER))
        .fetch_optional(self.pool())
        .await?;
        if let Some(row) = row {
            return Ok(ApiRequest::Fresh { attempt, made: row.try_get("made_id")? });
        }
        let held = sqlx::query(
            "select fingerprint, status, body from api_requests where token_id = $1 and route = $2 and key = $3",
        )
        .bind(slot.token.0)
        .bind(&slot.route)
        .bind(slot.key.as_str())
        .fetch_optional(self.pool())
        .await?;
        // Released in between: whoever asks again takes it.
        let Some(held) = held else { return Ok(ApiRequest::InFlight) };
        if held.hash("fingerprint")? != fingerprint {
            return Ok(ApiRequest::Mismatch);
        }
        let status: Option<i16> = held.try_get("status")?;
        Ok(match status.map(u16::try_from) {
            Some(Ok(status)) => ApiRequest::Answered { status, body: held.try_get("body")? },
            _ => ApiRequest::InFlight,
        })
    }

    /// The call is still being carried out: nobody else is let in for as long again.
    pub async fn hold_api_request(&self, attempt: Uuid, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update api_requests set until = $2 where attempt = $1 and status is null")
            .bind(attempt)
            .bind(Ts(now + LOST_AFTER))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Keeps the answer, unless another attempt has taken the key over.
    pub async fn answer_api_request(
        &self,
        attempt: Uuid,
        (status, body): (u16, &[u8]),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("update api_requests set status = $2, body = $3, until = $4 where attempt = $1 and status is null")
            .bind(attempt)
            .bind(i16::try_from(status).unwrap_or(i16::MAX))
            .bind(body)
            .bind(Ts(now + KEPT))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Frees the key of a call that was refused. One that has made something stays taken.
    pub async fn release_api_request(&self, attempt: Uuid) -> Result<(), StoreError> {
        sqlx::query("delete from api_requests where attempt = $1 and status is null and made_id is null")
            .bind(attempt)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets keys that were kept long enough. Those of lost calls are kept as long: a retry may still come.
    pub async fn forget_api_requests(&self, now: Timestamp) -> Result<u64, StoreError> {
        let gone = sqlx::query("delete from api_requests where until <= $1 and (status is not null or until <= $2)")
            .bind(Ts(now))
            .bind(Ts(now - KEPT))
            .execute(self.pool())
            .await?;
        Ok(gone.rows_affected())
    }
}

/// Names what the attempt makes, in the transaction that makes it.
///
/// # Errors
/// Another attempt has taken the key over: nothing may be made under this one any more.
pub(crate) async fn made(tx: &mut Transaction<'static, Postgres>, attempt: Uuid, what: Uuid) -> Result<(), StoreError> {
    let named = sqlx::query("update api_requests set made_id = $2 where attempt = $1 and made_id is null")
        .bind(attempt)
        .bind(what)
        .execute(&mut **tx)
        .await?;
    match named.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::conflict("", "This call took too long, and was begun again under its Idempotency-Key")),
    }
}

#[cfg(test)]
mod tests;
