//! What counts: which of a product's calls cost units.
//!
//! Our own 5xx never does, and no rule can change that: a refusal with a status of 500 or above, and an answer that the
//! upstream did not give whole, cost nothing.

use super::CachePrice;
use crate::{plan::Problem, refusal::Code};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt::Write as _};

/// Which calls cost units. The default: whatever the API answers with 2xx, 3xx and 4xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counting {
    /// Answers of the API, by the first digit of their status. A WebSocket that was opened (101) counts as 2xx.
    pub statuses: BTreeSet<StatusClass>,
    /// A call whose client left before the whole answer was handed over, once at least one byte of the body was.
    pub interrupted: bool,
    /// An answer that is given again for the same Idempotency-Key.
    pub replays: Counted,
    /// Refusals of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusals: Option<CountedRefusals>,
}

/// Statuses that begin with the same digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatusClass {
    #[serde(rename = "2xx")]
    Success,
    #[serde(rename = "3xx")]
    Redirection,
    #[serde(rename = "4xx")]
    ClientError,
    #[serde(rename = "5xx")]
    ServerError,
}

/// What a call costs that did not reach the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Counted {
    #[default]
    Free,
    /// The operation's weight.
    Full,
    /// That many units, whatever the operation's weight.
    Units(u32),
}

/// Refusals that cost units. One costs nothing where the partner's quota and credit do not have that many left, where nobody can say
/// within a second, or where the gateway has too many calls in flight already; it is never beyond what was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedRefusals {
    pub codes: BTreeSet<String>,
    pub units: u32,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            statuses: [StatusClass::Success, StatusClass::Redirection, StatusClass::ClientError].into(),
            interrupted: true,
            replays: Counted::Free,
            refusals: None,
        }
    }
}

impl StatusClass {
    pub const ALL: [Self; 4] = [Self::Success, Self::Redirection, Self::ClientError, Self::ServerError];

    /// `2xx`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

/// Refusals that a rule may count: the caller is known and the product's operation was asked for, it is not our fault, and
/// there may be units.
pub fn countable_refusals() -> impl Iterator<Item = Code> {
    Code::ALL.into_iter().filter(|code| {
        matches!(
            code,
            Code::LimitExceeded
                | Code::ConcurrencyExceeded
                | Code::OperationNotInPlan
                | Code::FeatureNotInPlan
                | Code::MissingScope
                | Code::IdempotencyKeyMissing
                | Code::IdempotencyKeyInvalid
                | Code::IdempotencyMismatch
        )
    })
}

impl Counting {
    pub(super) fn problems(&self, problems: &mut Vec<Problem>) {
        let Some(refusals) = &self.refusals else { return };
        if refusals.codes.is_empty() || refusals.units == 0 {
            let message = "Name at least one refusal and at least one unit, or leave refusals out";
            problems.push(Problem::new("counting.refusals", message));
        }
        let known: Vec<&str> = countable_refusals().map(|code| code.describe().code).collect();
        for code in refusals.codes.iter().filter(|code| !known.contains(&code.as_str())) {
            let message = format!("{code} cannot count. These can: {}", known.join(", "));
            problems.push(Problem::new("counting.refusals.codes", message));
        }
    }

