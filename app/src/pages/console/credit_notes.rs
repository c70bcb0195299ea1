//! `/console/credit-notes`: all credit notes and voids, newest first.

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

const PAGE_SIZE: u32 = 50;

#[component]
pub fn AllCreditNotesPage() -> impl IntoView {
    let cx = viewer::operator();
    let after = use_query_map().get_untracked().get("after");
    page(async move {
        let cx = cx?;
        let found = cx.state.store.all_partners_credit_notes(after.as_deref(), PAGE_SIZE).await?;
        let next = found.next.map(|next| format!("/console/credit-notes?after={next}"));
        let first = after.map(|_| "/console/credit-notes".to_owned());
        let empty = found.items.is_empty();
        let rows = found.items.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Credit notes"/>
            <OperatorFrame cx=cx path="/console/credit-notes">
                <PageHeader title="Credit notes" description="What was taken off invoices, of all partners, newest first."/>
                <Card flush=true>
                    {if empty {
                        view! { <EmptyState title="No credit notes yet" text="Open an invoice and choose Credit." icon=IconName::Receipt/> }.into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Credit notes, newest first"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Credit note"),
                                    Column::text("Partner"),
                                    Column::text("Invoice"),
                                    Column::text("Why"),
                                    Column::text("State"),
                                    Column::numeric("Amount"),
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
            </OperatorFrame>
        })
    })
}

fn row(note: CreditNote) -> impl IntoView {
    let href = format!("/console/credit-notes/{}", note.id);
    let invoice = format!("/console/partners/{}/invoices/{}", note.partner, note.invoice);
    let (state, total, name, code) = (note.state, note.total, name(&note), note.invoice_code());
    let problem = note.push_problem.map(|problem| view! { <p>{problem}</p> });
    view! {
        <tr>
            <Cell label="Credit note" head=true><a href=href>{name}</a></Cell>
            <Cell label="Partner">{note.partner_name}</Cell>
            <Cell label="Invoice"><a href=invoice>{code}</a></Cell>
            <Cell label="Why">{note.reason}</Cell>
            <Cell label="State"><CreditBadge state=state/> {problem}</Cell>
            <Cell label="Amount" numeric=true><MoneyText amount=total/></Cell>
        </tr>
    }
}
