//! Whether the places that count usage say the same, and what was found where they do not.
//!
//! Everything that is compared is exact: there is no tolerance, and a number that cannot be compared yet is not compared.
//! - `gateway`: what a gateway says that it served, against the events of the records that it counted.
//! - `sequence`: the numbers of each lane follow each other, each once, but for those that are accounted for (`usage_gaps`).
//! - `hourly`: the hourly roll-ups, each sum of each row, against the events.
//! - `daily`: the sums of whole days, against the hourly ones. Its hour is the day's first.
//! - `meters`: the hourly roll-ups of meters besides units, and the levels of gauges, against the events.
//! - `credit`: the ledger's entries of prepaid credit that was used, by the hour, against the sums that they were booked from; and what
//!   booking could not move of what gateways count as taken.
//! - `invoice`: the lines of the invoices whose period ended in the range, against the events and the levels.

mod again;
mod credit;
mod findings;
pub(crate) mod listed;
mod of_partners;
mod on_demand;
mod parts;
mod statements;
mod tallies;

pub(crate) use credit::Unbooked;
pub use findings::{Finding, Kind};
pub use listed::{FindingFilter, FindingSources, FindingState, ListedFinding};
pub use on_demand::OnDemand;
pub use tallies::{ToldLane, ToldTally};

use crate::{
    Actor, Store, StoreError,
    audit::{self, Entry},
    ingest::days::midnight,
    row::ReadRow as _,
    time::Ts,
};
use domain::{id::PartnerId, period::Period};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Of the advisory lock that whoever compares holds.
const COMPARING: i64 = 0x7475_726e_7265_636f;

/// Findings that make usage of a partner doubtful from one instant to another: its own, and those that nobody can say whose they are.
macro_rules! doubtful {
    ($partner:literal, $first:literal, $past:literal) => {
        concat!(
            "from reconciliation_findings f
             where f.resolved_at is null and f.accepted_at is null and f.kind <> 'invoice'
                 and f.partner_id in (",
            $partner,
            ", '00000000-0000-0000-0000-000000000000') and f.hour > ",
            $first,
            " - interval '1 hour' and f.hour < ",
            $past
        )
    };
}
pub(crate) use doubtful;

/// Whole hours: those that have begun within that time before `now`, and the one that runs.
pub fn hours_before(now: Timestamp, time: SignedDuration) -> Period {
    const HOUR: i64 = 3600;
    let floor = |at: Timestamp| at.as_second() - at.as_second().rem_euclid(HOUR);
    let at = |second: i64| Timestamp::from_second(second).unwrap_or_default();
    Period { start: at(floor(now) - time.as_secs()), end: at(floor(now) + HOUR) }
}

/// What a comparison has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciliation {
    /// Numbers that were compared.
    pub compared: u64,
    /// Those that differ, in the order of what was compared.
    pub findings: Vec<Finding>,
}

/// What is known of a stretch of a partner's usage before it is billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    Agrees,
    /// The first finding that nobody has accepted.
    Differs(Finding),
    /// A gateway told more than is stored of it just now.
    NotYet,
}

impl Store {
    /// Compares all usage of all partners in the range, which begins and ends with whole hours, as it was at one instant. What is
    /// found is kept; what was found before, was compared and is not found any more counts as resolved.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else compares just now.
    pub async fn reconcile_all(
        &self,
        range: Period,
        kinds: &[Kind],
        now: Timestamp,
    ) -> Result<Reconciliation, StoreError> {
        let done = self.compare(range, kinds, now).await?;
        self.note_run(range, &done, now).await?;
        Ok(done)
    }

    /// The same, and nobody is told that it was done.
    async fn compare(&self, range: Period, kinds: &[Kind], now: Timestamp) -> Result<Reconciliation, StoreError> {
        let mut done = Reconciliation::default();
        let mut tx = self.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let is_free: bool =
            sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(COMPARING).fetch_one(&mut *tx).await?;
        if !is_free {
            return Err(StoreError::conflict("", "Usage is being compared just now; try again in a minute"));
        }
        // It takes as long as there are events.
        sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
        for kind in kinds {
            let rows = sqlx::query(statements::of(*kind))
                .bind(Ts(range.start))
                .bind(Ts(range.end))
                .fetch_all(&mut *tx)
                .await?;
            for row in &rows {
                done.compared = done.compared.saturating_add(findings::compared(row)?);
                done.findings.extend(findings::read(*kind, row)?);
            }
        }
        let rows = sqlx::query(statements::COMPARED_FINDINGS)
            .bind(Ts(range.start))
            .bind(Ts(range.end))
            .bind(kinds.iter().map(|kind| kind.code()).collect::<Vec<_>>())
            .fetch_all(&mut *tx)
            .await?;
        let before = rows.iter().map(findings::kept).collect::<Result<Vec<_>, sqlx::Error>>()?;
        tx.commit().await?;
        // Whoever keeps others meanwhile goes through them in the same order.
        done.findings.sort_by(|one, other| one.key().cmp(&other.key()));
        self.keep_findings(&before, &done, now).await?;
        Ok(done)
    }

