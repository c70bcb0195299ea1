//! Prepaid credit: grants of units, and which of them a unit comes from.
//!
//! The burn order. Of the grants that may be used in the hour of a call, its units come from
//!
//! 1. the lowest **priority** number: what the operator says goes before all else;
//! 2. of those, what **expires** first, and what never expires last: nothing expires that could have been used;
//! 3. then **promotional**, then **compensation**, then **paid**: of a paid grant the partner can get money back, of the others
//!    nothing, so what was paid for lasts longest;
//! 4. then the **older** by the instant from which it may be used;
//! 5. then the lower identifier, so that two runs never differ.
//!
//! A grant is used by the whole hours (UTC) from the one in which it becomes usable to the one before it expires; so expiries are at
//! full hours. Gateways spend one balance; which grant it was is settled afterwards, by the hour.
//!
//! Grants that name products are apart from the others: their units are in purses that only calls of these products spend, before what is
//! common ([`bound`]). Within a purse the order is this one.

pub mod allocation;
pub mod allotment;
pub mod bound;
pub mod fee_bonus;
pub mod overdraft;
pub mod package;
pub mod top_up;

use crate::id::CreditGrantId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const HOUR_SECONDS: i64 = 3_600;
/// What a grant has where nobody says otherwise.
pub const USUAL_PRIORITY: u8 = 100;

/// Why a partner has the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// Given away.
    #[default]
    Promotional,
    /// For something that went wrong.
    Compensation,
    /// Sold.
    Paid,
}

/// What is left of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantLeft {
    pub id: CreditGrantId,
    pub kind: GrantKind,
    /// The lower, the sooner.
    pub priority: u8,
    pub effective_at: Timestamp,
    /// A full hour.
    pub expires_at: Option<Timestamp>,
    pub left: u64,
}

/// Where units come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Burn {
    /// In the burn order; none is empty.
    pub parts: Vec<(CreditGrantId, u64)>,
    /// What no grant has: the partner owes it to its next one.
    pub short: u64,
}

/// Takes units that were used in the hour that begins then.
pub fn burn(grants: &[GrantLeft], units: u64, hour: Timestamp) -> Burn {
    burn_of(grants, units, |grant| grant.is_usable(hour))
}

/// Takes units of those grants that `usable` says.
pub fn burn_of(grants: &[GrantLeft], units: u64, usable: impl Fn(&GrantLeft) -> bool) -> Burn {
    let mut usable: Vec<&GrantLeft> = grants.iter().filter(|grant| grant.left > 0 && usable(grant)).collect();
    usable.sort_by_key(|grant| grant.place());
    let mut burn = Burn { parts: Vec::new(), short: units };
    for grant in usable {
        let part = grant.left.min(burn.short);
        if part > 0 {
            burn.parts.push((grant.id, part));
            burn.short -= part;
        }
    }
    burn
}

/// The full hour that an expiry is at: that very one, or the next.
pub fn full_hour(at: Timestamp) -> Timestamp {
    let begun = hour_of(at);
    if begun == at { at } else { begun.saturating_add(HOUR).unwrap_or(begun) }
}

/// When the hour of an instant began.
pub fn hour_of(at: Timestamp) -> Timestamp {
    let second = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
    Timestamp::from_second(second - second.rem_euclid(HOUR_SECONDS)).unwrap_or(at)
}

/// What of a grant's cost its first `used` units stand for, in micro-units, rounded down: so the parts add up to the cost, and none
/// is told before it is earned.
pub fn earned_micros(cost_micros: i64, units: u64, used: u64) -> i64 {
    if units == 0 || used >= units {
        return cost_micros;
    }
    let earned = i128::from(cost_micros.max(0)) * i128::from(used) / i128::from(units);
    i64::try_from(earned).unwrap_or(cost_micros)
}

impl GrantLeft {
    /// Whether it pays for calls of the hour that begins then.
    pub fn is_usable(&self, hour: Timestamp) -> bool {
        let past = hour.saturating_add(HOUR).unwrap_or(Timestamp::MAX);
        self.effective_at < past && self.expires_at.is_none_or(|expires| expires > hour)
    }

    /// Whether it pays for what was used in the hour that begins then and no grant had. `is_over` is whether it has ended, `is_billed` whether an
    /// invoice bills the hour: no later grant pays for that. Else the next grant does, as soon as it begins.
    pub fn covers(&self, hour: Timestamp, is_over: bool, is_billed: bool) -> bool {
        let follows = || !is_over && !is_billed && self.expires_at.is_none_or(|expires| expires > hour);
        self.is_usable(hour) || follows()
    }

    /// Where it stands in the burn order: the lower, the sooner.
    pub fn place(&self) -> (u8, Timestamp, GrantKindPlace, Timestamp, CreditGrantId) {
        let expires = self.expires_at.unwrap_or(Timestamp::MAX);
        (self.priority, expires, self.kind.place(), self.effective_at, self.id)
    }
}

/// Where a kind stands in the burn order.
pub type GrantKindPlace = u8;

impl GrantKind {
    pub const ALL: [Self; 3] = [Self::Promotional, Self::Compensation, Self::Paid];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Promotional => "promotional",
            Self::Compensation => "compensation",
            Self::Paid => "paid",
        }
    }

    const fn place(self) -> GrantKindPlace {
        match self {
            Self::Promotional => 0,
            Self::Compensation => 1,
            Self::Paid => 2,
        }
    }
}

impl std::str::FromStr for GrantKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: promotional, compensation or paid"))
    }
}

#[cfg(test)]
mod tests;
