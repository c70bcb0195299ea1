//! `/console/invoices`: all invoices, newest first, and what keeps some from Stripe.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::{
        console::overview::many,
        invoices::{InvoiceState, ManyInvoices, number, period, threshold_badge},
        time_text::local_zone,
    },
    viewer,
};
use jiff::{SignedDuration, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::invoices::Invoice;

const PAGE_SIZE: u32 = 50;

#[component]
pub fn AllInvoicesPage() -> impl IntoView {
    let cx = viewer::operator();
    let after = use_query_map().get_untracked().get("after");
    page(async move {
        let cx = cx?;
        let found = cx.state.store.all_partners_invoices(after.as_deref(), PAGE_SIZE).await?;
        let findings = cx.state.store.all_finding_sources().await?.open;
        let next = found.next.map(|next| format!("/console/invoices?after={next}"));
        let first = after.map(|_| "/console/invoices".to_owned());
        let empty = found.items.is_empty();
        let now = cx.state.clock.now();
        let month_ago = now.checked_sub(SignedDuration::from_hours(30 * 24)).unwrap_or(now);
        let range = [month_ago, now].map(|at| at.to_zoned(TimeZone::UTC).date().to_string());
        let rows = found.items.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Invoices"/>
            <OperatorFrame cx=cx path="/console/invoices">
                <PageHeader title="Invoices" description="Of all partners, newest first."/>
                {(findings > 0)
                    .then(|| view! {
                        <Notice tone=Tone::Warning title="Invoices wait">
                            {format!("{} of usage that does not say the same in two places. ", many(findings, "finding", "findings"))}
                            <a href="/console/reconciliation">"Look at them"</a>
                        </Notice>
                    })}
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState title="No invoices yet" text="One is made for each partner after its billing period ends." icon=IconName::Receipt/>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Invoices, newest first"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Invoice"),
                                    Column::text("Partner"),
                                    Column::text("Period"),
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
                <Pagination previous=first next=next summary=String::new()/>
                {(!empty).then(|| view! { <ManyInvoices action="/console/invoices/download" days="Of all partners; days in UTC, both included." range=range/> })}
            </OperatorFrame>
        })
    })
}

fn row(invoice: Invoice) -> impl IntoView {
    let href = format!("/console/partners/{}/invoices/{}", invoice.partner, invoice.id);
    let partner = format!("/console/partners/{}", invoice.partner);
    let period = period(&invoice, &local_zone(&invoice.time_zone));
    let threshold = threshold_badge(&invoice);
    let (number, status, total) = (number(&invoice), invoice.status, invoice.total);
    let problem = invoice.push_problem.map(|problem| view! { <p>{problem}</p> });
    view! {
        <tr>
            <Cell label="Invoice" head=true><a href=href>{number}</a></Cell>
            <Cell label="Partner"><a href=partner>{invoice.partner_name}</a></Cell>
            <Cell label="Period">{period} {threshold}</Cell>
            <Cell label="State"><InvoiceState status=status/> {problem}</Cell>
            <Cell label="Total" numeric=true><MoneyText amount=total/></Cell>
        </tr>
    }
}
