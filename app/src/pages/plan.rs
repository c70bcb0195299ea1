//! `/plan`: the plan that is in force, the bill so far, and all tiers to choose from.

use crate::{
    bill::{self, BillSoFar},
    components::*,
    flash::flash,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::{
        by_team::ByTeam,
        coupons,
        credit::Balance,
        payment,
        pricing::{names::Names, offers, tier},
        time_text::{local_date, local_zone, moment, period_in_zone},
    },
    viewer,
};
use domain::{
    plan::Approval,
    rating::{LineKind, PlanPeriod},
    role::MemberRole,
};
use jiff::civil::Date;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::{OfferedPlan, OrderedBy, ProductLine, ScheduledChange, Subscription};

#[component]
pub fn PlanPage() -> impl IntoView {
    let cx = viewer::member();
    let flash = flash();
    let problems = flash.problems.clone();
    let checkout = use_query_map().get_untracked().get("checkout");
    page(async move {
        let cx = cx?;
        let (store, partner) = (&cx.state.store, cx.viewer.partner);
        let current = store.subscription(partner).await?;
        let requested = store.requested_subscription(partner).await?;
        let scheduled = store.scheduled_change(partner).await?;
        let offered = store.offered_plans(Some(partner)).await?;
        let products = store.all_products().await?;
        let zone = local_zone(&cx.viewer.time_zone);
        let today = zone.to_datetime(cx.now).date();
        let bill = bill::so_far(&cx.state, partner, cx.now).await?;
        let credit = Balance::load(&cx, current.as_ref()).await?.map(Balance::card);
        let decides = matches!(cx.viewer.role, MemberRole::Owner | MemberRole::Admin | MemberRole::Billing);
        let method = payment::standing(&cx, (decides, current.is_some()), checkout).await?;
        let coupons = coupons::of_plan(store.redeemed_coupons(partner, cx.now).await?, decides, &flash, &zone);
        let waiting = requested.clone().map(|requested| waiting(requested, decides));
        let may_cancel = decides && scheduled.as_ref().is_none_or(|change| change.of_move.is_some());
        let names = Names::known_to(store, Some(partner)).await?;
        let planned = scheduled.map(|change| planned(change, decides, &zone));
        let in_force = current
            .clone()
            .zip(bill)
            .map(|(subscription, bill)| in_force((subscription, today), bill, &names, may_cancel, &zone));
        let none_offered = offered.is_empty();
        let cards = offered
            .into_iter()
            .map(|plan| card(plan, (&products, &names, today), current.as_ref(), requested.as_ref(), decides))
            .collect_view();
        Ok(view! {
            <PageTitle text="Plan"/>
            <MemberFrame cx=cx path="/plan">
                <PageHeader title="Plan" description="What you may call, how often, and what it costs."/>
                <ErrorSummary problems=problems/>
                {method}
                {waiting}
                {planned}
                {in_force}
                {credit}
                {coupons}
                {if none_offered {
                    view! {
                        <Card>
                            <EmptyState title="No plans to choose from" text="The provider offers no public plan at the moment; contact them for one." icon=IconName::Layers/>
                        </Card>
                    }
                    .into_any()
                } else {
                    view! {
                        <h2 id="plans">"Compare plans"</h2>
                        <PlanGrid>{cards}</PlanGrid>
                    }
                    .into_any()
                }}
            </MemberFrame>
        })
    })
}

fn waiting(requested: Subscription, decides: bool) -> impl IntoView {
    let text = format!("{} is waiting for the provider's approval. Until then nothing changes.", requested.plan_name);
    view! {
        <Notice tone=Tone::Info title="Plan requested">
            {text}
            {decides
                .then(|| view! {
                    <Form action="/do/plan/withdraw" inline=true>
                        <input type="hidden" name="subscription" value=requested.id.to_string()/>
                        <Button size=Size::Small>"Take the request back"</Button>
                    </Form>
                })}
        </Notice>
    }
}

fn planned(change: ScheduledChange, decides: bool, zone: &jiff::tz::TimeZone) -> impl IntoView + use<> {
    let (from, at) = (change.from_name, moment(change.effective_at, zone));
    let is_operators = change.ordered_by == OrderedBy::Operator && change.of_move.is_none();
    let of_move = change.of_move;
    let text = match change.to {
        Some(to) => {
            format!("{} takes the place of {from} on {at}. Until then limits and price stay as they are.", to.name)
        }
        None => format!(
            "{from} ends on {at}. From then on calls with your keys are refused; they stay, and work again with the next plan."
        ),
    };
    view! {
        <Notice tone=Tone::Info title="A change is planned">
            {text}
            {of_move.map(|own| view! {
                " The provider moves its partners off this plan. " {own.reason} " Until then you may choose another plan or cancel. "
                {decides.then(|| view! { <a href="/plan/move">"See what differs"</a> })}
            })}
            {is_operators.then_some(" The provider planned it; ask the provider to change it.")}
            {(decides && change.ordered_by == OrderedBy::Partner)
                .then(|| view! {
                    <Form action="/do/plan/keep" inline=true>
                        <input type="hidden" name="change" value=change.id.to_string()/>
                        <Button size=Size::Small>"Take the change back"</Button>
                    </Form>
                })}
        </Notice>
    }
}

