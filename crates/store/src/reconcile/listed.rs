//! Findings as an operator sees them: all of them, page by page, and each to be looked at and accepted by itself.

use super::{Finding, Kind, findings};
use crate::{
    Actor, Page, Store, StoreError,
    audit::{self, Entry},
    page::Place,
    row::ReadRow as _,
    time::Ts,
};
use domain::id::{FindingId, PartnerId};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow};
use std::str::FromStr;

/// The longest note, in characters.
const MAX_NOTE: usize = 500;
/// Partners that are named as having findings.
const MOST_PARTNERS: i64 = 500;

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// It holds invoices back.
    Open,
    /// Somebody has looked and lets invoices go on; the numbers still differ.
    Accepted,
    /// The numbers are the same now.
    Resolved,
}

impl FindingState {
    pub const ALL: [Self; 3] = [Self::Open, Self::Accepted, Self::Resolved];

    /// As in an address.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Resolved => "resolved",
        }
    }
}

impl FromStr for FindingState {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|state| state.code() == text);
        known.ok_or_else(|| StoreError::invalid("state", "There is no such state"))
    }
}

/// Which findings; an empty filter shows all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindingFilter {
    pub state: Option<FindingState>,
    pub kind: Option<Kind>,
    /// Those that nobody can say whose they are are left out, too.
    pub partner: Option<PartnerId>,
}

/// A finding, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFinding {
    /// Of these numbers: where they change it is another one.
    pub id: FindingId,
    pub finding: Finding,
    /// Empty where it is nobody's.
    pub partner_name: String,
    pub state: FindingState,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub accepted_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// Why it was accepted.
    pub note: String,
}

/// How many findings there are, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindingSources {
    pub open: u64,
    pub accepted: u64,
    pub resolved: u64,
    /// By name.
    pub partners: Vec<(PartnerId, String)>,
}

/// Findings with a name of their own. The key and the numbers make it.
macro_rules! listed {
    ($rest:literal) => {
        concat!(
            "select * from (
                 select f.kind, f.partner_id, f.hour, f.meter, f.node, f.lane, f.place, f.expected::text, f.actual::text,
                     f.first_seen_at, f.last_seen_at, f.accepted_at, f.resolved_at, f.note, coalesce(p.name, '') as partner_name,
                     case when f.resolved_at is not null then 'resolved' when f.accepted_at is not null then 'accepted'
                         else 'open' end as state,
                     md5(concat_ws('|', f.kind, f.partner_id, extract(epoch from f.hour), f.meter, f.node, f.lane, f.place,
                         f.expected, f.actual))::uuid as id
                 from reconciliation_findings f left join partners p on p.id = f.partner_id
             ) as f ",
            $rest
        )
    };
}

impl Store {
    /// Findings of all partners, the newest hour first; `after` is the previous page's `next`.
    pub async fn all_findings(
        &self,
        filter: &FindingFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<ListedFinding>, StoreError> {
        let after = after.map(Place::read).transpose()?;
        let rows = sqlx::query(listed!(
            "where ($1::text is null or f.state = $1) and ($2::text is null or f.kind = $2)
                 and ($3::uuid is null or f.partner_id = $3) and ($4::timestamptz is null or (f.hour, f.id) < ($4, $5::uuid))
             order by f.hour desc, f.id desc limit $6"
        ))
        .bind(filter.state.map(FindingState::code))
        .bind(filter.kind.map(Kind::code))
        .bind(filter.partner.map(|partner| partner.0))
        .bind(after.map(|place| Ts(place.at)))
        .bind(after.map(|place| place.id))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, size, |one| Place { at: one.finding.hour, id: one.id.0 }.text()))
    }

    /// How many there are of each state, and of which partners.
    pub async fn all_finding_sources(&self) -> Result<FindingSources, StoreError> {
        let row = sqlx::query(
            "select count(*) filter (where resolved_at is null and accepted_at is null) as open,
                 count(*) filter (where resolved_at is null and accepted_at is not null) as accepted,
                 count(*) filter (where resolved_at is not null) as resolved
             from reconciliation_findings",
        )
        .fetch_one(self.pool())
        .await?;
        let partners = sqlx::query(
            "select id, name from partners where id in (select partner_id from reconciliation_findings)
             order by lower(name), id limit $1",
        )
        .bind(MOST_PARTNERS)
        .fetch_all(self.pool())
        .await?;
        let named = |row: &PgRow| Ok((PartnerId(row.try_get("id")?), row.try_get("name")?));
        Ok(FindingSources {
            open: row.count("open")?,
            accepted: row.count("accepted")?,
            resolved: row.count("resolved")?,
            partners: partners.iter().map(named).collect::<Result<_, sqlx::Error>>()?,
        })
    }

    /// Lets invoices go on although these two numbers differ, on record. `NotFound` where they do not (any more), or were accepted.
    pub async fn accept_finding(
        &self,
        id: FindingId,
        note: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = reason(note)?;
        let mut tx = self.begin().await?;
        let row = sqlx::query(listed!("where f.state = 'open' and f.id = $1")).bind(id.0).fetch_one(&mut *tx).await?;
        let found = read(&row)?.finding;
        let (node, lane) = found.of_lane();
        let accepted = sqlx::query(
            "update reconciliation_findings set accepted_at = $8, note = $9
             where kind = $1 and partner_id = $2 and hour = $3 and meter = $4 and node = $5 and lane = $6 and place = $7
                 and resolved_at is null and accepted_at is null and expected = $10::numeric and actual = $11::numeric",
        )
        .bind(found.kind.code())
        .bind(found.partner.map(|partner| partner.0).unwrap_or_default())
        .bind(Ts(found.hour))
        .bind(&found.meter)
        .bind(node)
        .bind(lane)
        .bind(&found.place)
        .bind(Ts(now))
        .bind(note)
        .bind(&found.expected)
        .bind(&found.actual)
        .execute(&mut *tx)
        .await?;
        if accepted.rows_affected() != 1 {
            return Err(StoreError::NotFound);
        }
        let subject = id.to_string();
        let entry = Entry::new(actor, found.partner, "usage.accept_drift", &subject)
            .after(json!({ "finding": found.to_string(), "note": note }));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A note that says something.
pub(crate) fn reason(note: &str) -> Result<&str, StoreError> {
    let note = note.trim();
    match note.chars().count() {
        0 => Err(StoreError::invalid("note", "Say what was found, so that others can follow it later")),
        length if length > MAX_NOTE => {
            Err(StoreError::invalid("note", format!("A note is at most {MAX_NOTE} characters long")))
        }
        _ => Ok(note),
    }
}

fn read(row: &PgRow) -> Result<ListedFinding, sqlx::Error> {
    let state: &str = row.try_get("state")?;
    Ok(ListedFinding {
        id: FindingId(row.try_get("id")?),
        finding: findings::kept(row)?,
        partner_name: row.try_get("partner_name")?,
        state: match state {
            "resolved" => FindingState::Resolved,
            "accepted" => FindingState::Accepted,
            _ => FindingState::Open,
        },
        first_seen_at: row.at("first_seen_at")?,
        last_seen_at: row.at("last_seen_at")?,
        accepted_at: row.at_if_any("accepted_at")?,
        resolved_at: row.at_if_any("resolved_at")?,
        note: row.try_get("note")?,
    })
}
