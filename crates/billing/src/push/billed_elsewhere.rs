//! What is billed elsewhere of an invoice that we rate, of a plan that collects by meter events: it was sent while a subscription by hand
//! was there.

use super::{
    Push,
    invoice_items::{Draft, description, item_subject, minor_units, wanted_item},
    meter_events::Counted,
};
use crate::BillingError;
use domain::{money::Money, plan::Collect, rating::LineKind};
use store::{Invoice, InvoiceLine};

/// What is on another of Stripe's invoices.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// In the smallest coin.
    pub coins: i64,
    /// What a person has to know of it.
    pub problem: Option<String>,
}

impl Push<'_> {
    /// Takes items back that wait for another of Stripe's invoices, and leaves out what is on one already or counted by a meter.
    pub(super) async fn billed_elsewhere(
        &mut self,
        invoice: &Invoice,
        lines: &mut Vec<InvoiceLine>,
        (customer, draft): (&str, &str),
    ) -> Result<Elsewhere, BillingError> {
        let mut elsewhere = Elsewhere::default();
        if invoice.collect != Collect::MeterEvents {
            return Ok(elsewhere);
        }
        let mut counted = Money::zero(invoice.total.currency);
        if self.store.has_meter_events(invoice.partner, invoice.id).await? {
            counted = self.leave_counted(invoice, lines, customer).await?;
            elsewhere.coins += minor_units(counted)?;
        }
        for mut line in std::mem::take(lines) {
            // Stripe takes the included credit off what its meters count.
            if line.kind == LineKind::IncludedCredit && counted.micros > 0 {
                let left = Money { micros: line.amount.checked_add(counted)?.micros.min(0), ..line.amount };
                elsewhere.coins += minor_units(line.amount)? - minor_units(left)?;
                line.amount = left;
            }
            match self.take_back(invoice, &line, (customer, draft)).await? {
                None if line.kind == LineKind::IncludedCredit && line.amount.micros == 0 => {}
                None => lines.push(line),
                Some(other) => {
                    elsewhere.coins += minor_units(line.amount)?;
                    elsewhere.problem = Some(format!(
                        "Stripe has billed \"{}\" on its invoice {other}, of a subscription that was set up there by hand: whether that one is paid is not followed here",
                        line.description
                    ));
                }
            }
        }
        if counted.micros > 0 {
            elsewhere.problem = Some(format!(
                "Stripe's meters have counted units of {counted} for a subscription that was set up there by hand and cancelled since: see that its last invoice has them"
            ));
        }
        Ok(elsewhere)
    }

    /// Takes lines out whose units a meter has, and says what they come to.
    async fn leave_counted(
        &mut self,
        invoice: &Invoice,
        lines: &mut Vec<InvoiceLine>,
        customer: &str,
    ) -> Result<Money, BillingError> {
        let mut sum = Money::zero(invoice.total.currency);
        let mut positions = Vec::new();
        for one in Counted::of(lines) {
            let meter = self.meter(&one.event_name(), one.product).await?;
            if self.is_counted(invoice, one.line, &one.look(invoice, &meter, customer)).await? {
                sum = sum.checked_add(one.line.amount)?;
                positions.push(one.line.position);
            }
        }
        lines.retain(|line| !positions.contains(&line.position));
        Ok(sum)
    }

    /// An item of the line that waits at Stripe for an invoice that it makes by itself, as was right while a subscription by hand was there:
    /// where that never came, it is taken back, so that it can go on this draft. Says which other invoice has it by now.
    async fn take_back(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        (customer, draft): (&str, &str),
    ) -> Result<Option<String>, BillingError> {
        let subject = item_subject(invoice.id, line);
        let Some(held) = self.store.stripe_object(invoice.partner, &subject).await? else { return Ok(None) };
        if held.parameters.iter().any(|(name, _)| name == "invoice") {
            return Ok(None);
        }
        let id = match held.stripe_id {
            Some(id) => id,
            // Whether it is there is not known: asked once more, it is.
            None => self.item(invoice, line, customer, None, description(line)).await?,
        };
        match self.stripe.invoice_item(&id).await {
            Ok(item) => match item.invoice {
                Some(other) => return Ok((other != draft).then_some(other)),
                None => self.stripe.delete_item(&id).await?,
            },
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        self.store.forget_stripe_object(invoice.partner, &subject, &id, self.now()).await?;
        let on = Draft { id: draft, hands_over_tax: self.was_begun_with_tax(invoice).await?, is_stripes: false };
        let wanted = wanted_item(invoice, line, customer, Some(on), description(line))?;
        let Some(held) = self.store.stripe_object(invoice.partner, &subject).await? else { return Ok(None) };
        let attempt = held.attempt + 1;
        self.store.begin_stripe_object(invoice.partner, &subject, attempt, &wanted.parameters, self.now()).await?;
        Ok(None)
    }
}
