//! Units that are paid on a page of Checkout's. There is an invoice only once they are paid, so that a page which nobody pays leaves
//! nothing owed and nobody is asked twice; Stripe makes an invoice of its own then, through which it can be paid back.

use super::{
    Desk, StripePage, StripePages,
    paid::{self, Leads},
};
use crate::BillingError;
use domain::id::PartnerId;
use jiff::Timestamp;
use store::{Actor, NewCreditPurchase, StoreError};

/// The address of a page of Checkout's on which the partner pays for packages of units. `back` gets `?checkout=<id>` where people come back
/// from it, and nothing where they gave up. The same reference leads to the same page as long as that can be paid; under another one the
/// pages end that are open for the same package.
///
/// # Errors
/// Stripe or Postgres does not answer, Stripe refuses, or nothing can be bought like that.
pub async fn open_credit_checkout(
    desk: Desk<'_>,
    pages: &StripePages,
    (partner, actor): (PartnerId, Actor),
    (new, back): (&NewCreditPurchase, &str),
    now: Timestamp,
) -> Result<StripePage, BillingError> {
    let store = desk.store;
    let mut opened = store.open_credit_checkout(partner, new, actor, now).await?;
    if let Some(session) = opened.session.take() {
        if let Some(page) = paid::still_open(desk, pages, (partner, opened.id), &session, now).await? {
            paid::end_superseded(desk, partner, now).await?;
            return Ok(page);
        }
        opened = store.open_credit_checkout(partner, new, actor, now).await?;
        if opened.session.is_some() {
            let message = "The payment is on its way: the units come with it";
            return Err(StoreError::conflict("reference", message).into());
        }
    }
    let leads = Leads { done: back, left: back, keeps_method: false };
    paid::make(desk, pages, (partner, &opened), leads, now).await
}
