//! Taking usage in, exactly once.
//!
//! A shipper reads a node's spool, lane by lane, and hands over what lies between two positions. One transaction locks the
//! lane's stored position, checks that the batch begins there, copies the events, merges the hourly roll-ups and moves the
//! position. A crash anywhere before the commit leaves everything as it was; a crash after it is found out at the next try,
//! because the position is no longer where the shipper believes it to be. So no unique index on the events is needed.

pub(crate) mod batches;
mod copy;
pub(crate) mod days;
mod gaps;
mod gather;
mod late;
mod meters;
mod prepaid;
pub(crate) mod read_back;
mod rollup;
mod seals;

pub use gaps::{Gap, GapCause};
pub use gather::EventBatch;
pub(crate) use rollup::{Hours, SLOTS_US};
pub use seals::StoredSeal;

use crate::{Store, StoreError, leases::Spending, pool::in_time, row::ReadRow as _, time::Ts};
use jiff::Timestamp;
use sqlx::{Acquire as _, PgConnection, Postgres, Row as _, Transaction};
use std::{collections::BTreeMap, io, time::Duration};
use tokio::time::timeout;

/// How long taking in one batch may take: far longer than where Postgres is well. One that hangs gives no error by itself.
const LONGEST: Duration = Duration::from_secs(60);

/// A place in one lane's spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// Segments rise by one.
    pub segment: u64,
    /// The byte after the last record taken from that segment.
    pub byte_offset: u64,
    /// Records taken from this lane since it began.
    pub sequence: u64,
}

/// A node of which some usage may not have been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeBehind {
    pub node: String,
    /// Until when all of it was; where a lane never caught up, when it was last heard of.
    pub since: Timestamp,
}

/// What a batch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingested {
    pub events: u64,
    /// Records that the spool counted between the two positions and that were not handed over: a gap, to be looked into.
    pub missing: u64,
    /// Calls that measured on meters what no invoice will have: the bill of their period was made.
    pub late_meters: u64,
}

/// Why a batch was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The batch does not begin where the lane stands: read again from there. Nothing was stored.
    #[error("the lane stands elsewhere: segment {}, byte {}", stands_at.segment, stands_at.byte_offset)]
    Moved { stands_at: Position },
    /// Nothing was stored, or the answer to the commit was lost; either way, ask for the position and read on from there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for IngestError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Lanes that are not forgotten, and which of them hold nobody back: their nodes ended before `$1` and told of nothing that is not
/// stored.
macro_rules! lanes {
    () => {
        "select p.node, p.through, p.updated_at, coalesce(p.ended_at < $1, false) and not exists (
                 select from gateway_tally_lanes t
                 where t.node = p.node and t.lane = p.lane and t.through_sequence > p.sequence) as is_over
         from spool_positions p where not p.forgotten"
    };
}

impl Store {
    /// Where each lane of a node stands. A lane that is not there stands at [`Position::default`].
    pub async fn positions(&self, node: &str) -> Result<BTreeMap<u16, Position>, StoreError> {
        let rows = sqlx::query("select lane, segment, byte_offset, sequence from spool_positions where node = $1")
            .bind(node)
            .fetch_all(self.pool());
        let rows = in_time(rows).await?;
        let mut positions = BTreeMap::new();
        for row in rows {
            let lane: i32 = row.try_get("lane")?;
            let lane = u16::try_from(lane).map_err(|error| crate::row::unreadable("lane", error))?;
            positions.insert(lane, read_position(&row)?);
        }
        Ok(positions)
    }

    /// Takes in the events between two positions of a lane: gathered, or as node, lane and events with their numbers.
    ///
    /// The work is done in a task of its own: giving up on the returned future neither undoes nor breaks it. It takes one
    /// connection, and ends within a minute, whatever becomes of Postgres: the connection is closed then.
    pub async fn ingest(
        &self,
        events: impl Into<EventBatch>,
        from: Position,
        to: Position,
        now: Timestamp,
    ) -> Result<Ingested, IngestError> {
        let (store, batch) = (self.clone(), Batch { events: events.into(), from, to, now });
        let work = tokio::spawn(async move { store.ingest_within(LONGEST, batch).await });
        work.await.unwrap_or_else(|stopped| Err(sqlx::Error::Io(io::Error::other(stopped)).into()))
    }

