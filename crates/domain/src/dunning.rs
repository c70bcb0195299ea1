//! What follows when an invoice stays unpaid past its due date: grace, then lowered limits, then refused calls.
//!
//! A stage is never entered without a mail before it, and the next one begins only when the mail had its days. Paying goes back at once.

mod lowered;

use crate::{id::InvoiceId, limit::Limit, money::Currency, plan::Problem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How long before a stage its partner is told, unless the stage before it is shorter.
pub const NOTICE: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Days to pay where nobody says otherwise.
pub const DAYS_UNTIL_DUE: u16 = 14;
const MOST_DAYS: u16 = 365;

/// How far unpaid invoices have brought a partner, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    #[default]
    Good,
    /// An invoice is overdue; nothing else has changed.
    Grace,
    /// The plan's limits are lowered.
    Limited,
    /// Calls are refused with 402.
    Suspended,
}

/// What a plan does about invoices that stay unpaid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnpaidRules {
    /// After the due date, before limits are lowered.
    #[serde(default = "two_weeks")]
    pub grace_days: u16,
    /// With lowered limits, before calls are refused.
    #[serde(default = "two_weeks")]
    pub limited_days: u16,
    /// Of a hundred: what is left of the plan's limits, at least one call each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_percent: Option<u8>,
    /// Limits for the partner, besides: the lower one counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited_limits: Vec<Limit>,
    /// Micro-units of the plan's currency: an invoice of which less is owed has no consequence.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum_micros: i64,
}

/// How many days each stage lasts, the partner's own where it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    pub grace: u16,
    pub limited: u16,
}

/// Days that count for one partner in place of the plan's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnDays {
    pub grace: Option<u16>,
    pub limited: Option<u16>,
}

/// How a partner stands, to decide what is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub stage: Stage,
    /// The unpaid invoice that was due first, and when its days began to count; `None` where all is well.
    pub owed: Option<(InvoiceId, Timestamp)>,
    /// The stage that the partner was told of, for which invoice and when.
    pub told: Option<(Stage, InvoiceId, Timestamp)>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    Nothing,
    /// Say that the stage begins at this instant, unless the invoice is paid.
    Tell(Stage, Timestamp),
    Enter(Stage),
}

impl Stage {
    pub const ALL: [Self; 4] = [Self::Good, Self::Grace, Self::Limited, Self::Suspended];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Grace => "grace",
            Self::Limited => "limited",
            Self::Suspended => "suspended",
        }
    }

    /// In a word for a badge.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "Good",
            Self::Grace => "Overdue",
            Self::Limited => "Limited",
            Self::Suspended => "Suspended",
        }
    }

    /// The one that follows.
    pub const fn worse(self) -> Option<Self> {
        match self {
            Self::Good => Some(Self::Grace),
            Self::Grace => Some(Self::Limited),
            Self::Limited => Some(Self::Suspended),
            Self::Suspended => None,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Stage {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|stage| stage.code() == text);
        found.ok_or_else(|| format!("{text:?} is not known: good, grace, limited or suspended"))
    }
}

impl OwnDays {
    /// What is wrong with them.
    pub fn problems(self) -> Vec<Problem> {
        let named = [("grace_days", self.grace), ("limited_days", self.limited)];
        let wrong = named.into_iter().filter(|(_, days)| days.is_some_and(|days| days > MOST_DAYS));
        wrong.map(|(field, _)| Problem::new(field, "At most 365 days")).collect()
    }
}

impl Days {
    /// The partner's own before the plan's.
    pub fn of(rules: &UnpaidRules, own: OwnDays) -> Self {
        Self { grace: own.grace.unwrap_or(rules.grace_days), limited: own.limited.unwrap_or(rules.limited_days) }
    }

    /// When the stage begins for an invoice whose days count from `due`.
    pub fn begins(self, stage: Stage, due: Timestamp) -> Timestamp {
        let days = match stage {
            Stage::Good | Stage::Grace => 0,
            Stage::Limited => i64::from(self.grace),
            Stage::Suspended => i64::from(self.grace) + i64::from(self.limited),
        };
        due.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
    }

    /// How long before the stage its partner is told: never longer than the stage before it lasts.
    fn notice(self, stage: Stage) -> SignedDuration {
        let before = |days: u16| SignedDuration::from_hours(24 * i64::from(days)).min(NOTICE);
        match stage {
            Stage::Good => SignedDuration::ZERO,
            Stage::Grace => NOTICE,
            Stage::Limited => before(self.grace),
            Stage::Suspended => before(self.limited),
        }
    }
}

