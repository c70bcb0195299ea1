//! Units on their way between what all nodes share and what one node holds. What must be exact is in the functions of
//! migration 0008, each of which is one transaction with one round trip.

mod nodes;

pub use nodes::{GatewayNode, HeldByNode};

use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::{
    allowance::{Allowance, Kind},
    id::{AllocationId, PartnerId},
    period::Period,
    usage::{Allocated, UsageEvent},
};
use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashMap;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A gateway that has not been heard of for so long gets no share of what is left.
const ALIVE: SignedDuration = SignedDuration::from_secs(15);

/// What a node asks for; see `gateway::Ask`, whose numbers these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseAsk {
    pub of: Allowance,
    /// `None` takes the balance of credit: the partner's, with what the plan lets it go below zero, or the allocation's.
    pub limit: Option<u64>,
    pub need: u64,
    pub want: u64,
    pub returned: u64,
    pub turn: i64,
}

/// How an allowance stands, seen by one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leased {
    pub granted: u64,
    pub taken: u64,
    pub limit: u64,
    pub turn: i64,
    pub wanted: bool,
}

/// What a starting node has to know of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub of: Allowance,
    /// Used by this node before it started.
    pub base: u64,
    /// Used or held by all others.
    pub elsewhere: u64,
    /// The balance of credit, with what the plan lets it go below zero; zero for a quota.
    pub limit: u64,
}

/// What is known at a start of the node's earlier life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// All of its events are stored.
    Stored,
    /// Some of them cannot be read at the moment: the log is damaged before them.
    Hidden,
}

impl Store {
    /// Makes one exchange. `now` is real time, as all nodes have it.
    pub async fn exchange_units(&self, node: &str, ask: LeaseAsk, now: Timestamp) -> Result<Leased, StoreError> {
        let one = self.exchange_all_units(node, &[ask], now).await?;
        one.into_iter().next().ok_or(StoreError::NotFound)
    }

