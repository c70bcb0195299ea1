//! `/console/usage`: what all partners used, by partner and product, with errors and latency.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::{
        missing::{MissingNotice, Reader},
        requests::duration_text,
    },
    viewer,
};
use domain::{id::PartnerId, key_text::Environment, period::Period};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::usage::{Completeness, Dimension, UsageFilter, UsageQuery, UsageRow};

/// Rows that the page shows; the files have all.
const MOST_ROWS: usize = 100;

/// How far back, by the code in the address.
const SPANS: [(&str, &str, i64); 4] = [
    ("day", "Last 24 hours", 1),
    ("week", "Last 7 days", 7),
    ("month", "Last 31 days", 31),
    ("year", "Last 365 days", 365),
];

/// The days of a span; a month where it is not known.
pub fn days_of(span: &str) -> i64 {
    SPANS.iter().find(|(code, ..)| *code == span).map_or(31, |(_, _, days)| *days)
}

/// The range that ends now.
pub fn range_of(span: &str, now: Timestamp) -> Period {
    let start = now.checked_sub(SignedDuration::from_hours(24 * days_of(span))).unwrap_or(now);
    // Up to a minute ahead, since a gateway's clock may run before ours.
    Period { start, end: now.checked_add(SignedDuration::from_secs(60)).unwrap_or(now) }
}

#[component]
pub fn UsagePage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let span =
            query.get("span").filter(|span| SPANS.iter().any(|(code, ..)| code == span)).unwrap_or("month".to_owned());
        let environment: Option<Environment> = query.get("environment").and_then(|code| code.parse().ok());
        let filter = UsageFilter { environment, ..UsageFilter::EVERYTHING };
        let by = [Dimension::Partner, Dimension::Product];
        let range = range_of(&span, cx.now);
        let asked = UsageQuery { by: &by, ..UsageQuery::whole(range, filter) };
        let known = cx.state.store.all_partners_completeness(range, cx.now).await?;
        // The most used; the files have all.
        let rows = cx.state.store.usage_page(None, &asked, 0).await?.0.rows;
        let missed = !known.is_whole();
        let address = |end: &str| {
            format!("/console/usage.{end}?span={span}&environment={}", environment.map_or("", Environment::code))
        };
        let (csv, jsonl) = (address("csv"), address("jsonl"));
        let all = rows.len();
        let empty = rows.is_empty();
        let table = rows.into_iter().take(MOST_ROWS).map(|one| row(one, &known)).collect_view();
        let spans = SPANS.iter().map(|(code, label, _)| Choice::new(*code, *label)).collect();
        let environments = vec![Choice::new("live", "Live"), Choice::new("test", "Test")];
        Ok(view! {
            <PageTitle text="Usage"/>
            <OperatorFrame cx=cx path="/console/usage">
                <PageHeader title="Usage" description="What partners used, by product. Times are those of served calls.">
                    <ButtonLink href=csv icon=IconName::Download>"CSV by day"</ButtonLink>
                    <ButtonLink href=jsonl icon=IconName::Download>"JSON Lines by day"</ButtonLink>
                </PageHeader>
                <FilterBar action="/console/usage" label="Choose what to see">
                    <SelectField label="Time" name="span" choices=spans value=span.clone()/>
                    <SelectField
                        label="Environment"
                        name="environment"
                        choices=environments
                        value=environment.map(|environment| environment.code().to_owned())
                        blank="Both"
                    />
                    <Button>"Show"</Button>
                </FilterBar>
                <MissingNotice known=known range=range zone=TimeZone::UTC reader=Reader::Operator/>
                <Card flush=true>
                    {if empty {
                        let (title, text) = if missed {
                            ("No usage has come", "None of this time is stored, and some is missing.")
                        } else {
                            ("Nothing used", "No partner made a call in this time.")
                        };
                        view! {
                            <EmptyState title=title text=text icon=IconName::Chart>
                                <ButtonLink href="/console/partners">"Partners"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Usage by partner and product, most calls first"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Partner"),
                                    Column::text("Product"),
                                    Column::numeric("Calls"),
                                    Column::numeric("Units"),
                                    Column::numeric("Errors"),
                                    Column::numeric("Of those 5xx"),
                                    Column::numeric("p50"),
                                    Column::numeric("p95"),
                                    Column::numeric("p99"),
                                ]
                                stack=true
                            >
                                {table}
                            </DataTable>
                        }
                        .into_any()
                    }}
                    {(all > MOST_ROWS)
                        .then(|| view! { <p class="table-note">{format!("The {MOST_ROWS} with most calls, of {all}; the files have all.")}</p> })}
                </Card>
            </OperatorFrame>
        })
    })
}

fn row(row: UsageRow, known: &Completeness) -> impl IntoView + use<> {
    let mut groups = row.groups.into_iter();
    let (partner, product) = (groups.next().unwrap_or_default(), groups.next().unwrap_or_default());
    // What is missing of everybody stands above the table.
    let own = partner.id.map(PartnerId);
    let incomplete = own.is_some() && known.missing.iter().any(|missing| missing.partner == own);
    let incomplete = incomplete.then(|| view! { " " <Badge text="Some is missing" tone=Tone::Warning/> });
    let href = partner.id.map(|id| format!("/console/partners/{}", PartnerId(id)));
    let product = if product.name.is_empty() { "No product matched".to_owned() } else { product.name };
    let totals = row.totals;
    let latency = totals.latency();
    let time = |micros: Option<u64>| micros.map_or("—".to_owned(), duration_text);
    view! {
        <tr>
            <Cell label="Partner" head=true>
                {match href {
                    Some(href) => view! { <a href=href>{partner.name}</a> }.into_any(),
                    None => partner.name.into_any(),
                }}
                {incomplete}
            </Cell>
            <Cell label="Product">{product}</Cell>
            <Cell label="Calls" numeric=true><Figure value=totals.calls/></Cell>
            <Cell label="Units" numeric=true><Figure value=totals.units/></Cell>
            <Cell label="Errors" numeric=true><Figure value=totals.errors/></Cell>
            <Cell label="Of those 5xx" numeric=true><Figure value=totals.server_errors/></Cell>
            <Cell label="p50" numeric=true>{time(latency.map(|latency| latency.p50_us))}</Cell>
            <Cell label="p95" numeric=true>{time(latency.map(|latency| latency.p95_us))}</Cell>
            <Cell label="p99" numeric=true>{time(latency.map(|latency| latency.p99_us))}</Cell>
        </tr>
    }
}
