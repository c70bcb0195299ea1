//! `/usage`: what was used in a billing period, against the quota and the limits, by day and by whatever made the calls.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        requests::duration_text,
        time_text::{local_date, local_zone, period_text},
    },
    viewer::{self, Cx, MemberViewer},
};
use domain::{
    key_text::Environment,
    money::group_thousands,
    period::{Cycle, Period},
    plan::PlanTerms,
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::usage::{Dimension, Slice, Totals, UsageFilter};

/// Earlier periods that the page offers.
const EARLIER: usize = 11;

/// Rows of the breakdown: what comes after them hardly counts.
const MOST_ROWS: usize = 50;

const DIMENSIONS: [(&str, &str, Dimension); 4] = [
    ("operation", "Operations", Dimension::Operation),
    ("product", "Products", Dimension::Product),
    ("app", "Apps", Dimension::App),
    ("key", "Keys", Dimension::Key),
];

#[component]
pub fn UsagePage() -> impl IntoView {
    let cx = viewer::member();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let asked = Asked::read(query.get("period"), query.get("environment"), query.get("by"));
        let seen = Seen::load(&cx, &asked).await?;
        let title = period_text(seen.period, &seen.zone);
        let csv = format!("/usage.csv?period={}&environment={}", seen.period.start, asked.environment);
        let live = asked.environment == Environment::Live;
        let picker = view! {
            <Picker asked=asked.clone() periods=seen.periods.clone() current=seen.period zone=seen.zone.clone()/>
        };
        Ok(view! {
            <PageTitle text="Usage"/>
            <MemberFrame cx=cx path="/usage" live=live>
                <PageHeader title="Usage" description=title>
                    <ButtonLink href=csv icon=IconName::Download>"Download CSV"</ButtonLink>
                </PageHeader>
                {picker}
                {if seen.totals.calls == 0 {
                    view! { <NothingYet live=live/> }.into_any()
                } else {
                    view! { <Figures asked=asked seen=seen/> }.into_any()
                }}
            </MemberFrame>
        })
    })
}

/// What the address asks for.
#[derive(Debug, Clone)]
struct Asked {
    /// An instant in the period that is wanted; the current one where it is absent.
    at: Option<Timestamp>,
    environment: Environment,
    by: &'static str,
    dimension: Dimension,
}

impl Asked {
    fn read(period: Option<String>, environment: Option<String>, by: Option<String>) -> Self {
        let by = by.unwrap_or_default();
        let (code, _, dimension) = DIMENSIONS.into_iter().find(|(code, ..)| *code == by).unwrap_or(DIMENSIONS[0]);
        Self {
            at: period.and_then(|at| at.parse().ok()),
            environment: environment.and_then(|code| code.parse().ok()).unwrap_or(Environment::Live),
            by: code,
            dimension,
        }
    }
}

/// What the page shows.
struct Seen {
    period: Period,
    periods: Vec<Period>,
    zone: TimeZone,
    time_zone: String,
    terms: Option<PlanTerms>,
    totals: Totals,
    days: Vec<(Timestamp, Totals)>,
    slices: Vec<Slice>,
}

impl Seen {
    async fn load(cx: &Cx<MemberViewer>, asked: &Asked) -> Result<Self, PageError> {
        let (store, partner) = (&cx.state.store, cx.viewer.partner);
        let subscription = store.subscription(partner).await?;
        let (cycle, terms) = match subscription {
            Some(subscription) => (subscription.cycle(), Some(subscription.terms)),
            None => (Cycle::calendar_month(cx.now, &cx.viewer.time_zone).map_err(|_| PageError::Unavailable)?, None),
        };
        let mut periods = periods_back(&cycle, cx.now);
        // Before that there is nothing to see.
        let created_at = store.partner(partner).await?.created_at;
        periods.retain(|period| period.end > created_at);
        let first = periods.last().map_or(cx.now, |period| period.start);
        let at = asked.at.filter(|at| (first..=cx.now).contains(at)).unwrap_or(cx.now);
        let period = cycle.period_at(at).map_err(|_| PageError::NotFound)?;
        let filter = UsageFilter { environment: Some(asked.environment), ..UsageFilter::default() };
        Ok(Self {
            period,
            periods,
            zone: local_zone(&cx.viewer.time_zone),
            time_zone: cx.viewer.time_zone.clone(),
            terms,
            totals: store.usage_totals(partner, period, &filter).await?,
            days: store.usage_days(partner, period, &cx.viewer.time_zone, &filter).await?,
            slices: store.usage_by(partner, asked.dimension, period, &filter).await?,
        })
    }
}

/// The current period and those before it, newest first.
pub fn periods_back(cycle: &Cycle, now: Timestamp) -> Vec<Period> {
    let mut periods = Vec::new();
    let mut at = now;
    while periods.len() <= EARLIER {
        let Ok(period) = cycle.period_at(at) else { break };
        periods.push(period);
        let Ok(before) = period.start.checked_sub(1.second()) else { break };
        at = before;
    }
    periods
}

#[component]
fn Picker(asked: Asked, periods: Vec<Period>, current: Period, zone: TimeZone) -> impl IntoView {
    let choice = |period: &Period| Choice::new(period.start.to_string(), period_text(*period, &zone));
    let choices: Vec<Choice> = periods.iter().map(choice).collect();
    let environments = vec![Choice::new("live", "Live"), Choice::new("test", "Test, never charged")];
    view! {
        <FilterBar action="/usage" label="Choose what to see">
            <input type="hidden" name="by" value=asked.by/>
            <SelectField label="Billing period" name="period" choices=choices value=current.start.to_string()/>
            <SelectField label="Environment" name="environment" choices=environments value=asked.environment.code()/>
            <Button>"Show"</Button>
        </FilterBar>
    }
}

