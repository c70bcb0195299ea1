//! Corrections as people look at them.

use crate::{Page, Store, StoreError, Ts, row::ReadRow as _, usage::Place};
use domain::{
    correction::{NewCorrection, State},
    id::{CorrectionId, PartnerId},
    period::Period,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

/// A correction, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    pub id: CorrectionId,
    pub partner: PartnerId,
    pub partner_name: String,
    pub new: NewCorrection,
    pub state: State,
    /// What it would do, or did.
    pub dry_run: Value,
    /// Of the dry run.
    pub hash: [u8; 32],
    pub made: Person,
    pub approved: Option<Person>,
    pub applied: Option<Person>,
    /// Who reverted or refused it, and why.
    pub ended: Option<(Person, String)>,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// As in the audit log: `operator`, `token` or `system`.
    pub kind: String,
    pub id: Option<Uuid>,
    /// The operator's e-mail address, or the token's name.
    pub name: String,
    pub at: Timestamp,
}

/// What one correction did to one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionLine {
    pub correction: CorrectionId,
    pub reason: String,
    pub state: State,
    pub calls: i64,
    pub units: i64,
    pub applied_at: Option<Timestamp>,
    /// Whether the sums have it; else it is on a later invoice.
    pub in_place: bool,
}

macro_rules! corrections {
    ($rest:literal) => {
        concat!(
            "select c.*, p.name as partner_name, coalesce(mo.email, mt.name, '') as made_name,
                 coalesce(ao.email, at.name, '') as approved_name, coalesce(po.email, pt.name, '') as applied_name,
                 coalesce(eo.email, et.name, '') as ended_name
             from usage_corrections c join partners p on p.id = c.partner_id
             left join operators mo on c.made_by_kind = 'operator' and mo.id = c.made_by
             left join api_tokens mt on c.made_by_kind = 'token' and mt.id = c.made_by
             left join operators ao on c.approved_by_kind = 'operator' and ao.id = c.approved_by
             left join api_tokens at on c.approved_by_kind = 'token' and at.id = c.approved_by
             left join operators po on c.applied_by_kind = 'operator' and po.id = c.applied_by
             left join api_tokens pt on c.applied_by_kind = 'token' and pt.id = c.applied_by
             left join operators eo on c.ended_by_kind = 'operator' and eo.id = c.ended_by
             left join api_tokens et on c.ended_by_kind = 'token' and et.id = c.ended_by ",
            $rest
        )
    };
}

impl Store {
    /// One correction, whosever usage it is of.
    pub async fn correction_of_any_partner(&self, id: CorrectionId) -> Result<Correction, StoreError> {
        let row = sqlx::query(corrections!("where c.id = $1")).bind(id.0).fetch_one(self.pool()).await?;
        Ok(read(&row)?)
    }

    /// Corrections in these states, newest first; of one partner or of all. `after` is the `next` of the page before.
    pub async fn corrections_of_any_partner(
        &self,
        partner: Option<PartnerId>,
        states: &[State],
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Correction>, StoreError> {
        let after: Option<CorrectionId> = match after {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| StoreError::invalid("after", "This is not a place in the list"))?)
            }
        };
        let rows = sqlx::query(corrections!(
            "where ($1::uuid is null or c.partner_id = $1) and c.state = any($2)
                 and ($3::uuid is null or c.id < $3)
             order by c.id desc limit $4"
        ))
        .bind(partner.map(|partner| partner.0))
        .bind(states.iter().map(|state| state.code()).collect::<Vec<_>>())
        .bind(after.map(|id| id.0))
        .bind(Page::<Correction>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |correction| correction.id.to_string()))
    }

    /// The partner's corrections that were carried out and touch the range, newest first, at most so many.
    pub async fn corrections_of(
        &self,
        partner: PartnerId,
        range: Period,
        at_most: u32,
    ) -> Result<Vec<Correction>, StoreError> {
        let rows = sqlx::query(corrections!(
            "where c.partner_id = $1 and c.state in ('applied', 'reverted') and c.first_at < $3 and c.last_at >= $2
             order by c.applied_at desc, c.id desc limit $4"
        ))
        .bind(partner.0)
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// What corrections did to one call, in the order in which they were carried out. Those that were reverted are among them.
    pub async fn corrections_of_call(
        &self,
        partner: PartnerId,
        place: &Place,
    ) -> Result<Vec<CorrectionLine>, StoreError> {
        let rows = sqlx::query(
            "select c.id, c.reason, c.state, c.applied_at, e.calls, e.units, e.in_place
             from usage_correction_events e
             join usage_corrections c on c.partner_id = e.partner_id and c.id = e.correction_id
             where e.partner_id = $1 and e.of_at = $2 and e.of_node = $3 and e.of_lane = $4 and e.of_sequence = $5 and e.step = 0
             order by c.applied_number",
        )
        .bind(partner.0)
        .bind(Ts(place.at()))
        .bind(&place.node)
        .bind(i32::from(place.lane))
        .bind(i64::try_from(place.sequence).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await?;
        let line = |row: &PgRow| {
            Ok(CorrectionLine {
                correction: CorrectionId(row.try_get("id")?),
                reason: row.try_get("reason")?,
                state: row.parsed("state")?,
                calls: row.try_get("calls")?,
                units: row.try_get("units")?,
                applied_at: row.at_if_any("applied_at")?,
                in_place: row.try_get("in_place")?,
            })
        };
        Ok(rows.iter().map(line).collect::<Result<_, sqlx::Error>>()?)
    }
}

fn read(row: &PgRow) -> Result<Correction, sqlx::Error> {
    let ended_reason: Option<String> = row.try_get("ended_reason")?;
    let made = person(row, ["made_by_kind", "made_by", "made_name", "made_at"])?;
    Ok(Correction {
        id: CorrectionId(row.try_get("id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        new: NewCorrection {
            change: row.try_get::<Json<_>, _>("change")?.0,
            filter: row.try_get::<Json<_>, _>("filter")?.0,
            reason: row.try_get("reason")?,
        },
        state: row.parsed("state")?,
        dry_run: row.try_get("dry_run")?,
        hash: row.hash("hash")?,
        made: made.ok_or(sqlx::Error::RowNotFound)?,
        approved: person(row, ["approved_by_kind", "approved_by", "approved_name", "approved_at"])?,
        applied: person(row, ["applied_by_kind", "applied_by", "applied_name", "applied_at"])?,
        ended: person(row, ["ended_by_kind", "ended_by", "ended_name", "ended_at"])?.zip(ended_reason),
    })
}

fn person(row: &PgRow, [kind, id, name, at]: [&str; 4]) -> Result<Option<Person>, sqlx::Error> {
    let (Some(kind), Some(at)) = (row.try_get::<Option<String>, _>(kind)?, row.at_if_any(at)?) else { return Ok(None) };
    Ok(Some(Person { kind, id: row.try_get(id)?, name: row.try_get(name)?, at }))
}
