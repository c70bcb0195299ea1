//! Deliveries as operators see them, and sending one again.

use super::{Document, DocumentKind};
use crate::{
    Actor, Store, StoreError, Ts,
    audit::{self, Entry},
    page::{Page, Place},
    row::ReadRow as _,
};
use domain::id::PartnerId;
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow};
use std::str::FromStr;
use uuid::Uuid;

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    /// It failed for too long.
    Dead,
}

/// A document and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDelivery {
    pub document: Document,
    pub kind: DocumentKind,
    pub partner: PartnerId,
    pub partner_name: String,
    /// As on paper; of a void that of its invoice.
    pub code: String,
    pub state: DeliveryState,
    pub enlisted_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
    pub failures: u32,
    pub next_try_at: Timestamp,
    /// What went wrong last.
    pub message: String,
    /// How often somebody had it sent again.
    pub replays: u32,
    /// It waits until its invoice has arrived.
    pub waits_for_invoice: bool,
}

/// How deliveries stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveriesStanding {
    pub waiting: u64,
    /// Since when the oldest of them waits.
    pub waiting_since: Option<Timestamp>,
    pub dead: u64,
}

impl DeliveryState {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// As the table, addresses and the REST API have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for DeliveryState {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|state| state.code() == text);
        known.ok_or_else(|| StoreError::invalid("state", "Choose waiting, delivered or dead"))
    }
}

impl Store {
    /// Documents that were or are to be sent, newest first, all or those of one state.
    pub async fn all_partners_deliveries(
        &self,
        state: Option<DeliveryState>,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<ListedDelivery>, StoreError> {
        let after = after.map(Place::read).transpose()?;
        let rows = sqlx::query(
            "select d.id, d.kind, d.partner_id, d.state, d.enlisted_at, d.delivered_at, d.failures, d.next_try_at, d.message, d.replays,
                 p.name as partner_name, i.number as invoice_number, c.number as note_number,
                 d.kind <> 'invoice' and exists (
                     select from document_deliveries o
                     where o.invoice_id = d.invoice_id and o.kind = 'invoice' and o.state <> 'delivered') as waits_for_invoice
             from document_deliveries d join partners p on p.id = d.partner_id
             join invoices i on i.partner_id = d.partner_id and i.id = d.invoice_id
             left join credit_notes c on c.partner_id = d.partner_id and c.id = d.id
             where ($1::text is null or d.state = $1) and ($2::timestamptz is null or (d.enlisted_at, d.id) < ($2, $3::uuid))
             order by d.enlisted_at desc, d.id desc limit $4",
        )
        .bind(state.map(DeliveryState::code))
        .bind(after.map(|place| Ts(place.at)))
        .bind(after.map(|place| place.id))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, size, |one| Place { at: one.enlisted_at, id: one.document.uuid() }.text()))
    }

    /// How many wait and were given up.
    pub async fn deliveries_standing(&self) -> Result<DeliveriesStanding, StoreError> {
        let row = sqlx::query(
            "select count(*) filter (where state = 'waiting') as waiting, count(*) filter (where state = 'dead') as dead,
                 min(enlisted_at) filter (where state = 'waiting') as waiting_since
             from document_deliveries where state in ('waiting', 'dead')",
        )
        .fetch_one(self.pool())
        .await?;
        Ok(DeliveriesStanding {
            waiting: row.count("waiting")?,
            waiting_since: row.at_if_any("waiting_since")?,
            dead: row.count("dead")?,
        })
    }

    /// Has a document sent again, with the same identifier and to the letter, whatever became of it. One that waits is due at once.
    pub async fn replay_delivery(&self, document: Document, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update document_deliveries d set state = 'waiting', next_try_at = $2, failures = 0, failing_since = null, message = '',
                 replays = d.replays + 1
             from (select id, state, partner_id, message from document_deliveries where id = $1 for update) before
             where d.id = before.id returning before.state, before.partner_id, before.message",
        )
        .bind(document.uuid())
        .bind(Ts(now))
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NotFound)?;
        let (state, message): (String, String) = (row.try_get("state")?, row.try_get("message")?);
        let partner = PartnerId(row.try_get::<Uuid, _>("partner_id")?);
        let subject = document.to_string();
        let entry = Entry::new(actor, partner, "delivery.replay", &subject)
            .before(json!({ "state": state, "message": message }));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn read(row: &PgRow) -> Result<ListedDelivery, sqlx::Error> {
    let kind: DocumentKind = row.try_get::<&str, _>("kind")?.parse()?;
    let number = |column: &str| row.try_get::<Option<i64>, _>(column);
    let code = match (kind, number("note_number")?, number("invoice_number")?) {
        (DocumentKind::CreditNote, Some(number), _) => format!("CN-{number:06}"),
        (_, _, number) => format!("TP-{:06}", number.unwrap_or_default()),
    };
    let state: &str = row.try_get("state")?;
    Ok(ListedDelivery {
        document: Document::of(kind, row.try_get("id")?),
        kind,
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        code,
        state: state.parse().map_err(|error: StoreError| crate::row::unreadable("state", error))?,
        enlisted_at: row.at("enlisted_at")?,
        delivered_at: row.at_if_any("delivered_at")?,
        failures: u32::try_from(row.try_get::<i32, _>("failures")?).unwrap_or(0),
        next_try_at: row.at("next_try_at")?,
        message: row.try_get("message")?,
        replays: u32::try_from(row.try_get::<i32, _>("replays")?).unwrap_or(0),
        waits_for_invoice: row.try_get("waits_for_invoice")?,
    })
}