    /// What differs and was neither resolved since nor accepted, the oldest hour first, at most so many.
    pub async fn all_open_findings(&self, most: u16) -> Result<Vec<Finding>, StoreError> {
        let rows = sqlx::query(
            "select kind, partner_id, hour, meter, node, lane, place, expected::text, actual::text
             from reconciliation_findings where resolved_at is null and accepted_at is null
             order by hour, kind, partner_id, meter limit $1",
        )
        .bind(i64::from(most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(findings::kept).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The first finding that makes the partner's usage in the range doubtful, its own or one that nobody can say whose it is.
    pub async fn doubt(&self, partner: PartnerId, range: Period) -> Result<Option<Finding>, StoreError> {
        Ok(self.doubts(&[(partner, range)]).await?.pop().flatten())
    }

    /// The same of several partners in ranges of their own, in their order.
    pub async fn doubts(&self, ranges: &[(PartnerId, Period)]) -> Result<Vec<Option<Finding>>, StoreError> {
        let rows = sqlx::query(concat!(
            "select asked.part, found.* from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
                 with ordinality as asked (partner_id, first, past, part)
             cross join lateral (
                 select kind, partner_id, hour, meter, node, lane, place, expected::text, actual::text ",
            doubtful!("asked.partner_id", "asked.first", "asked.past"),
            " order by hour, kind limit 1
             ) as found"
        ))
        .bind(ranges.iter().map(|(partner, _)| partner.0).collect::<Vec<_>>())
        .bind(ranges.iter().map(|(_, range)| Ts(range.start)).collect::<Vec<_>>())
        .bind(ranges.iter().map(|(_, range)| Ts(range.end)).collect::<Vec<_>>())
        .fetch_all(self.pool())
        .await?;
        let mut doubts = vec![None; ranges.len()];
        for row in &rows {
            if let Some(doubt) = doubts.get_mut(row.place("part")?) {
                *doubt = Some(findings::kept(row)?);
            }
        }
        Ok(doubts)
    }

    /// Lets invoices go on although these numbers differ, on record; how many findings that are. Where the numbers change later
    /// they are findings again.
    pub async fn accept_findings(&self, note: &str, actor: Actor, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let accepted = sqlx::query(
            "update reconciliation_findings set accepted_at = $1, note = $2
             where resolved_at is null and accepted_at is null",
        )
        .bind(Ts(now))
        .bind(note)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        let entry = Entry::new(actor, None, "usage.accept_drift", "reconciliation")
            .after(json!({ "findings": accepted, "note": note }));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(accepted)
    }

    /// When usage was compared last, and until when the usage was that was compared.
    pub async fn last_reconciliation(&self) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let row = sqlx::query("select run_at, to_at from reconciliation_runs order by run_at desc limit 1")
            .fetch_optional(self.pool())
            .await?;
        let read = |row: sqlx::postgres::PgRow| Ok::<_, sqlx::Error>((row.at("run_at")?, row.at("to_at")?));
        Ok(row.map(read).transpose()?)
    }

    /// From when on events of live keys are kept, and of test keys.
    pub async fn events_kept_from(&self) -> Result<(Timestamp, Timestamp), StoreError> {
        let row = sqlx::query("select live_from, test_from from usage_upkeep").fetch_one(self.pool()).await?;
        Ok((row.at("live_from")?, row.at("test_from")?))
    }

    async fn keep_findings(&self, before: &[Finding], done: &Reconciliation, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        findings::keep(&mut tx, &done.findings, now).await?;
        let found: BTreeSet<_> = done.findings.iter().map(Finding::key).collect();
        let mut gone: Vec<&Finding> = before.iter().filter(|finding| !found.contains(&finding.key())).collect();
        gone.sort_by(|one, other| one.key().cmp(&other.key()));
        findings::resolve(&mut tx, &gone, now).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn note_run(&self, range: Period, done: &Reconciliation, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("insert into reconciliation_runs (id, from_at, to_at, run_at, compared, found) values ($1, $2, $3, $4, $5, $6)")
            .bind(Uuid::new_v4())
            .bind(Ts(range.start))
            .bind(Ts(range.end))
            .bind(Ts(now))
            .bind(i64::try_from(done.compared).unwrap_or(i64::MAX))
            .bind(i64::try_from(done.findings.len()).unwrap_or(i64::MAX))
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

/// The days (UTC) that it touches, each cut where it is.
fn days_of(range: Period) -> impl Iterator<Item = Period> {
    let day = SignedDuration::from_hours(24);
    let ends = move |start: Timestamp| midnight(start).saturating_add(day).unwrap_or(Timestamp::MAX).min(range.end);
    let starts = std::iter::successors(Some(range.start), move |start| Some(ends(*start)));
    starts.take_while(move |start| *start < range.end).map(move |start| Period { start, end: ends(start) })
}

#[cfg(test)]
mod tests;
