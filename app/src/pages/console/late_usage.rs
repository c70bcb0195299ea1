//! `/console/late-usage`: units that were told or handed over when their billing period was closed. They are lines of the next invoice.

use super::listed::{self, Listed, PAGE_SIZE};
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
        let found = Listed::new(found, after.as_deref(), |after| address(&filter, after));
        let description = format!(
            "Told by POST /api/events, handed over by a gateway that had been forgotten, or corrected, after its billing period was closed. The bill of that period stands; the units are on the next one, or a day later on a final one where the partner has no next.{whose}"
        );
        let filtered = filter != AdjustmentFilter::default();
        let columns = vec![
            Column::text("Came"),
            Column::text("Partner"),
            Column::text("Source and id"),
            Column::text("Used"),
            Column::text("Closed period"),
            Column::numeric("Units"),
            Column::text("Invoice"),
        ];
        let list = found.view(("Late usage, newest first; times in UTC", columns), row, || nothing(filtered));
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
                {list}
            </OperatorFrame>
        })
    })
}

fn nothing(filtered: bool) -> AnyView {
    let (title, text) = if filtered {
        ("Nothing matches", "No late usage fits the filter.")
    } else {
        (
            "Nothing came late",
            "Whatever was told from outside, handed over or corrected was so before its period was closed.",
        )
    };
    view! {
        <EmptyState title=title text=text icon=IconName::Clock>
            <ButtonLink href="/console/usage">"Usage"</ButtonLink>
        </EmptyState>
    }
    .into_any()
}

fn read(query: &ParamsMap) -> Result<AdjustmentFilter, PageError> {
    let billed = match query.get("state").as_deref() {
        None | Some("") => None,
        Some("waiting") => Some(false),
        Some("billed") => Some(true),
        Some(_) => return Err(PageError::NotFound),
    };
    Ok(AdjustmentFilter { billed, partner: listed::partner(query)? })
}

fn address(filter: &AdjustmentFilter, after: Option<&str>) -> String {
    let state = filter.billed.map(|billed| if billed { "billed" } else { "waiting" }.to_owned());
    let partner = filter.partner.map(|id| id.to_string());
    listed::address(PATH, [("state", state), ("partner", partner), ("kind", None)], after)
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
