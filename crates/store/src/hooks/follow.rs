//! What a hook gets next, and how far it is.
//!
//! Usage of a lane is taken in by one transaction at a time, which holds the lane until its commit; so whatever can be seen of a lane
//! has all records before it that there will ever be. A cursor for each lane therefore passes nothing by, whenever a batch comes
//! and however old its events are. Over several lanes no order is promised.

use super::{
    Hook, HookState,
    later::{CORRECTED, CorrectedEvent, LATE, LateEvent},
};
use crate::{
    Store, StoreError,
    ingest::{read_back::event_columns, signed},
    row::ReadRow as _,
    time::Ts,
    usage::{StoredEvent, stored},
};
use domain::id::HookId;
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// Stretches of records that are looked through in one go, where none of their events is the hook's.
const MOST_STRETCHES: usize = 40;

/// What a hook gets next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Following {
    /// In the order in which they go out. Those of a lane are in the order of the lane.
    pub parts: Vec<Part>,
}

/// Records of one lane, and those of their events that the hook gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    node: String,
    lane: i32,
    whose: Uuid,
    /// The first record behind it.
    past: i64,
    pub events: Vec<Told>,
}

/// One thing that a hook gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Usage(Box<StoredEvent>),
    Corrected(CorrectedEvent),
    Late(LateEvent),
}

impl Told {
    /// Its number in its lane.
    pub const fn sequence(&self) -> u64 {
        match self {
            Self::Usage(stored) => stored.place.sequence,
            Self::Corrected(corrected) => corrected.number,
            Self::Late(late) => late.sequence,
        }
    }
}

impl Following {
    /// How many events there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.events.len()).sum()
    }

    /// Whether there is neither an event nor anything to pass by.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The events, in order.
    pub fn events(&self) -> impl Iterator<Item = &Told> {
        self.parts.iter().flat_map(|part| &part.events)
    }

    /// Only that many events: the others come the next time.
    #[must_use]
    pub fn cut(mut self, mut keep: usize) -> Self {
        let mut parts = Vec::new();
        for mut part in self.parts {
            if part.events.len() <= keep {
                keep -= part.events.len();
                parts.push(part);
                continue;
            }
            part.events.truncate(keep);
            if let Some(last) = part.events.last() {
                part.past = signed(last.sequence().saturating_add(1));
                parts.push(part);
            }
            break;
        }
        self.parts = parts;
        self
    }
}

/// The first stretch of each lane that is not behind the hook, those first that wait longest. Nothing for a hook that is deleted or
/// stopped, whatever its cursors say.
const STRETCHES: &str = concat!(
    lanes!(),
    "
    select l.node, l.lane, l.whose, greatest(s.sequence, b.first_sequence) as from_sequence, b.past_sequence, b.from_at, b.to_at
    from lanes l
    join export_hooks h on h.id = $1 and h.state = 'active'
    left join export_cursors c on c.hook_id = $1 and c.node = l.node and c.lane = l.lane and c.whose = l.whose
    cross join lateral (
        select greatest(coalesce(c.sequence, 0), max(seen.past)) as sequence
        from unnest($3::text[], $4::int[], $5::uuid[], $6::bigint[]) as seen (node, lane, whose, past)
        where seen.node = l.node and seen.lane = l.lane and seen.whose = l.whose
    ) as s
    cross join lateral (
        select * from usage_batches b where b.node = l.node and b.lane = l.lane and b.whose = l.whose and b.past_sequence > s.sequence
        order by b.past_sequence limit 1
    ) as b
    where $2::uuid is null or l.whose in ($2, '00000000-0000-0000-0000-000000000000')
    order by b.began_at, l.node, l.lane, l.whose
    limit 200"
);

impl Store {
    /// What the hook gets next, at most so many events; nothing where it is deleted or stopped meanwhile. What of other partners' lies
    /// between is passed by.
    pub async fn follow_usage(&self, hook: &Hook, most: usize) -> Result<Following, StoreError> {
        let mut following = Following::default();
        while following.len() < most && following.parts.len() < MOST_STRETCHES {
            let stretches = self.stretches(hook, &following.parts).await?;
            if stretches.is_empty() {
                break;
            }
            for row in &stretches {
                let left = most.saturating_sub(following.len());
                if left == 0 {
                    break;
                }
                let part = self.part(hook, row, left).await?;
                following.parts.push(part);
            }
        }
        Ok(following)
    }

