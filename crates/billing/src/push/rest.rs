//! Stripe's own invoice of a period, and an invoice beside it of what that one has missed.
//!
//! Stripe makes its draft final by itself, about an hour after the period, whatever is on it by then. As long as it is a draft our items go
//! onto it, and units to the meters in time. What has not got there once it is final, because Stripe could not be reached meanwhile, is not
//! left to wait for whichever invoice comes next: it goes on a draft of ours that does not advance by itself, which is compared and made
//! final as in the mode `invoice_items`. Our invoice is paid when both are ([`together`]).

use super::{
    Push,
    invoice_items::{Draft, description, item_subject, minor_units},
    meter_events::{Counted, event_subject, is_item},
    rated, settle,
};
use crate::{
    BillingError,
    stripe::{Stripe, StripeInvoice},
};
use domain::{id::InvoiceId, rating::LineKind};
use store::{Invoice, InvoiceLine, InvoiceStatus, Store, StripeObject};

/// What the draft of the rest stands for.
pub(super) fn subject(invoice: InvoiceId) -> String {
    format!("rest:{invoice}")
}

impl Push<'_> {
    /// Puts everything where Stripe's draft will have it. Units for which it is too late wait until it is final: only then is it known what
    /// Stripe has rated.
    pub(super) async fn fill(
        &mut self,
        invoice: &Invoice,
        customer: &str,
        theirs: &StripeInvoice,
    ) -> Result<(), BillingError> {
        let (_, lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        let on = Draft { id: &theirs.id, hands_over_tax: false, is_stripes: true };
        for line in lines.iter().filter(|line| is_item(line)) {
            match self.item(invoice, line, customer, Some(on), description(line)).await {
                // It may have become final this very moment.
                Err(BillingError::Stripe(error)) if error.is_refusal() => {
                    return match self.stripe.invoice(&theirs.id).await?.is_draft() {
                        true => Err(error.into()),
                        false => Err(BillingError::TooSoon("another look at Stripe's invoice, which is final by now")),
                    };
                }
                done => done?,
            };
        }
        let mut is_short = false;
        for one in Counted::of(&lines) {
            let sent = self.store.stripe_object(invoice.partner, &event_subject(invoice, one.line)).await?;
            if self.has_item(invoice, one.line).await? {
                is_short = true;
            } else if !self.is_late(invoice) {
                self.send_event(invoice, &one, customer).await?;
            } else if sent.is_none_or(|sent| sent.stripe_id.is_none()) {
                is_short = true;
            }
        }
        if is_short {
            return Err(match theirs.stays_draft() {
                true => BillingError::Differs(rated::stays_draft(theirs)),
                false => BillingError::TooSoon("Stripe's own invoice of a period, which becomes final"),
            });
        }
        self.store.set_invoice_status(invoice.partner, invoice.id, InvoiceStatus::Sent, self.now()).await?;
        settle(self.store, self.stripe, (invoice.partner, invoice.id), theirs, self.now()).await
    }

    /// Bills what Stripe's invoice, which is final, has not.
    pub(super) async fn complete(
        &mut self,
        invoice: &Invoice,
        customer: &str,
        theirs: &StripeInvoice,
    ) -> Result<(), BillingError> {
        let (_, lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        self.find_items(invoice, &lines, theirs).await?;
        let mut rest: Vec<InvoiceLine> = lines.iter().filter(|line| is_item(line)).cloned().collect();
        let mut late = Vec::new();
        for one in Counted::of(&lines) {
            let meter = self.meter(&one.event_name(), one.product).await?;
            if !self.is_counted(invoice, one.line, &one.look(invoice, &meter, customer)).await? {
                late.push(one.line.clone());
            }
        }
        if !late.is_empty() {
            rest.extend(self.correction(&lines, &late, theirs).await?);
            rest.extend(late);
        }
        let own = self.store.stripe_object(invoice.partner, &subject(invoice.id)).await?;
        let own = own.and_then(|held| held.stripe_id);
        let mut missing = Vec::new();
        for line in rest {
            let held = self.store.stripe_object(invoice.partner, &item_subject(invoice.id, &line)).await?;
            let elsewhere =
                |held: &StripeObject| held.stripe_id.is_some() && (own.is_none() || on(held) != own.as_deref());
            if !held.is_some_and(|held| elsewhere(&held)) {
                missing.push(line);
            }
        }
        if !missing.is_empty() {
            self.bill(invoice, customer, &missing).await?;
        }
        self.store.set_invoice_status(invoice.partner, invoice.id, InvoiceStatus::Sent, self.now()).await?;
        settle(self.store, self.stripe, (invoice.partner, invoice.id), theirs, self.now()).await
    }

    /// Notes which items are on Stripe's invoice though the answer was lost: as it is final, the others never will be.
    async fn find_items(
        &self,
        invoice: &Invoice,
        lines: &[InvoiceLine],
        theirs: &StripeInvoice,
    ) -> Result<(), BillingError> {
        let id = invoice.id.to_string();
        for item in self.stripe.items_of_invoice(&theirs.id).await? {
            let is_of = |line: &&InvoiceLine| item.metadata.get("turnpike_line") == Some(&line.position.to_string());
            if item.metadata.get("turnpike_invoice") != Some(&id) {
                continue;
            }
            if let Some(line) = lines.iter().find(is_of) {
                let subject = item_subject(invoice.id, line);
                self.store.finish_stripe_object(invoice.partner, &subject, &item.id, self.now()).await?;
            }
        }
        Ok(())
    }

    /// Where Stripe has rated some of the units only: what it took for them is another amount than the lines of the same units here, as
    /// included units and steps are of the whole. The difference is a line of its own.
    async fn correction(
        &self,
        lines: &[InvoiceLine],
        late: &[InvoiceLine],
        theirs: &StripeInvoice,
    ) -> Result<Option<InvoiceLine>, BillingError> {
        let Some(first) = late.first() else { return Ok(None) };
        let ours = coins(lines.iter().filter(|line| line.kind == LineKind::Usage))?;
        let too_late = coins(late)?;
        let of_theirs = self.stripe.lines_of_invoice(&theirs.id).await?;
        let rated: i64 = of_theirs.iter().filter(|line| line.is_rated()).map(|line| line.amount).sum();
        let left = ours - too_late - rated;
        let coin = first.amount.currency.micros_per_minor();
        let mut line = InvoiceLine {
            position: i32::try_from(lines.len()).unwrap_or(i32::MAX),
            kind: LineKind::Adjustment,
            description: format!("Units of the period that invoice {} has rated without these", theirs.id),
            quantity: 1,
            free: 0,
            prepaid: 0,
            ..first.clone()
        };
        line.amount.micros = left.saturating_mul(coin);
        Ok((left != 0).then_some(line))
    }

    /// An invoice of these lines, final.
    async fn bill(&self, invoice: &Invoice, customer: &str, lines: &[InvoiceLine]) -> Result<(), BillingError> {
        let draft = self.draft_of(subject(invoice.id), invoice, customer, false).await?;
        let sum = coins(lines)?;
        let mut observed = self.stripe.invoice(&draft).await?;
        if observed.is_draft() {
            let on = Draft { id: &draft, hands_over_tax: false, is_stripes: false };
            for line in lines {
                self.item(invoice, line, customer, Some(on), description(line)).await?;
            }
            observed = self.stripe.invoice(&draft).await?;
        }
        if observed.before_tax() != sum {
            let message = format!(
                "Stripe's invoice {draft}, of what Stripe has not billed by itself, comes to {} in the smallest coin and should to {sum}.",
                observed.before_tax()
            );
            return Err(BillingError::Differs(message));
        }
        if observed.is_draft() {
            self.finalize(&draft).await?;
        }
        Ok(())
    }
}

/// What lines come to, in the smallest coin.
fn coins<'a>(lines: impl IntoIterator<Item = &'a InvoiceLine>) -> Result<i64, BillingError> {
    let mut sum = 0;
    for line in lines {
        sum += minor_units(line.amount)?;
    }
    Ok(sum)
}

