//! `/invoices/{invoice}`: one invoice with its lines; each usage line leads to the calls behind it.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        invoices::{InvoiceState, number},
        time_text::{local_date, local_zone, period_text},
    },
    viewer,
};
use domain::id::InvoiceId;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::invoices::{Invoice, InvoiceLine};

#[component]
pub fn InvoicePage() -> impl IntoView {
    let cx = viewer::member();
    let id = use_params_map().get_untracked().get("invoice");
    page(async move {
        let cx = cx?;
        let id: InvoiceId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let (invoice, lines) = cx.state.store.invoice(cx.viewer.partner, id).await?;
        let title = format!("Invoice {}", number(&invoice));
        let csv = format!("/invoices/{id}/lines.csv");
        let usage = format!("/usage?period={}", invoice.period.start);
        let status = invoice.status;
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/invoices">
                <Breadcrumbs trail=vec![Crumb::new("Invoices", "/invoices")] current=number(&invoice)/>
                <PageHeader title=title beside=move || view! { <InvoiceState status=status/> }>
                    <ButtonLink href=usage icon=IconName::Chart>"Usage of this period"</ButtonLink>
                    <ButtonLink href=csv icon=IconName::Download>"Download CSV"</ButtonLink>
                </PageHeader>
                <InvoiceSheet invoice=invoice lines=lines/>
            </MemberFrame>
        })
    })
}

/// The facts and lines, the same for the partner and for the operator.
#[component]
pub fn InvoiceSheet(invoice: Invoice, lines: Vec<InvoiceLine>) -> impl IntoView {
    let zone = local_zone(&invoice.time_zone);
    let period = format!("{} ({})", period_text(invoice.period, &zone), invoice.time_zone);
    let made = local_date(invoice.created_at, &zone);
    let (partner, plan, total) = (invoice.partner_name, invoice.plan_name, invoice.total);
    let rows = lines.into_iter().map(row).collect_view();
    view! {
        <Card>
            <DescriptionList>
                <Description label="Billed to">{partner}</Description>
                <Description label="Plan">{plan}</Description>
                <Description label="Period">{period}</Description>
                <Description label="Made on">{made}</Description>
            </DescriptionList>
        </Card>
        <Card title="Lines" flush=true>
            <DataTable
                caption="Lines of the invoice"
                caption_hidden=true
                columns=vec![
                    Column::text("For"),
                    Column::numeric("Units"),
                    Column::numeric("Of those free"),
                    Column::numeric("Amount"),
                ]
                stack=true
            >
                {rows}
                <tr>
                    <Cell label="For" head=true>"Total"</Cell>
                    <Cell numeric=true>""</Cell>
                    <Cell numeric=true>""</Cell>
                    <Cell label="Amount" numeric=true><strong><MoneyText amount=total/></strong></Cell>
                </tr>
            </DataTable>
        </Card>
        <p>"Test calls, refused calls and calls that failed with a 5xx of the API are never on an invoice."</p>
    }
}

fn row(line: InvoiceLine) -> impl IntoView {
    let is_usage = line.operation.is_some() || line.product.is_some();
    let units = is_usage.then(|| view! { <Figure value=line.quantity/> });
    let free = is_usage.then(|| view! { <Figure value=line.free/> });
    view! {
        <tr>
            <Cell label="For" head=true>{line.description}</Cell>
            <Cell label="Units" numeric=true>{units}</Cell>
            <Cell label="Of those free" numeric=true>{free}</Cell>
            <Cell label="Amount" numeric=true><MoneyText amount=line.amount/></Cell>
        </tr>
    }
}
