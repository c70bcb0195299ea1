//! `/invoices`: what was billed, newest first.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::time_text::{local_date, local_zone, period_days},
    viewer,
};
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
    let period = period_days(invoice.period, &zone);
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