    /// The rule in words, for partners: on the product's page and on the invoice. `hit` is what an answer from the response
    /// cache costs, where the product has one.
    pub fn sentence(&self, hit: Option<CachePrice>) -> String {
        let mut text = match and(self.statuses.iter().map(|class| class.text())) {
            Some(classes) => format!("Calls that the API answers with {classes} count."),
            None => "No answer of the API counts.".to_owned(),
        };
        let mut free: Vec<String> = Vec::new();
        if !self.interrupted && !self.statuses.is_empty() {
            free.push("calls that you break off".to_owned());
        }
        match self.replays {
            Counted::Free => free.push("answers that are given again for the same Idempotency-Key".to_owned()),
            Counted::Full => text
                .push_str(" An answer that is given again for the same Idempotency-Key costs the operation's units."),
            Counted::Units(units) => {
                let _ = write!(
                    text,
                    " An answer that is given again for the same Idempotency-Key costs {}.",
                    in_units(units)
                );
            }
        }
        match hit {
            Some(CachePrice::Units(0)) => free.push("answers from our cache".to_owned()),
            Some(CachePrice::Units(units)) => {
                let _ = write!(text, " An answer from our cache costs {}.", in_units(units));
            }
            Some(CachePrice::Full) => text.push_str(" An answer from our cache costs as much as one of the API."),
            None => {}
        }
        let refusals =
            self.refusals.as_ref().and_then(|rule| Some((and(rule.codes.iter().map(String::as_str))?, rule)));
        match refusals {
            Some((codes, rule)) => {
                let _ = write!(text, " A call that we refuse with {codes} costs {}.", in_units(rule.units));
                free.push("other calls that we refuse".to_owned());
            }
            None => free.push("calls that we refuse".to_owned()),
        }
        free.push("errors of our own".to_owned());
        if !self.statuses.contains(&StatusClass::ServerError) {
            free.push("answers of the API with 5xx".to_owned());
        }
        free.push("test calls".to_owned());
        if let Some(free) = and(free.iter().map(String::as_str)) {
            let _ = write!(text, " There is no charge for {free}.");
        }
        text
    }
}

fn in_units(units: u32) -> String {
    if units == 1 { "1 unit".to_owned() } else { format!("{units} units") }
}

/// `a`, `a and b`, `a, b and c`.
fn and<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    let words: Vec<&str> = words.collect();
    let (last, first) = words.split_last()?;
    Some(if first.is_empty() { (*last).to_owned() } else { format!("{} and {last}", first.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_told_in_words() {
        assert_eq!(
            Counting::default().sentence(None),
            "Calls that the API answers with 2xx, 3xx and 4xx count. There is no charge for answers that are given again for the same \
             Idempotency-Key, calls that we refuse, errors of our own, answers of the API with 5xx and test calls."
        );
    }

    #[test]
    fn every_part_of_a_rule_is_told_in_words() {
        let rule = Counting {
            statuses: [StatusClass::Success, StatusClass::ServerError].into(),
            interrupted: false,
            replays: Counted::Units(1),
            refusals: Some(CountedRefusals { codes: ["limit-exceeded".to_owned()].into(), units: 2 }),
        };
        assert_eq!(
            rule.sentence(Some(CachePrice::Units(0))),
            "Calls that the API answers with 2xx and 5xx count. An answer that is given again for the same Idempotency-Key \
             costs 1 unit. A call that we refuse with limit-exceeded costs 2 units. There is no charge for calls that you break off, answers \
             from our cache, other calls that we refuse, errors of our own and test calls."
        );
        let none = Counting { statuses: BTreeSet::new(), ..Counting::default() };
        assert!(
            none.sentence(Some(CachePrice::Full)).starts_with("No answer of the API counts. An answer from our cache")
        );
    }

    #[test]
    fn our_own_errors_and_what_nobody_can_be_charged_for_cannot_count() {
        for code in countable_refusals() {
            let described = code.describe();
            assert!((400..500).contains(&described.status) && described.status != 401, "{}", described.code);
        }
        for code in
            ["overloaded", "upstream-timeout", "quota-exceeded", "body-too-large", "unknown-key", "no-such-code"]
        {
            let refusals = Some(CountedRefusals { codes: [code.to_owned()].into(), units: 1 });
            let mut problems = Vec::new();
            Counting { refusals, ..Counting::default() }.problems(&mut problems);
            assert_eq!(problems.len(), 1, "{code}");
        }
        let mut problems = Vec::new();
        let refusals = Some(CountedRefusals { codes: BTreeSet::new(), units: 1 });
        Counting { refusals, ..Counting::default() }.problems(&mut problems);
        assert_eq!(problems.len(), 1, "an empty list is a mistake");
    }
}
