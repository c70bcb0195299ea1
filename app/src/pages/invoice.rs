//! `/invoices/{invoice}`: one invoice with its lines; each usage line leads to the calls behind it.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        by_team::{ByTeam, TeamsOfLine},
        credit_notes::CreditsOfInvoice,
        invoices::{InvoiceState, instead_of_period, kind_of, number, threshold_note},
        time_text::{local_date, local_zone, period_text},
        unpaid::payment_notice,
        way::StripeId,
    },
    viewer,
};
use domain::{
    id::InvoiceId,
    money::{Money, group_thousands},
    rating::LineKind,
};
use leptos::prelude::*;
use leptos_router::{hooks::use_params_map, params::ParamsMap};
use store::{
    InvoiceStatus,
    invoices::{CountingNote, Invoice, InvoiceLine},
};

#[component]
pub fn InvoicePage() -> impl IntoView {
    let cx = viewer::member();
    let id = use_params_map().get_untracked().get("invoice");
    page(async move {
        let cx = cx?;
        let id: InvoiceId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let (invoice, lines) = cx.state.store.invoice(cx.viewer.partner, id).await?;
        let credits = cx.state.store.credit_notes_of(cx.viewer.partner, id).await?;
        let standing = cx.state.store.credit_standing(cx.viewer.partner, id).await?;
        let stripe = cx.state.store.stripe_invoice(cx.viewer.partner, id).await?;
        let title = format!("{} {}", kind_of(&invoice), number(&invoice));
        let files = format!("/invoices/{id}");
        let at = files.clone();
        // What a final one bills is of periods before its own.
        let usage = instead_of_period(&invoice).is_none().then(|| {
            let mut range = ParamsMap::new();
            range.insert("from", invoice.period.start.to_string());
            range.insert("to", invoice.period.end.to_string());
            format!("/usage{}", range.to_query_string())
        });
        let status = invoice.status;
        let payment = payment_notice(&invoice, standing.left(), cx.now);
        let (from, address) = (cx.state.settings.provider_name.clone(), cx.state.settings.address_lines());
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/invoices">
                <Breadcrumbs trail=vec![Crumb::new("Invoices", "/invoices")] current=number(&invoice)/>
                <PageHeader title=title beside=move || view! { <InvoiceState status=status/> }>
                    {usage.map(|href| view! { <ButtonLink href=href icon=IconName::Chart>"Usage of this period"</ButtonLink> })}
                    <InvoiceFiles at=files/>
                </PageHeader>
                {payment}
                <CreditsOfInvoice notes=credits standing=standing at="/credit-notes"/>
                <InvoiceSheet from=from address=address at=at invoice=invoice lines=lines stripe=stripe/>
            </MemberFrame>
        })
    })
}

/// The invoice as files; `at` is what their addresses begin with.
#[component]
pub fn InvoiceFiles(#[prop(into)] at: String) -> impl IntoView {
    view! {
        <ButtonLink href=format!("{at}/invoice.pdf") icon=IconName::Download>"PDF"</ButtonLink>
        <ButtonLink href=format!("{at}/lines.csv") icon=IconName::Download>"CSV"</ButtonLink>
        <ButtonLink href=format!("{at}/invoice.json") icon=IconName::Download>"JSON"</ButtonLink>
    }
}

