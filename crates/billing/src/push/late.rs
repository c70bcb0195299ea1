//! Usage that Stripe's meters can no longer bill: its period's invoice is final there, or will be before an event has arrived.
//!
//! It becomes an item at the amount of our own line: of Stripe's next invoice, named as the period's that it is of, where somebody has set up
//! the subscription there by hand, and else of an invoice of its own ([`super::rest`]). An event that was sent in time, and whose answer was
//! lost, is looked for first: Stripe's summary tells whether the meter has it, once it is old enough.

use super::{Push, invoice_items::description, look::Look, meter_events::event_subject};
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

    /// Whether the meter has a line's units by now, where none are sent any more. Once they are an item it is said to have none.
    pub(super) async fn is_counted(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        look: &Look<'_>,
    ) -> Result<bool, BillingError> {
        if self.has_item(invoice, line).await? {
            return Ok(false);
        }
        let event = event_subject(invoice, line);
        let Some(sent) = self.store.stripe_object(invoice.partner, &event).await? else { return Ok(false) };
        if sent.stripe_id.is_some() {
            return Ok(true);
        }
        if self.now().duration_since(sent.sent_at) < SUMMED_UP {
            return Err(BillingError::TooSoon("the meter's summary, which tells whether an event arrived"));
        }
        let Some(identifier) = look.at(self.stripe).await? else { return Ok(false) };
        self.store.finish_stripe_object(invoice.partner, &event, &identifier, self.now()).await?;
        Ok(true)
    }

    /// The units as an item of Stripe's next invoice, unless the meter has them.
    pub(super) async fn late_usage(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        look: &Look<'_>,
        customer: &str,
    ) -> Result<Told, BillingError> {
        if self.is_counted(invoice, line, look).await? {
            return Ok(Told::ToTheMeter);
        }
        let when = when(invoice.period, &invoice.time_zone);
        let text = format!("Previous period, {when}: {}", description(line));
        self.item(invoice, line, customer, None, text).await?;
        Ok(Told::AsAnItem)
    }
}
