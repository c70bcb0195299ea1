//! `/console`: what needs an operator, and what happened in the last day.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    state::InvoiceSink,
    viewer,
};
use domain::{money::group_thousands, period::Period};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use leptos::prelude::*;
use store::{AuditEntry, Store, usage::PartnerUsage};

/// Partners that the page lists.
const BUSIEST: usize = 8;
/// More partners than one installation has: the sums are over all of them.
const ALL: u32 = 100_000;
const CHANGES: u32 = 6;
const DAYS: i64 = 7;

#[component]
pub fn OverviewPage() -> impl IntoView {
    let cx = viewer::operator();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let start = cx.now.checked_sub(24.hours()).unwrap_or(cx.now);
        let range = Period { start, end: cx.now.checked_add(1.minute()).unwrap_or(cx.now) };
        let mut busiest = store.all_partners_usage(range, None, ALL).await?;
        let partners = busiest.len() as u64;
        let week = week(store, cx.now).await?;
        let changes = store.all_audit_page(None, CHANGES).await?.items;
        let changes = changes.into_iter().map(change).collect_view();
        let requests = store.all_plan_requests().await?.len();
        let unknown = store.all_unknown_sources().await?.requests;
        let findings = store.all_finding_sources().await?.open;
        let conflicts = store.all_open_outside_conflicts().await?;
        let drift = store.stripe_comparison().await?.open;
        let lag = store.usage_lag(cx.now).await?;
        let products = store.all_products().await?.len();
        let plans = store.all_plans().await?.iter().filter(|plan| plan.archived_at.is_none()).count();
        let calls: u64 = busiest.iter().map(|partner| partner.calls).sum();
        let errors: u64 = busiest.iter().map(|partner| partner.errors).sum();
        busiest.truncate(BUSIEST);
        let behind = match lag.map(|lag| u64::try_from(lag.as_secs()).unwrap_or(0)) {
            None => "No usage yet".to_owned(),
            Some(0..10) => "Usage is up to date".to_owned(),
            Some(seconds) => format!("Usage is {} behind", many(seconds, "second", "seconds")),
        };
        let steps = vec![
            ChecklistStep::new(
                "Add a product",
                "Upload its OpenAPI document and say where it runs.",
                "/console/products",
                products > 0,
            ),
            ChecklistStep::new(
                "Add a plan",
                "Say what it opens, how often it may be called and what that costs.",
                "/console/plans",
                plans > 0,
            ),
            ChecklistStep::new(
                "See a first call",
                "Sign up as a partner, take a test key and call.",
                "/console/partners",
                calls > 0,
            ),
        ];
        let started = steps.iter().all(|step| step.done);
        let (sink, sink_hint) = sink(cx.state.settings.invoice_sink);
        let empty = busiest.is_empty();
        let rows = busiest.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Overview"/>
            <OperatorFrame cx=cx path="/console">
                <PageHeader title="Overview" description="The last 24 hours."/>
                {(!started).then(|| view! { <Card title="Get started"><Checklist steps=steps/></Card> })}
                {(requests > 0)
                    .then(|| view! {
                        <Notice tone=Tone::Warning title="Plans wait for approval">
                            {format!("{requests} waiting. ")} <a href="/console/requests">"Look at them"</a>
                        </Notice>
                    })}
                {(unknown > 0)
                    .then(|| view! {
                        <Notice tone=Tone::Warning title="Nobody knows what became of some requests">
                            {format!("{} with an Idempotency-Key. ", group_thousands(unknown))}
                            <a href="/console/unknown-requests">"Look at them"</a>
                        </Notice>
                    })}
                {(findings > 0)
                    .then(|| view! {
                        <Notice tone=Tone::Warning title="Two places that count usage do not say the same">
                            {format!("{}, and invoices wait. ", many(findings, "finding", "findings"))}
                            <a href="/console/reconciliation">"Look at them"</a>
                        </Notice>
                    })}
                {(conflicts > 0)
                    .then(|| view! {
                        <Notice title="Events contradict others">
                            {format!("{} that nobody has looked at. ", many(conflicts, "event", "events"))}
                            <a href="/console/conflicts">"Look at them"</a>
                        </Notice>
                    })}
                {(drift > 0)
                    .then(|| view! {
                        <Notice title="Stripe holds other values than we">
                            {format!("{} that nobody has decided about. ", many(drift, "field", "fields"))}
                            <a href="/console/stripe-drift">"Look at them"</a>
                        </Notice>
                    })}
                <StatGrid>
                    <Stat label="Calls" figure=group_thousands(calls) hint=behind/>
                    <Stat label="Errors" figure=group_thousands(errors) hint="Status 400 and above"/>
                    <Stat label="Partners with calls" figure=group_thousands(partners)/>
                    <Stat label="Invoices go to" figure=sink hint=sink_hint/>
                </StatGrid>
                {(calls > 0).then(|| view! { <Card>{week}</Card> })}
                <Card title="Busiest partners" flush=true actions=move || view! { <a href="/console/partners">"All partners"</a> }>
                    {if empty {
                        view! {
                            <EmptyState title="No calls in the last 24 hours" text="Partners with calls appear here a second after their first one." icon=IconName::Chart>
                                <ButtonLink href="/console/partners">"Open partners"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Partners by calls"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Partner"),
                                    Column::numeric("Calls"),
                                    Column::numeric("Errors"),
                                    Column::numeric("Units"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any()
                    }}
                </Card>
                <Card title="Latest changes" flush=true actions=move || view! { <a href="/console/audit">"Audit log"</a> }>
                    <DataTable
                        caption="Latest changes"
                        caption_hidden=true
                        columns=vec![Column::text("When"), Column::text("Who"), Column::text("What"), Column::text("To what")]
                        stack=true
                    >
                        {changes}
                    </DataTable>
                </Card>
            </OperatorFrame>
        })
    })
}