fn in_force(
    (subscription, today): (Subscription, Date),
    bill: BillSoFar,
    names: &Names,
    may_cancel: bool,
    zone: &jiff::tz::TimeZone,
) -> impl IntoView + use<> {
    let since = subscription.started_at.map(|at| local_date(at, zone)).unwrap_or_default();
    let title = format!("{}, since {since}", subscription.plan_name);
    let period = period_in_zone(bill.period, zone);
    let tried = subscription.trial_until.filter(|until| bill.period.end <= *until).map(|until| {
        let then = subscription.terms.in_force(PlanPeriod::first(zone.to_datetime(until).date()));
        let text = format!(
            "Your trial ends on {}. From then on: {} {}.",
            moment(until, zone),
            tier::price(&then),
            tier::price_note(&then)
        );
        view! { <Notice tone=Tone::Info title="You are trying this plan">{text}</Notice> }
    });
    let total = bill.total();
    let teams = bill.teams;
    let rows = bill
        .rated
        .charges
        .into_iter()
        .map(|charge| {
            let product = charge.product.unwrap_or_default();
            let name = match charge.kind {
                _ if charge.label.is_some() => charge.label.unwrap_or_default(),
                LineKind::BaseFee => "Base fee, if the plan stays to the end of the period".to_owned(),
                LineKind::IncludedCredit => "Included credit".to_owned(),
                LineKind::Meter => names.meter(&product, &charge.meter.unwrap_or_default()),
                LineKind::Usage
                | LineKind::Minimum
                | LineKind::Discount
                | LineKind::CommittedUse
                | LineKind::Commitment
                | LineKind::Adjustment
                | LineKind::CreditPackage
                | LineKind::CreditOverdraft
                | LineKind::BilledBefore => names.operation(&product, &charge.operation.unwrap_or_default()),
            };
            let name = charge.offer.map_or(name.clone(), |offer| format!("{name}, {offer}"));
            let quantity = charge.quantity;
            let units = matches!(charge.kind, LineKind::Usage | LineKind::Meter | LineKind::CreditOverdraft)
                .then(|| view! { <Figure value=quantity/> });
            view! {
                <tr>
                    <Cell label="For" head=true>{name}</Cell>
                    <Cell label="Units" numeric=true>{units}</Cell>
                    <Cell label="Amount" numeric=true><MoneyText amount=charge.amount/></Cell>
                </tr>
            }
        })
        .collect_view();
    let mut known = subscription.terms;
    known.conceal(|code| !names.knows(code));
    let offered = offers::lines(&known, today, names);
    let offered = (!offered.is_empty()).then(|| {
        let offers = offered.into_iter().map(|line| view! { <li>{line}</li> }).collect_view();
        view! { <Card title="Offers of your plan"><ul>{offers}</ul></Card> }
    });
    let actions = move || {
        view! {
            <a href="/plan/bill-so-far.csv" download="">"Download so far"</a>
            {may_cancel.then(|| view! { <a href="/plan/cancel">"Cancel the plan"</a> })}
        }
    };
    view! {
        {tried}
        <Card title=title description=format!("Bill so far for {period}") actions=actions flush=true>
            <DataTable
                caption="Bill so far"
                caption_hidden=true
                columns=vec![Column::text("For"), Column::numeric("Units"), Column::numeric("Amount")]
                stack=true
                foot=move || view! {
                    <tr>
                        <Cell label="For" head=true>"Total so far"</Cell>
                        <Cell numeric=true>{None::<String>}</Cell>
                        <Cell label="Amount" numeric=true><MoneyText amount=total/></Cell>
                    </tr>
                }
            >
                {rows}
            </DataTable>
        </Card>
        <ByTeam lines=teams/>
        {offered}
    }
}

fn card(
    plan: OfferedPlan,
    (products, names, today): (&[ProductLine], &Names, Date),
    current: Option<&Subscription>,
    requested: Option<&Subscription>,
    decides: bool,
) -> impl IntoView + use<> {
    let is_current = current.is_some_and(|own| own.plan == plan.id);
    let newer = current.is_some_and(|own| own.plan == plan.id && own.version < plan.version);
    let is_requested = requested.is_some_and(|own| own.plan == plan.id);
    let label = match plan.approval {
        Approval::Queue => "Request this plan",
        Approval::Automatic if current.is_none() => "Choose this plan",
        Approval::Automatic if newer => "Move to its newest version",
        Approval::Automatic => "Change to this plan",
    };
    let href = format!("/plan/change?to={}", plan.code);
    let action = if is_requested {
        view! { <p class="plan-state">"Waits for approval"</p> }.into_any()
    } else if is_current && !newer {
        view! { <p class="plan-state">"You are on this plan"</p> }.into_any()
    } else if decides {
        // Who has a plan compares; who has none is to choose one.
        let kind = if current.is_none() { ButtonKind::Primary } else { ButtonKind::Secondary };
        view! { <ButtonLink href=href kind=kind>{label}</ButtonLink> }.into_any()
    } else {
        view! { <p class="plan-state">"An owner, admin or billing member can change the plan."</p> }.into_any()
    };
    let features = [offers::lines(&plan.terms, today, names), tier::lines(&plan.terms, products)].concat();
    view! {
        <PlanCard
            name=plan.name
            description=plan.summary
            price=tier::price(&plan.terms)
            price_note=tier::price_note(&plan.terms)
            features
            prices=tier::meter_prices(&plan.terms, names)
            current=is_current
        >
            {action}
        </PlanCard>
    }
}
