//! Plans whose first fee is due before they begin: it is paid on a page of Checkout's, which keeps the payment method for the periods to come.
//! Nothing begins before Stripe says that it is paid, and then plan, invoice and payment are made in one transaction.

use super::{
    Desk, StripePage, StripePages,
    minimum::least_charge,
    paid::{self, Leads},
};
use crate::{
    BillingError, ChangeRefused, Proposal, Wanted,
    change::as_shown,
    close::advance::{fee_lines, given_back},
    preview_change,
};
use domain::{
    id::{PartnerId, PlanId},
    money::Money,
    period::{Alignment, Period},
    plan_change::{Direction, When},
    rating::{FeeDue, PlanPeriod, advance},
};
use jiff::Timestamp;
use store::{Actor, NewPlanCheckout, OrderedBy, RedeemedCoupon, Store, StoreError, Wish};

/// What has to be paid before a plan begins.
#[derive(Debug, Clone)]
pub struct FirstFee {
    new: NewPlanCheckout,
    /// The plan's code.
    pub plan: String,
}

impl FirstFee {
    /// What is paid on the page.
    pub fn cost(&self) -> Money {
        self.new.cost
    }
}

/// The fee that is due as soon as the partner begins the plan; `None` where none is, where Stripe charges nothing so small, or where another
/// document would change it: there is a plan already, its first period is the rest of a calendar period and shorter when it is paid, it is tried first, it takes approval, a coupon counts on it, or something is to be given
/// back.
///
/// # Errors
/// There is no preview of the plan, or Postgres does not answer.
pub async fn first_fee(
    store: &Store,
    partner: PartnerId,
    plan: PlanId,
    now: Timestamp,
) -> Result<Option<FirstFee>, ChangeRefused> {
    let proposal = preview_change(store, partner, wanted(plan), now).await?;
    fee_of(store, partner, proposal, now).await
}

/// That fee as the preview `token` told of it.
///
/// # Errors
/// Also that anything of the preview is not as it was, or that it was made too long ago.
pub async fn first_fee_as_shown(
    store: &Store,
    partner: PartnerId,
    plan: PlanId,
    token: &str,
    now: Timestamp,
) -> Result<Option<FirstFee>, ChangeRefused> {
    let proposal = as_shown(store, partner, wanted(plan), token, now).await?;
    fee_of(store, partner, proposal, now).await
}

fn wanted(plan: PlanId) -> Wanted {
    Wanted { wish: Wish::Plan(plan), when: When::Usual, by: OrderedBy::Partner }
}

async fn fee_of(
    store: &Store,
    partner: PartnerId,
    proposal: Proposal,
    now: Timestamp,
) -> Result<Option<FirstFee>, ChangeRefused> {
    let (preview, Some(to)) = (proposal.preview, proposal.to) else { return Ok(None) };
    let (Some(cycle), Some(whole)) = (preview.cycle, preview.period) else { return Ok(None) };
    let is_due = preview.direction == Direction::Start
        && preview.trial_until.is_none()
        && to.terms.fee_due == FeeDue::Advance
        && to.terms.periods == Alignment::Anchored
        && !proposal.needs_approval;
    if !is_due {
        return Ok(None);
    }
    let since = to.since.unwrap_or(preview.effective_at);
    let period = PlanPeriod::of(&cycle, since, None, whole).map_err(BillingError::from)?;
    let part = Period { start: preview.effective_at, end: whole.end };
    let fee = advance::fee(&to.terms, period, part, whole).map_err(BillingError::from)?;
    let cost = fee.total;
    let counts = |coupon: &RedeemedCoupon| {
        let plans = &coupon.coupon.plans;
        coupon.standing.may_count() && (plans.is_empty() || plans.contains(&to.code))
    };
    if cost.minor_units().is_none_or(|coins| coins < least_charge(cost.currency))
        || store.redeemed_coupons(partner, now).await?.iter().any(counts)
        || !given_back(store, partner, cost.currency).await?.lines.is_empty()
    {
        return Ok(None);
    }
    let new = NewPlanCheckout {
        version: to.version_id,
        description: format!("{}, first {}", to.name, to.terms.interval.word()),
        lines: fee_lines(fee, part == whole),
        cost,
    };
    Ok(Some(FirstFee { new, plan: to.code }))
}

/// The address of a page of Checkout's on which the partner pays the first fee of a plan, which begins once Stripe says that it is paid.
/// `back` gets `?checkout=<id>` where people come back from it, and nothing where they gave up. The same plan leads to the same page as long
/// as that can be paid; for another one the partner's pages for plans end.
///
/// # Errors
/// Stripe or Postgres does not answer, Stripe refuses, there is a plan by now, or a payment is on its way.
pub async fn open_plan_checkout(
    desk: Desk<'_>,
    pages: &StripePages,
    (partner, actor): (PartnerId, Actor),
    (fee, back): (&FirstFee, &str),
    now: Timestamp,
) -> Result<StripePage, BillingError> {
    let store = desk.store;
    let mut opened = store.open_plan_checkout(partner, &fee.new, actor, now).await?;
    if let Some(session) = opened.session.take() {
        if let Some(page) = paid::still_open(desk, pages, (partner, opened.id), &session, now).await? {
            return Ok(page);
        }
        opened = store.open_plan_checkout(partner, &fee.new, actor, now).await?;
        if opened.session.is_some() {
            return Err(StoreError::conflict("plan", "The payment is on its way: the plan begins with it").into());
        }
    }
    let leads = Leads { done: back, left: back, keeps_method: true };
    paid::make(desk, pages, (partner, &opened), leads, now).await
}

/// Ends the partner's open pages for plans, or takes over what became of them, before it begins a plan in another way. What cannot be ended
/// is logged.
///
/// # Errors
/// Stripe or Postgres does not answer.
pub async fn end_plan_pages(desk: Desk<'_>, partner: PartnerId, now: Timestamp) -> Result<(), BillingError> {
    if desk.store.subscription(partner).await?.is_some() {
        return Ok(());
    }
    paid::end(desk, &desk.store.open_plan_checkouts(partner).await?, now).await.map(drop)
}
