//! `/invoices`: what was billed, newest first.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageTitle, page},
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
        let empty = invoices.is_empty();
        let rows = invoices.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Invoices"/>
            <MemberFrame cx=cx path="/invoices">
                <PageHeader title="Invoices" description="One for each billing period, a little after it ends."/>
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
            </MemberFrame>
        })
    })
}

fn row(invoice: Invoice) -> impl IntoView {
    let zone = local_zone(&invoice.time_zone);
    let href = format!("/invoices/{}", invoice.id);
    let period = period(&invoice, &zone);
    let made = local_date(invoice.created_at, &zone);
    let (number, status, total) = (number(&invoice), invoice.status, invoice.total);
    view! {
        <tr>
            <Cell label="Invoice" head=true><a href=href title=format!("Made on {made}")>{number}</a></Cell>
            <Cell label="Period">{period}</Cell>
            <Cell label="Plan">{invoice.plan_name}</Cell>
            <Cell label="State"><InvoiceState status=status/></Cell>
            <Cell label="Total" numeric=true><MoneyText amount=total/></Cell>
        </tr>
    }
}

/// In place of the period of a final invoice, whose lines say of which earlier one they are.
pub const EARLIER: &str = "For earlier periods";

/// `21 Nov to 21 Dec 2026`: what the invoice is for.
pub fn period(invoice: &Invoice, zone: &TimeZone) -> String {
    if invoice.is_final { EARLIER.to_owned() } else { period_days(invoice.period, zone) }
}

/// `TP-000042`
pub fn number(invoice: &Invoice) -> String {
    format!("TP-{:06}", invoice.number)
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
    fn a_final_invoice_names_no_period_of_its_own() -> Result<(), jiff::Error> {
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
            status: InvoiceStatus::Open,
            collect: Collect::InvoiceItems,
            push_problem: None,
            counting: Vec::new(),
            is_final: false,
            created_at: period_of.end,
        };
        assert_eq!(period(&invoice, &TimeZone::UTC), "21 Nov to 21 Dec 2026");
        invoice.is_final = true;
        assert_eq!(period(&invoice, &TimeZone::UTC), "For earlier periods");
        Ok(())
    }
}
