//! Hooks: usage events, what corrections change of them and what was told late are sent to an address of somebody's, each at least
//! once, as they are taken in.
//!
//! A hook follows each lane by itself ([`follow`]); who sends, signs and tries again is `server`. Secrets come sealed and go sealed.

/// `with recursive lanes`: all that usage was taken in of, found one after the other in the index.
macro_rules! lanes {
    () => {
        "with recursive lanes as (
             (select node, lane, whose from usage_batches order by node, lane, whose limit 1)
             union all
             select next.node, next.lane, next.whose from lanes l cross join lateral (
                 select b.node, b.lane, b.whose from usage_batches b where (b.node, b.lane, b.whose) > (l.node, l.lane, l.whose)
                 order by b.node, b.lane, b.whose limit 1
             ) as next
         )"
    };
}

mod follow;
mod forget;
mod later;
mod manage;
mod waiting;

pub use follow::{Following, Part, Told};
pub use forget::{Forgotten, MOST_FORGOTTEN};
pub(crate) use later::{CORRECTED, LATE};
pub use later::{CorrectedEvent, LateEvent};
pub use manage::{Hook, HookState, NewHook};
pub use waiting::HookWait;

/// Hooks of an installation.
const MOST_HOOKS: i64 = 100;

#[cfg(test)]
mod tests;
