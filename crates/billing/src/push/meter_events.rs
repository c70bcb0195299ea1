//! Mode `meter_events`: Stripe rates units. It gets them by meter events, and all else (base fee, meters, minimum, commitment, discounts) as
//! items of its next invoice, at our amounts.
//!
//! One meter for each product, one event for each operation and period, with the period's total as its value. Each event
//! of a meter has a whole minute of the period to itself, counted back from the end, so that Stripe's summary of that minute
//! says whether this very event arrived, long after Stripe has forgotten its identifier. Prices are on Stripe's
//! subscription, which we have made ([`super::subscriptions`]) or the provider by hand, and then included credit, too. What cannot come before
//! Stripe's invoice of the period is final is an item of the next one ([`super::late`]), and where the subscription is ours on an invoice of
//! its own ([`super::rest`]). What Stripe does not rate goes line by line ([`super::rated`]).

use super::{
    Push,
    invoice_items::{self, description, item_subject},
    late::Told,
    look::Look,
    once::Wanted,
    rated::{Way, is_rated},
    stream::is_streamed,
};
use crate::BillingError;
use domain::{
    id::{InvoiceId, PartnerId},
    money::Money,
    rating::LineKind,
};
use sha2::{Digest as _, Sha256};
use store::{Invoice, InvoiceLine, InvoiceStatus, Parameters};

/// Rises only if the meaning of an event changes.
const REVISION: u32 = 1;

impl Push<'_> {
    pub(super) async fn meter_events(&mut self, invoice: &Invoice) -> Result<(), BillingError> {
        let customer = self.customer(invoice.partner).await?;
        self.take(invoice).await?;
        match self.way(invoice, &customer).await? {
            Way::Ours => self.invoice_items(invoice).await,
            Way::ByHand => self.tell(invoice, &customer).await,
            Way::Stripe(theirs) if theirs.is_draft() => self.fill(invoice, &customer, &theirs).await,
            Way::Stripe(theirs) => self.complete(invoice, &customer, &theirs).await,
        }
    }

    /// Where the subscription was set up by hand: units to the meters, and all else as items of Stripe's next invoice.
    async fn tell(&mut self, invoice: &Invoice, customer: &str) -> Result<(), BillingError> {
        let (_, lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        for line in lines.iter().filter(|line| is_item(line) && line.kind != LineKind::IncludedCredit) {
            self.item(invoice, line, customer, None, description(line)).await?;
        }
        let mut counted = Money::zero(invoice.total.currency);
        for one in Counted::of(&lines) {
            if self.usage(invoice, &one, customer).await? == Told::ToTheMeter {
                counted = counted.checked_add(one.line.amount)?;
            }
        }
        // Stripe takes the included credit off what the meters count itself; what is left of it is for the items.
        for line in lines.iter().filter(|line| line.kind == LineKind::IncludedCredit) {
            let left = line.amount.checked_add(counted)?;
            if left.micros < 0 {
                let line = InvoiceLine { amount: left, ..line.clone() };
                self.item(invoice, &line, customer, None, description(&line)).await?;
            }
        }
        if self.is_made_by_us(invoice.partner, invoice.id).await? {
            return Err(BillingError::TooSoon("what another server makes of an invoice"));
        }
        self.store.set_invoice_status(invoice.partner, invoice.id, InvoiceStatus::Sent, self.now()).await?;
        Ok(())
    }

    /// One operation's units: to the meter as long as Stripe's invoice of the period is open, and afterwards as an item.
    async fn usage(&mut self, invoice: &Invoice, counted: &Counted<'_>, customer: &str) -> Result<Told, BillingError> {
        // What once became an item stays one, whatever the clock and the settings say by now.
        if self.has_item(invoice, counted.line).await? || self.is_late(invoice) {
            let meter = self.meter(&counted.event_name(), counted.product).await?;
            return self.late_usage(invoice, counted.line, &counted.look(invoice, &meter, customer), customer).await;
        }
        self.send_event(invoice, counted, customer).await?;
        Ok(Told::ToTheMeter)
    }

    /// One operation's units to the meter.
    pub(super) async fn send_event(
        &mut self,
        invoice: &Invoice,
        counted: &Counted<'_>,
        customer: &str,
    ) -> Result<(), BillingError> {
        let event_name = counted.event_name();
        let meter = self.meter(&event_name, counted.product).await?;
        let subject = event_subject(invoice, counted.line);
        let held = self.store.stripe_object(invoice.partner, &subject).await?;
        if held.is_some_and(|held| held.stripe_id.is_none() && is_streamed(&held)) {
            return Err(BillingError::TooSoon("whether the stream of meter events took all of an invoice"));
        }
        let (identifier, timestamp) = (counted.identifier(invoice), counted.timestamp(invoice));
        let parameters: Parameters = [
            ("event_name", event_name),
            ("payload[stripe_customer_id]", customer.to_owned()),
            ("payload[value]", counted.units.to_string()),
            ("identifier", identifier),
            ("timestamp", timestamp.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        let wanted = Wanted {
            partner: invoice.partner,
            subject,
            path: "/v1/billing/meter_events",
            parameters,
            look: counted.look(invoice, &meter, customer),
        };
        self.once(wanted).await?;
        Ok(())
    }

    /// Whether an invoice is made of it by us, of which no unit is for a meter.
    pub(super) async fn is_made_by_us(&self, partner: PartnerId, invoice: InvoiceId) -> Result<bool, BillingError> {
        let held = self.store.stripe_object(partner, &invoice_items::subject(invoice)).await?;
        Ok(held.is_some_and(|held| !is_rated(&held.parameters)))
    }

    /// Whether a line's units are on an item in place of the meter.
    pub(super) async fn has_item(&self, invoice: &Invoice, line: &InvoiceLine) -> Result<bool, BillingError> {
        Ok(self.store.stripe_object(invoice.partner, &item_subject(invoice.id, line)).await?.is_some())
    }

    /// The meter's id; it is created where Stripe has none.
    pub(super) async fn meter(&mut self, event_name: &str, product: &str) -> Result<String, BillingError> {
        let meters = match &mut self.meters {
            Some(meters) => meters,
            None => self.meters.insert(self.stripe.active_meters().await?),
        };
        if let Some(meter) = meters.iter().find(|meter| meter.event_name == event_name) {
            return Ok(meter.id.clone());
        }
        match self.stripe.create_meter(event_name, &display_name(product)).await {
            Ok(meter) => {
                let id = meter.id.clone();
                meters.push(meter);
                Ok(id)
            }
            Err(error) => {
                // It may exist by now: the next use asks again.
                self.meters = None;
                let meters = self.stripe.active_meters().await?;
                meters
                    .into_iter()
                    .find(|meter| meter.event_name == event_name)
                    .map(|meter| meter.id)
                    .ok_or(error.into())
            }
        }
    }
}

/// Whether a line is an item at Stripe, and not units for a meter.
pub(super) const fn is_item(line: &InvoiceLine) -> bool {
    match line.kind {
        LineKind::BaseFee
        | LineKind::Meter
        | LineKind::Minimum
        | LineKind::Discount
        | LineKind::CommittedUse
        | LineKind::Commitment
        | LineKind::Adjustment
        | LineKind::CreditPackage
        | LineKind::CreditOverdraft
        | LineKind::BilledBefore
        | LineKind::IncludedCredit => true,
        LineKind::Usage => false,
    }
}

/// A line whose units Stripe's meter counts.
pub(super) struct Counted<'a> {
    pub line: &'a InvoiceLine,
    /// The product's code.
    pub product: &'a str,
    pub units: u64,
    /// Among those of the same meter, from zero.
    place: i64,
}

impl<'a> Counted<'a> {
    /// Of an invoice's lines those that a meter counts. Stripe would rate what credit has paid, so that this is left out.
    pub fn of(lines: &'a [InvoiceLine]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for line in lines.iter().filter(|line| line.kind == LineKind::Usage && billable(line) > 0) {
            let product = line.product_code.as_deref().unwrap_or("unknown");
            let before = all.iter().filter(|other| other.product == product).count();
            all.push(Self { line, product, units: billable(line), place: i64::try_from(before).unwrap_or(i64::MAX) });
        }
        all
    }

    pub fn event_name(&self) -> String {
        event_name(self.product)
    }

    pub fn identifier(&self, invoice: &Invoice) -> String {
        identifier(invoice, self.line)
    }

    /// In seconds since 1970.
    pub fn timestamp(&self, invoice: &Invoice) -> i64 {
        own_minute(invoice, self.place).unwrap_or_else(|| invoice.period.end.as_second() - 1)
    }

    /// How to find out whether it arrived.
    pub fn look<'b>(&self, invoice: &Invoice, meter: &'b str, customer: &'b str) -> Look<'b> {
        let minute = own_minute(invoice, self.place);
        Look::Event { meter, customer, minute, units: self.units, identifier: self.identifier(invoice) }
    }
}

