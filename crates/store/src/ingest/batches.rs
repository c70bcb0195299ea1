//! Which records of a lane were taken in, and from when their events are: for those who follow usage in the order in which it comes
//! ([`crate::hooks`]).

use super::signed;
use crate::time::Ts;
use domain::id::PartnerId;
use jiff::Timestamp;
use sqlx::PgConnection;

/// Records that lie in one row at most, and for how long a row grows.
const RECORDS: i64 = 20_000;

/// Writes down what is taken in of a lane: whoever does holds the lane until the end of the transaction, as everybody who takes in
/// of it. `whose` is the partner whose numbers these are, where each has its own.
pub(crate) async fn note(
    tx: &mut PgConnection,
    (node, lane, whose): (&str, u16, Option<PartnerId>),
    records: impl Iterator<Item = (u64, Timestamp)>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let stretch = records.fold(None, |so_far, (sequence, at)| {
        let (first, past, from, to) = so_far.unwrap_or((sequence, sequence + 1, at, at));
        Some((first.min(sequence), past.max(sequence + 1), from.min(at), to.max(at)))
    });
    let Some((first, past, from, to)) = stretch else { return Ok(()) };
    sqlx::query(
        "with grown as (
             update usage_batches set past_sequence = $5, from_at = least(from_at, $6), to_at = greatest(to_at, $7)
             where node = $1 and lane = $2 and whose = $3 and past_sequence = $4 and $5 - first_sequence <= $9
                 and began_at > $8 - interval '1 minute' and began_at <= $8
             returning 1
         )
         insert into usage_batches (node, lane, whose, first_sequence, past_sequence, from_at, to_at, began_at)
         select $1, $2, $3, $4, $5, $6, $7, $8 where not exists (select from grown)
         on conflict (node, lane, whose, past_sequence) do update
             set first_sequence = least(usage_batches.first_sequence, excluded.first_sequence),
                 from_at = least(usage_batches.from_at, excluded.from_at), to_at = greatest(usage_batches.to_at, excluded.to_at)",
    )
    .bind(node)
    .bind(i32::from(lane))
    .bind(whose.map(|partner| partner.0).unwrap_or_default())
    .bind(signed(first))
    .bind(signed(past))
    .bind(Ts(from))
    .bind(Ts(to))
    .bind(Ts(now))
    .bind(RECORDS)
    .execute(tx)
    .await?;
    Ok(())
}
