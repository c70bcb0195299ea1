//! Corrections of usage that was counted already: what an operator may ask for, and what that does to one event.
//!
//! Stored events are never changed. A correction adds what makes the sums as if they had been counted otherwise, and its revert
//! adds the opposite.

use crate::{
    id::{AppId, KeyId},
    key_text::Environment,
    plan::Problem,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Events that one correction may touch.
pub const MOST_EVENTS: usize = 100_000;
/// Units that each event may be set to.
pub const MOST_UNITS: u64 = 1_000_000_000;
/// Calls, and units, of one back-fill.
pub const MOST_BACK_FILLED: u64 = 1_000_000_000_000;
/// Characters of a reason.
const LONGEST_REASON: usize = 500;

/// Which events of a partner. What is left out does not narrow it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// From this instant on, up to the other.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub environment: Option<Environment>,
    /// Code or id.
    pub product: Option<String>,
    /// Code or id, of the product.
    pub operation: Option<String>,
    pub app: Option<AppId>,
    pub key: Option<KeyId>,
    /// Of one call; of what was told from outside, the producer's own id.
    pub request_id: Option<String>,
    /// Who told it, where that was no gateway of ours.
    pub source: Option<String>,
}

/// What becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// They count nothing: no call, no units, no bytes.
    Void,
    /// Each costs so many units. Of several, only those that cost something do.
    SetUnits { units: u64 },
    /// Calls that nobody counted; the filter stays empty.
    BackFill(BackFill),
}

/// Calls and their units, all at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackFill {
    pub at: Timestamp,
    pub calls: u64,
    /// Of all of the calls together.
    pub units: u64,
    #[serde(default = "live")]
    pub environment: Environment,
    /// Code or id.
    pub product: Option<String>,
    /// Code or id, of the product.
    pub operation: Option<String>,
    pub app: Option<AppId>,
}

const fn live() -> Environment {
    Environment::Live
}

/// A correction as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCorrection {
    pub change: Change,
    #[serde(default)]
    pub filter: Filter,
    /// For people: on the partner's pages, too.
    pub reason: String,
}

/// How far a correction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has been tried dry, and waits for an approval.
    Draft,
    Approved,
    /// It counts.
    Applied,
    /// It counted, and was taken back.
    Reverted,
    /// It will never count.
    Refused,
}

/// How an event counts, or by how much that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    pub calls: i64,
    pub units: i64,
    /// Of the units, those that were paid with credit.
    pub credits: i64,
    /// Of those, what the app or team had for itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub allocated: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    pub duration_us: i64,
}

impl Change {
    /// `void`, `set_units` or `back_fill`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::SetUnits { .. } => "set_units",
            Self::BackFill(_) => "back_fill",
        }
    }

    /// By how much an event changes that counts like this now; nothing where it was voided. `alone` where it was named by itself.
    ///
    /// Credit is given back first, because it is what units were paid with that the quota did not have.
    pub fn delta(&self, now: Counted, alone: bool) -> Counted {
        match self {
            Self::Void => now.turned(),
            Self::SetUnits { units } if now.calls > 0 && (alone || now.units > 0) => {
                let units = i64::try_from(*units).unwrap_or(i64::MAX).saturating_sub(now.units);
                let credits = units.min(0).saturating_add(now.credits).max(0).saturating_sub(now.credits);
                // What is common was taken last.
                let allocated = credits.saturating_add(now.credits).min(now.allocated).saturating_sub(now.allocated);
                Counted { units, credits, allocated, ..Counted::default() }
            }
            Self::SetUnits { .. } | Self::BackFill(_) => Counted::default(),
        }
    }
}

/// Left out where it says nothing: what was tried before there were allocations is the same now.
fn is_zero(units: &i64) -> bool {
    *units == 0
}

