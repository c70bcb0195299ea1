//! `/usage`: what was used in a billing period, a day or a year, against the quota, and by whatever made the calls. Each row narrows
//! the page to what it stands for, and leads to the calls themselves.

mod asked;
mod breakdown;
mod choose;
mod dimensions;
mod metered;
mod seen;

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::{
        corrected::Corrected,
        missing::{MissingNotice, Reader},
        requests::duration_text,
        time_text::{local_date, period_text},
    },
    viewer,
};
use asked::Asked;
use breakdown::Breakdown;
use choose::{DaysAround, Narrowed, Picker};
use dimensions::DIMENSIONS;
use domain::{key_text::Environment, money::group_thousands, quota::Beyond};
use jiff::{Timestamp, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use metered::measured;
use seen::Seen;
use store::usage::{Totals, Window};

/// Corrections that the page lists.
const CORRECTIONS: u32 = 20;

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
    let soft = capped.is_some() || quota.is_some_and(|quota| quota.beyond != Beyond::Block);
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
                    <Meter label="Units this period" used=of_quota limit=Some(quota.units) unit="units" soft=soft hint=beyond/>
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

fn window_label(begin: Timestamp, window: Window, zone: &TimeZone) -> String {
    match window {
        Window::Hour => begin.to_zoned(zone.clone()).strftime("%H:%M").to_string(),
        Window::Month => begin.to_zoned(zone.clone()).strftime("%b %Y").to_string(),
        _ => local_date(begin, zone).rsplit_once(' ').map_or_else(String::new, |(day, _year)| day.to_owned()),
    }
}
