//! `/console/unpaid`: partners with an overdue invoice, the worst first.

use super::listed::{self, Listed, PAGE_SIZE};
use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::unpaid::unpaid_row,
    viewer,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

const PATH: &str = "/console/unpaid";

#[component]
pub fn AllUnpaidPage() -> impl IntoView {
    let cx = viewer::operator();
    let after = use_query_map().get_untracked().get("after");
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let found = cx.state.store.all_partners_unpaid(after.as_deref(), PAGE_SIZE).await?;
        let address =
            |after: Option<&str>| listed::address(PATH, [("state", None), ("partner", None), ("kind", None)], after);
        let found = Listed::new(found, after.as_deref(), address);
        let columns = vec![
            Column::text("Partner"),
            Column::text("Stage"),
            Column::text("Since"),
            Column::text("Invoice"),
            Column::text("Next"),
        ];
        let nothing = || {
            view! {
                <EmptyState title="Nobody is overdue" text="Partners whose invoice is past its due date are listed here, where their plan says what follows." icon=IconName::Receipt>
                    <ButtonLink href="/console/plans">"See plans"</ButtonLink>
                </EmptyState>
            }
            .into_any()
        };
        let list = found.view(
            ("Partners with an overdue invoice, the worst first", columns),
            |line| unpaid_row(line, now),
            nothing,
        );
        Ok(view! {
            <PageTitle text="Unpaid"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Unpaid" description="Overdue, then limited, then suspended, by the days of the plan. Paying brings a partner back within a second."/>
                {list}
            </OperatorFrame>
        })
    })
}