/// `1 finding`, `1,200 findings`
pub fn many(count: u64, one: &str, more: &str) -> String {
    format!("{} {}", group_thousands(count), if count == 1 { one } else { more })
}

/// Calls of all partners, by day in UTC.
async fn week(store: &Store, now: Timestamp) -> Result<impl IntoView + use<>, PageError> {
    let mut labels = Vec::new();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let midnight = now.to_zoned(TimeZone::UTC).start_of_day().map_err(|_| PageError::Unavailable)?;
    for back in (0..DAYS).rev() {
        let start = midnight.checked_sub(back.days()).map_err(|_| PageError::Unavailable)?;
        let end = start.checked_add(1.day()).map_err(|_| PageError::Unavailable)?;
        let day = Period { start: start.timestamp(), end: end.timestamp() };
        let used = store.all_partners_usage(day, None, ALL).await?;
        let calls: u64 = used.iter().map(|partner| partner.calls).sum();
        let errors: u64 = used.iter().map(|partner| partner.errors).sum();
        labels.push(start.strftime("%-d %b").to_string());
        good.push(calls.saturating_sub(errors));
        bad.push(errors);
    }
    let series = vec![Series::new("Successful", Tone::Info, good), Series::new("Errors", Tone::Warning, bad)];
    Ok(view! {
        <BarChart
            title="The last 7 days"
            description="Calls of all partners for each day, in UTC"
            unit="calls a day"
            labels=labels
            series=series
        />
    })
}

fn change(entry: AuditEntry) -> impl IntoView {
    let who = if entry.actor.is_empty() { entry.actor_kind } else { entry.actor };
    view! {
        <tr>
            <Cell label="When" head=true><TimeText at=entry.at/></Cell>
            <Cell label="Who"><span class="clip">{who}</span></Cell>
            <Cell label="What"><code>{entry.action}</code></Cell>
            <Cell label="To what"><span class="clip">{entry.subject}</span></Cell>
        </tr>
    }
}

/// Where invoices go, and what that means.
const fn sink(sink: InvoiceSink) -> (&'static str, &'static str) {
    match sink {
        InvoiceSink::Files => ("Files", "Billing stops at the invoice"),
        InvoiceSink::Stripe => ("Stripe", "Stripe collects them"),
        InvoiceSink::Webhook => ("A webhook", "Your own receiver takes them"),
    }
}

fn row(partner: PartnerUsage) -> impl IntoView {
    let href = format!("/console/partners/{}", partner.partner);
    view! {
        <tr>
            <Cell label="Partner" head=true><a href=href>{partner.name}</a></Cell>
            <Cell label="Calls" numeric=true><Figure value=partner.calls/></Cell>
            <Cell label="Errors" numeric=true><Figure value=partner.errors/></Cell>
            <Cell label="Units" numeric=true><Figure value=partner.units/></Cell>
        </tr>
    }
}