    async fn ingest_within(&self, longest: Duration, batch: Batch) -> Result<Ingested, IngestError> {
        let mut connection = self.pool().acquire().await?;
        let outcome = timeout(longest, batch.take_in(&mut connection)).await;
        outcome.unwrap_or_else(|_| {
            // Given back it would wait for its answer.
            connection.close_on_drop();
            Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()).into())
        })
    }

    /// Says that every call recorded in this lane before `at` has been taken in: the shipper found nothing more to read.
    pub async fn caught_up(&self, node: &str, lane: u16, at: Timestamp) -> Result<(), StoreError> {
        let told = sqlx::query(
            "insert into spool_positions (node, lane, segment, byte_offset, sequence, updated_at, through, heard_at)
             values ($1, $2, 0, 0, 0, $3, $3, $3)
             on conflict (node, lane) do update
                 set through = greatest(spool_positions.through, excluded.through), forgotten = false, lost_until = null,
                     ended_at = null",
        )
        .bind(node)
        .bind(i32::from(lane))
        .bind(Ts(at))
        .execute(self.pool());
        in_time(told).await?;
        Ok(())
    }

    /// Says that the node has ended and that its lanes that had caught up at `last_call` or later have nothing more to hand over:
    /// from here on their silence means that there are no calls.
    pub async fn note_end(&self, node: &str, last_call: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let noted = sqlx::query("update spool_positions set ended_at = $3 where node = $1 and through >= $2")
            .bind(node)
            .bind(Ts(last_call))
            .bind(Ts(now))
            .execute(self.pool());
        in_time(noted).await?;
        Ok(())
    }

    /// Until when all usage of all nodes has been taken in; `None` before any lane has caught up.
    ///
    /// A node that died holds this back until its spool has been read, or until it is [forgotten](Self::forget_node): a
    /// bill is late rather than wrong. One that ended as it should, before `ended_before`, and handed over all that it told of does not;
    /// where there are no others, that instant is the answer. It may have begun again since without Postgres, and nobody knows: so
    /// leave it the time within which it can.
    pub async fn ingested_through(&self, ended_before: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(concat!(
            "select case when count(*) filter (where not is_over) > 0 then
                     case when bool_and(through is not null) filter (where not is_over)
                         then min(through) filter (where not is_over) end
                 when count(*) > 0 then $1 end as through
             from (",
            lanes!(),
            ") as lanes"
        ))
        .bind(Ts(ended_before))
        .fetch_one(self.pool())
        .await?;
        Ok(row.at_if_any("through")?)
    }

    /// The nodes that had not caught up at `then`: they hold [`Self::ingested_through`] back, the furthest behind first.
    pub async fn nodes_behind(&self, then: Timestamp, ended_before: Timestamp) -> Result<Vec<NodeBehind>, StoreError> {
        let rows = sqlx::query(concat!(
            "select node, min(coalesce(through, updated_at)) as since from (",
            lanes!(),
            ") as lanes where not is_over and (through is null or through < $2) group by node order by since, node"
        ))
        .bind(Ts(ended_before))
        .bind(Ts(then))
        .fetch_all(self.pool())
        .await?;
        let node = |row: &sqlx::postgres::PgRow| Ok(NodeBehind { node: row.try_get("node")?, since: row.at("since")? });
        Ok(rows.iter().map(node).collect::<Result<_, sqlx::Error>>()?)
    }

    /// How long the newest usage may have waited: the time since the lane that is furthest behind had caught up, of nodes that have not
    /// ended.
    pub async fn usage_lag(&self, now: Timestamp) -> Result<Option<jiff::SignedDuration>, StoreError> {
        Ok(self.ingested_through(now).await?.map(|through| now.duration_since(through)))
    }

    /// Waits no more for a node that will never come back, and gives back the units that it held; how many those are.
    /// Whatever its spool still held is given up. Where it comes back all the same, it goes on where it stood, and what is of closed
    /// periods is on the partners' next invoices.
    ///
    /// `served_until` is until when it may have served calls that it alone knew of: they count as lost. One that ended as it should
    /// had handed all over.
    pub async fn forget_node(&self, node: &str, served_until: Option<Timestamp>) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("select release_leases($1) as units").bind(node).fetch_one(&mut *tx).await?;
        sqlx::query("delete from gateway_nodes where node = $1").bind(node).execute(&mut *tx).await?;
        sqlx::query(
            "update spool_positions set forgotten = true, lost_until = case when ended_at is null then $2::timestamptz end
             where node = $1",
        )
        .bind(node)
        .bind(served_until.map(Ts))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(row.count("units")?)
    }
}

