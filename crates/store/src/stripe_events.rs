//! Webhook events: stored once by Stripe's id before they are looked at, applied later.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    page::Page,
    row::ReadRow as _,
};
use jiff::Timestamp;
use serde_json::{Value, json};
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

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripeEventState {
    /// It waits to be applied.
    Waiting,
    Applied,
    /// Nothing came of it; its error says why.
    Failed,
}

impl StripeEventState {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Applied, Self::Failed];

    /// As addresses and the REST API have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Failed => "failed",
        }
    }
}

/// An event as operators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedStripeEvent {
    pub event: StripeEvent,
    pub state: StripeEventState,
    pub received_at: Timestamp,
    pub applied_at: Option<Timestamp>,
    /// Why nothing came of it.
    pub error: Option<String>,
    /// How often an operator had it applied again.
    pub replays: u32,
}

impl Store {
    /// Stripe's events, newest first, all or those of one state.
    pub async fn stripe_events(
        &self,
        state: Option<StripeEventState>,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<ListedStripeEvent>, StoreError> {
        let unknown = || StoreError::invalid("after", "This is not a page of this list");
        let place = |text: &str| {
            let (at, id) = text.split_once('.').ok_or_else(unknown)?;
            let at = at.parse().ok().and_then(|at| Timestamp::from_microsecond(at).ok()).ok_or_else(unknown)?;
            Ok::<_, StoreError>((at, id.to_owned()))
        };
        let (at, id) = after.map(place).transpose()?.unzip();
        let rows = sqlx::query(
            "select id, type, payload, received_at, applied_at, error, replays from stripe_events
             where ($1::timestamptz is null or (received_at, id) < ($1, $2))
                 and case $3 when 'waiting' then applied_at is null
                     when 'applied' then applied_at is not null and error is null
                     when 'failed' then error is not null else true end
             order by received_at desc, id desc limit $4",
        )
        .bind(at.map(Ts))
        .bind(id)
        .bind(state.map(StripeEventState::code))
        .bind(Page::<ListedStripeEvent>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let items = rows.iter().map(read_listed).collect::<Result<Vec<_>, _>>()?;
        let cursor = |one: &ListedStripeEvent| format!("{}.{}", one.received_at.as_microsecond(), one.event.id);
        Ok(Page::cut(items, size, cursor))
    }

    /// Has an event applied again, whatever came of it before. One that waits already is left as it is; the audit log tells of both.
    pub async fn replay_stripe_event(&self, id: &str, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update stripe_events s set applied_at = null, error = null, replays = s.replays + 1
             from (select id, type, error from stripe_events where id = $1 for update) before
             where s.id = before.id returning before.type, before.error",
        )
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound)?;
        let (kind, error): (String, Option<String>) = (row.try_get("type")?, row.try_get("error")?);
        let entry = Entry::new(actor, None, "stripe_event.replay", id).before(json!({"type": kind, "error": error}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

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
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
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

fn read(row: &PgRow) -> Result<StripeEvent, sqlx::Error> {
    Ok(StripeEvent {
        id: row.try_get("id")?,
        kind: row.try_get("type")?,
        payload: row.try_get::<Json<Value>, _>("payload")?.0,
    })
}

fn read_listed(row: &PgRow) -> Result<ListedStripeEvent, sqlx::Error> {
    let (applied_at, error): (Option<Timestamp>, Option<String>) =
        (row.at_if_any("applied_at")?, row.try_get("error")?);
    let state = match (applied_at, &error) {
        (None, _) => StripeEventState::Waiting,
        (Some(_), None) => StripeEventState::Applied,
        (Some(_), Some(_)) => StripeEventState::Failed,
    };
    let replays = u32::try_from(row.try_get::<i32, _>("replays")?).unwrap_or(0);
    Ok(ListedStripeEvent { event: read(row)?, state, received_at: row.at("received_at")?, applied_at, error, replays })
}
