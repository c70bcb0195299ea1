//! What payments on pages of Stripe's are taken with, and what the partner is told of them.

use crate::{Recipient, change::recipients, stripe::Stripe};
use domain::{id::InvoiceId, money::Money};
use jiff::Timestamp;
use store::{
    NewMail, PageNews, Store, StoreError,
    payment_methods::{Checkout, CheckoutFor},
};

/// Our books, Stripe, and who writes the letters.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    pub store: &'a Store,
    pub stripe: &'a Stripe,
    pub letters: PaymentLetters<'a>,
}

/// What a payment on a page of Stripe's came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentNews {
    /// The first fee of the plan of that name is paid, and the plan began then.
    PlanBegun { plan: String, cost: Money, invoice: InvoiceId, at: Timestamp },
    /// All of it goes back to where it came from: why, as people are told it, without a full stop.
    GoesBack { paid_for: CheckoutFor, cost: Money, why: String },
}

/// Writes a letter to somebody.
pub type PaymentLetters<'a> = &'a (dyn Fn(&Recipient, &PaymentNews) -> NewMail + Sync);

/// Those of a partner who are told of a payment, and of which.
pub(super) struct Hears<'a> {
    desk: Desk<'a>,
    recipients: Vec<Recipient>,
    paid_for: &'a CheckoutFor,
    cost: Money,
}

impl<'a> Hears<'a> {
    pub(super) async fn of(desk: Desk<'a>, checkout: &'a Checkout, cost: Money) -> Result<Self, StoreError> {
        let recipients = recipients(desk.store, checkout.partner).await?;
        Ok(Self { desk, recipients, paid_for: &checkout.purpose, cost })
    }

    /// A letter to each.
    pub(super) fn letters(&self, news: PageNews<'_>) -> Vec<NewMail> {
        let Self { desk, recipients, paid_for, cost } = self;
        let plan = match paid_for {
            CheckoutFor::Plan { name, .. } => name.clone(),
            CheckoutFor::Units | CheckoutFor::Method => String::new(),
        };
        let news = match news {
            PageNews::Begun { invoice, at } => PaymentNews::PlanBegun { plan, cost: *cost, invoice, at },
            PageNews::GoesBack { why } => {
                PaymentNews::GoesBack { paid_for: (*paid_for).clone(), cost: *cost, why: why.to_owned() }
            }
        };
        recipients.iter().map(|to| (desk.letters)(to, &news)).collect()
    }
}
