//! `/pricing`: the tiers as they are sold now, from the live catalogue, and what they would cost.

mod calculator;
mod compare;
pub mod difference;
pub mod names;
pub mod offers;
pub mod tier;

use crate::{
    components::{ButtonKind, ButtonLink, EmptyState, IconName, PageHeader, PlanCard, PlanGrid},
    frames::PublicFrame,
    page::{PageError, PageTitle, page},
    pages::time_text::local_zone,
    state::AppState,
    viewer::{self, Viewer},
};
use domain::{
    id::PartnerId,
    plan::{Approval, PlanTerms},
    role::MemberRole,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use names::Names;
use store::{OfferedPlan, ProductLine};

#[component]
pub fn PricingPage() -> impl IntoView {
    let cx = viewer::anyone();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let tiers = tiers(&cx.state, partner_of(&cx.viewer)).await?;
        let products = cx.state.store.all_products().await?;
        let names = names(&cx.state, partner_of(&cx.viewer), &tiers).await?;
        let chosen = chosen_plan(&cx.state, &cx.viewer).await?;
        let viewer = cx.viewer.clone();
        let today = today(&viewer, cx.now);
        let body = if tiers.is_empty() {
            view! {
                <EmptyState title="No plan is on sale yet" text="Sign up, and you will be told what there is." icon=IconName::Layers>
                    <ButtonLink href="/sign-up" kind=ButtonKind::Primary>"Sign up"</ButtonLink>
                </EmptyState>
            }
            .into_any()
        } else {
            let calculator = calculator::load(&cx, &query).await?;
            view! {
                <h2 class="visually-hidden">"Plans"</h2>
                <Tiers tiers=tiers.clone() products=products.clone() names=names.clone() viewer chosen today/>
                {calculator}
                <compare::Comparison tiers products names today/>
                <Questions/>
            }
            .into_any()
        };
        Ok(view! {
            <PageTitle text="Pricing"/>
            <PublicFrame cx path="/pricing">
                <div class="pricing">
                    <PageHeader
                        title="Pricing"
                        description="Every plan starts with free test keys. You can change plans at any time; keys stay the same."
                    />
                    {body}
                </div>
            </PublicFrame>
        })
    })
}

/// A plan that the viewer may choose, as it is sold now.
#[derive(Debug, Clone)]
pub struct Tier {
    pub code: String,
    pub name: String,
    pub summary: String,
    pub approval: Approval,
    pub terms: PlanTerms,
}

impl From<OfferedPlan> for Tier {
    fn from(plan: OfferedPlan) -> Self {
        let OfferedPlan { code, name, summary, approval, terms, .. } = plan;
        Self { code, name, summary, approval, terms }
    }
}

/// The tiers that the partner may choose, or everybody, in the order in which the operators put them.
pub async fn tiers(state: &AppState, partner: Option<PartnerId>) -> Result<Vec<Tier>, PageError> {
    Ok(state.store.offered_plans(partner).await?.into_iter().map(Tier::from).collect())
}

/// Names for what the tiers' prices are of.
pub async fn names(state: &AppState, partner: Option<PartnerId>, tiers: &[Tier]) -> Result<Names, PageError> {
    if !tiers.iter().any(|tier| names::is_needed(&tier.terms)) {
        return Ok(Names::codes());
    }
    Ok(Names::known_to(&state.store, partner).await?)
}

fn partner_of(viewer: &Viewer) -> Option<PartnerId> {
    match viewer {
        Viewer::Member(member) => Some(member.partner),
        Viewer::Nobody | Viewer::Operator(_) => None,
    }
}

/// The viewer's day, by which promotions are on.
pub fn today(viewer: &Viewer, now: Timestamp) -> Date {
    let zone = match viewer {
        Viewer::Member(member) => local_zone(&member.time_zone),
        Viewer::Nobody | Viewer::Operator(_) => TimeZone::UTC,
    };
    zone.to_datetime(now).date()
}

async fn chosen_plan(state: &AppState, viewer: &Viewer) -> Result<Option<String>, PageError> {
    let Viewer::Member(member) = viewer else { return Ok(None) };
    Ok(state.store.subscription(member.partner).await?.map(|subscription| subscription.plan_code))
}

/// The cards.
#[component]
pub fn Tiers(
    tiers: Vec<Tier>,
    products: Vec<ProductLine>,
    names: Names,
    viewer: Viewer,
    /// The code of the plan that the viewer's company is on.
    chosen: Option<String>,
    /// The day by which promotions are told.
    today: Date,
) -> impl IntoView {
    use MemberRole::{Admin, Billing, Owner};
    // The middle one is what most take; with two or fewer there is nothing to point at.
    let middle = (tiers.len() >= 3).then_some(tiers.len() / 2);
    let cards = tiers.into_iter().enumerate().map(|(index, tier)| {
        let current = chosen.as_deref() == Some(tier.code.as_str());
        let mut features = offers::lines(&tier.terms, today, &names);
        features.extend(tier::lines(&tier.terms, &products));
        if tier.approval == Approval::Queue {
            features.push("Opened after a short review".to_owned());
        }
        let recommended = Some(index) == middle && !current;
        let kind = if recommended { ButtonKind::Primary } else { ButtonKind::Secondary };
        let (href, label) = match &viewer {
            Viewer::Nobody => (format!("/sign-up?plan={}", tier.code), format!("Start with {}", tier.name)),
            Viewer::Member(_) if current => ("/plan".to_owned(), "See your plan".to_owned()),
            Viewer::Member(member) if !matches!(member.role, Owner | Admin | Billing) => {
                ("/plan".to_owned(), "See your plan".to_owned())
            }
            Viewer::Member(_) => (format!("/plan/change?to={}", tier.code), format!("Choose {}", tier.name)),
            Viewer::Operator(_) => ("/console/plans".to_owned(), "Edit in the console".to_owned()),
        };
        view! {
            <PlanCard
                name=tier.name
                description=tier.summary
                price=tier::price(&tier.terms)
                price_note=tier::price_note(&tier.terms)
                features
                prices=tier::meter_prices(&tier.terms, &names)
                highlighted=recommended
                current
            >
                <ButtonLink href kind wide=true>{label}</ButtonLink>
            </PlanCard>
        }
    });
    let cards = cards.collect_view();
    view! { <PlanGrid>{cards}</PlanGrid> }
}

#[component]
fn Questions() -> impl IntoView {
    view! {
        <section class="pricing-questions">
            <h2>"Questions that come up"</h2>
            <dl>
                <div>
                    <dt>"What is a unit?"</dt>
                    <dd>
                        "Most calls use one unit. An operation that takes more work may use several; its reference page says how "
                        "many. Calls that we refuse, and calls that fail on our side, use none."
                    </dd>
                </div>
                <div>
                    <dt>"What does testing cost?"</dt>
                    <dd>"Nothing. A test key works like a live one, with limits of its own; it uses no quota and is never charged."</dd>
                </div>
                <div>
                    <dt>"What happens at a limit?"</dt>
                    <dd>
                        "Calls beyond a limit are answered with 429 and the seconds to wait. "
                        <a href="/docs/errors/limit-exceeded">"How limits count, and how to stay below"</a>
                    </dd>
                </div>
                <div>
                    <dt>"When am I billed?"</dt>
                    <dd>"At the end of each billing period, for what was used in it. The usage page shows the bill as it grows."</dd>
                </div>
            </dl>
        </section>
    }
}
