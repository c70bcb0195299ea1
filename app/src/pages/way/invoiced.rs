//! The steps of the invoices that have a call: their lines, how they stand, and what Stripe calls them.

use super::{Sees, Step, WayReader};
use crate::{components::*, pages::invoices::InvoiceState};
use domain::{id::PartnerId, money::group_thousands};
use leptos::prelude::*;
use store::{
    Collector, InvoiceStatus,
    trace::{TracedInvoice, TracedLine},
};

const HIDDEN: &str = "It is on an invoice. Owners, administrators and members with the billing role see which.";

/// The invoice of the call's period.
pub(super) fn on_invoice(partner: PartnerId, invoice: &TracedInvoice, reader: &WayReader) -> Vec<Step> {
    let words = Words { title: "Invoice", before: "", after: "", no_line: "It has no line for this operation." };
    on(partner, invoice, words, reader)
}

/// One that was made within the period.
pub(super) fn threshold(partner: PartnerId, invoice: &TracedInvoice, reader: &WayReader) -> Vec<Step> {
    let words = Words {
        title: "Threshold invoice",
        before: "",
        after: " The next invoice of the period takes it off.",
        no_line: "The call came after it was made.",
    };
    on(partner, invoice, words, reader)
}

/// What came when its period was closed.
pub(super) fn adjusted(partner: PartnerId, invoice: Option<&TracedInvoice>, reader: &WayReader) -> Vec<Step> {
    let Some(invoice) = invoice else {
        return vec![Step::waits("Invoice", "It will be an adjustment on the next invoice, which is not made yet.")];
    };
    let words =
        Words { title: "Adjustment", before: "On ", after: "", no_line: "It changed no line of its operation there." };
    on(partner, invoice, words, reader)
}

struct Words {
    title: &'static str,
    before: &'static str,
    after: &'static str,
    no_line: &'static str,
}

fn on(partner: PartnerId, invoice: &TracedInvoice, words: Words, reader: &WayReader) -> Vec<Step> {
    let Words { title, before, after, no_line } = words;
    if reader.sees == Sees::NoInvoices {
        return vec![Step::done(title, HIDDEN)];
    }
    let lines = match invoice.lines.is_empty() {
        true => view! { <p>{no_line}</p> }.into_any(),
        false => lines(partner, invoice, reader),
    };
    let (named, status) = (named(partner, invoice, reader), invoice.status);
    let text = view! {
        <p>{before} {named} " " <InvoiceState status=status/> " " {standing(status)} {after}</p>
        {lines}
    };
    let mut steps = vec![Step::done(title, text)];
    steps.extend(at_stripe(invoice, reader));
    steps
}

/// `TP-000042`, as a link where the reader may open it.
pub(super) fn named(partner: PartnerId, invoice: &TracedInvoice, reader: &WayReader) -> AnyView {
    match reader.sees {
        Sees::NoInvoices => "a later invoice".into_any(),
        sees => view! { <a href=sees.invoice(partner, invoice)>{invoice.code()}</a> }.into_any(),
    }
}

/// Each line as a link, with all of its units.
fn lines(partner: PartnerId, invoice: &TracedInvoice, reader: &WayReader) -> AnyView {
    let at = reader.sees.invoice(partner, invoice);
    let line = |(nth, line): (usize, &TracedLine)| {
        let name = if nth == 0 { "Its line" } else { "Another line" };
        let href = format!("{at}/lines/{}", line.position);
        let sign = if line.quantity < 0 { "−" } else { "" };
        let text = format!(" has {sign}{} of all its calls.", units(line.quantity.unsigned_abs()));
        view! { <p><a href=href>{name}</a> {text}</p> }
    };
    invoice.lines.iter().enumerate().map(line).collect_view().into_any()
}

const fn standing(status: InvoiceStatus) -> &'static str {
    match status {
        InvoiceStatus::Open => "It is not paid yet.",
        InvoiceStatus::Sent => "It was sent, and is not paid yet.",
        InvoiceStatus::Paid => "It is paid.",
        InvoiceStatus::Uncollectible => "Its payment was given up.",
        InvoiceStatus::Void => "It is void: nothing is owed for it.",
    }
}

/// What Stripe calls the invoice and its lines, or why it calls them nothing.
fn at_stripe(invoice: &TracedInvoice, reader: &WayReader) -> Option<Step> {
    let ids: Vec<(&'static str, String)> = invoice
        .stripe
        .iter()
        .map(|id| ("Invoice", id.clone()))
        .chain(
            invoice
                .lines
                .iter()
                .filter_map(|line| Some((named_at_stripe(line.stripe.as_ref()?), line.stripe.clone()?))),
        )
        .collect();
    if !ids.is_empty() {
        let ids = ids.into_iter().map(|(what, id)| {
            view! { <p>{what} " " <StripeId id=id/></p> }
        });
        return Some(Step::done("Stripe", ids.collect_view()));
    }
    let goes = invoice.collected_by.map_or(reader.stripe_is_on, |collector| collector == Collector::Stripe);
    if !goes {
        return (reader.sees == Sees::All).then(|| Step::ends("Stripe", "This invoice does not go to Stripe."));
    }
    Some(match invoice.status {
        InvoiceStatus::Open => Step::waits("Stripe", "The invoice goes to Stripe next, usually within minutes."),
        _ => Step::ends("Stripe", "Stripe's names for this invoice are not kept here."),
    })
}

/// An item of Stripe's begins so; what does not is the identifier that we gave a meter event.
fn named_at_stripe(id: &str) -> &'static str {
    if id.starts_with("ii_") { "Invoice item" } else { "Meter event" }
}

/// What Stripe calls something, to be copied.
#[component]
pub fn StripeId(#[prop(into)] id: String) -> impl IntoView {
    view! { <code>{id.clone()}</code> " " <CopyButton text=id label="Copy Stripe's id"/> }
}

/// `1 unit`, `40 units`
pub(super) fn units(count: u64) -> String {
    if count == 1 { "1 unit".to_owned() } else { format!("{} units", group_thousands(count)) }
}
