//! `/usage`: what was used in a billing period, a day or a year, against the quota, and by whatever made the calls. Each row narrows
//! the page to what it stands for, and leads to the calls themselves.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        corrected::Corrected,
        missing::{MissingNotice, Reader},
        requests::duration_text,
        time_text::{local_date, local_zone, period_text},
    },
    viewer::{self, Cx, MemberViewer},
};
use domain::{
    id::{AppId, KeyId, MemberId, OperationId, ProductId, TeamId},
    key_text::Environment,
    money::group_thousands,
    period::{Cycle, Period},
    plan::PlanTerms,
    usage::MeterKind,
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;
use store::usage::{Completeness, Dimension, MeterQuery, MeterRow, Slice, Totals, UsageFilter, UsageQuery, Window};
use uuid::Uuid;

/// Earlier periods that the page offers.
const EARLIER: usize = 11;

/// A year and a month.
const LONGEST: jiff::SignedDuration = jiff::SignedDuration::from_hours(400 * 24);

/// Rows of the breakdown: what comes after them hardly counts.
const MOST_ROWS: usize = 50;

/// Corrections that the page lists.
const CORRECTIONS: u32 = 20;

/// In the order in which rows lead from one to the next.
const DIMENSIONS: [(&str, &str, Dimension); 6] = [
    ("product", "Products", Dimension::Product),
    ("operation", "Operations", Dimension::Operation),
    ("app", "Apps", Dimension::App),
    ("key", "Keys", Dimension::Key),
    ("team", "Teams", Dimension::Team),
    ("member", "Members", Dimension::Member),
];

const VIEWS: [(&str, &str, Window); 3] = [
    ("day", "Days of a period", Window::Day),
    ("hour", "Hours of a day", Window::Hour),
    ("month", "Months of a year", Window::Month),
];

#[component]
pub fn UsagePage() -> impl IntoView {
    let cx = viewer::member();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let asked = Asked::read(&query);
        let seen = Seen::load(&cx, &asked).await?;
        let title = period_text(seen.range, &seen.zone);
        let csv = asked.file(seen.range);
        let live = asked.environment == Environment::Live;
        let corrections = cx.state.store.corrections_of(cx.viewer.partner, seen.range, CORRECTIONS).await?;
        let corrected = view! { <Corrected corrections=corrections zone=seen.zone.clone()/> };
        let picker = view! {
            <Picker asked=asked.clone() periods=seen.periods.clone() current=seen.period zone=seen.zone.clone()/>
        };
        let narrowed = view! { <Narrowed asked=asked.clone() names=seen.names.clone()/> };
        let missing = view! {
            <MissingNotice known=seen.known.clone() range=seen.range zone=seen.zone.clone() reader=Reader::Partner/>
        };
        let missed = !seen.known.is_whole();
        let around = (asked.window == Window::Hour)
            .then(|| view! { <DaysAround asked=asked.clone() day=seen.range now=cx.now/> });
        let meters = measured(&seen, cx.now);
        Ok(view! {
            <PageTitle text="Usage"/>
            <MemberFrame cx=cx path="/usage" live=live>
                <PageHeader title="Usage" description=title>
                    <ButtonLink href=csv icon=IconName::Download>"Download CSV"</ButtonLink>
                </PageHeader>
                {picker}
                {narrowed}
                {around}
                {missing}
                {if seen.totals.calls == 0 && !missed {
                    view! { <NothingYet asked=asked/> }.into_any()
                } else {
                    view! { <Figures asked=asked seen=seen/> }.into_any()
                }}
                {meters}
                {corrected}
            </MemberFrame>
        })
    })
}

/// What the address asks for.
#[derive(Debug, Clone)]
struct Asked {
    /// An instant in the period or day that is wanted; the current one where it is absent.
    at: Option<Timestamp>,
    /// Exactly that time, as an invoice's lines ask for it.
    exact: Option<Period>,
    environment: Environment,
    by: &'static str,
    dimension: Dimension,
    view: &'static str,
    window: Window,
    /// What the page is narrowed to, beside the environment.
    filter: UsageFilter,
}