impl Counted {
    /// The opposite.
    #[must_use]
    pub const fn turned(self) -> Self {
        Self {
            calls: self.calls.saturating_neg(),
            units: self.units.saturating_neg(),
            credits: self.credits.saturating_neg(),
            allocated: self.allocated.saturating_neg(),
            bytes_in: self.bytes_in.saturating_neg(),
            bytes_out: self.bytes_out.saturating_neg(),
            duration_us: self.duration_us.saturating_neg(),
        }
    }

    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl NewCorrection {
    /// What is wrong with it, in words for the person who asks for it.
    ///
    /// # Errors
    /// The first field that cannot be taken.
    pub fn check(&self, now: Timestamp) -> Result<(), Problem> {
        let problem =
            |field: &str, message: &str| Err(Problem { field: field.to_owned(), message: message.to_owned() });
        if !(1..=LONGEST_REASON).contains(&self.reason.trim().chars().count()) {
            return problem("reason", "Give a reason of 1 to 500 characters; the partner sees it");
        }
        let Filter { from, to, product, operation, .. } = &self.filter;
        match &self.change {
            Change::BackFill(_) if self.filter != Filter::default() => {
                problem("filter", "A back-fill adds calls and chooses none: leave the filter out")
            }
            Change::BackFill(fill) => fill.check(now),
            Change::SetUnits { units } if *units > MOST_UNITS => {
                problem("units", "An event has at most 1,000,000,000 units")
            }
            Change::Void | Change::SetUnits { .. } => match (from, to) {
                (None, _) | (_, None) if self.filter.request_id.is_none() => {
                    problem("from", "Say from when to when, or name one request by its id")
                }
                (Some(from), Some(to)) if from >= to => problem("to", "The end must be after the beginning"),
                (_, Some(to)) if *to > now => {
                    problem("to", "The end is still to come; choose one that is past, so that nothing more is hit")
                }
                _ if operation.is_some() && product.is_none() => {
                    problem("product", "Name the product, too: operations of several may have this name")
                }
                _ => Ok(()),
            },
        }
    }
}

impl BackFill {
    fn check(&self, now: Timestamp) -> Result<(), Problem> {
        let problem =
            |field: &str, message: &str| Err(Problem { field: field.to_owned(), message: message.to_owned() });
        if self.at > now {
            return problem("at", "This is still to come; choose the instant at which it happened");
        }
        if !(1..=MOST_BACK_FILLED).contains(&self.calls) {
            return problem("calls", "Enter a number of calls, at least 1");
        }
        if self.units > MOST_BACK_FILLED {
            return problem("units", "These are more units than one correction can add");
        }
        if self.operation.is_some() && self.product.is_none() {
            return problem("product", "Name the product, too: operations of several may have this name");
        }
        Ok(())
    }
}

/// The text names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state of a correction")]
pub struct UnknownState(pub String);

impl State {
    /// In the order in which they come.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Approved, Self::Applied, Self::Reverted, Self::Refused];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Applied => "applied",
            Self::Reverted => "reverted",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.code() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Counted =
        Counted { calls: 1, units: 10, credits: 4, allocated: 3, bytes_in: 1, bytes_out: 2, duration_us: 3 };

    fn set(units: u64) -> Change {
        Change::SetUnits { units }
    }

    #[test]
    fn a_void_takes_all_of_an_event_away_and_a_second_one_nothing() {
        let first = Change::Void.delta(CALL, false);
        assert_eq!(first, CALL.turned());
        assert!(Change::Void.delta(Counted::default(), true).is_nothing());
        assert!(set(5).delta(Counted::default(), true).is_nothing(), "what is voided costs nothing again");
    }

    #[test]
    fn credit_comes_back_before_the_quota_and_never_more_than_was_paid() {
        let moved = |units| (set(units).delta(CALL, false).units, set(units).delta(CALL, false).credits);
        assert_eq!(moved(8), (-2, -2));
        assert_eq!(moved(5), (-5, -4));
        assert_eq!(moved(0), (-10, -4));
        assert_eq!(moved(12), (2, 0));
    }

    #[test]
    fn a_free_call_is_charged_only_where_it_is_named_by_itself() {
        let free = Counted { units: 0, credits: 0, allocated: 0, ..CALL };
        assert!(set(5).delta(free, false).is_nothing());
        assert_eq!(set(5).delta(free, true).units, 5);
    }

    #[test]
    fn what_is_asked_for_is_held_to_its_bounds() {
        let now: Timestamp = "2026-03-02T00:00:00Z".parse().expect("a timestamp");
        let field = |body: serde_json::Value| {
            let new: NewCorrection = serde_json::from_value(body).expect("a correction");
            new.check(now).map_err(|problem| problem.field)
        };
        let (void, day) = (
            serde_json::json!({"kind": "void"}),
            |end: &str| serde_json::json!({"from": "2026-03-01T00:00:00Z", "to": end}),
        );
        let asked = |filter: serde_json::Value| serde_json::json!({"change": void, "filter": filter, "reason": "r"});
        assert_eq!(field(asked(day("2026-03-02T00:00:00Z"))), Ok(()));
        assert_eq!(field(asked(serde_json::json!({"request_id": "r"}))), Ok(()));
        assert_eq!(field(asked(serde_json::json!({}))), Err("from".to_owned()));
        assert_eq!(field(asked(day("2026-03-01T00:00:00Z"))), Err("to".to_owned()));
        assert_eq!(field(asked(day("2026-03-03T00:00:00Z"))), Err("to".to_owned()));
        assert_eq!(
            field(serde_json::json!({"change": void, "filter": {"request_id": "r"}, "reason": " "})),
            Err("reason".to_owned())
        );
        let fill = |at: &str, calls: u64| serde_json::json!({"change": {"kind": "back_fill", "at": at, "calls": calls, "units": 5}, "reason": "r"});
        assert_eq!(field(fill("2026-03-01T00:00:00Z", 1)), Ok(()));
        assert_eq!(field(fill("2026-03-01T00:00:00Z", 0)), Err("calls".to_owned()));
        assert_eq!(field(fill("2026-03-03T00:00:00Z", 1)), Err("at".to_owned()));
    }
}
