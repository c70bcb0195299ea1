//! What answers say of usage that is not there yet, or never will be.

use domain::period::Period;
use jiff::Timestamp;
use serde::Serialize;
use store::usage::{Completeness, Missing, MissingReason};
use utoipa::ToSchema;

/// What is known of a range.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownOut {
    /// Until when all usage is stored that was handed over at all: what is later may grow. Null where that is not known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub complete_through: Option<Timestamp>,
    /// Whether all usage of the range is stored. False for a range that has not ended, and where `missing` names a part of it.
    pub complete: bool,
    /// Parts of the range of which usage is missing: their figures are what is there so far, and a zero there does not mean that
    /// nothing was used.
    pub missing: Vec<MissingOut>,
}

/// A part of the range of which usage is missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct MissingOut {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// not_reported: a gateway has not handed over its calls; they are added when it does. lost: they cannot be counted any more, and
    /// are not billed. unaccounted: fewer are stored than were counted, and somebody has to look.
    #[schema(value_type = String, pattern = "^(not_reported|lost|unaccounted)$")]
    reason: &'static str,
}

impl KnownOut {
    pub fn new(known: &Completeness, range: Period) -> Self {
        let missing = known.missing.iter().map(|missing| {
            let Missing { range, reason, .. } = missing;
            MissingOut { from: range.start, to: range.end, reason: MissingReason::code(*reason) }
        });
        Self { complete_through: known.through, complete: known.covers(range, None), missing: missing.collect() }
    }
}
