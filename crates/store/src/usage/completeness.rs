//! What is not known of a range of usage: until when all of it is stored, and which stretches are missing, and why. A total that such
//! a stretch touches is what is there so far, never all that there was.
//!
//! Known to be missing are
//! - what a gateway has not handed over: since it was silent, or its log is taken in too slowly. One that has ended as it should has
//!   nothing left to hand over;
//! - what was given up: records that could not be read, and what a gateway that is gone for good had told of and not handed over, or
//!   may have served since it was heard of last;
//! - hours of which two places that count do not say the same, and less is stored than should be ([`crate::reconcile`]), until
//!   somebody has looked and accepted it.

use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::{id::PartnerId, period::Period};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// Longer than the longest timeout that a product can have: no call is recorded later than so long after it came.
pub const LONGEST_CALL: SignedDuration = SignedDuration::from_mins(11);

/// How long a gateway may be behind before its usage counts as missing. What is younger is merely on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(60);

/// Hours of findings that are told one by one. Where there are more, all that follows counts as missing.
const MOST_HOURS: i64 = 2_000;

/// What is known of a range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completeness {
    /// All usage before this instant that was handed over at all is stored. `None` before a gateway has handed over all that it had.
    pub through: Option<Timestamp>,
    /// Stretches of the range of which something is missing, in order.
    pub missing: Vec<Missing>,
}

/// A stretch of time of which usage is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub range: Period,
    pub reason: MissingReason,
    /// Whose; `None` where nobody can say.
    pub partner: Option<PartnerId>,
    /// For operators: which gateway's. Empty where it is no single one's.
    pub node: String,
}

/// Why usage is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissingReason {
    /// A gateway has not handed over its usage. It comes when the gateway does.
    NotReported,
    /// It was given up.
    Lost,
    /// Less is stored than should be, and nobody knows why yet.
    Unaccounted,
}

impl MissingReason {
    pub const ALL: [Self; 3] = [Self::NotReported, Self::Lost, Self::Unaccounted];

    /// As in answers of the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotReported => "not_reported",
            Self::Lost => "lost",
            Self::Unaccounted => "unaccounted",
        }
    }
}

impl Completeness {
    /// Whether nothing is known to be missing.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether something of the window is known to be missing: of that partner, or of one that nobody can name.
    pub fn misses(&self, window: Period, partner: Option<PartnerId>) -> bool {
        self.missing.iter().any(|missing| {
            let theirs = partner.is_none() || missing.partner.is_none() || missing.partner == partner;
            theirs && missing.range.start < window.end && window.start < missing.range.end
        })
    }

    /// Whether all usage of the window is stored. One that ended a moment ago is not complete yet: a call counts where it began,
    /// and is recorded when it ends.
    pub fn covers(&self, window: Period, partner: Option<PartnerId>) -> bool {
        let ended = self.through.is_some_and(|through| window.end <= through - LONGEST_CALL);
        ended && !self.misses(window, partner)
    }
}

impl Store {
    /// What is known of the partner's usage in the range.
    pub async fn completeness(
        &self,
        partner: PartnerId,
        range: Period,
        now: Timestamp,
    ) -> Result<Completeness, StoreError> {
        self.completeness_of(Some(partner), range, now).await
    }

    /// What is known of all partners' usage in the range.
    pub async fn all_partners_completeness(&self, range: Period, now: Timestamp) -> Result<Completeness, StoreError> {
        self.completeness_of(None, range, now).await
    }

