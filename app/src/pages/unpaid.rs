//! What pages say of invoices that are not paid: the banner of the portal, and how one invoice is paid or held back.

use crate::{
    components::*,
    flash::Flash,
    pages::time_text::{local_date, local_zone, moment},
    viewer::MemberViewer,
};
use domain::{dunning::Stage, money::Money, role::MemberRole};
use jiff::Timestamp;
use leptos::prelude::*;
use store::{DunningLine, Invoice, InvoiceStatus};

pub const DISPUTE: &str = "invoices/dispute";

/// A stage in a word.
#[component]
pub fn StageBadge(stage: Stage) -> impl IntoView {
    let tone = match stage {
        Stage::Good => Tone::Success,
        Stage::Grace => Tone::Warning,
        Stage::Limited | Stage::Suspended => Tone::Danger,
    };
    view! { <Badge text=stage.word() tone=tone/> }
}

/// On each page of the portal, while an invoice is overdue: what has happened, what is next and what to do.
pub fn unpaid_notice(viewer: &MemberViewer) -> AnyView {
    let Some(line) = &viewer.unpaid else { return ().into_any() };
    let zone = local_zone(&viewer.time_zone);
    let code = line.code();
    let by = line.worsens_at.map(|at| moment(at, &zone)).unwrap_or_default();
    let (tone, title, text) = match line.stage {
        Stage::Good => return ().into_any(),
        Stage::Grace if by.is_empty() => {
            (Tone::Warning, format!("Invoice {code} is overdue"), "Please pay it.".to_owned())
        }
        Stage::Grace => {
            let text = format!("Please pay it by {by}: from then on your calls are limited.");
            (Tone::Warning, format!("Invoice {code} is overdue"), text)
        }
        Stage::Limited => {
            let text = format!("Your limits are lowered. Please pay it by {by}: from then on your calls are refused.");
            (Tone::Danger, format!("Invoice {code} is unpaid"), text)
        }
        Stage::Suspended => {
            let text = "Calls with your keys are refused with 402 until it is paid, and served again within a second.";
            (Tone::Danger, format!("Invoice {code} is unpaid"), text.to_owned())
        }
    };
    let may_pay = matches!(viewer.role, MemberRole::Owner | MemberRole::Admin | MemberRole::Billing);
    let what = match may_pay {
        true => view! { <a href=format!("/invoices/{}", line.invoice)>"See and pay the invoice"</a> }.into_any(),
        false => "An owner, an admin or a colleague with the billing role can pay it.".into_any(),
    };
    view! { <Notice tone=tone title=title>{text} " " {what}</Notice> }.into_any()
}

/// On the partner's page of an invoice: whether it is to be paid, by when and where.
pub fn payment_notice(invoice: &Invoice, left: Money, now: Timestamp) -> AnyView {
    let zone = local_zone(&invoice.time_zone);
    if invoice.dispute_reason.is_some() {
        return view! {
            <Notice title="Under review">"Until that is over, nothing happens if it stays unpaid."</Notice>
        }
        .into_any();
    }
    let waits = matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Sent | InvoiceStatus::Uncollectible);
    let Some(due) = invoice.due_at.filter(|_| waits && left.micros > 0) else { return ().into_any() };
    let day = local_date(due, &zone);
    let left = to_pay(invoice, left);
    let (tone, title) = if due < now {
        (Tone::Warning, format!("{left} was due on {day}"))
    } else {
        (Tone::Info, format!("{left} is due on {day}"))
    };
    let tried = failed(invoice, &zone);
    let how = match invoice.pay_url.clone() {
        Some(url) => view! { <a href=url rel="noopener">"Pay it at Stripe"</a> }.into_any(),
        None => "Pay it as the provider has agreed with you, and name the invoice's number.".into_any(),
    };
    view! { <Notice tone=tone title=title>{tried} {how}</Notice> }.into_any()
}

/// What is left of an invoice to pay, where Stripe computes a tax with that.
fn to_pay(invoice: &Invoice, left: Money) -> String {
    match (invoice.tax, invoice.total_with_tax()) {
        (Some(tax), Some(whole)) if tax.micros > 0 && left == invoice.total => format!("{whole} with tax"),
        (Some(tax), _) if tax.micros > 0 => format!("{left} and the tax on it"),
        _ => left.to_string(),
    }
}

