//! What a plan's base fee is from period to period, as phases end and promotions begin and end.

use crate::{
    money::Money,
    period::{Cycle, PeriodError, zone},
    plan::PlanTerms,
    rating::PlanPeriod,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// What a whole period costs from one on, before discounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeFrom {
    /// Where the period begins.
    pub from: Timestamp,
    pub fee: Money,
}

/// The base fee in the period that holds `from`, and in each later one that has another than the one before; `since` is when the plan
/// began, or its trial ended.
///
/// # Errors
/// The time zone is not known, or a period is beyond the calendar.
pub fn fees(terms: &PlanTerms, cycle: &Cycle, since: Timestamp, from: Timestamp) -> Result<Vec<FeeFrom>, PeriodError> {
    let mut starts = vec![cycle.period_at(from)?.start];
    let mut periods = 0_u64;
    for phase in &terms.phases {
        periods = periods.saturating_add(phase.periods.into());
        starts.push(cycle.later(since, periods)?);
    }
    for promotion in &terms.promotions {
        starts.extend(promotion.from.map(|day| first_from(cycle, day)).transpose()?);
        starts.extend(promotion.until.tomorrow().ok().map(|day| first_from(cycle, day)).transpose()?);
    }
    let first = starts[0];
    starts.retain(|start| *start >= first);
    starts.sort_unstable();
    starts.dedup();
    let mut fees: Vec<FeeFrom> = Vec::new();
    for start in starts {
        let period = PlanPeriod::of(cycle, since, None, cycle.period_at(start)?)?;
        let fee = terms.in_force(period).base_fee();
        if fees.last().is_none_or(|last| last.fee != fee) {
            fees.push(FeeFrom { from: start, fee });
        }
    }
    Ok(fees)
}

/// Where the first period begins that does on that day or later.
fn first_from(cycle: &Cycle, day: Date) -> Result<Timestamp, PeriodError> {
    let midnight = day.to_zoned(zone(&cycle.time_zone)?).map_err(|_| PeriodError::OutOfRange)?.timestamp();
    let period = cycle.period_at(midnight)?;
    Ok(if period.start == midnight { period.start } else { period.end })
}
