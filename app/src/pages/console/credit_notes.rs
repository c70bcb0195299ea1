//! `/console/credit-notes`: all credit notes and voids, newest first.

use super::listed::{Listed, PAGE_SIZE};
use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::credit_notes::{CreditBadge, name},
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::credit_notes::CreditNote;

const PATH: &str = "/console/credit-notes";

#[component]
pub fn AllCreditNotesPage() -> impl IntoView {
    let cx = viewer::operator();
    let after = use_query_map().get_untracked().get("after");
    page(async move {
        let cx = cx?;
        let found = cx.state.store.all_partners_credit_notes(after.as_deref(), PAGE_SIZE).await?;
        let address =
            |after: Option<&str>| after.map_or_else(|| PATH.to_owned(), |after| format!("{PATH}?after={after}"));
        let columns = vec![
            Column::text("Credit note"),
            Column::text("Partner"),
            Column::text("Invoice"),
            Column::text("Why"),
            Column::text("State"),
            Column::numeric("Amount"),
        ];
        let found = Listed::new(found, after.as_deref(), address);
        let list = found.view(("Credit notes, newest first", columns), row, nothing);
        Ok(view! {
            <PageTitle text="Credit notes"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Credit notes" description="What was taken off invoices, of all partners, newest first."/>
                {list}
            </OperatorFrame>
        })
    })
}

fn nothing() -> AnyView {
    view! {
        <EmptyState title="No credit notes yet" text="Open an invoice and choose Credit." icon=IconName::Receipt>
            <ButtonLink href="/console/invoices">"Invoices"</ButtonLink>
        </EmptyState>
    }
    .into_any()
}

fn row(note: CreditNote) -> impl IntoView {
    let href = format!("/console/credit-notes/{}", note.id);
    let invoice = format!("/console/partners/{}/invoices/{}", note.partner, note.invoice);
    let partner = format!("/console/partners/{}", note.partner);
    let (state, total, name, code) = (note.state, note.total, name(&note), note.invoice_code());
    let problem = note.push_problem.map(|problem| view! { <p>{problem}</p> });
    view! {
        <tr>
            <Cell label="Credit note" head=true><a href=href>{name}</a></Cell>
            <Cell label="Partner"><a href=partner>{note.partner_name}</a></Cell>
            <Cell label="Invoice"><a href=invoice>{code}</a></Cell>
            <Cell label="Why">{note.reason}</Cell>
            <Cell label="State"><CreditBadge state=state/> {problem}</Cell>
            <Cell label="Amount" numeric=true><MoneyText amount=total/></Cell>
        </tr>
    }
}
