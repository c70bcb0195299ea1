//! Who new terms of a plan would affect, and what their last period would have cost under them, before anybody has them.
//!
//! Each partner's last billing period that is over is rated twice with what it used: by the terms that the partner has now and by the
//! new ones, both as if they had been in force for all of it, with the phase and the promotions of that period. It changes nothing, and no bill is looked at.

use crate::BillingError;
use domain::{
    id::{PartnerId, PlanId},
    key_text::Environment,
    money::{Money, MoneyError},
    period::Period,
    plan::PlanTerms,
    rating::{self, MeterUsed, PlanPeriod, Used},
};
use jiff::{SignedDuration, Timestamp};
use store::{PlanHolder, Store};

/// Partners that are rated in one answer.
pub const MOST_RATED: u32 = 500;

/// What new terms would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impact {
    /// By name, at most [`MOST_RATED`].
    pub partners: Vec<Affected>,
    /// On the plan, all told.
    pub partners_in_all: u64,
    /// What those of `partners` who can be compared would have paid, before and after.
    pub before: Money,
    pub after: Money,
}

/// One partner on the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    pub partner: PartnerId,
    pub name: String,
    /// The version that it has.
    pub version: i32,
    /// Its last billing period that is over.
    pub period: Period,
    /// Live units of it.
    pub units: u64,
    /// `None` where it is more than an invoice can hold, or the partner is [`After::New`].
    pub before: Option<Money>,
    pub after: After,
}

/// What the period would have cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    Comparable(Money),
    /// Another currency.
    OtherCurrency(Money),
    /// A billing period of another length costs something else.
    OtherInterval,
    /// More than an invoice can hold, by these terms or by its own.
    TooLarge,
    /// The partner had no plan in some of the period, so a bill for all of it says nothing.
    New,
}

/// What these terms would do to the partners who are on the plan, if they had them.
pub async fn impact(store: &Store, plan: PlanId, terms: &PlanTerms, now: Timestamp) -> Result<Impact, BillingError> {
    let (holders, partners_in_all) = store.all_partners_on_plan(plan, MOST_RATED).await?;
    impact_of(store, holders, partners_in_all, terms, now).await
}

/// What these terms would do to them.
pub(crate) async fn impact_of(
    store: &Store,
    holders: Vec<PlanHolder>,
    partners_in_all: u64,
    terms: &PlanTerms,
    now: Timestamp,
) -> Result<Impact, BillingError> {
    let mut partners = Vec::with_capacity(holders.len());
    let (mut before, mut after) = (Money::zero(terms.currency), Money::zero(terms.currency));
    for holder in holders {
        let affected = affected(store, holder, terms, now).await?;
        if let (After::Comparable(money), Some(own)) = (&affected.after, affected.before) {
            before = before.checked_add(own)?;
            after = after.checked_add(*money)?;
        }
        partners.push(affected);
    }
    Ok(Impact { partners, partners_in_all, before, after })
}

async fn affected(
    store: &Store,
    holder: PlanHolder,
    terms: &PlanTerms,
    now: Timestamp,
) -> Result<Affected, BillingError> {
    let current = holder.cycle.period_at(now)?;
    let just_before = current.start.saturating_sub(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MIN);
    let period = holder.cycle.period_at(just_before)?;
    let units = store.units_between(holder.partner, period, Environment::Live).await?;
    let used: Vec<Used> = units.into_iter().map(|line| line.used).collect();
    let own = &holder.version.terms;
    let metered: Vec<MeterUsed> = match own.meters.is_empty() && terms.meters.is_empty() {
        true => Vec::new(),
        false => {
            let metered = store.metered_between(holder.partner, period, period.end).await?;
            metered.into_iter().map(|line| line.used).collect()
        }
    };
    // As if the partner had the plan from the period's beginning on, and did not try it.
    let begun = holder.since.min(period.start);
    let in_period = PlanPeriod {
        number: holder.cycle.periods_between(holder.since, period.start)?,
        ..PlanPeriod::of(&holder.cycle, begun, None, period)?
    };
    let total =
        |terms: &PlanTerms| rating::rate_all(&terms.in_force(in_period), &used, &metered).map(|rated| rated.total);
    let is_new = !store.had_a_plan_throughout(holder.partner, period).await?;
    let before = match total(own) {
        _ if is_new => None,
        Ok(total) => Some(total),
        Err(MoneyError::TooLarge) => None,
        Err(error) => return Err(error.into()),
    };
    let after = match total(terms) {
        _ if terms.interval != own.interval => After::OtherInterval,
        _ if is_new => After::New,
        Ok(_) if before.is_none() => After::TooLarge,
        Ok(total) if terms.currency == own.currency => After::Comparable(total),
        Ok(total) => After::OtherCurrency(total),
        Err(MoneyError::TooLarge) => After::TooLarge,
        Err(error) => return Err(error.into()),
    };
    Ok(Affected {
        partner: holder.partner,
        name: holder.name,
        version: holder.version.version,
        period,
        units: used.iter().map(|line| line.units).fold(0, u64::saturating_add),
        before,
        after,
    })
}
