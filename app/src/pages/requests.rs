//! `/requests`: the request log, with a filter that is in the address.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::time_text::{local_time, local_zone},
    viewer,
};
use domain::{
    id::{OperationId, ProductId},
    key_text::Environment,
    period::Period,
};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::DateTime, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::{
    Store, StoreError,
    usage::{Dimension, LoggedRequest, Place, RequestFilter, UsageFilter},
};

const PAGE_SIZE: u16 = 50;

/// A year and a month: no look goes through more calls.
const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How far back the log looks, by the code in the address.
const SPANS: [(&str, &str, i64); 4] = [
    ("hour", "Last hour", 1),
    ("day", "Last 24 hours", 24),
    ("week", "Last 7 days", 168),
    ("month", "Last 31 days", 744),
];

#[component]
pub fn RequestsPage() -> impl IntoView {
    let cx = viewer::member();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let zone = local_zone(&cx.viewer.time_zone);
        let asked = Asked::read(&query, &zone);
        let range = asked.range(cx.now);
        let known = Known::load(&cx.state.store, cx.viewer.partner, range, &asked).await?;
        let after: Option<Place> = query.get("after").and_then(|place| place.parse().ok());
        let found =
            cx.state.store.request_log(cx.viewer.partner, range, &asked.filter, after.as_ref(), PAGE_SIZE).await?;
        let next = found.next.as_ref().map(|place| asked.address(&[("after", &place.to_string())]));
        let first = after.is_some().then(|| asked.address(&[]));
        let nothing_at_all = found.requests.is_empty() && asked.is_plain();
        let empty = found.requests.is_empty();
        let rows = found.requests.into_iter().map(|request| row(request, &zone)).collect_view();
        let time_zone = cx.viewer.time_zone.clone();
        let nothing = match asked.from {
            Some(_) => {
                "No call in this time fits the filter. Single calls are kept for a while only; the usage page counts them for longer."
            }
            None => "No call in this time fits the filter.",
        };
        Ok(view! {
            <PageTitle text="Requests"/>
            <MemberFrame cx=cx path="/requests">
                <PageHeader title="Requests" description="Every call with one of your keys, a second or two after it was answered."/>
                <Filter asked=asked known=known zone=zone.clone()/>
                <Card flush=true>
                    {if nothing_at_all {
                        view! {
                            <EmptyState
                                title="No calls in this time"
                                text="Make a call with one of your keys, or try an operation from its reference page."
                                icon=IconName::Terminal
                            >
                                <ButtonLink href="/products" kind=ButtonKind::Primary>"Open the docs"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else if empty {
                        view! {
                            <EmptyState title="Nothing matches" text=nothing icon=IconName::Search>
                                <ButtonLink href="/requests">"Clear the filter"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption=format!("Calls, newest first; times in {time_zone}")
                                columns=vec![
                                    Column::text("Time"),
                                    Column::text("Answer"),
                                    Column::text("Call"),
                                    Column::text("App and key"),
                                    Column::numeric("Units"),
                                    Column::numeric("Took"),
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

/// What the address asks for.
#[derive(Debug, Clone, Default)]
struct Asked {
    span: String,
    /// In place of the span.
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    filter: RequestFilter,
}

/// What can be chosen of products and operations: what was called in this time.
struct Known {
    products: Vec<Choice>,
    operations: Vec<Choice>,
}

impl Known {
    async fn load(
        store: &Store,
        partner: domain::id::PartnerId,
        range: Period,
        asked: &Asked,
    ) -> Result<Self, StoreError> {
        let mut filter = UsageFilter { environment: asked.filter.environment, ..UsageFilter::EVERYTHING };
        let products = store.usage_by(partner, Dimension::Product, range, &filter).await?;
        filter.product = asked.filter.product;
        let operations = store.usage_by(partner, Dimension::Operation, range, &filter).await?;
        let product = |slice: store::usage::Slice| Some(Choice::new(ProductId(slice.id?).to_string(), slice.name));
        let operation = |slice: store::usage::Slice| {
            Some(Choice::new(OperationId(slice.id?).to_string(), format!("{} · {}", slice.product, slice.name)))
        };
        Ok(Self {
            products: products.into_iter().filter_map(product).collect(),
            operations: operations.into_iter().filter_map(operation).collect(),
        })
    }
}

impl Asked {
    fn read(query: &ParamsMap, zone: &TimeZone) -> Self {
        let text = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        Self {
            span: text("span").unwrap_or_else(|| "day".to_owned()),
            from: text("from").and_then(|at| instant(&at, zone)),
            to: text("to").and_then(|at| instant(&at, zone)),
            filter: RequestFilter {
                team: None,
                product: text("product").and_then(|id| id.parse().ok()),
                operation: text("operation").and_then(|id| id.parse().ok()),
                environment: text("environment").and_then(|code| code.parse().ok()),
                app: text("app").and_then(|id| id.parse().ok()),
                key: text("key").and_then(|id| id.parse().ok()),
                status_class: text("status")
                    .and_then(|class| class.parse().ok())
                    .filter(|class| (2..=5).contains(class)),
                method: text("method").map(|method| method.to_uppercase()),
                outcome: text("outcome"),
                request_id: text("request"),
            },
        }
    }

    /// Up to a minute ahead, since the gateway's clock may run before ours.
    fn range(&self, now: Timestamp) -> Period {
        let hours = SPANS.iter().find(|(code, ..)| *code == self.span).map_or(24, |(_, _, hours)| *hours);
        let end = self.to.unwrap_or_else(|| now.checked_add(1.minute()).unwrap_or(now));
        let start = self.from.unwrap_or_else(|| self.to.unwrap_or(now).checked_sub(hours.hours()).unwrap_or(now));
        let earliest = end.checked_sub(LONGEST).unwrap_or(Timestamp::MIN);
        Period { start: start.clamp(earliest, end), end }
    }

    fn is_plain(&self) -> bool {
        self.filter == RequestFilter::default() && self.from.is_none() && self.to.is_none()
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let filter = &self.filter;
        let mut pairs = vec![("span", self.span.clone())];
        pairs.extend(self.from.map(|at| ("from", at.to_string())));
        pairs.extend(self.to.map(|at| ("to", at.to_string())));
        pairs.extend(filter.product.map(|id| ("product", id.to_string())));
        pairs.extend(filter.operation.map(|id| ("operation", id.to_string())));
        pairs.extend(filter.environment.map(|environment| ("environment", environment.to_string())));
        pairs.extend(filter.app.map(|app| ("app", app.to_string())));
        pairs.extend(filter.key.map(|key| ("key", key.to_string())));
        pairs.extend(filter.status_class.map(|class| ("status", class.to_string())));
        pairs.extend(filter.method.clone().map(|method| ("method", method)));
        pairs.extend(filter.outcome.clone().map(|outcome| ("outcome", outcome)));
        pairs.extend(filter.request_id.clone().map(|id| ("request", id)));
        pairs
    }

    fn address(&self, more: &[(&'static str, &str)]) -> String {
        let mut map = ParamsMap::new();
        for (name, value) in self.pairs() {
            map.insert(name, value);
        }
        for (name, value) in more {
            map.insert(*name, (*value).to_owned());
        }
        format!("/requests{}", map.to_query_string())
    }
}

/// An instant as an address has it, or local time as people write it.
fn instant(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let local = || text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok();
    text.parse().ok().or_else(|| local().map(|at| at.timestamp()))
}

#[component]
fn Filter(asked: Asked, known: Known, zone: TimeZone) -> impl IntoView {
    let choices = |pairs: &[(&str, &str)]| -> Vec<Choice> {
        pairs.iter().map(|(value, label)| Choice::new(*value, *label)).collect()
    };
    let spans = SPANS.iter().map(|(code, label, _)| Choice::new(*code, *label)).collect();
    let statuses = choices(&[("2", "2xx"), ("3", "3xx"), ("4", "4xx"), ("5", "5xx")]);
    let outcomes = choices(&[
        ("served", "Served"),
        ("refused", "Refused by the gateway"),
        ("upstream_failed", "Upstream failed"),
        ("client_gone", "Client went away"),
    ]);
    // Without the zone, which the page says.
    let local = |at: Timestamp| at.to_zoned(zone.clone()).datetime().to_string().replace('T', " ");
    let (from, to) = (asked.from.map(local), asked.to.map(local));
    let environments = choices(&[("live", "Live"), ("test", "Test")]);
    let filter = asked.filter;
    let keep = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <input type="hidden" name=name value=value/> })
    };
    view! {
        <FilterBar action="/requests" label="Filter requests">
            {keep("app", filter.app.map(|id| id.to_string()))}
            {keep("key", filter.key.map(|id| id.to_string()))}
            <SelectField label="Time" name="span" choices=spans value=asked.span/>
            <TextField label="From" name="from" value=from mono=true placeholder="2026-11-21 09:00"/>
            <TextField label="To" name="to" value=to mono=true placeholder="Now"/>
            <SelectField
                label="Product"
                name="product"
                choices=known.products
                value=filter.product.map(|id| id.to_string())
                blank="Any"
            />
            <SelectField
                label="Operation"
                name="operation"
                choices=known.operations
                value=filter.operation.map(|id| id.to_string())
                blank="Any"
            />
            <SelectField
                label="Status"
                name="status"
                choices=statuses
                value=filter.status_class.map(|class| class.to_string())
                blank="Any"
            />
            <SelectField label="Outcome" name="outcome" choices=outcomes value=filter.outcome blank="Any"/>
            <SelectField
                label="Environment"
                name="environment"
                choices=environments
                value=filter.environment.map(|environment| Environment::code(environment).to_owned())
                blank="Both"
            />
            <TextField label="Request id" name="request" value=filter.request_id mono=true placeholder="Begins with"/>
            <Button icon=IconName::Search>"Filter"</Button>
        </FilterBar>
    }
}

fn row(request: LoggedRequest, zone: &jiff::tz::TimeZone) -> impl IntoView + use<> {
    let time = local_time(request.at, zone);
    let href = format!("/requests/{}", request.place);
    let call = if request.path.is_empty() { "No operation matched".to_owned() } else { request.path.clone() };
    let key = if request.key_name.is_empty() { "Deleted key".to_owned() } else { request.key_name.clone() };
    let caller = format!("{} · {key}", request.app_name);
    view! {
        <tr>
            <Cell label="Time" head=true>
                <a href=href>{time}</a>
            </Cell>
            <Cell label="Answer">
                <Cluster>
                    <StatusCode code=request.status/>
                    {request.refusal.clone().map(|code| view! { <a href=format!("/docs/errors/{code}")>{code.clone()}</a> })}
                </Cluster>
            </Cell>
            <Cell label="Call">
                <CallPath method=request.method.clone() path=call/>
            </Cell>
            <Cell label="App and key"><span class="clip" title=caller.clone()>{caller.clone()}</span> " " <EnvironmentBadge live=request.environment == Environment::Live/></Cell>
            <Cell label="Units" numeric=true><Figure value=request.units/></Cell>
            <Cell label="Took" numeric=true>{duration_text(request.duration_us)}</Cell>
        </tr>
    }
}

/// Microseconds as people read them: `850 µs`, `12.4 ms`, `3.20 s`.
pub fn duration_text(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(duration_text(850), "850 µs");
        assert_eq!(duration_text(12_450), "12.4 ms");
        assert_eq!(duration_text(3_204_000), "3.20 s");
    }
}