impl Asked {
    fn read(query: &ParamsMap) -> Self {
        let (by, view) = (query.get("by").unwrap_or_default(), query.get("view").unwrap_or_default());
        let (code, _, dimension) = DIMENSIONS.into_iter().find(|(code, ..)| *code == by).unwrap_or(DIMENSIONS[1]);
        let (view, _, window) = VIEWS.into_iter().find(|(code, ..)| *code == view).unwrap_or(VIEWS[0]);
        let environment = query.get("environment").and_then(|code| code.parse().ok()).unwrap_or(Environment::Live);
        let instant = |name: &str| query.get(name).and_then(|at| at.parse::<Timestamp>().ok());
        let exact = instant("from").zip(instant("to")).map(|(start, end)| Period { start, end });
        Self {
            exact: exact.filter(|range| range.start < range.end && range.end.duration_since(range.start) <= LONGEST),
            at: query.get("period").and_then(|at| at.parse().ok()),
            environment,
            by: code,
            dimension,
            view,
            window,
            filter: UsageFilter {
                environment: Some(environment),
                product: query.get("product").and_then(|id| id.parse().ok()),
                operation: query.get("operation").and_then(|id| id.parse().ok()),
                app: query.get("app").and_then(|id| id.parse().ok()),
                key: query.get("key").and_then(|id| id.parse().ok()),
                team: query.get("team").and_then(|id| id.parse().ok()),
                member: query.get("member").and_then(|id| id.parse().ok()),
                ..UsageFilter::EVERYTHING
            },
        }
    }

    /// What the page is narrowed to, as dimension and identifier.
    fn narrowed(&self) -> Vec<(&'static str, String)> {
        let filter = &self.filter;
        let ids = [
            filter.product.map(|id| id.to_string()),
            filter.operation.map(|id| id.to_string()),
            filter.app.map(|id| id.to_string()),
            filter.key.map(|id| id.to_string()),
            filter.team.map(|id| id.to_string()),
            filter.member.map(|id| id.to_string()),
        ];
        DIMENSIONS.iter().zip(ids).filter_map(|((code, ..), id)| Some((*code, id?))).collect()
    }