impl Standing {
    /// What is to be done at `now`. Called again after each step until it is nothing.
    pub fn next(&self, days: Days, now: Timestamp) -> Next {
        let Some((invoice, due)) = self.owed else {
            return if self.stage == Stage::Good { Next::Nothing } else { Next::Enter(Stage::Good) };
        };
        let reached = if now < due {
            Stage::Good
        } else {
            let begun = Stage::ALL.into_iter().filter(|stage| days.begins(*stage, due) <= now);
            begun.max().unwrap_or_default()
        };
        if self.stage > reached {
            return Next::Enter(reached);
        }
        let Some(worse) = self.stage.worse() else { return Next::Nothing };
        let (begins, notice) = (days.begins(worse, due), days.notice(worse));
        let after = |at: Timestamp| at.saturating_add(notice).unwrap_or(Timestamp::MAX);
        match self.told.filter(|(stage, of, _)| (*stage, *of) == (worse, invoice)) {
            Some((_, _, at)) if now >= begins.max(after(at)) => Next::Enter(worse),
            Some(_) => Next::Nothing,
            None if now >= begins.saturating_sub(notice).unwrap_or(Timestamp::MIN) => {
                Next::Tell(worse, begins.max(after(now)))
            }
            None => Next::Nothing,
        }
    }

    /// The stage that the partner had for the invoice before something held it back, as far as it is due by now: the one that it was told
    /// of, or the one before where that notice still runs.
    pub fn had(&self, days: Days, now: Timestamp) -> Option<Stage> {
        let (invoice, due) = self.owed?;
        let (told, _, at) = self.told.filter(|(_, of, _)| *of == invoice)?;
        let is_due = |stage: &Stage| *stage != Stage::Good && days.begins(*stage, due) <= now;
        let noticed =
            |stage: &Stage| *stage < told || at.saturating_add(days.notice(told)).unwrap_or(Timestamp::MAX) <= now;
        Stage::ALL.into_iter().filter(|stage| *stage <= told).filter(is_due).filter(noticed).max()
    }

    /// When the next stage begins at the earliest, if nobody pays.
    pub fn worsens_at(&self, days: Days) -> Option<Timestamp> {
        let (invoice, due) = self.owed?;
        let worse = self.stage.worse()?;
        let begins = days.begins(worse, due);
        let told = self.told.filter(|(stage, of, _)| (*stage, *of) == (worse, invoice));
        let after = told.and_then(|(_, _, at)| at.saturating_add(days.notice(worse)).ok());
        Some(after.map_or(begins, |after| begins.max(after)))
    }
}

impl UnpaidRules {
    /// What is wrong with them by themselves; `has_limits` says whether the plan has any limits of its own.
    pub(crate) fn problems(&self, currency: Currency, largest: i64, has_limits: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| problems.push(Problem::new(format!("unpaid.{field}"), message));
        for (field, days) in [("grace_days", self.grace_days), ("limited_days", self.limited_days)] {
            if days > MOST_DAYS {
                add(field, "At most 365 days");
            }
        }
        match self.limited_percent {
            Some(0 | 101..) => add("limited_percent", "This is 1 to 100 percent"),
            Some(_) if !has_limits => {
                add("limited_percent", "The plan has no limits of which a share could be left: name limited_limits");
            }
            None if self.limited_limits.is_empty() => {
                add("limited_percent", "Say what is left of the limits: limited_percent, limited_limits or both");
            }
            _ => {}
        }
        for (index, limit) in self.limited_limits.iter().enumerate() {
            if limit.calls == 0 {
                add(&format!("limited_limits[{index}].calls"), "A limit allows at least one call");
            }
            if self.limited_limits[..index].iter().any(|earlier| earlier.window == limit.window) {
                let message = format!("There are two limits a {}; keep one", limit.window.code());
                add(&format!("limited_limits[{index}].window"), &message);
            }
        }
        let minimum = self.minimum_micros;
        if minimum < 0 || minimum % currency.micros_per_minor() != 0 || minimum > largest {
            add("minimum", "The minimum is zero to 1,000,000,000, in whole coins of the currency");
        }
        problems
    }
}

fn two_weeks() -> u16 {
    14
}

fn is_zero(micros: &i64) -> bool {
    *micros == 0
}

#[cfg(test)]
mod tests;
