//! The hand-over of tax: where the installation says so, Stripe Tax computes it on Stripe's invoice, and we keep what came of it beside our total.
//!
//! Stripe takes no item below zero on such an invoice (see `automatic_tax.enabled` of its reference). What lines take off comes off the items
//! above zero instead, so that what is before tax stays our total.

use super::{Push, invoice_items};
use crate::{
    BillingError,
    stripe::{AutomaticTax, StripeInvoice},
};
use domain::money::{Currency, Money};
use store::{Invoice, InvoiceLine};

/// What makes a draft one whose tax Stripe computes.
pub(super) const SWITCH: (&str, &str) = ("automatic_tax[enabled]", "true");

/// A line as it goes to Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub line: InvoiceLine,
    /// What other lines take off it, which is in its amount already.
    pub taken_off: Money,
}

impl Push<'_> {
    /// Whether Stripe is to compute the tax of an invoice that it gets now. On nothing there is none.
    ///
    /// # Errors
    /// It is below zero, and Stripe does not have it yet.
    pub(super) async fn wants_tax(&self, invoice: &Invoice) -> Result<bool, BillingError> {
        if self.stripe.computes_tax() && invoice.total.micros < 0 {
            let held = self.store.stripe_object(invoice.partner, &invoice_items::subject(invoice.id)).await?;
            if held.is_none_or(|held| held.stripe_id.is_none()) {
                let message = format!(
                    "Stripe Tax takes no invoice below zero, and this one comes to {}. Pay it out with the tax on it, and mark it as paid.",
                    invoice.total
                );
                return Err(BillingError::Differs(message));
            }
        }
        Ok(self.stripe.computes_tax() && invoice.total.micros > 0)
    }

    /// Whether Stripe's draft was begun with tax, whatever the setting is by now.
    pub(super) async fn was_begun_with_tax(&self, invoice: &Invoice) -> Result<bool, BillingError> {
        let held = self.store.stripe_object(invoice.partner, &invoice_items::subject(invoice.id)).await?;
        let parameters = held.map(|held| held.parameters).unwrap_or_default();
        Ok(parameters.iter().any(|(name, value)| (name.as_str(), value.as_str()) == SWITCH))
    }

    /// A draft whose tax is computed. Where it was not, as before somebody gave Stripe the customer's address, Stripe is asked again.
    ///
    /// # Errors
    /// It still is not.
    pub(super) async fn with_tax(&self, draft: StripeInvoice, customer: &str) -> Result<StripeInvoice, BillingError> {
        if !is_missing(&draft.automatic_tax) {
            return Ok(draft);
        }
        let again = self.stripe.compute_tax_again(&draft.id).await?;
        if !is_missing(&again.automatic_tax) {
            return Ok(again);
        }
        let why = match again.automatic_tax.status.as_deref() {
            Some("failed") => "Stripe Tax failed; it is asked again with each run".to_owned(),
            _ => format!("Stripe Tax does not know where the customer {customer} is: give it an address at Stripe"),
        };
        Err(BillingError::Differs(format!("{why}. Stripe's {} was left as a draft.", again.id)))
    }
}

fn is_missing(tax: &AutomaticTax) -> bool {
    tax.enabled && matches!(tax.status.as_deref(), Some("requires_location_inputs" | "failed"))
}

/// What Stripe computed on an invoice.
pub(super) fn held(found: &StripeInvoice) -> Option<Money> {
    let currency: Currency = found.currency.parse().ok()?;
    let coins = found.tax().filter(|coins| *coins >= 0)?;
    Some(Money::new(currency, coins.checked_mul(currency.micros_per_minor())?))
}

/// What a person has to know of an invoice of which Stripe switched the tax off by itself.
pub(super) fn left_out(found: &StripeInvoice) -> Option<String> {
    let reason = found.automatic_tax.disabled_reason.as_deref()?.replace('_', " ");
    Some(format!("Stripe made {} final without tax ({reason})", found.id))
}

/// The lines as items of which none is below zero. What is taken off comes off the last ones first, which are usage.
pub(super) fn items(lines: Vec<InvoiceLine>) -> Vec<Item> {
    let mut off: i64 = lines.iter().map(|line| line.amount.micros.min(0)).sum::<i64>().saturating_neg();
    let mut items: Vec<Item> = lines.into_iter().filter(|line| line.amount.micros >= 0).map(whole).collect();
    for Item { line, taken_off } in items.iter_mut().rev() {
        let part = off.min(line.amount.micros);
        line.amount.micros -= part;
        taken_off.micros = part;
        off -= part;
    }
    items
}

/// A line as it is.
pub(super) fn whole(line: InvoiceLine) -> Item {
    let taken_off = Money::zero(line.amount.currency);
    Item { line, taken_off }
}

/// What stands beside an item.
pub(super) fn description(item: &Item) -> String {
    let text = invoice_items::description(&item.line);
    match item.taken_off.micros {
        0 => text,
        _ => format!("{text}, less {} of discounts and credit", item.taken_off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::rating::LineKind;

    fn line(position: i32, cents: i64) -> InvoiceLine {
        InvoiceLine {
            position,
            kind: LineKind::BaseFee,
            product: None,
            operation: None,
            product_code: None,
            operation_code: None,
            description: format!("Line {position}"),
            quantity: 1,
            free: 0,
            prepaid: 0,
            meter: None,
            amount: Money::new(Currency::Usd, cents * 10_000),
            teams: Vec::new(),
        }
    }

    #[test]
    fn what_lines_take_off_comes_off_the_last_items_and_the_sum_stays() {
        let lines: Vec<_> =
            [4_900, 0, 1_101, -500, 300, -1_000].into_iter().zip(0..).map(|(c, p)| line(p, c)).collect();
        let before: i64 = lines.iter().map(|line| line.amount.micros).sum();
        let items = items(lines);
        let cents: Vec<_> = items.iter().map(|item| (item.line.position, item.line.amount.micros / 10_000)).collect();
        assert_eq!(cents, [(0, 4_801), (1, 0), (2, 0), (4, 0)]);
        assert_eq!(items.iter().map(|item| item.line.amount.micros).sum::<i64>(), before);
        assert_eq!(description(&items[0]), "Line 0, less $0.99 of discounts and credit");
        assert_eq!(description(&items[1]), "Line 1");
    }
}
