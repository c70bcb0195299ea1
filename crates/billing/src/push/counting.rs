//! Which of a customer's subscriptions at Stripe would bill an invoice's units, if they were sent to its meters.
//!
//! Stripe bills a meter's units by each subscription that has a price for it: by those that run, and by one that has ended through the
//! draft of its last period. Units are sent only where exactly one does; and where there never was any, as subscriptions by hand are the
//! provider's to set up.

use super::{Push, meter_events, meter_events::Counted, subscriptions::is_ours};
use crate::{BillingError, stripe::StripeSubscription};
use store::Invoice;

/// Units of one line: their meter at Stripe, and the instant that they are told for in seconds since 1970.
struct Units {
    meter: String,
    at: i64,
}

/// What is at Stripe for one customer, and what it is asked of.
pub(super) struct Counting {
    /// Those that are over, too.
    all: Vec<StripeSubscription>,
    units: Vec<Units>,
    /// Of the units, and of all that the plan opens.
    meters: Vec<String>,
    /// Of the period, in seconds since 1970.
    end: i64,
}

impl Push<'_> {
    /// `products` are those of the plan.
    pub(super) async fn counting(
        &mut self,
        invoice: &Invoice,
        customer: &str,
        products: &[&str],
    ) -> Result<Counting, BillingError> {
        let all = self.stripe.subscriptions_of(customer).await?;
        let (_, lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        let mut units = Vec::new();
        for one in Counted::of(&lines) {
            let meter = self.meter(&one.event_name(), one.product).await?;
            units.push(Units { meter, at: one.timestamp(invoice) });
        }
        let mut meters: Vec<String> = units.iter().map(|one| one.meter.clone()).collect();
        for product in products {
            meters.push(self.meter(&meter_events::event_name(product), product).await?);
        }
        Ok(Counting { all, units, meters, end: invoice.period.end.as_second() })
    }
}

impl Counting {
    /// The earliest instant of all units; without any there is none.
    pub fn first(&self) -> i64 {
        self.units.iter().map(|one| one.at).min().unwrap_or(i64::MAX)
    }

    pub fn subscription(&self, id: &str) -> Option<&StripeSubscription> {
        self.all.iter().find(|held| held.id == id)
    }

    /// Whether one that we made may bill any of it.
    pub fn has_ours(&self) -> bool {
        self.all.iter().any(|held| is_ours(held) && held.may_bill(self.first(), i64::MAX))
    }

    /// Whether another than `id` may bill any of it.
    pub fn has_other(&self, id: &str) -> bool {
        let is_other = |held: &&StripeSubscription| held.id != id && held.may_bill(self.first(), self.end);
        self.all.iter().filter(is_other).any(|held| self.units.iter().any(|one| held.rates(&one.meter)))
    }

    /// Whether somebody has set up one by hand that is not over and has a price for a meter of the plan.
    pub fn runs_by_hand(&self) -> bool {
        self.by_hand().any(|held| !held.is_over())
    }

    /// Whether one by hand bills each of the units, and nothing else does.
    pub fn is_billed_by_hand(&self) -> bool {
        let bills = |units: &Units| {
            let mut counts =
                self.all.iter().filter(|held| held.rates(&units.meter) && held.may_bill(self.first(), self.end));
            match (counts.next(), counts.next()) {
                (Some(held), None) => !is_ours(held) && held.bills() && held.start_date <= units.at,
                _ => false,
            }
        };
        self.by_hand().any(StripeSubscription::bills) && self.units.iter().all(bills)
    }

    /// Whether there was one by hand, and some units have none that bills them: it was cancelled or paused, and nobody bills what
    /// the meter counts from then on. One that ended with its period has a last draft, which does.
    pub fn is_forsaken(&self) -> bool {
        let bills = |held: &StripeSubscription, units: &Units| {
            let ends_later = held.cancel_at_period_end && held.ended_at.is_some_and(|ended| ended > units.at);
            held.rates(&units.meter) && held.start_date <= units.at && (held.bills() || ends_later)
        };
        self.had_by_hand() && self.units.iter().any(|units| !self.by_hand().any(|held| bills(held, units)))
    }

    /// Whether there ever was one by hand.
    pub fn had_by_hand(&self) -> bool {
        self.by_hand().next().is_some()
    }

    /// Those that have a price for a meter of the plan, and those that are over, too.
    fn by_hand(&self) -> impl Iterator<Item = &StripeSubscription> {
        let of_plan = |held: &&StripeSubscription| self.meters.iter().any(|meter| held.rates(meter));
        self.all.iter().filter(|held| !is_ours(held)).filter(of_plan)
    }
}
