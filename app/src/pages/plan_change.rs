//! `/plan/change?to=`: what a change of plan means, before it is made.

use crate::{
    bill,
    components::*,
    flash::flash,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::pricing::tier,
    viewer,
};
use domain::plan::{Approval, PlanTerms};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn PlanChangePage() -> impl IntoView {
    let cx = viewer::member();
    let wanted = use_query_map().get_untracked().get("to");
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let (store, partner) = (&cx.state.store, cx.viewer.partner);
        let wanted = wanted.ok_or(PageError::NotFound)?;
        let plan =
            store.offered_plans().await?.into_iter().find(|plan| plan.code == wanted).ok_or(PageError::NotFound)?;
        let mut current = store.subscription(partner).await?;
        if let Some(own) = &mut current {
            let known = store.visible_products(partner).await?;
            own.terms.conceal(|code| known.iter().all(|product| product.line.code != code));
        }
        let owed = bill::so_far(&cx.state, partner, cx.now).await?.map(|bill| bill.ended_now);
        let queue = plan.approval == Approval::Queue;
        let when = if queue { "When the provider approves it" } else { "At once" };
        let old = current.as_ref().map(|own| &own.terms);
        let rows = comparison(old, &plan.terms);
        let settled = match (&current, owed) {
            (Some(own), Some(owed)) => Some(format!(
                "{} ends at that moment. What it cost until then is invoiced by itself, {owed} if it ended now: its base fee and what it includes count for the time that it ran.",
                own.plan_name
            )),
            _ => None,
        };
        let from = current.as_ref().map_or("Nothing".to_owned(), |own| own.plan_name.clone());
        let title = if queue { format!("Request {}", plan.name) } else { format!("Change to {}", plan.name) };
        let (name, code) = (plan.name.clone(), plan.code.clone());
        let button = title.clone();
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/plan">
                <Breadcrumbs trail=vec![Crumb::new("Plan", "/plan")] current=title.clone()/>
                <PageHeader title=title.clone()/>
                <ErrorSummary problems=problems/>
                <Card title="What changes" flush=true>
                    <DataTable
                        caption="Before and after"
                        caption_hidden=true
                        columns=vec![Column::text("Terms"), Column::text(from), Column::text(name)]
                        stack=true
                    >
                        {rows}
                    </DataTable>
                </Card>
                <Card title="When and what it costs">
                    <Stack>
                        <DescriptionList><Description label="In force">{when}</Description></DescriptionList>
                        {settled.map(|text| view! { <p>{text}</p> })}
                        <Form action="/do/plan/choose">
                            <input type="hidden" name="plan" value=code/>
                            <FormActions cancel="/plan"><Button kind=ButtonKind::Primary>{button}</Button></FormActions>
                        </Form>
                    </Stack>
                </Card>
            </MemberFrame>
        })
    })
}

fn comparison(old: Option<&PlanTerms>, new: &PlanTerms) -> impl IntoView + use<> {
    type Read = fn(&PlanTerms) -> String;
    let none = |text: String| if text.is_empty() { "None".to_owned() } else { text };
    let lines: [(&str, Read); 4] = [
        ("Base fee", |terms| terms.base_fee().to_string()),
        ("Usage", |terms| tier::usage_price(terms).join(". ")),
        ("Limits", |terms| tier::limits(terms).join(", ")),
        ("Quota", |terms| tier::quota(terms).unwrap_or_default()),
    ];
    let rows = lines.into_iter().map(move |(label, read)| {
        let before = old.map_or("—".to_owned(), |terms| none(read(terms)));
        let after = none(read(new));
        view! {
            <tr>
                <Cell label="" head=true>{label}</Cell>
                <Cell label="Before">{before}</Cell>
                <Cell label="After">{after}</Cell>
            </tr>
        }
    });
    rows.collect_view()
}
