//! `/plan/move`: what differs where the provider moves its partners to another plan, and what to do about it until then.

use crate::{
    components::*,
    flash::flash,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        change_shown::beside,
        pricing::names::Names,
        time_text::{local_zone, moment, period_in_zone},
    },
    viewer::{self, Cx, MemberViewer},
};
use billing::{Affected, After};
use domain::plan::PlanTerms;
use leptos::prelude::*;
use store::{ScheduledMove, ScheduledPlan, Subscription};

#[component]
pub fn PlanMovedPage() -> impl IntoView {
    let cx = viewer::member();
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let (store, partner) = (&cx.state.store, cx.viewer.partner);
        let own = store.subscription(partner).await?;
        let waits = store.scheduled_change(partner).await?;
        let found = own.zip(waits).and_then(|(own, waits)| Some((own, waits.of_move?, waits.to?, waits.effective_at)));
        let body = match found {
            Some((own, of_move, to, at)) => shown(&cx, own, of_move, to, at).await?,
            None => view! {
                <Card>
                    <EmptyState title="Nothing is planned" text="The provider is not moving you to another plan. You can change your plan yourself at any time." icon=IconName::Layers>
                        <ButtonLink href="/plan">"See your plan"</ButtonLink>
                    </EmptyState>
                </Card>
            }
            .into_any(),
        };
        let title = "Move to another plan";
        Ok(view! {
            <PageTitle text=title/>
            <MemberFrame cx=cx path="/plan">
                <Breadcrumbs trail=vec![Crumb::new("Plan", "/plan")] current=title/>
                <PageHeader title=title/>
                <ErrorSummary problems=problems/>
                {body}
            </MemberFrame>
        })
    })
}

async fn shown(
    cx: &Cx<MemberViewer>,
    own: Subscription,
    of_move: ScheduledMove,
    to: ScheduledPlan,
    at: jiff::Timestamp,
) -> Result<AnyView, PageError> {
    let store = &cx.state.store;
    let zone = local_zone(&cx.viewer.time_zone);
    let terms = store.plan_version_terms(to.version_id).await?;
    let affected = billing::impact_of_own_move(store, &own, &terms, cx.now).await.map_err(|error| {
        tracing::error!(%error, "what a move would have cost cannot be said");
        PageError::Unavailable
    })?;
    let known = Names::known_to(store, Some(cx.viewer.partner)).await?;
    let products = with_offered(cx, known.products()).await?;
    let when = format!("On {}. Until then limits and price stay as they are.", moment(at, &zone));
    let cost = affected.map(|own| cost(own, &zone));
    let why = Some(of_move.reason).filter(|why| !why.is_empty());
    let names = (own.plan_name.clone(), to.name.clone());
    let [old, new] = [own.terms, terms].map(|mut terms| {
        terms.conceal(|code| products.iter().all(|(known, _)| known != code));
        terms
    });
    let differs = beside(names, Some(&old), Some(&new), &products, &known);
    Ok(view! {
        {differs}
        <Card title="When, and what you can do">
            <Stack>
                <DescriptionList>
                    <Description label="Takes effect">{when}</Description>
                    {why.map(|why| view! { <Description label="Why">{why}</Description> })}
                    {cost.map(|text| view! { <Description label="Your last billing period">{text}</Description> })}
                </DescriptionList>
                <p>"If you do nothing, your plan changes on that day; keys and apps go on without a break. Until then you may choose another plan or cancel."</p>
                <FormActions>
                    <ButtonLink href="/plan#plans">"Compare plans"</ButtonLink>
                    <ButtonLink href="/plan/cancel">"Cancel the plan"</ButtonLink>
                </FormActions>
            </Stack>
        </Card>
    }
    .into_any())
}

/// With those that a plan on offer opens.
async fn with_offered(
    cx: &Cx<MemberViewer>,
    mut products: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, PageError> {
    let (store, partner) = (&cx.state.store, cx.viewer.partner);
    let offered: Vec<PlanTerms> =
        store.offered_plans(Some(partner)).await?.into_iter().map(|plan| plan.terms).collect();
    for line in store.all_products().await? {
        let is_offered = offered.iter().any(|terms| terms.grant(&line.code).is_some());
        if is_offered && products.iter().all(|(code, _)| *code != line.code) {
            products.push((line.code, line.name));
        }
    }
    Ok(products)
}

fn cost(own: Affected, zone: &jiff::tz::TimeZone) -> String {
    let period = period_in_zone(own.period, zone);
    match (own.before, own.after) {
        (Some(before), After::Comparable(after) | After::OtherCurrency(after)) => {
            format!("{period}: {after} with these terms, {before} with yours")
        }
        (_, After::OtherInterval) => {
            format!("{period}: billing periods are of another length, so it cannot be compared")
        }
        (_, After::New) => "You had no plan for the whole of it, so it cannot be compared".to_owned(),
        _ => format!("{period}: more than can be compared"),
    }
}
