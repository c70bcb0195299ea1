//! What can be quoted to somebody: the plans that they may choose and the one that they have, with only what they may know of.

use crate::islands::calculator::QuotedPlan;
use domain::{
    id::PartnerId,
    period::{PeriodError, zone},
    plan::PlanTerms,
    rating::PlanPeriod,
};
use jiff::{Timestamp, tz::TimeZone};
use store::{Store, StoreError, VisibleProduct};

/// Plans, and what calls can be told of.
pub struct Quotable {
    /// In the pricing page's order; the partner's own first where it is not one of them.
    pub plans: Vec<QuotedPlan>,
    pub known: Vec<VisibleProduct>,
}

/// For a partner, or for everybody.
pub async fn quotable(store: &Store, partner: Option<PartnerId>, now: Timestamp) -> Result<Quotable, StoreError> {
    let known = match partner {
        Some(partner) => store.visible_products(partner).await?,
        None => store.public_products().await?,
    };
    let zone = match partner {
        Some(partner) => zone(&store.partner(partner).await?.time_zone).unwrap_or(TimeZone::UTC),
        None => TimeZone::UTC,
    };
    let first = PlanPeriod::first(zone.to_datetime(now).date());
    let offered = store.offered_plans(partner).await?.into_iter();
    let mut plans: Vec<QuotedPlan> = offered
        .map(|plan| QuotedPlan {
            code: plan.code,
            name: plan.name,
            own: false,
            period: first,
            terms: shown(plan.terms, &known),
        })
        .collect();
    if let Some(partner) = partner
        && let Some(own) = own(store, partner, &known, now).await?
    {
        match plans.iter_mut().find(|plan| plan.code == own.code && plan.terms == own.terms) {
            Some(same) => *same = own,
            None => plans.insert(0, own),
        }
    }
    Ok(Quotable { plans, known })
}

/// The plan that the partner is on, in the version that it has and the period that it is in.
async fn own(
    store: &Store,
    partner: PartnerId,
    known: &[VisibleProduct],
    now: Timestamp,
) -> Result<Option<QuotedPlan>, StoreError> {
    let (Some(own), Some(open)) = (store.subscription(partner).await?, store.open_subscription(partner).await?) else {
        return Ok(None);
    };
    let unreadable = |error: PeriodError| StoreError::invalid("time_zone", error.to_string());
    let period = open.cycle.period_at(now).map_err(unreadable)?;
    let period = PlanPeriod::of(&open.cycle, open.plan_since, None, period).map_err(unreadable)?;
    let terms = shown(own.terms, known);
    Ok(Some(QuotedPlan { code: own.plan_code, name: own.plan_name, own: true, period, terms }))
}

fn shown(mut terms: PlanTerms, known: &[VisibleProduct]) -> PlanTerms {
    let product = |code: &str| known.iter().find(|product| product.line.code == code);
    terms.conceal(|code| product(code).is_none());
    terms.for_quotes(
        |code, operation| product(code).is_some_and(|known| known.operations.iter().any(|one| one.code == operation)),
        |code, meter| product(code).is_some_and(|known| known.meters.iter().any(|one| one.code == meter)),
    )
}