#[component]
fn NothingYet(live: bool) -> impl IntoView {
    let text = if live {
        "There were no calls with live keys in this period."
    } else {
        "There were no calls with test keys in this period."
    };
    view! {
        <Card>
            <EmptyState title="Nothing used yet" text=text icon=IconName::Chart>
                <ButtonLink href="/apps" kind=ButtonKind::Primary>"Create a key"</ButtonLink>
                <ButtonLink href="/products">"Open the docs"</ButtonLink>
            </EmptyState>
        </Card>
    }
}

#[component]
fn Figures(asked: Asked, seen: Seen) -> impl IntoView {
    let totals = seen.totals;
    let tenths = totals.errors.saturating_mul(1_000).checked_div(totals.calls).unwrap_or(0);
    let share = format!("{}.{} % of all calls", tenths / 10, tenths % 10);
    let latency = totals.latency();
    let (median, slow) = match latency {
        Some(latency) => (duration_text(latency.p50_us), format!("95 % within {}", duration_text(latency.p95_us))),
        None => ("—".to_owned(), "Nothing was served".to_owned()),
    };
    let terms = seen.terms.as_ref().filter(|_| asked.environment == Environment::Live);
    let quota = terms.and_then(|terms| terms.quota);
    let beyond = terms.and_then(|terms| terms.beyond_quota()).unwrap_or_default();
    // What is beyond it is paid with credit.
    let capped = quota.filter(|_| terms.is_some_and(|terms| terms.admission.credit.required));
    let of_quota = capped.map_or(totals.units, |quota| totals.units.min(quota.units));
    let labels: Vec<String> = seen.days.iter().map(|(day, _)| day_label(*day, &seen.zone)).collect();
    let of = |read: fn(&Totals) -> u64| seen.days.iter().map(|(_, totals)| read(totals)).collect::<Vec<_>>();
    let base = format!("/usage?period={}&environment={}", seen.period.start, asked.environment);
    let series = vec![
        Series::new("Served", Tone::Info, of(|totals| totals.served)),
        Series::new("Refused", Tone::Warning, of(|totals| totals.refused)),
        Series::new("Failed", Tone::Danger, of(|totals| totals.calls - totals.served - totals.refused)),
    ];
    let tabs: Vec<Tab> =
        DIMENSIONS.iter().map(|(code, label, _)| Tab::new(*label, format!("{base}&by={code}"))).collect();
    view! {
        <StatGrid>
            <Stat label="Calls" figure=group_thousands(totals.calls) hint=format!("{} served", group_thousands(totals.served))/>
            <Stat label="Units" figure=group_thousands(totals.units) hint="What your plan counts"/>
            <Stat label="Errors" figure=group_thousands(totals.errors) hint=share/>
            <Stat label="Typical time" figure=median hint=slow/>
        </StatGrid>
        {quota
            .map(|quota| view! {
                <Card title="Quota">
                    <Meter label="Units this period" used=of_quota limit=Some(quota.units) unit="units" hint=beyond/>
                </Card>
            })}
        <Card>
            <BarChart
                title="By day"
                description=format!("Calls for each day of the period, in {}", seen.time_zone)
                unit="calls"
                labels=labels
                series=series
            />
        </Card>
        <Card title="Where it went" flush=true>
            <Tabs label="Broken down by" tabs=tabs current=format!("{base}&by={}", asked.by)/>
            <Breakdown slices=seen.slices by=asked.by/>
        </Card>
    }
}

fn day_label(day: Timestamp, zone: &TimeZone) -> String {
    local_date(day, zone).rsplit_once(' ').map_or_else(String::new, |(day, _year)| day.to_owned())
}

#[component]
fn Breakdown(slices: Vec<Slice>, by: &'static str) -> impl IntoView {
    let first =
        DIMENSIONS.iter().find(|(code, ..)| *code == by).map_or("Name", |(_, label, _)| label.trim_end_matches('s'));
    let all = slices.len();
    let rows = slices.into_iter().take(MOST_ROWS).map(move |slice| {
        let name = match (slice.name.is_empty(), slice.product.is_empty()) {
            (true, _) => "No operation matched".to_owned(),
            (false, true) => slice.name,
            (false, false) => format!("{} · {}", slice.product, slice.name),
        };
        let totals = slice.totals;
        view! {
            <tr>
                <Cell label=first head=true>{name}</Cell>
                <Cell label="Calls" numeric=true><Figure value=totals.calls/></Cell>
                <Cell label="Units" numeric=true><Figure value=totals.units/></Cell>
                <Cell label="Errors" numeric=true><Figure value=totals.errors/></Cell>
                <Cell label="95 % within" numeric=true>
                    {totals.latency().map_or("—".to_owned(), |latency| duration_text(latency.p95_us))}
                </Cell>
            </tr>
        }
    });
    view! {
        <DataTable
            caption="Usage, most calls first"
            caption_hidden=true
            columns=vec![
                Column::text(first),
                Column::numeric("Calls"),
                Column::numeric("Units"),
                Column::numeric("Errors"),
                Column::numeric("95 % within"),
            ]
            stack=true
        >
            {rows.collect_view()}
        </DataTable>
        {(all > MOST_ROWS).then(|| view! { <p class="table-note">{format!("The {MOST_ROWS} with most calls, of {all}.")}</p> })}
    }
}
