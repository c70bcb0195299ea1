//! What a plan admits beyond its limits for the whole partner: limits for each app and key, concurrency, pace, credit.

use crate::{
    credit::{allotment::Allotment, fee_bonus::FeeBonus, overdraft::Overdraft},
    limit::Limit,
    plan::Problem,
};
use serde::{Deserialize, Serialize};

/// A plan's admission; all defaults together change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Calls per window for each app, besides the partner's limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app_limits: Vec<Limit>,
    /// Calls per window for each key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_limits: Vec<Limit>,
    /// Calls that may be in flight at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// How limits let calls through.
    #[serde(skip_serializing_if = "super::is_default")]
    pub limits: Pace,
    /// How credit is spent.
    #[serde(skip_serializing_if = "super::is_default")]
    pub credit: Credit,
}

/// Calls in flight at once, on each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    pub calls: u32,
}

/// How a limit or a credit balance lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// All of a window at once, if the caller wants.
    #[default]
    BurstThrough,
    /// Evenly: each call is at least window / calls after the one before.
    Spread,
    /// A tenth of the window at once, the rest evenly.
    Hybrid,
}

impl Preset {
    pub const ALL: [Self; 3] = [Self::BurstThrough, Self::Spread, Self::Hybrid];

    pub const fn code(self) -> &'static str {
        match self {
            Self::BurstThrough => "burst_through",
            Self::Spread => "spread",
            Self::Hybrid => "hybrid",
        }
    }

    pub const fn describe(self) -> &'static str {
        match self {
            Self::BurstThrough => "All of a window at once",
            Self::Spread => "Evenly over the window",
            Self::Hybrid => "A tenth at once, the rest evenly",
        }
    }
}

impl std::str::FromStr for Preset {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.code() == text)
            .ok_or_else(|| format!("{text:?} is not known: burst_through, spread or hybrid"))
    }
}

/// How limits act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    pub preset: Preset,
    /// Delays calls near the limit before any is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// Only tells: calls beyond a limit are served with a warning header and counted.
    pub soft: bool,
}

/// A bounded delay that grows from nothing at `from_percent` of the limit to `max_delay_ms` at the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Of the limit, 1 to 99.
    pub from_percent: u8,
    /// Milliseconds, at most 10,000.
    pub max_delay_ms: u32,
}

/// Whether calls spend prepaid credit, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Credit {
    /// Each unit beyond the quota, or each unit where there is none, takes one credit; 402 when they are short.
    pub required: bool,
    /// How fast credit may be spent.
    pub preset: Preset,
    /// The most units of credit in any minute, which [`Preset::Spread`] and [`Preset::Hybrid`] pace; `None` does not pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_per_minute: Option<u32>,
    /// Units that each period begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allotment: Option<Allotment>,
    /// Units that a fee in advance gives once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_bonus: Option<FeeBonus>,
    /// How far below zero the balance may go, and what that costs; `None` refuses at zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdraft: Option<Overdraft>,
}

impl Admission {
    pub(crate) fn problems(&self, problems: &mut Vec<Problem>) {
        for (name, limits) in [("app_limits", &self.app_limits), ("key_limits", &self.key_limits)] {
            for (index, limit) in limits.iter().enumerate() {
                if limit.calls == 0 {
                    let field = format!("admission.{name}[{index}].calls");
                    problems.push(Problem::new(field, "A limit allows at least one call"));
                }
                if limits[..index].iter().any(|earlier| earlier.window == limit.window) {
                    let message = format!("There are two limits a {}; keep one", limit.window.code());
                    problems.push(Problem::new(format!("admission.{name}[{index}].window"), message));
                }
            }
        }
        if self.concurrency.is_some_and(|concurrency| concurrency.calls == 0) {
            problems.push(Problem::new("admission.concurrency.calls", "At least one call may be in flight"));
        }
        if let Some(throttle) = self.limits.throttle {
            if !(1..=99).contains(&throttle.from_percent) {
                problems.push(Problem::new("admission.limits.throttle.from_percent", "This is 1 to 99 percent"));
            }
            if !(1..=10_000).contains(&throttle.max_delay_ms) {
                problems
                    .push(Problem::new("admission.limits.throttle.max_delay_ms", "This is 1 to 10000 milliseconds"));
            }
        }
        if self.credit.units_per_minute == Some(0) {
            problems.push(Problem::new("admission.credit.units_per_minute", "At least one unit a minute"));
        }
        if let Some(allotment) = self.credit.allotment {
            allotment.problems(problems);
            if !self.credit.required {
                let message = "Calls of this plan spend no credit; let them, or leave the allotment out";
                problems.push(Problem::new("admission.credit.allotment.units", message));
            }
        }
        if let Some(bonus) = self.credit.fee_bonus {
            bonus.problems(problems);
            if !self.credit.required {
                let message = "Calls of this plan spend no credit; let them, or leave the bonus out";
                problems.push(Problem::new("admission.credit.fee_bonus.units", message));
            }
        }
        if let Some(overdraft) = self.credit.overdraft {
            overdraft.problems(problems);
            if !self.credit.required {
                let message = "Calls of this plan spend no credit; let them, or leave the overdraft out";
                problems.push(Problem::new("admission.credit.overdraft.units", message));
            }
        }
    }
}
