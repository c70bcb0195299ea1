//! `/plan/change?to=` and `/plan/cancel`: what a change of plan means, before it is made.

use crate::{
    api::plan::{refused, wanted},
    components::*,
    flash::flash,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        change_shown::Shown,
        payment::{MethodFirst, PayFirst},
        pricing::names::Names,
    },
    payment,
    viewer::{self, Cx, MemberViewer},
};
use domain::plan::PlanTerms;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::Wish;

#[component]
pub fn PlanChangePage() -> impl IntoView {
    let cx = viewer::member();
    let wanted = use_query_map().get_untracked().get("to");
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let wanted = wanted.ok_or(PageError::NotFound)?;
        let plan = cx
            .state
            .store
            .offered_plans(Some(cx.viewer.partner))
            .await?
            .into_iter()
            .find(|plan| plan.code == wanted)
            .ok_or(PageError::NotFound)?;
        let shown = match Look::at(&cx, Wish::Plan(plan.id), Some(plan.terms)).await? {
            Ok(shown) => shown,
            Err(why) => return Ok(not_now(cx, why).into_any()),
        };
        let title = match (shown.proposal.needs_approval, &shown.old) {
            (true, _) => format!("Request {}", plan.name),
            (false, None) => format!("Choose {}", plan.name),
            (false, Some(_)) => format!("Change to {}", plan.name),
        };
        let token = shown.proposal.token.clone();
        let (terms, facts, button) = (shown.terms(), shown.facts(), title.clone());
        let fee = match payment::paid_first(&cx.state, cx.viewer.partner, plan.id, cx.now).await {
            Ok(fee) => fee,
            Err(error) => return refused(error).map(|why| not_now(cx, why).into_any()),
        };
        let decision = if let Some(fee) = fee {
            view! { <PayFirst plan=(plan.code, plan.name.clone()) cost=fee.cost() preview=token/> }.into_any()
        } else if payment::is_missing(&cx.state, cx.viewer.partner, plan.id).await? {
            view! { <MethodFirst plan=plan.code/> }.into_any()
        } else {
            view! {
                <Form action="/do/plan/choose">
                    <input type="hidden" name="plan" value=plan.code/>
                    <input type="hidden" name="preview" value=token/>
                    <FormActions cancel="/plan"><Button kind=ButtonKind::Primary>{button}</Button></FormActions>
                </Form>
            }
            .into_any()
        };
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/plan">
                <Breadcrumbs trail=vec![Crumb::new("Plan", "/plan")] current=title.clone()/>
                <PageHeader title=title.clone()/>
                <ErrorSummary problems=problems/>
                {terms}
                <Card title="When and what it costs">
                    <Stack>
                        {facts}
                        {decision}
                    </Stack>
                </Card>
            </MemberFrame>
        }
        .into_any())
    })
}

#[component]
pub fn PlanCancelPage() -> impl IntoView {
    let cx = viewer::member();
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let shown = match Look::at(&cx, Wish::Nothing, None).await? {
            Ok(shown) => shown,
            Err(why) => return Ok(not_now(cx, why).into_any()),
        };
        let token = shown.proposal.token.clone();
        let facts = shown.facts();
        Ok(view! {
            <PageTitle text="Cancel the plan"/>
            <MemberFrame cx=cx path="/plan">
                <Breadcrumbs trail=vec![Crumb::new("Plan", "/plan")] current="Cancel the plan"/>
                <PageHeader title="Cancel the plan"/>
                <ErrorSummary problems=problems/>
                <Card title="When, and what happens then">
                    <Stack>
                        {facts}
                        <Form action="/do/plan/cancel">
                            <input type="hidden" name="preview" value=token/>
                            <FormActions cancel="/plan" cancel_label="Keep the plan">
                                <Button kind=ButtonKind::Danger>"Cancel the plan"</Button>
                            </FormActions>
                        </Form>
                    </Stack>
                </Card>
            </MemberFrame>
        }
        .into_any())
    })
}

struct Look;

impl Look {
    /// The preview, or why there is none; with the products that the member may know of.
    async fn at(cx: &Cx<MemberViewer>, wish: Wish, new: Option<PlanTerms>) -> Result<Result<Shown, String>, PageError> {
        let (store, partner) = (&cx.state.store, cx.viewer.partner);
        let proposal = match billing::preview_change(store, partner, wanted(wish), cx.now).await {
            Ok(proposal) => proposal,
            Err(error) => return refused(error).map(Err),
        };
        let names = Names::known_to(store, Some(partner)).await?;
        let mut products = names.products();
        let mut old = proposal.from.as_ref().map(|own| own.terms.clone());
        if let Some(old) = &mut old {
            old.conceal(|code| products.iter().all(|(known, _)| known != code));
        }
        for line in store.all_products().await? {
            let offered = new.as_ref().is_some_and(|terms: &PlanTerms| terms.grant(&line.code).is_some());
            if offered && products.iter().all(|(code, _)| *code != line.code) {
                products.push((line.code, line.name));
            }
        }
        Ok(Ok(Shown { proposal, old, new, products, names, own: true }))
    }
}

fn not_now(cx: Cx<MemberViewer>, why: String) -> impl IntoView {
    view! {
        <PageTitle text="Change of plan"/>
        <MemberFrame cx=cx path="/plan">
            <Breadcrumbs trail=vec![Crumb::new("Plan", "/plan")] current="Change of plan"/>
            <PageHeader title="Change of plan"/>
            <Card>
                <EmptyState title="Nothing to change" text=why icon=IconName::Layers>
                    <ButtonLink href="/plan">"See your plan"</ButtonLink>
                </EmptyState>
            </Card>
        </MemberFrame>
    }
}
