//! Mode `meter_events`: Stripe rates. It gets units by meter events, and the base fee as an item of its next invoice.
//!
//! One meter for each product, one event for each operation and period, with the period's total as its value. Each event
//! of a meter has a whole minute of the period to itself, counted back from the end, so that Stripe's summary of that minute
//! says whether this very event arrived, long after Stripe has forgotten its identifier. Included credit, free units and
//! prices are what the provider set up on Stripe's side; our own invoice shows what they should come to. What cannot come before
//! Stripe's invoice of the period is final is an item of the next one ([`super::late`]).

use super::{
    Push,
    invoice_items::{description, item_subject},
    late::Told,
    look::Look,
    once::Wanted,
};
use crate::BillingError;
use domain::{money::Money, rating::LineKind};
use sha2::{Digest as _, Sha256};
use store::{Invoice, InvoiceLine, InvoiceStatus};

/// Rises only if the meaning of an event changes.
const REVISION: u32 = 1;

impl Push<'_> {
    pub(super) async fn meter_events(&mut self, invoice: &Invoice) -> Result<(), BillingError> {
        let (_, lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        let customer = self.customer(invoice.partner).await?;
        self.take(invoice).await?;
        let mut of_product: Vec<(&str, i64)> = Vec::new();
        let mut counted = Money::zero(invoice.total.currency);
        for line in &lines {
            match line.kind {
                // Stripe would rate what credit has paid.
                LineKind::Usage if billable(line) == 0 => {}
                LineKind::Usage => {
                    let product = line.product_code.as_deref().unwrap_or("unknown");
                    let place = match of_product.iter_mut().find(|(known, _)| *known == product) {
                        Some((_, place)) => {
                            *place += 1;
                            *place
                        }
                        None => {
                            of_product.push((product, 0));
                            0
                        }
                    };
                    if self.usage(invoice, line, (product, place), &customer).await? == Told::ToTheMeter {
                        counted = counted.checked_add(line.amount)?;
                    }
                }
                // Of these a plan that Stripe rates has the base fee only; the others come of other plans' late usage.
                LineKind::BaseFee
                | LineKind::Meter
                | LineKind::Minimum
                | LineKind::Discount
                | LineKind::CommittedUse
                | LineKind::Commitment
                | LineKind::Adjustment
                | LineKind::CreditPackage
                | LineKind::CreditOverdraft => {
                    self.item(invoice, line, &customer, None, description(line)).await?;
                }
                LineKind::IncludedCredit => {}
            }
        }
        // Of what the meters count Stripe takes the included credit off itself; what is left of it is for the items.
        for line in lines.iter().filter(|line| line.kind == LineKind::IncludedCredit) {
            let left = line.amount.checked_add(counted)?;
            if left.micros < 0 {
                let line = InvoiceLine { amount: left, ..line.clone() };
                self.item(invoice, &line, &customer, None, description(&line)).await?;
            }
        }
        self.store.set_invoice_status(invoice.partner, invoice.id, InvoiceStatus::Sent, self.now()).await?;
        Ok(())
    }

    /// One operation's units: to the meter as long as Stripe's invoice of the period is open, and afterwards as an item.
    async fn usage(
        &mut self,
        invoice: &Invoice,
        line: &InvoiceLine,
        (product, place): (&str, i64),
        customer: &str,
    ) -> Result<Told, BillingError> {
        let event_name = event_name(product);
        let meter = self.meter(&event_name, product).await?;
        let minute = own_minute(invoice, place);
        let timestamp = minute.unwrap_or_else(|| invoice.period.end.as_second() - 1);
        let identifier = identifier(invoice, line);
        let units = billable(line);
        let look = Look::Event { meter: &meter, customer, minute, units, identifier: identifier.clone() };
        let subject = event_subject(invoice, line);
        // What once became an item stays one, whatever the clock and the settings say by now.
        let has_item = self.store.stripe_object(invoice.partner, &item_subject(invoice.id, line)).await?.is_some();
        if has_item || self.is_late(invoice) {
            return self.late_usage(invoice, line, &subject, look, customer).await;
        }
        let parameters = [
            ("event_name", event_name),
            ("payload[stripe_customer_id]", customer.to_owned()),
            ("payload[value]", units.to_string()),
            ("identifier", identifier),
            ("timestamp", timestamp.to_string()),
        ];
        let wanted = Wanted {
            partner: invoice.partner,
            subject,
            path: "/v1/billing/meter_events",
            parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            look,
        };
        self.once(wanted).await?;
        Ok(Told::ToTheMeter)
    }

    /// The meter's id; it is created where Stripe has none.
    async fn meter(&mut self, event_name: &str, product: &str) -> Result<String, BillingError> {
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

/// Units of the line that are for Stripe to rate.
fn billable(line: &InvoiceLine) -> u64 {
    line.quantity.unsigned_abs().saturating_sub(line.prepaid)
}

/// What a line's meter event stands for.
fn event_subject(invoice: &Invoice, line: &InvoiceLine) -> String {
    format!("meter_event:{}:{}", invoice.id, line.position)
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
