//! What a credit note takes off Stripe's invoice. On one with tax it says which lines, before tax, and Stripe adds the tax on them.

use super::{Push, invoice_items::owned};
use crate::{
    BillingError,
    stripe::{StripeCreditNote, StripeInvoice},
};
use std::collections::HashMap;
use store::{Parameters, credit_notes::CreditNote};

impl Push<'_> {
    /// The parameters that say what is credited, and what that comes to with tax, in the smallest coin. Another run says the same, whether or
    /// not the note is there by then.
    pub(super) async fn credited(
        &self,
        note: &CreditNote,
        invoice: &StripeInvoice,
    ) -> Result<(Parameters, i64), BillingError> {
        let coins = note.total.minor_units().unwrap_or_default();
        if invoice.tax().is_none() {
            return Ok((owned(&[("amount", &coins.to_string())]), coins));
        }
        let mut lines = Parameters::new();
        for (index, (line, part)) in self.lines_to_credit(note, invoice, coins).await?.into_iter().enumerate() {
            lines.push((format!("lines[{index}][type]"), "invoice_line_item".to_owned()));
            lines.push((format!("lines[{index}][invoice_line_item]"), line));
            lines.push((format!("lines[{index}][amount]"), part.to_string()));
        }
        let mut asked = owned(&[("invoice", &invoice.id)]);
        asked.extend(lines.clone());
        // What it is paid back with is of the whole, and the tax on it is for Stripe to say.
        if invoice.status.as_deref() != Some("paid") {
            return Ok((lines, coins));
        }
        let preview = self.stripe.preview_credit_note(&asked).await?;
        if preview.total_excluding_tax.is_some_and(|before| before != coins) {
            let message = format!(
                "Stripe would credit {} before tax on {}, and {} is credited here. {}",
                preview.total_excluding_tax.unwrap_or_default(),
                invoice.id,
                note.total,
                by_hand(note)
            );
            return Err(BillingError::Differs(message));
        }
        Ok((lines, preview.total))
    }

    /// Lines of the invoice from the first on with what other credit notes left of them.
    async fn lines_to_credit(
        &self,
        note: &CreditNote,
        invoice: &StripeInvoice,
        coins: i64,
    ) -> Result<Vec<(String, i64)>, BillingError> {
        let own = note.id.to_string();
        let mut before: HashMap<String, i64> = HashMap::new();
        for held in self.stripe.credit_notes_of(&invoice.id).await? {
            let is_own = held.metadata.get("turnpike_credit_note") == Some(&own);
            if is_own || held.status.as_deref() == Some("void") {
                continue;
            }
            for line in self.stripe.lines_of_credit_note(&held.id).await? {
                *before.entry(line.invoice_line_item.unwrap_or_default()).or_default() += line.amount;
            }
        }
        let (mut left, mut parts) = (coins, Vec::new());
        for line in self.stripe.lines_of_invoice(&invoice.id).await? {
            let part = (line.amount - before.get(&line.id).copied().unwrap_or_default()).min(left);
            if part > 0 {
                left -= part;
                parts.push((line.id, part));
            }
        }
        match left {
            0 => Ok(parts),
            _ => Err(BillingError::Differs(format!(
                "The lines of Stripe's invoice {} have not {} left to credit before tax. {}",
                invoice.id,
                note.total,
                by_hand(note)
            ))),
        }
    }

    /// How many coins less than its part of what was paid are left to pay back: what went back before was taken over rounded down to the
    /// coin, each time.
    pub(super) async fn short_by(
        &self,
        note: &CreditNote,
        invoice: &StripeInvoice,
        amount: i64,
    ) -> Result<i64, BillingError> {
        let own = note.id.to_string();
        let notes = self.stripe.credit_notes_of(&invoice.id).await?;
        let is_own = |held: &&StripeCreditNote| held.metadata.get("turnpike_credit_note") == Some(&own);
        let of_own: Vec<&str> =
            notes.iter().filter(is_own).flat_map(|held| &held.refunds).map(|part| part.refund.as_str()).collect();
        let (mut back, mut count) = (0, 0);
        for intent in self.stripe.payments_of_invoice(&invoice.id).await? {
            for refund in self.stripe.refunds_of(&intent).await? {
                let has_failed = matches!(refund.status.as_deref(), Some("failed" | "canceled"));
                if !has_failed && !of_own.contains(&refund.id.as_str()) {
                    back += refund.amount;
                    count += 1;
                }
            }
        }
        let short = amount - (invoice.total - invoice.pre_payment_credit_notes_amount - back);
        Ok(if (1..=count).contains(&short) { short } else { 0 })
    }
}

/// Whoever makes it there names ours on it, or it would be taken for another one.
fn by_hand(note: &CreditNote) -> String {
    format!("Credit it there by hand, over Stripe's API, with the metadata turnpike_credit_note={}.", note.id)
}
