//! `/invoices/{invoice}`: one invoice with its lines; each usage line leads to the calls behind it.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        invoices::{EARLIER, InvoiceState, number},
        time_text::{local_date, local_zone, period_text},
    },
    viewer,
};
use domain::{id::InvoiceId, money::group_thousands, period::Period, rating::LineKind};
use leptos::prelude::*;
use leptos_router::{hooks::use_params_map, params::ParamsMap};
use store::invoices::{CountingNote, Invoice, InvoiceLine};

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
        // What a final one bills is of periods before its own.
        let usage = (!invoice.is_final).then(|| {
            let mut range = ParamsMap::new();
            range.insert("from", invoice.period.start.to_string());
            range.insert("to", invoice.period.end.to_string());
            format!("/usage{}", range.to_query_string())
        });
        let status = invoice.status;
        let from = cx.state.settings.provider_name.clone();
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/invoices">
                <Breadcrumbs trail=vec![Crumb::new("Invoices", "/invoices")] current=number(&invoice)/>
                <PageHeader title=title beside=move || view! { <InvoiceState status=status/> }>
                    {usage.map(|href| view! { <ButtonLink href=href icon=IconName::Chart>"Usage of this period"</ButtonLink> })}
                    <ButtonLink href=csv icon=IconName::Download>"Download CSV"</ButtonLink>
                </PageHeader>
                <InvoiceSheet from=from invoice=invoice lines=lines links=true/>
            </MemberFrame>
        })
    })
}

/// The invoice as it is read and printed, the same for the partner and for the operator.
#[component]
pub fn InvoiceSheet(
    /// Who bills.
    from: String,
    invoice: Invoice,
    lines: Vec<InvoiceLine>,
    /// Whether lines lead to the usage that they are made of.
    #[prop(optional)]
    links: bool,
) -> impl IntoView {
    let zone = local_zone(&invoice.time_zone);
    let period = match invoice.is_final {
        true => EARLIER.to_owned(),
        false => format!("{} ({})", period_text(invoice.period, &zone), invoice.time_zone),
    };
    let made = local_date(invoice.created_at, &zone);
    let number = number(&invoice);
    let label = format!("Invoice {number}");
    let (partner, plan, total) = (invoice.partner_name, invoice.plan_name, invoice.total);
    let rows = lines.into_iter().map(|line| row(line, links.then_some(invoice.period))).collect_view();
    let counting = counting(invoice.counting);
    view! {
        <section class="invoice" aria-label=label>
            <header class="invoice-head">
                <p class="invoice-from">{from}</p>
                <p class="invoice-total"><strong><MoneyText amount=total/></strong> <span>{format!("billed on {made}")}</span></p>
            </header>
            <dl class="invoice-facts">
                <div><dt>"Billed to"</dt><dd>{partner}</dd></div>
                <div><dt>"Invoice number"</dt><dd>{number}</dd></div>
                <div><dt>"Plan"</dt><dd>{plan}</dd></div>
                <div><dt>"Period"</dt><dd>{period}</dd></div>
            </dl>
            <div class="card-flush">
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
                    foot=move || view! {
                        <tr>
                            <Cell label="For" head=true>"Total"</Cell>
                            <Cell numeric=true>{None::<String>}</Cell>
                            <Cell numeric=true>{None::<String>}</Cell>
                            <Cell label="Amount" numeric=true><MoneyText amount=total/></Cell>
                        </tr>
                    }
                >
                    {rows}
                </DataTable>
            </div>
            {counting}
        </section>
    }
}

/// What counted, for each product.
fn counting(notes: Vec<CountingNote>) -> AnyView {
    if notes.is_empty() {
        return view! { <p class="invoice-note">"Test calls and errors of our own are never on an invoice."</p> }
            .into_any();
    }
    let notes = notes.into_iter().map(|CountingNote { product, rule }| {
        view! { <p class="invoice-note"><strong>{product}</strong> " " {rule}</p> }
    });
    notes.collect_view().into_any()
}

fn row(line: InvoiceLine, usage_of: Option<Period>) -> impl IntoView {
    let is_usage = line.operation.is_some() || line.product.is_some();
    let units = is_usage.then(|| view! { <SignedFigure value=line.quantity/> });
    let free = is_usage.then(|| view! { <Figure value=line.free/> });
    // Late units are in no total of this period.
    let usage = usage_of.filter(|_| line.kind == LineKind::Usage);
    let usage = usage.zip(line.product).map(|(period, product)| {
        let mut map = ParamsMap::new();
        map.insert("from", period.start.to_string());
        map.insert("to", period.end.to_string());
        map.insert("product", product.to_string());
        if let Some(operation) = line.operation {
            map.insert("operation", operation.to_string());
        }
        map.insert("by", "app".to_owned());
        format!("/usage{}", map.to_query_string())
    });
    let description = match usage {
        Some(href) => view! { <a href=href>{line.description}</a> }.into_any(),
        None => line.description.into_any(),
    };
    let prepaid = (line.prepaid > 0).then(|| {
        let units = group_thousands(line.prepaid);
        view! { <span class="invoice-prepaid">{format!("{units} units were paid by credit")}</span> }
    });
    view! {
        <tr>
            <Cell label="For" head=true>{description} {prepaid}</Cell>
            <Cell label="Units" numeric=true>{units}</Cell>
            <Cell label="Of those free" numeric=true>{free}</Cell>
            <Cell label="Amount" numeric=true><MoneyText amount=line.amount/></Cell>
        </tr>
    }
}
