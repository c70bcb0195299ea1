//! `/console`: what needs an operator, and what happened in the last day.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::{money::group_thousands, period::Period};
use jiff::ToSpan;
use leptos::prelude::*;
use store::usage::PartnerUsage;

const BUSIEST: u32 = 10;

#[component]
pub fn OverviewPage() -> impl IntoView {
    let cx = viewer::operator();
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let start = cx.now.checked_sub(24.hours()).unwrap_or(cx.now);
        let range = Period { start, end: cx.now.checked_add(1.minute()).unwrap_or(cx.now) };
        let busiest = store.all_partners_usage(range, None, BUSIEST).await?;
        let requests = store.all_plan_requests().await?.len();
        let lag = store.usage_lag(cx.now).await?;
        let products = store.all_products().await?.len();
        let plans = store.all_plans().await?.iter().filter(|plan| plan.archived_at.is_none()).count();
        let calls: u64 = busiest.iter().map(|partner| partner.calls).sum();
        let errors: u64 = busiest.iter().map(|partner| partner.errors).sum();
        let behind = lag.map_or("No usage yet".to_owned(), |lag| format!("{} s behind the gateway", lag.as_secs()));
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
        let stripe = cx.state.settings.stripe_is_on;
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
                <StatGrid>
                    <Stat label="Calls" figure=group_thousands(calls) hint=behind/>
                    <Stat label="Errors" figure=group_thousands(errors) hint="Answers of 400 and more"/>
                    <Stat label="Products" figure=group_thousands(products as u64)/>
                    <Stat label="Stripe" figure=if stripe { "On" } else { "Off" } hint=if stripe { "Invoices are pushed" } else { "Billing stops at the invoice" }/>
                </StatGrid>
                <Card title="Busiest partners" flush=true>
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
            </OperatorFrame>
        })
    })
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