/// Units of the line that are for Stripe to rate.
fn billable(line: &InvoiceLine) -> u64 {
    line.quantity.unsigned_abs().saturating_sub(line.prepaid)
}

/// What a line's meter event stands for.
pub(super) fn event_subject(invoice: &Invoice, line: &InvoiceLine) -> String {
    format!("meter_event:{}:{}", invoice.id, line.position)
}

/// The invoice whose units an event has, by what it stands for.
pub(super) fn invoice_of_event(subject: &str) -> Option<InvoiceId> {
    subject.split(':').nth(1)?.parse().ok()
}

/// What a product's meter is called for people.
pub(crate) fn display_name(product: &str) -> String {
    format!("Units of {product}")
}

/// Product codes have hyphens and no underscores, so two products never share a meter.
pub(crate) fn event_name(product: &str) -> String {
    format!("turnpike_units_{}", product.replace('-', "_"))
}

/// The same for the same subscription, product, operation and period, whoever asks and whenever.
fn identifier(invoice: &Invoice, line: &InvoiceLine) -> String {
    let product = line.product_code.as_deref().unwrap_or_default();
    let operation = line.operation_code.as_deref().unwrap_or_default();
    let text = format!("{}\n{product}\n{operation}\n{}\n{REVISION}", invoice.subscription, invoice.period.start);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The start of the whole minute that only this event of the meter uses, in seconds since 1970; `None` where the period is
/// too short for one each.
fn own_minute(invoice: &Invoice, place: i64) -> Option<i64> {
    let past = invoice.period.end.as_second().div_euclid(60);
    let minute = (past - 1 - place) * 60;
    (minute >= invoice.period.start.as_second()).then_some(minute)
}
