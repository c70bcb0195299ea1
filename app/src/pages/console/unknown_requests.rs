//! `/console/unknown-requests`: requests with an Idempotency-Key of which nobody knows whether they were carried out.

use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{idempotency::Unknown, key_text::Environment, money::group_thousands};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use std::fmt::Display;
use store::idempotency::{UnknownFilter, UnknownRequest, UnknownSources};

const PAGE_SIZE: u32 = 50;

const PATH: &str = "/console/unknown-requests";

#[component]
pub fn UnknownRequestsPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let after = query.get("after");
        let filter = read(&query)?;
        let found = store.all_unknown_requests(&filter, after.as_deref(), PAGE_SIZE).await?;
        let sources = store.all_unknown_sources().await?;
        let filtered = filter != UnknownFilter::default();
        let next = found.next.map(|next| address(&filter, Some(&next)));
        let first = after.map(|_| address(&filter, None));
        let summary = match sources.requests {
            0 => String::new(),
            all => format!("{} in all", group_thousands(all)),
        };
        let empty = found.items.is_empty();
        let rows = found.items.into_iter().map(row).collect_view();
        let bar = (filtered || sources.requests > 0).then(|| view! { <Filter filter=filter sources=sources/> });
        Ok(view! {
            <PageTitle text="Unknown requests"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader
                    title="Unknown requests"
                    description="They took an Idempotency-Key and were sent to the API, and nobody knows whether it carried them out. Oldest first."
                />
                <ErrorSummary problems=problems/>
                {bar}
                <Card flush=true>
                    {match (empty, filtered) {
                        (true, true) => view! {
                            <EmptyState title="Nothing matches" text="No request of an unknown outcome fits the filter. Keys and request ids are looked up whole." icon=IconName::Search>
                                <ButtonLink href=PATH>"Clear the filter"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any(),
                        (true, false) => view! {
                            <EmptyState
                                title="The outcome of every request is known"
                                text="A request appears here when a gateway or the API ended in the middle of it. Which operations take an Idempotency-Key is in each product's policy."
                                icon=IconName::Success
                            >
                                <ButtonLink href="/console/products">"Open products"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any(),
                        (false, _) => view! {
                            <DataTable
                                caption="Unknown requests, oldest first; times in UTC"
                                columns=vec![
                                    Column::text("Sent"),
                                    Column::text("Partner"),
                                    Column::text("Request"),
                                    Column::text("Idempotency-Key"),
                                    Column::text("Why unknown"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any(),
                    }}
                </Card>
                <Pagination previous=first next=next summary=summary/>
            </OperatorFrame>
        })
    })
}

/// Why nobody knows, in two or three words.
pub fn reason(reason: Unknown) -> &'static str {
    match reason {
        Unknown::NodeEnded => "Gateway stopped",
        Unknown::Overdue => "Gateway unheard of",
        Unknown::NoAnswer => "No whole answer",
        Unknown::TooLong | Unknown::Unrecorded | Unknown::CarriedOut => "Carried out",
    }
}

/// What the address asks for. An identifier that does not read is not one of ours.
fn read(query: &ParamsMap) -> Result<UnknownFilter, PageError> {
    let text = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let id = |name: &str| text(name);
    Ok(UnknownFilter {
        partner: id("partner").map(|id| id.parse()).transpose().map_err(|_| PageError::NotFound)?,
        product: id("product").map(|id| id.parse()).transpose().map_err(|_| PageError::NotFound)?,
        text: text("q"),
    })
}

fn address(filter: &UnknownFilter, after: Option<&str>) -> String {
    let mut map = ParamsMap::new();
    let parts = [
        ("partner", filter.partner.map(|id| id.to_string())),
        ("product", filter.product.map(|id| id.to_string())),
        ("q", filter.text.clone()),
        ("after", after.map(str::to_owned)),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            map.insert(name, value);
        }
    }
    format!("{PATH}{}", map.to_query_string())
}

#[component]
fn Filter(filter: UnknownFilter, sources: UnknownSources) -> impl IntoView {
    let partners = choices(sources.partners, filter.partner, "A partner without unknown requests");
    let products = choices(sources.products, filter.product, "A product without unknown requests");
    view! {
        <FilterBar action=PATH label="Filter unknown requests">
            <SelectField label="Partner" name="partner" choices=partners value=filter.partner.map(|id| id.to_string()) blank="All"/>
            <SelectField label="Product" name="product" choices=products value=filter.product.map(|id| id.to_string()) blank="All"/>
            <TextField label="Key or request id" name="q" value=filter.text mono=true placeholder="The whole of it"/>
            <Button icon=IconName::Search>"Filter"</Button>
        </FilterBar>
    }
}

/// Those with unknown requests, and the one that is asked for though it has none (any more).
fn choices<T: Display + PartialEq>(named: Vec<(T, String)>, asked: Option<T>, without: &str) -> Vec<Choice> {
    let missing = asked.filter(|asked| named.iter().all(|(id, _)| id != asked));
    let named = named.into_iter().map(|(id, name)| {
        let name = if name.is_empty() { "No longer there".to_owned() } else { name };
        Choice::new(id.to_string(), name)
    });
    named.chain(missing.map(|id| Choice::new(id.to_string(), without))).collect()
}

fn row(request: UnknownRequest) -> impl IntoView {
    let href = format!("{PATH}/{}", request.attempt);
    let partner = format!("/console/partners/{}", request.partner);
    let (method, path) = (request.method, request.path);
    let call = if path.is_empty() {
        view! { "An operation that is no longer there" }.into_any()
    } else {
        view! { <CallPath method=method path=path/> }.into_any()
    };
    let live = request.environment == Environment::Live;
    view! {
        <tr>
            <Cell label="Sent" head=true><a href=href><TimeText at=request.began_at seconds=true/></a></Cell>
            <Cell label="Partner"><a href=partner>{request.partner_name}</a> " " <EnvironmentBadge live=live/></Cell>
            <Cell label="Request">{call} <p class="key-note">{request.product}</p></Cell>
            <Cell label="Idempotency-Key"><code class="clip" title=request.key.clone()>{request.key.clone()}</code></Cell>
            <Cell label="Why unknown"><Badge text=reason(request.reason) tone=Tone::Warning/></Cell>
        </tr>
    }
}
