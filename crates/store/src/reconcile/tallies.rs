//! What gateways say that they served.

use crate::{Store, StoreError, ingest::signed, pool::in_time, time::Ts};
use domain::{id::PartnerId, key_text::Environment};
use jiff::Timestamp;

/// What a lane has counted in one life of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldLane {
    pub lane: u16,
    pub epoch: u64,
    /// It counts all records from this one on, to before that one.
    pub first: u64,
    pub through: u64,
    /// Those that changed since they were told last.
    pub tallies: Vec<ToldTally>,
}

/// Absolute numbers of one partner and hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldTally {
    pub partner: PartnerId,
    pub hour: Timestamp,
    pub environment: Environment,
    pub part: u32,
    pub calls: u64,
    pub units: u64,
}

impl Store {
    /// Keeps what a node tells. The same again, and older numbers, change nothing.
    pub async fn tell_tallies(&self, node: &str, lanes: &[ToldLane], now: Timestamp) -> Result<(), StoreError> {
        let mut tx = in_time(self.pool().begin()).await?;
        for told in lanes {
            let ToldLane { lane, epoch, first, through, tallies } = told;
            macro_rules! each {
                ($of:expr) => {
                    tallies.iter().map($of).collect::<Vec<_>>()
                };
            }
            let kept = sqlx::query(
                "insert into gateway_tallies as held (node, epoch, lane, partner_id, hour, environment, part, calls, units)
                 select $1, $2, $3, * from unnest($4::uuid[], $5::timestamptz[], $6::text[], $7::int[], $8::bigint[], $9::bigint[])
                 on conflict (partner_id, hour, environment, node, epoch, lane, part) do update
                     set calls = greatest(held.calls, excluded.calls), units = greatest(held.units, excluded.units)",
            )
            .bind(node)
            .bind(signed(*epoch))
            .bind(i32::from(*lane))
            .bind(each!(|tally| tally.partner.0))
            .bind(each!(|tally| Ts(tally.hour)))
            .bind(each!(|tally| tally.environment.code()))
            .bind(each!(|tally| i32::try_from(tally.part).unwrap_or(i32::MAX)))
            .bind(each!(|tally| signed(tally.calls)))
            .bind(each!(|tally| signed(tally.units)))
            .execute(&mut *tx);
            in_time(kept).await?;
            let kept = sqlx::query(
                "insert into gateway_tally_lanes as held (node, epoch, lane, first_sequence, through_sequence, told_at)
                 values ($1, $2, $3, $4, $5, $6)
                 on conflict (node, epoch, lane) do update
                     set through_sequence = greatest(held.through_sequence, excluded.through_sequence), told_at = excluded.told_at",
            )
            .bind(node)
            .bind(signed(*epoch))
            .bind(i32::from(*lane))
            .bind(signed(*first))
            .bind(signed(*through))
            .bind(Ts(now))
            .execute(&mut *tx);
            in_time(kept).await?;
        }
        in_time(tx.commit()).await?;
        Ok(())
    }
}