    async fn stretches(&self, hook: &Hook, seen: &[Part]) -> Result<Vec<PgRow>, StoreError> {
        let rows = sqlx::query(STRETCHES)
            .bind(hook.id.0)
            .bind(hook.partner.map(|partner| partner.0))
            .bind(seen.iter().map(|part| part.node.as_str()).collect::<Vec<_>>())
            .bind(seen.iter().map(|part| part.lane).collect::<Vec<_>>())
            .bind(seen.iter().map(|part| part.whose).collect::<Vec<_>>())
            .bind(seen.iter().map(|part| part.past).collect::<Vec<_>>())
            .fetch_all(self.pool())
            .await?;
        Ok(rows)
    }

    async fn part(&self, hook: &Hook, stretch: &PgRow, most: usize) -> Result<Part, StoreError> {
        let (node, lane, whose): (String, i32, Uuid) =
            (stretch.try_get("node")?, stretch.try_get("lane")?, stretch.try_get("whose")?);
        let (from, past): (i64, i64) = (stretch.try_get("from_sequence")?, stretch.try_get("past_sequence")?);
        let events = match node.as_str() {
            CORRECTED if !whose.is_nil() => self.corrected_part(whose, (from, past), most).await?,
            LATE if !whose.is_nil() => self.late_part(whose, (from, past), most).await?,
            _ => self.usage_part(hook, stretch, most).await?,
        };
        let is_all = events.len() < most;
        let past = match events.last().filter(|_| !is_all) {
            Some(last) => signed(last.sequence().saturating_add(1)),
            None => past,
        };
        Ok(Part { node, lane, whose, past, events })
    }

    async fn usage_part(&self, hook: &Hook, stretch: &PgRow, most: usize) -> Result<Vec<Told>, StoreError> {
        let (node, lane, whose): (&str, i32, Uuid) =
            (stretch.try_get("node")?, stretch.try_get("lane")?, stretch.try_get("whose")?);
        let (from, past): (i64, i64) = (stretch.try_get("from_sequence")?, stretch.try_get("past_sequence")?);
        let only = hook.partner.map(|partner| partner.0).or((!whose.is_nil()).then_some(whose));
        let rows = sqlx::query(concat!(
            "select node, lane, source, ",
            event_columns!(),
            " from usage_events
             where at >= $1 and at <= $2 and node = $3 and lane = $4 and sequence >= $5 and sequence < $6
                 and ($7::uuid is null or partner_id = $7)
             order by sequence limit $8"
        ))
        .bind(Ts(stretch.at("from_at")?))
        .bind(Ts(stretch.at("to_at")?))
        .bind(node)
        .bind(lane)
        .bind(from)
        .bind(past)
        .bind(only)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await?;
        let told = |row: &PgRow| Ok(Told::Usage(Box::new(stored(row)?)));
        Ok(rows.iter().map(told).collect::<Result<_, sqlx::Error>>()?)
    }

    /// It got them: it goes on behind them. What somebody else delivered meanwhile stays as it is. Whatever failed before is over,
    /// also where there was nothing to get. Whether it is to get more: it is neither deleted nor stopped.
    pub async fn note_delivered(&self, hook: HookId, got: &Following, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let state: Option<String> = sqlx::query_scalar("select state from export_hooks where id = $1 for update")
            .bind(hook.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(state) = state else { return Ok(false) };
        for part in &got.parts {
            sqlx::query(
                "insert into export_cursors as c (hook_id, node, lane, whose, sequence)
                 values ($1, $2, $3, $4, $5)
                 on conflict (hook_id, node, lane, whose) do update set sequence = greatest(c.sequence, excluded.sequence)",
            )
            .bind(hook.0)
            .bind(&part.node)
            .bind(part.lane)
            .bind(part.whose)
            .bind(part.past)
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query(
            "update export_hooks set delivered = delivered + $2::bigint, failing_since = null, failures = 0, next_try_at = null,
                 delivered_at = case when $2::bigint > 0 then $3 else delivered_at end, message = ''
             where id = $1 and ($2::bigint > 0 or failures > 0)",
        )
        .bind(hook.0)
        .bind(signed(got.len() as u64))
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(state == HookState::Active.code())
    }
}
