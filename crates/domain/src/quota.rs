//! Quotas: units per billing period, and what happens beyond them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Units that a plan holds for each billing period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Quota {
    pub units: u64,
    pub beyond: Beyond,
}

/// Units that hold for one billing period in place of the plan's, after a change of plan within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeriodQuota {
    pub units: u64,
    /// The end of that period.
    pub until: Timestamp,
}

impl Quota {
    /// The quota in a period that ends then.
    #[must_use]
    pub fn in_period(self, own: Option<PeriodQuota>, end: Timestamp) -> Self {
        own.filter(|own| own.until == end).map_or(self, |own| Self { units: own.units, ..self })
    }
}

/// What happens to the call that would pass the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// Refused with 429 until the next period; never overshot.
    Block,
    /// Served, and priced as usage.
    Bill,
    /// Served, with a warning header and a notice on the dashboard.
    Warn,
}

impl Beyond {
    pub const ALL: [Self; 3] = [Self::Block, Self::Bill, Self::Warn];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Bill => "bill",
            Self::Warn => "warn",
        }
    }

    pub const fn describe(self) -> &'static str {
        match self {
            Self::Block => "Calls beyond it are refused",
            Self::Bill => "Calls beyond it are served and billed",
            Self::Warn => "Calls beyond it are served with a warning",
        }
    }
}

impl std::str::FromStr for Beyond {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|beyond| beyond.code() == text)
            .ok_or_else(|| format!("{text:?} is not known: block, bill or warn"))
    }
}
