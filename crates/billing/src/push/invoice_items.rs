//! Mode `invoice_items`: we rate, Stripe collects. A draft, one item for each line, the totals compared, then final.

use super::{Push, look::Look, once::Wanted, settle, tax};
use crate::{BillingError, stripe::StripeInvoice};
use domain::{id::InvoiceId, money::Money};
use std::collections::HashMap;
use store::{Invoice, InvoiceLine, Parameters};

/// What the draft stands for.
pub(super) fn subject(invoice: InvoiceId) -> String {
    format!("invoice:{invoice}")
}

/// Where an item goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft<'a> {
    pub id: &'a str,
    /// Whether Stripe computes the tax on it.
    pub hands_over_tax: bool,
    /// Whether Stripe has made it by itself: what does not get onto it in time waits for the next one.
    pub is_stripes: bool,
}

/// What an item stands for.
pub(super) fn item_subject(invoice: InvoiceId, line: &InvoiceLine) -> String {
    format!("item:{invoice}:{}", line.position)
}

impl Push<'_> {
    pub(super) async fn invoice_items(&mut self, invoice: &Invoice) -> Result<(), BillingError> {
        if self.store.billing_contact(invoice.partner).await?.email.is_none() {
            let message = format!(
                "Stripe sends invoices by e-mail and {} has no member with an address. Invite one with the billing role.",
                invoice.partner_name
            );
            return Err(BillingError::Differs(message));
        }
        let (_, mut lines) = self.store.invoice(invoice.partner, invoice.id).await?;
        let wants_tax = self.wants_tax(invoice).await?;
        let customer = self.customer(invoice.partner).await?;
        self.take(invoice).await?;
        // Before it is known what a meter has, no draft is noted: a server of an earlier version would bill all of it by that.
        match self.counted_by_hand(invoice, &lines, &customer).await {
            // A person decides, who can mark as paid what Stripe has a draft of.
            Err(BillingError::Differs(_)) => {}
            known => drop(known?),
        }
        let draft = self.draft_of(subject(invoice.id), invoice, &customer, wants_tax).await?;
        let hands_over_tax = self.was_begun_with_tax(invoice).await?;
        let elsewhere = self.billed_elsewhere(invoice, &mut lines, (&customer, &draft)).await?;
        let mut observed = self.stripe.invoice(&draft).await?;
        if observed.status.as_deref() == Some("draft") {
            let mut ids = HashMap::new();
            let items: Vec<tax::Item> =
                if hands_over_tax { tax::items(lines) } else { lines.into_iter().map(tax::whole).collect() };
            let on = Draft { id: &draft, hands_over_tax, is_stripes: false };
            for item in &items {
                let text = tax::description(item);
                let id = self.item(invoice, &item.line, &customer, Some(on), text).await?;
                ids.insert(item.line.position.to_string(), id);
            }
            observed = self.stripe.invoice(&draft).await?;
            if differs(invoice, &observed, elsewhere)? && self.remove_surplus(&draft, invoice.id, &ids).await? {
                observed = self.stripe.invoice(&draft).await?;
            }
            if differs(invoice, &observed, elsewhere)? {
                let held = observed.before_tax();
                let before = if observed.tax().is_some() { " before tax" } else { "" };
                let message = format!(
                    "Stripe's draft {draft} comes to {held} {} in the smallest coin{before} and our invoice to {}. It was left as a draft.",
                    observed.currency.to_uppercase(),
                    invoice.total
                );
                return Err(BillingError::Differs(message));
            }
            self.with_tax(observed, &customer).await?;
            observed = self.finalize(&draft).await?;
        } else if differs(invoice, &observed, elsewhere)? {
            let message = format!(
                "Stripe's invoice {draft} is final and comes to {} {} in the smallest coin before tax, but ours to {}.",
                observed.before_tax(),
                observed.currency.to_uppercase(),
                invoice.total
            );
            return Err(BillingError::Differs(message));
        }
        settle(self.store, self.stripe, (invoice.partner, invoice.id), &observed, self.now()).await
    }

    /// Makes a draft final, and says what it is then.
    pub(super) async fn finalize(&self, draft: &str) -> Result<StripeInvoice, BillingError> {
        match self.stripe.finalize_invoice(draft).await {
            Ok(observed) => Ok(observed),
            // Perhaps an earlier answer was lost: what counts is what Stripe holds.
            Err(error) if error.is_refusal() => {
                let observed = self.stripe.invoice(draft).await?;
                if observed.is_draft() { Err(error.into()) } else { Ok(observed) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A draft with our invoice's name on it, which does not advance by itself.
    pub(super) async fn draft_of(
        &self,
        subject: String,
        invoice: &Invoice,
        customer: &str,
        wants_tax: bool,
    ) -> Result<String, BillingError> {
        let id = invoice.id.to_string();
        let is_charged = self.store.is_charged_by_itself(invoice.partner, invoice.id).await?;
        let parameters = [
            ("customer", customer),
            ("currency", &invoice.total.currency.code().to_lowercase()),
            ("collection_method", if is_charged { "charge_automatically" } else { "send_invoice" }),
            // A draft that advances by itself would be final after an hour, whatever is on it by then.
            ("auto_advance", "false"),
            ("pending_invoice_items_behavior", "exclude"),
            ("description", &format!("{} plan, invoice {}", invoice.plan_name, invoice.number)),
            ("metadata[turnpike_invoice]", &id),
        ];
        let mut parameters = owned(&parameters);
        if !is_charged {
            parameters.push(("days_until_due".to_owned(), self.settings.days_until_due.to_string()));
        }
        if wants_tax {
            parameters.extend(owned(&[tax::SWITCH]));
        }
        let wanted = Wanted {
            partner: invoice.partner,
            subject,
            path: "/v1/invoices",
            parameters,
            look: Look::Draft { customer, invoice: id.clone() },
        };
        self.once(wanted).await
    }

    /// An item of one line: on the draft, or waiting for Stripe's own next invoice.
    pub(super) async fn item(
        &self,
        invoice: &Invoice,
        line: &InvoiceLine,
        customer: &str,
        draft: Option<Draft<'_>>,
        description: String,
    ) -> Result<String, BillingError> {
        self.once(wanted_item(invoice, line, customer, draft, description)?).await
    }

    /// Takes off what carries our names and is not what we know of. Says whether there was any.
    async fn remove_surplus(
        &self,
        draft: &str,
        invoice: InvoiceId,
        ids: &HashMap<String, String>,
    ) -> Result<bool, BillingError> {
        let id = invoice.to_string();
        let mut removed = false;
        for item in self.stripe.items_of_invoice(draft).await? {
            let line =
                item.metadata.get("turnpike_line").filter(|_| item.metadata.get("turnpike_invoice") == Some(&id));
            if line.is_some_and(|line| ids.get(line) != Some(&item.id)) {
                self.stripe.delete_item(&item.id).await?;
                removed = true;
            }
        }
        Ok(removed)
    }
}

pub(super) fn wanted_item<'a>(
    invoice: &Invoice,
    line: &InvoiceLine,
    customer: &'a str,
    draft: Option<Draft<'a>>,
    description: String,
) -> Result<Wanted<'a>, BillingError> {
    let (id, position) = (invoice.id.to_string(), line.position.to_string());
    let amount = minor_units(line.amount)?.to_string();
    let (start, end) = (invoice.period.start.as_second().to_string(), invoice.period.end.as_second().to_string());
    let mut parameters = owned(&[
        ("customer", customer),
        ("amount", &amount),
        ("currency", &line.amount.currency.code().to_lowercase()),
        ("description", &description),
        ("period[start]", &start),
        ("period[end]", &end),
        ("metadata[turnpike_invoice]", &id),
        ("metadata[turnpike_line]", &position),
    ]);
    if let Some(draft) = draft {
        parameters.push(("invoice".to_owned(), draft.id.to_owned()));
    }
    if draft.is_some_and(|draft| draft.hands_over_tax) {
        // Our prices are before tax, whatever is usual in the account.
        parameters.push(("tax_behavior".to_owned(), "exclusive".to_owned()));
    }
    Ok(Wanted {
        partner: invoice.partner,
        subject: item_subject(invoice.id, line),
        path: "/v1/invoiceitems",
        parameters,
        look: Look::Item {
            customer,
            draft: draft.filter(|draft| !draft.is_stripes).map(|draft| draft.id),
            invoice: id,
            position,
        },
    })
}

/// Tax comes on top, and is Stripe's; so much less is on it as is on another one.
fn differs(invoice: &Invoice, observed: &StripeInvoice, elsewhere: i64) -> Result<bool, BillingError> {
    let same_currency = observed.currency.eq_ignore_ascii_case(invoice.total.currency.code());
    Ok(!same_currency || observed.before_tax() != minor_units(invoice.total)? - elsewhere)
}

pub(super) fn minor_units(amount: Money) -> Result<i64, BillingError> {
    amount.minor_units().ok_or_else(|| BillingError::Differs(format!("{amount} is not a whole number of coins")))
}

pub(super) fn description(line: &InvoiceLine) -> String {
    use domain::{money::group_thousands, rating::LineKind};
    let mut text = line.description.clone();
    if matches!(line.kind, LineKind::Usage | LineKind::Meter) {
        text = format!("{text}: {} units", group_thousands(line.quantity.unsigned_abs()));
    }
    for (units, of_them) in [(line.free, "free"), (line.prepaid, "paid by credit")] {
        if units > 0 && matches!(line.kind, LineKind::Usage | LineKind::Meter) {
            text = format!("{text}, {} of them {of_them}", group_thousands(units));
        }
    }
    text
}

pub(super) fn owned(parameters: &[(&str, &str)]) -> Parameters {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
