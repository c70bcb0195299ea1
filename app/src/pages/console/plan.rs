//! `/console/plans/{plan}`: one tier: its versions and who is on which, and the form that makes the next.

use super::{
    named_partners::{named, origin},
    plan_form::PlanTermsForm,
    plan_new::sellable,
};
use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::pricing::{names::Names, offers, tier},
    viewer,
};
use domain::id::PlanId;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{Plan, PlanVersion};

/// Partners that the list offers at once.
const MOST_PARTNERS: u32 = 200;

#[component]
pub fn OnePlanPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("plan");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: PlanId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let plan = cx.state.store.plan(id).await?;
        let products = sellable(&cx).await?;
        let (name, summary) = (plan.meta.name.clone(), plan.meta.summary.clone());
        let archived = plan.archived_at.is_some();
        let mark = if archived { Some("Archived") } else { plan.meta.private.then_some("Private") };
        let versions = versions(&plan);
        let derived = cx.state.store.plan_origin(id).await?;
        let named = match plan.meta.private {
            true => {
                let partners =
                    cx.state.store.all_partners_page("", None, MOST_PARTNERS, cx.now).await?.items.into_iter();
                let choices =
                    partners.map(|line| Choice::new(line.partner.id.to_string(), line.partner.name)).collect();
                let there = cx.state.store.partners_named_for_plan(id).await?;
                Some(named(id, there, choices, derived.is_some()))
            }
            false => None,
        };
        let derived = derived.map(|from| origin(&plan, from));
        let problems = if flash.form == "plans/save" { Vec::new() } else { flash.problems.clone() };
        let impact = format!("/console/plans/{id}/impact");
        let moves = format!("/console/plans/{id}/moves");
        let asks = cx.state.store.asks_for_payment_method(id).await?;
        let method = method(id, asks, cx.state.stripe.is_some());
        let archive = archive(id, archived);
        Ok(view! {
            <PageTitle text=name.clone()/>
            <OperatorFrame cx=cx path="/console/plans">
                <Breadcrumbs trail=vec![Crumb::new("Plans", "/console/plans")] current=name.clone()/>
                <PageHeader title=name description=summary beside=move || view! {
                    {mark.map(|text| view! { <Badge text=text/> })}
                }>
                    <ButtonLink href=moves icon=IconName::Calendar>"Move partners"</ButtonLink>
                    <ButtonLink href=impact icon=IconName::Chart>"What the newest version costs"</ButtonLink>
                </PageHeader>
                <ErrorSummary problems=problems/>
                {derived}
                {versions}
                {named}
                <Card title="Next version" description="Name, summary, place and approval change at once. Terms make a new version.">
                    <PlanTermsForm there=Some(plan) products=products flash=flash/>
                </Card>
                {method}
                {archive}
            </OperatorFrame>
        })
    })
}

fn versions(plan: &Plan) -> impl IntoView + use<> {
    let behind: u64 = plan.versions.iter().skip(1).map(|version| version.partners).sum();
    let id = plan.id.to_string();
    let impact = format!("/console/plans/{id}/impact");
    let rows = plan.versions.iter().cloned().map(version_row).collect_view();
    let text = match behind {
        1 => {
            "1 partner is on an older version. A move ends its old subscription now and starts the new one.".to_owned()
        }
        behind => format!(
            "{behind} partners are on older versions. A move ends their old subscriptions now and starts new ones."
        ),
    };
    view! {
        <Card title="Versions" description="Newest first; none of them ever changes." flush=true>
            <DataTable
                caption="Versions"
                caption_hidden=true
                columns=vec![
                    Column::text("Version"),
                    Column::text("Price"),
                    Column::text("Limits and quota"),
                    Column::text("Made"),
                    Column::numeric("Partners"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
        {(behind > 0)
            .then(|| view! {
                <Notice tone=Tone::Info title="Partners on older versions">
                    {text} " " <a href=impact>"What the newest version would cost them"</a>
                    <Form action="/do/console/plans/move" inline=true>
                        <input type="hidden" name="plan" value=id/>
                        <Button size=Size::Small>"Move all to the newest version"</Button>
                    </Form>
                </Notice>
            })}
    }
}

fn version_row(version: PlanVersion) -> impl IntoView {
    let between = if version.terms.base_fee_micros == 0 { ", " } else { " " };
    let price = [tier::price(&version.terms), tier::price_note(&version.terms)];
    let price = price.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(between);
    let offered = offers::all(&version.terms, &Names::codes()).join(". ");
    let offered = (!offered.is_empty()).then(|| view! { <p class="field-hint">{offered}</p> });
    let mut bounds = tier::limits(&version.terms);
    bounds.extend(tier::quota(&version.terms));
    bounds.extend(tier::meter_prices(&version.terms, &Names::codes()));
    let made = if version.created_by.is_empty() { String::new() } else { format!(" by {}", version.created_by) };
    view! {
        <tr>
            <Cell label="Version" head=true>{version.version}</Cell>
            <Cell label="Price">{price} {offered}</Cell>
            <Cell label="Limits and quota">{bounds.join(", ")}</Cell>
            <Cell label="Made"><TimeText at=version.created_at date=true/> {made}</Cell>
            <Cell label="Partners" numeric=true><Figure value=version.partners/></Cell>
        </tr>
    }
}

fn method(id: PlanId, asks: bool, is_on: bool) -> impl IntoView {
    let hint = if is_on {
        "Who is on the plan already stays."
    } else {
        "Holds where invoices go to Stripe, which they do not in this installation."
    };
    view! {
        <Card
            title="Payment method"
            description="Partners leave one on a page of Stripe's before they choose the plan, and Stripe charges their invoices by itself."
        >
            <Form action="/do/console/plans/payment-method">
                <input type="hidden" name="plan" value=id.to_string()/>
                <CheckField label="Ask for a payment method first" name="asks" checked=asks hint=hint/>
                <FormActions><Button>"Save"</Button></FormActions>
            </Form>
        </Card>
    }
}

fn archive(id: PlanId, archived: bool) -> impl IntoView {
    let (title, text, button) = if archived {
        ("Restore", "Puts the plan back on the pricing page.", "Restore plan")
    } else {
        ("Archive", "Takes the plan off the pricing page. Partners who are on it stay.", "Archive plan")
    };
    view! {
        <Card title=title description=text>
            <Form action="/do/console/plans/archive" inline=true>
                <input type="hidden" name="plan" value=id.to_string()/>
                {archived.then(|| view! { <input type="hidden" name="restore" value="true"/> })}
                <Button kind=if archived { ButtonKind::Secondary } else { ButtonKind::Danger }>{button}</Button>
            </Form>
        </Card>
    }
}
