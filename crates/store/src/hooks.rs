//! Hooks: usage events are sent to an address of somebody's, each at least once, as they are taken in.
//!
//! A hook follows each lane by itself ([`follow`]); who sends, signs and tries again is `server`. Secrets come sealed and go sealed.

mod follow;
mod manage;

pub use follow::{Following, Part};
pub use manage::{Hook, HookState, NewHook};

/// Hooks of an installation.
const MOST_HOOKS: i64 = 100;

#[cfg(test)]
mod tests;
