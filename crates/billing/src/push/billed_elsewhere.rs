//! What is billed elsewhere of an invoice that we rate, of a plan that collects by meter events: it was sent while a subscription by hand
//! was there.

use super::{
    Push,
    invoice_items::{Draft, description, item_subject, minor_units, wanted_item},
    meter_events::{Counted, event_subject},
};
use crate::BillingError;
use domain::{
    money::{Money, group_thousands},
    plan::Collect,
    rating::LineKind,
};
use std::collections::HashMap;
use store::{Invoice, InvoiceLine, Store, StripeObject};

/// What a person has to know of an invoice that we rate, of which something is billed elsewhere. It is told from what was noted, so that
/// whoever looks at the invoice again tells it again.
pub(super) async fn told(store: &Store, invoice: &Invoice) -> Result<Option<String>, BillingError> {
    if invoice.collect != Collect::MeterEvents {
        return Ok(None);
    }
    let (_, lines) = store.invoice(invoice.partner, invoice.id).await?;
    let units: HashMap<i32, u64> = Counted::of(&lines).into_iter().map(|one| (one.line.position, one.units)).collect();
    let (mut problems, mut counted) = (Vec::new(), 0);
    for line in &lines {
        if let Some(item) = store.stripe_object(invoice.partner, &item_subject(invoice.id, line)).await? {
            if item.stripe_id.is_some() && is_elsewhere(&item) {
                problems.push(format!(
                    "Stripe has billed \"{}\" on an invoice of a subscription that was set up there by hand: whether that one is paid is not followed here",
                    line.description
                ));
            }
        } else if let Some(units) = units.get(&line.position) {
            let event = store.stripe_object(invoice.partner, &event_subject(invoice, line)).await?;
            counted += if event.is_some_and(|event| event.stripe_id.is_some()) { *units } else { 0 };
        }
    }
    if counted > 0 {
        problems.push(format!(
            "Stripe's meters have counted {} of the units for a subscription that was set up there by hand and cancelled since: see that its last invoice has them",
            group_thousands(counted)
        ));
    }
    Ok(Some(problems.join(". ")).filter(|text| !text.is_empty()))
}

/// Whether the item waits, or waited, for an invoice that Stripe makes by itself.
fn is_elsewhere(item: &StripeObject) -> bool {
    !item.parameters.iter().any(|(name, _)| name == "invoice")
}

impl Push<'_> {
    /// Takes items back that wait for another of Stripe's invoices, and leaves out what is on one already or counted by a meter. Says what that
    /// comes to, in the smallest coin.
    pub(super) async fn billed_elsewhere(
        &mut self,
        invoice: &Invoice,
        lines: &mut Vec<InvoiceLine>,
        (customer, draft): (&str, &str),
    ) -> Result<i64, BillingError> {
        if invoice.collect != Collect::MeterEvents {
            return Ok(0);
        }
        // Asked once more: an event that was noted before the invoice was is seen now.
        let by_meter = self.counted_by_hand(invoice, lines, customer).await?;
        let mut counted = Money::zero(invoice.total.currency);
        for line in lines.iter().filter(|line| by_meter.contains(&line.position)) {
            counted = counted.checked_add(line.amount)?;
        }
        lines.retain(|line| !by_meter.contains(&line.position));
        let mut coins = minor_units(counted)?;
        for mut line in std::mem::take(lines) {
            // Stripe takes the included credit off what its meters count.
            if line.kind == LineKind::IncludedCredit && counted.micros > 0 {
                let left = Money { micros: line.amount.checked_add(counted)?.micros.min(0), ..line.amount };
                coins += minor_units(line.amount)? - minor_units(left)?;
                line.amount = left;
            }
            if self.take_back(invoice, &line, (customer, draft)).await? {
                coins += minor_units(line.amount)?;
            } else if line.kind != LineKind::IncludedCredit || line.amount.micros != 0 {
                lines.push(line);
            }
        }
        Ok(coins)
    }

    /// The positions of lines whose units a meter has.
    pub(super) async fn counted_by_hand(
        &mut self,
        invoice: &Invoice,
        lines: &[InvoiceLine],
        customer: &str,
    ) -> Result<Vec<i32>, BillingError> {
        let mut positions = Vec::new();
        if invoice.collect != Collect::MeterEvents || !self.store.has_meter_events(invoice.partner, invoice.id).await? {
            return Ok(positions);
        }
        for one in Counted::of(lines) {
            let meter = self.meter(&one.event_name(), one.product).await?;
            if self.is_counted(invoice, one.line, &one.look(invoice, &meter, customer)).await? {
                positions.push(one.line.position);
            }
        }
        Ok(positions)
    }

    /// An item of the line that waits at Stripe for an invoice that it makes by itself, as was right while a subscription by hand was there:
    /// where that never came, it is taken back, so that it can go on this draft. Says whether another invoice has it by now.
    async fn take_back(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        (customer, draft): (&str, &str),
    ) -> Result<bool, BillingError> {
        let subject = item_subject(invoice.id, line);
        let Some(held) = self.store.stripe_object(invoice.partner, &subject).await? else { return Ok(false) };
        if !is_elsewhere(&held) {
            return Ok(false);
        }
        let id = match held.stripe_id {
            Some(id) => id,
            // Whether it is there is not known: asked once more, it is.
            None => self.item(invoice, line, customer, None, description(line)).await?,
        };
        match self.stripe.invoice_item(&id).await {
            Ok(item) => match item.invoice {
                Some(other) => return Ok(other != draft),
                None => self.stripe.delete_item(&id).await?,
            },
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        self.store.forget_stripe_object(invoice.partner, &subject, &id, self.now()).await?;
        let on = Draft { id: draft, hands_over_tax: self.was_begun_with_tax(invoice).await?, is_stripes: false };
        let wanted = wanted_item(invoice, line, customer, Some(on), description(line))?;
        let Some(held) = self.store.stripe_object(invoice.partner, &subject).await? else { return Ok(false) };
        let attempt = held.attempt + 1;
        self.store.begin_stripe_object(invoice.partner, &subject, attempt, &wanted.parameters, self.now()).await?;
        Ok(false)
    }
}
