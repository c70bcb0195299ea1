//! `/invoices`: what was billed, newest first.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::payment::portal_button,
    pages::time_text::{local_date, local_zone, period_days},
    viewer,
};
use jiff::tz::TimeZone;
use leptos::prelude::*;
use store::invoices::{Invoice, InvoiceStatus};

#[component]
pub fn InvoicesPage() -> impl IntoView {
    let cx = viewer::member();
    page(async move {
        let cx = cx?;
        let invoices = cx.state.store.invoices(cx.viewer.partner).await?;
        let cards = portal_button(&cx);
        let empty = invoices.is_empty();
        let zone = local_zone(&cx.viewer.time_zone);
        let now = cx.state.clock.now();
        let first = invoices.iter().map(|invoice| invoice.created_at).min().unwrap_or(now);
        let range = [first, now].map(|at| at.to_zoned(zone.clone()).date().to_string());
        let rows = invoices.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Invoices"/>
            <MemberFrame cx=cx path="/invoices">
                <PageHeader title="Invoices" description="One for each billing period, a little after it ends, and one for each purchase of credit.">
                    <ButtonLink href="/disputes">"Disputes"</ButtonLink>
                    {cards}
                </PageHeader>
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState title="No invoices yet" text="The first one comes after your first billing period. Until then, see the bill so far." icon=IconName::Receipt>
                                <ButtonLink href="/plan" kind=ButtonKind::Primary>"See the bill so far"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Your invoices, newest first"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Invoice"),
                                    Column::text("Period"),
                                    Column::text("Plan"),
                                    Column::text("State"),
                                    Column::numeric("Total"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any()
                    }}
                </Card>
                {(!empty).then(|| view! { <ManyInvoices action="/invoices/download" days="Days in your company's time zone, both included." range=range/> })}
            </MemberFrame>
        })
    })
}

/// All invoices of some days as one file.
#[component]
pub fn ManyInvoices(
    #[prop(into)] action: String,
    /// Whose days they are.
    #[prop(into)]
    days: String,
    /// The days that the form begins with, as `2026-11-01`.
    range: [String; 2],
) -> impl IntoView {
    let [from, to] = range;
    let formats = vec![
        Choice::new("zip", "ZIP of PDFs and lines"),
        Choice::new("csv", "CSV, a row for each line"),
        Choice::new("jsonl", "JSON Lines, one for each line"),
    ];
    view! {
        <Card title="Download many" description=format!("Every invoice made between two days. {days} A ZIP holds 500 at most.")>
            <form method="get" action=action class="filter-bar">
                <TextField label="First day" name="from" kind="date" value=from required=true/>
                <TextField label="Last day" name="to" kind="date" value=to required=true/>
                <SelectField label="Format" name="format" choices=formats value="zip" required=true/>
                <Button icon=IconName::Download>"Download"</Button>
            </form>
        </Card>
    }
}

fn row(invoice: Invoice) -> impl IntoView {
    let zone = local_zone(&invoice.time_zone);
    let href = format!("/invoices/{}", invoice.id);
    let period = period(&invoice, &zone);
    let threshold = threshold_badge(&invoice);
    let made = local_date(invoice.created_at, &zone);
    let (number, status, total) = (number(&invoice), invoice.status, invoice.total);
    view! {
        <tr>
            <Cell label="Invoice" head=true><a href=href title=format!("Made on {made}")>{number}</a></Cell>
            <Cell label="Period">{period} {threshold}</Cell>
            <Cell label="Plan">{invoice.plan_name}</Cell>
            <Cell label="State"><InvoiceState status=status/></Cell>
            <Cell label="Total" numeric=true><MoneyText amount=total/></Cell>
        </tr>
    }
}

/// Says in a list which invoices are no period's only one.
pub fn threshold_badge(invoice: &Invoice) -> Option<impl IntoView + use<>> {
    (invoice.threshold_number > 0).then(|| view! { <Badge text="Threshold" tone=Tone::Neutral/> })
}

/// In place of the period of a final invoice, whose lines say of which earlier one they are.
pub const EARLIER: &str = "For earlier periods";

/// In place of the period of an invoice for what was bought by itself.
pub const BOUGHT: &str = "Bought by itself";

/// What the paper is called.
pub fn kind_of(invoice: &Invoice) -> &'static str {
    if invoice.threshold_number > 0 { "Threshold invoice" } else { "Invoice" }
}

/// What a threshold invoice has, for whoever reads it.
pub fn threshold_note(invoice: &Invoice) -> Option<&'static str> {
    (invoice.threshold_number > 0).then_some(
        "Made within the billing period, as usage came to the plan's threshold: it has all usage since the period began. The next invoice of \
         the period takes off what this one bills.",
    )
}

/// What stands in place of a period, where the invoice is for none of its own.
pub fn instead_of_period(invoice: &Invoice) -> Option<&'static str> {
    match (invoice.is_final, invoice.stands_alone) {
        (true, _) => Some(EARLIER),
        (false, true) => Some(BOUGHT),
        (false, false) => None,
    }
}

/// `21 Nov to 21 Dec 2026`: what the invoice is for.
pub fn period(invoice: &Invoice, zone: &TimeZone) -> String {
    instead_of_period(invoice).map_or_else(|| period_days(invoice.period, zone), str::to_owned)
}

/// `TP-000042`
pub fn number(invoice: &Invoice) -> String {
    invoice.code()
}

/// What became of an invoice, in a word.
#[component]
pub fn InvoiceState(status: InvoiceStatus) -> impl IntoView {
    let (text, tone) = match status {
        InvoiceStatus::Open => ("Open", Tone::Info),
        InvoiceStatus::Sent => ("Sent", Tone::Info),
        InvoiceStatus::Paid => ("Paid", Tone::Success),
        InvoiceStatus::Uncollectible => ("Uncollectible", Tone::Danger),
        InvoiceStatus::Void => ("Void", Tone::Neutral),
    };
    view! { <Badge text=text tone=tone/> }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        id::{InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
        money::{Currency, Money},
        period::Period,
        plan::Collect,
    };
    use uuid::Uuid;

    #[test]
    fn an_invoice_that_is_for_no_period_of_its_own_names_none() -> Result<(), jiff::Error> {
        let period_of = Period { start: "2026-11-21T00:00:00Z".parse()?, end: "2026-12-21T00:00:00Z".parse()? };
        let mut invoice = Invoice {
            id: InvoiceId(Uuid::nil()),
            partner: PartnerId(Uuid::nil()),
            partner_name: String::new(),
            number: 1,
            subscription: SubscriptionId(Uuid::nil()),
            plan_version: PlanVersionId(Uuid::nil()),
            plan_name: String::new(),
            period: period_of,
            time_zone: "UTC".to_owned(),
            total: Money::zero(Currency::Usd),
            tax: None,
            status: InvoiceStatus::Open,
            collect: Collect::InvoiceItems,
            collected_by: None,
            push_problem: None,
            counting: Vec::new(),
            is_final: false,
            stands_alone: false,
            threshold_number: 0,
            due_at: None,
            pay_url: None,
            failed_payments: 0,
            next_payment_at: None,
            dispute_reason: None,
            created_at: period_of.end,
        };
        assert_eq!(period(&invoice, &TimeZone::UTC), "21 Nov to 21 Dec 2026");
        invoice.is_final = true;
        assert_eq!(period(&invoice, &TimeZone::UTC), "For earlier periods");
        (invoice.is_final, invoice.stands_alone) = (false, true);
        assert_eq!(period(&invoice, &TimeZone::UTC), "Bought by itself");
        Ok(())
    }
}
