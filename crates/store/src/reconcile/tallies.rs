//! What gateways say that they served.

use crate::{Store, StoreError, ingest::signed, pool::in_time, time::Ts};
use domain::{id::PartnerId, key_text::Environment};
use jiff::Timestamp;
use sqlx::PgConnection;

/// What a lane has counted in one life of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldLane {
    pub lane: u16,
    pub epoch: u64,
    /// It counts all records from this one on, to before that one.
    pub first: u64,
    pub through: u64,
    /// What was told before and kept, to before that one.
    pub told: u64,
    /// Those that changed since they were told last.
    pub tallies: Vec<ToldTally>,
}

/// Rows that are kept by one statement.
const ROWS: usize = 4_000;

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
    /// Keeps what a node tells. The same again, and older numbers, change nothing. A lane that tells from a later record on has begun
    /// anew, and what it told before goes.
    ///
    /// Lanes that had told more than is known here, as in a Postgres that was restored, are not kept and named: what is here
    /// and what changed since would not be all.
    pub async fn tell_tallies(&self, node: &str, lanes: &[ToldLane], now: Timestamp) -> Result<Vec<u16>, StoreError> {
        let mut forgotten = Vec::new();
        let mut tx = in_time(self.pool().begin()).await?;
        for told in lanes {
            let ToldLane { lane, epoch, first, through, told, tallies } = told;
            if told > first && !is_known(&mut tx, node, (*epoch, *lane), (*first, *told)).await? {
                forgotten.push(*lane);
                continue;
            }
            let gone = sqlx::query(
                "delete from gateway_tallies where node = $1 and epoch = $2 and lane = $3 and exists (
                     select from gateway_tally_lanes where node = $1 and epoch = $2 and lane = $3 and first_sequence < $4)",
            )
            .bind(node)
            .bind(signed(*epoch))
            .bind(i32::from(*lane))
            .bind(signed(*first))
            .execute(&mut *tx);
            in_time(gone).await?;
            for rows in tallies.chunks(ROWS) {
                macro_rules! each {
                    ($of:expr) => {
                        rows.iter().map($of).collect::<Vec<_>>()
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
            }
            let kept = sqlx::query(
                "insert into gateway_tally_lanes as held (node, epoch, lane, first_sequence, through_sequence, told_at)
                 values ($1, $2, $3, $4, $5, $6)
                 on conflict (node, epoch, lane) do update
                     set first_sequence = greatest(held.first_sequence, excluded.first_sequence),
                         through_sequence = greatest(held.through_sequence, excluded.through_sequence), told_at = excluded.told_at",
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
        Ok(forgotten)
    }

    /// Lets go of what is not compared any more, as its events are not kept whole; how many rows.
    pub async fn forget_tallies(&self) -> Result<u64, StoreError> {
        let gone = sqlx::query(
            "delete from gateway_tallies g using usage_upkeep
             where g.hour < case g.environment when 'live' then live_from else test_from end",
        )
        .execute(self.pool())
        .await?;
        Ok(gone.rows_affected())
    }
}

/// Whether what the lane has told so far is here.
async fn is_known(
    tx: &mut PgConnection,
    node: &str,
    (epoch, lane): (u64, u16),
    (first, told): (u64, u64),
) -> Result<bool, sqlx::Error> {
    let known = sqlx::query_scalar(
        "select exists (select from gateway_tally_lanes
             where node = $1 and epoch = $2 and lane = $3 and first_sequence = $4 and through_sequence >= $5)",
    )
    .bind(node)
    .bind(signed(epoch))
    .bind(i32::from(lane))
    .bind(signed(first))
    .bind(signed(told))
    .fetch_one(tx);
    in_time(known).await
}
