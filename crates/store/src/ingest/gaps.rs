//! Numbers of a lane under which nothing is stored, and why.

use super::{IngestError, Position, lock_position, move_position, signed};
use crate::{
    Actor, Store, StoreError,
    audit::{self, Entry},
    row::ReadRow as _,
    time::Ts,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _};

/// Numbers of one lane, from `first` to before `past`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub first: u64,
    pub past: u64,
    pub cause: GapCause,
    pub note: String,
}

/// Why there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// An operator gave up what could not be read.
    Damage,
    /// The gateway's disk failed, and the calls were refused.
    Unsynced,
}

impl GapCause {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Damage => "damage",
            Self::Unsynced => "unsynced",
        }
    }
}

impl Store {
    /// Writes down which numbers a lane has and does not use. The same gap is written once.
    pub async fn note_unsynced(
        &self,
        node: &str,
        lane: u16,
        gaps: &[(u64, u64)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for (first, past) in gaps {
            let gap = Gap { first: *first, past: *past, cause: GapCause::Unsynced, note: String::new() };
            note(&mut tx, node, lane, &gap, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Goes on behind damage: moves the lane from where it stands to `to`, and writes down the numbers between the two as a
    /// gap, and who decided it.
    ///
    /// # Errors
    /// [`IngestError::Moved`] where the lane does not stand at `from`.
    pub async fn skip_damage(
        &self,
        node: &str,
        lane: u16,
        (from, to): (Position, Position),
        told: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), IngestError> {
        let mut tx = self.begin().await?;
        let stands_at = lock_position(&mut tx, node, lane, now).await?;
        if stands_at != from {
            tx.rollback().await.map_err(StoreError::from)?;
            return Err(IngestError::Moved { stands_at });
        }
        let gap = Gap { first: from.sequence, past: to.sequence, cause: GapCause::Damage, note: told.to_owned() };
        if gap.past > gap.first {
            note(&mut tx, node, lane, &gap, now).await?;
        }
        move_position(&mut tx, node, lane, to, now).await?;
        let place = |at: Position| json!({"segment": at.segment, "byte": at.byte_offset, "record": at.sequence});
        let subject = format!("{node}/{lane}");
        let entry = Entry::new(actor, None, "usage.skip_damage", &subject)
            .before(place(from))
            .after(json!({"to": place(to), "records_lost": to.sequence.saturating_sub(from.sequence), "note": told}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// All gaps of a lane, in order.
    pub async fn usage_gaps(&self, node: &str, lane: u16) -> Result<Vec<Gap>, StoreError> {
        let rows = sqlx::query(
            "select first_sequence, past_sequence, cause, note from usage_gaps where node = $1 and lane = $2
             order by first_sequence",
        )
        .bind(node)
        .bind(i32::from(lane))
        .fetch_all(self.pool())
        .await?;
        let gap = |row: &sqlx::postgres::PgRow| {
            let cause: String = row.try_get("cause")?;
            Ok(Gap {
                first: row.count("first_sequence")?,
                past: row.count("past_sequence")?,
                cause: if cause == GapCause::Damage.code() { GapCause::Damage } else { GapCause::Unsynced },
                note: row.try_get("note")?,
            })
        };
        Ok(rows.iter().map(gap).collect::<Result<_, sqlx::Error>>()?)
    }
}

async fn note(tx: &mut PgConnection, node: &str, lane: u16, gap: &Gap, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into usage_gaps (node, lane, first_sequence, past_sequence, cause, found_at, note, from_at)
         select $1, $2, $3, $4, $5, $6, $7, (select coalesce(through, heard_at) from spool_positions where node = $1 and lane = $2)
         on conflict do nothing",
    )
    .bind(node)
    .bind(i32::from(lane))
    .bind(signed(gap.first))
    .bind(signed(gap.past))
    .bind(gap.cause.code())
    .bind(Ts(now))
    .bind(&gap.note)
    .execute(tx)
    .await?;
    Ok(())
}