    /// Makes many, of different allowances, in one transaction; the answers are in the order of the asks.
    pub async fn exchange_all_units(
        &self,
        node: &str,
        asks: &[LeaseAsk],
        now: Timestamp,
    ) -> Result<Vec<Leased>, StoreError> {
        // Whoever locks several allowances does so in this order.
        let mut places: Vec<usize> = (0..asks.len()).collect();
        places.sort_by_key(|place| asks.get(*place).map(|ask| (holder(ask.of), ask.of.kind, ask.of.period.start)));
        let in_order: Vec<&LeaseAsk> = places.iter().filter_map(|place| asks.get(*place)).collect();
        let each = |of: fn(&LeaseAsk) -> u64| in_order.iter().map(|ask| signed(of(ask))).collect::<Vec<_>>();
        let rows = sqlx::query(
            "select done.* from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[],
                 $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) with ordinality
                 as asked (partner, kind, first, past, most, need, want, back, known, place)
             cross join lateral exchange_units(partner, kind, first, past, $10, most, need, want, back, known, $11, $12)
                 as done
             order by place",
        )
        .bind(in_order.iter().map(|ask| holder(ask.of)).collect::<Vec<_>>())
        .bind(in_order.iter().map(|ask| ask.of.kind.code()).collect::<Vec<_>>())
        .bind(in_order.iter().map(|ask| Ts(ask.of.period.start)).collect::<Vec<_>>())
        .bind(in_order.iter().map(|ask| Ts(ask.of.period.end)).collect::<Vec<_>>())
        .bind(in_order.iter().map(|ask| ask.limit.map(signed)).collect::<Vec<_>>())
        .bind(each(|ask| ask.need))
        .bind(each(|ask| ask.want))
        .bind(each(|ask| ask.returned))
        .bind(in_order.iter().map(|ask| ask.turn).collect::<Vec<_>>())
        .bind(node)
        .bind(Ts(now - ALIVE))
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        let mut answers = vec![Leased::default(); rows.len()];
        for (place, row) in places.iter().zip(&rows) {
            if let Some(answer) = answers.get_mut(*place) {
                *answer = leased(row)?;
            }
        }
        Ok(answers)
    }

    /// How these stand for the node; `None` where nothing is known of one.
    pub async fn read_leases(
        &self,
        node: &str,
        of: &[(Allowance, Option<u64>)],
        now: Timestamp,
    ) -> Result<Vec<Option<Leased>>, StoreError> {
        let rows = sqlx::query(
            "select a.taken, coalesce(l.granted, 0) as granted, coalesce(l.turn, 0) as turn,
                 coalesce(most, case asked_kind when 'credit' then credit_spendable(partner) end, 0) as allowed,
                 a.short_at > $6 - interval '3 seconds' as is_wanted
             from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[]) with ordinality
                 as asked (partner, asked_kind, first, most, place)
             left join allowances a on a.partner_id = partner and a.kind = asked_kind and a.period_start = first
             left join allowance_leases l on l.partner_id = partner and l.kind = asked_kind and l.period_start = first
                 and l.node = $5
             order by place",
        )
        .bind(of.iter().map(|(of, _)| holder(*of)).collect::<Vec<_>>())
        .bind(of.iter().map(|(of, _)| of.kind.code()).collect::<Vec<_>>())
        .bind(of.iter().map(|(of, _)| Ts(of.period.start)).collect::<Vec<_>>())
        .bind(of.iter().map(|(_, limit)| limit.map(signed)).collect::<Vec<_>>())
        .bind(node)
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| {
            let known = row.try_get::<Option<i64>, _>("taken")?.is_some();
            Ok(if known { Some(leased(row)?) } else { None })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Gives back what the node held in an earlier life and did not spend, and tells how every allowance stands that is not
    /// over. Where it is not known what that life spent, all that it held counts as used: it comes back at a later start.
    /// `started_at` is when this life began, by the clock of events.
    pub async fn begin_leases(
        &self,
        node: &str,
        started_at: Timestamp,
        earlier: Earlier,
    ) -> Result<Vec<Known>, StoreError> {
        let mut tx = self.begin().await?;
        if earlier == Earlier::Stored {
            sqlx::query("select release_leases($1)").bind(node).execute(&mut *tx).await?;
        }
        // What this life has already used is not part of what was used before it.
        let rows = sqlx::query(
            "select coalesce(o.partner_id, a.partner_id) as partner_id, o.id as allocation_id, a.kind, a.period_start, a.period_end,
                 a.taken, coalesce(l.granted, 0) as spent,
                 case a.kind when 'credit' then credit_spendable(a.partner_id) else 0 end as bought,
                 coalesce(mine.units, 0)::bigint as mine
             from allowances a
             left join credit_purses o on a.kind = 'credit' and o.id = a.partner_id
             left join allowance_leases l on l.partner_id = a.partner_id and l.kind = a.kind
                 and l.period_start = a.period_start and l.node = $1
             left join lateral (
                 select sum(case when a.kind = 'quota' then e.units - e.credits when o.id is null then e.credits - e.allocated
                     when e.allocation_id = o.id then e.allocated else 0 end) as units
                 from usage_events e
                 where e.partner_id = coalesce(o.partner_id, a.partner_id) and e.node = $1 and e.environment = 'live'
                     and e.at >= greatest($2, a.period_start) and e.at < a.period_end
             ) as mine on l.node is not null
             where a.period_end > $2",
        )
        .bind(node)
        .bind(Ts(started_at))
        .fetch_all(&mut *tx)
        .await?;
        let known = rows.iter().map(known).collect::<Result<_, sqlx::Error>>()?;
        tx.commit().await?;
        Ok(known)
    }

    /// Forgets allowances whose period ended before `then`.
    pub async fn prune_allowances(&self, then: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("delete from allowance_leases where period_end < $1").bind(Ts(then)).execute(&mut *tx).await?;
        sqlx::query("delete from allowances where period_end < $1").bind(Ts(then)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What events spent.
#[derive(Default)]
pub(crate) struct Spent(FxHashMap<(Uuid, Kind, Timestamp), (Timestamp, i64)>);

impl Spent {
    pub(crate) fn add<Text>(&mut self, event: &UsageEvent<Text>) {
        let Some(period) = event.period else { return };
        let partner = event.partner;
        let credits = event.credits.min(event.units);
        let own = event.of_allocation().map(|Allocated { allocation, units }| (allocation, units.min(credits)));
        let of_own = own.map(|(allocation, units)| (Allowance::allocation(partner, allocation), units));
        let common = credits - own.map_or(0, |(_, units)| units);
        let of_all = [(Allowance::quota(partner, period), event.units - credits), (Allowance::credit(partner), common)];
        for (of, units) in of_all.into_iter().chain(of_own).filter(|(_, units)| *units > 0) {
            let sum = self.0.entry((holder(of), of.kind, of.period.start)).or_insert((of.period.end, 0));
            sum.1 = sum.1.saturating_add(signed(units));
        }
    }
}

/// The same in the order of whose it is, as Postgres gets it.
pub(crate) struct Spending {
    partners: Vec<Uuid>,
    kinds: Vec<&'static str>,
    starts: Vec<Ts>,
    ends: Vec<Ts>,
    units: Vec<i64>,
}

impl Spending {
    pub(crate) fn of(spent: &Spent) -> Self {
        let sums: BTreeMap<_, _> = spent.0.iter().collect();
        Self {
            partners: sums.keys().map(|(partner, ..)| *partner).collect(),
            kinds: sums.keys().map(|(_, kind, _)| kind.code()).collect(),
            starts: sums.keys().map(|(.., start)| Ts(*start)).collect(),
            ends: sums.values().map(|(end, _)| Ts(*end)).collect(),
            units: sums.values().map(|(_, units)| *units).collect(),
        }
    }

    /// Makes the allowances that are missing. Before the events are stored, so that these are not part of what a new one
    /// begins with.
    pub(crate) async fn open(&self, tx: &mut Transaction<'_, Postgres>, node: &str) -> Result<(), sqlx::Error> {
        if !self.partners.is_empty() {
            sqlx::query("select open_spending($1, $2, $3, $4, $5)")
                .bind(node)
                .bind(&self.partners)
                .bind(&self.kinds)
                .bind(&self.starts)
                .bind(&self.ends)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    /// Adds it to what the node spent.
    pub(crate) async fn spend(&self, tx: &mut Transaction<'_, Postgres>, node: &str) -> Result<(), sqlx::Error> {
        if !self.partners.is_empty() {
            sqlx::query("select spend_leases($1, $2, $3, $4, $5, $6)")
                .bind(node)
                .bind(&self.partners)
                .bind(&self.kinds)
                .bind(&self.starts)
                .bind(&self.ends)
                .bind(&self.units)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}

fn leased(row: &PgRow) -> Result<Leased, sqlx::Error> {
    Ok(Leased {
        granted: row.count("granted")?,
        taken: row.count("taken")?,
        limit: row.count("allowed")?,
        turn: row.try_get("turn")?,
        wanted: row.try_get::<Option<bool>, _>("is_wanted")?.unwrap_or(false),
    })
}

fn known(row: &PgRow) -> Result<Known, sqlx::Error> {
    let (taken, spent, mine) = (row.count("taken")?, row.count("spent")?, row.count("mine")?);
    Ok(Known {
        of: allowance(row)?,
        base: spent.saturating_sub(mine),
        elsewhere: taken.saturating_sub(spent),
        limit: row.count("bought")?,
    })
}

fn allowance(row: &PgRow) -> Result<Allowance, sqlx::Error> {
    Ok(Allowance {
        partner: PartnerId(row.try_get("partner_id")?),
        kind: row.parsed("kind")?,
        period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
        allocation: row.try_get::<Option<Uuid>, _>("allocation_id")?.map(AllocationId),
    })
}

/// Whose rows they are: the partner's, or the allocation's.
fn holder(of: Allowance) -> Uuid {
    of.allocation.map_or(of.partner.0, |allocation| allocation.0)
}

/// Postgres has no unsigned integers; a limit beyond its largest is no limit.
fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