/// What lies between two positions of a lane.
struct Batch {
    events: EventBatch,
    from: Position,
    to: Position,
    now: Timestamp,
}

impl Batch {
    async fn take_in(&self, connection: &mut PgConnection) -> Result<Ingested, IngestError> {
        let Self { ref events, from, to, now } = *self;
        let (node, lane) = (events.node.as_str(), events.lane);
        let mut tx = connection.begin().await?;
        let stands_at = lock_position(&mut tx, node, lane, now).await?;
        if stands_at != from {
            tx.rollback().await?;
            return Err(IngestError::Moved { stands_at });
        }
        let mut late = late::LateCalls::default();
        if let Some(bounds) = events.bounds {
            late = late::LateCalls::find(&mut tx, &events.counting, now).await?;
            days::enter(&mut tx).await?;
            let spending = Spending::of(&events.spent);
            spending.open(&mut tx, node).await?;
            // Events are only ever added, and a crash of Postgres itself takes position and events together.
            events.rows.copy(&mut tx).await?;
            events.hours.merge(&mut tx).await?;
            events.prepaid.merge(&mut tx).await?;
            events.meters.merge(&mut tx, (node, lane)).await?;
            spending.spend(&mut tx, node).await?;
            batches::note(&mut tx, (node, lane, None), bounds.into_iter(), now).await?;
            late.note(&mut tx, (node, lane), now).await?;
        }
        move_position(&mut tx, node, lane, to, now).await?;
        tx.commit().await?;
        let taken = events.events;
        Ok(Ingested {
            events: taken,
            missing: to.sequence.saturating_sub(from.sequence).saturating_sub(taken),
            late_meters: late.unbilled_meters(),
        })
    }
}

async fn move_position(
    tx: &mut Transaction<'_, Postgres>,
    node: &str,
    lane: u16,
    to: Position,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update spool_positions set segment = $3, byte_offset = $4, sequence = $5, updated_at = $6, forgotten = false,
             lost_until = null, ended_at = null
         where node = $1 and lane = $2",
    )
    .bind(node)
    .bind(i32::from(lane))
    .bind(signed(to.segment))
    .bind(signed(to.byte_offset))
    .bind(signed(to.sequence))
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn lock_position(
    tx: &mut Transaction<'_, Postgres>,
    node: &str,
    lane: u16,
    now: Timestamp,
) -> Result<Position, sqlx::Error> {
    sqlx::query(
        "insert into spool_positions (node, lane, segment, byte_offset, sequence, updated_at, heard_at)
         values ($1, $2, 0, 0, 0, $3, $3) on conflict do nothing",
    )
    .bind(node)
    .bind(i32::from(lane))
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    let row = sqlx::query(
        "select segment, byte_offset, sequence from spool_positions where node = $1 and lane = $2 for update",
    )
    .bind(node)
    .bind(i32::from(lane))
    .fetch_one(&mut **tx)
    .await?;
    read_position(&row)
}

fn read_position(row: &sqlx::postgres::PgRow) -> Result<Position, sqlx::Error> {
    Ok(Position {
        segment: row.count("segment")?,
        byte_offset: row.count("byte_offset")?,
        sequence: row.count("sequence")?,
    })
}

/// Postgres has no unsigned integers; what does not fit is beyond any real count and is held at the largest.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