    async fn completeness_of(
        &self,
        partner: Option<PartnerId>,
        range: Period,
        now: Timestamp,
    ) -> Result<Completeness, StoreError> {
        let nodes = sqlx::query(
            "select node, min(through) as through, bool_and(through is not null) as is_known,
                 coalesce(min(heard_at) filter (where through is null), 'epoch') as heard_at
             from spool_positions where not forgotten and ended_at is null group by node order by node",
        )
        .fetch_all(self.pool())
        .await?;
        let mut known = Completeness { through: Some(now), missing: Vec::new() };
        for row in &nodes {
            let is_known: bool = row.try_get("is_known")?;
            let through = if is_known { row.at_if_any("through")? } else { None };
            known.through = known.through.zip(through).map(|(all, one)| all.min(one));
            // It may hold calls from before it was heard of.
            let (since, heard) = (through.unwrap_or(Timestamp::MIN), through.unwrap_or(row.at("heard_at")?));
            if now.duration_since(heard) > ON_ITS_WAY {
                let missing = Period { start: since, end: now };
                known.miss(range, missing, MissingReason::NotReported, None, row.try_get("node")?);
            }
        }
        let lost = sqlx::query(LOST).bind(Ts(range.start)).bind(Ts(range.end)).fetch_all(self.pool()).await?;
        for row in &lost {
            let missing = Period { start: row.at("from_at")?, end: row.at("to_at")? };
            known.miss(range, missing, MissingReason::Lost, None, row.try_get("node")?);
        }
        let hours = sqlx::query(UNACCOUNTED)
            .bind(partner.map(|partner| partner.0))
            .bind(Ts(range.start))
            .bind(Ts(range.end))
            .bind(MOST_HOURS)
            .fetch_all(self.pool())
            .await?;
        for row in &hours {
            let (whose, missing) = unaccounted(row)?;
            known.miss(range, missing, MissingReason::Unaccounted, whose, String::new());
        }
        if let Some(last) = hours.last().filter(|_| i64::try_from(hours.len()).is_ok_and(|hours| hours >= MOST_HOURS)) {
            let missing = Period { start: last.at("hour")?, end: range.end };
            known.miss(range, missing, MissingReason::Unaccounted, None, String::new());
        }
        known.missing.sort_by_key(|missing| (missing.range.start, missing.reason, missing.partner));
        Ok(known)
    }
}

impl Completeness {
    /// Adds the part of a stretch that lies in the range, to the one that it goes on from where there is one.
    fn miss(
        &mut self,
        range: Period,
        missing: Period,
        reason: MissingReason,
        partner: Option<PartnerId>,
        node: String,
    ) {
        let missing = Period { start: missing.start.max(range.start), end: missing.end.min(range.end) };
        if missing.start >= missing.end {
            return;
        }
        let goes_on = |one: &&mut Missing| {
            one.reason == reason && one.partner == partner && one.node == node && one.range.end == missing.start
        };
        match self.missing.iter_mut().find(goes_on) {
            Some(before) => before.range.end = missing.end,
            None => self.missing.push(Missing { range: missing, reason, partner, node }),
        }
    }
}

/// A day is as long as the findings that have its sums.
fn unaccounted(row: &PgRow) -> Result<(Option<PartnerId>, Period), sqlx::Error> {
    let (partner, start): (Uuid, Timestamp) = (row.try_get("partner_id")?, row.at("hour")?);
    let hours = if row.try_get("of_day")? { 24 } else { 1 };
    let end = start.checked_add(SignedDuration::from_hours(hours)).unwrap_or(start);
    Ok(((!partner.is_nil()).then_some(PartnerId(partner)), Period { start, end }))
}

/// Records that nobody can read were recorded after the lane had handed everything over, and before the one behind them. What a
/// gateway told of and never handed over, before it was given up, is lost with it; and what it may have served without telling anybody,
/// as it does while Postgres is away.
const LOST: &str = "
    select g.node, coalesce(g.from_at, g.found_at - interval '1 day') as from_at, coalesce((
            select min(e.at) from usage_events e
            where e.node = g.node and e.lane = g.lane and e.sequence >= g.past_sequence and e.sequence < g.past_sequence + 1000
                and e.at >= coalesce(g.from_at, g.found_at - interval '1 day') and e.at <= g.found_at), g.found_at) as to_at
    from usage_gaps g
    where g.cause = 'damage' and g.found_at > $1 and coalesce(g.from_at, g.found_at - interval '1 day') < $2
    union all
    select * from (
        select p.node, min(coalesce(p.through, p.heard_at)) as from_at,
            greatest(max(t.told_at) filter (where t.through_sequence > p.sequence), max(p.lost_until)) as to_at
        from spool_positions p left join gateway_tally_lanes t on t.node = p.node and t.lane = p.lane
        where p.forgotten and (t.through_sequence > p.sequence or p.lost_until is not null)
        group by p.node
    ) as given_up where to_at > $1 and from_at < $2
    order by 2, 1";

const UNACCOUNTED: &str = "
    select distinct partner_id, hour, kind = 'daily' as of_day from reconciliation_findings
    where resolved_at is null and accepted_at is null and kind not in ('invoice', 'credit') and expected > actual
        and ($1::uuid is null or partner_id in ($1, '00000000-0000-0000-0000-000000000000'))
        and hour > $2 - case kind when 'daily' then interval '24 hours' else interval '1 hour' end and hour < $3
    order by hour, partner_id, of_day limit $4";

#[cfg(test)]
mod tests;
