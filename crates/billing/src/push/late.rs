//! Usage that Stripe's meters can no longer bill: its period's invoice is final there, or will be before an event has arrived.
//!
//! It becomes an item of Stripe's next invoice, at the amount of our own line and named as the period's that it is of. An event that was
//! sent in time, and whose answer was lost, is looked for first: Stripe's summary tells whether the meter has it, once it is old enough.

use super::{
    Push,
    invoice_items::{description, item_subject},
    look::Look,
};
use crate::BillingError;
use crate::close::when;
use jiff::{SignedDuration, Timestamp};
use store::{Invoice, InvoiceLine};

/// Summaries lag by about a minute; before this they say nothing about an attempt.
pub(super) const SUMMED_UP: SignedDuration = SignedDuration::from_mins(10);

/// Where Stripe was told of a line's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    ToTheMeter,
    AsAnItem,
}

impl Push<'_> {
    /// Whether an event that is sent now may come too late for Stripe's invoice of the period.
    pub(super) fn is_late(&self, invoice: &Invoice) -> bool {
        self.has_closed(invoice.period.end)
    }

    /// The same of any invoice of a period that ended then.
    pub(super) fn has_closed(&self, end: Timestamp) -> bool {
        self.now().duration_since(end) >= self.settings.meters_open
    }

    /// The units as an item, unless the meter has them.
    pub(super) async fn late_usage(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        event: &str,
        look: Look<'_>,
        customer: &str,
    ) -> Result<Told, BillingError> {
        let has_item = self.store.stripe_object(invoice.partner, &item_subject(invoice.id, line)).await?.is_some();
        let sent = self.store.stripe_object(invoice.partner, event).await?;
        if let Some(sent) = sent.filter(|_| !has_item) {
            if sent.stripe_id.is_some() {
                return Ok(Told::ToTheMeter);
            }
            if self.now().duration_since(sent.sent_at) < SUMMED_UP {
                return Err(BillingError::TooSoon("the meter's summary, which tells whether an event arrived"));
            }
            if let Some(identifier) = look.at(self.stripe).await? {
                self.store.finish_stripe_object(invoice.partner, event, &identifier, self.now()).await?;
                return Ok(Told::ToTheMeter);
            }
        }
        let when = when(invoice.period, &invoice.time_zone);
        let text = format!("Previous period, {when}: {}", description(line));
        self.item(invoice, line, customer, None, text).await?;
        Ok(Told::AsAnItem)
    }
}
