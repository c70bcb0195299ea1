//! Limits: calls per window of time. A limit guards the upstream from bursts; a [quota](crate::quota) counts what was sold.

use serde::{Deserialize, Serialize};
use std::fmt;

pub mod caller;
mod counter;
mod pacer;
pub mod rule;
pub mod saved;
pub mod sliding;
pub mod spending;

/// At most `calls` in any sliding window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    pub calls: u32,
    pub window: Window,
}

/// How long a limit's window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    Second,
    Minute,
    Hour,
    Day,
}

impl Window {
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// `minute`: the policy's name in the RateLimit-Policy field, and in words.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls a {}", crate::money::group_thousands(u64::from(self.calls)), self.window.code())
    }
}
