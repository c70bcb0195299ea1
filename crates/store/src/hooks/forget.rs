//! Lets go of what nobody follows any more.

use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use jiff::{SignedDuration, Timestamp};

/// Stretches stay for that time whatever happens: the youngest of a lane may still grow.
const KEEP: SignedDuration = SignedDuration::from_hours(1);
/// Stretches that are forgotten in one go.
pub const MOST_FORGOTTEN: u64 = 10_000;

/// What one go forgot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    pub stretches: u64,
    /// Those of them that a hook had not passed when retention let their events go.
    pub undelivered: u64,
    /// Records that lie in those: as many events are lost to that hook at most.
    pub undelivered_records: u64,
}

impl Store {
    /// Forgets at most [`MOST_FORGOTTEN`] stretches that every hook has passed, or nobody follows, or whose events retention has let go.
    pub async fn forget_followed(&self, now: Timestamp) -> Result<Forgotten, StoreError> {
        let row = sqlx::query(
            "with gone as materialized (
                 select b.node, b.lane, b.whose, b.past_sequence, awaited.is_so
                 from usage_upkeep u cross join usage_batches b
                 cross join lateral (select exists (
                     select from export_hooks h
                     left join export_cursors c on c.hook_id = h.id and c.node = b.node and c.lane = b.lane and c.whose = b.whose
                     where coalesce(c.sequence, 0) < b.past_sequence
                         and (h.partner_id is null or b.whose in (h.partner_id, '00000000-0000-0000-0000-000000000000'))
                 ) as is_so) as awaited
                 where b.began_at < $1 and (not awaited.is_so or b.to_at < least(u.live_from, u.test_from))
                 limit $2
             ), deleted as (
                 delete from usage_batches b using gone g
                 where b.node = g.node and b.lane = g.lane and b.whose = g.whose and b.past_sequence = g.past_sequence
                 returning g.is_so, b.past_sequence - b.first_sequence as records
             )
             select count(*) as stretches, count(*) filter (where is_so) as undelivered,
                 coalesce(sum(records) filter (where is_so), 0)::bigint as undelivered_records
             from deleted",
        )
        .bind(Ts(now - KEEP))
        .bind(crate::ingest::signed(MOST_FORGOTTEN))
        .fetch_one(self.pool())
        .await?;
        Ok(Forgotten {
            stretches: row.count("stretches")?,
            undelivered: row.count("undelivered")?,
            undelivered_records: row.count("undelivered_records")?,
        })
    }
}
