//! What was told otherwise than before, and what was told too late, as operators and their partners see it.

use crate::{
    Actor, Page, Store, StoreError,
    audit::{self, Entry},
    page::Place,
    reconcile::listed::reason,
    row::ReadRow as _,
    time::Ts,
};
use domain::{
    id::{ConflictId, CorrectionId, InvoiceId, PartnerId},
    period::Period,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// An event that contradicts the one that was told first, which counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideConflict {
    pub conflict: ConflictId,
    pub partner: PartnerId,
    pub partner_name: String,
    pub by_partner: bool,
    pub source: String,
    pub id: String,
    /// What the second one said.
    pub payload: Value,
    pub received_at: Timestamp,
    /// What is kept of the first one: when it happened, came, and its units.
    pub first_at: Timestamp,
    pub first_received_at: Timestamp,
    /// `None` where it is no longer kept.
    pub first_units: Option<u64>,
    /// When somebody looked at it, and what they wrote down.
    pub resolved_at: Option<Timestamp>,
    pub note: String,
}

/// Which conflicts; an empty filter shows all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConflictFilter {
    pub partner: Option<PartnerId>,
    pub resolved: Option<bool>,
}

/// Units that came after their period was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub partner: PartnerId,
    pub partner_name: String,
    /// Its number among the partner's.
    pub sequence: i64,
    pub source: String,
    pub id: String,
    /// The closed stretch that it belongs to.
    pub period: Period,
    pub at: Timestamp,
    /// Below zero where a correction took some back.
    pub units: i64,
    /// The correction that made it; `None` for what came late.
    pub correction: Option<CorrectionId>,
    pub received_at: Timestamp,
    /// The invoice that has it; `None` until there is one.
    pub invoice: Option<InvoiceId>,
}

/// Which adjustments; an empty filter shows all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdjustmentFilter {
    pub partner: Option<PartnerId>,
    pub billed: Option<bool>,
}

macro_rules! conflicts {
    ($rest:literal) => {
        concat!(
            "select c.*, p.name as partner_name, f.at as first_at, f.received_at as first_received_at, r.resolved_at,
                 coalesce(r.note, '') as note,
                 case when f.late then (
                     select a.units from usage_adjustments a where a.partner_id = c.partner_id and a.sequence = f.sequence)
                 else (
                     select e.units from usage_events e where e.partner_id = c.partner_id and e.at = f.at and e.node = 'outside'
                         and e.lane = 0 and e.sequence = f.sequence limit 1)
                 end as first_units
             from (
                 select o.*, md5(concat_ws('|', o.partner_id, o.by_partner, o.source, o.id, encode(o.payload_hash, 'hex')))::uuid
                     as conflict
                 from outside_conflicts o
             ) as c
             join partners p on p.id = c.partner_id
             join outside_events f on f.partner_id = c.partner_id and f.by_partner = c.by_partner and f.source = c.source
                 and f.id = c.id
             left join outside_conflicts_resolved r on r.partner_id = c.partner_id and r.by_partner = c.by_partner
                 and r.source = c.source and r.id = c.id and r.payload_hash = c.payload_hash ",
            $rest
        )
    };
}