/// The invoice as it is read and printed, the same for the partner and for the operator.
#[component]
pub fn InvoiceSheet(
    /// Who bills.
    from: String,
    /// Their address, line by line.
    address: Vec<String>,
    invoice: Invoice,
    lines: Vec<InvoiceLine>,
    /// What Stripe calls it, where it is there.
    stripe: Option<String>,
    /// What the address of the invoice's page begins with: its lines lead to what they are made of.
    #[prop(into)]
    at: String,
) -> impl IntoView {
    let zone = local_zone(&invoice.time_zone);
    let period = match instead_of_period(&invoice) {
        Some(words) => words.to_owned(),
        None => format!("{} ({})", period_text(invoice.period, &zone), invoice.time_zone),
    };
    let made = local_date(invoice.created_at, &zone);
    let due = invoice.due_at.filter(|_| total_is_owed(&invoice)).map(|at| local_date(at, &zone));
    let number = number(&invoice);
    let label = format!("{} {number}", kind_of(&invoice));
    let note = threshold_note(&invoice).map(|text| view! { <p class="invoice-note">{text}</p> });
    let sums = tax_sums(&invoice);
    let (partner, plan, total) = (invoice.partner_name, invoice.plan_name, invoice.total);
    let teams = TeamsOfLine::of_invoice(&lines, &at);
    let file = format!("{at}/teams.csv");
    let rows = lines.into_iter().map(|line| row(line, &at)).collect_view();
    let counting = counting(invoice.counting);
    view! {
        <section class="invoice" aria-label=label>
            <header class="invoice-head">
                <div>
                    <p class="invoice-from">{from}</p>
                    {address.into_iter().map(|line| view! { <p>{line}</p> }).collect_view()}
                </div>
                <p class="invoice-total"><strong><MoneyText amount=total/></strong> <span>{format!("billed on {made}")}</span></p>
            </header>
            <dl class="invoice-facts">
                <div><dt>"Billed to"</dt><dd>{partner}</dd></div>
                <div><dt>"Invoice number"</dt><dd>{number}</dd></div>
                <div><dt>"Plan"</dt><dd>{plan}</dd></div>
                <div><dt>"Period"</dt><dd>{period}</dd></div>
                {due.map(|due| view! { <div><dt>"Due"</dt><dd>{due}</dd></div> })}
                {stripe.map(|id| view! { <div><dt>"Stripe's id"</dt><dd><StripeId id=id/></dd></div> })}
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
                        {sums.iter().map(|(label, amount)| sum(label, *amount)).collect_view()}
                    }
                >
                    {rows}
                </DataTable>
            </div>
            {note}
            {counting}
        </section>
        <ByTeam lines=teams file=file/>
    }
}

/// What stands below the total where Stripe computes the tax.
fn tax_sums(invoice: &Invoice) -> Vec<(&'static str, Money)> {
    match (invoice.tax, invoice.total_with_tax()) {
        (Some(tax), Some(whole)) => vec![("Tax (by Stripe)", tax), ("Total with tax", whole)],
        _ => Vec::new(),
    }
}

fn sum(label: &'static str, amount: Money) -> impl IntoView + use<> {
    view! {
        <tr>
            <Cell label="For" head=true>{label}</Cell>
            <Cell numeric=true>{None::<String>}</Cell>
            <Cell numeric=true>{None::<String>}</Cell>
            <Cell label="Amount" numeric=true><MoneyText amount=amount/></Cell>
        </tr>
    }
}

/// Whether a day to pay it by says something.
fn total_is_owed(invoice: &Invoice) -> bool {
    invoice.total.micros > 0 && !matches!(invoice.status, InvoiceStatus::Paid | InvoiceStatus::Void)
}

/// What counted, for each product.
fn counting(notes: Vec<CountingNote>) -> AnyView {
    if notes.is_empty() {
        return view! { <p class="invoice-note">"Test calls and errors of our own are never on an invoice."</p> }
            .into_any();
    }
    let notes = notes.into_iter().map(|CountingNote { product, rule }| {
        view! { <p class="invoice-note"><strong>{product} ":"</strong> " " {rule}</p> }
    });
    notes.collect_view().into_any()
}

fn row(line: InvoiceLine, at: &str) -> impl IntoView + use<> {
    let is_usage = line.operation.is_some()
        || line.product.is_some()
        || matches!(line.kind, LineKind::CreditPackage | LineKind::CreditOverdraft);
    let units = is_usage.then(|| view! { <SignedFigure value=line.quantity/> });
    let free = is_usage.then(|| view! { <Figure value=line.free/> });
    let href = format!("{at}/lines/{}", line.position);
    let description = view! { <a href=href>{line.description}</a> };
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