    fn address(&self, at: Option<Timestamp>, by: &str, narrowed: &[(&'static str, String)]) -> String {
        let mut map = ParamsMap::new();
        map.insert("view", self.view.to_owned());
        map.insert("environment", self.environment.to_string());
        map.insert("by", by.to_owned());
        if let Some(at) = at {
            map.insert("period", at.to_string());
        }
        if let Some(range) = self.exact {
            map.insert("from", range.start.to_string());
            map.insert("to", range.end.to_string());
        }
        for (name, id) in narrowed {
            map.insert(*name, id.clone());
        }
        format!("/usage{}", map.to_query_string())
    }

    /// What the page shows, by operation, as a file.
    fn file(&self, range: Period) -> String {
        let mut map = ParamsMap::new();
        map.insert("from", range.start.to_string());
        map.insert("to", range.end.to_string());
        map.insert("environment", self.environment.to_string());
        for (name, id) in self.narrowed() {
            map.insert(name, id);
        }
        format!("/usage.csv{}", map.to_query_string())
    }

    /// The page narrowed to one row more, broken down by the first dimension that is left.
    fn narrower(&self, id: String) -> String {
        let mut narrowed = self.narrowed();
        narrowed.retain(|(code, _)| *code != self.by);
        narrowed.push((self.by, id));
        let left = DIMENSIONS.iter().find(|(code, ..)| narrowed.iter().all(|(taken, _)| taken != code));
        self.address(self.at, left.map_or(self.by, |(code, ..)| code), &narrowed)
    }

    /// The calls that a row, or the whole page, is made of. The request log knows neither teams nor members.
    fn calls(&self, range: Period, row: Option<(&'static str, String)>) -> Option<String> {
        let mut narrowed = self.narrowed();
        if let Some(row) = row {
            narrowed.retain(|(code, _)| *code != row.0);
            narrowed.push(row);
        }
        if narrowed.iter().any(|(code, _)| matches!(*code, "team" | "member")) {
            return None;
        }
        let mut map = ParamsMap::new();
        map.insert("from", range.start.to_string());
        map.insert("to", range.end.to_string());
        map.insert("environment", self.environment.to_string());
        for (name, id) in narrowed {
            map.insert(name, id);
        }
        Some(format!("/requests{}", map.to_query_string()))
    }
}

/// What the page shows.
struct Seen {
    /// The billing period that the picker stands at.
    period: Period,
    /// What is counted: the period, a day or a year.
    range: Period,
    periods: Vec<Period>,
    zone: TimeZone,
    time_zone: String,
    terms: Option<PlanTerms>,
    totals: Totals,
    /// With the parts of the range that they are of.
    windows: Vec<(Period, Totals)>,
    /// What is missing of the range.
    known: Completeness,
    slices: Vec<Slice>,
    meters: Vec<MeterRow>,
    /// Of what the page is narrowed to.
    names: Vec<(&'static str, String)>,
}

impl Seen {
    async fn load(cx: &Cx<MemberViewer>, asked: &Asked) -> Result<Self, PageError> {
        let (store, partner, time_zone) = (&cx.state.store, cx.viewer.partner, &cx.viewer.time_zone);
        let subscription = store.subscription(partner).await?;
        let (cycle, terms) = match subscription {
            Some(subscription) => (subscription.cycle(), Some(subscription.terms)),
            None => (Cycle::calendar_month(cx.now, time_zone).map_err(|_| PageError::Unavailable)?, None),
        };
        let mut periods = periods_back(&cycle, cx.now);
        // Before that there is nothing to see.
        let created_at = store.partner(partner).await?.created_at;
        periods.retain(|period| period.end > created_at);
        let first = periods.last().map_or(cx.now, |period| period.start);
        let at = asked.at.filter(|at| (first..=cx.now).contains(at)).unwrap_or(cx.now);
        let period = cycle.period_at(at).map_err(|_| PageError::NotFound)?;
        let zone = local_zone(time_zone);
        let range = match asked.window {
            Window::Day if asked.exact.is_some() => asked.exact.unwrap_or(period),
            Window::Hour => day_of(at, &zone).unwrap_or(period),
            Window::Month => year_until(cx.now, &zone).unwrap_or(period),
            _ => period,
        };
        let filter = asked.filter;
        let query = UsageQuery { range, time_zone, window: asked.window, by: &[], filter };
        let answer = store.usage(partner, &query).await?;
        let mut windows: Vec<(Period, Totals)> =
            answer.windows.iter().map(|window| (*window, Totals::default())).collect();
        for row in answer.rows {
            if let Some((_, totals)) = windows.get_mut(row.window) {
                *totals = row.totals;
            }
        }
        let metered = MeterQuery { usage: UsageQuery::whole(range, filter), meter: None, now: cx.now };
        let meters = store.metered(partner, &metered).await?.rows;
        let mut names = Vec::new();
        for (code, _) in asked.narrowed() {
            let Some((_, _, dimension)) = DIMENSIONS.into_iter().find(|(known, ..)| *known == code) else { continue };
            let slices = store.usage_by(partner, dimension, range, &filter).await?;
            names.push((code, slices.into_iter().next().map(|slice| slice.name).unwrap_or_default()));
        }
        Ok(Self {
            period,
            range,
            periods,
            time_zone: time_zone.clone(),
            terms,
            totals: store.usage_totals(partner, range, &filter).await?,
            windows,
            meters,
            known: store.completeness(partner, range, cx.now).await?,
            slices: store.usage_by(partner, asked.dimension, range, &filter).await?,
            names,
            zone,
        })
    }
}

fn day_of(at: Timestamp, zone: &TimeZone) -> Option<Period> {
    let start = at.to_zoned(zone.clone()).start_of_day().ok()?;
    let end = start.date().tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(Period { start: start.timestamp(), end: end.timestamp() })
}

/// The local month that holds `now`, and eleven before it.
fn year_until(now: Timestamp, zone: &TimeZone) -> Option<Period> {
    let month = now.to_zoned(zone.clone()).date().first_of_month();
    let start = month.checked_sub(11.months()).ok()?.to_zoned(zone.clone()).ok()?;
    let end = month.checked_add(1.month()).ok()?.to_zoned(zone.clone()).ok()?;
    Some(Period { start: start.timestamp(), end: end.timestamp() })
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
    let views = VIEWS.iter().map(|(code, label, _)| Choice::new(*code, *label)).collect();
    let narrowed = asked.narrowed().into_iter().map(|(name, id)| view! { <input type="hidden" name=name value=id/> });
    view! {
        <FilterBar action="/usage" label="Choose what to see">
            <input type="hidden" name="by" value=asked.by/>
            {narrowed.collect_view()}
            <SelectField label="View" name="view" choices=views value=asked.view/>
            <SelectField label="Billing period" name="period" choices=choices value=current.start.to_string()/>
            <SelectField label="Environment" name="environment" choices=environments value=asked.environment.code()/>
            <Button>"Show"</Button>
        </FilterBar>
    }
}

/// What the page is narrowed to, each to be taken off.
#[component]
fn Narrowed(asked: Asked, names: Vec<(&'static str, String)>) -> impl IntoView {
    let narrowed = asked.narrowed();
    let links = names.into_iter().map(|(code, name)| {
        let rest: Vec<_> = narrowed.iter().filter(|(other, _)| *other != code).cloned().collect();
        let label = singular(code);
        let name = if name.is_empty() { "nothing used here".to_owned() } else { name };
        view! {
            <ButtonLink href=asked.address(asked.at, asked.by, &rest) icon=IconName::Close>
                {format!("{label}: {name}")}
            </ButtonLink>
        }
    });
    let links: Vec<_> = links.collect();
    (!links.is_empty()).then(|| view! { <nav aria-label="Take off"><Cluster>{links.collect_view()}</Cluster></nav> })
}

fn singular(code: &str) -> &'static str {
    DIMENSIONS.iter().find(|(known, ..)| *known == code).map_or("Name", |(_, label, _)| label.trim_end_matches('s'))
}

#[component]
fn DaysAround(asked: Asked, day: Period, now: Timestamp) -> impl IntoView {
    let narrowed = asked.narrowed();
    let before = day.start.checked_sub(1.second()).ok().map(|at| asked.address(Some(at), asked.by, &narrowed));
    let after = (day.end <= now).then(|| asked.address(Some(day.end), asked.by, &narrowed));
    view! { <Pagination previous=before next=after label="Days" summary=String::new()/> }
}

#[component]
fn NothingYet(asked: Asked) -> impl IntoView {
    let text = match (asked.narrowed().is_empty(), asked.environment) {
        (false, _) => "There were no such calls in this time.",
        (true, Environment::Live) => "There were no calls with live keys in this time.",
        (true, Environment::Test) => "There were no calls with test keys in this time.",
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
    let whole = asked.window == Window::Day && asked.exact.is_none() && asked.narrowed().is_empty();
    let terms = seen.terms.as_ref().filter(|_| whole && asked.environment == Environment::Live);
    let quota = terms.and_then(|terms| terms.quota);
    let beyond = terms.and_then(|terms| terms.beyond_quota()).unwrap_or_default();
    // What is beyond it is paid with credit.
    let capped = quota.filter(|_| terms.is_some_and(|terms| terms.admission.credit.required));
    let of_quota = capped.map_or(totals.units, |quota| totals.units.min(quota.units));
    let labels: Vec<String> =
        seen.windows.iter().map(|(window, _)| window_label(window.start, asked.window, &seen.zone)).collect();
    let incomplete: Vec<bool> = seen.windows.iter().map(|(window, _)| seen.known.misses(*window, None)).collect();
    // Nothing, where nothing has come of what is missing.
    let of = |read: fn(&Totals) -> u64| {
        let known = seen.windows.iter().zip(&incomplete);
        known.map(|((_, totals), misses)| (!misses || totals.calls > 0).then(|| read(totals))).collect::<Vec<_>>()
    };
    let (title, each) = match asked.window {
        Window::Hour => ("By hour", "hour of the day"),
        Window::Month => ("By month", "month"),
        _ => ("By day", "day of the period"),
    };
    let series = vec![
        Series::with_gaps("Served", Tone::Info, of(|totals| totals.served)),
        Series::with_gaps("Refused", Tone::Warning, of(|totals| totals.refused)),
        Series::with_gaps("Failed", Tone::Danger, of(|totals| totals.calls - totals.served - totals.refused)),
    ];
    let narrowed = asked.narrowed();
    let tab = |code: &str| asked.address(asked.at, code, &narrowed);
    let tabs: Vec<Tab> = DIMENSIONS.iter().map(|(code, label, _)| Tab::new(*label, tab(code))).collect();
    let current = tab(asked.by);
    let calls = asked.calls(seen.range, None);
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
                title=title
                description=format!("Calls for each {each}, in {}", seen.time_zone)
                unit="calls"
                labels=labels
                series=series
                incomplete=incomplete
            />
        </Card>
        <Card title="Where it went" flush=true>
            <Tabs label="Broken down by" tabs=tabs current=current/>
            <Breakdown slices=seen.slices asked=asked range=seen.range/>
        </Card>
        {calls.map(|href| view! { <FormActions><ButtonLink href=href icon=IconName::Terminal>"See these calls"</ButtonLink></FormActions> })}
    }
}

/// What was measured besides units, where anything was.
fn measured(seen: &Seen, now: Timestamp) -> Option<AnyView> {
    let seconds = seen.range.end.min(now).duration_since(seen.range.start).as_secs().max(1);
    let rows = seen.meters.iter().cloned().map(|row| {
        let amount = match row.level_seconds {
            Some(level) => hundredths(level, seconds),
            None => grouped(row.quantity),
        };
        let amount = if row.unit.is_empty() { amount } else { format!("{amount} {}", row.unit) };
        view! {
            <tr>
                <Cell label="Meter" head=true>{format!("{} · {}", row.product_code, row.name)}</Cell>
                <Cell label="How">{how(row.kind)}</Cell>
                <Cell label="Amount" numeric=true>{amount}</Cell>
                <Cell label="Calls" numeric=true><Figure value=row.events/></Cell>
            </tr>
        }
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let columns = vec![Column::text("Meter"), Column::text("How"), Column::numeric("Amount"), Column::numeric("Calls")];
    let card = view! {
        <Card title="Meters" description="What else was measured in this time." flush=true>
            <DataTable caption="Meters" caption_hidden=true columns=columns stack=true>{rows.collect_view()}</DataTable>
        </Card>
    };
    Some(card.into_any())
}

const fn how(kind: MeterKind) -> &'static str {
    match kind {
        MeterKind::Sum => "In all",
        MeterKind::Maximum => "Largest",
        MeterKind::Latest => "Latest",
        MeterKind::Unique => "Different ones",
        MeterKind::Gauge => "On average",
    }
}

fn grouped(quantity: i64) -> String {
    let digits = group_thousands(quantity.unsigned_abs());
    if quantity < 0 { format!("−{digits}") } else { digits }
}

/// A level that was held for so many seconds, over that many, to two places.
fn hundredths(level_seconds: i64, seconds: i64) -> String {
    let hundredths = (i128::from(level_seconds) * 200 + i128::from(seconds)).div_euclid(i128::from(seconds) * 2);
    let whole = grouped(i64::try_from(hundredths / 100).unwrap_or(i64::MAX));
    if hundredths % 100 == 0 { whole } else { format!("{whole}.{:02}", hundredths % 100) }
}

fn window_label(begin: Timestamp, window: Window, zone: &TimeZone) -> String {
    match window {
        Window::Hour => begin.to_zoned(zone.clone()).strftime("%H:%M").to_string(),
        Window::Month => begin.to_zoned(zone.clone()).strftime("%b %Y").to_string(),
        _ => local_date(begin, zone).rsplit_once(' ').map_or_else(String::new, |(day, _year)| day.to_owned()),
    }
}

#[component]
fn Breakdown(slices: Vec<Slice>, asked: Asked, range: Period) -> impl IntoView {
    let first = singular(asked.by);
    let all = slices.len();
    let rows = slices.into_iter().take(MOST_ROWS).map(move |slice| {
        let id = slice.id.map(|id| id_text(asked.dimension, id));
        let calls = id.clone().and_then(|id| asked.calls(range, Some((asked.by, id))));
        let narrower = id.map(|id| asked.narrower(id));
        let name = match (slice.name.is_empty(), slice.product.is_empty()) {
            (true, _) => nothing(asked.dimension).to_owned(),
            (false, true) => slice.name,
            (false, false) => format!("{} · {}", slice.product, slice.name),
        };
        let name = match narrower {
            Some(href) => view! { <a href=href>{name}</a> }.into_any(),
            None => name.into_any(),
        };
        let totals = slice.totals;
        view! {
            <tr>
                <Cell label=first head=true>{name}</Cell>
                <Cell label="Calls" numeric=true>
                    {match calls {
                        Some(href) => view! { <a href=href><Figure value=totals.calls/></a> }.into_any(),
                        None => view! { <Figure value=totals.calls/> }.into_any(),
                    }}
                </Cell>
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

/// What is said of calls that have none.
const fn nothing(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Product => "No product matched",
        Dimension::Team => "No team",
        Dimension::Member => "Not from the portal",
        _ => "No operation matched",
    }
}

fn id_text(dimension: Dimension, id: Uuid) -> String {
    match dimension {
        Dimension::Product => ProductId(id).to_string(),
        Dimension::Operation => OperationId(id).to_string(),
        Dimension::App => AppId(id).to_string(),
        Dimension::Key => KeyId(id).to_string(),
        Dimension::Team => TeamId(id).to_string(),
        Dimension::Member => MemberId(id).to_string(),
        _ => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_told_to_two_places_and_whole_where_it_is() {
        for (level_seconds, seconds, text) in
            [(14, 4, "3.50"), (12, 4, "3"), (0, 9, "0"), (1, 3, "0.33"), (2, 3, "0.67"), (4_000_004, 1_000, "4,000")]
        {
            assert_eq!(hundredths(level_seconds, seconds), text);
        }
        assert_eq!(grouped(-1_200), "\u{2212}1,200");
    }
}