impl Store {
    /// Conflicts of one partner or of all, the newest first; `after` is the previous page's `next`.
    pub async fn outside_conflicts_of_any_partner(
        &self,
        filter: &ConflictFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<OutsideConflict>, StoreError> {
        let after = after.map(Place::read).transpose()?;
        let rows = sqlx::query(conflicts!(
            "where ($1::uuid is null or c.partner_id = $1) and ($2::boolean is null or (r.resolved_at is not null) = $2)
                 and ($3::timestamptz is null or (c.received_at, c.conflict) < ($3, $4::uuid))
             order by c.received_at desc, c.conflict desc limit $5"
        ))
        .bind(filter.partner.map(|id| id.0))
        .bind(filter.resolved)
        .bind(after.map(|place| Ts(place.at)))
        .bind(after.map(|place| place.id))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let found = rows.iter().map(conflict).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, size, |one| Place { at: one.received_at, id: one.conflict.0 }.text()))
    }

    /// One of them, whosever it is.
    pub async fn outside_conflict_of_any_partner(&self, id: ConflictId) -> Result<OutsideConflict, StoreError> {
        let row = sqlx::query(conflicts!("where c.conflict = $1")).bind(id.0).fetch_one(self.pool()).await?;
        Ok(conflict(&row)?)
    }

    /// How many conflicts of all partners nobody has looked at.
    pub async fn all_open_outside_conflicts(&self) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "select (select count(*) from outside_conflicts) - (select count(*) from outside_conflicts_resolved) as open",
        )
        .fetch_one(self.pool())
        .await?;
        Ok(row.count("open")?)
    }

    /// Writes down that somebody has looked, and what they found. The first event goes on to count. `NotFound` where there is no
    /// such conflict, or it was resolved before.
    pub async fn resolve_outside_conflict(
        &self,
        id: ConflictId,
        note: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = reason(note)?;
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "insert into outside_conflicts_resolved (partner_id, by_partner, source, id, payload_hash, resolved_at, note)
             select partner_id, by_partner, source, id, payload_hash, $2, $3 from outside_conflicts
             where md5(concat_ws('|', partner_id, by_partner, source, id, encode(payload_hash, 'hex')))::uuid = $1
             on conflict do nothing returning partner_id, source, id",
        )
        .bind(id.0)
        .bind(Ts(now))
        .bind(note)
        .fetch_one(&mut *tx)
        .await?;
        let (partner, source, event): (Uuid, &str, &str) =
            (row.try_get("partner_id")?, row.try_get("source")?, row.try_get("id")?);
        let subject = id.to_string();
        let entry = Entry::new(actor, PartnerId(partner), "usage.resolve_conflict", &subject)
            .after(json!({ "source": source, "id": event, "note": note }));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Adjustments of one partner or of all, the newest first; `after` is the previous page's `next`.
    pub async fn adjustments_of_any_partner(
        &self,
        filter: &AdjustmentFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Adjustment>, StoreError> {
        let after = after.map(adjustment_cursor).transpose()?;
        let rows = sqlx::query(
            "select a.*, p.name as partner_name from usage_adjustments a join partners p on p.id = a.partner_id
             where ($1::uuid is null or a.partner_id = $1) and ($2::boolean is null or (a.invoice_id is not null) = $2)
                 and ($3::timestamptz is null or (a.received_at, a.partner_id, a.sequence) < ($3, $4::uuid, $5::bigint))
             order by a.received_at desc, a.partner_id desc, a.sequence desc limit $6",
        )
        .bind(filter.partner.map(|id| id.0))
        .bind(filter.billed)
        .bind(after.map(|(place, _)| Ts(place.at)))
        .bind(after.map(|(place, _)| place.id))
        .bind(after.map(|(_, sequence)| sequence))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let found = rows.iter().map(adjustment).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, size, |one| {
            format!("{}.{}", Place { at: one.received_at, id: one.partner.0 }.text(), one.sequence)
        }))
    }
}

/// The place of one among its partner's, which may have several of one instant.
fn adjustment_cursor(text: &str) -> Result<(Place, i64), StoreError> {
    let wrong = || StoreError::invalid("after", "This is not a page of this list");
    let (place, sequence) = text.rsplit_once('.').ok_or_else(wrong)?;
    Ok((Place::read(place)?, sequence.parse().map_err(|_| wrong())?))
}

fn conflict(row: &PgRow) -> Result<OutsideConflict, sqlx::Error> {
    let units: Option<i64> = row.try_get("first_units")?;
    Ok(OutsideConflict {
        conflict: ConflictId(row.try_get("conflict")?),
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        by_partner: row.try_get("by_partner")?,
        source: row.try_get("source")?,
        id: row.try_get("id")?,
        payload: row.try_get("payload")?,
        received_at: row.at("received_at")?,
        first_at: row.at("first_at")?,
        first_received_at: row.at("first_received_at")?,
        first_units: units.and_then(|units| u64::try_from(units).ok()),
        resolved_at: row.at_if_any("resolved_at")?,
        note: row.try_get("note")?,
    })
}

fn adjustment(row: &PgRow) -> Result<Adjustment, sqlx::Error> {
    Ok(Adjustment {
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        sequence: row.try_get("sequence")?,
        source: row.try_get("source")?,
        id: row.try_get("id")?,
        period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
        at: row.at("at")?,
        units: row.try_get("units")?,
        correction: row.try_get::<Option<Uuid>, _>("correction_id")?.map(CorrectionId),
        received_at: row.at("received_at")?,
        invoice: row.try_get::<Option<Uuid>, _>("invoice_id")?.map(InvoiceId),
    })
}