fn failed(invoice: &Invoice, zone: &jiff::tz::TimeZone) -> Option<String> {
    let times = match invoice.failed_payments {
        0 => return None,
        1 => "A payment failed.".to_owned(),
        times => format!("{times} payments failed."),
    };
    Some(match invoice.next_payment_at {
        Some(at) => format!("{times} Stripe tries again on {}. ", moment(at, zone)),
        None => format!("{times} "),
    })
}

/// On the operators' page of an invoice: mark it as paid, hold it back, let it go on.
pub fn collecting(
    invoice: &Invoice,
    left: Money,
    (stripe, may_change): (bool, bool),
    flash: &Flash,
    now: Timestamp,
) -> AnyView {
    let waits = matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Sent | InvoiceStatus::Uncollectible);
    if !waits || left.micros <= 0 {
        return ().into_any();
    }
    let zone = local_zone(&invoice.time_zone);
    let left = to_pay(invoice, left);
    let (partner, id) = (invoice.partner.to_string(), invoice.id.to_string());
    let description = match invoice.due_at {
        None => "Nobody collects it yet.".to_owned(),
        Some(due) if due < now => format!("{left} was due on {}.", moment(due, &zone)),
        Some(due) => format!("{left} is due on {}.", moment(due, &zone)),
    };
    let tried = failed(invoice, &zone);
    let disputed = invoice.dispute_reason.clone();
    let paid = (may_change && !stripe).then(|| {
        let (partner, id) = (partner.clone(), id.clone());
        view! {
            <Form action="/do/console/invoices/paid" inline=true>
                <input type="hidden" name="partner" value=partner/>
                <input type="hidden" name="invoice" value=id/>
                <Button kind=ButtonKind::Primary>"Mark as paid"</Button>
            </Form>
        }
    });
    let by_stripe = stripe.then(|| view! { <p>"Stripe collects it: mark it there if it was paid in another way."</p> });
    let (value, error) = (flash.typed(DISPUTE, "reason", ""), flash.problem(DISPUTE, "reason"));
    let held = disputed.clone().map(|reason| view! { <p>{format!("Held back: {reason}")}</p> });
    let hold = may_change.then(|| match disputed {
        Some(_) => view! {
            <Form action="/do/console/invoices/dispute" inline=true>
                <input type="hidden" name="partner" value=partner/>
                <input type="hidden" name="invoice" value=id/>
                <Button>"Let it go on"</Button>
            </Form>
        }
        .into_any(),
        None => view! {
            <Form action="/do/console/invoices/dispute" inline=true>
                <input type="hidden" name="partner" value=partner/>
                <input type="hidden" name="invoice" value=id/>
                <input type="hidden" name="disputed" value="true"/>
                <TextField label="Hold it back because" name="reason" value=value error=error maxlength=500 required=true
                    hint="Until you let it go on, nothing happens if it stays unpaid"/>
                <Button>"Hold it back"</Button>
            </Form>
        }
        .into_any(),
    });
    view! { <Card title="Payment" description=description><Stack>{tried} {by_stripe} {paid} {held} {hold}</Stack></Card> }.into_any()
}

/// A partner's line in the operators' list.
pub fn unpaid_row(line: DunningLine, now: Timestamp) -> impl IntoView {
    let code = line.code();
    let DunningLine { partner, partner_name, time_zone, stage, since, invoice, worsens_at, .. } = line;
    let zone = local_zone(&time_zone);
    let next = match (stage.worse(), worsens_at) {
        (Some(worse), Some(at)) => format!("{} on {}", worse.word(), moment(at, &zone)),
        _ => "Nothing".to_owned(),
    };
    view! {
        <tr>
            <Cell label="Partner" head=true><a href=format!("/console/partners/{partner}/unpaid")>{partner_name}</a></Cell>
            <Cell label="Stage"><StageBadge stage=stage/></Cell>
            <Cell label="Since"><RelativeTime at=since now=now/></Cell>
            <Cell label="Invoice"><a href=format!("/console/partners/{partner}/invoices/{invoice}")>{code}</a></Cell>
            <Cell label="Next">{next}</Cell>
        </tr>
    }
}
