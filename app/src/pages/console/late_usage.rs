//! `/console/late-usage`: units that were told or handed over when their billing period was closed. They are lines of the next invoice.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::time_text::period_days,
    viewer,
};
use jiff::tz::TimeZone;
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::outside::{Adjustment, AdjustmentFilter};

const PATH: &str = "/console/late-usage";
const PAGE_SIZE: u32 = 50;

#[component]
pub fn LateUsagePage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let (after, filter) = (query.get("after"), read(&query)?);
        let found = store.adjustments_of_any_partner(&filter, after.as_deref(), PAGE_SIZE).await?;
        let whose = match filter.partner {
            Some(id) => format!(" Of {}.", store.partner(id).await?.name),
            None => String::new(),
        };
        let next = found.next.map(|next| address(&filter, Some(&next)));
        let first = after.map(|_| address(&filter, None));
        let empty = found.items.is_empty();
        let rows = found.items.into_iter().map(row).collect_view();
        let description = format!(
            "Told by POST /api/events, handed over by a gateway that had been forgotten, or corrected, after its billing period was closed. The bill of that period stands; the units are on the next one, or a day later on a final one where the partner has no next.{whose}"
        );
        let filtered = filter != AdjustmentFilter::default();
        let value = filter.billed.map(|billed| if billed { "billed" } else { "waiting" }.to_owned());
        let partner = filter.partner.map(|id| view! { <input type="hidden" name="partner" value=id.to_string()/> });
        Ok(view! {
            <PageTitle text="Late usage"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Late usage" description=description>
                    <ButtonLink href="/console/conflicts">"Contradicting events"</ButtonLink>
                </PageHeader>
                <FilterBar action=PATH label="Filter late usage">
                    {partner}
                    <SelectField
                        label="State"
                        name="state"
                        choices=vec![Choice::new("waiting", "Waits for an invoice"), Choice::new("billed", "On an invoice")]
                        value=value
                        blank="All"
                    />
                    <Button icon=IconName::Search>"Filter"</Button>
                </FilterBar>
                <Card flush=true>
                    {if empty {
                        let (title, text) = if filtered {
                            ("Nothing matches", "No late usage fits the filter.")
                        } else {
                            ("Nothing came late", "Whatever was told from outside, handed over or corrected was so before its period was closed.")
                        };
                        view! {
                            <EmptyState title=title text=text icon=IconName::Clock>
                                <ButtonLink href="/console/usage">"Usage"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Late usage, newest first; times in UTC"
                                columns=vec![
                                    Column::text("Came"),
                                    Column::text("Partner"),
                                    Column::text("Source and id"),
                                    Column::text("Used"),
                                    Column::text("Closed period"),
                                    Column::numeric("Units"),
                                    Column::text("Invoice"),
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

fn read(query: &ParamsMap) -> Result<AdjustmentFilter, PageError> {
    let billed = match query.get("state").as_deref() {
        None | Some("") => None,
        Some("waiting") => Some(false),
        Some("billed") => Some(true),
        Some(_) => return Err(PageError::NotFound),
    };
    let partner = query.get("partner").filter(|id| !id.is_empty()).map(|id| id.parse()).transpose();
    Ok(AdjustmentFilter { billed, partner: partner.map_err(|_| PageError::NotFound)? })
}

fn address(filter: &AdjustmentFilter, after: Option<&str>) -> String {
    let mut map = ParamsMap::new();
    if let Some(billed) = filter.billed {
        map.insert("state", if billed { "billed" } else { "waiting" }.to_owned());
    }
    if let Some(partner) = filter.partner {
        map.insert("partner", partner.to_string());
    }
    if let Some(after) = after {
        map.insert("after", after.to_owned());
    }
    format!("{PATH}{}", map.to_query_string())
}

fn row(late: Adjustment) -> impl IntoView {
    let partner = format!("/console/partners/{}", late.partner);
    let invoice = match late.invoice {
        Some(id) => {
            let href = format!("/console/partners/{}/invoices/{id}", late.partner);
            view! { <a href=href>"Open"</a> }.into_any()
        }
        None => view! { <Badge text="Waits for the next" tone=Tone::Info/> }.into_any(),
    };
    view! {
        <tr>
            <Cell label="Came" head=true><TimeText at=late.received_at seconds=true/></Cell>
            <Cell label="Partner"><a href=partner>{late.partner_name}</a></Cell>
            <Cell label="Source and id"><div class="cell-lines"><code>{late.source}</code> <p class="key-note"><code>{late.id}</code></p></div></Cell>
            <Cell label="Used"><TimeText at=late.at/></Cell>
            <Cell label="Closed period">{period_days(late.period, &TimeZone::UTC)}</Cell>
            <Cell label="Units" numeric=true><SignedFigure value=late.units/></Cell>
            <Cell label="Invoice">{invoice}</Cell>
        </tr>
    }
}
