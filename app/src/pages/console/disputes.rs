//! `/console/disputes`: lines of invoices that partners hold to be wrong, newest first.

use super::listed::{self, Listed, PAGE_SIZE};
use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::disputes::DisputeBadge,
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::disputes::{Dispute, DisputeState};

const PATH: &str = "/console/disputes";

#[component]
pub fn AllDisputesPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let after = query.get("after");
        // Those that wait for an answer, unless others are asked for.
        let asked = query.get("state");
        let state: Option<DisputeState> = match asked.as_deref() {
            None => Some(DisputeState::Open),
            Some(code) => code.parse().ok(),
        };
        let found = cx.state.store.all_partners_disputes(state, after.as_deref(), PAGE_SIZE).await?;
        let address = |after: Option<&str>| {
            listed::address(PATH, [("state", asked.clone()), ("partner", None), ("kind", None)], after)
        };
        let found = Listed::new(found, after.as_deref(), address);
        let columns = vec![
            Column::text("Line"),
            Column::text("Partner"),
            Column::text("Invoice"),
            Column::text("Opened"),
            Column::text("State"),
            Column::numeric("Disputed"),
        ];
        let list = found.view(("Disputes, newest first", columns), row, || nothing(state));
        let states = DisputeState::ALL.map(|state| Choice::new(state.code(), name(state))).to_vec();
        let chosen = state.map(|state| state.code().to_owned());
        Ok(view! {
            <PageTitle text="Disputes"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Disputes" description="Lines of invoices that partners hold to be wrong, newest first."/>
                <FilterBar action=PATH label="Filter disputes">
                    <SelectField label="State" name="state" choices=states value=chosen blank="All"/>
                    <Button icon=IconName::Search>"Filter"</Button>
                </FilterBar>
                {list}
            </OperatorFrame>
        })
    })
}

const fn name(state: DisputeState) -> &'static str {
    match state {
        DisputeState::Open => "Open",
        DisputeState::Accepted => "Accepted",
        DisputeState::Refused => "Refused",
        DisputeState::Withdrawn => "Withdrawn",
    }
}

fn nothing(state: Option<DisputeState>) -> AnyView {
    let title = match state {
        Some(DisputeState::Open) => "No open disputes",
        Some(_) => "Nothing matches",
        None => "No disputes yet",
    };
    view! {
        <EmptyState title=title text="When a partner disputes a line of an invoice, it waits here for your answer." icon=IconName::Receipt>
            <ButtonLink href="/console/invoices">"Invoices"</ButtonLink>
        </EmptyState>
    }
    .into_any()
}

fn row(dispute: Dispute) -> impl IntoView {
    let href = format!("/console/disputes/{}", dispute.id);
    let invoice = format!("/console/partners/{}/invoices/{}", dispute.partner, dispute.invoice);
    let partner = format!("/console/partners/{}", dispute.partner);
    let (code, state, amount, opened) = (dispute.invoice_code(), dispute.state, dispute.amount, dispute.opened_at);
    view! {
        <tr>
            <Cell label="Line" head=true><a href=href>{dispute.description}</a></Cell>
            <Cell label="Partner"><a href=partner>{dispute.partner_name}</a></Cell>
            <Cell label="Invoice"><a href=invoice>{code}</a></Cell>
            <Cell label="Opened"><TimeText at=opened/></Cell>
            <Cell label="State"><DisputeBadge state=state/></Cell>
            <Cell label="Disputed" numeric=true><MoneyText amount=amount/></Cell>
        </tr>
    }
}
