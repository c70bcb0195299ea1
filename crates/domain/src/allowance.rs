//! What units are counted against: a partner's quota in one billing period, its prepaid credit, or what of that credit is one app's or
//! team's own, or for calls of some products alone.

use crate::{
    id::{AllocationId, PartnerId},
    period::Period,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which of a partner's two stocks of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The plan's units of a billing period.
    Quota,
    /// Units that were paid for beforehand; they know no period.
    Credit,
}

/// One stock of units: what nodes take blocks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allowance {
    pub partner: PartnerId,
    pub kind: Kind,
    pub period: Period,
    /// Of the credit, the part that was allocated so; `None` is what is common to the whole partner.
    pub allocation: Option<AllocationId>,
}

impl Allowance {
    /// The quota of the partner in that billing period, whatever its plan is by then.
    pub const fn quota(partner: PartnerId, period: Period) -> Self {
        Self { partner, kind: Kind::Quota, period, allocation: None }
    }

    /// The partner's prepaid credit, less what is allocated. Its period is all of time, from 1970 to the year 9999.
    pub const fn credit(partner: PartnerId) -> Self {
        let end = Timestamp::constant(253_370_764_800, 0);
        let period = Period { start: Timestamp::UNIX_EPOCH, end };
        Self { partner, kind: Kind::Credit, period, allocation: None }
    }

    /// Prepaid credit of the partner that an app or a team has for itself, or that only calls of some products spend.
    pub const fn allocation(partner: PartnerId, allocation: AllocationId) -> Self {
        Self { allocation: Some(allocation), ..Self::credit(partner) }
    }
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Quota, Self::Credit];

    /// `quota` or `credit`: the column's text.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Credit => "credit",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: quota or credit"))
    }
}