/// The invoice that an item was asked for on.
fn on(held: &StripeObject) -> Option<&str> {
    held.parameters.iter().find(|(name, _)| name == "invoice").map(|(_, id)| id.as_str())
}

/// The one of Stripe's two invoices of a period that is not at hand, where there are two.
pub(super) async fn other(
    store: &Store,
    stripe: &Stripe,
    invoice: &Invoice,
    at_hand: &str,
) -> Result<Option<StripeInvoice>, BillingError> {
    for subject in [super::invoice_items::subject(invoice.id), subject(invoice.id)] {
        let held = store.stripe_object(invoice.partner, &subject).await?;
        if let Some(id) = held.and_then(|held| held.stripe_id).filter(|id| id != at_hand) {
            return Ok(Some(stripe.invoice(&id).await?));
        }
    }
    Ok(None)
}

/// What Stripe's invoices of one of ours come to together, and the one of them that says when and where it is paid; `None` as long as one of
/// them is a draft. One that comes to nothing says nothing beside another.
pub(super) fn together<'a>(all: &[&'a StripeInvoice]) -> Option<(InvoiceStatus, &'a StripeInvoice)> {
    let mut known = Vec::new();
    for one in all {
        known.push((status(one)?, *one));
    }
    if known.iter().any(|(_, one)| one.total != 0) {
        known.retain(|(_, one)| one.total != 0);
    }
    let (first, lead) = known.iter().copied().min_by_key(|(status, _)| *status)?;
    let is_same = known.iter().all(|(status, _)| *status == first);
    match first {
        // One of them was made void and the other one paid: it is not all paid, and it counts.
        InvoiceStatus::Void if !is_same => Some((InvoiceStatus::Uncollectible, lead)),
        status => Some((status, lead)),
    }
}

fn status(found: &StripeInvoice) -> Option<InvoiceStatus> {
    match found.status.as_deref() {
        Some("open") => Some(InvoiceStatus::Sent),
        Some("paid") => Some(InvoiceStatus::Paid),
        Some("uncollectible") => Some(InvoiceStatus::Uncollectible),
        Some("void") => Some(InvoiceStatus::Void),
        _ => None,
    }
}
