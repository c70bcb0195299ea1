//! How long hooks wait for what they have not got, whether or not anybody is sending.

use super::HookState;
use crate::{Store, StoreError, row::ReadRow as _};
use domain::id::HookId;
use jiff::Timestamp;
use sqlx::Row as _;

/// How far behind a hook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookWait {
    pub id: HookId,
    pub state: HookState,
    /// When the oldest of what it has not got was taken in; `None` where it has all, and where it is stopped.
    pub since: Option<Timestamp>,
}

impl Store {
    /// Of every hook, however it does.
    pub async fn hooks_waiting(&self) -> Result<Vec<HookWait>, StoreError> {
        let rows = sqlx::query(concat!(
            lanes!(),
            "
            select h.id, h.state, min(next.began_at) as since
            from export_hooks h
            left join lateral (
                select b.began_at from lanes l
                left join export_cursors c on c.hook_id = h.id and c.node = l.node and c.lane = l.lane and c.whose = l.whose
                cross join lateral (
                    select began_at from usage_batches b where b.node = l.node and b.lane = l.lane and b.whose = l.whose
                        and b.past_sequence > coalesce(c.sequence, 0)
                    order by b.past_sequence limit 1
                ) as b
                where h.partner_id is null or l.whose in (h.partner_id, '00000000-0000-0000-0000-000000000000')
            ) as next on h.state = 'active'
            group by h.id, h.state order by h.id"
        ))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(HookWait {
                id: HookId(row.try_get("id")?),
                state: row.try_get::<&str, _>("state")?.parse()?,
                since: row.at_if_any("since")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}
