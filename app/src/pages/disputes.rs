//! `/disputes`: what the company holds against lines of its invoices, newest first; and what the pages about disputes share.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::time_text::{local_date, local_zone},
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::disputes::{Dispute, DisputeState};

const PAGE_SIZE: u32 = 50;

#[component]
pub fn DisputesPage() -> impl IntoView {
    let cx = viewer::member();
    let after = use_query_map().get_untracked().get("after");
    page(async move {
        let cx = cx?;
        let found = cx.state.store.disputes(cx.viewer.partner, after.as_deref(), PAGE_SIZE).await?;
        let next = found.next.map(|next| format!("/disputes?after={next}"));
        let first = after.map(|_| "/disputes".to_owned());
        let empty = found.items.is_empty();
        let rows = found.items.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Disputes"/>
            <MemberFrame cx=cx path="/invoices">
                <Breadcrumbs trail=vec![Crumb::new("Invoices", "/invoices")] current="Disputes"/>
                <PageHeader title="Disputes" description="Lines of invoices that you hold to be wrong, newest first."/>
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState title="No disputes" text="If a line of an invoice is wrong, open the line and say what." icon=IconName::Receipt>
                                <ButtonLink href="/invoices">"Invoices"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Disputes, newest first"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Line"),
                                    Column::text("Invoice"),
                                    Column::text("Opened"),
                                    Column::text("State"),
                                    Column::numeric("Disputed"),
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
            </MemberFrame>
        })
    })
}

fn row(dispute: Dispute) -> impl IntoView {
    let href = format!("/disputes/{}", dispute.id);
    let invoice = format!("/invoices/{}", dispute.invoice);
    let opened = local_date(dispute.opened_at, &local_zone(&dispute.time_zone));
    let (code, state, amount) = (dispute.invoice_code(), dispute.state, dispute.amount);
    view! {
        <tr>
            <Cell label="Line" head=true><a href=href>{dispute.description}</a></Cell>
            <Cell label="Invoice"><a href=invoice>{code}</a></Cell>
            <Cell label="Opened">{opened}</Cell>
            <Cell label="State"><DisputeBadge state=state/></Cell>
            <Cell label="Disputed" numeric=true><MoneyText amount=amount/></Cell>
        </tr>
    }
}

/// How far it is, in a word.
#[component]
pub fn DisputeBadge(state: DisputeState) -> impl IntoView {
    let (text, tone) = match state {
        DisputeState::Open => ("Open", Tone::Info),
        DisputeState::Accepted => ("Accepted", Tone::Success),
        DisputeState::Refused => ("Refused", Tone::Warning),
        DisputeState::Withdrawn => ("Withdrawn", Tone::Neutral),
    };
    view! { <Badge text=text tone=tone/> }
}
