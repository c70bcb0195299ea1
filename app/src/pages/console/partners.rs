//! `/console/partners`: all partners, with a search by name, code or a member's address.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::PartnerLine;

const PAGE_SIZE: u32 = 50;

#[component]
pub fn PartnersPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let search = query.get("q").unwrap_or_default();
        let after = query.get("after");
        let found = cx.state.store.all_partners_page(&search, after.as_deref(), PAGE_SIZE, cx.now).await?;
        let next = found.next.map(|next| address(&search, Some(&next)));
        let first = after.map(|_| address(&search, None));
        let empty = found.items.is_empty();
        let searched = !search.is_empty();
        let rows = found.items.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Partners"/>
            <OperatorFrame cx=cx path="/console/partners">
                <PageHeader title="Partners" description="Customer companies, their plans and keys."/>
                <FilterBar action="/console/partners" label="Search partners">
                    <TextField label="Search" name="q" kind="search" value=search placeholder="Name, code or e-mail address"/>
                    <Button icon=IconName::Search>"Search"</Button>
                </FilterBar>
                <Card flush=true>
                    {match (empty, searched) {
                        (true, true) => view! {
                            <EmptyState title="Nobody found" text="No partner's name, code or member's address holds this." icon=IconName::Search>
                                <ButtonLink href="/console/partners">"Show all partners"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any(),
                        (true, false) => view! {
                            <EmptyState title="No partners yet" text="Companies appear here when they sign up. You can also add them with turnpike apply." icon=IconName::Building>
                                <ButtonLink href="/sign-up">"Open the sign-up page"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any(),
                        (false, _) => view! {
                            <DataTable
                                caption="Partners by name"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Partner"),
                                    Column::text("Plan"),
                                    Column::text("State"),
                                    Column::numeric("Members"),
                                    Column::numeric("Keys"),
                                    Column::text("Since"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any(),
                    }}
                </Card>
                <Pagination previous=first next=next summary=String::new()/>
            </OperatorFrame>
        })
    })
}

fn address(search: &str, after: Option<&str>) -> String {
    let mut map = ParamsMap::new();
    if !search.is_empty() {
        map.insert("q", search.to_owned());
    }
    if let Some(after) = after {
        map.insert("after", after.to_owned());
    }
    format!("/console/partners{}", map.to_query_string())
}

fn row(line: PartnerLine) -> impl IntoView {
    let href = format!("/console/partners/{}", line.partner.id);
    let plan = line.plan.map_or("None".to_owned(), |(name, version)| format!("{name}, version {version}"));
    let (state, tone) = match (line.partner.suspended_at, line.requested) {
        (Some(_), _) => ("Suspended", Tone::Danger),
        (None, true) => ("Waits for approval", Tone::Warning),
        (None, false) => ("Active", Tone::Success),
    };
    view! {
        <tr>
            <Cell label="Partner" head=true><a href=href>{line.partner.name}</a></Cell>
            <Cell label="Plan">{plan}</Cell>
            <Cell label="State"><Badge text=state tone=tone/></Cell>
            <Cell label="Members" numeric=true><Figure value=line.members/></Cell>
            <Cell label="Keys" numeric=true><Figure value=line.keys/></Cell>
            <Cell label="Since"><TimeText at=line.partner.created_at date=true/></Cell>
        </tr>
    }
}
